/* mod_pooledproxy_next: from one request to the next on one client connection, on the loop. */
#include "mod_pooledproxy_next.h"

#include <http_connection.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>

#include "mod_pooledproxy_safety.h"
#include "mod_pooledproxy_valve.h"

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

/* Input filters that keep no bytes for themselves, by their record; NULL: the module is not there. */
static const ap_filter_rec_t *time_filter, *count_filter;

void pooledproxy_next_find_filters(void)
{
    time_filter = ap_get_input_filter_handle("reqtimeout");
    count_filter = ap_get_input_filter_handle("log_input_output");
}

/* The core's own buffer: what has come and nobody has asked for, then the socket. NULL: nothing was read yet. *alone: no filter above it
 * keeps bytes for itself. *timed: mod_reqtimeout is among those. */
static apr_bucket_brigade *core_buffer(conn_rec *c, bool *alone, bool *timed)
{
    ap_filter_t *f;

    *alone = true;
    *timed = false;
    for (f = c->input_filters; f && f->frec != ap_core_input_filter_handle; f = f->next) {
        *timed |= f->frec == time_filter;
        *alone &= pooledproxy_valve_is_input(f) || f->frec == time_filter || f->frec == count_filter;
    }
    return f && ((core_net_rec *)f->ctx)->in_ctx ? ((core_net_rec *)f->ctx)->in_ctx->b : NULL;
}

/* The poll has not told of input: right behind an answer there is hardly ever any, and a look would be a read(2) that says EAGAIN. If
 * there is some all the same the next poll tells. */
static bool is_quiet(const pp_lease_t *lease, const apr_bucket_brigade *buffer)
{
    return !lease->readable && buffer && pooledproxy_valve_is_all_read(buffer);
}

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

/* Upgrade may make the connection another protocol's while the request is read, Expect may be answered before its body is read. */
static bool is_field_for_worker(const char *line, const char *end)
{
    switch (*line | 0x20) {
    case 'u':
        return end - line > 8 && !ap_cstr_casecmpn(line, "upgrade:", 8);
    case 'e':
        return end - line > 7 && !ap_cstr_casecmpn(line, "expect:", 7);
    default:
        return false;
    }
}

/* Only what can be read as one request to its last line without waiting is a head; blank lines before it are left to a worker. */
static peek_t judge(const char *buf, size_t n)
{
    const char *end = buf + n, *line = buf, *next;
    bool for_worker = false;

    if (n == 0)
        return PEEK_NOTHING;
    while ((next = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        bool empty = next == line || (next == line + 1 && *line == '\r');

        if (empty)
            return line > buf && *line == '\r' && line[-2] == '\r' && !for_worker ? PEEK_HEAD : PEEK_PART;
        for_worker |= is_field_for_worker(line, end);
        line = next + 1;
    }
    return PEEK_PART;
}

/* Asks all filters, from the top, for what has come. */
static apr_status_t look_through(pp_lease_t *lease, bool quiet, apr_off_t most)
{
    apr_status_t status;

    lease->valve.dry = quiet;
    status = ap_get_brigade(lease->c->input_filters, lease->valve.piece, AP_MODE_SPECULATIVE, APR_NONBLOCK_READ, most);
    lease->valve.dry = false;
    return status;
}

/* A filter keeps bytes for itself, mod_ssl for example. */
static peek_t peek_through(pp_lease_t *lease, bool quiet)
{
    char buf[PEEK_MAX]; /* not the loop's scratch: the end of the last answer may still lie there */
    apr_bucket_brigade *bb = lease->valve.piece;
    apr_status_t status = look_through(lease, quiet, PEEK_MAX);
    bool empty = APR_BRIGADE_EMPTY(bb);
    size_t n = status == APR_SUCCESS && !empty ? copy_memory(bb, buf, sizeof(buf)) : 0;

    apr_brigade_cleanup(bb);
    if (status != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(status))
        return PEEK_END;
    if (!empty && n == 0) /* end of stream */
        return PEEK_END;
    return judge(buf, n);
}

/* Nothing but the socket follows the first bucket. */
static bool is_in_one_piece(const apr_bucket_brigade *buffer)
{
    const apr_bucket *first = APR_BRIGADE_FIRST(buffer);

    return first == APR_BRIGADE_LAST(buffer) || APR_BUCKET_NEXT(first)->length == (apr_size_t)-1;
}

/* Reading the socket turns it into what has come by now. mod_reqtimeout is not asked: for it the time of the last request's body would
 * begin to run. */
static peek_t peek_buffer(apr_bucket_brigade *buffer)
{
    char buf[PEEK_MAX];
    const char *data;
    apr_size_t len = 0;
    apr_status_t status = APR_SUCCESS;

    while (len == 0 && !APR_BRIGADE_EMPTY(buffer)) {
        status = apr_bucket_read(APR_BRIGADE_FIRST(buffer), &data, &len, APR_NONBLOCK_READ);
        if (status != APR_SUCCESS)
            break;
        if (len == 0)
            apr_bucket_delete(APR_BRIGADE_FIRST(buffer));
    }
    if (APR_STATUS_IS_EAGAIN(status))
        return PEEK_NOTHING;
    if (status != APR_SUCCESS || len == 0)
        return PEEK_END;
    if (is_in_one_piece(buffer))
        return judge(data, len < PEEK_MAX ? len : PEEK_MAX);
    return judge(buf, copy_memory(buffer, buf, sizeof(buf)));
}

static peek_t peek(pp_lease_t *lease)
{
    bool alone, timed;
    apr_bucket_brigade *buffer = core_buffer(lease->c, &alone, &timed);
    bool quiet = is_quiet(lease, buffer);

    lease->readable = false;
    if (!alone || !buffer)
        return peek_through(lease, quiet);
    return quiet ? PEEK_NOTHING : peek_buffer(buffer);
}

void pooledproxy_next_end_body_time(pp_lease_t *lease)
{
    bool alone, timed;
    apr_bucket_brigade *buffer = core_buffer(lease->c, &alone, &timed);

    if (alone || !timed)
        return;
    for (int i = 0; i < 2; i++) { /* the first one may only end its wait for the first byte of a request that mod_ssl had already */
        look_through(lease, is_quiet(lease, buffer), 1);
        apr_brigade_cleanup(lease->valve.piece);
    }
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
