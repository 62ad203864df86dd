/* mod_pooledproxy_blocking: moves bodies between a channel and the filters, waiting where there is nothing to do.
 *
 * Threads: the worker that has the request. r is its own throughout; the call is the loop's.
 */
#include "mod_pooledproxy_blocking.h"

#include <apr_portable.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <poll.h>
#include <stdlib.h>

#include "mod_pooledproxy_channel.h"

#define TICK_MSEC 200 /* how often a stream without a socket of its own (HTTP/2) is asked whether it was reset */
#define BODY_TICK_MSEC 10
#define GUEST_TICK_MSEC 50 /* how often a guest of the loop asks whether its client is there */

/* A pump at work. */
typedef struct pump_t {
    pp_forward_t *fw;
    pp_channel_t *channel;
    int client_fd;    /* -1: the connection has no socket of its own */
    bool body_open;   /* there may be more of the request's body (or of the tunnel) to come from the client */
    bool body_waits;  /* ... but not at the moment */
    bool client_sent; /* the client has sent what is not for this request: its socket tells nothing any more */
    bool cancelled;
    bool guest;               /* the thread runs the loop itself while it waits: nothing is to come from the client */
    bool started;             /* a guest has asked the loop to begin */
    bool was_ready;           /* a guest's last look found its client's socket so */
    apr_time_t waiting_since; /* for the client's body; 0: not waiting */
} pump_t;

/* ---- the loop's guest ---- */

static pp_loop_t *loop_of(const pump_t *pump)
{
    return pump->fw->call.shard->loop;
}

static bool is_ready(int fd, bool wants_input)
{
    struct pollfd client = {fd, wants_input ? POLLIN : 0, 0};

    return fd >= 0 && poll(&client, 1, 0) > 0;
}

/* What a guest asks of the loop wakes nobody: it is about to run the loop. */
static void guest_asks(pump_t *pump)
{
    if (pump->started)
        pooledproxy_channel_resume(pump->channel);
    else
        pooledproxy_channel_start(pump->channel);
    pump->started = true;
}

static pp_time_t until(pp_time_t a, pp_time_t b, pp_time_t now)
{
    pp_time_t first = a < b ? a : b;

    return first > now ? first - now : 0;
}

/* As pooledproxy_channel_wait(). Now and then it looks for its client, whose end may take two looks: the second follows at once. */
static bool wait_as_guest(pump_t *pump, int fd, bool wants_input, int timeout_msec)
{
    pp_loop_t *loop = loop_of(pump);
    pp_time_t now = pp_clock_now(), end = now + PP_MSEC(timeout_msec),
              look = pump->was_ready ? now : now + PP_MSEC(GUEST_TICK_MSEC);
    bool news;

    pump->was_ready = false;
    pp_loop_enter(loop);
    guest_asks(pump);
    do {
        pp_loop_round(loop, until(look, end, now));
        news = pooledproxy_channel_has_news(pump->channel);
        now = pp_clock_now();
        if (!news && now >= look) {
            pp_loop_take_signals(loop);
            pump->was_ready = is_ready(fd, wants_input);
            look = now + PP_MSEC(GUEST_TICK_MSEC);
        }
    } while (!news && !pump->was_ready && now < end);
    pp_loop_leave(loop, true);
    return pump->was_ready;
}

/* From now on there is something to wait for beside the loop, which therefore runs without us. */
static void guest_goes(pump_t *pump)
{
    if (!pump->guest)
        return;
    pp_loop_enter(loop_of(pump));
    guest_asks(pump);
    pp_loop_leave(loop_of(pump), false);
    pump->guest = false;
}

/* ---- the pump ---- */

static void pump_cancel(pump_t *pump, pp_err_t err)
{
    guest_goes(pump);
    if (!pump->cancelled)
        pooledproxy_channel_cancel(pump->channel, err);
    pump->cancelled = true;
    pump->body_open = false;
}

/* ---- loop's side of the channel ---- */

