/* mod_pooledproxy_config_places: warns about settings in sections that no request of ours comes by, and under an MPM that can't do them. */
#include "mod_pooledproxy_config_build.h"

#include <ap_mpm.h>
#include <apr_strings.h>
#include <http_core.h>

typedef struct places_t {
    const pp_build_t *build;
    bool may_wait;     /* the MPM can wait for a connection without a thread */
    bool has_handlers; /* they may take requests of this virtual host, which come by directories and files */
} places_t;

static bool mpm_has(int query)
{
    int answer = AP_MPMQ_NOT_SUPPORTED;

    return ap_mpm_query(query, &answer) == APR_SUCCESS && answer != AP_MPMQ_NOT_SUPPORTED;
}

/* Looked at when r->filename is mapped to the file system (mod_proxy's, for its own requests), which for a route never is. */
static const char *hidden_section(const ap_directive_t *directive)
{
    static const char *const names[] = {"<Directory", "<DirectoryMatch", "<Files", "<FilesMatch", "<Proxy", "<ProxyMatch"};

    for (const ap_directive_t *section = directive->parent; section; section = section->parent) {
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            if (strcasecmp(section->directive, names[i]) == 0)
                return names[i];
        }
    }
    return NULL;
}

static void check_section(const places_t *places, const ap_directive_t *directive)
{
    apr_pool_t *p = places->build->p;
    const char *section = hidden_section(directive);

    if (section && !places->has_handlers)
        pooledproxy_warn(places->build, pooledproxy_where(p, directive),
                         apr_pstrcat(p, directive->directive, " has no effect in ", section,
                                     ">: routes take requests before directories and files are looked at, and there is no "
                                     "SetHandler pooledproxy:; put it into <Location> or into the virtual host",
                                     NULL));
}

static void check_async(const places_t *places, const ap_directive_t *directive)
{
    apr_pool_t *p = places->build->p;

    if (strcasecmp(directive->directive, "PooledProxyAsync") == 0 && strcasecmp(directive->args, "On") == 0 && !places->may_wait)
        pooledproxy_warn(places->build, pooledproxy_where(p, directive),
                         apr_pstrcat(p, "PooledProxyAsync On has no effect: the MPM ", ap_show_mpm(),
                                     " can't wait for a connection without a thread; the event MPM of httpd 2.4.63 and later can",
                                     NULL));
}

static void check_event_loops(const pp_build_t *build)
{
    const char *where = pooledproxy_server_conf(build->main_server)->origins->event_loops;

    if (where && build->conf->event_loops > 1 && !mpm_has(AP_MPMQ_IS_THREADED))
        pooledproxy_warn(
            build, where,
            apr_psprintf(build->p,
                         "PooledProxyEventLoops %d has no use: a child of the MPM %s serves one request at a time; remove it",
                         build->conf->event_loops, ap_show_mpm()));
}

static void on_directive(void *self, server_rec *s, const ap_directive_t *directive)
{
    (void)s;
    if (strncasecmp(directive->directive, "PooledProxy", 11) != 0)
        return;
    check_section(self, directive);
    check_async(self, directive);
}

/* Sections of the main server are part of every virtual host. */
static bool may_have_handlers(const pp_build_t *build, const server_rec *s)
{
    for (int i = 0; i < build->handlers->nelts; i++) {
        const server_rec *of = APR_ARRAY_IDX(build->handlers, i, pp_handler_use_t *)->server;

        if (!s->is_virtual || of == s || of == build->main_server)
            return true;
    }
    return build->is_open;
}

void pooledproxy_places_report(const pp_build_t *build)
{
    places_t places = {.build = build};

#ifdef AP_MPMQ_CAN_WAITIO
    places.may_wait = mpm_has(AP_MPMQ_CAN_WAITIO);
#endif
    for (server_rec *s = build->main_server; s; s = s->next) {
        places.has_handlers = may_have_handlers(build, s);
        pooledproxy_directives_walk(s, on_directive, &places);
    }
    check_event_loops(build);
}
