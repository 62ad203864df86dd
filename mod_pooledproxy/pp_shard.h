/* pp_shard: what one event loop owns: its resolver, its pools, its balancers. Nothing of it is shared with another loop but
 * the ledger's accounts. */
#ifndef PP_SHARD_H
#define PP_SHARD_H

#include "pp_balance.h"
#include "pp_dns.h"
#include "pp_pool.h"

typedef struct pp_shard_t {
    pp_loop_t *loop;
    pp_dns_t *dns;
    pp_ledger_t *ledger;
    int seat; /* its seat in the ledger, which the parent frees when the process has ended */
    pp_io_t seat_io;
    int npools;
    pp_pool_t **pools;       /* by pp_pool_def_t.index */
    pp_balance_t **balances; /* by pp_upstream_t.index */
} pp_shard_t;

/* What all shards are made from; kept by reference. */
typedef struct pp_shard_plan_t {
    int npools;
    pp_pool_def_t *const *pools;
    pp_ledger_t *ledger;
    pp_book_t *const *books; /* by pool */
    int nupstreams;
    pp_upstream_t *const *upstreams;
    const char *resolver; /* "address:port,..."; NULL: the system's */
} pp_shard_plan_t;

/* Makes the shard number `index` with its loop, not started yet. Lives in `p`. APR_ENOSPC: the ledger has no seat left. */
apr_status_t pp_shard_create(pp_shard_t **shard, int index, const pp_shard_plan_t *plan, apr_pool_t *p);

/* On the loop's thread: closes idle connections, keeps none from now on. */
void pp_shard_drain(pp_shard_t *shard);

#endif
