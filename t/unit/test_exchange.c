/* test_exchange: requests and responses in all their forms, as one exchange sends and reads them. */
#include <sys/syscall.h>

#include "exchange_rig.h"
#include "pp_exchange_own.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"
#define HELLO "Content-Length: 5\r\n\r\nhello"
#define I8 \
    "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"

/* ---- responses ---- */

typedef struct answer_t {
    const char *name, *wire, *outcome;
    pp_h1_request_kind_t kind;
    bool closes; /* behind it */
} answer_t;

// clang-format off
static const answer_t answers[] = {
    {.name = "Content-Length", .wire = OK HELLO, .outcome = "200 [hello] ok reusable"},
    {.name = "Content-Length: 0", .wire = OK "Content-Length: 0\r\n\r\n", .outcome = "200 [] ok reusable"},
    {.name = "chunked", .wire = OK CHUNKED "5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n", .outcome = "200 [hello!] ok reusable"},
    {.name = "trailers", .wire = OK CHUNKED "5\r\nhello\r\n0\r\nX-Sum: abc\r\nY: z\r\n\r\n",
     .outcome = "200 {X-Sum: abc} {Y: z} [hello] ok reusable"},
    {.name = "until close", .wire = OK "\r\nhello", .closes = true, .outcome = "200 [hello] ok answer_until_close"},
    {.name = "HEAD", .kind = PP_H1_REQUEST_HEAD, .wire = OK "Content-Length: 5\r\n\r\n", .outcome = "200 [] ok reusable"},
    {.name = "HEAD, chunked", .kind = PP_H1_REQUEST_HEAD, .wire = OK CHUNKED, .outcome = "200 [] ok reusable"},
    {.name = "204", .wire = "HTTP/1.1 204 No Content\r\n\r\n", .outcome = "204 [] ok reusable"},
    {.name = "304", .wire = "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", .outcome = "304 [] ok reusable"},
    {.name = "103", .wire = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" OK HELLO, .outcome = "103 200 [hello] ok reusable"},
    {.name = "100 that nobody asked for", .wire = "HTTP/1.1 100 Continue\r\n\r\n" OK HELLO, .outcome = "200 [hello] ok reusable"},
    {.name = "Connection: close", .wire = OK "Connection: close\r\n" HELLO, .outcome = "200 [hello] ok server_says_close"},
    {.name = "HTTP/1.0", .wire = "HTTP/1.0 200 OK\r\n" HELLO, .outcome = "200 [hello] ok server_says_close"},
    {.name = "HTTP/1.0 keep-alive", .wire = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" HELLO,
     .outcome = "200 [hello] ok reusable"},
    {.name = "closed in the head", .wire = OK "Content-Len", .closes = true, .outcome = "[] closed_in_head failed"},
    {.name = "closed between 103 and 200", .wire = "HTTP/1.1 103 Early Hints\r\n\r\n", .closes = true,
     .outcome = "103 [] closed_in_head failed"},
    {.name = "closed in the body", .wire = OK "Content-Length: 9\r\n\r\nhello", .closes = true,
     .outcome = "200 [hello] body_cut failed"},
    {.name = "closed before the last chunk", .wire = OK CHUNKED "5\r\nhello\r\n", .closes = true,
     .outcome = "200 [hello] body_cut failed"},
    {.name = "closed in the trailers", .wire = OK CHUNKED "5\r\nhello\r\n0\r\nX: y\r\n", .closes = true,
     .outcome = "200 [hello] body_cut failed"},
    {.name = "closed between responses", .wire = OK HELLO, .closes = true, .outcome = "200 [hello] ok reusable"},
    {.name = "a bad chunk", .wire = OK CHUNKED "5\r\nhello\r\nx\r\n", .outcome = "200 [hello] bad_chunk failed"},
    {.name = "a bad status line", .wire = "HTTP/1.1 two", .outcome = "[] bad_status_line failed"},
    {.name = "101 without an upgrade", .wire = "HTTP/1.1 101 Switching Protocols\r\n\r\n", .outcome = "[] unexpected_upgrade failed"},
};
// clang-format on

/* Its bytes up to `split` at once, then the rest at once; split 0: one by one. */
static const char *answer_in_pieces(const answer_t *answer, size_t split)
{
    size_t len = strlen(answer->wire), step = split ? split : 1;

    prepare();
    request.kind = answer->kind;
    start();
    for (size_t at = 0; at < len && !front.ended; at += step, step = split ? len : 1) {
        peer_send_bytes(&peer, answer->wire + at, at + step > len ? len - at : step);
        drive_rounds(loop, 1);
    }
    peer_take(&peer);
    if (answer->closes)
        peer_close(&peer);
    return outcome_at_end();
}

static void test_answers(void)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const answer_t *answer = &answers[i];
        size_t len = strlen(answer->wire), same = 0;
        for (size_t split = len; split > 0; split--) {
            bool good = strcmp(answer_in_pieces(answer, split), answer->outcome) == 0;
            same += good;
            if (split == len)
                is_str(outcome(), answer->outcome, "%s", answer->name);
            else if (!good)
                note("split at %d: %s", (int)split, outcome());
            done();
        }
        is_int((long long)same, (long long)len, "... the same wherever it is split");
        is_str(answer_in_pieces(answer, 0), answer->outcome, "... and byte by byte");
        done();
    }
}

