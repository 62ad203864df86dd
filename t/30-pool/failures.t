# When there is no answer to pass on: servers down, gone, in part; clients that go away.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== the server refuses: 502 at once
--- dialog
request GET /
read_head 502
took 0 0.05
--- stats
conn_opened 0
conn_failed 1
requests_failed 1
--- env
GET / 502 POOLEDPROXY_REASON=connect_refused POOLEDPROXY_REUSED=0 POOLEDPROXY_ATTEMPTS=1
--- error_log
connect_refused

=== HEAD and POST, too, and the client's connection goes on
--- config
PooledProxyPass /down http://127.0.0.1:$CLOSED_PORT/
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /up
send 200 "up"
--- request eval
["HEAD /down", "POST /down\n\nbody", "GET /up"]
--- error_code: 502 502 200
--- ignore_error_log
connect_refused

=== the unix socket is missing
--- config
PooledProxyPass / unix:$DIR/missing.sock|http://front.test/
--- request
GET /
--- error_code: 502
--- env
GET / 502 POOLEDPROXY_REASON=~connect_\w+ POOLEDPROXY_SERVER=~unix:.*missing\.sock
--- error_log_like
connect_(?:refused|failed)

=== a unix socket that nobody listens on any more
--- config
PooledProxyPass / unix:$UPSTREAM_SOCKET|http://front.test/
--- upstream
listen unix
accept
expect GET /
send_head 200 "Connection: close\r\nContent-Length: 2"
send_raw "ok"
wait_close
stop_listening
signal down
--- dialog
request GET /
read_head 200
read "ok"
read_end
await down
request GET /
read_head 502
--- error_log_like
connect_(?:refused|failed)

=== the server goes down and comes back
--- upstream
accept
expect GET /1
stop_listening
send_head 200 "Connection: close\r\nContent-Length: 1"
send_raw "1"
signal down
await refused
listen_again
signal up
accept
expect GET /3
send 200 "3"
--- dialog
request GET /1
read_head 200
read "1"
read_end
await down
request GET /2
read_head 502
tell refused
await up
connect
request GET /3
read_head 200
read "3"
--- error_log
connect_refused

=== one server of a group refuses: the other one serves
--- config
<PooledProxyUpstream group>
    PooledProxyServer http://127.0.0.1:$CLOSED_PORT
    PooledProxyServer http://127.0.0.1:$UPSTREAM_PORT
</PooledProxyUpstream>
PooledProxyPass / upstream://group/
--- upstream
accept
expect GET /1
expect_header Host: 127.0.0.1:$UPSTREAM_PORT
send 200 "1"
expect POST /2
expect_body "body"
send 200 "2"
expect GET /3
send 200 "3"
--- request eval
["GET /1", "POST /2\n\nbody", "GET /3"]
--- response_body
1
2
3
--- env
GET /1 200 POOLEDPROXY_ATTEMPTS=2 POOLEDPROXY_SERVER=127.0.0.1:$UPSTREAM_PORT
--- stats
conn_opened 1
requests_failed 0

=== all refuse: 502
--- config
<PooledProxyUpstream group>
    PooledProxyServer http://127.0.0.1:$CLOSED_PORT
    PooledProxyServer http://[::1]:$CLOSED_PORT
</PooledProxyUpstream>
PooledProxyPass / upstream://group/
--- request
GET /
--- error_code: 502
--- env
GET / 502 POOLEDPROXY_ATTEMPTS=2 POOLEDPROXY_REASON=~connect_\w+
--- error_log_like
connect_(?:refused|failed)

=== a backup is for when the others fail
--- config
<PooledProxyUpstream group>
    PooledProxyServer http://127.0.0.1:$UPSTREAM_PORT
    PooledProxyServer http://127.0.0.1:$UPSTREAM2_PORT backup
</PooledProxyUpstream>
PooledProxyPass / upstream://group/
--- upstream
accept
expect GET /1
send 200 "first"
expect GET /2
stop_listening
send_head 200 "Connection: close\r\nContent-Length: 5"
send_raw "first"
signal down
--- upstream2
accept
expect GET /3
send 200 "backup"
--- dialog
request GET /1
read_head 200
read "first"
read_end
request GET /2
read_head 200
read "first"
read_end
await down
request GET /3
read_head 200
read "backup"
--- env
GET /3 200 POOLEDPROXY_ATTEMPTS=2 POOLEDPROXY_SERVER=127.0.0.1:$UPSTREAM2_PORT

