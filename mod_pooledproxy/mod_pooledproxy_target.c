/* mod_pooledproxy_target: paths: matching, escaping, joining, substituting. */
#include "mod_pooledproxy_target.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>

APLOG_USE_MODULE(pooledproxy);

static const char *skip_slashes(const char *s)
{
    while (*s == '/')
        s++;
    return s;
}

size_t pooledproxy_prefix_match(const char *uri, const char *prefix)
{
    const char *u = uri, *p = prefix;

    while (*p && *p == *u) {
        if (*p == '/') {
            p = skip_slashes(p);
            u = skip_slashes(u);
        }
        else {
            p++;
            u++;
        }
    }
    if (*p || p == prefix)
        return 0;
    if (p[-1] != '/' && *u && *u != '/')
        return 0;
    return (size_t)(u - uri);
}

/* One character at *at, plain or escaped, is a dot: moves behind it. */
static bool skip_dot(const char **at, const char *end)
{
    if (*at < end && **at == '.') {
        *at += 1;
        return true;
    }
    if (end - *at >= 3 && (*at)[0] == '%' && (*at)[1] == '2' && ((*at)[2] == 'e' || (*at)[2] == 'E')) {
        *at += 3;
        return true;
    }
    return false;
}

static bool is_dot_segment(const char *at, const char *end)
{
    return skip_dot(&at, end) && (at == end || (skip_dot(&at, end) && at == end));
}

static bool has_dot_segment(const char *path)
{
    while (*path == '/') {
        size_t len = strcspn(path + 1, "/");

        if (is_dot_segment(path + 1, path + 1 + len))
            return true;
        path += 1 + len;
    }
    return false;
}

const char *pooledproxy_raw_path(request_rec *r)
{
    const char *path = apr_pstrmemdup(r->pool, r->unparsed_uri, strcspn(r->unparsed_uri, "?"));

    return *path == '/' && !strchr(path, '#') && !has_dot_segment(path) ? path : NULL;
}

/* Nothing to escape, not even by the strictest rule: slashes and what RFC 3986 section 2.3 calls unreserved. */
static bool is_plain(const char *path)
{
    for (; *path; path++) {
        char c = *path, small = c | 0x20;

        if (!(c >= '-' && c <= '9') && !(small >= 'a' && small <= 'z') && c != '_' && c != '~') /* - . / 0-9 follow each other */
            return false;
    }
    return true;
}

/* May the byte stand in a path as it is? As mod_proxy sees it: less than RFC 3986 section 3.3 allows. */
static bool is_path_char(unsigned char c)
{
    return (c < 0x80 && apr_isalnum(c)) || (c && strchr("/~$-_.+!*'(),;:@&=", c));
}

static bool keeps_encoded_slashes(request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);

    return core->allow_encoded_slashes && !core->decode_encoded_slashes;
}

static bool is_encoded_slash(const char *c)
{
    return c[0] == '%' && c[1] == '2' && (c[2] == 'f' || c[2] == 'F');
}

const char *pooledproxy_path_escape(request_rec *r, const char *path)
{
    static const char hex[] = "0123456789ABCDEF";
    bool keep = keeps_encoded_slashes(r);
    char *escaped, *to;

    if (is_plain(path))
        return path;
    escaped = to = apr_palloc(r->pool, 3 * strlen(path) + 1);
    for (; *path; path++) {
        unsigned char c = (unsigned char)*path;

        if (is_path_char(c) || (keep && is_encoded_slash(path))) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
    }
    *to = '\0';
    return escaped;
}

const char *pooledproxy_path_join(request_rec *r, const char *prefix, const char *path)
{
    size_t len = strlen(prefix);

    if (!len)
        return path;
    if (prefix[len - 1] == '/' && *path == '/')
        path++;
    return apr_pstrcat(r->pool, prefix, path, NULL);
}

const char *pooledproxy_with_query(request_rec *r, const char *path)
{
    return r->args ? apr_pstrcat(r->pool, path, "?", r->args, NULL) : path;
}

/* The URL's path with $0 ... $9 replaced by what the regular expression found in `subject`; escaped unless it is raw. NULL: the URL
 * has none of them. */
static const char *substitute(request_rec *r, const char *path, const char *subject, const ap_regmatch_t *found, bool raw)
{
    const char *made = "", *dollar;
    bool any = false;

    while ((dollar = strchr(path, '$')) != NULL) {
        const ap_regmatch_t *group = apr_isdigit(dollar[1]) ? &found[dollar[1] - '0'] : NULL;
        const char *value = "$";

        if (group) {
            any = true;
            value = group->rm_so < 0 ? "" : apr_pstrmemdup(r->pool, subject + group->rm_so, (size_t)(group->rm_eo - group->rm_so));
            value = raw ? value : pooledproxy_path_escape(r, value);
        }
        made = apr_pstrcat(r->pool, made, apr_pstrmemdup(r->pool, path, (size_t)(dollar - path)), value, NULL);
        path = dollar + (group ? 2 : 1);
    }
    return any ? apr_pstrcat(r->pool, made, path, NULL) : NULL;
}

static const char *path_by_regex(request_rec *r, const pp_route_t *route, const char *subject, bool raw)
{
    ap_regmatch_t found[AP_MAX_REG_MATCH];
    const char *path;

    if (ap_regexec(route->regex, subject, AP_MAX_REG_MATCH, found, 0) != 0)
        return NULL;
    path = substitute(r, route->url_path, subject, found, raw);
    return path ? path : pooledproxy_path_join(r, route->url_path, raw ? subject : pooledproxy_path_escape(r, subject));
}

static const char *path_by_prefix(request_rec *r, const pp_route_t *route, const char *subject, bool raw)
{
    size_t covered = pooledproxy_prefix_match(subject, route->path);
    const char *rest = subject + covered, *escaped;

    if (!covered || (raw && covered != pooledproxy_prefix_match(r->uri, route->path)))
        return NULL;
    escaped = raw ? rest : pooledproxy_path_escape(r, rest);
    if (escaped == rest && strlen(route->url_path) == covered && memcmp(subject, route->url_path, covered) == 0)
        return subject; /* the same path in front and behind */
    return apr_pstrcat(r->pool, route->url_path, escaped, NULL);
}

static const char *path_by(request_rec *r, const pp_route_t *route, const char *subject, bool raw)
{
    return route->regex ? path_by_regex(r, route, subject, raw) : path_by_prefix(r, route, subject, raw);
}

const char *pooledproxy_target(request_rec *r, const pp_route_t *route)
{
    const char *raw = route->nocanon ? pooledproxy_raw_path(r) : NULL;
    const char *path = raw ? path_by(r, route, raw, true) : NULL;

    if (!path && route->nocanon)
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "the path as it came does not match %s safely; nocanon is left out of account",
                      route->where);
    if (!path)
        path = path_by(r, route, r->uri, false);
    if (!path)
        return NULL;
    return pooledproxy_with_query(r, *path == '/' ? path : apr_pstrcat(r->pool, "/", path, NULL));
}
