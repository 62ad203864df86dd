# TLS to the backend: requests, reuse, resumption, the bytes, the ends. On both fronts, with TLS 1.2 and 1.3.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use File::Temp ();
use Test::More;
use Test::PooledProxy::Certificates;
use Test::PooledProxy::Checks;
use Test::PooledProxy::Config;
use Test::PooledProxy::Program;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until);

my $dir = File::Temp::tempdir('pooledproxy-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
my $ca = Test::PooledProxy::Certificates->new($dir);
my ($cert, $key) = $ca->leaf('server', san => 'DNS:api.test,DNS:localhost,IP:127.0.0.1');

sub server { my ($name, @options) = @_; return Test::PooledProxy::Program->script('tls_server.pl', "$dir/$name.log", '--cert', $cert, '--key', $key, @options) }

sub start {
    my ($server, $more, %args) = @_;
    return Test::PooledProxy::Setup->new(
        timeout => 20, %args,
        config => "PooledProxyTLSCAFile $dir/ca.pem\nPooledProxyTLSServerName api.test\n$more\nPooledProxyPass / https://127.0.0.1:${\$server->port}/\n",
    )->start;
}

sub ends_well {
    my ($setup, %expected) = @_;
    Test::PooledProxy::Checks->new(block => \%expected, setup => $setup, responses => [])->unexpected_log;
    is(join("\n", $setup->stop), '', 'httpd stops');
    return;
}

my $filling  = '0123456789abcdef' x 250_000;
my $children = Test::PooledProxy::Config::mpm() eq 'prefork' ? 16 : 1;
my $text = join '', map { sprintf '%09d ', $_ } 1 .. 400_000; # 4 MB

for my $version (qw(TLSv1_2 TLSv1_3)) {
    my $server = server($version, '--version', $version);
    for my $front ('', 'PooledProxyAsync Off') {
        subtest "$version $front" => sub {
            my $setup = start($server, $front);
            my $client = $setup->client;
            is($client->get('/info')->{body}, "sni=api.test version=$version reused=0 cn=- served=1", 'the first request');
            is($client->get('/info')->{body}, "sni=api.test version=$version reused=0 cn=- served=2", 'the second is on the same connection');
            for my $size (1, 16_384, 16_385, 61_440, 61_441, 4_000_000) {
                my $body = $client->get("/bytes?n=$size")->{body};
                is(sha256_hex($body), sha256_hex(substr $filling, 0, $size), "$size bytes down");
                my $sent = substr $text, 0, $size;
                is($client->send_request(POST => '/digest', body => $sent)->read_response('POST')->{body}, sha256_hex($sent), "$size bytes up");
            }
            is($client->get('/bytes?n=0')->{body}, '', 'no bytes at all');
            my $slow = $setup->client(receive_buffer => 16384);
            is(sha256_hex($slow->get('/bytes?n=4000000')->{body}), sha256_hex($filling), '4 MB to a client with little room');
            is(sha256_hex($slow->get('/drip?n=300')->{body}), sha256_hex((substr($filling, 0, 1000) . substr($filling, 0, 2000)) x 300), 'many small records');
            $slow->close;
            is(length($client->get('/until_close?n=100000')->{body}), 100_000, 'a body until close');
            for my $path ('/length_cut?n=100000', '/chunked_cut') {
                my $response = $client->get($path);
                is($response->{status} . ' ' . ($response->{cut} // 'whole'), '200 whole', "$path: its end was seen");
            }
            is($client->get('/info')->{status}, 200, 'the next one, which may meet a closed connection');
            for my $path ('/until_close_cut?n=1000', '/half?n=1000') {
                my $response = $setup->client->get($path);
                ok($response->{cut} || $response->{status} == 502, "$path: cut") || diag($response->{status});
            }
            my $numbers = $setup->numbers;
            cmp_ok($numbers->{handshakes_resumed}, '>=', 2, 'handshakes are resumed');
            cmp_ok($numbers->{handshakes_full}, '<=', $children, 'but the first of each child');
            is($numbers->{handshakes_failed}, 0, 'none failed');
            ok($setup->httpd->access_log =~ m{POOLEDPROXY_SERVER=https://127\.0\.0\.1:\d+ POOLEDPROXY_REUSED=0.* POOLEDPROXY_T_TLS=[1-9]\d* }, 'the log has the time of TLS');
            ok($setup->httpd->access_log =~ m{POOLEDPROXY_REUSED=1.* POOLEDPROXY_T_TLS=0 }, '0 on a kept connection') || diag($setup->httpd->access_log);
            $client->close;
            ends_well($setup, error_log => "body_cut");
        };
    }
}

subtest 'resumption from the second connection on' => sub {
    my $server = server('resumption');
    my $setup  = start($server, 'PooledProxyKeepAlive Off');
    my $client = $setup->client;
    is($client->get('/info')->{body}, "sni=api.test version=TLSv1_3 reused=@{[$_ > 1 ? 1 : 0]} cn=- served=1", "connection $_") for 1 .. 10;
    my $numbers = $setup->numbers;
    is("$numbers->{handshakes_full} $numbers->{handshakes_resumed}", '1 9', 'counted');
    $client->close;
    ends_well($setup);
    $setup = start($server, "PooledProxyKeepAlive Off\nPooledProxyTLSSessionCache Off");
    $client = $setup->client;
    like($client->get('/info')->{body}, qr/ reused=0 /, "PooledProxyTLSSessionCache Off: connection $_") for 1 .. 3;
    is($setup->numbers->{handshakes_full}, 3, 'counted');
    $client->close;
    ends_well($setup);
};

subtest 'tickets that come while a connection is idle do not end it' => sub {
    plan skip_all => 'the three are not all of the child that has the client' if Test::PooledProxy::Config::mpm() eq 'prefork';
    my $server = server('tickets');
    my $setup = start($server, 'PooledProxyIdleMin 3');
    ok(wait_until(5, sub { $setup->numbers->{idle} == 3 }), 'three are ready, with TLS done');
    my $client = $setup->client;
    is(join(' ', map { $client->get('/info')->{status} } 1 .. 5), '200 200 200 200 200', 'requests');
    my $numbers = $setup->numbers;
    is("$numbers->{conn_opened} $numbers->{conn_reused} $numbers->{conn_closed_unexpected_data}", '3 5 0', 'all on kept connections');
    is($numbers->{handshakes_full} + $numbers->{handshakes_resumed}, 3, 'handshakes');
    $client->close;
    ends_well($setup);
};

subtest 'a server that closes idle connections' => sub {
    my $server = server('closing');
    my $setup = start($server, '');
    my $client = $setup->client;
    $client->get('/info');
    kill TERM => split ' ', do { open my $in, '<', "/proc/@{[$server->pid]}/task/@{[$server->pid]}/children"; <$in> // '' };
    ok(wait_until(5, sub { $setup->numbers->{conn_closed_peer_closed} == 1 }), 'is noticed');
    is($client->get('/info')->{status}, 200, 'the next request has a new one');
    $client->close;
    ends_well($setup);
};

subtest 'a tunnel' => sub {
    my $server = server('tunnel');
    for my $front ('', 'PooledProxyAsync Off') {
        my $setup  = start($server, $front);
        my $client = $setup->client;
        $client->send_request(GET => '/tunnel', headers => [Connection => 'Upgrade', Upgrade => 'echo']);
        is($client->read_head->{status}, 101, "it opens $front");
        for my $size (1, 100, 20_000, 200_000) {
            my $piece = substr $text, 0, $size;
            $client->send_bytes($piece);
            ok($client->take($size) eq $piece, "$size bytes there and back");
        }
        $client->close;
        ok(wait_until(5, sub { my $n = $setup->numbers; $n->{conn_closed_tunnel} + $n->{conn_closed_client_gone} == 1 && $n->{busy} == 0 }), 'and closes');
        ends_well($setup);
    }
};

subtest 'mod_ssl in front as well' => sub {
    my $server = server('both');
    my $setup = start($server, '', tls => 1);
    my $client = $setup->client;
    for my $size (1000, 100_000, 2_000_000) {
        my $sent = substr $text, 0, $size;
        is($client->send_request(POST => '/digest', body => $sent)->read_response('POST')->{body}, sha256_hex($sent), "$size bytes up");
        is(length($client->get("/bytes?n=$size")->{body}), $size, 'and down');
    }
    is($setup->numbers->{conn_opened}, 1, 'on one connection');
    $client->close;
    ends_well($setup);
};

done_testing();