=== a server that drains gets nothing new; when all drain nobody is there
--- mpm: event worker
--- config
<PooledProxyUpstream some>
    PooledProxyServer http://127.0.0.1:$CLOSED_PORT drain
    PooledProxyServer http://127.0.0.1:$UPSTREAM_PORT
</PooledProxyUpstream>
<PooledProxyUpstream none>
    PooledProxyServer http://127.0.0.1:$UPSTREAM_PORT drain
</PooledProxyUpstream>
PooledProxyPass /none upstream://none/
PooledProxyPass / upstream://some/
--- upstream
accept
repeat 4
expect GET /
send 200 "ok"
end
--- request
GET /
GET /
GET /none
GET /
GET /
--- error_code: 200 200 503 200 200
--- response_headers
3 Retry-After: ~^\d+$
--- env
GET /none 503 POOLEDPROXY_REASON=no_server
GET / 200 POOLEDPROXY_ATTEMPTS=1
--- error_log
no_server

=== closed without an answer, on a new connection
--- upstream
accept
expect GET /closed
close
accept
expect GET /reset
reset
accept
close
--- request
GET /closed
GET /reset
GET /at-once
--- error_code: 502
--- env
GET /closed 502 POOLEDPROXY_REASON=closed_no_answer
GET /reset 502 POOLEDPROXY_REASON=closed_no_answer
--- stats
conn_closed_failed 3
idle 0
--- ignore_error_log
closed_no_answer
reset_on_send

=== a server that closes while the body is still on its way, but has answered: the answer counts
--- upstream
accept
expect_head PUT /
send_head 403 "Connection: close\r\nContent-Length: 6"
send_raw "denied"
close_write
await answered
allow_more
--- dialog
send "PUT / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 100000000\r\n\r\n"
send_until_full
read_head 403
read "denied"
tell answered

=== the client goes away while the server thinks: the server sees it, the place is free
--- upstream
accept
expect GET /
signal thinking
wait_close
--- dialog
request GET /
await thinking
close
--- stats
conn_closed_client_gone 1
requests_failed 1
--- env
GET / POOLEDPROXY_REASON=client_gone

=== the same with a waiting thread
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
signal thinking
wait_close
--- dialog
request GET /
await thinking
close
--- stats
conn_closed_client_gone 1
--- env
GET / POOLEDPROXY_REASON=client_gone

=== the client resets its connection inside the answer
--- upstream
accept
expect GET /
send_head 200 "Content-Length: 100"
send_raw "part"
wait_close
--- dialog
request GET /
read_head 200
read "part"
reset
--- stats
conn_closed_client_gone 1
--- env
GET / POOLEDPROXY_REASON=client_gone

=== the client goes away while the connection is made
--- config
PooledProxyTimeout connect=1
PooledProxyPass / http://127.0.0.1:$HANGING_PORT/
--- dialog
request GET /
stats connecting 1
close
stats waiting 0
--- stats
conn_opened 0
--- env
GET / POOLEDPROXY_REASON=client_gone

=== localhost is a name like others
--- config
PooledProxyPass / http://localhost:$UPSTREAM_PORT/
--- upstream
accept
expect GET /1
expect_header Host: ~^localhost:\d+$
send 200 "1"
expect GET /2
send 200 "2"
--- request
GET /1
GET /2
--- stats
conn_opened 1

=== a name that does not exist: 503
--- config
PooledProxyTimeout connect=2
PooledProxyPass / http://no-such-name.invalid/
--- request
GET /
--- error_code: 503
--- env
GET / 503 POOLEDPROXY_REASON=~dns_\w+
--- error_log_like
dns_(?:failed|timeout)

=== Retry-After says when there may be room: here, when the one that waits has waited for as long as it may
--- mpm: event worker
--- config
PooledProxyPoolSize 1
PooledProxyQueue 1
PooledProxyTimeout pool=20
PooledProxyPass /waiting http://127.0.0.1:$UPSTREAM_PORT/
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
<Location /waiting>
    PooledProxyAsync Off
</Location>
--- upstream
accept
expect GET /first
await refused
send 200 "first"
expect GET /second
send 200 "second"
--- dialog
connect first
request GET /first
stats busy 1
connect second
request GET /second
stats waiting 1
connect third
request GET /third
read_head 503
header Retry-After: ~^(?:19|20|21)$
connect fourth
request GET /waiting
read_head 503
header Retry-After: ~^(?:19|20|21)$
tell refused
use first
read_head 200
use second
read_head 200
--- error_log
pool_full
