/* mod_pooledproxy_config_handlers: finds "pooledproxy:URL" in other modules' directives.
 *
 * httpd hands handler names on in lower case. URLs have paths in which case matters, so it is remembered here how each was written.
 */
#include "mod_pooledproxy_config_build.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <http_log.h>
#include <util_cfgtree.h>

APLOG_USE_MODULE(pooledproxy);

typedef struct search_t {
    pp_build_t *build;
    server_rec *server;
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
    ap_log_error(APLOG_MARK, APLOG_CRIT | APLOG_STARTUP, 0, search->server, "%s: %s: %s",
                 pooledproxy_where(search->build->p, directive), directive->directive, why);
    search->build->errors++;
}

static void remember(search_t *search, const ap_directive_t *directive, const char *url)
{
    const char *written = apr_pstrcat(search->build->p, PP_HANDLER_PREFIX, url, NULL), *other;
    char *lower = apr_pstrdup(search->build->p, written);

    ap_str_tolower(lower);
    other = apr_hash_get(search->build->conf->handlers, lower, APR_HASH_KEY_STRING);
    apr_hash_set(search->build->conf->handlers, lower, APR_HASH_KEY_STRING, written);
    if (other && strcmp(other, written) != 0)
        complain(search, directive,
                 apr_pstrcat(search->build->p, "'", written, "' and '", other,
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
    why = pooledproxy_upstream_from_url(search->build->p, pooledproxy_server_conf(search->server), url, &upstream, &path);
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
    apr_pool_t *p = search->build->p;
    const char *at = find_prefix(directive->args);

    for (; at; at = find_prefix(at + 1)) {
        const char *begin = at + strlen(PP_HANDLER_PREFIX);
        pp_handler_use_t *use = apr_pcalloc(p, sizeof(*use));

        *use = (pp_handler_use_t){search->server, apr_pstrmemdup(p, begin, strcspn(begin, " \t\"',]>")),
                                  pooledproxy_where(p, directive)};
        APR_ARRAY_PUSH(search->build->handlers, pp_handler_use_t *) = use;
        search->found = true;
        remember(search, directive, use->url);
        check(search, directive, use->url);
    }
}

static void on_directive(void *self, server_rec *s, const ap_directive_t *directive)
{
    (void)s;
    if (directive->args && may_name_handler(directive->directive))
        look_at(self, directive);
}

static void walk(const ap_directive_t *directive, server_rec *s, pp_on_directive_t *on, void *self)
{
    for (; directive; directive = directive->next) {
        if (strcasecmp(directive->directive, "<VirtualHost") == 0)
            continue;
        on(self, s, directive);
        walk(directive->first_child, s, on, self);
    }
}

static bool is_section_of(const ap_directive_t *directive, const server_rec *s)
{
    return strcasecmp(directive->directive, "<VirtualHost") == 0 && directive->line_num == (int)s->defn_line_number &&
           s->defn_name && strcmp(directive->filename, s->defn_name) == 0;
}

void pooledproxy_directives_walk(server_rec *s, pp_on_directive_t *on, void *self)
{
    if (!s->is_virtual)
        walk(ap_conftree, s, on, self);
    for (const ap_directive_t *section = s->is_virtual ? ap_conftree : NULL; section; section = section->next) {
        if (is_section_of(section, s))
            walk(section->first_child, s, on, self);
    }
}

bool pooledproxy_handlers_find(pp_build_t *build, server_rec *s)
{
    search_t search = {build, s, false};

    pooledproxy_directives_walk(s, on_directive, &search);
    return search.found;
}
