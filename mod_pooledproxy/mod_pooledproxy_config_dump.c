/* mod_pooledproxy_config_dump: httpd -t -D DUMP_POOLS: every pool, its effective settings and where each came from. */
#include "mod_pooledproxy_config.h"

#include <apr_strings.h>
#include <http_core.h>

#include "mod_pooledproxy_config_build.h"

typedef struct dump_t {
    pp_build_t build;
    apr_file_t *out;
} dump_t;

static void line(const dump_t *dump, const char *name, const char *value, const char *where)
{
    apr_file_printf(dump->out, "  %s %s (%s)\n", name, value, where ? where : "default");
}

static void dump_pool_settings(const dump_t *dump, const pp_built_pool_t *pool)
{
    apr_pool_t *p = dump->build.p;
    const struct pp_pool_settings_t *settings = &pool->settings;

    for (int i = 0; i < PP_POOL_ROWS; i++) {
        const pp_pool_row_t *row = &pooledproxy_pool_rows[i];

        line(dump, row->directive, pooledproxy_pool_text(p, settings, row), pooledproxy_pool_value(settings, row)->where);
    }
    for (int i = 0; i < PP_TLS_ROWS; i++) {
        const pp_tls_row_t *row = &pooledproxy_tls_rows[i];

        line(dump, row->directive, pooledproxy_tls_text(settings, row), pooledproxy_tls_value(settings, row)->where);
    }
    if (!pool->block)
        return;
    line(dump, "PooledProxyBalance", pooledproxy_balance_text(p, settings), settings->balance.where);
    if (pool->block->capacity != PP_UNSET)
        line(dump, "PooledProxyBackendCapacity", apr_itoa(p, pool->block->capacity), pool->block->capacity_where);
}

static void dump_cookie_maps(const dump_t *dump, const char *name, const apr_array_header_t *maps)
{
    for (int i = 0; maps && i < maps->nelts; i++) {
        const pp_cookie_map_t *map = &APR_ARRAY_IDX(maps, i, pp_cookie_map_t);

        line(dump, name, apr_pstrcat(dump->build.p, map->from, " ", map->to, NULL), map->where);
    }
}

/* What holds for a request before sections and the keys of routes have their say. */
static void dump_request_settings(const dump_t *dump, const pp_built_pool_t *pool)
{
    apr_pool_t *p = dump->build.p;
    pp_request_settings_t settings = pool->vhost->settings;

    if (pool->block)
        pooledproxy_timeouts_overlay(&settings.timeouts, &pool->block->upstream->timeouts);
    for (int i = 0; i < PP_SETTINGS; i++) {
        const pp_setting_row_t *row = &pooledproxy_setting_rows[i];
        const char *text = pooledproxy_setting_text(p, &settings, row), *where = pool->vhost->origins->settings[i];

        if (pool->block && i < PP_TIMEOUTS && pool->block->timeouts[i])
            where = pool->block->timeouts[i];
        if (!row->directive)
            line(dump, "PooledProxyTimeout", apr_pstrcat(p, row->key, "=", text, NULL), where);
        else
            line(dump, row->directive, text, where);
    }
    dump_cookie_maps(dump, "PooledProxyCookieDomain", settings.cookie_domains);
    dump_cookie_maps(dump, "PooledProxyCookiePath", settings.cookie_paths);
}

static void dump_server(const dump_t *dump, const pp_server_t *server, const char *where)
{
    apr_file_printf(dump->out, "  server %s weight=%d limit=%d%s%s (%s)\n", server->url, server->weight, server->limit,
                    server->backup ? " backup" : "", server->drain ? " drain" : "", where);
}

/* Has a use before that of number `n` led to the same server of the pool? */
static bool is_known(const dump_t *dump, const pp_use_t *use, int n)
{
    for (int i = 0; i < n; i++) {
        const pp_use_t *other = APR_ARRAY_IDX(dump->build.uses, i, pp_use_t *);

        if (other->pool == use->pool && strcmp(other->upstream->servers[0]->key, use->upstream->servers[0]->key) == 0)
            return true;
    }
    return false;
}

