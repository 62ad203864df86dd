/* test_call_ends: calls that run out of time or are given up: nothing is left of them. */
#include "call_rig.h"

/* leastconn sees what is in flight: 0 at both servers, or one of them would not always be the one without. */
static bool is_none_in_flight(void)
{
    pp_balance_t *balance = shard->balances[0];
    int wrong = 0;

    for (int server = 0; server < 2; server++) {
        pp_balance_begin(balance, server);
        for (int i = 0; i < 20; i++)
            wrong += pp_balance_pick(balance, 0, NULL, 0) == server;
        pp_balance_end(balance, server);
    }
    return wrong == 0;
}

static void test_in_flight(void)
{
    static const char *const ends[] = {"answered", "cancelled", "failed"};
    client_t *client;

    note("what is in flight");
    begin();
    two.balance = PP_BALANCE_LEASTCONN;
    for (int i = 0; i < 3; i++) {
        client = client_for(&two);
        pp_call_start(&client->call);
        ok(is_asked(client->call.server_index) && !is_none_in_flight(), "a call in flight");
        if (i == 0)
            peer_send(&peer, OK);
        else if (i == 1)
            pp_call_cancel(&client->call, PP_ERR_client_gone);
        peer_close(&peer);
        (void)drive_until(shard->loop, client->ended || i == 1);
        ok(is_none_in_flight(), "... is not when %s", ends[i]);
    }
    end();

    begin_with(server_refuse, server_refuse);
    two.balance = PP_BALANCE_LEASTCONN;
    client = client_for(&two);
    pp_call_start(&client->call);
    is_str(outcome(client), "connect_refused", "a call that both servers refuse");
    ok(is_none_in_flight(), "... is not in flight any more");
    end();
}

static void test_after_the_end(void)
{
    client_t *client;

    begin();
    drive_clock_by(0);
    client = client_for(&one);
    client->call.timeouts.total = PP_SEC(10);
    pp_call_start(&client->call);
    (void)is_asked(0);
    peer_send(&peer, OK);
    is_str(outcome(client), "200 hello ok", "a call that has ended");
    pp_call_cancel(&client->call, PP_ERR_client_gone);
    is_int(client->call.err, PP_OK, "... is not changed by a cancel");
    drive_clock_by(PP_SEC(20));
    drive_rounds(shard->loop, 2);
    is_int(client->call.err, PP_OK, "... nor by its total time-out");
    is_int(stats.idle, 1, "... and its connection is idle");
    end();
}

/* ---- time ---- */

