# Each file of conf-examples is accepted as it is, and does what it is about. A file that no test here uses is a failure.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use File::Temp ();
use Test::More;
use Test::PooledProxy::Backend;
use Test::PooledProxy::Certificates;
use Test::PooledProxy::Client;
use Test::PooledProxy::Config;
use Test::PooledProxy::Example;
use Test::PooledProxy::Program;
use Test::PooledProxy::Resolver;
use Test::PooledProxy::Util qw(wait_until read_file slowness);
use Time::HiRes qw(time);

plan skip_all => 'the examples are about the event MPM' if Test::PooledProxy::Config::mpm() ne 'event';

my %use_of = (
    'quick-start'    => \&quick_start,
    'several-vhosts' => \&several_vhosts,
    'tls-front'      => \&tls_front,
    'large-files'    => \&large_files,
    'sse-websocket'  => \&sse_websocket,
    'slow-requests'  => \&slow_requests,
    'names-that-move' => \&names_that_move,
    'public-api'     => \&public_api,
    'mutual-tls'     => \&mutual_tls,
);

my $leases = Test::PooledProxy::Config::httpd_version() =~ /^2\.4\.(\d+)/ && $1 >= 63; # else a thread waits for each request

for my $name (Test::PooledProxy::Example::names()) {
    subtest $name => sub {
        local $SIG{ALRM} = sub { die "$name took too long\n" };
        alarm 40 * slowness();
        ok($use_of{$name}, 'there is a test that uses it') or return;
        accepted($name);
        eval { $use_of{$name}->($name); 1 } or fail("$name: " . substr $@, 0, 3000);
        alarm 0;
    };
}
is(join(' ', grep { my $n = $_; !grep { $_ eq $n } Test::PooledProxy::Example::names() } sort keys %use_of), '', 'no test without its file');
done_testing();

# The file with its own default values: only the certificate is ours.
sub accepted {
    my ($name) = @_;
    my $example = Test::PooledProxy::Example->new($name, certificate => 1);
    my ($ok, $output) = $example->configtest(PP_CERTIFICATE => '$CERT', PP_CERTIFICATE_KEY => '$KEY', PP_CA => '$CERT');
    ok($ok, 'httpd -t accepts it') || diag($output);
    unlike($output, qr/warn|AH\d/, 'and has nothing to remark');
    return;
}

sub started { my ($name, %args) = @_; return Test::PooledProxy::Example->new($name, %args)->start }

sub ends_well { my ($example) = @_; return is($example->stop, '', 'httpd ends as it should') }

# The numbers of the pool of this name.
sub pool {
    my ($example, $name) = @_;
    my ($pool) = grep { $_->{name} =~ /^\Q$name\E(?::|$)/ } @{ $example->httpd_setup->status->{pools} };
    return $pool || die "no pool $name\n";
}

# Sends one request on each of N connections of their own; returns the connections.
sub send_all {
    my ($example, $n, $path, $host) = @_;
    return map { my $client = $example->client; $client->send_request(GET => $path, headers => [Host => $host]); $client } 1 .. $n;
}

sub statuses { my ($responses) = @_; my %n; $n{ $_->{status} }++ for @$responses; return join ' ', map { "$_:$n{$_}" } sort keys %n }

sub quick_start {
    my ($name) = @_;
    my $backend = Test::PooledProxy::Backend->new;
    my $example = started($name, defines => { PP_BACKEND => $backend->url });
    my $client  = $example->client;
    is(statuses([map { $client->get("/bytes?n=$_") } 1 .. 50]), '200:50', 'fifty requests');
    is($backend->stats->{accepts}, 1, 'one upstream connection served them');
    my $page = $client->get('/pooledproxy-status');
    like($page->{body}, qr/www\.example\.com.*conn_reused<.*?>49</s, 'the status page says so');
    is($client->get('/server-status')->{status}, 404, 'an excluded path is httpd\'s own');
    my $log = read_file($example->httpd_setup->httpd->dir . '/logs/quick-start.log');
    like($log, qr{"GET /bytes\?n=1 HTTP/1\.1" 200 \d+ server=127\.0\.0\.1:\d+ reused=0 reason=no_idle us=\d+\n.*reused=1 reason=- us=\d+\n}s,
        'the log has the fields')
      if wait_until(2, sub { ($log = read_file($example->httpd_setup->httpd->dir . '/logs/quick-start.log')) =~ /server-status/ });
    like($log, qr{"GET /server-status HTTP/1\.1" 404 \d+ server=- }, 'no backend was asked for it');
    return ends_well($example);
}

