# A loop never waits for a client: not for the rest of a body that nobody wants, not for the frames of another protocol, not for room in
# the socket of one that does not read.
use strict;
use warnings;
use Socket qw(MSG_PEEK);
use Test::More;
use Time::HiRes qw(time);
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Config;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until slowness);

plan skip_all => 'only the event MPM leases connections' if Test::PooledProxy::Config::mpm() ne 'event';

use constant TIMEOUT => 4 * slowness();

sub setup {
    my (%settings) = @_;
    my $more = delete $settings{more} // '';
    my $timeout = delete $settings{Timeout} // TIMEOUT;
    return Test::PooledProxy::Setup->new(
        backend     => 1,
        main_config => "PooledProxyEventLoops 1\nTimeout $timeout\nKeepAliveTimeout 20\nMaxKeepAliveRequests 0\n$more",
        config      => "PooledProxyPass / http://127.0.0.1:\$BACKEND_PORT/\n<Location /denied>\n    Require all denied\n</Location>\n",
        timeout     => 20,
        %settings,
    )->start;
}

# Connections that the loop reads.
sub leased {
    my ($setup, $n, %args) = @_;
    my @clients = map { $setup->client(%args) } 1 .. $n;
    is($_->get('/bytes?n=1')->{status}, 200, 'a connection that the loop reads') for @clients;
    return @clients;
}

# One assertion: this connection's requests are answered, none of them after more than half of Timeout.
sub at_once {
    my ($other, $name) = @_;
    my $most = 0;
    my $ok = eval {
        for (1 .. 50) {
            my $begin = time;
            die "not 200\n" if $other->get('/bytes?n=2')->{body} ne '01';
            $most = time - $begin if time - $begin > $most;
        }
        1;
    };
    my $why = $@;
    return ok($ok && $most < TIMEOUT / 2, $name) || diag($ok ? "it took $most s" : $why);
}

sub status_of { my ($client, $method) = @_; my $response = eval { $client->read_response($method) }; return $response ? $response->{status} : $@ }