static void test_more_answers(void)
{
    static char huge[40000];

    prepare();
    start();
    peer_send(&peer, OK HELLO "HTTP/1.1 200 OK\r\n");
    is_str(outcome_at_end(), "200 [hello] ok unexpected_data", "bytes behind the response: the connection is not used again");
    done();

    prepare();
    start();
    peer_send(&peer, I8 I8 I8 I8 I8 I8 I8 I8 OK HELLO);
    ok(strstr(outcome_at_end(), "102 200 [hello] ok reusable"), "32 interim responses");
    done();
    prepare();
    start();
    peer_send(&peer, I8 I8 I8 I8 I8 I8 I8 I8 "HTTP/1.1 102 Processing\r\n\r\n" OK HELLO);
    ok(strstr(outcome_at_end(), "too_many_interim failed"), "... 33 are too many");
    done();

    prepare();
    start();
    memset(huge, 'a', sizeof(huge) - 1);
    memcpy(huge, OK "X: ", sizeof(OK "X: ") - 1);
    peer_send(&peer, huge);
    is_str(outcome_at_end(), "[] head_too_large failed", "a head without end");
    done();

    prepare();
    start();
    peer_send(&peer, OK "Content-Length: 9\r\n\r\n1234");
    (void)drive_until(loop, front.received == 4);
    is_int(front.batches, 1, "a batch ends with what was read");
    is_int(front.drained, 1, "... there was no more");
    peer_send(&peer, "56789");
    is_str(outcome_at_end(), "200 [123456789] ok reusable", "... the rest ends the response");
    is_int(front.batches, 1, "... which is told instead of a batch");
    ok(x.head_seen && x.any_byte && x.first_byte_at > 0, "what can be read from outside");
    is_int((long long)x.sent, sizeof(GET) - 1, "... and how much was sent");
    done();
}

/* ---- requests ---- */

static bool byte_by_byte;

/* Stands before libc's, so that a test can make writes as short as they can be. */
ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    struct msghdr one = *msg;
    struct iovec byte = {msg->msg_iov[0].iov_base, 1};

    if (byte_by_byte) {
        one.msg_iov = &byte;
        one.msg_iovlen = 1;
    }
    return syscall(SYS_sendmsg, fd, &one, flags);
}

static void test_bodies(void)
{
    prepare();
    has_body("hello", 5, 0);
    start();
    ok(drive_until(loop, peer_has(&peer, POST)), "the head goes before the body is there");
    give(2);
    give(3);
    ok(drive_until(loop, peer_has(&peer, "\r\n\r\nhello")), "a body goes as it comes");
    is_int(front.reads, 5, "... and is asked for only when there may be more");
    peer_send(&peer, OK HELLO);
    is_str(outcome_at_end(), "200 [hello] ok reusable", "... then the response is read");
    done();

    prepare();
    has_body("hello, world", 12, 5);
    front.piece = 3;
    request.chunked = true;
    byte_by_byte = true;
    start();
    give(7);
    byte_by_byte = false;
    ok(drive_until(loop, peer_has(&peer, "0\r\n\r\n")), "a chunked body, written byte by byte");
    is_str(peer_take(&peer), POST "3\r\nhel\r\n2\r\nlo\r\n3\r\n, w\r\n3\r\norl\r\n1\r\nd\r\n0\r\n\r\n",
           "... in the pieces it came in");
    peer_send(&peer, OK HELLO);
    is_str(outcome_at_end(), "200 [hello] ok reusable", "... then the response is read");
    done();

    prepare();
    has_body("", 0, 0);
    request.chunked = true;
    start();
    ok(drive_until(loop, peer_has(&peer, POST "0\r\n\r\n")), "an empty chunked body");
    done();

    prepare();
    has_body("hello", 5, 0);
    start();
    drive_rounds(loop, 2);
    peer_send(&peer, OK HELLO);
    is_str(outcome_at_end(), "200 [hello] ok request_unfinished", "a response before the request is whole ends both");
    done();

    prepare();
    has_body("hello", 5, 0);
    start();
    peer_send(&peer, OK "Content-Length: 10\r\n\r\nhello");
    (void)drive_until(loop, front.received == 5);
    give(5);
    ok(drive_until(loop, peer_has(&peer, "hello")), "a response begins early: the body goes on");
    peer_send(&peer, "hello");
    is_str(outcome_at_end(), "200 [hellohello] ok reusable", "... and when both are whole all is well");
    done();

    prepare();
    has_body("hello", 9, 5);
    front.body_err = PP_ERR_client_body;
    start();
    front.len = 5;
    pp_exchange_body_ready(&x);
    is_str(outcome(), "[] client_body client_gone", "a body that turns out bad ends it");
    done();
}

