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
