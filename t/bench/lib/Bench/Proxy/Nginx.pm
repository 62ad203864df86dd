# Bench::Proxy::Nginx: nginx, one worker. Bodies go to the client as they come, in memory only, as the others do it.
package Bench::Proxy::Nginx;
use strict;
use warnings;
use parent 'Bench::Proxy';
use Test::PooledProxy::Util qw(write_file);

sub name { return 'nginx' }

sub command { my ($self) = @_; return ('nginx', '-p', $self->{dir}, '-c', "$self->{dir}/nginx.conf", '-e', "$self->{dir}/error.log") }

sub prepare { my ($self) = @_; write_file("$self->{dir}/nginx.conf", $self->config); return }

my %listen = (h1 => '', tls => ' ssl', h2 => ' http2');

# proxy_set_header is inherited only where a location sets none.
my $forwarded = <<'END';
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
END

sub tls_config {
    my ($self) = @_;
    return '' if $self->front ne 'tls';
    my $file = $self->certificate;
    return "ssl_certificate $file; ssl_certificate_key $file;";
}

sub config {
    my ($self) = @_;
    my $log = $self->logs ? $self->access_log . ' combined' : 'off';
    my $master = $self->is_single ? 'off' : 'on';
    return <<"END";
daemon off;
master_process $master;
pid nginx.pid;
worker_processes 1;
worker_rlimit_nofile 20000;
events { worker_connections 19000; }
http {
    access_log $log;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_temp_path temp_body;
    proxy_temp_path temp_proxy;
    fastcgi_temp_path temp_fastcgi;
    uwsgi_temp_path temp_uwsgi;
    scgi_temp_path temp_scgi;
    proxy_request_buffering off;
    proxy_buffers 8 64k;
    proxy_busy_buffers_size 128k;
    proxy_max_temp_file_size 0;
    proxy_http_version 1.1;
    proxy_read_timeout 300s;
    proxy_ssl_protocols TLSv1.2 TLSv1.3;
    upstream pooled {
        server ${\$self->backend};
        keepalive ${\Bench::Proxy::POOL};
        keepalive_requests 1000000000;
        keepalive_timeout 300s;
    }
    server {
        listen 127.0.0.1:$self->{ports}{http}$listen{ $self->front } backlog=4096;
        ${\$self->tls_config}
        location /pooled/ {
            proxy_pass ${\$self->backend_scheme}://pooled;
            proxy_set_header Connection "";
$forwarded        }
        location /fresh/ {
            proxy_pass ${\$self->backend_url};
$forwarded        }
        location /full/ {
            proxy_pass ${\$self->backend_url};
            proxy_ssl_session_reuse off;
$forwarded        }
        location /park/ { proxy_pass http://${\$self->parker}; }
    }
}
END
}

1;
