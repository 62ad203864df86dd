# 1xx answers on their way to the client.
use strict;
use warnings;
use Test::PooledProxy;

run_tests();

__DATA__

=== 103 goes to the client as it comes, any number of times
--- upstream
accept
expect GET /
send_head 103 "Link: </style.css>; rel=preload"
send_head 103 "Link: </script.js>; rel=preload"
send 200 "done"
expect GET /next
send 200 "next"
--- request
GET /
GET /next
--- interim
103 Link: </style.css>; rel=preload
103 Link: </script.js>; rel=preload
--- response_body
done
next
--- stats
conn_opened 1

=== a 103 arrives before the final answer is sent
--- upstream
accept
expect GET /
send_head 103 "Link: </style.css>; rel=preload"
await got_103
send 200 "done"
--- dialog
request GET /
read_interim 103
header Link: </style.css>; rel=preload
tell got_103
read_head 200
read "done"
read_end

=== the same without the lease: a worker thread passes it on
--- config
PooledProxyAsync Off
PooledProxyPass / http://127.0.0.1:$UPSTREAM_PORT/
--- upstream
accept
expect GET /
send_head 103 "Link: </style.css>; rel=preload"
await got_103
send 200 "done"
--- dialog
request GET /
read_interim 103
tell got_103
read_head 200
read "done"
read_end

=== a 100 that the client did not ask for ends here; other interim answers pass
--- upstream
accept
expect GET /
send_head 100 ""
send_head 102 ""
send_head 150 "X-Unknown: yes"
send 200 "done"
--- request
GET /
--- interim
102
150 X-Unknown: yes
--- response_body
done
