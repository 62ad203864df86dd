# README.md's httpd.conf works as it stands there; mod_proxy and mod_pooledproxy share a virtual host as docs/moving-from-mod-proxy.md says.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Config;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Source;

subtest 'the httpd.conf of README.md' => sub {
    my ($conf) = read_source('README.md') =~ /^```\n(LoadModule.*?)^```/ms or return fail('it has one');
    is($conf =~ tr/\n//, 10, 'ten lines');
    ok($conf =~ s/^LoadModule.*\n//, 'the module is loaded first'); # the harness has loaded the one under test
    $conf =~ s{http://10\.0\.0\.5:8080/}{http://127.0.0.1:\$BACKEND_PORT/};
    $conf =~ s/\*:80/127.0.0.1:\$PORT/;
    $conf =~ s/www\.example\.com/front.test/;
    my $setup = Test::PooledProxy::Setup->new(modules => ['authz_host'], backend => 1, config => 'ServerName other.test', main_config => $conf);
    $setup->start;
    my $client = $setup->client;
    is($client->get('/bytes?n=3')->{body}, '012', 'the backend answers') for 1 .. 3;
    like($client->get('/pooledproxy-status')->{body}, qr/conn_opened<.*?>1<.*conn_reused<.*?>2</s, 'the status page says what it cost');
    is(join("\n", $setup->stop), '', 'httpd stops');
};

subtest 'beside mod_proxy' => sub {
    my %lines = (
        before => sub { my ($text) = @_; return $text },
        after  => sub { # mod_proxy is loaded last
            my ($text) = @_;
            $text =~ s/^(LoadModule proxy_module.*\nLoadModule proxy_http_module.*\n)//m or die 'no mod_proxy';
            my $proxy = $1;
            $text =~ s/^(LoadModule pooledproxy_module.*\n)/$1$proxy/m;
            return $text;
        },
    );
    my $original = \&Test::PooledProxy::Config::text;
    for my $order (sort keys %lines) {
        no warnings 'redefine';
        local *Test::PooledProxy::Config::text = sub { return $lines{$order}->($original->(@_)) };
        my $setup = Test::PooledProxy::Setup->new(modules => [qw(proxy proxy_http)], backend => 1, upstream => {}, config => <<'END_CONF');
ProxyPass "/" "http://127.0.0.1:$BACKEND_PORT/echo"
PooledProxyPass "/app/" "http://127.0.0.1:$BACKEND_PORT/"
END_CONF
        $setup->start;
        is($setup->client->get('/app/bytes?n=3')->{body}, '012', "mod_proxy loaded $order: a path of ours is ours");
        like($setup->client->get('/')->{body}, qr{^GET /echo$}m, 'the rest is mod_proxy\'s');
        is($setup->numbers->{requests}, 1, 'and not counted here');
        is(join("\n", $setup->stop), '', 'httpd stops');
    }
};

done_testing();
