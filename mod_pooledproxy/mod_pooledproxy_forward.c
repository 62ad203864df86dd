/* mod_pooledproxy_forward: request_rec to pp_call and back. */
#include "mod_pooledproxy_forward.h"

#include <ap_expr.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include "mod_pooledproxy_env.h"
#include "mod_pooledproxy_proxy_status.h"
#include "mod_pooledproxy_trailers.h"

APLOG_USE_MODULE(pooledproxy);

#define READ_SIZE (64 * 1024)  /* of the request's body at once */
#define GATHER_MAX (72 * 1024) /* of its buckets in one write: what is read at once, and the rest of a bucket */
#define WHOLE_MAX (64 * 1024)  /* of a body that is taken as a whole */
#define SMALL 512              /* a piece of an answer that had better be copied than sent as a slice of its own */

/* ---- preparing ---- */

static void body_kind_choose(pp_forward_t *fw)
{
    request_rec *r = fw->r;
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    bool filtered = r->input_filters != r->proto_input_filters; /* a filter may change the length */

    fw->body_kind = PP_REQUEST_BODY_NONE;
    if (apr_table_get(r->headers_in, "Transfer-Encoding") || (length && filtered))
        fw->body_kind = PP_REQUEST_BODY_CHUNKED;
    else if (length && ap_parse_strict_length(&fw->body_length, length))
        fw->body_kind = PP_REQUEST_BODY_LENGTH;
}

/* mod_ssl's buckets lie in its one buffer: the next look at the client's input, also whether it is still there, overwrites it. */
static void buckets_keep(apr_bucket_brigade *bb, apr_pool_t *p)
{
    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b))
        if (APR_BUCKET_IS_TRANSIENT(b))
            apr_bucket_setaside(b, p);
}

/* Most requests have no body, and no brigade for it. */
static apr_bucket_brigade *body_brigade(pp_forward_t *fw)
{
    if (!fw->in)
        fw->in = apr_brigade_create(fw->r->pool, fw->r->connection->bucket_alloc);
    return fw->in;
}

/* A chunked body that has come with its head gets its length. Reads what is there, never waits; a body that is malformed is told here,
 * since the filters tell it only once. */
static int body_take_whole(pp_forward_t *fw)
{
    request_rec *r = fw->r;
    apr_bucket_brigade *bb;
    apr_off_t length = 0;
    apr_status_t status = APR_SUCCESS;

    if (apr_table_get(r->headers_in, "Expect"))
        return OK; /* reading would tell the client to go on */
    bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    while (length < WHOLE_MAX) {
        status = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_NONBLOCK_READ, READ_SIZE);
        if (status != APR_SUCCESS || APR_BRIGADE_EMPTY(bb))
            break;
        bool ended = APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb));
        buckets_keep(bb, r->pool);
        APR_BRIGADE_CONCAT(body_brigade(fw), bb);
        if (apr_brigade_length(fw->in, 1, &length) != APR_SUCCESS)
            return OK;
        if (ended) {
            fw->body_kind = PP_REQUEST_BODY_LENGTH;
            fw->body_length = length;
            return OK;
        }
    }
    return status == APR_SUCCESS || APR_STATUS_IS_EAGAIN(status) ? OK : ap_map_http_request_error(status, HTTP_BAD_REQUEST);
}

/* RFC 9110 section 9.2.2, and requests that say of themselves that they may be sent again. */
static bool is_idempotent(const request_rec *r)
{
    switch (r->method_number) {
    case M_GET: /* and HEAD */
    case M_PUT:
    case M_DELETE:
    case M_OPTIONS:
    case M_TRACE:
        return true;
    default:
        return apr_table_get(r->headers_in, "Idempotency-Key") != NULL;
    }
}

static uint64_t request_hash(const pp_forward_t *fw)
{
    const pp_upstream_t *upstream = fw->match->upstream;
    const char *error = NULL, *key;

    if (upstream->balance != PP_BALANCE_HASH || !upstream->hash_expr)
        return 0;
    key = ap_expr_str_exec(fw->r, upstream->hash_expr, &error);
    return error || !key ? 0 : pp_balance_hash(key, strlen(key));
}

static pp_h1_request_kind_t request_kind(const request_rec *r, const pp_request_head_t *head)
{
    if (r->header_only)
        return PP_H1_REQUEST_HEAD;
    return head->upgrade ? PP_H1_REQUEST_UPGRADE : PP_H1_REQUEST_PLAIN;
}

