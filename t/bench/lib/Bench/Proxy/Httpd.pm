# Bench::Proxy::Httpd: httpd with the event MPM and one child, or another MPM; the classes below it are the two proxies in it.
package Bench::Proxy::Httpd;
use strict;
use warnings;
use parent 'Bench::Proxy';
use Test::PooledProxy::Config;
use Test::PooledProxy::Util qw(write_file);

sub command {
    my ($self) = @_;
    return (Test::PooledProxy::Config::httpd_program(), '-d', $self->{dir}, '-f', "$self->{dir}/httpd.conf", $self->is_single ? '-X' : '-DFOREGROUND');
}

sub prepare { my ($self) = @_; write_file("$self->{dir}/httpd.conf", $self->config); return }

sub threads { return Bench::Proxy::THREADS }

sub mpm { return $_[0]{settings}{mpm} // 'event' }

sub fits { return 1 }

sub modules {
    my ($self) = @_;
    my %of_front = (tls => ['ssl'], h2 => ['http2']);
    return ('mpm_' . $self->mpm, 'authz_core', @{ $of_front{ $self->front } // [] }, $self->behind_modules);
}

sub behind_modules { return }

# As many requests at once as there are threads, whoever runs them.
sub mpm_config {
    my ($self) = @_;
    my $threads = $self->threads;
    return "StartServers $threads\nMinSpareServers 1\nMaxSpareServers $threads\nServerLimit $threads\nMaxRequestWorkers $threads\n" if $self->mpm eq 'prefork';
    my $common = <<"END";
StartServers 1
ServerLimit 1
ThreadLimit $threads
ThreadsPerChild $threads
MaxRequestWorkers $threads
MinSpareThreads 1
MaxSpareThreads $threads
END
    return $common . ($self->mpm eq 'event' ? "AsyncRequestWorkerFactor 64\n" : '');
}

sub config {
    my ($self) = @_;
    my $modules = join '', map { Test::PooledProxy::Config::load_module($_) } $self->modules;
    return $modules . <<"END" . $self->mpm_config . $self->front_config . $self->proxy_config;
ServerRoot "$self->{dir}"
DefaultRuntimeDir "$self->{dir}"
PidFile "$self->{dir}/httpd.pid"
ErrorLog "$self->{dir}/error.log"
LogLevel warn
ServerName 127.0.0.1
Listen 127.0.0.1:$self->{ports}{http}
ListenBacklog 4096
KeepAlive On
KeepAliveTimeout 300
MaxKeepAliveRequests 0
END
}

sub front_config {
    my ($self) = @_;
    my $text = '';
    $text .= sprintf qq{SSLEngine on\nSSLCertificateFile "%s"\n}, $self->certificate if $self->front eq 'tls';
    $text .= "Protocols h2c http/1.1\n" if $self->front eq 'h2';
    $text .= sprintf qq{LogFormat "%%h %%l %%u %%t \\"%%r\\" %%>s %%b" common\nCustomLog "%s" common\n}, $self->access_log if $self->logs;
    return $text;
}

1;
