# P17: a client goes away, in every phase. The backend is told at once, nothing is left busy, no descriptor stays open.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use Test::PooledProxy::Child qw(child descriptors threads settles ends_clean answers_at_once);
use Test::PooledProxy::Config;
use Test::PooledProxy::Crowd;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until slowness);

use constant AT_ONCE => 0.1; # seconds
use constant ABORTED => $ENV{VALGRIND} ? 40 : 500;

my $setup = Test::PooledProxy::Setup->new(
    backend     => 1,
    modules     => [qw(ratelimit env)],
    main_config => "PooledProxyEventLoops 1\n<IfModule mpm_event_module>\nAsyncRequestWorkerFactor 64\n</IfModule>\n",
    timeout     => 20,
    config      => <<'END',
PooledProxyPoolSize 100
<Location /limited/>
    SetOutputFilter RATE_LIMIT
    SetEnv rate-limit 50
    PooledProxyPass http://127.0.0.1:$BACKEND_PORT/
</Location>
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
END
)->start;
my $is_event = Test::PooledProxy::Config::mpm() eq 'event';

sub backend_has { my ($name, $n) = @_; return wait_until(5, sub { $setup->backend->stats->{$name} == $n }) }

# name, how far the client reads, request
my @phases = (
    ['waits for an answer',       0,      "GET /slow?ms=60000 HTTP/1.1\r\nHost: front.test\r\n\r\n"],
    ['sends a body',              0,      "POST /sink HTTP/1.1\r\nHost: front.test\r\nContent-Length: 1000\r\n\r\nsome of it"],
    ['sends a body in chunks',    0,      "POST /sink HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
    ['reads events',              100,    "GET /events?ms=20 HTTP/1.1\r\nHost: front.test\r\n\r\n"],
    ['reads a large answer',      100000, "GET /bytes?n=500000000 HTTP/1.1\r\nHost: front.test\r\n\r\n"],
    ['has stopped to read',       1,      "GET /bytes?n=500000000 HTTP/1.1\r\nHost: front.test\r\n\r\n"],
    ['reads through a filter that blocks', 100, "GET /limited/bytes?n=500000000 HTTP/1.1\r\nHost: front.test\r\n\r\n"],
);

for my $phase (@phases) {
    my ($name, $reads, $request) = @$phase;
    for my $how (qw(close reset)) {
        my $client = $setup->client;
        $client->send_bytes($request);
        $client->take($reads);
        ok(backend_has(active => 1), "a client that $name");
        my $left = time;
        $client->$how;
        ok(backend_has(active => 0), "... goes away ($how), and the backend learns of it");
        my $took = time - $left;
        # a client that does not read is found gone when the next piece is written; a filter may sleep
        next if $how eq 'close' && $name =~ /stopped|filter/ || $name =~ /filter/;
        cmp_ok($took, '<', AT_ONCE * slowness() * 3, '... at once');
    }
}
settles($setup, 3);
answers_at_once($setup, '/bytes?n=3', 2);

SKIP: {
    skip 'processes come and go', 2 if Test::PooledProxy::Config::mpm() eq 'prefork';
    my $before = wait_until(3, sub { my $n = descriptors(child($setup)); select undef, undef, undef, 0.3; $n == descriptors(child($setup)) && $n });
    my $wakers = threads(child($setup)); # a worker makes itself an eventfd once
    for my $round (1 .. ABORTED / 20) {
        my $crowd = Test::PooledProxy::Crowd->new(port => $setup->var('PORT'), clients => 20, request => sub { $phases[rand 5][2] });
        $crowd->turn(0.01) for 1 .. int rand 5; # cut at a random moment
        $crowd->leave($round % 2);
    }
    settles($setup, 10, 'after ' . ABORTED . ' aborted requests nothing is left busy');
    ok(wait_until(8, sub { descriptors(child($setup)) <= $before + $wakers + $setup->numbers->{idle} }), 'no descriptor has stayed open')
      || diag("before $before, now " . descriptors(child($setup)));
}
ends_clean($setup);
undef $setup;

done_testing();
