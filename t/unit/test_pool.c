/* test_pool: what a pool promises to those who check connections out of it. */
#include "pool_rig.h"

/* ---- reuse ---- */

static void test_reuse(void)
{
    asker_t a = {0}, b = {0}, c = {0};
    unsigned first, second;

    note("reuse");
    begin();
    is_int(ask(&a, &server), APR_EAGAIN, "the first connection has to be opened");
    is_int(a.called, 0, "... no callback from inside");
    ok(drive_until(loop, a.conn), "... it comes");
    is_int(a.called, 1, "... once");
    ok(!a.checkout.reused, "... as a new one");
    is_str(a.checkout.why_new, "no_idle", "... because none was idle");
    ok(a.checkout.connect_time >= 0 && a.checkout.dns_time >= 0, "... with its times");
    get(&b, &server);
    first = a.conn->id;
    second = b.conn->id;
    give_back(&a);
    ok(!a.conn, "checkin takes the connection from its caller");
    give_back(&b);
    is_int(stats.idle, 2, "two are idle");
    is_int(ask(&c, &server), APR_SUCCESS, "an idle connection is had at once");
    is_int(c.conn->id, second, "... the last one used first");
    ok(c.checkout.reused && c.checkout.connect_time == 0 && c.checkout.dns_time == 0, "... as a reused one");
    is_int(ask(&a, &server), APR_SUCCESS, "... the next");
    is_int(a.conn->id, first, "... is the one before");
    give_back(&a);
    give_back(&c);
    is_int(stats.conn_reused, 2, "both are counted");
    c.checkout.fresh = true;
    is_int(ask(&c, &server), APR_EAGAIN, "who wants a fresh one does not get an idle one");
    ok(drive_until(loop, c.conn) && !c.checkout.reused, "... but a new one");
    is_str(c.checkout.why_new, "fresh", "... for that reason");
    is_int(ask(&b, &other), APR_EAGAIN, "another host's idle connections are of no use");
    (void)drive_until(loop, b.conn);
    throw_away(&b);
    throw_away(&c);
    is_int(stats.conn_closed[PP_CLOSE_failed], 2, "the reason of a discard is counted");
    end();
}

static void test_max_requests(void)
{
    asker_t a = {0};

    note("PooledProxyMaxRequests");
    begin();
    policy.max_requests = 3;
    for (int i = 0; i < 3; i++) {
        get(&a, &server);
        give_back(&a);
    }
    is_int(stats.conn_opened, 1, "three requests on one connection");
    is_int(stats.conn_closed[PP_CLOSE_max_requests], 1, "... then it is closed");
    end();
}

static void test_keep_alive_off(void)
{
    asker_t a = {0};

    note("PooledProxyKeepAlive Off");
    begin();
    policy.keep_alive = false;
    get(&a, &server);
    is_str(a.checkout.why_new, "keepalive_off", "a new connection says why");
    give_back(&a);
    is_int(stats.conn_closed[PP_CLOSE_keepalive_off], 1, "a checked in connection is closed");
    is_int(stats.idle, 0, "... none is idle");
    ask(&a, &server);
    pp_pool_cancel(&a.checkout);
    ok(drive_until(loop, stats.conn_opened == 2), "one that was opened for nobody");
    is_int(stats.idle, 0, "... is not kept either");
    end();
}

static void test_idle_timeout(void)
{
    asker_t a = {0}, b = {0};

    note("PooledProxyKeepAliveTimeout");
    begin();
    drive_clock_by(0);
    get(&a, &server);
    get(&b, &server);
    give_back(&a);
    drive_clock_by(PP_SEC(59));
    drive_rounds(loop, 2);
    is_int(stats.idle, 1, "idle for less than its time");
    give_back(&b);
    drive_clock_by(PP_SEC(1));
    drive_rounds(loop, 2);
    is_int(stats.conn_closed[PP_CLOSE_idle_timeout], 1, "closed when its time has come");
    is_int(ask(&a, &server), APR_SUCCESS, "the other one still serves");
    drive_clock_by(PP_SEC(600));
    drive_rounds(loop, 2);
    ok(a.conn, "one in use has no such time");
    give_back(&a);
    drive_clock_by(PP_SEC(60));
    is_int(ask(&a, &server), APR_EAGAIN, "too old a connection is not given out, even before the timer saw to it");
    is_int(stats.conn_closed[PP_CLOSE_idle_timeout], 2, "... but closed");
    (void)drive_until(loop, a.conn);
    throw_away(&a);
    end();
}

