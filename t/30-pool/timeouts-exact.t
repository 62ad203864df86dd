# P9: each time-out fires alone, not early and at most 50 ms and 1 % late, and everybody is told which one it was: the client by status
# and Proxy-Status, the logs by the reason. On both fronts. A busy machine may be late: one of three tries has to be in time.
use strict;
use warnings;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time);
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Config;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until slowness);

use constant VALUE => 0.4; # seconds, of the time-out that is to fire
use constant DRIP  => 2.5;

# The kernel takes connections and some data here, and nobody ever answers.
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 512) or die "listen: $!";
my $SILENT = 'http://127.0.0.1:' . $silent->sockport . '/';

my $routes = <<"END";
PooledProxyPass /FRONT/first-byte $SILENT timeout.first-byte=400ms
<Location /FRONT/location>
    PooledProxyPass $SILENT
    PooledProxyTimeout first-byte=400ms
</Location>
PooledProxyPass /FRONT/write $SILENT timeout.write=400ms
PooledProxyPass /FRONT/total $SILENT timeout.total=400ms
PooledProxyPass /FRONT/connect http://127.0.0.1:\$HANGING_PORT/ timeout.connect=400ms
PooledProxyPass /FRONT/read/ http://127.0.0.1:\$BACKEND_PORT/ timeout.read=400ms
PooledProxyPass /FRONT/drip/ http://127.0.0.1:\$BACKEND_PORT/ timeout.total=2500ms
<PooledProxyUpstream FRONT>
    PooledProxyServer $SILENT
    PooledProxyPoolSize 1
</PooledProxyUpstream>
PooledProxyPass /FRONT/hold upstream://FRONT/
PooledProxyPass /FRONT/pool upstream://FRONT/ timeout.pool=400ms
END

my $setup = Test::PooledProxy::Setup->new(
    backend => 1,
    config  => join('', "<Location /waiting/>\nPooledProxyAsync Off\n</Location>\n", map { $routes =~ s/FRONT/$_/gr } qw(loop waiting)),
    timeout => 20,
)->start;

# ---- one try: the client's seconds from its request to the answer, or to its cut; the answer ----

sub head { my ($method, $path, @fields) = @_; return join "\r\n", "$method $path HTTP/1.1", 'Host: front.test', @fields, '', '' }

sub get {
    my ($path) = @_;
    my $client = $setup->client;
    my $begin  = time;
    $client->send_bytes(head(GET => $path));
    my $response = $client->read_response;
    return (time - $begin, $response);
}

# Sends until nobody takes more.
sub put {
    my ($path) = @_;
    my $client = $setup->client;
    my $begin  = time;
    $client->send_bytes(head(PUT => $path, 'Content-Length: 1000000000'));
    local $SIG{PIPE} = 'IGNORE';
    my ($filling, $set) = ('x' x 65536, '');
    vec($set, fileno $client->{socket}, 1) = 1;
    while (1) {
        my $ready = select my $in = $set, my $out = $set, undef, 5;
        last if $ready <= 0 || vec $in, fileno $client->{socket}, 1;
        $begin = time if syswrite $client->{socket}, $filling;
    }
    my $response = $client->read_response;
    return (time - $begin, $response);
}

# While another request has the only connection.
sub get_when_full {
    my ($path) = @_;
    my $holder = $setup->client;
    $holder->send_bytes(head(GET => $path =~ s/pool/hold/r));
    wait_until(5, sub { $setup->numbers->{busy} == 1 }) or die "no connection is held\n";
    my @got = get($path);
    $holder->close;
    wait_until(5, sub { $setup->numbers->{busy} == 0 });
    return @got;
}

# ---- one of six tries: the machine may be busy ----

# At most 50 ms and 1 % late. The write time-out begins with what the proxy writes last, a little before the client's last write: the
# buffers between them are filled later.
sub is_in_time { my ($took, $value, $least) = @_; return $took >= $least && $took <= $value * 1.01 + 0.05 * slowness() }

sub check_time {
    my ($name, $value, $least, $try) = @_;
    my (@took, $response);
    for (1 .. 6) {
        (my $took, $response) = $try->();
        push @took, $took;
        last if is_in_time($took, $value, $least);
    }
    ok(is_in_time($took[-1], $value, $least), "$name: within 50 ms and 1 %") || diag("it took @took");
    return $response;
}

sub check_reason {
    my ($line, $reason) = @_;
    my $logged = wait_until(2, sub { $setup->httpd->access_log =~ /^\Q$line\E .*POOLEDPROXY_REASON=$reason /m });
    ok($logged, "... $reason is in the access log") || diag($setup->httpd->access_log);
    like($setup->httpd->error_log, qr/\($reason, attempts 1\)/, '... and in the error log');
    return;
}

# name, path, method of trying, status, reason, error type of RFC 9209 (undef: the head has gone out before)
my @cases = (
    ['first-byte', '/first-byte', \&get,           504, 'first_byte_timeout', 'http_response_timeout'],
    ['first-byte of a <Location>', '/location', \&get, 504, 'first_byte_timeout', 'http_response_timeout'],
    ['write',      '/write',      \&put,           504, 'write_timeout',      'connection_write_timeout'],
    ['connect',    '/connect',    \&get,           504, 'connect_timeout',    'connection_timeout'],
    ['pool',       '/pool',       \&get_when_full, 503, 'pool_timeout',       'connection_limit_reached'],
    ['total',      '/total',      \&get,           504, 'total_timeout',      'http_response_timeout'],
    ['read',       '/read/stream?n=2&size=4&ms=60000', \&get, 200, 'read_timeout'],
    ['total of a backend that drips', '/drip/stream?n=60&size=4&ms=1000', \&get, 200, 'total_timeout'],
);

for my $front (qw(loop waiting)) {
    for my $case (@cases) {
        my ($name, $path, $try, $status, $reason, $type) = @$case;
        next if $name eq 'pool' && Test::PooledProxy::Config::mpm() eq 'prefork'; # each child has a pool
        my $value  = $path =~ /drip/ ? DRIP : VALUE;
        my $method = $try == \&put ? 'PUT' : 'GET';
        my $response = check_time("$name, $front front", $value, $value - ($name eq 'write' ? 0.1 : 0), sub { $try->("/$front$path") });
        is($response->{status}, $status, "... $status");
        if ($type) { is($response->header('Proxy-Status'), qq{front.test; error=$type; details="$reason"}, '... with its Proxy-Status') }
        else       { ok($response->{cut}, '... whose body is cut') }
        check_reason("$method /$front$path $status", $reason);
    }
}
settles($setup, 5);
ends_clean($setup, qr/_timeout, attempts 1\)/);
undef $setup;

done_testing();
