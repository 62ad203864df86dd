# P23: a graceful restart fails no request, a graceful stop lets what runs come to its end and then ends, and a child that is killed
# leaves nothing behind.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(child children settles ends_clean answers_at_once);
use Test::PooledProxy::Config;
use Test::PooledProxy::Crowd;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until);

my $is_prefork = Test::PooledProxy::Config::mpm() eq 'prefork';
my $is_event   = Test::PooledProxy::Config::mpm() eq 'event';
my $keep_alive = $is_event ? 30 : 2; # other MPMs wait that long for idle clients when they are to end

sub setup {
    return Test::PooledProxy::Setup->new(
        backend     => 1,
        main_config => "MaxKeepAliveRequests 0\nKeepAliveTimeout $keep_alive\n" . ($is_prefork ? '' : "PooledProxyEventLoops 2\n"),
        mpm_config  => $is_prefork ? undef
        : "StartServers 1\nServerLimit 8\nThreadsPerChild 16\nMaxRequestWorkers 16\nMinSpareThreads 1\nMaxSpareThreads 16\n",
        timeout => 30,
    )->start;
}

sub crowd {
    my ($setup, $clients, %args) = @_;
    my @paths = ('/bytes?n=100', '/slow?ms=20&n=10', '/bytes?n=100000');
    my $i = 0;
    return Test::PooledProxy::Crowd->new(port => $setup->var('PORT'), clients => $clients, each => 0,
        request => sub { my $path = $paths[$i++ % @paths]; return "GET $path HTTP/1.1\r\nHost: front.test\r\n\r\n" }, %args);
}

subtest 'graceful restarts under load' => sub {
    my $setup = setup();
    my $crowd = crowd($setup, 8);
    for my $n (1 .. 4) {
        my $answered = $crowd->answered;
        ok($crowd->run_until(10, sub { $crowd->answered > $answered + 200 }), "requests are answered ($n)");
        my @old = children($setup);
        kill USR1 => $setup->httpd->pid;
        my $gone = $crowd->run_until(10, sub { my %alive = map { $_ => 1 } children($setup); !grep { $alive{$_} } @old });
        ok($gone, '... the old processes end');
    }
    my $answered = $crowd->answered;
    ok($crowd->run_until(10, sub { $crowd->answered > $answered + 200 }), 'requests are answered afterwards');
    $crowd->stop;
    ok($crowd->finish(10), 'the clients end');
    delete $crowd->failures->{'closed, no answer, after others'} if !$is_event; # other MPMs close without having said so
    is_deeply($crowd->failures, {}, 'no request failed');
    is_deeply([keys %{ $crowd->statuses }], [200], 'all were answered with 200');
    settles($setup, 3);
    ends_clean($setup);
};

subtest 'a graceful stop' => sub {
    my $setup = setup();
    my @idle  = map { $setup->client } 1 .. ($is_prefork ? 1 : 5);
    $_->get('/bytes?n=1') for @idle;
    my $busy = $setup->client;
    $busy->send_request(GET => '/slow?ms=1500&n=7');
    my $back = $setup->client; # idle on a loop, back with the MPM for a head in pieces, on the loop again
    $back->get('/bytes?n=1');
    $back->send_bytes('GET /slow?ms=1500&n=6 HT');
    answers_at_once($setup, '/bytes?n=1', 2, 'a loop has had the time to find half a head');
    $back->send_bytes("TP/1.1\r\nHost: front.test\r\n\r\n");
    ok(wait_until(5, sub { $setup->backend->stats->{active} == 2 }), 'two requests are with the backend');
    my @children = children($setup);
    kill WINCH => $setup->httpd->pid;
    is($busy->read_response->{body}, '0123456', 'one is answered');
    is($back->read_response->{body}, '012345', 'and the other');
    ok($_->wait_closed, 'an idle client is let go') for @idle;
    ok($busy->wait_closed, 'and the one that was busy');
    ok(wait_until(5, sub { !children($setup) }), 'the processes have ended');
    ok(wait_until(5, sub { waitpid($setup->httpd->pid, 1) != 0 }), 'httpd has ended');
    delete $setup->httpd->{pid};
    ends_clean($setup);
};

subtest 'a child is killed' => sub {
    plan skip_all => 'one process of many' if $is_prefork;
    my $setup = setup();
    my $crowd = crowd($setup, 8, request => "GET /slow?ms=300 HTTP/1.1\r\nHost: front.test\r\n\r\n");
    ok($crowd->run_until(5, sub { $crowd->answered > 8 }), 'requests are answered');
    my $old = child($setup);
    kill KILL => $old;
    ok($crowd->finish(10), 'its clients lose their connections');
    ok(wait_until(5, sub { my $now = child($setup); $now && $now != $old && $setup->httpd->is_ready }), 'there is another child');
    settles($setup, 3, 'nothing of the dead one is counted as busy');
    cmp_ok($setup->numbers->{idle}, '<=', 1, 'or as idle');
    answers_at_once($setup, '/bytes?n=3', 5);
    ends_clean($setup, qr/exit signal Killed/);
};

done_testing();
