/* mod_pooledproxy_response: the upstream's response head becomes the request_rec's. */
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>

#include "mod_pooledproxy_headers.h"
#include "mod_pooledproxy_proxy_status.h"
#include "mod_pooledproxy_reverse.h"

typedef const char *rewrite_t(const pp_reverse_t *reverse, const char *value);

/* A response head on its way to the client. */
typedef struct head_t {
    request_rec *r;
    const pp_match_t *match;
    const pp_server_t *server; /* that answered, or NULL */
    const pp_h1_response_t *resp;
    char *lines;          /* copy of all field lines */
    pp_reverse_t reverse; /* made when it is needed first: reverse.r is NULL before */
} head_t;

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
#define SPECIAL_FIELDS(FIELD)                       \
    FIELD("TE", NULL)                               \
    FIELD("Link", reverse_link_field)               \
    FIELD("Refresh", reverse_refresh_field)         \
    FIELD("Trailer", NULL)                          \
    FIELD("Upgrade", NULL)                          \
    FIELD("Location", reverse_url_field)            \
    FIELD("Connection", NULL)                       \
    FIELD("Keep-Alive", NULL)                       \
    FIELD("Set-Cookie", pooledproxy_reverse_cookie) \
    FIELD("Content-Type", NULL)                     \
    FIELD("Content-Length", NULL)                   \
    FIELD("Content-Location", reverse_url_field)    \
    FIELD("Proxy-Connection", NULL)                 \
    FIELD("Transfer-Encoding", NULL)                \
    FIELD("Proxy-Authenticate", NULL)

#define AS_ROW(name, rewrite) {sizeof(name) - 1, name, rewrite},
static const struct {
    size_t len;
    const char *name;
    rewrite_t *rewrite;
} special_fields[] = {SPECIAL_FIELDS(AS_ROW){SIZE_MAX, "", NULL}};

/* The lengths of their names, as bits: most fields need no search. */
#define AS_LENGTH(name, rewrite) | 1u << (sizeof(name) - 1)
static const uint32_t special_lengths = 0 SPECIAL_FIELDS(AS_LENGTH);

/* false: the field is dropped. *rewrite stays as it is for a field that is simply copied. */
static bool is_passed(const pp_field_t *field, rewrite_t **rewrite)
{
    const size_t len = field->name_len;
    size_t i = 0;

    if (len >= 32 || !(special_lengths >> len & 1))
        return true;
    while (special_fields[i].len < len)
        i++;
    for (; special_fields[i].len == len; i++) {
        if (!pp_h1_same(field->name, special_fields[i].name, len))
            continue;
        *rewrite = special_fields[i].rewrite;
        return *rewrite != NULL;
    }
    return true;
}

/* The values of all Connection fields as one list, where they name more than how this connection goes on; else NULL. */
static const char *connection_names(apr_pool_t *p, const pp_h1_response_t *resp)
{
    const char *names = NULL;

    for (uint32_t i = 0; i < resp->nfields && resp->names_fields; i++) {
        const pp_field_t *field = &resp->fields[i];

        if (field->name_len != sizeof("Connection") - 1 || !pp_h1_same(field->name, "Connection", field->name_len))
            continue;
        names = apr_pstrcat(p, names ? names : "", names ? ", " : "", apr_pstrmemdup(p, field->value, field->value_len), NULL);
    }
    return names;
}

/* All field lines as they stand in the head, copied in one piece. Each name and value ends with a NUL when it has been cut. */
static char *lines_copy(apr_pool_t *p, const pp_h1_response_t *resp)
{
    const pp_field_t *first = &resp->fields[0], *last = &resp->fields[resp->nfields ? resp->nfields - 1 : 0];

    return resp->nfields ? apr_pstrmemdup(p, first->name, (size_t)(last->value + last->value_len - first->name)) : NULL;
}

static void head_init(head_t *head, request_rec *r, const pp_match_t *match, const pp_server_t *server,
                      const pp_h1_response_t *resp)
{
    head->r = r;
    head->match = match;
    head->server = server;
    head->resp = resp;
    head->lines = lines_copy(r->pool, resp);
    head->reverse.r = NULL;
}

