# Proxy-Status (RFC 9209): what the client is told of how the proxying went.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== an error of ours says what it is
--- request
GET /
--- error_code: 502
--- response_headers
Proxy-Status: front.test; error=connection_refused; details="connect_refused"
--- error_log
connect_refused

=== with a waiting thread
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- request
GET /
--- error_code: 502
--- response_headers
Proxy-Status: front.test; error=connection_refused; details="connect_refused"
--- error_log
connect_refused

=== an answer of the upstream says nothing of ours, and keeps what it says itself
--- upstream
accept
expect GET /plain
send 404 "no"
expect GET /said
send_head 502 "Content-Length: 0\r\nProxy-Status: other.test; error=dns_timeout"
--- request
GET /plain
GET /said
--- error_code: 404 502
--- response_headers
2 Proxy-Status: other.test; error=dns_timeout

=== a broken answer's fields do not get into ours
--- upstream
accept
expect GET /
send_raw "HTTP/1.1 200 OK\r\nProxy-Status: other.test\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"
wait_close
--- request
GET /
--- error_code: 502
--- response_headers
Proxy-Status: front.test; error=http_protocol_error; details="bad_content_length"
--- error_log
bad_content_length

=== a name that is no token is a string
--- main_config
UseCanonicalName Off
--- raw_request
GET / HTTP/1.1
Host: 127.0.0.1
Connection: close
--- error_code: 502
--- response_headers
Proxy-Status: "127.0.0.1"; error=connection_refused; details="connect_refused"
--- error_log
connect_refused

=== a document for the error carries it
--- config
ErrorDocument 502 /sorry.txt
PooledProxyPass /sorry.txt !
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- files
>>> sorry.txt
sorry
--- request
GET /
--- error_code: 502
--- response_body
sorry
--- response_headers
Proxy-Status: front.test; error=connection_refused; details="connect_refused"
--- error_log
connect_refused

=== a client that is too slow is told so
--- main_config
Timeout 1
--- upstream
accept
expect_head PUT /
wait_close
--- dialog
send "PUT / HTTP/1.1\r\nHost: front.test\r\nContent-Length: 100\r\n\r\n"
read_head 408
header Proxy-Status: front.test; error=http_request_error; details="client_timeout"

=== off: nothing
--- config
PooledProxyStatusHeader off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- request
GET /
--- error_code: 502
--- response_headers_absent: Proxy-Status
--- error_log
connect_refused

=== always: on answers, too, behind what others said
--- config
PooledProxyStatusHeader always
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /plain
send 404 "no"
expect GET /said
send_head 200 "Content-Length: 0\r\nProxy-Status: origin.test; received-status=200\r\nProxy-Status: other.test"
expect GET /upgrade
send_head 101 "Upgrade: echo\r\nConnection: Upgrade"
close
--- dialog
request GET /plain
read_head 404
header Proxy-Status: front.test; received-status=404; next-protocol=http/1.1
read "no"
read_end
request GET /said
read_head 200
header Proxy-Status: origin.test; received-status=200, other.test, front.test; received-status=200; next-protocol=http/1.1
read_end
request GET /upgrade "Upgrade: echo\r\nConnection: Upgrade"
read_interim 101
header Proxy-Status: front.test; received-status=101; next-protocol=http/1.1
wait_close
