# ./build.sh run and ./build.sh install, as README.md says they work.
use strict;
use warnings;
use File::Path qw(remove_tree);
use File::Temp ();
use IO::Socket::INET;
use Test::More;
use Test::PooledProxy::Backend;
use Test::PooledProxy::Client;
use Test::PooledProxy::Config;
use Test::PooledProxy::Util qw(wait_until free_ports start_process is_running read_file write_file project_root);

plan skip_all => 'build.sh runs the plain module under the event MPM'
  if $ENV{SANITIZE} || $ENV{VALGRIND} || Test::PooledProxy::Config::mpm() ne 'event';

my $root = project_root();
my $dir  = File::Temp::tempdir('pooledproxy-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $pgid; # of ./build.sh run while it runs
END { if ($pgid) { local $?; kill KILL => -$pgid; waitpid $pgid, 0 } }

# Starts ./build.sh run in a process group of its own, as a terminal does, and waits until it says what to try.
sub run {
    my ($port, @arguments) = @_;
    unlink "$dir/output";
    $pgid = start_process(
        sub {
            setpgrp 0, 0;
            open STDIN,  '<', '/dev/null';
            open STDOUT, '>', "$dir/output";
            open STDERR, '>&', \*STDOUT;
            $ENV{PORT} = $port;
            exec "$root/build.sh", 'run', @arguments or die "exec: $!";
        }
    );
    wait_until(120, sub { read_file("$dir/output") =~ /stop it/ || !is_running($pgid) });
    return read_file("$dir/output");
}

sub processes_of_group {
    my ($group) = @_;
    return grep { read_file("/proc/$_/stat") =~ /^\d+ \(.*\) [^Z] \d+ \Q$group\E /s } map { m{^/proc/(\d+)$} } glob '/proc/[0-9]*';
}

sub is_free { my ($port) = @_; return !IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) }

# Ctrl-C: the terminal sends SIGINT to the whole group.
sub interrupt {
    my ($port) = @_;
    my $group = $pgid;
    cmp_ok(scalar processes_of_group($group), '>=', 3, 'the shell, httpd and its child run');
    kill INT => -$group;
    ok(wait_until(10, sub { !is_running($group) }), 'Ctrl-C ends it');
    is(join(' ', processes_of_group($group)), '', 'and all that it has started');
    ok(is_free($port), 'the port is free again');
    remove_tree("$root/build/run/$port");
    undef $pgid;
    return;
}

sub curl {
    my (@arguments) = @_;
    open my $out, '-|', 'curl', '-sS', '--noproxy', '*', '--max-time', 10, @arguments or die "curl: $!";
    local $/ = undef;
    return scalar(<$out>) // '';
}

subtest './build.sh run' => sub {
    my ($port) = free_ports(1);
    my $said = run($port);
    my ($try) = $said =~ /try it +curl (-i \S+)/ or return fail("it says what to try: $said");
    my ($watch) = $said =~ /watch it +(\S+)/;
    my $answer = curl(split ' ', $try);
    like($answer, qr{^HTTP/1\.1 200.*Hello from the demo backend}s, 'the curl line answers');
    unlike($answer, qr/[^\x20-\x7e\r\n]/, 'in plain text');
    curl("http://127.0.0.1:$port/bytes?n=1") for 1 .. 3;
    like(curl($watch), qr/conn_reused/, 'the status page is there');
    my ($requests, $opened, $reused) = curl("$watch?format=json") =~ /"requests": (\d+), .*"conn_opened": (\d+), "conn_reused": (\d+),/;
    is("$requests " . ($opened + $reused), '4 4', 'and has the numbers, of all child processes');
    my ($conf) = $said =~ /its conf +(\S+)/;
    like(read_file("$root/$conf"), qr/^PooledProxyPass/m, 'the configuration is where it says');
    like(`cd '$root' && git check-ignore -q '$conf' 2>/dev/null; echo \$?`, qr/^(?:0|127|128)$/, 'git ignores it');
    interrupt($port);
};

subtest './build.sh run BACKEND-URL' => sub {
    my $backend = Test::PooledProxy::Backend->new;
    my ($port)  = free_ports(1);
    my $said    = run($port, $backend->url);
    like($said, qr{is in front of \Q${\$backend->url}\E/}, 'it says of which backend');
    like(curl("http://127.0.0.1:$port/echo"), qr{^GET /echo$}m, 'and is in front of it');
    is($backend->stats->{requests}, 1, 'of this one');
    interrupt($port);
    ok($backend->stats, 'the backend is not ended: it was there before');
};

subtest './build.sh run with a wrong URL' => sub {
    my ($port) = free_ports(1);
    my $said = run($port, 'htp://127.0.0.1:1/');
    ok(!is_running($pgid), 'ends');
    my $group = $pgid;
    undef $pgid;
    like($said, qr/PooledProxyPass.*http:\/\//s, 'and says what is accepted');
    is(join(' ', processes_of_group($group)), '', 'nothing is left');
    remove_tree("$root/build/run/$port");
};

subtest './build.sh install' => sub {
    my $output = `DESTDIR='$dir/root' '$root/build.sh' install 2>&1`;
    is($?, 0, 'succeeds') || diag($output);
    my ($libexecdir, $confdir) = map { Test::PooledProxy::Config::apxs($_) } qw(LIBEXECDIR SYSCONFDIR);
    is(read_file("$dir/root$confdir/mods-available/pooledproxy.load"), "LoadModule pooledproxy_module $libexecdir/mod_pooledproxy.so\n", 'pooledproxy.load');
    my @modules = map { "LoadModule ${_}_module $libexecdir/mod_$_.so" } qw(mpm_event authz_core authz_host);
    write_file("$dir/httpd.conf", join "\n", @modules, "LoadModule pooledproxy_module $dir/root$libexecdir/mod_pooledproxy.so",
        "Define APACHE_LOG_DIR $dir", 'ServerName localhost', "ErrorLog $dir/error.log", "DefaultRuntimeDir $dir", "PidFile $dir/pid",
        "Include $dir/root$confdir/conf-available/pooledproxy-example.conf", '');
    like(scalar(`${\Test::PooledProxy::Config::httpd_program()} -t -f $dir/httpd.conf 2>&1`), qr/Syntax OK/, 'httpd takes both');
};

done_testing();
