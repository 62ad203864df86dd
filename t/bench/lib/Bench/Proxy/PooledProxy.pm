# Bench::Proxy::PooledProxy: the module of this project, with one event loop.
package Bench::Proxy::PooledProxy;
use strict;
use warnings;
use parent 'Bench::Proxy::Httpd';
use File::Copy ();
use Test::PooledProxy::Config;

sub name { return 'mod_pooledproxy' }

# A copy: what is built meanwhile is not what is measured.
sub module_file {
    my ($self) = @_;
    my $copy = "$self->{top}/mod_pooledproxy.so";
    return $copy if -e $copy;
    File::Copy::copy(Test::PooledProxy::Config::module_path(), $copy) or die "mod_pooledproxy.so: $!\n";
    chmod 0755, $copy;
    return $copy;
}

sub proxy_config {
    my ($self) = @_;
    my ($backend, $parker, $size) = ($self->backend_url, $self->parker, Bench::Proxy::POOL);
    my ($trust, $full) = $self->is_tls_behind ? ('PooledProxyTLSCAFile ' . $self->authority, 'PooledProxyTLSSessionCache Off') : ('', '');
    return <<"END";
LoadModule pooledproxy_module "${\$self->module_file}"
$trust
PooledProxyEventLoops 1
PooledProxyPoolSize $size
PooledProxyKeepAliveTimeout 300s
<PooledProxyUpstream fresh>
    PooledProxyServer "$backend"
    PooledProxyKeepAlive Off
</PooledProxyUpstream>
<PooledProxyUpstream full>
    PooledProxyServer "$backend"
    PooledProxyKeepAlive Off
    $full
</PooledProxyUpstream>
<PooledProxyUpstream park>
    PooledProxyServer "http://$parker"
    PooledProxyPoolSize 100000
</PooledProxyUpstream>
PooledProxyPass "/pooled/" "$backend/pooled/"
PooledProxyPass "/fresh/" "upstream://fresh/fresh/"
PooledProxyPass "/full/" "upstream://full/full/"
PooledProxyPass "/park/" "upstream://park/park/"
END
}

1;
