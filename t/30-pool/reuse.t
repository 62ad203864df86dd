# Which connection a request gets: the last one used, as long as it may be used; and why one is closed.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== 1,000 requests through PooledProxyPass: one connection
--- mpm: event worker
--- backend
--- config
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
--- request eval
"GET /bytes?n=10\n" x 1000
--- response_length: 10
--- stats
conn_opened 1
conn_reused 999

=== 1,000 requests through a <Location>: one connection
--- mpm: event worker
--- backend
--- config
<Location /app>
    PooledProxyPass http://127.0.0.1:$BACKEND_PORT
</Location>
--- request eval
"GET /app/bytes?n=10\n" x 1000
--- response_length: 10
--- stats
conn_opened 1
conn_reused 999

=== 1,000 requests through a handler: one connection
--- mpm: event worker
--- backend
--- config
<Location />
    SetHandler pooledproxy:http://127.0.0.1:$BACKEND_PORT
</Location>
--- request eval
"GET /bytes?n=10\n" x 1000
--- response_length: 10
--- stats
conn_opened 1
conn_reused 999

=== 1,000 requests through a RewriteRule: one connection
--- mpm: event worker
--- backend
--- modules: rewrite
--- config
RewriteEngine On
RewriteRule ^/bytes - [H=pooledproxy:http://127.0.0.1:$BACKEND_PORT]
--- request eval
"GET /bytes?n=10\n" x 1000
--- response_length: 10
--- stats
conn_opened 1
conn_reused 999

=== 1,000 requests to a named upstream: one connection
--- mpm: event worker
--- backend
--- config
<PooledProxyUpstream group>
    PooledProxyServer http://127.0.0.1:$BACKEND_PORT
</PooledProxyUpstream>
PooledProxyPass / upstream://group/
--- request eval
"GET /bytes?n=10\n" x 1000
--- response_length: 10
--- stats
conn_opened 1
conn_reused 999

=== 1,000 requests of threads that wait: one connection
--- mpm: event worker
--- backend
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
--- request eval
"GET /bytes?n=10\n" x 1000
--- response_length: 10
--- stats
conn_opened 1
conn_reused 999

=== 200 clients, one after the other: one connection, whichever thread they come to
--- mpm: event worker
--- backend
--- config
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
--- more_headers
Connection: close
--- request eval
"GET /bytes?n=10\n" x 200
--- response_length: 10
--- stats
conn_opened 1
conn_reused 199

=== PooledProxyKeepAlive Off: a fresh connection for each request
--- config
PooledProxyKeepAlive Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
repeat 3
accept
expect GET /
expect_header Connection: close
send 200 "ok"
wait_close
end
--- request
GET /
GET /
GET /
--- stats
conn_opened 3
conn_reused 0
conn_closed_keepalive_off 3
idle 0
--- env
GET / POOLEDPROXY_REUSED=0 POOLEDPROXY_REASON=keepalive_off

=== PooledProxyMaxRequests: no connection serves more
--- config
PooledProxyMaxRequests 2
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
repeat 2
accept
expect GET /
send 200 "first"
expect GET /
send 200 "second"
wait_close
end
--- request
GET /
GET /
GET /
GET /
--- stats
conn_opened 2
conn_reused 2
conn_closed_max_requests 2

=== PooledProxyKeepAliveTimeout: an idle connection is closed, and not too early
--- config
PooledProxyKeepAliveTimeout 300ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
send 200 "ok"
wait 0.2
wait_open
wait_close
--- request
GET /
--- stats
idle 0
conn_closed_idle_timeout 1

=== each use begins the time anew
--- config
PooledProxyKeepAliveTimeout 400ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
repeat 4
expect GET /
send 200 "ok"
end
wait_close
--- dialog
request GET /
read_head 200
read "ok"
read_end
wait 0.25
request GET /
read_head 200
read "ok"
read_end
wait 0.25
request GET /
read_head 200
read "ok"
read_end
wait 0.25
request GET /
read_head 200
read "ok"
--- stats
conn_opened 1
conn_reused 3
conn_closed_idle_timeout 1

=== an idle connection that the server closes is closed and counted at once, and the next request gets a new one
--- upstream
accept
expect GET /one
send 200 "one"
await read
close
accept
expect GET /two
send 200 "two"
--- dialog
request GET /one
read_head 200
read "one"
read_end
stats idle 1
tell read
stats idle 0
stats conn_closed_peer_closed 1
request GET /two
read_head 200
read "two"
--- stats
conn_opened 2
stale_replayed 0
--- env
GET /two POOLEDPROXY_REUSED=0 POOLEDPROXY_REASON=no_idle

=== the same for one that the server resets
--- upstream
accept
expect GET /one
send 200 "one"
await read
reset
--- dialog
request GET /one
read_head 200
read "one"
read_end
stats idle 1
tell read
stats idle 0
--- stats
conn_closed_peer_closed 1

=== data that nobody asked for: behind an answer, and later
--- upstream
accept
expect GET /one
send_raw "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
wait_close
accept
expect GET /two
send 200 "two"
await read
send_raw "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
wait_close
accept
expect GET /three
send 200 "three"
--- dialog
request GET /one
read_head 200
read "one"
read_end
request GET /two
read_head 200
read "two"
read_end
stats idle 1
tell read
stats conn_closed_unexpected_data 2
request GET /three
read_head 200
read "three"
--- stats
conn_opened 3

=== a reused connection that turns out dead: the request is sent once more, on a new one
--- upstream
accept
expect GET /one
send 200 "one"
expect GET /two
close
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
conn_closed_stale 1
stale_replayed 1
requests_failed 0
--- env
GET /two 200 POOLEDPROXY_REUSED=0

=== once, not for ever
--- upstream
accept
expect GET /one
send 200 "one"
expect GET /two
close
accept
expect GET /two
close
--- request
GET /one
GET /two
--- error_code: 200 502
--- stats
conn_opened 2
stale_replayed 1
--- env
GET /two 502 POOLEDPROXY_REASON=closed_no_answer
--- error_log
closed_no_answer

=== a request that must not be sent twice is not
--- upstream
accept
expect GET /one
send 200 "one"
expect POST /two
close
--- request eval
["GET /one", "POST /two\n\nbody"]
--- error_code: 200 502
--- stats
conn_opened 1
stale_replayed 0
--- env
POST /two 502 POOLEDPROXY_REASON=stale
--- error_log
stale

=== the last one used is used again, the others grow old
--- mpm: event worker
--- config
PooledProxyKeepAliveTimeout 500ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept first
expect GET /1
signal one
accept second
expect GET /2
signal both
use first
send 200 "1"
use second
await first_read
send 200 "2"
repeat 3
expect GET /again
send 200 "again"
end
use first
wait_close
--- dialog
connect a
request GET /1
await one
connect b
request GET /2
await both
use a
read_head 200
read "1"
read_end
stats idle 1
tell first_read
use b
read_head 200
read "2"
read_end
wait 0.2
request GET /again
read_head 200
read "again"
read_end
wait 0.2
request GET /again
read_head 200
read "again"
read_end
wait 0.2
request GET /again
read_head 200
read "again"
--- stats
conn_opened 2

=== a request that is sent once more waits for its new connection like others, and is not forgotten over one that was used
--- mpm: event worker
--- config
PooledProxyPoolSize 1
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /1
send 200 "1"
expect GET /2
await third_waits
close
accept
expect GET /3
send 200 "3"
wait_close
accept
expect GET /2
send 200 "2"
--- dialog
connect a
request GET /1
read_head 200
read "1"
read_end
request GET /2
stats busy 1
connect b
request GET /3
stats waiting 1
tell third_waits
read_head 200
read "3"
use a
read_head 200
took 0 1
read "2"
--- stats
stale_replayed 1
requests_failed 0