static void test_total(void)
{
    client_t *a, *b;

    note("total time-out");
    begin();
    pool_def.policy.size = 1;
    resize();
    drive_clock_by(0);
    a = client_for(&one);
    b = client_for(&one);
    a->call.timeouts.total = PP_SEC(10);
    b->call.timeouts.total = PP_SEC(4);
    pp_call_start(&a->call);
    ok(is_asked(0), "one is in flight");
    pp_call_start(&b->call);
    drive_clock_by(PP_SEC(4) - 1);
    drive_rounds(shard->loop, 2);
    ok(!b->ended, "another waits in the queue for less than its total");
    drive_clock_by(1);
    is_str(outcome(b), "total_timeout", "... then not");
    is_int(stats.waiting, 0, "... nobody waits");
    peer_send(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    drive_clock_by(PP_SEC(6));
    is_str(outcome(a), "200 hel total_timeout", "in the body");
    is_int(stats.conn_closed[PP_CLOSE_timeout], 1, "... the connection is closed");
    ok(drive_until(shard->loop, peer_is_at_eof(&peer)), "... and the server sees that");
    peer_close(&peer);
    a = client_for(&one);
    a->call.timeouts.total = PP_SEC(1);
    pp_call_start(&a->call);
    drive_clock_by(PP_SEC(1));
    is_str(outcome(a), "total_timeout", "while connecting");
    end();
}

static void test_pool_timeout(void)
{
    client_t *a, *b;

    begin();
    pool_def.policy.size = 1;
    resize();
    drive_clock_by(0);
    a = client_for(&one);
    b = client_for(&one);
    b->call.timeouts.pool = PP_SEC(2);
    pp_call_start(&a->call);
    ok(is_asked(0), "one is in flight");
    pp_call_start(&b->call);
    drive_clock_by(PP_SEC(2));
    is_str(outcome(b), "pool_timeout", "another waits for as long as it may");
    pp_call_cancel(&b->call, PP_ERR_client_gone);
    is_int(b->call.err, PP_ERR_pool_timeout, "to cancel what has ended changes nothing");
    pp_call_cancel(&a->call, PP_ERR_client_gone);
    end();
}

/* ---- cancel ---- */

/* What follows each cancel: nothing is called, all gauges are 0 and the server sees the end at once. */
static void cancel(client_t *client, const char *phase)
{
    pp_call_cancel(&client->call, PP_ERR_client_gone);
    pp_call_cancel(&client->call, PP_ERR_shutdown);
    is_int(client->call.err, PP_ERR_client_gone, "cancelled while %s", phase);
    (void)drive_until(shard->loop, stats.connecting == 0);
    ok(!client->ended && stats.busy == 0 && stats.waiting == 0, "... no callback, nothing busy, nobody waits");
}

static void test_cancel(void)
{
    static char much[4 * 1024 * 1024];
    client_t *a, *b;

    note("cancel");
    begin();
    a = client_for(&one);
    pp_call_start(&a->call);
    cancel(a, "connecting");
    is_int(stats.idle, 1, "... the connection is there for the next one");
    pool_def.policy.size = 1;
    resize();
    a = client_for(&one);
    b = client_for(&one);
    pp_call_start(&a->call);
    ok(is_asked(0), "one in flight");
    pp_call_start(&b->call);
    pp_call_cancel(&b->call, PP_ERR_client_gone);
    ok(b->call.err == PP_ERR_client_gone && stats.waiting == 0 && stats.busy == 1, "cancelled while queued: the other goes on");
    cancel(a, "waiting for the answer");
    ok(peer_is_at_eof(&peer), "... the server sees the end at once");
    is_int(stats.conn_closed[PP_CLOSE_client_gone], 1, "... and why is counted");
    peer_close(&peer);

    a = client_for(&one);
    pp_call_start(&a->call);
    ok(is_asked(0), "one in flight");
    peer_send(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    (void)drive_until(shard->loop, a->status);
    cancel(a, "reading");
    ok(peer_is_at_eof(&peer), "... the server sees the end at once");
    peer_close(&peer);

    memset(much, 'x', sizeof(much) - 1);
    a = client_for(&one);
    a->call.request.has_body = true;
    a->data = much;
    pp_call_start(&a->call);
    ok(drive_until(shard->loop, accept_at(0)), "a large body");
    drive_rounds(shard->loop, 3);
    cancel(a, "sending");
    ok(peer_is_at_eof(&peer), "... the server sees the end");
    peer_close(&peer);

    a = client_for(&one);
    a->call.timeouts.total = PP_SEC(1);
    pp_call_start(&a->call);
    (void)is_asked(0);
    pp_call_cancel(&a->call, PP_ERR_shutdown);
    is_int(stats.conn_closed[PP_CLOSE_shutdown], 1, "cancelled because the server stops: that is the reason of the close");
    peer_close(&peer);
    end();
}

/* A pause made in one attempt holds in the next; the body may become ready between attempts. */
static void test_pause_and_body(void)
{
    client_t *client;

    note("pause and body over attempts");
    begin_with(server_refuse, server_open);
    client = client_for(&two);
    client->call.request.has_body = true;
    client->call.request.chunked = true;
    pp_call_start(&client->call);
    pp_call_pause(&client->call);
    pp_call_body_ready(&client->call);
    client->data = "data";
    client->data_ends = true;
    ok(drive_until(shard->loop, accept_at(1)) && drive_until(shard->loop, peer_has(&peer, "4\r\ndata\r\n0\r\n\r\n")),
       "a body that was ready before there was a connection");
    peer_send(&peer, OK);
    drive_rounds(shard->loop, 4);
    ok(!client->status && !client->ended, "paused before there was a connection: no answer is read");
    pp_call_resume(&client->call);
    is_str(outcome(client), "200 hello ok", "... until resumed");
    end();
}

int main(void)
{
    drive_begin();
    test_in_flight();
    test_after_the_end();
    test_total();
    test_pool_timeout();
    test_cancel();
    test_pause_and_body();
    drive_end();
    return done_testing();
}
