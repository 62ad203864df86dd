/* mod_pooledproxy_front: an exchange's words become the client's, and the other way round; or the channel's, when a worker delivers. */
#include "mod_pooledproxy_front.h"

#include "mod_pooledproxy_channel.h"
#include "mod_pooledproxy_client.h"
#include "mod_pooledproxy_safety.h"

static apr_status_t on_body_read(void *self, const char **data, size_t *len, pp_err_t *err)
{
    pp_forward_t *fw = self;
    apr_status_t status = APR_EAGAIN;

    if (fw->channel)
        return pooledproxy_channel_read(fw->channel, data, len, err);
    if (!fw->bounced) {
        apr_socket_timeout_set(fw->lease->twin, 0); /* filters may have set another */
        status = pooledproxy_forward_read(fw, APR_NONBLOCK_READ, data, len, err);
    }
    fw->body_waits = status == APR_EAGAIN;
    if (!fw->body_waits)
        fw->body_until = 0;
    if (status == APR_EOF && fw->lease->client_sent) { /* what it had sent was the body: from now on its end can be seen again */
        fw->lease->client_sent = false;
        pooledproxy_client_watch(fw->lease);
    }
    if (fw->body_waits && !fw->bounced) {
        fw->lease->client_sent = false;
        pooledproxy_client_push(fw->lease); /* httpd may have said 100 */
        pooledproxy_client_watch(fw->lease);
    }
    return status;
}

static void on_interim(void *self, const pp_h1_response_t *resp)
{
    pp_forward_t *fw = self;

    pooledproxy_interim_response(fw->r, resp);
    if (!pooledproxy_client_push(fw->lease))
        pp_call_fail(&fw->call, PP_ERR_client_gone);
}

static void on_head(void *self, const pp_h1_response_t *resp)
{
    pp_forward_t *fw = self;

    pooledproxy_forward_head(fw, resp);
    if (fw->tunnel || pooledproxy_safety_may_write(fw->r))
        return;
    fw->channel = pooledproxy_channel_create(&fw->call, true, fw->body_waits);
    fw->lease->loop_may_read = false; /* what the filters do at the end of the request is the worker's, too */
    pooledproxy_lease_give(fw->lease, PP_NEXT_DELIVER);
}

static void on_data(void *self, const char *data, size_t len)
{
    pp_forward_t *fw = self;

    if (fw->channel)
        pooledproxy_channel_put(fw->channel, data, len);
    else
        pooledproxy_forward_data(fw, data, len);
}

static void on_batch(void *self, bool drained)
{
    pp_forward_t *fw = self;

    if (fw->channel) {
        pooledproxy_channel_batch(fw->channel);
        return;
    }
    if (pooledproxy_forward_pass(fw, drained) != APR_SUCCESS || !pooledproxy_client_push(fw->lease)) {
        pp_call_fail(&fw->call, PP_ERR_client_gone);
        return;
    }
    if (fw->lease->congested)
        pp_call_pause(&fw->call);
    pooledproxy_client_watch(fw->lease);
}

static void on_trailers(void *self, const pp_field_t *fields, unsigned nfields)
{
    pp_forward_t *fw = self;

    if (fw->channel)
        pooledproxy_channel_trailers(fw->channel, fields, nfields);
    else
        pooledproxy_forward_trailers(fw, fields, nfields);
}

const pp_front_t pooledproxy_front = {on_body_read, on_interim, on_head, on_data, on_batch, on_trailers};
