# Test::PooledProxy::Names: what the tests of names stand on: a resolver, backends at several addresses of the loopback, all on one port,
# each of which says /where it is, and httpd in one process.
package Test::PooledProxy::Names;
use strict;
use warnings;
use IO::Socket::IP;
use Test::PooledProxy::Backend;
use Test::PooledProxy::Client;
use Test::PooledProxy::Config;
use Test::PooledProxy::Resolver;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(free_ports wait_until);
use Time::HiRes qw(time);

my $one_process = Test::PooledProxy::Config::mpm() eq 'prefork'
  ? "StartServers 1\nMinSpareServers 1\nMaxSpareServers 1\nServerLimit 2\nMaxRequestWorkers 2\n"
  : "StartServers 1\nServerLimit 1\nThreadsPerChild 16\nMaxRequestWorkers 16\nMinSpareThreads 1\nMaxSpareThreads 16\n";

sub has_ipv6 { return IO::Socket::IP->new(LocalAddr => '::1', Listen => 1) ? 1 : 0 }

# new(records => {...}, ttl => SECONDS, backends => [ADDRESS, ...], config => ...): $NAMED is "http://app.test:PORT", whose records the
# test gives; further settings as for Setup.
sub new {
    my ($class, %args) = @_;
    my $self = bless { %args }, $class;
    my ($port) = free_ports(1);
    $self->{port} = $port;
    $self->{backends} = { map { $_ => Test::PooledProxy::Backend->new('--address', $_, '--port', $port) } @{ $args{backends} || [] } };
    my $config = $args{config} // 'PooledProxyPass / $NAMED/';
    $config =~ s{\$NAMED}{http://app.test:$port}g;
    my $httpd = Test::PooledProxy::Httpd->new;
    $self->{resolver} = Test::PooledProxy::Resolver->new(dir => $httpd->dir, ttl => $args{ttl} // 1, records => $args{records} || {}, srv => srv($args{srv}, $port));
    $self->{setup} = Test::PooledProxy::Setup->new(
        httpd       => $httpd,
        config      => $config,
        main_config => 'PooledProxyResolver ' . $self->{resolver}->address . "\n" . ($args{main_config} // ''),
        mpm_config  => $one_process,
        timeout     => 20,
    );
    $self->{setup}{shared} = 0;
    return $self;
}

sub srv { my ($records, $port) = @_; return [map { [map { $_ eq 'PORT' ? $port : $_ } @$_] } @{ $records || [] }] }

sub start    { my ($self) = @_; $self->{setup}->start; return $self }
sub setup    { return $_[0]{setup} }
sub resolver { return $_[0]{resolver} }
sub numbers  { return $_[0]{setup}->numbers }

# The answer to one request: the backend's address, or the status.
sub where {
    my ($self, $path) = @_;
    my $response = $self->{setup}->client->get($path // '/where');
    return $response->{status} == 200 ? $response->{body} : $response->{status};
}

# Asks on and on until it is somewhere else; the seconds that took, or undef when it was too long.
sub seconds_until {
    my ($self, $where, $most) = @_;
    my $began = time;
    return wait_until($most, sub { $self->where eq $where }) ? time - $began : undef;
}

# The seconds one request takes.
sub seconds_of {
    my ($self, $path) = @_;
    my $began = time;
    my $where = $self->where($path);
    return (time - $began, $where);
}

1;
