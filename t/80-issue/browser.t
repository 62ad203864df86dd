# A real browser, headless Chromium where it is installed: the status page, and a page that uses server-sent events and a WebSocket.
use strict;
use warnings;
use File::Temp ();
use Test::More;
use Test::PooledProxy::Checks;
use Test::PooledProxy::Program;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until start_process slowness);

my ($chromium) = grep { defined } map { Test::PooledProxy::Program::find($_) } qw(chromium chromium-browser google-chrome);
plan skip_all => 'Chromium is not installed' if !$chromium;

my $dir     = File::Temp::tempdir('pooledproxy-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $backend = Test::PooledProxy::Program->script('live.pl', "$dir/live.log");
my $setup   = Test::PooledProxy::Setup->new(config => <<"END_CONF")->start;
PooledProxyPass "/" "${\$backend->url}/"
<Location "/pooledproxy-status">
    SetHandler pooledproxy-status
</Location>
END_CONF

my $site    = 'http://127.0.0.1:' . $setup->httpd->port;
my @browser = ($chromium, qw(--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-background-networking
    --no-proxy-server), "--user-data-dir=$dir/profile");

# The page as HTML, when it has loaded.
sub page_of {
    my ($path) = @_;
    open my $out, '-|', 'sh', '-c', 'exec "$@" 2>/dev/null', 'sh', 'timeout', 60 * slowness(), @browser, '--dump-dom', "$site$path" or die "sh: $!";
    local $/ = undef;
    return scalar(<$out>) // '';
}

my $page = page_of('/pooledproxy-status');
plan skip_all => 'Chromium does not run here' if $page !~ /<html/;
like($page, qr{<h1>mod_pooledproxy</h1>.*front\.test}s, 'the status page shows the pools');

# The page tells us when it has seen everything. The browser and what it starts are a group of their own.
my $pid = start_process(
    sub {
        setpgrp 0, 0;
        open STDOUT, '>', "$dir/browser.log";
        open STDERR, '>&', \*STDOUT;
        exec @browser, '--remote-debugging-port=0', "$site/" or die "exec: $!";
    }
);
my $done = wait_until(20, sub { ($setup->httpd->access_log =~ m{^GET (/done\S*) 200}m)[0] });
kill KILL => -$pid;
waitpid $pid, 0;
is($done, '/done?events=3&echo=206:hello', 'three events and the echo of the WebSocket have come');
ok(wait_until(5, sub { $setup->numbers->{conn_closed_tunnel} == 1 }), 'the WebSocket was a tunnel');
Test::PooledProxy::Checks->new(block => {}, setup => $setup, responses => [])->unexpected_log;
is(join("\n", $setup->stop), '', 'httpd stops');
done_testing();
