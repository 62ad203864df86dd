/* pp_exchange: the state machine of one attempt. Functions that may end it return whether it goes on: after `false` it is gone. */
#include "pp_exchange_own.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pp_log.h"

#define READ_LEAST (60 * 1024) /* bytes of a read for a front that had to wait for its client */
#define INTERIM_MAX 32

static bool has_ended(const pp_exchange_t *x)
{
    return x->conn == NULL;
}

static void let_go(pp_exchange_t *x)
{
    pp_conn_alarm(x->conn, 0);
    x->conn = NULL;
    pp_h1_body_clear(&x->body);
}

static pp_close_t close_reason(const pp_exchange_t *x, pp_err_t err)
{
    switch (err) {
    case PP_OK:
        if (x->tunnel)
            return PP_CLOSE_tunnel;
        if (x->past_end)
            return PP_CLOSE_unexpected_data;
        if (!x->server_keeps)
            return x->body.framing == PP_FRAMING_CLOSE ? PP_CLOSE_answer_until_close : PP_CLOSE_server_says_close;
        return PP_CLOSE_request_unfinished;
    case PP_ERR_stale:
        return PP_CLOSE_stale;
    case PP_ERR_client_gone:
    case PP_ERR_client_timeout:
    case PP_ERR_client_body:
        return PP_CLOSE_client_gone;
    case PP_ERR_write_timeout:
    case PP_ERR_first_byte_timeout:
    case PP_ERR_read_timeout:
    case PP_ERR_total_timeout:
        return PP_CLOSE_timeout;
    default:
        return PP_CLOSE_failed;
    }
}

/* The end. Always returns false: `return pp_exchange_end(...)`. */
bool pp_exchange_end(pp_exchange_t *x, pp_err_t err)
{
    pp_exchange_end_t end;
    char *held = x->held; /* the body's first data may lie behind the head in it */

    end.err = err;
    end.reusable = err == PP_OK && x->server_keeps && !x->past_end && !x->tunnel && pp_exchange_is_sent(x) && !x->send_dead;
    end.close_reason = close_reason(x, err);
    let_go(x);
    x->held = NULL;
    x->on_end(x, &end);
    free(held);
    return false;
}

/* ---- receiving ---- */

static pp_err_t error_of_close(const pp_exchange_t *x, bool orderly)
{
    if (x->tunnel)
        return PP_OK;
    if (x->head_seen)
        return orderly ? pp_h1_body_at_close(&x->body) : PP_ERR_body_cut;
    if (x->any_byte)
        return PP_ERR_closed_in_head;
    if (x->reused)
        return PP_ERR_stale;
    if (pp_conn_failure(x->conn) ==
        PP_ERR_tls_alert) /* with TLS 1.3 a server may refuse the client's certificate as late as this */
        return PP_ERR_tls_alert;
    return pp_exchange_is_sent(x) ? PP_ERR_closed_no_answer : PP_ERR_reset_on_send;
}

static bool body_end(pp_exchange_t *x)
{
    pp_field_t fields[PP_H1_TRAILER_FIELDS_MAX];
    uint32_t n = pp_h1_body_trailers(&x->body, fields, PP_H1_TRAILER_FIELDS_MAX);

    if (n && x->front->on_trailers)
        x->front->on_trailers(x->front_self, fields, n);
    return pp_exchange_end(x, x->fail);
}

static bool take_body(pp_exchange_t *x, const char *in, size_t len)
{
    size_t used, data_len;
    const char *data;
    pp_err_t err;
    apr_status_t status;

    do {
        status = pp_h1_body_decode(&x->body, in, len, &used, &data, &data_len, &err);
        if (status == APR_EINVAL)
            return pp_exchange_end(x, err);
        in += used;
        len -= used;
        if (data_len)
            x->front->on_data(x->front_self, data, data_len);
        if (x->fail)
            return pp_exchange_end(x, x->fail);
    } while (status == APR_SUCCESS && len);
    if (status == APR_EOF) {
        x->past_end = len > 0;
        return body_end(x);
    }
    return true;
}

static bool batch_end(pp_exchange_t *x, bool drained)
{
    x->front->on_batch(x->front_self, drained);
    return x->fail ? pp_exchange_end(x, x->fail) : true;
}

static bool take_tunnel(pp_exchange_t *x, const char *in, size_t len)
{
    if (len)
        x->front->on_data(x->front_self, in, len);
    return x->fail ? pp_exchange_end(x, x->fail) : true;
}

