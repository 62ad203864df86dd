/* mod_pooledproxy_valve: keeps a loop from blocking on a client that reads slowly. */
#include "mod_pooledproxy_valve.h"

#include <http_connection.h>
#include <http_core.h>
#include <sys/uio.h>

static ap_filter_rec_t *valve_handle;
static ap_filter_rec_t *valve_in_handle;

/* mod_logio's: what went out, counted as the core does it; NULL: it is not there. */
static APR_OPTIONAL_FN_TYPE(ap_logio_add_bytes_out) * count_bytes;

#define SLICES_MOST 256          /* in one write */
#define MUCH (16 * 1024)         /* bytes that are worth a larger buffer than the core's */
#define READ_AT_ONCE (64 * 1024) /* of those */
#define LITTLE (8 * 1024)        /* bytes that are not worth keeping such a buffer for */
#define WRITE_AT (64 * 1024)     /* bytes that are not held any longer, though they could be */

static bool is_empty(const pp_valve_t *valve)
{
    return APR_BRIGADE_EMPTY(valve->held);
}

/* ---- writing ---- */

/* The data of the first buckets as slices of memory; returns how many. */
static int slices_take(apr_bucket_brigade *bb, struct iovec *slices, apr_size_t *bytes, apr_status_t *status)
{
    int n = 0;

    *bytes = 0;
    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb) && n < SLICES_MOST; b = APR_BUCKET_NEXT(b)) {
        const char *data;
        apr_size_t len;

        if (APR_BUCKET_IS_METADATA(b))
            continue;
        *status = apr_bucket_read(b, &data, &len, APR_NONBLOCK_READ);
        if (APR_STATUS_IS_EAGAIN(*status))
            *status = APR_ENOTIMPL; /* a pipe or the like: nobody would tell us of what comes */
        if (*status != APR_SUCCESS)
            break;
        if (!len)
            continue;
        slices[n].iov_base = (void *)data;
        slices[n++].iov_len = len;
        *bytes += len;
    }
    return n;
}

/* So many bytes are out: their buckets end, and with them the metadata up to the next data. A request ends with its EOR bucket. */
static void buckets_end(apr_bucket_brigade *bb, apr_size_t bytes)
{
    while (!APR_BRIGADE_EMPTY(bb)) {
        apr_bucket *b = APR_BRIGADE_FIRST(bb);

        if (b->length > bytes) {
            if (!bytes)
                return;
            apr_bucket_split(b, bytes);
        }
        bytes -= b->length;
        apr_bucket_delete(b);
    }
}

/* Writes as much of bb as the socket takes. */
static apr_status_t write_some(pp_valve_t *valve, apr_bucket_brigade *bb)
{
    struct iovec slices[SLICES_MOST];
    apr_status_t status = APR_SUCCESS;
    apr_size_t bytes, sent;

    while (status == APR_SUCCESS && !APR_BRIGADE_EMPTY(bb)) {
        int n = slices_take(bb, slices, &bytes, &status);

        sent = 0;
        if (n) {
            apr_socket_timeout_set(valve->socket, 0); /* filters may have set another */
            status = apr_socket_sendv(valve->socket, slices, n, &sent);
        }
        if (sent && count_bytes)
            count_bytes(valve->c, (apr_off_t)sent);
        buckets_end(bb, sent);
        if (status == APR_SUCCESS && sent < bytes)
            status = APR_EAGAIN;
    }
    return status;
}

/* The bucket's data must last beyond the call that brought it. */
static apr_status_t keep(pp_valve_t *valve, apr_bucket *b)
{
    apr_status_t status;
    const char *data;
    apr_size_t len;

    if (APR_BUCKET_IS_METADATA(b) || APR_BUCKET_IS_HEAP(b) || APR_BUCKET_IS_IMMORTAL(b) || APR_BUCKET_IS_POOL(b))
        return APR_SUCCESS;
    if (!APR_BUCKET_IS_TRANSIENT(b) && !valve->held_pool)
        apr_pool_create(&valve->held_pool, valve->c->pool);
    status = apr_bucket_setaside(b, valve->held_pool);
    if (status == APR_ENOTIMPL && apr_bucket_read(b, &data, &len, APR_NONBLOCK_READ) == APR_SUCCESS)
        status = apr_bucket_setaside(b, valve->held_pool); /* reading has made another kind of it */
    return status;
}

/* What is left of bb waits for the next push. */
static apr_status_t hold(pp_valve_t *valve, apr_bucket_brigade *bb)
{
    apr_status_t status = APR_SUCCESS;

    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb) && status == APR_SUCCESS; b = APR_BUCKET_NEXT(b)) {
        status = keep(valve, b);
        valve->held_bytes += b->length;
    }
    APR_BRIGADE_CONCAT(valve->held, bb);
    return status;
}

