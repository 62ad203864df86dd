/* mod_pooledproxy_config_effect: warns about what was written and can't have any effect. Only about what is certain: where one value serves
 * several pools, it has none when it has none in each of them; and where handlers may be named at run time, any pool may be in use.
 */
#include "mod_pooledproxy_config_build.h"

#include <apr_strings.h>
#include <arpa/inet.h>
#include <http_core.h>
#include <http_log.h>

#include "mod_pooledproxy_target.h"

APLOG_USE_MODULE(pooledproxy);

#define MOMENTS PP_SEC(1)

/* What is known of a setting as it was written in one place. */
typedef struct finding_t {
    const char *where;
    const char *setting;
    const char *reason; /* why it has no effect in the first pool looked at */
    bool has_effect;    /* in one at least */
} finding_t;

typedef struct survey_t {
    const pp_build_t *build;
    apr_array_header_t *findings; /* of finding_t */
} survey_t;

void pooledproxy_warn(const pp_build_t *build, const char *where, const char *text)
{
    int startup = ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST ? APLOG_STARTUP : 0;

    ap_log_error(APLOG_MARK, APLOG_WARNING | startup, 0, build->main_server, "%s: %s", where, text);
}

/* reason: NULL where the setting has an effect. */
static void note(survey_t *survey, const char *where, const char *setting, const char *reason)
{
    finding_t *finding = NULL;

    for (int i = 0; i < survey->findings->nelts && !finding; i++) {
        finding_t *other = &APR_ARRAY_IDX(survey->findings, i, finding_t);

        if (strcmp(other->where, where) == 0 && strcmp(other->setting, setting) == 0)
            finding = other;
    }
    if (!finding) {
        finding = apr_array_push(survey->findings);
        *finding = (finding_t){where, setting, reason, false};
    }
    finding->has_effect |= !reason;
}

static void report_findings(const survey_t *survey)
{
    for (int i = 0; i < survey->findings->nelts; i++) {
        const finding_t *finding = &APR_ARRAY_IDX(survey->findings, i, finding_t);

        if (!finding->has_effect)
            pooledproxy_warn(survey->build, finding->where,
                             apr_psprintf(survey->build->p, "%s has no effect: %s", finding->setting, finding->reason));
    }
}

static const char *origin(const pp_pool_value_t *value)
{
    return value->where ? value->where : "default";
}

static bool is_used(const pp_build_t *build, const pp_built_pool_t *pool)
{
    return build->is_open || pooledproxy_pool_is_used(build, pool);
}

/* ---- settings that others make ineffective ---- */

static bool is_about_kept_connections(int row)
{
    static const int rows[] = {PP_POOL_ROW_keep_alive_timeout, PP_POOL_ROW_idle_max, PP_POOL_ROW_idle_min, PP_POOL_ROW_max_age,
                               PP_POOL_ROW_max_requests};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i] == row)
            return true;
    }
    return false;
}

static bool has_name(const pp_server_t *server)
{
    struct in6_addr addr;

    return !server->unix_path && inet_pton(AF_INET, server->host, &addr) != 1 && inet_pton(AF_INET6, server->host, &addr) != 1;
}

/* May it have to look up names? */
static bool may_look_up(const pp_build_t *build, const pp_built_pool_t *pool)
{
    for (int i = 0; pool->block && i < pool->block->servers->nelts; i++) {
        if (has_name(APR_ARRAY_IDX(pool->block->servers, i, pp_server_t *)))
            return true;
    }
    for (int i = 0; !pool->block && i < build->uses->nelts; i++) {
        const pp_use_t *use = APR_ARRAY_IDX(build->uses, i, pp_use_t *);

        if (use->pool == pool && has_name(use->upstream->servers[0]))
            return true;
    }
    return !pool->block && build->is_open;
}

static const char *why_no_effect(const pp_build_t *build, const pp_built_pool_t *pool, int row)
{
    const struct pp_pool_settings_t *settings = &pool->settings;
    pp_time_t limit = settings->host_limit_least.value ? settings->host_limit_least.value : settings->host_limit.value;

    if (is_about_kept_connections(row) && !settings->keep_alive.value &&
        pooledproxy_pool_value(settings, &pooledproxy_pool_rows[row])->value)
        return apr_psprintf(build->p, "no connection is kept, by PooledProxyKeepAlive Off (%s); remove one of the two",
                            origin(&settings->keep_alive));
    if (row == PP_POOL_ROW_host_limit && limit >= settings->size.value)
        return apr_psprintf(build->p,
                            "PooledProxyPoolSize %d (%s) allows no more for all hosts together; make it smaller than that",
                            (int)settings->size.value, origin(&settings->size));
    if (row == PP_POOL_ROW_dns_ttl && !may_look_up(build, pool))
        return "its servers are addresses and sockets, no names; remove it";
    return NULL;
}