static apr_status_t on_body_read(void *self, const char **data, size_t *len, pp_err_t *err)
{
    return pooledproxy_channel_read(((pp_forward_t *)self)->channel, data, len, err);
}

static void on_head(void *self, const pp_h1_response_t *resp)
{
    pooledproxy_channel_head(((pp_forward_t *)self)->channel, resp);
}

static void on_data(void *self, const char *data, size_t len)
{
    pooledproxy_channel_put(((pp_forward_t *)self)->channel, data, len);
}

static void on_batch(void *self, bool drained)
{
    (void)drained;
    pooledproxy_channel_batch(((pp_forward_t *)self)->channel);
}

static void on_trailers(void *self, const pp_field_t *fields, unsigned nfields)
{
    pooledproxy_channel_trailers(((pp_forward_t *)self)->channel, fields, nfields);
}

static const pp_front_t blocking_front = {on_body_read, on_head, on_head, on_data, on_batch, on_trailers};

static void on_call_done(pp_call_t *call, pp_err_t err)
{
    pooledproxy_channel_done(((pp_forward_t *)call->front_self)->channel, err);
}

/* ---- the response ---- */

static void take_head(pump_t *pump, pp_h1_response_t *head)
{
    pp_forward_t *fw = pump->fw;

    if (head->status == 0) {
        pooledproxy_forward_trailers(fw, head->fields, head->nfields);
    }
    else if (head->status < 200 && head->framing != PP_FRAMING_TUNNEL) {
        pooledproxy_interim_response(fw->r, head);
    }
    else {
        pooledproxy_forward_head(fw, head);
        if (fw->tunnel) {
            pump->body_open = true;
            guest_goes(pump);
        }
    }
    free(head);
}

static void take_data(pump_t *pump, const pp_received_t *received)
{
    if (received->len)
        pooledproxy_forward_data(pump->fw, received->data, received->len);
    /* The last data goes out with the end of the body. */
    if (received->done || (APR_BRIGADE_EMPTY(pump->fw->out) && (pump->fw->passed || !received->flush)))
        return;
    if (pump->cancelled)
        apr_brigade_cleanup(pump->fw->out);
    else if (pooledproxy_forward_pass(pump->fw, true) != APR_SUCCESS)
        pump_cancel(pump, PP_ERR_client_gone);
}

/* ---- the request's body ---- */

/* Blocking only where there is no socket to wait on, and no answer to be missed meanwhile. */
static apr_read_type_e read_type(const pump_t *pump)
{
    return pump->client_fd < 0 && !pump->fw->head_set ? APR_BLOCK_READ : APR_NONBLOCK_READ;
}

/* The loop must know the body's end together with its last data: an answer that comes before it would find the request unfinished. */
static bool is_last_data(const pp_forward_t *fw)
{
    return fw->body_kind == PP_REQUEST_BODY_LENGTH && fw->body_seen == fw->body_length && !fw->tunnel;
}

static void send_body(pump_t *pump)
{
    const char *data;
    size_t len;
    pp_err_t err = PP_ERR_client_gone;
    apr_status_t status = pooledproxy_forward_read(pump->fw, read_type(pump), &data, &len, &err);

    pump->body_waits = status == APR_EAGAIN;
    if (status == APR_SUCCESS) {
        pump->waiting_since = 0;
        pump->body_open = !is_last_data(pump->fw);
        pooledproxy_channel_send(pump->channel, data, len, !pump->body_open);
    }
    else if (status == APR_EOF) {
        pump->body_open = false;
        pooledproxy_channel_send(pump->channel, NULL, 0, true);
    }
    else if (!pump->body_waits) {
        pump_cancel(pump, err);
    }
}

/* ---- waiting ---- */

/* What is left of the client's time to send more of the body. */
static apr_interval_time_t body_time_left(pump_t *pump)
{
    if (!pump->waiting_since)
        pump->waiting_since = pp_clock_now();
    return pump->waiting_since + pump->fw->r->server->timeout - pp_clock_now();
}

