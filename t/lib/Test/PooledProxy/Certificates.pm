# Test::PooledProxy::Certificates: an authority of a test's own, and certificates by it, made with openssl in a directory.
package Test::PooledProxy::Certificates;
use strict;
use warnings;
use Test::PooledProxy::Util qw(write_file);

# new(DIR [, NAME]): makes the authority NAME (default: "ca").
sub new {
    my ($class, $dir, $name) = @_;
    my $self = bless { dir => $dir, name => $name // 'ca' }, $class;
    my ($cert, $key) = map { $self->path("$self->{name}.$_") } qw(pem key);
    openssl(qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2), '-subj', "/CN=authority $self->{name}",
        '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=keyCertSign,cRLSign', '-keyout', $key, '-out', $cert);
    $self->{cert} = $cert;
    $self->{key}  = $key;
    return $self;
}

sub path { my ($self, $name) = @_; return "$self->{dir}/$name" }
sub cert { return $_[0]{cert} }

sub openssl {
    my (@args) = @_;
    open my $out, '-|', 'sh', '-c', 'exec openssl "$@" 2>&1', 'openssl', @args or die "openssl: $!\n";
    my $said = do { local $/ = undef; <$out> };
    close $out or die "openssl @args: $said\n";
    return $said;
}

# leaf(NAME, san => "DNS:a.test,IP:127.0.0.1" (or "DER:..."), days => 2, self_signed => bool): NAME.pem, NAME.key; returns their paths.
sub leaf {
    my ($self, $name, %args) = @_;
    my ($cert, $key, $request, $extensions) = map { $self->path("$name.$_") } qw(pem key csr ext);
    openssl(qw(req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes), '-subj', "/CN=$name", '-keyout', $key, '-out', $request);
    write_file($extensions, "basicConstraints=CA:FALSE\n" . ($args{san} ? "subjectAltName=$args{san}\n" : ''));
    my @signer = $args{self_signed} ? ('-signkey', $key) : ('-CA', $self->{cert}, '-CAkey', $self->{key});
    openssl(qw(x509 -req -in), $request, @signer, '-days', $args{days} // 2, '-extfile', $extensions, '-out', $cert);
    return ($cert, $key);
}

# A list of what is revoked, with these certificates on it; returns its path.
sub crl {
    my ($self, @revoked) = @_;
    my ($conf, $index, $crl) = map { $self->path("$self->{name}-crl.$_") } qw(cnf txt pem);
    write_file($index, '');
    write_file($conf, "[ca]\ndefault_ca=this\n[this]\ndatabase=$index\ndefault_md=sha256\ndefault_crl_days=5\n");
    my @by = ('-config', $conf, '-cert', $self->{cert}, '-keyfile', $self->{key});
    openssl('ca', @by, '-revoke', $_) for @revoked;
    openssl('ca', @by, '-gencrl', '-out', $crl);
    return $crl;
}

1;
