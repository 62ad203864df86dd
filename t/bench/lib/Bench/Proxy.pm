# Bench::Proxy: what the proxies under test have in common. All are configured alike:
#
#   /pooled/   to the backend, connections to it are kept and used again (up to POOL of them)
#   /fresh/    to the backend, a new connection for each request
#   /full/     the same; over TLS no session is resumed
#   /park/     to a server that does not answer (Bench::Parker)
#
# They set X-Forwarded-For and two more such fields, read with buffers of about 64 KB, keep client connections for ever, log errors only.
#
# Settings of start():
#   front      h1 (default), tls, h2: what clients speak
#   behind     tls: so the backend is spoken to
#   log        true: a line for each request into a file
#   parked     so many requests must fit at once; parker: the Bench::Parker they go to
#   mpm        event (default), worker, prefork: of the two in httpd
#   single     true: one process, on any CPU, for callgrind; launcher: [COMMAND ...] before the program
package Bench::Proxy;
use strict;
use warnings;
use parent 'Bench::Server';
use Bench::Machine;
use constant { POOL => 256, THREADS => 128 };

sub port_names { return qw(http) }

# Is it one of those that are compared under these settings?
sub fits { my ($self, %settings) = @_; return !$settings{mpm} }

sub front      { return $_[0]{settings}{front} // 'h1' }
sub logs       { return $_[0]{settings}{log} }
sub is_single  { return $_[0]{settings}{single} }
sub cpus       { my ($self) = @_; return $self->is_single ? undef : Bench::Machine::proxy_cpus() }

sub is_tls_behind  { return ($_[0]{settings}{behind} // '') eq 'tls' }
sub backend        { my ($self) = @_; return '127.0.0.1:' . $self->{backend}->port($self->is_tls_behind ? 'tls' : 'http') }
sub backend_scheme { return $_[0]->is_tls_behind ? 'https' : 'http' }
sub backend_url    { my ($self) = @_; return $self->backend_scheme . '://' . $self->backend }
sub parker  { my ($self) = @_; return '127.0.0.1:' . ($self->{settings}{parker} ? $self->{settings}{parker}->port : 9) }

sub url {
    my ($self, $path) = @_;
    return ($self->front eq 'tls' ? 'https' : 'http') . '://127.0.0.1:' . $self->port . $path;
}

# The certificate of the run: one file with key and certificate.
sub certificate { return "$_[0]{top}/certificate.pem" }

# The backend's, without its key.
sub authority { return "$_[0]{top}/cert.pem" }

sub access_log { return "$_[0]{dir}/access.log" }

# The log may grow large, and what is in it is of no interest.
sub forget_log { my ($self) = @_; truncate $self->access_log, 0 if $self->logs; return }

# How many requests that wait for the backend it can hold.
sub most_parked { return 1_000_000 }

1;
