/* test_exchange_ends: how an exchange ends when it does not end well: closed, too slow, given up. */
#include "exchange_rig.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define HELLO "Content-Length: 5\r\n\r\nhello"
#define UPGRADED "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"

enum { MUCH = 8 * 1024 * 1024 };
static char much[MUCH];
static server_t tcp;

/* ---- closed ---- */

static void test_closed_before_answer(void)
{
    prepare();
    start();
    drive_rounds(loop, 1);
    peer_take(&peer);
    peer_close(&peer);
    is_str(outcome_at_end(), "[] closed_no_answer failed", "closed after the request");
    ok(!x.any_byte && !x.head_seen, "... no byte came");
    done();

    prepare();
    x.reused = true;
    start();
    peer_take(&peer);
    peer_close(&peer);
    is_str(outcome_at_end(), "[] stale stale", "... on a reused connection");
    done();

    prepare();
    x.reused = true;
    peer_close(&peer);
    start();
    is_str(outcome_at_end(), "[] stale stale", "closed before the request");
    is_int((long long)x.sent, 0, "... nothing was sent");
    done();

    connect_to(&tcp);
    peer_reset(&peer);
    start();
    is_str(outcome_at_end(), "[] reset_on_send failed", "reset before the request");
    done();

    prepare();
    has_body("hello", 5, 0);
    start();
    peer_take(&peer);
    peer_close(&peer);
    is_str(outcome_at_end(), "[] reset_on_send failed", "closed while the client's body was waited for");
    done();

    connect_to(&tcp);
    has_body(much, MUCH, MUCH);
    start();
    drive_rounds(loop, 3);
    peer_reset(&peer);
    is_str(outcome_at_end(), "[] reset_on_send failed", "reset while the body was sent");
    done();
}

static void test_closed_in_answer(void)
{
    connect_to(&tcp);
    start();
    peer_send(&peer, OK);
    (void)drive_until(loop, x.any_byte);
    peer_reset(&peer);
    is_str(outcome_at_end(), "[] closed_in_head failed", "reset in the head");
    done();

    connect_to(&tcp);
    x.reused = true;
    start();
    peer_send(&peer, OK);
    (void)drive_until(loop, x.any_byte);
    peer_close(&peer);
    is_str(outcome_at_end(), "[] closed_in_head failed", "closed in the head of a reused connection: not stale");
    done();

    connect_to(&tcp);
    start();
    peer_send(&peer, OK "\r\nhello");
    (void)drive_until(loop, front.received == 5);
    peer_reset(&peer);
    is_str(outcome_at_end(), "200 [hello] body_cut failed", "reset in a body that lasts until close");
    done();
}

