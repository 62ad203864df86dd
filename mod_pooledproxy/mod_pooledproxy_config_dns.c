/* mod_pooledproxy_config_dns: how long names are believed (PooledProxyDNSTTL), and who is asked for them (PooledProxyResolver). */
#include "mod_pooledproxy_config_own.h"

#include <apr_strings.h>
#include <arpa/inet.h>
#include <stdlib.h>

#define TIME_MOST PP_SEC(86400)
#define DEFAULT_PORT 53
#define RECORD "record"
#define KEYS "max=T, min=T, stale=T, negative=T"

/* ---- PooledProxyDNSTTL ---- */

static const char *const keys[] = {"max", "min", "stale", "negative"};

static pp_pool_value_t *value_of(struct pp_pool_settings_t *settings, int key)
{
    pp_pool_value_t *const values[] = {&settings->dns_max, &settings->dns_min, &settings->dns_stale, &settings->dns_negative};

    return values[key];
}

static const char *parse_ttl(apr_pool_t *p, const char *arg, pp_time_t *ttl)
{
    const char *why;

    *ttl = 0;
    if (strcasecmp(arg, RECORD) == 0)
        return NULL;
    why = pooledproxy_parse_time(p, arg, PP_MSEC(1), TIME_MOST, ttl);
    return why ? apr_pstrcat(p, why, ", or " RECORD, NULL) : NULL;
}

/* "KEY=T"; `given` has what was there before it, each but once. */
static const char *parse_key(apr_pool_t *p, const char *arg, bool is_record, struct pp_pool_settings_t *given)
{
    size_t len = strcspn(arg, "=");

    for (int i = 0; i < (int)(sizeof(keys) / sizeof(keys[0])); i++) {
        pp_pool_value_t *value = value_of(given, i);
        const char *why;

        if (!arg[len] || strlen(keys[i]) != len || strncasecmp(arg, keys[i], len) != 0)
            continue;
        if (value->value != PP_UNSET)
            return apr_pstrcat(p, "'", keys[i], "' is given twice", NULL);
        if (i < 2 && !is_record)
            return apr_pstrcat(p, keys[i], ": it is a limit of the record's own time; accepted with " RECORD " only", NULL);
        why = pooledproxy_parse_time(p, arg + len + 1, i == 0 ? PP_MSEC(1) : 0, TIME_MOST, &value->value);
        return why ? apr_pstrcat(p, keys[i], ": ", why, NULL) : NULL;
    }
    return apr_pstrcat(p, "'", arg, "' is not accepted; accepted: " KEYS, NULL);
}

static void take(struct pp_pool_settings_t *settings, struct pp_pool_settings_t *given, const char *where)
{
    settings->dns_ttl = (pp_pool_value_t){given->dns_ttl.value, where};
    for (int i = 0; i < (int)(sizeof(keys) / sizeof(keys[0])); i++) {
        if (value_of(given, i)->value != PP_UNSET)
            *value_of(settings, i) = (pp_pool_value_t){value_of(given, i)->value, where};
    }
}

const char *pooledproxy_set_dns_ttl(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    struct pp_pool_settings_t given;
    const char *why = argc ? NULL : "nothing is given; accepted: " RECORD "|T [max=T] [min=T] [stale=T] [negative=T]";

    (void)dir;
    pooledproxy_pool_unset(&given);
    if (!why)
        why = parse_ttl(cmd->pool, argv[0], &given.dns_ttl.value);
    for (int i = 1; i < argc && !why; i++)
        why = parse_key(cmd->pool, argv[i], !given.dns_ttl.value, &given);
    if (why)
        return apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", why, NULL);
    take(pooledproxy_pool_settings_of(cmd), &given, pooledproxy_where(cmd->pool, cmd->directive));
    return NULL;
}

const char *pooledproxy_dns_text(apr_pool_t *p, const struct pp_pool_settings_t *settings)
{
    struct pp_pool_settings_t copy = *settings;
    const char *text = settings->dns_ttl.value ? pooledproxy_time_text(p, settings->dns_ttl.value) : RECORD;

    for (int i = settings->dns_ttl.value ? 2 : 0; i < (int)(sizeof(keys) / sizeof(keys[0])); i++)
        text = apr_pstrcat(p, text, " ", keys[i], "=", pooledproxy_time_text(p, value_of(&copy, i)->value), NULL);
    return text;
}

/* ---- PooledProxyResolver ---- */

/* Behind the address: nothing, or ":PORT". 0: something else. */
static int parse_port(const char *rest)
{
    size_t len = strspn(rest + (*rest == ':'), "0123456789");
    long port;

    if (!*rest)
        return DEFAULT_PORT;
    if (*rest != ':' || !len || len > 5 || rest[1 + len])
        return 0;
    port = strtol(rest + 1, NULL, 10);
    return port <= 65535 ? (int)port : 0;
}

/* An address as c-ares wants it; NULL: it is none. */
static const char *parse_resolver(apr_pool_t *p, const char *arg)
{
    struct in6_addr addr;
    bool bracket = *arg == '[';
    const char *end = strchr(arg, bracket ? ']' : ':');
    size_t len = end ? (size_t)(end - arg) : strlen(arg);
    const char *host = apr_pstrmemdup(p, arg + bracket, len - bracket);
    int port;

    if (!bracket && inet_pton(AF_INET6, arg, &addr) == 1)
        return apr_psprintf(p, "[%s]:%d", arg, DEFAULT_PORT);
    if ((bracket && !end) || inet_pton(bracket ? AF_INET6 : AF_INET, host, &addr) != 1)
        return NULL;
    port = parse_port(arg + len + bracket);
    if (!port)
        return NULL;
    return apr_psprintf(p, bracket ? "[%s]:%d" : "%s:%d", host, port);
}

const char *pooledproxy_set_resolver(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    const char *why = ap_check_cmd_context(cmd, GLOBAL_ONLY), *servers = NULL;
    pp_server_conf_t *conf = pooledproxy_server_conf(cmd->server);

    (void)dir;
    if (why)
        return why;
    if (!argc)
        return "PooledProxyResolver: nothing is given; accepted: ADDR[:PORT] ..., IPv6 with a port as [ADDR]:PORT";
    for (int i = 0; i < argc; i++) {
        const char *server = parse_resolver(cmd->pool, argv[i]);

        if (!server)
            return apr_pstrcat(cmd->pool, "PooledProxyResolver: '", argv[i],
                               "' is not accepted; accepted: an IPv4 or IPv6 address, with a port as ADDR:PORT or [ADDR]:PORT",
                               NULL);
        servers = servers ? apr_pstrcat(cmd->pool, servers, ",", server, NULL) : server;
    }
    conf->resolver = servers;
    conf->origins->resolver = pooledproxy_where(cmd->pool, cmd->directive);
    return NULL;
}
