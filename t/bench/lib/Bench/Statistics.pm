# Bench::Statistics: medians and spreads.
package Bench::Statistics;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(percentile median spread);

# The smallest of the values that at least N of 100 don't exceed.
sub percentile {
    my ($n, @values) = @_;
    my @sorted = sort { $a <=> $b } @values;
    my $place = int($n / 100 * @sorted + 0.999999) - 1;
    return $sorted[$place < 0 ? 0 : $place];
}

# Of an even number of values the mean of the two in the middle.
sub median {
    my @sorted = sort { $a <=> $b } @_;
    return undef if !@sorted;
    return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}

# Half the range, as a part of the median: 0.05 is "give or take 5 %".
sub spread {
    my @sorted = sort { $a <=> $b } @_;
    my $median = median(@sorted);
    return $median ? ($sorted[-1] - $sorted[0]) / 2 / $median : 0;
}

1;
