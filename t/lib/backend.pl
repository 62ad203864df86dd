#!/usr/bin/env perl
# backend.pl: an HTTP/1.1 server in one process that holds thousands of connections; the demo backend of ./build.sh run and the load
# backend of the tests. Prints its port, then serves until it is ended. Needs no module beyond Perl's own.
#
#   --port N          listen there (default: a free port)      --ready FILE   write the port there instead of standard output
#   --address ADDR    listen on that address of the loopback, IPv4 or IPv6, in place of 127.0.0.1
#   --keepalive MS    close connections that were idle that long: exactly then, whatever comes in that moment
#
#   /                 a greeting                               /bytes?n=N          N bytes
#   /slow?ms=MS&n=N   N bytes after MS milliseconds            /status?code=C      a response with that status
#   /echo             method, path, headers, body as it came   /stream?n=N&size=S&ms=MS   N chunks of S bytes, one every MS
#   /sink             reads the body, answers its length       /events?n=N&ms=MS   server-sent events (n=0: without end)
#   /digest           reads the body, answers its SHA-256
#   /close            answers, then closes                     /reset              closes without an answer
#   /where            the address it listens on; ms=MS: so much later
#   lazy=MS in any query: the body is not read for so long
#   /once?id=ID       answers; counts the IDs that came more than once, and for how many no answer was sent
#   /stats            counters as JSON; its own connection and request are not counted
use strict;
use warnings;
use Digest::SHA ();
use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use Getopt::Long;
use IO::Socket::IP;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

my %option = (port => 0, keepalive => 0, address => '127.0.0.1');
GetOptions(\%option, 'port=i', 'address=s', 'ready=s', 'keepalive=i') or die "backend.pl: wrong options\n";
$SIG{PIPE} = 'IGNORE';

my $filling = '0123456789abcdef' x 4096;    # 64 KB
my %stats = map { $_ => 0 } qw(accepts open max_open requests active max_active answering aborted twice lost);
my %seen;                                   # how often an ID of /once came
my (%conns, @timers);                       # by descriptor; [when, code] in order
my ($reading, $writing) = ('', '');         # select's sets

my $listener = IO::Socket::IP->new(LocalAddr => $option{address}, LocalPort => $option{port}, Listen => 4096, ReuseAddr => 1, GetAddrInfoFlags => 0)
  or die "backend.pl: cannot listen: $!\n";
$listener->blocking(0);
announce($listener->sockport);
vec($reading, fileno $listener, 1) = 1;
serve();

sub announce {
    my ($port) = @_;
    my $out = \*STDOUT;
    if (defined $option{ready}) { open $out, '>', $option{ready} or die "backend.pl: $option{ready}: $!\n" }
    print {$out} "$port\n";
    close $out;
    return;
}

# ---- the loop ----

sub serve {
    while (1) {
        my $left = @timers ? $timers[0][0] - time : 60;
        my $n = select my $readable = $reading, my $writable = $writing, undef, $left > 0 ? $left : 0;
        run_timers();
        next if $n <= 0;
        on_connections() if vec $readable, fileno $listener, 1;
        for my $fd (bits_of($readable)) { on_readable($conns{$fd}) if $conns{$fd} }
        for my $fd (bits_of($writable)) { flush_out($conns{$fd})   if $conns{$fd} }
    }
}

# The numbers of the bits that are set.
sub bits_of {
    my ($set) = @_;
    my $bits = unpack 'b*', $set;
    my ($at, @found) = (-1);
    push @found, $at while ($at = index $bits, '1', $at + 1) >= 0;
    return @found;
}

sub after {
    my ($ms, $code) = @_;
    my $timer = [time + $ms / 1000, $code];
    my ($low, $high) = (0, scalar @timers);
    while ($low < $high) {
        my $middle = int(($low + $high) / 2);
        if   ($timers[$middle][0] <= $timer->[0]) { $low  = $middle + 1 }
        else                                      { $high = $middle }
    }
    splice @timers, $low, 0, $timer;
    return;
}

sub run_timers {
    while (@timers && $timers[0][0] <= time) { (shift @timers)->[1]->() }
    return;
}

# ---- connections ----

sub on_connections {
    for (1 .. 64) {
        my $socket = $listener->accept or return;
        $socket->blocking(0);
        setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
        my $conn = { socket => $socket, fd => fileno $socket, in => '', out => '', counted => 1, used => time };
        $conns{ $conn->{fd} } = $conn;
        vec($reading, $conn->{fd}, 1) = 1;
        $stats{accepts}++;
        $stats{open}++;
        if ($stats{open} > $stats{max_open}) { $stats{max_open} = $stats{open}; $conn->{is_record} = 1 }
        watch_idle($conn) if $option{keepalive};
    }
    return;
}

sub watch_idle {
    my ($conn) = @_;
    my $left = $conn->{used} + $option{keepalive} / 1000 - time;
    return if !$conn->{socket};
    if   ($left <= 0 && $conn->{answers} && !$conn->{request}) { close_idle($conn) } # a new one is not idle, its request is slow
    else                                   { after($left > 0 ? $left * 1000 : $option{keepalive}, sub { watch_idle($conn) }) }
    return;
}

