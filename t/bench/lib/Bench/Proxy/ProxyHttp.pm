# Bench::Proxy::ProxyHttp: mod_proxy_http of the same httpd. Each request that waits for the backend holds a thread.
package Bench::Proxy::ProxyHttp;
use strict;
use warnings;
use parent 'Bench::Proxy::Httpd';

sub name { return 'mod_proxy_http' }

sub most_parked { return 500 }

sub threads {
    my ($self) = @_;
    my $parked = $self->{settings}{parked};
    return $parked ? $parked + 16 : Bench::Proxy::THREADS;
}

sub modules { my ($self) = @_; return ($self->SUPER::modules, qw(proxy proxy_http)) }

sub behind_modules { my ($self) = @_; return $self->is_tls_behind && $self->front ne 'tls' ? 'ssl' : () }

sub proxy_config {
    my ($self) = @_;
    my ($backend, $parker, $size) = ($self->backend_url, $self->parker, $self->threads);
    return ($self->is_tls_behind ? "SSLProxyEngine On\n" : '') . <<"END";
ProxyIOBufferSize 65536
ProxyPass "/pooled/" "$backend/pooled/" max=$size ttl=300
ProxyPass "/fresh/" "$backend/fresh/" disablereuse=On
ProxyPass "/full/" "$backend/full/" disablereuse=On
ProxyPass "/park/" "http://$parker/park/" max=$size
END
}

1;
