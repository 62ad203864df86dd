# What the directives about header fields do, and which fields never cross.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== by default the backend gets the URL's Host and is told about the client
--- upstream
accept
expect GET /
expect_header Host: ~^127\.0\.0\.1:\d+$
expect_header X-Forwarded-For: 127.0.0.1
expect_header X-Forwarded-Host: front.test
expect_header X-Forwarded-Proto: http
expect_header Via: 1.1 front.test
expect_no_header Forwarded
expect_no_header Connection
expect_no_header Content-Length
expect_no_header Transfer-Encoding
send 200
--- request
GET /

=== what came before is kept where fields are lists, and not believed where they are not
--- upstream
accept
expect GET /
expect_header X-Forwarded-For: 192.0.2.1, 192.0.2.2, 127.0.0.1
expect_header X-Forwarded-Host: front.test
expect_header X-Forwarded-Proto: http
expect_header Via: 1.0 one, 1.1 front.test
expect_header Forwarded: for=192.0.2.1
send 200
--- request
GET /
X-Forwarded-For: 192.0.2.1
X-Forwarded-For: 192.0.2.2
X-Forwarded-Host: evil.test
X-Forwarded-Proto: https
Via: 1.0 one
Forwarded: for=192.0.2.1

=== PooledProxyForwarded off passes the client's fields on as they are
--- config
PooledProxyForwarded off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
expect_header X-Forwarded-For: 192.0.2.1
expect_no_header X-Forwarded-Host
expect_no_header X-Forwarded-Proto
expect_no_header Forwarded
send 200
--- request
GET /
X-Forwarded-For: 192.0.2.1

=== PooledProxyForwarded rfc7239
--- config
PooledProxyForwarded rfc7239
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /1
expect_header Forwarded: for=127.0.0.1;host=front.test;proto=http
expect_no_header X-Forwarded-For
send 200
expect GET /2
expect_header Forwarded: for=192.0.2.1, for=127.0.0.1;host="front.test:81";proto=http
send 200
--- request eval
["GET /1", "GET /2\nHost: front.test:81\nForwarded: for=192.0.2.1\n"]

=== PooledProxyForwarded both, and a <Location> that has it its own way
--- config
PooledProxyForwarded both
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
<Location "/off">
  PooledProxyForwarded off
</Location>
--- upstream
accept
expect GET /
expect_header Forwarded: ~for=127.0.0.1
expect_header X-Forwarded-For: 127.0.0.1
send 200
expect GET /off
expect_no_header Forwarded
expect_no_header X-Forwarded-For
send 200
--- request
GET /
GET /off

=== behind TLS the scheme is https
--- tls
--- config
PooledProxyForwarded both
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
expect_header X-Forwarded-Proto: https
expect_header Forwarded: ~;proto=https$
send 200
--- request
GET /

=== PooledProxyPreserveHost On sends the client's Host
--- config
PooledProxyPreserveHost On
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
expect_header Host: front.test:81
expect_header X-Forwarded-Host: front.test:81
send 200
--- request
GET /
Host: front.test:81

=== hop-by-hop fields of the request do not cross, nor do those that Connection names
--- upstream
accept
expect GET /
expect_no_header Keep-Alive
expect_no_header Proxy-Connection
expect_no_header Proxy-Authorization
expect_no_header TE
expect_no_header X-Named
expect_no_header HTTP2-Settings
expect_header X-Kept: yes
expect_header Host: ~:
expect_header X-Forwarded-For: 127.0.0.1
expect_header Authorization: Basic YTpi
send 200
--- request
GET /
Connection: keep-alive, X-Named, Host, X-Forwarded-For
Keep-Alive: 300
Proxy-Connection: keep-alive
Proxy-Authorization: Basic YTpi
Authorization: Basic YTpi
TE: trailers
HTTP2-Settings: AAMAAABkAAQAAP__
X-Named: no
X-Kept: yes
X-Forwarded-For: 192.0.2.1

=== an upgrade to h2c is not passed on
--- upstream
accept
expect GET /
expect_no_header Upgrade
expect_no_header Connection
send 200
--- request
GET /
Connection: Upgrade, HTTP2-Settings
Upgrade: h2c
HTTP2-Settings: AAMAAABkAAQAAP__

=== what mod_headers does to the request is what the backend gets
--- modules: headers
--- config
RequestHeader set X-Set 1
RequestHeader unset X-Gone
RequestHeader set X-Forwarded-For 198.51.100.7
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
expect_header X-Set: 1
expect_no_header X-Gone
expect_header X-Forwarded-For: 198.51.100.7, 127.0.0.1
send 200
--- request
GET /
X-Gone: 1

=== a field that can't be sent is refused
--- config
HttpProtocolOptions Unsafe
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- raw_request
GET / HTTP/1.1
Host: front.test
X-Bad: a\x01b
--- error_code: 400
--- error_log
a header field of the request can't be sent to a backend

=== the answer's fields arrive as the backend wrote them, its reason, Date and Server too
--- upstream
accept
expect GET /page.css
send_head 299 "Server: Back/1\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/x; charset=\"a\"\r\nWWW-Authenticate: Basic realm=\"a\"\r\nWWW-Authenticate: Bearer\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nWarning: 199 - \"x\"\r\nVia: 1.1 back\r\nContent-Length: 0"
--- request
GET /page.css
--- error_code: 299
--- response_headers
Server: Back/1
Date: Thu, 01 Jan 1970 00:00:00 GMT
Content-Type: text/x; charset="a"
WWW-Authenticate: ~Basic realm="a".*Bearer
Set-Cookie: ~a=1; Path=/.*b=2
Warning: 199 - "x"
Via: 1.1 back

