/* mod_pooledproxy_config_settings: values, and the settings that may differ per request, from the rows of mod_pooledproxy_settings.def. */
#include "mod_pooledproxy_config_own.h"

#include <apr_lib.h>
#include <apr_strings.h>

#define TIME_MOST PP_SEC(86400)
#define SIZE_MOST (1024 * 1024 * 1024)

static const char *const on_off[] = {"Off", "On", NULL};
static const char *const forwarded_words[] = {"off", "x-forwarded", "rfc7239", "both", NULL}; /* PP_FORWARDED_... */

static const char *const status_header_words[] = {"off", "errors", "always", NULL}; /* PP_STATUS_HEADER_... */

const pp_setting_row_t pooledproxy_setting_rows[PP_SETTINGS] = {
#define PP_TIMEOUT(member, key, preset, least, text) \
    [PP_SETTING_##member] = {NULL, key, offsetof(pp_request_settings_t, timeouts.member), NULL, least},
#define PP_CHOICE(member, directive, preset, words, text) \
    [PP_SETTING_##member] = {directive, NULL, offsetof(pp_request_settings_t, member), words, 0},
#define PP_SIZE(member, directive, key, preset, text) \
    [PP_SETTING_##member] = {directive, key, offsetof(pp_request_settings_t, member), NULL, 0},
#include "mod_pooledproxy_settings.def"
#undef PP_TIMEOUT
#undef PP_CHOICE
#undef PP_SIZE
};
static const pp_setting_row_t *const timeout_rows = pooledproxy_setting_rows;

const char *pooledproxy_where(apr_pool_t *p, const ap_directive_t *directive)
{
    return apr_psprintf(p, "%s:%d", directive->filename, directive->line_num);
}

void pooledproxy_origins_overlay(struct pp_origins_t *base, const struct pp_origins_t *over)
{
    for (int i = 0; i < PP_SETTINGS; i++) {
        if (over->settings[i])
            base->settings[i] = over->settings[i];
    }
    if (over->enabled)
        base->enabled = over->enabled;
    if (over->event_loops)
        base->event_loops = over->event_loops;
    if (over->resolver)
        base->resolver = over->resolver;
}

/* What ap_timeout_parameter_parse reads, but nothing may follow the unit. */
static bool is_time(const char *arg)
{
    static const char *const units[] = {"", "ms", "s", "min", "h"};
    const char *unit = arg + strspn(arg, "0123456789");

    for (size_t i = 0; unit > arg && unit - arg < 12 && i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i]) == 0)
            return true;
    }
    return false;
}

const char *pooledproxy_parse_time(apr_pool_t *p, const char *arg, pp_time_t least, pp_time_t most, pp_time_t *time)
{
    apr_interval_time_t parsed = -1;

    if (is_time(arg) && ap_timeout_parameter_parse(arg, &parsed, "s") == APR_SUCCESS && parsed >= least && parsed <= most) {
        *time = parsed;
        return NULL;
    }
    return apr_psprintf(p, "'%s' is not accepted; accepted: a time from %s to 24h (500ms, 5s, 2min, 1h; a bare number is seconds)",
                        arg, least ? "1ms" : "0");
}

const char *pooledproxy_parse_number(apr_pool_t *p, const char *arg, pp_time_t least, pp_time_t most, pp_time_t *number)
{
    size_t digits = strspn(arg, "0123456789");
    apr_int64_t parsed = digits && digits <= 12 && !arg[digits] ? apr_atoi64(arg) : -1;

    if (parsed < least || parsed > most)
        return apr_psprintf(p, "'%s' is not accepted; accepted: a number from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT, arg,
                            (apr_int64_t)least, (apr_int64_t)most);
    *number = parsed;
    return NULL;
}

const char *pooledproxy_timeout_keys(apr_pool_t *p, const char *prefix)
{
    const char *keys = NULL;

    for (int i = 0; i < PP_TIMEOUTS; i++)
        keys = apr_pstrcat(p, keys ? keys : "", keys ? ", " : "", prefix, timeout_rows[i].key, "=T", NULL);
    return keys;
}

