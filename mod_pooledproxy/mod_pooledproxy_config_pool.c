/* mod_pooledproxy_config_pool: the settings of a pool, all from the rows of mod_pooledproxy_pool.def. */
#include "mod_pooledproxy_config_own.h"

#include <apr_strings.h>

const pp_pool_row_t pooledproxy_pool_rows[PP_POOL_ROWS] = {
#define PP_POOL(member, directive, kind, least, most, preset, text) \
    {directive, kind, offsetof(struct pp_pool_settings_t, member), least, most, preset},
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
};

void pooledproxy_pool_unset(struct pp_pool_settings_t *settings)
{
#define PP_POOL(member, directive, kind, least, most, preset, text) settings->member = PP_UNSET;
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
    settings->balance = PP_UNSET;
    settings->hash_expr = NULL;
}

void pooledproxy_pool_preset(struct pp_pool_settings_t *settings)
{
#define PP_POOL(member, directive, kind, least, most, preset, text) settings->member = preset;
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
    settings->balance = PP_BALANCE_ROUNDROBIN;
    settings->hash_expr = NULL;
}

void pooledproxy_pool_overlay(struct pp_pool_settings_t *base, const struct pp_pool_settings_t *over)
{
#define PP_POOL(member, directive, kind, least, most, preset, text) \
    if (over->member != PP_UNSET)                                   \
        base->member = over->member;
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
    if (over->balance != PP_UNSET) {
        base->balance = over->balance;
        base->hash_expr = over->hash_expr;
    }
}

void pooledproxy_pool_policy(const struct pp_pool_settings_t *settings, pp_pool_policy_t *policy)
{
#define PP_POOL(member, directive, kind, least, most, preset, text) policy->member = (__typeof__(policy->member))settings->member;
#include "mod_pooledproxy_pool.def"
#undef PP_POOL
}

static const char *parse_flag(apr_pool_t *p, const char *arg, pp_time_t *flag)
{
    if (strcasecmp(arg, "on") != 0 && strcasecmp(arg, "off") != 0)
        return apr_psprintf(p, "'%s' is not accepted; accepted: On, Off", arg);
    *flag = strcasecmp(arg, "on") == 0;
    return NULL;
}

static const char *parse_value(apr_pool_t *p, const pp_pool_row_t *row, const char *arg, pp_time_t *value)
{
    switch (row->kind) {
    case PP_FLAG:
        return parse_flag(p, arg, value);
    case PP_TIME:
        return pooledproxy_parse_time(p, arg, row->least, row->most, value);
    case PP_NUMBER:
        break;
    }
    if (strncasecmp(arg, "auto", 4) == 0 && (!arg[4] || arg[4] == ':') && row == &pooledproxy_pool_rows[PP_POOL_ROW_host_limit])
        return apr_psprintf(p, "'auto' is not available in this version; accepted: a number from %d to %d", (int)row->least,
                            (int)row->most);
    return pooledproxy_parse_number(p, arg, row->least, row->most, value);
}

const char *pooledproxy_set_pool(cmd_parms *cmd, void *dir, const char *arg)
{
    const pp_server_conf_t *conf = pooledproxy_server_conf(cmd->server);
    struct pp_pool_settings_t *settings = conf->open_block ? &conf->open_block->settings : conf->pool_settings;
    const pp_pool_row_t *row = cmd->info;
    const char *why = parse_value(cmd->pool, row, arg, (pp_time_t *)((char *)settings + row->offset));

    (void)dir;
    return why ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", why, NULL) : NULL;
}
