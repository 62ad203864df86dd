/* mod_pooledproxy_proxy_status: writes members of the list that Proxy-Status is. The next hop is not named: clients need not know it. */
#include "mod_pooledproxy_proxy_status.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_core.h>

/* sf-token: RFC 8941 section 3.3.4 */
static bool is_token(const char *s)
{
    if (!apr_isalpha(*s) && *s != '*')
        return false;
    for (; *s; s++)
        if (!apr_isalnum(*s) && !strchr("!#$%&'*+-.^_`|~:/", *s))
            return false;
    return true;
}

/* sf-string: RFC 8941 section 3.3.3; what it can't have is left out. */
static const char *quoted(apr_pool_t *p, const char *s)
{
    char *start = apr_palloc(p, 2 * strlen(s) + 3), *to = start;

    *to++ = '"';
    for (; *s; s++) {
        if (*s < ' ' || *s > '~')
            continue;
        if (*s == '"' || *s == '\\')
            *to++ = '\\';
        *to++ = *s;
    }
    *to++ = '"';
    *to = '\0';
    return start;
}

/* Who says it: section 2. */
static const char *own_name(request_rec *r)
{
    const char *name = ap_get_server_name(r);

    return is_token(name) ? name : quoted(r->pool, name);
}

void pooledproxy_proxy_status_error(request_rec *r, const pp_match_t *match, pp_err_t err)
{
    const pp_err_row_t *row = pp_err_row(err);

    if (match->settings.status_header == PP_STATUS_HEADER_OFF || !row->http_status)
        return;
    apr_table_setn(r->err_headers_out, "Proxy-Status",
                   apr_pstrcat(r->pool, own_name(r), "; error=", row->proxy_status, "; details=\"", row->name, "\"", NULL));
}

void pooledproxy_proxy_status_answer(request_rec *r, const pp_match_t *match, int received_status)
{
    if (match->settings.status_header != PP_STATUS_HEADER_ALWAYS)
        return;
    apr_table_addn(r->headers_out, "Proxy-Status",
                   apr_psprintf(r->pool, "%s; received-status=%d; next-protocol=http/1.1", own_name(r), received_status));
}
