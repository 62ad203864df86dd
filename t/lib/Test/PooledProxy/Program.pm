# Test::PooledProxy::Program: another program that a test needs (a backend), in a process of its own that ends with the test.
package Test::PooledProxy::Program;
use strict;
use warnings;
use IO::Socket::INET;
use Test::PooledProxy::Util qw(wait_until start_process stop_process is_running read_file project_root);

# The path of a program, or undef.
sub find {
    my ($name) = @_;
    my ($path) = grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH}), qw(/usr/sbin /usr/local/sbin);
    return $path;
}

# new(log => FILE, command => [...], port => PORT): runs until it listens on the port. Without a port it prints it as its first line.
# Dies when it doesn't start, with what it said.
sub new {
    my ($class, %args) = @_;
    my $self = bless { owner => $$, %args }, $class;
    unlink $args{log}; # it may hold the port of another
    $self->{pid} = start_process(
        sub {
            open STDIN,  '<', '/dev/null';
            open STDOUT, '>', $args{log} or die "$args{log}: $!";
            open STDERR, '>&', \*STDOUT;
            exec @{ $args{command} } or die "exec: $!";
        }
    );
    wait_until(10, sub { $self->is_ready || !is_running($self->{pid}) });
    die "$args{command}[0] did not start: " . $self->output . "\n" if !$self->is_ready;
    return $self;
}

# One of t/lib/*.pl, which print their port.
sub script {
    my ($class, $name, $log, @options) = @_;
    return $class->new(log => $log, command => [$^X, project_root() . "/t/lib/$name", @options]);
}

sub is_ready {
    my ($self) = @_;
    if ($self->{port}) { return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}) ? 1 : 0 }
    my ($port) = $self->output =~ /^(\d+)\n/ or return 0;
    $self->{port} = $port;
    return 1;
}

sub port   { return $_[0]{port} }
sub pid    { return $_[0]{pid} }
sub url    { return "http://127.0.0.1:$_[0]{port}" }
sub output { return read_file($_[0]{log}) }

sub stop {
    my ($self) = @_;
    stop_process(delete $self->{pid}, 5) if $self->{pid};
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
