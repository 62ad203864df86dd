# P6: limits are exact over all children and their loops, while thousands of requests press on them: the servers count.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Config;
use Test::PooledProxy::Counter;
use Test::PooledProxy::Limits qw(limits_setup crowd_of all_answered usual_warnings);

my @servers = ('the first server', 'the second', 'both together');

# limits: what the servers may see at most, in the order of @servers.
sub holds {
    my ($name, %args) = @_;
    subtest $name => sub {
        my $counter = Test::PooledProxy::Counter->new('--ports', 2);
        my $setup   = limits_setup($counter, %args);
        my $crowd   = crowd_of($setup, children => $args{children}, clients => 400, each => 6, paths => $args{paths} // ['/?ms=8']);
        ok($crowd->finish(20), 'all requests have ended');
        all_answered($crowd);
        my $saw = $counter->stats->{most};
        for my $i (grep { defined $args{limits}[$_] } 0 .. $#servers) {
            is($saw->[$i], $args{limits}[$i], "connections that $servers[$i] saw at once: as many as the limit, no more");
        }
        note($crowd->answered . ' requests, ' . $counter->accepts . ' connections in all');
        settles($setup, 3);
        ends_clean($setup, usual_warnings());
        $counter->stop;
    };
    return;
}

holds('PooledProxyPoolSize, 4 children', children => 4, limits => [20], config => <<'END');
PooledProxyPoolSize 20
PooledProxyPass / $ONE/
END

if (Test::PooledProxy::Config::mpm() eq 'event') { # the others do not serve as many clients at once
    holds('PooledProxyPoolSize, 8 children', children => 8, limits => [100], paths => ['/?ms=40'], config => <<'END');
PooledProxyPoolSize 100
PooledProxyPass / $ONE/
END
}

holds('of two servers in one pool', children => 4, limits => [undef, undef, 12], paths => ['/one?ms=8', '/two?ms=8'], config => <<'END');
PooledProxyPoolSize 12
PooledProxyPass /one $ONE/
PooledProxyPass /two $TWO/
END

holds('PooledProxyHostLimit', children => 4, limits => [6, 6], paths => ['/one?ms=8', '/two?ms=8'], config => <<'END');
PooledProxyPoolSize 20
PooledProxyHostLimit 6
PooledProxyPass /one $ONE/
PooledProxyPass /two $TWO/
END

holds('limit= of one server of two', children => 4, limits => [3, 9], config => <<'END');
<PooledProxyUpstream group>
    PooledProxyServer $ONE limit=3
    PooledProxyServer $TWO
    PooledProxyPoolSize 40
    PooledProxyHostLimit 9
</PooledProxyUpstream>
PooledProxyPass / upstream://group/
END

holds('PooledProxyKeepAlive Off', children => 8, limits => [8], config => <<'END');
PooledProxyPoolSize 8
PooledProxyKeepAlive Off
PooledProxyPass / $ONE/
END

if (!$ENV{MPM}) {
    local $ENV{MPM} = 'prefork';
    holds('32 processes of prefork', children => 4, limits => [5], config => <<'END');
PooledProxyPoolSize 5
PooledProxyPass / $ONE/
END
}

done_testing();
