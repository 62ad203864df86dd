/* test_pool_idle: what is learnt from closes of idle connections, and which one goes when too many are idle. */
#include "pool_rig.h"

/* A connection that serves, is idle for so long, and is then closed by the server. */
static void closed_after(pp_time_t age)
{
    asker_t a = {0};
    peer_t peer = {.fd = -1};

    get(&a, &server);
    (void)drive_until(loop, server_accept(&server, &peer));
    give_back(&a);
    drive_clock_by(age);
    drive_rounds(loop, 1);
    peer_close(&peer);
    (void)drive_until(loop, stats.idle == 0);
    drive_clock_by(PP_SEC(1)); /* until the next request */
    drive_rounds(loop, 2);
}

/* One that is idle for so long and serves again, then is thrown away. */
static void served_after(pp_time_t age)
{
    asker_t a = {0};

    get(&a, &server);
    give_back(&a);
    drive_clock_by(age);
    drive_rounds(loop, 1);
    get(&a, &server);
    give_back(&a);
    get(&a, &server);
    throw_away(&a);
}

static pp_time_t learnt(void)
{
    return pp_host_table_close_age(pp_book_hosts(book));
}

static void begin_at(void)
{
    begin();
    drive_clock_by(0);
    drive_rounds(loop, 1);
}

static void test_learn(void)
{
    note("a server that closes idle connections after a time of its own");
    begin_at();
    closed_after(PP_SEC(5));
    closed_after(PP_SEC(5) + PP_MSEC(20));
    is_int(learnt(), 0, "twice may be an accident");
    closed_after(PP_SEC(5) + PP_MSEC(10));
    is_int(learnt(), PP_SEC(5), "three times it is learnt");
    served_after(PP_SEC(4));
    is_int(stats.conn_closed[PP_CLOSE_idle_timeout], 0, "a connection is kept for less than that");
    end();
}

static void test_no_time(void)
{
    note("closes that mean no time");
    begin_at();
    for (int i = 0; i < 5; i++)
        closed_after(PP_MSEC(1));
    is_int(learnt(), 0, "right after an answer");
    closed_after(PP_SEC(2));
    closed_after(PP_SEC(9));
    closed_after(PP_SEC(4));
    closed_after(PP_SEC(20));
    is_int(learnt(), 0, "at different ages");
    closed_after(PP_SEC(3));
    closed_after(PP_SEC(3));
    served_after(PP_SEC(6));
    closed_after(PP_SEC(3));
    is_int(learnt(), 0, "when another one was idle for longer and served");
    end();
}

static void test_burst(void)
{
    asker_t a[5] = {0};
    peer_t peer[5] = {0};

    note("connections that became idle together, of a server that ends bit by bit");
    begin_at();
    for (int i = 0; i < 5; i++) {
        get(&a[i], &server);
        (void)drive_until(loop, server_accept(&server, &peer[i]));
    }
    for (int i = 0; i < 5; i++)
        give_back(&a[i]);
    drive_clock_by(PP_SEC(10));
    for (int i = 0; i < 5; i++) {
        peer_close(&peer[i]);
        (void)drive_until(loop, stats.idle == 4 - i);
        drive_clock_by(PP_MSEC(200));
        drive_rounds(loop, 1);
    }
    is_int(learnt(), 0, "tell of one event");
    end();
}

static void test_idle_max(void)
{
    asker_t a = {0}, b = {0}, c = {0};
    pp_conn_t *newest;

    note("too many are idle");
    begin_at();
    policy.idle_max = 2;
    get(&a, &server);
    get(&b, &server);
    get(&c, &server);
    newest = c.conn;
    give_back(&a);
    drive_clock_by(1);
    drive_rounds(loop, 1);
    give_back(&b);
    give_back(&c);
    is_int(stats.idle, 2, "as many as may be are kept");
    is_int(stats.conn_closed[PP_CLOSE_idle_max], 1, "the oldest one goes");
    get(&a, &server);
    ok(a.conn == newest, "the newest one serves next");
    throw_away(&a);
    end();
}

int main(void)
{
    drive_begin();
    test_learn();
    test_no_time();
    test_burst();
    test_idle_max();
    drive_end();
    return done_testing();
}