static void test_expect(void)
{
    static const char *const finals[] = {"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n", "417 [] ok request_unfinished",
                                         "HTTP/1.1 417 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                                         "417 [] ok server_says_close"};

    prepare();
    has_body("hello", 5, 5);
    request.expect_continue = true;
    start();
    drive_rounds(loop, 3);
    is_str(peer_take(&peer), POST, "100-continue: the body waits");
    is_int(front.reads, 0, "... it is not read");
    peer_send(&peer, "HTTP/1.1 103 Early Hints\r\n\r\n");
    drive_rounds(loop, 3);
    is_str(peer_take(&peer), POST, "... not for 103");
    peer_send(&peer, "HTTP/1.1 100 Continue\r\n\r\n");
    ok(drive_until(loop, peer_has(&peer, "hello")), "... for 100");
    peer_send(&peer, OK HELLO);
    is_str(outcome_at_end(), "103 200 [hello] ok reusable", "... then all goes on");
    done();

    prepare();
    has_body("hello", 5, 5);
    request.expect_continue = true;
    drive_clock_by(0);
    start();
    drive_clock_by(PP_MSEC(999));
    drive_rounds(loop, 3);
    pp_exchange_pause(&x);
    pp_exchange_resume(&x);
    is_str(peer_take(&peer), POST, "a server that does not know 100: not within a second");
    drive_clock_by(PP_MSEC(1));
    drive_rounds(loop, 3);
    ok(drive_until(loop, peer_has(&peer, "hello")), "... then the body goes without");
    drive_clock_runs();
    done();

    for (int i = 0; i < 4; i += 2) {
        prepare();
        has_body("hello", 5, 5);
        request.expect_continue = true;
        start();
        peer_send(&peer, finals[i]);
        is_str(outcome_at_end(), finals[i + 1], "a final response instead of 100");
        is_str(peer_take(&peer), POST, "... the body never goes");
        done();
    }
}

/* ---- tunnels ---- */

static void tunnel_open(const char *answer)
{
    prepare();
    request.kind = PP_H1_REQUEST_UPGRADE;
    front.data = "ping pong";
    front.len = 9;
    start();
    peer_send(&peer, answer);
}

static void test_tunnel(void)
{
    tunnel_open("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nfirst");
    ok(drive_until(loop, front.received == 5), "101: what follows at once is for the client");
    peer_forget(&peer);
    give(4);
    ok(drive_until(loop, peer_has(&peer, "ping")), "the client's bytes go to the server");
    peer_send(&peer, " second");
    ok(drive_until(loop, front.received == 12), "the server's to the client");
    give(5);
    ok(drive_until(loop, peer_has(&peer, "ping pong") && peer.eof), "the client's end is the server's end of input");
    ok(!front.ended, "... the other direction goes on");
    peer_send(&peer, " third");
    peer_close(&peer);
    is_str(outcome_at_end(), "101 [first second third] ok tunnel", "... until the server ends it");
    done();

    tunnel_open("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
    (void)drive_until(loop, front.batches > 0);
    front.given = 9;
    pp_exchange_pause(&x);
    pp_exchange_body_ready(&x);
    peer_send(&peer, "unread");
    ok(drive_until(loop, peer_has(&peer, "ping pong")), "a paused tunnel still goes towards the server");
    is_int((long long)front.received, 0, "... and not towards the client");
    pp_exchange_resume(&x);
    ok(drive_until(loop, front.received == 6), "... until resumed");
    done();

    tunnel_open(OK HELLO);
    is_str(outcome_at_end(), "200 [hello] ok reusable", "a refused upgrade is a response like others");
    done();
}

/* ---- back-pressure ---- */

enum { MUCH = 8 * 1024 * 1024 };
static char much[MUCH];

static void test_pause(void)
{
    size_t at = 0, before;
    int pauses = 0;

    prepare();
    front.pauses_in = IN_DATA;
    start();
    peer_send(&peer, OK "Content-Length: 8388608\r\n\r\n");
    while (!front.ended && pauses < 10000) {
        do {
            before = at;
            at += peer_send_some(&peer, much + at, MUCH - at);
        } while (at > before);
        (void)drive_until(loop, x.paused || front.ended);
        pauses++;
        before = front.received;
        drive_rounds(loop, 3);
        if (front.received != before)
            break;
        pp_exchange_resume(&x);
    }
    ok(front.ended && pauses > 100, "a front that pauses at each piece gets nothing while paused: %d times", pauses);
    is_int((long long)front.received, MUCH, "... and in the end all of it");
    ok(front.sum == sum_over(1, much, MUCH), "... as it was sent");
    done();

    prepare();
    start();
    peer_send(&peer, OK "Content-Length: 8388608\r\n\r\n");
    (void)drive_until(loop, x.head_seen);
    pp_exchange_pause(&x);
    for (at = 0, before = 1; at != before; drive_rounds(loop, 3)) {
        before = at;
        at += peer_send_some(&peer, much + at, MUCH - at);
    }
    ok(at < MUCH / 2, "paused for long, the server can't send on: %d of %d", (int)at, MUCH);
    is_int((long long)front.received, 0, "... nothing is read");
    done();

    prepare();
    front.pauses_in = IN_HEAD;
    start();
    peer_send(&peer, OK HELLO);
    is_str(outcome_at_end(), "200 [hello] ok reusable", "what was read with the head is given in spite of a pause");
    done();

    prepare();
    x.paused = true;
    start();
    ok(drive_until(loop, peer_has(&peer, GET)), "an exchange that begins paused sends its request");
    peer_send(&peer, OK HELLO);
    drive_rounds(loop, 3);
    is_str(outcome(), "[] goes on ", "... and reads nothing");
    pp_exchange_resume(&x);
    is_str(outcome_at_end(), "200 [hello] ok reusable", "... until resumed");
    done();
}

static void test_slow_server(void)
{
    size_t stuck;

    prepare();
    has_body(much, MUCH, MUCH);
    front.piece = 100000;
    start();
    drive_rounds(loop, 5);
    stuck = front.at;
    drive_rounds(loop, 5);
    ok(stuck < MUCH / 2 && front.at == stuck, "a server that does not read is not sent more: %d of %d", (int)stuck, MUCH);
    ok(drive_until(loop, peer_take(&peer) && peer.len == sizeof(POST) - 1 + MUCH), "when it reads it gets all");
    ok(sum_over(1, peer.in + sizeof(POST) - 1, MUCH) == sum_over(1, much, MUCH), "... as the client sent it");
    peer_send(&peer, OK HELLO);
    is_str(outcome_at_end(), "200 [hello] ok reusable", "... and the response comes through");
    done();
}

static void test_turns(void)
{
    prepare();
    has_body(much, MUCH, MUCH);
    front.piece = 10000;
    front.server_reads = true;
    start();
    ok(front.at < 300000, "a server that reads as fast as the client sends: the others get their turn (%d sent)", (int)front.at);
    is_int(x.alarm, ALARM_WRITE, "... and the write time-out goes on: the server may stop reading in that very moment");
    ok(drive_until(loop, peer_take(&peer) && peer.len == sizeof(POST) - 1 + MUCH), "... and it goes on to the end");
    peer_send(&peer, OK HELLO);
    is_str(outcome_at_end(), "200 [hello] ok reusable", "... with the response");
    done();
}

int main(void)
{
    drive_begin();
    for (size_t i = 0; i < MUCH; i++)
        much[i] = (char)drive_random(256);
    rig_begin();
    test_answers();
    test_more_answers();
    test_bodies();
    test_expect();
    test_tunnel();
    test_pause();
    test_slow_server();
    test_turns();
    rig_end();
    drive_end();
    return done_testing();
}
