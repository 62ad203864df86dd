# Test::PooledProxy::Checks: what the sections of a block say about its outcome. Each check is one assertion of Test::More.
package Test::PooledProxy::Checks;
use strict;
use warnings;
use Test::More ();
use Test::PooledProxy::Util qw(wait_until lines_of);

# new(block => texts by section, setup => SETUP, responses => [...])
sub new { my ($class, %args) = @_; return bless {%args}, $class }

# ---- answers ----

sub text { my ($self, $section) = @_; return $self->{setup}->fill($self->{block}{$section}) }

# One entry for each response: the section's, its words' or lines', the last standing for the rest.
sub each_response {
    my ($self, $entries) = @_;
    return map { $entries->[$_] // $entries->[-1] } 0 .. $#{ $self->{responses} };
}

sub error_code {
    my ($self) = @_;
    my @wanted = $self->each_response([split ' ', $self->{block}{error_code} // 200]);
    my @got    = map { $_->{status} } @{ $self->{responses} };
    return Test::More::is(summary(@got), summary(@wanted), 'error_code');
}

# Many words in a row that are the same are counted: "200 (x1000)".
sub summary {
    my $text = join ' ', @_;
    $text =~ s/\b(\S+)(( \1)+)(?!\S)/"$1 (x" . (1 + ($2 =~ tr, ,,)) . ')'/ge if @_ > 20;
    return $text;
}

# Bodies one after the other, a line end behind each that has none.
sub joined_bodies {
    my ($self) = @_;
    return join '', map { $_->{body} =~ /[^\n]\z/ ? "$_->{body}\n" : $_->{body} } @{ $self->{responses} };
}

sub response_body      { my ($self) = @_; return Test::More::is($self->joined_bodies, $self->text('response_body'), 'response_body') }
sub response_body_like { my ($self) = @_; return $self->matches($self->joined_bodies, 'response_body_like') }

sub response_length {
    my ($self) = @_;
    my @wanted = $self->each_response([split ' ', $self->{block}{response_length}]);
    return Test::More::is(summary(map { length $_->{body} } @{ $self->{responses} }), summary(@wanted), 'response_length');
}

# Every response must have them. "Name: value", "Name: ~regex"; "2 Name: value" is about the second response only.
sub response_headers {
    my ($self) = @_;
    for my $line (lines_of($self->text('response_headers'))) {
        my ($number, $name, $wanted) = $line =~ /^(?:(\d+)\s+)?([^:\s]+):\s*(.*?)\s*$/ or die "response_headers: $line\n";
        for my $response ($number ? $self->{responses}[$number - 1] : @{ $self->{responses} }) {
            my $got = $response->header($name);
            if   ($wanted =~ /^~(.*)/) { Test::More::like($got // '(none)', qr/$1/, "response header $name") }
            else                       { Test::More::is($got, $wanted, "response header $name") }
        }
    }
    return;
}

sub response_headers_absent {
    my ($self) = @_;
    for my $name (split ' ', $self->{block}{response_headers_absent}) {
        Test::More::is($_->header($name), undef, "no response header $name") for @{ $self->{responses} };
    }
    return;
}

# Every line stands for an interim response: "103 Link: </x>" or just "103".
sub interim {
    my ($self) = @_;
    my @got = map { my $i = $_; join ' ', $i->{status}, map { "$_->[0]: $_->[1]" } @{ $i->{headers} } } map { @{ $_->{interim} } } @{ $self->{responses} };
    return Test::More::is(join("\n", @got), join("\n", lines_of($self->text('interim'))), 'interim');
}

# Was every body whole? `cut` in a block: none of them.
sub wholeness {
    my ($self) = @_;
    my @cut = map { $_->{cut} // () } @{ $self->{responses} };
    if (exists $self->{block}{cut}) { return Test::More::is(scalar @cut, scalar @{ $self->{responses} }, 'the answer is cut') }
    return Test::More::is("@cut", '', 'the answers are whole');
}

# ---- the upstream ----

sub matches {
    my ($self, $got, $section) = @_;
    return map { Test::More::like($got, qr/$_/m, $section) } lines_of($self->text($section));
}

sub all_seen { my ($self) = @_; return join '', map { (my $saw = $_->saw) =~ s/\r\n/\n/g; $saw } $self->{setup}->upstreams }

sub upstream_saw {
    my ($self) = @_;
    my $seen = $self->all_seen;
    Test::More::ok(index($seen, $_) >= 0, "upstream_saw: $_") || Test::More::diag($seen) for lines_of($self->text('upstream_saw'));
    return;
}

sub upstream_request_like { my ($self) = @_; return $self->matches($self->all_seen, 'upstream_request_like') }

sub upstream_not_saw {
    my ($self) = @_;
    my $seen = $self->all_seen;
    Test::More::ok(index($seen, $_) < 0, "upstream_not_saw: $_") || Test::More::diag($seen) for lines_of($self->text('upstream_not_saw'));
    return;
}

# Lets the scripts come to their ends.
sub upstreams_finish {
    my ($self, $seconds) = @_;
    $_->finish($seconds) for $self->{setup}->upstreams;
    return;
}

# ---- the numbers ----

my %compare = ('=' => sub { $_[0] == $_[1] }, '>=' => sub { $_[0] >= $_[1] }, '<=' => sub { $_[0] <= $_[1] });

# Lines "NAME N", "NAME >= N", "POOL.NAME N"; without further words busy, waiting and connecting are 0.
sub stats {
    my ($self) = @_;
    my @wanted = map { /^\s*(\S+)\s+(>=|<=|=)?\s*(\d+)\s*$/ ? [$1, $2 // '=', $3] : die "stats: $_\n" } lines_of($self->{block}{stats});
    for my $settled (qw(busy waiting connecting)) {
        push @wanted, [$settled, '=', 0] if !grep { $_->[0] eq $settled } @wanted;
    }
    my ($numbers, @wrong);
    my $settled = eval {
        wait_until(2, sub {
            $numbers = $self->{setup}->numbers;
            @wrong = grep { !$compare{ $_->[1] }->($numbers->{ $_->[0] } // -1, $_->[2]) } @wanted;
            return !@wrong;
        });
        1;
    };
    return Test::More::fail("stats: $@") if !$settled;
    my $complaint = join "\n", map { "$_->[0] is " . ($numbers->{ $_->[0] } // 'unknown') . ", not $_->[1] $_->[2]" } @wrong;
    return Test::More::is($complaint, '', 'stats') || Test::More::diag(join ' ', map { "$_=$numbers->{$_}" } grep { $numbers->{$_} } sort keys %$numbers);
}

# ---- the logs ----

# Each line is a set of words that one line of the access log must have: "GET /path POOLEDPROXY_REASON=stale".
sub env {
    my ($self) = @_;
    for my $wanted (lines_of($self->text('env'))) {
        my $found = wait_until(2, sub { grep { has_words($_, $wanted) } split /\n/, $self->{setup}->httpd->access_log });
        Test::More::ok($found, "env: $wanted") || Test::More::diag($self->{setup}->httpd->access_log);
    }
    return;
}

# A word may be NAME=~REGEX.
sub has_words {
    my ($line, $wanted) = @_;
    my @words = split ' ', $line;
    for my $word (split ' ', $wanted) {
        my ($name, $regex) = $word =~ /^(\w+=)~(.*)/;
        return 0 if $name ? !grep { /^\Q$name\E(?:$regex)$/ } @words : !grep { $_ eq $word } @words;
    }
    return 1;
}

sub log_has { my ($self, $pattern) = @_; return wait_until(2, sub { $self->{setup}->httpd->error_log =~ $pattern }) }

sub error_log {
    my ($self) = @_;
    Test::More::ok($self->log_has(qr/\Q$_\E/), "error_log: $_") || $self->show_log for lines_of($self->text('error_log'));
    return;
}

sub error_log_like {
    my ($self) = @_;
    Test::More::ok($self->log_has(qr/$_/), "error_log_like: $_") || $self->show_log for lines_of($self->text('error_log_like'));
    return;
}

sub no_error_log {
    my ($self) = @_;
    my $log = $self->{setup}->httpd->error_log;
    Test::More::ok(index($log, $_) < 0, "no_error_log: $_") || $self->show_log for lines_of($self->text('no_error_log'));
    return;
}

sub show_log { my ($self) = @_; Test::More::diag($self->{setup}->httpd->error_log); return }

# Warnings and worse that the block does not expect, and crashes, which no block may expect.
sub unexpected_log {
    my ($self) = @_;
    my $block    = $self->{block};
    my @literals = map { qr/\Q$_\E/ } lines_of($self->text('error_log'));
    my @patterns = map { qr/$_/ } map { lines_of($self->text($_)) } qw(error_log_like ignore_error_log);
    my @unexpected = ($self->{setup}->httpd->complaints(@literals, @patterns), $self->{setup}->httpd->reports);
    return Test::More::is(join("\n", @unexpected), '', 'nothing unexpected in the error log');
}

1;
