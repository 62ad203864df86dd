#!/usr/bin/env perl
# tls_server.pl: an HTTP/1.1 server over TLS that can behave badly. Prints its port, then serves until it is ended; a process for each
# connection.
#
#   --cert FILE --key FILE    its own                          --ca FILE     asks for a client certificate of this authority
#   --version V               "TLSv1_2" or "TLSv1_3" only
#
#   /info                     what it knows of the connection: sni=NAME version=V reused=0|1 cn=CLIENT served=N
#   /bytes?n=N                N bytes, with a length           /digest       reads the body, answers its SHA-256
#   /fields                   the fields of the request, as they came
#   /until_close?n=N          a body that lasts until close, which is announced; /until_close_cut: which is not
#   /length_cut?n=N           a whole answer with a length, then a close that is not announced; /chunked_cut: in chunks
#   /tunnel                   101, and then sends back what it gets; /drip?n=N: N chunks of 3000 bytes, each in two records
#   /half?n=N                 half of the answer, then an unannounced close
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Getopt::Long;
use IO::Socket::INET;
use IO::Socket::SSL;

my %option;
GetOptions(\%option, 'cert=s', 'key=s', 'ca=s', 'version=s') or die "tls_server.pl: wrong options\n";
$SIG{PIPE} = $SIG{CHLD} = 'IGNORE';

my $context = IO::Socket::SSL::SSL_Context->new(
    SSL_server    => 1,
    SSL_cert_file => $option{cert},
    SSL_key_file  => $option{key},
    SSL_session_id_context => 'test',
    $option{version} ? (SSL_version => $option{version}) : (),
    $option{ca} ? (SSL_ca_file => $option{ca}, SSL_verify_mode => SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT) : (SSL_verify_mode => SSL_VERIFY_NONE),
) or die "tls_server.pl: $IO::Socket::SSL::SSL_ERROR\n";
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 512, ReuseAddr => 1) or die "listen: $!\n";
$| = 1;
print $listener->sockport . "\n";

while (1) {
    my $plain = $listener->accept or next;
    next if fork;
    close $listener;
    my $socket = IO::Socket::SSL->start_SSL($plain, SSL_server => 1, SSL_reuse_ctx => $context) or exit;
    my $served = 0;
    while (defined(my $how = answer($socket, ++$served))) {
        next if $how eq 'keep';
        $socket->close(SSL_no_shutdown => $how eq 'cut');
        exit;
    }
    $socket->close(SSL_fast_shutdown => 1);
    exit;
}

# One request. Returns how the connection goes on: keep, close, cut; undef at its end.
sub answer {
    my ($socket, $served) = @_;
    my $line = <$socket> // return;
    my ($path, $n) = $line =~ m{^\w+ (/\w*)(?:\?n=(\d+))?};
    my ($length, $fields) = (0, '');
    while (defined(my $field = <$socket>)) {
        last if $field eq "\r\n";
        $fields .= $field;
        $length = $1 if $field =~ /^Content-Length: (\d+)/i;
    }
    my $body = '';
    while (length $body < $length) { sysread $socket, $body, $length - length $body, length $body or return }
    my %at = (
        '/info'            => sub { whole($socket, info($socket, $served)) },
        '/bytes'           => sub { whole($socket, filling($n)) },
        '/fields'          => sub { whole($socket, $fields) },
        '/digest'          => sub { whole($socket, sha256_hex($body)) },
        '/until_close'     => sub { send_all($socket, "HTTP/1.1 200 OK\r\n\r\n" . filling($n)); 'close' },
        '/until_close_cut' => sub { send_all($socket, "HTTP/1.1 200 OK\r\n\r\n" . filling($n)); 'cut' },
        '/length_cut'      => sub { whole($socket, filling($n)); 'cut' },
        '/chunked_cut'     => sub { send_all($socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"); 'cut' },
        '/tunnel'          => sub { tunnel($socket) },
        '/drip'            => sub { drip($socket, $n) },
        '/half'            => sub { send_all($socket, "HTTP/1.1 200 OK\r\nContent-Length: $n\r\n\r\n" . filling($n / 2)); 'cut' },
    );
    return $at{$path} ? $at{$path}->() : whole($socket, 'hello');
}

sub info {
    my ($socket, $served) = @_;
    return join ' ', 'sni=' . ($socket->get_servername // '-'), 'version=' . $socket->get_sslversion,
      'reused=' . ($socket->get_session_reused ? 1 : 0), 'cn=' . ($option{ca} ? $socket->peer_certificate('commonName') : '-'), "served=$served";
}

sub tunnel {
    my ($socket) = @_;
    send_all($socket, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    while (sysread $socket, my $bytes, 16384) { send_all($socket, $bytes) }
    return 'close';
}

sub drip {
    my ($socket, $n) = @_;
    send_all($socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (1 .. $n) {
        send_all($socket, "bb8\r\n" . filling(1000));
        send_all($socket, filling(2000) . "\r\n");
    }
    send_all($socket, "0\r\n\r\n");
    return 'keep';
}

sub filling { my ($n) = @_; return substr '0123456789abcdef' x ($n / 16 + 1), 0, $n }

sub whole { my ($socket, $text) = @_; send_all($socket, "HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text"); return 'keep' }

sub send_all {
    my ($socket, $bytes) = @_;
    my $sent = 0;
    while ($sent < length $bytes) { $sent += syswrite($socket, $bytes, 16384, $sent) // exit }
    return;
}
