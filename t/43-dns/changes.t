# P8: names whose records change while requests run.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Crowd;
use Test::PooledProxy::Names;
use Test::PooledProxy::Util qw(wait_until);
use Time::HiRes qw(time);

plan skip_all => Test::PooledProxy::Resolver::missing() if Test::PooledProxy::Resolver::missing();

my @both = ('127.0.0.1', '127.0.0.2');
my $expected = qr/dns: |dns_failed|dns_timeout|connect_refused|reached MaxRequestWorkers/;

subtest 'a record changes: new connections go to the new address, idle ones to the old are closed' => sub {
    my $names = Test::PooledProxy::Names->new(backends => \@both, ttl => 2, records => { 'app.test' => ['127.0.0.1'] })->start;
    is($names->where, '127.0.0.1', 'the first request goes to the first address');
    my $slow = $names->setup->client->send_request(GET => '/where?ms=5000');
    is($names->where, '127.0.0.1', 'another, beside one that takes long');
    $names->resolver->change('app.test' => ['127.0.0.2']);
    my $seconds = $names->seconds_until('127.0.0.2', 5);
    cmp_ok($seconds, '<', 3, 'requests go to the new one within TTL + 1 s');
    note(sprintf 'after %.2f s of a TTL of 2 s', $seconds);
    my $numbers = $names->numbers;
    cmp_ok($numbers->{conn_closed_address_gone}, '>=', 1, 'the idle connection to the old one is closed');
    is($slow->read_response('GET')->{body}, '127.0.0.1', 'the request in flight is not touched');
    is($names->numbers->{conn_closed_address_gone}, $numbers->{conn_closed_address_gone} + 1, '... its connection is closed afterwards');
    is($names->where, '127.0.0.2', 'and nothing goes to the old one any more');
    settles($names->setup, 2);
    ends_clean($names->setup, $expected);
};

subtest 'an idle connection is closed though nobody asks' => sub {
    my $names = Test::PooledProxy::Names->new(backends => \@both, ttl => 1, records => { 'app.test' => ['127.0.0.1'] })->start;
    $names->where;
    $names->resolver->change('app.test' => ['127.0.0.2']);
    ok(wait_until(3, sub { $names->numbers->{conn_closed_address_gone} }), 'by reason address_gone');
    is($names->numbers->{idle}, 0, 'none is left');
    $names->resolver->change('app.test' => []);
    is($names->numbers->{requests}, 1, 'and no request was needed');
    ends_clean($names->setup, $expected);
};

subtest 'PooledProxyDNSTTL T holds to its end' => sub {
    my $names = Test::PooledProxy::Names->new(backends => \@both, records => { 'app.test' => ['127.0.0.1'] },
        config => "PooledProxyDNSTTL 4s\nPooledProxyKeepAlive Off\nPooledProxyPass / \$NAMED/")->start;
    my $began = time;
    is($names->where, '127.0.0.1', 'the first request');
    my $known = time;
    $names->resolver->change('app.test' => ['127.0.0.2']);
    ok(defined $names->seconds_until('127.0.0.2', 8), 'the new address is used in the end');
    cmp_ok(time - $began, '>=', 3.9, '... not before the time is over');
    cmp_ok(time - $known, '<', 5, '... and soon after it');
    ends_clean($names->setup, $expected);
};

subtest 'records change again and again under load, and nobody notices' => sub {
    my $names = Test::PooledProxy::Names->new(backends => [@both, '127.0.0.3'], ttl => 0, records => { 'app.test' => ['127.0.0.1'] },
        config => "PooledProxyDNSTTL record min=20ms\nPooledProxyPass / \$NAMED/")->start;
    my $crowd = Test::PooledProxy::Crowd->new(port => $names->setup->httpd->port, clients => 20, each => 0,
        request => "GET /where HTTP/1.1\r\nHost: front.test\r\n\r\n");
    my ($flips, $end) = (0, time + 5);
    while (time < $end) {
        $names->resolver->change('app.test' => [map { '127.0.0.' . (1 + ($flips + $_) % 3) } 0 .. $flips % 2]);
        $flips++;
        $crowd->turn(0.005);
    }
    $crowd->stop;
    ok($crowd->finish(10), 'all end');
    is_deeply([keys %{ $crowd->statuses }], [200], 'all are answered') or diag(explain($crowd->statuses, $crowd->failures));
    is_deeply($crowd->failures, {}, 'nothing fails');
    my $numbers = $names->numbers;
    cmp_ok($numbers->{conn_closed_address_gone}, '>', 10, 'connections were given up for it');
    note("$flips flips, " . $crowd->answered . " requests, $numbers->{dns_lookups} lookups, $numbers->{conn_closed_address_gone} closed");
    settles($names->setup, 2);
    ends_clean($names->setup, $expected);
};

subtest 'all addresses of a name are used' => sub {
    my $names = Test::PooledProxy::Names->new(backends => [@both, '127.0.0.3'], records => { 'app.test' => [@both, '127.0.0.3'] },
        config => "PooledProxyKeepAlive Off\nPooledProxyPass / \$NAMED/")->start;
    my %seen;
    $seen{ $names->where }++ for 1 .. 30;
    is_deeply(\%seen, { '127.0.0.1' => 10, '127.0.0.2' => 10, '127.0.0.3' => 10 }, 'in turn');
    ends_clean($names->setup, $expected);
};

done_testing();
