/* pp_waiters: the checkouts of a pool that wait, first come first within each host, and what each has got so far. */
#include <stddef.h>

#include "pp_pool_own.h"

#define PACE_WINDOW PP_SEC(5)
#define RETRY_AFTER_MOST 300

static void count(pp_host_t *host, const pp_checkout_t *checkout, int n)
{
    int stage = checkout->stage;

    host->nwaiting[stage] += n;
    host->pool->nwaiting += n;
    if (stage == STAGE_QUEUED && checkout->fresh)
        host->pool->nadmitted += n;
    pp_stat_add(&host->pool->stats->waiting, n);
}

void pp_waiter_remove(pp_checkout_t *checkout)
{
    APR_RING_REMOVE(checkout, link);
    checkout->waiting = false;
    pp_timer_remove(checkout->pool->loop, &checkout->timer);
    count(checkout->host, checkout, -1);
}

pp_checkout_t *pp_waiter_first(const pp_host_t *host, int stage)
{
    return host->nwaiting[stage] ? APR_RING_FIRST(&host->waiters[stage]) : NULL;
}

pp_checkout_t *pp_waiter_for_reused(const pp_host_t *host)
{
    for (int stage = STAGES - 1; stage >= 0; stage--) { /* who has got furthest came first */
        for (pp_checkout_t *w = APR_RING_FIRST(&host->waiters[stage]);
             w != APR_RING_SENTINEL(&host->waiters[stage], pp_checkout_t, link); w = APR_RING_NEXT(w, link))
            if (!w->fresh)
                return w;
    }
    return NULL;
}

static void connect_time_begins(pp_checkout_t *checkout)
{
    if (checkout->connect_timeout)
        pp_timer_set(checkout->pool->loop, &checkout->timer, pp_clock_now() + checkout->connect_timeout);
    else
        pp_timer_clear(&checkout->timer);
}

void pp_waiter_advance(pp_host_t *host, int from, int to)
{
    pp_checkout_t *w = APR_RING_FIRST(&host->waiters[from]);

    APR_RING_REMOVE(w, link);
    count(host, w, -1);
    w->stage = to;
    APR_RING_INSERT_TAIL(&host->waiters[to], w, pp_checkout_t, link);
    count(host, w, +1);
    if (from == STAGE_QUEUED)
        pp_queue_departed(w);
    if (to == STAGE_SERVED)
        connect_time_begins(w);
}

/* Openings belong to nobody, so which one was the checkout's can't be told: it is the name's fault when none got any further. */
static pp_err_t timeout_of(const pp_checkout_t *checkout)
{
    const pp_host_t *host = checkout->host;

    if (checkout->stage != STAGE_SERVED)
        return PP_ERR_pool_timeout;
    return host->nresolving > 0 && host->nresolving == host->nconnecting ? PP_ERR_dns_timeout : PP_ERR_connect_timeout;
}

/* The wait for a free connection, or since it is served that for its opening, has lasted too long. */
static void on_waiter_timer(pp_timer_t *timer)
{
    pp_checkout_t *checkout = PP_OWNER_OF(timer, pp_checkout_t, timer);
    pp_host_t *host = checkout->host;
    pp_err_t err = timeout_of(checkout);

    checkout->retry_after = err == PP_ERR_pool_timeout ? pp_queue_retry_after(host->pool) : 0;
    pp_waiter_remove(checkout);
    pp_pool_waiter_left(host);
    checkout->on_conn(checkout, NULL, err);
}

void pp_waiter_add(pp_host_t *host, pp_checkout_t *checkout)
{
    checkout->waiting = true;
    checkout->stage = STAGE_QUEUED;
    checkout->turn = checkout->fresh ? 0 : ++host->pool->turns; /* who asks for a fresh one has waited before: it comes first */
    checkout->asked_at = pp_loop_now(host->pool->loop);
    checkout->timer.on_timer = on_waiter_timer;
    if (checkout->fresh)
        APR_RING_INSERT_HEAD(&host->waiters[STAGE_QUEUED], checkout, pp_checkout_t, link);
    else
        APR_RING_INSERT_TAIL(&host->waiters[STAGE_QUEUED], checkout, pp_checkout_t, link);
    count(host, checkout, +1);
}

bool pp_waiter_is_before(const pp_checkout_t *a, const pp_checkout_t *b)
{
    return a && (!b || a->turn < b->turn);
}

/* ---- how fast the queue goes on ---- */

void pp_queue_departed(const pp_checkout_t *checkout)
{
    pp_pool_t *pool = checkout->pool;
    pp_time_t now = pp_loop_now(pool->loop);

    if (checkout->asked_at == now)
        return; /* it did not wait */
    if (now - pool->pace.began >= PACE_WINDOW) {
        pool->pace.before = now - pool->pace.began < 2 * PACE_WINDOW ? pool->pace.now : 0;
        pool->pace.now = 0;
        pool->pace.began = now;
    }
    pool->pace.now++;
}

/* As long as the queue that is there now will take at the pace of the last seconds. When nobody has left it in that time: as long as its
 * first may wait yet, for then it leaves in any case. */
int pp_queue_retry_after(const pp_pool_t *pool)
{
    pp_time_t now = pp_loop_now(pool->loop), passed = now - pool->pace.began, seconds;
    int departed = passed < PACE_WINDOW ? pool->pace.now + pool->pace.before : passed < 2 * PACE_WINDOW ? pool->pace.now : 0;

    passed += passed < PACE_WINDOW && pool->pace.before ? PACE_WINDOW : 0;
    if (departed)
        seconds = (pool->nwaiting + 1) * (passed / departed) / PP_SEC(1) + 1;
    else
        seconds = pool->queue_patience / PP_SEC(1) + 1;
    return (int)(seconds < RETRY_AFTER_MOST ? seconds : RETRY_AFTER_MOST);
}
