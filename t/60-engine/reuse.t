# P1: over every route form requests one after the other share one connection to the backend.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Config;
use Test::PooledProxy::Setup;

use constant REQUESTS => $ENV{VALGRIND} ? 50 : 1000;

# One process and one loop, or the connections of several would be counted.
my $one_process = Test::PooledProxy::Config::mpm() eq 'prefork'
  ? "StartServers 1\nMinSpareServers 1\nMaxSpareServers 1\nServerLimit 2\nMaxRequestWorkers 2\n"
  : "StartServers 1\nServerLimit 1\nThreadsPerChild 4\nMaxRequestWorkers 4\nMinSpareThreads 1\nMaxSpareThreads 4\n";

my %forms = (
    'PooledProxyPass' => 'PooledProxyPass /app/ http://127.0.0.1:$BACKEND_PORT/',
    '<Location>'      => '<Location /app/>
        PooledProxyPass http://127.0.0.1:$BACKEND_PORT/
    </Location>',
    'SetHandler'      => '<Location /app/>
        SetHandler "pooledproxy:http://127.0.0.1:$BACKEND_PORT"
    </Location>',
    'RewriteRule [H=]' => 'RewriteEngine On
        RewriteRule "^/app/" "-" [H=pooledproxy:http://127.0.0.1:$BACKEND_PORT]',
);

for my $form (sort keys %forms) {
    subtest $form => sub {
        my $setup = Test::PooledProxy::Setup->new(
            backend     => 1,
            modules     => ['rewrite'],
            main_config => "PooledProxyEventLoops 1\nKeepAlive On\nMaxKeepAliveRequests 0\n",
            mpm_config  => $one_process,
            config      => $forms{$form},
            timeout     => 30,
        )->start;
        my $client = $setup->client;
        my %statuses;
        $statuses{ $client->get("/app/bytes?n=$_")->{status} }++ for 1 .. REQUESTS;
        is_deeply([map { /^(?:200|404)$/ ? $statuses{$_} : "status $_" } keys %statuses], [REQUESTS], 'all are answered');
        is($setup->backend->stats->{accepts}, 1, 'the backend accepted one connection');
        my $numbers = $setup->numbers;
        is($numbers->{conn_opened}, 1, 'conn_opened');
        is($numbers->{conn_reused}, REQUESTS - 1, 'conn_reused');
        settles($setup, 2);
        $client->close;
        ends_clean($setup);
    };
}

done_testing();
