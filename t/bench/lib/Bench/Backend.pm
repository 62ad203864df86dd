# Bench::Backend: the one backend of all proxies: nginx, one worker, that serves files of 1 KB, 100 KB and 1 MB below /pooled/, /fresh/ and /full/
# and takes uploads, in clear and over TLS.
package Bench::Backend;
use strict;
use warnings;
use parent 'Bench::Server';
use Bench::Machine;
use Test::PooledProxy::Util qw(write_file);

my %files = ('1k' => 1024, '100k' => 100 * 1024, '1m' => 1024 * 1024);

sub name       { return 'backend' }
sub port_names { return qw(http tls done) }
sub cpus       { return Bench::Machine::load_cpus() }

# Memory for uploads is kept: without this, giving it back and getting it anew costs more than all else.
my @environment = ('env', 'MALLOC_MMAP_THRESHOLD_=268435456', 'MALLOC_TRIM_THRESHOLD_=268435456');

sub command { my ($self) = @_; return (@environment, 'nginx', '-p', $self->{dir}, '-c', "$self->{dir}/nginx.conf", '-e', "$self->{dir}/error.log") }

sub prepare {
    my ($self) = @_;
    for my $folder (qw(files files/pooled files/fresh files/full)) {
        mkdir "$self->{dir}/$folder" or die "$folder: $!\n";
        chmod 0755, "$self->{dir}/$folder";
    }
    for my $file (sort keys %files) {
        write_file("$self->{dir}/files/$_/$file", 'x' x $files{$file}) for qw(pooled fresh full);
    }
    write_file("$self->{dir}/nginx.conf", $self->config);
    return;
}

# An upload is read whole before it is answered: that is what passing it to a second server without its body is for.
sub config {
    my ($self) = @_;
    return <<"END";
daemon off;
pid nginx.pid;
worker_processes 1;
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    open_file_cache max=16 inactive=1h;
    open_file_cache_valid 1h;
    client_max_body_size 0;
    client_body_buffer_size 2m;
    client_body_temp_path temp_body;
    proxy_temp_path temp_proxy;
    fastcgi_temp_path temp_fastcgi;
    uwsgi_temp_path temp_uwsgi;
    scgi_temp_path temp_scgi;
    upstream done { server 127.0.0.1:$self->{ports}{done}; keepalive 128; }
    server {
        listen 127.0.0.1:$self->{ports}{http} backlog=4096;
        listen 127.0.0.1:$self->{ports}{tls} ssl backlog=4096;
        ssl_certificate $self->{top}/certificate.pem;
        ssl_certificate_key $self->{top}/certificate.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:sessions:8m;
        root files;
        location /pooled/upload {
            proxy_pass http://done;
            proxy_pass_request_body off;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
        }
    }
    server {
        listen 127.0.0.1:$self->{ports}{done} backlog=4096;
        location / { return 200 "done\\n"; }
    }
}
END
}

1;
