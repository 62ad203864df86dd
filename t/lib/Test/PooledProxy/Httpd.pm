# Test::PooledProxy::Httpd: one httpd with a configuration of its own in a directory of its own: start, graceful reload, stop, and what
# it left in its logs.
package Test::PooledProxy::Httpd;
use strict;
use warnings;
use File::Path qw(make_path remove_tree);
use File::Temp ();
use Test::PooledProxy::Config;
use Test::PooledProxy::Client;
use Test::PooledProxy::Util qw(wait_until free_ports start_process stop_process is_running read_file write_file slowness);

sub new {
    my ($class) = @_;
    my $dir = File::Temp::tempdir('pooledproxy-XXXXXX', TMPDIR => 1);
    chmod 0755, $dir;
    for my $sub ([docroot => 0755], [logs => 01777]) {
        mkdir "$dir/$sub->[0]";
        chmod $sub->[1], "$dir/$sub->[0]";
    }
    return bless { dir => $dir, owner => $$, generation => 0, error_offset => 0, access_offset => 0 }, $class;
}

sub dir     { return $_[0]{dir} }
sub docroot { return "$_[0]{dir}/docroot" }
sub port       { return $_[0]{port} }
sub admin_port { return $_[0]{admin_port} }
sub pid        { return $_[0]{pid} }

# The variables that configurations and requests may use.
sub choose_ports {
    my ($self) = @_;
    @$self{qw(port admin_port)} = free_ports(2);
    return;
}

# load(settings): writes the configuration and starts httpd, or reloads it when it runs. Dies when that fails, with what httpd said.
sub load {
    my ($self, $settings) = @_;
    $self->begin_load($settings);
    wait_until(10, sub { $self->is_ready || !is_running($self->{pid}) });
    die "httpd did not get ready:\n" . $self->output . $self->error_log if !$self->is_ready;
    return;
}

# The same, for who has more to do than to wait: is_ready() says when it is done.
sub begin_load {
    my ($self, $settings) = @_;
    $self->{generation}++;
    $self->{error_offset}  = -s $self->error_log_path  // 0;
    $self->{access_offset} = -s $self->access_log_path // 0;
    write_file("$self->{dir}/httpd.conf", Test::PooledProxy::Config::text($self, $settings));
    if   ($self->{pid}) { kill USR1 => $self->{pid} }
    else                { $self->start }
    return;
}

sub command {
    my ($self, @args) = @_;
    my @command = (Test::PooledProxy::Config::httpd_program(), '-d', $self->{dir}, '-f', "$self->{dir}/httpd.conf", @args);
    unshift @command, 'valgrind', '--quiet', '--vgdb=no', '--trace-children=yes', "--log-file=$self->{dir}/logs/valgrind.%p", valgrind_suppressions()
      if $ENV{VALGRIND};
    return @command;
}

sub valgrind_suppressions {
    my $file = Test::PooledProxy::Util::project_root() . '/t/valgrind.supp';
    return -e $file ? "--suppressions=$file" : ();
}

sub start {
    my ($self) = @_;
    $self->{pid} = start_process(
        sub {
            setpgrp 0, 0;
            open STDIN,  '<',  '/dev/null';
            open STDOUT, '>>', "$self->{dir}/output";
            open STDERR, '>&', \*STDOUT;
            $self->set_sanitizer_environment;
            exec $self->command('-DFOREGROUND') or die "exec: $!";
        }
    );
    return;
}

# The module is made with AddressSanitizer, httpd is not: its library has to come first. httpd's pools are no leaks.
sub set_sanitizer_environment {
    my ($self) = @_;
    return if ($ENV{SANITIZE} // '') ne 'address';
    chomp(my $library = `gcc -print-file-name=libasan.so`);
    $ENV{LD_PRELOAD}    = $library;
    $ENV{ASAN_OPTIONS}  = "detect_leaks=0:abort_on_error=1:log_path=$self->{dir}/logs/sanitizer";
    $ENV{UBSAN_OPTIONS} = "print_stacktrace=1:halt_on_error=1:log_path=$self->{dir}/logs/sanitizer";
    return;
}

# Is the generation that was asked for the one that answers? (Not another test's httpd that took the port a moment before.)
sub is_ready {
    my ($self) = @_;
    my $response = eval { Test::PooledProxy::Client->new(port => $self->{admin_port}, timeout => 5)->get('/harness-generation') };
    return $response && $response->{body} eq "generation $self->{generation} of $self->{dir}";
}

# configtest(settings): true when `httpd -t` (with further arguments) accepts the configuration; output() has what it said.
sub configtest {
    my ($self, $settings, @args) = @_;
    write_file("$self->{dir}/httpd.conf", Test::PooledProxy::Config::text($self, $settings));
    write_file("$self->{dir}/output", '');
    my $pid = start_process(
        sub {
            open STDOUT, '>>', "$self->{dir}/output";
            open STDERR, '>&', \*STDOUT;
            $self->set_sanitizer_environment;
            exec $self->command('-t', @args) or die "exec: $!";
        }
    );
    waitpid $pid, 0;
    return $? == 0;
}

# Ends httpd: its children first, gracefully (a child that is terminated in the middle of closing a connection may crash in httpd
# itself), then the parent. Returns complaints.
sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    return 'httpd has ended by itself' if !is_running($pid);
    kill WINCH => $pid;
    my @complaints = wait_until(8, sub { !children_of($pid) }) ? () : 'a child did not end 8 s after a graceful stop';
    push @complaints, 'httpd did not stop in time' if !stop_process($pid, 15);
    kill KILL => -$pid if @complaints;
    return @complaints;
}

# The children that serve and live: not piped loggers and the like, not those that wait to be reaped.
sub children_of {
    my ($pid) = @_;
    my $name = read_file("/proc/$pid/comm");
    return grep { read_file("/proc/$_/comm") eq $name && read_file("/proc/$_/stat") !~ /\) Z / } split ' ', read_file("/proc/$pid/task/$pid/children");
}

sub error_log_path  { return "$_[0]{dir}/logs/error.log" }
sub access_log_path { return "$_[0]{dir}/logs/access.log" }

# What was written since the last load().
sub error_log  { my ($self) = @_; return read_file($self->error_log_path,  $self->{error_offset}) }
sub access_log { my ($self) = @_; return read_file($self->access_log_path, $self->{access_offset}) }
sub output     { my ($self) = @_; return read_file("$self->{dir}/output") }

# What mod_ssl says where httpd's package is younger than the OpenSSL beside it: a fact about the machine.
my $of_machine = qr/AH01882: Init: this version of mod_ssl was compiled against/;

# Lines of the error log: warnings and worse that match none of the patterns, and crashes, which nobody may expect.
sub complaints {
    my ($self, @expected) = @_;
    my @complaints;
    for my $line (split /\n/, $self->error_log) {
        my $crash = $line =~ /exit signal|[Aa]ssertion.*failed|runtime error:/;
        next if !$crash && $line !~ /^\[[^\]]*\] \[[\w-]*:(?:warn|error|crit|alert|emerg)\]/;
        push @complaints, $line if $crash || !grep { $line =~ $_ } @expected, $of_machine;
    }
    return @complaints;
}

# What sanitizers and valgrind wrote.
sub reports {
    my ($self) = @_;
    return map { my $text = read_file($_); $text =~ /\S/ ? "$_:\n" . substr($text, 0, 6000) : () }
      glob "$self->{dir}/logs/sanitizer* $self->{dir}/logs/valgrind*";
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $@, $!);
    $self->stop;
    remove_tree($self->{dir}) if !$ENV{KEEP};
    return;
}

1;
