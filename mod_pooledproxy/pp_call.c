/* pp_call: attempts until one outcome. */
#include "pp_call.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pp_log.h"

static void attempt_begin(pp_call_t *call, pp_err_t last_err);

static pp_pool_t *pool_of(const pp_call_t *call)
{
    return call->shard->pools[call->upstream->pool->index];
}

static pp_balance_t *balance_of(const pp_call_t *call)
{
    return call->upstream->index >= 0 ? call->shard->balances[call->upstream->index] : NULL;
}

/* ---- the end ---- */

static void server_leave(pp_call_t *call)
{
    if (call->in_flight && balance_of(call))
        pp_balance_end(balance_of(call), call->server_index);
    call->in_flight = false;
}

static void call_release(pp_call_t *call, pp_err_t err)
{
    call->err = err;
    server_leave(call);
    pp_timer_remove(call->shard->loop, &call->total);
    free(call->own_head);
    call->own_head = NULL;
    pp_replay_clear(&call->body);
    if (err != PP_OK)
        pp_stat_add(&pp_pool_stats(pool_of(call))->requests_failed, 1);
    if (err != PP_OK && pp_log_is(PP_LOG_DEBUG))
        pp_log(PP_LOG_DEBUG, "%s: %s: %s", call->server ? call->server->key : "-", pp_err_row(err)->name, pp_err_row(err)->text);
}

static void call_done(pp_call_t *call, pp_err_t err)
{
    call_release(call, err);
    call->on_done(call, err);
}

/* ---- again, or not ---- */

/* The request's body can be played from its beginning: it is kept, or none of it has left. */
static bool body_rewind(pp_call_t *call)
{
    const char *data;
    size_t len;

    if (call->exchange.sent == 0) {
        pp_exchange_unsent(&call->exchange, &data, &len);
        pp_replay_keep_only(&call->body, data, len);
    }
    return pp_replay_rewind(&call->body);
}

/* A reused connection was dead before a byte of an answer: why the request is not sent once more on a new one; NULL: it is. */
static const char *why_no_replay(pp_call_t *call)
{
    if (call->replayed)
        return "it was sent again already";
    if (!call->idempotent && call->exchange.sent)
        return "it may have been received, and must not be sent twice";
    if (!body_rewind(call))
        return "its body is larger than what is kept of it";
    return NULL;
}

static bool may_replay_stale(pp_call_t *call, pp_err_t err)
{
    const char *why_not;

    if (err != PP_ERR_stale)
        return false;
    why_not = why_no_replay(call);
    pp_log(PP_LOG_DEBUG, "%s: stale connection, request %s%s", call->server->key, why_not ? "not sent again: " : "sent again",
           why_not ? why_not : "");
    return why_not == NULL;
}

/* The connection was never there, so nothing was sent: another server of the group may take it. */
static bool may_try_other(const pp_call_t *call, pp_err_t err)
{
    switch (err) {
    case PP_ERR_connect_refused:
    case PP_ERR_connect_failed:
    case PP_ERR_connect_timeout:
    case PP_ERR_tls_verify:
    case PP_ERR_tls_expired:
    case PP_ERR_tls_alpn:
    case PP_ERR_tls_handshake:
    case PP_ERR_dns_failed:
    case PP_ERR_dns_timeout:
        return call->upstream->nservers > 1 && call->attempts < 2;
    case PP_ERR_tls_alert: /* may also come after the request */
        return !call->exchange.began_at && call->upstream->nservers > 1 && call->attempts < 2;
    default:
        return false;
    }
}

static void attempt_failed(pp_call_t *call, pp_err_t err)
{
    server_leave(call);
    if (may_try_other(call, err)) {
        attempt_begin(call, err);
        return;
    }
    call_done(call, err);
}

/* ---- one attempt ---- */

static void note_first_byte(pp_call_t *call)
{
    if (call->exchange.first_byte_at)
        call->t_first_byte = call->exchange.first_byte_at - call->began;
}

/* What the exchange tells of the server; what the client ended tells nothing. */
static void observe(const pp_call_t *call, pp_err_t err)
{
    const pp_exchange_t *x = &call->exchange;
    bool failed = (err != PP_OK && !x->head_seen) || x->status == 503;

    if (err != PP_OK && (err == PP_ERR_stale || strcmp(pp_err_row(err)->phase, "client") == 0))
        return;
    pp_pool_observe(call->conn, x->first_byte_at ? x->first_byte_at - x->began_at : 0, failed);
}

