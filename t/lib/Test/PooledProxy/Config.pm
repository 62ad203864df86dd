# Test::PooledProxy::Config: the httpd.conf of a block, and where httpd and its modules are.
package Test::PooledProxy::Config;
use strict;
use warnings;
use Test::PooledProxy::Util qw(project_root);

our @log_fields = map { "POOLEDPROXY_$_" }
  qw(UPSTREAM SERVER REUSED REASON ATTEMPTS PROTOCOL T_POOL T_DNS T_CONNECT T_TLS T_FIRST_BYTE T_TOTAL);

my %apxs;

sub apxs {
    my ($name) = @_;
    if (!defined $apxs{$name}) {
        my ($tool) = grep { -x } map { ("$_/apxs", "$_/apxs2") } split /:/, $ENV{PATH};
        $tool or die "apxs is missing: ./build.sh test installs it\n";
        chomp($apxs{$name} = `$tool -q $name`);
    }
    return $apxs{$name};
}

sub httpd_program { return apxs('SBINDIR') . '/' . apxs('PROGNAME') }
sub modules_dir   { return apxs('LIBEXECDIR') }
sub httpd_version { return apxs('HTTPD_VERSION') || (`${\httpd_program()} -v` =~ m{Apache/(\S+)})[0] }
sub mpm           { return $ENV{MPM} || 'event' }

# The module under test; undef: none (POOLEDPROXY_SO=none), for blocks about the harness itself.
sub module_path {
    if (!defined $ENV{POOLEDPROXY_SO}) {
        chomp($ENV{POOLEDPROXY_SO} = `${\project_root()}/build.sh path`);
    }
    return $ENV{POOLEDPROXY_SO} eq 'none' ? undef : $ENV{POOLEDPROXY_SO};
}

my %mpm_settings = (
    event   => "StartServers 1\nServerLimit 1\nThreadsPerChild 16\nMaxRequestWorkers 16\nMinSpareThreads 1\nMaxSpareThreads 16\n",
    worker  => "StartServers 1\nServerLimit 1\nThreadsPerChild 16\nMaxRequestWorkers 16\nMinSpareThreads 1\nMaxSpareThreads 16\n",
    prefork => "StartServers 4\nMinSpareServers 2\nMaxSpareServers 16\nServerLimit 32\nMaxRequestWorkers 32\n",
);

sub load_module {
    my ($name) = @_;
    return '' if `${\httpd_program()} -l` =~ /\bmod_$name\.c\b/;
    return "LoadModule ${name}_module ${\modules_dir()}/mod_$name.so\n";
}

# The whole configuration. settings: config, main_config, vhosts, modules (list of names), mpm_config, tls (bool).
sub text {
    my ($httpd, $settings) = @_;
    my $module = module_path();
    my %seen;
    my @modules = grep { !$seen{$_}++ } 'mpm_' . mpm(), qw(authz_core), @{ $settings->{modules} || [] }, $settings->{tls} ? qw(ssl socache_shmcb) : ();
    return join "\n",
      join('', map { load_module($_) } @modules) . ($module ? "LoadModule pooledproxy_module $module" : ''),
      basics($httpd),
      $settings->{mpm_config} // $mpm_settings{ mpm() },
      logs($httpd, $module),
      $settings->{tls} ? qq{SSLSessionCache "shmcb:$httpd->{dir}/tls-sessions(512000)"} : (),
      $settings->{main_config} // '',
      admin_host($httpd, $module),
      front_host($httpd, $settings),
      $settings->{vhosts} // '', '';
}

sub basics {
    my ($httpd) = @_;
    my $user = $> == 0 ? "User www-data\nGroup www-data\n" : '';
    return <<"END";
ServerRoot "$httpd->{dir}"
DefaultRuntimeDir "$httpd->{dir}"
PidFile "$httpd->{dir}/httpd.pid"
ServerName front.test
${user}Listen 127.0.0.1:$httpd->{port}
Listen 127.0.0.1:$httpd->{admin_port}
DocumentRoot "${\$httpd->docroot}"
GracefulShutdownTimeout 10
END
}

sub logs {
    my ($httpd, $module) = @_;
    my $fields = join ' ', map { "$_=%{$_}e" } @log_fields;
    my $level = 'warn' . ($module ? ' pooledproxy:debug' : '');
    return <<"END";
ErrorLog "${\$httpd->error_log_path}"
ErrorLogFormat "[%{u}t] [%-m:%l] [pid %P:tid %T] [%L] %M"
LogLevel $level
LogFormat "%m %U%q %>s $fields" pooledproxy
END
}

sub admin_host {
    my ($httpd, $module) = @_;
    my $status = $module ? qq{<Location "/pooledproxy-status">\nSetHandler pooledproxy-status\n</Location>} : '';
    return <<"END";
<VirtualHost 127.0.0.1:$httpd->{admin_port}>
ServerName admin.test
ErrorDocument 404 "generation $httpd->{generation} of $httpd->{dir}"
$status
</VirtualHost>
END
}

sub front_host {
    my ($httpd, $settings) = @_;
    my $tls = $settings->{tls} ? qq{SSLEngine on\nSSLCertificateFile "$settings->{tls}{cert}"\nSSLCertificateKeyFile "$settings->{tls}{key}"} : '';
    return <<"END";
<VirtualHost 127.0.0.1:$httpd->{port}>
ServerName front.test
CustomLog "${\$httpd->access_log_path}" pooledproxy
$tls
$settings->{config}
</VirtualHost>
END
}

1;
