# Bodies without end and bodies without measure: each piece goes on when it comes, what is large takes no memory.
use strict;
use warnings;
use Compress::Raw::Zlib;
use Digest::SHA;
use Test::More;
use Test::PooledProxy;
use Test::PooledProxy::Child qw(children);
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(read_file write_file);

my $size   = 100 * 1024 * 1024;
my $events = "accept\nexpect GET /events\nsend_head 200 \"Content-Type: text/event-stream\\r\\nTransfer-Encoding: chunked\"\n"
  . join('', map { "send_chunk \"data: $_\\n\\n\"\nawait got_$_\n" } 1 .. 3) . "send_last_chunk\n";

# The most memory that a child has taken since the last call, in KB.
sub peak_kb {
    my ($setup) = @_;
    my $peak = 0;
    for my $pid (children($setup)) {
        my ($kb) = read_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m;
        $peak = $kb if $kb > $peak;
        eval { write_file("/proc/$pid/clear_refs", "5\n") };
    }
    return $peak;
}

# Two large bodies each way, by one client: nothing may grow by 4 MB (a page cache of pools and buffers comes with the first requests).
sub large_bodies {
    my ($name, $config) = @_;
    subtest $name => sub {
        my $setup = Test::PooledProxy::Setup->new(backend => 1, timeout => 60, config => "$config\nPooledProxyPass / http://127.0.0.1:\$BACKEND_PORT/")->start;
        my $client = $setup->client;
        is(length $client->get('/bytes?n=1000000')->{body}, 1_000_000, 'a first one');
        upload($client, 1_000_000);
        peak_kb($setup);
        my $before = peak_kb($setup);
        is(download($client, $size), download_digest($size), '100 MB down');
        is(upload($client, $size), download_digest($size), '100 MB up');
        is(upload($client, $size, 1), download_digest($size), '100 MB up in chunks');
        my $growth = peak_kb($setup) - $before;
        cmp_ok($growth, '<', 4096, "memory of the child grows by less than 4 MB ($growth KB)") if !$ENV{SANITIZE} && !$ENV{VALGRIND};
        $client->close;
        is(join("\n", $setup->stop), '', 'ends as it should');
    };
    return;
}

my $filling = '0123456789abcdef' x 4096;

sub download_digest {
    my ($n) = @_;
    my $sha = Digest::SHA->new(256);
    $sha->add($filling) for 1 .. $n / length $filling;
    return $sha->add(substr $filling, 0, $n % length $filling)->hexdigest;
}

sub download {
    my ($client, $n) = @_;
    my $sha = Digest::SHA->new(256);
    $client->send_request(GET => "/bytes?n=$n")->read_head;
    while ($n > 0) {
        if ($client->{buffer} eq '') { $client->fill or return "closed $n bytes before the end" }
        $sha->add($client->{buffer});
        $n -= length $client->{buffer};
        $client->{buffer} = '';
    }
    return $sha->hexdigest;
}

sub upload {
    my ($client, $n, $chunked) = @_;
    my @framing = $chunked ? ('Transfer-Encoding' => 'chunked') : ('Content-Length' => $n);
    $client->send_request(PUT => '/digest', headers => [@framing]);
    my $left = $n;
    while ($left > 0) {
        my $bytes = substr $filling, 0, $left;
        $client->send_bytes($chunked ? sprintf("%x\r\n%s\r\n", length $bytes, $bytes) : $bytes);
        $left -= length $bytes;
    }
    $client->send_bytes("0\r\n\r\n") if $chunked;
    return $client->read_response('PUT')->{body} =~ s/\s//gr;
}

# Each event must be readable before the upstream sends the next.
sub events_deflated {
    my ($name, $config) = @_;
    subtest $name => sub {
        my $setup = Test::PooledProxy::Setup->new(
            upstream => { UPSTREAM => $events },
            modules  => ['filter', 'deflate'],
            config   => "$config\nSetOutputFilter DEFLATE\nPooledProxyPass / http://127.0.0.1:\$UPSTREAM_PORT/",
        )->start;
        my $client = $setup->client->send_request(GET => '/events', headers => ['Accept-Encoding' => 'gzip']);
        my $head = $client->read_head;
        is($head->header('Content-Encoding'), 'gzip', 'deflated');
        my $inflate = Compress::Raw::Zlib::Inflate->new(-WindowBits => WANT_GZIP);
        my $text    = '';
        for my $i (1 .. 3) {
            until ($text =~ /data: $i\n\n/) {
                my $chunk = $client->read_chunk // last;
                $inflate->inflate($chunk, my $more);
                $text .= $more;
            }
            is($text, join('', map { "data: $_\n\n" } 1 .. $i), "event $i");
            $setup->upstream->tell_script("got_$i");
        }
        1 while defined $client->read_chunk;
        $client->close;
        is(join("\n", $setup->stop), '', 'ends as it should');
    };
    return;
}