/* An interim response: RFC 9110 section 15.2. */
static bool take_interim(pp_exchange_t *x, const pp_h1_response_t *resp)
{
    if (++x->ninterim > INTERIM_MAX)
        return pp_exchange_end(x, PP_ERR_too_many_interim);
    if (resp->status != 100) {
        x->front->on_interim(x->front_self, resp);
        return x->fail ? pp_exchange_end(x, x->fail) : true;
    }
    if (x->expect_hold) {
        x->expect_hold = false;
        return pp_exchange_send(x);
    }
    return true;
}

static void tunnel_begin(pp_exchange_t *x)
{
    x->tunnel = true;
    x->body_done = x->body_waits = false;
}

static bool take_final(pp_exchange_t *x, const pp_h1_response_t *resp)
{
    x->head_seen = true;
    x->alarm = x->alarm == ALARM_READ ? ALARM_NONE : x->alarm;
    x->status = resp->status;
    x->server_keeps = resp->keep_alive;
    if (resp->keep_alive_timeout >= 0)
        x->conn->keep_for = resp->keep_alive_timeout ? PP_SEC(resp->keep_alive_timeout) : 1; /* 0 means that it said nothing */
    if (resp->keep_alive_max >= 0)
        x->conn->keep_requests = resp->keep_alive_max;
    if (x->expect_hold) { /* a final answer instead of 100: the body is not wanted */
        x->expect_hold = false;
        x->send_dead = true;
    }
    pp_h1_body_init(&x->body, resp);
    if (resp->framing == PP_FRAMING_TUNNEL)
        tunnel_begin(x);
    x->front->on_head(x->front_self, resp);
    if (x->fail)
        return pp_exchange_end(x, x->fail);
    return true;
}

/* Keeps what there is of an incomplete head; `in` may be x->held itself. */
static void head_hold(pp_exchange_t *x, const char *in, size_t len)
{
    x->held_len = len;
    if (!len)
        return;
    if (!x->held) {
        x->held = malloc(PP_H1_HEAD_MAX + 1);
        if (!x->held)
            abort();
    }
    memmove(x->held, in, len);
}

/* Part of a head is there: its next bytes must come in the time between two reads, and all of it in what was left for the first byte, so
 * that a byte now and then is not enough. */
static void head_alarm(pp_exchange_t *x)
{
    pp_time_t read_at = x->timeouts->read ? pp_loop_now(x->conn->loop) + x->timeouts->read : 0;

    if (x->alarm == ALARM_FIRST_BYTE)
        x->head_until = x->conn->timer.when;
    else if (x->alarm != ALARM_READ)
        return;
    x->alarm = read_at && (!x->head_until || read_at < x->head_until) ? ALARM_READ : ALARM_FIRST_BYTE;
    pp_conn_alarm(x->conn, x->alarm == ALARM_READ ? read_at : x->head_until);
}

/* Heads, up to and with the final one, then its body. */
static bool take_heads(pp_exchange_t *x, const char *in, size_t len, bool drained)
{
    pp_h1_response_t resp;
    size_t head_len;
    pp_err_t err;

    while (!x->head_seen) {
        apr_status_t status = len ? pp_h1_head_parse(in, len, x->request->kind, &resp, &head_len, &err) : APR_EAGAIN;
        if (status == APR_EAGAIN) {
            head_hold(x, in, len);
            head_alarm(x);
            return true;
        }
        if (status != APR_SUCCESS)
            return pp_exchange_end(x, err);
        in += head_len;
        len -= head_len;
        if (resp.status >= 200 || resp.framing == PP_FRAMING_TUNNEL) {
            if (!take_final(x, &resp))
                return false;
        }
        else if (!take_interim(x, &resp)) {
            return false;
        }
    }
    if (x->tunnel)
        return take_tunnel(x, in, len) && batch_end(x, drained) && pp_exchange_send(x);
    if (!take_body(x, in, len) || !batch_end(x, drained))
        return false;
    pp_exchange_want(x);
    pp_exchange_alarm(x);
    return true;
}

/* Where the next bytes go: behind an incomplete head, else into the loop's scratch. */
static char *recv_buffer(pp_exchange_t *x, size_t *len)
{
    if (x->held && x->held_len && !x->head_seen) {
        *len = PP_H1_HEAD_MAX + 1 - x->held_len;
        return x->held + x->held_len;
    }
    *len = x->read_most;
    return pp_loop_scratch(x->conn->loop);
}

/* A read has filled its room, and the front has taken it. Large pieces spare both sides wake-ups; a client that does not take them is
 * given small ones until it takes those, since the front holds the rest. */
static void read_more_at_once(pp_exchange_t *x)
{
    x->read_most = 2 * x->read_most < PP_LOOP_SCRATCH ? 2 * x->read_most : PP_LOOP_SCRATCH;
}

