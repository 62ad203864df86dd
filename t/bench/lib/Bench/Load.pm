# Bench::Load: what makes the load: wrk and h2load, run for a time against a URL, and their reports read.
package Bench::Load;
use strict;
use warnings;
use Bench::Machine;
use Bench::Statistics qw(percentile);
use Test::PooledProxy::Util qw(write_file);

my %microseconds = (us => 1, ms => 1e3, s => 1e6, m => 60e6);

# run(cell => CELL of Bench::Cells, url => URL, seconds => N, dir => FOLDER for files, [rate => requests per second]):
# {requests, rps, p50, p90, p99 (microseconds), errors => text, empty when there were none, client_cpu => microseconds}
sub run {
    my (%load) = @_;
    my $cpu = client_cpu();
    my $result = $load{cell}{tool} eq 'wrk' ? run_wrk(%load) : run_h2load(%load);
    $result->{client_cpu} = client_cpu() - $cpu;
    return $result;
}

sub client_cpu { my (undef, undef, $user, $system) = times; return ($user + $system) * 1e6 }

# The output of a program that ends in time, on the CPUs of the load.
sub output_of {
    my ($seconds, @command) = @_;
    open my $pipe, '-|', 'timeout', '-k', 2, $seconds + 30, 'taskset', '-c', Bench::Machine::load_cpus(), @command or die "$command[0]: $!\n";
    local $/ = undef;
    my $output = <$pipe> // '';
    close $pipe;
    return $output;
}

# ---- wrk ----

sub run_wrk {
    my (%load) = @_;
    my $cell = $load{cell};
    my @script = $cell->{upload} ? ('-s', upload_script($load{dir}, $cell->{upload})) : ();
    my @header = $cell->{close} ? ('-H', 'Connection: close') : ();
    return read_wrk(
        output_of($load{seconds}, 'wrk', '-t', 1, '-c', $cell->{connections}, '-d', $load{seconds}, '--timeout', 20, '--latency', @script, @header, $load{url}));
}

sub upload_script {
    my ($dir, $bytes) = @_;
    my $file = "$dir/upload-$bytes.lua";
    write_file($file, qq{wrk.method = "POST"\nwrk.body = string.rep("x", $bytes)\n}) if !-e $file;
    return $file;
}

sub read_wrk {
    my ($text) = @_;
    my %result = (errors => '', p50 => 0, p90 => 0, p99 => 0);
    @result{qw(requests time)} = $text =~ /(\d+) requests in ([\d.]+)s/ or return { %result, requests => 0, rps => 0, errors => "wrk: $text" };
    ($result{rps}) = $text =~ m{Requests/sec:\s+([\d.]+)};
    $result{"p$1"} = $2 * $microseconds{$3} while $text =~ /^\s+(50|90|99)%\s+([\d.]+)(us|ms|s|m)/mg;
    my @bad = ($text =~ /(Non-2xx or 3xx responses: \d+)/, $text =~ /(Socket errors: [^\n]*)/);
    push @bad, 'no request was answered' if !$result{requests};
    $result{errors} = join ', ', @bad;
    return \%result;
}

# ---- h2load ----

sub run_h2load {
    my (%load) = @_;
    my $cell = $load{cell};
    my $log = "$load{dir}/h2load.log";
    my @how = $cell->{streams} ? ('-m', $cell->{streams}) : ('--h1');
    push @how, sprintf '--rps=%.0f', $load{rate} / $cell->{connections} if $load{rate};
    unlink $log;
    my $text = output_of($load{seconds}, 'h2load', '-c', $cell->{connections}, '-D', $load{seconds}, @how, "--log-file=$log", $load{url});
    return read_h2load($text, $log);
}

sub read_h2load {
    my ($text, $log) = @_;
    my %result = (requests => 0, rps => 0, errors => '');
    @result{qw(requests good)} = $text =~ /(\d+) done, (\d+) succeeded/ or return { %result, errors => "h2load: $text" };
    my ($failed)  = $text =~ /(\d+) failed/;
    my ($success) = $text =~ /status codes: (\d+) 2xx/;
    ($result{rps}) = $text =~ m{([\d.]+) req/s};
    $result{errors} = "$failed requests failed" if $failed;
    $result{errors} = 'not all were answered 2xx: ' . ($text =~ /(status codes:[^\n]*)/)[0] if $success < $result{requests};
    $result{errors} = 'no request was answered' if !$result{requests};
    my @times = times_of($log);
    $result{"p$_"} = percentile($_, @times) for 50, 90, 99;
    return \%result;
}

# The times of the answers, in microseconds.
sub times_of {
    my ($log) = @_;
    open my $file, '<', $log or return 0;
    my @times = map { (split /\t/)[2] + 0 } <$file>;
    return @times ? @times : 0;
}

1;
