# Test::PooledProxy::Script: reads the script of an upstream into steps.
#
# One verb a line; a "#" at the begin of a line is a comment. Strings are quoted, with C escapes.
#
#   listen unix|ipv4|ipv6     (first line) where to listen: a unix socket, 127.0.0.1 (default) or ::1
#   accept [NAME]             takes the next connection; the verbs that follow are about it
#   use NAME                  goes on with the connection of that name
#   expect METHOD PATH        reads a request, head and body, and checks its request line
#   expect_head METHOD PATH   reads a request's head only; read N, read_body read on
#   expect_header NAME: VALUE the request has this field (VALUE may be ~REGEX)
#   expect_no_header NAME     it has no field of this name
#   expect_body "..."         the request's body, de-chunked
#   expect_trailer NAME: VALUE
#   read N                    reads N bytes (of a body that expect_head left)
#   read_body                 reads the rest of the body
#   read_raw "..."            reads exactly these bytes (tunnels)
#   send STATUS "body"        a response with Content-Length
#   send_head STATUS "..."    a status line, then these header lines (\r\n between them; the empty line is added)
#   send_raw "..."            just these bytes
#   send_bytes N              N bytes of filling ("0123456789" over and over)
#   send_chunk "..."          a chunk
#   send_last_chunk ["..."]   the last chunk, with trailer lines
#   close                     closes the connection
#   close_write               closes our half of it
#   reset                     closes it with RST
#   wait SECONDS              lets time pass (only where time itself is tested)
#   wait_close                the peer must close or reset the connection
#   wait_end                  the peer must close its half (ours stays open)
#   wait_open                 the peer must not have closed it so far
#   stop_listening, listen_again   the server is down, and up
#   signal NAME               tells the client that it got here (sections abort, dialog)
#   await NAME                until the client's dialog says `tell NAME`
#   allow_more                connections and requests after the script's end are no mistakes
#   hold                      waits until the block ends
#   repeat N ... end          N times the lines between
package Test::PooledProxy::Script;
use strict;
use warnings;
use Test::PooledProxy::Util qw(unescape);

my $string = qr/"((?:[^"\\]|\\.)*)"/s;

# verb => what may follow it; the captures are the step's arguments
my %grammar = (
    listen           => qr/(unix|ipv4|ipv6)/,
    accept           => qr/(\w+)?/,
    use              => qr/(\w+)/,
    expect           => qr/([A-Z]+)\s+(\S+)/,
    expect_head      => qr/([A-Z]+)\s+(\S+)/,
    expect_header    => qr/([^:\s]+):\s*(.*)/,
    expect_trailer   => qr/([^:\s]+):\s*(.*)/,
    expect_no_header => qr/(\S+)/,
    expect_body      => $string,
    read             => qr/(\d+)/,
    read_body        => qr//,
    read_raw         => $string,
    send             => qr/(\d{3})(?:\s+$string)?/,
    send_head        => qr/(\d{3})(?:\s+$string)?/,
    send_raw         => $string,
    send_bytes       => qr/(\d+)/,
    send_chunk       => $string,
    send_last_chunk  => qr/(?:$string)?/,
    close            => qr//,
    close_write      => qr//,
    reset            => qr//,
    wait             => qr/(\d+(?:\.\d+)?)/,
    wait_close       => qr//,
    wait_end         => qr//,
    wait_open        => qr//,
    stop_listening   => qr//,
    listen_again     => qr//,
    signal           => qr/(\w+)/,
    await            => qr/(\w+)/,
    allow_more       => qr//,
    hold             => qr//,
    repeat           => qr/(\d+)/,
    end              => qr//,
);

my %has_string = map { $_ => 1 } qw(expect_body read_raw send send_head send_raw send_chunk send_last_chunk);

# parse TEXT: a list of steps, {verb, args, line, text}; `repeat` has {steps} in place of args beyond the count.
sub parse {
    my ($text) = @_;
    my @levels = ({ steps => [] });
    my $number = 0;
    for my $line (split /\n/, $text) {
        $number++;
        next if $line =~ /^\s*(?:#|$)/;
        my $step = parse_line($line, $number);
        if ($step->{verb} eq 'end') {
            die "line $number: end without repeat\n" if @levels == 1;
            pop @levels;
            next;
        }
        push @{ $levels[-1]{steps} }, $step;
        push @levels, $step if $step->{verb} eq 'repeat';
    }
    die "repeat without end\n" if @levels > 1;
    return $levels[0]{steps};
}

sub parse_line {
    my ($line, $number) = @_;
    my ($verb, $rest) = $line =~ /^\s*(\w+)\s*(.*?)\s*$/ or die "line $number: no verb: $line\n";
    my $shape = $grammar{$verb} or die "line $number: unknown verb: $line\n";
    my @args = $rest =~ /^$shape$/ or die "line $number: wrong arguments: $line\n";
    @args = () if $shape eq qr//;
    $args[-1] = unescape($args[-1] // '') if $has_string{$verb};
    return { verb => $verb, args => \@args, line => $number, text => "$verb $rest", steps => [] };
}

1;
