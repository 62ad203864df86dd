# Bench::Probe::Parked: memory for each request that waits for the backend, its client connection included: the growth of the serving process
# by N such requests; and the processor time while they wait. Then all are answered.
package Bench::Probe::Parked;
use strict;
use warnings;
use Bench::Client;
use Bench::Parker;
use Bench::Process;
use Test::PooledProxy::Util qw(wait_until);
use Time::HiRes qw(time);

sub name       { return 'parked' }
sub cell_names { return 'parked requests' }
sub seconds    { my (undef, $full) = @_; return 4 * ($full ? 10 : 4) }

sub run {
    my ($class, $bench) = @_;
    my $wanted = $bench->{full} ? 5000 : 2000;
    for my $proxy (@{ $bench->{proxies} }) {
        my $n = $wanted < $proxy->most_parked ? $wanted : $proxy->most_parked;
        my $parker = Bench::Parker->new($bench->{dir});
        $proxy->start(parked => $n, parker => $parker);
        my $ok = eval { $class->park($bench, $proxy, $parker, $n); 1 };
        $bench->{results}->fail("parked requests, " . $proxy->name . ": $@") if !$ok;
        $parker->stop;
        $proxy->stop;
    }
    return;
}

sub park {
    my ($class, $bench, $proxy, $parker, $n) = @_;
    my $process = $proxy->process;
    Bench::Client->new($proxy->port)->get('/pooled/1k');
    my $before  = $process->memory('VmRSS');
    my @clients = map { my $client = Bench::Client->new($proxy->port); $client->send_request("/park/$_"); $client } 1 .. $n;
    wait_until(30, sub { $parker->count >= $n }) or die 'only ' . $parker->count . " of $n came to the backend\n";
    my $each = ($process->memory('VmRSS') - $before) / $n;
    my $idle = idle_cost($process);
    $parker->release;
    $_->read_answer for @clients;
    $bench->{results}->add('parked requests', $proxy->name, 1, parked => $n, kb_each => $each, idle_cpu => $idle);
    $bench->{progress}->(sprintf '%-28s %-16s %7.1f KB each for %d, %.0f us CPU in a second', 'parked requests', $proxy->name, $each, $n, $idle);
    return;
}

# Microseconds of processor time in one second.
sub idle_cost {
    my ($process) = @_;
    my $before = $process->usage;
    my $end = time + 1;
    while ((my $left = $end - time) > 0) { select undef, undef, undef, $left }
    return Bench::Process::difference($before, $process->usage)->{cpu};
}

1;
