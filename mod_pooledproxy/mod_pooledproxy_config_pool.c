/* mod_pooledproxy_config_pool: the settings of a pool, all from the rows of mod_pooledproxy_pool.def. */
#include "mod_pooledproxy_config_own.h"

#include <apr_strings.h>
#include <http_log.h>

APLOG_USE_MODULE(pooledproxy);

#define JITTER "jitter="
#define JITTER_MOST 99

static const char *const balance_words[] = {"roundrobin", "leastconn", "random2"}; /* pp_balance_kind_t */

const pp_pool_row_t pooledproxy_pool_rows[PP_POOL_ROWS] = {
#define PP_POOL(member, directive, kind, least, most, preset, text) \
    {directive, kind, offsetof(struct pp_pool_settings_t, member), least, most, preset},
#define PP_POOL_PART(member, preset)
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
#undef PP_POOL_PART
};

static const pp_pool_value_t unset = {PP_UNSET, NULL};

void pooledproxy_pool_unset(struct pp_pool_settings_t *settings)
{
    memset(settings, 0, sizeof(*settings));
#define PP_POOL(member, directive, kind, least, most, preset, text) settings->member = unset;
#define PP_POOL_PART(member, preset) settings->member = unset;
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
#undef PP_POOL_PART
    settings->balance = unset;
}

void pooledproxy_pool_preset(struct pp_pool_settings_t *settings)
{
    memset(settings, 0, sizeof(*settings));
#define PP_POOL(member, directive, kind, least, most, preset, text) settings->member = (pp_pool_value_t){preset, NULL};
#define PP_POOL_PART(member, preset) settings->member = (pp_pool_value_t){preset, NULL};
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
#undef PP_POOL_PART
    settings->balance = (pp_pool_value_t){PP_BALANCE_ROUNDROBIN, NULL};
}

#define OVERLAY(member)                 \
    if (over->member.value != PP_UNSET) \
        base->member = over->member;

void pooledproxy_pool_overlay(struct pp_pool_settings_t *base, const struct pp_pool_settings_t *over)
{
#define PP_POOL(member, directive, kind, least, most, preset, text) OVERLAY(member)
#define PP_POOL_PART(member, preset) OVERLAY(member)
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
#undef PP_POOL_PART
    pooledproxy_tls_overlay(base, over);
    if (over->balance.value != PP_UNSET) {
        base->balance = over->balance;
        base->hash_expr = over->hash_expr;
        base->hash_text = over->hash_text;
    }
}

void pooledproxy_pool_policy(const struct pp_pool_settings_t *settings, pp_pool_policy_t *policy)
{
#define PP_POOL(member, directive, kind, least, most, preset, text) \
    policy->member = (__typeof__(policy->member))settings->member.value;
#define PP_POOL_PART(member, preset) policy->member = (__typeof__(policy->member))settings->member.value;
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
#undef PP_POOL_PART
    if (policy->host_limit_least && !policy->host_limit) /* auto without a most */
        policy->host_limit = policy->size;
}

const pp_pool_value_t *pooledproxy_pool_value(const struct pp_pool_settings_t *settings, const pp_pool_row_t *row)
{
    return (const pp_pool_value_t *)((const char *)settings + row->offset);
}

/* ---- reading ---- */

struct pp_pool_settings_t *pooledproxy_pool_settings_of(cmd_parms *cmd)
{
    const pp_server_conf_t *conf = pooledproxy_server_conf(cmd->server);

    return conf->open_block ? &conf->open_block->settings : conf->pool_settings;
}

static const char *parse_flag(apr_pool_t *p, const char *arg, pp_time_t *flag)
{
    if (strcasecmp(arg, "on") != 0 && strcasecmp(arg, "off") != 0)
        return apr_psprintf(p, "'%s' is not accepted; accepted: On, Off", arg);
    *flag = strcasecmp(arg, "on") == 0;
    return NULL;
}

/* auto, auto:MIN-MAX: of auto alone *most is 0. */
static bool parse_auto(apr_pool_t *p, const char *arg, const pp_pool_row_t *row, pp_time_t *least, pp_time_t *most)
{
    const char *dash = strchr(arg, '-');

    *least = 1;
    *most = 0;
    if (!arg[4])
        return true;
    return arg[4] == ':' && dash && !pooledproxy_parse_number(p, dash + 1, 1, row->most, most) &&
           !pooledproxy_parse_number(p, apr_pstrmemdup(p, arg + 5, (size_t)(dash - arg - 5)), 1, *most, least);
}

static const char *parse_limit(cmd_parms *cmd, const pp_pool_row_t *row, const char *arg, pp_time_t *limit)
{
    pp_pool_value_t *least = &pooledproxy_pool_settings_of(cmd)->host_limit_least;

    *least = (pp_pool_value_t){0, pooledproxy_where(cmd->pool, cmd->directive)};
    if (strncasecmp(arg, "auto", 4) == 0 && parse_auto(cmd->pool, arg, row, &least->value, limit))
        return NULL;
    if (!pooledproxy_parse_number(cmd->pool, arg, row->least, row->most, limit))
        return NULL;
    return apr_psprintf(cmd->pool, "'%s' is not accepted; accepted: a number from %d to %d, auto, auto:MIN-MAX (1 <= MIN <= MAX)",
                        arg, (int)row->least, (int)row->most);
}

