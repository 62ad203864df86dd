# A reused connection dies before any byte of an answer: which requests are sent again, body and all, and which are not.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== PUT with a body: it is kept, and sent again
--- upstream
accept
expect GET /one
send 200 "one"
expect PUT /two
expect_body "hello"
close
accept
expect PUT /two
expect_header Content-Length: 5
expect_body "hello"
send 200 "two"
--- request eval
["GET /one", "PUT /two\n\nhello"]
--- response_body
one
two
--- stats
conn_opened 2
conn_closed_stale 1
stale_replayed 1
requests_failed 0
--- env
PUT /two 200 POOLEDPROXY_REUSED=0 POOLEDPROXY_ATTEMPTS=1

=== PUT with a waiting thread
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /one
send 200 "one"
expect PUT /two
expect_body "hello"
close
accept
expect PUT /two
expect_body "hello"
send 200 "two"
--- request eval
["GET /one", "PUT /two\n\nhello"]
--- response_body
one
two
--- stats
stale_replayed 1
requests_failed 0

=== a body in chunks that is on its way: what was read is sent again, the rest follows
--- upstream
accept
expect GET /one
send 200 "one"
expect_head PUT /two
read_raw "5\r\nfirst\r\n"
close
signal gone
accept
expect_head PUT /two
expect_header Transfer-Encoding: chunked
read_raw "5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"
send 200 "two"
--- dialog
request GET /one
read_head 200
read "one"
read_end
send "PUT /two HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\n\r\n"
send_chunk "first"
await gone
send_chunk "second"
send_last_chunk
read_head 200
read "two"
--- stats
stale_replayed 1
requests_failed 0

=== the same with a waiting thread
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /one
send 200 "one"
expect_head PUT /two
read_raw "5\r\nfirst\r\n"
close
signal gone
accept
expect_head PUT /two
read_raw "5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"
send 200 "two"
--- dialog
request GET /one
read_head 200
read "one"
read_end
send "PUT /two HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\n\r\n"
send_chunk "first"
await gone
send_chunk "second"
send_last_chunk
read_head 200
read "two"
--- stats
stale_replayed 1
requests_failed 0

=== the client's upload goes on while the second connection is still to come
--- mpm: event worker
--- config
PooledProxyPoolSize 1
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /one
send 200 "one"
expect_head PUT /two
read 5
await third_waits
close
accept
expect GET /three
signal three
await rest_sent
send 200 "three"
wait_close
accept
expect PUT /two
expect_body "firstsecond"
send 200 "two"
--- dialog
connect a
request GET /one
read_head 200
read "one"
read_end
send "PUT /two HTTP/1.1\r\nHost: front.test\r\nContent-Length: 11\r\n\r\nfirst"
stats busy 1
connect b
request GET /three
stats waiting 1
tell third_waits
await three
use a
send "second"
tell rest_sent
use b
read_head 200
read "three"
use a
read_head 200
read "two"
--- stats
stale_replayed 1
requests_failed 0

=== 64 KB of a body are kept
--- upstream
accept
expect GET /one
send 200 "one"
expect_head PUT /two
read 65536
close
accept
expect_head PUT /two
read 65536
send 200 "two"
--- dialog
request GET /one
read_head 200
read "one"
read_end
send "PUT /two HTTP/1.1\r\nHost: front.test\r\nContent-Length: 65536\r\n\r\n"
send_bytes 65536
read_head 200
read "two"
--- stats
stale_replayed 1
requests_failed 0

=== a body that is larger is not: 502
--- upstream
accept
expect GET /one
send 200 "one"
expect_head PUT /two
read 65537
close
--- dialog
request GET /one
read_head 200
read "one"
read_end
send "PUT /two HTTP/1.1\r\nHost: front.test\r\nContent-Length: 65537\r\n\r\n"
send_bytes 65537
read_head 502
--- stats
conn_opened 1
stale_replayed 0
requests_failed 1
--- env
PUT /two 502 POOLEDPROXY_REASON=stale
--- error_log
the reused connection was closed before any byte of an answer
not sent again: its body is larger than what is kept of it

=== the same with a waiting thread
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /one
send 200 "one"
expect_head PUT /two
read 65537
close
--- dialog
request GET /one
read_head 200
read "one"
read_end
send "PUT /two HTTP/1.1\r\nHost: front.test\r\nContent-Length: 65537\r\n\r\n"
send_bytes 65537
read_head 502
--- stats
stale_replayed 0
--- env
PUT /two 502 POOLEDPROXY_REASON=stale
--- error_log
the reused connection was closed before any byte of an answer
not sent again: its body is larger than what is kept of it

=== PooledProxyRequestBuffer says how much, in a section and on a route, whichever way the body comes
--- config
PooledProxyRequestBuffer 0
<Location /section>
    PooledProxyRequestBuffer 5
</Location>
PooledProxyPass /route http://127.0.0.1:$UPSTREAM_PORT/ request-buffer=4
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect PUT /section
expect_body "begin"
send 200 "kept"
expect PUT /section
expect_body "hello"
close
accept
expect PUT /section
expect_body "hello"
send 200 "again"
expect PUT /
expect_body "hello"
close
accept
expect PUT /vhost
expect_body "begin"
send 200 "kept"
expect PUT /vhost
expect_body "1"
close
--- request eval
["PUT /section\n\nbegin", "PUT /section\n\nhello", "PUT /route\n\nhello", "PUT /vhost\n\nbegin", "PUT /vhost\n\n1"]
--- error_code: 200 200 502 200 502
--- stats
stale_replayed 1
requests_failed 2
--- env
PUT /route 502 POOLEDPROXY_REASON=stale
PUT /vhost 502 POOLEDPROXY_REASON=stale
--- error_log
the reused connection was closed before any byte of an answer
not sent again: its body is larger than what is kept of it

=== a POST that may have arrived is not sent again: 502
--- upstream
accept
expect GET /one
send 200 "one"
expect POST /two
close
--- request eval
["GET /one", "POST /two\n\nbody"]
--- error_code: 200 502
--- response_headers
2 Proxy-Status: front.test; error=connection_terminated; details="stale"
--- stats
conn_opened 1
stale_replayed 0
--- env
POST /two 502 POOLEDPROXY_REASON=stale
--- error_log
the reused connection was closed before any byte of an answer
not sent again: it may have been received, and must not be sent twice

=== one with Idempotency-Key is
--- upstream
accept
expect GET /one
send 200 "one"
expect POST /two
expect_header Idempotency-Key: "k1"
expect_body "body"
close
accept
expect POST /two
expect_header Idempotency-Key: "k1"
expect_body "body"
send 200 "two"
--- request eval
["GET /one", "POST /two\nIdempotency-Key: \"k1\"\n\nbody"]
--- response_body
one
two
--- stats
stale_replayed 1

=== once only
--- upstream
accept
expect GET /one
send 200 "one"
expect PUT /two
close
accept
expect PUT /two
close
--- request eval
["GET /one", "PUT /two\n\nbody"]
--- error_code: 200 502
--- stats
stale_replayed 1
--- env
PUT /two 502 POOLEDPROXY_REASON=closed_no_answer
--- error_log
closed_no_answer

=== after an interim answer it was received: 502
--- upstream
accept
expect GET /one
send 200 "one"
expect GET /two
send_head 103 "Link: </a>"
close
--- request
GET /one
GET /two
--- error_code: 200 502
--- stats
stale_replayed 0
--- env
GET /two 502 POOLEDPROXY_REASON=closed_in_head
--- error_log
closed_in_head
