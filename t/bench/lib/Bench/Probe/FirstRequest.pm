# Bench::Probe::FirstRequest: how long the very first request takes, from connecting to the last byte, after the proxy was started; and the
# second one, over a client connection and an upstream connection that are there.
package Bench::Probe::FirstRequest;
use strict;
use warnings;
use Bench::Client;
use Bench::Statistics qw(median);
use Time::HiRes qw(time);

sub name       { return 'first request' }
sub cell_names { return 'first request, 1 KB' }
sub seconds    { my (undef, $full) = @_; return 4 * ($full ? 9 : 3) }

sub run {
    my ($class, $bench) = @_;
    my $cell = cell_names();
    for my $round (1 .. ($bench->{full} ? 9 : 3)) {
        for my $proxy (@{ $bench->{proxies} }) {
            $proxy->start;
            my $began  = time;
            my $client = Bench::Client->new($proxy->port);
            $client->get('/pooled/1k');
            my $second = time;
            $client->get('/pooled/1k');
            $bench->{results}->add($cell, $proxy->name, $round, first => ($second - $began) * 1e6, second => (time - $second) * 1e6);
            $proxy->stop;
        }
    }
    $bench->{progress}->(sprintf '%-28s %-16s %7.2f ms', $cell, $_->name, $bench->{results}->median($cell, $_->name, 'first') / 1000) for @{ $bench->{proxies} };
    return;
}

1;
