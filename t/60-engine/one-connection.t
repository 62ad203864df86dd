# One client connection, and everything that can come over it: what the loop takes, what goes back to a worker, in the right order.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== ten pipelined requests are answered in their order
--- backend
--- pipelined
GET /bytes?n=1
GET /bytes?n=2
GET /bytes?n=3
GET /bytes?n=4
GET /bytes?n=5
GET /bytes?n=6
GET /bytes?n=7
GET /bytes?n=8
GET /bytes?n=9
GET /bytes?n=10
--- response_length
1 2 3 4 5 6 7 8 9 10
--- stats
conn_opened 1
conn_reused 9

=== pipelined requests for the backend and for files, mixed
--- backend
--- files
>>> one.txt
file one
>>> two.txt
file two
--- config
PooledProxyPass /app/ http://127.0.0.1:$BACKEND_PORT/
--- pipelined
GET /app/bytes?n=1
GET /one.txt
GET /app/bytes?n=2
GET /app/bytes?n=3
GET /two.txt
GET /one.txt
GET /app/bytes?n=4
GET /two.txt
GET /app/bytes?n=5
GET /app/bytes?n=6
--- response_length
1 9 2 3 9 9 4 9 5 6
--- stats
requests 6

=== a file between two requests for the backend
--- backend
--- files
>>> one.txt
file one
--- config
PooledProxyPass /app/ http://127.0.0.1:$BACKEND_PORT/
--- request
GET /app/bytes?n=3
GET /one.txt
GET /app/bytes?n=4
--- response_body
012
file one
0123
--- stats
conn_reused 1
--- connection: open

=== blank lines before and between requests
--- backend
--- raw_request
\r\n\
GET /bytes?n=1 HTTP/1.1
Host: front.test



GET /bytes?n=2 HTTP/1.1
Host: front.test


GET /bytes?n=3 HTTP/1.1
Host: front.test

\
--- response_body
0
01
012

=== a request with a body, the next request right behind it
--- backend
--- raw_request
POST /sink HTTP/1.1
Host: front.test
Content-Length: 5

hello\
POST /sink HTTP/1.1
Host: front.test
Content-Length: 3

abc\
GET /bytes?n=4 HTTP/1.1
Host: front.test

\
--- response_body
5
3
0123
--- stats
conn_opened 1

=== chunked bodies one behind the other, small enough to come in one packet
--- backend
--- raw_request
POST /sink HTTP/1.1
Host: front.test
Transfer-Encoding: chunked

5
hello
0

POST /sink HTTP/1.1
Host: front.test
Transfer-Encoding: chunked

3
abc
4;x=y
defg
0
Trailer: x

GET /bytes?n=2 HTTP/1.1
Host: front.test

\
--- response_body
5
7
01

=== a malformed request behind a good one is refused, and the connection closed
--- backend
--- raw_request
GET /bytes?n=2 HTTP/1.1
Host: front.test

GET /bad path HTTP/1.1
Host: front.test

GET /bytes?n=4 HTTP/1.1
Host: front.test

\
--- error_code: 200 400
--- response_body_like: 01
--- connection: closed
--- stats
requests 1

=== a request without Host behind a good one, with an ErrorDocument that is a file
--- backend
--- files
>>> 400.txt
sorry
--- config
ErrorDocument 400 /files/400.txt
PooledProxyPass /files/ !
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
Alias /files/ $DOCROOT/
--- modules: alias
--- raw_request
GET /bytes?n=2 HTTP/1.1
Host: front.test

GET /bytes?n=3 HTTP/1.1

\
--- error_code: 200 400
--- response_body
01
sorry

=== a request without Host, with an ErrorDocument that the backend has
--- backend
--- config
ErrorDocument 400 /bytes?n=5
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
--- raw_request
GET /bytes?n=2 HTTP/1.1
Host: front.test

GET /bytes?n=3 HTTP/1.1

\
--- error_code: 200 200
--- response_body
01
01234

=== an error of the backend's, with an ErrorDocument that the backend has
--- backend
--- config
ErrorDocument 502 /bytes?n=5
PooledProxyPass /down/ http://127.0.0.1:$CLOSED_PORT/
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
--- request
GET /bytes?n=2
GET /down/
GET /bytes?n=3
--- error_code: 200 200 200
--- response_body
01
01234
012
--- error_log
connect_refused

=== a route with PooledProxyAsync Off behind one with On
--- backend
--- main_config: PooledProxyEventLoops 1
--- config
<Location /sync/>
    PooledProxyAsync Off
    PooledProxyPass http://127.0.0.1:$BACKEND_PORT/
</Location>
PooledProxyPass /async/ http://127.0.0.1:$BACKEND_PORT/
--- pipelined
GET /async/bytes?n=1
GET /sync/bytes?n=2
GET /async/bytes?n=3
GET /sync/bytes?n=4
--- response_length
1 2 3 4

=== PooledProxyAsync is switched off for a part of what one route covers
--- backend
--- main_config: PooledProxyEventLoops 1
--- config
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
<LocationMatch "^/sink">
    PooledProxyAsync Off
</LocationMatch>
--- raw_request
GET /bytes?n=2 HTTP/1.1
Host: front.test

POST /sink HTTP/1.1
Host: front.test
Content-Length: 5

hello\
GET /bytes?n=3 HTTP/1.1
Host: front.test

\
--- response_body
01
5
012

=== a body through an input filter, behind a request without one
--- backend
--- modules: buffer
--- main_config: PooledProxyEventLoops 1
--- config
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
<Location /sink>
    SetInputFilter BUFFER
</Location>
--- raw_request
GET /bytes?n=2 HTTP/1.1
Host: front.test

POST /sink HTTP/1.1
Host: front.test
Content-Length: 5

hello\
GET /bytes?n=3 HTTP/1.1
Host: front.test

\
--- response_body
01
5
012

=== Expect: 100-continue behind another request
--- backend
--- raw_request
GET /bytes?n=2 HTTP/1.1
Host: front.test

POST /sink HTTP/1.1
Host: front.test
Content-Length: 5
Expect: 100-continue

hello\
--- response_body
01
5

=== HTTP/1.0 with and without keep-alive
--- backend
--- raw_request
GET /bytes?n=2 HTTP/1.0
Connection: keep-alive

GET /bytes?n=3 HTTP/1.0
Connection: keep-alive

GET /bytes?n=4 HTTP/1.0

\
--- response_body
01
012
0123
--- connection: closed

=== MaxKeepAliveRequests holds for requests read on a loop
--- backend
--- config
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
MaxKeepAliveRequests 3
--- request
GET /bytes?n=1
GET /bytes?n=2
GET /bytes?n=3
--- response_length
1 2 3
--- connection: closed

=== a head that is too large behind a good request
--- backend
--- config
PooledProxyPass / http://127.0.0.1:$BACKEND_PORT/
LimitRequestFieldSize 100
--- raw_request
GET /bytes?n=2 HTTP/1.1
Host: front.test

GET /bytes?n=3 HTTP/1.1
Host: front.test
X: 01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789

\
--- error_code: 200 400
--- response_body_like: 01
--- connection: closed
