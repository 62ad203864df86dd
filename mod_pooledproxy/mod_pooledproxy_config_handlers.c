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

static void remember(search_t *search, const char *written)
{
    char *lower = apr_pstrdup(search->p, written);

    ap_str_tolower(lower);
    if (strcmp(lower, written) != 0)
        apr_hash_set(search->handlers, lower, APR_HASH_KEY_STRING,
                     apr_pstrcat(search->p, PP_HANDLER_PREFIX, written + strlen(PP_HANDLER_PREFIX), NULL));
}

/* Only what is written out can be checked: no %{...}, and SetHandler alone says where its value ends. */
static void check(search_t *search, const ap_directive_t *directive, const char *written)
{
    pp_upstream_t *upstream;
    const char *path, *why;

    if (strcasecmp(directive->directive, "SetHandler") != 0 || strchr(written, '%'))
        return;
    why = pooledproxy_upstream_from_url(search->p, pooledproxy_server_conf(search->server), written + strlen(PP_HANDLER_PREFIX),
                                        &upstream, &path);
    if (!why)
        return;
    ap_log_error(APLOG_MARK, APLOG_CRIT | APLOG_STARTUP, 0, search->server, "%s: SetHandler: %s",
                 pooledproxy_where(search->p, directive), why);
    ++*search->errors;
}

static void look_at(search_t *search, const ap_directive_t *directive)
{
    const char *at = find_prefix(directive->args);

    for (; at; at = find_prefix(at + 1)) {
        const char *written = apr_pstrmemdup(search->p, at, strcspn(at, " \t\"',]>"));

        search->found = true;
        remember(search, written);
        check(search, directive, written);
    }
}

static void walk(search_t *search, const ap_directive_t *directive)
{
    for (; directive; directive = directive->next) {
        if (strcasecmp(directive->directive, "<VirtualHost") == 0)
            continue;
        if (directive->args)
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
