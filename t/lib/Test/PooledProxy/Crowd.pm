# Test::PooledProxy::Crowd: many clients at once in this process. Each has a connection, sends a request, reads its answer, and goes on
# with the next on the same connection; where the answer says that the connection is closed, on a new one.
package Test::PooledProxy::Crowd;
use strict;
use warnings;
use Errno qw(EINPROGRESS EAGAIN EINTR);
use Socket qw(AF_INET SOCK_STREAM SOL_SOCKET SO_ERROR SO_LINGER INADDR_LOOPBACK pack_sockaddr_in);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);
use Time::HiRes qw(time);
use Test::PooledProxy::Util qw(slowness);

# new(port => PORT, clients => N, request => BYTES or CODE that returns them, each => N requests of each client (0: until stop()),
# gap => CODE that returns the seconds from an answer to the client's next request (none: at once), cut => CODE that returns the seconds
# after which a client that has just asked goes away and comes anew (undef: it stays)). The CODEs are given the client's number. The
# answers must have Content-Length. on_answer => CODE gets (client's number, status, seconds it took, head) of each.
# comes_back => 1: who finds its connection closed where the next answer should begin asks again, on a new one, as browsers do.
sub new {
    my ($class, %args) = @_;
    my $self = bless { each => 1, %args, answered => 0, cuts => 0, statuses => {}, failures => {}, by_fd => {}, later => [], reading => '', writing => '' }, $class;
    $self->{address} = pack_sockaddr_in($args{port}, INADDR_LOOPBACK);
    $self->connect({ number => $_, left => $self->{each} || -1 }) for 1 .. $args{clients};
    return $self;
}

