# Test::PooledProxy::Dialog: a client that follows a script (section `dialog`), step by step with the scripts of the upstreams: for
# streams, tunnels, bodies that wait, clients that go away.
#
#   connect [NAME]            a new connection (the first verb that needs one makes it)
#   use NAME                  goes on with the connection of that name
#   request METHOD PATH ["..."]   a request with Host and these header lines (\r\n between them), without a body
#   send "..."                just these bytes
#   send_bytes N              N bytes of filling, as the upstream's verb
#   send_until_full           filling, until the socket has taken none for 0.2 s, or an answer comes
#   send_chunk "..."          a chunk
#   send_last_chunk ["..."]   the last chunk, with trailer lines
#   read_interim STATUS       the next head is this interim response
#   read_head STATUS          the next head is this final one (STATUS may be ~REGEX)
#   header NAME: VALUE        the head read last has this field (VALUE may be ~REGEX)
#   no_header NAME
#   read "..."                the next bytes of the body (after 101: of the connection) are these
#   read_bytes N              the next N bytes of it are filling
#   read_end                  the body ends here
#   read_trailer NAME: VALUE  (after read_end)
#   read_no_trailer NAME
#   read_cut                  it is cut here: the connection is closed before the body's end
#   read_nothing              nothing came so far
#   wait_close                the server closes the connection
#   wait_answer_end           ... after the rest of this answer, and nothing else
#   close, close_write, reset
#   await NAME                until an upstream comes to `signal NAME`
#   tell NAME                 lets the upstreams go on that `await NAME`
#   stats NAME N              waits until the status page says so
#   took MIN MAX              the seconds from the last request (or send) to the last head (or cut, or close) that was read; a slow
#                             machine may take half a second more
#   wait SECONDS              lets time pass (only where time itself is tested)
package Test::PooledProxy::Dialog;
use strict;
use warnings;
use Test::More ();
use Time::HiRes qw(time);
use Test::PooledProxy::Client;
use Test::PooledProxy::Util qw(wait_until unescape lines_of slowness);

my $string = qr/"((?:[^"\\]|\\.)*)"/s;

my %grammar = (
    connect         => qr/(\w+)?/,
    use             => qr/(\w+)/,
    request         => qr/([A-Z]+)\s+(\S+)(?:\s+$string)?/,
    send            => $string,
    send_bytes      => qr/(\d+)/,
    send_chunk      => $string,
    send_last_chunk => qr/(?:$string)?/,
    read_interim    => qr/(\d{3})/,
    read_head       => qr/(\d{3}|~\S+)/,
    header          => qr/([^:\s]+):\s*(.*)/,
    no_header       => qr/(\S+)/,
    read            => $string,
    read_bytes      => qr/(\d+)/,
    read_end        => qr/()/,
    read_trailer    => qr/([^:\s]+):\s*(.*)/,
    read_no_trailer => qr/(\S+)/,
    read_cut        => qr/()/,
    read_nothing    => qr/()/,
    wait_close      => qr/()/,
    wait_answer_end => qr/()/,
    close           => qr/()/,
    close_write     => qr/()/,
    reset           => qr/()/,
    await           => qr/(\w+)/,
    tell            => qr/(\w+)/,
    stats           => qr/(\S+)\s+(\d+)/,
    took            => qr/(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)/,
    wait            => qr/(\d+(?:\.\d+)?)/,
    send_until_full => qr/()/,
);

my %has_string = map { $_ => 1 } qw(request send send_chunk send_last_chunk read);

# new(setup => SETUP)
sub new { my ($class, %args) = @_; return bless { %args, clients => [], names => {} }, $class }

