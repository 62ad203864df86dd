/* mod_pooledproxy_headers: writes the head of the upstream request.
 *
 * The parts are gathered as an array of slices, measured, and copied once.
 */
#include "mod_pooledproxy_headers.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <sys/uio.h>

APLOG_USE_MODULE(pooledproxy);

#define SLICES_OF_FIELD 4 /* name, ": ", value, CRLF */
#define SLICES_OF_REST 64 /* request line, Host and what we add */
#define SLICES_ON_STACK 256

/* What becomes of a field of the client's. */
typedef enum field_kind_t {
    FIELD_PASS,
    FIELD_DROP,        /* hop-by-hop, or made anew */
    FIELD_CONDITIONAL, /* dropped in subrequests */
    FIELD_HOST,
    FIELD_EXPECT,
    FIELD_VIA,
    FIELD_X_FORWARDED, /* dropped when we make it anew */
    FIELD_X_FORWARDED_FOR,
    FIELD_FORWARDED
} field_kind_t;

typedef struct head_writer_t {
    request_rec *r;
    const pp_match_t *match;
    struct iovec *slices;
    int n;
    bool x_forwarded, rfc7239; /* which fields tell about the client */
    const char *connection;    /* the client's Connection, or NULL */
    size_t connection_len;
    bool connection_names_fields; /* end-to-end ones that are to be dropped */
    bool expects_continue;
    const char *host, *via, *forwarded_for, *forwarded; /* values that came, or NULL */
} head_writer_t;

static void put(head_writer_t *w, const char *s, size_t len)
{
    w->slices[w->n].iov_base = (void *)s;
    w->slices[w->n++].iov_len = len;
}

#define PUT(w, literal) put(w, literal, sizeof(literal) - 1)

static void put_string(head_writer_t *w, const char *s)
{
    put(w, s, strlen(s));
}

/* In the order of length, so that a search can end early. */
static const struct {
    size_t len;
    const char *name;
    field_kind_t kind;
} special_fields[] = {
    {2, "TE", FIELD_DROP},
    {3, "Via", FIELD_VIA},
    {4, "Host", FIELD_HOST},
    {5, "Range", FIELD_CONDITIONAL},
    {6, "Expect", FIELD_EXPECT},
    {7, "Trailer", FIELD_DROP},
    {7, "Upgrade", FIELD_DROP},
    {8, "If-Match", FIELD_CONDITIONAL},
    {8, "If-Range", FIELD_CONDITIONAL},
    {9, "Forwarded", FIELD_FORWARDED},
    {10, "Connection", FIELD_DROP},
    {10, "Keep-Alive", FIELD_DROP},
    {13, "If-None-Match", FIELD_CONDITIONAL},
    {14, "Content-Length", FIELD_DROP},
    {14, "HTTP2-Settings", FIELD_DROP},
    {15, "X-Forwarded-For", FIELD_X_FORWARDED_FOR},
    {16, "Proxy-Connection", FIELD_DROP},
    {16, "X-Forwarded-Host", FIELD_X_FORWARDED},
    {17, "If-Modified-Since", FIELD_CONDITIONAL},
    {17, "Transfer-Encoding", FIELD_DROP},
    {17, "X-Forwarded-Proto", FIELD_X_FORWARDED},
    {18, "Proxy-Authenticate", FIELD_DROP},
    {19, "If-Unmodified-Since", FIELD_CONDITIONAL},
    {19, "Proxy-Authorization", FIELD_DROP},
};

static field_kind_t field_kind(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(special_fields) / sizeof(special_fields[0]) && special_fields[i].len <= len; i++) {
        if (special_fields[i].len == len && pp_h1_same(name, special_fields[i].name, len))
            return special_fields[i].kind;
    }
    return FIELD_PASS;
}

/* Does Connection name fields that would otherwise be passed on? */
static bool names_fields(const char *connection, size_t len)
{
    const char *at = connection, *item;
    size_t item_len;

    while (pp_h1_list_next(&at, connection + len, &item, &item_len)) {
        bool is_close = item_len == 5 && pp_h1_same(item, "close", 5);

        if (item_len && !is_close && field_kind(item, item_len) != FIELD_DROP)
            return true;
    }
    return false;
}

static void read_connection(head_writer_t *w)
{
    w->connection = apr_table_getm(w->r->pool, w->r->headers_in, "Connection");
    w->connection_len = w->connection ? strlen(w->connection) : 0;
    w->connection_names_fields = w->connection && names_fields(w->connection, w->connection_len);
}

/* A protocol that may be tunnelled. Not those that would change what this connection is for httpd: h2c, TLS (RFC 2817). */
static bool may_tunnel(const char *upgrade)
{
    const char *at = upgrade, *end = upgrade + strlen(upgrade), *item;
    size_t len;

    while (pp_h1_list_next(&at, end, &item, &len)) {
        if ((len >= 3 && pp_h1_same(item, "h2c", 3)) || (len >= 3 && pp_h1_same(item, "TLS", 3)))
            return false;
    }
    return *upgrade && pp_h1_is_field_value(upgrade, strlen(upgrade));
}

