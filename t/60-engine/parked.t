# P5: thousands of requests wait for a slow backend, and no thread waits with them.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(child threads settles ends_clean answers_at_once);
use Test::PooledProxy::Config;
use Test::PooledProxy::Crowd;
use Test::PooledProxy::Setup;

use constant REQUESTS => $ENV{VALGRIND} ? 100 : $ENV{SANITIZE} ? 1000 : 3000;

plan skip_all => 'the blocking front has a thread for each request' if Test::PooledProxy::Config::mpm() ne 'event';

my $setup = Test::PooledProxy::Setup->new(
    backend     => 1,
    modules     => ['alias'],
    main_config => "AsyncRequestWorkerFactor 256\nListenBacklog 4096\nTimeout 2\n",
    files       => { 'file.txt' => "a file\n" },
    timeout     => 30,
    config      => <<'END',
PooledProxyPoolSize 5000
Alias /files/ $DOCROOT/
PooledProxyPass /files/ !
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
END
)->start;

my $pid    = child($setup);
my $before = threads($pid); # the one that starts the others may be among them still
my $crowd  = Test::PooledProxy::Crowd->new(port => $setup->var('PORT'), clients => REQUESTS,
    request => "GET /slow?ms=2000&n=100 HTTP/1.1\r\nHost: front.test\r\n\r\n");

ok($crowd->run_until(15, sub { $crowd->answered }), 'the first answer comes');
ok($crowd->run_until(15, sub { $setup->backend->stats->{max_active} > REQUESTS / 4 }), 'many requests are with the backend at once');
cmp_ok(threads($pid), '<=', $before, 'the process has no more threads than before');
answers_at_once($setup, '/files/file.txt', 2, 'a file is served at once');
ok($crowd->finish(25), 'all requests have ended');
is_deeply($crowd->failures, {}, 'none failed');
is_deeply($crowd->statuses, { 200 => REQUESTS }, 'all are answered');
cmp_ok(threads($pid), '<=', $before, 'the process still has no more threads');
note('most at once: ' . $setup->backend->stats->{max_active});
settles($setup, 3);
ends_clean($setup, qr/server reached MaxRequestWorkers|server is within MinSpareThreads/);
undef $setup;

done_testing();
