# How many connections there may be, and what becomes of the requests that want more.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until);

my $one_loop = ($ENV{MPM} // 'event') ne 'prefork'; # each child of prefork has a loop, and limits, of its own

# 30 clients at once, each with a request that takes 50 ms: what the backend saw of them.
sub crowd {
    my ($config, @more) = @_;
    my $setup = Test::PooledProxy::Setup->new(backend => 1, config => $config, timeout => 10, @more)->start;
    my @clients = map { $setup->client->send_request(GET => '/slow?ms=50&n=5') } 1 .. 30;
    my %statuses;
    $statuses{ $_->read_response('GET')->{status} }++ for @clients;
    my $seen = $setup->backend->stats;
    my $numbers = $setup->numbers;
    $_->close for @clients;
    is(join("\n", $setup->stop), '', 'ends as it should');
    return (\%statuses, $seen, $numbers);
}

sub limit_holds {
    my ($name, $most, $config) = @_;
    subtest $name => sub {
        my ($statuses, $seen, $numbers) = crowd($config);
        is_deeply($statuses, { 200 => 30 }, 'all are answered');
        is($seen->{max_open}, $most, 'connections at the backend at most');
        is($seen->{max_active}, $most, 'requests at once');
        is($seen->{accepts}, $most, 'connections made');
        return if $most >= 16; # as many as there are threads
        cmp_ok($numbers->{requests_queued}, '<=', 30 - $most, 'requests that had to wait'); # fewer where 16 threads hold up the others
        cmp_ok($numbers->{requests_queued}, '>=', 16 - $most, '... at least');
    };
    return;
}

if ($one_loop) {
    limit_holds('PooledProxyPoolSize is exact', 4, <<'END');
PooledProxyPoolSize 4
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
END
    limit_holds('PooledProxyPoolSize is exact for threads that wait', 4, <<'END');
PooledProxyAsync Off
PooledProxyPoolSize 4
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
END
    limit_holds('PooledProxyHostLimit is exact', 3, <<'END');
PooledProxyPoolSize 10
PooledProxyHostLimit 3
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
END
    limit_holds('limit= of a server is exact', 2, <<'END');
<PooledProxyUpstream group>
    PooledProxyServer http://127.0.0.1:$BACKEND_PORT limit=2
    PooledProxyPoolSize 10
    PooledProxyHostLimit 5
</PooledProxyUpstream>
PooledProxyPass / upstream://group/
END
    limit_holds('PooledProxyMaxConnecting is no limit of connections', ($ENV{MPM} // 'event') eq 'event' ? 30 : 16, <<'END');
PooledProxyMaxConnecting 1
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
END

    subtest 'with PooledProxyKeepAlive Off, too' => sub {
        my ($statuses, $seen) = crowd("PooledProxyPoolSize 4\nPooledProxyKeepAlive Off\n" . 'PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/');
        is_deeply($statuses, { 200 => 30 }, 'all are answered');
        cmp_ok($seen->{max_active}, '<=', 4, 'requests at once');
        is($seen->{accepts}, 30, 'connections made');
    };
}

run_tests();

__DATA__

=== those who wait are served in the order in which they came
--- mpm: event worker
--- config
PooledProxyPoolSize 1
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /1
await all_wait
send 200 "1"
expect GET /2
send 200 "2"
expect GET /3
send 200 "3"
expect GET /4
send 200 "4"
--- dialog
connect a
request GET /1
stats busy 1
connect b
request GET /2
stats waiting 1
connect c
request GET /3
stats waiting 2
connect d
request GET /4
stats waiting 3
tell all_wait
use d
read_head 200
read "4"
use c
read_head 200
read "3"
use b
read_head 200
read "2"
use a
read_head 200
read "1"
--- stats
conn_opened 1
conn_reused 3
requests_queued 3
requests_failed 0

=== a full queue: 503 with Retry-After at once
--- mpm: event worker
--- config
PooledProxyPoolSize 1
PooledProxyQueue 1
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /1
await refused
send 200 "1"
expect GET /2
send 200 "2"
--- dialog
connect a
request GET /1
stats busy 1
connect b
request GET /2
stats waiting 1
connect c
request GET /3
read_head 503
header Retry-After: ~^\d+$
took 0 0.01
tell refused
use a
read_head 200
read "1"
use b
read_head 200
read "2"
--- env
GET /3 503 POOLEDPROXY_REASON=pool_full
--- error_log
pool_full

=== PooledProxyQueue 0: nobody waits
--- mpm: event worker
--- config
PooledProxyPoolSize 2
PooledProxyQueue 0
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept a
expect GET /1
accept b
expect GET /2
await refused
send 200 "2"
use a
send 200 "1"
--- dialog
connect a
request GET /1
connect b
request GET /2
stats busy 2
connect c
request GET /3
read_head 503
took 0 0.01
tell refused
use a
read_head 200
read "1"
use b
read_head 200
read "2"
--- env
GET /3 503 POOLEDPROXY_REASON=pool_full
--- error_log
pool_full

=== who waits too long gets 503, and the others move up
--- mpm: event worker
--- config
PooledProxyPoolSize 1
PooledProxyTimeout pool=5
PooledProxyPass /short http://127.0.0.1:$UPSTREAM_PORT/short timeout.pool=200ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /1
await timed_out
send 200 "1"
expect GET /3
send 200 "3"
--- dialog
connect a
request GET /1
stats busy 1
connect b
request GET /short
stats waiting 1
connect c
request GET /3
use b
read_head 503
header Retry-After: ~^\d+$
stats waiting 1
tell timed_out
use a
read_head 200
read "1"
use c
read_head 200
read "3"
--- env
GET /short 503 POOLEDPROXY_REASON=pool_timeout
--- error_log
pool_timeout

=== a client that gives up in the queue leaves it
--- mpm: event worker
--- config
PooledProxyPoolSize 1
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /1
await gone
send 200 "1"
expect GET /3
send 200 "3"
--- dialog
connect a
request GET /1
stats busy 1
connect b
request GET /2
stats waiting 1
connect c
request GET /3
stats waiting 2
use b
close
stats waiting 1
tell gone
use a
read_head 200
read "1"
use c
read_head 200
read "3"
--- env
GET /2 POOLEDPROXY_REASON=client_gone

=== one that closes makes room for the next in the queue
--- mpm: event worker
--- config
PooledProxyPoolSize 1
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /1
await waits
send_head 200 "Connection: close\r\nContent-Length: 1"
send_raw "1"
wait_close
accept
expect GET /2
send 200 "2"
--- dialog
connect a
request GET /1
stats busy 1
connect b
request GET /2
stats waiting 1
tell waits
read_head 200
read "2"
use a
read_head 200
read "1"
--- stats
conn_opened 2

=== an idle connection of another host makes room
--- mpm: event worker
--- config
PooledProxyPoolSize 1
PooledProxyPass /one http://127.0.0.1:$UPSTREAM_PORT/
PooledProxyPass /two http://127.0.0.1:$UPSTREAM2_PORT/
--- upstream
accept
expect GET /
send 200 "1"
wait_close
--- upstream2
accept
expect GET /
send 200 "2"
--- request
GET /one
GET /two
--- response_body
1
2
--- stats
conn_closed_evicted 1
conn_opened 2
idle 1

=== a busy one of another host does not, and is evicted when it is done
--- mpm: event worker
--- config
PooledProxyPoolSize 1
PooledProxyPass /one http://127.0.0.1:$UPSTREAM_PORT/
PooledProxyPass /two http://127.0.0.1:$UPSTREAM2_PORT/
--- upstream
accept
expect GET /
await waits
send 200 "1"
wait_close
--- upstream2
accept
expect GET /
send 200 "2"
--- dialog
connect a
request GET /one
stats busy 1
connect b
request GET /two
stats waiting 1
tell waits
read_head 200
read "2"
use a
read_head 200
read "1"
--- stats
conn_closed_evicted 1
idle 1

=== the limit of one host does not hold up another's requests
--- mpm: event worker
--- config
PooledProxyHostLimit 1
PooledProxyPass /one http://127.0.0.1:$UPSTREAM_PORT/
PooledProxyPass /two http://127.0.0.1:$UPSTREAM2_PORT/
--- upstream
accept
expect GET /
await other_served
send 200 "first"
expect GET /
send 200 "second"
--- upstream2
accept
expect GET /
send 200 "other"
--- dialog
connect a
request GET /one
stats busy 1
connect b
request GET /one
stats waiting 1
connect c
request GET /two
read_head 200
read "other"
tell other_served
use a
read_head 200
read "first"
use b
read_head 200
read "second"

=== vhosts have pools of their own; a named upstream has its own, too
--- mpm: event worker
--- config
PooledProxyPoolSize 1
<PooledProxyUpstream group>
    PooledProxyServer http://127.0.0.1:$UPSTREAM_PORT
</PooledProxyUpstream>
PooledProxyPass /group upstream://group/
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept a
expect GET /
signal busy
accept b
expect GET /
send 200 "group"
use a
send 200 "vhost"
--- dialog
connect a
request GET /
await busy
connect b
request GET /group
read_head 200
read "group"
use a
read_head 200
read "vhost"
--- stats
group.conn_opened 1
conn_opened 2
