# Test::PooledProxy::Setup: all that one block (or one test in plain Perl) runs against: httpd, scripted upstreams, the load backend,
# files, certificates, and the variables that name their places:
#
#   $PORT $ADMIN_PORT        httpd's ports: the vhost under test, the status page
#   $UPSTREAM_PORT $UPSTREAM2_PORT ...  $UPSTREAM_SOCKET ...   the scripted upstreams (no script: a port that refuses)
#   $BACKEND_PORT            the load backend (Test::PooledProxy::Backend)
#   $CLOSED_PORT             refuses connections
#   $HANGING_PORT            neither takes nor refuses them
#   $DIR $DOCROOT $ROOT $MODULES   the temporary directory, its docroot, the project, httpd's modules
#   $CERT $KEY               a certificate for front.test, localhost and 127.0.0.1, when `tls` or `certificate` is set
package Test::PooledProxy::Setup;
use strict;
use warnings;
use JSON::PP ();
use Socket qw(AF_INET SOCK_STREAM INADDR_LOOPBACK sockaddr_in);
use File::Path qw(make_path);
use File::Basename qw(dirname);
use Test::PooledProxy::Backend;
use Test::PooledProxy::Client;
use Test::PooledProxy::Httpd;
use Test::PooledProxy::Upstream;
use Test::PooledProxy::Util qw(wait_until write_file project_root);

# new(settings): config, main_config, vhosts, modules => [...], mpm_config, upstream => {UPSTREAM => SCRIPT, ...}, backend => bool,
# backend_options => [of backend.pl], files => {NAME => CONTENT}, tls => bool, certificate => bool, timeout => SECONDS; httpd => a running one, to be reloaded.
sub new {
    my ($class, %settings) = @_;
    my $self = bless { timeout => 10, upstream => {}, %settings, owner => $$ }, $class;
    $self->{httpd} //= Test::PooledProxy::Httpd->new;
    $self->{shared} = $settings{httpd} ? 1 : 0;
    $self->{config} //= 'PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/';
    return $self;
}

# Brings all up; dies when something does not start.
sub start {
    my ($self) = @_;
    $self->prepare;
    for my $attempt (1 .. 5) { # between looking for a free port and listening on it another process may take it
        $self->{httpd}->choose_ports;
        @{ $self->{vars} }{qw(PORT ADMIN_PORT)} = ($self->{httpd}->port, $self->{httpd}->admin_port);
        last if eval { $self->{httpd}->load($self->httpd_settings); 1 };
        die $@ if $attempt == 5 || $self->{httpd}->error_log . $self->{httpd}->output !~ /Address already in use/;
        $self->{httpd}->stop;
    }
    for my $name (sort keys %{ $self->{upstreams} }) {
        $self->{upstreams}{$name}->start($self->fill($self->{upstream}{$name}), values %{ $self->{upstreams} });
    }
    return $self;
}

# Is the configuration accepted by httpd -t? Returns (true or false, what httpd said).
sub configtest {
    my ($self, @args) = @_;
    $self->prepare;
    $self->{httpd}->choose_ports;
    @{ $self->{vars} }{qw(PORT ADMIN_PORT)} = ($self->{httpd}->port, $self->{httpd}->admin_port);
    my $ok = $self->{httpd}->configtest($self->httpd_settings, @args);
    return ($ok, $self->{httpd}->output);
}

# Everything but httpd: listeners, files, certificates, variables.
sub prepare {
    my ($self) = @_;
    my $httpd = $self->{httpd};
    $self->{vars} = {
        DIR         => $httpd->dir,
        DOCROOT     => $httpd->docroot,
        ROOT        => project_root(),
        MODULES     => Test::PooledProxy::Config::modules_dir(),
        CLOSED_PORT => $self->closed_port,
    };
    $self->{vars}{HANGING_PORT} = $self->hanging_port if grep { ($_ // '') =~ /\$HANGING_PORT/ } @$self{qw(config main_config vhosts)};
    if ($self->{backend}) {
        $self->{backend_process} = Test::PooledProxy::Backend->new(@{ $self->{backend_options} || [] });
        $self->{vars}{BACKEND_PORT} = $self->{backend_process}->port;
    }
    $self->{vars}{UPSTREAM_PORT} = $self->{vars}{BACKEND_PORT} // $self->{vars}{CLOSED_PORT};
    $self->listen_upstream($_) for sort keys %{ $self->{upstream} };
    $self->make_certificate if $self->{tls} || $self->{certificate};
    $self->write_files;
    return;
}

# A port that is ours but does not listen: connections are refused, and nobody else can take it.
sub closed_port {
    my ($self) = @_;
    socket my $socket, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
    bind $socket, sockaddr_in(0, INADDR_LOOPBACK) or die "bind: $!";
    $self->{closed_socket} = $socket;
    return (sockaddr_in(getsockname $socket))[0];
}

# A port whose queue of connections is full: the kernel answers no more of them.
sub hanging_port {
    my ($self) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!";
    my $port = $listener->sockport;
    push @{ $self->{hanging} }, $listener, map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Blocking => 0) } 1 .. 4;
    return $port;
}