# {status => how many}; {what went wrong => how many}
sub answered { return $_[0]{answered} }
sub statuses { return $_[0]{statuses} }
sub failures { return $_[0]{failures} }
sub came_back { return $_[0]{came_back} // 0 }
sub cuts     { return $_[0]{cuts} }
sub open_now { return scalar keys %{ $_[0]{by_fd} } }

# Lets things happen until CODE is true or the seconds are over; returns whether it is.
sub run_until {
    my ($self, $seconds, $code) = @_;
    my $end = time + $seconds * slowness();
    while (!$code->()) {
        return 0 if time > $end;
        $self->turn(0.02);
    }
    return 1;
}

# Until all have had all their answers, or failed.
sub finish { my ($self, $seconds) = @_; return $self->run_until($seconds, sub { !$self->open_now }) }

# No further requests: each client ends with the answer that it waits for.
sub stop { my ($self) = @_; $_->{left} = 1 for values %{ $self->{by_fd} }; return }

# Everyone goes away at once, with FIN or with RST.
sub leave {
    my ($self, $reset) = @_;
    for my $one (values %{ $self->{by_fd} }) {
        setsockopt $one->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 if $reset;
        $self->drop($one);
    }
    return;
}

# ---- one client ----

sub connect {
    my ($self, $one) = @_;
    socket my $socket, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
    fcntl $socket, F_SETFL, fcntl($socket, F_GETFL, 0) | O_NONBLOCK;
    @$one{qw(socket fd in)} = ($socket, fileno $socket, '');
    $self->ask($one);
    $self->{by_fd}{ $one->{fd} } = $one;
    connect($socket, $self->{address}) || $! == EINPROGRESS or return $self->fail($one, "connect: $!");
    vec($self->{writing}, $one->{fd}, 1) = 1;
    return;
}

# Its next request is to be written.
sub ask {
    my ($self, $one) = @_;
    my $asked = ++$one->{asked};
    $one->{asked_at} = time;
    $one->{out} = ref $self->{request} ? $self->{request}->($one->{number}) : $self->{request};
    my $cut = $self->{cut} && $self->{cut}->($one->{number});
    $self->later($cut, sub { $self->go_away($one) if $one->{asked} == $asked }) if defined $cut;
    return;
}

# In the middle of it, with FIN or with RST.
sub go_away {
    my ($self, $one) = @_;
    return if !$one->{socket};
    $self->{cuts}++;
    setsockopt $one->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 if rand() < 0.5;
    $self->drop($one);
    return $self->connect($one);
}

sub drop {
    my ($self, $one) = @_;
    vec($self->{$_}, $one->{fd}, 1) = 0 for qw(reading writing);
    delete $self->{by_fd}{ $one->{fd} };
    close delete $one->{socket};
    return;
}

sub fail {
    my ($self, $one, $why) = @_;
    if ($self->{comes_back} && $one->{had} && !length $one->{in}) {
        $self->{came_back}++;
        $self->drop($one);
        $one->{had} = 0;
        return $self->connect($one);
    }
    $self->{failures}{$why}++;
    return $self->drop($one);
}

sub write_to {
    my ($self, $one) = @_;
    my $n = syswrite $one->{socket}, $one->{out};
    return if !defined $n && ($! == EAGAIN || $! == EINTR);
    return $self->fail($one, "write: $!") if !defined $n;
    substr $one->{out}, 0, $n, '';
    return if length $one->{out};
    vec($self->{writing}, $one->{fd}, 1) = 0;
    vec($self->{reading}, $one->{fd}, 1) = 1;
    return;
}

sub read_from {
    my ($self, $one) = @_;
    my $n = sysread $one->{socket}, $one->{in}, 65536, length $one->{in};
    return if !defined $n && ($! == EAGAIN || $! == EINTR);
    return $self->fail($one, "read: $!") if !defined $n;
    return $self->fail($one, length $one->{in} ? 'cut' : $one->{had} ? 'closed, no answer, after others' : 'closed, no answer') if !$n;
    my ($head) = $one->{in} =~ /^(HTTP.*?\r\n\r\n)/s or return;
    my ($length) = $head =~ /^Content-Length: *(\d+)/mi or return $self->fail($one, 'no Content-Length');
    return if length($one->{in}) < length($head) + $length;
    return $self->take($one, $head, length($head) + $length);
}

sub take {
    my ($self, $one, $head, $length) = @_;
    my ($status) = $head =~ m{^HTTP/1.1 (\d+)};
    substr $one->{in}, 0, $length, '';
    $self->{answered}++;
    $self->{statuses}{$status}++;
    $one->{had}++;
    $one->{asked}++;
    $self->{on_answer}->($one->{number}, $status, time - $one->{asked_at}, $head) if $self->{on_answer};
    return $self->drop($one) if !--$one->{left};
    if ($head =~ /^Connection: *close/mi) {
        $self->drop($one);
        $one->{had} = 0;
        return $self->connect($one);
    }
    vec($self->{reading}, $one->{fd}, 1) = 0;
    return $self->send_next($one) if !$self->{gap};
    return $self->later($self->{gap}->($one->{number}), sub { $self->send_next($one) if $one->{socket} });
}

sub send_next {
    my ($self, $one) = @_;
    $self->ask($one);
    vec($self->{writing}, $one->{fd}, 1) = 1;
    return $self->write_to($one);
}

sub later { my ($self, $seconds, $code) = @_; push @{ $self->{later} }, [time + $seconds, $code]; return }

# Does what is due; how long the next has time, at most so many seconds.
sub go_on {
    my ($self, $seconds) = @_;
    my $now = time;
    my @due = grep { $_->[0] <= $now } @{ $self->{later} };
    @{ $self->{later} } = grep { $_->[0] > $now } @{ $self->{later} };
    $_->[1]->() for @due;
    for my $entry (@{ $self->{later} }) { $seconds = $entry->[0] - $now if $entry->[0] - $now < $seconds }
    return $seconds;
}

# ---- all ----

# One look at all sockets, waiting at most so many seconds.
sub turn {
    my ($self, $seconds) = @_;
    local $SIG{PIPE} = 'IGNORE';
    $seconds = $self->go_on($seconds);
    return if select(my $readable = $self->{reading}, my $writable = $self->{writing}, undef, $seconds) <= 0;
    for my $fd (bits_of($writable)) { $self->write_to($self->{by_fd}{$fd})  if $self->{by_fd}{$fd} }
    for my $fd (bits_of($readable)) { $self->read_from($self->{by_fd}{$fd}) if $self->{by_fd}{$fd} }
    return;
}

# The numbers of the bits that are set.
sub bits_of {
    my ($set) = @_;
    my $bits = unpack 'b*', $set;
    my ($at, @found) = (-1);
    push @found, $at while ($at = index $bits, '1', $at + 1) >= 0;
    return @found;
}

1;
