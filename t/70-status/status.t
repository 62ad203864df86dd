# The status page: the same numbers in three forms; they add up.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Client;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(wait_until);

my $odd = 'na-me.1_x';
my $setup = Test::PooledProxy::Setup->new(
    timeout  => 20,
    upstream => { UPSTREAM => script() },
    config   => <<"END",
<PooledProxyUpstream $odd>
    PooledProxyServer http://127.0.0.1:\$UPSTREAM_PORT
    PooledProxyPoolSize 7
    PooledProxyHostLimit 5
    PooledProxyMaxRequests 3
</PooledProxyUpstream>
PooledProxyPass /down http://127.0.0.1:\$CLOSED_PORT/
PooledProxyPass / upstream://$odd/
<Location /odd-status>
    SetHandler pooledproxy-status
</Location>
PooledProxyPass /odd-status !
END
)->start;

sub script {
    return <<'END';
accept
expect GET /1
send 200 "reused"
expect GET /2
send 200 "reused"
expect GET /3
send 200 "max requests"
wait_close
accept
expect GET /4
send_head 200 "Connection: close\r\nContent-Length: 5"
send_raw "close"
wait_close
accept
expect GET /5
send_head 200 ""
send_raw "until close"
close
accept
expect GET /6
send_raw "nonsense\r\n"
wait_close
accept
expect GET /7
send 200 "extra"
send_raw "data"
wait_close
accept
expect GET /8
send 200 "stays"
END
}

sub page {
    my ($query) = @_;
    my $client = Test::PooledProxy::Client->new(port => $setup->httpd->admin_port);
    return $client->get("/pooledproxy-status$query");
}

# The requests that the script expects, one that fails, then rest.
sub make_traffic {
    my @got;
    my $client = $setup->client;
    for my $path ('/down', map { "/$_" } 1 .. 8) {
        push @got, my $answer = $client->get($path)->{status};
        wait_until(5, sub { $setup->numbers->{busy} == 0 });
        wait_until(5, sub { $setup->numbers->{conn_closed_unexpected_data} == 1 }) if $path eq '/7';
    }
    $client->close;
    return join ' ', @got;
}

is(make_traffic(), '502 200 200 200 200 200 502 200 200', 'the traffic');

subtest 'JSON' => sub {
    my $page = page('?format=json');
    is($page->{status}, 200, 'status');
    like($page->header('Content-Type'),  qr{^application/json}, 'type');
    like($page->header('Cache-Control'), qr/no-store/,          'nobody keeps it');
    my ($pool) = grep { $_->{name} eq $odd } @{ $setup->status->{pools} };
    is($pool->{size},       7, 'size');
    is($pool->{host_limit}, 5, 'host_limit');
    my $wanted = {
        busy => 0, idle => 1, connecting => 0, waiting => 0,
        requests => 8, requests_failed => 1, conn_opened => 6, conn_reused => 2, conn_failed => 0, stale_replayed => 0,
        conn_closed_max_requests => 1, conn_closed_server_says_close => 1, conn_closed_answer_until_close => 1,
        conn_closed_failed => 1, conn_closed_unexpected_data => 1, conn_closed_stale => 0,
    };
    my $numbers = Test::PooledProxy::Setup::flatten($pool);
    is($numbers->{$_}, $wanted->{$_}, $_) for sort keys %$wanted;
};

subtest 'what was opened was closed for one reason, or is open' => sub {
    for my $pool (@{ $setup->status->{pools} }) {
        my $numbers = Test::PooledProxy::Setup::flatten($pool);
        my $closed  = 0;
        $closed += $numbers->{$_} for grep { /^conn_closed_/ } keys %$numbers;
        is($numbers->{conn_opened} - $closed, $numbers->{busy} + $numbers->{idle}, $pool->{name});
    }
};

