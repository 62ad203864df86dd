# P6: the limits hold, and are used, while processes come and go: one is killed; a graceful restart, with the same size or another.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use Test::PooledProxy::Child qw(children descriptors settles ends_clean);
use Test::PooledProxy::Config;
use Test::PooledProxy::Counter;
use Test::PooledProxy::Limits qw(limits_setup reconfigure crowd_of usual_warnings);
use Test::PooledProxy::Util qw(slowness);

my $is_event   = Test::PooledProxy::Config::mpm() eq 'event';
my $is_prefork = Test::PooledProxy::Config::mpm() eq 'prefork';
my ($size, $smaller, $greater) = $is_prefork ? (8, 4, 12) : (20, 10, 30);

sub config { my ($n) = @_; return "PooledProxyPoolSize $n\nPooledProxyPass / \$ONE/\n" }

# An httpd of 4 children with its limit in use, under clients that do not stop to ask.
sub pressed {
    my (%args) = @_;
    my $counter = Test::PooledProxy::Counter->new;
    my $setup   = limits_setup($counter, children => 4, config => config($size), main_config => "KeepAliveTimeout 2\n");
    my $crowd   = crowd_of($setup, children => 4, clients => 200, each => 0, paths => ['/?ms=20'], %args);
    ok($crowd->run_until(10, sub { $crowd->answered > 400 && $counter->open_now == $size }), 'the limit is in use');
    return ($counter, $setup, $crowd);
}

sub ends {
    my ($counter, $setup, $crowd, $expected) = @_;
    $crowd->stop;
    ok($crowd->finish(10), 'the clients end');
    is_deeply([keys %{ $crowd->statuses }], [200], 'every answer was a 200');
    settles($setup, 3);
    ends_clean($setup, $expected);
    $counter->stop;
    return;
}

subtest 'a child is killed' => sub {
    plan skip_all => 'one client of each' if $is_prefork;
    my ($counter, $setup, $crowd) = pressed(comes_back => 1);
    for my $n (1 .. 3) {
        my ($accepts, $lost, $at) = ($counter->accepts, $crowd->came_back, time);
        kill KILL => (sort { descriptors($b) <=> descriptors($a) } children($setup))[0]; # who has most clients
        my $is_full = sub { my $now = $counter->stats; return $now->{open}[-1] == $size && $now->{accepts}[-1] > $accepts };
        ok($crowd->run_until(5, sub { $crowd->came_back > $lost && $is_full->() }), "the limit is in use again, by new connections ($n)");
        my $took = time - $at;
        cmp_ok($took, '<', 1 * slowness(), '... within a second');
        note(sprintf '%.3f s, %d clients lost', $took, $crowd->came_back - $lost);
        ok($crowd->run_until(5, sub { children($setup) == 4 }), '... there is another child');
    }
    is($counter->most, $size, 'never more than the limit');
    ends($counter, $setup, $crowd, qr/${\usual_warnings()}|exit signal Killed/);
};

# Other MPMs than event close idle connections of clients at a restart without having said so; event does so with one now and then on which
# the next request is just coming.
subtest 'a graceful restart' => sub {
    my ($counter, $setup, $crowd) = pressed(comes_back => 1);
    for my $n (1 .. 2) {
        ok(reconfigure($setup, $counter, $crowd, config($size)), "the old children end ($n)");
        ok($crowd->run_until(12, sub { $counter->open_now == $size }), '... the limit is in use');
    }
    is($counter->most, $size, 'never more than the limit, over all generations');
    is_deeply($crowd->failures, {}, 'no request failed');
    cmp_ok($crowd->came_back, '<=', 5, '... and hardly one had to be sent again by its client') if $is_event;
    ends($counter, $setup, $crowd, usual_warnings());
};

subtest 'a graceful restart with another size' => sub {
    my ($counter, $setup, $crowd) = pressed(comes_back => 1);
    ok(reconfigure($setup, $counter, $crowd, config($smaller)), 'a smaller one: the old children end');
    cmp_ok($counter->open_now, '<=', $smaller, 'no more than the smaller size is left with them');
    is($counter->most, $size, 'never more than the greater one till then');
    $counter->mark;
    my $answered = $crowd->answered;
    ok($crowd->run_until(12, sub { $crowd->answered > $answered + 200 && $counter->open_now == $smaller }), 'the smaller size is in use');
    is($counter->most, $smaller, 'never more than that from then on');

    ok(reconfigure($setup, $counter, $crowd, config($greater)), 'a greater one: the old children end');
    ok($crowd->run_until(12, sub { $counter->open_now == $greater }), 'a greater size is in use');
    is($counter->most, $greater, 'never more than that');
    is_deeply($crowd->failures, {}, 'no request failed');
    ends($counter, $setup, $crowd, usual_warnings());
};

done_testing();
