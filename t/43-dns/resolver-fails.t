# P8: resolvers that are dead, silent, or do not know the name yet.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Names;
use Test::PooledProxy::Util qw(wait_until poll_wait);
use Time::HiRes qw(time);

plan skip_all => Test::PooledProxy::Resolver::missing() if Test::PooledProxy::Resolver::missing();

my $expected = qr/dns: |dns_failed|dns_timeout|connect_refused/;

# Asks for so many seconds, every 20 ms; the answers, and the longest time one took.
sub asks {
    my ($names, $seconds) = @_;
    my ($longest, %answers) = (0);
    for (my $end = time + $seconds; time < $end; poll_wait(0.02)) {
        my ($took, $where) = $names->seconds_of;
        $longest = $took if $took > $longest;
        $answers{$where}++;
    }
    return ($longest, \%answers);
}

for my $way (qw(kill go_silent)) {
    subtest "the resolver fails ($way): what was known is used, and requests do not wait" => sub {
        my $names = Test::PooledProxy::Names->new(backends => ['127.0.0.1'], ttl => 1, records => { 'app.test' => ['127.0.0.1'] },
            config => "PooledProxyKeepAlive Off\nPooledProxyPass / \$NAMED/")->start;
        is($names->where, '127.0.0.1', 'first');
        $names->resolver->$way;
        my ($longest, $answers) = asks($names, 6);
        is_deeply([keys %$answers], ['127.0.0.1'], 'no failure');
        cmp_ok($longest, '<', 0.5, 'no request waits for the resolver');
        cmp_ok($names->numbers->{dns_stale}, '>', 10, 'stale addresses are counted');
        $names->resolver->change('app.test' => ['127.0.0.9']) if $way eq 'go_silent' && $names->resolver->go_on;
        ends_clean($names->setup, $expected);
    };
}

subtest 'stale=0: nothing is used beyond its time; the failure is told' => sub {
    my $names = Test::PooledProxy::Names->new(backends => ['127.0.0.1'], ttl => 1, records => { 'app.test' => ['127.0.0.1'] },
        config => "PooledProxyDNSTTL record stale=0\nPooledProxyKeepAlive Off\nPooledProxyPass / \$NAMED/")->start;
    is($names->where, '127.0.0.1', 'first');
    $names->resolver->kill;
    cmp_ok($names->seconds_until('503', 6) // 99, '<=', 4, '503 when the time is over');
    $names->resolver->run;
    cmp_ok($names->seconds_until('127.0.0.1', 4) // 99, '<=', 2, 'well again within 2 s');
    ends_clean($names->setup, $expected);
};

subtest 'a name that does not exist at the start' => sub {
    my $names = Test::PooledProxy::Names->new(backends => ['127.0.0.1'], records => { 'other.test' => ['127.0.0.1'] },
        config => "PooledProxyPass /none/ \$NAMED/\nPooledProxyPass / http://127.0.0.1:1/");
    my ($ok, $output) = $names->setup->configtest;
    ok($ok, 'configtest passes') or diag($output);
    $names->start;
    is($names->where('/none/where'), 503, 'that route answers 503');
    my ($took) = $names->seconds_of('/none/where');
    cmp_ok($took, '<', 0.1, '... at once, while that is known');
    poll_wait(1.5);
    is($names->where('/none/where'), 503, '... and again later');
    $names->resolver->change('app.test' => ['127.0.0.1']);
    my $began = time;
    ok(wait_until(4, sub { $names->where('/none/where') eq '127.0.0.1' }), 'it exists: well');
    cmp_ok(my $seconds = time - $began, '<=', 2, '... within 2 s');
    note(sprintf 'after %.2f s', $seconds);
    ends_clean($names->setup, $expected);
};

subtest 'a name that ceases to exist' => sub {
    my $names = Test::PooledProxy::Names->new(backends => ['127.0.0.1'], records => { 'app.test' => ['127.0.0.1'] }, ttl => 1)->start;
    is($names->where, '127.0.0.1', 'first');
    $names->resolver->change('app.test' => []);
    ok(defined $names->seconds_until('503', 3), 'NXDOMAIN is an answer: 503');
    cmp_ok($names->numbers->{dns_failed}, '>=', 1, '... which is counted');
    is($names->numbers->{dns_stale}, 0, '... and nothing stale is used');
    ends_clean($names->setup, $expected);
};

done_testing();
