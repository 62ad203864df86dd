/* mod_pooledproxy_valve: keeps a loop from blocking on a client that reads slowly. */
#include "mod_pooledproxy_valve.h"

#include <http_connection.h>
#include <http_core.h>
#include <http_request.h>

static ap_filter_rec_t *valve_handle;
static ap_filter_rec_t *valve_in_handle;

static bool is_empty(const pp_valve_t *valve)
{
    return !valve->held || APR_BRIGADE_EMPTY(valve->held);
}

/* The core writes what it has buffered, as far as the socket takes it. */
static apr_status_t core_push(pp_valve_t *valve)
{
    ap_filter_t *core = valve->filter->next;

    return core->frec->filter_func.out_func(core, NULL);
}

/* Moves the first buckets of bb to the piece, at most `room` bytes of data; FLUSH buckets are dropped. Returns the bytes. */
static apr_size_t take_piece(pp_valve_t *valve, apr_bucket_brigade *bb, apr_size_t room)
{
    apr_size_t bytes = 0;

    while (!APR_BRIGADE_EMPTY(bb)) {
        apr_bucket *b = APR_BRIGADE_FIRST(bb);
        if (APR_BUCKET_IS_FLUSH(b)) {
            apr_bucket_delete(b);
            continue;
        }
        if (!APR_BUCKET_IS_METADATA(b)) {
            const char *data;
            apr_size_t len = b->length;
            if (bytes == room)
                break;
            if (len == (apr_size_t)-1 && apr_bucket_read(b, &data, &len, APR_NONBLOCK_READ) != APR_SUCCESS)
                break; /* of unknown length: not what a proxied response is made of */
            if (len > room - bytes)
                apr_bucket_split(b, room - bytes);
            bytes += b->length;
        }
        APR_BUCKET_REMOVE(b);
        APR_BRIGADE_INSERT_TAIL(valve->piece, b);
    }
    return bytes;
}

/* How many bytes the core can take now without blocking. */
static apr_size_t core_room(pp_valve_t *valve, apr_status_t *status)
{
    if (valve->c->data_in_output_filters && valve->given >= valve->limit)
        *status = core_push(valve);
    if (!valve->c->data_in_output_filters)
        valve->given = 0;
    return valve->limit > valve->given ? valve->limit - valve->given : 0;
}

/* Gives bb to the core piece by piece until it is empty or the client's socket is full. */
static apr_status_t feed(pp_valve_t *valve, apr_bucket_brigade *bb)
{
    apr_status_t status = APR_SUCCESS;

    while (status == APR_SUCCESS && !APR_BRIGADE_EMPTY(bb)) {
        apr_size_t room = core_room(valve, &status);
        if (status != APR_SUCCESS || room == 0)
            break;
        valve->given += take_piece(valve, bb, room);
        if (APR_BRIGADE_EMPTY(valve->piece))
            break; /* what comes first is not there yet */
        status = ap_pass_brigade(valve->filter->next, valve->piece);
        apr_brigade_cleanup(valve->piece);
    }
    return status;
}

static apr_status_t hold(pp_valve_t *valve, apr_bucket_brigade *bb)
{
    if (APR_BRIGADE_EMPTY(bb))
        return APR_SUCCESS;
    if (!valve->held_pool)
        apr_pool_create(&valve->held_pool, valve->c->pool);
    return ap_save_brigade(valve->filter, &valve->held, &bb, valve->held_pool);
}

static apr_status_t valve_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    pp_valve_t *valve = f->ctx;
    apr_status_t status = APR_SUCCESS;

    if (!is_empty(valve) && !valve->on_loop)
        APR_BRIGADE_PREPEND(bb, valve->held);
    if (!valve->on_loop)
        return ap_pass_brigade(f->next, bb);
    if (valve->c->aborted) {
        apr_brigade_cleanup(bb);
        return APR_ECONNABORTED;
    }
    if (is_empty(valve))
        status = feed(valve, bb);
    return status == APR_SUCCESS ? hold(valve, bb) : status;
}

/* httpd waits for input here and there, for instance for the rest of a body that nobody wants. A loop can't: the connection is closed
 * when what goes on now has ended. */
static apr_status_t valve_in_filter(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode, apr_read_type_e block,
                                    apr_off_t readbytes)
{
    const pp_valve_t *valve = f->ctx;
    apr_status_t status;

    if (!valve->on_loop || block == APR_NONBLOCK_READ)
        return ap_get_brigade(f->next, bb, mode, block, readbytes);
    status = ap_get_brigade(f->next, bb, mode, APR_NONBLOCK_READ, readbytes);
    if (!APR_STATUS_IS_EAGAIN(status) && !(status == APR_SUCCESS && APR_BRIGADE_EMPTY(bb)))
        return status;
    valve->c->keepalive = AP_CONN_CLOSE;
    return APR_TIMEUP;
}

apr_status_t pooledproxy_valve_push(pp_valve_t *valve)
{
    apr_status_t status = core_push(valve);

    if (status == APR_SUCCESS && !valve->c->data_in_output_filters && !is_empty(valve)) {
        status = feed(valve, valve->held);
        if (status == APR_SUCCESS && APR_BRIGADE_EMPTY(valve->held)) {
            apr_pool_clear(valve->held_pool);
            status = core_push(valve);
        }
    }
    if (status != APR_SUCCESS)
        return status;
    return valve->c->data_in_output_filters || !is_empty(valve) ? APR_EAGAIN : APR_SUCCESS;
}

void pooledproxy_valve_register(void)
{
    valve_handle = ap_register_output_filter("POOLEDPROXY_VALVE", valve_filter, NULL, (ap_filter_type)(AP_FTYPE_NETWORK - 1));
    valve_in_handle = ap_register_input_filter(PP_VALVE_IN, valve_in_filter, NULL, (ap_filter_type)(AP_FTYPE_NETWORK - 1));
}

bool pooledproxy_valve_fits(conn_rec *c)
{
    const core_server_config *core = ap_get_core_module_config(c->base_server->module_config);

    return core->flush_max_pipelined != 0;
}

void pooledproxy_valve_add(pp_valve_t *valve, conn_rec *c)
{
    core_server_config *core = ap_get_core_module_config(c->base_server->module_config);

    valve->c = c;
    valve->limit = core->flush_max_threshold > 0 ? core->flush_max_threshold : AP_IOBUFSIZE;
    valve->piece = apr_brigade_create(c->pool, c->bucket_alloc);
    valve->held = apr_brigade_create(c->pool, c->bucket_alloc); /* must outlive held_pool, which is cleared */
    valve->filter = ap_add_output_filter_handle(valve_handle, valve, NULL, c);
    ap_add_input_filter_handle(valve_in_handle, valve, NULL, c);
}
