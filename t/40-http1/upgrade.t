# Upgrade: what is a tunnel, what goes through it, how it ends.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== a tunnel carries bytes both ways
--- upstream
accept
expect GET /chat
expect_header Connection: Upgrade
expect_header Upgrade: websocket
expect_header Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
expect_header X-Forwarded-For: 127.0.0.1
send_head 101 "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
read_raw "ping"
send_raw "pong"
read_raw "\0\x01\r\n\r\nGET / HTTP/1.1\r\n\r\n"
send_raw "HTTP/1.1 200 OK\r\n\r\n\0"
wait_close
--- dialog
request GET /chat "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
read_head 101
header Connection: Upgrade
header Upgrade: websocket
header Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
send "ping"
read "pong"
send "\0\x01\r\n\r\nGET / HTTP/1.1\r\n\r\n"
read "HTTP/1.1 200 OK\r\n\r\n\0"
close
--- stats
conn_opened 1
conn_closed_tunnel 1
requests_failed 0
--- env
GET /chat 101 POOLEDPROXY_REUSED=0

=== the same through a waiting thread
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /chat
send_head 101 "Connection: Upgrade\r\nUpgrade: websocket"
read_raw "ping"
send_raw "pong"
read_raw "more"
send_raw "yes"
wait_close
--- dialog
request GET /chat "Connection: Upgrade\r\nUpgrade: websocket"
read_head 101
send "ping"
read "pong"
send "more"
read "yes"
close
--- stats
conn_closed_tunnel 1

=== through TLS
--- tls
--- upstream
accept
expect GET /chat
send_head 101 "Connection: Upgrade\r\nUpgrade: websocket"
read_raw "ping"
send_raw "pong"
close
--- dialog
request GET /chat "Connection: Upgrade\r\nUpgrade: websocket"
read_head 101
send "ping"
read "pong"
wait_close
--- stats
conn_closed_tunnel 1

=== bytes right behind the 101, bytes sent with the request
--- upstream
accept
expect GET /chat
send_raw "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello"
read_raw "early"
read_raw "late"
send_raw "bye"
close
--- dialog
send "GET /chat HTTP/1.1\r\nHost: front.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nearly"
read_head 101
read "hello"
send "late"
read "bye"
wait_close

=== the backend closes: what it sent before arrives
--- upstream
accept
expect GET /chat
send_head 101 "Connection: Upgrade\r\nUpgrade: x"
send_bytes 200000
close
--- dialog
request GET /chat "Connection: Upgrade\r\nUpgrade: x"
read_head 101
read_bytes 200000
wait_close
--- stats
conn_closed_tunnel 1

=== the client closes: what it sent before arrives
--- upstream
accept
expect GET /chat
send_head 101 "Connection: Upgrade\r\nUpgrade: x"
read_raw "last words"
wait_close
--- dialog
request GET /chat "Connection: Upgrade\r\nUpgrade: x"
read_head 101
send "last words"
close
--- stats
conn_closed_tunnel 1
requests_failed 0

=== the client ends its half: the other half goes on
--- upstream
accept
expect GET /chat
send_head 101 "Connection: Upgrade\r\nUpgrade: x"
read_raw "question"
wait_end
send_raw "answer"
close
--- dialog
request GET /chat "Connection: Upgrade\r\nUpgrade: x"
read_head 101
send "question"
close_write
read "answer"
wait_close
--- stats
conn_closed_tunnel 1

=== the client ends its half, with a waiting thread
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /chat
send_head 101 "Connection: Upgrade\r\nUpgrade: x"
read_raw "question"
wait_end
send_raw "answer"
close
--- dialog
request GET /chat "Connection: Upgrade\r\nUpgrade: x"
read_head 101
send "question"
close_write
read "answer"
wait_close

=== a client that resets its connection ends the backend's
--- upstream
accept
expect GET /chat
send_head 101 "Connection: Upgrade\r\nUpgrade: x"
wait_close
--- dialog
request GET /chat "Connection: Upgrade\r\nUpgrade: x"
read_head 101
reset

=== a backend that resets its connection ends the client's
--- upstream
accept
expect GET /chat
send_head 101 "Connection: Upgrade\r\nUpgrade: x"
read_raw "ping"
reset
--- dialog
request GET /chat "Connection: Upgrade\r\nUpgrade: x"
read_head 101
send "ping"
wait_close
--- stats
conn_closed_tunnel 1

=== a megabyte each way
--- upstream
accept
expect GET /chat
send_head 101 "Connection: Upgrade\r\nUpgrade: x"
send_bytes 1000000
read 1000000
send_raw "end"
close
--- dialog
request GET /chat "Connection: Upgrade\r\nUpgrade: x"
read_head 101
read_bytes 1000000
send_bytes 1000000
read "end"
wait_close

=== an upgrade that the backend does not make is an ordinary answer
--- upstream
accept
expect GET /chat
expect_header Upgrade: websocket
send 200 "no chat here"
expect GET /chat
send_head 426 "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 4"
send_raw "must"
expect GET /next
expect_no_header Upgrade
send 200 "next"
--- dialog
request GET /chat "Connection: Upgrade\r\nUpgrade: websocket"
read_head 200
read "no chat here"
read_end
request GET /chat "Connection: Upgrade\r\nUpgrade: websocket"
read_head 426
read "must"
read_end
request GET /next
read_head 200
read "next"
--- stats
conn_opened 1
conn_reused 2

=== 101 that nobody asked for
--- upstream
accept
expect GET /
send_head 101 "Connection: Upgrade\r\nUpgrade: websocket"
wait_close
--- request
GET /
--- error_code: 502
--- env
GET / POOLEDPROXY_REASON=unexpected_upgrade
--- error_log
unexpected_upgrade

=== Upgrade without Connection: Upgrade asks for nothing, nor does HTTP/1.0, nor a request with a body
--- upstream
accept
expect GET /1
expect_no_header Upgrade
send 200 "one"
expect POST /2
expect_no_header Upgrade
expect_body "body"
send 200 "two"
expect GET /3
expect_no_header Upgrade
send 200 "three"
--- dialog
request GET /1 "Upgrade: websocket"
read_head 200
read "one"
read_end
send "POST /2 HTTP/1.1\r\nHost: front.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\nbody"
read_head 200
read "two"
read_end
send "GET /3 HTTP/1.0\r\nHost: front.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
read_head 200
read "three"

=== a tunnel lives as long as something happens in it within the time-out of reading
--- config
PooledProxyTimeout read=500ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /chat
send_head 101 "Connection: Upgrade\r\nUpgrade: x"
repeat 4
wait 0.2
send_raw "tick"
end
wait_close
--- dialog
request GET /chat "Connection: Upgrade\r\nUpgrade: x"
read_head 101
read "ticktickticktick"
wait_close
--- stats
conn_closed_timeout 1
--- env
GET /chat POOLEDPROXY_REASON=read_timeout
--- error_log
read_timeout

=== the head of a 101 is made like every other: hop-by-hop fields stay behind, cookies are rewritten
--- config
PooledProxyCookiePath /inner /outer
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /chat
send_head 101 "Connection: Upgrade, X-Hop\r\nUpgrade: echo\r\nX-Hop: a\r\nKeep-Alive: timeout=5\r\nSet-Cookie: s=1; Path=/inner\r\nX-End: b"
wait_close
--- dialog
request GET /chat "Connection: Upgrade\r\nUpgrade: echo"
read_head 101
header Connection: Upgrade
header Upgrade: echo
header Set-Cookie: s=1; Path=/outer
header X-End: b
no_header X-Hop
no_header Keep-Alive
close
