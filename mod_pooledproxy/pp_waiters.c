/* pp_waiters: the checkouts of a pool that wait, first come first, and which of them a connection is being opened for. */
#include <stddef.h>

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
    if (checkout->connect_timeout)
        pp_timer_set(checkout->pool->loop, &checkout->timer, pp_clock_now() + checkout->connect_timeout);
    else
        pp_timer_clear(&checkout->timer);
}

/* An opening outlives the waiter it was started for: it then is on behalf of the next one. */
void pp_waiter_pass_on(pp_host_t *host)
{
    if (host->nserved < host->nconnecting)
        pp_pool_dispatch(host->pool);
}

/* Openings belong to nobody, so which one was the checkout's can't be told: it is the name's fault when none got any further. */
static pp_err_t timeout_of(const pp_checkout_t *checkout)
{
    const pp_host_t *host = checkout->host;

    if (!checkout->served)
        return PP_ERR_pool_timeout;
    return host->nresolving > 0 && host->nresolving == host->nconnecting ? PP_ERR_dns_timeout : PP_ERR_connect_timeout;
}

/* The wait for a free connection, or since it is served that for its opening, has lasted too long. */
static void on_waiter_timer(pp_timer_t *timer)
{
    pp_checkout_t *checkout = (pp_checkout_t *)((char *)timer - offsetof(pp_checkout_t, timer));
    pp_err_t err = timeout_of(checkout);

    pp_waiter_remove(checkout);
    pp_waiter_pass_on(checkout->host);
    checkout->on_conn(checkout, NULL, err);
}

void pp_waiter_add(pp_pool_t *pool, pp_host_t *host, pp_checkout_t *checkout)
{
    APR_RING_INSERT_TAIL(&pool->waiters, checkout, pp_checkout_t, link);
    checkout->waiting = true;
    checkout->timer.on_timer = on_waiter_timer;
    pool->nwaiting++;
    host->nwaiting++;
    pp_stat_add(&pool->stats->waiting, 1);
}

bool pp_waiter_needs_place_of(const pp_conn_t *conn)
{
    const pp_pool_t *pool = conn->host->pool;

    if (pool->nserved == pool->nwaiting)
        return false;
    for (pp_checkout_t *w = APR_RING_FIRST(&pool->waiters); w != APR_RING_SENTINEL(&pool->waiters, pp_checkout_t, link);
         w = APR_RING_NEXT(w, link)) {
        bool same_host = w->host == conn->host;
        if (w->served)
            continue;
        if (same_host && !w->fresh)
            return false;
        if (w->host->nconnecting < pool->policy->max_connecting && pp_host_room(w->host) + same_host > 0)
            return true;
    }
    return false;
}

int pp_waiters_queued(const pp_pool_t *pool)
{
    int room = pool->policy->size - pool->ntotal, queued = 0, servable = 0;

    for (apr_hash_index_t *hi = apr_hash_first(NULL, pool->hosts); hi; hi = apr_hash_next(hi)) {
        pp_host_t *host;
        apr_hash_this(hi, NULL, NULL, (void **)&host);
        int unserved = host->nwaiting - host->nserved, at_host = pp_host_room(host) + host->nidle;
        int may = at_host < 0 ? 0 : at_host < unserved ? at_host : unserved;
        servable += may;
        queued += unserved - may;
        room += host->nidle;
    }
    return queued + (servable > room ? servable - room : 0);
}
