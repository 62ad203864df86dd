# The MPM takes a leased connection back by force: every worker is busy for longer than Timeout, so that no lease can be renewed. The
# connections are closed in order, whatever phase they are in, and httpd goes on.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(child settles ends_clean answers_at_once);
use Test::PooledProxy::Config;
use Test::PooledProxy::Crowd;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until);

plan skip_all => 'only the event MPM leases connections' if Test::PooledProxy::Config::mpm() ne 'event';

my $setup = Test::PooledProxy::Setup->new(
    backend     => 1,
    modules     => [qw(ratelimit env)],
    main_config => "Timeout 1\nKeepAliveTimeout 20\nPooledProxyEventLoops 1\n",
    mpm_config  => "AsyncRequestWorkerFactor 64\nStartServers 1\nServerLimit 1\nThreadsPerChild 4\nMaxRequestWorkers 4\nMinSpareThreads 1\nMaxSpareThreads 4\n",
    timeout     => 20,
    config      => <<'END',
PooledProxyPoolSize 100
<Location /sync/>
    PooledProxyAsync Off
    PooledProxyPass http://127.0.0.1:$BACKEND_PORT/
</Location>
<Location /limited/>
    SetOutputFilter RATE_LIMIT
    SetEnv rate-limit 100
    PooledProxyPass http://127.0.0.1:$BACKEND_PORT/
</Location>
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
END
)->start;

my $pid = child($setup);

sub crowd {
    my ($clients, $method, $path, @fields) = @_;
    return Test::PooledProxy::Crowd->new(port => $setup->var('PORT'), clients => $clients,
        request => join("\r\n", "$method $path HTTP/1.1", 'Host: front.test', @fields, '', ''));
}

sub backend_active { my ($n) = @_; return wait_until(5, sub { $setup->backend->stats->{active} == $n }) }

my @phases = (
    ['waits for an answer', 'GET /slow?ms=6000'],
    ['reads an answer',     'GET /events?ms=50'],
    ['sends a body',        'POST /sink', 'Content-Length: 10'],
    ['is answered through a filter that blocks', 'GET /limited/slow?ms=2000'],
);

my @leased = map { my (undef, $line, @fields) = @$_; crowd(5, split(' ', $line), @fields) } @phases;
for my $crowd (@leased) {
    $crowd->run_until(5, sub { !grep { length $_->{out} } values %{ $crowd->{by_fd} } });
}
ok(backend_active(20), 'requests in every phase are with the backend');

my $blockers = crowd(4, GET => '/sync/slow?ms=3000');
ok($blockers->run_until(5, sub { $setup->backend->stats->{active} >= 24 }), 'every worker waits in the blocking front');
ok($blockers->finish(10), 'the workers are free again');
is_deeply($blockers->statuses, { 200 => 4 }, 'they have answered');

for my $i (0 .. $#phases) {
    my $done = $leased[$i]->finish(8);
    ok($done, "a client that $phases[$i][0]: answered or closed") || diag(explain([$leased[$i]->statuses, $leased[$i]->failures]));
}
my %cut = map { %{ $_->failures } } @leased;
ok(scalar keys %cut, 'connections were taken back by force') || diag(explain([map { $_->statuses } @leased]));
ok(wait_until(5, sub { $setup->backend->stats->{active} == 0 }), 'the backend works for nobody any more')
  || diag(explain($setup->backend->stats));
settles($setup, 3);
is(child($setup), $pid, 'it is the same process');
answers_at_once($setup, '/bytes?n=3', 2);
is($setup->client->get('/limited/bytes?n=3')->{body}, '012', 'a worker is there for a filter that blocks');
ends_clean($setup, qr/server reached MaxRequestWorkers|server is within MinSpareThreads/);
undef $setup;

done_testing();
