# Named upstreams: which server of a group gets which request.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy;
use Test::PooledProxy::Backend;
use Test::PooledProxy::Setup;

# Two load backends in a group: what each of them got. REQUESTS(setup) makes the requests and returns them.
sub shares {
    my ($name, $settings, $servers, $requests, $check) = @_;
    subtest $name => sub {
        my @backends = map { Test::PooledProxy::Backend->new } 1 .. @$servers;
        my $lines = join '', map { "PooledProxyServer http://127.0.0.1:" . $backends[$_]->port . " $servers->[$_]\n" } 0 .. $#$servers;
        my $setup = Test::PooledProxy::Setup->new(
            config => "<PooledProxyUpstream group>\n$lines$settings\n</PooledProxyUpstream>\nPooledProxyPass / upstream://group/")->start;
        my @statuses = map { $_->{status} } $requests->($setup);
        is(join(' ', grep { $_ != 200 } @statuses), '', 'all are answered');
        $check->(map { $_->stats->{requests} } @backends);
        is(join("\n", $setup->stop), '', 'ends as it should');
    };
    return;
}

sub in_turn {
    my ($n, @headers) = @_;
    return sub {
        my $client = $_[0]->client;
        my @got = map { $client->get('/bytes?n=3', @headers) } 1 .. $n;
        $client->close;
        return @got;
    };
}

# N slow requests, each in flight when the next one comes.
sub at_once {
    my ($n) = @_;
    return sub {
        my ($setup) = @_;
        my @clients;
        for my $i (1 .. $n) {
            push @clients, $setup->client->send_request(GET => '/slow?ms=400&n=3');
            Test::PooledProxy::Util::wait_until(5, sub { $setup->numbers->{busy} == $i });
        }
        my @got = map { $_->read_response('GET') } @clients;
        $_->close for @clients;
        return @got;
    };
}

