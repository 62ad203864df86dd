# PooledProxyHostLimit auto: as many connections as the server has workers, about, and all its workers are busy.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Config;
use Test::PooledProxy::Counter;
use Test::PooledProxy::Limits qw(limits_setup crowd_of all_answered usual_warnings);
use Time::HiRes qw(time);

plan skip_all => 'the other MPMs do not serve as many clients at once' if Test::PooledProxy::Config::mpm() ne 'event';
plan skip_all => 'latency means nothing under valgrind' if $ENV{VALGRIND};

use constant { CLIENTS => 120, WORKERS => 8, SERVICE => 20 };    # ms

# Seconds go by while the crowd presses; returns how many were answered in each.
sub press {
    my ($crowd, $seconds) = @_;
    my ($end, $before) = (time + $seconds, $crowd->answered);
    $crowd->run_until(2 * $seconds, sub { time >= $end });
    return ($crowd->answered - $before) / $seconds;
}

sub try_limit {
    my ($name, $limit, $check) = @_;
    subtest $name => sub {
        my $counter = Test::PooledProxy::Counter->new('--workers', WORKERS);
        my $setup   = limits_setup($counter, children => 2, config => "PooledProxyPoolSize 200\nPooledProxyTimeout pool=30s\n"
              . "PooledProxyHostLimit $limit\nPooledProxyPass / \$ONE/\n");
        my $crowd = crowd_of($setup, children => 2, clients => CLIENTS, each => 0, paths => [ '/?ms=' . SERVICE ]);
        press($crowd, 4);
        $counter->mark;
        my $rate = press($crowd, 2);
        note("at most " . $counter->most . " connections, $rate requests/s");
        $check->($counter, $rate);
        $crowd->stop;
        ok($crowd->finish(10), 'all are answered');
        all_answered($crowd);
        settles($setup, 5);
        ends_clean($setup, usual_warnings());
        $counter->stop;
    };
    return;
}

try_limit('without it all go to the server, and wait there', 0, sub { cmp_ok($_[0]->most, '==', CLIENTS, 'connections') });
try_limit('it follows the latency', 'auto', sub {
    my ($counter, $rate) = @_;
    cmp_ok($counter->most, '<=', 3 * WORKERS, 'connections, of ' . CLIENTS . ' clients that press');
    cmp_ok($rate, '>=', 0.6 * WORKERS * 1000 / SERVICE, 'the workers have enough to do');
});
try_limit('within bounds', 'auto:30-50', sub {
    cmp_ok($_[0]->most, '>=', 30, 'not fewer than MIN');
    cmp_ok($_[0]->most, '<=', 50, 'not more than MAX');
});

done_testing();
