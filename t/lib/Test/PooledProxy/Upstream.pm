# Test::PooledProxy::Upstream: a server that does what a script says (Test::PooledProxy::Script) in a process of its own, and tells the
# block what it saw: connections, bytes, violations.
package Test::PooledProxy::Upstream;
use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::IP;
use IO::Socket::UNIX;
use Socket qw(SOL_SOCKET SO_LINGER SHUT_WR);
use Time::HiRes qw(time);
use Test::PooledProxy::Script;
use Test::PooledProxy::Util qw(start_process stop_process is_running wait_until slowness);
use Test::PooledProxy::Upstream::Conn;

# new(script => TEXT, dir => DIR, name => NAME, timeout => SECONDS): listens; the script runs from start() on.
sub new {
    my ($class, %args) = @_;
    my $self = bless { %args, steps => [], reports => '', saw => '', signals => {}, accepts => 0, violations => [] }, $class;
    my ($kind) = $args{script} =~ /^\s*listen\s+(\w+)/m;
    $self->{kind} = $kind // 'ipv4';
    $self->{socket_path} = "$args{dir}/$args{name}.sock";
    $self->{listener} = $self->listen_socket;
    return $self;
}

sub listen_socket {
    my ($self) = @_;
    my %common = (Listen => 512, ReuseAddr => 1, Proto => 'tcp', LocalPort => $self->{port} // 0);
    if ($self->{kind} eq 'unix') {
        unlink $self->{socket_path};
        my $listener = IO::Socket::UNIX->new(Local => $self->{socket_path}, Listen => 512) or die "unix socket: $!";
        chmod 0777, $self->{socket_path};
        return $listener;
    }
    my $listener =
      $self->{kind} eq 'ipv6'
      ? IO::Socket::IP->new(%common, LocalHost => '::1')
      : IO::Socket::INET->new(%common, LocalAddr => '127.0.0.1');
    die "upstream cannot listen: $!" if !$listener;
    $self->{port} = $listener->sockport;
    return $listener;
}

sub port        { return $_[0]{port} }
sub socket_path { return $_[0]{socket_path} }

# start(SCRIPT, OTHERS): SCRIPT with its variables filled in; the listeners of the OTHERS are not to be held here.
sub start {
    my ($self, $script, @others) = @_;
    $self->{steps} = Test::PooledProxy::Script::parse($script);
    pipe my $told, my $teller or die "pipe: $!";
    my $file = "$self->{dir}/$self->{name}.reports"; # no pipe: nobody reads while the client is busy
    open my $writer, '>', $file or die "$file: $!";
    open my $reader, '<', $file or die "$file: $!";
    $self->{pid} = start_process(
        sub {
            close $_ for $reader, $teller;
            $self->{told} = $told;
            close $_->{listener} for grep { $_ != $self && $_->{listener} } @others;
            $self->{report} = $writer;
            $writer->autoflush(1);
            $self->perform;
        }
    );
    close $_ for $writer, $told;
    close $self->{listener};
    $self->{reader} = $reader;
    $self->{teller} = $teller;
    return;
}

# Lets the script go on that waits for this name.
sub tell_script {
    my ($self, $name) = @_;
    local $SIG{PIPE} = 'IGNORE';
    syswrite $self->{teller}, "$name\n" if $self->{teller};
    return;
}

# ---- in the block's process ----

# Takes in what the process reported so far.
sub look {
    my ($self) = @_;
    return if !$self->{reader};
    while (sysread $self->{reader}, my $bytes, 65536) { $self->{reports} .= $bytes }
    while ($self->{reports} =~ s/^(\w+) (\d+)\n//) {
        my ($kind, $length) = ($1, $2);
        if (length $self->{reports} < $length) {
            $self->{reports} = "$kind $length\n$self->{reports}";
            last;
        }
        my $text = substr $self->{reports}, 0, $length, '';
        if    ($kind eq 'saw')       { $self->{saw} .= $text }
        elsif ($kind eq 'accept')    { $self->{accepts}++ }
        elsif ($kind eq 'signal')    { $self->{signals}{$text} = 1 }
        elsif ($kind eq 'violation') { push @{ $self->{violations} }, "$self->{name}: $text" }
        elsif ($kind eq 'step')      { $self->{step} = $text }
        elsif ($kind eq 'done')      { $self->{done} = 1 }
    }
    return;
}

sub is_done { my ($self) = @_; $self->look; return $self->{done} || @{ $self->{violations} } }
sub has_signal { my ($self, $name) = @_; $self->look; return $self->{signals}{$name} }
sub saw { my ($self) = @_; $self->look; return $self->{saw} }
sub accepts { my ($self) = @_; $self->look; return $self->{accepts} }

# Waits for the script's end, then ends the process; returns the violations.
sub finish {
    my ($self, $seconds) = @_;
    return if !$self->{pid};
    if (!wait_until($seconds, sub { $self->is_done || !is_running($self->{pid}) })) {
        push @{ $self->{violations} }, "$self->{name}: the script did not come to its end, it stands at " . ($self->{step} // 'its begin');
    }
    return;
}

sub stop {
    my ($self) = @_;
    if ($self->{pid}) {
        stop_process($self->{pid}, 2);
        $self->look;
        delete $self->{pid};
    }
    unlink $self->{socket_path} if $self->{kind} eq 'unix';
    return @{ $self->{violations} };
}

# ---- in its own process ----

sub tell {
    my ($self, $kind, $text) = @_;
    $text //= '';
    local $SIG{PIPE} = 'IGNORE';
    print { $self->{report} } "$kind " . length($text) . "\n$text";
    return;
}

sub perform {
    my ($self) = @_;
    local $SIG{PIPE} = 'IGNORE';
    $self->{deadline} = time + $self->{timeout} * slowness();
    my $ok = eval { $self->run_steps($self->{steps}); 1 };
    if (!$ok) {
        $self->tell(violation => "$self->{step_text}: $@");
        $_->do_close for @{ $self->{conns} }; # the block has failed, let it end soon
        return;
    }
    $self->tell('done');
    $self->stay;
    return;
}

sub run_steps {
    my ($self, $steps) = @_;
    for my $step (@$steps) {
        $self->{step_text} = "line $step->{line}: $step->{text}";
        $self->tell(step => $self->{step_text});
        if ($step->{verb} eq 'repeat') {
            $self->run_steps($step->{steps}) for 1 .. $step->{args}[0];
            next;
        }
        my $own = $self->can("do_$step->{verb}");
        if ($own) { $own->($self, @{ $step->{args} }); next }
        my $conn = $self->{conn} or die "there is no connection yet\n";
        my $do = $conn->can("do_$step->{verb}") or die "not a verb\n";
        $do->($conn, @{ $step->{args} });
    }
    return;
}

sub do_listen { return }
sub do_use    { my ($self, $name) = @_; $self->{conn} = $self->{names}{$name} or die "no connection $name\n"; return }
sub do_signal { my ($self, $name) = @_; $self->tell(signal => $name); return }

sub do_await {
    my ($self, $name) = @_;
    while (!$self->{heard}{$name}) {
        my $left = $self->{deadline} - time;
        my $set  = '';
        vec($set, fileno $self->{told}, 1) = 1;
        die "nobody told it\n" if select($set, undef, undef, $left > 0 ? $left : 0) <= 0 || !sysread $self->{told}, my $names, 4096;
        $self->{heard}{$_} = 1 for split ' ', $names;
    }
    return;
}

sub do_allow_more { $_[0]{allow_more} = 1; return }

sub do_accept {
    my ($self, $name) = @_;
    $self->{listener} or die "it does not listen\n";
    my $left = $self->{deadline} - time;
    my $set  = '';
    vec($set, fileno $self->{listener}, 1) = 1;
    select($set, undef, undef, $left > 0 ? $left : 0) > 0 or die "no connection came\n";
    my $socket = $self->{listener}->accept or die "accept: $!\n";
    $self->tell('accept');
    $self->{conn} = Test::PooledProxy::Upstream::Conn->new($socket, $self->{deadline}, sub { $self->tell(saw => $_[0]) });
    push @{ $self->{conns} }, $self->{conn};
    $self->{names}{$name} = $self->{conn} if $name;
    return;
}

sub do_stop_listening { close delete $_[0]{listener}; return }
sub do_listen_again { my ($self) = @_; $self->{listener} = $self->listen_socket; return }

sub do_wait {
    my ($self, $seconds) = @_;
    my $end = time + $seconds;
    while ((my $left = $end - time) > 0) { select undef, undef, undef, $left }
    return;
}

sub do_hold { my ($self) = @_; $self->tell('done'); $self->stay; return }

# The script is over: keeps its connections, and watches for what nobody wrote down, until it is ended.
sub stay {
    my ($self) = @_;
    my $end = $self->{deadline} + 60;
    while (time < $end) {
        my $set = '';
        my @open = grep { $_->is_open } @{ $self->{conns} };
        vec($set, fileno $_, 1) = 1 for grep { defined } $self->{listener}, map { $_->{socket} } @open;
        next if select(my $ready = $set, undef, undef, 1) <= 0;
        if ($self->{listener} && vec $ready, fileno $self->{listener}, 1) { $self->on_extra_connection }
        for my $conn (@open) {
            $self->on_extra_bytes($conn) if vec $ready, fileno $conn->{socket}, 1;
        }
    }
    return;
}

sub on_extra_connection {
    my ($self) = @_;
    my $socket = $self->{listener}->accept or return;
    $self->tell('accept');
    push @{ $self->{conns} }, Test::PooledProxy::Upstream::Conn->new($socket, $self->{deadline}, sub { });
    $self->tell(violation => 'a connection came that the script does not accept') if !$self->{allow_more};
    return;
}

sub on_extra_bytes {
    my ($self, $conn) = @_;
    my $n = sysread $conn->{socket}, my $bytes, 65536;
    if (!$n) { $conn->do_close; return }
    return if $self->{allow_more};
    my ($line) = $bytes =~ /^([^\r\n]*)/;
    $self->tell(violation => "bytes came that the script does not read: $line");
    return;
}

1;
