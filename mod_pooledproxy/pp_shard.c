/* pp_shard: makes a loop and what it owns. */
#include "pp_shard.h"

#include <stddef.h>

/* Another loop has given something, or wants something. */
static void on_seat_io(pp_io_t *io, apr_int16_t events)
{
    pp_shard_t *shard = PP_OWNER_OF(io, pp_shard_t, seat_io);

    (void)events;
    pp_seat_heard(pp_ledger_seats(shard->ledger), shard->seat);
    for (int i = 0; i < shard->npools; i++)
        pp_pool_attend(shard->pools[i]);
}

static void keep_warm(pp_pool_t *pool, const pp_pool_def_t *def, apr_pool_t *p)
{
    int n = def->servers ? def->servers->nelts : 0;
    pp_target_t *targets = apr_palloc(p, sizeof(*targets) * (apr_size_t)(n + 1));

    for (int i = 0; i < n; i++)
        targets[i] = pp_server_target(APR_ARRAY_IDX(def->servers, i, const pp_server_t *), def);
    pp_pool_keep_warm(pool, targets, n);
}

static void pools_create(pp_shard_t *shard, const pp_shard_plan_t *plan, apr_pool_t *p)
{
    shard->npools = plan->npools;
    shard->pools = apr_pcalloc(p, sizeof(*shard->pools) * (size_t)(plan->npools + 1));
    for (int i = 0; i < plan->npools; i++) {
        const pp_pool_def_t *def = plan->pools[i];
        shard->pools[i] = pp_pool_create(shard->loop, shard->dns, def->name, &def->policy, plan->books[i], shard->seat,
                                         pp_loop_pool(shard->loop));
        keep_warm(shard->pools[i], def, p);
    }
}

apr_status_t pp_shard_create(pp_shard_t **shardp, int index, const pp_shard_plan_t *plan, apr_pool_t *p)
{
    pp_shard_t *shard = apr_pcalloc(p, sizeof(*shard));
    apr_status_t status = pp_loop_create(&shard->loop, index, p);

    shard->ledger = plan->ledger;
    shard->seat = pp_ledger_seat_take(plan->ledger);
    if (shard->seat < 0)
        return APR_ENOSPC;
    if (status == APR_SUCCESS)
        status = pp_dns_create(&shard->dns, shard->loop, pp_loop_pool(shard->loop));
    if (status == APR_SUCCESS && plan->resolver)
        status = pp_dns_servers_set(shard->dns, plan->resolver);
    shard->seat_io.on_io = on_seat_io;
    if (status == APR_SUCCESS)
        status = pp_io_watch(shard->loop, &shard->seat_io, pp_seat_fd(pp_ledger_seats(plan->ledger), shard->seat), APR_POLLIN,
                             pp_loop_pool(shard->loop));
    if (status != APR_SUCCESS)
        return status;
    pools_create(shard, plan, p);
    pp_seat_serves(pp_ledger_seats(plan->ledger), shard->seat, true);
    shard->balances = apr_pcalloc(p, sizeof(*shard->balances) * (size_t)(plan->nupstreams + 1));
    for (int i = 0; i < plan->nupstreams; i++)
        shard->balances[i] = pp_balance_create(plan->upstreams[i], (unsigned)index, p);
    *shardp = shard;
    return APR_SUCCESS;
}

void pp_shard_drain(pp_shard_t *shard)
{
    pp_seat_serves(pp_ledger_seats(shard->ledger), shard->seat, false);
    for (int i = 0; i < shard->npools; i++)
        pp_pool_drain(shard->pools[i]);
}