sub several_vhosts {
    my ($name) = @_;
    my %backend = map { $_ => Test::PooledProxy::Backend->new } qw(PP_SHOP PP_REPORTS PP_API_1 PP_API_2);
    my $example = started($name, defines => { map { $_ => $backend{$_}->url } keys %backend });
    # The slow backend takes 4 at a time; 20 wait, 6 are sent away while the first 4 are still at work.
    my @reports = send_all($example, 24, '/slow?ms=500', 'reports.example.com');
    ok(wait_until(10, sub { my $p = pool($example, 'reports.example.com'); $p->{busy} == 4 && $p->{waiting} == 20 }), '4 run, 20 wait');
    my @refused = map { $_->read_response } send_all($example, 6, '/slow?ms=500', 'reports.example.com');
    is(statuses(\@refused), '503:6', 'the next are refused at once');
    ok($refused[0]->header('Retry-After'), 'with Retry-After');
    # Meanwhile the other host has its own pool.
    is(statuses([map { $_->read_response } send_all($example, 12, '/slow?ms=100', 'shop.example.com')]), '200:12', 'the shop answers');
    is($backend{PP_SHOP}->stats->{max_active}, 12, 'all at once');
    is(statuses([map { $_->read_response } @reports]), '200:24', 'who waited is served');
    is($backend{PP_REPORTS}->stats->{accepts}, 4, 'on four connections');
    for my $host (qw(shop reports)) {
        my $client = $example->client;
        is(statuses([map { $client->get('/api/bytes?n=1', Host => "$host.example.com") } 1 .. 6]), '200:6', "the API, from $host");
    }
    is(join(' ', map { $backend{$_}->stats->{requests} } qw(PP_API_1 PP_API_2)), '8 4', 'is shared, two to one');
    is(pool($example, 'api')->{requests}, 12, 'and has a pool of its own');
    $example->{expected}{error_log} = 'pool_full';
    return ends_well($example);
}

sub tls_front {
    my ($name) = @_;
    my $backend = Test::PooledProxy::Backend->new;
    my %defines = (PP_SITE => 'front.test:${PP_TLS_PORT}', PP_CERTIFICATE => '$CERT', PP_CERTIFICATE_KEY => '$KEY', PP_BACKEND => $backend->url);
    my $example = started($name, certificate => 1, defines => \%defines);
    my $site    = 'front.test:' . $example->tls_port;
    my $moved   = $example->client->get('/a?b');
    is($moved->{status} . ' ' . $moved->header('Location'), "301 https://$site/a?b", 'http sends to https');
    for my $version ('1.1', '2') {
        my @urls = ("https://$site/echo") x 20;
        my $seen = $example->curl("--http$version", '--cacert', $example->httpd_setup->var('CERT'), '-w', '%{http_version} %{http_code}\n', @urls);
        is(scalar(() = $seen =~ /^\Q$version\E 200$/mg), 20, "HTTP/$version: answered");
        is(scalar(() = $seen =~ /^X-Forwarded-Proto: https\r?$/mg), 20, 'the backend knows that it was https');
        like($seen, qr/^X-Forwarded-Host: \Q$site\E\r?$/m, 'and the host');
    }
    cmp_ok($backend->stats->{accepts}, '<=', 2, 'upstream connections are reused by both');
    like($example->curl('-I', '--cacert', $example->httpd_setup->var('CERT'), "https://$site/"), qr/^Strict-Transport-Security:/mi, 'HSTS');
    return ends_well($example);
}

# A directory with an authority, and with a server over TLS whose certificate is by it.
sub tls_backend {
    my (@options) = @_;
    my $dir = File::Temp::tempdir(CLEANUP => 1);
    chmod 0755, $dir;
    my $ca = Test::PooledProxy::Certificates->new($dir);
    my ($cert, $key) = $ca->leaf('server', san => 'DNS:billing.example.net,IP:127.0.0.1');
    $ca->leaf('client');
    return ($dir, Test::PooledProxy::Program->script('tls_server.pl', "$dir/log", '--cert', $cert, '--key', $key, map { s/DIR/$dir/r } @options));
}

