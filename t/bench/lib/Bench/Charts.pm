# Bench::Charts: SVG charts of the cells, by gnuplot when it is installed.
package Bench::Charts;
use strict;
use warnings;
use Bench::Process;
use Test::PooledProxy::Util qw(write_file);

# [file, title, measure, divisor]
my @charts = (
    ['requests.svg', 'requests/s (log scale)',                        'rps', 1],
    ['cpu.svg',      'CPU per request, microseconds (log scale)',     'cpu', 1],
    ['p99.svg',      '99th percentile of the time, ms (log scale)',   'p99', 1000],
);

# Returns the names of the files it wrote.
sub write {
    my ($bench, $output) = @_;
    my ($gnuplot) = grep { -x } map { "$_/gnuplot" } split /:/, $ENV{PATH};
    my $results   = $bench->{results};
    my @cells     = grep { $results->has($_, 'mod_pooledproxy', 'rps') } $results->cells;
    return if !$gnuplot || !@cells;
    return map { chart($bench, $output, \@cells, @$_) } @charts;
}

sub chart {
    my ($bench, $output, $cells, $file, $title, $measure, $divisor) = @_;
    my @names = map { $_->name } @{ $bench->{proxies} };
    my @lines = map { my $cell = $_; join ' ', qq{"$cell"}, map { ($bench->{results}->median($cell, $_, $measure) // 0) / $divisor } @names } @$cells;
    write_file("$bench->{dir}/chart.data", join "\n", join(' ', 'cell', map { qq{"$_"} } @names), @lines, '');
    my $width = 200 + 70 * @$cells;
    my $plots = join ', ', map { "'chart.data' using " . ($_ + 2) . ($_ ? '' : ':xtic(1)') . ' title columnheader' } 0 .. $#names;
    write_file("$bench->{dir}/chart.gnuplot", <<"END");
set terminal svg size $width,520 noenhanced background "white"
set output "$output/$file"
set title "$title"
set style data histograms
set style histogram clustered gap 1.5
set style fill solid 0.85 border -1
set boxwidth 0.9
set logscale y
set grid ytics
set key outside top center horizontal
set xtics rotate by -40
plot $plots
END
    return $file if system("cd '$bench->{dir}' && gnuplot chart.gnuplot >gnuplot.out 2>&1") == 0;
    print STDERR "gnuplot made no $file: ", Test::PooledProxy::Util::read_file("$bench->{dir}/gnuplot.out"), "\n";
    return;
}

1;
