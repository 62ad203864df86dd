# Test::PooledProxy::Client: an HTTP/1.1 client connection that sends what it is told, byte by byte, and reads answers strictly.
package Test::PooledProxy::Client;
use strict;
use warnings;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER SHUT_WR SO_RCVBUF);
use Time::HiRes qw(time);
use Test::PooledProxy::Util qw(slowness);

# new(port => PORT, [tls => {ca => FILE}, timeout => SECONDS, receive_buffer => BYTES]): connects; dies when that fails.
sub new {
    my ($class, %args) = @_;
    my $self = bless { timeout => 10, %args, buffer => '' }, $class;
    $self->{deadline} = time + $self->{timeout} * slowness();
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $args{port}, Timeout => $self->{timeout}) or die "client: connect: $!\n";
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, $args{receive_buffer} if $args{receive_buffer};
    $self->{socket} = $args{tls} ? start_tls($socket, $args{tls}) : $socket;
    $self->{socket}->blocking(0);
    return $self;
}

sub start_tls {
    my ($socket, $tls) = @_;
    require IO::Socket::SSL;
    return IO::Socket::SSL->start_SSL($socket, SSL_ca_file => $tls->{cert}, SSL_hostname => 'front.test', SSL_verifycn_name => 'front.test')
      || die 'client: TLS: ' . IO::Socket::SSL::errstr() . "\n";
}

# ---- I/O ----

sub wait_ready {
    my ($self, $for_write) = @_;
    my $left = $self->{deadline} - time;
    die "client: no " . ($for_write ? 'room to write' : 'answer') . " in time\n" if $left <= 0;
    my $set = '';
    vec($set, fileno $self->{socket}, 1) = 1;
    return $for_write ? select undef, $set, undef, $left : select $set, undef, undef, $left;
}

sub is_again { return $!{EAGAIN} || $!{EINTR} }

sub send_bytes {
    my ($self, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $sent = 0;
    while ($sent < length $bytes) {
        my $n = syswrite $self->{socket}, $bytes, 65536, $sent;
        if    ($n)        { $sent += $n }
        elsif (is_again())  { $self->wait_ready(1) }
        else              { die "client: write: $!\n" }
    }
    return $self;
}

# Reads some bytes into the buffer; false at the end of the connection.
sub fill {
    my ($self) = @_;
    while (1) {
        my $n = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
        return $n if $n;
        if (defined $n || !is_again()) { $self->{reset} = !defined $n; $self->{ended} = 1; return 0 }
        $self->wait_ready(0);
    }
}

sub take {
    my ($self, $n) = @_;
    while (length $self->{buffer} < $n) { $self->fill or die "client: closed after " . length($self->{buffer}) . " of $n bytes\n" }
    return substr $self->{buffer}, 0, $n, '';
}

sub take_line {
    my ($self) = @_;
    my $at;
    while (($at = index $self->{buffer}, "\r\n") < 0) { $self->fill or die "client: closed inside a line: $self->{buffer}\n" }
    my $line = substr $self->{buffer}, 0, $at, '';
    substr $self->{buffer}, 0, 2, '';
    return $line;
}

# ---- requests ----

# request_bytes(METHOD, PATH, headers => [NAME, VALUE, ...], body => BYTES): Host and Content-Length are added.
sub request_bytes {
    my ($method, $path, %args) = @_;
    my @headers = @{ $args{headers} || [] };
    my %given   = map { lc $headers[$_] => 1 } grep { $_ % 2 == 0 } 0 .. $#headers;
    unshift @headers, Host => 'front.test' if !$given{host};
    push @headers, 'Content-Length' => length $args{body} if defined $args{body} && !$given{'content-length'} && !$given{'transfer-encoding'};
    my $head = "$method $path HTTP/1.1\r\n";
    while (my ($name, $value) = splice @headers, 0, 2) { $head .= "$name: $value\r\n" }
    return "$head\r\n" . ($args{body} // '');
}

sub send_request { my ($self, $method, $path, %args) = @_; return $self->send_bytes(request_bytes($method, $path, %args)) }

sub get {
    my ($self, $path, @headers) = @_;
    return $self->send_request(GET => $path, headers => \@headers)->read_response('GET');
}

# ---- answers ----

# Reads the head of the next response: {status, line, headers => [[name, value], ...], interim => [...]}
sub read_head {
    my ($self) = @_;
    my @interim;
    while (1) {
        my $response = $self->read_one_head;
        if ($response->{status} !~ /^1/ || $response->{status} == 101) {
            $response->{interim} = \@interim;
            return $response;
        }
        push @interim, $response;
    }
}

sub read_one_head {
    my ($self) = @_;
    my $line = $self->take_line;
    my ($status) = $line =~ m{^HTTP/1\.[01] (\d{3})(?: |$)} or die "client: malformed status line: $line\n";
    my @headers;
    while ((my $field = $self->take_line) ne '') {
        my ($name, $value) = $field =~ /^([^:\s]+):[ \t]*(.*?)[ \t]*$/ or die "client: malformed header line: $field\n";
        push @headers, [$name, $value];
    }
    return bless { line => $line, status => $status, headers => \@headers, body => '' }, 'Test::PooledProxy::Response';
}

# read_response(METHOD of its request): head and body; {cut} says why the body is not whole.
sub read_response {
    my ($self, $method) = @_;
    my $response = $self->read_head;
    eval { $self->read_body($response, $method // 'GET'); 1 } or $response->{cut} = $@;
    return $response;
}

sub read_body {
    my ($self, $response, $method) = @_;
    return if $method eq 'HEAD' || $response->{status} =~ /^(?:101|204|304)$/;
    if (($response->header('Transfer-Encoding') // '') eq 'chunked') { $self->read_chunks($response) }
    elsif (defined(my $length = $response->header('Content-Length'))) {
        while (length $self->{buffer} < $length) {
            if (!$self->fill) {
                $response->{body} = $self->{buffer};
                die "closed after " . length($self->{buffer}) . " of $length bytes\n";
            }
        }
        $response->{body} = $self->take($length);
    }
    else {
        while ($self->fill) { }
        $response->{body}        = $self->{buffer};
        $self->{buffer}          = '';
        $response->{until_close} = 1;
    }
    return;
}

sub read_chunks {
    my ($self, $response) = @_;
    while (defined(my $chunk = $self->read_chunk)) { $response->{body} .= $chunk }
    while ((my $field = $self->take_line) ne '') {
        push @{ $response->{trailers} }, [split /:\s*/, $field, 2];
    }
    return;
}

# The next chunk; undef at the last one (whose trailer section is still to be read).
sub read_chunk {
    my ($self) = @_;
    my $size = $self->take_line;
    $size =~ /^[0-9a-fA-F]+(?:;.*)?$/ or die "malformed chunk size: $size\n";
    my $chunk = hex(($size =~ /^(\w+)/)[0]) || return;
    my $data = $self->take($chunk);
    $self->take(2) eq "\r\n" or die "no line end behind a chunk\n";
    return $data;
}

# Did the server close the connection (waits for it)?
sub wait_closed { my ($self) = @_; return eval { !$self->fill } }

# ---- the end ----

sub close_write { my ($self) = @_; shutdown $self->{socket}, SHUT_WR; return }
sub close       { my ($self) = @_; close delete $self->{socket} if $self->{socket}; return }

sub reset {
    my ($self) = @_;
    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    $self->close;
    return;
}

package Test::PooledProxy::Response;

# The values of a field, joined as HTTP does; undef when there is none.
sub header {
    my ($self, $name) = @_;
    my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $self->{headers} };
    return @values ? join(', ', @values) : undef;
}

1;
