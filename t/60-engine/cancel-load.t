# P17: thousands of requests, three in ten of them cut off by their client at a random moment, in whatever phase: in the end nothing is
# busy, nobody waits, no descriptor has stayed open. On both fronts.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(child descriptors settles ends_clean answers_at_once);
use Test::PooledProxy::Config;
use Test::PooledProxy::Crowd;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until);

use constant SECONDS => 10; # for each front, when the machine is slow

my $is_prefork = Test::PooledProxy::Config::mpm() eq 'prefork';
my $CLIENTS    = $is_prefork ? 20 : 60;
my $ANSWERS    = $is_prefork || $ENV{VALGRIND} ? 300 : 2000;

# Fewer connections than clients: some wait in the queue. They are closed when idle, so that each has its phase of connecting.
my $setup = Test::PooledProxy::Setup->new(
    backend     => 1,
    timeout     => 60,
    main_config => "PooledProxyEventLoops 1\nMaxKeepAliveRequests 0\n",
    $is_prefork ? () : (mpm_config => "StartServers 1\nServerLimit 1\nThreadLimit 100\nThreadsPerChild 100\nMaxRequestWorkers 100\nMinSpareThreads 1\nMaxSpareThreads 100\n"),
    config => <<'END',
PooledProxyPoolSize 20
PooledProxyMaxRequests 10
PooledProxyKeepAliveTimeout 500ms
<Location /waiting/>
    PooledProxyAsync Off
</Location>
PooledProxyPass /loop/ http://127.0.0.1:$BACKEND_PORT/
PooledProxyPass /waiting/ http://127.0.0.1:$BACKEND_PORT/
END
)->start;

# A request of one of these kinds.
my $large = 'x' x 300_000;
my @kinds = (
    sub { "GET /$_[0]/bytes?n=100 HTTP/1.1\r\nHost: front.test\r\n\r\n" },
    sub { "GET /$_[0]/slow?ms=20&n=100 HTTP/1.1\r\nHost: front.test\r\n\r\n" },
    sub { "GET /$_[0]/bytes?n=1000000 HTTP/1.1\r\nHost: front.test\r\n\r\n" },
    sub { "POST /$_[0]/sink HTTP/1.1\r\nHost: front.test\r\nContent-Length: 300000\r\n\r\n$large" },
    sub { "PUT /$_[0]/sink HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" },
);

sub load {
    my ($front) = @_;
    my $crowd = Test::PooledProxy::Crowd->new(
        port    => $setup->var('PORT'),
        clients => $CLIENTS,
        each    => 0,
        request => sub { $kinds[rand @kinds]->($front) },
        cut     => sub { rand() < 0.5 ? rand 0.02 : undef }, # some are answered before that
    );
    $crowd->run_until(SECONDS, sub { $crowd->answered >= $ANSWERS });
    note("$front: " . $crowd->answered . ' answered, ' . $crowd->cuts . ' cut off');
    cmp_ok($crowd->answered, '>', $ANSWERS / 4, "$front front: many are answered");
    cmp_ok($crowd->cuts, '>', $ANSWERS / 10, '... and many cut off');
    is_deeply([sort keys %{ $crowd->statuses }], [200], '... all answers are good');
    is_deeply($crowd->failures, {}, '... and no client that stays is left without one');
    $crowd->leave;
    return;
}

# At rest without idle connections.
sub descriptors_at_rest {
    wait_until(10, sub { my $n = $setup->numbers; !grep { $n->{$_} } qw(busy idle connecting waiting) });
    my $last = 0;
    wait_until(10, sub { my ($n, $before) = (descriptors(child($setup)), $last); $last = $n; select undef, undef, undef, 0.3; return $n == $before });
    return $last;
}

for my $front (qw(loop waiting)) {
    load($front); # each worker makes itself an eventfd once
    settles($setup, 5);
    my $before = $is_prefork ? 0 : descriptors_at_rest();
    load($front);
    settles($setup, 5, "$front front: nothing is busy or waits");
    ok(wait_until(5, sub { $setup->backend->stats->{active} == 0 }), '... nor at the backend');
    cmp_ok(descriptors_at_rest(), '<=', $before + 10, '... and no descriptor has stayed open') if !$is_prefork; # a few workers may have been idle before
    answers_at_once($setup, "/$front/bytes?n=3", 2);
}
ends_clean($setup);
undef $setup;

done_testing();
