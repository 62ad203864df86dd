# Real programs on both sides: backends nginx, HAProxy (before nginx), node, python3; clients curl, wrk, h2load over HTTP/1.1 and HTTP/2, in clear
# and over TLS; mod_ssl, mod_http2 and mod_deflate in front. A few hundred requests each, every one a 2xx with the right bytes, and few
# upstream connections for all of them.
use strict;
use warnings;
use File::Temp ();
use Test::More;
use Test::PooledProxy::Checks;
use Test::PooledProxy::Program;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(free_ports write_file read_file slowness);

my $dir = File::Temp::tempdir('pooledproxy-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
my $text = join '', map { "line $_ of a page that can be compressed\n" } 1 .. 200;
mkdir "$dir/www";
write_file("$dir/www/page.txt", $text);

# ---- backends: each returns a running program, or undef where it is not installed ----

my @programs;

sub backend {
    my ($name, $port, @command) = @_;
    my $path = Test::PooledProxy::Program::find(shift @command) or return;
    my $program = Test::PooledProxy::Program->new(log => "$dir/$name.log", command => [$path, @command], port => $port);
    push @programs, $program;
    return $program;
}

sub nginx {
    my ($port) = @_;
    write_file("$dir/nginx.conf", <<"END_CONF");
daemon off; master_process off; pid $dir/nginx.pid; error_log stderr;
events { worker_connections 512; }
http {
    access_log off; keepalive_requests 100000;
    client_body_temp_path $dir/b; proxy_temp_path $dir/p; fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
    server { listen 127.0.0.1:$port; root $dir/www; default_type text/plain; }
}
END_CONF
    return backend('nginx', $port, 'nginx', '-c', "$dir/nginx.conf", '-p', $dir);
}

sub haproxy {
    my ($port, $behind) = @_;
    write_file("$dir/haproxy.cfg", <<"END_CONF");
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen front
    bind 127.0.0.1:$port
    server one 127.0.0.1:$behind
END_CONF
    return backend('haproxy', $port, 'haproxy', '-db', '-f', "$dir/haproxy.cfg");
}

sub node {
    my ($port) = @_;
    write_file("$dir/server.js", <<"END_JS");
const text = require("fs").readFileSync("$dir/www/page.txt");
const server = require("http").createServer((q, a) => {
    if (q.method == "POST") { a.writeHead(200, {"Content-Type": "text/plain"}); q.pipe(a); return; }
    a.writeHead(200, {"Content-Type": "text/plain"}); a.write(text.subarray(0, 100)); a.end(text.subarray(100)); // chunked
});
server.keepAliveTimeout = 60000;
server.listen($port, "127.0.0.1");
END_JS
    return backend('node', $port, 'node', "$dir/server.js");
}

sub python {
    my ($port) = @_;
    write_file("$dir/server.py", <<"END_PY");
import functools, http.server
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True # else 40 ms for each answer, which it writes in two pieces
    def log_message(self, *arguments): pass
handler = functools.partial(Handler, directory="$dir/www")
http.server.ThreadingHTTPServer(("127.0.0.1", $port), handler).serve_forever()
END_PY
    return backend('python', $port, 'python3', "$dir/server.py");
}

my ($nginx_port, $haproxy_port, $node_port, $python_port, $tls_port) = free_ports(5);
my $nginx = nginx($nginx_port);
my %backend = (
    nginx   => $nginx,
    haproxy => $nginx && haproxy($haproxy_port, $nginx_port),
    node    => node($node_port),
    python  => python($python_port),
);
my @backends = grep { $backend{$_} } sort keys %backend;
plan skip_all => 'none of the backends is installed' if !@backends;

# ---- httpd ----

my $routes = join '', map { qq{<PooledProxyUpstream $_>\nPooledProxyServer "${\$backend{$_}->url}"\n</PooledProxyUpstream>\nPooledProxyPass "/$_/" "upstream://$_/"\n} } @backends;
my $setup = Test::PooledProxy::Setup->new(
    modules     => [qw(ssl socache_shmcb http2 filter deflate reqtimeout)],
    certificate => 1,
    mpm_config  => undef,
    timeout     => 20,
    main_config => qq{Listen 127.0.0.1:$tls_port\nSSLSessionCache "shmcb:\$DIR/tls(512000)"\nAddOutputFilterByType DEFLATE text/plain\n},
    config      => "Protocols h2c http/1.1\n$routes",
    vhosts      => qq{<VirtualHost 127.0.0.1:$tls_port>\nServerName front.test\nProtocols h2 http/1.1\nSSLEngine on\n}
      . qq{SSLCertificateFile "\$CERT"\nSSLCertificateKeyFile "\$KEY"\n$routes</VirtualHost>\n},
)->start;
my $plain = 'http://front.test:' . $setup->httpd->port;
my $tls   = "https://front.test:$tls_port";

sub output_of {
    my (@command) = @_;
    my $path = Test::PooledProxy::Program::find(shift @command);
    open my $out, '-|', 'timeout', 30 * slowness(), $path, @command or die "$path: $!";
    local $/ = undef;
    return scalar(<$out>) // '';
}

# Of all pools of this backend: the two virtual hosts have one each.
sub opened {
    my ($name) = @_;
    my $n = 0;
    for my $pool (@{ $setup->status->{pools} }) { $n += $pool->{conn_opened} if $pool->{name} =~ /^\Q$name\E(?:#\d+)?$/ }
    return $n;
}

# Runs the code for each backend: its requests may open at most `limit` connections.
sub each_backend {
    my ($limit, $code) = @_;
    for my $name (@backends) {
        my $before = opened($name);
        $code->($name, "/$name/page.txt");
        cmp_ok(opened($name) - $before, '<=', $limit, "$name: connections are reused");
    }
    return;
}

sub needs { my ($program) = @_; return Test::PooledProxy::Program::find($program) || plan skip_all => "$program is not installed" }

my @resolve = map { ('--resolve', "front.test:$_:127.0.0.1") } $setup->httpd->port, $tls_port;
my @curl = ('curl', '-sS', '--noproxy', '*', '--cacert', $setup->var('CERT'), @resolve);
my %curl_way = (
    'HTTP/1.1'          => [$plain, '1.1', '--http1.1'],
    'HTTP/2 in clear'   => [$plain, '2',   '--http2-prior-knowledge'],
    'HTTP/1.1 over TLS' => [$tls,   '1.1', '--http1.1'],
    'HTTP/2 over TLS'   => [$tls,   '2',   '--http2'],
);
for my $way (sort keys %curl_way) {
    subtest "curl, $way" => sub {
        needs('curl');
        my ($site, $version, @options) = @{ $curl_way{$way} };
        each_backend(2, sub {
            my ($name, $path) = @_;
            # curl 7.88 can't use an HTTP/2 connection in clear again, whatever the server
            my ($runs, $urls) = $way eq 'HTTP/2 in clear' ? (20, 1) : (1, 100);
            my $n   = $runs * $urls;
            my $got = join '', map { output_of(@curl, @options, '--compressed', '-w', '%{http_version} %{http_code}\n', ("$site$path") x $urls) } 1 .. $runs;
            is(scalar(() = $got =~ /^\Q$version\E 200$/mg), $n, "$name: $n answers");
            ok(($got =~ s/^\Q$version\E 200\n//mgr) eq $text x $n, "$name: whole and right");
        });
    };
}

subtest 'curl: what mod_deflate has made smaller' => sub {
    needs('curl');
    for my $name (@backends) {
        my $got = output_of(@curl, '-o', '/dev/null', '-H', 'Accept-Encoding: gzip', '-w', '%{http_code} %{size_download}', "$tls/$name/page.txt");
        like($got, qr/^200 \d+$/, $name);
        cmp_ok((split ' ', $got)[1], '<', length($text) / 4, 'is smaller');
    }
};

subtest 'curl: an upload to node and back' => sub {
    needs('curl');
    plan skip_all => 'node is not installed' if !$backend{node};
    write_file("$dir/upload", $text x 100);
    for my $way (sort keys %curl_way) {
        my ($site, undef, @options) = @{ $curl_way{$way} };
        for my $framing ([], ['-H', 'Transfer-Encoding: chunked']) {
            next if @$framing && $way =~ m{HTTP/2};
            ok(output_of(@curl, @options, @$framing, '--data-binary', "\@$dir/upload", "$site/node/") eq $text x 100, "$way @$framing");
        }
    }
};

for my $site ($plain, $tls) {
    subtest "wrk, $site" => sub {
        needs('wrk');
        each_backend(8, sub {
            my ($name, $path) = @_;
            my $got = output_of('wrk', '-t1', '-c8', '-d1s', ($site =~ s/front\.test/127.0.0.1/r) . $path);
            my ($requests) = $got =~ /(\d+) requests in/;
            cmp_ok($requests // 0, '>', 100, "$name: hundreds of requests") || diag($got);
            unlike($got, qr/Non-2xx|Socket errors/, "$name: every one a 2xx");
        });
    };
}

my %h2load_way = ('HTTP/1.1' => [$plain, '--h1'], 'HTTP/2 in clear' => [$plain], 'HTTP/1.1 over TLS' => [$tls, '--h1'], 'HTTP/2 over TLS' => [$tls]);
for my $way (sort keys %h2load_way) {
    subtest "h2load, $way" => sub {
        needs('h2load');
        my ($site, @options) = @{ $h2load_way{$way} };
        my @streams = @options ? () : ('-m', 8);
        each_backend(32, sub {
            my ($name, $path) = @_;
            my $got = output_of('h2load', @options, '-n', 400, '-c', 4, @streams, ($site =~ s/front\.test/127.0.0.1/r) . $path);
            like($got, qr/400 succeeded, 0 failed, 0 errored.*^status codes: 400 2xx/ms, "$name: 400 answers") || diag($got);
        });
    };
}

Test::PooledProxy::Checks->new(block => {}, setup => $setup, responses => [])->unexpected_log;
is(join("\n", $setup->stop), '', 'httpd stops');
$_->stop for @programs;
done_testing();
