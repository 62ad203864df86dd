# docs/operations.md has every reason, every number and every log field, with the words of the tables in the source.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Source;

my $docs = read_source('docs/operations.md');

# The table under this heading's line, as {first cell => whole line}.
sub rows { my ($heading) = @_; my ($part) = $docs =~ /^#+ \Q$heading\E\n(.*?)(?:^#|\z)/ms or die $heading; return {map { /^\| `(\w+)` \|/ ? ($1 => $_) : () } split /\n/, $part} }

sub same {
    my ($heading, $wanted) = @_;
    my $got = rows($heading);
    subtest $heading => sub {
        is($got->{$_}, $wanted->{$_}, $_) for sort keys %$wanted;
        is(join(' ', sort grep { !$wanted->{$_} } keys %$got), '', 'no others');
    };
    return;
}

my %errors = read_source('mod_pooledproxy/pp_err.def') =~ /^PP_ERR\((\w+),\s*(\w+,\s*\d+,\s*"[^"]*",\s*"[^"]*")\)/mg;
for my $name (keys %errors) {
    my ($phase, $http, $text) = $errors{$name} =~ /^(\w+),\s*(\d+),\s*"[^"]*",\s*"([^"]*)"/;
    $errors{$name} = "| `$name` | $phase | " . ($http || '-') . " | $text |";
}
cmp_ok(scalar keys %errors, '>', 10, 'there are failures');
same('Why requests fail', \%errors);

my $stats = read_source('mod_pooledproxy/pp_stats.def');
my %closes = $stats =~ /^PP_CLOSE\((\w+),\s*"([^"]*)"\)/mg;
same('Why connections are closed', { map { $_ => "| `$_` | $closes{$_} |" } keys %closes });

my %gauges   = $stats =~ /^PP_GAUGE\((\w+),\s*"([^"]*)"\)/mg;
my %counters = $stats =~ /^PP_COUNTER\((\w+),\s*"([^"]*)"\)/mg;
same('Status page', { (map { $_ => "| `$_` | now | $gauges{$_} |" } keys %gauges), map { $_ => "| `$_` | since the start | $counters{$_} |" } keys %counters });

my %set = map { $_ => 1 } read_source('mod_pooledproxy/mod_pooledproxy_env.c') =~ /"(POOLEDPROXY_\w+)"/g;
cmp_ok(scalar keys %set, '>', 5, 'there are log fields');
is(join(' ', sort keys %{ rows('Log fields') }), join(' ', sort keys %set), 'log fields');

# What documents and examples log exists.
for my $file (grep { -e root() . "/$_" } 'README.md', source_files(qr/\.(?:md|conf)$/, 'docs', 'conf-examples')) {
    my %unknown = map { $_ => 1 } grep { !$set{$_} } read_source($file) =~ /\b(POOLEDPROXY_\w+)/g;
    is(join(' ', sort keys %unknown), '', "$file names no other");
}

# Links lead somewhere, and the documents name no file that is not there.
for my $file ('README.md', source_files(qr/\.md$/, 'docs')) {
    my $folder = $file =~ m{^(.*/)} ? $1 : '';
    my @missing = grep { !-e root() . "/$folder$_" } grep { !m{^\w+:} } read_source($file) =~ /\]\(([^)#]+)\)/g;
    push @missing, grep { !-e root() . "/$_" } read_source($file) =~ m{`((?:t|mod_pooledproxy|docs|conf-examples)/[\w./-]+)`}g;
    is("@missing", '', "what $file points at is there");
}

done_testing();
