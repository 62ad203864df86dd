# P3: the backend closes idle connections after exactly 100 ms, and requests come after just about that long: nobody gets an error, and
# what must not be sent twice is not.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Config;
use Test::PooledProxy::Crowd;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(slowness);

use constant CLOSES_AFTER => 0.1; # seconds
use constant SECONDS      => 10;  # for each kind of requests, when the machine is slow

my $is_prefork = Test::PooledProxy::Config::mpm() eq 'prefork';
my $CLIENTS    = $is_prefork ? 12 : 80;
my $SCALE      = $is_prefork || $ENV{VALGRIND} ? 0.15 : 1;
my %REQUESTS   = (GET => 2000 * $SCALE, POST => 1000 * $SCALE); # at least
my $MEETINGS   = 5 * $SCALE;                                    # with the end of a connection, at least

# Each client has a pool of its own, so that its gaps are the connection's; each kind of requests, too: a pool that has seen some closes
# learns when they come, and from then on closes before. Until then each client meets a few.
my @kinds  = map { ("loop$_", "waiting$_") } qw(get post keyed);
my @groups = map { my $kind = $_; map { "$kind-$_" } 1 .. $CLIENTS } @kinds;

# A thread for each client: with all of them busy the event MPM closes connections that wait for their next request.
my $threads = "StartServers 1\nServerLimit 1\nThreadLimit 100\nThreadsPerChild 100\nMaxRequestWorkers 100\nMinSpareThreads 1\nMaxSpareThreads 100\n";

my $setup = Test::PooledProxy::Setup->new(
    $is_prefork ? () : (mpm_config => $threads),
    backend         => 1,
    backend_options => ['--keepalive', CLOSES_AFTER * 1000],
    timeout         => 60,
    main_config     => "PooledProxyEventLoops 1\nMaxKeepAliveRequests 0\n",
    config          => join("\n",
        qq{<LocationMatch "^/waiting">\nPooledProxyAsync Off\n</LocationMatch>},
        map { "<PooledProxyUpstream $_>\nPooledProxyServer http://127.0.0.1:\$BACKEND_PORT\n</PooledProxyUpstream>\nPooledProxyPass /$_/ upstream://$_/" } @groups),
)->start;

# Most of them in the moment in which the connection is closed.
sub gap { return rand() < 0.1 ? rand(2 * CLOSES_AFTER) : CLOSES_AFTER - 0.004 + rand 0.005 }

my $ids = 0;

sub request {
    my ($method, $kind, $fields, $number) = @_;
    my $body = $method eq 'GET' ? '' : 'some data';
    return sprintf "%s /%s-%d/once?id=%d HTTP/1.1\r\nHost: front.test\r\nContent-Length: %d\r\n%s\r\n%s", $method, $kind, $number, ++$ids,
      length $body, $fields, $body;
}

# Clients with such requests, until it were enough of them and enough have met the end of a connection.
sub meet {
    my ($method, $kind, $fields) = @_;
    my $before = $setup->numbers;
    my $crowd  = Test::PooledProxy::Crowd->new(port => $setup->var('PORT'), clients => $CLIENTS, each => 0, gap => \&gap,
        request => sub { request($method, $kind, $fields // '', $_[0]) });
    my ($next, $now) = ($REQUESTS{$method}, $before);
    $crowd->run_until(SECONDS, sub {
        return 0 if $crowd->answered < $next;
        $next += 100;
        $now = $setup->numbers;
        return $now->{conn_closed_stale} >= $before->{conn_closed_stale} + $MEETINGS;
    });
    $crowd->stop;
    $crowd->finish(SECONDS);
    $now = $setup->numbers;
    is(join(', ', sort keys %{ $crowd->failures }), '', "$kind: no client is left without an answer");
    cmp_ok($crowd->answered, '>=', $REQUESTS{$method}, '... to so many requests');
    my %grown = map { $_ => $now->{$_} - $before->{$_} } keys %$now;
    cmp_ok($grown{conn_closed_stale}, '>=', 1, '... some of which met the end of a connection');
    note(join ' ', "$kind:", map { "$_=$grown{$_}" } qw(requests conn_opened conn_closed_peer_closed conn_closed_stale stale_replayed requests_failed));
    return ($crowd, \%grown);
}

sub statuses { my ($crowd) = @_; return join ' ', sort keys %{ $crowd->statuses } }

for my $front (qw(loop waiting)) {
    my ($gets, $of_gets) = meet(GET => "${front}get");
    is(statuses($gets), '200', "GET with $front front: no errors");
    is($of_gets->{stale_replayed}, $of_gets->{conn_closed_stale}, '... each stale connection was one replay');
    is($of_gets->{requests_failed}, 0, '... and nothing failed');

    my $twice = $setup->backend->stats->{twice};
    my ($posts, $of_posts) = meet(POST => "${front}post");
    like(statuses($posts), qr/^200(?: 502)?$/, "POST with $front front: done, or 502");
    is($posts->statuses->{502} // 0, $of_posts->{requests_failed}, '... which is counted');
    is($setup->backend->stats->{twice}, $twice, '... none arrived twice');

    my ($keyed, $of_keyed) = meet(POST => "${front}keyed", "Idempotency-Key: \"k\"\r\n");
    is(statuses($keyed), '200', "POST with Idempotency-Key and $front front: no errors");
    is($of_keyed->{stale_replayed}, $of_keyed->{conn_closed_stale}, '... each stale connection was one replay');
}

my @failed = grep { !/ (?:200|304) / } split /\n/, $setup->httpd->access_log;
is(scalar(grep { !/^POST .* 502 .*POOLEDPROXY_REASON=stale / } @failed), 0, 'what failed are POSTs on stale connections') || diag($failed[0]);
note(scalar(@failed) . ' POSTs failed; the backend has received and lost ' . $setup->backend->stats->{lost});
settles($setup, 5);
ends_clean($setup, qr/the reused connection was closed before any byte of an answer \(stale,/);
undef $setup;

done_testing();
