/* mod_pooledproxy_async: what a loop does with a leased connection, up to the end of each request.
 *
 * Threads: the loop's, but for the functions called from the handler.
 * Every way out of a callback leads to lease_continue(), which goes on with the connection as far as it can without waiting.
 */
#include "mod_pooledproxy_async.h"

#include <http_connection.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

#include "mod_pooledproxy_blocking.h"
#include "mod_pooledproxy_channel.h"
#include "mod_pooledproxy_client.h"
#include "mod_pooledproxy_engine.h"
#include "mod_pooledproxy_front.h"
#include "mod_pooledproxy_next.h"
#include "mod_pooledproxy_safety.h"
#include "mod_pooledproxy_worker.h"

APLOG_USE_MODULE(pooledproxy);

static void lease_continue(pp_lease_t *lease);
static void forward_finish(pp_forward_t *fw, pp_err_t err);

static void on_call_done(pp_call_t *call, pp_err_t err)
{
    pp_forward_t *fw = call->front_self;

    if (fw->channel) {
        pooledproxy_channel_done(fw->channel, err);
    }
    else if (fw->bounced) {
        fw->done = true;
        fw->err = err;
    }
    else {
        forward_finish(fw, err);
    }
}

/* ---- the end of a request ---- */

/* r is complete in every respect: when the last of its output has gone it is logged and destroyed (the EOR bucket does that). As
 * ap_process_request_after_handler(), but without looking for the next request: that is done when this one has gone out. */
static void request_end(pp_lease_t *lease)
{
    request_rec *r = lease->r;
    apr_bucket_brigade *bb = lease->output;

    lease->loop_may_read = lease->loop_may_read && pooledproxy_safety_may_read_after(r);
    lease->r = NULL;
    lease->work = NULL;
    if (!lease->c->aborted)
        pooledproxy_next_end_body_time(lease);
    APR_BRIGADE_INSERT_TAIL(bb, ap_bucket_eor_create(lease->c->bucket_alloc, r));
    pooledproxy_client_score(lease, true);
    ap_pass_brigade(lease->c->output_filters, bb);
    apr_brigade_cleanup(bb);
    pooledproxy_client_score(lease, false);
}

static void request_die(pp_lease_t *lease, int status)
{
    if (!pooledproxy_safety_may_die(lease->r)) {
        lease->die_status = status;
        pooledproxy_lease_give(lease, PP_NEXT_DIE);
        return;
    }
    ap_die(status, lease->r);
    request_end(lease);
    lease_continue(lease);
}

static void forward_finish(pp_forward_t *fw, pp_err_t err)
{
    pp_lease_t *lease = fw->lease;
    int status = pooledproxy_forward_end(fw, err);

    if (status != OK) {
        request_die(lease, status);
        return;
    }
    if (!lease->c->aborted && (fw->call.request.has_body || !lease->r->eos_sent)) /* else there is nothing to be discarded */
        ap_finalize_request_protocol(lease->r);
    request_end(lease);
    lease_continue(lease);
}

/* The client is gone, or must be. */
static void client_lost(pp_lease_t *lease, pp_err_t err)
{
    pp_forward_t *fw = lease->work;

    lease->c->aborted = err != PP_ERR_client_timeout || lease->congested; /* who only does not send can be told: 408 */
    if (!fw) {
        pooledproxy_lease_give(lease, PP_NEXT_LINGER);
        return;
    }
    pp_call_cancel(&fw->call, err);
    forward_finish(fw, err);
}

/* ---- from one request to the next ---- */

static void forward_start(pp_forward_t *fw)
{
    fw->started = true;
    pp_call_start(&fw->call);
}

/* A request that was read on this loop: what became of it. */
static void request_run(pp_lease_t *lease, request_rec *r)
{
    int rc;

    lease->r = r;
    lease->work = NULL;
    rc = pooledproxy_next_process(lease, r);
    if (!lease->out)
        return; /* a worker goes on with it */
    if (rc == SUSPENDED)
        forward_start(lease->work);
    else
        request_die(lease, rc);
}