static void test_keep_for(void)
{
    asker_t a = {0}, b = {0};

    note("the server says how long it keeps an idle connection");
    begin();
    drive_clock_by(0);
    get(&a, &server);
    a.conn->keep_for = PP_SEC(5);
    give_back(&a);
    drive_clock_by(PP_SEC(4) - 1);
    drive_rounds(loop, 2);
    is_int(stats.idle, 1, "idle for less than that");
    drive_clock_by(1);
    drive_rounds(loop, 2);
    is_int(stats.conn_closed[PP_CLOSE_idle_timeout], 1, "closed a second before the server does it");
    get(&a, &server);
    a.conn->keep_for = PP_SEC(600);
    give_back(&a);
    drive_clock_by(PP_SEC(60));
    drive_rounds(loop, 2);
    is_int(stats.conn_closed[PP_CLOSE_idle_timeout], 2, "a longer time than our own does not count");
    drive_clock_by(PP_MSEC(250));
    drive_rounds(loop, 2);
    policy.size = 1;
    resize();
    get(&a, &server);
    ask(&b, &server);
    a.conn->keep_for = PP_SEC(1);
    give_back(&a);
    ok(b.conn && b.checkout.reused, "too short to be idle: a waiter has it still");
    give_back(&b);
    is_int(stats.conn_closed[PP_CLOSE_keepalive_hint], 1, "... else it is not kept");
    is_int(stats.idle, 0, "... none is idle");
    end();
}

static void test_peer_closes_idle(void)
{
    asker_t a = {0}, b = {0};
    peer_t peer = {0}, second = {0};

    note("the server ends an idle connection");
    begin();
    get(&a, &server);
    (void)drive_until(loop, server_accept(&server, &peer));
    get(&b, &server);
    (void)drive_until(loop, server_accept(&server, &second));
    give_back(&a);
    peer_close(&peer);
    ok(drive_until(loop, stats.conn_closed[PP_CLOSE_peer_closed] == 1), "its closing is noticed and counted at once");
    is_int(stats.idle, 0, "... none is idle");
    give_back(&b);
    peer_reset(&second);
    ok(drive_until(loop, stats.conn_closed[PP_CLOSE_peer_closed] == 2), "a reset too");
    get(&a, &server);
    (void)drive_until(loop, server_accept(&server, &peer));
    give_back(&a);
    peer_send(&peer, "HTTP/1.1 408 Request Timeout\r\n\r\n");
    ok(drive_until(loop, stats.conn_closed[PP_CLOSE_unexpected_data] == 1), "data that nobody asked for ends it");
    peer_close(&peer);
    is_int(ask(&a, &server), APR_EAGAIN, "none of these is given out");
    (void)drive_until(loop, a.conn);
    throw_away(&a);
    end();
}

static void test_drain(void)
{
    asker_t a = {0}, b = {0}, c = {0};

    note("drain");
    begin();
    policy.size = 2;
    resize();
    get(&a, &server);
    get(&b, &server);
    ask(&c, &server);
    give_back(&a);
    ok(c.conn && c.checkout.reused, "before: a waiter is served");
    give_back(&b);
    pp_pool_drain(pool);
    is_int(stats.conn_closed[PP_CLOSE_shutdown], 1, "what is idle is closed");
    ask(&a, &server);
    ask(&b, &server);
    ok(drive_until(loop, a.conn), "requests go on");
    give_back(&c);
    ok(b.conn && b.checkout.reused, "... who waits is served by what becomes free");
    give_back(&a);
    give_back(&b);
    is_int(stats.conn_closed[PP_CLOSE_shutdown], 3, "nothing is kept");
    is_int(stats.idle, 0, "... none is idle");
    end();
}

/* ---- waiting ---- */

static void test_order(void)
{
    asker_t askers[8] = {0};

    note("waiters");
    begin();
    policy.size = 2;
    resize();
    get(&askers[0], &server);
    get(&askers[1], &server);
    for (int i = 2; i < 8; i++)
        is_int(ask(&askers[i], &server), APR_EAGAIN, "asker %d waits", i);
    is_int(stats.waiting, 6, "six wait");
    is_int(stats.requests_queued, 6, "... and are counted");
    answered = 0;
    pp_pool_cancel(&askers[3].checkout);
    pp_pool_cancel(&askers[3].checkout);
    is_int(stats.waiting, 5, "one cancels");
    give_back(&askers[0]);
    is_int(askers[2].order, 1, "first come first served: by a checkin");
    ok(askers[2].checkout.reused, "... with the same connection");
    throw_away(&askers[1]);
    ok(drive_until(loop, askers[4].conn), "... by a discard");
    ok(!askers[4].checkout.reused, "... with a new connection");
    give_back(&askers[4]);
    give_back(&askers[2]);
    ok(askers[5].order == 3 && askers[6].order == 4, "... in order");
    is_int(askers[3].called, 0, "who has cancelled is not called");
    pp_pool_cancel(&askers[5].checkout);
    ok(askers[5].conn, "to cancel when the connection is there is harmless");
    give_back(&askers[5]);
    give_back(&askers[6]);
    give_back(&askers[7]);
    is_int(stats.conn_opened, 3, "three connections for all that");
    end();
}

static void test_callbacks(void)
{
    asker_t a = {0}, b = {.closes = true}, c = {0}, d = {0}, e = {0};

    note("calls from callbacks");
    begin();
    policy.size = 1;
    resize();
    get(&a, &server);
    b.cancels = &c;
    ask(&b, &server);
    ask(&c, &server);
    ask(&d, &server);
    e.cancels = &d;
    ask(&e, &other);
    give_back(&a);
    is_int(b.called, 1, "a waiter that closes what it gets, in its callback");
    ok(drive_until(loop, d.conn), "... leaves the next one a place");
    is_int(c.called, 0, "one that it has cancelled is not called");
    throw_away(&d);
    ok(drive_until(loop, e.conn), "then one of another host");
    give_back(&e);
    end();
}

