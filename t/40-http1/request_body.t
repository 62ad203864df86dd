# Where the body of a request ends, and what becomes of one that does not.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== a request without a body has no framing, whatever its method
--- upstream
accept
expect GET /
expect_no_header Content-Length
expect_no_header Transfer-Encoding
send 200
expect DELETE /
expect_no_header Content-Length
expect_no_header Transfer-Encoding
send 200
expect OPTIONS /
expect_no_header Content-Length
send 200
expect POST /
expect_no_header Transfer-Encoding
send 200
--- request
GET /
DELETE /
OPTIONS /
POST /

=== Content-Length: 0 of a request is passed on
--- upstream
accept
expect POST /
expect_header Content-Length: 0
send 200 "ok"
expect GET /next
send 200 "next"
--- request eval
["POST /\nContent-Length: 0\n", "GET /next"]
--- response_body
ok
next

=== a body goes with GET and DELETE, too
--- upstream
accept
expect GET /search
expect_header Content-Length: 5
expect_body "query"
send 200 "one"
expect DELETE /thing
expect_body "why"
send 200 "two"
--- request eval
["GET /search\n\nquery", "DELETE /thing\n\nwhy"]
--- response_body
one
two
--- stats
conn_opened 1

=== a large body with Content-Length, both ways
--- upstream
accept
expect PUT /file
expect_header Content-Length: 300000
send_head 200 "Content-Length: 300000"
send_bytes 300000
--- dialog
send "PUT /file HTTP/1.1\r\nHost: front.test\r\nContent-Length: 300000\r\n\r\n"
send_bytes 300000
read_head 200
read_bytes 300000
read_end

=== a large chunked body, both ways
--- upstream
accept
expect PUT /file
expect_header Transfer-Encoding: chunked
send_head 200 "Transfer-Encoding: chunked"
send_raw "493e0\r\n"
send_bytes 300000
send_raw "\r\n"
send_last_chunk
--- dialog
send "PUT /file HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\n\r\n"
send "493e0\r\n"
send_bytes 300000
send "\r\n"
send_last_chunk
read_head 200
read_bytes 300000
read_end

=== the chunks of a body go on while they come
--- upstream
accept
expect_head PUT /live
expect_header Transfer-Encoding: chunked
read_raw "5\r\nfirst\r\n"
signal got_first
read_raw "6\r\nsecond\r\n"
signal got_second
read_raw "0\r\n\r\n"
send 200 "both"
--- dialog
send "PUT /live HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\n\r\n"
send_chunk "first"
await got_first
send_chunk "second"
await got_second
send_last_chunk
read_head 200
read "both"
read_end

=== so do the parts of a body with Content-Length, and the answer may begin before its end
--- upstream
accept
expect_head PUT /live
expect_header Content-Length: 11
read_raw "first"
send_head 200 "Content-Length: 8"
send_raw "half"
read_raw "second"
send_raw "full"
--- dialog
send "PUT /live HTTP/1.1\r\nHost: front.test\r\nContent-Length: 11\r\n\r\nfirst"
read_head 200
read "half"
send "second"
read "full"
read_end

=== the trailers of a request end here: the body is whole without them
--- upstream
accept
expect POST /
expect_body "body"
send 200 "ok"
expect GET /next
send 200 "next"
--- dialog
send "POST / HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
send_chunk "body"
send_last_chunk "X-Sum: 42"
read_head 200
read "ok"
read_end
request GET /next
read_head 200
read "next"
read_end
--- stats
conn_opened 1

=== an answer before the whole body was sent: it is passed on, and the connection is not used again
--- upstream
accept
expect_head PUT /refused
send 413 "too much"
wait_close
accept
expect GET /next
send 200 "next"
--- dialog
send "PUT /refused HTTP/1.1\r\nHost: front.test\r\nContent-Length: 100\r\n\r\nfirst"
read_head 413
header Connection: close
read "too much"
connect
request GET /next
read_head 200
read "next"
--- stats
conn_opened 2
conn_closed_request_unfinished 1

=== a body that is cut by the client does not pass for a whole one
--- upstream
accept
expect_head PUT /cut
signal got_head
wait_close
--- request
PUT /cut
Content-Length: 100

only the first part
--- abort: close at got_head
--- stats
conn_closed_client_gone 1
--- env
PUT /cut POOLEDPROXY_REASON=client_gone

=== a chunked body that is malformed from the start
--- upstream
allow_more
--- raw_request
PUT /bad HTTP/1.1
Host: front.test
Transfer-Encoding: chunked

5\r\nfirst\r\nXX\r\n\
--- error_code: 400
--- connection: closed

=== a malformed chunked body is refused with 400, and does not reach the backend as a whole one
--- upstream
accept
expect_head PUT /bad
read_raw "5\r\nfirst\r\n"
signal got_first
wait_close
--- dialog
send "PUT /bad HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\n\r\n"
send_chunk "first"
await got_first
send "XX\r\n"
read_head 400
--- stats
conn_closed_client_gone 1
--- env
PUT /bad POOLEDPROXY_REASON=client_body
