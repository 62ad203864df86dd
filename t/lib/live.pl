#!/usr/bin/env perl
# live.pl: a backend with a page that uses server-sent events and a WebSocket; one process for each connection. Prints its port, then
# serves until it is ended. Needs no module beyond Perl's own.
#
#   /          a page that opens both and asks for /done when all has come     /events?n=N   N events, one every 100 ms (0: without end)
#   /ws        a WebSocket that sends every text message back            else          "ok"
use strict;
use warnings;
use Digest::SHA qw(sha1_base64);
use IO::Socket::INET;
use POSIX qw(WNOHANG);

$SIG{PIPE} = 'IGNORE';
my %children;
my $owner = $$;
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 512, ReuseAddr => 1) or die "live.pl: cannot listen: $!\n";
$SIG{TERM} = sub { kill TERM => keys %children if $$ == $owner; POSIX::_exit(0) };
$| = 1;
print $listener->sockport, "\n";
close STDOUT;

while (1) {
    my $socket = $listener->accept;
    while ((my $ended = waitpid -1, WNOHANG) > 0) { delete $children{$ended} }
    next if !$socket;
    my $pid = fork // die "fork: $!";
    if ($pid) { $children{$pid} = 1; next }
    serve($socket);
    POSIX::_exit(0);
}

sub serve {
    my ($socket) = @_;
    my $in = '';
    while (1) {
        while ($in !~ /\r\n\r\n/) { sysread $socket, $in, 65536, length $in or return }
        $in =~ s/^(.*?\r\n)\r\n//s;
        my ($path) = (my $head = $1) =~ m{^GET (\S+) HTTP/1\.1\r\n} or return;
        return websocket($socket, $head, $in) if $path =~ m{^/ws\b} && $head =~ /^Upgrade:\s*websocket/im;
        events($socket, $path =~ /n=(\d+)/ ? $1 : 0) or return if $path =~ m{^/events\b};
        answer($socket, 'text/html; charset=utf-8', page()) if $path eq '/';
        answer($socket, 'text/plain', "ok\n") if $path !~ m{^/(?:events\b|$)};
    }
}

sub put { my ($socket, $bytes) = @_; return defined syswrite $socket, $bytes }

sub answer {
    my ($socket, $type, $body) = @_;
    return put($socket, "HTTP/1.1 200 OK\r\nContent-Type: $type\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
}

# False when the other side is gone.
sub events {
    my ($socket, $n) = @_;
    put($socket, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (my $i = 1; !$n || $i <= $n; $i++) {
        my $event = "data: event $i\n\n";
        put($socket, sprintf "%x\r\n%s\r\n", length $event, $event) or return 0;
        vec(my $set = '', fileno $socket, 1) = 1;
        return 0 if select $set, undef, undef, 0.1; # no request may come now: the other side has closed
    }
    return put($socket, "0\r\n\r\n");
}

sub websocket {
    my ($socket, $head, $in) = @_;
    my ($key) = $head =~ /^Sec-WebSocket-Key:\s*(\S+)/im or return;
    put($socket, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
          . sha1_base64("${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11") . "=\r\n\r\n");
    while (1) {
        while (!frame_is_whole($in)) { sysread $socket, $in, 65536, length $in or return }
        my ($opcode, $payload) = take_frame(\$in);
        return put($socket, pack 'CC', 0x88, 0) if $opcode == 8;
        put($socket, frame(1, $payload)) if $opcode == 1;
    }
}

# Frames of RFC 6455, section 5.2, of less than 64 KB; the client's are masked.
sub frame_size {
    my ($in) = @_;
    return if length $in < 8;
    my $len = ord(substr $in, 1, 1) & 0x7f;
    return $len < 126 ? (6, $len) : (8, unpack 'n', substr $in, 2, 2);
}

sub frame_is_whole {
    my ($in) = @_;
    return 1 if length $in >= 6 && !(ord(substr $in, 1, 1) & 0x7f);
    my ($head, $len) = frame_size($in);
    return defined $head && length $in >= $head + $len;
}

sub take_frame {
    my ($in) = @_;
    my ($head, $len) = (ord(substr $$in, 1, 1) & 0x7f) ? frame_size($$in) : (6, 0);
    my $frame = substr $$in, 0, $head + $len, '';
    my $mask = substr $frame, $head - 4, 4;
    return (ord($frame) & 0x0f, substr($frame, $head) ^ substr($mask x ($len / 4 + 1), 0, $len));
}

sub frame {
    my ($opcode, $payload) = @_;
    my $len = length $payload;
    return pack('CC', 0x80 | $opcode, $len < 126 ? $len : 126) . ($len < 126 ? '' : pack 'n', $len) . $payload;
}

sub page {
    return <<'END_PAGE';
<!DOCTYPE html>
<html><head><title>waiting</title></head><body>
<ul id="seen"></ul>
<script>
const seen = {events: 0, echo: ""};
function say() {
    document.title = "events=" + seen.events + " echo=" + seen.echo;
    document.getElementById("seen").innerHTML = "<li>" + document.title + "</li>";
    if (seen.events == 3 && seen.echo) fetch("/done?events=3&echo=" + seen.echo);
}
const source = new EventSource("/events?n=3");
source.onmessage = () => { seen.events++; if (seen.events == 3) source.close(); say(); };
const socket = new WebSocket("ws://" + location.host + "/ws");
socket.onopen = () => socket.send("hello " + "x".repeat(200));
socket.onmessage = (m) => { seen.echo = m.data.length + ":" + m.data.slice(0, 5); say(); };
</script>
</body></html>
END_PAGE
}
