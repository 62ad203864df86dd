/* pp_warm: opens connections before they are asked for, so that PooledProxyIdleMin of them are ready over all loops together. */
#include <apr_strings.h>
#include <stddef.h>

#include "pp_pool_own.h"

#define LOOK PP_MSEC(250)      /* how often it is looked whether some are missing */
#define WARM_TIMEOUT PP_SEC(5) /* for the opening of such a connection, whose time-outs are no request's */
#define STEP_LEAST PP_MSEC(250)
#define STEP_MOST PP_SEC(1) /* so a server that comes back is warm soon, and a dead one costs an attempt a second */

/* As long as a host is not known to be reachable one loop tries it once in each step. */
static bool is_step_ours(pp_host_t *host)
{
    pp_time_t now = pp_loop_now(host->pool->loop), at = atomic_load(&host->shared->warm_at);

    return now >= at && atomic_compare_exchange_strong(&host->shared->warm_at, &at, now + STEP_MOST);
}

void pp_warm_outcome(pp_host_t *host, bool opened)
{
    pp_host_shared_t *shared = host->shared;
    int failures;

    if (host->pool->policy->idle_min == 0)
        return;
    atomic_store(&shared->is_reachable, opened);
    failures = opened ? 0 : atomic_load(&shared->failures) + 1;
    atomic_store(&shared->failures, failures);
    if (failures) {
        pp_time_t step = failures > 2 ? STEP_MOST : STEP_LEAST << (failures - 1);
        atomic_store(&shared->warm_at, pp_loop_now(host->pool->loop) + step);
    }
}

/* This loop's part of the pool's connections that are to be ready. */
static int share_of_loop(const pp_pool_t *pool)
{
    int of, rank = pp_seat_rank(pool->seats, pool->seat, &of);

    return rank < 0 ? 0 : pool->policy->idle_min / of + (rank < pool->policy->idle_min % of);
}

/* The permits that a connection ahead of need takes only when nobody else wants them. */
static bool take_permits(pp_host_t *host)
{
    const pp_pool_t *pool = host->pool;

    if (pool->policy->idle_max && pp_account_sum(pool->seats, pp_book_idle(pool->book)) >= pool->policy->idle_max)
        return false;
    return pp_places_take_spare(host);
}

static void host_warm(pp_host_t *host, int share)
{
    int lack = share - host->nidle - (host->nconnecting - host->nwaiting[STAGE_SERVED]);
    bool reachable = atomic_load(&host->shared->is_reachable);

    for (; lack > 0; lack--) {
        if (!reachable && !is_step_ours(host))
            return;
        if (!take_permits(host))
            return;
        pp_pool_open(host, WARM_TIMEOUT);
    }
}

static void on_warm_timer(pp_timer_t *timer)
{
    pp_pool_t *pool = PP_OWNER_OF(timer, pp_pool_t, warm.timer);
    int share = share_of_loop(pool), n = pool->warm.nhosts;

    if (pool->draining)
        return;
    for (int i = 0; i < n && pool->nwaiting == 0; i++) {
        int turn = (i + pool->seat) % n; /* what is left over by the division is not always at the same host */
        host_warm(pool->warm.hosts[i], share / n + (turn < share % n));
    }
    pp_timer_set(pool->loop, timer, pp_loop_now(pool->loop) + LOOK);
}

void pp_pool_keep_warm(pp_pool_t *pool, const pp_target_t *targets, int n)
{
    if (pool->policy->idle_min == 0 || !pool->policy->keep_alive || n == 0)
        return;
    pool->warm.hosts = apr_palloc(pool->memory, sizeof(*pool->warm.hosts) * (apr_size_t)n);
    for (int i = 0; i < n; i++) {
        pp_host_t *host = pp_host_get(pool, &targets[i]);
        if (!host)
            continue;
        host->is_warm = true;
        pool->warm.hosts[pool->warm.nhosts++] = host;
    }
    pool->warm.timer.on_timer = on_warm_timer;
    pp_timer_set(pool->loop, &pool->warm.timer, pp_clock_now() + LOOK); /* when all loops that start together are there to share */
}