static void call_fill(pp_forward_t *fw, const pp_request_head_t *head, pp_shard_t *shard)
{
    pp_call_t *call = &fw->call;

    call->shard = shard;
    call->upstream = fw->match->upstream;
    call->hash = request_hash(fw);
    call->timeouts = fw->match->settings.timeouts;
    call->head.bytes = head->bytes;
    call->head.len = head->len;
    call->head.path = (pp_head_place_t){head->path_at, head->path_len};
    call->head.host = (pp_head_place_t){head->host_at, head->host_len};
    call->request.has_body =
        fw->body_kind != PP_REQUEST_BODY_NONE && !(fw->body_kind == PP_REQUEST_BODY_LENGTH && !fw->body_length);
    call->request.chunked = fw->body_kind == PP_REQUEST_BODY_CHUNKED;
    call->request.expect_continue = head->expect_continue;
    call->request.kind = request_kind(fw->r, head);
    call->idempotent = is_idempotent(fw->r);
    call->request_buffer = fw->match->settings.request_buffer;
    call->front_self = fw;
}

/* On the hot path: libc clears a kilobyte better than what gcc makes of it in place where it knows the size. */
static pp_forward_t *forward_memory(apr_pool_t *p)
{
    volatile size_t size = sizeof(pp_forward_t);

    return memset(apr_palloc(p, size), 0, size);
}

int pooledproxy_forward_create(request_rec *r, const pp_match_t *match, pp_shard_t *shard, bool whole, pp_forward_t **fwp)
{
    pp_forward_t *fw = forward_memory(r->pool);
    pp_request_head_t head;
    int status;

    fw->r = r;
    fw->match = match;
    body_kind_choose(fw);
    status = whole && fw->body_kind == PP_REQUEST_BODY_CHUNKED ? body_take_whole(fw) : OK;
    if (status != OK)
        return status;
    memset(&head, 0, sizeof(head));
    status = pooledproxy_request_head(r, match, match->upstream->servers[0], fw->body_kind, fw->body_length,
                                      match->upstream->pool->policy.keep_alive, &head);
    if (status != OK)
        return status;
    call_fill(fw, &head, shard);
    *fwp = fw;
    return OK;
}

/* ---- the request's body ---- */

static apr_status_t read_failed(pp_forward_t *fw, apr_status_t status, pp_err_t *err)
{
    if (fw->tunnel && APR_STATUS_IS_EOF(status)) {
        fw->in_eof = true;
        return APR_EOF;
    }
    if (fw->r->connection->aborted || APR_STATUS_IS_EOF(status) || APR_STATUS_IS_INCOMPLETE(status) ||
        APR_STATUS_IS_ECONNRESET(status) || APR_STATUS_IS_ECONNABORTED(status)) {
        *err = PP_ERR_client_gone;
    }
    else if (APR_STATUS_IS_TIMEUP(status)) {
        *err = PP_ERR_client_timeout;
    }
    else {
        *err = PP_ERR_client_body;
        fw->client_status = ap_map_http_request_error(status, HTTP_BAD_REQUEST);
    }
    return APR_EGENERAL;
}

static apr_status_t body_end(pp_forward_t *fw, pp_err_t *err)
{
    fw->in_eof = true;
    if (fw->body_kind != PP_REQUEST_BODY_LENGTH || fw->body_seen == fw->body_length || fw->tunnel)
        return APR_EOF;
    *err = PP_ERR_client_gone;
    return APR_EGENERAL;
}

static bool is_in_memory(const pp_forward_t *fw, const apr_bucket *b)
{
    return b != APR_BRIGADE_SENTINEL(fw->in) && !APR_BUCKET_IS_METADATA(b) && b->length != (apr_size_t)-1;
}

/* A body comes from the socket in buckets of 8 KB: several that are there already make one write. False: there is one only. */
static bool gather(pp_forward_t *fw, const char **data, size_t *len)
{
    apr_bucket *b = APR_BRIGADE_FIRST(fw->in);
    size_t n = 0;

    if (!is_in_memory(fw, b) || !is_in_memory(fw, APR_BUCKET_NEXT(b)))
        return false;
    if (!fw->gathered)
        fw->gathered = apr_palloc(fw->r->pool, GATHER_MAX);
    while (is_in_memory(fw, b) && b->length <= GATHER_MAX - n && apr_bucket_read(b, data, len, APR_BLOCK_READ) == APR_SUCCESS) {
        memcpy(fw->gathered + n, *data, *len);
        n += *len;
        apr_bucket_delete(b);
        b = APR_BRIGADE_FIRST(fw->in);
    }
    fw->body_seen += (apr_off_t)n;
    *data = fw->gathered;
    *len = n;
    return n > 0;
}