static void report_resolver(const pp_build_t *build)
{
    const char *where = pooledproxy_server_conf(build->main_server)->origins->resolver;

    for (int i = 0; i < build->built->nelts; i++) {
        const pp_built_pool_t *pool = APR_ARRAY_IDX(build->built, i, pp_built_pool_t *);

        if (is_used(build, pool) && may_look_up(build, pool))
            return;
    }
    if (where)
        pooledproxy_warn(build, where,
                         "PooledProxyResolver has no effect: all servers are addresses and sockets, no names; remove it");
}

static void survey_pool(survey_t *survey, const pp_built_pool_t *pool)
{
    for (int i = 0; i < PP_POOL_ROWS; i++) {
        const pp_pool_row_t *row = &pooledproxy_pool_rows[i];
        const char *where = pooledproxy_pool_value(&pool->settings, row)->where;

        if (where)
            note(survey, where, row->directive, why_no_effect(survey->build, pool, i));
    }
    for (int i = 0; i < PP_TLS_ROWS; i++) {
        const char *where = pooledproxy_tls_value(&pool->settings, &pooledproxy_tls_rows[i])->where;

        if (where)
            note(survey, where, pooledproxy_tls_rows[i].directive, pooledproxy_tls_no_effect(survey->build, pool, i));
    }
}

/* A server's own limit also lifts PooledProxyHostLimit, where that is smaller or auto. */
static void survey_servers(survey_t *survey, const pp_built_pool_t *pool)
{
    const pp_pool_policy_t *policy = &pool->def->policy;

    for (int i = 0; pool->block && i < pool->block->servers->nelts; i++) {
        const pp_server_t *server = APR_ARRAY_IDX(pool->block->servers, i, pp_server_t *);

        if (server->limit < policy->size || policy->host_limit_least || (policy->host_limit && policy->host_limit < policy->size))
            continue;
        note(survey, APR_ARRAY_IDX(pool->block->wheres, i, const char *),
             apr_psprintf(survey->build->p, "PooledProxyServer %s limit=%d", server->url, server->limit),
             apr_psprintf(survey->build->p,
                          "PooledProxyPoolSize %d (%s) allows no more for all servers together; make it smaller "
                          "than that",
                          policy->size, origin(&pool->settings.size)));
    }
}

/* Without a queue nobody waits for a connection to become free, but for a handshake's turn, where fewer may be made at a time than there may
 * be, and for moments until one comes that is idle at another loop. */
static const char *why_no_wait(const pp_build_t *build, const pp_built_pool_t *pool, pp_time_t timeout)
{
    const pp_pool_policy_t *policy = &pool->def->policy;

    if (policy->queue || policy->max_connecting < policy->size || timeout < MOMENTS)
        return NULL;
    return apr_psprintf(build->p, "nobody waits for a connection, by PooledProxyQueue 0 (%s); remove one of the two",
                        origin(&pool->settings.queue));
}

/* Of a section's settings it can't be told for which requests they are. */
static void survey_pool_timeout(survey_t *survey, const pp_use_t *use)
{
    const pp_upstream_block_t *block = use->pool->block;
    const char *where = use->vhost->origins->settings[PP_SETTING_pool], *name = "PooledProxyTimeout pool=";
    pp_time_t timeout = use->vhost->settings.timeouts.pool;

    if (block && block->timeouts[PP_SETTING_pool]) {
        where = block->timeouts[PP_SETTING_pool];
        timeout = block->upstream->timeouts.pool;
    }
    if (use->route && use->route->settings.timeouts.pool != PP_UNSET) {
        where = use->where;
        name = "timeout.pool";
        timeout = use->route->settings.timeouts.pool;
    }
    if (where)
        note(survey, where, name, why_no_wait(survey->build, use->pool, timeout));
}

static void report_ineffective(const pp_build_t *build)
{
    survey_t survey = {build, apr_array_make(build->p, 8, sizeof(finding_t))};

    for (int i = 0; i < build->built->nelts; i++) {
        const pp_built_pool_t *pool = APR_ARRAY_IDX(build->built, i, pp_built_pool_t *);

        if (!is_used(build, pool))
            continue;
        survey_pool(&survey, pool);
        survey_servers(&survey, pool);
    }
    for (int i = 0; i < build->uses->nelts && !build->is_open; i++)
        survey_pool_timeout(&survey, APR_ARRAY_IDX(build->uses, i, pp_use_t *));
    report_findings(&survey);
}

/* ---- pools that nobody uses ---- */

static void report_unused_upstreams(const pp_build_t *build)
{
    for (int i = 0; i < build->built->nelts; i++) {
        const pp_built_pool_t *pool = APR_ARRAY_IDX(build->built, i, pp_built_pool_t *);

        if (pool->block && !is_used(build, pool))
            pooledproxy_warn(build, pool->block->where,
                             apr_psprintf(build->p,
                                          "<PooledProxyUpstream %s> has no effect: no route and no handler leads to it; "
                                          "add one to upstream://%s/, or remove it",
                                          pool->block->upstream->name, pool->block->upstream->name));
    }
}