# What came in the last moment is sometimes received, and never answered: the worst that a server can do.
sub close_idle {
    my ($conn) = @_;
    if (rand() < 0.5 && sysread $conn->{socket}, $conn->{in}, 262144, length $conn->{in}) { take_head($conn) && $stats{lost}++ }
    close_conn($conn);
    return;
}

sub close_conn {
    my ($conn) = @_;
    return if !$conn->{socket};
    if ($conn->{request}) { $stats{aborted}++; end_request($conn) }
    $stats{open}-- if $conn->{counted};
    vec($reading, $conn->{fd}, 1) = 0;
    vec($writing, $conn->{fd}, 1) = 0;
    delete $conns{ $conn->{fd} };
    close delete $conn->{socket};
    return;
}

sub on_readable {
    my ($conn) = @_;
    my $n = sysread $conn->{socket}, $conn->{in}, 262144, length $conn->{in};
    return if !defined $n && ($! == EAGAIN || $! == EINTR);
    return close_conn($conn) if !$n;
    take_requests($conn);
    return;
}

sub flush_out {
    my ($conn) = @_;
    while (length $conn->{out}) {
        my $n = syswrite $conn->{socket}, $conn->{out};
        if (!defined $n) { return if $! == EAGAIN || $! == EINTR; return close_conn($conn) }
        substr $conn->{out}, 0, $n, '';
    }
    return if $conn->{more} && $conn->{more}->();
    vec($writing, $conn->{fd}, 1) = 0;
    close_conn($conn) if $conn->{closing} && !$conn->{request};
    return;
}

sub put {
    my ($conn, $bytes) = @_;
    return if !$conn->{socket};
    $conn->{out} .= $bytes;
    vec($writing, $conn->{fd}, 1) = 1;
    flush_out($conn);
    return;
}

# ---- requests ----

sub take_requests {
    my ($conn) = @_;
    while ($conn->{socket}) {
        if (!$conn->{request}) { take_head($conn) or return }
        last if $conn->{answering};
        take_body($conn) or return;
        answer($conn);
    }
    return;
}

