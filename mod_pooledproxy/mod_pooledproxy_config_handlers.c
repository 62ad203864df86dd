/* mod_pooledproxy_config_handlers: finds "pooledproxy:URL" in other modules' directives.
 *
 * httpd hands handler names on in lower case. URLs have paths in which case matters, so it is remembered here how each was written.
 */
#include "mod_pooledproxy_config_own.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <http_log.h>
#include <util_cfgtree.h>

APLOG_USE_MODULE(pooledproxy);

typedef struct search_t {
    apr_pool_t *p;
    server_rec *server;
    apr_hash_t *handlers;
    int *errors;
    bool found;
} search_t;

static const char *find_prefix(const char *args)
{
    for (; *args; args++) {
        if (strncasecmp(args, PP_HANDLER_PREFIX, strlen(PP_HANDLER_PREFIX)) == 0)
            return args;
    }
    return NULL;
}

static void complain(search_t *search, const ap_directive_t *directive, const char *why)
{
    ap_log_error(APLOG_MARK, APLOG_CRIT | APLOG_STARTUP, 0, search->server, "%s: %s: %s", pooledproxy_where(search->p, directive),
                 directive->directive, why);
    ++*search->errors;
}

static void remember(search_t *search, const ap_directive_t *directive, const char *url)
{
    const char *written = apr_pstrcat(search->p, PP_HANDLER_PREFIX, url, NULL), *other;
    char *lower = apr_pstrdup(search->p, written);

    ap_str_tolower(lower);
    other = apr_hash_get(search->handlers, lower, APR_HASH_KEY_STRING);
    apr_hash_set(search->handlers, lower, APR_HASH_KEY_STRING, written);
    if (other && strcmp(other, written) != 0)
        complain(search, directive,
                 apr_pstrcat(search->p, "'", written, "' and '", other,
                             "' differ in case only, which httpd does not keep in handler names; accepted: one way to write it",
                             NULL));
}

/* Only what is written out can be checked: no %{...}, and SetHandler alone says where its value ends. */
static void check(search_t *search, const ap_directive_t *directive, const char *url)
{
    pp_upstream_t *upstream;
    const char *path, *why;

    if (strcasecmp(directive->directive, "SetHandler") != 0 || strchr(url, '%'))
        return;
    why = pooledproxy_upstream_from_url(search->p, pooledproxy_server_conf(search->server), url, &upstream, &path);
    if (why)
        complain(search, directive, why);
}

/* Not LogLevel, which says "pooledproxy:debug". */
static bool may_name_handler(const char *directive)
{
    static const char *const names[] = {"SetHandler", "AddHandler", "RewriteRule"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(directive, names[i]) == 0)
            return true;
    }
    return false;
}

static void look_at(search_t *search, const ap_directive_t *directive)
{
    const char *at = find_prefix(directive->args);

    for (; at; at = find_prefix(at + 1)) {
        const char *begin = at + strlen(PP_HANDLER_PREFIX);
        const char *url = apr_pstrmemdup(search->p, begin, strcspn(begin, " \t\"',]>"));

        search->found = true;
        remember(search, directive, url);
        check(search, directive, url);
    }
}

static void walk(search_t *search, const ap_directive_t *directive)
{
    for (; directive; directive = directive->next) {
        if (strcasecmp(directive->directive, "<VirtualHost") == 0)
            continue;
        if (directive->args && may_name_handler(directive->directive))
            look_at(search, directive);
        walk(search, directive->first_child);
    }
}

static bool is_section_of(const ap_directive_t *directive, const server_rec *s)
{
    return strcasecmp(directive->directive, "<VirtualHost") == 0 && directive->line_num == (int)s->defn_line_number &&
           s->defn_name && strcmp(directive->filename, s->defn_name) == 0;
}

bool pooledproxy_handlers_find(apr_pool_t *p, server_rec *s, apr_hash_t *handlers, int *errors)
{
    search_t search = {p, s, handlers, errors, false};

    if (!s->is_virtual)
        walk(&search, ap_conftree);
    for (const ap_directive_t *section = s->is_virtual ? ap_conftree : NULL; section; section = section->next) {
        if (is_section_of(section, s))
            walk(&search, section->first_child);
    }
    return search.found;
}
