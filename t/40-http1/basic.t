# The first things: one request after another, every framing, the fields between two connections.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== a finished response returns its connection and the next request reuses it
--- upstream
accept
expect GET /one
send 200 "one"
expect GET /two
send 200 "two"
--- request
GET /one
GET /two
--- response_body
one
two
--- stats
conn_opened 1
conn_reused 1
idle 1
--- env
GET /one POOLEDPROXY_REUSED=0
GET /two POOLEDPROXY_REUSED=1

=== a response to HEAD has no body, whatever its Content-Length says
--- upstream
accept
expect HEAD /file
send_head 200 "Content-Length: 1000"
expect GET /next
send 200 "next"
--- request
HEAD /file
GET /next
--- response_body
next
--- response_headers
1 Content-Length: 1000
2 Content-Length: 4
--- stats
conn_opened 1
conn_reused 1

=== 204 and 304 have no body either
--- upstream
accept
expect DELETE /thing
send_head 204 "X-Gone: yes"
expect GET /thing
send_head 304 "ETag: \"v1\"\r\nContent-Length: 10"
expect GET /next
send 200 "next"
--- request
DELETE /thing
GET /thing
GET /next
--- error_code: 204 304 200
--- response_headers
1 X-Gone: yes
2 ETag: "v1"
--- response_body
next
--- stats
conn_opened 1

=== a chunked response arrives whole and its connection is reused
--- upstream
accept
expect GET /chunks
send_head 200 "Transfer-Encoding: chunked"
send_chunk "first "
send_chunk "second"
send_last_chunk
expect GET /next
send 200 "next"
--- request
GET /chunks
GET /next
--- response_body
first second
next
--- stats
conn_opened 1

=== a response that ends with its connection is whole, and the connection is not reused
--- upstream
accept
expect GET /until-close
send_head 200 "X-Framing: none"
send_raw "all there is"
close
accept
expect GET /next
send 200 "next"
--- request
GET /until-close
GET /next
--- response_body
all there is
next
--- stats
conn_opened 2
conn_closed_answer_until_close 1

=== a body with Content-Length goes to the backend and comes back
--- upstream
accept
expect POST /echo
expect_header Content-Length: 11
expect_no_header Transfer-Encoding
expect_body "hello world"
send 200 "hello back"
--- request
POST /echo
Content-Type: text/plain

hello world
--- response_body
hello back

=== a chunked body goes to the backend
--- upstream
accept
expect POST /echo
expect_body "hello world"
send 200 "hello back"
--- raw_request
POST /echo HTTP/1.1
Host: front.test
Transfer-Encoding: chunked

6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n\
--- response_body
hello back

=== the backend's 404 is passed on with its body, and is no error of ours
--- upstream
accept
expect GET /missing
send 404 "not here"
expect GET /next
send 200 "next"
--- request
GET /missing
GET /next
--- error_code: 404 200
--- response_body
not here
next
--- stats
conn_opened 1
requests_failed 0

=== a status that httpd has no name for is passed on with its reason, whatever that is
--- upstream
accept
expect GET /a
send_raw "HTTP/1.1 299 Internal Server Error\r\nContent-Length: 2\r\n\r\nok"
expect GET /b
send_raw "HTTP/1.1 599 Whatever\r\nContent-Length: 2\r\n\r\nno"
--- request
GET /a
GET /b
--- error_code: 299 599
--- response_body
ok
no

=== Host names the backend unless PooledProxyPreserveHost says otherwise
--- config
PooledProxyPass /kept http://127.0.0.1:$UPSTREAM_PORT/kept
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
<Location /kept>
    PooledProxyPreserveHost On
</Location>
--- upstream
accept
expect GET /plain
expect_header Host: 127.0.0.1:$UPSTREAM_PORT
expect_header X-Forwarded-Host: front.test
expect_header X-Forwarded-For: 127.0.0.1
send 200 "plain"
expect GET /kept
expect_header Host: front.test
send 200 "kept"
--- request
GET /plain
GET /kept
--- response_body
plain
kept

=== hop-by-hop fields end here, in both directions
--- upstream
accept
expect GET /fields
expect_header X-End: to-end
expect_no_header X-Hop
expect_no_header Keep-Alive
expect_no_header TE
expect_no_header Proxy-Connection
send_head 200 "Connection: X-Private\r\nX-Private: secret\r\nKeep-Alive: timeout=60\r\nX-Public: yes\r\nContent-Length: 2"
send_raw "ok"
--- request
GET /fields
Connection: X-Hop, keep-alive
X-Hop: dropped
Keep-Alive: timeout=5
Proxy-Connection: keep-alive
X-End: to-end
--- response_headers
X-Public: yes
--- response_headers_absent
X-Private
--- response_body
ok

=== a backend that refuses connections is answered with 502
--- request
GET /
--- error_code: 502
--- env
GET / POOLEDPROXY_REASON=connect_refused
--- error_log
connect_refused
