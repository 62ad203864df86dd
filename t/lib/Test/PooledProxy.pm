# Test::PooledProxy: blocks that say what httpd is configured to do, what the upstream does, what the client asks, and what comes of it.
#
#   use Test::PooledProxy;
#   run_tests();
#   __DATA__
#   === a finished response returns its connection and the next request reuses it
#   --- upstream
#   accept
#   ...
#
# What the block brings up (variables: Test::PooledProxy::Setup):
#   config         inside the vhost; default: PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
#   main_config    outside of it             vhosts       further <VirtualHost *:$PORT>s or Listen lines
#   mpm_config     in place of the harness's MPM settings     modules   names of further modules: rewrite deflate
#   upstream, upstream2 ...   scripts (Test::PooledProxy::Script)     backend   (empty) start the load backend: $BACKEND_PORT
#   files          ">>> NAME" lines, each followed by the file's content, below the docroot
#   tls            (empty) the vhost speaks TLS, and the client too     certificate  (empty) make $CERT and $KEY
# What the client does:
#   request        lines "METHOD PATH", one after the other on one connection; or one request with header lines, empty line, body.
#                  With the filter `eval` a list of these.
#   pipelined      lines as in request, sent at once       parallel      lines as in request, each on a connection of its own at once
#   raw_request    bytes: lines end with CRLF, a line that ends with "\" has no line end; C escapes; the empty line behind the head is added
#   more_headers   header lines that every request gets    curl          arguments of one curl call ($URL is the vhost's)
#   abort          close|reset at NAME: the client goes away when the upstream says `signal NAME`, reading nothing
#   dialog         a script of the client's (Test::PooledProxy::Dialog)
#   configtest     (empty) only httpd -t: output_like says what it answers, `valid` that it succeeds
# What comes of it (Test::PooledProxy::Checks):
#   error_code (200), response_body, response_body_like, response_length, response_headers, response_headers_absent, interim, cut,
#   connection (open or closed, the client's, afterwards), stats, upstream_saw, upstream_request_like, upstream_not_saw,
#   env, error_log, error_log_like, no_error_log, ignore_error_log
# And: timeout (seconds for the block; 10), mpm (names: skip with others), httpd (2.4.63: skip with older ones), skip_if (Perl that
# returns a reason), ONLY, SKIP, LAST.
#
# By default a block wants 200, whole answers, no warning in the error log, no connection left busy, no crash, the scripts at their ends.
package Test::PooledProxy;
use strict;
use warnings;
use Test::Base -base;
use Test::More;
use Test::PooledProxy::Checks;
use Test::PooledProxy::Config;
use Test::PooledProxy::Requests;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(slowness lines_of);

our @EXPORT = qw(run_tests);

my %known = map { $_ => 1 } qw(
  config main_config vhosts mpm_config modules backend files tls certificate
  request pipelined parallel raw_request more_headers curl dialog abort configtest valid output_like
  error_code response_body response_body_like response_length response_headers response_headers_absent interim cut connection
  stats upstream_saw upstream_request_like upstream_not_saw env error_log error_log_like no_error_log ignore_error_log
  timeout mpm httpd skip_if ONLY SKIP LAST
);

my $shared_httpd; # RELOAD=1: one httpd for all blocks of the file

sub run_tests {
    my @blocks = Test::Base::blocks();
    $shared_httpd = Test::PooledProxy::Httpd->new if $ENV{RELOAD};
    for my $block (@blocks) {
        my %texts = map { $_ => $block->{$_}[0] } keys %{ $block->original_values };
        subtest $block->name => sub { run_block(\%texts) };
    }
    if ($shared_httpd) { is(join("\n", $shared_httpd->stop, $shared_httpd->reports), '', 'httpd stops') }
    done_testing();
    return;
}

