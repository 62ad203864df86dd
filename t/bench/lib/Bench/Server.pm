# Bench::Server: what backend and proxies have in common: a folder for each start, ports, a process, and the moment it is ready.
# A class below it tells: name, cpus, port_names (the first is what clients connect to), prepare (writes its files), command.
package Bench::Server;
use strict;
use warnings;
use Bench::Machine;
use Bench::Process;
use IO::Socket::INET;
use Test::PooledProxy::Util qw(wait_until free_ports read_file);

my $starts = 0;

# new(dir => FOLDER of the whole run, ...): nothing runs yet.
sub new {
    my ($class, %args) = @_;
    return bless { %args, top => $args{dir} }, $class;
}

# Another one of its kind that has nothing to do with the first.
sub twin {
    my ($self) = @_;
    return (ref $self)->new(dir => $self->{top}, backend => $self->{backend});
}

# start(SETTING => VALUE ...): starts it, and waits until it listens. The settings are the class's own. A port that was free a moment ago
# may be taken by now: then it is tried again with others.
sub start {
    my ($self, %settings) = @_;
    $self->{settings} = \%settings;
    for my $last (0, 0, 1) {
        $self->prepare_start;
        return $self if eval { $self->launch; 1 };
        my $why = $@;
        $self->stop;
        die $why if $last || $why !~ /in use/i;
    }
    return;
}

sub prepare_start {
    my ($self) = @_;
    $self->{dir} = sprintf '%s/%02d-%s', $self->{top}, ++$starts, lc $self->name;
    mkdir $self->{dir} or die "$self->{dir}: $!\n";
    chmod 0777, $self->{dir}; # the server is another user
    my @names = $self->port_names;
    my %ports;
    @ports{@names} = free_ports(scalar @names);
    $self->{ports} = \%ports;
    $self->prepare;
    return;
}

sub launch {
    my ($self) = @_;
    $self->{process} = Bench::Process->start(
        command => [@{ $self->{settings}{launcher} // [] }, $self->command],
        dir     => $self->{dir},
        cpus    => $self->cpus,
        user    => Bench::Machine::server_user(),
        output  => $self->output_file,
    );
    $self->wait_until_ready;
    return;
}

sub output_file { return $_[0]{dir} . '/output' }
sub process     { return $_[0]{process} }
sub dir         { return $_[0]{dir} }
sub port        { my ($self, $name) = @_; return $self->{ports}{ $name // 'http' } }

sub is_listening { my ($self) = @_; return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->port, Timeout => 2) }

sub wait_until_ready {
    my ($self) = @_;
    wait_until(60, sub { !$self->{process}->is_alive || $self->is_listening });
    return if $self->{process}->is_alive && $self->is_listening;
    die $self->name . " did not start:\n" . $self->{process}->output . "\n" . read_file("$self->{dir}/error.log");
}

# True when it ended by itself once asked.
sub stop {
    my ($self) = @_;
    my $process = delete $self->{process} or return 1;
    return $process->stop;
}

1;
