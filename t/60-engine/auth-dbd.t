# P25: passwords in a database that does not answer: who must log in waits, on a worker; the only loop goes on serving others.
use strict;
use warnings;
use File::Temp qw(tempdir);
use IO::Select;
use IPC::Open2;
use MIME::Base64 qw(encode_base64);
use Test::More;
use Test::PooledProxy::Child qw(settles ends_clean answers_at_once);
use Test::PooledProxy::Config;
use Test::PooledProxy::Setup;

plan skip_all => 'sqlite3 is not installed' if !grep { -x "$_/sqlite3" } split /:/, $ENV{PATH};

my $dir = tempdir(CLEANUP => 1);
chmod 0777, $dir;
my $db  = "$dir/users.db";
my $sha = '{SHA}SBgazSKz7a68ikR4aKfffOYpkgo=';    # "bob"

sub sqlite {
    my (@lines) = @_;
    my $pid = open2(my $out, my $in, 'sqlite3', $db);
    print {$in} map { "$_\n" } @lines, "select 'ready';";
    $in->flush;
    my $line = IO::Select->new($out)->can_read(5) ? readline $out : undef;
    return { pid => $pid, in => $in, out => $out, line => $line // '' };
}

sub sqlite_end {
    my ($sqlite) = @_;
    print { $sqlite->{in} } "commit;\n" if $sqlite->{locked};
    close $sqlite->{in};
    waitpid $sqlite->{pid}, 0;
    return;
}

my $made = sqlite('create table users(name text, password text);', "insert into users values('bob', '$sha');");
is($made->{line}, "ready\n", 'the database is made');
sqlite_end($made);
chmod 0666, $db;

my $setup = Test::PooledProxy::Setup->new(
    backend     => 1,
    modules     => [qw(dbd authn_core auth_basic authn_dbd authz_user)],
    main_config => "DBDriver sqlite3\nDBDParams $db\n",
    timeout     => 20,
    config      => <<'END',
<Location /secret/>
    AuthType Basic
    AuthName secret
    AuthBasicProvider dbd
    AuthDBDUserPWQuery "SELECT password FROM users WHERE name = %s"
    Require valid-user
</Location>
PooledProxyPass /secret/ http://127.0.0.1:$BACKEND_PORT/
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
END
)->start;

sub login { return (Authorization => 'Basic ' . encode_base64("bob:$_[0]", '')) }

my $client = $setup->client;
is($client->get('/bytes?n=3')->{status}, 200, 'a request that needs no password');
is($client->get('/secret/bytes?n=3', login('wrong'))->{status}, 401, 'a wrong password on the same connection');
is($client->get('/secret/bytes?n=3', login('bob'))->{status},   200, 'the right one');

my $lock = sqlite('begin exclusive;');
$lock->{locked} = 1;
is($lock->{line}, "ready\n", 'the database is locked');
is($client->get('/bytes?n=3')->{status}, 200, 'the connection is on the loop again');
$client->send_request(GET => '/secret/bytes?n=3', headers => [login('bob')]);
answers_at_once($setup, '/bytes?n=3', 1, 'another client is answered while the password is looked up');
ok(!IO::Select->new($client->{socket})->can_read(0), '... which still takes its time');
sqlite_end($lock);
like($client->read_response('GET')->{status}, qr/^(?:200|401|500)$/, '... and then is answered');
$client->close;

settles($setup, 3);
ends_clean($setup, qr/AH00656|AH00632|AH01654|AH01618|authn_dbd|Error looking up|password mismatch|AH01617/);
undef $setup;

done_testing();
