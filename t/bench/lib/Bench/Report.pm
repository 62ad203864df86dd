# Bench::Report: the results as Markdown and as CSV.
package Bench::Report;
use strict;
use warnings;
use Bench::Statistics qw(median);
use Bench::Targets;

my $ours = 'mod_pooledproxy';

# new(results, proxies, machine, rounds, seconds, took)
sub new {
    my ($class, %args) = @_;
    return bless { %args, names => [map { $_->name } @{ $args{proxies} }] }, $class;
}

sub csv {
    my ($self) = @_;
    return join '', "cell,proxy,round,measure,value\n", map { sprintf qq{"%s",%s,%d,%s,%.6g\n}, @$_ } $self->{results}->rows;
}

sub markdown {
    my ($self) = @_;
    return join "\n", grep { $_ ne '' } $self->heading, $self->disturbance, $self->failures, $self->remarks, Bench::Targets::table($self->{results}), $self->medians, $self->ratios, $self->probes, $self->calls;
}

# ---- pieces ----

sub table {
    my ($head, @rows) = @_;
    my $line = sub { return '| ' . join(' | ', @_) . " |\n" };
    return join '', $line->(@$head), $line->(map { '---' } @$head), map { $line->(@$_) } @rows;
}

sub heading {
    my ($self) = @_;
    return sprintf("# Benchmarks\n\n%d rounds of %d s, interleaved; %.1f minutes in all. Medians over the rounds; \"+-\" is half the range.\n", @$self{qw(rounds seconds)},
        $self->{took} / 60)
      . "The proxy has one CPU for itself; clients and backend have the others.\n\n"
      . table(['', ''], @{ $self->{machine} });
}

sub failures {
    my ($self) = @_;
    my @failures = $self->{results}->failures or return '';
    return join '', "## FAILED: these figures do not count\n\n", map { "- $_\n" } @failures;
}

sub remarks { my ($self) = @_; return join '', map { "- $_\n" } $self->{results}->remarks }

# A number as wide as it is sure.
sub short {
    my ($number) = @_;
    return '-' if !defined $number;
    return sprintf $number >= 100 ? '%.0f' : $number >= 10 ? '%.1f' : '%.2f', $number;
}

sub grid_cells { my ($self) = @_; return grep { $self->{results}->has($_, $ours, 'rps') } $self->{results}->cells }

sub medians {
    my ($self) = @_;
    my @rows;
    for my $cell ($self->grid_cells) {
        push @rows, map { [$cell, $_, $self->figures($cell, $_)] } grep { $self->{results}->has($cell, $_, 'rps') } @{ $self->{names} };
    }
    return '' if !@rows;
    return "## Medians\n\nTimes in milliseconds; CPU in microseconds per request, user + system; switches: voluntary context switches per request.\n\n"
      . table(['cell', 'proxy', 'requests/s', 'p50', 'p90', 'p99', 'CPU', 'switches', 'peak MB', 'CPU use proxy/backend/clients'], @rows);
}

# Were other programs running? Then it is better done again.
sub disturbance {
    my ($self) = @_;
    my @others = map { my $cell = $_; map { $self->{results}->values_of($cell, $_, 'other_load') } @{ $self->{names} } } $self->grid_cells;
    my $median = median(@others) // return '';
    my ($most) = sort { $b <=> $a } @others;
    my $text = sprintf 'Other programs, and the system itself, used %.0f %% of a CPU meanwhile, %.0f %% at most.', 100 * $median, 100 * $most;
    return $median > 0.15 ? "**The machine was not at rest. $text**\n" : "$text\n";
}

