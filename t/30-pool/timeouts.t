# Each time-out fires alone, not early, with its reason; and where each of them may be set.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== first-byte: no answer
--- config
PooledProxyTimeout first-byte=300ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
wait_close
--- dialog
request GET /
read_head 504
took 0.3 0.35
--- stats
conn_closed_timeout 1
requests_failed 1
--- env
GET / 504 POOLEDPROXY_REASON=first_byte_timeout
--- error_log
first_byte_timeout

=== first-byte with a waiting thread
--- config
PooledProxyAsync Off
PooledProxyTimeout first-byte=300ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
wait_close
--- dialog
request GET /
read_head 504
took 0.3 0.35
--- stats
conn_closed_timeout 1
--- env
GET / 504 POOLEDPROXY_REASON=first_byte_timeout
--- error_log
first_byte_timeout

=== first-byte begins when the request is sent: a client that uploads slowly is not the backend's fault
--- config
PooledProxyTimeout first-byte=300ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect PUT /
wait_close
--- dialog
send "PUT / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 8\r\n\r\nhalf"
wait 0.6
send "half"
read_head 504
took 0.3 0.35
--- env
PUT / 504 POOLEDPROXY_REASON=first_byte_timeout
--- error_log
first_byte_timeout

=== read: the body stalls
--- config
PooledProxyTimeout read=300ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
send_head 200 "Transfer-Encoding: chunked"
repeat 4
send_chunk "tick"
wait 0.15
end
signal stalls
wait_close
--- dialog
request GET /
read_head 200
read "ticktickticktick"
read_cut
took 0.75 0.9
--- stats
conn_closed_timeout 1
--- env
GET / 200 POOLEDPROXY_REASON=read_timeout
--- error_log
read_timeout

=== read with a waiting thread
--- config
PooledProxyAsync Off
PooledProxyTimeout read=300ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
send_head 200 "Content-Length: 100"
send_raw "tick"
wait_close
--- dialog
request GET /
read_head 200
read "tick"
read_cut
took 0.3 0.35
--- env
GET / 200 POOLEDPROXY_REASON=read_timeout
--- error_log
read_timeout

=== read: a client that reads slowly is not the backend's fault
--- config
PooledProxyTimeout read=300ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
send_head 200 "Content-Length: 20000000"
send_bytes 20000000
--- dialog
request GET /
read_head 200
read_bytes 1000
wait 0.8
read_bytes 19999000
read_end

=== write: the backend does not take the body
--- config
PooledProxyTimeout write=300ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect_head PUT /
await answered
allow_more
--- dialog
send "PUT / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 1000000000\r\n\r\n"
send_until_full
read_head 504
took 0.3 1.5
tell answered
--- stats
conn_closed_timeout 1
--- env
PUT / 504 POOLEDPROXY_REASON=write_timeout
--- error_log
write_timeout

=== write with a waiting thread
--- config
PooledProxyAsync Off
PooledProxyTimeout write=300ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect_head PUT /
await answered
allow_more
--- dialog
send "PUT / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 1000000000\r\n\r\n"
send_until_full
read_head 504
took 0.3 1.5
tell answered
--- env
PUT / 504 POOLEDPROXY_REASON=write_timeout
--- error_log
write_timeout

=== connect: the server neither takes nor refuses the connection
--- config
PooledProxyTimeout connect=300ms
PooledProxyPass / http://127.0.0.1:$HANGING_PORT/
--- dialog
request GET /
read_head 504
took 0.3 0.35
--- stats
conn_opened 0
conn_failed 1
--- env
GET / 504 POOLEDPROXY_REASON=connect_timeout
--- error_log
connect_timeout

=== pool: no connection becomes free
--- config
PooledProxyPoolSize 1
PooledProxyTimeout pool=300ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /first
signal busy
await second_answered
send 200 "first"
--- dialog
connect first
request GET /first
await busy
connect second
request GET /second
read_head 503
took 0.3 0.35
header Retry-After: 1
tell second_answered
use first
read_head 200
read "first"
--- mpm: event worker
--- env
GET /second 503 POOLEDPROXY_REASON=pool_timeout
--- error_log
pool_timeout

