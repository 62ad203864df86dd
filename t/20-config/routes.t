# Which requests go to a backend, and under which path they arrive there.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== the prefix is replaced by the URL's path, whole segments only
--- config
PooledProxyPass /app http://127.0.0.1:$UPSTREAM_PORT/x
--- upstream
accept
expect GET /x
send 200
expect GET /x/
send 200
expect GET /x/a/b?c=d/e&f=%20
send 200
--- request
GET /app
GET /app/
GET /app/a/b?c=d/e&f=%20
GET /apple
GET /ap
--- error_code: 200 200 200 404 404

=== slashes at the ends of path and URL are taken literally, as ProxyPass does
--- config
PooledProxyPass /both/ http://127.0.0.1:$UPSTREAM_PORT/x/
PooledProxyPass /url http://127.0.0.1:$UPSTREAM_PORT/x/
PooledProxyPass /path/ http://127.0.0.1:$UPSTREAM_PORT/x
PooledProxyPass /none http://127.0.0.1:$UPSTREAM_PORT
PooledProxyPass /bare/ http://127.0.0.1:$UPSTREAM_PORT
--- upstream
accept
expect GET /x/a
send 200
expect GET /x//a
send 200
expect GET /xa
send 200
expect GET /
send 200
expect GET /a
send 200
expect GET /a
send 200
--- request
GET /both/a
GET /url/a
GET /path/a
GET /none
GET /none/a
GET /bare/a
GET /both
--- error_code: 200 200 200 200 200 200 404

=== the first route that matches wins, and ! excludes
--- config
PooledProxyPass /static !
PooledProxyPass /a/b http://127.0.0.1:$UPSTREAM_PORT/first
PooledProxyPass /a http://127.0.0.1:$UPSTREAM_PORT/second
PooledProxyPass /a/c http://127.0.0.1:$UPSTREAM_PORT/never
--- files
>>> static/file.txt
from the disk
--- upstream
accept
expect GET /first/1
send 200 "first"
expect GET /second/c
send 200 "second"
--- request
GET /a/b/1
GET /a/c
GET /static/file.txt
--- error_log_like
httpd\.conf:\d+: PooledProxyPass /a/c has no effect: PooledProxyPass /a \(\S+httpd\.conf:\d+\) comes before it
--- response_body
first
second
from the disk

=== in <Location> the path is left out; it goes before the list
--- config
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/list/
<Location "/loc">
  PooledProxyPass http://127.0.0.1:$UPSTREAM_PORT/location
</Location>
<Location "/loc/files">
  PooledProxyPass !
</Location>
--- files
>>> loc/files/a.txt
from the disk
--- upstream
accept
expect GET /location/a
send 200 "location"
expect GET /list/lock
send 200 "list"
--- request
GET /loc/a
GET /lock
GET /loc/files/a.txt
--- response_body
location
list
from the disk

=== <LocationMatch> takes what its regular expression found
--- config
<LocationMatch "^/user/([^/]+)/(.*)$">
  PooledProxyPass http://127.0.0.1:$UPSTREAM_PORT/$2/of/$1
</LocationMatch>
--- upstream
accept
expect GET /photo%20s/of/me?x
send 200
--- request
GET /user/me/photo%20s?x

=== SetHandler passes the path on as it is, behind the URL's path, in which case matters
--- config
<Location "/api">
  SetHandler "pooledproxy:http://127.0.0.1:$UPSTREAM_PORT"
</Location>
<Location "/deep">
  SetHandler "pooledproxy:http://127.0.0.1:$UPSTREAM_PORT/Base/"
</Location>
--- upstream
accept
expect GET /api/a%20b?c
send 200
expect GET /Base/deep/a
send 200
--- request
GET /api/a%20b?c
GET /deep/a

