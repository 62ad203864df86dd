# Uploads over TLS: mod_ssl hands out pieces that all lie in one buffer of its own; none may be lost to the next.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Checks;
use Test::PooledProxy::Setup;

my $setup = Test::PooledProxy::Setup->new(tls => 1, backend => 1)->start;
my $text  = join '', map { sprintf '%09d ', $_ } 1 .. 100_000;

for my $size (5_000, 30_000, 60_000, 200_000, 1_000_000) {
    my $body = substr $text, 0, $size;
    my $client = $setup->client;
    for my $framing ('a length', 'chunks') {
        my @sent = $framing eq 'chunks'
          ? (headers => ['Transfer-Encoding' => 'chunked'], body => sprintf("%x\r\n%s\r\n0\r\n\r\n", $size, $body))
          : (body => $body);
        my $echo = $client->send_request(POST => '/echo', @sent)->read_response('POST');
        my ($got) = $echo->{body} =~ /\n\n(.*)\z/s;
        ok($got eq $body, "$size bytes with $framing arrive as they were sent") || diag($echo->{status} . ' ' . length($got // ''));
    }
}

Test::PooledProxy::Checks->new(block => {}, setup => $setup, responses => [])->unexpected_log;
is(join("\n", $setup->stop), '', 'httpd stops');
done_testing();
