/* mod_pooledproxy_worker: requests that a loop began with and a worker ends. */
#include "mod_pooledproxy_worker.h"

#include <http_config.h>
#include <http_protocol.h>
#include <http_request.h>

#include "mod_pooledproxy_blocking.h"
#include "mod_pooledproxy_channel.h"

static request_rec *request_take(pp_lease_t *lease, pp_forward_t **fw)
{
    request_rec *r = lease->r;

    *fw = lease->work;
    lease->r = NULL;
    lease->work = NULL;
    return r;
}

void pooledproxy_worker_go_on(pp_lease_t *lease, pp_next_t next)
{
    conn_rec *c = lease->c;
    pp_forward_t *fw;
    request_rec *r = request_take(lease, &fw);
    int rc = lease->die_status;

    c->cs->state = CONN_STATE_HANDLER;
    if (next == PP_NEXT_PROCESS) {
        ap_process_async_request(r);
        return;
    }
    if (next == PP_NEXT_INVOKE)
        rc = ap_invoke_handler(r);
    else if (next == PP_NEXT_FORWARD)
        rc = pooledproxy_blocking_forward(fw);
    else if (next == PP_NEXT_DELIVER)
        rc = pooledproxy_blocking_deliver(fw);
    if (rc == SUSPENDED) {
        c->cs->state = CONN_STATE_SUSPENDED;
        return;
    }
    ap_die(rc, r);
    ap_process_request_after_handler(r);
}

void pooledproxy_worker_end_lost(pp_lease_t *lease)
{
    pp_forward_t *fw;
    request_rec *r = request_take(lease, &fw);

    lease->c->aborted = 1;
    if (!r)
        return;
    if (fw)
        pooledproxy_forward_end(fw, fw->err != PP_OK ? fw->err : PP_ERR_client_gone);
    if (fw && fw->channel)
        pooledproxy_channel_free(fw->channel);
    ap_process_request_after_handler(r);
}