static const char *upgrade_wanted(head_writer_t *w, pp_request_body_t body)
{
    const char *upgrade;

    if (!w->connection || body != PP_REQUEST_BODY_NONE || w->r->proto_num != HTTP_VERSION(1, 1) || w->r->main)
        return NULL;
    if (!pp_h1_list_has(w->connection, w->connection_len, "upgrade"))
        return NULL;
    upgrade = apr_table_get(w->r->headers_in, "Upgrade");
    return upgrade && may_tunnel(upgrade) ? upgrade : NULL;
}

static const char *list_append(head_writer_t *w, const char *list, const char *value)
{
    return list ? apr_pstrcat(w->r->pool, list, ", ", value, NULL) : value;
}

/* Takes note of a field that we make anew; true: it is not to be passed on as it came. */
static bool take_special(head_writer_t *w, field_kind_t kind, const char *value)
{
    switch (kind) {
    case FIELD_PASS:
        return false;
    case FIELD_DROP:
        return true;
    case FIELD_CONDITIONAL:
        return w->r->main != NULL;
    case FIELD_HOST:
        w->host = value;
        return true;
    case FIELD_EXPECT:
        w->expects_continue = pp_h1_list_has(value, strlen(value), "100-continue");
        return true;
    case FIELD_VIA:
        w->via = list_append(w, w->via, value);
        return true;
    case FIELD_X_FORWARDED:
        return w->x_forwarded;
    case FIELD_X_FORWARDED_FOR:
        if (w->x_forwarded)
            w->forwarded_for = list_append(w, w->forwarded_for, value);
        return w->x_forwarded;
    case FIELD_FORWARDED:
        if (w->rfc7239)
            w->forwarded = list_append(w, w->forwarded, value);
        return w->rfc7239;
    }
    return false;
}

static int put_field(head_writer_t *w, const char *name, const char *value)
{
    size_t name_len = strlen(name), value_len = strlen(value);
    field_kind_t kind = field_kind(name, name_len);

    if (w->connection_names_fields && kind != FIELD_HOST && pp_h1_list_has(w->connection, w->connection_len, name))
        return OK;
    if (!pp_h1_is_token(name, name_len) || !pp_h1_is_field_value(value, value_len)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, w->r, "a header field of the request can't be sent to a backend");
        return HTTP_BAD_REQUEST;
    }
    if (take_special(w, kind, value))
        return OK;
    put(w, name, name_len);
    PUT(w, ": ");
    put(w, value, value_len);
    PUT(w, "\r\n");
    return OK;
}

static int put_client_fields(head_writer_t *w)
{
    const apr_array_header_t *fields = apr_table_elts(w->r->headers_in);
    int status = OK;

    for (int i = 0; i < fields->nelts && status == OK; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(fields, i, apr_table_entry_t);

        if (field->key && field->val)
            status = put_field(w, field->key, field->val);
    }
    return status;
}

/* One more member of a list field: what came before it, then the member. */
static void put_list(head_writer_t *w, const char *name, const char *came, const char *member)
{
    put_string(w, name);
    if (came && *came) {
        put_string(w, came);
        PUT(w, ", ");
    }
    put_string(w, member);
    PUT(w, "\r\n");
}

/* "1.1", for Via: RFC 9110 section 7.6.3. */
static const char *http_version(request_rec *r)
{
    if (r->proto_num == HTTP_VERSION(1, 1))
        return "1.1";
    return apr_psprintf(r->pool, "%d.%d", HTTP_VERSION_MAJOR(r->proto_num), HTTP_VERSION_MINOR(r->proto_num));
}

/* RFC 9110 section 7.6.3. A name that the client chose (UseCanonicalName Off) is not ours: then the vhost's. */
static void put_via(head_writer_t *w)
{
    request_rec *r = w->r;
    const char *name = ap_get_server_name(r);

    if (name == r->hostname)
        name = r->server->server_hostname;
    put_list(w, "Via: ", w->via, apr_pstrcat(r->pool, http_version(r), " ", name, NULL));
}

static void put_x_forwarded(head_writer_t *w)
{
    put_list(w, "X-Forwarded-For: ", w->forwarded_for, w->r->useragent_ip);
    if (w->host)
        put_list(w, "X-Forwarded-Host: ", NULL, w->host);
    put_list(w, "X-Forwarded-Proto: ", NULL, ap_http_scheme(w->r));
}

/* A value as RFC 7239 section 4 wants it: a token, or else a quoted string. */
static const char *quote(apr_pool_t *p, const char *value)
{
    char *quoted, *to;

    if (pp_h1_is_token(value, strlen(value)))
        return value;
    quoted = to = apr_palloc(p, 2 * strlen(value) + 3);
    *to++ = '"';
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            *to++ = '\\';
        *to++ = *value;
    }
    *to++ = '"';
    *to = '\0';
    return quoted;
}

