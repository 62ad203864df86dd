# What no source file may have: banned calls, things left open, places of one machine, sleeps in tests, too many lines.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Source;

my @module = module_files();
my @tests  = source_files(qr/\.(?:t|pm|pl|c|h)$/, 't');
my @all    = (
    source_files(qr/./, qw(mod_pooledproxy t conf-examples docs .ci)),
    grep { -e root() . "/$_" } qw(build.sh README.md CHANGES.md .gitignore)
);

sub none_found {
    my ($name, $pattern, $read, @files) = @_;
    subtest $name => sub {
        for my $file (@files) {
            my @lines = split /\n/, $read->($file);
            my @found = map { $lines[$_] =~ /($pattern)/ ? 'line ' . ($_ + 1) . ": $1" : () } 0 .. $#lines;
            is(join(', ', @found), '', $file);
        }
    };
    return;
}

my @banned = qw(sleep usleep nanosleep apr_sleep strcpy strcat sprintf vsprintf strtok gets gethostbyname getaddrinfo alloca system popen
  atoi atol rand);
my $banned = join '|', @banned;
none_found('banned calls', qr/(?<![\w>.])(?:$banned)\s*\(/, \&code_of, grep { /\.[ch]$/ } @module);
none_found('left open', qr/\b(?:TO${\''}DO|FIX${\''}ME|XX${\''}X)\b/, \&read_source, @all);
none_found('places of one machine', qr{(?:^|[\s"'=(])/(?:work|home|root)/}, \&read_source, @all);
none_found('sleeps in tests', qr/(?<![\w>.])(?:sleep|usleep|nanosleep|apr_sleep)\s*[(;]/, \&read_source, grep { $_ ne 't/00-source/form.t' } @tests);
none_found('tabs and trailing space', qr/\t|\s+$/, \&read_source, grep { /\.(?:c|h|def|t|pm|pl|sh)$/ } @all);

subtest 'files of at most 450 lines' => sub {
    for my $file (@module, @tests) { cmp_ok(scalar(() = read_source($file) =~ /\n/g), '<=', 450, $file) }
};

subtest 'a file says what it is' => sub {
    for my $file (@module) {
        my $stem = stem_of($file);
        like(read_source($file), $file =~ /\.def$/ ? qr{\A/\* } : qr{\A/\* \Q$stem\E: }, $file);
    }
};

done_testing();
