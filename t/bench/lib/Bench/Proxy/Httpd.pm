# Bench::Proxy::Httpd: httpd with the event MPM and one child; the classes below it are the two proxies in it.
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

sub modules {
    my ($self) = @_;
    my %of_front = (tls => ['ssl'], h2 => ['http2']);
    return (qw(mpm_event authz_core), @{ $of_front{ $self->front } // [] }, $self->behind_modules);
}

sub behind_modules { return }

sub config {
    my ($self) = @_;
    my $threads = $self->threads;
    my $modules = join '', map { Test::PooledProxy::Config::load_module($_) } $self->modules;
    return $modules . <<"END" . $self->front_config . $self->proxy_config;
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
StartServers 1
ServerLimit 1
ThreadLimit $threads
ThreadsPerChild $threads
MaxRequestWorkers $threads
MinSpareThreads 1
MaxSpareThreads $threads
AsyncRequestWorkerFactor 64
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