/* The client can't be written to any more: what waits for it ends here, requests included. */
static apr_status_t give_up(pp_valve_t *valve, apr_bucket_brigade *bb, apr_status_t status)
{
    valve->c->aborted = 1; /* before requests are logged */
    apr_brigade_cleanup(valve->held);
    apr_brigade_cleanup(bb);
    valve->c->data_in_output_filters = 0;
    return status;
}

static apr_status_t settle(pp_valve_t *valve, apr_bucket_brigade *bb, apr_status_t status)
{
    valve->full = APR_STATUS_IS_EAGAIN(status);
    if (status == APR_SUCCESS || valve->full)
        status = bb == valve->held ? APR_SUCCESS : hold(valve, bb);
    if (status != APR_SUCCESS)
        return give_up(valve, bb, status);
    valve->c->data_in_output_filters = valve->core_first || !is_empty(valve);
    if (!is_empty(valve))
        return APR_SUCCESS;
    valve->held_bytes = 0;
    if (valve->held_pool)
        apr_pool_clear(valve->held_pool);
    return APR_SUCCESS;
}

/* What lies in its owner's memory is written at once, with what came before it: that spares a copy. So is a lot, of a filter that makes
 * much of little. The rest can wait for the push. */
static bool is_to_be_written(const pp_valve_t *valve, const apr_bucket_brigade *bb)
{
    apr_size_t bytes = valve->held_bytes;

    for (apr_bucket *b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = APR_BUCKET_NEXT(b)) {
        if (APR_BUCKET_IS_TRANSIENT(b))
            return true;
        bytes += b->length;
    }
    return bytes >= WRITE_AT;
}

static apr_status_t loop_filter(pp_valve_t *valve, apr_bucket_brigade *bb)
{
    if (valve->c->aborted) {
        apr_brigade_cleanup(bb);
        return APR_ECONNABORTED;
    }
    if (is_empty(valve) && !valve->core_first) {
        buckets_end(bb, 0); /* nothing is before them */
        if (APR_BRIGADE_EMPTY(bb))
            return APR_SUCCESS;
    }
    if (valve->full || valve->core_first || !is_to_be_written(valve, bb))
        return settle(valve, bb, valve->full ? APR_EAGAIN : APR_SUCCESS);
    APR_BRIGADE_PREPEND(bb, valve->held);
    return settle(valve, bb, write_some(valve, bb));
}

static apr_status_t valve_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    pp_valve_t *valve = f->ctx;

    if (valve->on_loop)
        return loop_filter(valve, bb);
    APR_BRIGADE_PREPEND(bb, valve->held);
    return ap_pass_brigade(f->next, bb);
}

/* What the core had when the loop got the connection goes out before anything else. */
static apr_status_t core_push(pp_valve_t *valve)
{
    ap_filter_t *core = valve->filter->next;
    apr_status_t status = core->frec->filter_func.out_func(core, NULL);

    if (status != APR_SUCCESS)
        return status;
    valve->core_first = valve->c->data_in_output_filters;
    return valve->core_first ? APR_EAGAIN : APR_SUCCESS;
}

apr_status_t pooledproxy_valve_push(pp_valve_t *valve)
{
    apr_status_t status = valve->core_first ? core_push(valve) : APR_SUCCESS;

    if (status != APR_SUCCESS || is_empty(valve))
        return status;
    if (valve->full)
        return APR_EAGAIN;
    status = settle(valve, valve->held, write_some(valve, valve->held));
    return status == APR_SUCCESS && valve->full ? APR_EAGAIN : status;
}

/* ---- reading ---- */

/* The bytes in memory before the first bucket of unknown length, which is *behind; NULL: there is none. */
static apr_off_t bytes_in_memory(const apr_bucket_brigade *buffer, const apr_bucket **behind)
{
    apr_off_t bytes = 0;

    for (const apr_bucket *b = APR_BRIGADE_FIRST(buffer); b != APR_BRIGADE_SENTINEL(buffer); b = APR_BUCKET_NEXT(b)) {
        *behind = b;
        if (b->length == (apr_size_t)-1)
            return bytes;
        bytes += (apr_off_t)b->length;
    }
    *behind = NULL;
    return bytes;
}

bool pooledproxy_valve_is_all_read(const apr_bucket_brigade *buffer)
{
    const apr_bucket *socket;

    return bytes_in_memory(buffer, &socket) == 0 && socket;
}

