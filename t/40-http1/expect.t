# Expect: 100-continue, between a client that waits and a backend that may or may not know it.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== the backend's 100 lets the client send its body
--- upstream
accept
expect_head POST /upload
expect_header Expect: 100-continue
expect_header Content-Length: 5
signal head_came
await nothing_sent
wait_open
send_head 100 ""
read 5
expect_body "hello"
send 200 "thanks"
expect GET /next
send 200 "next"
--- dialog
send "POST /upload HTTP/1.1\r\nHost: front.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
await head_came
read_nothing
tell nothing_sent
read_interim 100
send "hello"
read_head 200
read "thanks"
read_end
request GET /next
read_head 200
read "next"
--- stats
conn_opened 1
conn_reused 1

=== the same with a waiting thread
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect_head POST /upload
expect_header Expect: 100-continue
signal head_came
await nothing_sent
send_head 100 ""
read 5
expect_body "hello"
send 200 "thanks"
--- dialog
send "POST /upload HTTP/1.1\r\nHost: front.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
await head_came
read_nothing
tell nothing_sent
read_interim 100
send "hello"
read_head 200
read "thanks"

=== a chunked body
--- upstream
accept
expect_head POST /upload
expect_header Expect: 100-continue
expect_header Transfer-Encoding: chunked
send_head 100 ""
read_body
expect_body "hello"
send 200 "thanks"
--- dialog
send "POST /upload HTTP/1.1\r\nHost: front.test\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
read_interim 100
send_chunk "hello"
send_last_chunk
read_head 200
read "thanks"

=== a final answer instead: the body is never asked for, the connection is not used again
--- upstream
accept
expect_head POST /upload
send 413 "too much"
wait_close
--- dialog
send "POST /upload HTTP/1.1\r\nHost: front.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
read_head 413
header Connection: close
read "too much"
wait_close
--- stats
conn_closed_request_unfinished 1
requests_failed 0

=== a final answer instead, with a waiting thread
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect_head POST /upload
send 413 "too much"
wait_close
--- dialog
send "POST /upload HTTP/1.1\r\nHost: front.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
read_head 413
header Connection: close
read "too much"
wait_close

=== a backend that does not know it gets the body after a second, and the client its 100
--- upstream
accept
expect_head POST /upload
read 5
expect_body "hello"
send 200 "thanks"
expect GET /next
send 200 "next"
--- dialog
send "POST /upload HTTP/1.1\r\nHost: front.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
read_interim 100
send "hello"
read_head 200
read "thanks"
read_end
request GET /next
read_head 200
read "next"
--- stats
conn_opened 1

=== a client that does not wait is no trouble
--- upstream
accept
expect_head POST /upload
send_head 100 ""
read 5
expect_body "hello"
send 200 "thanks"
--- dialog
send "POST /upload HTTP/1.1\r\nHost: front.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"
read_head 200
read "thanks"

=== 103 before 100
--- upstream
accept
expect_head POST /upload
send_head 103 "Link: </a>"
send_head 100 ""
read 5
send 200 "thanks"
--- dialog
send "POST /upload HTTP/1.1\r\nHost: front.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
read_interim 103
read_interim 100
send "hello"
read_head 200
read "thanks"

=== without a body nothing is expected
--- upstream
accept
expect GET /none
expect_no_header Expect
send 200 "none"
--- dialog
request GET /none "Expect: 100-continue"
read_head 200
read "none"
read_end

=== nor by an HTTP/1.0 client
--- upstream
accept
expect POST /old
expect_no_header Expect
expect_body "hello"
send 200 "old"
--- dialog
send "POST /old HTTP/1.0\r\nHost: front.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"
read_head 200
read "old"

=== an expectation that nobody knows is httpd's to refuse
--- dialog
request GET / "Expect: tea"
read_head 417

=== the client gives up while it waits
--- upstream
accept
expect_head POST /upload
signal head_came
wait_close
--- dialog
send "POST /upload HTTP/1.1\r\nHost: front.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
await head_came
close
--- stats
conn_closed_client_gone 1
--- env
POST /upload POOLEDPROXY_REASON=client_gone