for my $kind ('clear', 'TLS') {
    subtest "a body that is withheld, $kind" => sub {
        my $setup = setup(tls => $kind eq 'TLS');
        my ($expects, $denied, $other) = leased($setup, 3);
        $expects->send_request(POST => '/sink', headers => ['Expect', 'foo', 'Content-Length', 10]);
        at_once($other, 'Expect: foo, and no body: another client is answered at once');
        like(status_of($expects, 'POST'), qr/^(?:417|408)$/, '... that one is refused, as httpd does when it has waited for the body');
        ok($expects->wait_closed, '... and its connection is closed');
        ($expects) = leased($setup, 1);
        $expects->send_request(POST => '/sink', headers => ['Expect', 'foo', 'Content-Length', 10]);
        at_once($other, 'the same, with the body coming late: another client is answered at once');
        $expects->send_bytes('0123456789');
        is(status_of($expects, 'POST'), 417, '... then that one is told what is wrong');
        $denied->send_request(POST => '/denied', headers => ['Content-Length', 10]);
        at_once($other, 'a denied request without its body: another client is answered at once');
        $_->close for $expects, $denied;
        at_once($other, '... also when the client has gone');
        $other->close;
        settles($setup, 3);
        ends_clean($setup, qr/AH01630: client denied/);
    };

    subtest "the body of a denied request comes late, $kind" => sub {
        my $setup = setup(tls => $kind eq 'TLS');
        my ($denied, $other) = leased($setup, 2);
        my $body = "GET /bytes?n=9 HTTP/1.1\r\nHost: front.test\r\n\r\n";
        $denied->send_request(POST => '/denied', headers => ['Content-Length', length $body]);
        at_once($other, 'another client is answered at once');
        $denied->send_bytes($body);
        is(status_of($denied, 'POST'), 403, 'denied, not malformed');
        is(eval { $denied->get('/bytes?n=3')->{body} } // $@, '012', 'the body was not taken for a request');
        $_->close for $denied, $other;
        settles($setup, 3);
        ends_clean($setup, qr/AH01630: client denied/);
    };
}

subtest 'Upgrade: h2c behind another request' => sub {
    my $setup = setup(modules => ['http2'], more => "Protocols h2c http/1.1\n");
    my ($client, $other) = leased($setup, 2);
    $client->send_request(GET => '/bytes?n=3',
        headers => ['Connection', 'Upgrade, HTTP2-Settings', 'Upgrade', 'h2c', 'HTTP2-Settings', 'AAMAAABkAAQAAP__']);
    at_once($other, 'another client is answered at once');
    is(eval { $client->read_head->{status} } // $@, 101, 'the connection speaks HTTP/2 now');
    at_once($other, '... and the other is answered still');
    $_->close for $client, $other;
    settles($setup, 3);
    ends_clean($setup);
};

for my $kind ('clear', 'TLS') {
    subtest "clients that stop reading, $kind" => sub {
        my $timeout = 2;
        my $setup   = setup(Timeout => $timeout, tls => $kind eq 'TLS', more => "SendBufferSize 32768\n");
        my ($second, $slow) = leased($setup, 2, receive_buffer => 8192);
        my $first = $setup->client(receive_buffer => 8192);
        $_->send_request(GET => '/bytes?n=100000000') for $first, $second, $slow;
        is($_->read_head->{status}, 200, 'an answer begins') for $first, $second, $slow;
        my ($begin, $next, $busy, $gone) = (time, 0, 3);
        my $bound = 2 * $timeout + 3;
        wait_until($bound, sub {
            if (time >= $next) { # the slow one takes what is there, now and then
                $next = time + 0.2;
                $slow->{buffer} = '';
                1 while length $slow->{buffer} < 65536 && sysread $slow->{socket}, $slow->{buffer}, 16384, length $slow->{buffer};
            }
            $busy = $setup->numbers->{busy};
            $gone //= time - $begin if $busy <= 1;
            return $busy < 1 || ($gone && time - $begin > 2 * $timeout + 1);
        });
        ok($gone, "the connections for who reads nothing are closed within $bound s") && note("after $gone s");
        is($busy, 1, 'that for who reads slowly is not');
        my @failed = $setup->httpd->access_log =~ /n=100000000 .* POOLEDPROXY_REASON=(\S+)/g;
        is(scalar(grep { /^client_(?:timeout|gone)$/ } @failed), 2, 'the log says why') || diag($setup->httpd->access_log);
        $_->close for $first, $second, $slow;
        settles($setup, 3);
        ends_clean($setup);
    };
}

subtest 'FlushMaxPipelined 0 and a client that reads late' => sub {
    my $setup = setup(more => "FlushMaxPipelined 0\nSendBufferSize 32768\n");
    my $other = $setup->client;
    for my $size (50_000, 120_000, 300_000) {
        my $client = $setup->client(receive_buffer => 8192);
        for my $which ('first', 'second') {
            $client->send_request(GET => "/bytes?n=$size");
            ok(wait_until(5, sub { defined recv $client->{socket}, my $bytes, 1, MSG_PEEK }), "$size bytes, $which request: they come");
            at_once($other, '... others are answered meanwhile');
            my $response = eval { $client->read_response } // { body => $@ };
            is(length $response->{body}, $size, '... all');
        }
        $client->close;
    }
    $other->close;
    settles($setup, 3);
    ends_clean($setup);
};

subtest 'a 404 that turns out to be broken before anything of it was sent' => sub {
    my $broken = 'HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\ngarbage\r\n';
    my $setup  = setup(
        backend  => 0,
        config   => 'PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/',
        upstream => { UPSTREAM => <<"END" });
accept
expect GET /1
send 200 "one"
expect GET /2
send_raw "$broken"
wait_close
accept
expect GET /3
send_raw "$broken"
wait_close
END
    my $client = $setup->client;
    is($client->get('/1')->{body}, 'one', 'a connection that the loop reads');
    for my $which ($client, undef) {
        my $response = $which ? $which->get('/2') : $setup->client->get('/3');
        is($response->{status}, 502, 'Bad Gateway');
        unlike($response->{body}, qr/Additionally|404/, '... and not the broken status along with it');
    }
    $client->close;
    settles($setup, 3);
    ends_clean($setup, qr/response_malformed|malformed|chunk/);
};

done_testing();
