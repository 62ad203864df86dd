/* mod_pooledproxy_handler: leased to a loop where that is possible, on the calling thread where not. */
#include "mod_pooledproxy_handler.h"

#include <http_log.h>
#include <http_protocol.h>

#include "mod_pooledproxy_async.h"
#include "mod_pooledproxy_engine.h"

APLOG_USE_MODULE(pooledproxy);

int pooledproxy_handler(request_rec *r)
{
    const pp_match_t *match;
    pp_forward_t *fw;
    pp_lease_t *lease;
    pp_shard_t *shard;
    int status;

    if (!r->handler || strncmp(r->handler, PP_HANDLER_PREFIX, sizeof(PP_HANDLER_PREFIX) - 1))
        return DECLINED;
    if (r->method_number == M_CONNECT)
        return HTTP_METHOD_NOT_ALLOWED; /* a gateway has no tunnels to give */
    status = pooledproxy_match(r, &match);
    if (status != OK)
        return status;
    lease = pooledproxy_async_lease(r, match);
    shard = lease ? lease->shard : pooledproxy_engine_shard();
    if (!shard) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "pooledproxy: no event loop runs in this process");
        return HTTP_SERVICE_UNAVAILABLE;
    }
    status = pooledproxy_forward_create(r, match, shard, lease && !lease->out, &fw);
    if (status != OK)
        return status;
    if (lease && fw->body_kind != PP_REQUEST_BODY_CHUNKED)
        return pooledproxy_async_forward(lease, fw);
    return pooledproxy_async_decline(fw);
}
