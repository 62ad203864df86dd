# Bench::Proxy::HAProxy: HAProxy, one thread.
package Bench::Proxy::HAProxy;
use strict;
use warnings;
use parent 'Bench::Proxy';
use Test::PooledProxy::Util qw(write_file);

sub name { return 'HAProxy' }

sub command { my ($self) = @_; return ('haproxy', '-db', '-f', "$self->{dir}/haproxy.cfg") }

sub prepare { my ($self) = @_; write_file("$self->{dir}/haproxy.cfg", $self->config); return }

# It logs to its standard output.
sub output_file { my ($self) = @_; return $self->logs ? $self->access_log : $self->SUPER::output_file }

sub bind_options {
    my ($self) = @_;
    return ' ssl alpn http/1.1 crt ' . $self->certificate if $self->front eq 'tls';
    return $self->front eq 'h2' ? ' proto h2' : '';
}

sub config {
    my ($self) = @_;
    my $log_to = $self->logs ? 'log stdout format raw local0' : '';
    my $log    = $self->logs ? "log global\n    option httplog" : '';
    my $scheme = $self->front eq 'tls' ? 'https' : 'http';
    my $behind = $self->is_tls_behind ? ' ssl verify none' : '';
    my $no_reuse = $behind ? ' no-ssl-reuse' : '';
    return <<"END";
global
    nbthread 1
    maxconn 9000
    tune.bufsize 65536
    $log_to
defaults
    mode http
    $log
    option forwardfor
    timeout connect 10s
    timeout client 300s
    timeout server 300s
    timeout http-keep-alive 300s
frontend front
    bind 127.0.0.1:$self->{ports}{http} backlog 4096${\$self->bind_options}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Proto $scheme
    use_backend fresh if { path_beg /fresh/ }
    use_backend full if { path_beg /full/ }
    use_backend park if { path_beg /park/ }
    default_backend pooled
backend pooled
    http-reuse always
    server b ${\$self->backend} pool-max-conn ${\Bench::Proxy::POOL} pool-purge-delay 300s$behind
backend fresh
    http-reuse never
    option http-server-close
    server b ${\$self->backend} pool-max-conn 0$behind
backend full
    http-reuse never
    option http-server-close
    server b ${\$self->backend} pool-max-conn 0$behind$no_reuse
backend park
    server b ${\$self->parker}
END
}

1;
