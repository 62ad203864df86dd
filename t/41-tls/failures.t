# TLS that fails otherwise than by a certificate: servers that say nothing, or speak something else, or break off.
use strict;
use warnings;
use File::Temp ();
use IO::Socket::INET;
use Test::More;
use Test::PooledProxy::Certificates;
use Test::PooledProxy::Checks;
use Test::PooledProxy::Program;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(free_ports slowness);
use Time::HiRes qw(time);

my $dir = File::Temp::tempdir('pooledproxy-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
my $ca = Test::PooledProxy::Certificates->new($dir);
my ($cert, $key) = $ca->leaf('server', san => 'DNS:api.test,IP:127.0.0.1');
my ($client_cert, $client_key) = $ca->leaf('client');

sub check {
    my ($title, %args) = @_;
    subtest $title => sub {
        my $setup = Test::PooledProxy::Setup->new(
            timeout => 20, upstream => $args{upstream} ? { UPSTREAM => $args{upstream} } : {},
            config => "PooledProxyTLSCAFile $dir/ca.pem\n" . ($args{config} // '') . "\nPooledProxyPass / https://127.0.0.1:" . ($args{port} // '$UPSTREAM_PORT') . "/\n",
        )->start;
        my $client = $setup->client;
        $args{use}->($setup, $client);
        $client->close;
        $_->finish(5) for $setup->upstreams;
        Test::PooledProxy::Checks->new(block => { error_log => $args{log} // "\x01" }, setup => $setup, responses => [])->unexpected_log;
        is(join("\n", $setup->stop), '', 'httpd and the upstream end as they should');
    };
    return;
}

sub fails {
    my ($client, $reason, $type, $status) = @_;
    my $response = $client->get('/info');
    return is("$response->{status} " . ($response->header('Proxy-Status') // '-'), ($status // 502) . qq{ front.test; error=$type; details="$reason"}, $reason);
}

my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die "listen: $!\n";
check('a server that takes the connection and says nothing', port => $silent->sockport, config => 'PooledProxyTimeout connect=500ms',
    log => 'connect_timeout', use => sub {
        my ($setup, $client) = @_;
        my $began = time;
        fails($client, 'connect_timeout', 'connection_timeout', 504);
        my $took = time - $began;
        ok($took >= 0.5 && $took < 0.5 + 0.1 * slowness(), "after connect=500ms: $took s");
        is($setup->numbers->{conn_opened}, 0, 'no connection was opened');
    });

check('a server that speaks plain HTTP', port => '$ADMIN_PORT', log => "tls_handshake\n: TLS: ",
    use => sub { fails($_[1], 'tls_handshake', 'tls_protocol_error') });

check('a server that closes at once', upstream => "accept\nclose\nallow_more", log => "tls_handshake\n: TLS: ",
    use => sub { my ($setup, $client) = @_; fails($client, 'tls_handshake', 'tls_protocol_error') });

my ($alpn_port, $plain_port) = free_ports(2);

sub s_server { my ($port, @options) = @_; return Test::PooledProxy::Program->new(log => "$dir/s_server-$port.log", port => $port,
    command => ['openssl', 's_server', '-accept', "127.0.0.1:$port", '-cert', $cert, '-key', $key, @options]) }

my $alpn = s_server($alpn_port, '-alpn', 'h2', '-quiet');
check('a server that speaks HTTP/2 only', port => $alpn_port, log => "tls_alpn\n: TLS: ", use => sub { fails($_[1], 'tls_alpn', 'tls_protocol_error') });

my $www = s_server($plain_port, '-www', '-alpn', 'http/1.1');
check('openssl s_server', port => $plain_port, use => sub {
    my ($setup, $client) = @_;
    for my $n (1 .. 3) {
        my $page = $client->get('/')->{body};
        like($page, $n == 1 ? qr/^New, TLSv1\.3/m : qr/^Reused, TLSv1\.3/m, "connection $n");
        like($page, qr/ALPN protocols advertised by the client: http\/1.1/, 'ALPN offers http/1.1') if $page =~ /advertised/;
    }
});

sub server { my ($name, @options) = @_; return Test::PooledProxy::Program->script('tls_server.pl', "$dir/$name.log", '--cert', $cert, '--key', $key, @options) }

# With TLS 1.3 the client's handshake is over when the server looks at its certificate.
for my $version (qw(TLSv1_2 TLSv1_3)) {
    my $server = server("mutual-$version", '--ca', "$dir/ca.pem", '--version', $version);
    check("$version: a server that wants a certificate, and gets none", port => $server->port, log => "tls_alert\n: TLS: ", use => sub {
        my ($setup, $client) = @_;
        fails($client, 'tls_alert', 'tls_alert_received');
        like($setup->httpd->error_log, qr/TLS: .*(?:handshake failure|certificate required)/, 'with the words of the alert');
    });
    check("$version: and gets one", port => $server->port, config => "PooledProxyTLSCertificateFile $client_cert\nPooledProxyTLSCertificateKeyFile $client_key",
        use => sub { like($_[1]->get('/info')->{body}, qr/ cn=client /, 'is content') });
}

my $server = server('groups');
check('another server of the group takes over', port => $server->port, log => ': TLS: ', config => <<"END_CONF", use => sub {
<PooledProxyUpstream both>
PooledProxyServer https://127.0.0.1:$alpn_port
PooledProxyServer https://127.0.0.1:${\$server->port}
</PooledProxyUpstream>
PooledProxyPass /both/ upstream://both/
END_CONF
    my ($setup, $client) = @_;
    is(join(' ', map { $client->get('/both/info')->{status} } 1 .. 4), '200 200 200 200', 'where TLS fails nothing was sent');
});

done_testing();
