# Malformed answers (RFC 9112): each is 502 with the reason, its connection is never used again, and the next request is served.
# Each table is tried with both fronts: the event loop's and the waiting thread's.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy;

# [what is wrong, reason, the bytes in C escapes]
my @heads = (
    ['no HTTP at all',                'bad_status_line', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['HTTP/0.9',                      'bad_status_line', '<html>hello</html>\r\n'],
    ['small letters',                 'bad_status_line', 'http/1.1 200 OK\r\n\r\n'],
    ['HTTP/2.0',                      'bad_status_line', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['HTTP/11.1',                     'bad_status_line', 'HTTP/11.1 200 OK\r\n\r\n'],
    ['an empty line first',           'bad_status_line', '\r\nHTTP/1.1 200 OK\r\n\r\n'],
    ['a space first',                 'bad_status_line', ' HTTP/1.1 200 OK\r\n\r\n'],
    ['two spaces',                    'bad_status_line', 'HTTP/1.1  200 OK\r\n\r\n'],
    ['a tab for a space',             'bad_status_line', 'HTTP/1.1\t200 OK\r\n\r\n'],
    ['a status of two digits',        'bad_status_line', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['of four',                       'bad_status_line', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['of no digits',                  'bad_status_line', 'HTTP/1.1 OK\r\n\r\n'],
    ['status 600',                    'bad_status_line', 'HTTP/1.1 600 Odd\r\n\r\n'],
    ['status 099',                    'bad_status_line', 'HTTP/1.1 099 Odd\r\n\r\n'],
    ['a control in the reason',       'bad_status_line', 'HTTP/1.1 200 O\x01K\r\n\r\n'],
    ['NUL in the reason',             'bad_line_end',    'HTTP/1.1 200 O\0K\r\n\r\n'],
    ['bare LF behind the status',     'bad_line_end',    'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n'],
    ['bare CR in the reason',         'bad_line_end',    'HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n'],
    ['a field without a colon',       'bad_header',      'HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n'],
    ['a field without a name',        'bad_header',      'HTTP/1.1 200 OK\r\n: 0\r\n\r\n'],
    ['a space before the colon',      'bad_header',      'HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n'],
    ['a space in the name',           'bad_header',      'HTTP/1.1 200 OK\r\nContent Length: 0\r\n\r\n'],
    ['obs-text in the name',          'bad_header',      'HTTP/1.1 200 OK\r\nX-\xe4: 0\r\n\r\n'],
    ['a control in the value',        'bad_header',      'HTTP/1.1 200 OK\r\nX-A: a\x07b\r\n\r\n'],
    ['DEL in the value',              'bad_header',      'HTTP/1.1 200 OK\r\nX-A: a\x7fb\r\n\r\n'],
    ['NUL in the value',              'bad_line_end',    'HTTP/1.1 200 OK\r\nX-A: a\0b\r\n\r\n'],
    ['bare LF behind a field',        'bad_line_end',    'HTTP/1.1 200 OK\r\nX-A: a\nX-B: b\r\n\r\n'],
    ['bare CR in a value',            'bad_line_end',    'HTTP/1.1 200 OK\r\nX-A: a\rX-B: b\r\n\r\n'],
    ['bare LF as the empty line',     'bad_line_end',    'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n'],
    ['a folded line',                 'obs_fold',        'HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\n\r\n'],
    ['folded with a tab',             'obs_fold',        'HTTP/1.1 200 OK\r\nX-A: a\r\n\tb\r\n\r\n'],
    ['folded from the first on',      'obs_fold',        'HTTP/1.1 200 OK\r\n X-A: a\r\n\r\n'],
    ['a name without end',            'head_too_large',  'HTTP/1.1 200 OK\r\n' . 'X' x 40_000],
    ['a value without end',           'head_too_large',  'HTTP/1.1 200 OK\r\nX-A: ' . 'x' x 40_000],
    ['fields without end',            'head_too_large',  'HTTP/1.1 200 OK\r\n' . "X-A: a\\r\\n" x 300],
    ['a negative length',             'bad_content_length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'],
    ['a length with a sign',          'bad_content_length', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok'],
    ['a length with a tail',          'bad_content_length', 'HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nok'],
    ['a hexadecimal length',          'bad_content_length', 'HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok'],
    ['an empty length',               'bad_content_length', 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok'],
    ['a length past 2^63',            'bad_content_length', 'HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\nok'],
    ['a list of lengths',             'bad_content_length', 'HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok'],
    ['the same length twice',         'bad_content_length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok'],
    ['two lengths',                   'bad_content_length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\nok'],
    ['a length, then chunked',        'bad_transfer_encoding', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['chunked, then a length',        'bad_transfer_encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n'],
    ['chunked twice',                 'bad_transfer_encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n'],
    ['chunked in two fields',         'bad_transfer_encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['another coding',                'bad_transfer_encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
    ['chunked not last',              'bad_transfer_encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n'],
    ['nearly chunked',                'bad_transfer_encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
    ['chunked with a parameter',      'bad_transfer_encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n'],
    ['no coding',                     'bad_transfer_encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n'],
    ['chunked in HTTP/1.0',           'bad_transfer_encoding', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a vertical tab before chunked', 'bad_header',            'HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n'],
    ['101 that nobody asked for',     'unexpected_upgrade',    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
    ['interim answers without end',   'too_many_interim',      'HTTP/1.1 100 Continue\r\n\r\n' x 40],
    ['a malformed interim answer',    'obs_fold',              'HTTP/1.1 103 Early Hints\r\n Link: a\r\n\r\n'],
    ['a chunk size that is none',     'bad_chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n'],
    ['an empty chunk size',           'bad_chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nok\r\n0\r\n\r\n'],
    ['a negative chunk size',         'bad_chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nok\r\n0\r\n\r\n'],
    ['a chunk size with 0x',          'bad_chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n'],
    ['a chunk size past 2^63',        'bad_chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n'],
    ['a space before a chunk size',   'bad_chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 2\r\nok\r\n0\r\n\r\n'],
    ['a space behind it',             'bad_chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n'],
    ['bare LF behind it',             'bad_chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n'],
    ['bare LF in an extension',       'bad_chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a\nok\r\n0\r\n\r\n'],
    ['bare CR in an extension',       'bad_chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a\rb\r\nok\r\n0\r\n\r\n'],
    ['an extension without end',      'bad_chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;' . 'x' x 20_000],
);

# The same, behind a chunk of data that the client has: there is no status any more to tell it with.
my @bodies = (
    ['a chunk longer than its size',   'bad_chunk',   '2\r\nlonger\r\n'],
    ['a chunk shorter than its size',  'bad_chunk',   '9\r\nshort\r\n0\r\n\r\n'],
    ['bare LF behind the data',        'bad_chunk',   '2\r\nok\n0\r\n\r\n'],
    ['bare CR behind the data',        'bad_chunk',   '2\r\nok\r0\r\n\r\n'],
    ['a malformed trailer',            'bad_trailer', '0\r\nno colon\r\n\r\n'],
    ['a folded trailer',               'bad_trailer', '0\r\nX-A: a\r\n b\r\n\r\n'],
    ['bare LF in the trailer',         'bad_trailer', '0\r\nX-A: a\nX-B: b\r\n\r\n'],
    ['bare LF for the end',            'bad_trailer', '0\r\n\n'],
    ['a trailer without end',          'bad_trailer', '0\r\nX-A: ' . 'x' x 20_000],
    ['closed inside a chunk',          'body_cut',    '9\r\nhalf'],
    ['closed inside a size',           'body_cut',    '9'],
    ['closed before the last chunk',   'body_cut',    '2\r\nok\r\n'],
    ['closed inside the last chunk',   'body_cut',    '0\r\n'],
    ['closed inside the trailer',      'body_cut',    '0\r\nX-A: a\r\n'],
);

# The backend closes inside the head, on a connection that has served a request before.
my @closes = (
    ['closed inside the status line', 'closed_in_head', 'HTTP/1.1 2'],
    ['closed behind it',              'closed_in_head', 'HTTP/1.1 200 OK\r\n'],
    ['closed inside a field',         'closed_in_head', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['closed before the empty line',  'closed_in_head', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n'],
    ['closed behind an interim one',  'closed_in_head', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
);

my $route = 'PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/';
for my $front (['event', $route], ['thread', "PooledProxyAsync Off\n$route"]) {
    my ($name, $config) = @$front;
    subtest "malformed heads, $name" => sub { try_heads($config, "wait_close\n", @heads) };
    subtest "cut heads, $name"       => sub { try_heads($config, "close\n",      @closes) };
    subtest "malformed bodies, $name" => sub { try_bodies($config, @bodies) };
}
done_testing();

sub reasons_of { my %seen; return join "\n", grep { !$seen{$_}++ } map { $_->[1] } @_ }

# A good request behind each bad one: it makes the connection that the next bad one reuses.
sub try_heads {
    my ($config, $end, @vectors) = @_;
    my ($script, $requests, $env) = ("accept\n", '', '');
    for my $i (0 .. $#vectors) {
        my ($what, $reason, $bytes) = @{ $vectors[$i] };
        $script .= "# $what\nexpect GET /bad/$i\nsend_raw \"$bytes\"\n${end}accept\nexpect GET /good/$i\nsend 200 \"good\"\n";
        $requests .= "GET /bad/$i\nGET /good/$i\n";
        $env      .= "GET /bad/$i 502 POOLEDPROXY_REASON=$reason\nGET /good/$i 200 POOLEDPROXY_REUSED=0\n";
    }
    my $n = @vectors;
    my $stats = join "\n", "conn_opened " . ($n + 1), "conn_closed_failed $n", "conn_reused " . ($n - 1), "requests_failed $n", 'idle 1';
    Test::PooledProxy::run_block(
        {
            config     => $config,
            upstream   => $script,
            request    => $requests,
            error_code => '502 200 ' x $n,
            env        => $env,
            stats      => $stats,
            error_log  => reasons_of(@vectors),
            timeout    => 20,
        }
    );
    return;
}

sub try_bodies {
    my ($config, @vectors) = @_;
    my ($script, $dialog, $env) = ('', '', '');
    for my $i (0 .. $#vectors) {
        my ($what, $reason, $bytes) = @{ $vectors[$i] };
        my $end = $reason eq 'body_cut' ? 'close' : 'wait_close';
        $script .= "# $what\naccept\nexpect GET /bad/$i\nsend_head 200 \"Transfer-Encoding: chunked\"\nsend_chunk \"data\"\n"
          . "await got_data_$i\nsend_raw \"$bytes\"\n$end\n";
        $dialog .= "connect\nrequest GET /bad/$i\nread_head 200\nread \"data\"\ntell got_data_$i\nread_cut\n";
        $env    .= "GET /bad/$i 200 POOLEDPROXY_REASON=$reason\n";
    }
    my $n = @vectors;
    Test::PooledProxy::run_block(
        {
            config    => $config,
            upstream  => $script,
            dialog    => $dialog,
            env       => $env,
            stats     => "conn_opened $n\nconn_closed_failed $n\nrequests_failed $n\nidle 0",
            error_log => reasons_of(@vectors),
            timeout   => 20,
        }
    );
    return;
}