/* Is there a pool in use that may inherit what is set in virtual host s? */
static bool is_inherited(const pp_build_t *build, const server_rec *s, bool by_upstreams_only)
{
    for (int i = 0; i < build->built->nelts; i++) {
        const pp_built_pool_t *pool = APR_ARRAY_IDX(build->built, i, pp_built_pool_t *);

        if ((!s->is_virtual || pool->vhost->server == s) && (pool->block || !by_upstreams_only) && is_used(build, pool))
            return true;
    }
    return false;
}

/* Is it set in virtual host s itself? */
static bool is_own(const pp_build_t *build, const server_rec *s, const char *where, const char *where_of_main)
{
    return where && (s == build->main_server || where != where_of_main);
}

static void report_unused(const pp_build_t *build, const char *directive, const char *where)
{
    pooledproxy_warn(build, where,
                     apr_pstrcat(build->p, directive,
                                 " has no effect: no route and no handler leads to a pool that it is "
                                 "for; write it where they lead to, or remove it",
                                 NULL));
}

static void report_unused_settings(const pp_build_t *build, const server_rec *s)
{
    const struct pp_pool_settings_t *settings = pooledproxy_server_conf(s)->pool_settings;
    const struct pp_pool_settings_t *of_main = pooledproxy_server_conf(build->main_server)->pool_settings;
    bool inherited = is_inherited(build, s, false);

    for (int i = 0; i < PP_POOL_ROWS && !inherited; i++) {
        const pp_pool_row_t *row = &pooledproxy_pool_rows[i];
        const pp_pool_value_t *value = pooledproxy_pool_value(settings, row);

        if (is_own(build, s, value->where, pooledproxy_pool_value(of_main, row)->where))
            report_unused(build, row->directive, value->where);
    }
    for (int i = 0; i < PP_TLS_ROWS && !inherited; i++) {
        const pp_tls_row_t *row = &pooledproxy_tls_rows[i];
        const pp_tls_value_t *value = pooledproxy_tls_value(settings, row);

        if (is_own(build, s, value->where, pooledproxy_tls_value(of_main, row)->where))
            report_unused(build, row->directive, value->where);
    }
    if (is_own(build, s, settings->balance.where, of_main->balance.where) && !is_inherited(build, s, true))
        pooledproxy_warn(
            build, settings->balance.where,
            "PooledProxyBalance has no effect: it is for a <PooledProxyUpstream>, and none that it is for is in use; write "
            "it inside the one that is meant, or remove it");
}

/* ---- routes ---- */

static const char *name_of(const pp_build_t *build, const pp_route_t *route)
{
    return route->path ? apr_pstrcat(build->p, "PooledProxyPass ", route->path, NULL)
                       : apr_pstrcat(build->p, "PooledProxyPassMatch ", route->pattern, NULL);
}

/* Does every request that `later` matches match `earlier` too? False where that can't be told. */
static bool hides(const pp_route_t *earlier, const pp_route_t *later)
{
    if (!earlier->path)
        return false;
    return later->path ? pooledproxy_prefix_match(later->path, earlier->path) > 0 : strcmp(earlier->path, "/") == 0;
}

static void report_if_hidden(const pp_build_t *build, const apr_array_header_t *routes, int n)
{
    const pp_route_t *route = APR_ARRAY_IDX(routes, n, pp_route_t *);

    for (int i = 0; i < n; i++) {
        const pp_route_t *earlier = APR_ARRAY_IDX(routes, i, pp_route_t *);

        if (!hides(earlier, route))
            continue;
        pooledproxy_warn(build, route->where,
                         apr_psprintf(build->p,
                                      "%s has no effect: %s (%s) comes before it and takes all its requests; put it before that",
                                      name_of(build, route), name_of(build, earlier), earlier->where));
        return;
    }
}

/* A virtual host's own routes; those of the main server come after them, and may well be hidden. */
static void report_hidden_routes(const pp_build_t *build, const server_rec *s)
{
    const apr_array_header_t *routes = pooledproxy_server_conf(s)->routes;
    int own = routes->nelts - (s->is_virtual ? pooledproxy_server_conf(build->main_server)->routes->nelts : 0);

    for (int i = 1; i < own; i++)
        report_if_hidden(build, routes, i);
}

void pooledproxy_effect_report(const pp_build_t *build)
{
    report_ineffective(build);
    report_unused_upstreams(build);
    report_resolver(build);
    for (const server_rec *s = build->main_server; s; s = s->next) {
        report_unused_settings(build, s);
        report_hidden_routes(build, s);
    }
}