sub figures {
    my ($self, $cell, $proxy) = @_;
    my %median = map { $_ => $self->{results}->median($cell, $proxy, $_) }
      qw(rps p50 p90 p99 cpu cpu_user cpu_system switches peak_kb proxy_load backend_load client_load);
    return (
        sprintf('%.0f +- %.0f %%', $median{rps} // 0, 100 * $self->{results}->spread($cell, $proxy, 'rps')),
        map({ short(($_ // 0) / 1000) } @median{qw(p50 p90 p99)}),
        sprintf('%s (%s + %s) +- %.0f %%', map({ short($_) } @median{qw(cpu cpu_user cpu_system)}), 100 * $self->{results}->spread($cell, $proxy, 'cpu')),
        short($median{switches}),
        short(($median{peak_kb} // 0) / 1024),
        join('/', map { sprintf '%.0f', 100 * ($_ // 0) } @median{qw(proxy_load backend_load client_load)}) . ' %',
    );
}

sub ratios {
    my ($self) = @_;
    my @peers = grep { $_ ne $ours } @{ $self->{names} };
    my @measures = (['requests/s', 'rps'], ['CPU', 'cpu'], ['p99', 'p99']);
    my @rows;
    for my $cell ($self->grid_cells) {
        for my $measure (@measures) {
            my ($title, $name) = @$measure;
            push @rows, [$cell, $title, map { $self->ratio($cell, $_, $name) } @peers];
        }
    }
    return '' if !@rows;
    return "## $ours by peer\n\nMedians of the ratios in the same round, smallest to largest behind them. More is better for requests/s, less for CPU and p99.\n\n"
      . table(['cell', 'measure', @peers], @rows);
}

sub ratio {
    my ($self, $cell, $peer, $name) = @_;
    my @ratios = sort { $a <=> $b } $self->{results}->ratios($cell, $ours, $peer, $name) or return '-';
    return sprintf '%.2f (%.2f to %.2f)', median(@ratios), @ratios[0, -1];
}

# ---- probes ----

# [title, cell, measure, how to print it]
my @probes = (
    ['system calls per request, c=50',         'system calls, 1 KB c=50', 'total',        \&short],
    ['system calls per request, c=1',          'system calls, 1 KB c=1',  'total',        \&short],
    ['user instructions per request, thousands', 'instructions, 1 KB c=1', 'instructions', sub { short($_[0] / 1000) }],
    ['first request after start, ms',          'first request, 1 KB',     'first',        sub { short($_[0] / 1000) }],
    ['second request, ms',                     'first request, 1 KB',     'second',       sub { short($_[0] / 1000) }],
    ['parked requests',                        'parked requests',         'parked',       sub { sprintf '%d', $_[0] }],
    ['KB for each parked request',             'parked requests',         'kb_each',      \&short],
    ['CPU while they wait, us in a second',    'parked requests',         'idle_cpu',     \&short],
);

sub probes {
    my ($self) = @_;
    my @rows;
    for my $probe (@probes) {
        my ($title, $cell, $measure, $print) = @$probe;
        my @values = map { $self->{results}->median($cell, $_, $measure) } @{ $self->{names} };
        my @notes  = map { $self->{results}->note_of($cell, $_) // '-' } @{ $self->{names} };
        push @rows, [$title, map { defined $values[$_] ? $print->($values[$_]) : $notes[$_] } 0 .. $#values] if grep { defined } @values;
    }
    return @rows ? "## Beside the rounds\n\n" . table(['', @{ $self->{names} }], @rows) : '';
}

# Which system calls: those that some proxy makes at least once in twenty requests.
sub calls {
    my ($self) = @_;
    my $text = '';
    my %last = (errors => 1, total => 2); # the rows that are no calls
    for my $cell ('system calls, 1 KB c=50', 'system calls, 1 KB c=1') {
        my %all = map { $_ => 1 } map { keys %{ $self->{results}{rows}{$cell}{$_} // {} } } @{ $self->{names} };
        my @rows;
        for my $call (sort { ($last{$a} // 0) <=> ($last{$b} // 0) || $a cmp $b } keys %all) {
            my @each = map { $self->{results}->median($cell, $_, $call) // 0 } @{ $self->{names} };
            push @rows, [$call, map { short($_) } @each] if grep { $_ >= 0.05 } @each;
        }
        $text .= "## \u$cell\n\n" . table(['call', @{ $self->{names} }], @rows) . "\n" if @rows;
    }
    return $text;
}

1;
