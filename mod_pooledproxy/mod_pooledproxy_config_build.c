/* mod_pooledproxy_config_build: once all directives are read: names become upstreams, settings become pools, nothing stays unset. */
#include "mod_pooledproxy_config_build.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <http_log.h>

APLOG_USE_MODULE(pooledproxy);

#define EVENT_LOOPS 1

/* A vhost without any directive of ours shares the main server's conf: it gets one of its own, since it has a pool of its own. */
static pp_server_conf_t *own_conf(pp_build_t *build, server_rec *s)
{
    pp_server_conf_t *conf = pooledproxy_server_conf(s);

    if (conf->server == s)
        return conf;
    conf = apr_pmemdup(build->p, conf, sizeof(*conf));
    conf->server = s;
    conf->blocks = apr_array_make(build->p, 1, sizeof(pp_upstream_block_t *));
    conf->location_routes = apr_array_make(build->p, 1, sizeof(pp_route_t *));
    ap_set_module_config(s->module_config, &pooledproxy_module, conf);
    return conf;
}

static bool has_pool_named(const pp_build_t *build, const char *name)
{
    for (int i = 0; i < build->pools->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(build->pools, i, pp_pool_def_t *)->name, name) == 0)
            return true;
    }
    return false;
}

static pp_pool_def_t *pool_make(pp_build_t *build, const char *name, const struct pp_pool_settings_t *settings,
                                const pp_server_conf_t *vhost, const pp_upstream_block_t *block)
{
    pp_pool_def_t *pool = apr_pcalloc(build->p, sizeof(*pool));
    pp_built_pool_t *built = apr_pcalloc(build->p, sizeof(*built));

    pool->name = name;
    for (int n = 2; has_pool_named(build, pool->name); n++)
        pool->name = apr_psprintf(build->p, "%s#%d", name, n);
    pool->index = build->pools->nelts;
    pooledproxy_pool_policy(settings, &pool->policy);
    APR_ARRAY_PUSH(build->pools, pp_pool_def_t *) = pool;
    *built = (pp_built_pool_t){pool, *settings, vhost, block};
    APR_ARRAY_PUSH(build->built, pp_built_pool_t *) = built;
    return pool;
}

static const char *vhost_name(pp_build_t *build, const server_rec *s)
{
    int port = s->port ? s->port : s->addrs ? s->addrs->host_port : 0;

    return apr_psprintf(build->p, "%s:%d", s->server_hostname ? s->server_hostname : "-", port);
}

static void complete_upstream(pp_build_t *build, const pp_server_conf_t *vhost, const pp_upstream_block_t *block,
                              const struct pp_pool_settings_t *of_vhost)
{
    struct pp_pool_settings_t settings = *of_vhost;
    pp_upstream_t *upstream = block->upstream;

    pooledproxy_pool_overlay(&settings, &block->settings);
    upstream->pool = pool_make(build, upstream->name, &settings, vhost, block);
    upstream->balance = (pp_balance_kind_t)settings.balance.value;
    upstream->hash_expr = settings.hash_expr;
    upstream->index = build->upstreams->nelts;
    APR_ARRAY_PUSH(build->upstreams, pp_upstream_t *) = upstream;
}

static void complete_vhost(pp_build_t *build, server_rec *s)
{
    pp_server_conf_t *conf = own_conf(build, s);
    struct pp_pool_settings_t pool_settings;
    pp_request_settings_t settings;

    pooledproxy_settings_preset(&settings);
    pooledproxy_settings_overlay(build->p, &settings, &conf->settings);
    conf->settings = settings;
    if (conf->enabled == PP_UNSET)
        conf->enabled = 1;
    pooledproxy_pool_preset(&pool_settings);
    pooledproxy_pool_overlay(&pool_settings, conf->pool_settings);
    conf->pool = pool_make(build, vhost_name(build, s), &pool_settings, conf, NULL);
    for (int i = 0; i < conf->blocks->nelts; i++)
        complete_upstream(build, conf, APR_ARRAY_IDX(conf->blocks, i, pp_upstream_block_t *), &pool_settings);
}

