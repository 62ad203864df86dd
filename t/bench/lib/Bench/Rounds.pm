# Bench::Rounds: the cells, in interleaved rounds: in each round, in each cell, each proxy in turn; so what drifts hits all alike.
package Bench::Rounds;
use strict;
use warnings;
use Bench::Cells;
use Bench::Client;
use Bench::Load;
use Bench::Machine;
use Bench::Process;
use Bench::Statistics qw(median);
use Time::HiRes qw(time);

# new(proxies => [...], backend => ..., results => Bench::Results, progress => CODE, dir, rounds, seconds)
sub new { my ($class, %args) = @_; return bless {%args}, $class }

sub run {
    my ($self, @cells) = @_;
    for my $group (@Bench::Cells::order) {
        my @of_group = grep { $_->{group} eq $group } @cells or next;
        my %settings = %{ $Bench::Cells::groups{$group} };
        my @proxies  = grep { $_->fits(%settings) } @{ $self->{proxies} };
        $_->start(%settings) for @proxies;
        for my $round (1 .. $self->{rounds}) { $self->run_round($round, \@proxies, @of_group) }
        $_->stop for @proxies;
    }
    $self->judge($_) for @cells;
    return;
}

# The order of the proxies moves on by one from round to round.
sub run_round {
    my ($self, $round, $proxies, @cells) = @_;
    my @order = @$proxies;
    push @order, shift @order for 2 .. $round;
    for my $cell (@cells) {
        my $rate = $self->rate($cell);
        $self->run_one($round, $cell, $_, $rate) for @order;
    }
    return;
}

sub rate {
    my ($self, $cell) = @_;
    my ($of, $part) = @{ $cell->{rate_of} // return };
    my ($slowest) = sort { $a <=> $b } map { $self->{results}->median($of, $_->name, 'rps') // () } @{ $self->{proxies} };
    return $part * ($slowest // 5000);
}

sub run_one {
    my ($self, $round, $cell, $proxy, $rate) = @_;
    my ($server, $backend) = ($proxy->process, $self->{backend}->process);
    $server->reset_peak;
    my ($began, $machine, $before, $backend_before) = (time, Bench::Machine::busy(), $server->usage, $backend->usage);
    my $load = Bench::Load::run(cell => $cell, url => $proxy->url($cell->{path}), seconds => $self->{seconds}, dir => $self->{dir}, rate => $rate);
    my $used = Bench::Process::difference($before, $server->usage);
    my ($seconds, $busy) = (time - $began, Bench::Machine::busy() - $machine);
    my $backend_used = Bench::Process::difference($backend_before, $backend->usage);
    my $requests = $load->{requests} || 1;
    my ($user, $system) = divided(@$used{qw(cpu user system)});
    my %row = (
        (map { $_ => $load->{$_} } qw(rps p50 p90 p99)),
        cpu          => $used->{cpu} / $requests,
        cpu_user     => $user / $requests,
        cpu_system   => $system / $requests,
        switches     => $used->{switches} / $requests,
        peak_kb      => $server->memory('VmHWM'),
        proxy_load   => $used->{cpu} / 1e6 / $seconds,
        backend_load => $backend_used->{cpu} / 1e6 / $seconds,
        client_load  => $load->{client_cpu} / 1e6 / $seconds,
        other_load   => ($busy - $used->{cpu} - $backend_used->{cpu} - $load->{client_cpu}) / 1e6 / $seconds,
    );
    $self->{results}->add($cell->{name}, $proxy->name, $round, %row);
    $self->{results}->fail("$cell->{name}, " . $proxy->name . ", round $round: $load->{errors}") if $load->{errors};
    $proxy->forget_log;
    $self->{progress}->(sprintf 'round %d  %-28s %-16s %9.0f req/s  p99 %8.2f ms  %7.1f us CPU', $round, $cell->{name}, $proxy->name, $load->{rps},
        ($load->{p99} // 0) / 1000, $row{cpu});
    return;
}

# The processor time, divided as the ticks say.
sub divided {
    my ($cpu, $user, $system) = @_;
    my $ticks = $user + $system or return ($cpu, 0);
    return ($cpu * $user / $ticks, $cpu * $system / $ticks);
}

# Who was the bottleneck? It has to be the proxy: where it had time left while the backend had none, the figures are not the proxy's. Where
# clients had none, its requests/s are at least what they are, and all else counts.
sub judge {
    my ($self, $cell) = @_;
    return if $cell->{rate_of};
    for my $name (map { $_->name } @{ $self->{proxies} }) {
        my ($proxy, $backend, $client) = map { $self->{results}->median($cell->{name}, $name, $_) } qw(proxy_load backend_load client_load);
        next if !defined $proxy || $proxy >= 0.7;
        my $figures = sprintf '%s, %s: the proxy used %.0f %%, the backend %.0f %%, clients %.0f %% of a CPU', $cell->{name}, $name,
          map { 100 * $_ } $proxy, $backend, $client;
        my $is_full = $backend + $client > 0.95 * Bench::Machine::load_cpu_count();
        if ($backend > 0.9 || $is_full && $backend > 2 * $client) { $self->{results}->fail("$figures: the backend was the bottleneck") }
        elsif ($is_full) { $self->{results}->remark("$figures: the clients were the bottleneck, it can do more requests/s") }
    }
    return;
}

1;
