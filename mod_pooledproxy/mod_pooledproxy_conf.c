/* mod_pooledproxy_conf: reads the configuration: where it is kept, how its layers lie over each other, what a URL stands for. */
#include "mod_pooledproxy_conf.h"

#include <apr_hash.h>
#include <apr_strings.h>

#define UPSTREAM_SCHEME "upstream://"

static const pp_main_conf_t *main_conf;

pp_server_conf_t *pooledproxy_server_conf(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &pooledproxy_module);
}

pp_dir_conf_t *pooledproxy_dir_conf(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &pooledproxy_module);
}

const pp_main_conf_t *pooledproxy_main_conf(void)
{
    return main_conf;
}

void pooledproxy_main_conf_set(const pp_main_conf_t *conf)
{
    main_conf = conf;
}

void pooledproxy_timeouts_unset(pp_timeouts_t *timeouts)
{
#define PP_TIMEOUT(member, key, preset, least, text) timeouts->member = PP_UNSET;
#define PP_CHOICE(member, directive, preset, words, text)
#define PP_SIZE(member, directive, key, preset, text)
#include "mod_pooledproxy_settings.def"
#undef PP_TIMEOUT
#undef PP_CHOICE
#undef PP_SIZE
}

#define OVERLAY(member)           \
    if (over->member != PP_UNSET) \
        base->member = over->member;

void pooledproxy_timeouts_overlay(pp_timeouts_t *base, const pp_timeouts_t *over)
{
#define PP_TIMEOUT(member, key, preset, least, text) OVERLAY(member)
#define PP_CHOICE(member, directive, preset, words, text)
#define PP_SIZE(member, directive, key, preset, text)
#include "mod_pooledproxy_settings.def"
#undef PP_TIMEOUT
#undef PP_CHOICE
#undef PP_SIZE
}

void pooledproxy_settings_unset(pp_request_settings_t *settings)
{
    memset(settings, 0, sizeof(*settings));
    pooledproxy_timeouts_unset(&settings->timeouts);
#define PP_TIMEOUT(member, key, preset, least, text)
#define PP_CHOICE(member, directive, preset, words, text) settings->member = PP_UNSET;
#define PP_SIZE(member, directive, key, preset, text) settings->member = PP_UNSET;
#include "mod_pooledproxy_settings.def"
#undef PP_TIMEOUT
#undef PP_CHOICE
#undef PP_SIZE
}

void pooledproxy_settings_preset(pp_request_settings_t *settings)
{
    memset(settings, 0, sizeof(*settings));
#define PP_TIMEOUT(member, key, preset, least, text) settings->timeouts.member = preset;
#define PP_CHOICE(member, directive, preset, words, text) settings->member = preset;
#define PP_SIZE(member, directive, key, preset, text) settings->member = preset;
#include "mod_pooledproxy_settings.def"
#undef PP_TIMEOUT
#undef PP_CHOICE
#undef PP_SIZE
}

static void overlay_array(apr_pool_t *p, apr_array_header_t **base, const apr_array_header_t *over)
{
    if (!over || over == *base)
        return;
    *base = *base ? apr_array_append(p, over, *base) : apr_array_copy_hdr(p, over);
}

void pooledproxy_settings_overlay(apr_pool_t *p, pp_request_settings_t *base, const pp_request_settings_t *over)
{
    pooledproxy_timeouts_overlay(&base->timeouts, &over->timeouts);
#define PP_TIMEOUT(member, key, preset, least, text)
#define PP_CHOICE(member, directive, preset, words, text) OVERLAY(member)
#define PP_SIZE(member, directive, key, preset, text) OVERLAY(member)
#include "mod_pooledproxy_settings.def"
#undef PP_TIMEOUT
#undef PP_CHOICE
#undef PP_SIZE
    overlay_array(p, &base->cookie_domains, over->cookie_domains);
    overlay_array(p, &base->cookie_paths, over->cookie_paths);
}

static const char *known_names(apr_pool_t *p, apr_hash_t *upstreams)
{
    const char *names = NULL;

    for (apr_hash_index_t *i = apr_hash_first(p, upstreams); i; i = apr_hash_next(i)) {
        const pp_upstream_t *upstream = apr_hash_this_val(i);

        names = names ? apr_pstrcat(p, names, ", ", upstream->name, NULL) : upstream->name;
    }
    return names ? apr_pstrcat(p, "known here: ", names, NULL) : "there is no <PooledProxyUpstream> here or in the main server";
}

static const char *from_name(apr_pool_t *p, const pp_server_conf_t *conf, const char *url, pp_upstream_t **upstream,
                             const char **path)
{
    const char *name = url + strlen(UPSTREAM_SCHEME), *why;
    char *key = apr_pstrmemdup(p, name, strcspn(name, "/?#"));

    *path = apr_pstrdup(p, name + strlen(key));
    why = pp_url_path_error(*path);
    if (!*key || why)
        return apr_pstrcat(p, "'", url, "': ", why ? why : "the name is missing", "; accepted: " UPSTREAM_SCHEME "NAME/...", NULL);
    if (!conf)
        return NULL;
    ap_str_tolower(key);
    *upstream = apr_hash_get(conf->upstreams, key, APR_HASH_KEY_STRING);
    return *upstream ? NULL
                     : apr_pstrcat(p, "'", url, "': there is no upstream of that name; ", known_names(p, conf->upstreams), NULL);
}

static pp_upstream_t *of_one(apr_pool_t *p, const pp_server_conf_t *conf, pp_server_t *server)
{
    pp_upstream_t *upstream = apr_pcalloc(p, sizeof(*upstream));

    upstream->pool = conf ? conf->pool : NULL;
    upstream->nservers = 1;
    upstream->servers = apr_pmemdup(p, &server, sizeof(server));
    upstream->balance = PP_BALANCE_ROUNDROBIN;
    upstream->index = -1;
    pooledproxy_timeouts_unset(&upstream->timeouts);
    return upstream;
}

const char *pooledproxy_upstream_from_url(apr_pool_t *p, const pp_server_conf_t *conf, const char *url, pp_upstream_t **upstream,
                                          const char **path)
{
    pp_server_t *server;
    const char *why;

    *upstream = NULL;
    if (strncasecmp(url, UPSTREAM_SCHEME, strlen(UPSTREAM_SCHEME)) == 0)
        return from_name(p, conf, url, upstream, path);
    why = pp_server_parse(p, url, &server);
    if (why)
        return apr_pstrcat(p, why, " and " UPSTREAM_SCHEME "NAME/...", NULL);
    *upstream = of_one(p, conf, server);
    *path = server->path;
    return NULL;
}
