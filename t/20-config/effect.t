# What is written and has no effect is warned about, with file and line, why and what to do; and nothing else is.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Config;
use Test::PooledProxy::Setup;
use Test::PooledProxy::Util qw(read_file);

# The warnings, with HERE for the place of the line that ends with "#!", and AT for all others.
sub warnings_of {
    my ($config, %args) = @_;
    my %text  = (config => $config, %args);
    my ($marked) = map { /^(.*?) *#!$/m } grep { !ref } values %text;
    my $setup = Test::PooledProxy::Setup->new(map { $_ => ref $text{$_} ? $text{$_} : $text{$_} =~ s/ *#!$//mgr } keys %text);
    my ($ok, $output) = $setup->configtest;
    ok($ok, 'accepted: ' . $config =~ s/\n/ | /gr) or diag($output);
    my @lines = split /\n/, read_file($setup->httpd->dir . '/httpd.conf');
    $setup->stop;
    my ($here) = defined $marked ? reverse grep { $lines[ $_ - 1 ] eq $marked } 1 .. @lines : ();
    return map { s{[^\s(]*/httpd\.conf:(\d+)}{$1 == ($here // 0) ? 'HERE' : 'AT'}ger } grep { $_ ne 'Syntax OK' } split /\n/, $output;
}

sub warned {
    my ($config, $warning, %args) = @_;
    is(join("\n", warnings_of($config, %args)), "HERE: $warning", '... with a warning');
    return;
}

sub quiet {
    my ($config, %args) = @_;
    is(join("\n", warnings_of($config, %args)), '', '... without a warning');
    return;
}

my $route  = "PooledProxyPass /h http://h/\n";
my $server = "PooledProxyServer http://h/\n";
sub upstream { my ($name, $text) = @_; return "<PooledProxyUpstream $name>\n$server$text</PooledProxyUpstream>\n" }
sub api { return "PooledProxyPass /api upstream://api/\n" . upstream('api', $_[0]) }

# ---- settings that others make ineffective ----

my $not_kept = 'no connection is kept, by PooledProxyKeepAlive Off (AT); remove one of the two';
for my $setting ('KeepAliveTimeout 10s', 'IdleMax 5', 'IdleMin 5', 'MaxAge 10min', 'MaxRequests 100') {
    my ($name) = $setting =~ /^(\w+)/;
    warned("${route}PooledProxyKeepAlive Off\nPooledProxy$setting #!", "PooledProxy$name has no effect: $not_kept");
    warned(api("PooledProxyKeepAlive Off\nPooledProxy$setting #!\n"), "PooledProxy$name has no effect: $not_kept");
    quiet("PooledProxyKeepAlive Off\n" . api("PooledProxyKeepAlive On\nPooledProxy$setting\n") . $route);
    quiet("PooledProxyKeepAlive Off\n$route", main_config => "PooledProxy$setting", vhosts => "<VirtualHost 127.0.0.1:\$PORT>\nServerName other.test\n$route</VirtualHost>");
    warned("PooledProxyKeepAlive Off\n$route", "PooledProxy$name has no effect: $not_kept", main_config => "PooledProxy$setting #!");
}
quiet("${route}PooledProxyKeepAlive Off\nPooledProxy$_") for 'IdleMax 0', 'IdleMin 0', 'MaxAge 0', 'MaxRequests 0';
quiet("${route}PooledProxyKeepAlive Off");

my $size_of_pool = 'allows no more for all hosts together; make it smaller than that';
warned("${route}PooledProxyHostLimit 100 #!", "PooledProxyHostLimit has no effect: PooledProxyPoolSize 100 (default) $size_of_pool");
warned("${route}PooledProxyPoolSize 5\nPooledProxyHostLimit auto:5-9 #!", "PooledProxyHostLimit has no effect: PooledProxyPoolSize 5 (AT) $size_of_pool");
quiet("${route}PooledProxyHostLimit $_") for 0, 99, 'auto', 'auto:99-200';
quiet(api("PooledProxyPoolSize 20\n") . "${route}PooledProxyHostLimit 50");

my $size_of_servers = 'allows no more for all servers together; make it smaller than that';
sub limited { return "PooledProxyPass /api upstream://api/\n<PooledProxyUpstream api>\n${server}PooledProxyServer http://i/ limit=20$_[0]\n$_[1]</PooledProxyUpstream>\n" }
warned(limited(' #!', "PooledProxyPoolSize 20\n"), "PooledProxyServer http://i/ limit=20 has no effect: PooledProxyPoolSize 20 (AT) $size_of_servers");
quiet(limited('', "PooledProxyPoolSize 21\n"));
quiet(limited('', "PooledProxyPoolSize 20\nPooledProxyHostLimit 5\n")); # it lifts that one
quiet(limited('', "PooledProxyPoolSize 20\nPooledProxyHostLimit auto\n"));

my $no_names = 'are addresses and sockets, no names; remove it';
my $address  = "PooledProxyPass /k http://127.0.0.1/\nPooledProxyPass /i http://[::1]/\nPooledProxyPass /j unix:/s|http://h/\n";
warned("${address}PooledProxyDNSTTL 5s #!", "PooledProxyDNSTTL has no effect: its servers $no_names");
quiet("$address${route}PooledProxyDNSTTL 5s");
quiet("${address}PooledProxyPass /s srv+http://_api._tcp.h/\nPooledProxyDNSTTL 5s");
warned($address, "PooledProxyResolver has no effect: all servers $no_names", main_config => 'PooledProxyResolver 127.0.0.1 #!');
quiet($address . api(''), main_config => 'PooledProxyResolver 127.0.0.1');

my $nobody_waits = 'nobody waits for a connection, by PooledProxyQueue 0 (AT); remove one of the two';
my $no_queue     = "PooledProxyQueue 0\nPooledProxyPoolSize 16\n";
warned("$route${no_queue}PooledProxyTimeout pool=1s read=1s #!", "PooledProxyTimeout pool= has no effect: $nobody_waits");
warned(api("${no_queue}PooledProxyTimeout pool=1s #!\n"), "PooledProxyTimeout pool= has no effect: $nobody_waits");
warned("PooledProxyPass /h http://h/ timeout.pool=1s #!\n$no_queue", "timeout.pool has no effect: $nobody_waits");
quiet("$route${no_queue}PooledProxyTimeout $_") for 'read=1s', 'pool=900ms'; # one that is idle at another loop is waited for
quiet("${route}PooledProxyQueue 0\nPooledProxyTimeout pool=1s"); # there may be more requests than handshakes
quiet(api($no_queue) . "${route}PooledProxyTimeout pool=1s");

# ---- what nobody uses ----

my $not_used = 'no route and no handler leads to a pool that it is for; write it where they lead to, or remove it';
warned('PooledProxyPoolSize 5 #!', "PooledProxyPoolSize has no effect: $not_used");
warned("PooledProxyPass /a upstream://api/\nPooledProxyQueue 5 #!", "PooledProxyQueue has no effect: $not_used", main_config => upstream('api', ''));
warned('PooledProxyPass /a !', "PooledProxyQueue has no effect: $not_used", main_config => 'PooledProxyQueue 5 #!');
quiet("PooledProxyPoolSize 5\n" . api(''));
quiet($route,                  main_config => 'PooledProxyPoolSize 5');
quiet('PooledProxyPoolSize 5', main_config => $route);
quiet("PooledProxyPoolSize 5\n<Location /a>\nSetHandler pooledproxy:http://h/\n</Location>");
quiet('PooledProxyPoolSize 5', main_config => "<Location /a>\nPooledProxyPass http://h/\n</Location>");
quiet("PooledProxyPoolSize 5\nPooledProxy Off\n$route");
quiet("PooledProxyPoolSize 5\n<Directory />\nAllowOverride FileInfo\n</Directory>"); # .htaccess may have SetHandler
quiet("PooledProxyPoolSize 5\nRewriteEngine On\nRewriteRule ^/x - [H=%{ENV:BY}]", modules => ['rewrite']);
quiet("PooledProxyPoolSize 5\nRewriteEngine On\nRewriteRule ^/x(.*) - [H=pooledproxy:http://\$1/]", modules => ['rewrite']);

warned("${route}PooledProxyBalance leastconn #!", 'PooledProxyBalance has no effect: it is for a <PooledProxyUpstream>, and none that it is for is in use; '
      . 'write it inside the one that is meant, or remove it');
quiet("PooledProxyBalance leastconn\n" . api(''));
quiet($route . api(''), main_config => 'PooledProxyBalance leastconn');

my $unused = '<PooledProxyUpstream api> has no effect: no route and no handler leads to it; add one to upstream://api/, or remove it';
warned($route . upstream('api', '') =~ s/>\n/> #!\n/r, $unused);
quiet(upstream('api', '') . "<Location /a>\nSetHandler pooledproxy:upstream://API/x\n</Location>");
quiet(upstream('api', '') . "<Location /a>\nPooledProxyPass upstream://API/x\n</Location>");
quiet(upstream('api', '') . "RewriteEngine On\nRewriteRule ^/a - [H=pooledproxy:upstream://api/]", modules => ['rewrite']);
quiet("PooledProxyPass /api upstream://api/", main_config => upstream('api', ''));

# ---- routes ----

sub hidden { my ($first, $second) = @_; return "$second has no effect: $first (AT) comes before it and takes all its requests; put it before that" }
warned("PooledProxyPass $_->[0] http://h/\nPooledProxyPass $_->[1] http://i/ #!", hidden("PooledProxyPass $_->[0]", "PooledProxyPass $_->[1]"))
  for ['/', '/a'], ['/a', '/a'], ['/a', '/a/b'], ['/a/', '/a/b'], ['/a', '/a/'], ['//a', '/a/b'];
quiet("PooledProxyPass $_->[0] http://h/\nPooledProxyPass $_->[1] http://i/") for ['/a', '/'], ['/a/', '/a'], ['/a', '/ab'], ['/a/b', '/a'], ['/a', '/A'];
warned("PooledProxyPass / http://h/\nPooledProxyPass /files ! #!", hidden('PooledProxyPass /', 'PooledProxyPass /files'));
warned("PooledProxyPass /a !\nPooledProxyPass /a/b http://h/ #!",  hidden('PooledProxyPass /a', 'PooledProxyPass /a/b'));
warned("PooledProxyPass / http://h/\nPooledProxyPassMatch ^/x http://h/ #!", hidden('PooledProxyPass /', 'PooledProxyPassMatch ^/x'));
quiet("PooledProxyPass /x http://h/\nPooledProxyPassMatch ^/x http://h/");
quiet("PooledProxyPassMatch ^/ http://h/\nPooledProxyPass /x http://h/");
quiet('PooledProxyPass / http://h/', main_config => 'PooledProxyPass /a http://h/');

# ---- places ----

my $sections = 'routes take requests before directories and files are looked at, and there is no SetHandler pooledproxy:; put it into <Location> or into the virtual host';
for my $section ('Directory /srv', 'DirectoryMatch ^/srv', 'Files x', 'FilesMatch ^x', 'Directory "~" ^/srv') {
    my ($name) = $section =~ /^(\w+)/;
    warned("$route<$section>\nPooledProxyTimeout read=1s #!\n</$name>", "PooledProxyTimeout has no effect in <$name>: $sections");
}
warned("$route<Proxy *>\nPooledProxyForwarded off #!\n</Proxy>", "PooledProxyForwarded has no effect in <Proxy>: $sections", modules => ['proxy']);
warned("$route<Directory /srv>\n<If true>\nPooledProxyPreserveHost On #!\n</If>\n</Directory>", "PooledProxyPreserveHost has no effect in <Directory>: $sections");
my $in_files = "<Files x>\nPooledProxyTimeout read=1s\n</Files>\n";
quiet("$route<$_>\nPooledProxyTimeout read=1s\n</" . s/ .*//r . '>') for 'Location /h', 'LocationMatch ^/h', 'If true';
quiet("$in_files<Location /a>\nSetHandler pooledproxy:http://h/\n</Location>");
quiet("$in_files<Files y>\nSetHandler pooledproxy:http://h/\n</Files>");
quiet($route . $in_files, main_config => "<Location /a>\nSetHandler pooledproxy:http://h/\n</Location>");
quiet($route, main_config => $in_files, vhosts => "<VirtualHost *:1>\nServerName other.test\n<Location /a>\nSetHandler pooledproxy:http://h/\n</Location>\n</VirtualHost>");

# ---- the MPM ----

for my $mpm (grep { -e Test::PooledProxy::Config::modules_dir() . "/mod_mpm_$_.so" } qw(worker prefork)) {
    local $ENV{MPM} = $mpm;
    my $no_async = "PooledProxyAsync On has no effect: the MPM $mpm can't wait for a connection without a thread; the event MPM of httpd 2.4.63 and later can";
    warned("${route}PooledProxyAsync on #!", $no_async);
    warned("$route<Location /h>\nPooledProxyAsync On #!\n</Location>", $no_async);
    quiet("${route}PooledProxyAsync Off");
    quiet($route, main_config => 'PooledProxyEventLoops 1');
    my @said = warnings_of($route, main_config => 'PooledProxyEventLoops 2');
    is("@said", $mpm eq 'worker' ? '' : 'AT: PooledProxyEventLoops 2 has no use: a child of the MPM prefork serves one request at a time; remove it', '... loops');
}

# ---- once ----

subtest 'at the start it is said once, in the error log' => sub {
    my $setup = Test::PooledProxy::Setup->new(config => "PooledProxyPass /h http://h/\nPooledProxyPass /h http://h/")->start;
    my @found = $setup->httpd->error_log =~ /\[pooledproxy:warn\] .*httpd\.conf:\d+: (PooledProxyPass \S+ has no effect)/g;
    is("@found", 'PooledProxyPass /h has no effect', 'the log');
    is(join("\n", $setup->stop), '', 'httpd ends as it should');
};

done_testing();