static const char *parse_value(cmd_parms *cmd, const pp_pool_row_t *row, const char *arg, pp_time_t *value)
{
    switch (row->kind) {
    case PP_FLAG:
        return parse_flag(cmd->pool, arg, value);
    case PP_TIME:
    case PP_AGE:
        return pooledproxy_parse_time(cmd->pool, arg, row->least, row->most, value);
    case PP_LIMIT:
        return parse_limit(cmd, row, arg, value);
    case PP_DNS: /* by pooledproxy_set_dns_ttl() */
    case PP_NUMBER:
        break;
    }
    return pooledproxy_parse_number(cmd->pool, arg, row->least, row->most, value);
}

const char *pooledproxy_set_pool(cmd_parms *cmd, void *dir, const char *arg)
{
    const pp_pool_row_t *row = cmd->info;
    pp_pool_value_t *value = (pp_pool_value_t *)((char *)pooledproxy_pool_settings_of(cmd) + row->offset);
    const char *why = parse_value(cmd, row, arg, &value->value);

    (void)dir;
    value->where = pooledproxy_where(cmd->pool, cmd->directive);
    return why ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", why, NULL) : NULL;
}

static const char *parse_jitter(cmd_parms *cmd, const char *arg, pp_time_t *percent)
{
    const char *number = arg + strlen(JITTER);
    size_t len = strlen(arg);

    if (strncasecmp(arg, JITTER, strlen(JITTER)) == 0 && arg[len - 1] == '%' &&
        !pooledproxy_parse_number(cmd->pool, apr_pstrmemdup(cmd->pool, number, strlen(number) - 1), 0, JITTER_MOST, percent))
        return NULL;
    return apr_psprintf(cmd->pool, "%s: '%s' is not accepted; accepted: " JITTER "P%%, P from 0 to %d", cmd->cmd->name, arg,
                        JITTER_MOST);
}

const char *pooledproxy_set_max_age(cmd_parms *cmd, void *dir, const char *arg, const char *jitter)
{
    const char *why = pooledproxy_set_pool(cmd, dir, arg);
    pp_pool_value_t *percent = &pooledproxy_pool_settings_of(cmd)->max_age_jitter;

    if (why || !jitter)
        return why;
    percent->where = pooledproxy_where(cmd->pool, cmd->directive);
    return parse_jitter(cmd, jitter, &percent->value);
}

static const char *parse_hash_expr(cmd_parms *cmd, const char *expr, struct pp_pool_settings_t *settings)
{
    const char *why = NULL;

    if (!*expr)
        return "PooledProxyBalance: the expression after hash: is missing, as in hash:%{req:X-User}";
    settings->hash_text = expr;
    settings->hash_expr = ap_expr_parse_cmd(cmd, expr, AP_EXPR_FLAG_STRING_RESULT, &why, NULL);
    return why ? apr_pstrcat(cmd->pool, "PooledProxyBalance: '", expr, "' is not an expression: ", why, NULL) : NULL;
}

const char *pooledproxy_set_balance(cmd_parms *cmd, void *dir, const char *arg)
{
    struct pp_pool_settings_t *settings = pooledproxy_pool_settings_of(cmd);

    (void)dir;
    settings->hash_expr = NULL;
    settings->balance.where = pooledproxy_where(cmd->pool, cmd->directive);
    for (int i = 0; i < (int)(sizeof(balance_words) / sizeof(balance_words[0])); i++) {
        if (strcasecmp(arg, balance_words[i]) == 0) {
            settings->balance.value = i;
            return NULL;
        }
    }
    settings->balance.value = PP_BALANCE_HASH;
    if (strncasecmp(arg, "hash:", 5) == 0)
        return parse_hash_expr(cmd, arg + 5, settings);
    return apr_pstrcat(cmd->pool, "PooledProxyBalance: '", arg,
                       "' is not accepted; accepted: roundrobin, leastconn, random2, hash:EXPRESSION", NULL);
}

/* ---- writing ---- */

static const char *limit_text(apr_pool_t *p, const struct pp_pool_settings_t *settings)
{
    int least = (int)settings->host_limit_least.value, most = (int)settings->host_limit.value;

    if (!least)
        return apr_itoa(p, most);
    return apr_psprintf(p, "auto:%d-%d", least, most ? most : (int)settings->size.value);
}

const char *pooledproxy_pool_text(apr_pool_t *p, const struct pp_pool_settings_t *settings, const pp_pool_row_t *row)
{
    pp_time_t value = pooledproxy_pool_value(settings, row)->value;

    switch (row->kind) {
    case PP_FLAG:
        return value ? "On" : "Off";
    case PP_TIME:
        return pooledproxy_time_text(p, value);
    case PP_AGE:
        return apr_psprintf(p, "%s " JITTER "%d%%", pooledproxy_time_text(p, value), (int)settings->max_age_jitter.value);
    case PP_LIMIT:
        return limit_text(p, settings);
    case PP_DNS:
        return pooledproxy_dns_text(p, settings);
    case PP_NUMBER:
        break;
    }
    return apr_itoa(p, (int)value);
}

const char *pooledproxy_balance_text(apr_pool_t *p, const struct pp_pool_settings_t *settings)
{
    if (settings->balance.value == PP_BALANCE_HASH)
        return apr_pstrcat(p, "hash:", settings->hash_text, NULL);
    return balance_words[settings->balance.value];
}
