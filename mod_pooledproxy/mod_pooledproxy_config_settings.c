/* mod_pooledproxy_config_settings: values, and the settings that may differ per request, from the rows of mod_pooledproxy_settings.def. */
#include "mod_pooledproxy_config_own.h"

#include <apr_lib.h>
#include <apr_strings.h>

#define TIME_MOST PP_SEC(86400)

static const char *const on_off[] = {"Off", "On", NULL};
static const char *const forwarded_words[] = {"off", "x-forwarded", "rfc7239", "both", NULL}; /* PP_FORWARDED_... */

const pp_choice_row_t pooledproxy_choice_rows[PP_CHOICE_ROWS] = {
#define PP_TIMEOUT(member, key, preset, least, text)
#define PP_CHOICE(member, directive, preset, words, text) {offsetof(pp_request_settings_t, member), words},
#include "mod_pooledproxy_settings.def"
#undef PP_TIMEOUT
#undef PP_CHOICE
};

static const struct {
    const char *key;
    size_t offset;
    pp_time_t least;
} timeout_rows[] = {
#define PP_TIMEOUT(member, key, preset, least, text) {key, offsetof(pp_timeouts_t, member), least},
#define PP_CHOICE(member, directive, preset, words, text)
#include "mod_pooledproxy_settings.def"
#undef PP_TIMEOUT
#undef PP_CHOICE
};
#define TIMEOUT_ROWS (sizeof(timeout_rows) / sizeof(timeout_rows[0]))

const char *pooledproxy_where(apr_pool_t *p, const ap_directive_t *directive)
{
    return apr_psprintf(p, "%s:%d", directive->filename, directive->line_num);
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

    for (size_t i = 0; i < TIMEOUT_ROWS; i++)
        keys = apr_pstrcat(p, keys ? keys : "", keys ? ", " : "", prefix, timeout_rows[i].key, "=T", NULL);
    return keys;
}

const char *pooledproxy_parse_timeout(apr_pool_t *p, const char *arg, pp_timeouts_t *timeouts)
{
    const char *equals = strchr(arg, '='), *why;
    size_t len = equals ? (size_t)(equals - arg) : 0;

    for (size_t i = 0; i < TIMEOUT_ROWS; i++) {
        pp_time_t *time = (pp_time_t *)((char *)timeouts + timeout_rows[i].offset);

        if (strlen(timeout_rows[i].key) != len || strncasecmp(arg, timeout_rows[i].key, len) != 0)
            continue;
        if (*time != PP_UNSET)
            return apr_pstrcat(p, "'", timeout_rows[i].key, "' is given twice", NULL);
        why = pooledproxy_parse_time(p, equals + 1, timeout_rows[i].least, TIME_MOST, time);
        return why ? apr_pstrcat(p, timeout_rows[i].key, ": ", why, NULL) : NULL;
    }
    return apr_pstrcat(p, "'", arg, "' is not accepted; accepted: ", pooledproxy_timeout_keys(p, ""), NULL);
}

/* Where a setting belongs: to the <Location> or <Directory> it stands in, else to the vhost. */
static pp_request_settings_t *settings_of(cmd_parms *cmd, void *dir)
{
    return cmd->path ? &((pp_dir_conf_t *)dir)->settings : &pooledproxy_server_conf(cmd->server)->settings;
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
    const pp_choice_row_t *row = cmd->info;
    int *value = (int *)((char *)settings_of(cmd, dir) + row->offset);

    for (int i = 0; row->words[i]; i++) {
        if (strcasecmp(arg, row->words[i]) == 0) {
            *value = i;
            return NULL;
        }
    }
    return apr_psprintf(cmd->pool, "%s: '%s' is not accepted; accepted: %s", cmd->cmd->name, arg,
                        words_list(cmd->pool, row->words));
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
