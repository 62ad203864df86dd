# Where the body of an answer ends: every framing of RFC 9112 section 6.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== Content-Length: 0 is a whole answer, and the connection goes on
--- upstream
accept
expect GET /empty
send 200 ""
expect GET /next
send 200 "next"
--- request
GET /empty
GET /next
--- response_headers
1 Content-Length: 0
2 Content-Length: 4
--- response_body
next
--- stats
conn_opened 1
conn_reused 1

=== an empty chunked body
--- upstream
accept
expect GET /empty
send_head 200 "Transfer-Encoding: chunked"
send_last_chunk
expect GET /next
send 200 "next"
--- request
GET /empty
GET /next
--- response_body
next
--- stats
conn_opened 1

=== an answer until close without a byte of body
--- upstream
accept
expect GET /empty
send_head 200 "X-Framing: none"
close
accept
expect GET /next
send 200 "next"
--- request
GET /empty
GET /next
--- response_body
next
--- stats
conn_opened 2
conn_closed_answer_until_close 1

=== the body comes together with the head, byte by byte, in odd pieces: all the same
--- upstream
accept
expect GET /together
send_raw "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ntogether"
expect GET /apart
send_raw "HTTP/1.1 20"
send_raw "0 OK\r"
send_raw "\nContent-Length:"
send_raw " 5\r\n\r"
send_raw "\nap"
send_raw "art"
expect GET /chunks
send_raw "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5"
send_raw "\r\nchun"
send_raw "k\r"
send_raw "\n"
send_raw "00"
send_raw "3;ext=\"a\\\"b\";x\r\ned!\r\n0"
send_raw "\r"
send_raw "\n\r"
send_raw "\n"
expect GET /next
send 200 "next"
--- request
GET /together
GET /apart
GET /chunks
GET /next
--- response_body
together
apart
chunked!
next
--- stats
conn_opened 1
conn_reused 3

=== 300,000 bytes in each framing
--- upstream
accept
expect GET /length
send_head 200 "Content-Length: 300000"
send_bytes 300000
expect GET /chunked
send_head 200 "Transfer-Encoding: chunked"
send_raw "493e0\r\n"
send_bytes 300000
send_raw "\r\n"
send_last_chunk
expect GET /close
send_head 200 ""
send_bytes 300000
close
--- request
GET /length
GET /chunked
GET /close
--- response_length: 300000
--- stats
conn_opened 1
idle 0

=== a body of many small chunks
--- upstream
accept
expect GET /
send_head 200 "Transfer-Encoding: chunked"
repeat 2000
send_chunk "0123456789"
end
send_last_chunk
--- request
GET /
--- response_length: 20000

=== HEAD: Content-Length, chunked or no length at all, never a body, and the connection goes on
--- upstream
accept
expect HEAD /length
send_head 200 "Content-Length: 12345"
expect HEAD /chunked
send_head 200 "Transfer-Encoding: chunked"
expect HEAD /none
send_head 200 "X-None: yes"
expect HEAD /missing
send_head 404 "Content-Length: 9"
expect GET /next
send 200 "next"
--- request
HEAD /length
HEAD /chunked
HEAD /none
HEAD /missing
GET /next
--- error_code: 200 200 200 404 200
--- response_headers
1 Content-Length: 12345
3 X-None: yes
4 Content-Length: 9
--- response_body
next
--- stats
conn_opened 1
conn_reused 4

=== a body behind the answer to HEAD is data that nobody asked for
--- upstream
accept
expect HEAD /
send_raw "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
wait_close
accept
expect GET /next
send 200 "next"
--- request
HEAD /
GET /next
--- response_body
next
--- stats
conn_opened 2
conn_closed_unexpected_data 1

=== 204 and 304, with what they may announce
--- upstream
accept
expect GET /204
send_head 204 ""
expect GET /304
send_head 304 "ETag: \"v1\"\r\nContent-Length: 10"
expect GET /304-chunked
send_head 304 "Transfer-Encoding: chunked"
expect GET /next
send 200 "next"
--- request
GET /204
GET /304
GET /304-chunked
GET /next
--- error_code: 204 304 304 200
--- response_headers_absent: Transfer-Encoding
--- response_body
next
--- stats
conn_opened 1
conn_reused 3

