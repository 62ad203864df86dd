/* mod_pooledproxy_headers: writes the head of the upstream request.
 *
 * It is written on the stack, where most heads have room, and copied to the request's memory once.
 */
#include "mod_pooledproxy_headers.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>

APLOG_USE_MODULE(pooledproxy);

#define ROOM_ON_STACK 2048

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
    char *bytes; /* the head so far */
    size_t len, room;
    bool x_forwarded, rfc7239; /* which fields tell about the client */
    const char *connection;    /* the client's Connection, or NULL */
    size_t connection_len;
    bool connection_names_fields; /* end-to-end ones that are to be dropped */
    bool expects_continue;
    const char *host, *via, *forwarded_for, *forwarded; /* values that came, or NULL */
} head_writer_t;

/* The head is larger than its room: on in the request's memory. */
static void room_grow(head_writer_t *w, size_t more)
{
    char *bytes;

    w->room = 2 * (w->room + more);
    bytes = apr_palloc(w->r->pool, w->room);
    memcpy(bytes, w->bytes, w->len);
    w->bytes = bytes;
}

static inline void put(head_writer_t *w, const char *s, size_t len)
{
    if (w->room - w->len < len)
        room_grow(w, len);
    memcpy(w->bytes + w->len, s, len);
    w->len += len;
}

#define PUT(w, literal) put(w, literal, sizeof(literal) - 1)

static void put_string(head_writer_t *w, const char *s)
{
    put(w, s, strlen(s));
}

/* In the order of length, so that a search can end early. */
#define SPECIAL_FIELDS(FIELD)                       \
    FIELD("TE", FIELD_DROP)                         \
    FIELD("Via", FIELD_VIA)                         \
    FIELD("Host", FIELD_HOST)                       \
    FIELD("Range", FIELD_CONDITIONAL)               \
    FIELD("Expect", FIELD_EXPECT)                   \
    FIELD("Trailer", FIELD_DROP)                    \
    FIELD("Upgrade", FIELD_DROP)                    \
    FIELD("If-Match", FIELD_CONDITIONAL)            \
    FIELD("If-Range", FIELD_CONDITIONAL)            \
    FIELD("Forwarded", FIELD_FORWARDED)             \
    FIELD("Connection", FIELD_DROP)                 \
    FIELD("Keep-Alive", FIELD_DROP)                 \
    FIELD("If-None-Match", FIELD_CONDITIONAL)       \
    FIELD("Content-Length", FIELD_DROP)             \
    FIELD("HTTP2-Settings", FIELD_DROP)             \
    FIELD("X-Forwarded-For", FIELD_X_FORWARDED_FOR) \
    FIELD("Proxy-Connection", FIELD_DROP)           \
    FIELD("X-Forwarded-Host", FIELD_X_FORWARDED)    \
    FIELD("If-Modified-Since", FIELD_CONDITIONAL)   \
    FIELD("Transfer-Encoding", FIELD_DROP)          \
    FIELD("X-Forwarded-Proto", FIELD_X_FORWARDED)   \
    FIELD("Proxy-Authenticate", FIELD_DROP)         \
    FIELD("If-Unmodified-Since", FIELD_CONDITIONAL) \
    FIELD("Proxy-Authorization", FIELD_DROP)

#define AS_ROW(name, kind) {sizeof(name) - 1, name, kind},
static const struct {
    size_t len;
    const char *name;
    field_kind_t kind;
} special_fields[] = {SPECIAL_FIELDS(AS_ROW){SIZE_MAX, "", FIELD_PASS}};

/* The lengths of their names, as bits: most fields need no search. */
#define AS_LENGTH(name, kind) | 1u << (sizeof(name) - 1)
static const uint32_t special_lengths = 0 SPECIAL_FIELDS(AS_LENGTH);

