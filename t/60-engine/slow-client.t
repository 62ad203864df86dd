# Clients that read slowly, send slowly, or send more than was asked for, and what they cost: no thread, no memory, nobody else's time.
use strict;
use warnings;
use Digest::SHA;
use Test::More;
use Time::HiRes qw(time);
use Test::PooledProxy::Child qw(child memory_kb settles ends_clean answers_at_once);
use Test::PooledProxy::Config;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until slowness);

use constant LARGE => 50_000_000;

my $quick_digest = digest_of_filling(LARGE);

# Of what the backend answers: its 64 KB over and over.
sub digest_of_filling {
    my ($n) = @_;
    my ($sha, $block) = (Digest::SHA->new(256), '0123456789abcdef' x 4096);
    $sha->add($n >= length $block ? $block : substr $block, 0, $n), $n -= length $block while $n > 0;
    return $sha->hexdigest;
}

# Reads n bytes, at most `piece` at a time, and calls `between` from time to time.
sub read_slowly {
    my ($client, $n, $between) = @_;
    my ($sha, $got, $next) = (Digest::SHA->new(256), 0, 0);
    while ($got < $n) {
        my $bytes = $client->{buffer};
        $client->{buffer} = '';
        if (!length $bytes) { $client->fill or last; next }
        $sha->add($bytes);
        $got += length $bytes;
        if ($got >= $next) { $between->($got); $next += $n / 10 }
    }
    return ($got, $sha->hexdigest);
}

for my $kind ('clear', 'TLS') {
    subtest "a large answer to slow clients, $kind" => sub {
        my $setup = Test::PooledProxy::Setup->new(
            backend     => 1,
            tls         => $kind eq 'TLS',
            main_config => "PooledProxyEventLoops 1\n",
            timeout     => 30,
        )->start;
        my @warm = map { $setup->client } 1 .. 4;
        $_->get('/bytes?n=1000000') for @warm;
        my $pid    = child($setup);
        my $before = memory_kb($pid);
        my $most   = $before;
        my @slow   = map { $setup->client } 1 .. 3;
        $_->send_request(GET => '/bytes?n=' . LARGE) for @slow;
        is($_->read_head->{status}, 200, 'the answer begins') for @slow;
        my $answered = 0;
        my ($got, $digest) = read_slowly($slow[0], LARGE, sub {
            $most = memory_kb($pid) if memory_kb($pid) > $most;
            $answered++ if $setup->client->get('/bytes?n=10')->{status} == 200;
        });
        is($got, LARGE, 'a client that reads slowly gets it all');
        is($digest, $quick_digest, 'the right bytes');
        cmp_ok($answered, '>=', 10, 'others were answered meanwhile');
      SKIP: {
            skip 'memory is not httpd\'s alone', 1 if $ENV{SANITIZE} || $ENV{VALGRIND} || Test::PooledProxy::Config::mpm() eq 'prefork';
            cmp_ok($most - $before, '<', 4096, 'the process has grown by less than 4 MB') || diag("$before KB, $most KB");
        }
        $_->close for @slow, @warm;
        settles($setup, 3);
        ends_clean($setup);
    };
}

subtest 'a stream to a client that does not read' => sub {
    my $setup = Test::PooledProxy::Setup->new(backend => 1, main_config => "PooledProxyEventLoops 1\nMaxKeepAliveRequests 0\n", timeout => 20)->start;
    my $deaf  = $setup->client;
    $deaf->send_request(GET => '/stream?n=400&size=60000&ms=1');
    is($deaf->read_head->{status}, 200, 'it begins');
    my $quick = $setup->client;
    my ($most, $count) = (0, 0);
    while ($count < 2000 && $most < 2) {
        my $begin = time;
        $quick->get('/bytes?n=10000');
        my $took = time - $begin;
        $most = $took if $took > $most;
        $count++;
    }
    cmp_ok($most, '<', 2, "others are answered at once, $count times");
    my $got = 0;
    while (defined(my $chunk = $deaf->read_chunk)) { $got += length $chunk }
    is($got, 400 * 60000, 'when it reads at last, everything is there');
    $_->close for $deaf, $quick;
    settles($setup, 3);
    ends_clean($setup);
};

