# P4: whatever the moment of a request, no connection is found dead: the backend has said how long it keeps idle ones, or it was learnt.
# PooledProxyMaxAge with its jitter.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Config;
use Test::PooledProxy::Counter;
use Test::PooledProxy::Limits qw(limits_setup crowd_of all_answered usual_warnings);
use Test::PooledProxy::Util qw(wait_until);

my $is_prefork = Test::PooledProxy::Config::mpm() eq 'prefork';

# The numbers that say that a connection was dead when it was to be used, or ended by the backend while it was idle.
sub dead {
    my ($setup) = @_;
    my $numbers = $setup->numbers;
    return join ' ', map { "$_=$numbers->{$_}" } qw(conn_closed_stale stale_replayed conn_closed_peer_closed);
}

use constant NONE_DEAD => 'conn_closed_stale=0 stale_replayed=0 conn_closed_peer_closed=0';

# Each client has a pool of its own, and so a connection: the gap between its requests is the connection's.
sub pools { my ($n) = @_; return join '', map { <<"END" } 1 .. $n }
<PooledProxyUpstream pool$_>
    PooledProxyServer \$ONE
</PooledProxyUpstream>
PooledProxyPass /$_/ upstream://pool$_/
END

# How often a pool says in the log that it has learnt.
sub notices { my ($setup) = @_; return scalar grep { /:notice\].*closes idle connections after about/ } split /\n/, $setup->httpd->error_log }

subtest 'Keep-Alive: timeout=2, and requests around that time and a second before' => sub {
    my @gaps    = map { ($_, $_ + 1) } 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 1, 1.005, 1.01, 1.02, 1.05, 1.1;
    my $counter = Test::PooledProxy::Counter->new('--idle', 2000);
    my $setup   = limits_setup($counter, children => 2, loops => 1, config => pools(scalar @gaps));
    my $crowd   = crowd_of($setup, children => 2, clients => scalar @gaps, each => 4, gap => sub { $gaps[$_[0] - 1] },
        request => sub { "GET /$_[0]/?keep=timeout%3D2 HTTP/1.1\r\nHost: front.test\r\n\r\n" });
    ok($crowd->finish(15), 'all requests have ended');
    all_answered($crowd);
    is(dead($setup), NONE_DEAD, 'none found its connection dead, and the backend had none to close');
    my $n = $setup->numbers;
    if (!$is_prefork) {
        cmp_ok($n->{conn_reused}, '>=', 3 * 4, 'after less than a second they were used again');
        cmp_ok($n->{conn_closed_idle_timeout}, '>=', 3 * 15, 'after more they were not');
    }
    ends_clean($setup, usual_warnings());
    $counter->stop;
};

# Rounds of requests of many clients; after each all connections stay idle until they are closed, by whom does not matter.
sub rounds {
    my ($setup, $counter, $clients, $most, $until) = @_;
    for my $round (1 .. $most) {
        my $crowd = crowd_of($setup, children => 2, clients => $clients, paths => ['/?ms=20']);
        $crowd->finish(5) && !%{ $crowd->failures } or return 0;
        wait_until(3, sub { $counter->open_now == 0 }) or return 0;
        return $round if $until->();
    }
    return 0;
}

subtest 'a backend that closes after 300 ms, without a word' => sub {
    plan skip_all => 'each child has few connections' if $is_prefork;
    my $counter = Test::PooledProxy::Counter->new('--idle', 300);
    my $setup   = limits_setup($counter, children => 2, config => "PooledProxyPass / \$ONE/\n");
    ok(rounds($setup, $counter, 1, 2, sub { 0 }) == 0 && notices($setup) == 0, 'two closes teach nothing');
    my $round = rounds($setup, $counter, 40, 6, sub { notices($setup) });
    ok($round, 'it is learnt') || diag($setup->httpd->error_log);
    note("in round $round");
    my ($pool) = grep { $_->{requests} } @{ $setup->status->{pools} };
    ok($pool->{close_age_ms} > 250 && $pool->{close_age_ms} < 420, 'the status page says when') || diag(explain($setup->status));

    my $before = dead($setup);
    my $gaps   = 0;
    my $crowd  = crowd_of($setup, children => 2, clients => 60, each => 12, gap => sub { 0.2 + 0.2 * ($gaps++ % 41) / 40 }, paths => ['/']);
    ok($crowd->finish(15), 'requests after 200 to 400 ms');
    all_answered($crowd);
    rounds($setup, $counter, 40, 3, sub { 0 });
    is(dead($setup), $before, 'none found its connection dead, and the backend had none to close');
    is(notices($setup), 1, 'it is said once, although there are four loops');
    settles($setup, 3);
    ends_clean($setup, usual_warnings());
    $counter->stop;
};

subtest 'a backend that restarts teaches nothing' => sub {
    my $counter = Test::PooledProxy::Counter->new;
    my $setup   = limits_setup($counter, children => 2, config => "PooledProxyPass / \$ONE/\n");
    for my $round (1 .. 2) {
        my $crowd = crowd_of($setup, children => 2, clients => 30, paths => ['/?ms=20']);
        ok($crowd->finish(5), "requests ($round)");
        $counter->close_all;
        ok(wait_until(3, sub { $setup->numbers->{idle} == 0 }), '... all connections are closed at once');
    }
    is(notices($setup), 0, 'many closes at one moment are one');
    ends_clean($setup, usual_warnings());
    $counter->stop;
};

subtest 'PooledProxyMaxAge with jitter: connections opened together do not end together' => sub {
    plan skip_all => 'each child has few connections' if $is_prefork;
    my $counter = Test::PooledProxy::Counter->new;
    my $setup   = limits_setup($counter, children => 2, config => "PooledProxyMaxAge 1500ms jitter=60%\nPooledProxyPass / \$ONE/\n");
    my $crowd   = crowd_of($setup, children => 2, clients => 60, paths => ['/?ms=300']);
    ok($crowd->finish(5), 'requests');
    my $most = $counter->most;
    cmp_ok($most, '>=', 30, 'on many connections');
    my %seen;
    ok(wait_until(4, sub { my $n = $counter->open_now; $seen{$n} = 1; return !$n }), 'all end');
    note("$most connections, seen: " . join ' ', sort { $b <=> $a } keys %seen);
    cmp_ok(scalar keys %seen, '>=', 10, '... one after the other');
    is($setup->numbers->{conn_closed_max_age}, $counter->accepts, '... because of their age');
    ends_clean($setup, usual_warnings());
    $counter->stop;
};

done_testing();
