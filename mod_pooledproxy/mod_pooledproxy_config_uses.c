/* mod_pooledproxy_config_uses: which routes and handlers lead to which pool, in each virtual host. */
#include "mod_pooledproxy_config_build.h"

#include <ap_listen.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <util_cfgtree.h>

static void use_add(pp_build_t *build, const pp_server_conf_t *vhost, const pp_upstream_t *upstream, const pp_route_t *route,
                    const char *url, const char *where)
{
    pp_use_t *use = apr_pcalloc(build->p, sizeof(*use));
    const pp_built_pool_t *pool = APR_ARRAY_IDX(build->built, upstream->pool->index, pp_built_pool_t *);

    *use = (pp_use_t){vhost, pool, upstream, route, url, where};
    APR_ARRAY_PUSH(build->uses, pp_use_t *) = use;
}

static void use_url(pp_build_t *build, const pp_server_conf_t *vhost, const pp_route_t *route, const char *url, const char *where)
{
    pp_upstream_t *upstream;
    const char *path;

    if (!pooledproxy_upstream_from_url(build->p, vhost, url, &upstream, &path))
        use_add(build, vhost, upstream, route, url, where);
    else if (strpbrk(url, "%$")) /* put together at run time */
        build->is_open = true;
}

static void use_routes(pp_build_t *build, const pp_server_conf_t *vhost, const apr_array_header_t *routes)
{
    for (int i = 0; i < routes->nelts; i++) {
        const pp_route_t *route = APR_ARRAY_IDX(routes, i, pp_route_t *);

        if (!route->exclude)
            use_url(build, vhost, route, route->url, route->where);
    }
}

/* Sections of the main server are part of every virtual host. */
static void use_all(pp_build_t *build, server_rec *s)
{
    const pp_server_conf_t *vhost = pooledproxy_server_conf(s);

    use_routes(build, vhost, vhost->routes);
    use_routes(build, vhost, vhost->location_routes);
    if (s->is_virtual)
        use_routes(build, vhost, pooledproxy_server_conf(build->main_server)->location_routes);
    for (int i = 0; i < build->handlers->nelts; i++) {
        const pp_handler_use_t *handler = APR_ARRAY_IDX(build->handlers, i, pp_handler_use_t *);

        if (handler->server == s || handler->server == build->main_server)
            use_url(build, vhost, NULL, handler->url, handler->where);
    }
}

/* The flag H=... of a RewriteRule, with a value that is put together at run time. */
static bool has_open_flag(const char *args)
{
    const char *flags = strrchr(args, '[');

    for (; flags && *flags; flags++) {
        size_t name = !strchr("[,", *flags)                        ? 0
                      : strncasecmp(flags + 1, "H=", 2) == 0       ? 3
                      : strncasecmp(flags + 1, "handler=", 8) == 0 ? 9
                                                                   : 0;
        size_t len = name ? strcspn(flags + name, ",]") : 0;

        if (memchr(flags + name, '%', len) || memchr(flags + name, '$', len))
            return true;
    }
    return false;
}

/* Whether the directive lets handlers be named that are not to be seen in the configuration. */
static void look_for_open(void *self, server_rec *s, const ap_directive_t *directive)
{
    pp_build_t *build = self;
    const char *name = directive->directive + (*directive->directive == '<'), *args = directive->args ? directive->args : "";
    bool is_open = false;

    (void)s;
    if (strcasecmp(name, "AllowOverride") == 0)
        is_open = ap_strcasestr(args, "All") || ap_strcasestr(args, "FileInfo");
    else if (strcasecmp(name, "AllowOverrideList") == 0)
        is_open = strcasecmp(args, "None") != 0;
    else if (strcasecmp(name, "SetHandler") == 0)
        is_open = strstr(args, "%{") != NULL;
    else if (strcasecmp(name, "RewriteRule") == 0)
        is_open = has_open_flag(args);
    else
        is_open = strncasecmp(name, "Lua", 3) == 0 || strncasecmp(name, "Perl", 4) == 0;
    build->is_open |= is_open;
}

void pooledproxy_uses_find(pp_build_t *build)
{
    for (server_rec *s = build->main_server; s; s = s->next) {
        use_all(build, s);
        pooledproxy_directives_walk(s, look_for_open, build);
    }
}

bool pooledproxy_pool_is_used(const pp_build_t *build, const pp_built_pool_t *pool)
{
    for (int i = 0; i < build->uses->nelts; i++) {
        if (APR_ARRAY_IDX(build->uses, i, pp_use_t *)->pool == pool)
            return true;
    }
    return false;
}

/* ---- what may be opened ---- */

static bool is_wildcard(const server_addr_rec *addr)
{
    return strcmp(addr->virthost, "_default_") == 0 || *addr->virthost == '*';
}

static bool takes(const server_rec *s, const apr_sockaddr_t *listen)
{
    for (const server_addr_rec *addr = s->addrs; addr; addr = addr->next) {
        if ((!addr->host_port || addr->host_port == listen->port) &&
            (is_wildcard(addr) || apr_sockaddr_equal(addr->host_addr, listen)))
            return true;
    }
    return false;
}

/* Requests get to the main server only over a port and address that no virtual host is for. */
static bool is_reachable(const pp_build_t *build, const server_rec *s)
{
    if (s->is_virtual || !ap_listeners)
        return true;
    for (const ap_listen_rec *listen = ap_listeners; listen; listen = listen->next) {
        const server_rec *vhost = build->main_server->next;

        while (vhost && !takes(vhost, listen->bind_addr))
            vhost = vhost->next;
        if (!vhost)
            return true;
    }
    return false;
}

bool pooledproxy_pool_may_open(const pp_build_t *build, const pp_built_pool_t *pool)
{
    for (int i = 0; i < build->uses->nelts; i++) {
        const pp_use_t *use = APR_ARRAY_IDX(build->uses, i, pp_use_t *);

        if (use->pool == pool && use->vhost->enabled && is_reachable(build, use->vhost->server))
            return true;
    }
    return false;
}

static void server_add(pp_pool_def_t *def, pp_server_t *server)
{
    if (server->drain || server->backup)
        return;
    for (int i = 0; i < def->servers->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(def->servers, i, pp_server_t *)->key, server->key) == 0)
            return;
    }
    APR_ARRAY_PUSH(def->servers, pp_server_t *) = server;
}

void pooledproxy_servers_find(pp_build_t *build)
{
    for (int i = 0; i < build->built->nelts; i++)
        APR_ARRAY_IDX(build->built, i, pp_built_pool_t *)->def->servers = apr_array_make(build->p, 2, sizeof(pp_server_t *));
    for (int i = 0; i < build->uses->nelts; i++) {
        const pp_use_t *use = APR_ARRAY_IDX(build->uses, i, pp_use_t *);

        for (int n = 0; pooledproxy_pool_may_open(build, use->pool) && n < use->upstream->nservers; n++)
            server_add(use->pool->def, use->upstream->servers[n]);
    }
}