static void put_forwarded(head_writer_t *w)
{
    request_rec *r = w->r;
    const char *ip = r->useragent_ip;
    const char *client = strchr(ip, ':') ? apr_pstrcat(r->pool, "\"[", ip, "]\"", NULL) : ip;
    const char *host = w->host ? apr_pstrcat(r->pool, ";host=", quote(r->pool, w->host), NULL) : "";

    put_list(w, "Forwarded: ", w->forwarded, apr_pstrcat(r->pool, "for=", client, host, ";proto=", ap_http_scheme(r), NULL));
}

/* Up to the value of Host. */
static void put_request_line(head_writer_t *w, const pp_server_t *server, pp_request_head_t *head)
{
    const char *path = w->match->upstream->name ? server->path : "";

    put_string(w, w->r->method);
    PUT(w, " ");
    head->path_at = strlen(w->r->method) + 1;
    head->path_len = strlen(path);
    put(w, path, head->path_len);
    put_string(w, w->match->target);
    PUT(w, " HTTP/1.1\r\nHost: ");
    head->host_at = head->path_at + head->path_len + strlen(w->match->target) + strlen(" HTTP/1.1\r\nHost: ");
}

/* The client's fields come first, so that its Host is known; the slice before them is filled in here. */
static void put_host(head_writer_t *w, int slot, const pp_server_t *server, pp_request_head_t *head)
{
    bool preserved = w->match->settings.preserve_host && w->host && *w->host;
    const char *host = preserved ? w->host : server->authority;

    w->slices[slot].iov_base = (void *)host;
    w->slices[slot].iov_len = strlen(host);
    head->host_len = preserved ? 0 : strlen(host);
}

static void put_framing(head_writer_t *w, pp_request_body_t body, apr_off_t length)
{
    if (body == PP_REQUEST_BODY_CHUNKED)
        PUT(w, "Transfer-Encoding: chunked\r\n");
    else if (body == PP_REQUEST_BODY_LENGTH)
        put_list(w, "Content-Length: ", NULL, apr_off_t_toa(w->r->pool, length));
}

/* The client's waiting for 100 Continue is passed on unless somebody has answered it or taken the field away. */
static void put_expect(head_writer_t *w, pp_request_body_t body, pp_request_head_t *head)
{
    head->expect_continue =
        body != PP_REQUEST_BODY_NONE && w->expects_continue && w->r->expecting_100 && w->r->proto_num >= HTTP_VERSION(1, 1);
    if (head->expect_continue)
        PUT(w, "Expect: 100-continue\r\n");
}

static void put_connection(head_writer_t *w, pp_request_body_t body, bool keep_alive, pp_request_head_t *head)
{
    const char *upgrade = upgrade_wanted(w, body);

    head->upgrade = upgrade != NULL;
    if (upgrade)
        put_list(w, "Connection: Upgrade\r\nUpgrade: ", NULL, upgrade);
    else if (!keep_alive)
        PUT(w, "Connection: close\r\n");
}

static void writer_init(head_writer_t *w, request_rec *r, const pp_match_t *match, struct iovec *slices)
{
    int forwarded = match->settings.forwarded;

    memset(w, 0, sizeof(*w));
    w->r = r;
    w->match = match;
    w->slices = slices;
    w->x_forwarded = forwarded == PP_FORWARDED_X || forwarded == PP_FORWARDED_BOTH;
    w->rfc7239 = forwarded == PP_FORWARDED_RFC7239 || forwarded == PP_FORWARDED_BOTH;
    read_connection(w);
}

int pooledproxy_request_head(request_rec *r, const pp_match_t *match, const pp_server_t *server, pp_request_body_t body,
                             apr_off_t body_length, bool keep_alive, pp_request_head_t *head)
{
    struct iovec on_stack[SLICES_ON_STACK];
    int most = apr_table_elts(r->headers_in)->nelts * SLICES_OF_FIELD + SLICES_OF_REST, host_slot;
    apr_size_t len;
    head_writer_t w;

    memset(head, 0, sizeof(*head));
    if (!pp_h1_is_token(r->method, strlen(r->method)))
        return HTTP_BAD_REQUEST;
    writer_init(&w, r, match, most <= SLICES_ON_STACK ? on_stack : apr_palloc(r->pool, sizeof(*on_stack) * (size_t)most));
    put_request_line(&w, server, head);
    host_slot = w.n;
    PUT(&w, "");
    PUT(&w, "\r\n");
    if (put_client_fields(&w) != OK)
        return HTTP_BAD_REQUEST;
    put_host(&w, host_slot, server, head);
    put_via(&w);
    if (w.x_forwarded)
        put_x_forwarded(&w);
    if (w.rfc7239)
        put_forwarded(&w);
    put_expect(&w, body, head);
    put_framing(&w, body, body_length);
    put_connection(&w, body, keep_alive, head);
    PUT(&w, "\r\n");
    head->bytes = apr_pstrcatv(r->pool, w.slices, (apr_size_t)w.n, &len);
    head->len = len;
    return OK;
}
