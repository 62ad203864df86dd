/* mod_pooledproxy_route: finds the route of a request, and makes of both what the exchange needs to know. */
#include "mod_pooledproxy_route.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <http_log.h>

#include "mod_pooledproxy_conf.h"
#include "mod_pooledproxy_target.h"
#include "pp_h1_head.h"

APLOG_USE_MODULE(pooledproxy);

static bool is_ours(const char *name)
{
    return name && strncmp(name, PP_HANDLER_PREFIX, strlen(PP_HANDLER_PREFIX)) == 0;
}

static inline bool route_applies(const pp_route_t *route, const char *uri)
{
    return route->regex ? ap_regexec(route->regex, uri, 0, NULL, 0) == 0 : pooledproxy_prefix_match(uri, route->path) > 0;
}

const pp_route_t *pooledproxy_route_find(request_rec *r)
{
    const pp_server_conf_t *conf = pooledproxy_server_conf(r->server);
    const pp_dir_conf_t *dir = pooledproxy_dir_conf(r);

    if (!conf->enabled || !r->uri || *r->uri != '/')
        return NULL;
    if (dir && dir->route && route_applies(dir->route, r->uri))
        return dir->route->exclude ? NULL : dir->route;
    for (int i = 0; i < conf->routes->nelts; i++) {
        const pp_route_t *route = APR_ARRAY_IDX(conf->routes, i, pp_route_t *);

        if (route_applies(route, r->uri))
            return route->exclude ? NULL : route;
    }
    return NULL;
}

static pp_match_t *match_of(request_rec *r)
{
    return ap_get_module_config(r->request_config, &pooledproxy_module);
}

static pp_match_t *remember(request_rec *r, const pp_route_t *route)
{
    pp_match_t *match = apr_pcalloc(r->pool, sizeof(*match));

    match->route = route;
    ap_set_module_config(r->request_config, &pooledproxy_module, match);
    return match;
}

/* "pooledproxy:URL" with the rest of the path. On the hot path: lengths are measured once. */
static char *routed_name(request_rec *r, const pp_route_t *route)
{
    const char *rest = route->regex ? r->uri : r->uri + pooledproxy_prefix_match(r->uri, route->path);
    size_t prefix_len = sizeof(PP_HANDLER_PREFIX) - 1, url_len = strlen(route->url), rest_len = strlen(rest);
    char *name = apr_palloc(r->pool, prefix_len + url_len + rest_len + 1);

    memcpy(name, PP_HANDLER_PREFIX, prefix_len);
    memcpy(name + prefix_len, route->url, url_len);
    memcpy(name + prefix_len + url_len, rest, rest_len + 1);
    return name;
}

int pooledproxy_translate_name(request_rec *r)
{
    const pp_route_t *route;

    if (r->proxyreq)
        return DECLINED;
    if (is_ours(r->filename))
        return OK;
    route = pooledproxy_route_find(r);
    if (!route)
        return DECLINED;
    remember(r, route);
    r->filename = routed_name(r, route);
    r->handler = r->filename;
    ap_log_rerror(APLOG_MARK, APLOG_TRACE1, 0, r, "%s is routed to %s by %s", r->uri, route->url, route->where);
    return OK;
}

int pooledproxy_map_to_storage(request_rec *r)
{
    return is_ours(r->filename) && r->method_number != M_TRACE ? OK : DECLINED;
}

int pooledproxy_fixups(request_rec *r)
{
    if (is_ours(r->filename) && (!r->handler || strcmp(r->handler, PP_STATUS_HANDLER) != 0))
        r->handler = r->filename;
    return DECLINED;
}

/* One server by its URL, in a <Location> of the main server: this vhost's pool, not the main server's. */
static const pp_upstream_t *upstream_here(request_rec *r, const pp_server_conf_t *conf, const pp_upstream_t *upstream)
{
    pp_upstream_t *here;

    if (upstream->name) { /* a vhost's own group of that name takes the place of the main server's */
        char *key = apr_pstrdup(r->pool, upstream->name);
        ap_str_tolower(key);
        here = apr_hash_get(conf->upstreams, key, APR_HASH_KEY_STRING);
        return here ? here : upstream;
    }
    if (upstream->pool == conf->pool)
        return upstream;
    here = apr_pmemdup(r->pool, upstream, sizeof(*upstream));
    here->pool = conf->pool;
    return here;
}

static void settle(request_rec *r, const pp_server_conf_t *conf, pp_match_t *match)
{
    const pp_dir_conf_t *dir = pooledproxy_dir_conf(r);

    match->settings = conf->settings;
    pooledproxy_timeouts_overlay(&match->settings.timeouts, &match->upstream->timeouts);
    if (dir && dir->location) /* outside of sections they are the vhost's */
        pooledproxy_settings_overlay(r->pool, &match->settings, &dir->settings);
    if (match->route)
        pooledproxy_settings_overlay(r->pool, &match->settings, &match->route->settings);
}

static int match_complete(request_rec *r, const pp_server_conf_t *conf, pp_match_t *match, const char *target)
{
    if (!target || *target != '/' || !pp_h1_is_target(target, strlen(target))) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "the path or query holds what can't be sent to a backend");
        return HTTP_BAD_REQUEST;
    }
    settle(r, conf, match);
    match->target = target;
    return OK;
}

static int match_by_route(request_rec *r, const pp_server_conf_t *conf, pp_match_t *match)
{
    match->upstream = upstream_here(r, conf, match->route->upstream);
    match->url_path = strchr(match->route->url_path, '$') ? "" : match->route->url_path;
    return match_complete(r, conf, match, pooledproxy_target(r, match->route));
}

/* The URL of the handler: httpd hands it on in lower case, we have kept how it was written. */
static const char *handler_url(const char *handler)
{
    const char *written = apr_hash_get(pooledproxy_main_conf()->handlers, handler, APR_HASH_KEY_STRING);

    return (written ? written : handler) + strlen(PP_HANDLER_PREFIX);
}

static int match_by_handler(request_rec *r, const pp_server_conf_t *conf, pp_match_t *match)
{
    pp_upstream_t *upstream;
    const char *path, *why = pooledproxy_upstream_from_url(r->pool, conf, handler_url(r->handler), &upstream, &path);

    if (why) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "handler %s: %s", r->handler, why);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    match->upstream = upstream;
    match->url_path = path;
    path = pooledproxy_path_join(r, path, pooledproxy_path_escape(r, r->uri));
    return match_complete(r, conf, match, pooledproxy_with_query(r, path));
}

int pooledproxy_match(request_rec *r, const pp_match_t **found)
{
    const pp_server_conf_t *conf = pooledproxy_server_conf(r->server);
    pp_match_t *match = match_of(r);
    const pp_route_t *route;
    int status;

    if (!conf->enabled || r->proxyreq == PROXYREQ_PROXY)
        return DECLINED;
    *found = match;
    if (match && match->target)
        return OK;
    route = match ? match->route : is_ours(r->filename) ? pooledproxy_route_find(r) : NULL;
    if (!route && (is_ours(r->filename) || !is_ours(r->handler)))
        return DECLINED;
    if (!match)
        match = remember(r, route);
    status = route ? match_by_route(r, conf, match) : match_by_handler(r, conf, match);
    *found = status == OK ? match : NULL;
    return status;
}
