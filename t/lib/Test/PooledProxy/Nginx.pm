# Test::PooledProxy::Nginx: nginx as a backend over TLS, in a process of its own: one server for each port.
package Test::PooledProxy::Nginx;
use strict;
use warnings;
use Test::PooledProxy::Program;
use Test::PooledProxy::Util qw(free_ports write_file);

my $protocols = 'ssl_protocols TLSv1.2 TLSv1.3;';

# new(DIR, {NAME => {cert => FILE, key => FILE, more => DIRECTIVES}, ...}): starts it; undef where nginx is not installed. Each server answers
# /info with what it knows of the connection, and other paths with files below DIR/www.
sub new {
    my ($class, $dir, $servers) = @_;
    my $nginx = Test::PooledProxy::Program::find('nginx') or return;
    my @names = sort keys %$servers;
    my $self  = bless { ports => {} }, $class;
    @{ $self->{ports} }{@names} = free_ports(scalar @names);
    mkdir "$dir/www";
    write_file("$dir/nginx.conf", $self->conf($dir, $servers));
    $self->{program} = Test::PooledProxy::Program->new(log => "$dir/nginx.log", port => $self->{ports}{ $names[0] },
        command => [$nginx, '-c', "$dir/nginx.conf", '-p', $dir]);
    return $self;
}

sub conf {
    my ($self, $dir, $servers) = @_;
    my $blocks = join '', map {
        my ($port, $server) = ($self->{ports}{$_}, $servers->{$_});
        my $own = $server->{more} // '';
        $own = "$protocols $own" if $own !~ /ssl_protocols/;
        "server { listen 127.0.0.1:$port ssl backlog=511; ssl_certificate $server->{cert}; ssl_certificate_key $server->{key}; $own\n"
          . "location = /info { return 200 'name=$_ sni=\$ssl_server_name version=\$ssl_protocol reused=\$ssl_session_reused cipher=\$ssl_cipher"
          . " client=\$ssl_client_verify,\$ssl_client_s_dn served=\$connection_requests'; } }\n"
    } sort keys %$servers;
    return <<"END_CONF";
daemon off; master_process off; pid $dir/nginx.pid; error_log stderr;
events { worker_connections 512; }
http {
    access_log off; keepalive_requests 100000; default_type text/plain; root $dir/www;
    client_body_temp_path $dir/b; proxy_temp_path $dir/p; fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
$blocks}
END_CONF
}

sub port { my ($self, $name) = @_; return $self->{ports}{$name} || die "no server $name\n" }

1;
