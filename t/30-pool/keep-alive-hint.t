# P4: what the backend says about how long it keeps idle connections.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== "Keep-Alive: timeout=" of the backend shortens the time an idle connection is kept: to a second less
--- upstream
accept
expect GET /one
send_raw "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nKeep-Alive: timeout=2\r\n\r\none"
wait_close
--- request
GET /one
--- response_body
one
--- stats
conn_closed_idle_timeout 1

=== a backend that keeps idle connections for a second only: not worth keeping
--- upstream
accept
expect GET /one
send_raw "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nKeep-Alive: timeout=1\r\n\r\none"
wait_close
accept
expect GET /two
send 200 "two"
--- request
GET /one
GET /two
--- response_body
one
two
--- stats
conn_opened 2
conn_closed_keepalive_hint 1

=== "Keep-Alive: max=" of the backend: so many more requests, then another connection
--- upstream
accept
expect GET /one
send_raw "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nKeep-Alive: timeout=5, max=2\r\n\r\none"
expect GET /two
send 200 "two"
expect GET /three
send 200 "three"
wait_close
accept
expect GET /four
send 200 "four"
--- request
GET /one
GET /two
GET /three
GET /four
--- response_body
one
two
three
four
--- stats
conn_opened 2
conn_closed_keepalive_hint 1
conn_closed_stale 0

=== a backend that counts down: the last one is not used again
--- upstream
accept
expect GET /one
send_raw "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nKeep-Alive: max=1\r\n\r\none"
expect GET /two
send_raw "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nKeep-Alive: max=0\r\n\r\ntwo"
wait_close
--- request
GET /one
GET /two
--- response_body
one
two
--- stats
conn_opened 1
conn_closed_keepalive_hint 1

=== PooledProxyMaxAge: an idle connection is closed at that age
--- config
PooledProxyMaxAge 300ms jitter=0%
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /one
send 200 "one"
wait_close
--- request
GET /one
--- stats
conn_closed_max_age 1
idle 0

=== PooledProxyMaxAge: one that is in use ends with its request
--- config
PooledProxyMaxAge 200ms jitter=0%
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /one
wait 0.3
send 200 "one"
wait_close
accept
expect GET /two
send 200 "two"
--- request
GET /one
GET /two
--- response_body
one
two
--- stats
conn_opened 2
conn_closed_max_age >= 1
