/* pp_shard: makes a loop and what it owns. */
#include "pp_shard.h"

apr_status_t pp_shard_create(pp_shard_t **shardp, int index, const pp_shard_plan_t *plan, pp_stats_t *stats, apr_pool_t *p)
{
    pp_shard_t *shard = apr_pcalloc(p, sizeof(*shard));
    apr_status_t status = pp_loop_create(&shard->loop, index, p);

    if (status == APR_SUCCESS)
        status = pp_dns_create(&shard->dns, shard->loop, pp_loop_pool(shard->loop));
    if (status != APR_SUCCESS)
        return status;
    shard->npools = plan->npools;
    shard->pools = apr_pcalloc(p, sizeof(*shard->pools) * (size_t)(plan->npools + 1));
    for (int i = 0; i < plan->npools; i++)
        shard->pools[i] = pp_pool_create(shard->loop, shard->dns, plan->pools[i]->name, &plan->pools[i]->policy, &stats[i],
                                         pp_loop_pool(shard->loop));
    shard->balances = apr_pcalloc(p, sizeof(*shard->balances) * (size_t)(plan->nupstreams + 1));
    for (int i = 0; i < plan->nupstreams; i++)
        shard->balances[i] = pp_balance_create(plan->upstreams[i], (unsigned)index, p);
    *shardp = shard;
    return APR_SUCCESS;
}

void pp_shard_drain(pp_shard_t *shard)
{
    for (int i = 0; i < shard->npools; i++)
        pp_pool_drain(shard->pools[i]);
}
