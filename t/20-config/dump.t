# httpd -t -D DUMP_POOLS: each pool's effective settings, and where each was set, through the main server, virtual host and upstream.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Setup;

# Lines that end with "#NAME" can be asked for by that name: {NAME => line number}.
sub dumped {
    my (%args) = @_;
    my $setup = Test::PooledProxy::Setup->new(%args);
    my ($ok, $output) = $setup->configtest('-D', 'DUMP_POOLS');
    ok($ok, 'the configuration is accepted') or diag($output);
    my ($file, $port) = ($setup->httpd->dir . '/httpd.conf', $setup->var('PORT'));
    open my $in, '<', $file or die "$file: $!";
    my %line_of;
    while (<$in>) { $line_of{$1} = "$file:$." if /"#(\w+)"/ }
    $setup->stop;
    my (%pools, $pool);
    for (split /\n/, $output) {
        if    (/^pool (\S+) \((.*)\)$/) { $pool = $pools{ $1 =~ s/:$port$/:PORT/r } = { from => $2, lines => [] } }
        elsif (/^  (.*)/ && $pool)      { push @{ $pool->{lines} }, $1 }
    }
    return (\%pools, \%line_of, $output);
}

sub has {
    my ($pool, @lines) = @_;
    for my $line (@lines) { ok(scalar(grep { $_ eq $line } @{ $pool->{lines} }), $line) or diag(join "\n", @{ $pool->{lines} }) }
    return;
}

