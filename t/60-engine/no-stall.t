# P25: what may block runs on a worker thread: while it takes its time, the only loop goes on serving others.
use strict;
use warnings;
use Test::More;
use Test::PooledProxy::Child qw(settles ends_clean);
use Test::PooledProxy::Setup;

my $setup = Test::PooledProxy::Setup->new(
    backend     => 1,
    modules     => [qw(ratelimit env ext_filter auth_basic authn_core authn_file authz_user)],
    main_config => "PooledProxyEventLoops 1\n",
    timeout     => 20,
    files       => {
        # bcrypt, 2^14 rounds: most of a second of computing
        passwords => 'bob:$2y$14$abcdefghijklmnopqrstuu4o3hlRixKttHLfmecs7y.2ocGAw4B.C' . "\n",
        'slow.sh' => "sleep 1; exec cat\n",
    },
    config => <<'END',
ExtFilterDefine slow mode=output cmd="/bin/sh $DOCROOT/slow.sh"
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
<Location /bytes>
    SetOutputFilter RATE_LIMIT
    SetEnv rate-limit 20
</Location>
<Location /echo>
    SetOutputFilter slow
</Location>
<Location /sink>
    AuthType Basic
    AuthName secret
    AuthUserFile $DOCROOT/passwords
    Require valid-user
</Location>
END
)->start;

# The slow request is the second on its connection: the first would begin on a worker in any case. Not more than `early` bytes of its
# answer may be there before the others have had theirs.
sub goes_on_while {
    my ($name, $early, $path, $wanted, @headers) = @_;
    my $slow = $setup->client;
    my $quick = $setup->client;
    is($_->get('/status')->{status}, 200, "$name: a connection that the loop reads") for $slow, $quick;
    $slow->send_request(GET => $path, headers => \@headers);
    is($quick->get('/status')->{status}, 200, '... another client is answered') for 1 .. 50;
    my $n = sysread $slow->{socket}, $slow->{buffer}, 100000;
    cmp_ok($n // 0, '<=', $early, '... 50 times before the slow answer is there');
    my $response = $slow->read_response;
    is($response->{status}, 200, '... which comes, too');
    like($response->{body}, $wanted, '... and is right');
    return;
}

goes_on_while('mod_ratelimit', 50000, '/bytes?n=60000', qr/^(?:0123456789abcdef){3750}$/);
goes_on_while('mod_ext_filter', 0, '/echo', qr{^GET /echo\n});
goes_on_while('a slow password', 0, '/sink', qr/^0$/, Authorization => 'Basic Ym9iOmJvYg==');
settles($setup, 3);
ends_clean($setup);
undef $setup;

done_testing();