sub listen_upstream {
    my ($self, $name) = @_;
    my $upstream = Test::PooledProxy::Upstream->new(
        script  => $self->{upstream}{$name},
        dir     => $self->{httpd}->dir,
        name    => lc $name,
        timeout => $self->{timeout},
    );
    $self->{upstreams}{$name} = $upstream;
    $self->{vars}{"${name}_PORT"} = $upstream->port if $upstream->port;
    $self->{vars}{"${name}_SOCKET"} = $upstream->socket_path;
    return;
}

sub make_certificate {
    my ($self) = @_;
    my ($cert, $key) = map { $self->{httpd}->dir . "/$_.pem" } qw(cert key);
    my $output = -e $cert ? '' : `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=front.test \\
        -addext basicConstraints=CA:FALSE -addext subjectAltName=DNS:front.test,DNS:localhost,IP:127.0.0.1 -keyout $key -out $cert 2>&1`;
    -e $cert or die "openssl req: $output\n";
    @{ $self->{vars} }{qw(CERT KEY)} = ($cert, $key);
    $self->{tls} = { cert => $cert, key => $key } if $self->{tls};
    return;
}

sub write_files {
    my ($self) = @_;
    my $files = $self->{files} || {};
    for my $name (keys %$files) {
        my $path = $self->{httpd}->docroot . "/$name";
        make_path(dirname($path));
        write_file($path, $files->{$name});
    }
    return;
}

# Replaces the variables in a text.
sub fill {
    my ($self, $text) = @_;
    return undef if !defined $text; ## no critic (it stands in lists)
    my $vars = $self->{vars};
    $text =~ s/\$([A-Z][A-Z0-9_]*)/defined $vars->{$1} ? $vars->{$1} : "\$$1"/ge;
    return $text;
}

sub httpd_settings {
    my ($self) = @_;
    return { modules => $self->{modules}, tls => $self->{tls},
        map { $_ => $self->fill($self->{$_}) } qw(config main_config vhosts mpm_config) };
}

# ---- use ----

sub httpd   { return $_[0]{httpd} }
sub backend { return $_[0]{backend_process} }
sub upstream { my ($self, $name) = @_; return $self->{upstreams}{ $name // 'UPSTREAM' } }
sub upstreams { my ($self) = @_; return map { $self->{upstreams}{$_} } sort keys %{ $self->{upstreams} } }
sub var { my ($self, $name) = @_; return $self->{vars}{$name} }

# A new client connection to the vhost under test.
sub client {
    my ($self, %args) = @_;
    return Test::PooledProxy::Client->new(port => $self->{httpd}->port, tls => $self->{tls}, timeout => $self->{timeout}, %args);
}

# The status page as data; dies when there is none.
sub status {
    my ($self) = @_;
    my $response = Test::PooledProxy::Client->new(port => $self->{httpd}->admin_port)->get('/pooledproxy-status?format=json');
    die "the status page answers $response->{status}\n" if $response->{status} != 200;
    return JSON::PP::decode_json($response->{body});
}

# The numbers of the status page: {NAME => sum over the pools, "POOL.NAME" => of that pool}.
sub numbers {
    my ($self) = @_;
    my %numbers;
    for my $pool (@{ $self->status->{pools} }) {
        my $of_pool = flatten($pool);
        for my $name (keys %$of_pool) {
            $numbers{$name} += $of_pool->{$name};
            $numbers{"$pool->{name}.$name"} += $of_pool->{$name};
        }
    }
    return \%numbers;
}

# {a => 1, conn_closed => {b => 2}} as {a => 1, conn_closed_b => 2}
sub flatten {
    my ($node, $prefix) = @_;
    my %flat;
    for my $key (keys %$node) {
        my $name = defined $prefix ? "${prefix}_$key" : $key;
        my $value = $node->{$key};
        if (ref $value eq 'HASH') { %flat = (%flat, %{ flatten($value, $name) }) }
        elsif (!ref $value && defined $value && $value =~ /^-?\d+(?:\.\d+)?$/) { $flat{$name} = $value }
    }
    return \%flat;
}

# Ends all; returns complaints.
sub stop {
    my ($self) = @_;
    my @complaints;
    push @complaints, $self->{httpd}->stop if !$self->{shared};
    push @complaints, $_->stop for $self->upstreams;
    $self->{backend_process}->stop if $self->{backend_process};
    return @complaints;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $@, $!);
    $self->stop;
    return;
}

1;
