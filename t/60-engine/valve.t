# What a loop writes to clients: in few writes, with little kept in memory, counted and logged once.
use strict;
use warnings;
use IO::Compress::Gzip qw(gzip);
use IO::Socket::INET;
use Test::More;
use Test::PooledProxy::Child qw(child memory_kb settles ends_clean);
use Test::PooledProxy::Config;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(read_file start_process stop_process wait_until);

plan skip_all => 'only the event MPM leases connections' if Test::PooledProxy::Config::mpm() ne 'event';

my %common = (main_config => "PooledProxyEventLoops 1\n", timeout => 30);

# A server that answers every request with these bytes and closes; returns (port, process).
sub raw_server {
    my ($answer) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64) or die "listen: $!";
    my $pid = start_process(sub {
        local $SIG{PIPE} = 'IGNORE';
        while (my $conn = $listener->accept) {
            my $head = '';
            while ($head !~ /\r\n\r\n/) { sysread $conn, $head, 4096, length $head or last }
            print {$conn} $answer;
            close $conn;
        }
    });
    return ($listener->sockport, $pid);
}

sub in_front_of { my ($port, %more) = @_; return Test::PooledProxy::Setup->new(%common, config => "PooledProxyPass / http://127.0.0.1:$port/\n", %more)->start }

# Reads to the end of the connection, keeps nothing; returns how many bytes came.
sub drain {
    my ($client) = @_;
    my $got = 0;
    do { $got += length $client->{buffer}; $client->{buffer} = '' } while $client->fill;
    return $got;
}

subtest 'a filter that makes much of little, for a client of HTTP/1.0' => sub {
    my $large = 40_000_000;
    my $text  = "\0" x $large;
    gzip(\$text, \my $packed) or die 'gzip';
    my ($port, $pid) = raw_server("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " . length($packed) . "\r\nConnection: close\r\n\r\n$packed");
    my $setup = in_front_of($port, modules => [qw(filter deflate)], main_config => "$common{main_config}SetOutputFilter INFLATE\nDeflateInflateRatioLimit 5000\n");
    my $client = $setup->client;
    my $child  = child($setup);
    my $before = memory_kb($child);
    $client->send_bytes("GET / HTTP/1.0\r\n\r\n");
    cmp_ok(drain($client), '>', $large, 'all of it comes');
    my ($peak) = read_file("/proc/$child/status") =~ /^VmHWM:\s+(\d+)/m;
  SKIP: {
        skip 'memory is not httpd\'s alone', 1 if $ENV{SANITIZE} || $ENV{VALGRIND};
        cmp_ok($peak - $before, '<', 8192, 'and the process never holds much of it') || diag("$before KB, at most $peak KB");
    }
    settles($setup, 3);
    ends_clean($setup);
    stop_process($pid, 2);
};

subtest 'an answer in very small chunks' => sub {
    my $chunks = 60_000;
    my ($port, $pid) = raw_server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" . "1\r\nx\r\n" x $chunks . "0\r\n\r\n");
    my $setup  = in_front_of($port);
    my $writes = sub { (read_file('/proc/' . child($setup) . '/io') =~ /^syscw:\s*(\d+)/m)[0] };
    my $client = $setup->client;
    my $before = $writes->();
    is(length $client->get('/')->{body}, $chunks, 'every byte comes');
    cmp_ok($writes->() - $before, '<', 200, 'in few writes') if !$ENV{VALGRIND};
    $client->close;
    settles($setup, 3);
    ends_clean($setup);
    stop_process($pid, 2);
};

# The answer has come whole, but waits for its client.
for my $kind ('clear', 'TLS') {
    for my $end ('reads at last', 'goes away', 'reads nothing for Timeout') {
        subtest "an answer that is held for its client, $kind, which $end" => sub {
            my $main  = "$common{main_config}SendBufferSize 8192\nTimeout " . ($end =~ /nothing/ ? 2 : 20) . "\n";
            my $setup = Test::PooledProxy::Setup->new(backend => 1, tls => $kind eq 'TLS', %common, main_config => $main)->start;
            my $client = $setup->client(receive_buffer => 4096);
            $client->send_request(GET => '/bytes?n=60000');
            ok(wait_until(10, sub { $setup->numbers->{busy} == 0 && $setup->numbers->{idle} == 1 }), 'the server is done with it');
            is($client->read_response->{body}, substr('0123456789abcdef' x 3750, 0, 60000), 'it is whole') if $end =~ /at last/;
            $client->close if $end =~ /away/;
            my @lines;
            ok(wait_until(10, sub { @lines = $setup->httpd->access_log =~ m{^(GET /bytes.*)}mg }), 'the request is logged');
            $client->close if $end !~ /away/;
            settles($setup, 3);
            ends_clean($setup);
            is(scalar(@lines = $setup->httpd->access_log =~ m{^(GET /bytes.*)}mg), 1, 'once');
        };
    }
}

subtest 'mod_logio counts what goes out and comes in' => sub {
    my $setup = Test::PooledProxy::Setup->new(backend => 1, %common, modules => ['logio', 'alias'], files => { 'one.txt' => "one\n" },
        config => <<'END')->start;
LogFormat "%I %O" bytes
CustomLog "$DOCROOT/../logs/bytes.log" bytes
Alias /files/ $DOCROOT/
PooledProxyPass /files/ !
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
END
    my $client = $setup->client;
    my @expected;
    for my $path ('/bytes?n=10', '/bytes?n=300000', '/bytes?n=1', '/stream?n=5&size=100&ms=1', '/files/one.txt') {
        my $sent = Test::PooledProxy::Client::request_bytes(GET => $path);
        $client->send_bytes($sent);
        my $got = 0;
        my $response = $client->read_response;
        $got += length($response->{line}) + 2 + 2;
        $got += length("$_->[0]: $_->[1]\r\n") for @{ $response->{headers} };
        $got += $path =~ /stream/ ? 5 * (length("64\r\n\r\n") + 100) + length("0\r\n\r\n") : length $response->{body};
        push @expected, length($sent) . " $got";
    }
    my $lines = sub { return split /\n/, read_file($setup->httpd->{dir} . '/logs/bytes.log') };
    ok(wait_until(5, sub { $lines->() == 5 }), 'five lines');
    is(join(', ', $lines->()), join(', ', @expected), 'each with the bytes of its request and its answer');
    $client->close;
    settles($setup, 3);
    ends_clean($setup);
};

done_testing();