static void test_queue(void)
{
    asker_t askers[8] = {0};

    note("PooledProxyQueue");
    begin();
    policy.size = 3;
    resize();
    policy.queue = 2;
    policy.max_connecting = 1;
    for (int i = 0; i < 5; i++)
        is_int(ask(&askers[i], &server), APR_EAGAIN, "asker %d is taken", i);
    is_int(ask(&askers[5], &server), APR_EGENERAL, "pool and queue are full");
    is_int(askers[5].err, PP_ERR_pool_full, "... pool_full, at once");
    is_int(stats.waiting, 5, "... he does not wait");
    ok(drive_until(loop, askers[2].conn), "three are served");
    is_int(ask(&askers[6], &server), APR_EGENERAL, "the queue still is full");
    pp_pool_cancel(&askers[3].checkout);
    is_int(ask(&askers[6], &server), APR_EAGAIN, "one goes: a place");
    policy.queue = 0;
    is_int(ask(&askers[7], &server), APR_EGENERAL, "a queue of 0: nobody waits");
    for (int i = 0; i < 3; i++)
        throw_away(&askers[i]);
    ok(drive_until(loop, askers[4].conn && askers[6].conn), "the waiting are served");
    throw_away(&askers[4]);
    throw_away(&askers[6]);
    end();
}

static void test_queue_of_host(void)
{
    asker_t a = {0}, b = {0}, c = {0}, d = {0}, e = {0};

    note("queue and PooledProxyHostLimit");
    begin();
    policy.queue = 1;
    policy.host_limit = 1;
    policy.max_connecting = 1;
    get(&a, &server);
    is_int(ask(&b, &server), APR_EAGAIN, "one waits at a full host");
    is_int(ask(&c, &server), APR_EGENERAL, "the next is too many, however much room the pool has");
    is_int(c.err, PP_ERR_pool_full, "... pool_full");
    ok(get(&d, &other), "another host is not full");
    throw_away(&d);
    policy.host_limit = 0;
    is_int(ask(&d, &other), APR_EAGAIN, "who waits for a handshake only");
    is_int(ask(&e, &other), APR_EAGAIN, "... does not stand in the queue");
    ok(drive_until(loop, d.conn && e.conn), "... and is served");
    throw_away(&d);
    throw_away(&e);
    give_back(&a);
    ok(b.conn, "the waiting one gets his");
    give_back(&b);
    end();
}

static void test_queue_and_idle(void)
{
    asker_t a[2] = {0}, b[2] = {0};

    note("queue and idle connections of another host");
    begin();
    policy.size = 2;
    resize();
    policy.queue = 0;
    policy.max_connecting = 1;
    get(&a[0], &server);
    get(&a[1], &server);
    give_back(&a[0]);
    give_back(&a[1]);
    is_int(ask(&b[0], &other), APR_EAGAIN, "a place is made by closing an idle one");
    is_int(ask(&b[1], &other), APR_EAGAIN, "... a second, though its handshake has to wait");
    ok(drive_until(loop, b[0].conn && b[1].conn), "... both are served");
    is_int(stats.conn_closed[PP_CLOSE_evicted], 2, "... at the cost of two");
    give_back(&b[0]);
    give_back(&b[1]);
    end();
}

static void test_wait_until(void)
{
    asker_t a = {0}, b = {0}, c = {0};

    note("the time to wait for a connection");
    begin();
    drive_clock_by(0);
    policy.size = 1;
    resize();
    a.checkout.wait_until = pp_clock_now() + PP_SEC(2);
    ask(&a, &server);
    drive_clock_by(PP_SEC(3));
    ok(drive_until(loop, a.conn), "it does not count while a connection is opened");
    b.checkout.wait_until = pp_clock_now() + PP_SEC(2);
    c.checkout.wait_until = pp_clock_now() + PP_SEC(4);
    ask(&b, &server);
    ask(&c, &server);
    drive_clock_by(PP_SEC(2) - 1);
    drive_rounds(loop, 2);
    is_int(b.called, 0, "two seconds are not over");
    drive_clock_by(1);
    drive_rounds(loop, 2);
    is_int(b.err, PP_ERR_pool_timeout, "now they are: pool_timeout");
    is_int(b.called, 1, "... once");
    is_int(stats.waiting, 1, "the other one waits on");
    throw_away(&a);
    drive_clock_by(PP_SEC(2));
    ok(drive_until(loop, c.conn), "... and is served: its connection was under way");
    throw_away(&c);
    end();
}

int main(void)
{
    drive_begin();
    test_reuse();
    test_max_requests();
    test_keep_alive_off();
    test_idle_timeout();
    test_keep_for();
    test_peer_closes_idle();
    test_drain();
    test_order();
    test_callbacks();
    test_queue();
    test_queue_of_host();
    test_queue_and_idle();
    test_wait_until();
    drive_end();
    return done_testing();
}
