# Bench::Client: one client connection of our own, for what load generators can't: a given number of requests one after the other, requests
# that wait.
package Bench::Client;
use strict;
use warnings;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);

sub new {
    my ($class, $port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 30) or die "cannot connect: $@\n";
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    setsockopt $socket, Socket::SOL_SOCKET(), Socket::SO_RCVTIMEO(), pack 'l!l!', 60, 0;
    return bless { socket => $socket, buffer => '' }, $class;
}

sub send_request {
    my ($self, $path) = @_;
    my $request = "GET $path HTTP/1.1\r\nHost: bench.test\r\n\r\n";
    syswrite($self->{socket}, $request) == length $request or die "cannot send: $!\n";
    return;
}

sub read_more {
    my ($self) = @_;
    return if sysread $self->{socket}, $self->{buffer}, 262144, length $self->{buffer};
    die "the answer did not come whole\n";
}

# Reads one answer with a Content-Length; dies when it isn't 200.
sub read_answer {
    my ($self) = @_;
    $self->read_more while $self->{buffer} !~ /\r\n\r\n/;
    my $head_length = $+[0];
    my ($status) = $self->{buffer} =~ m{^HTTP/1\.1 (\d+)};
    die 'answered ' . ($status // 'nonsense') . "\n" if ($status // 0) != 200;
    my ($length) = substr($self->{buffer}, 0, $head_length) =~ /^content-length:\s*(\d+)/mi or die "an answer without Content-Length\n";
    $self->read_more while length $self->{buffer} < $head_length + $length;
    substr $self->{buffer}, 0, $head_length + $length, '';
    return;
}

sub get { my ($self, $path) = @_; $self->send_request($path); $self->read_answer; return }

1;
