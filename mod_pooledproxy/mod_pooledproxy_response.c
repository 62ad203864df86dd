/* mod_pooledproxy_response: the upstream's response head becomes the request_rec's. */
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>

#include "mod_pooledproxy_headers.h"
#include "mod_pooledproxy_proxy_status.h"
#include "mod_pooledproxy_reverse.h"

typedef const char *rewrite_t(const pp_reverse_t *reverse, const char *value);

static const char *reverse_url_field(const pp_reverse_t *reverse, const char *value)
{
    return reverse->match->settings.rewrite_redirects ? pooledproxy_reverse_url(reverse, value) : value;
}

static const char *reverse_refresh_field(const pp_reverse_t *reverse, const char *value)
{
    return reverse->match->settings.rewrite_redirects ? pooledproxy_reverse_refresh(reverse, value) : value;
}

static const char *reverse_link_field(const pp_reverse_t *reverse, const char *value)
{
    return reverse->match->settings.rewrite_redirects ? pooledproxy_reverse_link(reverse, value) : value;
}

/* Fields that are not simply copied, in the order of length. `rewrite` NULL: dropped, hop-by-hop or set by other means. */
static const struct {
    size_t len;
    const char *name;
    rewrite_t *rewrite;
} special_fields[] = {
    {2, "TE", NULL},
    {4, "Link", reverse_link_field},
    {7, "Refresh", reverse_refresh_field},
    {7, "Trailer", NULL},
    {7, "Upgrade", NULL},
    {8, "Location", reverse_url_field},
    {10, "Connection", NULL},
    {10, "Keep-Alive", NULL},
    {10, "Set-Cookie", pooledproxy_reverse_cookie},
    {12, "Content-Type", NULL},
    {14, "Content-Length", NULL},
    {16, "Content-Location", reverse_url_field},
    {16, "Proxy-Connection", NULL},
    {17, "Transfer-Encoding", NULL},
    {18, "Proxy-Authenticate", NULL},
};

/* false: the field is dropped. *rewrite stays as it is for a field that is simply copied. */
static bool is_passed(const pp_field_t *field, rewrite_t **rewrite)
{
    for (size_t i = 0; i < sizeof(special_fields) / sizeof(special_fields[0]) && special_fields[i].len <= field->name_len; i++) {
        if (special_fields[i].len != field->name_len || !pp_h1_same(field->name, special_fields[i].name, field->name_len))
            continue;
        *rewrite = special_fields[i].rewrite;
        return *rewrite != NULL;
    }
    return true;
}

static bool is_word(const char *s, size_t len, const char *word)
{
    return len == strlen(word) && pp_h1_same(s, word, len);
}

/* The values of all Connection fields as one list when they name more than how this connection goes on; else NULL. */
static const char *connection_names(apr_pool_t *p, const pp_h1_response_t *resp)
{
    const char *names = NULL;

    for (uint32_t i = 0; i < resp->nfields; i++) {
        const pp_field_t *field = &resp->fields[i];

        if (!is_word(field->name, field->name_len, "Connection") || is_word(field->value, field->value_len, "close") ||
            is_word(field->value, field->value_len, "keep-alive"))
            continue;
        names = apr_pstrcat(p, names ? names : "", names ? ", " : "", apr_pstrmemdup(p, field->value, field->value_len), NULL);
    }
    return names;
}

static size_t fields_size(const pp_h1_response_t *resp)
{
    size_t size = 0;

    for (uint32_t i = 0; i < resp->nfields; i++)
        size += resp->fields[i].name_len + resp->fields[i].value_len + 2;
    return size;
}

static char *copy(char **to, const char *s, size_t len)
{
    char *copied = *to;

    memcpy(copied, s, len);
    copied[len] = '\0';
    *to += len + 1;
    return copied;
}

