/* test_pool_limits: how many connections a pool opens, for whom, and what becomes of the openings. */
#include "pool_rig.h"

/* ---- limits ---- */

static void test_host_limit(void)
{
    asker_t a = {0}, b = {0}, c = {0}, d = {0};
    char key[80];
    pp_target_t target;

    note("limits of a host");
    begin();
    target = target_of(&server, key);
    policy.host_limit = 1;
    get(&a, &server);
    ask(&b, &server);
    drive_rounds(loop, 5);
    is_int(b.called, 0, "a host's limit holds");
    ok(get(&c, &other), "... and does not hinder another host");
    target.limit = 2;
    is_int(ask_target(&d, &target), APR_EAGAIN, "a server's own limit comes first");
    ok(drive_until(loop, b.conn), "... and gives way to who has waited longest");
    drive_rounds(loop, 5);
    is_int(d.called, 0, "... one only");
    throw_away(&b);
    ok(drive_until(loop, d.conn), "then the next");
    throw_away(&a);
    throw_away(&c);
    throw_away(&d);
    end();
}

static void test_max_connecting(void)
{
    asker_t askers[10] = {0};
    int64_t most = 0;
    int done = 0;

    note("PooledProxyMaxConnecting");
    begin();
    policy.max_connecting = 3;
    for (int i = 0; i < 10; i++)
        ask(&askers[i], &server);
    is_int(stats.connecting, 3, "three handshakes at once");
    while (done < 10) {
        pp_loop_round(loop, PP_MSEC(1));
        most = stats.connecting > most ? stats.connecting : most;
        done = 0;
        for (int i = 0; i < 10; i++)
            done += askers[i].called;
    }
    is_int(most, 3, "... never more, until all ten are served");
    for (int i = 0; i < 10; i++)
        throw_away(&askers[i]);
    end();
}

static void test_eviction(void)
{
    asker_t a = {0}, b = {0}, c = {0}, d = {0}, e = {0};
    unsigned id;

    note("eviction");
    begin();
    policy.size = 3;
    resize();
    get(&a, &server);
    get(&b, &server);
    get(&c, &server);
    give_back(&a);
    id = b.conn->id;
    give_back(&b);
    ok(get(&d, &other), "an idle connection of another host makes room");
    is_int(stats.conn_closed[PP_CLOSE_evicted], 1, "... by being closed");
    is_int(ask(&a, &server), APR_SUCCESS, "... the one not used for longest:");
    is_int(a.conn->id, id, "the other one is there");
    is_int(ask(&b, &other), APR_EAGAIN, "all three are busy");
    give_back(&a);
    ok(drive_until(loop, b.conn), "a checkin makes room for who waits for another host");
    policy.host_limit = 2;
    ask(&e, &other);
    give_back(&c);
    is_int(stats.idle, 1, "but nothing is closed for who may not have it anyway");
    give_back(&b);
    ok(e.conn, "... he is served by his own host");
    give_back(&d);
    give_back(&e);
    end();
}

static void test_fresh_is_not_starved(void)
{
    asker_t a = {0}, b = {0}, fresh = {.checkout.fresh = true}, second = {.checkout.fresh = true};

    note("a fresh connection where idle ones fill the pool");
    begin();
    policy.size = 2;
    resize();
    get(&a, &server);
    get(&b, &server);
    give_back(&a);
    give_back(&b);
    ok(get(&fresh, &server), "an idle one of the same host makes room in the pool");
    policy.host_limit = 2;
    ok(get(&second, &server), "... and at the host");
    is_int(stats.conn_closed[PP_CLOSE_evicted], 2, "... by being closed");
    give_back(&fresh);
    fresh.checkout.fresh = true;
    ask(&a, &server);
    ask(&fresh, &server);
    give_back(&second);
    ok(drive_until(loop, fresh.conn), "one checked in meanwhile makes room too");
    give_back(&a);
    give_back(&fresh);
    end();
}

/* ---- openings ---- */

static void test_outlives(void)
{
    asker_t a = {0}, b = {0}, c = {0}, d = {0};

    note("an opening outlives its waiter");
    begin();
    policy.size = 1;
    resize();
    ask(&a, &server);
    is_int(ask(&b, &server), APR_EAGAIN, "one waits behind one whose connection is being opened");
    pp_pool_cancel(&a.checkout);
    ok(drive_until(loop, b.conn), "he cancels: the next one has it");
    is_int(stats.conn_opened, 1, "... the same");
    is_int(a.called, 0, "... nobody calls him");
    throw_away(&b);
    ask(&a, &server);
    pp_pool_cancel(&a.checkout);
    is_int(stats.connecting, 1, "no one waits: it goes on");
    policy.queue = 0;
    is_int(ask(&c, &server), APR_EAGAIN, "who comes now has not to queue");
    is_int(ask(&d, &server), APR_EGENERAL, "... but the next would");
    ok(drive_until(loop, c.conn), "... and gets it");
    is_int(stats.conn_opened, 2, "... without another");
    throw_away(&c);
    ask(&a, &server);
    pp_pool_cancel(&a.checkout);
    ok(drive_until(loop, stats.idle == 1), "it ends up idle");
    is_int(ask(&a, &server), APR_SUCCESS, "... for the next request");
    is_int(stats.waiting, 0, "nobody waits");
    throw_away(&a);
    end();
}

static void test_checkin_before_opening(void)
{
    asker_t a = {0}, b = {0}, c = {0};

    note("a checkin comes before the opening is done");
    begin();
    drive_clock_by(0);
    get(&a, &server);
    policy.max_connecting = 1;
    ask(&b, &server);
    c.checkout.wait_until = pp_clock_now() + PP_SEC(1);
    ask(&c, &server);
    give_back(&a);
    ok(b.conn && b.checkout.reused, "the waiter gets the checked in one");
    drive_clock_by(PP_SEC(2));
    ok(drive_until(loop, is_answered(&c)), "... the next one what was opened for him");
    ok(c.conn && !c.checkout.reused, "... and has not to wait for it as in the queue");
    is_int(stats.conn_opened, 2, "two in all");
    throw_away(&b);
    throw_away(&c);
    end();
}

