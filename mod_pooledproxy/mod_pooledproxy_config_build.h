/* mod_pooledproxy_config_build: the configuration as a whole: what was made of it, and who looks at it before httpd runs. Private to the
 * configuration floor.
 */
#ifndef MOD_POOLEDPROXY_CONFIG_BUILD_H
#define MOD_POOLEDPROXY_CONFIG_BUILD_H

#include "mod_pooledproxy_config_own.h"

/* A pool with what it came from. */
typedef struct pp_built_pool_t {
    pp_pool_def_t *def;
    struct pp_pool_settings_t settings; /* complete: nothing is PP_UNSET */
    const pp_server_conf_t *vhost;      /* whose pool it is, or in which its block stands */
    const pp_upstream_block_t *block;   /* NULL: the virtual host's own pool */
} pp_built_pool_t;

/* "pooledproxy:URL" in a directive of another module. */
typedef struct pp_handler_use_t {
    const server_rec *server; /* where it stands */
    const char *url;
    const char *where; /* FILE:LINE */
} pp_handler_use_t;

/* A route or a handler that leads to a pool, in one virtual host. */
typedef struct pp_use_t {
    const pp_server_conf_t *vhost;
    const pp_built_pool_t *pool;
    const pp_upstream_t *upstream;
    const pp_route_t *route; /* NULL: a handler */
    const char *url;
    const char *where;
} pp_use_t;

typedef struct pp_build_t {
    apr_pool_t *p;
    server_rec *main_server;
    pp_main_conf_t *conf;
    apr_array_header_t *pools;     /* of pp_pool_def_t *, by index */
    apr_array_header_t *built;     /* of pp_built_pool_t *, by index too */
    apr_array_header_t *upstreams; /* of pp_upstream_t * */
    apr_array_header_t *handlers;  /* of pp_handler_use_t * */
    apr_array_header_t *uses;      /* of pp_use_t * */
    bool is_open;                  /* handlers may be named at run time: more pools may be in use than `uses` says */
    int errors;                    /* that were logged */
} pp_build_t;

/* Does all that post_config has to do, from what the directives have said; may be done again at will. Errors are logged. */
void pooledproxy_build(pp_build_t *build, apr_pool_t *p, server_rec *main_server, pp_main_conf_t *conf);

/* Looks through the configuration of vhost s for "pooledproxy:URL" in directives of other modules (SetHandler, RewriteRule):
 * remembers in conf->handlers how they are written, checks the URLs of SetHandler, logs what is wrong and counts it.
 * Returns whether there are any. */
bool pooledproxy_handlers_find(pp_build_t *build, server_rec *s);

/* The directives of a virtual host, and of nothing else: walks over sections too. */
typedef void pp_on_directive_t(void *self, server_rec *s, const ap_directive_t *directive);
void pooledproxy_directives_walk(server_rec *s, pp_on_directive_t *on_directive, void *self);

/* Fills build->uses and build->is_open. */
void pooledproxy_uses_find(pp_build_t *build);
bool pooledproxy_pool_is_used(const pp_build_t *build, const pp_built_pool_t *pool); /* by any of build->uses */

/* May requests come to it: by a use in a virtual host that is reachable and where PooledProxy is On? */
bool pooledproxy_pool_may_open(const pp_build_t *build, const pp_built_pool_t *pool);

/* Fills the servers of each pool's definition. */
void pooledproxy_servers_find(pp_build_t *build);

/* Makes the context of each pool that has servers with https:// URLs, or may be asked for them at run time. Errors are logged and
 * counted. */
void pooledproxy_tls_make(pp_build_t *build);

/* May such servers be asked? Why the setting of row number `row` has no effect in the pool; NULL: it has. */
bool pooledproxy_pool_has_tls(const pp_build_t *build, const pp_built_pool_t *pool);
const char *pooledproxy_tls_no_effect(const pp_build_t *build, const pp_built_pool_t *pool, int row);

/* Warns about keys that anybody may read. */
void pooledproxy_tls_report(const pp_build_t *build);

/* The most connections of a pool over all children. */
typedef struct pp_most_t {
    apr_int64_t number;
    const char *why; /* which settings make it so, and where they are */
} pp_most_t;

/* keys: NULL, or the servers that count, as the keys of a hash. */
pp_most_t pooledproxy_pool_most(const pp_build_t *build, const pp_built_pool_t *pool, apr_hash_t *keys);

/* Limits that contradict each other, and PooledProxyBackendCapacity. Errors are logged and counted. */
void pooledproxy_limits_check(pp_build_t *build);

/* A warning: what is written at `where` has no effect. */
void pooledproxy_warn(const pp_build_t *build, const char *where, const char *text);

/* What was written and has no effect is warned about: settings of pools, routes and upstreams; then settings in the wrong place. */
void pooledproxy_effect_report(const pp_build_t *build);
void pooledproxy_places_report(const pp_build_t *build);

#endif
