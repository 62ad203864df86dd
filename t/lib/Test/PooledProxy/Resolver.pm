# Test::PooledProxy::Resolver: a real DNS server (dnsmasq) for names below .test, on a port of 127.0.0.1, whose records a test changes.
package Test::PooledProxy::Resolver;
use strict;
use warnings;
use Test::PooledProxy::Program;
use Test::PooledProxy::Util qw(free_ports wait_until start_process stop_process is_running read_file write_file);

# Why tests with it can't run; undef: they can.
sub missing { return Test::PooledProxy::Program::find('dnsmasq') ? undef : 'dnsmasq is not installed' }

# new(dir => DIR, ttl => SECONDS, records => {NAME => [ADDRESS, ...]}, srv => [[NAME, TARGET, PORT, PRIORITY, WEIGHT], ...]): answers when
# this returns.
sub new {
    my ($class, %args) = @_;
    my $self = bless { owner => $$, ttl => 1, srv => [], %args }, $class;
    for my $attempt (1 .. 5) { # between looking for a free port and listening on it another process may take it
        ($self->{port}) = free_ports(1);
        $self->write_records;
        return $self if eval { $self->run };
    }
    die $@;
}

sub port    { return $_[0]{port} }
sub address { return "127.0.0.1:$_[0]{port}" }
sub path    { my ($self, $name) = @_; return "$self->{dir}/$name-$self->{port}" }

sub write_records {
    my ($self) = @_;
    my $records = $self->{records};
    my @hosts = map { my $name = $_; map { "$_ $name\n" } @{ $records->{$name} } } sort keys %$records;
    write_file($self->path('dns-hosts') . '.new', join '', @hosts);
    rename $self->path('dns-hosts') . '.new', $self->path('dns-hosts') or die "rename: $!";
    write_file($self->path('dns-conf'), join '', map { "$_\n" } "port=$self->{port}", 'listen-address=127.0.0.1', 'bind-interfaces', 'no-resolv',
        'no-hosts', 'local=/test/', "local-ttl=$self->{ttl}", 'user=root', 'addn-hosts=' . $self->path('dns-hosts'),
        map { "srv-host=$_->[0],$_->[1],$_->[2],$_->[3],$_->[4]" } @{ $self->{srv} });
    return;
}

# (Re)starts it, on the same port.
sub run {
    my ($self) = @_;
    my $log = $self->path('dns-log');
    unlink $log;
    $self->{pid} = start_process(sub {
        open STDERR, '>', $log;
        exec Test::PooledProxy::Program::find('dnsmasq'), '--no-daemon', '--conf-file=' . $self->path('dns-conf') or die "exec: $!";
    });
    wait_until(5, sub { $self->has_read(1) || !is_running($self->{pid}) });
    if (!$self->has_read(1)) { $self->kill; die 'dnsmasq did not start: ' . read_file($log) }
    return $self;
}

# How often it says that it has read the records.
sub has_read {
    my ($self, $times) = @_;
    my $file = quotemeta $self->path('dns-hosts');
    return (() = read_file($self->path('dns-log')) =~ /^dnsmasq: read .*$file/mg) >= $times;
}

# Other records from now on: {NAME => [ADDRESS, ...]}; those of SRV only with a restart.
sub change {
    my ($self, %records) = @_;
    my $times = 1;
    $times++ while $self->has_read($times + 1);
    $self->{records} = { %{ $self->{records} }, %records };
    delete $self->{records}{$_} for grep { !@{ $records{$_} } } keys %records;
    $self->write_records;
    CORE::kill HUP => $self->{pid};
    wait_until(5, sub { $self->has_read($times + 1) }) or die 'dnsmasq did not read its records: ' . read_file($self->path('dns-log'));
    return;
}

sub restart { my ($self) = @_; $self->kill; $self->write_records; return $self->run }

# It takes questions and says nothing.
sub go_silent { CORE::kill STOP => $_[0]{pid}; return }
sub go_on     { CORE::kill CONT => $_[0]{pid}; return }

# Its port refuses.
sub kill {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    CORE::kill CONT => $pid;
    stop_process($pid, 5);
    return;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $@, $!);
    $self->kill;
    return;
}

1;
