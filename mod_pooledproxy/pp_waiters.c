/* pp_waiters: the checkouts of a pool that wait, first come first, and which of them a connection is being opened for. */
#include "pp_pool_own.h"

void pp_waiter_remove(pp_checkout_t *checkout)
{
    pp_pool_t *pool = checkout->pool;
    pp_host_t *host = checkout->host;

    APR_RING_REMOVE(checkout, link);
    checkout->waiting = false;
    pp_timer_remove(pool->loop, &checkout->timer);
    pool->nwaiting--;
    host->nwaiting--;
    pp_stat_add(&pool->stats->waiting, -1);
    if (checkout->served) {
        checkout->served = false;
        pool->nserved--;
        host->nserved--;
    }
}

static bool waiter_is(const pp_checkout_t *w, int which)
{
    return which == WAITER_ANY || (which == WAITER_SERVED ? w->served : !w->fresh);
}

pp_checkout_t *pp_waiter_first(pp_host_t *host, int which)
{
    pp_pool_t *pool = host->pool;

    if (host->nwaiting == 0)
        return NULL;
    for (pp_checkout_t *w = APR_RING_FIRST(&pool->waiters); w != APR_RING_SENTINEL(&pool->waiters, pp_checkout_t, link);
         w = APR_RING_NEXT(w, link)) {
        if (w->host == host && waiter_is(w, which))
            return w;
    }
    return NULL;
}

void pp_waiter_serve(pp_checkout_t *checkout)
{
    checkout->served = true;
    checkout->pool->nserved++;
    checkout->host->nserved++;
}

/* An opening outlives the waiter it was started for: it then is on behalf of the next one. */
void pp_waiter_pass_on(pp_host_t *host)
{
    if (host->nserved < host->nconnecting)
        pp_pool_dispatch(host->pool);
}

void pp_waiter_add(pp_pool_t *pool, pp_host_t *host, pp_checkout_t *checkout)
{
    APR_RING_INSERT_TAIL(&pool->waiters, checkout, pp_checkout_t, link);
    checkout->waiting = true;
    pool->nwaiting++;
    host->nwaiting++;
    pp_stat_add(&pool->stats->waiting, 1);
}
