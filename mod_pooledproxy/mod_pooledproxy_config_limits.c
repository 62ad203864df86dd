/* mod_pooledproxy_config_limits: how many connections pools may open, and whether that fits together and what the backends can take. */
#include "mod_pooledproxy_config_build.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <http_log.h>

APLOG_USE_MODULE(pooledproxy);

/* What one server, by its key, may get from a pool. */
typedef struct server_most_t {
    const char *key;
    int limit; /* 0: none */
    const char *why;
} server_most_t;

static const char *origin_text(apr_pool_t *p, const char *setting, const char *where)
{
    return where ? apr_pstrcat(p, setting, ", ", where, NULL) : "default";
}

static server_most_t *most_of(apr_array_header_t *mosts, const char *key)
{
    server_most_t *made;

    for (int i = 0; i < mosts->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(mosts, i, server_most_t).key, key) == 0)
            return &APR_ARRAY_IDX(mosts, i, server_most_t);
    }
    made = apr_array_push(mosts);
    *made = (server_most_t){key, -1, NULL};
    return made;
}

/* A server may stand there twice, with different paths: the larger limit counts. */
static void add_server(const pp_build_t *build, const pp_built_pool_t *pool, const pp_server_t *server, const char *where,
                       apr_array_header_t *mosts)
{
    server_most_t *most = most_of(mosts, server->key);
    int limit = server->limit ? server->limit : pool->def->policy.host_limit;

    if (most->limit == 0 || (limit && limit <= most->limit))
        return;
    most->limit = limit;
    most->why = server->limit ? origin_text(build->p, "limit=", where)
                              : origin_text(build->p, "PooledProxyHostLimit", pool->settings.host_limit.where);
}

static bool counts(apr_hash_t *keys, const pp_server_t *server)
{
    return !keys || apr_hash_get(keys, server->key, APR_HASH_KEY_STRING);
}

static apr_array_header_t *servers_of(const pp_build_t *build, const pp_built_pool_t *pool, apr_hash_t *keys)
{
    apr_array_header_t *mosts = apr_array_make(build->p, 4, sizeof(server_most_t));
    const pp_upstream_block_t *block = pool->block;

    for (int i = 0; block && i < block->servers->nelts; i++) {
        const pp_server_t *server = APR_ARRAY_IDX(block->servers, i, pp_server_t *);

        if (counts(keys, server))
            add_server(build, pool, server, APR_ARRAY_IDX(block->wheres, i, const char *), mosts);
    }
    for (int i = 0; !block && i < build->uses->nelts; i++) {
        const pp_use_t *use = APR_ARRAY_IDX(build->uses, i, pp_use_t *);

        if (use->pool == pool && counts(keys, use->upstream->servers[0]))
            add_server(build, pool, use->upstream->servers[0], NULL, mosts);
    }
    return mosts;
}

/* The sum of the servers' limits; -1: one has none. */
static apr_int64_t sum_of(apr_pool_t *p, const apr_array_header_t *mosts, const char **why)
{
    apr_int64_t sum = 0;

    *why = NULL;
    for (int i = 0; i < mosts->nelts; i++) {
        const server_most_t *most = &APR_ARRAY_IDX(mosts, i, server_most_t);

        if (!most->limit)
            return -1;
        sum += most->limit;
        if (!*why || !strstr(*why, most->why))
            *why = *why ? apr_pstrcat(p, *why, "; ", most->why, NULL) : most->why;
    }
    return sum;
}

pp_most_t pooledproxy_pool_most(const pp_build_t *build, const pp_built_pool_t *pool, apr_hash_t *keys)
{
    const apr_array_header_t *mosts = servers_of(build, pool, keys);
    pp_most_t most = {0, "nothing leads to it"};
    bool may_be_others = !keys && !pool->block && build->is_open;

    if (mosts->nelts || may_be_others)
        most.number = may_be_others ? -1 : sum_of(build->p, mosts, &most.why);
    if (most.number >= 0 && most.number < pool->def->policy.size)
        return most;
    most.number = pool->def->policy.size;
    most.why = origin_text(build->p, "PooledProxyPoolSize", pool->settings.size.where);
    return most;
}

