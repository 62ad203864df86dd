/* mod_pooledproxy_config_routes: PooledProxyPass and PooledProxyPassMatch. */
#include "mod_pooledproxy_config_own.h"

#include <apr_fnmatch.h>
#include <apr_strings.h>

#define TIMEOUT_PREFIX "timeout."
#define BUFFER_KEY "request-buffer="

static const char *parse_buffer(cmd_parms *cmd, const char *arg, int *bytes)
{
    const char *why = *bytes != PP_UNSET ? "given twice" : pooledproxy_parse_size(cmd->pool, arg, bytes);

    return why ? apr_pstrcat(cmd->pool, BUFFER_KEY " ", why, NULL) : NULL;
}

static const char *parse_key(cmd_parms *cmd, const char *arg, pp_route_t *route)
{
    const char *why;

    if (strcasecmp(arg, "nocanon") == 0) {
        why = route->nocanon ? "'nocanon' is given twice" : NULL;
        route->nocanon = true;
    }
    else if (strncasecmp(arg, TIMEOUT_PREFIX, strlen(TIMEOUT_PREFIX)) == 0) {
        why = pooledproxy_parse_timeout(cmd->pool, arg + strlen(TIMEOUT_PREFIX), &route->settings.timeouts);
        why = why ? apr_pstrcat(cmd->pool, TIMEOUT_PREFIX, ": ", why, NULL) : NULL;
    }
    else if (strncasecmp(arg, BUFFER_KEY, strlen(BUFFER_KEY)) == 0)
        why = parse_buffer(cmd, arg + strlen(BUFFER_KEY), &route->settings.request_buffer);
    else
        why = apr_pstrcat(cmd->pool, "'", arg, "' is not accepted; accepted: ", pooledproxy_timeout_keys(cmd->pool, TIMEOUT_PREFIX),
                          ", " BUFFER_KEY "N, nocanon", NULL);
    return why;
}

/* The URL and the keys after it. */
static const char *parse_destination(cmd_parms *cmd, int argc, char *const argv[], pp_route_t *route)
{
    pp_upstream_t *upstream;
    const char *why = NULL;

    route->url = argv[0];
    route->exclude = strcmp(argv[0], "!") == 0;
    if (route->exclude)
        return argc > 1 ? "! takes no keys" : NULL;
    why = pooledproxy_upstream_from_url(cmd->pool, NULL, route->url, &upstream, &route->url_path);
    for (int i = 1; i < argc && !why; i++)
        why = parse_key(cmd, argv[i], route);
    return why;
}

static pp_route_t *route_make(cmd_parms *cmd)
{
    pp_route_t *route = apr_pcalloc(cmd->pool, sizeof(*route));

    route->where = pooledproxy_where(cmd->pool, cmd->directive);
    route->url_path = "";
    pooledproxy_settings_unset(&route->settings);
    return route;
}

static const char *set_regex(cmd_parms *cmd, const char *regex, pp_route_t *route)
{
    route->pattern = regex;
    route->regex = ap_pregcomp(cmd->pool, regex, AP_REG_EXTENDED);
    return route->regex ? NULL : apr_pstrcat(cmd->pool, "'", regex, "' is not a regular expression", NULL);
}

/* <LocationMatch REGEX> and <Location ~ REGEX> */
static bool is_regex_location(const ap_directive_t *section)
{
    return section && (strcasecmp(section->directive, "<LocationMatch") == 0 ||
                       (strcasecmp(section->directive, "<Location") == 0 && section->args[0] == '~'));
}

static const char *set_location(cmd_parms *cmd, pp_route_t *route)
{
    const ap_directive_t *section = cmd->directive->parent;

    route->in_location = true;
    if (is_regex_location(section))
        return set_regex(cmd, cmd->path, route);
    if (!section || strcasecmp(section->directive, "<Location") != 0 || cmd->path[0] != '/')
        return "accepted in the server config, <VirtualHost> and <Location /PATH> only";
    if (apr_fnmatch_test(cmd->path))
        return "a <Location> with wildcards is not accepted; accepted: <Location /PATH>, <LocationMatch REGEX>";
    route->path = cmd->path;
    return NULL;
}

static const char *add_in_location(cmd_parms *cmd, pp_dir_conf_t *dir, int argc, char *const argv[])
{
    pp_route_t *route = route_make(cmd);
    const char *why;

    if (!argc || (argc > 1 && argv[0][0] == '/'))
        return "inside <Location> the path is left out: PooledProxyPass URL [key=value...]";
    if (dir->route)
        return apr_pstrcat(cmd->pool, "this <Location> has one already, at ", dir->route->where, NULL);
    why = set_location(cmd, route);
    if (!why)
        why = parse_destination(cmd, argc, argv, route);
    if (why)
        return why;
    dir->route = route;
    APR_ARRAY_PUSH(pooledproxy_server_conf(cmd->server)->location_routes, pp_route_t *) = route;
    return NULL;
}

static const char *add_in_server(cmd_parms *cmd, bool is_regex, int argc, char *const argv[])
{
    pp_route_t *route = route_make(cmd);
    const char *why;

    if (argc < 2)
        return is_regex ? "takes a regular expression and a URL: PooledProxyPassMatch REGEX URL [key=value...]"
                        : "takes a path and a URL: PooledProxyPass /PATH URL [key=value...]";
    if (is_regex)
        why = set_regex(cmd, argv[0], route);
    else if (argv[0][0] != '/' || strpbrk(argv[0], "?#"))
        why = apr_pstrcat(cmd->pool, "'", argv[0], "' is not a path, which begins with / and has no ? or #", NULL);
    else {
        route->path = argv[0];
        why = NULL;
    }
    if (!why)
        why = parse_destination(cmd, argc - 1, argv + 1, route);
    if (!why)
        APR_ARRAY_PUSH(pooledproxy_server_conf(cmd->server)->routes, pp_route_t *) = route;
    return why;
}

static const char *add(cmd_parms *cmd, pp_dir_conf_t *dir, bool is_regex, int argc, char *const argv[])
{
    const char *why = ap_check_cmd_context(cmd, NOT_IN_DIRECTORY | NOT_IN_FILES | NOT_IN_LIMIT);

    if (why)
        return why;
    why = cmd->path ? add_in_location(cmd, dir, argc, argv) : add_in_server(cmd, is_regex, argc, argv);
    return why ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", why, NULL) : NULL;
}

const char *pooledproxy_add_route(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    return add(cmd, dir, false, argc, argv);
}

const char *pooledproxy_add_regex_route(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    return add(cmd, dir, true, argc, argv);
}