sub public_api {
    my ($name) = @_;
    my ($dir, $api) = tls_backend();
    local $ENV{SSL_CERT_FILE} = "$dir/ca.pem"; # the system's store
    my $example = started($name, defines => { PP_API => $api->url =~ s/^http/https/r });
    ok(wait_until(5, sub { pool($example, 'api')->{idle} == 2 }), 'two connections are ready');
    my $client = $example->client;
    is(statuses([map { $client->get('/api/info') } 1 .. 20]), '200:20', 'twenty calls');
    is(pool($example, 'api')->{conn_opened}, 2, 'on them');
    $client->send_request(GET => '/api/fields', headers => [Cookie => 'a=b', Authorization => 'Basic eDp5', 'X-Own' => 'yes']);
    my $fields = $client->read_response->{body};
    like($fields, qr/^Authorization: Bearer secret\r$/m, 'the key is added');
    like($fields, qr/^X-Own: yes\r$/m, 'what the client has sent is there');
    unlike($fields, qr/^(?:Cookie|X-Forwarded|Forwarded)/m, 'but what is none of theirs');
    my $log = '';
    ok(wait_until(2, sub { ($log = read_file($example->httpd_setup->httpd->dir . '/logs/public-api.log')) =~ /fields/ }), 'it is logged');
    like($log, qr{"GET /api/info HTTP/1\.1" 200 \d+ reused=1 tls=0 us=\d+ reason=-}, 'with what TLS cost');
    return ends_well($example);
}

sub mutual_tls {
    my ($name) = @_;
    my ($dir, $backend) = tls_backend('--ca', 'DIR/ca.pem');
    my %defines = (PP_BACKEND => $backend->url =~ s/^http/https/r, PP_CA => "$dir/ca.pem", PP_CERTIFICATE => "$dir/client.pem", PP_CERTIFICATE_KEY => "$dir/client.key");
    my $example = started($name, defines => \%defines);
    like($example->client->get('/info')->{body}, qr/^sni=billing\.example\.net version=TLSv1_3 reused=0 cn=client /, 'each knows the other');
    ends_well($example);
    $example = started($name, defines => { %defines, PP_BACKEND_NAME => 'other.example.net' });
    my $refused = $example->client->get('/info');
    is($refused->{status} . ' ' . ($refused->header('Proxy-Status') =~ /details="(\w+)"/)[0], '502 tls_verify', 'another name is not believed');
    $example->{expected}{error_log} = "tls_verify\nhostname mismatch";
    return ends_well($example);
}

sub children_rss {
    my ($example) = @_;
    return map { read_file("/proc/$_/status") =~ /^VmRSS:\s+(\d+)/m ? $1 : () } Test::PooledProxy::Httpd::children_of($example->pid);
}

sub large_files {
    my ($name) = @_;
    my $backend = Test::PooledProxy::Backend->new;
    my $example = started($name, defines => { PP_BACKEND => $backend->url });
    my $size    = 32 * 1024 * 1024;
    my $client  = $example->client;
    $client->get('/files/bytes?n=1000000'); # what a first transfer makes grow has grown
    my ($before) = children_rss($example);
    my $slow = $example->client(receive_buffer => 4096);
    $slow->send_request(GET => "/files/bytes?n=$size"); # and reads nothing yet
    my $file = '0123456789abcdef' x ($size / 16);
    my $echo = $client->send_request(PUT => '/files/sink', body => $file)->read_response('PUT');
    is($echo->{body}, "$size\n", 'an upload arrives whole');
    my $whole = $example->client->get("/files/bytes?n=$size");
    is(sha256_hex($whole->{body}), sha256_hex($file), 'a download too');
    ok(wait_until(5, sub { pool($example, 'files')->{busy} == 1 }), 'the one that nobody reads waits');
    my ($after) = children_rss($example);
    cmp_ok($after - $before, '<', 8 * 1024, 'httpd has not kept it: KB grown') if !$ENV{SANITIZE} && !$ENV{VALGRIND};
    is($example->client->get('/')->{status}, 200, 'short requests have a pool of their own');
    $slow->close;
    ok(wait_until(5, sub { pool($example, 'files')->{busy} == 0 }), 'a client that goes away lets its connection go');
    is($example->client->get('/files/bytes?n=1000', 'Accept-Encoding' => 'gzip')->header('Content-Encoding'), undef, 'nothing is compressed');
    return ends_well($example);
}