static pp_time_t *timeout_at(pp_timeouts_t *timeouts, int i)
{
    return (pp_time_t *)((char *)timeouts + timeout_rows[i].offset - offsetof(pp_request_settings_t, timeouts));
}

const char *pooledproxy_parse_timeout(apr_pool_t *p, const char *arg, pp_timeouts_t *timeouts)
{
    const char *equals = strchr(arg, '='), *why;
    size_t len = equals ? (size_t)(equals - arg) : 0;

    for (int i = 0; i < PP_TIMEOUTS; i++) {
        pp_time_t *time = timeout_at(timeouts, i);

        if (strlen(timeout_rows[i].key) != len || strncasecmp(arg, timeout_rows[i].key, len) != 0)
            continue;
        if (*time != PP_UNSET)
            return apr_pstrcat(p, "'", timeout_rows[i].key, "' is given twice", NULL);
        why = pooledproxy_parse_time(p, equals + 1, timeout_rows[i].least, TIME_MOST, time);
        return why ? apr_pstrcat(p, timeout_rows[i].key, ": ", why, NULL) : NULL;
    }
    return apr_pstrcat(p, "'", arg, "' is not accepted; accepted: ", pooledproxy_timeout_keys(p, ""), NULL);
}

const char *pooledproxy_parse_size(apr_pool_t *p, const char *arg, int *bytes)
{
    size_t digits = strspn(arg, "0123456789");
    const char *unit = arg + digits;
    apr_int64_t factor = !*unit ? 1 : strcasecmp(unit, "K") == 0 ? 1024 : strcasecmp(unit, "M") == 0 ? 1024 * 1024 : 0;
    apr_int64_t parsed = digits && digits <= 12 && factor ? apr_atoi64(arg) : SIZE_MOST + 1;

    if (parsed > SIZE_MOST || parsed * factor > SIZE_MOST)
        return apr_psprintf(p, "'%s' is not accepted; accepted: a size from 0 to 1024M (4096, 64K, 1M; a bare number is bytes)",
                            arg);
    *bytes = (int)(parsed * factor);
    return NULL;
}

/* Where a setting belongs: to the <Location> or <Directory> it stands in, else to the vhost. */
static pp_request_settings_t *settings_of(cmd_parms *cmd, void *dir)
{
    return cmd->path ? &((pp_dir_conf_t *)dir)->settings : &pooledproxy_server_conf(cmd->server)->settings;
}

/* Remembers where a setting of the virtual host is set; those of sections are not asked for. */
static void remember_origin(cmd_parms *cmd, const pp_setting_row_t *row)
{
    if (!cmd->path)
        pooledproxy_server_conf(cmd->server)->origins->settings[row - pooledproxy_setting_rows] =
            pooledproxy_where(cmd->pool, cmd->directive);
}

/* The same for each key of a PooledProxyTimeout, of an upstream too. */
static void remember_timeouts(cmd_parms *cmd, pp_timeouts_t *given)
{
    const pp_server_conf_t *conf = pooledproxy_server_conf(cmd->server);

    for (int i = 0; i < PP_TIMEOUTS; i++) {
        if (*timeout_at(given, i) == PP_UNSET)
            continue;
        if (conf->open_block)
            conf->open_block->timeouts[i] = pooledproxy_where(cmd->pool, cmd->directive);
        else
            remember_origin(cmd, &timeout_rows[i]);
    }
}

const char *pooledproxy_set_timeouts(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    const pp_server_conf_t *conf = pooledproxy_server_conf(cmd->server);
    pp_timeouts_t *timeouts = conf->open_block ? &conf->open_block->upstream->timeouts : &settings_of(cmd, dir)->timeouts;
    pp_timeouts_t given;
    const char *why =
        argc ? NULL : apr_pstrcat(cmd->pool, "nothing is given; accepted: ", pooledproxy_timeout_keys(cmd->pool, ""), NULL);

    pooledproxy_timeouts_unset(&given);
    for (int i = 0; i < argc && !why; i++)
        why = pooledproxy_parse_timeout(cmd->pool, argv[i], &given);
    if (why)
        return apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", why, NULL);
    pooledproxy_timeouts_overlay(timeouts, &given);
    remember_timeouts(cmd, &given);
    return NULL;
}

