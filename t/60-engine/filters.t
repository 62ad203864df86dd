# P25: httpd's own modules around a proxied request: the right bytes, and none of them keeps a loop from serving others.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== mod_deflate
--- backend
--- modules: deflate filter
--- config
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
SetOutputFilter DEFLATE
--- curl
--compressed "$URL/bytes?n=100000"
--- response_length: 100000

=== mod_deflate says what it did
--- backend
--- modules: deflate filter
--- config
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
SetOutputFilter DEFLATE
--- request
GET /bytes?n=100000
Accept-Encoding: gzip
--- response_headers
Content-Encoding: gzip

=== mod_substitute
--- upstream
accept
expect GET /a
send_head 200 "Content-Type: text/html\r\nContent-Length: 18"
send_raw "the backend's text"
expect GET /b
send_head 200 "Content-Type: text/html\r\nTransfer-Encoding: chunked"
send_chunk "one back"
send_chunk "end two"
send_last_chunk
--- modules: substitute filter
--- config
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
AddOutputFilterByType SUBSTITUTE text/html
Substitute "s/backend/front/"
--- request
GET /a
GET /b
--- response_body
the front's text
one front two

=== mod_headers and mod_setenvif, in both directions
--- upstream
accept
expect GET /
expect_header X-From-Front: yes
send_head 200 "X-Secret: 1\r\nContent-Length: 2"
send_raw "ok"
expect GET /special
expect_header X-Special: yes
send 200 "ok"
--- modules: headers setenvif
--- config
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
RequestHeader set X-From-Front yes
SetEnvIf Request_URI "^/special" SPECIAL
RequestHeader set X-Special yes env=SPECIAL
Header unset X-Secret
Header set X-Added here
--- request
GET /
GET /special
--- response_headers
X-Added: here
--- response_headers_absent: X-Secret

