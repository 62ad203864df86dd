# Bench::Cells: what is measured in rounds: one row for each cell.
#
#   name          unique; --only looks at it
#   group         the set of proxies it needs: all cells of a group run on the same processes
#   tool          wrk or h2load
#   path, connections
#   close         clients close their connection after each request    upload   bytes of the request's body
#   streams       HTTP/2, requests at once on each connection          rate_of  [CELL, PART]: equal load, PART of what the slowest did in CELL
package Bench::Cells;
use strict;
use warnings;

# Settings of the proxies for each group (Bench::Proxy).
our %groups = (plain => {}, logging => { log => 1 }, tls => { front => 'tls' }, h2 => { front => 'h2' }, behind => { behind => 'tls' },
    map({ $_ => { mpm => $_ } } qw(worker prefork)));
our @order = qw(plain logging tls h2 behind worker prefork);

my %sizes = ('1 KB' => '1k', '100 KB' => '100k', '1 MB' => '1m');

sub cell { return { group => 'plain', tool => 'wrk', connections => 50, @_ } }

# "1 KB c=50 pooled"
sub grid_cell {
    my ($size, $connections, $kind, %more) = @_;
    return cell(name => "$size c=$connections $kind", path => "/$kind/$sizes{$size}", connections => $connections, %more);
}

sub logging_cell { my ($connections) = @_; return { %{ grid_cell('1 KB', $connections, 'pooled', group => 'logging') }, name => "1 KB c=$connections log on" } }

sub tls_cell { my ($size) = @_; return cell(name => "$size c=50 TLS clients", path => "/pooled/$sizes{$size}", group => 'tls') }

# To the backend: on kept connections; on fresh ones, that resume a session; on fresh ones with handshakes in full.
sub behind_cells {
    my ($connections) = @_;
    return map { cell(name => "1 KB c=$connections TLS backend $_", path => "/$_/1k", connections => $connections, group => 'behind') } qw(pooled fresh full);
}

sub h2_cell {
    my ($size) = @_;
    return cell(name => "$size c=10x10 HTTP/2 clients", path => "/pooled/$sizes{$size}", group => 'h2', tool => 'h2load', connections => 10, streams => 10);
}

# The MPMs that lend no connections: httpd's two only.
sub mpm_cell { my ($mpm) = @_; return cell(name => "1 KB c=50 $mpm MPM", path => '/pooled/1k', group => $mpm) }

sub special_cells {
    return (
        cell(name => 'upload 1 MB c=10',             path => '/pooled/upload', connections => 10, upload => 1024 * 1024),
        cell(name => '1 KB c=50 connection: close',  path => '/pooled/1k', close => 1),
        cell(name => '1 KB c=50 equal load',         path => '/pooled/1k', tool => 'h2load', rate_of => ['1 KB c=50 pooled', 0.6]),
    );
}

sub full {
    my @grid;
    for my $kind (qw(pooled fresh)) {
        for my $size ('1 KB', '100 KB', '1 MB') { push @grid, map { grid_cell($size, $_, $kind) } 10, 50, 100 }
    }
    return (@grid, special_cells(), map({ mpm_cell($_) } qw(worker prefork)), map({ logging_cell($_) } 10, 50, 100), map({ tls_cell($_) } '1 KB', '100 KB'), map({ h2_cell($_) } '1 KB', '100 KB'),
        map({ behind_cells($_) } 10, 50), cell(name => '1 MB c=50 TLS backend pooled', path => '/pooled/1m', group => 'behind'));
}

sub quick {
    return (
        map({ grid_cell('1 KB', $_, 'pooled') } 10, 50, 100),
        grid_cell('100 KB', 50, 'pooled'), grid_cell('1 MB', 50, 'pooled'), grid_cell('1 KB', 50, 'fresh'),
        special_cells(), map({ mpm_cell($_) } qw(worker prefork)), logging_cell(50), tls_cell('1 KB'), h2_cell('1 KB'), behind_cells(50),
    );
}

1;