/* A name or value of the response, as a string in the copy. */
static const char *cut(const head_t *head, const char *from, size_t len)
{
    char *copy = head->lines + (from - head->resp->fields[0].name);

    copy[len] = '\0'; /* takes the place of the colon, or of the line's end */
    return copy;
}

static const char *rewritten(head_t *head, rewrite_t *rewrite, const char *value)
{
    if (!head->reverse.r)
        pooledproxy_reverse_init(&head->reverse, head->r, head->match, head->server);
    return rewrite(&head->reverse, value);
}

/* Adds the fields that go to the client. */
static void add_fields(head_t *head, apr_table_t *table)
{
    const pp_h1_response_t *resp = head->resp;
    const char *dropped = connection_names(head->r->pool, resp);

    for (uint32_t i = 0; i < resp->nfields; i++) {
        const pp_field_t *field = &resp->fields[i];
        rewrite_t *rewrite = NULL;
        const char *name, *value;

        if (!is_passed(field, &rewrite))
            continue;
        name = cut(head, field->name, field->name_len);
        if (dropped && pp_h1_list_has(dropped, strlen(dropped), name))
            continue;
        value = cut(head, field->value, field->value_len);
        apr_table_addn(table, name, rewrite ? rewritten(head, rewrite, value) : value);
    }
}

static int keep_field(void *table, const char *name, const char *value)
{
    apr_table_addn(table, name, value);
    return 1;
}

/* A table with nothing but the cookies that other modules have set. */
static apr_table_t *fresh_headers(request_rec *r, const pp_h1_response_t *resp)
{
    apr_table_t *headers;

    if (apr_is_empty_table(r->headers_out))
        return r->headers_out;
    headers = apr_table_make(r->pool, (int)resp->nfields + 4);
    apr_table_do(keep_field, headers, r->headers_out, "Set-Cookie", NULL);
    return headers;
}

/* As ap_set_content_length(), for a table that has none yet. */
static void add_content_length(request_rec *r, apr_off_t length)
{
    r->clength = length;
    apr_table_addn(r->headers_out, "Content-Length", apr_off_t_toa(r->pool, length));
}

/* Only what the backend says: nothing that the path's extension made modules believe. */
static void set_content(const head_t *head)
{
    request_rec *r = head->r;
    const pp_h1_response_t *resp = head->resp;
    const pp_field_t *type = pp_h1_field_find(resp, "Content-Type");

    r->content_encoding = NULL;
    r->content_languages = NULL;
    ap_set_content_type(r, type && type->value_len ? cut(head, type->value, type->value_len) : NULL);
    if (resp->content_length >= 0 && (resp->framing == PP_FRAMING_LENGTH || r->header_only || resp->status == HTTP_NOT_MODIFIED) &&
        resp->status != HTTP_NO_CONTENT)
        add_content_length(r, resp->content_length);
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
    const char *usual = ap_get_status_line(resp->status); /* "200 OK"; that of 500 for one that httpd does not know */
    int usual_status = (usual[0] - '0') * 100 + (usual[1] - '0') * 10 + (usual[2] - '0');

    if (usual_status == resp->status && strlen(usual) == resp->reason_len + 4 && !memcmp(usual + 4, resp->reason, resp->reason_len))
        return usual;
    return apr_psprintf(r->pool, "%d %.*s", resp->status, (int)resp->reason_len, resp->reason_len ? resp->reason : "");
}

void pooledproxy_response_head(request_rec *r, const pp_match_t *match, const pp_server_t *server, const pp_h1_response_t *resp)
{
    head_t head;

    head_init(&head, r, match, server, resp);
    r->proxyreq = PROXYREQ_REVERSE; /* the backend's Date and Server are kept */
    r->status = resp->status;
    r->status_line = status_line(r, resp);
    r->headers_out = fresh_headers(r, resp);
    add_fields(&head, r->headers_out);
    set_content(&head);
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
    head_t head;

    if (pooledproxy_match(r, &match) != OK)
        return;
    head_init(&head, r, match, NULL, resp);
    r->status = resp->status;
    r->status_line = status_line(r, resp);
    r->headers_out = apr_table_make(r->pool, (int)resp->nfields);
    add_fields(&head, r->headers_out);
    ap_send_interim_response(r, 1);
    r->status = status;
    r->status_line = line;
    r->headers_out = headers_out;
}
