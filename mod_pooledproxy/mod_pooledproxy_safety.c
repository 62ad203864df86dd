/* mod_pooledproxy_safety: the lists of what is known not to block. */
#include "mod_pooledproxy_safety.h"

#include <apr_strings.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <stdatomic.h>
#include <util_filter.h>

#include "mod_pooledproxy_conf.h"

APLOG_USE_MODULE(pooledproxy);

/* Output filters that only compute, by their registered (lower-case) names. mod_ratelimit sleeps, mod_ext_filter runs programs,
 * mod_include and mod_cache do what files and stores take: they are not here on purpose. */
static const char *const filters_that_compute[] = {"byterange",
                                                   "content_length",
                                                   "http_header",
                                                   "http_outerror",
                                                   "old_write",
                                                   "chunk",
                                                   "deflate",
                                                   "inflate",
                                                   "brotli_compress",
                                                   "bytype:deflate",
                                                   "bytype:brotli_compress",
                                                   "bytype:inflate",
                                                   "substitute",
                                                   "bytype:substitute",
                                                   "fixup_headers_out",
                                                   "fixup_headers_err",
                                                   "mod_expires",
                                                   "reqtimeout",
                                                   "core",
                                                   "ssl/tls filter",
                                                   "ssl/tls coalescing filter",
                                                   "pooledproxy_valve",
                                                   "reflector",
                                                   "log_input_output",
                                                   NULL};

/* Modules whose request hooks do no more than compute and look at local files. */
static const char *const modules_that_compute[] = {"core.c",
                                                   "http_core.c",
                                                   "event.c",
                                                   "worker.c",
                                                   "prefork.c",
                                                   "mod_so.c",
                                                   "mod_unixd.c",
                                                   "mod_pooledproxy.c",
                                                   "mod_alias.c",
                                                   "mod_auth_basic.c",
                                                   "mod_auth_digest.c",
                                                   "mod_authn_core.c",
                                                   "mod_authn_file.c",
                                                   "mod_authn_anon.c",
                                                   "mod_authn_socache.c",
                                                   "mod_authz_core.c",
                                                   "mod_authz_host.c",
                                                   "mod_authz_user.c",
                                                   "mod_authz_groupfile.c",
                                                   "mod_authz_owner.c",
                                                   "mod_access_compat.c",
                                                   "mod_autoindex.c",
                                                   "mod_deflate.c",
                                                   "mod_brotli.c",
                                                   "mod_dir.c",
                                                   "mod_env.c",
                                                   "mod_expires.c",
                                                   "mod_filter.c",
                                                   "mod_headers.c",
                                                   "mod_http2.c",
                                                   "mod_log_config.c",
                                                   "mod_logio.c",
                                                   "mod_log_debug.c",
                                                   "mod_mime.c",
                                                   "mod_mime_magic.c",
                                                   "mod_negotiation.c",
                                                   "mod_proxy.c",
                                                   "mod_proxy_http.c",
                                                   "mod_proxy_balancer.c",
                                                   "mod_ratelimit.c",
                                                   "mod_remoteip.c",
                                                   "mod_reqtimeout.c",
                                                   "mod_rewrite.c",
                                                   "mod_setenvif.c",
                                                   "mod_socache_shmcb.c",
                                                   "mod_ssl.c",
                                                   "mod_status.c",
                                                   "mod_info.c",
                                                   "mod_substitute.c",
                                                   "mod_unique_id.c",
                                                   "mod_userdir.c",
                                                   "mod_usertrack.c",
                                                   "mod_version.c",
                                                   "mod_vhost_alias.c",
                                                   "mod_watchdog.c",
                                                   "mod_cgi.c",
                                                   "mod_cgid.c",
                                                   "mod_actions.c",
                                                   "mod_allowmethods.c",
                                                   "mod_include.c",
                                                   "mod_ext_filter.c",
                                                   "mod_request.c",
                                                   "mod_buffer.c",
                                                   "mod_data.c",
                                                   "mod_echo.c",
                                                   "mod_macro.c",
                                                   "mod_md.c",
                                                   "mod_speling.c",
                                                   "mod_dumpio.c",
                                                   "mod_asis.c",
                                                   NULL};

static bool may_read;
static bool may_log;
static bool has_auth;

static bool is_listed(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (!ap_cstr_casecmp(name, *list)) /* httpd lowers the names of filters, but not those of AddOutputFilterByType */
            return true;
    return false;
}

/* ---- what hooks in ---- */

/* The modules in one phase that are not known; their names are added to `unknown`. */
#define SURVEY(phase)                                                                              \
    static void survey_##phase(apr_array_header_t *unknown)                                        \
    {                                                                                              \
        const apr_array_header_t *links = ap_hook_get_##phase();                                   \
        const ap_LINK_##phase##_t *link = links ? (const ap_LINK_##phase##_t *)links->elts : NULL; \
        for (int i = 0; links && i < links->nelts; i++)                                            \
            if (!is_listed(link[i].szName, modules_that_compute))                                  \
                APR_ARRAY_PUSH(unknown, const char *) = link[i].szName;                            \
    }
SURVEY(pre_read_request)
SURVEY(post_read_request)
SURVEY(translate_name)
SURVEY(pre_translate_name)
SURVEY(map_to_storage)
SURVEY(header_parser)
SURVEY(access_checker)
SURVEY(access_checker_ex)
SURVEY(check_user_id)
SURVEY(auth_checker)
SURVEY(type_checker)
SURVEY(fixups)
SURVEY(insert_filter)
SURVEY(log_transaction)
SURVEY(quick_handler)
SURVEY(create_request)

