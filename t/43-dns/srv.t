# srv+http://: services, whose SRV records say where they are (RFC 2782).
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Names;
use Test::PooledProxy::Util qw(wait_until);

plan skip_all => Test::PooledProxy::Resolver::missing() if Test::PooledProxy::Resolver::missing();

my $expected = qr/dns: |dns_failed|connect_refused/;
my @all      = map { "127.0.0.$_" } 1 .. 3;
my %hosts    = map { ("b$_.test" => ["127.0.0.$_"]) } 1 .. 3;
my $fresh    = "PooledProxyKeepAlive Off\nPooledProxyPass / srv+http://_api._tcp.app.test/";

sub names { my (%args) = @_; return Test::PooledProxy::Names->new(records => {%hosts}, config => $fresh, %args)->start }

sub count { my ($names, $n) = @_; my %seen; $seen{ $names->where }++ for 1 .. $n; return \%seen }

subtest 'a service: port, host and weight are those of its records' => sub {
    my $names = names(backends => \@all, srv => [['_api._tcp.app.test', 'b1.test', 'PORT', 10, 30], ['_api._tcp.app.test', 'b2.test', 'PORT', 10, 10],
        ['_api._tcp.app.test', 'b3.test', 'PORT', 20, 100]]);
    my $seen = count($names, 80);
    is_deeply([sort keys %$seen], ['127.0.0.1', '127.0.0.2'], 'those of the lower priority');
    cmp_ok($seen->{'127.0.0.1'}, '>', $seen->{'127.0.0.2'}, 'more where the weight is more') or diag(explain($seen));
    like($names->setup->client->get('/echo')->{body}, qr/^Host: app\.test\r?$/mi, 'Host is the domain of the service');
    settles($names->setup, 2);
    ends_clean($names->setup, $expected);
};

subtest 'the higher priority is the backup' => sub {
    my $names = names(backends => ['127.0.0.3'], srv => [['_api._tcp.app.test', 'b1.test', 'PORT', 10, 1], ['_api._tcp.app.test', 'b3.test', 'PORT', 20, 1]]);
    is_deeply(count($names, 5), { '127.0.0.3' => 5 }, 'used when the others refuse');
    ends_clean($names->setup, $expected);
};

subtest 'the records change' => sub {
    my $names = names(backends => \@all, srv => [['_api._tcp.app.test', 'b1.test', 'PORT', 1, 1]], config => 'PooledProxyPass / srv+http://_api._tcp.app.test/');
    is($names->where, '127.0.0.1', 'first');
    $names->resolver->{srv}[0][1] = 'b2.test';
    $names->resolver->restart;
    ok(defined $names->seconds_until('127.0.0.2', 3), 'another host');
    $names->resolver->change('b2.test' => ['127.0.0.3']);
    ok(defined $names->seconds_until('127.0.0.3', 3), 'another address of that');
    is($names->numbers->{conn_closed_address_gone}, 2, 'idle connections are closed for it');
    ends_clean($names->setup, $expected);
};

subtest 'a service that is not there yet, and one of a group' => sub {
    my $names = names(backends => \@all, config => <<'END');
<PooledProxyUpstream group>
    PooledProxyServer srv+http://_api._tcp.app.test
    PooledProxyServer http://b3.test:1 backup
</PooledProxyUpstream>
PooledProxyPass / upstream://group/
END
    is($names->where, 502, 'neither it nor the backup');
    $names->resolver->{srv} = [['_api._tcp.app.test', 'b1.test', $names->{port}, 1, 1]];
    $names->resolver->restart;
    ok(wait_until(3, sub { $names->where eq '127.0.0.1' }), 'it is there');
    ends_clean($names->setup, $expected);
};

subtest 'hosts that have no addresses are left out' => sub {
    my $names = names(backends => \@all, srv => [['_api._tcp.app.test', 'b1.test', 'PORT', 1, 1], ['_api._tcp.app.test', 'none.test', 'PORT', 0, 9]]);
    is_deeply(count($names, 5), { '127.0.0.1' => 5 }, 'the other is used');
    ends_clean($names->setup, $expected);
};

done_testing();
