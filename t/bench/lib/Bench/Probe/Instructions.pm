# Bench::Probe::Instructions: user-space instructions per request at 1 KB over one kept-alive connection: callgrind's count of a run of many
# requests, minus that of a run of few, divided by the difference. The two runs are side by side: other load does not change the counts.
package Bench::Probe::Instructions;
use strict;
use warnings;
use Bench::Client;
use Test::PooledProxy::Util qw(read_file start_process);

sub name       { return 'instructions' }
sub cell_names { return 'instructions, 1 KB c=1' }
sub seconds    { return 4 * 10 }

my ($few, $many) = (200, 1200);

sub run {
    my ($class, $bench) = @_;
    my $cell = cell_names();
    for my $proxy (@{ $bench->{proxies} }) {
        my ($small, $large) = $class->both($bench, $proxy);
        if (!$small || !$large) {
            $bench->{results}->fail("$cell, " . $proxy->name . ': callgrind wrote no count');
            next;
        }
        my $each = ($large - $small) / ($many - $few);
        $bench->{results}->add($cell, $proxy->name, 1, instructions => $each);
        $bench->{progress}->(sprintf '%-28s %-16s %7.0f per request', $cell, $proxy->name, $each);
    }
    return;
}

# The counts of the two runs; each proxy gets a process of this program to drive it.
sub both {
    my ($class, $bench, $proxy) = @_;
    my @proxies = ($proxy->twin, $proxy->twin);
    $_->start(single => 1, launcher => [qw(valgrind --tool=callgrind --vgdb=no --callgrind-out-file=callgrind.%p)]) for @proxies;
    my @drivers = map { my $i = $_; start_process(sub { drive($proxies[$i]->port, ($few, $many)[$i]) }) } 0, 1;
    for my $driver (@drivers) {
        waitpid $driver, 0;
        $bench->{results}->fail('instructions, ' . $proxy->name . ': the requests failed') if $?;
    }
    $_->stop for @proxies;
    return map { count_of($_->dir) } @proxies;
}

sub drive {
    my ($port, $requests) = @_;
    my $client = Bench::Client->new($port);
    $client->get('/pooled/1k') for 1 .. $requests;
    return;
}

sub count_of {
    my ($dir) = @_;
    my $sum = 0;
    for my $file (glob "$dir/callgrind.*") { $sum += $_ for read_file($file) =~ /^totals:\s*(\d+)/mg }
    return $sum;
}

1;
