# mod_ssl and mod_http2 in front.
use strict;
use warnings;
use Test::More;
use Socket qw(IPPROTO_TCP);
use Time::HiRes qw(time);
use Test::PooledProxy::Child qw(settles ends_clean answers_at_once);
use Test::PooledProxy::Config;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until slowness);

use constant TCP_CORK => 3; # Linux

my $is_prefork = Test::PooledProxy::Config::mpm() eq 'prefork';

sub setup {
    my (%args) = @_;
    my $main = "MaxKeepAliveRequests 0\n" . ($is_prefork ? '' : "PooledProxyEventLoops 1\n") . (delete $args{main_config} // '');
    return Test::PooledProxy::Setup->new(backend => 1, timeout => 20, main_config => $main, %args)->start;
}

sub curl {
    my ($setup, @arguments) = @_;
    my $port = $setup->var('PORT');
    my $scheme  = $setup->{tls} ? 'https' : 'http';
    my @command = ('curl', '-sS', '--noproxy', '*', '--max-time', 20, '--resolve', "front.test:$port:127.0.0.1");
    push @command, '--cacert', $setup->{tls}{cert} if $setup->{tls};
    open my $pipe, '-|', @command, map { s{^/}{$scheme://front.test:$port/}r } @arguments or die "curl: $!";
    local $/ = undef;
    return scalar(<$pipe>) // '';
}

subtest 'TLS: one connection, many requests' => sub {
    my $setup  = setup(tls => 1);
    my $client = $setup->client;
    is(length $client->get("/bytes?n=$_")->{body}, $_, "$_ bytes") for 1, 10, 1000, 100_000, 1, 2_000_000, 3;
    $client->send_bytes(join '', map { Test::PooledProxy::Client::request_bytes(GET => "/bytes?n=$_") } 1 .. 10);
    is(join(' ', map { length $client->read_response->{body} } 1 .. 10), '1 2 3 4 5 6 7 8 9 10', 'ten pipelined requests');
    my $body = 'x' x 1_000_000;
    is($client->send_request(POST => '/sink', body => $body)->read_response->{body}, "1000000\n", 'a large body');
    is($client->send_request(POST => '/echo', body => 'abc')->read_response->{body} =~ /abc\z/, 1, 'a small one');
    is($setup->backend->stats->{accepts}, 1, 'one connection to the backend') if !$is_prefork;
    $client->close;
    settles($setup, 3);
    ends_clean($setup);
};

for my $more ([], ['reqtimeout']) {
    subtest join(' ', 'TLS: requests in records of their own that arrive together', @$more) => sub {
        my $setup  = setup(tls => 1, modules => $more);
        my $client = $setup->client;
        for my $round (1 .. 5) {
            setsockopt $client->{socket}, IPPROTO_TCP, TCP_CORK, 1;
            $client->send_request(GET => "/bytes?n=$_") for 1 .. 4;
            setsockopt $client->{socket}, IPPROTO_TCP, TCP_CORK, 0;
            is(join(' ', map { length $client->read_response->{body} } 1 .. 4), '1 2 3 4', "round $round");
        }
        $client->close;
        settles($setup, 3);
        ends_clean($setup);
    };
}

subtest 'TLS: events come without delay' => sub {
    my $setup  = setup(tls => 1);
    my $client = $setup->client;
    $client->send_request(GET => '/events?ms=100&n=5');
    is($client->read_head->{status}, 200, 'the head comes');
    my @at;
    for my $n (1 .. 5) {
        is($client->read_chunk, "data: $n\n\n", "event $n");
        push @at, time;
    }
    cmp_ok($at[4] - $at[0], '>', 0.3, 'they did not come all at once');
    cmp_ok($at[4] - $at[0], '<', 2 * slowness(), 'they were not kept');
    $client->close;
    settles($setup, 3);
    ends_clean($setup);
};

subtest 'HTTP/2 in clear' => sub {
    plan skip_all => 'mod_http2 is not for prefork' if $is_prefork;
    my $setup = setup(modules => ['http2'], main_config => "Protocols h2c http/1.1\n");
    is(curl($setup, '--http2-prior-knowledge', '-w', '%{http_version} %{http_code}', '/bytes?n=3'), '0122 200', 'a request');
    is(length curl($setup, '--http2-prior-knowledge', '/bytes?n=3000000'), 3_000_000, 'a large answer');
    is(curl($setup, '--http2-prior-knowledge', '--data-binary', 'x' x 100_000, '/sink'), "100000\n", 'a body');
    is(length curl($setup, '--http2-prior-knowledge', '/stream?n=20&size=10&ms=5'), 200, 'a stream');
    like(curl($setup, '--http2', '-w', ' %{http_version}', '/bytes?n=3'), qr/^012 2$/, 'by Upgrade');
    is($setup->client->get('/bytes?n=3')->{body}, '012', 'HTTP/1.1 goes on');
    my $load = `h2load -n 500 -c 4 -m 10 http://127.0.0.1:@{[$setup->var('PORT')]}/bytes?n=1000 2>&1`;
    like($load, qr/500 succeeded, 0 failed, 0 errored/, 'h2load') || diag($load);
    settles($setup, 5);
    ends_clean($setup);
};

subtest 'HTTP/2 over TLS, streams that are cancelled' => sub {
    plan skip_all => 'mod_http2 is not for prefork' if $is_prefork;
    my $setup = setup(modules => ['http2', 'alias'], main_config => "Protocols h2 http/1.1\n", tls => 1, files => { 'one.txt' => "one\n" },
        config => "Alias /files/ \$DOCROOT/\nPooledProxyPass /files/ !\nPooledProxyPass / http://127.0.0.1:\$BACKEND_PORT/\n");
    is(curl($setup, '--http2', '-w', ' %{http_version}', '/bytes?n=3'), '012 2', 'a request');
    is(curl($setup, '--http2', '/bytes?n=3', '/files/one.txt', '/bytes?n=4'), "012one\n0123", 'three on one connection');
    my @hurried = map { my $pid = open my $pipe, '-|', 'curl', '-sSk', '--noproxy', '*', '--http2', '--max-time', 20,
          'https://127.0.0.1:' . $setup->var('PORT') . '/slow?ms=30000'; [$pid, $pipe] } 1 .. 3;
    ok(wait_until(5, sub { $setup->backend->stats->{active} == 3 }), 'three requests are with the backend');
    kill TERM => $_->[0] for @hurried;
    ok(wait_until(5, sub { $setup->backend->stats->{active} == 0 }), 'their clients go away, and the backend learns of it');
    close $_->[1] for @hurried;
    answers_at_once($setup, '/bytes?n=3', 3);
    settles($setup, 5);
    ends_clean($setup);
};

done_testing();