sub run_block {
    my ($texts) = @_;
    if (my @unknown = grep { !$known{$_} && !/^upstream\d*$/ } keys %$texts) { return fail("unknown sections: @unknown") }
    my $reason = skip_reason($texts);
    if ($reason) { plan skip_all => $reason }
    my $timeout = $texts->{timeout} || 10;
    local $SIG{ALRM} = sub { die "the block did not end within $timeout s\n" };
    alarm 5 + ($timeout + 5) * slowness();
    my $ok = eval { exists $texts->{configtest} ? configtest($texts) : perform($texts, $timeout); 1 };
    alarm 0;
    fail("the block runs: $@") if !$ok;
    return;
}

sub skip_reason {
    my ($texts) = @_;
    my $mpm = Test::PooledProxy::Config::mpm();
    return "not for MPM $mpm" if $texts->{mpm} && !grep { $_ eq $mpm } split ' ', $texts->{mpm};
    if (my $wanted = $texts->{httpd}) {
        my ($have, $least) = map { sprintf '%03d%03d%03d', split /\./ } Test::PooledProxy::Config::httpd_version(), $wanted =~ s/\s//gr;
        return "httpd is older than $wanted" if $have < $least;
    }
    return if !$texts->{skip_if};
    my $reason = eval $texts->{skip_if}; ## no critic
    die "skip_if: $@" if $@;
    return $reason;
}

sub make_setup {
    my ($texts, $timeout) = @_;
    return Test::PooledProxy::Setup->new(
        (map { $_ => $texts->{$_} } grep { defined $texts->{$_} } qw(config main_config vhosts mpm_config)),
        modules     => [split ' ', $texts->{modules} // ''],
        upstream    => { map { uc $_ => $texts->{$_} } grep { /^upstream\d*$/ } keys %$texts },
        backend     => exists $texts->{backend},
        tls         => exists $texts->{tls},
        certificate => exists $texts->{certificate},
        files       => files_of($texts->{files} // ''),
        timeout     => $timeout,
        $shared_httpd ? (httpd => $shared_httpd) : (),
    );
}

sub files_of {
    my ($text) = @_;
    my (undef, @parts) = split /^>>> (\S+)\n/m, $text;
    return {@parts};
}

sub configtest {
    my ($texts) = @_;
    my $setup = make_setup($texts, 10);
    my ($ok, $output) = $setup->configtest;
    is($ok ? 1 : 0, exists $texts->{valid} ? 1 : 0, 'configtest accepts') || diag($output);
    like($output, qr/$_/, 'output_like') for lines_of($setup->fill($texts->{output_like}));
    return;
}

sub perform {
    my ($texts, $timeout) = @_;
    my $setup = make_setup($texts, $timeout);
    my $ok = eval { perform_in($setup, $texts, $timeout); 1 };
    return if $ok;
    fail("the block runs: $@");
    diag($_) for $setup->stop;
    diag($setup->httpd->error_log);
    return;
}

sub perform_in {
    my ($setup, $texts, $timeout) = @_;
    $setup->start;
    my $requests = Test::PooledProxy::Requests->new(texts => $texts, setup => $setup);
    my $checks = Test::PooledProxy::Checks->new(block => $texts, setup => $setup, responses => $requests->perform);
    $checks->upstreams_finish($timeout / 2);
    check_answers($checks, $texts);
    $requests->check_connection($texts->{connection} =~ s/\s//gr) if $texts->{connection};
    $checks->stats if Test::PooledProxy::Config::module_path();
    $checks->$_ for grep { exists $texts->{$_} } qw(env error_log error_log_like no_error_log);
    $requests->close;
    is(join("\n", $setup->stop), '', 'the upstream scripts and httpd end as they should');
    $checks->unexpected_log;
    return;
}

sub check_answers {
    my ($checks, $texts) = @_;
    my @sections = qw(response_body response_body_like response_length response_headers response_headers_absent interim upstream_saw
      upstream_request_like upstream_not_saw);
    if (!exists $texts->{abort} && @{ $checks->{responses} }) {
        $checks->error_code;
        $checks->wholeness;
    }
    $checks->$_ for grep { exists $texts->{$_} } @sections;
    return;
}

1;
