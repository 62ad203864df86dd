# Every directive is documented, every documented directive exists, every setting takes part in inheritance.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Source;

my @files = grep { /mod_pooledproxy(?:_conf\w*\.c|_\w+\.def)$/ } module_files();
my $text  = join "\n", map { read_source($_) } @files;

# "PooledProxyX" in AP_INIT_...(...) and in the rows of the lists, PP_POOL(member, "PooledProxyX", ...)
my %directives = map { $_ => 1 } $text =~ /\b(?:AP_INIT_\w+|PP_\w+)\((?:\s*\w+,)?\s*"<?(PooledProxy\w*)"/g;
cmp_ok(scalar keys %directives, '>', 5, 'directives are found in the source');

subtest 'every directive is documented' => sub {
    my $docs = read_source('docs/directives.md');
    plan skip_all => 'there is no docs/directives.md' if $docs eq '';
    like($docs, qr/(?<!\w)$_(?!\w)/, $_) for sort keys %directives;
};

subtest 'every directive that is written about exists' => sub {
    my @written = grep { -e root() . "/$_" } 'README.md', source_files(qr/\.(?:md|conf)$/, 'docs', 'conf-examples');
    plan skip_all => 'there are no documents' if !@written;
    for my $file (@written) {
        my %unknown = map { $_ => 1 } grep { !$directives{$_} } read_source($file) =~ /(?<![\w:])(PooledProxy[A-Z]\w*)(?!\w)/g;
        is(join(' ', sort keys %unknown), '', $file);
    }
};

# What belongs to one server or section alone, or is worked out after merging.
my %not_inherited = map { $_ => 1 } qw(server blocks location_routes open_block pool has_routes location);

subtest 'every setting is merged' => sub {
    my $code   = join "\n", map { code_of($_) } grep { /\.c$/ } @files;
    my $merges = join "\n", $code =~ /^\w[^\n;]*\b\w*(?:merge|overlay)\w*\([^;{]*\)\s*\{\n(.*?)^\}/gms;
    my %rows   = map { $_ => 1 } $text =~ /^PP_\w+\((\w+),/mg;
    my $header = code_of('mod_pooledproxy/mod_pooledproxy_conf.h');
    for my $struct (qw(pp_request_settings_t pp_server_conf_t pp_dir_conf_t)) {
        my ($members) = $header =~ /typedef struct $struct \{(.*?)\n\} $struct;/s or die "no $struct";
        for my $member (grep { !$not_inherited{$_} } $members =~ /(\w+);/g) {
            ok($rows{$member} || $merges =~ /\b$member\b/, "$struct: $member");
        }
    }
};

done_testing();
