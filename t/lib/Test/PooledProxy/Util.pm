# Test::PooledProxy::Util: small things that the harness is made of: deadlines, ports, processes, escapes.
package Test::PooledProxy::Util;
use strict;
use warnings;
use Exporter 'import';
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(time);

our @EXPORT_OK = qw(wait_until poll_wait slowness free_ports start_process stop_process is_running read_file write_file unescape
  lines_of project_root);

# How much slower than usual the code under test runs: deadlines are multiplied with it.
sub slowness {
    return 10 if $ENV{VALGRIND};
    return $ENV{SANITIZE} ? 3 : 1;
}

# The pause between two looks at a condition; never used to guess how long something takes.
sub poll_wait { select undef, undef, undef, shift // 0.005; return }

# wait_until SECONDS, CODE: calls CODE until it returns something true and returns that; false when the time is over.
sub wait_until {
    my ($seconds, $code) = @_;
    my $end = time + $seconds * slowness();
    while (1) {
        my $result = $code->();
        return $result if $result || time > $end;
        poll_wait();
    }
}

# Ports of 127.0.0.1 that were free a moment ago, all different.
sub free_ports {
    my ($n) = @_;
    my @sockets = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1, ReuseAddr => 1) || die "no free port: $!" } 1 .. $n;
    return map { $_->sockport } @sockets;
}

# start_process CODE: runs CODE in a child process, which then ends without running anything of the parent's; returns the id.
sub start_process {
    my ($code) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    $SIG{$_} = 'DEFAULT' for qw(INT TERM ALRM);
    my $ok = eval { $code->(); 1 };
    print STDERR "harness process: $@" if !$ok;
    POSIX::_exit($ok ? 0 : 1);
}

sub is_running { return waitpid($_[0], POSIX::WNOHANG()) == 0 }

# Asks the process to end; true when it did within the seconds, else it is killed.
sub stop_process {
    my ($pid, $seconds) = @_;
    kill TERM => $pid;
    return 1 if wait_until($seconds, sub { !is_running($pid) });
    kill KILL => $pid;
    waitpid $pid, 0;
    return 0;
}

sub read_file {
    my ($path, $offset) = @_;
    open my $file, '<:raw', $path or return '';
    seek $file, $offset, 0 if $offset;
    local $/ = undef;
    return scalar(<$file>) // '';
}

sub write_file {
    my ($path, $content) = @_;
    open my $file, '>:raw', $path or die "$path: $!";
    print {$file} $content;
    close $file or die "$path: $!";
    return;
}

my %escapes = (r => "\r", n => "\n", t => "\t", 0 => "\0", '\\' => '\\', '"' => '"');

# C escapes: \r \n \t \0 \\ \" \xHH
sub unescape {
    my ($text) = @_;
    $text =~ s/\\(?:x([0-9a-fA-F]{2})|(.))/defined $1 ? chr hex $1 : $escapes{$2} \/\/ die "unknown escape \\$2\n"/ges;
    return $text;
}

# The lines of a section that say something.
sub lines_of { return grep { /\S/ } split /\n/, $_[0] // '' }

sub project_root {
    my $root = __FILE__;
    $root =~ s{/?t/lib/Test/PooledProxy/Util\.pm$}{};
    $root = '.' if $root eq '';
    return POSIX::getcwd() if $root eq '.';
    return $root =~ m{^/} ? $root : POSIX::getcwd() . "/$root";
}

1;
