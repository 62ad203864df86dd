# What the limits allow is held against PooledProxyBackendCapacity, over all pools that lead to the same servers.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Setup;

# What httpd -t says, with AT for each FILE:LINE and the names of ports.
sub configtest {
    my (%args) = @_;
    my $setup = Test::PooledProxy::Setup->new(%args);
    my ($ok, $output) = $setup->configtest;
    for my $name (qw(PORT ADMIN_PORT)) { $output =~ s/:${\$setup->var($name)}\b/:$name/g }
    $setup->stop;
    $output =~ s{[^\s(]*/httpd\.conf:\d+}{AT}g;
    return ($ok, $output);
}

sub fits {
    my ($name, %args) = @_;
    my ($ok, $output) = configtest(%args);
    ok($ok, "fits: $name") or diag($output);
    unlike($output, qr/has no effect/, '... without a warning');
    return;
}

sub exceeds {
    my ($name, $terms, %args) = @_;
    my ($ok, $output) = configtest(%args);
    ok(!$ok, "exceeds: $name") or diag($output);
    like($output, qr/\bAT: PooledProxyBackendCapacity \d+ of \w+ is less than may be opened: \Q$terms\E; make the limits smaller$/m, '... says how');
    return;
}

sub upstream { my ($name, @lines) = @_; return join "\n", "<PooledProxyUpstream $name>", @lines, "</PooledProxyUpstream>\n" }

my @one   = 'PooledProxyServer http://one:81/';
my @two   = (@one, 'PooledProxyServer http://two:82/');
my $api   = "PooledProxyPass /api upstream://api/\n";
my $other = "PooledProxyPass /other http://one:81/x\n";

fits('its own pool', config => $api . upstream('api', @two, 'PooledProxyPoolSize 60', 'PooledProxyBackendCapacity 60'));
exceeds('its own pool', 'api: 60 (PooledProxyPoolSize, AT) = 60 > 59',
    config => $api . upstream('api', @two, 'PooledProxyPoolSize 60', 'PooledProxyBackendCapacity 59'));
exceeds('by default', 'api: 100 (default) = 100 > 99', config => $api . upstream('api', @one, 'PooledProxyBackendCapacity 99'));

fits('limits of servers that are less', config => $api . upstream('api', "$one[0] limit=4", 'PooledProxyServer http://two limit=6', 'PooledProxyBackendCapacity 10'));
exceeds('limits of servers', 'api: 10 (limit=, AT; limit=, AT) = 10 > 9',
    config => $api . upstream('api', "$one[0] limit=4", 'PooledProxyServer http://two limit=6', 'PooledProxyBackendCapacity 9'));
exceeds('HostLimit counts for each server', 'api: 10 (PooledProxyHostLimit, AT) = 10 > 9',
    config => $api . upstream('api', @two, 'PooledProxyHostLimit 5', 'PooledProxyBackendCapacity 9'));
exceeds('one server without a limit', 'api: 100 (default) = 100 > 9',
    config => $api . upstream('api', "$one[0] limit=4", 'PooledProxyServer http://two', 'PooledProxyBackendCapacity 9'));
exceeds('auto counts with its most', 'api: 10 (PooledProxyHostLimit, AT) = 10 > 9',
    config => $api . upstream('api', @two, 'PooledProxyHostLimit auto:1-5', 'PooledProxyBackendCapacity 9'));
exceeds('one server by two paths is one server', 'api: 5 (PooledProxyHostLimit, AT) = 5 > 4',
    config => $api . upstream('api', @one, 'PooledProxyServer http://one:81/y', 'PooledProxyHostLimit 5', 'PooledProxyBackendCapacity 4'));

exceeds('a route of the virtual host to one of the servers', 'api: 60 (PooledProxyPoolSize, AT) + front.test:PORT: 100 (default) = 160 > 100',
    config => $api . $other . upstream('api', @two, 'PooledProxyPoolSize 60', 'PooledProxyBackendCapacity 100'));
fits('a route of the virtual host to another port',
    config => $api . "PooledProxyPass /other http://one:83/\n" . upstream('api', @two, 'PooledProxyPoolSize 60', 'PooledProxyBackendCapacity 100'));
exceeds('the limit of what is shared', 'api: 60 (PooledProxyPoolSize, AT) + front.test:PORT: 7 (PooledProxyHostLimit, AT) = 67 > 60',
    config => "PooledProxyHostLimit 7\n" . $api . $other . "PooledProxyPass /more http://elsewhere/\n"
      . upstream('api', @two, 'PooledProxyPoolSize 60', 'PooledProxyHostLimit 0', 'PooledProxyBackendCapacity 60'));
exceeds('a handler', 'api: 60 (PooledProxyPoolSize, AT) + front.test:PORT: 100 (default) = 160 > 100',
    config => "$api<Location /h>\nSetHandler pooledproxy:http://one:81\n</Location>\n" . upstream('api', @two, 'PooledProxyPoolSize 60', 'PooledProxyBackendCapacity 100'));
exceeds('a <Location>', 'api: 60 (PooledProxyPoolSize, AT) + front.test:PORT: 100 (default) = 160 > 100',
    config => "$api<Location /h>\nPooledProxyPass http://one:81\n</Location>\n" . upstream('api', @two, 'PooledProxyPoolSize 60', 'PooledProxyBackendCapacity 100'));

my $second = upstream('second', 'PooledProxyServer http://two:82/x', 'PooledProxyServer http://three/', 'PooledProxyPoolSize 30');
exceeds('another upstream', 'api: 60 (PooledProxyPoolSize, AT) + second: 30 (PooledProxyPoolSize, AT) = 90 > 80',
    config => $api . "PooledProxyPass /2 upstream://second/\n$second" . upstream('api', @two, 'PooledProxyPoolSize 60', 'PooledProxyBackendCapacity 80'));

# Several virtual hosts, with routes of the main server: each has a pool of its own.
my $shared = upstream('api', @two, 'PooledProxyPoolSize 60', 'PooledProxyBackendCapacity 200');
my $www    = "<VirtualHost 127.0.0.1:\$PORT>\nServerName www.test\nPooledProxyPoolSize 50\n</VirtualHost>\n";
exceeds('pools of several virtual hosts',
    'api: 60 (PooledProxyPoolSize, AT) + www.test:PORT: 50 (PooledProxyPoolSize, AT) + front.test:PORT: 100 (default) + '
      . 'admin.test:ADMIN_PORT: 100 (default) = 310 > 200',
    main_config => $shared . "PooledProxyPass /m http://one:81/", vhosts => $www, config => $api);
fits('a virtual host that is switched off',
    main_config => $shared, vhosts => $www =~ s{^</}{PooledProxy Off\nPooledProxyPass / http://one:81/\n</}mr, config => $api . $other);
exceeds('... and when it is on',
    'api: 60 (PooledProxyPoolSize, AT) + www.test:PORT: 50 (PooledProxyPoolSize, AT) + front.test:PORT: 100 (default) = 210 > 200',
    main_config => $shared, vhosts => $www =~ s{^</}{PooledProxyPass / http://one:81/\n</}mr, config => $api . $other);
fits('the main server, when all that listens is for virtual hosts', main_config => "${shared}PooledProxyHostLimit 60\nPooledProxyPass /m http://one:81/", config => $api);
exceeds('the main server, when it has a port of its own',
    'api: 60 (PooledProxyPoolSize, AT) + ' . join('', map { "$_: 60 (PooledProxyHostLimit, AT) + " } qw(front.test:0 front.test:PORT))
      . 'admin.test:ADMIN_PORT: 60 (PooledProxyHostLimit, AT) = 240 > 200',
    main_config => "${shared}PooledProxyHostLimit 60\nListen 127.0.0.1:1\nPooledProxyPass /m http://one:81/", config => $api);

# Limits that contradict each other.
sub refused {
    my ($config, $message) = @_;
    my ($ok, $output) = configtest(config => "PooledProxyPass /h http://h/\n$config");
    ok(!$ok, 'refused: ' . $config =~ s/\n/ | /gr);
    like($output, qr/\Q$message\E/, '... saying why');
    return;
}
refused('PooledProxyIdleMin 101', 'AT: PooledProxyIdleMin 101 is more than PooledProxyPoolSize 100 (default) of front.test:');
refused("PooledProxyIdleMin 6\nPooledProxyPoolSize 5", 'AT: PooledProxyIdleMin 6 is more than PooledProxyPoolSize 5 (AT) of front.test:');
refused("PooledProxyIdleMin 6\nPooledProxyIdleMax 5", '; accepted: 0 to 5');
refused("PooledProxyIdleMin 6\n" . upstream('api', @one, 'PooledProxyIdleMax 3') . $api, 'PooledProxyIdleMin 6 is more than PooledProxyIdleMax 3 (AT) of api');
fits('IdleMin as large as both', config => "PooledProxyPass / http://h/\nPooledProxyIdleMin 5\nPooledProxyIdleMax 5\nPooledProxyPoolSize 5");
fits('IdleMin with any number', config => "PooledProxyPass / http://h/\nPooledProxyIdleMin 5\nPooledProxyIdleMax 0");

done_testing();