static apr_array_header_t *unknown_modules(apr_pool_t *p)
{
    apr_array_header_t *unknown = apr_array_make(p, 4, sizeof(const char *));

    survey_create_request(unknown);
    survey_pre_read_request(unknown);
    survey_post_read_request(unknown);
    survey_quick_handler(unknown);
    survey_pre_translate_name(unknown);
    survey_translate_name(unknown);
    survey_map_to_storage(unknown);
    survey_header_parser(unknown);
    survey_access_checker(unknown);
    survey_access_checker_ex(unknown);
    survey_check_user_id(unknown);
    survey_auth_checker(unknown);
    survey_type_checker(unknown);
    survey_fixups(unknown);
    survey_insert_filter(unknown);
    survey_log_transaction(unknown);
    return unknown;
}

/* ---- what is configured ---- */

typedef struct blocking_directive_t {
    const char *name;
    const char *argument; /* a part of its arguments, or NULL: any but "off" */
} blocking_directive_t;

/* ErrorDocument: for what is found wrong while a request is read httpd runs the request for its document at once. */
static const blocking_directive_t blocking_directives[] = {
    {"RewriteMap", "prg:"},         {"RewriteMap", "dbd:"},          {"RewriteMap", "fastdbd:"},  {"HostnameLookups", NULL},
    {"Require", "host "},           {"Require", "forward-dns"},      {"Require", "dbd"},          {"Require", "ldap"},
    {"IdentityCheck", NULL},        {"AuthzProviderAlias", ""},      {"Allow", "from"},           {"Deny", "from"},
    {"SSLVerifyClient", "require"}, {"SSLVerifyClient", "optional"}, {"UseCanonicalName", "DNS"}, {"ErrorDocument", "400 /"},
    {"ErrorDocument", "414 /"},     {"ErrorDocument", "417 /"},      {"ErrorDocument", "421 /"},  {"ErrorDocument", "501 /"},
    {"ErrorDocument", "505 /"},
};

static const char *blocking_directive(const ap_directive_t *directive)
{
    for (size_t i = 0; i < sizeof(blocking_directives) / sizeof(blocking_directives[0]); i++) {
        const blocking_directive_t *b = &blocking_directives[i];
        if (ap_cstr_casecmp(directive->directive, b->name))
            continue;
        if (b->argument ? strstr(directive->args, b->argument) != NULL : ap_cstr_casecmp(directive->args, "off") != 0)
            return b->name;
    }
    return NULL;
}

static const char *survey_tree(const ap_directive_t *directive)
{
    const char *found = NULL;

    for (; directive; directive = directive->next) {
        has_auth |= !ap_cstr_casecmp(directive->directive, "AuthType") && ap_cstr_casecmp(directive->args, "None");
        if (!found)
            found = blocking_directive(directive);
        if (directive->first_child) {
            const char *within = survey_tree(directive->first_child);
            found = found ? found : within;
        }
    }
    return found;
}

/* An event loop renews leases by the vhost's Timeout; the MPM sorts connections by it. */
static bool timeouts_differ(const server_rec *s)
{
    for (const server_rec *vhost = s->next; vhost; vhost = vhost->next)
        if (vhost->timeout != s->timeout)
            return true;
    return false;
}

void pooledproxy_safety_survey(server_rec *s, apr_pool_t *ptemp)
{
    apr_array_header_t *unknown = unknown_modules(ptemp), *unknown_loggers = apr_array_make(ptemp, 1, sizeof(const char *));
    const char *directive, *why = NULL;

    has_auth = false;
    directive = survey_tree(ap_conftree);
    survey_log_transaction(unknown_loggers);
    may_log = unknown_loggers->nelts == 0;
    if (unknown->nelts)
        why = apr_psprintf(ptemp, "module %s is not known not to block", APR_ARRAY_IDX(unknown, 0, const char *));
    else if (directive)
        why = apr_psprintf(ptemp, "%s may block", directive);
    else if (timeouts_differ(s))
        why = "the vhosts have different Timeouts";
    may_read = why == NULL;
    if (why)
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, s, "pooledproxy: requests begin on worker threads, not on event loops: %s", why);
}

bool pooledproxy_safety_may_read(void)
{
    return may_read;
}

bool pooledproxy_safety_may_process(const request_rec *r)
{
    return !has_auth || !apr_table_get(r->headers_in, "Authorization");
}

bool pooledproxy_safety_may_read_after(const request_rec *r)
{
    return may_read && !r->user && !r->ap_auth_type;
}

/* Is the filter on the list? Asked for every filter of every response: those found there lately are known by their record, which lives
 * as long as the process' configuration. Two that share a place take it from each other. Threads: any. */
static bool is_filter_known(const ap_filter_rec_t *filter)
{
    static const ap_filter_rec_t *_Atomic known[64];
    const ap_filter_rec_t *_Atomic *place = &known[((uintptr_t)filter >> 4) % (sizeof(known) / sizeof(known[0]))];

    if (atomic_load_explicit(place, memory_order_relaxed) == filter)
        return true;
    if (!is_listed(filter->name, filters_that_compute))
        return false;
    atomic_store_explicit(place, filter, memory_order_relaxed);
    return true;
}

bool pooledproxy_safety_may_write(const request_rec *r)
{
    for (const ap_filter_t *f = r->output_filters; f; f = f->next)
        if (!is_filter_known(f->frec))
            return false;
    return may_log;
}

static bool has_body(const request_rec *r)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    return (length && strcmp(length, "0")) || apr_table_get(r->headers_in, "Transfer-Encoding");
}

bool pooledproxy_safety_may_die(request_rec *r)
{
    const core_dir_config *dir = ap_get_core_module_config(r->per_dir_config);
    const core_request_config *request = ap_get_core_module_config(r->request_config);

    return !has_body(r) && !dir->response_code_exprs && !(request && request->response_code_strings) &&
           pooledproxy_safety_may_write(r);
}