/* The client was told that the connection stays: when the child is to end, its next request may be on its way already. */
static pp_time_t idle_time(const pp_lease_t *lease)
{
    pp_time_t keep_alive = pooledproxy_next_keep_alive(lease);

    return pooledproxy_engine_is_stopping() && keep_alive > PP_LEASE_GRACE ? PP_LEASE_GRACE : keep_alive;
}

/* Between two requests with nothing left to write. */
static void lease_step_idle(pp_lease_t *lease)
{
    request_rec *r;

    switch (pooledproxy_next_read(lease, &r)) {
    case PP_READ_REQUEST:
        lease->idle = false;
        request_run(lease, r);
        break;
    case PP_READ_GIVE:
        break; /* given back */
    case PP_READ_WAIT:
        if (!lease->idle)
            lease->idle_until = pp_loop_now(lease->shard->loop) + idle_time(lease);
        lease->idle = true;
        break;
    }
}

static void lease_step(pp_lease_t *lease)
{
    if (!pooledproxy_client_push(lease)) {
        pooledproxy_lease_give(lease, PP_NEXT_LINGER);
        return;
    }
    if (lease->congested)
        return;
    if (lease->c->keepalive != AP_CONN_KEEPALIVE || lease->c->aborted)
        pooledproxy_lease_give(lease, PP_NEXT_LINGER);
    else if (!lease->loop_may_read)
        pooledproxy_lease_give(lease, PP_NEXT_KEEPALIVE);
    else
        lease_step_idle(lease);
}

/* Goes on with the connection as far as it can be gone without waiting. Called again from inside (a request that ends at once) it
 * only asks for one more step. */
static void lease_continue(pp_lease_t *lease)
{
    if (lease->stepping) {
        lease->again = true;
        return;
    }
    lease->stepping = true;
    do {
        lease->again = false;
        if (lease->out && !lease->r)
            lease_step(lease);
    } while (lease->again && lease->out);
    lease->stepping = false;
    pooledproxy_client_watch(lease);
}

/* ---- events ---- */

static void on_writable(pp_lease_t *lease)
{
    pp_forward_t *fw = lease->work;

    lease->congested = false; /* there is room, so some goes out now: the time-out begins anew */
    pooledproxy_valve_has_room(&lease->valve);
    if (!pooledproxy_client_push(lease)) {
        client_lost(lease, PP_ERR_client_gone);
        return;
    }
    if (lease->congested) {
        pooledproxy_client_watch(lease);
        return;
    }
    if (fw)
        pp_call_resume(&fw->call);
    lease_continue(lease);
}

static void look_for_body(pp_lease_t *lease, pp_forward_t *fw)
{
    pp_call_body_ready(&fw->call);
    if (lease->out && lease->work == fw && !pooledproxy_client_push(lease))
        client_lost(lease, PP_ERR_client_gone); /* the push is for the 100 that httpd sends */
    pooledproxy_client_watch(lease);
}

static void on_readable(pp_lease_t *lease)
{
    pp_forward_t *fw = lease->work;

    if (!fw) {
        lease->readable = true;
        lease_continue(lease);
        return;
    }
    fw->body_waits &= pp_call_takes_body(&fw->call); /* between two attempts nobody waits for it */
    if (fw->body_waits) {
        look_for_body(lease, fw);
        return;
    }
    if (!fw->tunnel && !pooledproxy_client_is_there(lease)) /* in a tunnel it was watched when it was none yet */
        client_lost(lease, PP_ERR_client_gone);
    pooledproxy_client_watch(lease);
}

/* The client can't be reached any more, whatever it has sent before. */
static bool is_reset(const pp_lease_t *lease, apr_int16_t events)
{
    const pp_forward_t *fw = lease->work;

    return (events & (APR_POLLERR | APR_POLLHUP)) && fw && !fw->body_waits && !fw->tunnel;
}