static void dump_servers(const dump_t *dump, const pp_built_pool_t *pool)
{
    const pp_upstream_block_t *block = pool->block;
    const apr_array_header_t *uses = dump->build.uses;

    for (int i = 0; block && i < block->servers->nelts; i++)
        dump_server(dump, APR_ARRAY_IDX(block->servers, i, pp_server_t *), APR_ARRAY_IDX(block->wheres, i, const char *));
    for (int i = 0; !block && i < uses->nelts; i++) {
        const pp_use_t *use = APR_ARRAY_IDX(uses, i, pp_use_t *);

        if (use->pool == pool && !is_known(dump, use, i))
            dump_server(dump, use->upstream->servers[0], use->where);
    }
}

static void dump_route(const dump_t *dump, const pp_use_t *use)
{
    apr_pool_t *p = dump->build.p;
    const pp_route_t *route = use->route;
    const char *keys = "";

    if (!route) {
        apr_file_printf(dump->out, "  handler " PP_HANDLER_PREFIX "%s (%s)\n", use->url, use->where);
        return;
    }
    for (int i = 0; i < PP_SETTINGS; i++) {
        const pp_setting_row_t *row = &pooledproxy_setting_rows[i];
        const void *value = (const char *)&route->settings + row->offset;

        if (row->key && (row->directive ? *(const int *)value : *(const pp_time_t *)value) != PP_UNSET)
            keys = apr_pstrcat(p, keys, row->directive ? " " : " timeout.", row->key, "=",
                               pooledproxy_setting_text(p, &route->settings, row), NULL);
    }
    apr_file_printf(dump->out, "  route %s %s%s%s (%s)\n", route->path ? route->path : route->pattern, use->url, keys,
                    route->nocanon ? " nocanon" : "", use->where);
}

static void dump_pool(const dump_t *dump, const pp_built_pool_t *pool)
{
    const server_rec *s = pool->vhost->server;
    pp_most_t most = pooledproxy_pool_most(&dump->build, pool, NULL);

    apr_file_printf(dump->out, "pool %s (%s)\n", pool->def->name,
                    pool->block     ? pool->block->where
                    : s->is_virtual ? apr_psprintf(dump->build.p, "%s:%u", s->defn_name, s->defn_line_number)
                                    : "main server");
    line(dump, "PooledProxy", pool->vhost->enabled ? "On" : "Off", pool->vhost->origins->enabled);
    dump_pool_settings(dump, pool);
    dump_request_settings(dump, pool);
    dump_servers(dump, pool);
    for (int i = 0; i < dump->build.uses->nelts; i++) {
        const pp_use_t *use = APR_ARRAY_IDX(dump->build.uses, i, pp_use_t *);

        if (use->pool == pool)
            dump_route(dump, use);
    }
    apr_file_printf(dump->out, "  most connections, over all children: %" APR_INT64_T_FMT " (%s)\n", most.number, most.why);
}

void pooledproxy_config_dump(apr_pool_t *pconf, server_rec *main_server)
{
    pp_main_conf_t *conf = apr_pcalloc(pconf, sizeof(*conf));
    dump_t dump;

    if (!ap_exists_config_define("DUMP_POOLS") || apr_file_open_stdout(&dump.out, pconf) != APR_SUCCESS)
        return;
    pooledproxy_build(&dump.build, pconf, main_server, conf);
    apr_file_printf(dump.out, "mod_pooledproxy: %d pools\n", conf->npools);
    line(&dump, "PooledProxyEventLoops", apr_itoa(pconf, conf->event_loops),
         pooledproxy_server_conf(main_server)->origins->event_loops);
    line(&dump, "PooledProxyResolver", conf->resolver ? conf->resolver : "the system's",
         pooledproxy_server_conf(main_server)->origins->resolver);
    for (int i = 0; i < dump.build.built->nelts; i++)
        dump_pool(&dump, APR_ARRAY_IDX(dump.build.built, i, pp_built_pool_t *));
}