static bool recv_step(pp_exchange_t *x)
{
    size_t space;
    char *buf = recv_buffer(x, &space);
    size_t len = space;
    apr_status_t status = pp_conn_read(x->conn, buf, &len);
    bool drained = len < space;

    if (status == APR_EAGAIN)
        return true;
    if (status != APR_SUCCESS)
        return pp_exchange_end(x, error_of_close(x, status == APR_EOF));
    if (!x->any_byte) {
        x->any_byte = true;
        x->first_byte_at = pp_loop_now(x->conn->loop);
    }
    if (!x->head_seen)
        return buf != pp_loop_scratch(x->conn->loop) ? take_heads(x, x->held, x->held_len + len, drained)
                                                     : take_heads(x, buf, len, drained);
    x->alarm = x->alarm == ALARM_READ ? ALARM_NONE : x->alarm;
    pp_exchange_alarm(x);
    if (!(x->tunnel ? take_tunnel(x, buf, len) : take_body(x, buf, len)) || !batch_end(x, drained))
        return false;
    if (!drained && !x->paused)
        read_more_at_once(x);
    return true;
}

/* ---- events ---- */

/* The server is gone while nothing may be read: what it has sent is read after pp_exchange_resume(). */
static void deaf_until_resume(pp_exchange_t *x)
{
    x->send_dead = true;
    pp_exchange_want(x);
    pp_exchange_alarm(x);
}

static void on_exchange_event(pp_conn_t *conn, apr_int16_t events)
{
    pp_exchange_t *x = conn->holder;

    if ((events & APR_POLLOUT) && !pp_exchange_send(x))
        return;
    if (!x->paused && (events & ~APR_POLLOUT))
        recv_step(x);
    else if (events & (APR_POLLERR | APR_POLLHUP))
        deaf_until_resume(x);
}

static void on_exchange_alarm(pp_conn_t *conn)
{
    static const pp_err_t errors[] = {
        [ALARM_WRITE] = PP_ERR_write_timeout, [ALARM_FIRST_BYTE] = PP_ERR_first_byte_timeout, [ALARM_READ] = PP_ERR_read_timeout};
    pp_exchange_t *x = conn->holder;

    assert(x->alarm != ALARM_NONE);
    if (x->paused && x->alarm == ALARM_FIRST_BYTE) {
        x->overdue = true;
        return;
    }
    if (x->alarm == ALARM_EXPECT) {
        x->expect_hold = false;
        pp_exchange_send(x);
        return;
    }
    pp_exchange_end(x, errors[x->alarm]);
}

/* ---- the public side ---- */

void pp_exchange_start(pp_exchange_t *x, pp_conn_t *conn)
{
    x->conn = conn;
    x->began_at = pp_loop_now(conn->loop);
    x->read_most = PP_LOOP_SCRATCH;
    x->body_done = !x->request->has_body;
    x->expect_hold = x->request->has_body && x->request->expect_continue;
    pp_exchange_out(x, OUT_HEAD, x->request->head, x->request->head_len);
    conn->holder = x;
    conn->on_event = on_exchange_event;
    conn->on_timer = on_exchange_alarm;
    pp_exchange_send(x);
}

void pp_exchange_body_ready(pp_exchange_t *x)
{
    if (!has_ended(x) && x->body_waits) {
        x->body_waits = false;
        pp_exchange_send(x);
    }
}

void pp_exchange_pause(pp_exchange_t *x)
{
    if (has_ended(x) || x->paused)
        return;
    x->read_left = x->alarm == ALARM_READ && x->timeouts->read ? x->conn->timer.when - pp_loop_now(x->conn->loop) : 0;
    x->paused = true;
    x->read_most = READ_LEAST;
    pp_exchange_want(x);
    pp_exchange_alarm(x);
}

void pp_exchange_resume(pp_exchange_t *x)
{
    if (has_ended(x) || !x->paused)
        return;
    x->paused = false;
    pp_exchange_want(x);
    pp_exchange_alarm(x);
    if (x->alarm == ALARM_READ && x->read_left > 0) /* a pause is no sign of life from the server */
        pp_conn_alarm(x->conn, pp_loop_now(x->conn->loop) + x->read_left);
    if (x->overdue)
        pp_conn_alarm(x->conn, pp_loop_now(x->conn->loop) + 1); /* in the next round, in which reading comes first */
    x->overdue = false;
}

void pp_exchange_fail(pp_exchange_t *x, pp_err_t err)
{
    if (!x->fail)
        x->fail = err;
}

void pp_exchange_abandon(pp_exchange_t *x)
{
    if (has_ended(x))
        return;
    let_go(x);
    free(x->held);
    x->held = NULL;
}
