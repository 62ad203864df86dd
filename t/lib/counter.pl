#!/usr/bin/env perl
# counter.pl: a backend of one or more ports that counts its own sockets exactly, for tests of limits (Test::PooledProxy::Counter). One
# process, so its sum over the ports is exact too. Prints the port of its control connection, then serves until that ends.
#
#   --ports N    how many servers (default 1)         --backlog N   of their listeners (default 4096)
#   --idle MS    connections idle for so long are closed
#   --workers N  work on so many requests at a time (default: any number); others wait, first come first
#
#   any path?ms=MS&n=N&keep=TEXT   N bytes (2) after MS milliseconds (0), with "Keep-Alive: TEXT"
#
# Control: a line is a command, the answer a line of JSON.
#   stats            {ports, open, most, accepts, requests, active, paths: those of the last 1,000 requests}; open, most and accepts are lists
#                    with one number for each port, then that of all
#   mark             most begins again with what is open now, paths with none
#   close            closes all connections (a request under way loses its answer)
#   refuse, listen   no listener any more; listens again
#   wait, accept     takes no connection out of the backlog; takes them again, with a longer one
#
# How the count is exact: what the proxy closed before it opened another connection can be read as an end before that other is accepted. So
# after each accept all ends are read, then it is counted.
use strict;
use warnings;
use Errno qw(EAGAIN EINTR);
use Getopt::Long;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

my %option = (ports => 1, backlog => 4096, idle => 0, workers => 0);
GetOptions(\%option, 'ports=i', 'backlog=i', 'idle=i', 'workers=i') or die "counter.pl: wrong options\n";
$SIG{PIPE} = 'IGNORE';

my (@listeners, @ports, %conns, %control, @timers, @paths);
my ($reading, $accepting) = ('', '');
my $all = $option{ports};                              # the index of the sum
my %count = (map { $_ => [(0) x ($all + 1)] } qw(open most accepts));
my ($requests, $active, $takes) = (0, 0, 1);
my @work;                                              # [connection, arguments] of requests that wait for a worker
my $working = 0;

for my $i (0 .. $all - 1) {
    listen_on($i);
    push @ports, $listeners[$i]->sockport;
}
my $controller = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "counter.pl: cannot listen: $!\n";
$| = 1;
print $controller->sockport, "\n";
close STDOUT;
until ($control{in}) { # whoever says nothing only looked whether it is there
    $control{socket} = $controller->accept or die "counter.pl: $!\n";
    sysread $control{socket}, $control{in}, 4096;
}
vec($reading, fileno $control{socket}, 1) = 1;
obey_all();
serve();

sub listen_on {
    my ($i) = @_;
    $listeners[$i] = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ports[$i] // 0, Listen => $option{backlog}, ReuseAddr => 1)
      or die "counter.pl: cannot listen: $!\n";
    $listeners[$i]->blocking(0);
    vec($accepting, fileno $listeners[$i], 1) = 1;
    return;
}

# ---- the loop ----