/* The first data among the buckets read; APR_INCOMPLETE: none there. */
static apr_status_t read_from_buckets(pp_forward_t *fw, apr_read_type_e block, const char **data, size_t *len, pp_err_t *err)
{
    while (!APR_BRIGADE_EMPTY(fw->in)) {
        apr_bucket *b = APR_BRIGADE_FIRST(fw->in);
        apr_status_t status;
        if (APR_BUCKET_IS_EOS(b))
            return body_end(fw, err);
        if (gather(fw, data, len))
            return APR_SUCCESS;
        if (!APR_BUCKET_IS_METADATA(b)) {
            status = apr_bucket_read(b, data, len, block);
            if (status != APR_SUCCESS)
                return APR_STATUS_IS_EAGAIN(status) ? APR_EAGAIN : read_failed(fw, status, err);
            if (*len) {
                fw->lent = b;
                fw->body_seen += (apr_off_t)*len;
                return APR_SUCCESS;
            }
        }
        apr_bucket_delete(b);
    }
    return APR_INCOMPLETE;
}

/* The body is wanted now: a client that waits for 100 is told. (ap_http_filter() does so for blocking reads only.) */
static void say_continue(request_rec *r)
{
    int status = r->status;
    const char *status_line = r->status_line;

    r->status = HTTP_CONTINUE;
    r->status_line = NULL;
    ap_send_interim_response(r, 0);
    r->status = status;
    r->status_line = status_line;
}

apr_status_t pooledproxy_forward_read(pp_forward_t *fw, apr_read_type_e block, const char **data, size_t *len, pp_err_t *err)
{
    request_rec *r = fw->r;
    apr_status_t status;

    if (fw->lent) {
        apr_bucket_delete(fw->lent);
        fw->lent = NULL;
    }
    if (fw->in_eof)
        return APR_EOF;
    body_brigade(fw);
    if (r->expecting_100 && APR_BRIGADE_EMPTY(fw->in) && !fw->head_set)
        say_continue(r);
    while ((status = read_from_buckets(fw, block, data, len, err)) == APR_INCOMPLETE) {
        status = ap_get_brigade(r->input_filters, fw->in, AP_MODE_READBYTES, block, READ_SIZE);
        buckets_keep(fw->in, r->pool);
        if (APR_STATUS_IS_EAGAIN(status) || (status == APR_SUCCESS && APR_BRIGADE_EMPTY(fw->in)))
            return APR_EAGAIN;
        if (status != APR_SUCCESS)
            return read_failed(fw, status, err);
    }
    return status;
}

bool pooledproxy_forward_client_is_there(request_rec *r, bool *sent)
{
    conn_rec *c = r->connection;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, c->bucket_alloc);
    apr_status_t status = ap_get_brigade(c->input_filters, bb, AP_MODE_SPECULATIVE, APR_NONBLOCK_READ, 1);

    *sent = status == APR_SUCCESS && !APR_BRIGADE_EMPTY(bb);
    apr_brigade_destroy(bb);
    return status == APR_SUCCESS || APR_STATUS_IS_EAGAIN(status) ||
           APR_STATUS_IS_TIMEUP(status); /* mod_reqtimeout: not asked now */
}

/* ---- the response ---- */

static int put_field(void *bb, const char *name, const char *value)
{
    apr_brigade_putstrs(bb, NULL, NULL, name, ": ", value, CRLF, NULL);
    return 1;
}

/* 101: its head goes out at once, and from then on r is only bytes (RFC 9110 section 7.8). */
static void tunnel_begin(pp_forward_t *fw, const pp_h1_response_t *resp)
{
    request_rec *r = fw->r;
    conn_rec *c = r->connection;

    fw->tunnel = true;
    fw->in_eof = false;
    pooledproxy_response_head(r, fw->match, fw->call.server, resp);
    c->keepalive = AP_CONN_CLOSE;
    ap_remove_input_filter_byhandle(c->input_filters, "reqtimeout");
    r->input_filters = r->proto_input_filters = c->input_filters;
    r->output_filters = r->proto_output_filters = c->output_filters;
    apr_brigade_putstrs(fw->out, NULL, NULL, "HTTP/1.1 ", r->status_line, CRLF, NULL);
    apr_table_do(put_field, fw->out, r->headers_out, NULL);
    apr_brigade_puts(fw->out, NULL, NULL, CRLF);
}

/* Has the client sent its whole body, and was it read? */
static bool is_body_whole(const pp_forward_t *fw)
{
    if (!fw->call.request.has_body || fw->in_eof)
        return true;
    return fw->body_kind == PP_REQUEST_BODY_LENGTH && fw->body_seen == fw->body_length;
}

