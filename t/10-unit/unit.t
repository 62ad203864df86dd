# The unit tests in C (t/unit/test_*.c) and the corpus of each fuzzer (t/fuzz/corpus), as built by ./build.sh.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Util qw(project_root slowness);

my $root = project_root();
my $dir  = $ENV{POOLEDPROXY_UNIT} || "$root/build/plain/unit";
$ENV{ASAN_OPTIONS}  //= 'abort_on_error=0';
$ENV{UBSAN_OPTIONS} //= 'print_stacktrace=1';
my @valgrind = $ENV{VALGRIND} ? qw(valgrind --quiet --error-exitcode=99 --leak-check=full) : ();

# Runs a program; returns its output (with what it said on standard error) and how it ended.
sub run_program {
    my ($seconds, @command) = @_;
    my $pid = open(my $out, '-|') // die "fork: $!";
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        alarm $seconds * slowness();
        exec @valgrind, @command or die "exec: $!";
    }
    my $output = do { local $/ = undef; <$out> };
    close $out;
    return ($output // '', $?);
}

# Its TAP lines as ours.
sub pass_on {
    my ($output, $status) = @_;
    my ($plan) = $output =~ /^1\.\.(\d+)/m;
    my $n = 0;
    for my $line (split /\n/, $output) {
        next if $line !~ /^(not )?ok\b(?: (\d+))?(?: - (.*))?/;
        $n++;
        ok(!$1 || ($3 // '') =~ /# SKIP/, $3);
    }
    is($n, $plan // 'no plan', 'all tests ran');
    is($status, 0, 'it ends with 0') || diag($output);
    return;
}

my @sources = map { m{([^/]+)\.c$} } sort glob "$root/t/unit/test_*.c";
for my $name (@sources) {
    subtest $name => sub {
        plan skip_all => 'not built: ./build.sh unit' if !-x "$dir/$name";
        pass_on(run_program(60, "$dir/$name"));
    };
}

for my $name (map { m{fuzz_([^/]+)\.c$} } sort glob "$root/t/fuzz/fuzz_*.c") {
    subtest "corpus of fuzzer $name" => sub {
        plan skip_all => 'not built: ./build.sh unit' if !-x "$dir/replay_$name";
        my @files = glob "$root/t/fuzz/corpus/$name/*";
        cmp_ok(scalar @files, '>', 0, 'there is a corpus');
        my ($output, $status) = run_program(60, "$dir/replay_$name", @files);
        is($status, 0, scalar(@files) . ' inputs') || diag($output);
    };
}

done_testing();