static void connection_return(pp_call_t *call, const pp_exchange_end_t *end)
{
    if (end->reusable)
        pp_pool_checkin(pool_of(call), &call->conn);
    else
        pp_pool_discard(pool_of(call), &call->conn, end->close_reason);
}

static void checkout_begin(pp_call_t *call);

/* Once more, on a connection that has not served yet. */
static void replay_begin(pp_call_t *call)
{
    pp_stat_add(&pp_pool_stats(pool_of(call))->stale_replayed, 1);
    call->replayed = true;
    checkout_begin(call);
}

static void on_exchange_end(pp_exchange_t *x, const pp_exchange_end_t *end)
{
    pp_call_t *call = PP_OWNER_OF(x, pp_call_t, exchange);

    note_first_byte(call);
    if (pp_conn_failure(call->conn) != PP_OK)
        pp_log(PP_LOG_WARNING, "%s: TLS: %s", call->server->key, pp_conn_trouble(call->conn));
    observe(call, end->err);
    connection_return(call, end);
    if (may_replay_stale(call, end->err)) {
        replay_begin(call);
        return;
    }
    if (end->err == PP_OK || call->exchange.head_seen)
        call_done(call, end->err);
    else
        attempt_failed(call, end->err);
}

/* The head with another server's path and Host in place of those it was written for. */
static void head_for_server(pp_call_t *call)
{
    const pp_call_head_t *head = &call->head;
    size_t path_len = strlen(call->server->path), host_len = strlen(call->server->authority);
    size_t path_end = head->path.offset + head->path.len, host_end = head->host.offset + head->host.len;
    char *at;

    call->request.head = head->bytes;
    call->request.head_len = head->len;
    if (call->server == call->upstream->servers[0])
        return;
    free(call->own_head);
    at = call->own_head = malloc(head->len + path_len + host_len);
    if (!at)
        abort();
    at = (char *)memcpy(at, head->bytes, head->path.offset) + head->path.offset;
    at = (char *)memcpy(at, call->server->path, path_len) + path_len;
    if (head->host.len) {
        at = (char *)memcpy(at, head->bytes + path_end, head->host.offset - path_end) + (head->host.offset - path_end);
        at = (char *)memcpy(at, call->server->authority, host_len) + host_len;
    }
    else {
        host_end = path_end;
    }
    at = (char *)memcpy(at, head->bytes + host_end, head->len - host_end) + (head->len - host_end);
    call->request.head = call->own_head;
    call->request.head_len = (size_t)(at - call->own_head);
}

/* A request that must not be sent twice looks first whether the peer of a reused connection has gone: then nothing is sent, and a fresh
 * one does no harm. */
static bool is_found_dead(pp_call_t *call)
{
    pp_exchange_end_t end = {PP_ERR_stale, false, PP_CLOSE_stale};
    apr_status_t status;

    if (call->idempotent || !call->checkout.reused)
        return false;
    status = pp_conn_peek(call->conn);
    if (status == APR_EAGAIN)
        return false;
    if (status == APR_SUCCESS)
        end.close_reason = PP_CLOSE_unexpected_data;
    connection_return(call, &end);
    return true;
}

static void attempt_note(pp_call_t *call)
{
    call->reused = call->checkout.reused;
    call->why_new = call->reused ? NULL : call->checkout.why_new;
    call->t_pool = pp_loop_now(call->shard->loop) - call->checkout_at - call->checkout.dns_time - call->checkout.connect_time -
                   call->checkout.tls_time;
    if (call->t_pool < 0)
        call->t_pool = 0;
    call->t_dns = call->checkout.dns_time;
    call->t_connect = call->checkout.connect_time;
    call->t_tls = call->server->is_tls ? call->checkout.tls_time : -1;
}

static void exchange_begin(pp_call_t *call, pp_conn_t *conn)
{
    pp_exchange_t *x = &call->exchange;

    call->conn = conn;
    if (is_found_dead(call)) {
        replay_begin(call);
        return;
    }
    attempt_note(call);
    if (x->front) /* not the first one */
        memset(x, 0, sizeof(*x));
    x->front = call->front;
    x->front_self = call->front_self;
    x->on_end = on_exchange_end;
    x->request = &call->request;
    x->timeouts = &call->timeouts;
    x->reused = call->reused;
    x->replay = &call->body;
    x->paused = call->paused;
    head_for_server(call);
    pp_exchange_start(x, conn);
}

static void checkout_failed(pp_call_t *call, pp_err_t err)
{
    call->retry_after = call->checkout.retry_after;
    attempt_failed(call, err);
}

