# Bench::Probe::Syscalls: system calls per request at 1 KB: strace counts the calls of the proxy while wrk makes requests; all of wrk's
# requests fall between attaching and detaching.
package Bench::Probe::Syscalls;
use strict;
use warnings;
use Bench::Load;
use Bench::Process;
use Test::PooledProxy::Util qw(wait_until read_file);

sub name    { return 'system calls' }
sub seconds { my (undef, $full) = @_; return 4 * 2 * (($full ? 2 : 1) + 1) }

my %cells = (50 => 'system calls, 1 KB c=50', 1 => 'system calls, 1 KB c=1');

sub cell_names { return @cells{ 50, 1 } }

sub run {
    my ($class, $bench) = @_;
    for my $proxy (@{ $bench->{proxies} }) {
        $proxy->start;
        Bench::Client->new($proxy->port)->get('/pooled/1k');
        $class->count($bench, $proxy, $_) for 50, 1;
        $proxy->stop;
    }
    return;
}

sub count {
    my ($class, $bench, $proxy, $connections) = @_;
    my $cell = $cells{$connections};
    my $counts = "$bench->{dir}/strace-$connections-" . lc $proxy->name;
    my $pid = $proxy->process->server_pid;
    my $strace = Bench::Process->start(command => ['strace', '-f', '-c', '-qq', '-o', $counts, '-p', $pid], dir => $proxy->dir, output => "$counts.out");
    if (!wait_until(5, sub { is_traced($pid) || !$strace->is_alive }) || !$strace->is_alive) {
        $strace->stop;
        $bench->{results}->note($cell, $proxy->name, 'strace may not');
        return;
    }
    my %cell = (tool => 'wrk', connections => $connections);
    my $load = Bench::Load::run(cell => \%cell, url => $proxy->url('/pooled/1k'), seconds => $bench->{full} ? 2 : 1, dir => $bench->{dir});
    $strace->stop('INT');
    $bench->{results}->fail("$cell, " . $proxy->name . ": $load->{errors}") if $load->{errors};
    my %calls = calls_of(read_file($counts));
    my $requests = $load->{requests} || 1;
    $bench->{results}->add($cell, $proxy->name, 1, map { $_ => $calls{$_} / $requests } keys %calls);
    $bench->{progress}->(sprintf '%-28s %-16s %7.2f per request', $cell, $proxy->name, ($calls{total} // 0) / $requests);
    return;
}

# Are all its threads?
sub is_traced {
    my ($pid) = @_;
    my @tasks = glob "/proc/$pid/task/*/status";
    return @tasks && @tasks == grep { read_file($_) =~ /^TracerPid:\s*[1-9]/m } @tasks;
}

# strace's table: "% time  seconds  usecs/call  calls  [errors]  syscall"; EAGAIN and the like are counted too.
sub calls_of {
    my ($text) = @_;
    my %calls;
    while ($text =~ /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:(\d+)\s+)?(\w+)\s*$/mg) {
        $calls{$3} = $1;
        $calls{errors} = $2 // 0 if $3 eq 'total';
    }
    return %calls;
}

1;
