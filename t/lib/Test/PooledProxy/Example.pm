# Test::PooledProxy::Example: a file of conf-examples, loaded into an httpd as Debian sets it up, with ports and backends of the test.
# The modules are those of the file's own "Needs: a2enmod ..." line, and what Debian enables by itself.
package Test::PooledProxy::Example;
use strict;
use warnings;
use Test::PooledProxy::Checks;
use Test::PooledProxy::Client;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(free_ports read_file project_root);

my @debian_modules = qw(access_compat alias auth_basic authn_core authn_file authz_core authz_host authz_user autoindex deflate dir env
  filter mime negotiation reqtimeout setenvif status);

# As Debian's apache2.conf and mods-enabled have it.
my $debian_conf = <<'END_CONF';
TypesConfig /dev/null
Timeout 300
KeepAliveTimeout 5
<Directory "/">
    Require all denied
</Directory>
<Directory "$DOCROOT">
    Require all granted
</Directory>
AddOutputFilterByType DEFLATE text/html text/plain text/css text/javascript
RequestReadTimeout header=20-40,minrate=500 body=10,minrate=500
<IfModule ssl_module>
    SSLSessionCache "shmcb:$DIR/tls-sessions(512000)"
</IfModule>
END_CONF

my $debian_mpm = <<'END_CONF';
StartServers 1
MinSpareThreads 25
MaxSpareThreads 75
ThreadLimit 64
ThreadsPerChild 25
MaxRequestWorkers 25
END_CONF

sub names { return map { m{([^/]+)\.conf$} } sort glob project_root() . '/conf-examples/*.conf' }

# new(NAME, defines => {PP_BACKEND => ..., ...}, other settings of Test::PooledProxy::Setup): PP_PORT is chosen.
sub new {
    my ($class, $name, %args) = @_;
    my $self = bless { name => $name, defines => delete $args{defines} || {} }, $class;
    $self->{text} = read_file(project_root() . "/conf-examples/$name.conf");
    $self->{args} = { mpm_config => $debian_mpm, timeout => 20, %args };
    return $self;
}

sub modules {
    my ($self) = @_;
    my ($needed) = $self->{text} =~ /^# Needs: a2enmod (.+)$/m or die "$self->{name}.conf does not say what it needs\n";
    my %seen;
    return grep { !$seen{$_}++ } @debian_modules, map { /^pooledproxy$/ ? () : /^ssl$/ ? qw(socache_shmcb ssl) : $_ } split ' ', $needed;
}

# The text of the setup's main configuration. `defines` is a list: one may use those before it.
sub include {
    my ($self, $defines) = @_;
    my @left = @$defines;
    my $lines = '';
    while (my ($name, $value) = splice @left, 0, 2) { $lines .= qq{Define $name "$value"\n} }
    return qq{Define APACHE_LOG_DIR "\$DIR/logs"\n$lines${debian_conf}Include "\$ROOT/conf-examples/$self->{name}.conf"\n};
}

sub setup {
    my ($self, $defines) = @_;
    return Test::PooledProxy::Setup->new(%{ $self->{args} }, config => '', modules => [$self->modules], main_config => $self->include($defines));
}

# (true or false, what httpd -t says) about the file as it is, but for these defines.
sub configtest { my ($self, %defines) = @_; return $self->setup([%defines])->configtest }

# Starts httpd; PP_PORT and, where the file has one, PP_TLS_PORT are free ones.
sub start {
    my ($self) = @_;
    for my $attempt (1 .. 5) {
        @$self{qw(port tls_port)} = free_ports(2);
        my %ports = (PP_PORT => $self->{port}, $self->{text} =~ /PP_TLS_PORT/ ? (PP_TLS_PORT => $self->{tls_port}) : ());
        $self->{setup} = $self->setup([%ports, %{ $self->{defines} }]);
        return $self if eval { $self->{setup}->start; 1 };
        die $@ if $attempt == 5 || $@ !~ /Address already in use/;
    }
}

sub httpd_setup { return $_[0]{setup} }
sub port        { return $_[0]{port} }
sub tls_port    { return $_[0]{tls_port} }
sub pid         { return $_[0]{setup}->httpd->pid }

# A client connection to the example's port.
sub client { my ($self, %args) = @_; return Test::PooledProxy::Client->new(port => $self->{port}, timeout => 20, %args) }

# Runs curl with these arguments, $SITE in them being the TLS site; returns what it wrote.
sub curl {
    my ($self, @args) = @_;
    my @command = ('curl', '-sS', '--noproxy', '*', '--max-time', 30, '--resolve', "front.test:$self->{tls_port}:127.0.0.1", @args);
    open my $out, '-|', @command or die "curl: $!\n";
    local $/ = undef;
    return scalar(<$out>) // '';
}

# Ends httpd; what went wrong meanwhile, one complaint a line.
sub stop {
    my ($self) = @_;
    return 'requests had to begin on worker threads' if $self->{setup}->httpd->error_log =~ /begin on worker threads/;
    Test::PooledProxy::Checks->new(block => $self->{expected} || {}, setup => $self->{setup}, responses => [])->unexpected_log;
    return join "\n", $self->{setup}->stop;
}

# For tests with many connections: as many descriptors as this process may have, at most 16384; its children inherit them.
sub raise_descriptor_limit {
    my $hard = `bash -c 'ulimit -Hn'`;
    my $wanted = $hard =~ /^\d+$/ && $hard < 16384 ? $hard + 0 : 16384;
    my $status = system 'prlimit', "--pid=$$", "--nofile=$wanted:";
    return $status == 0 ? $wanted : 0;
}

1;
