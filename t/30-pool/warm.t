# P24: PooledProxyIdleMin connections are ready soon after the start and soon after they were lost, over all children together; a server that
# is down is tried a little. PooledProxyIdleMax.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use Test::PooledProxy::Child qw(children settles ends_clean);
use Test::PooledProxy::Config;
use Test::PooledProxy::Counter;
use Test::PooledProxy::Limits qw(limits_setup crowd_of all_answered usual_warnings);
use Test::PooledProxy::Util qw(poll_wait slowness wait_until);

my $is_prefork = Test::PooledProxy::Config::mpm() eq 'prefork';

# Connections are opened ahead of need to the servers of a group, which the configuration knows.
sub group {
    my ($settings, @servers) = @_;
    return join '', "<PooledProxyUpstream group>\n", (map { "    PooledProxyServer $_\n" } @servers), (map { "    $_\n" } split /\n/, $settings),
      "</PooledProxyUpstream>\nPooledProxyPass / upstream://group/\n";
}

sub setup { my ($counter, @args) = @_; return limits_setup($counter, children => 4, config => group(@args)) }

# One assertion: within 2 s of `since` the server has 8 connections, or some more where loops have come or gone: each keeps its share.
sub is_warm {
    my ($counter, $since, $name) = @_;
    my $warm = wait_until(4, sub { my $n = $counter->open_now; return $n >= 8 && $n <= 12 });
    my $took = time - $since;
    note(sprintf '%s: %.2f s', $name, $took);
    return ok($warm && $took < 2 * slowness(), $name) || diag($counter->open_now);
}

# One assertion: for so long there are never more.
sub stays {
    my ($counter, $seconds, $name) = @_;
    my $end = time + $seconds;
    my %seen;
    while (time < $end) { $seen{ $counter->open_now }++; poll_wait(0.02) }
    return is(join(' ', sort { $a <=> $b } keys %seen), 8, $name);
}

subtest 'ready after the start, and after each loss' => sub {
    my $counter = Test::PooledProxy::Counter->new;
    my $setup   = setup($counter, "PooledProxyIdleMin 8\nPooledProxyPoolSize 20", '$ONE');
    is_warm($counter, time, 'connections are ready 2 s after the start');
    stays($counter, 0.6, 'and not one more');
    is($setup->numbers->{idle}, 8, 'they are idle');
    is($counter->stats->{requests}, 0, 'no request was needed');
    is($setup->client->get('/')->{status}, 200, 'a request');
    is($setup->numbers->{conn_reused}, 1, '... finds one ready') if !$is_prefork;

    my $at = time;
    $counter->close_all;
    is_warm($counter, $at, 'ready again after the server has closed them');

    SKIP: {
        skip 'one process of many', 3 if $is_prefork;
        for my $n (1 .. 3) {
            my $child = (children($setup))[0];
            $at = time;
            kill KILL => $child;
            wait_until(2, sub { !grep { $_ == $child } children($setup) });
            is_warm($counter, $at, "ready again after a child was killed ($n)");
            wait_until(5, sub { children($setup) == 4 });
        }
    }
    cmp_ok($counter->most, '<=', 20, 'never more than PooledProxyPoolSize');
    settles($setup, 3);
    ends_clean($setup, qr/${\usual_warnings()}|exit signal Killed/);
    $counter->stop;
};

subtest 'ready again after a graceful restart' => sub {
    my $counter = Test::PooledProxy::Counter->new;
    my $setup   = setup($counter, "PooledProxyIdleMin 8\nPooledProxyPoolSize 20", '$ONE');
    is_warm($counter, time, 'ready after the start');
    my %old = map { $_ => 1 } children($setup);
    kill USR1 => $setup->httpd->pid;
    ok(wait_until(10, sub { my @now = children($setup); @now && !grep { $old{$_} } @now }), 'the old children end');
    is_warm($counter, time, 'ready in the new ones');
    cmp_ok($counter->most, '<=', 20, 'never more than PooledProxyPoolSize');
    ends_clean($setup, usual_warnings());
    $counter->stop;
};

subtest 'shared between the servers of a group' => sub {
    my $counter = Test::PooledProxy::Counter->new('--ports', 2);
    my $setup   = setup($counter, 'PooledProxyIdleMin 8', '$ONE', '$TWO');
    is_warm($counter, time, 'ready, both together');
    my @open = @{ $counter->stats->{open} };
    cmp_ok($open[$_], '>=', 2, 'each has some') for 0, 1;
    note("@open");
    ends_clean($setup, usual_warnings());
    $counter->stop;
};

subtest 'a server that is down costs an attempt per step, over all loops together' => sub {
    my $counter = Test::PooledProxy::Counter->new;
    $counter->refuse;
    my $setup = setup($counter, 'PooledProxyIdleMin 8', '$ONE');
    my $tries = sub { $setup->numbers->{conn_failed} };
    ok(wait_until(3, sub { $tries->() > 0 }), 'it is tried');
    my ($began, $first) = (time, $tries->());
    cmp_ok($first, '<=', 2, 'once, not by every loop');
    wait_until(10, sub { time > $began + 3.2 });
    my $more = $tries->() - $first;
    note("$more more in 3.2 s");
    cmp_ok($more, '<=', 5, 'then after 250 ms, 500 ms, and each second');
    cmp_ok($more, '>=', 3, '... in fact');

    my $at = time;
    $counter->listen_again;
    is_warm($counter, $at, 'ready soon after it came back');

    ($began, $first) = (time, $tries->());
    $counter->refuse;
    $counter->close_all;
    wait_until(10, sub { time > $began + 3.2 });
    $more = $tries->() - $first;
    note("$more in the 3.2 s after it went down");
    cmp_ok($more, '<=', 6, 'the same when it goes down later: not one for each connection lost');
    ends_clean($setup, usual_warnings());
    $counter->stop;
};

subtest 'PooledProxyIdleMax: no more are kept, over all loops together' => sub {
    my $counter = Test::PooledProxy::Counter->new;
    my $setup   = setup($counter, "PooledProxyIdleMax 5\nPooledProxyPoolSize 20", '$ONE');
    my $crowd   = crowd_of($setup, children => 4, clients => 100, each => 5, paths => ['/?ms=10']);
    ok($crowd->finish(10), 'all requests have ended');
    all_answered($crowd);
    ok(wait_until(3, sub { $counter->open_now <= 5 }), 'no more are open afterwards') || diag($counter->open_now);
    settles($setup, 3);
    my $numbers;
    ok(wait_until(3, sub { $numbers = $setup->numbers; $numbers->{idle} == $counter->open_now }), 'those that are kept') # another loop may be asked to close one
      || diag("$numbers->{idle}, " . $counter->open_now);
    cmp_ok($numbers->{idle}, '>', 0, '... some are');
    cmp_ok($numbers->{conn_closed_idle_max}, '>', 0, 'others were closed for that reason') if !$is_prefork;
    is($counter->most, 20, 'while they are needed there are as many as there may be') if !$is_prefork;
    ends_clean($setup, usual_warnings());
    $counter->stop;
};

done_testing();
