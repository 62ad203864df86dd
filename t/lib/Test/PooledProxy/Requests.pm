# Test::PooledProxy::Requests: what the client of a block does, from its sections.
package Test::PooledProxy::Requests;
use strict;
use warnings;
use Test::More ();
use Test::PooledProxy::Client;
use Test::PooledProxy::Dialog;
use Test::PooledProxy::Util qw(wait_until lines_of unescape);

sub new { my ($class, %args) = @_; return bless {%args}, $class }

# Returns the responses, in the order of the requests.
sub perform {
    my ($self) = @_;
    my @ways = grep { exists $self->{texts}{$_} } qw(request pipelined parallel raw_request curl dialog);
    die "a block has one of request, pipelined, parallel, raw_request, curl, dialog\n" if @ways > 1;
    return [] if !@ways;
    my $way = "by_$ways[0]";
    return $self->$way($self->{texts}{ $ways[0] });
}

# ---- reading sections ----

# The requests of a section as lists of arguments for Client::send_request.
sub requests_of {
    my ($self, $section) = @_;
    return map { parse($self->{setup}->fill($_), $self->more_headers) } ref $section ? @$section : $section;
}

sub more_headers {
    my ($self) = @_;
    return fields_of($self->{setup}->fill($self->{texts}{more_headers} // ''));
}

sub fields_of { return map { /^([^:]+):\s?(.*)$/ ? ($1, $2) : die "not a header line: $_\n" } lines_of($_[0]) }

sub parse {
    my ($text, @more) = @_;
    my @lines = lines_of($text);
    if (!grep { !/^[A-Z]+ \S+$/ } @lines) {
        return map { [split(' ', $_), headers => [@more]] } @lines;
    }
    my ($head, $body) = split /\n\n/, $text, 2;
    my ($first, $fields) = split /\n/, $head, 2;
    my ($method, $path) = $first =~ /^([A-Z]+) (\S+)$/ or die "not a request line: $first\n";
    $body =~ s/\n\z// if defined $body;
    return [$method, $path, headers => [fields_of($fields // ''), @more], defined $body ? (body => $body) : ()];
}

# ---- the ways ----

sub connect { my ($self) = @_; return $self->{client} = $self->{setup}->client }

sub by_request {
    my ($self, $section) = @_;
    my $client = $self->connect;
    my @responses;
    for my $request ($self->requests_of($section)) {
        $client = $self->connect if $client->{ended} || closes($responses[-1]);
        $client->send_request(@$request);
        return $self->abort if exists $self->{texts}{abort};
        push @responses, $client->read_response($request->[0]);
    }
    return \@responses;
}

sub closes { my ($response) = @_; return $response && lc($response->header('Connection') // '') =~ /\bclose\b/ }

sub by_pipelined {
    my ($self, $section) = @_;
    my $client   = $self->connect;
    my @requests = $self->requests_of($section);
    $client->send_bytes(join '', map { Test::PooledProxy::Client::request_bytes(@$_) } @requests);
    return [map { $client->read_response($_->[0]) } @requests];
}

sub by_parallel {
    my ($self, $section) = @_;
    my @requests = $self->requests_of($section);
    my @clients = map { $self->{setup}->client->send_request(@$_) } @requests;
    $self->{more_clients} = \@clients;
    return [map { $clients[$_]->read_response($requests[$_][0]) } 0 .. $#requests];
}

# Reads one response for each request line in the section.
sub by_raw_request {
    my ($self, $section) = @_;
    my $client = $self->connect;
    my $text   = $self->{setup}->fill($section);
    my @methods = $text =~ m{^([A-Z]+) \S+ HTTP/1\.[01]}mg;
    $client->send_bytes(raw_bytes($text));
    return $self->abort if exists $self->{texts}{abort};
    my @responses;
    for my $method (@methods ? @methods : 'GET') {
        push @responses, $client->read_response($method);
        last if closes($responses[-1]);
    }
    return \@responses;
}

# Where the text ends with a head, the empty line behind it is added.
sub raw_bytes {
    my ($text) = @_;
    my @lines = split /\n/, $text;
    my ($last) = $text =~ /(?:\A|\n\n)([^\n]+)(?:\n[^\n]+)*\n*\z/;
    push @lines, '' if $last =~ m{^[A-Z]+ \S+ HTTP/1\.} && $lines[-1] !~ /\\\z/;
    return join '', map { s/\\\z// ? unescape($_) : unescape($_) . "\r\n" } @lines;
}

sub by_dialog {
    my ($self, $section) = @_;
    my $dialog = Test::PooledProxy::Dialog->new(setup => $self->{setup});
    my $ok     = eval { $dialog->perform($self->{setup}->fill($section)); 1 };
    my $why    = $@;
    $self->{more_clients} = [$dialog->clients];
    $self->{client}       = $dialog->{client};
    Test::More::ok($ok, 'dialog') || Test::More::diag($why);
    return [];
}

# The client goes away when the upstream has come to `signal NAME`.
sub abort {
    my ($self) = @_;
    my ($how, $name) = $self->{texts}{abort} =~ /^(close|reset) at (\w+)/ or die "abort: $self->{texts}{abort}\n";
    wait_until($self->{setup}{timeout}, sub { grep { $_->has_signal($name) } $self->{setup}->upstreams }) or die "no signal $name came\n";
    $self->{client}->$how;
    return [];
}

sub by_curl {
    my ($self, $section) = @_;
    my $port = $self->{setup}->httpd->port;
    $self->{setup}{vars}{URL} = ($self->{setup}{tls} ? 'https' : 'http') . "://front.test:$port";
    my @command = ('curl', '-sS', '--noproxy', '*', '--max-time', 30, '--resolve', "front.test:$port:127.0.0.1",
        $self->{setup}{tls} ? ('--cacert', $self->{setup}{tls}{cert}) : (), '-w', '\n%{http_code}');
    my $arguments = $self->{setup}->fill($section) =~ s/\n/ /gr;
    my $output = `@{[map { "'$_'" } @command]} $arguments 2>&1`;
    $output =~ s/\n(\d{3})\z// or die "curl: $output\n";
    return [bless { status => $1, headers => [], body => $output, interim => [] }, 'Test::PooledProxy::Response'];
}

# ---- afterwards ----

sub check_connection {
    my ($self, $wanted) = @_;
    my $client = $self->{client} or return Test::More::fail('connection: there is none');
    if ($wanted eq 'closed') { return Test::More::ok($client->wait_closed, 'the client connection is closed') }
    my $n = sysread $client->{socket}, my $byte, 1;
    return Test::More::ok(!defined $n && $!{EAGAIN}, 'the client connection is open');
}

sub close {
    my ($self) = @_;
    $_->close for grep { defined } $self->{client}, @{ $self->{more_clients} || [] };
    return;
}

1;
