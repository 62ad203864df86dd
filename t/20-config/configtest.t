# Each directive, good and bad: what httpd -t says to one line (or a few) of configuration. A message names file, line and what is accepted.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Config;
use Test::PooledProxy::Setup;

# The config stands inside a <VirtualHost>; lines that begin with "main:" stand before it.
sub configtest {
    my ($config) = @_;
    my $main = join "\n", $config =~ /^main:(.*)$/mg;
    my $vhost = $config =~ s/^main:.*\n?//mgr;
    my $setup = Test::PooledProxy::Setup->new(main_config => $main, config => "# begin\n$vhost", modules => [qw(rewrite setenvif)]);
    my ($ok, $output) = $setup->configtest;
    $setup->stop;
    return ($ok, $output);
}

# With routes, so that pools and upstreams are in use.
sub good {
    my ($config) = @_;
    my $routes = "PooledProxyPass /of-good http://h/\n";
    $routes .= "PooledProxyPass /of-good-too upstream://$1/\n" if $config =~ /<PooledProxyUpstream (\w+)>/ && $config !~ m{upstream://};
    my ($ok, $output) = configtest($routes . $config);
    ok($ok, 'accepted: ' . $config =~ s/\n/ | /gr) or diag($output);
    unlike($output, qr/pooledproxy|warn/i, '... without a word') or diag($output);
    return;
}

sub bad {
    my ($config, $message) = @_;
    my ($ok, $output) = configtest($config);
    ok(!$ok, 'refused: ' . $config =~ s/\n/ | /gr);
    like($output, qr/\bline \d+ of \S+|\S+:\d+: /, '... with file and line');
    like($output, ref $message ? $message : qr/\Q$message\E/, '... saying what is accepted');
    return;
}

# ---- routes ----

good($_) for (
    'PooledProxyPass / http://127.0.0.1:8080/',
    'PooledProxyPass /a http://backend.example timeout.total=5s timeout.first-byte=500ms nocanon',
    'PooledProxyPass /a http://[::1]:8080/x',
    'PooledProxyPass /a "unix:/run/app.sock|http://app/x"',
    'PooledProxyPass /a HTTP://Backend.Example:65535/%20x',
    'PooledProxyPass /a HTTPS://Backend.Example/x',
    'PooledProxyPass /a "unix:/run/app.sock|https://app/x"',
    "<Location /a>\nSetHandler pooledproxy:https://h/\n</Location>",
    'PooledProxyPass /a !',
    "PooledProxyPass /a http://h/\nPooledProxyPass /b http://h/",
    'PooledProxyPassMatch ^/(.*)\.gif$ http://h/images/$1 nocanon',
    'PooledProxyPassMatch \.php$ !',
    "<Location /a>\nPooledProxyPass http://h/x timeout.read=1min\n</Location>",
    "<Location /a>\nPooledProxyPass !\n</Location>",
    "<LocationMatch ^/a(.*)>\nPooledProxyPass http://h/x\$1\n</LocationMatch>",
    "<Location ~ ^/a(.*)>\nPooledProxyPass http://h/x\$1\n</Location>",
    "<Location /a>\nSetHandler pooledproxy:http://h/\n</Location>",
    "RewriteEngine On\nRewriteRule ^/a - [H=pooledproxy:http://h/]",
);

my $urls = 'accepted: http://HOST[:PORT]/..., https://HOST[:PORT]/..., srv+http://_SERVICE._tcp.NAME/... and unix:/PATH|http://HOST/... and upstream://NAME/...';
my @bad_urls = (
    ['https:/h/'                => "not the URL of a server; $urls"],
    ['https://h:0/'             => 'the port must be a number from 1 to 65535'],
    ['h2c://h/'                 => "h2c:// is not available in this version; $urls"],
    ['srv+http://api._tcp.h/'   => "the name of a service is _SERVICE._tcp.NAME; $urls"],
    ['srv+http://_api._tcp/'    => "the name of a service is _SERVICE._tcp.NAME; $urls"],
    ['srv+http://_api._tcp.h:80/' => "the SRV records say which port; $urls"],
    ['unix:/s|srv+http://_api._tcp.h/' => "a socket has no SRV records; $urls"],
    ['ftp://h/'                 => "not the URL of a server; $urls"],
    ['backend:8080'             => 'not the URL of a server'],
    ['http:///x'                => 'the host is missing'],
    ['http://h:0/'              => 'the port must be a number from 1 to 65535'],
    ['http://h:65536/'          => 'the port must be a number from 1 to 65535'],
    ['http://h:/'               => 'the port must be a number from 1 to 65535'],
    ['http://h:80x/'            => 'the port must be a number from 1 to 65535'],
    ['http://h:-1/'             => 'the port must be a number from 1 to 65535'],
    ['http://user:pw@h/'        => 'a user name or password is not accepted'],
    ['http://h/?a=b'            => 'a query or fragment is not accepted'],
    ['http://h/#a'              => 'a query or fragment is not accepted'],
    ['http://h/%zz'             => 'not followed by two hexadecimal digits'],
    ['"http://h/a b"'           => 'holds a space'],
    ['http://[::1/'             => 'the ] after the IPv6 address is missing'],
    ['http://[1.2.3.4]/'        => 'is not an IPv6 address'],
    ['http://[fe80::1%25eth0]/' => 'is not an IPv6 address'],
    ['http://1.2.3/'            => 'the host is not an IPv4 address'],
    ['http://300.1.1.1/'        => 'the host is not an IPv4 address'],
    ['http://h$1/'              => 'a character that names of hosts do not have'],
    ['http://a..b/'             => 'the host name has an empty part'],
    ['http://' . 'a' x 254      => 'the host name is too long'],
    ['unix:/run/app.sock'       => '|http://HOST/ is missing'],
    ['"unix:app.sock|http://h/"' => 'the path of the socket must be absolute'],
    ['"unix:/a|h2c://h/"'       => 'h2c:// is not available in this version'],
    ['"unix:/' . 'a' x 108 . '|http://h/"' => 'the path of the socket is too long'],
    ['upstream:///x'            => 'the name is missing'],
    ['upstream://a/?b'          => 'a query or fragment is not accepted'],
);
bad("PooledProxyPass / $_->[0]", $_->[1]) for @bad_urls;

bad($_->[0], $_->[1]) for (
    ['PooledProxyPass /a'                      => 'takes a path and a URL: PooledProxyPass /PATH URL [key=value...]'],
    ['PooledProxyPass a http://h/'             => "'a' is not a path, which begins with /"],
    ['PooledProxyPass / http://h/ nocannon'    => qr/'nocannon' is not accepted; accepted: timeout\.total=T, .*timeout\.read=T, request-buffer=N, nocanon/],
    ['PooledProxyPass / http://h/ timeout.firstbyte=1' => qr/'firstbyte=1' is not accepted; accepted: total=T, .*first-byte=T/],
    ['PooledProxyPass / http://h/ timeout.read=0' => "read: '0' is not accepted; accepted: a time from 1ms to 24h"],
    ['PooledProxyPass / http://h/ timeout.read=1s timeout.read=2s' => "'read' is given twice"],
    ['PooledProxyPass / http://h/ nocanon nocanon' => "'nocanon' is given twice"],
    ['PooledProxyPass / http://h/ retry=0'     => "'retry=0' is not accepted"],
    ['PooledProxyPass / ! nocanon'             => '! takes no keys'],
    ['PooledProxyPassMatch ^/a'                => 'takes a regular expression and a URL'],
    ['PooledProxyPassMatch ( http://h/'        => "'(' is not a regular expression"],
    ["<Location /a>\nPooledProxyPass /a http://h/\n</Location>" => 'inside <Location> the path is left out'],
    ["<Location /a>\nPooledProxyPass http://h/\nPooledProxyPass http://i/\n</Location>" => 'this <Location> has one already, at '],
    ["<Location /a*>\nPooledProxyPass http://h/\n</Location>" => 'a <Location> with wildcards is not accepted'],
    ["<Directory /a>\nPooledProxyPass http://h/\n</Directory>" => 'PooledProxyPass cannot occur within <Directory'],
    ["<If true>\nPooledProxyPass http://h/\n</If>" => 'PooledProxyPass cannot occur within <If> section'],
    ["<Location /a>\nPooledProxyPassMatch ^ http://h/\n</Location>" => 'PooledProxyPassMatch not allowed'],
    ["<Location /a>\nSetHandler pooledproxy:h2c://h/\n</Location>" => 'h2c:// is not available in this version'],
    ["<Location /a>\nSetHandler pooledproxy:http://h/a\n</Location>\n<Location /b>\nSetHandler pooledproxy:http://h/A\n</Location>" => 'differ in case only'],
    ["<Location /a>\nSetHandler pooledproxy:upstream://nobody/\n</Location>" => 'there is no upstream of that name'],
);

# ---- upstreams ----

my $server = "PooledProxyServer http://h/\n";
sub upstream { return "<PooledProxyUpstream api>\n$_[0]</PooledProxyUpstream>" }

good($_) for (
    upstream($server),
    upstream("PooledProxyServer http://h:1/x weight=2 limit=3\nPooledProxyServer http://h:2/ backup drain\n"),
    upstream("PooledProxyServer http://h:1/x\nPooledProxyServer http://h:1/y\n"),
    upstream("<IfModule mod_rewrite.c>\n$server</IfModule>\n"),
    upstream($server . 'PooledProxyBalance leastconn' . "\n"),
    upstream($server . 'PooledProxyBalance "hash:%{req:X-User}"' . "\n"),
    upstream($server . "PooledProxyPoolSize 3\nPooledProxyTimeout pool=1s\nPooledProxyKeepAlive Off\n"),
    upstream($server) . "\nPooledProxyPass / upstream://api/",
    upstream($server) . "\nPooledProxyPass / upstream://API/deep/",
    "main:<PooledProxyUpstream shared>\nmain:PooledProxyServer http://h/\nmain:</PooledProxyUpstream>\nPooledProxyPass / upstream://shared/",
    "PooledProxyPass / upstream://api/\n" . upstream($server),
);

bad($_->[0], $_->[1]) for (
    ['PooledProxyPass / upstream://nobody/' => "'upstream://nobody/': there is no upstream of that name; there is no <PooledProxyUpstream>"],
    [upstream($server) . "\nPooledProxyPass / upstream://app/" => 'there is no upstream of that name; known here: api'],
    [upstream($server) . "\nPooledProxyPassMatch ^ upstream://app/" => 'PooledProxyPassMatch: '],
    [upstream($server) . "\n<Location /a>\nPooledProxyPass upstream://app/\n</Location>" => 'known here: api'],
    [upstream('') => 'needs at least one PooledProxyServer'],
    [upstream($server) . "\n" . upstream($server) => '<PooledProxyUpstream api> is already defined at '],
    [upstream($server x 2) => 'h:80 is already a server of api'],
    [upstream("$server ServerAlias x\n") => qr/ServerAlias is not accepted inside <PooledProxyUpstream>; accepted: PooledProxyServer, /],
    [upstream("${server}PooledProxyPass / http://h/\n") => 'PooledProxyPass is not accepted inside <PooledProxyUpstream>'],
    [upstream("$server<Location />\n</Location>\n") => '<Location> is not accepted inside <PooledProxyUpstream>'],
    [upstream("${server}PooledProxyPoolSise 3\n") => 'PooledProxyPoolSise is not accepted inside <PooledProxyUpstream>'],
    ["<PooledProxyUpstream>\n$server</PooledProxyUpstream>" => 'the name is one word'],
    ["<PooledProxyUpstream a b>\n$server</PooledProxyUpstream>" => 'the name is one word'],
    ["<PooledProxyUpstream a/b>\n$server</PooledProxyUpstream>" => 'the name is one word'],
    ["<Location />\n" . upstream($server) . "\n</Location>" => '<PooledProxyUpstream not allowed'],
    ['PooledProxyServer http://h/' => 'PooledProxyServer is accepted inside <PooledProxyUpstream NAME> only'],
    [upstream("PooledProxyServer\n") => 'the URL is missing'],
    [upstream("PooledProxyServer upstream://b/\n") => 'accepted: http://HOST[:PORT]/..., https://HOST[:PORT]/..., srv+http://_SERVICE._tcp.NAME/... and unix:/PATH|http://HOST/...'],
    [upstream("PooledProxyServer http://h/ weight=0\n") => "weight: '0' is not accepted; accepted: a number from 1 to 1000"],
    [upstream("PooledProxyServer http://h/ limit=x\n") => "limit: 'x' is not accepted; accepted: a number from 1 to 1000000"],
    [upstream("PooledProxyServer http://h/ wieght=1\n") => "'wieght=1' is not accepted; accepted: weight=N, limit=N, backup, drain"],
    [upstream("PooledProxyServer http://h/ weight=1 weight=2\n") => "'weight=2' is given twice"],
    [upstream("PooledProxyServer http://h/ backup backup\n") => "'backup' is given twice"],
    ['PooledProxyBackendCapacity 5' => 'PooledProxyBackendCapacity is accepted inside <PooledProxyUpstream NAME> only'],
    [upstream("${server}PooledProxyBackendCapacity 0\n") => "PooledProxyBackendCapacity: '0' is not accepted; accepted: a number from 1 to"],
    [upstream("${server}PooledProxyBalance fair\n") => "'fair' is not accepted; accepted: roundrobin, leastconn, random2, hash:EXPRESSION"],
    [upstream("${server}PooledProxyBalance hash:\n") => 'the expression after hash: is missing'],
    [upstream("${server}PooledProxyBalance \"hash:%{nonsense:x}\"\n") => 'is not an expression'],
);

# ---- the pool ----

my @numbers = (
    [PooledProxyPoolSize => 1, 1_000_000], [PooledProxyHostLimit => 0, 1_000_000], [PooledProxyMaxRequests => 0, 1_000_000_000],
    [PooledProxyMaxConnecting => 1, 100_000], [PooledProxyQueue => 0, 1_000_000], [PooledProxyIdleMax => 0, 1_000_000],
    [PooledProxyIdleMin => 0, 1_000_000],
);
for (@numbers) {
    my ($directive, $least, $most) = @$_;
    good("$directive $least\nmain:$directive $most");
    bad("$directive $_", "$directive: '$_' is not accepted; accepted: a number from $least to $most") for $least - 1, $most + 1, 'x', '3x';
}
good("PooledProxyHostLimit $_") for qw(auto AUTO auto:1-9 auto:5-5 auto:2-99);
bad("PooledProxyHostLimit $_", "PooledProxyHostLimit: '$_' is not accepted; accepted: a number from 0 to 1000000, auto, auto:MIN-MAX (1 <= MIN <= MAX)")
  for qw(auto: auto:5 auto:5- auto:-5 auto:0-5 auto:6-5 auto:1-1000001 auto-1-5 automatic);
bad("<Location />\nPooledProxyPoolSize 1\n</Location>", 'PooledProxyPoolSize not allowed');

good("PooledProxyKeepAlive on\nmain:PooledProxyKeepAlive Off");
bad('PooledProxyKeepAlive 1', "'1' is not accepted; accepted: On, Off");
good("PooledProxyKeepAliveTimeout $_") for qw(1ms 30 5s 2min 24h);
bad("PooledProxyKeepAliveTimeout $_", "PooledProxyKeepAliveTimeout: '$_' is not accepted; accepted: a time from 1ms to 24h") for qw(0 25h -1 5x 5sec s 1.5s 99999999999h);
good("PooledProxyMaxAge $_") for '0', '24h', '10min jitter=0%', '1 jitter=99%';
bad('PooledProxyMaxAge 25h', "PooledProxyMaxAge: '25h' is not accepted; accepted: a time from 0 to 24h");
bad("PooledProxyMaxAge 1h $_", "PooledProxyMaxAge: '$_' is not accepted; accepted: jitter=P%, P from 0 to 99")
  for qw(jitter=100% jitter=-1% jitter=5 jitter=% jitter= 5% jiter=5%);
bad('PooledProxyMaxAge 1h jitter=1% jitter=2%', 'PooledProxyMaxAge takes 1-2 arguments');

good("PooledProxyDNSTTL $_") for 'record', '300s', '1ms stale=0 negative=0', 'RECORD max=1h min=0 stale=24h negative=10s', 'record MIN=2';
bad('PooledProxyDNSTTL', 'PooledProxyDNSTTL: nothing is given; accepted: record|T [max=T] [min=T] [stale=T] [negative=T]');
bad("PooledProxyDNSTTL $_", "PooledProxyDNSTTL: '$_' is not accepted; accepted: a time from 1ms to 24h") for qw(0 25h -1 records max=5s);
bad("PooledProxyDNSTTL record $_", "PooledProxyDNSTTL: '$_' is not accepted; accepted: max=T, min=T, stale=T, negative=T") for qw(5s maxx=1 max ttl=1 =5);
bad("PooledProxyDNSTTL record $_", 'PooledProxyDNSTTL: ' . (split /=/)[0] . ': ') for qw(max=0 min=25h stale= negative=x);
bad('PooledProxyDNSTTL record max=1 MAX=2', "PooledProxyDNSTTL: 'max' is given twice");
bad("PooledProxyDNSTTL 5s $_=1s", "PooledProxyDNSTTL: $_: it is a limit of the record's own time; accepted with record only") for qw(max min);
bad("PooledProxyDNSTTL record min=10s max=5s\nPooledProxyPass / http://h/", 'PooledProxyDNSTTL min=10s is more than max=5s (');
good("main:PooledProxyResolver $_") for '127.0.0.1', '127.0.0.1:53 10.0.0.1:5353', '::1 [::1] [2001:db8::1]:5353';
bad("main:PooledProxyResolver $_", "PooledProxyResolver: '$_' is not accepted; accepted: an IPv4 or IPv6 address, with a port as ADDR:PORT or [ADDR]:PORT")
  for qw(dns.example 127.0.0 127.0.0.1: 127.0.0.1:0 127.0.0.1:65536 127.0.0.1:5x [::1 [::1]x [127.0.0.1]:53 :53);
bad('main:PooledProxyResolver', 'PooledProxyResolver: nothing is given; accepted: ADDR[:PORT] ...');
bad('PooledProxyResolver 127.0.0.1', 'PooledProxyResolver cannot occur within <VirtualHost> section');

# ---- settings of requests ----

good('PooledProxyTimeout total=0 pool=1ms connect=2s write=3min first-byte=4 read=24h');
good("<Location />\nPooledProxyTimeout total=5s\n</Location>\nmain:PooledProxyTimeout read=1s");
bad('PooledProxyTimeout', qr/nothing is given; accepted: total=T, pool=T, connect=T, write=T, first-byte=T, read=T/);
bad('PooledProxyTimeout 5s', qr/'5s' is not accepted; accepted: total=T, pool=T, connect=T, write=T, first-byte=T, read=T/);
bad('PooledProxyTimeout conect=5s', qr/'conect=5s' is not accepted; accepted: total=T, /);
bad('PooledProxyTimeout total=-1', "total: '-1' is not accepted; accepted: a time from 0 to 24h");
bad("PooledProxyTimeout $_=0", "$_: '0' is not accepted; accepted: a time from 1ms to 24h") for qw(pool connect write first-byte read);
bad('PooledProxyTimeout read=1s read=2s', "'read' is given twice");

for my $flag (qw(PooledProxyPreserveHost PooledProxyRewriteRedirects PooledProxyAsync)) {
    my $on = $flag eq 'PooledProxyAsync' ? 'Off' : 'on'; # not every MPM can do that
    good("$flag $on\nmain:$flag Off\n<Location />\n$flag Off\n</Location>");
    bad("$flag yes", "$flag: 'yes' is not accepted; accepted: Off, On");
}
good("PooledProxyForwarded $_") for qw(off x-forwarded RFC7239 both);
bad('PooledProxyForwarded on', "'on' is not accepted; accepted: off, x-forwarded, rfc7239, both");
good("PooledProxyCookieDomain a.example b.example\n<Location />\nPooledProxyCookiePath /a /b\n</Location>");
bad('PooledProxyCookieDomain a.example', 'PooledProxyCookieDomain takes two arguments');
bad('PooledProxyCookieDomain "a b" b.example', 'FROM and TO must not be empty or hold spaces');
bad('PooledProxyCookiePath /a "/b; x"', 'must not be empty or hold spaces and semicolons');
bad('PooledProxyCookiePath a /b', 'FROM and TO are paths, which begin with /');

good("PooledProxyStatusHeader $_") for qw(off errors ALWAYS);
bad('PooledProxyStatusHeader on', "PooledProxyStatusHeader: 'on' is not accepted; accepted: off, errors, always");
good("PooledProxyRequestBuffer $_") for qw(0 4096 64K 64k 1M 1024M);
bad("PooledProxyRequestBuffer $_", "PooledProxyRequestBuffer: '$_' is not accepted; accepted: a size from 0 to 1024M") for qw(-1 1G K 1025M 64KB 99999999999M);
good("PooledProxyPass / http://h/ request-buffer=1M");
bad('PooledProxyPass / http://h/ request-buffer=x', "request-buffer= 'x' is not accepted; accepted: a size from 0 to 1024M");
bad('PooledProxyPass / http://h/ request-buffer=1 request-buffer=2', 'request-buffer= given twice');

# ---- the engine ----

good("PooledProxy Off\nmain:PooledProxy On");
bad('PooledProxy maybe', 'PooledProxy must be On or Off');
good("main:PooledProxyEventLoops $_") for 1, Test::PooledProxy::Config::mpm() eq 'prefork' ? () : 64;
bad("main:PooledProxyEventLoops $_", "PooledProxyEventLoops: '$_' is not accepted; accepted: a number from 1 to 64") for 0, 65, 'two';
bad('PooledProxyEventLoops 2', 'PooledProxyEventLoops cannot occur within <VirtualHost> section');

# What is not built yet is not accepted silently.
bad("$_ x", "Invalid command '$_'") for qw(PooledProxyProtocol PooledProxyRetry
  PooledProxyBreaker PooledProxyHealthCheck PooledProxyAlert PooledProxyTrace PooledProxyTraceContext);

done_testing();
