# A lease is renewed before the MPM's Timeout takes the connection away: whatever phase it is in, it lasts as long as it has to.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Config;
use Test::PooledProxy::Crowd;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until);

my %common = (
    main_config => "Timeout 1\nKeepAliveTimeout 20\nMaxKeepAliveRequests 0\nPooledProxyEventLoops 1\n<IfModule mpm_event_module>\nAsyncRequestWorkerFactor 64\n</IfModule>\n",
    config      => "PooledProxyPoolSize 1000\nPooledProxyPass / http://127.0.0.1:\$UPSTREAM_PORT/\n",
    timeout     => 20,
);

# Every phase on a connection of its own, all at the same time: each lasts several times Timeout.
sub phases {
    my ($setup) = @_;
    my %clients = map { $_ => $setup->client } qw(waiting dripping uploading idle);
    my $begin = time;
    $clients{idle}->get('/bytes?n=2');
    $clients{waiting}->send_request(GET => '/slow?ms=3200&n=5');
    $clients{dripping}->send_request(GET => '/stream?n=32&size=3&ms=100');
    $clients{uploading}->send_bytes("POST /sink HTTP/1.1\r\nHost: front.test\r\nContent-Length: 32\r\n\r\n");
    for my $n (1 .. 32) { # a piece every 100 ms: time is what is tested here
        wait_until(5, sub { time >= $begin + $n * 0.1 });
        $clients{uploading}->send_bytes('u');
    }
    is($clients{waiting}->read_response->{body}, '01234', 'an answer after more than three times Timeout');
    is(length $clients{dripping}->read_response->{body}, 96, 'an answer that drips');
    is($clients{uploading}->read_response->{body}, "32\n", 'a body that drips');
    is($clients{idle}->get('/bytes?n=3')->{body}, '012', 'a request on a connection that was idle');
    return values %clients;
}

for my $kind ('clear', 'TLS') {
    subtest "every phase, $kind" => sub {
        my $setup = Test::PooledProxy::Setup->new(%common, backend => 1, tls => $kind eq 'TLS')->start;
        my @clients = phases($setup);
        is($_->get('/bytes?n=4')->{body}, '0123', 'the connection goes on') for @clients;
        $_->close for @clients;
        settles($setup, 3);
        ends_clean($setup);
    };
}

subtest 'a tunnel' => sub {
    my $script = <<'END';
accept
expect_head GET /socket
send_head 101 "Upgrade: echo\r\nConnection: Upgrade"
wait 2.6
send_raw "late"
read_raw "later"
wait 1.2
send_raw "last"
close
END
    my $setup = Test::PooledProxy::Setup->new(%common, upstream => { UPSTREAM => $script })->start;
    my $client = $setup->client;
    $client->send_request(GET => '/socket', headers => [Upgrade => 'echo', Connection => 'Upgrade']);
    is($client->read_head->{status}, 101, 'it begins');
    is($client->take(4), 'late', 'the backend says something after more than twice Timeout');
    $client->send_bytes('later');
    is($client->take(4), 'last', 'and once more');
    ok($client->wait_closed, 'the end of the tunnel');
    $client->close;
    settles($setup, 3);
    ends_clean($setup);
};

subtest '200 at once' => sub {
    plan skip_all => 'the blocking front has a thread for each request' if Test::PooledProxy::Config::mpm() ne 'event';
    my $setup = Test::PooledProxy::Setup->new(%common, backend => 1)->start;
    my $crowd = Test::PooledProxy::Crowd->new(port => $setup->var('PORT'), clients => 200, each => 2,
        request => "GET /slow?ms=2500&n=10 HTTP/1.1\r\nHost: front.test\r\n\r\n");
    ok($crowd->finish(15), 'all have ended');
    is_deeply($crowd->failures, {}, 'none was lost');
    is_deeply($crowd->statuses, { 200 => 400 }, 'all are answered');
    settles($setup, 3);
    ends_clean($setup);
};

subtest 'no worker is free for it: an answer that came in time counts' => sub {
    plan skip_all => 'only leases are renewed' if Test::PooledProxy::Config::mpm() ne 'event';
    my $setup = Test::PooledProxy::Setup->new(%common,
        backend     => 1,
        main_config => "Timeout 4\nPooledProxyEventLoops 1\n<IfModule mpm_event_module>\nAsyncRequestWorkerFactor 64\n</IfModule>\n",
        mpm_config  => "StartServers 1\nServerLimit 1\nThreadsPerChild 2\nMaxRequestWorkers 2\nMinSpareThreads 1\n",
        config      => "<Location /waiting/>\nPooledProxyAsync Off\n</Location>\nPooledProxyPass /waiting/ http://127.0.0.1:\$BACKEND_PORT/\n"
          . "PooledProxyPass / http://127.0.0.1:\$BACKEND_PORT/ timeout.first-byte=2500ms\n",
    )->start;
    my $leased = $setup->client;
    $leased->send_request(GET => '/slow?ms=2250&n=5'); # the lease is renewed after 2 s
    wait_until(5, sub { $setup->backend->stats->{active} == 1 });
    my @busy = map { $setup->client } 1 .. 2;
    $_->send_request(GET => '/waiting/slow?ms=3200&n=5') for @busy;
    my $response = $leased->read_response;
    is("$response->{status} $response->{body}", '200 01234', 'it is there when the lease is renewed, after its time');
    is($_->read_response->{status}, 200, 'the worker is free again') for @busy;
    $_->close for $leased, @busy;
    settles($setup, 3);
    ends_clean($setup, qr/AH00484/); # all workers are busy: that was wanted
};

done_testing();