static void complain(pp_build_t *build, const char *text)
{
    ap_log_error(APLOG_MARK, APLOG_CRIT | APLOG_STARTUP, 0, build->main_server, "%s", text);
    build->errors++;
}

/* ---- PooledProxyBackendCapacity ---- */

static apr_hash_t *keys_of(const pp_build_t *build, const pp_upstream_block_t *block)
{
    apr_hash_t *keys = apr_hash_make(build->p);

    for (int i = 0; i < block->servers->nelts; i++) {
        const pp_server_t *server = APR_ARRAY_IDX(block->servers, i, pp_server_t *);

        apr_hash_set(keys, server->key, APR_HASH_KEY_STRING, server);
    }
    return keys;
}

static const char *term(const pp_build_t *build, const pp_built_pool_t *pool, const pp_most_t *most)
{
    return apr_psprintf(build->p, "%s: %" APR_INT64_T_FMT " (%s)", pool->def->name, most->number, most->why);
}

static void check_capacity(pp_build_t *build, const pp_built_pool_t *pool)
{
    const pp_upstream_block_t *block = pool->block;
    apr_hash_t *keys = keys_of(build, block);
    pp_most_t most = pooledproxy_pool_most(build, pool, NULL);
    apr_int64_t sum = most.number;
    const char *terms = term(build, pool, &most);

    for (int i = 0; i < build->built->nelts; i++) {
        const pp_built_pool_t *other = APR_ARRAY_IDX(build->built, i, pp_built_pool_t *);

        if (other == pool || !pooledproxy_pool_may_open(build, other))
            continue;
        most = pooledproxy_pool_most(build, other, keys);
        sum += most.number;
        if (most.number)
            terms = apr_pstrcat(build->p, terms, " + ", term(build, other, &most), NULL);
    }
    if (sum > block->capacity)
        complain(build, apr_psprintf(build->p,
                                     "%s: PooledProxyBackendCapacity %d of %s is less than may be opened: %s = %" APR_INT64_T_FMT
                                     " > %d; make the limits smaller",
                                     block->capacity_where, block->capacity, pool->def->name, terms, sum, block->capacity));
}

/* ---- limits of one pool ---- */

static void check_idle_min(pp_build_t *build, const pp_built_pool_t *pool, const char *name, const pp_pool_value_t *most)
{
    const pp_pool_value_t *least = &pool->settings.idle_min;

    if (least->value > most->value)
        complain(build, apr_psprintf(build->p, "%s: PooledProxyIdleMin %d is more than %s %d (%s) of %s; accepted: 0 to %d",
                                     least->where, (int)least->value, name, (int)most->value, most->where ? most->where : "default",
                                     pool->def->name, (int)most->value));
}

static void check_dns(pp_build_t *build, const pp_built_pool_t *pool)
{
    const pp_pool_value_t *least = &pool->settings.dns_min, *most = &pool->settings.dns_max;

    if (!pool->settings.dns_ttl.value && least->value > most->value)
        complain(build, apr_psprintf(build->p, "%s: PooledProxyDNSTTL min=%s is more than max=%s (%s) of %s",
                                     least->where ? least->where : most->where, pooledproxy_time_text(build->p, least->value),
                                     pooledproxy_time_text(build->p, most->value), most->where ? most->where : "default",
                                     pool->def->name));
}

void pooledproxy_limits_check(pp_build_t *build)
{
    for (int i = 0; i < build->built->nelts; i++) {
        const pp_built_pool_t *pool = APR_ARRAY_IDX(build->built, i, pp_built_pool_t *);

        if (pool->block && pool->block->capacity != PP_UNSET)
            check_capacity(build, pool);
        if (!pooledproxy_pool_is_used(build, pool))
            continue;
        check_dns(build, pool);
        check_idle_min(build, pool, "PooledProxyPoolSize", &pool->settings.size);
        if (pool->settings.idle_max.value)
            check_idle_min(build, pool, "PooledProxyIdleMax", &pool->settings.idle_max);
    }
}
