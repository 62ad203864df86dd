/* mod_pooledproxy_config: the table of directives; how configurations begin and how they lie over each other. */
#include "mod_pooledproxy_config.h"

#include <apr_hash.h>
#include <apr_strings.h>

#include "mod_pooledproxy_config_own.h"

#define EVENT_LOOPS_MOST 64

void *pooledproxy_config_create_server(apr_pool_t *p, server_rec *s)
{
    pp_server_conf_t *conf = apr_pcalloc(p, sizeof(*conf));

    conf->server = s;
    conf->enabled = PP_UNSET;
    conf->event_loops = PP_UNSET;
    conf->routes = apr_array_make(p, 4, sizeof(pp_route_t *));
    conf->location_routes = apr_array_make(p, 2, sizeof(pp_route_t *));
    conf->blocks = apr_array_make(p, 2, sizeof(pp_upstream_block_t *));
    conf->upstreams = apr_hash_make(p);
    conf->pool_settings = apr_palloc(p, sizeof(*conf->pool_settings));
    pooledproxy_pool_unset(conf->pool_settings);
    pooledproxy_settings_unset(&conf->settings);
    conf->origins = apr_pcalloc(p, sizeof(*conf->origins));
    return conf;
}

void *pooledproxy_config_merge_server(apr_pool_t *p, void *base_conf, void *over_conf)
{
    const pp_server_conf_t *base = base_conf, *over = over_conf;
    pp_server_conf_t *conf = apr_pmemdup(p, over, sizeof(*conf)); /* its own: server, blocks, location_routes */

    conf->enabled = over->enabled != PP_UNSET ? over->enabled : base->enabled;
    conf->event_loops = base->event_loops;
    conf->resolver = base->resolver;
    conf->routes = apr_array_append(p, over->routes, base->routes);
    conf->upstreams = apr_hash_overlay(p, over->upstreams, base->upstreams);
    conf->pool_settings = apr_pmemdup(p, base->pool_settings, sizeof(*base->pool_settings));
    pooledproxy_pool_overlay(conf->pool_settings, over->pool_settings);
    conf->settings = base->settings;
    pooledproxy_settings_overlay(p, &conf->settings, &over->settings);
    conf->origins = apr_pmemdup(p, base->origins, sizeof(*base->origins));
    pooledproxy_origins_overlay(conf->origins, over->origins);
    return conf;
}

void *pooledproxy_config_create_dir(apr_pool_t *p, char *location)
{
    pp_dir_conf_t *conf = apr_pcalloc(p, sizeof(*conf));

    conf->location = location;
    pooledproxy_settings_unset(&conf->settings);
    return conf;
}

void *pooledproxy_config_merge_dir(apr_pool_t *p, void *base_conf, void *over_conf)
{
    const pp_dir_conf_t *base = base_conf, *over = over_conf;
    pp_dir_conf_t *conf = apr_pmemdup(p, over, sizeof(*conf));

    conf->route = over->route ? over->route : base->route;
    conf->settings = base->settings;
    pooledproxy_settings_overlay(p, &conf->settings, &over->settings);
    return conf;
}

static const char *set_enabled(cmd_parms *cmd, void *dir, int on)
{
    pp_server_conf_t *conf = pooledproxy_server_conf(cmd->server);

    (void)dir;
    conf->enabled = on;
    conf->origins->enabled = pooledproxy_where(cmd->pool, cmd->directive);
    return NULL;
}

static const char *set_event_loops(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *why = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    pp_server_conf_t *conf = pooledproxy_server_conf(cmd->server);
    pp_time_t loops;

    (void)dir;
    if (why)
        return why;
    why = pooledproxy_parse_number(cmd->pool, arg, 1, EVENT_LOOPS_MOST, &loops);
    if (why)
        return apr_pstrcat(cmd->pool, "PooledProxyEventLoops: ", why, NULL);
    conf->event_loops = (int)loops;
    conf->origins->event_loops = pooledproxy_where(cmd->pool, cmd->directive);
    return NULL;
}

static const char *set_tls(cmd_parms *cmd, void *dir, const char *arg)
{
    return pooledproxy_set_tls(cmd, dir, arg, NULL);
}

#define VHOST RSRC_CONF
#define VHOST_DIR (RSRC_CONF | ACCESS_CONF)