static const char *words_list(apr_pool_t *p, const char *const *words)
{
    const char *list = words[0];

    while (*++words)
        list = apr_pstrcat(p, list, ", ", *words, NULL);
    return list;
}

const char *pooledproxy_set_choice(cmd_parms *cmd, void *dir, const char *arg)
{
    const pp_setting_row_t *row = cmd->info;
    int *value = (int *)((char *)settings_of(cmd, dir) + row->offset);

    for (int i = 0; row->words[i]; i++) {
        if (strcasecmp(arg, row->words[i]) == 0) {
            *value = i;
            remember_origin(cmd, row);
            return NULL;
        }
    }
    return apr_psprintf(cmd->pool, "%s: '%s' is not accepted; accepted: %s", cmd->cmd->name, arg,
                        words_list(cmd->pool, row->words));
}

const char *pooledproxy_set_size(cmd_parms *cmd, void *dir, const char *arg)
{
    const pp_setting_row_t *row = cmd->info;
    const char *why = pooledproxy_parse_size(cmd->pool, arg, (int *)((char *)settings_of(cmd, dir) + row->offset));

    remember_origin(cmd, row);
    return why ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", why, NULL) : NULL;
}

static const char *add_cookie_map(cmd_parms *cmd, apr_array_header_t **maps, const char *from, const char *to)
{
    pp_cookie_map_t *map;

    if (!*from || !*to || strpbrk(from, ";\t\r\n ") || strpbrk(to, ";\t\r\n "))
        return apr_pstrcat(cmd->pool, cmd->cmd->name, ": FROM and TO must not be empty or hold spaces and semicolons", NULL);
    if (!*maps)
        *maps = apr_array_make(cmd->pool, 2, sizeof(*map));
    map = apr_array_push(*maps);
    map->from = from;
    map->to = to;
    map->where = pooledproxy_where(cmd->pool, cmd->directive);
    return NULL;
}

const char *pooledproxy_add_cookie_domain(cmd_parms *cmd, void *dir, const char *from, const char *to)
{
    return add_cookie_map(cmd, &settings_of(cmd, dir)->cookie_domains, from, to);
}

const char *pooledproxy_add_cookie_path(cmd_parms *cmd, void *dir, const char *from, const char *to)
{
    if (*from != '/' || *to != '/')
        return apr_pstrcat(cmd->pool, cmd->cmd->name, ": FROM and TO are paths, which begin with /", NULL);
    return add_cookie_map(cmd, &settings_of(cmd, dir)->cookie_paths, from, to);
}

const char *pooledproxy_time_text(apr_pool_t *p, pp_time_t time)
{
    if (!time)
        return "0";
    if (time % PP_SEC(1) != 0)
        return apr_psprintf(p, "%" APR_INT64_T_FMT "ms", (apr_int64_t)(time / PP_MSEC(1)));
    if (time % PP_SEC(3600) == 0)
        return apr_psprintf(p, "%dh", (int)(time / PP_SEC(3600)));
    if (time % PP_SEC(60) == 0 && time > PP_SEC(60))
        return apr_psprintf(p, "%dmin", (int)(time / PP_SEC(60)));
    return apr_psprintf(p, "%ds", (int)(time / PP_SEC(1)));
}

static const char *size_text(apr_pool_t *p, int bytes)
{
    if (bytes && bytes % (1024 * 1024) == 0)
        return apr_psprintf(p, "%dM", bytes / (1024 * 1024));
    return bytes && bytes % 1024 == 0 ? apr_psprintf(p, "%dK", bytes / 1024) : apr_itoa(p, bytes);
}

const char *pooledproxy_setting_text(apr_pool_t *p, const pp_request_settings_t *settings, const pp_setting_row_t *row)
{
    const void *value = (const char *)settings + row->offset;

    if (!row->directive)
        return pooledproxy_time_text(p, *(const pp_time_t *)value);
    return row->words ? row->words[*(const int *)value] : size_text(p, *(const int *)value);
}
