# Who may include whom: mod_pooledproxy/FLOORS, held against the source.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Source;

my (%floor_of, @rules);
for my $line (split /\n/, read_source('mod_pooledproxy/FLOORS')) {
    if    ($line =~ /^(\d+)\s+(.*)/)        { $floor_of{$_} = $1 for split ' ', $2 }
    elsif ($line =~ /^@\s+(\S+)\s+(.*)/) { push @rules, [$1, split ' ', $2] }
}

my %includes; # stem => {included stem => 1}
for my $file (module_files()) {
    my $stem = part_of($file);
    ok(defined $floor_of{$stem}, "$file has a floor");
    for my $included (read_source($file) =~ /^\s*#\s*include\s+"([^"]+)"/mg) {
        my $other = part_of($included);
        $includes{$stem}{$other} = 1 if $other ne $stem;
    }
}

sub floor { return $floor_of{ $_[0] } // -1 }

# pp_pool_own.h is a part of pp_pool: what only its own files may see.
sub part_of { return stem_of($_[0]) =~ s/_own$//r }

subtest 'nobody includes a higher floor' => sub {
    for my $stem (sort keys %includes) {
        my @higher = grep { floor($_) > floor($stem) } sort keys %{ $includes{$stem} };
        is("@higher", '', $stem);
    }
};

subtest 'no circles' => sub {
    for my $stem (sort keys %includes) { ok(!reaches($stem, $stem), $stem) }
};

sub reaches {
    my ($from, $to) = @_;
    my (%seen, @todo);
    @todo = keys %{ $includes{$from} };
    while (defined(my $stem = shift @todo)) {
        return 1 if $stem eq $to;
        push @todo, keys %{ $includes{$stem} } if !$seen{$stem}++;
    }
    return 0;
}

subtest 'the core knows nothing of httpd' => sub {
    my @core = grep { m{/pp_} } module_files();
    for my $file (@core) {
        my @httpd = grep { /^(?:httpd|http_|ap_|util_|mod_|scoreboard|mpm_)/ } read_source($file) =~ /^\s*#\s*include\s*[<"]([^>"]+)/mg;
        is("@httpd", '', $file);
    }
};

subtest 'one outside thing, one file' => sub {
    for my $file (module_files()) {
        my $code = code_of($file);
        for my $rule (@rules) {
            my ($pattern, @allowed) = @$rule;
            next if grep { stem_of($file) eq $_ } @allowed;
            my ($found) = $code =~ /(?<![\w>.])($pattern)/;
            is($found, undef, "$file: $pattern is for @allowed");
        }
    }
};

done_testing();