=== mod_rewrite before a route, and as one
--- upstream
accept
expect GET /new/thing?x=1
send 200 "rewritten"
expect GET /by/thing
send 200 "by handler"
--- modules: rewrite
--- config
RewriteEngine On
RewriteRule "^/old/(.*)$" "/new/$1?x=1" [PT]
RewriteRule "^/by/" "-" [H=pooledproxy:http://127.0.0.1:$UPSTREAM_PORT]
RewriteRule "^/forbidden" "-" [F]
PooledProxyPass /new/ http://127.0.0.1:$UPSTREAM_PORT/new/
--- request
GET /old/thing
GET /forbidden
GET /by/thing
--- error_code: 200 403 200
--- response_body_like
^rewritten$
^by handler$

=== mod_ratelimit
--- backend
--- modules: ratelimit env
--- config
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
<Location /bytes>
    SetOutputFilter RATE_LIMIT
    SetEnv rate-limit 200
</Location>
--- request
GET /status
GET /bytes?n=100000
GET /status
GET /bytes?n=5
--- response_length
7 100000 7 5
--- stats
conn_opened 1

=== mod_ext_filter
--- backend
--- modules: ext_filter
--- config
ExtFilterDefine upper mode=output cmd="/usr/bin/tr a-f A-F"
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
<Location /bytes>
    SetOutputFilter upper
</Location>
--- request
GET /bytes?n=18
GET /bytes?n=16
GET /status
--- response_body
0123456789ABCDEF01
0123456789ABCDEF
status

=== a filter that blocks, and a body that is still on its way when the answer begins
--- upstream
accept
expect_head POST /both
read 5
send_head 200 "Transfer-Encoding: chunked"
send_chunk "first "
signal answered
read 100005
send_chunk "second"
send_last_chunk
--- modules: ratelimit env
--- config
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
SetOutputFilter RATE_LIMIT
SetEnv rate-limit 200
--- dialog
send "POST /both HTTP/1.1\r\nHost: front.test\r\nContent-Length: 100010\r\n\r\n01234"
await answered
read_head 200
read "first "
send "56789"
send_bytes 100000
read "second"
read_end

=== mod_buffer around the request's body
--- backend
--- modules: buffer
--- config
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
SetInputFilter BUFFER
--- raw_request
POST /sink HTTP/1.1
Host: front.test
Content-Length: 5

hello\
POST /sink HTTP/1.1
Host: front.test
Content-Length: 3

abc\
--- response_body
5
3

=== mod_reqtimeout lets through what comes in time
--- backend
--- modules: reqtimeout
--- config
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
RequestReadTimeout header=2-4,MinRate=500 body=2,MinRate=500
--- pipelined
GET /slow?ms=10&n=3
GET /bytes?n=4
GET /slow?ms=10&n=5
--- response_length
3 4 5

=== mod_reqtimeout ends a body that does not come
--- upstream
accept
expect_head POST /body
read 4
wait_close
--- modules: reqtimeout
--- config
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
RequestReadTimeout header=5 body=1
--- dialog
send "POST /body HTTP/1.1\r\nHost: front.test\r\nContent-Length: 10\r\n\r\nsome"
read_head 408
--- no_error_log
[pooledproxy:error]

=== mod_reqtimeout does not take the wait for the next request as the wait for a body
--- backend
--- modules: reqtimeout
--- main_config
KeepAliveTimeout 10
--- config
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
RequestReadTimeout header=5 body=1
--- dialog
request GET /bytes?n=3
read_head 200
read "012"
read_end
wait 1.5
request GET /bytes?n=4
read_head 200
read "0123"
read_end
wait 1.5
request GET /bytes?n=5
read_head 200

=== nor does it over TLS
--- tls
--- backend
--- modules: reqtimeout
--- main_config
KeepAliveTimeout 10
--- config
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
RequestReadTimeout header=5 body=1
--- dialog
request GET /bytes?n=3
read_head 200
read "012"
read_end
wait 1.5
request GET /bytes?n=4
read_head 200
read "0123"
read_end
wait 1.5
request GET /bytes?n=5
read_head 200

=== mod_remoteip
--- upstream
accept
expect GET /a
expect_header X-Forwarded-For: 192.0.2.7
send 200 "a"
--- modules: remoteip
--- config
RemoteIPHeader X-Client
RemoteIPInternalProxy 127.0.0.1
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- request
GET /a
X-Client: 192.0.2.7

=== mod_remoteip with the PROXY protocol
--- backend
--- modules: remoteip
--- config
RemoteIPProxyProtocol On
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
--- raw_request
PROXY TCP4 192.0.2.7 192.0.2.8 1000 80
GET /bytes?n=3 HTTP/1.1
Host: front.test

GET /bytes?n=4 HTTP/1.1
Host: front.test

\
--- response_body
012
0123

=== mod_cache on disk: the second request does not reach the backend
--- upstream
accept
expect GET /page
send_head 200 "Cache-Control: max-age=60\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nLast-Modified: Mon, 02 Nov 2026 10:00:00 GMT"
send_raw "a 1st"
expect GET /other
send 200 "other"
--- modules: cache cache_disk
--- config
CacheRoot $DIR/logs
CacheEnable disk /page
CacheQuickHandler Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- request
GET /page
GET /page
GET /other
GET /page
--- response_body
a 1st
a 1st
other
a 1st
--- stats
requests 2

=== mod_cache as quick handler
--- upstream
accept
expect GET /page
send_head 200 "Cache-Control: max-age=60\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nLast-Modified: Mon, 02 Nov 2026 10:00:00 GMT"
send_raw "a 1st"
expect GET /other
send 200 "other"
--- modules: cache cache_disk
--- config
CacheRoot $DIR/logs
CacheEnable disk /page
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- request
GET /page
GET /page
GET /other
GET /page
--- response_body
a 1st
a 1st
other
a 1st
--- stats
requests 2

=== authentication by a file
--- upstream
accept
expect GET /open
send 200 "open"
expect GET /secret
expect_header Authorization: Basic Ym9iOmJvYg==
send 200 "secret"
expect GET /open
send 200 "open again"
--- modules: auth_basic authn_core authn_file authz_user
--- files
>>> passwords
bob:{SHA}SBgazSKz7a68ikR4aKfffOYpkgo=
--- config
<Location /secret>
    AuthType Basic
    AuthName secret
    AuthUserFile $DOCROOT/passwords
    Require valid-user
</Location>
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- raw_request
GET /open HTTP/1.1
Host: front.test

GET /secret HTTP/1.1
Host: front.test

GET /secret HTTP/1.1
Host: front.test
Authorization: Basic Ym9iOmJvYg==

GET /secret HTTP/1.1
Host: front.test
Authorization: Basic Ym9iOmFsaWNl

GET /open HTTP/1.1
Host: front.test

\
--- error_code: 200 401 200 401 200
--- response_body_like
^open$
^secret$
^open again$
--- error_log
Password Mismatch