/* How much the core has in memory, in front of the client's socket. -1: it has no buffer yet, or no such socket. */
static apr_off_t core_has(const pp_valve_t *valve, const ap_filter_t *core)
{
    const core_net_rec *net = core->ctx;
    const apr_bucket *socket;
    apr_off_t bytes;

    if (core->frec != ap_core_input_filter_handle || !net->in_ctx)
        return -1;
    bytes = bytes_in_memory(net->in_ctx->b, &socket);
    return socket && APR_BUCKET_IS_SOCKET(socket) && socket->data == valve->socket ? bytes : -1;
}

/* The core reads 8 KB at a time: a large body is read in larger pieces, past its buffer. False: it is for the core to read. */
static bool read_much(const pp_valve_t *valve, apr_bucket_brigade *bb, apr_off_t readbytes)
{
    apr_size_t len = readbytes < READ_AT_ONCE ? (apr_size_t)readbytes : READ_AT_ONCE;
    char *buf = apr_bucket_alloc(len, bb->bucket_alloc);
    apr_status_t status;

    apr_socket_timeout_set(valve->socket, 0);
    status = apr_socket_recv(valve->socket, buf, &len);
    if (status != APR_SUCCESS || len == 0) {
        apr_bucket_free(buf);
        return APR_STATUS_IS_EAGAIN(status); /* nothing in bb: as the core says it */
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_heap_create(buf, len, len > LITTLE ? apr_bucket_free : NULL, bb->bucket_alloc));
    if (len <= LITTLE) /* it was copied */
        apr_bucket_free(buf);
    return true;
}

/* httpd waits for input here and there, for instance for the rest of a body that nobody wants. A loop can't: the connection is closed
 * when what goes on now has ended. */
static apr_status_t valve_in_filter(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode, apr_read_type_e block,
                                    apr_off_t readbytes)
{
    const pp_valve_t *valve = f->ctx;
    apr_status_t status;

    if (valve->dry && block == APR_NONBLOCK_READ)
        return APR_SUCCESS; /* and nothing in bb: as the core says it */
    if (valve->on_loop && mode == AP_MODE_READBYTES && block == APR_NONBLOCK_READ && readbytes > MUCH) {
        apr_off_t has = core_has(valve, f->next);

        if (has == 0 && read_much(valve, bb, readbytes))
            return APR_SUCCESS;
        if (has > 0 && has < readbytes)
            readbytes = has; /* only that, or it reads on by itself */
    }
    if (!valve->on_loop || block == APR_NONBLOCK_READ)
        return ap_get_brigade(f->next, bb, mode, block, readbytes);
    status = ap_get_brigade(f->next, bb, mode, APR_NONBLOCK_READ, readbytes);
    if (!APR_STATUS_IS_EAGAIN(status) && !(status == APR_SUCCESS && APR_BRIGADE_EMPTY(bb)))
        return status;
    valve->c->keepalive = AP_CONN_CLOSE;
    return APR_TIMEUP;
}

/* ---- making one ---- */

void pooledproxy_valve_register(void)
{
    valve_handle = ap_register_output_filter("POOLEDPROXY_VALVE", valve_filter, NULL, (ap_filter_type)(AP_FTYPE_NETWORK - 1));
    valve_in_handle =
        ap_register_input_filter("POOLEDPROXY_VALVE_IN", valve_in_filter, NULL, (ap_filter_type)(AP_FTYPE_NETWORK - 1));
}

bool pooledproxy_valve_is_input(const ap_filter_t *f)
{
    return f->frec == valve_in_handle;
}

void pooledproxy_valve_find_counter(void)
{
    count_bytes = APR_RETRIEVE_OPTIONAL_FN(ap_logio_add_bytes_out);
}

void pooledproxy_valve_add(pp_valve_t *valve, conn_rec *c, apr_socket_t *socket)
{
    valve->c = c;
    valve->socket = socket;
    valve->piece = apr_brigade_create(c->pool, c->bucket_alloc);
    valve->held = apr_brigade_create(c->pool, c->bucket_alloc); /* must outlive held_pool, which is cleared */
    valve->filter = ap_add_output_filter_handle(valve_handle, valve, NULL, c);
    ap_add_input_filter_handle(valve_in_handle, valve, NULL, c);
}

void pooledproxy_valve_enter_loop(pp_valve_t *valve)
{
    valve->on_loop = true;
    valve->full = false;
    valve->core_first = valve->c->data_in_output_filters;
}

void pooledproxy_valve_leave_loop(pp_valve_t *valve)
{
    valve->on_loop = false;
}
