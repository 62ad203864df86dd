# Fields on their way through, beyond what the directives say (t/20-config/fields.t): hops, lists, odd and large ones.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== Connection in several fields, with odd spacing and case: what any of them names is dropped
--- upstream
accept
expect GET /
expect_no_header X-One
expect_no_header X-Two
expect_no_header X-Three
expect_header X-Four: 4
send 200
--- dialog
request GET / "Connection: x-one ,, X-TWO\r\nX-One: 1\r\nconnection:X-Three\r\nX-Two: 2\r\nX-Three: 3\r\nX-Three: 3\r\nX-Four: 4"
read_head 200

=== the same on the way back
--- upstream
accept
expect GET /
send_head 200 "Connection: x-one ,, X-TWO\r\nX-One: 1\r\nconnection:X-Three, keep-alive\r\nX-Two: 2\r\nX-Three: 3\r\nX-Three: 3\r\nX-Four: 4\r\nContent-Length: 0"
expect GET /next
send 200
--- request
GET /
GET /next
--- response_headers
1 X-Four: 4
--- response_headers_absent: X-One X-Two X-Three
--- stats
conn_opened 1

=== Connection: close of the client's ends the client's connection, not the backend's
--- upstream
accept
expect GET /one
expect_no_header Connection
send 200 "one"
expect GET /two
send 200 "two"
--- request eval
["GET /one\nConnection: close\n", "GET /two"]
--- response_headers
1 Connection: close
--- response_body
one
two
--- mpm: event worker
--- stats
conn_opened 1
conn_reused 1

=== Connection: close of the backend's ends the backend's connection, not the client's
--- upstream
accept
expect GET /one
send_head 200 "Connection: close\r\nContent-Length: 3"
send_raw "one"
wait_close
accept
expect GET /two
send 200 "two"
--- request
GET /one
GET /two
--- response_headers_absent: Connection
--- response_body
one
two
--- connection: open
--- stats
conn_opened 2
conn_closed_server_says_close 1

=== PooledProxyKeepAlive Off tells the backend
--- config
PooledProxyKeepAlive Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
expect_header Connection: close
send 200 "one"
wait_close
--- request
GET /
--- response_body
one
--- stats
conn_closed_keepalive_off 1

=== fields that come several times: the client's make one list, the backend's stay several, all in their order
--- upstream
accept
expect GET /
expect_header X-List: one, two
expect_header Cookie: a=1; b=2
send_head 200 "Set-Cookie: a=1; Path=/; HttpOnly\r\nVary: Accept\r\nSet-Cookie: b=2\r\nVary: Cookie\r\nSet-Cookie: a=3, and a comma\r\nLink: </1>\r\nLink: </2>\r\nWWW-Authenticate: Basic realm=\"a, b\"\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0"
--- dialog
request GET / "X-List: one\r\nCookie: a=1; b=2\r\nX-List: two"
read_head 200
header Set-Cookie: a=1; Path=/; HttpOnly, b=2, a=3, and a comma
header Vary: ~^Accept, ?Cookie$
header Link: </1>, </2>
header WWW-Authenticate: Basic realm="a, b", Bearer

=== empty values, odd characters in names, white space around values
--- upstream
accept
expect GET /
expect_header X-Empty: ~^$
expect_header X!#$%&'*+.^_`|~9: odd
expect_header X-Spaced: a  b
expect_header X-Latin: ~^caf.$
send_raw "HTTP/1.1 200 OK\r\nX-Empty:\r\nX-Latin: caf\xe9\r\nX!#$%&'*+.^_`|~9: odd\r\nX-Spaced:\t a  b \t\r\nx-lower: yes\r\nContent-Length: 0\r\n\r\n"
--- dialog
send "GET / HTTP/1.1\r\nHost: front.test\r\nX-Empty:\r\nX-Latin: caf\xe9\r\nX!#$%&'*+.^_`|~9: odd\r\nX-Spaced:\t a  b \t\r\n\r\n"
read_head 200
header X-Empty: ~^$
header X-Latin: ~^caf.$
header X!#$%&'*+.^_`|~9: odd
header X-Spaced: a  b
header x-lower: yes

=== reasons: odd, empty, missing altogether
--- upstream
accept
expect GET /1
send_raw "HTTP/1.1 200 All is (really) well!\r\nContent-Length: 0\r\n\r\n"
expect GET /2
send_raw "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"
expect GET /3
send_raw "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n"
expect GET /4
send_raw "HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n"
expect GET /5
send_raw "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n"
--- request
GET /1
GET /2
GET /3
GET /4
GET /5
--- error_code: 200 200 404 599 418
--- stats
conn_opened 1
requests_failed 0

=== an answer without Date gets one; without Server none is made up
--- upstream
accept
expect GET /
send 200
--- request
GET /
--- response_headers
Date: ~^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$

