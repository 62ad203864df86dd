# Test::PooledProxy::Upstream::Conn: one connection of a scripted upstream, with the verbs that are about it. A verb that fails dies.
package Test::PooledProxy::Upstream::Conn;
use strict;
use warnings;
use Socket qw(SOL_SOCKET SO_LINGER SHUT_WR);
use Time::HiRes qw(time);

# on_bytes is called with all bytes that are read.
sub new {
    my ($class, $socket, $deadline, $on_bytes) = @_;
    $socket->blocking(0);
    return bless { socket => $socket, deadline => $deadline, on_bytes => $on_bytes, buffer => '', request => undef }, $class;
}

sub is_open { return defined $_[0]{socket} }

# ---- I/O ----

sub wait_ready {
    my ($self, $for_write) = @_;
    defined $self->{socket} or die "the connection is closed\n";
    my $left = $self->{deadline} - time;
    my $set  = '';
    vec($set, fileno $self->{socket}, 1) = 1;
    my $n = $for_write ? select(undef, $set, undef, $left > 0 ? $left : 0) : select($set, undef, undef, $left > 0 ? $left : 0);
    die $for_write ? "the peer takes no more bytes\n" : "nothing came in time\n" if $n <= 0;
    return;
}

# Reads some bytes into the buffer; false at the end of the connection.
sub fill {
    my ($self) = @_;
    $self->wait_ready(0);
    my $n = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
    return 1 if !defined $n && $!{EAGAIN};
    return 0 if !$n;
    $self->{on_bytes}->(substr $self->{buffer}, -$n);
    return 1;
}

sub take {
    my ($self, $n) = @_;
    while (length $self->{buffer} < $n) { $self->fill or die "the peer closed after " . length($self->{buffer}) . " of $n bytes\n" }
    return substr $self->{buffer}, 0, $n, '';
}

sub take_line {
    my ($self) = @_;
    while ($self->{buffer} !~ /\n/) { $self->fill or die "the peer closed inside a line\n" }
    $self->{buffer} =~ s/^([^\n]*)\n//;
    my $line = $1;
    $line =~ s/\r$// or die "a line ends with a bare LF: $line\n";
    return $line;
}

sub put {
    my ($self, $bytes) = @_;
    while (length $bytes) {
        $self->wait_ready(1);
        my $n = syswrite $self->{socket}, $bytes, 65536;
        die "write: $!\n" if !defined $n && !$!{EAGAIN};
        substr $bytes, 0, $n // 0, '';
    }
    return;
}

# ---- requests ----

sub take_fields {
    my ($self) = @_;
    my @fields;
    while ((my $line = $self->take_line) ne '') {
        my ($name, $value) = $line =~ /^([^:\s]+):[ \t]*(.*?)[ \t]*$/ or die "malformed header line: $line\n";
        push @fields, [lc $name, $value];
    }
    return \@fields;
}

sub values_of {
    my ($fields, $name) = @_;
    return map { $_->[1] } grep { $_->[0] eq lc $name } @$fields;
}

sub do_expect_head {
    my ($self, $method, $path) = @_;
    $self->fill or die "the peer closed, no request came\n" if $self->{buffer} eq '';
    my $line = $self->take_line;
    $self->{request} = { line => $line, fields => $self->take_fields, body => '', trailers => [] };
    die "the request is: $line\n" if $line ne "$method $path HTTP/1.1";
    die "the request has " . values_of($self->{request}{fields}, 'host') . " Host fields\n"
      if values_of($self->{request}{fields}, 'host') != 1;
    my ($length) = values_of($self->{request}{fields}, 'content-length');
    my ($coding) = values_of($self->{request}{fields}, 'transfer-encoding');
    die "both Content-Length and Transfer-Encoding\n" if defined $length && defined $coding;
    die "Transfer-Encoding: $coding\n" if defined $coding && $coding ne 'chunked';
    $self->{request}{left} = $coding ? 'chunked' : $length // 0;
    return;
}

sub do_expect {
    my ($self, $method, $path) = @_;
    $self->do_expect_head($method, $path);
    $self->do_read_body;
    return;
}