my $one_loop = ($ENV{MPM} // 'event') ne 'prefork';

shares('in turn', '', ['', '', ''], in_turn(30), sub { is("@_", '10 10 10', 'shares') });
shares('weights', '', ['weight=3', 'weight=1'], in_turn(40), sub { is("@_", '30 10', 'shares') });
if ($one_loop) {
    shares('leastconn', 'PooledProxyBalance leastconn', ['', '', ''], at_once(9), sub { is("@_", '3 3 3', 'shares') });
    shares('leastconn heeds weights', 'PooledProxyBalance leastconn', ['weight=2', 'weight=1'], at_once(9), sub { is("@_", '6 3', 'shares') });
    shares('random2 with two servers is leastconn', 'PooledProxyBalance random2', ['', ''], at_once(8), sub { is("@_", '4 4', 'shares') });
}
shares('random2', 'PooledProxyBalance random2', ['', '', ''], in_turn(90), sub { cmp_ok($_, '>', 10, 'a share') for @_ });
shares('a server that drains', '', ['', 'drain'], in_turn(10), sub { is("@_", '10 0', 'shares') });
shares('a backup', '', ['', 'backup'], in_turn(10), sub { is("@_", '10 0', 'shares') });
shares('the same key, the same server', 'PooledProxyBalance hash:%{req:X-User}', ['', '', ''], in_turn(20, 'X-User' => 'somebody'),
    sub { is(join(' ', sort { $a <=> $b } @_), '0 0 20', 'shares') });
shares('many keys, all servers', 'PooledProxyBalance hash:%{req:X-User}', ['', '', ''],
    sub { my $client = $_[0]->client; my @got = map { $client->get('/bytes?n=3', 'X-User' => "user $_") } 1 .. 90; $client->close; @got },
    sub { cmp_ok($_, '>', 10, 'a share') for @_ });
shares('weights of keys', 'PooledProxyBalance hash:%{req:X-User}', ['weight=9', 'weight=1'],
    sub { my $client = $_[0]->client; my @got = map { $client->get('/bytes?n=3', 'X-User' => "user $_") } 1 .. 90; $client->close; @got },
    sub { cmp_ok($_[0], '>', 60, 'the larger share'); cmp_ok($_[1], '>', 0, 'the smaller one') });

run_tests();

__DATA__

=== a group of different kinds: IPv4, IPv6, a unix socket, each with a path and a Host of its own
--- config
<PooledProxyUpstream mixed>
    PooledProxyServer http://127.0.0.1:$UPSTREAM_PORT/four
    PooledProxyServer http://[::1]:$UPSTREAM2_PORT/six
    PooledProxyServer unix:$UPSTREAM3_SOCKET|http://socket.test/local
</PooledProxyUpstream>
PooledProxyPass /app upstream://mixed/v1
--- upstream
listen ipv4
accept
expect GET /four/v1/x?q
expect_header Host: 127.0.0.1:$UPSTREAM_PORT
send_head 302 "Location: http://127.0.0.1:$UPSTREAM_PORT/four/v1/new\r\nContent-Length: 0"
--- upstream2
listen ipv6
accept
expect GET /six/v1/x?q
expect_header Host: [::1]:$UPSTREAM2_PORT
send_head 302 "Location: http://[::1]:$UPSTREAM2_PORT/six/v1/new\r\nContent-Length: 0"
--- upstream3
listen unix
accept
expect GET /local/v1/x?q
expect_header Host: socket.test
send_head 302 "Location: http://socket.test/local/v1/new\r\nContent-Length: 0"
--- request
GET /app/x?q
GET /app/x?q
GET /app/x?q
--- error_code: 302
--- response_headers
Location: http://front.test/app/new
--- stats
mixed.conn_opened 3

=== a body goes to whichever server it is
--- config
PooledProxyForwarded off
<PooledProxyUpstream group>
    PooledProxyServer http://127.0.0.1:$UPSTREAM_PORT
    PooledProxyServer http://127.0.0.1:$UPSTREAM2_PORT/with/path
</PooledProxyUpstream>
PooledProxyPass / upstream://group/
--- upstream
accept
expect POST /p
expect_header Content-Length: 5
expect_body "first"
send 200 "1"
--- upstream2
accept
expect POST /with/path/p
expect_header Content-Length: 6
expect_header Host: 127.0.0.1:$UPSTREAM2_PORT
expect_body "second"
send 200 "2"
--- request eval
["POST /p\n\nfirst", "POST /p\n\nsecond"]
--- response_body
1
2

=== PooledProxyPreserveHost holds for every server; a Host in the client's fields does not confuse
--- config
PooledProxyPreserveHost On
<PooledProxyUpstream group>
    PooledProxyServer http://127.0.0.1:$UPSTREAM_PORT
    PooledProxyServer http://127.0.0.1:$UPSTREAM2_PORT
</PooledProxyUpstream>
PooledProxyPass / upstream://group/
--- upstream
accept
expect GET /
expect_header Host: front.test
send 200 "1"
--- upstream2
accept
expect GET /
expect_header Host: front.test
send 200 "2"
--- request
GET /
GET /
--- response_body
1
2

=== a group of the main server is seen in the vhosts, and its pool is one
--- mpm: event worker
--- main_config
<PooledProxyUpstream shared>
    PooledProxyServer http://127.0.0.1:$UPSTREAM_PORT
    PooledProxyPoolSize 7
</PooledProxyUpstream>
--- config
PooledProxyPass / upstream://shared/
--- vhosts
<VirtualHost 127.0.0.1:$PORT>
    ServerName other.test
    PooledProxyPass / upstream://shared/other/
</VirtualHost>
--- upstream
accept
expect GET /
send 200 "front"
expect GET /other/
send 200 "other"
--- request eval
["GET /", "GET /\nHost: other.test\n"]
--- response_body
front
other
--- stats
shared.conn_opened 1
shared.conn_reused 1
shared.size 7
