# PooledProxyIdleMin is for the servers that the configuration leads to, and for no others: without any request connections are ready.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until);

# The gauge `idle` of each pool with routes, once it is what is expected.
sub warms {
    my ($name, $expected, %args) = @_;
    my $setup = Test::PooledProxy::Setup->new(backend => 1, upstream => {}, %args)->start;
    my $seen = '';
    my $ok = wait_until(5, sub {
        my %idle = map { $_->{name} =~ s/:\d+$//r => $_->{idle} } grep { $_->{idle} } @{ $setup->status->{pools} };
        return ($seen = join ' ', map { "$_=$idle{$_}" } sort keys %idle) eq $expected;
    });
    ok($ok, $name) or diag("$seen instead of $expected");
    is(join("\n", $setup->stop), '', '... httpd ends as it should');
    return;
}

my $backend = 'http://127.0.0.1:$BACKEND_PORT';
warms('a route', 'front.test=3', config => "PooledProxyIdleMin 3\nPooledProxyPass / $backend/");
warms('a handler', 'front.test=3', config => "PooledProxyIdleMin 3\n<Location />\nSetHandler pooledproxy:$backend/\n</Location>");
warms('an upstream; not where its server drains, nor where it is not in use', 'api=2', config => <<"END");
PooledProxyIdleMin 2
<PooledProxyUpstream api>
    PooledProxyServer $backend/
    PooledProxyServer http://127.0.0.1:1/ drain
</PooledProxyUpstream>
<PooledProxyUpstream drained>
    PooledProxyServer $backend/ drain
</PooledProxyUpstream>
PooledProxyPass /api upstream://api/
PooledProxyPass /drained upstream://drained/
END
warms('where PooledProxy is On', 'front.test=3', config => "PooledProxyIdleMin 3\nPooledProxyPass / $backend/",
    vhosts => "<VirtualHost 127.0.0.1:\$PORT>\nServerName off.test\nPooledProxy Off\nPooledProxyIdleMin 3\nPooledProxyPass / $backend/\n</VirtualHost>");

done_testing();
