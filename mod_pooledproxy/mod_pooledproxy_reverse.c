/* mod_pooledproxy_reverse: the way back of ProxyPassReverse and ProxyPassReverseCookie..., taken from the route itself. */
#include "mod_pooledproxy_reverse.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_core.h>

static const char *without_slash(apr_pool_t *p, const char *path)
{
    size_t len = strlen(path);

    while (len && path[len - 1] == '/')
        len--;
    return path[len] ? apr_pstrmemdup(p, path, len) : path;
}

void pooledproxy_reverse_init(pp_reverse_t *reverse, request_rec *r, const pp_match_t *match, const pp_server_t *server)
{
    const pp_route_t *route = match->route;
    const char *url_path = without_slash(r->pool, match->url_path);
    bool has_prefix = route && route->path && !route->regex;

    memset(reverse, 0, sizeof(*reverse));
    reverse->r = r;
    reverse->match = match;
    reverse->front = has_prefix ? without_slash(r->pool, route->path) : "";
    reverse->back = url_path;
    if (!server)
        return;
    reverse->authority = server->authority;
    reverse->scheme = server->is_tls ? "https:" : "http:";
    if (server->port == pp_server_default_port(server))
        reverse->port = server->is_tls ? ":443" : ":80";
    if (match->upstream->name && *server->path)
        reverse->back = apr_pstrcat(r->pool, server->path, url_path, NULL);
}

/* Is `path` the prefix or below it? */
static bool is_under(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(path, prefix, len) == 0 && (!path[len] || strchr("/?#", path[len]));
}

/* What follows the authority of //HOST[:PORT]... when that is the backend's; else NULL. */
static const char *after_authority(const pp_reverse_t *reverse, const char *at)
{
    size_t len = strcspn(at, "/?#"), own = reverse->authority ? strlen(reverse->authority) : 0;

    if (!own || len < own || strncasecmp(at, reverse->authority, own) != 0)
        return NULL;
    if (len == own || (reverse->port && len == own + strlen(reverse->port) && strncmp(at + own, reverse->port, len - own) == 0))
        return at + len;
    return NULL;
}

static const char *reverse_path(const pp_reverse_t *reverse, const char *path)
{
    const char *rest = path + strlen(reverse->back);

    return apr_pstrcat(reverse->r->pool, reverse->front, *reverse->front || *rest == '/' ? "" : "/", rest, NULL);
}

static const char *reverse_absolute(const pp_reverse_t *reverse, const char *url, const char *path)
{
    apr_pool_t *p = reverse->r->pool;

    if (*path != '/')
        path = apr_pstrcat(p, "/", path, NULL);
    return is_under(path, reverse->back) ? ap_construct_url(p, reverse_path(reverse, path), reverse->r) : url;
}

const char *pooledproxy_reverse_url(const pp_reverse_t *reverse, const char *url)
{
    const char *path = NULL;
    size_t scheme = reverse->scheme ? strlen(reverse->scheme) : 0;

    if (scheme && strncasecmp(url, reverse->scheme, scheme) == 0 && strncmp(url + scheme, "//", 2) == 0)
        path = after_authority(reverse, url + scheme + 2);
    else if (strncmp(url, "//", 2) == 0)
        path = after_authority(reverse, url + 2);
    else if (*url == '/' && strcmp(reverse->front, reverse->back) != 0 && is_under(url, reverse->back)) {
        /* A backend that knows the front's paths has written what the front understands. */
        bool knows_front = *reverse->front && is_under(url, reverse->front);

        return knows_front ? url : reverse_path(reverse, url);
    }
    return path ? reverse_absolute(reverse, url, path) : url;
}