=== a handler works from RewriteRule too
--- modules: rewrite
--- config
RewriteEngine On
RewriteCond %{HTTP:X-Go} yes
RewriteRule ^/go - [H=pooledproxy:http://127.0.0.1:$UPSTREAM_PORT/Went]
--- upstream
accept
expect GET /Went/go/1
send 200
--- request
GET /go/1
X-Go: yes

=== RewriteRule [PT] changes the path before it is routed
--- modules: rewrite
--- config
RewriteEngine On
RewriteRule ^/old/(.*) /new/$1 [PT]
PooledProxyPass /new http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET //a
send 200
--- request
GET /old/a

=== PooledProxyPassMatch puts in what was found, or appends the path
--- config
PooledProxyPassMatch ^/img/(.*)\.gif$ http://127.0.0.1:$UPSTREAM_PORT/pictures/$1.png
PooledProxyPassMatch \.php$ !
PooledProxyPassMatch ^/app/ http://127.0.0.1:$UPSTREAM_PORT/base
--- upstream
accept
expect GET /pictures/a/b%20c.png?q
send 200
expect GET /base/app/x
send 200
--- request
GET /img/a/b%20c.gif?q
GET /app/x
GET /app/x.php
--- error_code: 200 200 404

=== what httpd has decoded is escaped again, nothing twice
--- config
PooledProxyPass /a http://127.0.0.1:$UPSTREAM_PORT/b%20b
--- upstream
accept
expect GET /b%20b/%20%25%23%3F%22%3C%C3%A4~;:@&=+$,!*'()
send 200
expect GET /b%20b/%252e%252e/x
send 200
expect GET /b%20b/c
send 200
--- request
GET /a/%20%25%23%3f%22%3c%C3%A4%7E;:@&=+$,!*'()
GET /a/%252e%252e/x
GET /a/b/../c

=== a path can't climb out of its route, however its dots are written; with nocanon neither
--- config
PooledProxyPass /app http://127.0.0.1:$UPSTREAM_PORT/app
PooledProxyPass /raw http://127.0.0.1:$UPSTREAM_PORT/raw nocanon
--- upstream
accept
expect GET /raw/y
send 200
expect GET /raw/z
send 200
--- request
GET /app/../secret
GET /app/%2e%2e/secret
GET /app/.%2E/secret
GET /raw/%2e%2e/secret
GET /raw/x/../y
GET /raw/x/%2e%2e/../raw/z
--- error_code: 404 404 404 404 200 200

=== nocanon passes the path on as it came
--- config
AllowEncodedSlashes NoDecode
PooledProxyPass /raw/ http://127.0.0.1:$UPSTREAM_PORT/x/ nocanon
PooledProxyPassMatch ^/re/(.*)$ http://127.0.0.1:$UPSTREAM_PORT/y/$1 nocanon
--- upstream
accept
expect GET /x/%7e%41%2f%2Fb;c?d=%2e
send 200
expect GET /y/%7e?q
send 200
--- request
GET /raw/%7e%41%2f%2Fb;c?d=%2e
GET /re/%7e?q

=== encoded slashes: refused by default
--- config
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- request
GET /a%2Fb
--- error_code: 404

=== encoded slashes: AllowEncodedSlashes NoDecode leaves them as they are
--- config
AllowEncodedSlashes NoDecode
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /a%2Fb%20c
send 200
--- request
GET /a%2Fb%20c

=== encoded slashes: AllowEncodedSlashes On decodes them
--- config
AllowEncodedSlashes On
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /a/b
send 200
--- request
GET /a%2Fb

=== a query with bytes that can't be sent is refused
--- config
HttpProtocolOptions Unsafe
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- raw_request
GET /?a\x01b HTTP/1.1
Host: front.test
--- error_code: 400

=== a unix socket
--- config
PooledProxyPass /s "unix:$UPSTREAM_SOCKET|http://socket.test/x"
--- upstream
listen unix
accept
expect GET /x/a
expect_header Host: socket.test
send 200
--- request
GET /s/a

=== IPv6
--- config
PooledProxyPass / http://[::1]:$UPSTREAM_PORT/
--- upstream
listen ipv6
accept
expect GET /a
expect_header Host: ~^\[::1\]:\d+$
send 200
--- request
GET /a

=== a named upstream: the server's own path comes first, then the route's
--- config
<PooledProxyUpstream Api>
  PooledProxyServer http://127.0.0.1:$UPSTREAM_PORT/base/
</PooledProxyUpstream>
PooledProxyPass /a upstream://api/x
PooledProxyPass /b upstream://Api/
<Location "/h">
  SetHandler pooledproxy:upstream://Api/
</Location>
--- upstream
accept
expect GET /base/x/1
send 200
expect GET /base//1
send 200
expect GET /base/h/1
send 200
--- request
GET /a/1
GET /b/1
GET /h/1
--- stats
Api.conn_opened 1

=== an upstream of the main server is known in every vhost, and its own pool serves all
--- main_config
<PooledProxyUpstream shared>
  PooledProxyServer http://127.0.0.1:$UPSTREAM_PORT
</PooledProxyUpstream>
--- config
PooledProxyPass /a upstream://shared
--- upstream
accept
expect GET /1
send 200
--- request
GET /a/1
--- stats
shared.conn_opened 1

=== routes of the main server apply in every vhost, after its own
--- main_config
PooledProxyPass /a http://127.0.0.1:$UPSTREAM_PORT/main
PooledProxyPass /b http://127.0.0.1:$UPSTREAM_PORT/main
<Location "/l">
  PooledProxyPass http://127.0.0.1:$UPSTREAM_PORT/location
</Location>
--- config
PooledProxyPass /b http://127.0.0.1:$UPSTREAM_PORT/own
--- upstream
accept
expect GET /main/1
send 200
expect GET /own/1
send 200
expect GET /location/1
send 200
--- request
GET /a/1
GET /b/1
GET /l/1
--- stats
conn_opened 1

=== PooledProxy Off: every route of the vhost declines, files answer
--- config
PooledProxy Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
<Location "/h">
  SetHandler pooledproxy:http://127.0.0.1:$UPSTREAM_PORT/
</Location>
--- files
>>> a.txt
from the disk
>>> h/b.txt
from the disk as well
--- upstream
--- request
GET /a.txt
GET /h/b.txt
--- response_body
from the disk
from the disk as well

=== PooledProxy On in a vhost overrides Off in the main server
--- main_config
PooledProxy Off
--- config
PooledProxy On
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /a
send 200
--- request
GET /a

=== Alias does not take a path away from a route
--- modules: alias
--- config
Alias /a $DOCROOT
PooledProxyPass /a http://127.0.0.1:$UPSTREAM_PORT/x
--- upstream
accept
expect GET /x/f
send 200
--- request
GET /a/f

=== a subrequest is routed too
--- modules: include
--- config
PooledProxyPass /back http://127.0.0.1:$UPSTREAM_PORT/
<Location "/page.shtml">
  SetOutputFilter INCLUDES
  Options +Includes
</Location>
--- files
>>> page.shtml
before <!--#include virtual="/back/part" --> after
--- upstream
accept
expect GET //part
expect_no_header If-None-Match
send 200 "part"
--- request
GET /page.shtml
If-None-Match: "x"
--- response_body
before part after

=== TRACE is httpd's
--- config
TraceEnable Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- request
TRACE /a
--- error_code: 405
