# The directives of TLS: what httpd -t accepts and refuses, with the file and line at fault; what has no effect; what DUMP_POOLS shows.
use strict;
use warnings;
use File::Temp ();
use Test::More;
use Test::PooledProxy::Certificates;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(write_file);

my $dir = File::Temp::tempdir('pooledproxy-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $ca  = Test::PooledProxy::Certificates->new($dir);
my ($cert, $key) = $ca->leaf('client');
my ($other_cert, $other_key) = $ca->leaf('other');
my $crl = $ca->crl;
chmod 0600, $key, $other_key;
write_file("$dir/junk.pem", 'no certificate');
mkdir "$dir/empty";
Test::PooledProxy::Certificates::openssl('ec', '-in', $key, '-aes128', '-passout', 'pass:secret', '-out', "$dir/locked.key");

my $route = "PooledProxyPass / https://h/\n";

# (accepted, output) of httpd -t; the line that ends with "#!" is HERE in it, other places are AT.
sub tested {
    my ($config, @args) = @_;
    my $setup = Test::PooledProxy::Setup->new(config => $config =~ s/ *#!$//mgr);
    my ($ok, $output) = $setup->configtest(@args);
    my ($marked) = $config =~ /^(.*?) *#!$/m;
    open my $in, '<', $setup->httpd->dir . '/httpd.conf' or die;
    my $here = 0;
    while (my $line = <$in>) { $here = $. if defined $marked && $line eq "$marked\n" }
    $setup->stop;
    return ($ok, $output =~ s{(?:line (\d+) of )?[^\s(]*/httpd\.conf(?::(\d+))?}{($1 // $2 // 0) == $here ? 'HERE' : 'AT'}ger);
}

sub good { my ($config) = @_; my ($ok, $output) = tested($config); ok($ok && $output eq "Syntax OK\n", $config =~ s/\n/ | /gr) or diag($output); return }
sub bad { my ($config, $wanted) = @_; my ($ok, $output) = tested($config); ok(!$ok, $config =~ s/\n/ | /gr); like($output, qr/HERE.*\Q$wanted\E/s, "... $wanted"); return }
sub warned { my ($config, $wanted) = @_; my ($ok, $output) = tested($config); ok($ok, $config =~ s/\n/ | /gr); is($output, $wanted ? "HERE: $wanted\nSyntax OK\n" : "Syntax OK\n", '... with a warning'); return }

good($route);
good("${route}PooledProxyTLS$_") for "Verify off", "CAFile $dir/ca.pem", "CRLFile $crl", "ServerName api.test", "ServerName 127.0.0.1", 'ServerName ::1', 'Protocol tlsv1.3', 'Protocol TLSv1.2 TLSv1.3',
  'CipherSuite ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384', 'CipherSuite TLS_AES_128_GCM_SHA256', 'CipherSuite HIGH:!aNULL:!eNULL:!3DES:@STRENGTH:TLS_AES_128_GCM_SHA256', 'SessionCache Off',
  "CertificateFile $cert\nPooledProxyTLSCertificateKeyFile $key";
good("PooledProxyPass / upstream://u/\n<PooledProxyUpstream u>\nPooledProxyServer https://h/\nPooledProxyTLSVerify Off\nPooledProxyTLSSessionCache On\n</PooledProxyUpstream>");

bad("${route}PooledProxyTLSVerify maybe #!", "PooledProxyTLSVerify: 'maybe' is not accepted; accepted: On, Off");
bad("${route}PooledProxyTLSProtocol $_->[0] #!", "PooledProxyTLSProtocol: $_->[1]") for ['SSLv3', "'SSLv3' is not accepted; accepted: TLSv1.2, TLSv1.3"], ['TLSv1.2 TLSv1.1', "'TLSv1.1' is not accepted"],
  ['TLSv1.3 TLSv1.2', 'TLSv1.2 is older than TLSv1.3'];
bad("${route}PooledProxyTLSServerName https://h/ #!", "PooledProxyTLSServerName: 'https://h/' is not accepted; accepted: the name of a host, or an address");
bad("${route}PooledProxyTLSCAFile $dir/none.pem #!", "PooledProxyTLSCAFile: no certificate in $dir/none.pem");
bad("${route}PooledProxyTLSCAFile $dir/junk.pem #!", "PooledProxyTLSCAFile: no certificate in $dir/junk.pem");
bad("${route}PooledProxyTLSCAPath $dir/empty #!", "PooledProxyTLSCAPath: no certificate with a hashed name in $dir/empty; openssl rehash makes such names");
bad("${route}PooledProxyTLSCRLFile $cert #!", "PooledProxyTLSCRLFile: no list of revoked certificates in $cert");
bad("${route}PooledProxyTLSCertificateFile $dir/none.pem #!", "PooledProxyTLSCertificateFile: no certificate in $dir/none.pem");
bad("${route}PooledProxyTLSCertificateFile $cert #!", "PooledProxyTLSCertificateFile: no key that can be used in $cert (without passphrase)");
bad("${route}PooledProxyTLSCertificateFile $cert\nPooledProxyTLSCertificateKeyFile $other_key #!", "PooledProxyTLSCertificateKeyFile: ");
bad("${route}PooledProxyTLSCertificateFile $cert\nPooledProxyTLSCertificateKeyFile $dir/locked.key #!", "PooledProxyTLSCertificateKeyFile: no key that can be used in $dir/locked.key (without passphrase)");
bad("${route}PooledProxyTLSCertificateKeyFile $key #!", 'PooledProxyTLSCertificateKeyFile: a key without a certificate');
bad("${route}PooledProxyTLSCipherSuite ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-AES #!", "PooledProxyTLSCipherSuite: 'ECDHE-AES' is not a cipher that OpenSSL has here");
bad("${route}PooledProxyTLSCipherSuite TLS_AES #!", "PooledProxyTLSCipherSuite: 'TLS_AES' is not of TLS 1.3's ciphers");
bad("<Location /x>\nPooledProxyTLSVerify Off #!\n</Location>", 'PooledProxyTLSVerify not allowed in <Location');

my $plain = 'no server of the pool has an https:// URL; write it where they are, or remove it';
warned("PooledProxyPass / http://h/\nPooledProxyTLS$_->[0] $_->[1] #!", "PooledProxyTLS$_->[0] has no effect: $plain") for ['Verify', 'Off'], ['CAFile', "$dir/none.pem"], ['SessionCache', 'Off'];
warned("PooledProxyPass /h http://h/\nPooledProxyPass /s upstream://u/\nPooledProxyTLSVerify Off\n<PooledProxyUpstream u>\nPooledProxyServer https://h/\n</PooledProxyUpstream>", '');
warned("PooledProxyPass /h http://h/\nPooledProxyPass /s https://h/\nPooledProxyTLSVerify Off", '');
warned("PooledProxyTLSVerify Off #!", 'PooledProxyTLSVerify has no effect: no route and no handler leads to a pool that it is for; write it where they lead to, or remove it');
warned("${route}PooledProxyTLSVerify Off\nPooledProxyTLSCAFile $dir/ca.pem #!", 'PooledProxyTLSCAFile has no effect: no certificate is checked, by PooledProxyTLSVerify Off (AT); remove one of the two');
chmod 0644, $key;
warned("${route}PooledProxyTLSCertificateFile $cert\nPooledProxyTLSCertificateKeyFile $key #!", "every user of this machine may read the key in $key; chmod o= it");

my (undef, $dump) = tested(<<"END_CONF", '-D', 'DUMP_POOLS');
PooledProxyTLSCAFile $dir/ca.pem
PooledProxyTLSProtocol TLSv1.3
PooledProxyPass / upstream://u/
<PooledProxyUpstream u>
PooledProxyServer https://h/
PooledProxyTLSServerName api.test #!
</PooledProxyUpstream>
END_CONF
my ($pool) = $dump =~ /^pool u (.*?)(?=^pool|\z)/ms;
like($pool, qr/^  PooledProxyTLS\Q$_\E$/m, $_) for 'Verify On (default)', "CAFile $dir/ca.pem (AT)", 'Protocol TLSv1.3 (AT)', 'ServerName api.test (HERE)', 'SessionCache On (default)', 'CRLFile - (default)', 'CipherSuite - (default)';

done_testing();