/* The server answers while the request is being sent, and closes with a reset: it has not read all. */
static void test_answer_before_reset(server_t *to, const char *name)
{
    connect_to(to);
    has_body(much, MUCH, MUCH);
    start();
    drive_rounds(loop, 3);
    peer_send(&peer, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    peer_close(&peer);
    is_str(outcome_at_end(), "413 [hello] ok server_says_close",
           "an answer and a reset while the body is sent: the answer counts (%s)", name);
    done();
}

/* The same while the front is paused. */
static void test_reset_while_paused(void)
{
    drive_clock_by(0);
    prepare();
    timeouts.write = PP_SEC(5);
    has_body(much, MUCH, MUCH);
    front.pauses_in = IN_HEAD;
    start();
    drive_rounds(loop, 3);
    peer_send(&peer, OK "Content-Length: 10\r\n\r\nhello");
    drive_rounds(loop, 3);
    is_str(outcome(), "200 [hello] goes on ", "a response comes while the body is sent; the front pauses");
    peer_send(&peer, "hello");
    peer_close(&peer);
    drive_rounds(loop, 3);
    drive_clock_by(PP_SEC(6));
    drive_rounds(loop, 3);
    is_str(outcome(), "200 [hello] goes on ", "the server closes: no write time-out any more");
    ok(!conn->io.watched, "... and no event that makes the loop spin");
    pp_exchange_resume(&x);
    is_str(outcome_at_end(), "200 [hellohello] ok request_unfinished", "... the rest is read after the pause");
    done();
    drive_clock_runs();
}

/* ---- too slow ---- */

/* The time goes on by so much; has that ended the exchange? */
static bool ends_after(pp_time_t by)
{
    drive_clock_by(by);
    drive_rounds(loop, 2);
    return front.ended;
}

static void prepare_for_time(void)
{
    drive_clock_by(0);
    prepare();
    timeouts = (pp_timeouts_t){.write = PP_SEC(2), .first_byte = PP_SEC(3), .read = PP_SEC(4)};
}

static void done_with_time(void)
{
    done();
    drive_clock_runs();
}

static void test_write_timeout(void)
{
    prepare_for_time();
    has_body(much, MUCH, MUCH);
    start();
    drive_rounds(loop, 5);
    ok(!ends_after(PP_SEC(2) - 1), "the server takes nothing for less than the write time-out");
    peer_take(&peer);
    drive_rounds(loop, 2);
    ok(!ends_after(PP_SEC(1)), "... takes something");
    ok(!ends_after(PP_SEC(1) - 1), "... the time begins anew");
    peer_send(&peer, OK "Content-Length: 9\r\n\r\nhello");
    drive_rounds(loop, 2);
    pp_exchange_pause(&x);
    pp_exchange_resume(&x);
    ok(ends_after(PP_SEC(1)), "... but not because the server answers, nor after a pause");
    is_str(outcome(), "200 [hello] write_timeout timeout", "write_timeout");
    done_with_time();

    prepare_for_time();
    has_body("hello", 5, 5);
    request.expect_continue = true;
    request.head = much;
    request.head_len = MUCH;
    start();
    drive_rounds(loop, 5);
    ok(ends_after(PP_SEC(2)), "the head does not get through, and the body would have to wait for 100");
    is_str(outcome(), "[] write_timeout timeout", "... write_timeout");
    done_with_time();
}

static void test_first_byte_timeout(void)
{
    prepare_for_time();
    start();
    drive_rounds(loop, 2);
    ok(!ends_after(PP_SEC(1)), "waiting for the first byte");
    pp_exchange_pause(&x);
    pp_exchange_resume(&x);
    peer_send(&peer, "HTTP/1.1 103 Early Hints\r\n\r\n" OK);
    ok(!ends_after(PP_SEC(2) - 1), "... a pause and an interim response");
    ok(ends_after(1), "... do not lengthen the time for the head");
    is_str(outcome(), "103 [] first_byte_timeout timeout", "first_byte_timeout");
    done_with_time();

    prepare_for_time();
    has_body("hello", 5, 0);
    start();
    ok(!ends_after(PP_SEC(60)), "while the client's body is waited for no time-out of the server's rules");
    give(5);
    ok(!ends_after(PP_SEC(3) - 1), "when it is sent");
    ok(ends_after(1), "... the time begins");
    is_str(outcome(), "[] first_byte_timeout timeout", "first_byte_timeout");
    done_with_time();

    prepare_for_time();
    timeouts.first_byte = 0;
    start();
    ok(!ends_after(PP_SEC(100000)), "0: no time-out");
    done_with_time();
}

/* A pause can last longer than the time there is: what has come by its end counts. */
static void test_first_byte_while_paused(void)
{
    prepare_for_time();
    start();
    pp_exchange_pause(&x);
    ok(!ends_after(PP_SEC(3)), "the time for the first byte is over while paused: that waits");
    peer_send(&peer, OK HELLO);
    ok(!ends_after(PP_SEC(10)), "... however long");
    pp_exchange_resume(&x);
    drive_clock_by(PP_SEC(1));
    is_str(outcome_at_end(), "200 [hello] ok reusable", "... an answer that has come meanwhile counts");
    done_with_time();

    prepare_for_time();
    start();
    pp_exchange_pause(&x);
    ok(!ends_after(PP_SEC(3)), "the same");
    pp_exchange_resume(&x);
    pp_exchange_pause(&x);
    ok(!ends_after(1), "... paused again at once");
    pp_exchange_resume(&x);
    ok(!front.ended && ends_after(1), "... and when none has come it ends at once");
    is_str(outcome(), "[] first_byte_timeout timeout", "... first_byte_timeout");
    done_with_time();
}

static void test_read_timeout(void)
{
    prepare_for_time();
    start();
    peer_send(&peer, OK "Content-Length: 9\r\n\r\nhe");
    ok(!ends_after(PP_SEC(0)), "a response begins");
    ok(!ends_after(PP_SEC(4) - 1), "... and does not go on for less than the read time-out");
    peer_send(&peer, "ll");
    drive_rounds(loop, 2);
    ok(!ends_after(PP_SEC(1)), "... some bytes: the time begins anew");
    pp_exchange_pause(&x);
    ok(!ends_after(PP_SEC(60)), "... while paused there is none");
    pp_exchange_resume(&x);
    ok(!ends_after(PP_SEC(3) - 1), "... after that what was left of it rules");
    ok(ends_after(1), "... and ends");
    is_str(outcome(), "200 [hell] read_timeout timeout", "read_timeout");
    done_with_time();

    prepare_for_time();
    request.kind = PP_H1_REQUEST_UPGRADE;
    front.data = "ping";
    front.len = 10;
    start();
    peer_send(&peer, UPGRADED);
    ok(!ends_after(PP_SEC(0)), "a tunnel");
    ok(!ends_after(PP_SEC(3)), "... idle");
    give(2);
    ok(!ends_after(PP_SEC(3)), "... the client's bytes count");
    peer_send(&peer, "pong");
    drive_rounds(loop, 2);
    ok(!ends_after(PP_SEC(3)), "... and the server's");
    pp_exchange_pause(&x);
    ok(!ends_after(PP_SEC(60)), "... paused: there is no time-out");
    pp_exchange_resume(&x);
    ok(ends_after(PP_SEC(4)), "... idle for too long");
    is_str(outcome(), "101 [pong] read_timeout timeout", "... read_timeout");
    done_with_time();
}

/* ---- given up ---- */

typedef struct failing_t {
    int where;
    const char *name, *outcome;
} failing_t;

static void test_fail(void)
{
    static const failing_t rows[] = {
        {IN_BODY_READ, "body_read", "[] client_gone client_gone"},
        {IN_INTERIM, "on_interim", "103 [] client_gone client_gone"},
        {IN_HEAD, "on_head", "103 200 [] client_gone client_gone"},
        {IN_DATA, "on_data", "103 200 [hel] client_gone client_gone"},
        {IN_TRAILERS, "on_trailers", "103 200 {X: y} [hello] client_gone client_gone"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        prepare();
        has_body("hello", 5, 5);
        front.fails_in = rows[i].where;
        start();
        if (!front.ended)
            peer_send(&peer, "HTTP/1.1 103 Early Hints\r\n\r\n" OK
                             "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n");
        is_str(outcome_at_end(), rows[i].outcome, "failed in %s", rows[i].name);
        is_int(front.batches, 0, "... nothing more is told");
        done();
    }

    prepare();
    front.fails_in = IN_BATCH;
    start();
    peer_send(&peer, OK "Content-Length: 9\r\n\r\nhello");
    is_str(outcome_at_end(), "200 [hello] client_gone client_gone", "failed in on_batch");
    done();

    prepare();
    request.kind = PP_H1_REQUEST_UPGRADE;
    front.fails_in = IN_DATA;
    front.len = 1;
    start();
    peer_send(&peer, UPGRADED "hello");
    is_str(outcome_at_end(), "101 [hello] client_gone client_gone", "failed in a tunnel");
    done();
}

static void test_abandon(void)
{
    static const char *const sent[] = {"", OK, OK "Content-Length: 9\r\n\r\nhello",
                                       OK "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n", OK HELLO};

    for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
        prepare();
        timeouts.first_byte = timeouts.read = timeouts.write = PP_SEC(1);
        start();
        peer_send(&peer, sent[i]);
        drive_rounds(loop, 3);
        front.ended = false; /* should it end now, on_end is one too many */
        pp_exchange_abandon(&x);
        pp_exchange_abandon(&x);
        pp_exchange_pause(&x);
        pp_exchange_resume(&x);
        pp_exchange_body_ready(&x);
        ok(!front.ended, "abandoned after %d bytes of an answer: no callback", (int)strlen(sent[i]));
        pp_conn_close(&conn);
        drive_rounds(loop, 1);
        ok(peer_is_at_eof(&peer), "... the server sees the end");
        peer_close(&peer);
    }

    prepare();
    timeouts.first_byte = PP_SEC(1);
    drive_clock_by(0);
    start();
    pp_exchange_abandon(&x);
    ok(!ends_after(PP_SEC(2)), "no time-out comes afterwards");
    done_with_time();
}

int main(void)
{
    drive_begin();
    server_open(&tcp);
    rig_begin();
    test_closed_before_answer();
    test_closed_in_answer();
    test_answer_before_reset(&server, "unix");
    test_answer_before_reset(&tcp, "TCP");
    test_reset_while_paused();
    test_write_timeout();
    test_first_byte_timeout();
    test_first_byte_while_paused();
    test_read_timeout();
    test_fail();
    test_abandon();
    rig_end();
    server_close(&tcp);
    drive_end();
    return done_testing();
}