static field_kind_t field_kind(const char *name, size_t len)
{
    size_t i = 0;

    if (len >= 32 || !(special_lengths >> len & 1))
        return FIELD_PASS;
    while (special_fields[i].len < len)
        i++;
    for (; special_fields[i].len == len; i++)
        if (pp_h1_same(name, special_fields[i].name, len))
            return special_fields[i].kind;
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
        w->host = w->host ? w->host : value; /* the first one, as for httpd itself */
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

/* What came of a list field, before the member that we add. */
static void put_came(head_writer_t *w, const char *came)
{
    if (came && *came) {
        put_string(w, came);
        PUT(w, ", ");
    }
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
    PUT(w, "Via: ");
    put_came(w, w->via);
    put_string(w, http_version(r));
    PUT(w, " ");
    put_string(w, name);
    PUT(w, "\r\n");
}

static void put_x_forwarded(head_writer_t *w)
{
    PUT(w, "X-Forwarded-For: ");
    put_came(w, w->forwarded_for);
    put_string(w, w->r->useragent_ip);
    if (w->host) {
        PUT(w, "\r\nX-Forwarded-Host: ");
        put_string(w, w->host);
    }
    PUT(w, "\r\nX-Forwarded-Proto: ");
    put_string(w, ap_http_scheme(w->r));
    PUT(w, "\r\n");
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

    PUT(w, "Forwarded: ");
    put_came(w, w->forwarded);
    PUT(w, "for=");
    put_string(w, strchr(ip, ':') ? apr_pstrcat(r->pool, "\"[", ip, "]\"", NULL) : ip);
    if (w->host) {
        PUT(w, ";host=");
        put_string(w, quote(r->pool, w->host));
    }
    PUT(w, ";proto=");
    put_string(w, ap_http_scheme(r));
    PUT(w, "\r\n");
}

static void put_request_line(head_writer_t *w, const pp_server_t *server, pp_request_head_t *head)
{
    const char *path = w->match->upstream->name ? server->path : "";

    put_string(w, w->r->method);
    PUT(w, " ");
    head->path_at = w->len;
    put_string(w, path);
    head->path_len = w->len - head->path_at;
    put_string(w, w->match->target);
    PUT(w, " HTTP/1.1\r\n");
}

static void put_host(head_writer_t *w, const pp_server_t *server, pp_request_head_t *head)
{
    const char *came = w->match->settings.preserve_host ? apr_table_get(w->r->headers_in, "Host") : NULL;
    bool preserved = came && *came;

    PUT(w, "Host: ");
    head->host_at = w->len;
    put_string(w, preserved ? came : server->authority);
    head->host_len = preserved ? 0 : w->len - head->host_at;
    PUT(w, "\r\n");
}

static void put_framing(head_writer_t *w, pp_request_body_t body, apr_off_t length)
{
    if (body == PP_REQUEST_BODY_CHUNKED) {
        PUT(w, "Transfer-Encoding: chunked\r\n");
    }
    else if (body == PP_REQUEST_BODY_LENGTH) {
        PUT(w, "Content-Length: ");
        put_string(w, apr_off_t_toa(w->r->pool, length));
        PUT(w, "\r\n");
    }
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
    if (upgrade) {
        PUT(w, "Connection: Upgrade\r\nUpgrade: ");
        put_string(w, upgrade);
        PUT(w, "\r\n");
    }
    else if (!keep_alive) {
        PUT(w, "Connection: close\r\n");
    }
}

static void writer_init(head_writer_t *w, request_rec *r, const pp_match_t *match, char *room, size_t size)
{
    int forwarded = match->settings.forwarded;

    memset(w, 0, sizeof(*w));
    w->r = r;
    w->match = match;
    w->bytes = room;
    w->room = size;
    w->x_forwarded = forwarded == PP_FORWARDED_X || forwarded == PP_FORWARDED_BOTH;
    w->rfc7239 = forwarded == PP_FORWARDED_RFC7239 || forwarded == PP_FORWARDED_BOTH;
    read_connection(w);
}

int pooledproxy_request_head(request_rec *r, const pp_match_t *match, const pp_server_t *server, pp_request_body_t body,
                             apr_off_t body_length, bool keep_alive, pp_request_head_t *head)
{
    char on_stack[ROOM_ON_STACK];
    head_writer_t w;

    memset(head, 0, sizeof(*head));
    if (r->method_number == M_INVALID && !pp_h1_is_token(r->method, strlen(r->method)))
        return HTTP_BAD_REQUEST;
    writer_init(&w, r, match, on_stack, sizeof(on_stack));
    put_request_line(&w, server, head);
    put_host(&w, server, head);
    if (put_client_fields(&w) != OK)
        return HTTP_BAD_REQUEST;
    put_via(&w);
    if (w.x_forwarded)
        put_x_forwarded(&w);
    if (w.rfc7239)
        put_forwarded(&w);
    put_expect(&w, body, head);
    put_framing(&w, body, body_length);
    put_connection(&w, body, keep_alive, head);
    PUT(&w, "\r\n");
    head->bytes = w.bytes == on_stack ? apr_pmemdup(r->pool, w.bytes, w.len) : w.bytes;
    head->len = w.len;
    return OK;
}
