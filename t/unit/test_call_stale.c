/* test_call_stale: a reused connection turns out to be dead: the request is sent once more, where that can do no harm. */
#include "call_rig.h"

typedef struct stale_t {
    bool idempotent;
    const char *body; /* NULL: none */
    bool chunked;
    int request_buffer;
    void (*goes)(peer_t *); /* before the request is sent; the pool can't know of it yet. NULL: after it was received */
} stale_t;

static client_t *client_on(const stale_t *row)
{
    client_t *client = client_for(&one);

    make_idle();
    client->call.idempotent = row->idempotent;
    client->call.request_buffer = row->request_buffer;
    client->call.request.has_body = row->body != NULL;
    client->call.request.chunked = row->chunked;
    client->data = row->body;
    client->data_ends = true;
    return client;
}

/* A request on an idle connection that is dead before the request comes, or dies when it has it. */
static client_t *call_on_dead(const stale_t *row)
{
    client_t *client = client_on(row);

    if (row->goes)
        row->goes(&peer);
    pp_call_start(&client->call);
    if (row->goes)
        return client;
    if (!is_asked(0) || !drive_until(shard->loop, !row->body || peer_has(&peer, row->body)))
        abort();
    peer_close(&peer);
    return client;
}

/* It has come again, whole, and is answered. */
static void comes_again(client_t *client, const char *body, const char *name)
{
    bool asked = is_asked(0);

    ok(asked && drive_until(shard->loop, peer_has(&peer, body)), "%s: comes again on a new connection", name);
    if (asked)
        peer_send(&peer, OK);
    is_str(asked ? outcome(client) : "", "200 hello ok", "... and is answered");
    is_int(stats.stale_replayed, 1, "... the replay is counted");
    is_int(stats.conn_closed[PP_CLOSE_stale], 1, "... and the stale connection");
    ok(client->call.why_new && !strcmp(client->call.why_new, "fresh"), "... the new one says why it is new");
    is_int(client->call.attempts, 1, "... it is no further attempt");
    is_int(stats.requests_failed, 0, "... nothing failed");
    end();
}

static void is_not_sent_again(client_t *client, const char *name)
{
    is_str(outcome(client), "stale", "%s: is not sent again", name);
    is_int(stats.stale_replayed, 0, "... no replay");
    drive_rounds(shard->loop, 3);
    ok(!accept_at(0), "... no connection");
    end();
}

/* ---- what is sent again ---- */

static void test_idempotent(void)
{
    begin();
    comes_again(call_on_dead(&(stale_t){.idempotent = true, .goes = peer_close}), "X: y", "GET, closed before");
    begin();
    comes_again(call_on_dead(&(stale_t){.idempotent = true, .goes = peer_reset}), "X: y", "GET, reset before");
    begin();
    comes_again(call_on_dead(&(stale_t){.idempotent = true}), "X: y", "GET, closed after");
    begin();
    comes_again(call_on_dead(&(stale_t){.idempotent = true, .body = "data", .request_buffer = 4}), "\r\n\r\ndata",
                "PUT, body kept");
    begin();
    comes_again(call_on_dead(&(stale_t){.idempotent = true, .body = "data", .chunked = true, .request_buffer = 4}),
                "\r\n\r\n4\r\ndata\r\n0\r\n\r\n", "PUT in chunks");
    begin();
    comes_again(call_on_dead(&(stale_t){.idempotent = true, .body = "data", .request_buffer = 3, .goes = peer_reset}),
                "\r\n\r\ndata", "PUT with a body that is not kept, but nothing was sent");
    begin();
    is_not_sent_again(call_on_dead(&(stale_t){.idempotent = true, .body = "data", .request_buffer = 3}),
                      "PUT with a body larger than what is kept");
}

static void test_not_idempotent(void)
{
    begin();
    comes_again(call_on_dead(&(stale_t){.goes = peer_close}), "X: y", "POST, found closed before anything is sent");
    begin();
    comes_again(call_on_dead(&(stale_t){.body = "data", .goes = peer_close}), "\r\n\r\ndata", "POST with a body");
    begin();
    comes_again(call_on_dead(&(stale_t){.body = "data", .goes = peer_reset}), "\r\n\r\ndata", "POST, reset before");
    begin();
    is_not_sent_again(call_on_dead(&(stale_t){.body = "data", .request_buffer = 100}), "POST, closed after");
    begin();
    is_not_sent_again(call_on_dead(&(stale_t){.request_buffer = 100}), "POST without a body, closed after");
}