sub sse_websocket {
    my ($name) = @_;
    my $backend = Test::PooledProxy::Program->script('live.pl', File::Temp::tempdir(CLEANUP => 1) . '/log');
    my $example = started($name, defines => { PP_BACKEND => $backend->url });
    my @streams = send_all($example, $leases ? 60 : 5, '/events', 'live.example.com');
    for my $client (@streams) { $client->read_head }
    is($streams[0]->read_chunk . $streams[0]->read_chunk, "data: event 1\n\ndata: event 2\n\n", 'events come while the stream goes on');
    is(pool($example, 'streams')->{busy}, scalar @streams, 'more streams than threads are open');
    my $client = $example->client;
    $client->send_request(GET => '/ws', headers => [Connection => 'Upgrade', Upgrade => 'websocket', 'Sec-WebSocket-Version' => 13,
        'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==']);
    my $head = $client->read_head;
    is("$head->{status} " . $head->header('Sec-WebSocket-Accept'), '101 s3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'the WebSocket opens');
    for my $text (qw(one two)) {
        $client->send_bytes(pack('CC a4', 0x81, 0x83, "\0\0\0\0") . $text);
        is($client->take(5), pack('CC', 0x81, 3) . $text, 'and answers');
    }
    is($example->client->get('/')->{status}, 200, 'other requests are served meanwhile');
    $_->close for $client, @streams;
    ok(wait_until(5, sub { pool($example, 'streams')->{busy} == 0 }), 'clients that go away let their connections go');
    return ends_well($example);
}

sub names_that_move {
    my ($name) = @_;
    return pass(Test::PooledProxy::Resolver::missing()) if Test::PooledProxy::Resolver::missing();
    my @backends = map { Test::PooledProxy::Backend->new } 1 .. 2;
    my $dir = File::Temp->newdir;
    my $resolver = Test::PooledProxy::Resolver->new(dir => $dir, ttl => 1, records => { 'orders.test' => ['127.0.0.1'] }, srv => [['_http._tcp.users.test', 'orders.test', $backends[0]->port, 1, 1]]);
    my $example = started($name, defines => {PP_RESOLVER => $resolver->address, PP_NAME => 'orders.test:' . $backends[0]->port, PP_SERVICE => '_http._tcp.users.test'});
    is(statuses([map { $example->client->get($_) } qw(/orders/bytes?n=1 /users/bytes?n=1)]), '200:2', 'by name and by service');
    $resolver->{srv}[0][2] = $backends[1]->port;
    $resolver->restart;
    ok(wait_until(5, sub { $example->client->get('/users/bytes?n=1'); $backends[1]->stats->{requests} > 0 }), 'the service has moved to another port');
    is($example->client->get('/orders/bytes?n=1')->{status}, 200, 'the name has not');
    ends_well($example);
    return;
}

sub threads_of {
    my ($example) = @_;
    my $n = 0;
    for my $child (Test::PooledProxy::Httpd::children_of($example->pid)) { $n += () = glob "/proc/$child/task/*" }
    return $n;
}

sub slow_requests {
    my ($name) = @_;
    my $n = 1000;
    plan skip_all => "no descriptors for $n connections" if Test::PooledProxy::Example::raise_descriptor_limit() < 4 * $n;
    plan skip_all => 'httpd is older than 2.4.63' if !$leases;
    my $backend = Test::PooledProxy::Backend->new;
    my $example = started($name, mpm_config => '', defines => { PP_BACKEND => $backend->url });
    ok(wait_until(10, sub { Test::PooledProxy::Httpd::children_of($example->pid) == 2 && threads_of($example) > 2 * 64 }), 'two children from the start');
    my $threads = threads_of($example);
    my @clients = send_all($example, $n, '/slow?ms=3000', 'slow.example.com');
    ok(wait_until(5, sub { pool($example, 'slow.example.com')->{busy} == $n }), "$n requests are in flight");
    my $began = time;
    is($example->client->get('/pooledproxy-status')->{status}, 200, 'httpd answers meanwhile');
    cmp_ok(time - $began, '<', 1 * slowness(), 'at once');
    is(threads_of($example), $threads, 'with the threads it began with');
    is(statuses([map { $_->read_response } @clients]), "200:$n", 'all are answered');
    is($backend->stats->{max_active}, $n, 'all were at the backend at once');
    is(scalar Test::PooledProxy::Httpd::children_of($example->pid), 2, 'no child was told to stop');
    return ends_well($example);
}