subtest 'defaults' => sub {
    my ($pools, undef, $output) = dumped(config => 'PooledProxyPass / http://h/');
    like($output, qr/^mod_pooledproxy: 3 pools\n  PooledProxyEventLoops 1 \(default\)\n  PooledProxyResolver the system's \(default\)\npool front\.test:\d+ \(main server\)$/m, 'it begins so');
    unlike($output, qr/warn|has no effect/, 'no warning');
    like($pools->{'front.test:PORT'}{from}, qr{/httpd\.conf:\d+$}, 'a virtual host is where it begins');
    has($pools->{'front.test:PORT'}, map { "$_ (default)" } 'PooledProxy On', 'PooledProxyPoolSize 100', 'PooledProxyHostLimit 0',
        'PooledProxyKeepAlive On', 'PooledProxyKeepAliveTimeout 30s', 'PooledProxyIdleMax 0', 'PooledProxyIdleMin 0',
        'PooledProxyMaxAge 1h jitter=10%', 'PooledProxyMaxRequests 0', 'PooledProxyMaxConnecting 16', 'PooledProxyQueue 1000',
        'PooledProxyDNSTTL record max=5min min=1s stale=60s negative=5s',
        'PooledProxyTimeout total=0', 'PooledProxyTimeout pool=5s', 'PooledProxyTimeout connect=5s', 'PooledProxyTimeout write=60s',
        'PooledProxyTimeout first-byte=60s', 'PooledProxyTimeout read=60s', 'PooledProxyPreserveHost Off',
        'PooledProxyForwarded x-forwarded', 'PooledProxyRewriteRedirects On', 'PooledProxyAsync On', 'PooledProxyStatusHeader errors',
        'PooledProxyRequestBuffer 64K', 'most connections, over all children: 100');
};

subtest 'each setting remembers where it was set' => sub {
    my ($pools, $at) = dumped(main_config => <<'MAIN', config => <<'VHOST');
Define M1 "#loops"
PooledProxyEventLoops 1
Define M2 "#size"
PooledProxyPoolSize 40
Define M3 "#age"
PooledProxyMaxAge 10min jitter=5%
Define M4 "#buffer"
PooledProxyRequestBuffer 128K
Define M5 "#timeout"
PooledProxyTimeout read=5s total=90s
Define M6 "#preserve"
PooledProxyPreserveHost On
MAIN
Define V1 "#limit"
PooledProxyHostLimit auto:2-8
Define V2 "#size2"
PooledProxyPoolSize 30
Define V3 "#age2"
PooledProxyMaxAge 20min
Define V4 "#cookie"
PooledProxyCookiePath /a /b
Define V5 "#timeout2"
PooledProxyTimeout total=1500ms
Define V6 "#upstream"
<PooledProxyUpstream api>
Define U1 "#one"
    PooledProxyServer http://one:81/u weight=3 limit=4 backup
Define U2 "#two"
    PooledProxyServer http://two drain
Define U3 "#size3"
    PooledProxyPoolSize 20
Define U4 "#timeout3"
    PooledProxyTimeout total=7s
Define U5 "#balance"
    PooledProxyBalance "hash:%{req:X-User}"
Define U6 "#capacity"
    PooledProxyBackendCapacity 50
</PooledProxyUpstream>
Define V7 "#route"
PooledProxyPass /a http://h/x timeout.read=1s request-buffer=1M nocanon
Define V8 "#match"
PooledProxyPassMatch ^/x(.*) upstream://api/$1
<Location /h>
Define V9 "#handler"
    SetHandler pooledproxy:http://H/xY
</Location>
VHOST
    my %next = map { my ($file, $line) = $at->{$_} =~ /(.*):(\d+)$/; $_ => "$file:" . ($line + 1) } keys %$at;
    has($pools->{'front.test:PORT'}, "PooledProxyPoolSize 30 ($next{size2})", "PooledProxyHostLimit auto:2-8 ($next{limit})",
        "PooledProxyMaxAge 20min jitter=5% ($next{age2})", "PooledProxyRequestBuffer 128K ($next{buffer})",
        "PooledProxyTimeout read=5s ($next{timeout})", "PooledProxyTimeout total=1500ms ($next{timeout2})",
        'PooledProxyTimeout pool=5s (default)', "PooledProxyPreserveHost On ($next{preserve})", "PooledProxyCookiePath /a /b ($next{cookie})",
        "server http://h/x weight=1 limit=0 ($next{route})", "route /a http://h/x timeout.read=1s request-buffer=1M nocanon ($next{route})",
        "handler pooledproxy:http://H/xY ($next{handler})", "most connections, over all children: 8 (PooledProxyHostLimit, $next{limit})");
    is($pools->{api}{from}, $next{upstream}, 'the upstream is where its block begins');
    has($pools->{api}, "PooledProxyPoolSize 20 ($next{size3})", "PooledProxyHostLimit auto:2-8 ($next{limit})",
        "PooledProxyTimeout total=7s ($next{timeout3})", "PooledProxyTimeout read=5s ($next{timeout})",
        "PooledProxyBalance hash:%{req:X-User} ($next{balance})", "PooledProxyBackendCapacity 50 ($next{capacity})",
        "server http://one:81/u weight=3 limit=4 backup ($next{one})", "server http://two weight=1 limit=0 drain ($next{two})",
        "route ^/x(.*) upstream://api/\$1 ($next{match})",
        "most connections, over all children: 12 (limit=, $next{one}; PooledProxyHostLimit, $next{limit})");
    my ($main) = grep { $pools->{$_}{from} eq 'main server' } keys %$pools;
    has($pools->{$main}, "PooledProxyPoolSize 40 ($next{size})", 'most connections, over all children: 0 (nothing leads to it)');
};

subtest 'auto alone goes up to PooledProxyPoolSize' => sub {
    my ($pools) = dumped(main_config => 'PooledProxyHostLimit auto', config => "PooledProxyPoolSize 7\nPooledProxyPass / http://h/");
    my @lines = map { s/ \(\S*\)$//r } @{ $pools->{'front.test:PORT'}{lines} };
    has({ lines => \@lines }, 'PooledProxyHostLimit auto:1-7');
    ($pools) = dumped(main_config => 'PooledProxyHostLimit auto', config => "PooledProxyHostLimit 9\nPooledProxyPass / http://h/");
    @lines = map { s/ \(\S*\)$//r } @{ $pools->{'front.test:PORT'}{lines} };
    has({ lines => \@lines }, 'PooledProxyHostLimit 9');
};

subtest 'without -D it is not there' => sub {
    my $setup = Test::PooledProxy::Setup->new(config => 'PooledProxyPass / http://h/');
    my ($ok, $output) = $setup->configtest;
    $setup->stop;
    is($output, "Syntax OK\n", 'httpd -t alone');
};

done_testing();