subtest 'the pool without a name counts what failed to open' => sub {
    my ($pool) = grep { $_->{conn_failed} } @{ $setup->status->{pools} };
    is($pool->{conn_failed},     1, 'conn_failed');
    is($pool->{requests_failed}, 1, 'requests_failed');
    is($pool->{conn_opened},     0, 'conn_opened');
};

# The rules of promtool check metrics, as far as they concern text that is right.
subtest 'Prometheus' => sub {
    my $page = page('?format=prometheus');
    is($page->{status}, 200, 'status');
    like($page->header('Content-Type'), qr{^text/plain; version=0\.0\.4}, 'type');
    like($page->{body}, qr/\n\z/, 'it ends with a line end');
    my (%help, %type, %samples, @order, @wrong);
    for my $line (split /\n/, $page->{body}) {
        if    ($line =~ /^# HELP (\S+) (\S.*)$/) { push @wrong, "HELP twice: $1" if $help{$1}++ || $samples{$1} }
        elsif ($line =~ /^# TYPE (\S+) (\w+)$/) { push @wrong, "TYPE twice: $1" if $type{$1} || $samples{$1}; $type{$1} = $2 }
        elsif ($line =~ /^([a-z_:][a-z0-9_:]*)\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\} (-?\d+)$/) {
            push @order, $1 if !@order || $order[-1] ne $1;
            push @wrong, "twice: $line" if exists $samples{$1}{$2};
            $samples{$1}{$2} = $3;
        }
        else { push @wrong, "malformed: $line" }
    }
    for my $name (@order) {
        push @wrong, "no HELP: $name" if !$help{$name};
        push @wrong, "no TYPE: $name" if !$type{$name};
        push @wrong, "not ours: $name" if $name !~ /^pooledproxy_/;
        push @wrong, "a counter's name must end in _total: $name" if ($type{$name} // '') eq 'counter' && $name !~ /_total$/;
        push @wrong, "not a counter: $name" if ($type{$name} // '') ne 'counter' && $name =~ /_total$/;
    }
    my %seen;
    push @wrong, map { "not together: $_" } grep { $seen{$_}++ } @order;
    is(join("\n", @wrong), '', 'form');
    is($samples{pooledproxy_conn_opened_total}{qq{pool="$odd"}}, 6, 'a counter');
    is($samples{pooledproxy_idle}{qq{pool="$odd"}},              1, 'a gauge');
    is($samples{pooledproxy_conn_closed_total}{qq{pool="$odd",reason="max_requests"}}, 1, 'a reason');
};

subtest 'HTML' => sub {
    my $page = page('');
    like($page->header('Content-Type'), qr{^text/html; charset=utf-8}i, 'type');
    like($page->{body}, qr/^<!DOCTYPE html>/, 'a page');
    like($page->{body}, qr{<h2>\Q$odd\E</h2>}, 'the pool');
    like($page->{body}, qr{conn_closed_max_requests</th><td>1<}, 'a number');
    is(page('?format=html')->{body} =~ /DOCTYPE/ ? 1 : 0, 1, 'by name, too');
};

subtest 'what it does not do' => sub {
    is(page('?format=xml')->{status}, 400, 'an unknown format');
    my $client = Test::PooledProxy::Client->new(port => $setup->httpd->admin_port);
    is($client->send_request(POST => '/pooledproxy-status', body => '')->read_response('POST')->{status}, 405, 'POST');
    my $head = Test::PooledProxy::Client->new(port => $setup->httpd->admin_port)
      ->send_request(HEAD => '/pooledproxy-status?format=json')->read_response('HEAD');
    is($head->{status}, 200, 'HEAD');
    my $front = $setup->client;
    is($front->get('/odd-status?format=json')->{status}, 200, 'it stands in a vhost with routes, too');
    $front->close;
};

subtest 'numbers stay when the connections go' => sub {
    my $before = $setup->numbers;
    is(join("\n", $setup->stop), '', 'all ends as it should');
    is($before->{requests}, 9, 'requests');
};

undef $setup;
done_testing();
