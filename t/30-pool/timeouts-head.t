# PooledProxyTimeout while the head of the answer comes bit by bit.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== first-byte: a part of a head is no answer, nor is an interim one
--- config
PooledProxyTimeout first-byte=300ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /part
send_raw "HTTP/1.1 200 OK\r\nContent-Le"
wait_close
accept
expect GET /interim
send_head 103 "Link: </a>"
wait_close
--- dialog
request GET /part
read_head 504
took 0.3 0.35
connect
request GET /interim
read_head 504
took 0.3 0.35
--- mpm: event worker
--- error_log
first_byte_timeout

=== read: the head stalls
--- config
PooledProxyTimeout read=300ms
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
send_raw "HTTP/1.1 200 OK\r\n"
wait 0.15
send_raw "Content-Le"
wait_close
--- dialog
request GET /
read_head 504
took 0.43 0.55
--- mpm: event worker
--- error_log
read_timeout