const char *pooledproxy_reverse_refresh(const pp_reverse_t *reverse, const char *value)
{
    apr_pool_t *p = reverse->r->pool;
    const char *at = strpbrk(value, ";,"), *end;
    char *url;

    if (!at)
        return value;
    at += 1 + strspn(at + 1, " \t");
    if (strncasecmp(at, "url", 3) != 0)
        return value;
    at += 3 + strspn(at + 3, " \t");
    if (*at != '=')
        return value;
    at += 1 + strspn(at + 1, " \t");
    if (*at == '"' || *at == '\'')
        at++;
    end = at + (at[-1] == '"' || at[-1] == '\'' ? strcspn(at, at[-1] == '"' ? "\"" : "'") : strlen(at));
    url = apr_pstrmemdup(p, at, (size_t)(end - at));
    return apr_pstrcat(p, apr_pstrmemdup(p, value, (size_t)(at - value)), pooledproxy_reverse_url(reverse, url), end, NULL);
}

/* The next '<' outside quoted strings, or NULL. */
static const char *next_target(const char *at)
{
    bool quoted = false;

    for (; *at && (quoted || *at != '<'); at++) {
        if (*at == '"')
            quoted = !quoted;
        else if (*at == '\\' && quoted && at[1])
            at++;
    }
    return *at ? at : NULL;
}

const char *pooledproxy_reverse_link(const pp_reverse_t *reverse, const char *value)
{
    apr_pool_t *p = reverse->r->pool;
    const char *made = "", *open, *close;

    while ((open = next_target(value)) && (close = strchr(open, '>'))) {
        const char *url = pooledproxy_reverse_url(reverse, apr_pstrmemdup(p, open + 1, (size_t)(close - open - 1)));

        made = apr_pstrcat(p, made, apr_pstrmemdup(p, value, (size_t)(open + 1 - value)), url, ">", NULL);
        value = close + 1;
    }
    return *made ? apr_pstrcat(p, made, value, NULL) : value;
}

static const char *cookie_path(const apr_array_header_t *maps, const char *path)
{
    for (int i = 0; maps && i < maps->nelts; i++) {
        const pp_cookie_map_t *map = &APR_ARRAY_IDX(maps, i, pp_cookie_map_t);

        if (strncmp(path, map->from, strlen(map->from)) == 0)
            return map->to;
    }
    return NULL;
}

static const char *cookie_domain(const apr_array_header_t *maps, const char *domain)
{
    domain += *domain == '.';
    for (int i = 0; maps && i < maps->nelts; i++) {
        const pp_cookie_map_t *map = &APR_ARRAY_IDX(maps, i, pp_cookie_map_t);

        if (strcasecmp(domain, map->from + (*map->from == '.')) == 0)
            return map->to;
    }
    return NULL;
}

/* The attribute " NAME=VALUE" with its value mapped. */
static const char *reverse_attribute(const pp_reverse_t *reverse, const char *attribute)
{
    const pp_request_settings_t *settings = &reverse->match->settings;
    const char *name = attribute + strspn(attribute, " \t"), *to = NULL;
    const char *equals = strchr(name, '='), *value;

    if (!equals)
        return attribute;
    value = equals + 1 + strspn(equals + 1, " \t");
    value = apr_pstrmemdup(reverse->r->pool, value, strcspn(value, " \t"));
    if (strncasecmp(name, "Path=", 5) == 0)
        to = cookie_path(settings->cookie_paths, value);
    else if (strncasecmp(name, "Domain=", 7) == 0)
        to = cookie_domain(settings->cookie_domains, value);
    return to ? apr_pstrcat(reverse->r->pool, apr_pstrmemdup(reverse->r->pool, attribute, (size_t)(equals + 1 - attribute)), to,
                            NULL)
              : attribute;
}

const char *pooledproxy_reverse_cookie(const pp_reverse_t *reverse, const char *value)
{
    apr_pool_t *p = reverse->r->pool;
    size_t len = strcspn(value, ";");
    const char *made;

    if (!reverse->match->settings.cookie_domains && !reverse->match->settings.cookie_paths)
        return value;
    made = apr_pstrmemdup(p, value, len);
    for (value += len; *value; value += len) {
        len = 1 + strcspn(value + 1, ";");
        made = apr_pstrcat(p, made, ";", reverse_attribute(reverse, apr_pstrmemdup(p, value + 1, len - 1)), NULL);
    }
    return made;
}