static void on_checked_out(pp_checkout_t *checkout, pp_conn_t *conn, pp_err_t err)
{
    pp_call_t *call = PP_OWNER_OF(checkout, pp_call_t, checkout);

    if (conn)
        exchange_begin(call, conn);
    else
        checkout_failed(call, err);
}

static void checkout_begin(pp_call_t *call)
{
    const pp_server_t *server = call->server;
    pp_target_t target = pp_server_target(server, call->upstream->pool);
    pp_conn_t *conn;
    pp_err_t err;
    apr_status_t status;

    call->checkout_at = pp_loop_now(call->shard->loop);
    call->checkout.on_conn = on_checked_out;
    call->checkout.wait_until = call->timeouts.pool ? call->checkout_at + call->timeouts.pool : 0;
    call->checkout.connect_timeout = call->timeouts.connect;
    call->checkout.fresh = call->replayed;
    call->checkout.retry_after = call->retry_after = 0;
    call->exchange.began_at = 0;
    if (server->is_tls && !target.tls) { /* named at run time, where the configuration let nobody expect it */
        pp_log(PP_LOG_ERR, "%s: TLS was not prepared for the pool %s", server->key, call->upstream->pool->name);
        checkout_failed(call, PP_ERR_internal);
        return;
    }
    status = pp_pool_checkout(pool_of(call), &target, &call->checkout, &conn, &err);
    if (status == APR_SUCCESS)
        exchange_begin(call, conn);
    else if (status != APR_EAGAIN)
        checkout_failed(call, err);
}

static bool server_choose(pp_call_t *call)
{
    call->server_index = balance_of(call) ? pp_balance_pick(balance_of(call), call->hash, call->tried, call->attempts) : 0;
    if (call->server_index < 0)
        return false;
    call->server = call->upstream->servers[call->server_index];
    if (balance_of(call))
        pp_balance_begin(balance_of(call), call->server_index);
    call->in_flight = true;
    return true;
}

static void attempt_begin(pp_call_t *call, pp_err_t last_err)
{
    if (!server_choose(call)) {
        call_done(call, call->attempts ? last_err : PP_ERR_no_server);
        return;
    }
    call->tried[call->attempts++] = call->server_index;
    checkout_begin(call);
}

/* ---- the public side ---- */

static void call_stop(pp_call_t *call, pp_err_t err, pp_close_t reason)
{
    pp_exchange_end_t end = {err, false, reason};

    note_first_byte(call);
    pp_pool_cancel(&call->checkout);
    pp_exchange_abandon(&call->exchange);
    if (call->conn) {
        observe(call, err);
        connection_return(call, &end);
    }
}

static void on_total_timer(pp_timer_t *timer)
{
    pp_call_t *call = PP_OWNER_OF(timer, pp_call_t, total);

    call_stop(call, PP_ERR_total_timeout, PP_CLOSE_timeout);
    call_done(call, PP_ERR_total_timeout);
}

void pp_call_start(pp_call_t *call)
{
    call->began = pp_loop_now(call->shard->loop);
    call->t_pool = call->t_dns = call->t_connect = call->t_tls = call->t_first_byte = -1;
    call->total.on_timer = on_total_timer;
    call->body.limit = call->idempotent ? (size_t)call->request_buffer : 0;
    if (call->timeouts.total)
        pp_timer_set(call->shard->loop, &call->total, call->began + call->timeouts.total);
    attempt_begin(call, PP_OK);
}

bool pp_call_takes_body(const pp_call_t *call)
{
    return call->conn != NULL;
}

void pp_call_body_ready(pp_call_t *call)
{
    if (call->conn)
        pp_exchange_body_ready(&call->exchange);
}

void pp_call_pause(pp_call_t *call)
{
    call->paused = true;
    pp_exchange_pause(&call->exchange);
}

void pp_call_resume(pp_call_t *call)
{
    call->paused = false;
    pp_exchange_resume(&call->exchange);
}

void pp_call_fail(pp_call_t *call, pp_err_t err)
{
    pp_exchange_fail(&call->exchange, err);
}

void pp_call_cancel(pp_call_t *call, pp_err_t err)
{
    if (call->err != PP_OK || !call->in_flight)
        return;
    call_stop(call, err, err == PP_ERR_shutdown ? PP_CLOSE_shutdown : PP_CLOSE_client_gone);
    call_release(call, err);
}

bool pp_call_has_answer(const pp_call_t *call)
{
    return call->exchange.head_seen;
}