=== a 204 that announces a body is believed to have none, but its connection is not trusted
--- upstream
accept
expect GET /204
send_head 204 "Content-Length: 10"
wait_close
accept
expect GET /next
send 200 "next"
--- request
GET /204
GET /next
--- error_code: 204 200
--- response_body
next
--- stats
conn_opened 2
conn_closed_server_says_close 1

=== an HTTP/1.0 client gets no interim answer and no chunks
--- upstream
accept
expect GET /
send_head 103 "Link: </style.css>; rel=preload"
send_head 200 "Transfer-Encoding: chunked"
send_chunk "all "
send_chunk "of it"
send_last_chunk
--- raw_request
GET / HTTP/1.0
Host: front.test
--- interim
--- response_headers_absent: Transfer-Encoding
--- response_body
all of it
--- connection: closed

=== an HTTP/1.0 client that keeps its connection alive
--- upstream
accept
expect GET /one
send 200 "one"
--- raw_request
GET /one HTTP/1.0
Host: front.test
Connection: keep-alive
--- response_headers
Connection: Keep-Alive
--- response_body
one
--- connection: open
--- stats
idle 1

=== an HTTP/1.0 backend: its answer lasts until close
--- upstream
accept
expect GET /old
send_raw "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold times"
close
accept
expect GET /next
send 200 "next"
--- request
GET /old
GET /next
--- response_body
old times
next
--- stats
conn_opened 2

=== an HTTP/1.0 backend with Content-Length closes unless it says keep-alive
--- upstream
accept
expect GET /closes
send_raw "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\ncloses"
wait_close
accept
expect GET /stays
send_raw "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nstays"
expect GET /next
send 200 "next"
--- request
GET /closes
GET /stays
GET /next
--- response_body
closes
stays
next
--- stats
conn_opened 2
conn_closed_server_says_close 1
conn_reused 1

=== trailers of the answer reach the client that takes them
--- upstream
accept
expect GET /
send_head 200 "Transfer-Encoding: chunked\r\nTrailer: X-Sum"
send_chunk "body"
send_last_chunk "X-Sum: 42\r\nX-Other: yes"
expect GET /next
send 200 "next"
--- dialog
request GET / "TE: trailers\r\nConnection: TE"
read_head 200
read "body"
read_end
read_trailer X-Sum: 42
read_trailer X-Other: yes
request GET /next
read_head 200
read "next"
--- stats
conn_opened 1
conn_reused 1

=== the same by a worker thread
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
send_head 200 "Transfer-Encoding: chunked\r\nTrailer: X-Sum"
send_chunk "body"
send_last_chunk "X-Sum: 42\r\nContent-Length: 7\r\nset-cookie: a=b\r\nX-Other: yes"
--- dialog
request GET / "TE: trailers\r\nConnection: TE"
read_head 200
header Transfer-Encoding: chunked
read "body"
read_end
read_trailer X-Sum: 42
read_no_trailer Content-Length
read_no_trailer Set-Cookie

=== a client that did not ask for trailers gets none
--- upstream
accept
expect GET /
send_head 200 "Transfer-Encoding: chunked"
send_chunk "body"
send_last_chunk "X-Sum: 42"
expect GET /next
send 200 "next"
--- dialog
request GET /
read_head 200
read "body"
read_end
read_no_trailer X-Sum
request GET /next
read_head 200
read "next"
--- stats
conn_opened 1

=== a cut answer is cut for the client, in every framing that can tell
--- upstream
accept
expect GET /length
send_head 200 "Content-Length: 100"
send_raw "part"
await read_length
close
accept
expect GET /chunked
send_head 200 "Transfer-Encoding: chunked"
send_chunk "part"
await read_chunked
close
accept
expect GET /reset
send_head 200 "X-Framing: until close"
send_raw "part"
await read_reset
reset
accept
expect GET /next
send 200 "next"
--- dialog
request GET /length
read_head 200
read "part"
tell read_length
read_cut
connect
request GET /chunked
read_head 200
read "part"
tell read_chunked
read_cut
connect
request GET /reset
read_head 200
read "part"
tell read_reset
read_cut
connect
request GET /next
read_head 200
read "next"
--- stats
conn_opened 4
conn_closed_failed 3
--- env
GET /length POOLEDPROXY_REASON=body_cut
GET /chunked POOLEDPROXY_REASON=body_cut
GET /reset POOLEDPROXY_REASON=body_cut
--- error_log
body_cut
