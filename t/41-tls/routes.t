# https:// in every place that takes a URL; what the backend and the client see of it; settings that keep connections apart.
use strict;
use warnings;
use File::Temp ();
use Test::More;
use Test::PooledProxy::Certificates;
use Test::PooledProxy::Checks;
use Test::PooledProxy::Nginx;
use Test::PooledProxy::Setup;

my $dir = File::Temp::tempdir('pooledproxy-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
my $ca = Test::PooledProxy::Certificates->new($dir);
my ($cert, $key) = $ca->leaf('server', san => 'DNS:api.test,DNS:other.test,DNS:unix.test,IP:127.0.0.1');
my ($client_cert, $client_key) = $ca->leaf('client');
my $echo = 'location = /echo { return 200 "host=$http_host proto=$http_x_forwarded_proto connection=$connection"; }'
  . ' location = /moved { return 302 https://$http_host/there; } location = /http { return 302 http://$http_host/there; }';
my $nginx = Test::PooledProxy::Nginx->new($dir, { one => { cert => $cert, key => $key,
    more => "$echo listen unix:$dir/nginx.sock ssl; ssl_verify_client optional; ssl_client_certificate $dir/ca.pem;" } })
  or plan skip_all => 'nginx is not installed';
chmod 0777, "$dir/nginx.sock";
my $at   = '127.0.0.1:' . $nginx->port('one');
my $base = "PooledProxyTLSCAFile $dir/ca.pem\n";

sub run {
    my ($title, $config, $use, %args) = @_;
    subtest $title => sub {
        my $setup = Test::PooledProxy::Setup->new(config => $base . $config, timeout => 10, %args)->start;
        my $client = $setup->client;
        $use->($client, $setup);
        $client->close;
        Test::PooledProxy::Checks->new(block => {}, setup => $setup, responses => [])->unexpected_log;
        is(join("\n", $setup->stop), '', 'httpd stops');
    };
    return;
}

run('every form of route', <<"END_CONF", sub {
PooledProxyPass /pass/ https://$at/
PooledProxyPassMatch ^/match/(.*) HTTPS://$at/\$1
PooledProxyPass /unix/ unix:$dir/nginx.sock|https://unix.test/
<PooledProxyUpstream group>
PooledProxyServer https://$at
</PooledProxyUpstream>
PooledProxyPass /group/ upstream://group/
<Location /location>
PooledProxyPass https://$at
</Location>
<Location /handler>
SetHandler pooledproxy:https://$at
</Location>
RewriteEngine On
RewriteRule ^/rewrite/ - [H=pooledproxy:https://$at/]
END_CONF
    my ($client, $setup) = @_;
    for my $prefix (qw(pass match group location)) {
        like($client->get("/$prefix/info")->{body}, qr/^name=one sni= version=TLS/, $prefix);
        like($client->get("/$prefix/echo")->{body}, qr/^host=\Q$at\E proto=http connection/, "$prefix: Host and X-Forwarded-Proto");
    }
    like($client->get('/unix/info')->{body}, qr/ sni=unix\.test /, 'a unix socket: SNI is the host');
    like($client->get('/unix/echo')->{body}, qr/^host=unix\.test /, 'Host leaves 443 out');
    is($client->get("/$_/x")->{status}, 404, "$_ gets to the server") for qw(handler rewrite);
    is($client->get('/pass/moved')->header('Location'), 'http://front.test/pass/there', 'a redirect to the backend leads to the front');
    is($client->get('/unix/moved')->header('Location'), 'http://front.test/unix/there', 'also without a port');
    is($client->get('/pass/http')->header('Location'), "http://$at/there", 'one to http:// is to another server');
}, modules => ['rewrite']);

run('connections with different settings are not shared', <<"END_CONF", sub {
<PooledProxyUpstream plain>
PooledProxyServer https://$at
</PooledProxyUpstream>
<PooledProxyUpstream named>
PooledProxyServer https://$at
PooledProxyTLSServerName api.test
</PooledProxyUpstream>
<PooledProxyUpstream other>
PooledProxyServer https://$at
PooledProxyTLSServerName other.test
</PooledProxyUpstream>
<PooledProxyUpstream mutual>
PooledProxyServer https://$at
PooledProxyTLSCertificateFile $client_cert
PooledProxyTLSCertificateKeyFile $client_key
</PooledProxyUpstream>
PooledProxyPass /plain/ upstream://plain/
PooledProxyPass /named/ upstream://named/
PooledProxyPass /other/ upstream://other/
PooledProxyPass /mutual/ upstream://mutual/
PooledProxyPass /own/ https://$at/
PooledProxyPass /a/ unix:$dir/nginx.sock|https://api.test/
PooledProxyPass /b/ unix:$dir/nginx.sock|https://other.test/
END_CONF
    my ($client, $setup) = @_;
    my %wanted = (plain => qr/sni= .*client=NONE,/, named => qr/sni=api\.test .*client=NONE,/, other => qr/sni=other\.test /,
        mutual => qr/sni= .*client=SUCCESS,CN=client/, own => qr/sni= .*client=NONE,/, a => qr/sni=api\.test /, b => qr/sni=other\.test /);
    for my $round (1 .. 3) {
        for my $path (sort keys %wanted) { like($client->get("/$path/info")->{body}, qr/$wanted{$path}.* served=$round$/, "/$path/, request $round") }
    }
    is($setup->numbers->{conn_opened}, scalar keys %wanted, 'a connection for each');
    is($setup->numbers->{handshakes_full}, scalar keys %wanted, 'and no session is taken from another');
});

run('nginx: sessions are resumed from the second connection on', <<"END_CONF", sub {
PooledProxyKeepAlive Off
<PooledProxyUpstream tls12>
PooledProxyServer https://$at
PooledProxyTLSProtocol TLSv1.2 TLSv1.2
</PooledProxyUpstream>
<PooledProxyUpstream tls13>
PooledProxyServer https://$at
PooledProxyTLSProtocol TLSv1.3
</PooledProxyUpstream>
PooledProxyPass /12/ upstream://tls12/
PooledProxyPass /13/ upstream://tls13/
END_CONF
    my ($client, $setup) = @_;
    for my $version (qw(12 13)) {
        is(join('', map { $client->get("/$version/info")->{body} =~ / reused=(.) / } 1 .. 20), '.' . 'r' x 19, "TLS $version");
    }
    my $numbers = $setup->numbers;
    is("$numbers->{handshakes_full} $numbers->{handshakes_resumed}", '2 38', 'counted');
});

my $second = "<VirtualHost *:\$PORT>\nServerName second.test\nPooledProxyTLSServerName other.test\n$base<Location /shared>\n</Location>\n</VirtualHost>\n";
run('settings of the main server, a virtual host, a route that both share', 'PooledProxyTLSSessionCache Off', sub {
    my ($client) = @_;
    like($client->get('/shared/info')->{body}, qr/ sni=api\.test .*reused=\. /, 'inherited');
    like($client->get('/shared/info', Host => 'second.test')->{body}, qr/ sni=other\.test /, 'overridden');
}, main_config => "PooledProxyTLSServerName api.test\nPooledProxyPass /shared/ https://$at/\n", vhosts => $second =~ s/\*:/127.0.0.1:/r);

done_testing();
