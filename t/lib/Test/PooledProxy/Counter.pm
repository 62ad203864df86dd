# Test::PooledProxy::Counter: the backend that counts its own sockets exactly (t/lib/counter.pl), and what is asked of it again and again.
package Test::PooledProxy::Counter;
use strict;
use warnings;
use IO::Socket::INET;
use JSON::PP ();
use File::Temp ();
use Test::PooledProxy::Program;

# new(OPTIONS of counter.pl): listens when this returns.
sub new {
    my ($class, @options) = @_;
    my $log = File::Temp->new(TEMPLATE => 'counter-XXXXXX', TMPDIR => 1);
    my $self = bless { log => $log, program => Test::PooledProxy::Program->script('counter.pl', $log->filename, @options) }, $class;
    $self->{control} = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{program}->port) or die "the counter: $!\n";
    $self->{ports} = $self->stats->{ports};
    return $self;
}

# The port of its first server, or of the one of that number.
sub port { my ($self, $i) = @_; return $self->{ports}[$i // 0] }

sub command {
    my ($self, $command) = @_;
    local $/ = "\n";
    print { $self->{control} } "$command\n";
    return JSON::PP::decode_json(readline($self->{control}) // die "the counter has ended\n");
}

# Its numbers, in t/lib/counter.pl; and one of them: that of the port of this number, or of all ports together.
sub stats { return $_[0]->command('stats') }
sub open_now { my ($self, $i) = @_; return $self->stats->{open}[$i // -1] }
sub most     { my ($self, $i) = @_; return $self->stats->{most}[$i // -1] }
sub accepts  { my ($self, $i) = @_; return $self->stats->{accepts}[$i // -1] }

# From now on `most` is the most of what comes.
sub mark { return $_[0]->command('mark') }

# The servers close all connections; are there no more, and again; let connections wait in the backlog, and take them again.
sub close_all    { return $_[0]->command('close') }
sub refuse       { return $_[0]->command('refuse') }
sub listen_again { return $_[0]->command('listen') }
sub let_wait     { return $_[0]->command('wait') }
sub accept_again { return $_[0]->command('accept') }

sub stop { my ($self) = @_; close $self->{control}; $self->{program}->stop; return }

1;