# Dies where the script and what happens part.
sub perform {
    my ($self, $text) = @_;
    for my $line (lines_of($text)) {
        next if $line =~ /^\s*#/;
        my ($verb, $rest) = $line =~ /^\s*(\w+)\s*(.*?)\s*$/ or die "dialog: no verb: $line\n";
        my $shape = $grammar{$verb} or die "dialog: unknown verb: $line\n";
        my @args = $rest =~ /^$shape$/ or die "dialog: wrong arguments: $line\n";
        $args[-1] = unescape($args[-1] // '') if $has_string{$verb};
        my $do = "do_$verb";
        eval { $self->$do(@args); 1 } or die "dialog: $line: $@";
    }
    return;
}

sub clients { return @{ $_[0]{clients} } }
sub client  { my ($self) = @_; return $self->{client} // $self->do_connect }

sub do_connect {
    my ($self, $name) = @_;
    push @{ $self->{clients} }, my $client = $self->{client} = $self->{setup}->client;
    $self->{names}{$name} = $client if $name;
    return $client;
}

sub do_use { my ($self, $name) = @_; $self->{client} = $self->{names}{$name} or die "no connection $name\n"; return }

# ---- requests ----

sub do_request {
    my ($self, $method, $path, $fields) = @_;
    my $client = $self->client;
    $self->{sent_at} = time;
    $client->{dialog_method} = $method;
    $fields .= "\r\n" if $fields ne '' && $fields !~ /\r\n\z/;
    $client->send_bytes("$method $path HTTP/1.1\r\nHost: front.test\r\n$fields\r\n");
    return;
}

sub do_send {
    my ($self, $bytes) = @_;
    $self->{sent_at} = time;
    $self->client->send_bytes($bytes);
    return;
}

sub do_send_chunk { my ($self, $bytes) = @_; return $self->do_send(sprintf "%x\r\n%s\r\n", length $bytes, $bytes) }

sub do_send_last_chunk {
    my ($self, $trailers) = @_;
    $trailers .= "\r\n" if $trailers ne '' && $trailers !~ /\r\n\z/;
    $self->client->send_bytes("0\r\n$trailers\r\n");
    return;
}

my $filling = '0123456789' x 6553;

sub do_send_bytes {
    my ($self, $n) = @_;
    for (; $n > length $filling; $n -= length $filling) { $self->client->send_bytes($filling) }
    $self->client->send_bytes(substr $filling, 0, $n);
    return;
}

sub do_send_until_full {
    my ($self) = @_;
    my $socket = $self->client->{socket};
    local $SIG{PIPE} = 'IGNORE';
    while (1) {
        my $set = '';
        vec($set, fileno $socket, 1) = 1;
        my $ready = select my $answer = $set, $set, undef, 0.2;
        return if !$ready || vec $answer, fileno $socket, 1;
        defined syswrite $socket, $filling or $!{EAGAIN} or die "write: $!\n";
    }
}

# ---- answers ----

sub do_read_interim {
    my ($self, $status) = @_;
    my $head = $self->client->{dialog_head} = $self->client->read_one_head;
    die "it is $head->{status}\n" if $head->{status} != $status;
    return;
}

sub do_read_head {
    my ($self, $status) = @_;
    my $client = $self->client;
    my $head = $client->{dialog_head} = $client->read_head;
    $self->{read_at} = time;
    die "it is $head->{status}\n" if $status =~ /^~(.*)/ ? $head->{status} !~ /^$1$/ : $head->{status} != $status;
    $client->{body} = body_kind($head, $client->{dialog_method} // 'GET');
    return;
}

# {chunked => 1} or {left => N}; left undefined: until the connection ends.
sub body_kind {
    my ($head, $method) = @_;
    return {} if $head->{status} == 101;
    return { left => 0 } if $method eq 'HEAD' || $head->{status} =~ /^(?:204|304)$/;
    return { chunked => 1, left => 0 } if ($head->header('Transfer-Encoding') // '') eq 'chunked';
    return { left => $head->header('Content-Length') };
}

# At most N bytes of the body; '' at its end. Dies when the connection ends before.
sub body_bytes {
    my ($self, $n) = @_;
    my $client = $self->client;
    my $body = $client->{body} or die "no head was read\n";
    if ($body->{chunked} && !$body->{left} && !$body->{ended}) {
        $client->take_line eq '' or die "no line end behind a chunk\n" if $body->{begun}++;
        my $line = $client->take_line;
        $body->{left} = $line =~ /^([0-9a-fA-F]+)(?:;.*)?$/ ? hex $1 : die "malformed chunk size: $line\n";
        $body->{ended} = !$body->{left};
    }
    return '' if defined $body->{left} && !$body->{left};
    if ($client->{buffer} eq '' && !$client->fill) { return defined $body->{left} ? die "closed inside the body\n" : '' }
    $n = $body->{left} if defined $body->{left} && $body->{left} < $n;
    my $bytes = substr $client->{buffer}, 0, $n, '';
    $body->{left} -= length $bytes if defined $body->{left};
    return $bytes;
}

sub do_read {
    my ($self, $wanted) = @_;
    my $got = '';
    while (length $got < length $wanted) {
        my $bytes = $self->body_bytes(length($wanted) - length $got);
        $got .= $bytes;
        last if $bytes eq '';
    }
    die "it is: $got\n" if $got ne $wanted;
    return;
}

sub do_read_bytes {
    my ($self, $n) = @_;
    my $body = $self->client->{body};
    while ($n > 0) {
        my $at = ($body->{at} //= 0);
        my $bytes = $self->body_bytes($n > 60_000 ? 60_000 : $n);
        die "$n bytes are missing\n" if $bytes eq '';
        $bytes eq substr $filling . $filling, $at, length $bytes or die "the bytes are wrong\n";
        $body->{at} = ($at + length $bytes) % 10;
        $n -= length $bytes;
    }
    return;
}

sub do_read_end {
    my ($self) = @_;
    my $bytes = $self->body_bytes(200);
    my @trailers;
    die "there is more: $bytes\n" if $bytes ne '';
    $self->client->{dialog_trailers} = bless { headers => [] }, 'Test::PooledProxy::Response';
    return if !$self->client->{body}{chunked};
    while ((my $line = $self->client->take_line) ne '') { push @trailers, [split /:\s*/, $line, 2] }
    $self->client->{dialog_trailers} = bless { headers => \@trailers }, 'Test::PooledProxy::Response';
    return;
}

sub do_read_cut {
    my ($self) = @_;
    while (1) {
        my $bytes = eval { $self->body_bytes(65536) };
        $self->{read_at} = time;
        return if !defined $bytes;
        die "it ended as if it were whole\n" if $bytes eq '';
    }
}

sub check_field {
    my ($head, $name, $wanted) = @_;
    my $got = $head->header($name) // die "there is no $name\n";
    die "$name is: $got\n" if $wanted =~ /^~(.*)/ ? $got !~ /$1/ : $got ne $wanted;
    return;
}

sub do_header       { my ($self, $name, $value) = @_; return check_field($self->client->{dialog_head}, $name, $value) }
sub do_read_trailer { my ($self, $name, $value) = @_; return check_field($self->client->{dialog_trailers}, $name, $value) }

sub check_no_field {
    my ($head, $name) = @_;
    my $got = $head->header($name);
    die "$name is: $got\n" if defined $got;
    return;
}

sub do_no_header       { my ($self, $name) = @_; return check_no_field($self->client->{dialog_head}, $name) }
sub do_read_no_trailer { my ($self, $name) = @_; return check_no_field($self->client->{dialog_trailers}, $name) }

sub do_read_nothing {
    my ($self) = @_;
    my $client = $self->client;
    my $n = sysread $client->{socket}, $client->{buffer}, 65536, length $client->{buffer};
    die "the connection is closed\n" if defined $n ? $n == 0 : !$!{EAGAIN};
    die "it is: $client->{buffer}\n" if $client->{buffer} ne '';
    return;
}

# ---- the rest ----

sub do_wait_close {
    my ($self) = @_;
    my $client = $self->client;
    while (1) {
        die "bytes came: " . substr($client->{buffer}, 0, 80) . "\n" if $client->{buffer} ne '';
        last if !$client->fill;
    }
    $self->{read_at} = time;
    return;
}

sub do_wait_answer_end {
    my ($self) = @_;
    while ($self->body_bytes(65536) ne '') { }
    return $self->do_wait_close;
}

sub do_close       { my ($self) = @_; $self->client->close;       return }
sub do_close_write { my ($self) = @_; $self->client->close_write; return }
sub do_reset       { my ($self) = @_; $self->client->reset;       return }

sub do_await {
    my ($self, $name) = @_;
    my $setup = $self->{setup};
    wait_until($setup->{timeout}, sub { grep { $_->has_signal($name) || @{ $_->{violations} } } $setup->upstreams });
    die "it did not come\n" if !grep { $_->has_signal($name) } $setup->upstreams;
    return;
}

sub do_tell { my ($self, $name) = @_; $_->tell_script($name) for $self->{setup}->upstreams; return }

sub do_stats {
    my ($self, $name, $wanted) = @_;
    my $got;
    wait_until(5, sub { ($got = $self->{setup}->numbers->{$name} // 'unknown') eq $wanted }) or die "it is $got\n";
    return;
}

sub do_took {
    my ($self, $least, $most) = @_;
    my $took = $self->{read_at} - $self->{sent_at};
    die "it was $took s\n" if $took < $least || $took > $most + 0.5 * slowness();
    return;
}

sub do_wait {
    my ($self, $seconds) = @_;
    my $end = time + $seconds;
    while ((my $left = $end - time) > 0) { select undef, undef, undef, $left }
    return;
}

1;
