# RFC 8305: names with addresses of both families, and addresses that swallow everything.
use strict;
use warnings;
use IO::Socket::IP;
use Test::More;
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Names;
use Test::PooledProxy::Util qw(wait_until);
use Time::HiRes qw(time);

plan skip_all => Test::PooledProxy::Resolver::missing() if Test::PooledProxy::Resolver::missing();
my $no_ipv6 = Test::PooledProxy::Names::has_ipv6() ? undef : 'this machine has no ::1';
my $expected = qr/dns: |connect_refused|connect_timeout/;
my $fresh = "PooledProxyKeepAlive Off\nPooledProxyPass / \$NAMED/";

# A listener at the address whose backlog is full: the kernel answers no more.
sub hole {
    my ($address, $port) = @_;
    my $listener = IO::Socket::IP->new(LocalAddr => $address, LocalPort => $port, Listen => 1, ReuseAddr => 1) or die "listen on $address: $!";
    return [$listener, map { IO::Socket::IP->new(PeerAddr => $address, PeerPort => $port, Blocking => 0) } 1 .. 4];
}

# How many of so many requests took longer than 200 ms, and the longest.
sub slow_ones {
    my ($names, $n) = @_;
    my ($slow, $longest, %answers) = (0, 0);
    for (1 .. $n) {
        my ($took, $where) = $names->seconds_of;
        $slow++ if $took > 0.2;
        $longest = $took if $took > $longest;
        $answers{$where}++;
    }
    return ($slow, $longest, \%answers);
}

subtest 'both families are used' => sub {
    plan skip_all => $no_ipv6 if $no_ipv6;
    my $names = Test::PooledProxy::Names->new(backends => ['127.0.0.1', '::1'], records => { 'app.test' => ['127.0.0.1', '::1'] }, config => $fresh)->start;
    my (undef, $longest, $answers) = slow_ones($names, 10);
    is_deeply($answers, { '127.0.0.1' => 5, '::1' => 5 }, 'in turn');
    cmp_ok($longest, '<', 0.2, 'without delay');
    ends_clean($names->setup, $expected);
};

subtest 'an IPv6 address that refuses costs nothing' => sub {
    plan skip_all => $no_ipv6 if $no_ipv6;
    my $names = Test::PooledProxy::Names->new(backends => ['127.0.0.1'], records => { 'app.test' => ['127.0.0.1', '::1'] }, config => $fresh)->start;
    my ($slow, $longest, $answers) = slow_ones($names, 10);
    is_deeply($answers, { '127.0.0.1' => 10 }, 'the other is taken');
    is($slow, 0, 'at once') or diag($longest);
    is($names->numbers->{conn_failed}, 0, 'no opening failed');
    ends_clean($names->setup, $expected);
};

subtest 'an IPv6 address that swallows everything costs < 400 ms, once' => sub {
    plan skip_all => $no_ipv6 if $no_ipv6;
    my $names = Test::PooledProxy::Names->new(backends => ['127.0.0.1'], records => { 'app.test' => ['127.0.0.1', '::1'] }, config => $fresh);
    my $hole = hole('::1', $names->{port});
    $names->start;
    my ($slow, $longest, $answers) = slow_ones($names, 20);
    is_deeply($answers, { '127.0.0.1' => 20 }, 'the other is taken');
    cmp_ok($slow, '<=', 1, 'one request is slower');
    cmp_ok($longest, '<', 0.4, '... by less than 400 ms');
    note(sprintf 'the slowest took %.3f s', $longest);
    settles($names->setup, 2, 'nothing is left of what lost');
    is($names->numbers->{conn_opened}, 20, 'what lost does not count as opened');
    ends_clean($names->setup, $expected);
};

subtest 'one of several IPv4 addresses that swallows everything: the same' => sub {
    my $names = Test::PooledProxy::Names->new(backends => ['127.0.0.1', '127.0.0.3'], records => { 'app.test' => ['127.0.0.1', '127.0.0.2', '127.0.0.3'] }, config => $fresh);
    my $hole = hole('127.0.0.2', $names->{port});
    $names->start;
    my ($slow, $longest, $answers) = slow_ones($names, 20);
    is_deeply([sort keys %$answers], ['127.0.0.1', '127.0.0.3'], 'the others are taken');
    cmp_ok($slow, '<=', 1, 'one request is slower');
    cmp_ok($longest, '<', 0.4, '... by less than 400 ms');
    ends_clean($names->setup, $expected);
};

subtest 'PooledProxyPoolSize holds for what races, too' => sub {
    my $names = Test::PooledProxy::Names->new(backends => ['127.0.0.1'], records => { 'app.test' => ['127.0.0.1', '127.0.0.2'] },
        config => "PooledProxyPoolSize 1\nPooledProxyTimeout connect=2s\n$fresh");
    my $hole = hole('127.0.0.2', $names->{port});
    $names->start;
    my $longest = 0;
    for (1 .. 4) {
        my ($took, $where) = $names->seconds_of;
        is($where, '127.0.0.1', 'answered');
        $longest = $took if $took > $longest;
        last if $longest > 0.2;
    }
    cmp_ok($longest, '>', 0.9, 'with one connection allowed, the slow address is given up before the next is tried');
    cmp_ok($longest, '<', 1.5, '... after half of the time');
    ends_clean($names->setup, $expected);
};

done_testing();
