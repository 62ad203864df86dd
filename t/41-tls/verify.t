# Who is believed: nginx with many certificates, each asked through an upstream of its own. By default chain and name are checked.
use strict;
use warnings;
use File::Temp ();
use Test::More;
use Test::PooledProxy::Certificates;
use Test::PooledProxy::Checks;
use Test::PooledProxy::Nginx;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(write_file);

my $dir = File::Temp::tempdir('pooledproxy-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
my $ca    = Test::PooledProxy::Certificates->new($dir);
my $other = Test::PooledProxy::Certificates->new($dir, 'other');

# A subjectAltName with these names, in DER, so that a name may hold anything: RFC 5280 section 4.2.1.6
sub der_names {
    my $names = join '', map { pack('CC', 0x82, length) . $_ } @_;
    return 'DER:' . join ':', map { sprintf '%02X', ord } split //, pack('CC', 0x30, length $names) . $names;
}

my %cert; # name => {cert, key}
sub made { my ($name, $from, %args) = @_; @{ $cert{$name} }{qw(cert key)} = $from->leaf($name, %args); return }

made('good',        $ca,    san => 'DNS:api.front.test,DNS:localhost,IP:127.0.0.1');
made('self-signed', $ca,    san => 'DNS:api.front.test', self_signed => 1);
made('stranger',    $other, san => 'DNS:api.front.test');
made('other-name',  $ca,    san => 'DNS:another.test,IP:127.0.0.2');
made('expired',     $ca,    san => 'DNS:api.front.test', days => -1);
made('revoked',     $ca,    san => 'DNS:api.front.test');
made('wildcard',    $ca,    san => 'DNS:*.front.test');
made('partial',     $ca,    san => 'DNS:a*.front.test');
made('inner',       $ca,    san => 'DNS:api.*.test');
made('top',         $ca,    san => 'DNS:*.test');
made('all',         $ca,    san => 'DNS:*');
made('nul',         $ca,    san => der_names("api.front.test\0.evil.test"));
my $crl = $ca->crl("$dir/revoked.pem");
my ($client_cert, $client_key) = $ca->leaf('client');
my ($unknown_cert, $unknown_key) = $other->leaf('unknown-client');
write_file("$dir/both.pem", do { local (@ARGV, $/) = ($client_cert, $client_key); join '', <> });
chmod 0600, "$dir/both.pem";

my %servers = map { $_ => $cert{$_} } keys %cert;
$servers{'tls-1.2'} = { %{ $cert{good} }, more => 'ssl_protocols TLSv1.2;' };
$servers{'tls-1.3'} = { %{ $cert{good} }, more => 'ssl_protocols TLSv1.3;' };
$servers{"mutual-$_"} = { %{ $cert{good} }, more => "ssl_protocols TLSv$_; ssl_client_certificate $dir/ca.pem; ssl_verify_client on;" } for qw(1.2 1.3);
my $nginx = Test::PooledProxy::Nginx->new($dir, \%servers) or plan skip_all => 'nginx is not installed';

# name of the case => [server, settings of its upstream, what comes of it: a reason, or what /info says]
my $name = 'PooledProxyTLSServerName api.front.test';
my @cases = (
    ['the certificate is in order'                    => 'good',        $name,                        qr/name=good sni=api\.front\.test version=TLSv1\.3/],
    ['by address: no SNI, and the certificate has it' => 'good',        '',                           qr/name=good sni= version/],
    ['ServerName may be an address'                   => 'good',        'PooledProxyTLSServerName 127.0.0.1', qr/sni= version/],
    ['self-signed'                                    => 'self-signed', $name,                        'tls_verify'],
    ['self-signed, and trusted'                       => 'self-signed', "$name\nPooledProxyTLSCAFile $dir/self-signed.pem", qr/name=self-signed/],
    ['an authority that is not known'                 => 'stranger',    $name,                        'tls_verify'],
    ['which another upstream knows'                   => 'stranger',    "$name\nPooledProxyTLSCAFile $dir/other.pem", qr/name=stranger/],
    ['which the system does not know'                 => 'stranger',    "$name\nPooledProxyTLSCAPath $dir/hashed", 'tls_verify'],
    ['another name'                                   => 'other-name',  $name,                        'tls_verify'],
    ['another address'                                => 'other-name',  '',                           'tls_verify'],
    ['that very name'                                 => 'other-name',  'PooledProxyTLSServerName Another.Test', qr/sni=Another\.Test/],
    ['expired'                                        => 'expired',     $name,                        'tls_expired'],
    ['not asked whether it is revoked'                => 'revoked',     $name,                        qr/name=revoked/],
    ['revoked'                                        => 'revoked',     "$name\nPooledProxyTLSCRLFile $crl", 'tls_verify'],
    ['not revoked'                                    => 'good',        "$name\nPooledProxyTLSCRLFile $crl", qr/name=good/],
    ['a wildcard'                                     => 'wildcard',    $name,                        qr/name=wildcard/],
    ['a wildcard for one label only'                  => 'wildcard',    'PooledProxyTLSServerName a.b.front.test', 'tls_verify'],
    ['a wildcard for a part of a label'               => 'partial',     $name,                        'tls_verify'],
    ['a wildcard inside'                              => 'inner',       $name,                        'tls_verify'],
    ['a wildcard for a whole top level'               => 'top',         'PooledProxyTLSServerName front.test', 'tls_verify'],
    ['a wildcard for all'                             => 'all',         $name,                        'tls_verify'],
    ['a NUL in the name'                              => 'nul',         $name,                        'tls_verify'],
    ['PooledProxyTLSVerify Off: self-signed'          => 'self-signed', "$name\nPooledProxyTLSVerify Off", qr/name=self-signed/],
    ['PooledProxyTLSVerify Off: expired, other name'  => 'expired',     "PooledProxyTLSVerify Off",   qr/name=expired/],
    ['TLS 1.2 only'                                   => 'tls-1.2',     $name,                        qr/version=TLSv1\.2/],
    ['TLS 1.3 only'                                   => 'tls-1.3',     $name,                        qr/version=TLSv1\.3/],
    ['TLS 1.2 only, but 1.3 is the least'             => 'tls-1.2',     "$name\nPooledProxyTLSProtocol TLSv1.3", 'tls_alert'],
    ['TLS 1.3 only, but 1.2 is the most'              => 'tls-1.3',     "$name\nPooledProxyTLSProtocol TLSv1.2 TLSv1.2", 'tls_alert'],
    ['both, but 1.2 is the most'                      => 'good',        "$name\nPooledProxyTLSProtocol TLSv1.2 TLSv1.2", qr/version=TLSv1\.2/],
    ['a cipher of TLS 1.2'                            => 'tls-1.2',     "$name\nPooledProxyTLSCipherSuite ECDHE-ECDSA-AES256-GCM-SHA384", qr/cipher=ECDHE-ECDSA-AES256-GCM-SHA384 /],
    ['a cipher of TLS 1.3'                            => 'tls-1.3',     "$name\nPooledProxyTLSCipherSuite ECDHE-ECDSA-AES256-GCM-SHA384:TLS_CHACHA20_POLY1305_SHA256", qr/cipher=TLS_CHACHA20_POLY1305_SHA256 /],
    map { (
        ["TLS $_: no client certificate"              => "mutual-$_",   $name,                        qr/^400 .*No required SSL certificate/s],
        ["TLS $_: a client certificate"               => "mutual-$_",   "$name\nPooledProxyTLSCertificateFile $client_cert\nPooledProxyTLSCertificateKeyFile $client_key", qr/client=SUCCESS,CN=client /],
        ["TLS $_: with its key in one file"           => "mutual-$_",   "$name\nPooledProxyTLSCertificateFile $dir/both.pem", qr/client=SUCCESS,CN=client /],
        ["TLS $_: one of another authority"           => "mutual-$_",   "$name\nPooledProxyTLSCertificateFile $unknown_cert\nPooledProxyTLSCertificateKeyFile $unknown_key", qr/^400 .*SSL certificate error/s],
    ) } qw(1.2 1.3),
);

# A directory with hashed names, as openssl rehash makes it.
mkdir "$dir/hashed";
write_file("$dir/hashed/ca.pem", do { local (@ARGV, $/) = ($ca->cert); <> });
Test::PooledProxy::Certificates::openssl('rehash', "$dir/hashed");
push @cases, ['PooledProxyTLSCAPath' => 'good', "$name\nPooledProxyTLSCAPath $dir/hashed", qr/name=good/];

my $upstreams = join '', map {
    my (undef, $server, $settings) = @{ $cases[$_] };
    my $trust = $settings =~ /TLSCA|Verify Off/ ? '' : "PooledProxyTLSCAFile $dir/ca.pem\n";
    "<PooledProxyUpstream u$_>\nPooledProxyServer https://127.0.0.1:${\$nginx->port($server)}\n$trust$settings\n</PooledProxyUpstream>\nPooledProxyPass /u$_/ upstream://u$_/\n"
} 0 .. $#cases;

my $setup = Test::PooledProxy::Setup->new(timeout => 30, config => $upstreams)->start;
for my $round (1, 2) {
    my $client = $setup->client;
    for my $n (0 .. $#cases) {
        my ($title, undef, undef, $wanted) = @{ $cases[$n] };
        my $response = $client->get("/u$n/info");
        $client = $setup->client if ($response->header('Connection') // '') eq 'close'; # as after any 400
        if (ref $wanted) { like("$response->{status} $response->{body}", $wanted, $title) }
        else {
            my $type = { tls_verify => 'tls_certificate_error', tls_expired => 'tls_certificate_error', tls_alert => 'tls_alert_received' }->{$wanted};
            is($response->{status} . ' ' . ($response->header('Proxy-Status') // '-'), qq{502 front.test; error=$type; details="$wanted"}, $title);
        }
    }
    $client->close;
}
my $failures = grep { !ref $_->[3] } @cases;
is($setup->numbers->{handshakes_failed}, 2 * $failures, 'each failure is counted');
my $log = $setup->httpd->error_log;
is(scalar(() = $log =~ /: TLS: /g), 2 * $failures, 'and said once, in the words of OpenSSL');
like($log, qr/TLS: .*: $_$/m, $_) for 'certificate verify failed: self-signed certificate', 'certificate verify failed: unable to get local issuer certificate',
  'certificate verify failed: hostname mismatch', 'certificate verify failed: IP address mismatch', 'certificate verify failed: certificate has expired',
  'certificate verify failed: certificate revoked', 'alert received: tlsv1 alert protocol version: SSL alert number 70';
Test::PooledProxy::Checks->new(block => { error_log => "tls_verify\ntls_expired\ntls_alert\n: TLS: " }, setup => $setup, responses => [])->unexpected_log;
is(join("\n", $setup->stop), '', 'httpd stops');
done_testing();
