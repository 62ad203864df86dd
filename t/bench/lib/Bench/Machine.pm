# Bench::Machine: which CPUs are whose, and what the results say about where they were taken.
package Bench::Machine;
use strict;
use warnings;
use POSIX ();
use Test::PooledProxy::Config;
use Test::PooledProxy::Util qw(read_file);

# The numbers of the CPUs that may be used, from /proc/self/status: "0-1,4".
sub cpus {
    my ($list) = read_file('/proc/self/status') =~ /^Cpus_allowed_list:\s*(\S+)/m;
    return map { /^(\d+)-(\d+)$/ ? $1 .. $2 : $_ } split /,/, $list;
}

# The proxy under test has the last CPU for itself; the load and the backend have the others. With one CPU all share it.
sub proxy_cpus { my @cpus = cpus(); return $cpus[-1] }
sub load_cpus  { my @cpus = cpus(); pop @cpus if @cpus > 1; return join ',', @cpus }
sub load_cpu_count { my @cpus = cpus(); return @cpus > 1 ? @cpus - 1 : 1 }

# Servers run as this user when the benchmark is run by root.
sub server_user { return 'www-data' }

# The processor time, in microseconds, that was not idle on any CPU since the machine began; what was stolen from it by others is in it.
sub busy {
    my (undef, @ticks) = split ' ', read_file('/proc/stat') =~ s/\n.*//sr;
    my $sum = 0;
    $sum += $_ for @ticks[0 .. 2, 5 .. 7];
    return $sum * 1e6 / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

sub first_line { my ($command) = @_; my ($line) = `$command 2>&1` =~ /^([^\n]*)/; return $line // '' }

sub module_commit {
    my $root = Test::PooledProxy::Util::project_root();
    my ($commit) = `git -C '$root' rev-parse --short HEAD 2>/dev/null` =~ /(\w+)/;
    my $changed = `git -C '$root' status --porcelain -- mod_pooledproxy 2>/dev/null` =~ /\S/;
    return ($commit // 'not under git') . ($changed ? ' with changes' : '');
}

# [name, value] pairs.
sub description {
    my ($cpu) = read_file('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)/m;
    my ($kb)  = read_file('/proc/meminfo') =~ /^MemTotal:\s+(\d+)/m;
    my ($system) = read_file('/etc/os-release') =~ /^PRETTY_NAME="?([^"\n]*)/m;
    return (
        ['date',            POSIX::strftime('%Y-%m-%d %H:%M UTC', gmtime)],
        ['processor',       sprintf('%s, %d CPUs', $cpu // 'unknown', scalar(my @list = cpus()))],
        ['memory',          sprintf('%.1f GB', $kb / 1024 / 1024)],
        ['system',          ($system // 'unknown') . ', Linux ' . (POSIX::uname())[2]],
        ['load before',     (split ' ', read_file('/proc/loadavg'))[0]],
        ['mod_pooledproxy', module_commit()],
        ['httpd',           Test::PooledProxy::Config::httpd_version()],
        ['nginx',           first_line('nginx -v') =~ s/^.*: //r],
        ['HAProxy',         first_line('haproxy -v') =~ s/^HAProxy version (\S+).*/$1/r],
        ['tools',           join ', ', first_line('wrk -v') =~ s/\s+\[.*//r, first_line('h2load --version'), first_line('valgrind --version')],
    );
}

1;