static void resolve(pp_build_t *build, const pp_server_conf_t *conf, pp_route_t *route)
{
    const char *why;

    if (route->exclude)
        return;
    why = pooledproxy_upstream_from_url(build->p, conf, route->url, &route->upstream, &route->url_path);
    if (!why)
        return;
    ap_log_error(APLOG_MARK, APLOG_CRIT | APLOG_STARTUP, 0, conf->server, "%s: PooledProxyPass%s: %s", route->where,
                 route->regex && !route->in_location ? "Match" : "", why);
    build->errors++;
}

/* The routes that come from the main server are shared; each vhost gets its own, since they draw on its own pool. */
static void resolve_routes(pp_build_t *build, pp_server_conf_t *conf)
{
    apr_array_header_t *routes = apr_array_make(build->p, conf->routes->nelts + 1, sizeof(pp_route_t *));

    for (int i = 0; i < conf->routes->nelts; i++) {
        pp_route_t *route = apr_pmemdup(build->p, APR_ARRAY_IDX(conf->routes, i, pp_route_t *), sizeof(*route));

        resolve(build, conf, route);
        APR_ARRAY_PUSH(routes, pp_route_t *) = route;
    }
    conf->routes = routes;
    for (int i = 0; i < conf->location_routes->nelts; i++)
        resolve(build, conf, APR_ARRAY_IDX(conf->location_routes, i, pp_route_t *));
}

/* Any that isn't an exclusion? */
static bool has_route(const apr_array_header_t *routes)
{
    for (int i = 0; i < routes->nelts; i++) {
        if (!APR_ARRAY_IDX(routes, i, pp_route_t *)->exclude)
            return true;
    }
    return false;
}

static bool main_has_handlers(const pp_build_t *build)
{
    return build->handlers->nelts > 0 && APR_ARRAY_IDX(build->handlers, 0, pp_handler_use_t *)->server == build->main_server;
}

static void find_routes(pp_build_t *build, server_rec *s)
{
    const pp_server_conf_t *main_conf = pooledproxy_server_conf(build->main_server);
    pp_server_conf_t *conf = pooledproxy_server_conf(s);
    bool handlers = pooledproxy_handlers_find(build, s);

    conf->has_routes = conf->enabled && (handlers || main_has_handlers(build) || has_route(conf->routes) ||
                                         has_route(conf->location_routes) || has_route(main_conf->location_routes));
}

static void begin(pp_build_t *build, apr_pool_t *p, server_rec *main_server, pp_main_conf_t *conf)
{
    *build = (pp_build_t){.p = p, .main_server = main_server, .conf = conf};
    build->pools = apr_array_make(p, 4, sizeof(pp_pool_def_t *));
    build->built = apr_array_make(p, 4, sizeof(pp_built_pool_t *));
    build->upstreams = apr_array_make(p, 4, sizeof(pp_upstream_t *));
    build->handlers = apr_array_make(p, 4, sizeof(pp_handler_use_t *));
    build->uses = apr_array_make(p, 4, sizeof(pp_use_t *));
    conf->handlers = apr_hash_make(p);
}

static void complete_main(const pp_build_t *build)
{
    pp_main_conf_t *conf = build->conf;

    conf->event_loops = pooledproxy_server_conf(build->main_server)->event_loops;
    if (conf->event_loops == PP_UNSET)
        conf->event_loops = EVENT_LOOPS;
    conf->resolver = pooledproxy_server_conf(build->main_server)->resolver;
    conf->npools = build->pools->nelts;
    conf->pools = (pp_pool_def_t **)build->pools->elts;
    conf->nupstreams = build->upstreams->nelts;
    conf->upstreams = (pp_upstream_t **)build->upstreams->elts;
}

void pooledproxy_build(pp_build_t *build, apr_pool_t *p, server_rec *main_server, pp_main_conf_t *conf)
{
    begin(build, p, main_server, conf);
    for (server_rec *s = main_server; s; s = s->next)
        complete_vhost(build, s);
    for (server_rec *s = main_server; s; s = s->next)
        resolve_routes(build, pooledproxy_server_conf(s));
    for (server_rec *s = main_server; s; s = s->next)
        find_routes(build, s);
    complete_main(build);
    if (build->errors)
        return;
    pooledproxy_uses_find(build);
    pooledproxy_servers_find(build);
    pooledproxy_limits_check(build);
}