large_bodies('100 MB each way', '');
large_bodies('100 MB each way, by a thread that waits', 'PooledProxyAsync Off');
events_deflated('events through mod_deflate', '');
events_deflated('events through mod_deflate, by a thread that waits', 'PooledProxyAsync Off');

run_tests();

__DATA__

=== server-sent events: each arrives before the next is sent
--- upstream
accept
expect GET /events
expect_header Accept: text/event-stream
send_head 200 "Content-Type: text/event-stream"
send_raw "data: 1\n\n"
await got_1
send_raw "data: 2\n\n"
await got_2
send_raw "data: 3\n\n"
await got_3
close
--- dialog
request GET /events "Accept: text/event-stream"
read_head 200
read "data: 1\n\n"
tell got_1
read "data: 2\n\n"
tell got_2
read "data: 3\n\n"
tell got_3
read_end

=== the same in chunks, by a thread that waits
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /events
send_head 200 "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked"
send_chunk "data: 1\n\n"
await got_1
send_chunk "data: 2\n\n"
await got_2
send_last_chunk
--- dialog
request GET /events
read_head 200
read "data: 1\n\n"
tell got_1
read "data: 2\n\n"
tell got_2
read_end

=== through TLS
--- tls
--- upstream
accept
expect GET /events
send_head 200 "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked"
send_chunk "data: 1\n\n"
await got_1
send_chunk "data: 2\n\n"
await got_2
send_last_chunk
--- dialog
request GET /events
read_head 200
read "data: 1\n\n"
tell got_1
read "data: 2\n\n"
tell got_2
read_end

=== through mod_substitute and mod_headers, to a client without HTTP/1.1
--- modules: filter substitute headers
--- config
SetOutputFilter SUBSTITUTE
Substitute "s/one/eins/"
Header set X-Set yes
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /events
send_head 200 "Content-Type: text/plain\r\nTransfer-Encoding: chunked"
send_chunk "one\n"
await got_1
send_chunk "two\n"
await got_2
send_last_chunk
--- dialog
send "GET /events HTTP/1.0\r\n\r\n"
read_head 200
header X-Set: yes
read "eins\n"
tell got_1
read "two\n"
tell got_2
read_end

=== the head alone is worth sending
--- upstream
accept
expect GET /events
send_head 200 "Content-Type: text/event-stream"
await got_head
send_raw "data: 1\n\n"
close
--- dialog
request GET /events
read_head 200
tell got_head
read "data: 1\n\n"
read_end

=== the head alone, by a thread that waits
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /events
send_head 200 "Content-Type: text/event-stream"
await got_head
send_raw "data: 1\n\n"
close
--- dialog
request GET /events
read_head 200
tell got_head
read "data: 1\n\n"
read_end

=== a client that goes away from a stream ends it at the backend
--- upstream
accept
expect GET /events
send_head 200 "Content-Type: text/event-stream"
send_raw "data: 1\n\n"
wait_close
--- dialog
request GET /events
read_head 200
read "data: 1\n\n"
close
--- stats
conn_closed_client_gone 1

=== a client that reads nothing holds the backend up, not the memory: nothing is lost
--- upstream
accept
expect GET /large
send_head 200 "Content-Length: 30000000"
send_bytes 30000000
--- dialog
request GET /large
read_head 200
wait 0.3
read_bytes 30000000
read_end

=== both ways at once: the echo begins while the request is still being sent
--- upstream
accept
expect_head POST /echo
read_raw "4\r\none \r\n"
send_head 200 "Transfer-Encoding: chunked"
send_chunk "one "
read_raw "4\r\ntwo \r\n"
send_chunk "two "
read_raw "0\r\n\r\n"
send_last_chunk
--- dialog
send "POST /echo HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\n\r\n"
send_chunk "one "
read_head 200
read "one "
send_chunk "two "
read "two "
send_last_chunk
read_end

=== both ways at once, by a thread that waits
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect_head POST /echo
read_raw "one "
send_head 200 "Transfer-Encoding: chunked"
send_chunk "one "
read_raw "two "
send_chunk "two "
send_last_chunk
--- dialog
send "POST /echo HTTP/1.1\r\nHost: front.test\r\nContent-Length: 8\r\n\r\n"
send "one "
read_head 200
read "one "
send "two "
read "two "
read_end
