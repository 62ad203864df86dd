# Bench::Process: a program that runs in a process group of its own, as an unprivileged user, on CPUs of its own; what it and its
# children cost so far, read from /proc.
package Bench::Process;
use strict;
use warnings;
use POSIX ();
use Test::PooledProxy::Util qw(wait_until start_process is_running read_file);

my $tick = POSIX::sysconf(POSIX::_SC_CLK_TCK());
my %running; # pid => object, so that nothing is left when the run ends

# start(command => [...], dir => DIR, [cpus => LIST, user => NAME, output => FILE])
sub start {
    my ($class, %args) = @_;
    my @command = (user_prefix($args{user}), cpu_prefix($args{cpus}), @{ $args{command} });
    my $pid = start_process(
        sub {
            setpgrp 0, 0;
            chdir $args{dir};
            open STDIN,  '<',  '/dev/null';
            open STDOUT, '>>', $args{output} // "$args{dir}/output";
            open STDERR, '>>', "$args{dir}/output";
            exec { $command[0] } @command or die "$command[0]: $!\n";
        }
    );
    return $running{$pid} = bless { pid => $pid, owner => $$, output => "$args{dir}/output" }, $class;
}

sub cpu_prefix { my ($cpus) = @_; return defined $cpus ? ('taskset', '-c', $cpus) : () }

# Servers run as www-data when the benchmark is run by root.
sub user_prefix {
    my ($user) = @_;
    return () if !defined $user || $> != 0;
    return ('setpriv', "--reuid=$user", "--regid=$user", '--clear-groups');
}

sub pid        { return $_[0]{pid} }
sub is_alive   { return is_running($_[0]{pid}) }
sub output     { return read_file($_[0]{output}) }
sub stop_all   { $_->stop for grep { $_->{owner} == $$ } values %running; return }

# Asks, then kills the whole group.
sub stop {
    my ($self, $signal) = @_;
    my $pid = $self->{pid};
    return if !delete $running{$pid};
    kill $signal // 'TERM', $pid;
    my $ended = wait_until(10, sub { !is_running($pid) });
    kill KILL => -$pid;
    waitpid $pid, 0 if !$ended;
    return $ended;
}

# ---- the processes of the group ----

sub children { my ($pid) = @_; return split ' ', join ' ', map { read_file($_) } glob "/proc/$pid/task/*/children" }
sub tree     { my ($pid) = @_; return ($pid, map { tree($_) } children($pid)) }

sub pids { my ($self) = @_; return tree($self->{pid}) }

# The process that serves: the child, of a program that has a parent process to watch it.
sub server_pid {
    my ($self) = @_;
    my ($child) = children($self->{pid});
    return $child // $self->{pid};
}

# What all of it used since it started: {cpu, user, system: microseconds; switches: voluntary context switches}. The processor time is the
# scheduler's, to the nanosecond; its division into user and system comes from counted ticks.
sub usage {
    my ($self) = @_;
    my %sum = map { $_ => 0 } qw(cpu user system switches);
    for my $process (map { "/proc/$_" } $self->pids) {
        my ($user, $system) = (split ' ', read_file("$process/stat") =~ s/^.*\) //sr)[11, 12];
        $sum{user}   += ($user   // 0) * 1e6 / $tick;
        $sum{system} += ($system // 0) * 1e6 / $tick;
        for my $task (glob "$process/task/*") {
            my ($ns) = split ' ', read_file("$task/schedstat");
            my ($switches) = read_file("$task/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
            $sum{cpu}      += ($ns // 0) / 1000;
            $sum{switches} += $switches // 0;
        }
    }
    return \%sum;
}

# The difference of two usages.
sub difference { my ($before, $after) = @_; return { map { $_ => $after->{$_} - $before->{$_} } keys %$after } }

# Memory of the process that serves, in KB: VmRSS, VmHWM (the peak).
sub memory {
    my ($self, $field) = @_;
    my ($kb) = read_file('/proc/' . $self->server_pid . '/status') =~ /^\Q$field\E:\s+(\d+)/m;
    return $kb // 0;
}

# From now on the peak is counted anew.
sub reset_peak {
    my ($self) = @_;
    open my $file, '>', '/proc/' . $self->server_pid . '/clear_refs' or return;
    print {$file} "5\n";
    close $file;
    return;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $@, $!);
    $self->stop;
    return;
}

1;
