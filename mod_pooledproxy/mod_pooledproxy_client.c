/* mod_pooledproxy_client: the client's side of a leased connection: when to look at its socket, and what is found there. */
#include "mod_pooledproxy_client.h"

#include <scoreboard.h>
#include <util_filter.h>

/* mod_reqtimeout sees only when it is asked for more that the time for a body is over. */
#define BODY_TICK PP_SEC(1)

static pp_time_t client_timeout_at(const pp_lease_t *lease)
{
    apr_interval_time_t timeout = lease->r ? lease->r->server->timeout : lease->c->base_server->timeout;

    return pp_loop_now(lease->shard->loop) + timeout;
}

/* The moment to look again at a body that does not come. */
static pp_time_t body_tick_at(const pp_lease_t *lease, pp_forward_t *fw)
{
    pp_time_t tick = pp_loop_now(lease->shard->loop) + BODY_TICK;

    if (!fw->body_until)
        fw->body_until = client_timeout_at(lease);
    return tick < fw->body_until ? tick : fw->body_until;
}

/* Does input mean that the client gave up? Not when it has sent more than was asked for, nor in a tunnel: its end is passed on there. */
static bool may_give_up(const pp_lease_t *lease, const pp_forward_t *fw)
{
    return !lease->client_sent && !lease->congested && !fw->tunnel;
}

void pooledproxy_client_watch(pp_lease_t *lease)
{
    pp_forward_t *fw = lease->work;
    apr_int16_t events = 0;
    pp_time_t until = 0;

    if (!lease->out)
        return;
    if (lease->congested)
        events |= APR_POLLOUT;
    if (lease->idle || (fw && fw->body_waits) || (fw && may_give_up(lease, fw)))
        events |= APR_POLLIN; /* the next request, more of the body, or the end of a client that gave up */
    if (fw && !events)
        events = APR_POLLHUP; /* what it has sent is not to be read now: only a reset tells that it is gone */
    if (lease->congested)
        until = lease->congested_until;
    else if (fw && fw->body_waits && !fw->tunnel)
        until = body_tick_at(lease, fw);
    else if (lease->idle)
        until = lease->idle_until;
    pooledproxy_lease_want(lease, events);
    pooledproxy_lease_deadline(lease, until);
}

void pooledproxy_client_score(pp_lease_t *lease, bool on)
{
    lease->c->sbh = on ? lease->score : NULL;
    if (!on && lease->score)
        ap_get_scoreboard_worker(lease->score)->status = SERVER_DEAD; /* not a thread that could be idle or busy */
}

bool pooledproxy_client_push(pp_lease_t *lease)
{
    apr_status_t status;

    if (!pooledproxy_valve_has_output(&lease->valve)) {
        lease->congested = false;
        return true;
    }
    pooledproxy_client_score(lease, true); /* a request may end in here */
    status = pooledproxy_valve_push(&lease->valve);
    pooledproxy_client_score(lease, false);
    if (status == APR_EAGAIN && !lease->congested)
        lease->congested_until = client_timeout_at(lease);
    lease->congested = status == APR_EAGAIN;
    return status == APR_SUCCESS || status == APR_EAGAIN;
}

bool pooledproxy_client_is_there(pp_lease_t *lease)
{
    return pooledproxy_forward_client_is_there(lease->r, &lease->client_sent);
}
