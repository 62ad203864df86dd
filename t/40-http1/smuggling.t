# Requests that two servers might read differently: what reaches the backend is one well-formed request, made from parsed parts, or none.
# (The scripted upstream is strict: it ends the block when a line or a framing is not exactly right, or when more comes than it expects.)
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== CL.TE: Transfer-Encoding rules, what follows the last chunk is not a request
--- upstream
accept
expect POST /
expect_no_header Transfer-Encoding
expect_header Content-Length: 0
expect_body ""
send 200 "one"
--- dialog
send "POST / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 49\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head 200
read "one"
wait_close
--- mpm: event

=== CL.TE with a waiting thread
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect POST /
expect_body ""
send 200 "one"
--- dialog
send "POST / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 49\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head 200
read "one"
wait_close

=== TE.CL: the chunks are the body, whatever the length says
--- upstream
accept
expect POST /
expect_body "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
send 200 "one"
--- dialog
send "POST / HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n23\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n\r\n0\r\n\r\n"
read_head 200
read "one"
wait_close

=== TE.TE: codings that are none, or hidden ones, are refused
--- upstream
allow_more
--- dialog
send "POST / HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
read_head 400
wait_answer_end
connect
send "POST / HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
read_head 400
wait_answer_end
connect
send "POST / HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
read_head 400
wait_answer_end
connect
send "POST / HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
read_head 400
wait_answer_end
connect
send "POST / HTTP/1.1\r\nHost: front.test\r\nX: y\r\n Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
read_head 400
wait_answer_end
--- upstream_not_saw
smuggled

=== chunked hidden in a folded line, or said twice: one body, one request
--- upstream
accept
expect POST /folded
expect_header X: y Transfer-Encoding: chunked
expect_header Content-Length: 5
expect_body "hello"
send 200 "folded"
--- dialog
send "POST /folded HTTP/1.1\r\nHost: front.test\r\nX: y\r\n\tTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello"
read_head 200
read "folded"

=== lengths that differ, lists of lengths, signs, tails, spaces
--- upstream
allow_more
--- dialog
send "POST / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"
read_head 400
wait_answer_end
connect
send "POST / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 5, 5\r\n\r\nhello"
read_head 400
wait_answer_end
connect
send "POST / HTTP/1.1\r\nHost: front.test\r\nContent-Length: +5\r\n\r\nhello"
read_head 400
wait_answer_end
connect
send "POST / HTTP/1.1\r\nHost: front.test\r\nContent-Length: -5\r\n\r\nhello"
read_head 400
wait_answer_end
connect
send "POST / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 5 5\r\n\r\nhello"
read_head 400
wait_answer_end
connect
send "POST / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 0x5\r\n\r\nhello"
read_head 400
wait_answer_end
connect
send "POST / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 18446744073709551621\r\n\r\nhello"
read_head ~4..
wait_answer_end
connect
send "POST / HTTP/1.1\r\nHost: front.test\r\nContent-Length:\r\n\r\nhello"
read_head 400
wait_answer_end
--- upstream_not_saw
hello

=== a body that looks like a request stays a body
--- upstream
accept
expect POST /1
expect_body "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
send 200 "one"
expect GET /2
send 200 "two"
--- dialog
send "POST /1 HTTP/1.1\r\nHost: front.test\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head 200
read "one"
read_end
read_head 200
read "two"

=== odd chunks are written anew
--- upstream
accept
expect POST /
expect_body "hello world"
send 200 "ok"
--- dialog
send "POST / HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\n\r\n00005;ext=1\r\nhello\r\n6 ;a=\"0\"\r\n world\r\n000;x\r\nX-Trailer: 1\r\nContent-Length: 7\r\n\r\n"
read_head 200
read "ok"
--- upstream_not_saw
ext=1
X-Trailer

=== Connection can't take away what frames or routes the request
--- upstream
accept
expect POST /
expect_header Content-Length: 5
expect_header Host: ~^127
expect_header X-Forwarded-For: 127.0.0.1
expect_header Via: 1.1 front.test
expect_body "hello"
send 200 "ok"
--- dialog
send "POST / HTTP/1.1\r\nHost: front.test\r\nConnection: Content-Length, Host, X-Forwarded-For, Via, Transfer-Encoding\r\nContent-Length: 5\r\n\r\nhello"
read_head 200
read "ok"

=== an encoded line end in path or query stays encoded, or is refused
--- upstream
accept
expect GET /a%0D%0AX-Injected:%20yes
expect_no_header X-Injected
send 200 "path"
expect GET /b?q=%0d%0aX-Injected:%20yes
expect_no_header X-Injected
send 200 "query"
--- dialog
request GET /a%0d%0aX-Injected:%20yes
read_head 200
read "path"
read_end
request GET /b?q=%0d%0aX-Injected:%20yes
read_head 200
read "query"
read_end
request GET /c%00d
read_head ~4..