static void on_client(pp_lease_t *lease, apr_int16_t events)
{
    if (lease->congested && (events & (APR_POLLOUT | APR_POLLERR | APR_POLLHUP)))
        on_writable(lease);
    else if (is_reset(lease, events))
        client_lost(lease, PP_ERR_client_gone);
    else
        on_readable(lease);
}

static void on_deadline(pp_lease_t *lease)
{
    pp_forward_t *fw = lease->work;

    if (lease->idle)
        pooledproxy_lease_give(lease, PP_NEXT_LINGER);
    else if (fw && fw->body_waits && !lease->congested && pp_loop_now(lease->shard->loop) < fw->body_until)
        look_for_body(lease, fw);
    else
        client_lost(lease, PP_ERR_client_timeout);
}

/* ---- the lease ---- */

static void forward_resume(pp_forward_t *fw)
{
    fw->bounced = false;
    if (fw->done) {
        forward_finish(fw, fw->err);
        return;
    }
    if (!fw->lease->congested)
        pp_call_resume(&fw->call);
    if (fw->body_waits)
        pp_call_body_ready(&fw->call);
}

static void on_arrive(pp_lease_t *lease)
{
    pp_forward_t *fw = lease->work;

    if (fw && !fw->started)
        forward_start(fw);
    else if (fw)
        forward_resume(fw);
    lease_continue(lease);
}

static bool may_bounce(pp_lease_t *lease)
{
    pp_forward_t *fw = lease->work;

    if (fw) {
        fw->bounced = true;
        pp_call_pause(&fw->call);
    }
    return true;
}

static void on_revoked(pp_lease_t *lease)
{
    pp_forward_t *fw = lease->work;
    pp_err_t err = lease->c->aborted ? PP_ERR_client_gone : PP_ERR_client_timeout;

    if (!fw)
        return;
    pp_call_cancel(&fw->call, err);
    fw->err = err;
    if (fw->channel)
        pooledproxy_channel_done(fw->channel, err);
}

const pp_lease_user_t pooledproxy_async_user = {
    on_arrive, on_client, on_deadline, may_bounce, on_revoked, pooledproxy_worker_go_on, pooledproxy_worker_end_lost};

/* ---- from the handler ---- */

pp_lease_t *pooledproxy_async_lease(request_rec *r, const pp_match_t *match)
{
    conn_rec *c = r->connection;
    pp_lease_t *lease = c->master ? NULL : pooledproxy_lease_of(c);

    if (!lease || !pooledproxy_engine_may_lease() || !match->settings.async)
        return NULL;
    if (r->main || r->prev || c->clogging_input_filters)
        return NULL;
    return lease->out || lease->inside ? lease : NULL;
}

int pooledproxy_async_forward(pp_lease_t *lease, pp_forward_t *fw)
{
    fw->lease = lease;
    fw->out = lease->output;
    fw->call.front = &pooledproxy_front;
    fw->call.on_done = on_call_done;
    lease->client_sent = false;
    pooledproxy_next_remember(lease, fw);
    if (lease->out)
        lease->work = fw;
    else
        pooledproxy_lease_leave(lease, fw->r, fw);
    return SUSPENDED;
}

int pooledproxy_async_decline(pp_forward_t *fw)
{
    conn_rec *c = fw->r->connection;
    pp_lease_t *lease = c->master ? NULL : pooledproxy_lease_of(c);

    if (!lease || !lease->out)
        return pooledproxy_blocking_forward(fw);
    if (lease->r != fw->r) /* the document for an error that was found while a request was read */
        return HTTP_INTERNAL_SERVER_ERROR;
    fw->out = lease->output;
    lease->work = fw;
    pooledproxy_lease_give(lease, PP_NEXT_FORWARD);
    return SUSPENDED;
}
