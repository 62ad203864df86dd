# Test::PooledProxy::Child: httpd's child processes as /proc sees them, and what all tests of the engine ask again and again.
package Test::PooledProxy::Child;
use strict;
use warnings;
use Exporter 'import';
use Test::More ();
use Test::PooledProxy::Httpd;
use Test::PooledProxy::Util qw(wait_until read_file);

our @EXPORT_OK = qw(children child descriptors threads memory_kb settles ends_clean answers_at_once);

# The processes that serve; the only one, where there is only one.
sub children { my ($setup) = @_; return Test::PooledProxy::Httpd::children_of($setup->httpd->pid) }
sub child { return (children($_[0]))[0] }

sub descriptors { my ($pid) = @_; return scalar(() = glob "/proc/$pid/fd/*") }
sub threads     { my ($pid) = @_; return scalar(() = glob "/proc/$pid/task/*") }
sub memory_kb   { my ($pid) = @_; return read_file("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m ? $1 : 0 }

# One assertion: within the seconds no connection is busy, being opened or waited for.
sub settles {
    my ($setup, $seconds, $name) = @_;
    my $now;
    my $settled = wait_until($seconds, sub {
        my $n = $setup->numbers;
        $now = join ' ', map { "$_=" . ($n->{$_} // '?') } qw(busy connecting waiting);
        return $now eq 'busy=0 connecting=0 waiting=0';
    });
    return Test::More::ok($settled, $name // 'nothing is left busy') || Test::More::diag($now);
}

# One assertion: a fresh connection's request is answered within the seconds, whatever else goes on.
sub answers_at_once {
    my ($setup, $path, $seconds, $name) = @_;
    my $response = eval { $setup->client(timeout => $seconds)->get($path) };
    return Test::More::is($response ? $response->{status} : "nothing: $@", 200, $name // "$path is answered within $seconds s");
}

# One assertion: httpd ends as it should, and neither its log nor a sanitizer complains. `expected` matches warnings that are right.
sub ends_clean {
    my ($setup, $expected) = @_;
    my @complaints = ($setup->stop, $setup->httpd->complaints($expected // ()), $setup->httpd->reports);
    return Test::More::is(join("\n", @complaints), '', 'httpd ends, with nothing unexpected in its log');
}

1;
