# Bench::Parker: a server that takes requests and answers none, until it is told to answer them all. It runs in a process of its own.
package Bench::Parker;
use strict;
use warnings;
use IO::Socket::INET;
use Test::PooledProxy::Util qw(start_process stop_process);

# Listens when this returns.
sub new {
    my ($class) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 4096, ReuseAddr => 1) or die "parker: $!\n";
    pipe my $reports, my $report_to or die "pipe: $!";
    pipe my $orders,  my $order_to  or die "pipe: $!";
    my $pid = start_process(sub { close $reports; close $order_to; serve($listener, $report_to, $orders) });
    $reports->blocking(0);
    $order_to->autoflush(1);
    return bless { pid => $pid, owner => $$, port => $listener->sockport, reports => $reports, orders => $order_to, count => 0 }, $class;
}

sub port { return $_[0]{port} }

# How many connections came so far: each is one request.
sub count {
    my ($self) = @_;
    while (my $n = sysread $self->{reports}, my $bytes, 65536) { $self->{count} += $n }
    return $self->{count};
}

sub release { my ($self) = @_; print { $self->{orders} } "answer\n"; return }

sub serve {
    my ($listener, $report_to, $orders) = @_;
    my @conns;
    my $watched = '';
    vec($watched, fileno $_, 1) = 1 for $listener, $orders;
    while (select(my $ready = $watched, undef, undef, undef) > 0) {
        if (vec $ready, fileno $listener, 1) {
            push @conns, scalar $listener->accept;
            syswrite $report_to, '.';
        }
        if (vec $ready, fileno $orders, 1) {
            sysread $orders, my $order, 64 or return;
            answer($_) for splice @conns;
        }
    }
    return;
}

sub answer {
    my ($conn) = @_;
    sysread $conn, my $request, 65536;
    syswrite $conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    return;
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