static void send_junk(peer_t *to)
{
    peer_send(to, OK);
}

static void test_unexpected(void)
{
    client_t *client;

    begin();
    client = call_on_dead(&(stale_t){.body = "data", .goes = send_junk});
    peer_close(&peer);
    ok(is_asked(0), "an answer that nobody asked for is not taken for the POST's");
    peer_send(&peer, OK);
    is_str(outcome(client), "200 hello ok", "... which goes over a new connection");
    is_int(stats.conn_closed[PP_CLOSE_unexpected_data], 1, "... the other one is closed, with its reason");
    end();
}

/* ---- once, and only before an answer ---- */

static void test_once(void)
{
    client_t *client;

    begin();
    client = call_on_dead(&(stale_t){.idempotent = true, .goes = peer_close});
    ok(is_asked(0), "a replay");
    peer_close(&peer);
    is_str(outcome(client), "closed_no_answer", "... that fails as well is not tried again");
    is_int(stats.stale_replayed, 1, "... one replay");
    end();
}

static void test_answered(void)
{
    static const char *const answers[] = {"HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 2"};

    for (int i = 0; i < 3; i++) {
        client_t *client;

        begin();
        client = client_on(&(stale_t){.idempotent = true});
        pp_call_start(&client->call);
        (void)is_asked(0);
        peer_send(&peer, answers[i]);
        peer_close(&peer);
        is_str(outcome(client), "closed_in_head", "a part of an answer (%.12s): no replay", answers[i]);
        is_int(stats.stale_replayed, 0, "... none is counted");
        end();
    }
}

/* All connections of the pool are dead: the replay must not take another of them. */
static void test_all_stale(void)
{
    client_t *a, *b;
    peer_t first;

    begin();
    a = client_for(&one);
    b = client_for(&one);
    pp_call_start(&a->call);
    ok(is_asked(0), "two connections");
    first = peer;
    pp_call_start(&b->call);
    ok(drive_until(shard->loop, accept_at(0)) && is_asked(0), "... busy");
    peer_send(&peer, OK);
    peer_send(&first, OK);
    (void)outcome(a);
    (void)outcome(b);
    peer_close(&peer);
    peer_close(&first);
    a = client_for(&one);
    pp_call_start(&a->call);
    ok(is_asked(0), "... both dead: the replay goes over a third");
    peer_send(&peer, OK);
    is_str(outcome(a), "200 hello ok", "... and is answered");
    is_int(stats.stale_replayed, 1, "... after one replay");
    end();
}

/* ---- a body that is not whole yet ---- */

static void test_rest_of_body(void)
{
    client_t *client;

    begin();
    client = client_on(&(stale_t){.idempotent = true, .body = "begin", .request_buffer = 100});
    client->data_ends = false;
    pp_call_start(&client->call);
    ok(is_asked(0) && drive_until(shard->loop, peer_has(&peer, "begin")), "the server has a part of the body");
    ok(pp_call_takes_body(&client->call), "... the client is asked for the rest");
    peer_close(&peer);
    ok(drive_until(shard->loop, !pp_call_takes_body(&client->call)), "... and goes: for the moment nobody takes a body");
    client->data = "-end";
    client->data_ends = true;
    pp_call_body_ready(&client->call);
    ok(is_asked(0) && drive_until(shard->loop, peer_has(&peer, "\r\n\r\nbegin-end")),
       "... the whole comes over the new connection");
    peer_send(&peer, OK);
    is_str(outcome(client), "200 hello ok", "... and is answered");
    end();
}

static void test_cancelled(void)
{
    client_t *client;

    begin();
    client = call_on_dead(&(stale_t){.idempotent = true, .body = "data", .request_buffer = 100});
    ok(drive_until(shard->loop, stats.stale_replayed == 1), "cancelled while the replay waits for its connection");
    pp_call_cancel(&client->call, PP_ERR_client_gone);
    ok(!client->call.body.kept && stats.busy == 0, "... nothing is kept, nothing busy");
    end();
}

int main(void)
{
    drive_begin();
    note("what is sent again");
    test_idempotent();
    test_not_idempotent();
    test_unexpected();
    note("once, and only before an answer");
    test_once();
    test_answered();
    test_all_stale();
    note("bodies");
    test_rest_of_body();
    test_cancelled();
    drive_end();
    return done_testing();
}
