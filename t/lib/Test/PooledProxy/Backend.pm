# Test::PooledProxy::Backend: the load backend (t/lib/backend.pl) in a process of its own. Its paths are described there.
package Test::PooledProxy::Backend;
use strict;
use warnings;
use JSON::PP ();
use Test::PooledProxy::Client;
use Test::PooledProxy::Util qw(start_process stop_process project_root);

# new(OPTIONS of backend.pl): starts it; it listens when this returns.
sub new {
    my ($class, @options) = @_;
    pipe my $reader, my $writer or die "pipe: $!";
    my $self = bless { owner => $$ }, $class;
    $self->{pid} = start_process(
        sub {
            close $reader;
            open STDOUT, '>&', $writer;
            exec $^X, project_root() . '/t/lib/backend.pl', @options or die "exec: $!";
        }
    );
    close $writer;
    chomp($self->{port} = readline($reader) // die "the backend did not start\n");
    return $self;
}

sub port { return $_[0]{port} }
sub pid  { return $_[0]{pid} }
sub url  { return "http://127.0.0.1:$_[0]{port}" }

# Its counters: accepts, open, max_open, requests, active, max_active, answering, aborted, twice, lost
sub stats {
    my ($self) = @_;
    return JSON::PP::decode_json(Test::PooledProxy::Client->new(port => $self->{port})->get('/stats')->{body});
}

sub stop {
    my ($self) = @_;
    stop_process(delete $self->{pid}, 2) if $self->{pid};
    return;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $@, $!);
    $self->stop;
    return;
}

1;