=== nothing is made up from the path's extension
--- modules: mime
--- main_config
TypesConfig /dev/null
--- config
AddType text/css .css
AddEncoding x-gzip .gz
AddLanguage en .en
AddHandler cgi-script .cgi
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /a.en.css.gz
send_head 200 "Content-Length: 0"
expect GET /a.cgi
send_head 200 "Content-Length: 0"
--- request
GET /a.en.css.gz
GET /a.cgi
--- response_headers_absent: Content-Type Content-Encoding Content-Language

=== hop-by-hop fields of the answer do not cross
--- upstream
accept
expect GET /
send_head 200 "Connection: X-Named\r\nX-Named: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\nProxy-Authenticate: Basic\r\nTrailer: X\r\nUpgrade: h2c\r\nX-Kept: 2\r\nContent-Length: 0"
--- raw_request
GET / HTTP/1.1
Host: front.test
Connection: close
--- response_headers
X-Kept: 2
--- response_headers_absent: X-Named Keep-Alive Proxy-Connection Proxy-Authenticate Trailer Upgrade

=== redirects that point at the backend point at the front
--- config
PooledProxyPass /app http://127.0.0.1:$UPSTREAM_PORT/x
--- upstream
accept
expect GET /x/1
send_head 302 "Location: http://127.0.0.1:$UPSTREAM_PORT/x/new?a=b#c\r\nContent-Location: /x/here\r\nRefresh: 5; url=http://127.0.0.1:$UPSTREAM_PORT/x/f\r\nLink: <http://127.0.0.1:$UPSTREAM_PORT/x/2>; rel=next, </x/s.css>; title=\"<no>\", <http://else.test/x/3>\r\nContent-Length: 0"
--- request
GET /app/1
--- error_code: 302
--- response_headers
Location: http://front.test/app/new?a=b#c
Content-Location: /app/here
Refresh: 5; url=http://front.test/app/f
Link: <http://front.test/app/2>; rel=next, </app/s.css>; title="<no>", <http://else.test/x/3>

=== redirects that point elsewhere stay
--- config
PooledProxyPass /app http://127.0.0.1:$UPSTREAM_PORT/x
--- upstream
accept
expect GET /x/1
send_head 302 "Location: http://127.0.0.1:$UPSTREAM_PORT/xy\r\nContent-Location: /app/known\r\nRefresh: 5\r\nContent-Length: 0"
expect GET /x/2
send_head 302 "Location: http://127.0.0.1:1/x/\r\nContent-Location: relative/x\r\nContent-Length: 0"
expect GET /x/3
send_head 302 "Location: https://127.0.0.1:$UPSTREAM_PORT/x/\r\nContent-Location: ../x\r\nContent-Length: 0"
--- request
GET /app/1
GET /app/2
GET /app/3
--- error_code: 302
--- response_headers
1 Location: ~^http://127\.0\.0\.1:\d+/xy$
1 Content-Location: /app/known
1 Refresh: 5
2 Location: http://127.0.0.1:1/x/
2 Content-Location: relative/x
3 Location: ~^https://127
3 Content-Location: ../x

=== redirects of a named upstream's server, of a handler's URL
--- config
<PooledProxyUpstream api>
  PooledProxyServer http://127.0.0.1:$UPSTREAM_PORT/base/
</PooledProxyUpstream>
PooledProxyPass /a/ upstream://api/x/
<Location "/h">
  SetHandler pooledproxy:http://127.0.0.1:$UPSTREAM_PORT/Pre
</Location>
--- upstream
accept
expect GET /base/x/1
send_head 302 "Location: http://127.0.0.1:$UPSTREAM_PORT/base/x/new\r\nContent-Length: 0"
accept
expect GET /Pre/h/1
send_head 302 "Location: http://127.0.0.1:$UPSTREAM_PORT/Pre/h/new\r\nContent-Length: 0"
--- request
GET /a/1
GET /h/1
--- error_code: 302
--- response_headers
1 Location: http://front.test/a/new
2 Location: http://front.test/h/new

=== PooledProxyRewriteRedirects Off leaves them alone
--- config
PooledProxyRewriteRedirects Off
PooledProxyPass /app http://127.0.0.1:$UPSTREAM_PORT/x
--- upstream
accept
expect GET /x/
send_head 302 "Location: http://127.0.0.1:$UPSTREAM_PORT/x/new\r\nContent-Length: 0"
--- request
GET /app/
--- error_code: 302
--- response_headers
Location: ~^http://127\.0\.0\.1:\d+/x/new$

=== cookies: Domain and Path are mapped, of the vhost and of the <Location>
--- config
PooledProxyPass /app http://127.0.0.1:$UPSTREAM_PORT/x
PooledProxyCookieDomain back.test front.test
PooledProxyCookiePath / /vhost
<Location "/app">
  PooledProxyCookiePath /x /app
</Location>
--- upstream
accept
expect GET /x/
send_head 200 "Set-Cookie: a=b; Path=/x/y; Domain=.BACK.test; Secure\r\nSet-Cookie: c=Path=/x; path=/other;HttpOnly\r\nSet-Cookie: d=e; Domain=back.test.org\r\nContent-Length: 0"
--- request
GET /app/
--- response_headers
Set-Cookie: ~a=b; Path=/app; Domain=front.test; Secure.*c=Path=/x; path=/vhost;HttpOnly.*d=e; Domain=back.test.org

=== early hints are passed on, without the fields of the hop
--- config
PooledProxyPass /app http://127.0.0.1:$UPSTREAM_PORT/x
--- upstream
accept
expect GET /x/
send_raw "HTTP/1.1 103 Early Hints\r\nLink: </x/a.css>; rel=preload\r\nConnection: X-Named\r\nX-Named: 1\r\n\r\n"
send 200 "x"
--- request
GET /app/
--- interim
103 Link: </app/a.css>; rel=preload