=== 30 KB of fields each way
--- config
LimitRequestFieldSize 32000
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream eval
"accept\nexpect GET /\nexpect_header X-Large: " . 'x' x 30_000 . "\nsend_head 200 \"X-Large: " . 'y' x 30_000 . "\\r\\nContent-Length: 0\"\n"
--- request eval
"GET /\nX-Large: " . 'x' x 30_000 . "\n"
--- response_headers eval
"X-Large: " . 'y' x 30_000

=== 90 fields each way
--- upstream eval
"accept\nexpect GET /\nexpect_header X-89: 89\nsend_head 200 \"" . CORE::join('', map { "X-$_: $_\\r\\n" } 1 .. 190) . "Content-Length: 0\"\n"
--- request eval
"GET /\n" . CORE::join('', map { "X-$_: $_\n" } 1 .. 89)
--- response_headers
X-190: 190

=== Host with a port, an IPv6 address
--- config
PooledProxyPreserveHost On
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /port
expect_header Host: front.test:8080
expect_header X-Forwarded-Host: front.test:8080
send 200
expect GET /v6
expect_header Host: [::1]:80
send 200
--- request eval
["GET /port\nHost: front.test:8080\n", "GET /v6\nHost: [::1]:80\n"]

=== an HTTP/1.0 client without Host
--- config
PooledProxyPreserveHost On
PooledProxyForwarded both
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
expect_header Host: ~^127\.0\.0\.1:\d+$
expect_no_header X-Forwarded-Host
expect_header Forwarded: for=127.0.0.1;proto=http
expect_header Via: 1.0 front.test
send 200
--- dialog
send "GET / HTTP/1.0\r\n\r\n"
read_head 200

=== mod_remoteip's client is the one that the backend is told about
--- modules: remoteip
--- config
RemoteIPHeader X-Real-IP
RemoteIPInternalProxy 127.0.0.1
PooledProxyForwarded both
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
expect_header X-Forwarded-For: 192.0.2.7
expect_header Forwarded: ~for=192\.0\.2\.7;
expect_no_header X-Real-IP
send 200
expect GET /v6
expect_header X-Forwarded-For: 2001:db8::7
expect_header Forwarded: ~for="\[2001:db8::7\]";
send 200
--- request eval
["GET /\nX-Real-IP: 192.0.2.7\n", "GET /v6\nX-Real-IP: 2001:db8::7\n"]

=== mod_headers has the last word on the answer
--- modules: headers
--- config
Header set X-Added yes
Header unset X-Secret
Header edit Set-Cookie ^(.*)$ "$1; Secure"
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
send_head 200 "X-Secret: 1\r\nSet-Cookie: a=b\r\nContent-Length: 0"
--- request
GET /
--- response_headers
X-Added: yes
Set-Cookie: a=b; Secure
--- response_headers_absent: X-Secret

=== ErrorDocument is for our own errors, not for the backend's
--- config
ErrorDocument 404 "ours"
ErrorDocument 502 "the backend is down"
PooledProxyPass /down http://127.0.0.1:$CLOSED_PORT/
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /missing
send 404 "theirs"
--- request
GET /missing
GET /down
--- error_code: 404 502
--- response_body
theirs
the backend is down
--- error_log
connect_refused

=== cookies: several, attributes in any case and order, what matches nothing stays
--- config
PooledProxyPass /app http://127.0.0.1:$UPSTREAM_PORT/x
PooledProxyCookieDomain back.test front.test
PooledProxyCookiePath /x /app
--- upstream
accept
expect GET /x/
send_head 200 "Set-Cookie: a=Path=/x; PATH=/x/y; secure; domain=.BACK.test\r\nSet-Cookie: b=2; Domain=other.test; Path=/z; Max-Age=5\r\nSet-Cookie: c=3\r\nContent-Length: 0"
--- request
GET /app/
--- response_headers
Set-Cookie: ~^a=Path=/x; PATH=/app(?:/y)?; secure; domain=front\.test, b=2; Domain=other\.test; Path=/z; Max-Age=5, c=3$

=== answers to Range go through as they are
--- upstream
accept
expect GET /file
expect_header Range: bytes=2-4
expect_header If-Range: "v1"
send_head 206 "Content-Range: bytes 2-4/10\r\nContent-Length: 3"
send_raw "234"
expect GET /file
send_head 416 "Content-Range: bytes */10\r\nContent-Length: 0"
--- request eval
["GET /file\nRange: bytes=2-4\nIf-Range: \"v1\"\n", "GET /file\nRange: bytes=20-\n"]
--- error_code: 206 416
--- response_headers
1 Content-Range: bytes 2-4/10
2 Content-Range: bytes */10
--- response_body
234

=== conditional requests are the backend's to judge
--- upstream
accept
expect GET /file
expect_header If-None-Match: "v1"
send_head 304 "ETag: \"v1\"\r\nCache-Control: max-age=5"
expect GET /file
expect_header If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT
send_head 200 "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 3"
send_raw "new"
--- request eval
["GET /file\nIf-None-Match: \"v1\"\n", "GET /file\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\n"]
--- error_code: 304 200
--- response_headers
1 ETag: "v1"
1 Cache-Control: max-age=5
2 Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT
--- response_body
new