subtest 'a client that sends slowly' => sub {
    my $setup = Test::PooledProxy::Setup->new(
        backend     => 1,
        main_config => "PooledProxyEventLoops 1\n",
        config      => "Alias /files/ \$DOCROOT/\nPooledProxyPass /files/ !\nPooledProxyPass / http://127.0.0.1:\$BACKEND_PORT/\n",
        modules     => ['alias'],
        files       => { 'one.txt' => "one\n" },
    )->start;
    my $client = $setup->client;
    for my $round (1 .. 3) {
        my @pieces = ("G", "ET /bytes?n=$round HTTP/1.1\r", "\nHost: front.test\r\n", "X: y\r\n\r", "\n");
        for my $piece (@pieces) {
            $client->send_bytes($piece);
            answers_at_once($setup, '/bytes?n=1', 2, 'another client is answered between two pieces of a head');
        }
        is(length $client->read_response->{body}, $round, 'the head was put together');
        is($client->get('/files/one.txt')->{body}, "one\n", 'a file') if $round == 2;
    }
    $client->send_bytes("POST /sink HTTP/1.1\r\nHost: front.test\r\nContent-Length: 10\r\n\r\n");
    $client->send_bytes($_), answers_at_once($setup, '/bytes?n=1', 2, 'and between two pieces of a body') for qw(01 234 56789);
    is($client->read_response->{body}, "10\n", 'the body was put together');
    $client->send_bytes("POST /sink HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    $client->send_bytes($_), answers_at_once($setup, '/bytes?n=1', 2, 'and of a chunked one')
      for "3\r", "\nabc\r\n1", "0\r\n0123456789", "abcdef\r\n", "0\r\n\r", "\n";
    is($client->read_response->{body}, "19\n", 'that was put together, too');
    is($client->get('/bytes?n=5')->{body}, '01234', 'the connection goes on');
    $client->close;
    settles($setup, 3);
    ends_clean($setup);
};

subtest 'large bodies, both framings' => sub {
    my $setup = Test::PooledProxy::Setup->new(backend => 1, main_config => "PooledProxyEventLoops 1\n", timeout => 20)->start;
    my $client = $setup->client;
    my $piece  = 'x' x 65536;
    $client->send_bytes("POST /sink HTTP/1.1\r\nHost: front.test\r\nContent-Length: " . 200 * 65536 . "\r\n\r\n");
    $client->send_bytes($piece) for 1 .. 200;
    is($client->read_response->{body}, 200 * 65536 . "\n", 'with Content-Length');
    $client->send_bytes("POST /sink HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    $client->send_bytes("10000\r\n$piece\r\n") for 1 .. 200;
    $client->send_bytes("0\r\n\r\n");
    is($client->read_response->{body}, 200 * 65536 . "\n", 'in chunks');
    is($client->get('/bytes?n=5')->{body}, '01234', 'the connection goes on');
    $client->close;
    settles($setup, 3);
    ends_clean($setup);
};

subtest 'a client that ends its half of the connection' => sub {
    my $setup = Test::PooledProxy::Setup->new(backend => 1, main_config => "PooledProxyEventLoops 1\n")->start;
    my $client = $setup->client;
    is($client->get('/bytes?n=1')->{status}, 200, 'a client is answered');
    $client->close_write;
    ok($client->wait_closed, '... says that it has no more requests, and the connection is closed');
    $client = $setup->client;
    $client->send_request(GET => '/slow?ms=60000')->close_write;
    ok($client->wait_closed, 'a client that says so while it waits has given up: closed');
    ok(wait_until(5, sub { $setup->backend->stats->{active} == 0 }), '... and the backend need not work for it');
    settles($setup, 3);
    ends_clean($setup);
};

done_testing();
