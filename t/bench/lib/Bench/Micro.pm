# Bench::Micro: the micro benchmarks (t/bench/micro_*.c, built by ./build.sh bench micro): nanoseconds, and instructions counted by callgrind as
# the difference of a long and a short run.
package Bench::Micro;
use strict;
use warnings;
use Bench::Statistics qw(median spread);
use File::Temp ();
use Test::PooledProxy::Util qw(project_root read_file write_file);

my ($few, $many, $timed) = (1_000, 11_000, 1_000_000);

# Returns the exit status.
sub run {
    my ($output, $only) = @_;
    my @rows;
    my $failed = 0;
    for my $program (glob project_root() . '/build/plain/unit/micro_*') {
        next if !-x $program || $program =~ /\.\w+$/;
        for my $name (grep { $_ =~ $only } split /\n/, `$program`) {
            my @ns = sort { $a <=> $b } map { nanoseconds($program, $name) } 1 .. 5;
            my $instructions = (count($program, $name, $many) - count($program, $name, $few)) / ($many - $few);
            $failed = 1 if !$ns[0] || $instructions <= 0;
            push @rows, [$name, sprintf('%.1f +- %.0f %%', median(@ns), 100 * spread(@ns)), sprintf('%.0f', $instructions)];
            printf "%-40s %s ns  %s instructions\n", @{ $rows[-1] };
        }
    }
    write_file("$output/micro.md", "# Micro benchmarks\n\n" . Bench::Report::table(['what', 'nanoseconds', 'instructions'], @rows));
    print "\nbuild/bench/micro.md\n";
    print STDERR "FAILED: a micro benchmark did not run\n" if $failed || !@rows;
    return $failed || !@rows;
}

sub nanoseconds { my ($program, $name) = @_; my ($ns) = `$program '$name' $timed` =~ /([\d.]+)/; return $ns // 0 }

sub count {
    my ($program, $name, $times) = @_;
    my $file = File::Temp->new;
    system("valgrind --tool=callgrind --vgdb=no --callgrind-out-file=$file $program '$name' $times >/dev/null 2>&1") == 0 or return 0;
    my ($count) = read_file("$file") =~ /^(?:totals|summary):\s*(\d+)/m;
    return $count // 0;
}

1;
