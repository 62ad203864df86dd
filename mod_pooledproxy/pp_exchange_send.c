/* pp_exchange_send: the sending half of an exchange: what is to be written, when, and how long that may take. */
#include "pp_exchange_own.h"

#define SEND_AT_ONCE (256 * 1024) /* a fast client of a fast server must not keep the loop from everybody else */
#define EXPECT_WAIT PP_SEC(1)     /* how long a body waits for 100 from a server that may not know it: RFC 9110 section 10.1.1 */

static bool has_unsent(const pp_exchange_t *x)
{
    for (int i = 0; i < OUT_COUNT; i++)
        if (x->out[i].iov_len)
            return true;
    return false;
}

/* Is it for the server to take more? */
static bool server_is_waited_for(const pp_exchange_t *x)
{
    return (has_unsent(x) || x->send_yields) && !x->send_dead;
}

bool pp_exchange_is_sent(const pp_exchange_t *x)
{
    return x->body_done && !has_unsent(x);
}

/* ---- which time-out rules now ---- */

/* Which of them rules: one reason a line, in this order. */
static int alarm_choose(const pp_exchange_t *x)
{
    if (server_is_waited_for(x))
        return ALARM_WRITE;
    if (x->expect_hold)
        return ALARM_EXPECT;
    if (x->head_seen)
        return x->paused ? ALARM_NONE : ALARM_READ;
    if (x->held_len > 0 && x->alarm == ALARM_READ) /* inside the head: pp_exchange.c decides */
        return ALARM_READ;
    if (x->body_done || x->send_dead)
        return ALARM_FIRST_BYTE;
    return ALARM_NONE; /* it is the client that is waited for */
}

static pp_time_t time_until(const pp_exchange_t *x, pp_time_t when)
{
    pp_time_t now = pp_loop_now(x->conn->loop);

    return when > now ? when - now : 1;
}

static pp_time_t alarm_time(const pp_exchange_t *x)
{
    switch (x->alarm) {
    case ALARM_WRITE:
        return x->timeouts->write;
    case ALARM_EXPECT:
        return EXPECT_WAIT;
    case ALARM_FIRST_BYTE:
        return x->head_until ? time_until(x, x->head_until) : x->timeouts->first_byte;
    case ALARM_READ:
        return x->timeouts->read;
    default:
        return 0;
    }
}

void pp_exchange_alarm(pp_exchange_t *x)
{
    int alarm = alarm_choose(x);
    pp_time_t timeout;

    if (alarm == x->alarm && alarm != ALARM_NONE)
        return;
    x->alarm = alarm;
    timeout = alarm_time(x);
    pp_conn_alarm(x->conn, timeout ? pp_loop_now(x->conn->loop) + timeout : 0);
}

void pp_exchange_want(pp_exchange_t *x)
{
    apr_int16_t events = x->paused ? 0 : APR_POLLIN;

    if (server_is_waited_for(x))
        events |= APR_POLLOUT;
    pp_conn_want(x->conn, events);
}

/* ---- sending ---- */

void pp_exchange_out(pp_exchange_t *x, int part, const void *data, size_t len)
{
    x->out[part].iov_base = (void *)data;
    x->out[part].iov_len = len;
}

static void out_queue_data(pp_exchange_t *x, const char *data, size_t len)
{
    if (x->request->chunked && !x->tunnel) {
        pp_exchange_out(x, OUT_CHUNK_HEAD, x->chunk_head, pp_h1_chunk_head(x->chunk_head, len));
        pp_exchange_out(x, OUT_CHUNK_END, "\r\n", 2);
    }
    pp_exchange_out(x, OUT_DATA, data, len);
}

static void body_eof(pp_exchange_t *x)
{
    x->body_done = true;
    if (x->tunnel)
        pp_conn_shutdown_write(x->conn);
    else if (x->request->chunked)
        pp_exchange_out(x, OUT_DATA, PP_H1_LAST_CHUNK, sizeof(PP_H1_LAST_CHUNK) - 1);
}

/* What is kept of the body comes first; what the client sends is kept. */
static apr_status_t body_read(pp_exchange_t *x, const char **data, size_t *len, pp_err_t *err)
{
    apr_status_t status;

    if (x->replay && pp_replay_next(x->replay, data, len))
        return APR_SUCCESS;
    status = x->front->body_read(x->front_self, data, len, err);
    if (status == APR_SUCCESS && x->replay && !x->tunnel)
        pp_replay_keep(x->replay, *data, *len);
    return status;
}

/* Queues the next piece of the body when the last one is gone. */
static bool body_fill(pp_exchange_t *x)
{
    const char *data;
    size_t len;
    pp_err_t err = PP_ERR_client_gone;
    apr_status_t status;

    if (x->body_done || x->body_waits || x->expect_hold || x->out[OUT_DATA].iov_len || x->out[OUT_CHUNK_END].iov_len)
        return true;
    status = body_read(x, &data, &len, &err);
    if (x->fail)
        return pp_exchange_end(x, x->fail);
    x->body_waits = status == APR_EAGAIN;
    if (status == APR_SUCCESS)
        out_queue_data(x, data, len);
    else if (status == APR_EOF)
        body_eof(x);
    else if (!x->body_waits)
        return pp_exchange_end(x, err);
    return true;
}

/* The first piece waits in its place until it is sent whole, and nothing more is read before. */
void pp_exchange_unsent(const pp_exchange_t *x, const char **data, size_t *len)
{
    *data = x->out[OUT_DATA].iov_base;
    *len = x->body_done ? 0 : x->out[OUT_DATA].iov_len; /* at the end of a body without any data it is the last chunk */
}

static void out_advance(pp_exchange_t *x, size_t n)
{
    x->sent += n;
    if (n)
        x->alarm = ALARM_NONE;
    for (int i = 0; i < OUT_COUNT && n; i++) {
        size_t take = n < x->out[i].iov_len ? n : x->out[i].iov_len;
        x->out[i].iov_base = (char *)x->out[i].iov_base + take;
        x->out[i].iov_len -= take;
        n -= take;
    }
}

static apr_status_t out_write(pp_exchange_t *x, size_t *written)
{
    struct iovec vec[OUT_COUNT];
    int nvec = 0;

    *written = 0;
    for (int i = 0; i < OUT_COUNT; i++)
        if (x->out[i].iov_len)
            vec[nvec++] = x->out[i];
    return nvec ? pp_conn_writev(x->conn, vec, nvec, written) : APR_EOF;
}

/* Writes until all is sent, the socket is full, the client has no more for now, or it is the others' turn. */
bool pp_exchange_send(pp_exchange_t *x)
{
    size_t written, before = x->sent;
    apr_status_t status;

    x->send_yields = false;
    while (!x->send_dead && !x->send_yields) {
        if (!body_fill(x))
            return false;
        status = out_write(x, &written);
        out_advance(x, written);
        if (status == APR_EAGAIN || status == APR_EOF)
            break;
        if (status != APR_SUCCESS)
            x->send_dead = true; /* what it may have answered is still to be read */
        x->send_yields = x->sent - before >= SEND_AT_ONCE;
    }
    pp_exchange_want(x);
    pp_exchange_alarm(x);
    return true;
}
