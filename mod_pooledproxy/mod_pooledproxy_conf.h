/* mod_pooledproxy_conf: the module's configuration as the rest of the module reads it. Filled by mod_pooledproxy_config.c.
 *
 * Ownership: everything lives in the configuration pool; nothing changes after post_config.
 */
#ifndef MOD_POOLEDPROXY_CONF_H
#define MOD_POOLEDPROXY_CONF_H

#include <apr_hash.h>
#include <httpd.h>
#include <http_config.h>
#include <ap_expr.h>

#include "pp_upstream.h"

extern module AP_MODULE_DECLARE_DATA __attribute__((visibility("default"))) pooledproxy_module; /* the one symbol httpd needs */

#define PP_UNSET (-1) /* in every int, enum and time field: not set here, inherit */

/* Handler names and r->filename of routed requests begin with this: "pooledproxy:URL" */
#define PP_HANDLER_PREFIX "pooledproxy:"
#define PP_STATUS_HANDLER "pooledproxy-status"

enum { PP_FORWARDED_OFF, PP_FORWARDED_X, PP_FORWARDED_RFC7239, PP_FORWARDED_BOTH };
enum { PP_STATUS_HEADER_OFF, PP_STATUS_HEADER_ERRORS, PP_STATUS_HEADER_ALWAYS };

/* PooledProxyCookieDomain / PooledProxyCookiePath FROM TO */
typedef struct pp_cookie_map_t {
    const char *from;
    const char *to;
    const char *where; /* FILE:LINE */
} pp_cookie_map_t;

/* Settings that may differ per request: context V D, and the keys of PooledProxyPass. */
typedef struct pp_request_settings_t {
    pp_timeouts_t timeouts; /* fields may be PP_UNSET while merging */
    int preserve_host;
    int forwarded; /* PP_FORWARDED_... */
    int rewrite_redirects;
    int async;
    int status_header;                  /* PP_STATUS_HEADER_... */
    int request_buffer;                 /* PooledProxyRequestBuffer: bytes of the body kept for a replay; 0: none */
    apr_array_header_t *cookie_domains; /* of pp_cookie_map_t, or NULL */
    apr_array_header_t *cookie_paths;
} pp_request_settings_t;

/* One PooledProxyPass or PooledProxyPassMatch. */
typedef struct pp_route_t {
    const char *path;    /* the prefix; in <Location> the location's path; NULL with regex */
    ap_regex_t *regex;   /* PooledProxyPassMatch */
    const char *pattern; /* the regex as it was written, or NULL */
    const char *url;     /* as written; with regex it may hold $1 ... $9 in its path */
    bool exclude;        /* "!" */
    bool nocanon;
    bool in_location;
    pp_upstream_t *upstream;        /* NULL for exclude; for upstream://NAME resolved in post_config */
    const char *url_path;           /* what replaces the prefix: the URL's path, "" or "/..." */
    pp_request_settings_t settings; /* from the keys */
    const char *where;              /* FILE:LINE */
} pp_route_t;

typedef struct pp_server_conf_t {
    server_rec *server;
    int enabled;                /* PooledProxy On|Off */
    int event_loops;            /* PooledProxyEventLoops, main server only */
    const char *resolver;       /* PooledProxyResolver, main server only: "address:port,..."; NULL: the system's */
    apr_array_header_t *routes; /* of pp_route_t *, in order of the configuration; never NULL */
    apr_hash_t *upstreams;      /* name in lower case -> pp_upstream_t *: this vhost's and, after merge, the main server's */
    struct pp_pool_settings_t *pool_settings; /* private to the configuration floor: policy fields with PP_UNSET */
    apr_array_header_t *blocks;               /* private to it: of struct pp_upstream_block_t *, this vhost's own */
    apr_array_header_t *location_routes;      /* private to it: of pp_route_t *, those of this vhost's <Location>s */
    struct pp_upstream_block_t *open_block;   /* private to it: the <PooledProxyUpstream> that is being read */
    struct pp_origins_t *origins;             /* private to it: where `settings`, enabled and event_loops are set */
    pp_pool_def_t *pool;                      /* this vhost's pool; after post_config */
    pp_request_settings_t settings;           /* after post_config without any PP_UNSET */
    bool has_routes; /* may any request of this vhost be ours (routes, locations, handlers)? After post_config */
} pp_server_conf_t;

typedef struct pp_dir_conf_t {
    const char *location; /* the path of the section it is set in, or NULL */
    pp_route_t *route;    /* PooledProxyPass inside <Location>, or NULL */
    pp_request_settings_t settings;
} pp_dir_conf_t;

/* What post_config made for the whole server. */
typedef struct pp_main_conf_t {
    int event_loops;
    const char *resolver; /* "address:port,..."; NULL: the system's */
    int npools;
    pp_pool_def_t **pools; /* by index */
    int nupstreams;
    pp_upstream_t **upstreams; /* named ones, by index */
    apr_hash_t *handlers;      /* "pooledproxy:URL" in lower case, as httpd hands it on -> as it was written */
} pp_main_conf_t;

pp_server_conf_t *pooledproxy_server_conf(const server_rec *s);
pp_dir_conf_t *pooledproxy_dir_conf(const request_rec *r);
const pp_main_conf_t *pooledproxy_main_conf(void);
void pooledproxy_main_conf_set(const pp_main_conf_t *conf); /* post_config */

/* Nothing set; the defaults; and what `over` sets laid over `base`, in place (arrays are made in `p`, over's entries first). */
void pooledproxy_settings_unset(pp_request_settings_t *settings);
void pooledproxy_settings_preset(pp_request_settings_t *settings);
void pooledproxy_settings_overlay(apr_pool_t *p, pp_request_settings_t *base, const pp_request_settings_t *over);
void pooledproxy_timeouts_unset(pp_timeouts_t *timeouts);
void pooledproxy_timeouts_overlay(pp_timeouts_t *base, const pp_timeouts_t *over);

/* The upstream that `url` names: that of conf->upstreams for upstream://NAME/..., else a new one in `p` with the one server of the
 * URL, which draws on conf->pool. *path: the URL's path. NULL, or a message. With conf NULL only the URL is checked: *upstream is
 * NULL for upstream://. */
const char *pooledproxy_upstream_from_url(apr_pool_t *p, const pp_server_conf_t *conf, const char *url, pp_upstream_t **upstream,
                                          const char **path);

/* The route that a request was matched to in translate_name (or by its handler): kept in r->request_config. */
typedef struct pp_match_t {
    const pp_route_t *route; /* NULL: SetHandler / H= */
    const pp_upstream_t *upstream;
    const char *target;             /* path and query for the request line, escaped, valid (pp_h1_is_target) */
    const char *url_path;           /* the URL's path, which stands at the beginning of target; "" when that varies ($1) */
    pp_request_settings_t settings; /* effective: nothing PP_UNSET */
} pp_match_t;

/* Finds the route of r by its decoded r->uri: the dir conf's route, then the vhost's in order. NULL: none, or excluded.
 * Cheap; no side effect. To be called when r->per_dir_config has the locations merged, or (for a first guess) before. */
const pp_route_t *pooledproxy_route_find(request_rec *r);

/* Matches r: fills a pp_match_t in r->pool and remembers it in r->request_config. OK; DECLINED: not ours; an HTTP status: refused
 * (e.g. 400 for a path that can't be forwarded, 500 for a bad handler URL, which is logged). Works from r->filename/r->handler
 * "pooledproxy:URL" where no route applies. */
int pooledproxy_match(request_rec *r, const pp_match_t **match);

#endif