/* Adds the fields that go to the client, copied in one piece. */
static void add_fields(const pp_reverse_t *reverse, const pp_h1_response_t *resp, apr_table_t *table)
{
    apr_pool_t *p = reverse->r->pool;
    const char *dropped = connection_names(p, resp);
    char *to = apr_palloc(p, fields_size(resp) + 1);

    for (uint32_t i = 0; i < resp->nfields; i++) {
        const pp_field_t *field = &resp->fields[i];
        rewrite_t *rewrite = NULL;
        char *name, *value;

        if (!is_passed(field, &rewrite))
            continue;
        name = copy(&to, field->name, field->name_len);
        if (dropped && pp_h1_list_has(dropped, strlen(dropped), name))
            continue;
        value = copy(&to, field->value, field->value_len);
        apr_table_addn(table, name, rewrite ? rewrite(reverse, value) : value);
    }
}

static int keep_field(void *table, const char *name, const char *value)
{
    apr_table_addn(table, name, value);
    return 1;
}

/* A fresh table but for the cookies that other modules have set. */
static apr_table_t *fresh_headers(request_rec *r, const pp_h1_response_t *resp)
{
    apr_table_t *headers = apr_table_make(r->pool, (int)resp->nfields + 4);

    if (!apr_is_empty_table(r->headers_out))
        apr_table_do(keep_field, headers, r->headers_out, "Set-Cookie", NULL);
    return headers;
}

/* Only what the backend says: nothing that the path's extension made modules believe. */
static void set_content(request_rec *r, const pp_h1_response_t *resp)
{
    const pp_field_t *type = pp_h1_field_find(resp, "Content-Type");

    r->content_encoding = NULL;
    r->content_languages = NULL;
    ap_set_content_type(r, type && type->value_len ? apr_pstrmemdup(r->pool, type->value, type->value_len) : NULL);
    if (resp->content_length >= 0 && (resp->framing == PP_FRAMING_LENGTH || r->header_only || resp->status == HTTP_NOT_MODIFIED) &&
        resp->status != HTTP_NO_CONTENT)
        ap_set_content_length(r, resp->content_length);
}

static void set_upgrade(request_rec *r, const pp_h1_response_t *resp)
{
    const pp_field_t *upgrade = pp_h1_field_find(resp, "Upgrade");

    if (!upgrade)
        return;
    apr_table_setn(r->headers_out, "Upgrade", apr_pstrmemdup(r->pool, upgrade->value, upgrade->value_len));
    apr_table_setn(r->headers_out, "Connection", "Upgrade");
}

static const char *status_line(request_rec *r, const pp_h1_response_t *resp)
{
    const char *usual = ap_get_status_line(resp->status); /* "200 OK" */

    if (strlen(usual) == resp->reason_len + 4 && !memcmp(usual + 4, resp->reason, resp->reason_len))
        return usual;
    return apr_psprintf(r->pool, "%d %.*s", resp->status, (int)resp->reason_len, resp->reason_len ? resp->reason : "");
}

void pooledproxy_response_head(request_rec *r, const pp_match_t *match, const pp_server_t *server, const pp_h1_response_t *resp)
{
    pp_reverse_t reverse;

    pooledproxy_reverse_init(&reverse, r, match, server);
    r->proxyreq = PROXYREQ_REVERSE; /* the backend's Date and Server are kept */
    r->status = resp->status;
    r->status_line = status_line(r, resp);
    r->headers_out = fresh_headers(r, resp);
    add_fields(&reverse, resp, r->headers_out);
    set_content(r, resp);
    pooledproxy_proxy_status_answer(r, match, resp->status);
    if (resp->status == HTTP_SWITCHING_PROTOCOLS)
        set_upgrade(r, resp);
}

void pooledproxy_interim_response(request_rec *r, const pp_h1_response_t *resp)
{
    const pp_match_t *match = NULL;
    apr_table_t *headers_out = r->headers_out;
    const char *line = r->status_line;
    int status = r->status;
    pp_reverse_t reverse;

    if (pooledproxy_match(r, &match) != OK)
        return;
    pooledproxy_reverse_init(&reverse, r, match, NULL);
    r->status = resp->status;
    r->status_line = status_line(r, resp);
    r->headers_out = apr_table_make(r->pool, (int)resp->nfields);
    add_fields(&reverse, resp, r->headers_out);
    ap_send_interim_response(r, 1);
    r->status = status;
    r->status_line = line;
    r->headers_out = headers_out;
}