=== total: waiting for the answer
--- config
PooledProxyTimeout total=300ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
wait_close
--- dialog
request GET /
read_head 504
took 0.3 0.35
--- env
GET / 504 POOLEDPROXY_REASON=total_timeout
--- error_log
total_timeout

=== total: a backend that drips for ever
--- config
PooledProxyTimeout total=500ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
send_head 200 "Transfer-Encoding: chunked"
repeat 4
send_chunk "drip"
wait 0.1
end
wait_close
--- dialog
request GET /
read_head 200
read "dripdripdripdrip"
read_cut
took 0.5 0.55
--- env
GET / 200 POOLEDPROXY_REASON=total_timeout
--- error_log
total_timeout

=== total: waiting for a connection
--- config
PooledProxyPoolSize 1
PooledProxyTimeout total=300ms
PooledProxyPass /first http://127.0.0.1:$UPSTREAM_PORT/first timeout.total=0
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /first
signal busy
await second_answered
send 200 "first"
--- dialog
connect first
request GET /first
await busy
connect second
request GET /second
read_head 504
took 0.3 0.35
tell second_answered
use first
read_head 200
read "first"
--- mpm: event worker
--- env
GET /second 504 POOLEDPROXY_REASON=total_timeout
--- error_log
total_timeout

=== total: connecting
--- config
PooledProxyTimeout total=300ms connect=1
PooledProxyPass / http://127.0.0.1:$HANGING_PORT/
--- dialog
request GET /
read_head 504
took 0.3 0.35
--- env
GET / 504 POOLEDPROXY_REASON=total_timeout
--- error_log
total_timeout

=== where it may be set: the route's key, the <Location>, the upstream, the vhost, each over the next
--- config
PooledProxyTimeout first-byte=400ms
<PooledProxyUpstream group>
    PooledProxyServer http://127.0.0.1:$UPSTREAM_PORT
    PooledProxyTimeout first-byte=300ms
</PooledProxyUpstream>
PooledProxyPass /route upstream://group/ timeout.first-byte=100ms
PooledProxyPass /location upstream://group/
PooledProxyPass /upstream upstream://group/
PooledProxyPass /vhost http://127.0.0.1:$UPSTREAM_PORT/
<Location /location>
    PooledProxyTimeout first-byte=200ms
</Location>
<Location /route>
    PooledProxyTimeout first-byte=200ms
</Location>
--- upstream
repeat 4
accept
expect GET /
wait_close
end
--- dialog
request GET /route
read_head 504
took 0.1 0.15
connect
request GET /location
read_head 504
took 0.2 0.25
connect
request GET /upstream
read_head 504
took 0.3 0.35
connect
request GET /vhost
read_head 504
took 0.4 0.45
--- error_log
first_byte_timeout

=== a lease that is renewed does not begin the time-outs anew: first-byte
--- main_config
Timeout 1
--- config
PooledProxyTimeout first-byte=2
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
wait_close
--- dialog
request GET /
read_head 504
took 2 2.1
--- error_log
first_byte_timeout

=== a lease that is renewed does not begin the time-outs anew: read
--- main_config
Timeout 1
--- config
PooledProxyTimeout read=2
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
send_head 200 "Content-Length: 100"
send_raw "tick"
wait_close
--- dialog
request GET /
read_head 200
read "tick"
read_cut
took 2 2.1
--- error_log
read_timeout

=== httpd's Timeout is not the backend's: an answer after two of it arrives
--- main_config
Timeout 1
--- upstream
accept
expect GET /
wait 2.2
send 200 "late"
--- request
GET /
--- response_body
late

=== httpd's Timeout is the client's: an upload that stalls
--- main_config
Timeout 1
--- upstream
accept
expect_head PUT /
wait_close
--- dialog
send "PUT / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 100\r\n\r\n"
read_head 408
took 1 1.5
--- stats
conn_closed_client_gone 1
--- env
PUT / 408 POOLEDPROXY_REASON=client_timeout
