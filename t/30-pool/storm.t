# P16: a server comes back and finds thousands of waiters: connections to it are made a few at a time, over all children together.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Config;
use Test::PooledProxy::Counter;
use Test::PooledProxy::Limits qw(limits_setup crowd_of all_answered usual_warnings handshakes);

plan skip_all => 'the other MPMs do not serve as many clients at once' if Test::PooledProxy::Config::mpm() ne 'event';

use constant { WAITERS => $ENV{VALGRIND} || $ENV{SANITIZE} ? 300 : 1500, MOST => 5 };

# A watch on handshakes: `now` is a look. The kernel does not count at one moment, but what it has twice was there all the time between.
sub watch {
    my ($port) = @_;
    my $self = { most => 0, looks => 0, seen => {} };
    $self->{now} = sub {
        my %now = map { $_ => 1 } handshakes($port);
        my $both = grep { $self->{seen}{$_} } keys %now;
        $self->{most} = $both if $both > $self->{most};
        $self->{seen} = \%now;
        $self->{looks}++;
        return scalar keys %now;
    };
    return $self;
}

my $config = "PooledProxyPoolSize 200\nPooledProxyQueue 5000\nPooledProxyTimeout pool=30s connect=20s\nPooledProxyMaxConnecting ${\MOST}\n"
  . "PooledProxyPass / \$ONE/\n";

subtest 'a server whose backlog is full, then takes connections again' => sub {
    my $counter = Test::PooledProxy::Counter->new('--backlog', 1);
    my $setup   = limits_setup($counter, children => 4, config => $config);
    my $watch   = watch($counter->port);
    $counter->let_wait;
    my $crowd = crowd_of($setup, children => 4, clients => WAITERS, paths => ['/']);
    ok($crowd->run_until(15, sub { $setup->numbers->{waiting} >= WAITERS - 2 * MOST && $watch->{now}->() == MOST }), 'all wait');
    my $looks = $watch->{looks} + 20;
    $crowd->run_until(5, sub { $watch->{now}->(); $watch->{looks} > $looks });
    $counter->accept_again;
    ok($crowd->run_until(25, sub { $watch->{now}->(); !$crowd->open_now }), 'all are answered');
    is($watch->{most}, MOST, 'handshakes in flight: PooledProxyMaxConnecting over all children, no more');
    note("$watch->{looks} looks, " . $counter->accepts . ' connections');
    all_answered($crowd);
    cmp_ok($counter->most, '<=', 200, 'connections at most');
    settles($setup, 3);
    unlike($setup->httpd->error_log, qr/EADDRNOTAVAIL|Cannot assign requested address/, 'no lack of ports');
    ends_clean($setup, usual_warnings());
    $counter->stop;
};

# With fresh connections only each request is a handshake; none that is refused a permit may be lost.
subtest 'each request needs a handshake of its own' => sub {
    my $counter = Test::PooledProxy::Counter->new;
    my $setup   = limits_setup($counter, children => 4, config => "PooledProxyKeepAlive Off\n$config");
    my $crowd   = crowd_of($setup, children => 4, clients => WAITERS, each => 2, paths => ['/']);
    ok($crowd->finish(20), 'all are answered');
    all_answered($crowd);
    is($counter->accepts, 2 * WAITERS, 'each by a connection of its own');
    cmp_ok($counter->most, '<=', 200, 'connections at most');
    settles($setup, 3);
    unlike($setup->httpd->error_log, qr/EADDRNOTAVAIL|Cannot assign requested address/, 'no lack of ports');
    ends_clean($setup, usual_warnings());
    $counter->stop;
};

done_testing();