sub serve {
    while ($control{socket}) {
        my $left = @timers ? $timers[0][0] - time : 60;
        my $set  = $takes ? $reading | $accepting : $reading;
        my $n    = select my $ready = $set, undef, undef, $left > 0 ? $left : 0;
        while (@timers && $timers[0][0] <= time) { (shift @timers)->[1]->() }
        next if $n <= 0;
        read_all($ready);
        next if !$takes;
        for my $i (0 .. $#listeners) { accept_on($i) if $listeners[$i] && vec $ready, fileno $listeners[$i], 1 }
    }
}

sub after {
    my ($seconds, $code) = @_;
    my $timer = [time + $seconds, $code];
    my $at = @timers;
    $at-- while $at && $timers[ $at - 1 ][0] > $timer->[0];
    splice @timers, $at, 0, $timer;
    return;
}

# Whatever has come on those that are ready.
sub read_all {
    my ($ready) = @_;
    my $bits = unpack 'b*', $ready;
    my $fd   = -1;
    while (($fd = index $bits, '1', $fd + 1) >= 0) {
        if    ($conns{$fd})                                          { read_from($conns{$fd}) }
        elsif ($control{socket} && $fd == fileno $control{socket}) { read_control() }
    }
    return;
}

sub accept_on {
    my ($i) = @_;
    for (1 .. 64) {
        my $socket = $listeners[$i]->accept or return;
        $socket->blocking(0);
        setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
        my $conn = { socket => $socket, fd => fileno $socket, port => $i, in => '', used => time };
        $conns{ $conn->{fd} } = $conn;
        vec($reading, $conn->{fd}, 1) = 1;
        $count{accepts}[$_]++, $count{open}[$_]++ for $i, $all;
        if (grep { $count{open}[$_] > $count{most}[$_] } $i, $all) { take_ends() }
        watch_idle($conn) if $option{idle} && $conn->{socket};
        return if !$listeners[$i];
    }
    return;
}

# Reads all that has come, the ends among it; then the counts are right.
sub take_ends {
    my $ends = $reading;
    read_all($ends) if select($ends, undef, undef, 0) > 0;
    for my $i (0 .. $all) { $count{most}[$i] = $count{open}[$i] if $count{open}[$i] > $count{most}[$i] }
    return;
}

# ---- a connection ----

sub close_conn {
    my ($conn) = @_;
    return if !$conn->{socket};
    $active-- if $conn->{busy};
    $count{open}[$_]-- for $conn->{port}, $all;
    vec($reading, $conn->{fd}, 1) = 0;
    delete $conns{ $conn->{fd} };
    close delete $conn->{socket};
    return;
}

sub watch_idle {
    my ($conn) = @_;
    return if !$conn->{socket};
    my $left = $conn->{busy} ? $option{idle} / 1000 : $conn->{used} + $option{idle} / 1000 - time;
    return close_conn($conn) if $left <= 0;
    return after($left, sub { watch_idle($conn) });
}

sub read_from {
    my ($conn) = @_;
    my $n = 1;
    while ($n) { $n = sysread $conn->{socket}, $conn->{in}, 65536, length $conn->{in} }
    my $goes_on = !defined $n && ($! == EAGAIN || $! == EINTR);
    return close_conn($conn) if !$goes_on;
    take_request($conn);
    return;
}

sub take_request {
    my ($conn) = @_;
    return if $conn->{busy} || $conn->{in} !~ s/^GET (\S+) .*?\r\n\r\n//s;
    my $path = $1;
    my %args = $path =~ /[?&](\w+)=([^&]*)/g;
    push @paths, $path;
    shift @paths if @paths > 1000;
    $requests++;
    $active++;
    $conn->{busy} = 1;
    push @work, [$conn, \%args];
    return work();
}

sub work {
    while (@work && (!$option{workers} || $working < $option{workers})) {
        my ($conn, $args) = @{ shift @work };
        $working++;
        my $done = sub { $working--; answer($conn, $args); work() };
        if ($args->{ms}) { after($args->{ms} / 1000, $done) }
        else             { $working--; answer($conn, $args) }
    }
    return;
}

sub answer {
    my ($conn, $args) = @_;
    return if !$conn->{socket};
    my $n = $args->{n} // 2;
    my $keep = defined $args->{keep} ? "Keep-Alive: $args->{keep}\r\n" : '';
    $keep =~ s/%([0-9a-fA-F]{2})/chr hex $1/ge;
    $active--;
    $conn->{busy} = 0;
    $conn->{used} = time;
    syswrite $conn->{socket}, "HTTP/1.1 200 OK\r\n${keep}Content-Length: $n\r\n\r\n" . 'x' x $n;
    return;
}

# ---- control ----

sub read_control {
    return obey_all() if sysread $control{socket}, $control{in}, 4096, length $control{in};
    delete $control{socket};
    return;
}

sub obey_all {
    while ($control{in} =~ s/^(\w+)\n//) {
        obey($1);
        syswrite $control{socket}, numbers() . "\n";
    }
    return;
}

sub obey {
    my ($command) = @_;
    if    ($command eq 'stats')  { take_ends() }
    elsif ($command eq 'mark')   { take_ends(); $count{most} = [@{ $count{open} }]; @paths = () }
    elsif ($command eq 'close')  { close_conn($_) for values %conns }
    elsif ($command eq 'wait')   { $takes = 0 }
    elsif ($command eq 'accept') { $takes = 1; listen $_, 4096 for @listeners }
    elsif ($command eq 'refuse') { close $_ for splice @listeners; $accepting = '' }
    elsif ($command eq 'listen') { listen_on($_) for 0 .. $all - 1 }
    return;
}

sub numbers {
    my %lists = (%count, ports => \@ports);
    return '{' . join(',', qq("requests":$requests,"active":$active), (map { qq("$_":[) . join(',', @{ $lists{$_} }) . ']' } sort keys %lists),
        '"paths":[' . join(',', map { qq("$_") } @paths) . ']') . '}';
}