void pooledproxy_forward_head(pp_forward_t *fw, const pp_h1_response_t *resp)
{
    fw->head_set = true;
    if (resp->framing == PP_FRAMING_TUNNEL) {
        tunnel_begin(fw, resp);
        return;
    }
    pooledproxy_response_head(fw->r, fw->match, fw->call.server, resp);
    if (!is_body_whole(fw))
        fw->r->connection->keepalive = AP_CONN_CLOSE; /* the rest of the body would be taken for the next request */
}

/* The last buffer is full, and what did not fit is a bucket of its own behind it: the next piece begins a new one. */
static apr_status_t on_full(apr_bucket_brigade *bb, void *ctx)
{
    (void)bb;
    (void)ctx;
    return APR_SUCCESS;
}

void pooledproxy_forward_data(pp_forward_t *fw, const char *data, size_t len)
{
    if (len < SMALL && !APR_BRIGADE_EMPTY(fw->out)) {
        apr_brigade_write(fw->out, on_full, NULL, data, len); /* small chunks are gathered */
        return;
    }
    APR_BRIGADE_INSERT_TAIL(fw->out, apr_bucket_transient_create(data, len, fw->r->connection->bucket_alloc));
}

void pooledproxy_forward_trailers(pp_forward_t *fw, const pp_field_t *fields, unsigned nfields)
{
    if (pooledproxy_trailers_set(fw->r, fields, nfields))
        pooledproxy_forward_pass(fw, true); /* a whole body would get a Content-Length in place of chunks */
}

apr_status_t pooledproxy_forward_pass(pp_forward_t *fw, bool flush)
{
    apr_status_t status;

    if (flush)
        APR_BRIGADE_INSERT_TAIL(fw->out, apr_bucket_flush_create(fw->r->connection->bucket_alloc));
    fw->passed = true;
    status = ap_pass_brigade(fw->r->output_filters, fw->out);
    apr_brigade_cleanup(fw->out);
    return fw->r->connection->aborted ? APR_ECONNABORTED : status;
}

static void end_whole(pp_forward_t *fw)
{
    APR_BRIGADE_INSERT_TAIL(fw->out, apr_bucket_eos_create(fw->r->connection->bucket_alloc));
    pooledproxy_forward_pass(fw, false);
}

/* A cut body must not pass for a whole one: no last chunk, and the connection is closed. */
static void end_cut(pp_forward_t *fw)
{
    conn_rec *c = fw->r->connection;

    apr_brigade_cleanup(fw->out);
    APR_BRIGADE_INSERT_TAIL(fw->out, ap_bucket_error_create(HTTP_BAD_GATEWAY, NULL, fw->r->pool, c->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(fw->out, apr_bucket_eos_create(c->bucket_alloc));
    pooledproxy_forward_pass(fw, false);
    c->keepalive = AP_CONN_CLOSE;
}

static void log_failure(const pp_forward_t *fw, pp_err_t err)
{
    const pp_err_row_t *row = pp_err_row(err);
    int level = err == PP_ERR_client_gone || err == PP_ERR_client_timeout || err == PP_ERR_client_body ? APLOG_INFO : APLOG_ERR;

    ap_log_rerror(APLOG_MARK, level, 0, fw->r, "pooledproxy: %s: %s (%s, attempts %d)",
                  fw->call.server ? fw->call.server->url : fw->match->upstream->servers[0]->url, row->text, row->name,
                  fw->call.attempts);
}

/* Seconds; what the pool did not say is soon. */
static const char *retry_after(const pp_forward_t *fw)
{
    return fw->call.retry_after > 0 ? apr_itoa(fw->r->pool, fw->call.retry_after) : "1";
}

int pooledproxy_forward_end(pp_forward_t *fw, pp_err_t err)
{
    fw->err = err;
    pooledproxy_env_set(fw->r, fw->match, &fw->call, err);
    if (err == PP_OK) {
        end_whole(fw);
        return OK;
    }
    log_failure(fw, err);
    if (fw->passed) {
        end_cut(fw);
        return OK;
    }
    apr_brigade_cleanup(fw->out);
    fw->r->status = HTTP_OK; /* what the broken answer said must not pass for an error before this one */
    fw->r->status_line = NULL;
    if (!is_body_whole(fw))
        fw->r->connection->keepalive = AP_CONN_CLOSE; /* else httpd reads the rest before it answers, which may never come */
    pooledproxy_proxy_status_error(fw->r, fw->match, err);
    if (fw->client_status)
        return fw->client_status;
    if (pp_err_row(err)->http_status == 0)
        fw->r->connection->aborted = 1;
    if (pp_err_row(err)->http_status == HTTP_SERVICE_UNAVAILABLE)
        apr_table_setn(fw->r->err_headers_out, "Retry-After", retry_after(fw));
    return pp_err_row(err)->http_status;
}