/* By the kind of the row: how many values its directive takes. */
#define INIT_PP_NUMBER(directive, row, text) AP_INIT_TAKE1(directive, pooledproxy_set_pool, row, VHOST, text)
#define INIT_PP_FLAG INIT_PP_NUMBER
#define INIT_PP_TIME INIT_PP_NUMBER
#define INIT_PP_LIMIT INIT_PP_NUMBER
#define INIT_PP_AGE(directive, row, text) AP_INIT_TAKE12(directive, pooledproxy_set_max_age, row, VHOST, text)
#define INIT_PP_DNS(directive, row, text) AP_INIT_TAKE_ARGV(directive, pooledproxy_set_dns_ttl, row, VHOST, text)
#define INIT_TLS_RANGE(directive, row, text) AP_INIT_TAKE12(directive, pooledproxy_set_tls, row, VHOST, text)
#define INIT_TLS_FLAG(directive, row, text) AP_INIT_TAKE1(directive, set_tls, row, VHOST, text)
#define INIT_TLS_FILE INIT_TLS_FLAG
#define INIT_TLS_WORD INIT_TLS_FLAG
#define SETTING_ROW(member) ((void *)&pooledproxy_setting_rows[PP_SETTING_##member])

const command_rec pooledproxy_commands[] = {
    AP_INIT_FLAG("PooledProxy", set_enabled, NULL, VHOST, "On|Off: Off makes every route of this vhost decline (default: On)"),
    AP_INIT_TAKE_ARGV("PooledProxyPass", pooledproxy_add_route, NULL, VHOST_DIR,
                      "PATH URL [timeout.KEY=T ...] [nocanon]: routes a URL prefix; ! excludes; in <Location> without PATH"),
    AP_INIT_TAKE_ARGV("PooledProxyPassMatch", pooledproxy_add_regex_route, NULL, VHOST,
                      "REGEX URL [timeout.KEY=T ...] [nocanon]: routes by regular expression"),
    AP_INIT_RAW_ARGS("<PooledProxyUpstream", pooledproxy_open_upstream, NULL, VHOST, "NAME: a named group of servers and its pool"),
    AP_INIT_TAKE_ARGV("PooledProxyServer", pooledproxy_add_server, NULL, VHOST,
                      "URL [weight=N] [limit=N] [backup] [drain]: one server of the upstream"),
    AP_INIT_TAKE1("PooledProxyBalance", pooledproxy_set_balance, NULL, VHOST,
                  "roundrobin|leastconn|random2|hash:EXPR: which server takes a request (default: roundrobin)"),
    AP_INIT_TAKE2("PooledProxyCookieDomain", pooledproxy_add_cookie_domain, NULL, VHOST_DIR,
                  "FROM TO: the Domain of the backend's cookies"),
    AP_INIT_TAKE2("PooledProxyCookiePath", pooledproxy_add_cookie_path, NULL, VHOST_DIR,
                  "FROM TO: the Path of the backend's cookies"),
    AP_INIT_TAKE_ARGV("PooledProxyTimeout", pooledproxy_set_timeouts, NULL, VHOST_DIR,
                      "total=T pool=T connect=T write=T first-byte=T read=T, any of them"),
    AP_INIT_TAKE1("PooledProxyEventLoops", set_event_loops, NULL, VHOST,
                  "N: event loop threads in each child process (default: 1)"),
    AP_INIT_TAKE_ARGV("PooledProxyResolver", pooledproxy_set_resolver, NULL, VHOST,
                      "ADDR[:PORT] ...: DNS servers to ask (default: the system's)"),
    AP_INIT_TAKE1("PooledProxyBackendCapacity", pooledproxy_set_capacity, NULL, VHOST,
                  "N: connections that the upstream's servers can take: httpd -t fails when the limits could exceed it"),
#define PP_POOL(member, directive, kind, least, most, preset, text) \
    INIT_##kind(directive, (void *)&pooledproxy_pool_rows[PP_POOL_ROW_##member], text),
#define PP_POOL_PART(member, preset)
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
#undef PP_POOL_PART
#define PP_TLS(member, directive, kind, preset, text) \
    INIT_TLS_##kind(directive, (void *)&pooledproxy_tls_rows[PP_TLS_ROW_##member], text),
#include "mod_pooledproxy_tls.def"
#undef PP_TLS
#define PP_TIMEOUT(member, key, preset, least, text)
#define PP_CHOICE(member, directive, preset, words, text) \
    AP_INIT_TAKE1(directive, pooledproxy_set_choice, SETTING_ROW(member), VHOST_DIR, text),
#define PP_SIZE(member, directive, key, preset, text) \
    AP_INIT_TAKE1(directive, pooledproxy_set_size, SETTING_ROW(member), VHOST_DIR, text),
#include "mod_pooledproxy_settings.def"
#undef PP_TIMEOUT
#undef PP_CHOICE
#undef PP_SIZE
    {.name = NULL},
};
