/* pp_hosts: the hosts of a pool, made when they are first met. */
#include <apr_strings.h>
#include <string.h>

#include "pp_pool_own.h"

#define HOSTS_BEFORE_SWEEP 32

static bool host_is_unused(const pp_host_t *host)
{
    int waiting = host->nwaiting[STAGE_QUEUED] + host->nwaiting[STAGE_PLACED] + host->nwaiting[STAGE_SERVED];

    return !host->is_warm && host->nplaces + waiting + host->place.want + host->handshake.want == 0;
}

static void host_forget(pp_host_t *host)
{
    pp_pool_t *pool = host->pool;

    apr_hash_set(pool->hosts, host->target.key, APR_HASH_KEY_STRING, NULL);
    if (pool->last_host == host)
        pool->last_host = NULL;
    pp_moved_unwatch(host);
    pp_host_table_leave(host->place.account, pool->seat);
    apr_pool_destroy(host->memory);
}

/* Hosts met at run time (RewriteRule) must not stay for ever: those without use are forgotten. */
static void hosts_sweep(pp_pool_t *pool)
{
    pp_host_t *host;

    PP_EACH_HOST(pool, host)
    {
        if (host_is_unused(host))
            host_forget(host);
    }
}

static bool accounts_get(pp_pool_t *pool, const char *key, pp_host_accounts_t *accounts)
{
    pp_host_table_t *table = pp_book_hosts(pool->book);

    if (pp_host_table_use(table, key, pool->seat, accounts))
        return true;
    hosts_sweep(pool);                               /* there may be room then, */
    pp_ledger_find_dead(pp_book_ledger(pool->book)); /* or who died may have left the table locked */
    return pp_host_table_use(table, key, pool->seat, accounts);
}

static pp_host_t *host_make(pp_pool_t *pool, const pp_target_t *target)
{
    pp_host_accounts_t accounts;
    apr_pool_t *memory;
    pp_host_t *host;

    if (apr_hash_count(pool->hosts) >= HOSTS_BEFORE_SWEEP)
        hosts_sweep(pool);
    if (!accounts_get(pool, target->key, &accounts)) {
        pp_log(PP_LOG_ERR, "pool %s: connections to as many hosts as it has room for (%d): none to %s", pool->name,
               pp_host_table_size(pp_book_hosts(pool->book)), target->key);
        return NULL;
    }
    apr_pool_create(&memory, pool->memory);
    host = apr_pcalloc(memory, sizeof(*host));
    host->pool = pool;
    host->memory = memory;
    host->target.key = apr_pstrdup(memory, target->key);
    host->target.host = apr_pstrdup(memory, target->host);
    host->target.port = target->port;
    host->target.unix_path = target->unix_path ? apr_pstrdup(memory, target->unix_path) : NULL;
    host->target.limit = target->limit;
    host->target.tls = target->tls;
    host->sessions = target->tls ? pp_tls_sessions_create(memory) : NULL;
    host->shared = accounts.shared;
    host->place.account = accounts.places;
    host->handshake.account = accounts.handshakes;
    APR_RING_INIT(&host->idle, pp_conn_t, link);
    for (int stage = 0; stage < STAGES; stage++)
        APR_RING_INIT(&host->waiters[stage], pp_checkout_t, link);
    apr_hash_set(pool->hosts, host->target.key, APR_HASH_KEY_STRING, host);
    pp_moved_watch(host);
    return host;
}

pp_host_t *pp_host_get(pp_pool_t *pool, const pp_target_t *target)
{
    pp_host_t *host = pool->last_host;

    if (!host || strcmp(host->target.key, target->key) != 0)
        host = apr_hash_get(pool->hosts, target->key, APR_HASH_KEY_STRING);
    if (!host)
        host = host_make(pool, target);
    if (host)
        host->target.limit = target->limit;
    pool->last_host = host;
    return host;
}

/* The most it may ever have; 0: no limit of its own. */
static int limit_most(const pp_host_t *host)
{
    return host->target.limit ? host->target.limit : host->pool->policy->host_limit;
}

/* PooledProxyHostLimit auto: the limit follows the host's latency. */
static bool is_auto(const pp_host_t *host)
{
    return host->pool->policy->host_limit_least > 0;
}

static int limit_least(const pp_host_t *host)
{
    int least = host->pool->policy->host_limit_least, most = limit_most(host);

    return least < most ? least : most;
}

int pp_host_limit(const pp_host_t *host)
{
    return is_auto(host) ? pp_gradient_limit(&host->shared->gradient, limit_least(host), limit_most(host)) : limit_most(host);
}

bool pp_host_is_over_limit(const pp_host_t *host)
{
    return is_auto(host) && pp_account_sum(host->pool->seats, host->place.account) > pp_host_limit(host);
}

void pp_pool_observe(pp_conn_t *conn, pp_time_t latency, bool failed)
{
    const pp_host_t *host = conn->host;

    if (is_auto(host))
        pp_gradient_sample(&host->shared->gradient, limit_least(host), limit_most(host), pp_loop_now(host->pool->loop), latency,
                           pp_account_in_use(host->pool->seats, host->place.account), failed);
}
