# Test::PooledProxy::Source: the project's files, for tests about the source itself.
package Test::PooledProxy::Source;
use strict;
use warnings;
use Exporter 'import';
use File::Find ();
use Test::PooledProxy::Util qw(read_file project_root);

our @EXPORT = qw(root source_files code_of stem_of module_files read_source);

sub root { return project_root() }

# The project's files below these folders, relative to its root, sorted; those whose names match, when a pattern is given.
sub source_files {
    my ($pattern, @folders) = @_;
    my @found;
    my $root = root();
    my $take = sub {
        if (-d && m{/(?:\.git|build|corpus)$}) { $File::Find::prune = 1; return }
        push @found, s{^\Q$root\E/}{}r if -f && /$pattern/;
    };
    File::Find::find({ wanted => $take, no_chdir => 1 }, grep { -e } map { "$root/$_" } @folders);
    return sort @found;
}

sub module_files { return source_files(qr/\.(?:c|h|def)$/, 'mod_pooledproxy') }

sub read_source { return read_file(root() . "/$_[0]") }

# C code without its comments; strings become "".
sub code_of {
    my ($file) = @_;
    my $text = read_source($file);
    $text =~ s{(/\*.*?\*/|//[^\n]*)|("(?:[^"\\\n]|\\.)*")}{defined $2 ? '""' : "\n" x ($1 =~ tr/\n//)}gse;
    return $text;
}

sub stem_of { return $_[0] =~ m{([^/]+?)\.\w+$} ? $1 : $_[0] }

1;