sub do_read {
    my ($self, $n) = @_;
    my $request = $self->{request} or die "there is no request\n";
    $request->{body} .= $self->take($n);
    $request->{left} -= $n if $request->{left} ne 'chunked';
    return;
}

sub do_read_body {
    my ($self) = @_;
    my $request = $self->{request} or die "there is no request\n";
    if ($request->{left} ne 'chunked') {
        $self->do_read($request->{left});
        return;
    }
    while (1) {
        my $line = $self->take_line;
        my ($size) = $line =~ /^([0-9a-fA-F]+)(?:;.*)?$/ or die "malformed chunk size: $line\n";
        last if hex $size == 0;
        $request->{body} .= $self->take(hex $size);
        $self->take_line eq '' or die "no line end behind a chunk\n";
    }
    $request->{trailers} = $self->take_fields;
    $request->{left}     = 0;
    return;
}

sub check_field {
    my ($fields, $name, $wanted) = @_;
    my @got = values_of($fields, $name);
    return if $wanted =~ /^~(.*)/ ? grep { /$1/ } @got : grep { $_ eq $wanted } @got;
    die @got ? "$name is: " . join(' and ', @got) . "\n" : "there is no $name\n";
}

sub do_expect_header { my ($self, $name, $value) = @_; check_field($self->{request}{fields}, $name, $value); return }
sub do_expect_trailer { my ($self, $name, $value) = @_; check_field($self->{request}{trailers}, $name, $value); return }

sub do_expect_no_header {
    my ($self, $name) = @_;
    my @got = values_of($self->{request}{fields}, $name);
    die "$name is: @got\n" if @got;
    return;
}

sub do_expect_body {
    my ($self, $body) = @_;
    my $got = $self->{request}{body};
    die "the body (" . length($got) . " bytes) is: " . substr($got, 0, 200) . "\n" if $got ne $body;
    return;
}

sub do_read_raw {
    my ($self, $bytes) = @_;
    my $got = $self->take(length $bytes);
    die "it read: $got\n" if $got ne $bytes;
    return;
}

# ---- answers ----

sub do_send {
    my ($self, $status, $body) = @_;
    $self->put("HTTP/1.1 $status Scripted\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    return;
}

sub do_send_head {
    my ($self, $status, $lines) = @_;
    $lines .= "\r\n" if $lines ne '' && $lines !~ /\r\n\z/;
    $self->put("HTTP/1.1 $status Scripted\r\n$lines\r\n");
    return;
}

sub do_send_raw   { my ($self, $bytes) = @_; $self->put($bytes);                                               return }
sub do_send_chunk { my ($self, $bytes) = @_; $self->put(sprintf "%x\r\n%s\r\n", length $bytes, $bytes);        return }

sub do_send_last_chunk {
    my ($self, $trailers) = @_;
    $trailers .= "\r\n" if $trailers ne '' && $trailers !~ /\r\n\z/;
    $self->put("0\r\n$trailers\r\n");
    return;
}

sub do_send_bytes {
    my ($self, $n) = @_;
    my $piece = '0123456789' x 6553;
    for (; $n > length $piece; $n -= length $piece) { $self->put($piece) }
    $self->put(substr $piece, 0, $n);
    return;
}

# ---- the end ----

sub do_close       { my ($self) = @_; close delete $self->{socket} if $self->{socket}; return }
sub do_close_write { my ($self) = @_; shutdown $self->{socket}, SHUT_WR;               return }

sub do_reset {
    my ($self) = @_;
    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    $self->do_close;
    return;
}

sub do_wait_close { my ($self) = @_; $self->do_wait_end; $self->do_close; return }

sub do_wait_end {
    my ($self) = @_;
    while ($self->fill) {
        die "bytes came where the connection should be closed: " . substr($self->{buffer}, 0, 80) . "\n" if $self->{buffer} ne '';
    }
    return;
}

sub do_wait_open {
    my ($self) = @_;
    my $n = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
    die "the peer has closed the connection\n" if defined $n ? $n == 0 : !$!{EAGAIN};
    $self->{on_bytes}->(substr $self->{buffer}, -$n) if $n;
    return;
}

1;
