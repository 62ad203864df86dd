# Bench::Targets: what this project wants to reach, held against the results.
package Bench::Targets;
use strict;
use warnings;
use Bench::Statistics qw(median);

my $ours = 'mod_pooledproxy';

# [what, peer or undef, measure, at most or at least, limit, cells]: with a peer, the ratio to it, the median over rounds and cells.
my @targets = (
    ['CPU, 1 KB',              'mod_proxy_http', 'cpu', '<=', 0.45, qr/^1 KB c=\d+ pooled$/],
    ['requests/s, 1 KB',       'mod_proxy_http', 'rps', '>=', 2.0,  qr/^1 KB c=\d+ pooled$/],
    ['requests/s, 100 KB',     'mod_proxy_http', 'rps', '>=', 1.2,  qr/^100 KB c=\d+ pooled$/],
    ['requests/s, 1 MB',       'mod_proxy_http', 'rps', '>=', 1.2,  qr/^1 MB c=\d+ pooled$/],
    ['CPU, HTTP/2 clients',    'mod_proxy_http', 'cpu', '<=', 1.0,  qr/HTTP\/2 clients$/],
    map({ ["CPU, $_ MPM", 'mod_proxy_http', 'cpu', '<=', 1.0, qr/ $_ MPM$/] } qw(worker prefork)),
    map({ (
        ['CPU, 1 KB',               $_, 'cpu', '<=', 1.15, qr/^1 KB c=\d+ pooled$/],
        ['CPU, 100 KB',             $_, 'cpu', '<=', 1.0,  qr/^100 KB c=\d+ pooled$/],
        ['CPU, 1 MB',               $_, 'cpu', '<=', 1.0,  qr/^1 MB c=\d+ pooled$/],
        ['p99 at equal load, 1 KB', $_, 'p99', '<=', 1.0,  qr/equal load$/],
    ) } qw(nginx HAProxy)),
    ['user instructions',          'nginx', 'instructions', '<=', 1.10, qr/^instructions/],
    ['system calls, c=50',         undef,   'total',        '<=', 6.0,  qr/^system calls.* c=50$/],
    ['KB for each parked request', undef,   'kb_each',      '<=', 24,   qr/^parked/],
);

# What keeping connections gains: cells of ours by another cell of ours.
my @gains = (
    ['requests/s, 1 KB over TLS, kept connections', 'fresh ones', 1.75, '1 KB c=50 TLS backend pooled', '1 KB c=50 TLS backend fresh'],
    ['requests/s, 1 KB, kept connections',          'fresh ones', 1.0,  '1 KB c=50 pooled',             '1 KB c=50 fresh'],
);

sub gain_row {
    my ($results, $what, $against, $limit, @cells) = @_;
    my ($kept, $fresh) = map { $results->median($_, $ours, 'rps') } @cells;
    return if !$kept || !$fresh;
    return [$what, $against, ">= $limit", sprintf('%.2f', $kept / $fresh), $kept / $fresh >= $limit ? 'yes' : '**no**'];
}

sub table {
    my ($results) = @_;
    my @rows = (map({ row($results, @$_) } @targets), map { gain_row($results, @$_) } @gains) or return '';
    return "## Targets\n\n" . Bench::Report::table(['what', 'against', 'wanted', 'is', ''], @rows);
}

# Nothing when nothing of it was measured.
sub row {
    my ($results, $what, $peer, $name, $relation, $limit, $cells) = @_;
    my @values = map { $peer ? $results->ratios($_, $ours, $peer, $name) : $results->values_of($_, $ours, $name) } grep { $_ =~ $cells } $results->cells;
    return if !@values;
    my $is  = median(@values);
    my $met = $relation eq '<=' ? $is <= $limit : $is >= $limit;
    return [$what, $peer // '', "$relation $limit", sprintf('%.2f', $is), $met ? 'yes' : '**no**'];
}

1;
