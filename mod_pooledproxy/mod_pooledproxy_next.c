/* mod_pooledproxy_next: from one request to the next on one client connection, on the loop. */
#include "mod_pooledproxy_next.h"

#include <http_connection.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>

#include "mod_pooledproxy_safety.h"

#define PEEK_MAX 8192

void pooledproxy_next_remember(pp_lease_t *lease, const pp_forward_t *fw)
{
    const pp_route_t *route = fw->match->route;
    const server_rec *s = fw->r->server;

    lease->last_prefix = route && route->in_location ? route->path : NULL;
    lease->loop_may_read = route && pooledproxy_safety_may_read();
    lease->keep_alive = s->keep_alive_timeout_set ? s->keep_alive_timeout : lease->c->base_server->keep_alive_timeout;
}

apr_interval_time_t pooledproxy_next_keep_alive(const pp_lease_t *lease)
{
    return lease->keep_alive;
}

/* ---- is the whole head there? ---- */

typedef enum peek_t { PEEK_NOTHING, PEEK_PART, PEEK_HEAD, PEEK_END } peek_t;

/* Copies what the buckets hold in memory; does not read. */
static size_t copy_memory(const apr_bucket_brigade *bb, char *buf, size_t max)
{
    size_t n = 0;

    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb) && n < max; b = APR_BUCKET_NEXT(b)) {
        const char *data;
        apr_size_t len;
        if (b->length == (apr_size_t)-1 || APR_BUCKET_IS_METADATA(b))
            break;
        if (apr_bucket_read(b, &data, &len, APR_NONBLOCK_READ) != APR_SUCCESS)
            break;
        len = len < max - n ? len : max - n;
        memcpy(buf + n, data, len);
        n += len;
    }
    return n;
}

/* The core's own buffer, when no filter above it keeps bytes for itself: looking there spares a read(2) that says EAGAIN. */
static const apr_bucket_brigade *core_buffer(conn_rec *c)
{
    for (ap_filter_t *f = c->input_filters; f; f = f->next) {
        if (f->frec == ap_core_input_filter_handle)
            return ((core_net_rec *)f->ctx)->in_ctx ? ((core_net_rec *)f->ctx)->in_ctx->b : NULL;
        if (strcmp(f->frec->name, PP_VALVE_IN) && strcmp(f->frec->name, "reqtimeout") && strcmp(f->frec->name, "log_input_output"))
            return NULL;
    }
    return NULL;
}

/* Upgrade may make the connection another protocol's while the request is read, Expect may be answered before its body is read. */
static bool has_field_for_worker(const char *head, const char *end)
{
    for (const char *at = head; (at = memchr(at, '\n', (size_t)(end - at))) != NULL;) {
        at++;
        if (end - at > 8 && (!ap_cstr_casecmpn(at, "upgrade:", 8) || !ap_cstr_casecmpn(at, "expect:", 7)))
            return true;
    }
    return false;
}

/* Only what can be read as one request to its last line without waiting is a head; blank lines before it are left to a worker. */
static peek_t judge(const char *buf, size_t n)
{
    const char *end;

    if (n == 0)
        return PEEK_NOTHING;
    end = buf[0] == '\r' || buf[0] == '\n' ? NULL : memmem(buf, n, "\r\n\r\n", 4);
    return end && !has_field_for_worker(buf, end) ? PEEK_HEAD : PEEK_PART;
}

/* Where to look for the next request without mod_reqtimeout: for it the time of the last request's body would begin to run. */
static ap_filter_t *filter_below_timeouts(conn_rec *c)
{
    ap_filter_t *f = c->input_filters;

    while (f->next && strcmp(f->frec->name, PP_VALVE_IN) != 0)
        f = f->next;
    return f;
}

void pooledproxy_next_end_body_time(pp_lease_t *lease)
{
    conn_rec *c = lease->c;

    if (core_buffer(c))
        return;
    for (int i = 0; i < 2; i++) { /* the first one may only end its wait for the first byte of a request that mod_ssl had already */
        ap_get_brigade(c->input_filters, lease->valve.piece, AP_MODE_SPECULATIVE, APR_NONBLOCK_READ, 1);
        apr_brigade_cleanup(lease->valve.piece);
    }
}

static peek_t peek(pp_lease_t *lease)
{
    conn_rec *c = lease->c;
    char buf[PEEK_MAX]; /* not the loop's scratch: the end of the last answer may still lie there */
    const apr_bucket_brigade *core = core_buffer(c);
    apr_bucket_brigade *bb = lease->valve.piece; /* empty between two passes: a brigade to use for a moment */
    apr_status_t status = ap_get_brigade(core ? filter_below_timeouts(c) : c->input_filters, bb, AP_MODE_SPECULATIVE,
                                         APR_NONBLOCK_READ, core ? 1 : PEEK_MAX);
    bool empty = APR_BRIGADE_EMPTY(bb);
    size_t n = status == APR_SUCCESS && !empty ? copy_memory(core ? core : bb, buf, sizeof(buf)) : 0;

    apr_brigade_cleanup(bb);
    if (status != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(status))
        return PEEK_END;
    if (!empty && n == 0) /* end of stream */
        return PEEK_END;
    return judge(buf, n);
}

/* ---- is it for us? ---- */

/* A request for the same route as the last, or another route of its vhost, that can be forwarded without waiting for its client. */
static bool may_run(const pp_lease_t *lease, request_rec *r)
{
    const pp_server_conf_t *conf = pooledproxy_server_conf(r->server);

    if (!conf->enabled || apr_table_get(r->headers_in, "Transfer-Encoding") || !pooledproxy_safety_may_process(r))
        return false;
    if (lease->last_prefix)
        return strncmp(r->uri, lease->last_prefix, strlen(lease->last_prefix)) == 0;
    return pooledproxy_route_find(r) != NULL;
}

pp_read_t pooledproxy_next_read(pp_lease_t *lease, request_rec **rp)
{
    conn_rec *c = lease->c;
    request_rec *r;

    switch (peek(lease)) {
    case PEEK_NOTHING:
        return PP_READ_WAIT;
    case PEEK_PART:
        pooledproxy_lease_give(lease, PP_NEXT_HOOKS);
        return PP_READ_GIVE;
    case PEEK_END:
        pooledproxy_lease_give(lease, PP_NEXT_LINGER);
        return PP_READ_GIVE;
    case PEEK_HEAD:
        break;
    }
    c->data_in_input_filters = 0;
    r = ap_read_request(c);
    apr_socket_timeout_set(lease->twin, 0); /* ap_read_request() sets the vhost's */
    if (!r || r->status != HTTP_OK) {
        pooledproxy_lease_give(lease, PP_NEXT_LINGER);
        return PP_READ_GIVE;
    }
    if (!may_run(lease, r)) {
        lease->r = r;
        lease->work = NULL;
        pooledproxy_lease_give(lease, PP_NEXT_PROCESS);
        return PP_READ_GIVE;
    }
    *rp = r;
    return PP_READ_REQUEST;
}

int pooledproxy_next_process(pp_lease_t *lease, request_rec *r)
{
    int rc;

    rc = ap_run_quick_handler(r, 0);
    if (rc == DECLINED)
        rc = ap_process_request_internal(r);
    if (rc != OK)
        return rc;
    if (!r->handler || strncmp(r->handler, PP_HANDLER_PREFIX, sizeof(PP_HANDLER_PREFIX) - 1)) {
        pooledproxy_lease_give(lease, PP_NEXT_INVOKE);
        return OK;
    }
    return ap_invoke_handler(r);
}
