# P17: a client goes away, in every phase, on both fronts: the backend is told at once, and nothing is left busy or waiting. A busy machine
# may be late: one of three tries has to be in time.
use strict;
use warnings;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time);
use Test::PooledProxy::Child qw(settles ends_clean answers_at_once);
use Test::PooledProxy::Config;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until slowness);

use constant AT_ONCE => 0.1; # seconds

# The kernel takes connections and some data here, and nobody ever reads them.
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 512) or die "listen: $!";
my $SILENT = 'http://127.0.0.1:' . $silent->sockport . '/';

my $routes = <<"END";
<PooledProxyUpstream FRONT>
    PooledProxyServer http://127.0.0.1:\$BACKEND_PORT
    PooledProxyPoolSize 1
</PooledProxyUpstream>
PooledProxyPass /FRONT/one/ upstream://FRONT/
PooledProxyPass /FRONT/hanging/ http://127.0.0.1:\$HANGING_PORT/ timeout.connect=1
PooledProxyPass /FRONT/silent/ $SILENT
PooledProxyPass /FRONT/ http://127.0.0.1:\$BACKEND_PORT/
END

my $setup = Test::PooledProxy::Setup->new(
    backend     => 1,
    modules     => [qw(ratelimit env)],
    main_config => "PooledProxyEventLoops 1\n",
    timeout     => 20,
    config      => join('', <<'END', map { $routes =~ s/FRONT/$_/gr } qw(loop waiting)),
<Location /waiting/>
    PooledProxyAsync Off
</Location>
<Location /loop/limited/>
    SetOutputFilter RATE_LIMIT
    SetEnv rate-limit 50
    PooledProxyPass http://127.0.0.1:$BACKEND_PORT/
</Location>
END
)->start;

sub number { my ($name) = @_; return $setup->numbers->{$name} }
sub active { return $setup->backend->stats->{active} }
sub is_served  { return active() == 1 && number('busy') == 1 }
sub is_nowhere { return active() == 0 && number('busy') == 0 && number('waiting') == 0 }

# name, the head's first line and further ones, and what of: body, reads (so much the client reads before it goes), by (close, reset; both),
# here (what holds when it is in this phase), gone (what holds when it has gone)
my @phases = (
    ['waits for an answer',      'GET /FRONT/slow?ms=60000'],
    ['sends a body',             "POST /FRONT/sink\nContent-Length: 1000", body => 'some of it'],
    ['sends a body in chunks',   "POST /FRONT/sink\nTransfer-Encoding: chunked", body => "5\r\nhello\r\n"],
    ['waits after a body that had to wait', "POST /FRONT/slow?ms=60000&lazy=300\nContent-Length: 10000000", body => 'x' x 10_000_000,
        here => sub { $setup->backend->stats->{answering} == 2 }], # and the one for this look
    ['reads events',             'GET /FRONT/events?ms=20', reads => 100],
    ['reads a large answer',     'GET /FRONT/bytes?n=500000000', reads => 100000],
    ['has stopped to read',      'GET /FRONT/bytes?n=500000000', reads => 1],
    ['sends a body that nobody takes', "POST /FRONT/silent/\nContent-Length: 1000000000", fill => 1,
        here => sub { number('busy') == 1 }, gone => sub { number('busy') == 0 }, by => 'reset'],
    ['is being connected for',   'GET /FRONT/hanging/', here => sub { number('connecting') == 1 }, gone => sub { number('waiting') == 0 }],
    ['waits in the queue',       'GET /FRONT/one/bytes?n=1', hold => 'GET /FRONT/one/slow?ms=60000',
        here => sub { is_served() && number('waiting') == 1 }, gone => sub { is_served() && number('waiting') == 0 }],
    ['reads through a filter that blocks', 'GET /FRONT/limited/bytes?n=500000000', reads => 100, late => 1, front => 'loop'],
);

sub send_request {
    my ($front, $lines, $body) = @_;
    my ($first, @fields) = split /\n/, $lines =~ s/FRONT/$front/r;
    my $client = $setup->client;
    $client->send_bytes(join "\r\n", "$first HTTP/1.1", 'Host: front.test', @fields, '', $body // '');
    return $client;
}

# Sends until nothing has gone for a while.
sub fill {
    my ($client) = @_;
    my $set = '';
    vec($set, fileno $client->{socket}, 1) = 1;
    while (select(undef, my $writable = $set, undef, 0.3) > 0) { syswrite $client->{socket}, 'x' x 65536 or die "write: $!\n" }
    return;
}

# The seconds from the client's going until all know of it; undef: they never do.
sub go_away {
    my ($front, $how, $lines, %phase) = @_;
    my ($here, $gone) = ($phase{here} // \&is_served, $phase{gone} // \&is_nowhere);
    wait_until(5, sub { is_nowhere() && number('connecting') == 0 }) or die "something is left from before\n";
    my $holder = $phase{hold} && send_request($front, $phase{hold});
    wait_until(5, \&is_served) or die "nothing holds the connection\n" if $holder;
    my $client = send_request($front, $lines, $phase{body});
    fill($client) if $phase{fill};
    $client->take($phase{reads} // 0);
    wait_until(5, $here) or die "the client does not come to this phase\n";
    my $left = time;
    $client->$how;
    my $took = wait_until(5, $gone) ? time - $left : undef;
    $holder->close if $holder;
    return $took;
}

for my $front (qw(loop waiting)) {
    for my $row (@phases) {
        my ($name, $lines, %phase) = @$row;
        next if $front ne ($phase{front} // $front);
        next if $phase{hold} && Test::PooledProxy::Config::mpm() eq 'prefork'; # each child has a pool
        for my $how ($phase{by} // qw(close reset)) {
            my @took;
            for (1 .. 3) {
                push @took, go_away($front, $how, $lines, %phase) // 1000;
                last if $took[-1] < ($phase{late} ? 5 : AT_ONCE) * slowness();
            }
            cmp_ok($took[-1], '<', ($phase{late} ? 5 : AT_ONCE) * slowness(), "$front front, a client that $name goes away ($how)") || diag("it took @took s");
        }
    }
}
settles($setup, 3);
answers_at_once($setup, "/$_/bytes?n=3", 2) for qw(loop waiting);
ends_clean($setup);
undef $setup;

done_testing();