static int tick_msec(pump_t *pump, bool for_body)
{
    const int tick = pump->client_fd >= 0 ? 1000 : for_body ? BODY_TICK_MSEC : TICK_MSEC;
    apr_interval_time_t left = for_body && !pump->fw->tunnel ? body_time_left(pump) : PP_SEC(1);

    return left / 1000 < tick ? (left > 0 ? (int)(left / 1000) + 1 : 0) : tick;
}

/* Does input mean that the client gave up? Not when it has said all it may, or has sent more than was asked for. */
static bool may_give_up(const pump_t *pump)
{
    return !pump->body_open && !pump->client_sent && !(pump->fw->tunnel && pump->fw->in_eof);
}

static void pump_wait(pump_t *pump, bool wants_body)
{
    bool for_body = pump->body_open && wants_body;
    bool wants_input = for_body || may_give_up(pump);
    int fd = pump->cancelled ? -1 : pump->client_fd;
    int tick = tick_msec(pump, for_body);
    bool readable =
        pump->guest ? wait_as_guest(pump, fd, wants_input, tick) : pooledproxy_channel_wait(pump->channel, fd, wants_input, tick);

    if (pump->fw->r->connection->aborted && !pump->cancelled)
        pump_cancel(pump, PP_ERR_client_gone);
    else if (readable && !wants_input) /* a reset */
        pump_cancel(pump, PP_ERR_client_gone);
    else if (readable && !pump->body_open && !pooledproxy_forward_client_is_there(pump->fw->r, &pump->client_sent))
        pump_cancel(pump, PP_ERR_client_gone);
    else if (for_body && !readable && !pump->fw->tunnel && body_time_left(pump) <= 0)
        pump_cancel(pump, PP_ERR_client_timeout);
    pump->body_waits = false;
}

static pp_err_t pump_run(pump_t *pump)
{
    pp_received_t received;

    for (;;) {
        pooledproxy_channel_take(pump->channel, &received);
        if (received.paused && !pump->guest) /* a guest asks when it is in */
            pooledproxy_channel_resume(pump->channel);
        if (received.head) {
            take_head(pump, received.head);
            continue;
        }
        take_data(pump, &received);
        if (received.done)
            return received.err;
        if (pump->body_open && received.wants_body)
            send_body(pump);
        if (!(pump->body_open && received.wants_body) || pump->body_waits)
            pump_wait(pump, received.wants_body);
    }
}

static int client_descriptor(conn_rec *c)
{
    apr_socket_t *socket = c->master ? NULL : ap_get_conn_socket(c);
    apr_os_sock_t fd;

    return socket && apr_os_sock_get(&fd, socket) == APR_SUCCESS ? fd : -1;
}

static int pump_to_end(pump_t *pump)
{
    pp_forward_t *fw = pump->fw;
    pp_err_t err;
    int status;

    pump->channel = fw->channel;
    pump->client_fd = client_descriptor(fw->r->connection);
    err = pump_run(pump);
    status = pooledproxy_forward_end(fw, err);
    pooledproxy_channel_free(fw->channel); /* not before: `out` may point into it */
    fw->channel = NULL;
    return status;
}

int pooledproxy_blocking_forward(pp_forward_t *fw)
{
    pump_t pump = {.fw = fw, .body_open = fw->call.request.has_body};

    if (!fw->out)
        fw->out = apr_brigade_create(fw->r->pool, fw->r->connection->bucket_alloc);
    fw->call.front = &blocking_front;
    fw->call.on_done = on_call_done;
    fw->channel = pooledproxy_channel_create(&fw->call, false, false);
    pump.guest = pp_loop_takes_guests(loop_of(&pump)) && !pump.body_open;
    if (!pump.guest)
        pooledproxy_channel_start(fw->channel);
    return pump_to_end(&pump);
}

int pooledproxy_blocking_deliver(pp_forward_t *fw)
{
    pump_t pump = {.fw = fw, .body_open = fw->call.request.has_body && !fw->in_eof};

    return pump_to_end(&pump);
}