=== an encoded line end with nocanon, from a rewriting rule, from a handler
--- modules: rewrite
--- config
PooledProxyPass /raw http://127.0.0.1:$UPSTREAM_PORT/raw nocanon
RewriteEngine On
RewriteRule ^/rule/(.*) /elsewhere/$1?p=$1 [PT]
PooledProxyPass /elsewhere http://127.0.0.1:$UPSTREAM_PORT/elsewhere
<Location /handler>
    SetHandler "pooledproxy:http://127.0.0.1:$UPSTREAM_PORT"
</Location>
--- upstream
accept
expect GET /raw/a%0d%0aX-Injected:%20yes
expect_no_header X-Injected
send 200 "raw"
expect GET /handler/a%0D%0AX-Injected:%20yes
expect_no_header X-Injected
send 200 "handler"
allow_more
--- dialog
request GET /raw/a%0d%0aX-Injected:%20yes
read_head 200
read "raw"
read_end
request GET /handler/a%0d%0aX-Injected:%20yes
read_head 200
read "handler"
read_end
connect
request GET /rule/a%0d%0aX-Injected:%20yes
read_head ~4..
--- ignore_error_log
AH10410

=== a line end in a cookie that the backend sets by way of the query can't come back: it is malformed
--- upstream
accept
expect GET /
send_raw "HTTP/1.1 302 Found\r\nLocation: /x\r\nX-Bad: a\rSet-Cookie: b=c\r\nContent-Length: 0\r\n\r\n"
wait_close
--- request
GET /
--- error_code: 502
--- error_log
bad_line_end

=== an absolute target is cut down to its path; its host does not become the backend's
--- upstream
accept
expect GET /path?query
expect_header Host: ~^127\.0\.0\.1:
send 200 "one"
expect GET /
expect_header Host: ~^127\.0\.0\.1:
send 200 "two"
--- dialog
send "GET http://front.test/path?query HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head 200
read "one"
read_end
send "GET http://front.test HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head 200
read "two"

=== an absolute target with PooledProxyPreserveHost: one Host, the one that httpd has chosen the vhost by
--- config
PooledProxyPreserveHost On
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /path
expect_header Host: front.test
expect_header X-Forwarded-Host: front.test
send 200 "one"
--- dialog
send "GET http://front.test/path HTTP/1.1\r\nHost: evil.test\r\n\r\n"
read_head 200
read "one"

=== targets with spaces, controls, fragments, no slash; and methods that are none
--- upstream
accept
expect GET /
send 200 "reached"
--- dialog
send "GET /a b HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head 400
connect
send "GET /a\x01b HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head 400
connect
send "GET /a\tb HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head 400
connect
send "GET /a?b#c HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head 400
connect
send "GET a HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head 400
connect
send "GE(T / HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head ~[45]..
connect
send "GET\r / HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head 400
connect
send "CONNECT evil.test:80 HTTP/1.1\r\nHost: evil.test\r\n\r\n"
read_head ~4..
connect
send "GET / HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head 200
read "reached"

=== methods that httpd does not know are passed on, their case too
--- upstream
accept
expect PROPPATCH /
send 200 "one"
expect BREW /
expect_body "tea"
send 200 "two"
--- dialog
request PROPPATCH /
read_head 200
read "one"
read_end
send "BREW / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 3\r\n\r\ntea"
read_head 200
read "two"

=== a request without Host, with two, with an empty or an odd one
--- upstream
allow_more
--- dialog
send "GET / HTTP/1.1\r\n\r\n"
read_head 400
connect
send "GET / HTTP/1.1\r\nHost: front.test\r\nHost: evil.test\r\n\r\n"
read_head 400
connect
send "GET / HTTP/1.1\r\nHost: front.test/evil\r\n\r\n"
read_head 400
connect
send "GET / HTTP/1.1\r\nHost: front.test\x0b\r\n\r\n"
read_head 400
--- upstream_not_saw
Via

=== pipelined requests reach the backend one by one
--- upstream
accept
expect GET /1
wait_open
send 200 "one"
expect POST /2
expect_body "body"
send 200 "two"
expect GET /3
send 200 "three"
--- dialog
send "GET /1 HTTP/1.1\r\nHost: front.test\r\n\r\nPOST /2 HTTP/1.1\r\nHost: front.test\r\nContent-Length: 4\r\n\r\nbodyGET /3 HTTP/1.1\r\nHost: front.test\r\n\r\n"
read_head 200
read "one"
read_end
read_head 200
read "two"
read_end
read_head 200
read "three"
--- stats
conn_opened 1
conn_reused 2
