# Bench::Results: what was measured: numbers by cell, proxy and name, several where there were rounds; and what went wrong.
package Bench::Results;
use strict;
use warnings;
use Bench::Statistics;

sub new { return bless { cells => [], rows => {}, failures => [], remarks => [], notes => {} }, shift }

# add(CELL, PROXY, ROUND, NAME => NUMBER ...)
sub add {
    my ($self, $cell, $proxy, $round, %numbers) = @_;
    push @{ $self->{cells} }, $cell if !$self->{rows}{$cell};
    $self->{rows}{$cell}{$proxy}{$_}{$round} = $numbers{$_} for grep { defined $numbers{$_} } keys %numbers;
    return;
}

# What can't be had, and why: stands in the tables in place of a number.
sub note { my ($self, $cell, $proxy, $text) = @_; $self->{notes}{$cell}{$proxy} = $text; return }

sub note_of { my ($self, $cell, $proxy) = @_; return $self->{notes}{$cell}{$proxy} }

sub fail { my ($self, $text) = @_; push @{ $self->{failures} }, $text; print STDERR "FAILED: $text\n"; return }

# Something a reader of the figures has to know.
sub remark { my ($self, $text) = @_; push @{ $self->{remarks} }, $text; return }

sub remarks { return @{ $_[0]{remarks} } }

sub failures { return @{ $_[0]{failures} } }

sub cells { return @{ $_[0]{cells} } }

sub has { my ($self, $cell, $proxy, $name) = @_; return $self->{rows}{$cell}{$proxy}{$name} }

sub values_of {
    my ($self, $cell, $proxy, $name) = @_;
    my $by_round = $self->{rows}{$cell}{$proxy}{$name} // {};
    return map { $by_round->{$_} } sort { $a <=> $b } keys %$by_round;
}

# undef: nothing was measured
sub median { my ($self, @of) = @_; return Bench::Statistics::median($self->values_of(@of)) }
sub spread { my ($self, @of) = @_; return Bench::Statistics::spread($self->values_of(@of)) }

# Our number by the peer's, round by round.
sub ratios {
    my ($self, $cell, $ours, $peer, $name) = @_;
    my ($us, $them) = map { $self->{rows}{$cell}{$_}{$name} // {} } $ours, $peer;
    return map { $them->{$_} ? $us->{$_} / $them->{$_} : () } grep { defined $us->{$_} } sort keys %$them;
}

# All of it: [cell, proxy, round, name, number]
sub rows {
    my ($self) = @_;
    my @rows;
    for my $cell ($self->cells) {
        for my $proxy (sort keys %{ $self->{rows}{$cell} }) {
            my $numbers = $self->{rows}{$cell}{$proxy};
            for my $name (sort keys %$numbers) {
                push @rows, map { [$cell, $proxy, $_, $name, $numbers->{$name}{$_}] } sort { $a <=> $b } keys %{ $numbers->{$name} };
            }
        }
    }
    return @rows;
}

1;