sub take_head {
    my ($conn) = @_;
    $conn->{in} =~ s/^(?:\r\n)*([A-Z]+) (\S+) HTTP\/1\.([01])\r\n(.*?)\r\n\r\n//s
      or $conn->{in} =~ s/^([A-Z]+) (\S+) HTTP\/1\.([01])\r\n()\r\n//s
      or return 0;
    my ($method, $target, $minor, $fields) = ($1, $2, $3, $4);
    my ($path, $query) = split /\?/, $target, 2;
    my %headers = map { my ($name, $value) = split /:\s*/, $_, 2; (lc $name => $value) } split /\r\n/, $fields;
    my %args = map { split /=/, $_, 2 } grep { /=/ } split /&/, $query // '';
    my $request = $conn->{request} = { method => $method, target => $target, path => $path, args => \%args, headers => \%headers,
        fields => $fields, body => '', length => 0, left => $headers{'content-length'} // 0 };
    $request->{chunked} = lc($headers{'transfer-encoding'} // '') eq 'chunked';
    $conn->{closing} = 1 if !$minor || lc($headers{connection} // '') =~ /\bclose\b/;
    count_request($conn, $request);
    be_lazy($conn, $args{lazy}) if $args{lazy};
    put($conn, "HTTP/1.1 100 Continue\r\n\r\n") if lc($headers{expect} // '') eq '100-continue';
    return 1;
}

sub be_lazy {
    my ($conn, $ms) = @_;
    vec($reading, $conn->{fd}, 1) = 0;
    after($ms, sub { vec($reading, $conn->{fd}, 1) = 1 if $conn->{socket} });
    return;
}

sub count_request {
    my ($conn, $request) = @_;
    if ($request->{path} eq '/stats') { # the test's own look does not count
        return if !$conn->{counted};
        $conn->{counted} = 0;
        $stats{accepts}--;
        $stats{open}--;
        $stats{max_open}-- if $conn->{is_record};
        return;
    }
    $stats{twice}++ if $request->{path} eq '/once' && ++$seen{ $request->{args}{id} } == 2;
    $stats{requests}++;
    $stats{active}++;
    $stats{max_active} = $stats{active} if $stats{active} > $stats{max_active};
    return;
}

sub end_request {
    my ($conn) = @_;
    $stats{active}-- if $conn->{request}{path} ne '/stats';
    $stats{answering}-- if $conn->{answering};
    delete @$conn{qw(request answering more)};
    $conn->{used} = time;
    $conn->{answers}++;
    return;
}

# Keeps the body for /echo only; true when it is whole.
sub take_body {
    my ($conn) = @_;
    my $request = $conn->{request};
    return take_bytes($conn) if !$request->{chunked};
    while (1) {
        if (!$request->{left} && !$request->{last}) {
            $conn->{in} =~ s/^(?:\r\n)?([0-9a-fA-F]+)[^\r\n]*\r\n// or return 0;
            $request->{left} = hex $1;
            $request->{last} = 1 if !$request->{left};
        }
        return $conn->{in} =~ s/^(?:[^\r\n]+\r\n)*\r\n// if $request->{last}; # the trailer section
        take_bytes($conn) or return 0;
    }
}

sub take_bytes {
    my ($conn) = @_;
    my $request = $conn->{request};
    my $n = length $conn->{in} < $request->{left} ? length $conn->{in} : $request->{left};
    my $bytes = substr $conn->{in}, 0, $n, '';
    $request->{body} .= $bytes if $request->{path} eq '/echo';
    ($request->{digest} //= Digest::SHA->new(256))->add($bytes) if $request->{path} eq '/digest';
    $request->{length} += $n;
    $request->{left} -= $n;
    return !$request->{left};
}

# ---- answers ----

sub answer {
    my ($conn) = @_;
    my $request = $conn->{request};
    my $args    = $request->{args};
    $conn->{answering} = 1;
    $stats{answering}++;
    my $path = $request->{path};
    if    ($path eq '/bytes')  { send_filling($conn, $args->{n} // 1024) }
    elsif ($path eq '/slow')   { after($args->{ms} // 1000, sub { send_late($conn, $request) }) }
    elsif ($path eq '/where')  { after($args->{ms} // 0, sub { respond($conn, 200, $option{address}) if is_current($conn, $request) }) }
    elsif ($path eq '/echo')   { respond($conn, 200, "$request->{method} $request->{target}\n$request->{fields}\n\n$request->{body}") }
    elsif ($path eq '/once')   { respond($conn, 200, "once\n") }
    elsif ($path eq '/sink')   { respond($conn, 200, "$request->{length}\n") }
    elsif ($path eq '/digest') { respond($conn, 200, ($request->{digest} // Digest::SHA->new(256))->hexdigest . "\n") }
    elsif ($path eq '/status') { respond($conn, $args->{code} // 200, "status\n") }
    elsif ($path eq '/stream') { send_stream($conn, 'application/octet-stream', substr($filling, 0, $args->{size} // 10), $args->{n} // 10, $args->{ms} // 10) }
    elsif ($path eq '/events') { send_stream($conn, 'text/event-stream', undef, $args->{n} // 0, $args->{ms} // 1000) }
    elsif ($path eq '/close')  { $conn->{closing} = 1; respond($conn, 200, "closing\n") }
    elsif ($path eq '/reset')  { end_request($conn); close_conn($conn) }
    elsif ($path eq '/stats')  { respond($conn, 200, '{' . join(',', map { "\"$_\":$stats{$_}" } sort keys %stats) . "}\n") }
    elsif ($path eq '/')       { respond($conn, 200, "Hello from the demo backend. Try /echo, /slow?ms=2000, /bytes?n=1000000, /events\n") }
    else                       { respond($conn, 404, "no such page: $path\n") }
    return;
}

sub is_current { my ($conn, $request) = @_; return $conn->{socket} && $conn->{request} && $conn->{request} == $request }

sub head {
    my ($conn, $status, @lines) = @_;
    push @lines, 'Connection: close' if $conn->{closing};
    return join "\r\n", "HTTP/1.1 $status Demo", @lines, '', '';
}

sub respond {
    my ($conn, $status, $body) = @_;
    my $bytes = head($conn, $status, 'Content-Type: text/plain', 'Content-Length: ' . length $body);
    $bytes .= $body if $conn->{request}{method} ne 'HEAD';
    end_request($conn);
    put($conn, $bytes);
    return;
}

# N bytes, made as the client takes them.
sub send_filling {
    my ($conn, $n) = @_;
    my $head = head($conn, 200, 'Content-Type: application/octet-stream', "Content-Length: $n");
    $n = 0 if $conn->{request}{method} eq 'HEAD';
    if ($n <= length $filling) {
        end_request($conn);
        put($conn, $head . substr $filling, 0, $n);
        return;
    }
    $conn->{more} = sub {
        my $size = $n < length $filling ? $n : length $filling;
        $conn->{out} .= substr $filling, 0, $size;
        $n -= $size;
        return 1 if $n;
        end_request($conn);
        after(0, sub { take_requests($conn) });
        return 1;
    };
    put($conn, $head);
    return;
}

sub send_late {
    my ($conn, $request) = @_;
    return if !is_current($conn, $request);
    send_filling($conn, $request->{args}{n} // 2);
    take_requests($conn);
    return;
}

sub send_stream {
    my ($conn, $type, $piece, $n, $ms) = @_;
    my ($sent, $request) = (0, $conn->{request});
    my $next;
    $next = sub {
        return if !is_current($conn, $request);
        if ($n && $sent == $n) {
            end_request($conn);
            put($conn, "0\r\n\r\n");
            return take_requests($conn);
        }
        my $bytes = $piece // 'data: ' . ++$sent . "\n\n";
        $sent++ if defined $piece;
        put($conn, sprintf "%x\r\n%s\r\n", length $bytes, $bytes);
        after($ms, $next);
    };
    put($conn, head($conn, 200, "Content-Type: $type", 'Transfer-Encoding: chunked'));
    $next->();
    return;
}
