# Test::PooledProxy::Limits: what the tests of limits over all children share: an httpd of several children in front of the servers of a
# counter, and a crowd of clients that presses on them.
package Test::PooledProxy::Limits;
use strict;
use warnings;
use Exporter 'import';
use Socket qw(SOCK_RAW);
use Test::More ();
use Test::PooledProxy::Child qw(children);
use Test::PooledProxy::Config;
use Test::PooledProxy::Crowd;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until);

our @EXPORT_OK = qw(limits_setup reconfigure handshakes crowd_of all_answered usual_warnings);

sub is_mpm { return Test::PooledProxy::Config::mpm() eq $_[0] }

# Of a child: under event they are not what limits the clients.
sub threads { return is_mpm('event') ? 4 : 16 }

# mpm_config of so many children that stay (prefork: 32, for each serves one client).
sub mpm_config {
    my ($children) = @_;
    return "StartServers 32\nServerLimit 32\nMaxRequestWorkers 32\nMinSpareServers 32\nMaxSpareServers 32\n" if is_mpm('prefork');
    my ($each, $threads) = (threads(), $children * threads());
    return "StartServers $children\nServerLimit $children\nThreadsPerChild $each\nMaxRequestWorkers $threads\n"
      . "MinSpareThreads $threads\nMaxSpareThreads $threads\n";
}

# The counter's servers are called $ONE and $TWO in a configuration.
sub servers_in {
    my ($counter, $config) = @_;
    my %url = map { $_ => 'http://127.0.0.1:' . ($counter->port($_ eq 'TWO' ? 1 : 0) // 0) } qw(ONE TWO);
    return $config =~ s/\$(ONE|TWO)/$url{$1}/gr;
}

# limits_setup(COUNTER, children => N, config => TEXT, loops => 2, main_config => TEXT): started.
sub limits_setup {
    my ($counter, %args) = @_;
    my $loops = $args{loops} // 2;
    return Test::PooledProxy::Setup->new(
        mpm_config  => mpm_config($args{children}),
        main_config => "MaxKeepAliveRequests 0\nListenBacklog 4096\n" . (is_mpm('event') ? "AsyncRequestWorkerFactor 256\n" : '')
          . (is_mpm('prefork') ? '' : "PooledProxyEventLoops $loops\n") . ($args{main_config} // ''),
        config  => servers_in($counter, $args{config}),
        timeout => 30,
    )->start;
}

# A graceful restart with another configuration of the vhost, while the crowd goes on; true when all children of before have ended.
sub reconfigure {
    my ($setup, $counter, $crowd, $config) = @_;
    my @old = children($setup);
    $setup->{config} = servers_in($counter, $config);
    $setup->httpd->begin_load($setup->httpd_settings);
    return $crowd->run_until(15, sub { my %alive = map { $_ => 1 } children($setup); return %alive && !grep { $alive{$_} } @old });
}

# crowd_of(SETUP, children => N, clients => N, each => N, paths => [...]): as many clients as this MPM serves at once, but no more than
# that; the paths are asked for in turn. Further arguments are the crowd's.
sub crowd_of {
    my ($setup, %args) = @_;
    my ($children, $clients, $paths) = delete @args{qw(children clients paths)};
    my $serves = is_mpm('event') ? $clients : is_mpm('prefork') ? 32 : threads() * $children;
    my $i = 0;
    return Test::PooledProxy::Crowd->new(port => $setup->var('PORT'), clients => $serves < $clients ? $serves : $clients,
        request => sub { my $path = $paths->[$i++ % @$paths]; return "GET $path HTTP/1.1\r\nHost: front.test\r\n\r\n" }, %args);
}

# Two assertions.
sub all_answered {
    my ($crowd) = @_;
    Test::More::is_deeply($crowd->failures, {}, 'no request failed');
    return Test::More::is_deeply([keys %{ $crowd->statuses }], [200], 'all were answered with 200');
}

use constant { AF_NETLINK => 16, NETLINK_SOCK_DIAG => 4, SOCK_DIAG_BY_FAMILY => 20, REQUEST_DUMP => 0x301, AF_INET => 2, TCP => 6, SYN_SENT => 2 };

# The local ports of connections to that port that the kernel is opening: sock_diag(7), for /proc/net/tcp takes long when there are many.
sub handshakes {
    my ($port) = @_;
    socket my $kernel, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG or die "sock_diag: $!";
    my $question = pack('CCxxL', AF_INET, TCP, 1 << SYN_SENT) . "\0" x 48;
    syswrite $kernel, pack('LSSLL', 16 + length $question, SOCK_DIAG_BY_FAMILY, REQUEST_DUMP, 1, 0) . $question;
    my @found;
    while (sysread $kernel, my $messages, 65536) {
        while (my ($length, $type) = unpack 'LS', $messages) {
            return @found if $type != SOCK_DIAG_BY_FAMILY;
            my ($from, $to) = unpack 'x20 nn', $messages;
            push @found, $from if $to == $port;
            substr $messages, 0, $length, '';
            last if !length $messages;
        }
    }
    return @found;
}

# What httpd may say about a crowd, for ends_clean().
sub usual_warnings { return qr/server reached MaxRequestWorkers|server is within MinSpareThreads/ }

1;