static void test_refused(void)
{
    asker_t a = {0}, b = {0}, c = {0}, d = {0};
    server_t refusing;

    note("connection refused");
    begin();
    server_refuse(&refusing);
    get(&a, &server);
    ask(&b, &refusing);
    ask(&c, &server);
    ask(&d, &refusing);
    ok(drive_until(loop, b.err && c.conn && d.err), "those who asked that host are told, others not");
    ok(b.err == PP_ERR_connect_refused && d.err == PP_ERR_connect_refused, "... connect_refused");
    is_int(b.called + d.called, 2, "... once each");
    ok(b.order < d.order, "... in order");
    is_int(stats.conn_failed, 2, "failed openings are counted");
    policy.max_connecting = 1;
    ask(&b, &refusing);
    ask(&d, &refusing);
    pp_pool_cancel(&b.checkout);
    d.err = PP_OK;
    b.called = 0;
    ok(drive_until(loop, d.err), "when the first cancels the failure is the next one's");
    is_int(b.called, 0, "... not his");
    a.checkout.fresh = true;
    give_back(&a);
    ask(&a, &refusing);
    ask(&b, &refusing);
    ok(drive_until(loop, a.err && b.err) && a.order < b.order, "a failure is for whom the connection was opened");
    throw_away(&c);
    close(refusing.fd);
    end();
}

static void test_no_way(void)
{
    pp_target_t nowhere = {.key = "a..b:80", .host = "a..b", .port = 80};
    asker_t a = {0};
    server_t missing;

    begin();
    ask_target(&a, &nowhere);
    ok(drive_until(loop, a.err), "a name that cannot be");
    is_int(a.err, PP_ERR_dns_failed, "... dns_failed");
    server_open_unix(&missing);
    server_close(&missing);
    get(&a, &missing);
    is_int(a.err, PP_ERR_connect_refused, "a unix socket that is not there is connect_refused");
    end();
}

/* The resolver asks a port where nobody answers. */
static void test_connect_timeout(void)
{
    asker_t a = {.checkout.connect_timeout = PP_MSEC(30)}, b = {.checkout.connect_timeout = PP_MSEC(60)};
    pp_target_t nowhere = {.key = "silent.test:80", .host = "silent.test", .port = 80};
    server_t silent = {.fd = socket(AF_INET, SOCK_DGRAM, 0), .addr_len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *addr = (struct sockaddr_in *)&silent.addr;
    pp_time_t began = pp_clock_now();
    char servers[32];

    note("connect time-out");
    begin();
    addr->sin_family = AF_INET;
    addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(silent.fd, (struct sockaddr *)addr, sizeof(*addr)) != 0)
        abort();
    getsockname(silent.fd, (struct sockaddr *)addr, &silent.addr_len);
    snprintf(servers, sizeof(servers), "127.0.0.1:%d", ntohs(addr->sin_port));
    pp_dns_servers_set(dns, servers);
    ask_target(&a, &nowhere);
    ask_target(&b, &nowhere);
    ok(drive_until(loop, a.err), "a name server that is silent");
    is_int(a.err, PP_ERR_dns_timeout, "... dns_timeout");
    ok(pp_clock_now() - began >= PP_MSEC(30), "... after the connect time-out");
    is_int(b.called, 0, "... each has his own");
    ok(drive_until(loop, b.err), "... then the other's");
    ok(pp_clock_now() - began >= PP_MSEC(60), "... in time");
    is_int(stats.connecting, 0, "nothing is left");
    close(silent.fd);
    end();
}

/* A round that takes longer than the time-out: it is over before the opening has begun. */
static void test_timeout_before_begin(void)
{
    asker_t a = {.checkout.connect_timeout = PP_MSEC(1)};

    begin();
    drive_clock_by(0);
    ask(&a, &server);
    drive_clock_by(PP_SEC(1));
    ok(drive_until(loop, is_answered(&a)), "a time-out that is over before the opening began");
    if (a.conn)
        throw_away(&a);
    end();
}

/* ---- hosts ---- */

static void test_many_hosts(void)
{
    asker_t a = {0}, b = {0}, waiting = {0};
    char key[80];

    note("hosts come and go");
    begin();
    policy.size = 2;
    resize();
    policy.host_limit = 1;
    get(&a, &server);
    ask(&waiting, &server);
    for (int i = 0; i < 500; i++) {
        pp_target_t target = target_of(&other, key);
        snprintf(key, sizeof(key), "host-%d", i);
        ask_target(&b, &target);
        (void)drive_until(loop, is_answered(&b));
        if (!b.conn)
            break;
        if (i % 2)
            give_back(&b);
        else
            throw_away(&b);
        for (peer_t peer; server_accept(&other, &peer);)
            peer_close(&peer);
        drive_rounds(loop, 2);
    }
    is_int(stats.conn_opened, 501, "five hundred hosts");
    give_back(&a);
    ok(waiting.conn, "who waits for another one all the time is not forgotten");
    give_back(&waiting);
    end();
}

int main(void)
{
    drive_begin();
    test_host_limit();
    test_max_connecting();
    test_eviction();
    test_fresh_is_not_starved();
    test_outlives();
    test_checkin_before_opening();
    test_refused();
    test_no_way();
    test_connect_timeout();
    test_timeout_before_begin();
    test_many_hosts();
    drive_end();
    return done_testing();
}
