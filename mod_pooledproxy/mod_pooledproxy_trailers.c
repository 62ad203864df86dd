/* mod_pooledproxy_trailers: a filter behind httpd's chunk filter. */
#include "mod_pooledproxy_trailers.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <util_filter.h>

#define LAST_CHUNK "0\r\n\r\n"
#define LAST_CHUNK_LEN (sizeof(LAST_CHUNK) - 1)

static ap_filter_rec_t *trailers_handle;

/* What frames or routes a message, or says how its content is to be taken. */
static const char *const never_in_trailers[] = {
    "Authorization",    "Cache-Control", "Connection", "Content-Encoding", "Content-Length",    "Content-Range",
    "Content-Type",     "Expires",       "Host",       "Keep-Alive",       "Location",          "Proxy-Authenticate",
    "Proxy-Connection", "Set-Cookie",    "TE",         "Trailer",          "Transfer-Encoding", "Upgrade",
    "WWW-Authenticate",
};

static bool may_stand(const pp_field_t *field)
{
    for (size_t i = 0; i < sizeof(never_in_trailers) / sizeof(never_in_trailers[0]); i++) {
        if (strlen(never_in_trailers[i]) == field->name_len && pp_h1_same(field->name, never_in_trailers[i], field->name_len))
            return false;
    }
    return true;
}

static bool takes_trailers(request_rec *r)
{
    const char *te = apr_table_getm(r->pool, r->headers_in, "TE");

    return te && r->proto_num >= HTTP_VERSION(1, 1) && !r->main && !r->connection->master &&
           pp_h1_list_has(te, strlen(te), "trailers");
}

static int append_field(void *text, const char *name, const char *value)
{
    apr_array_header_t *parts = text;

    APR_ARRAY_PUSH(parts, const char *) = name;
    APR_ARRAY_PUSH(parts, const char *) = ": ";
    APR_ARRAY_PUSH(parts, const char *) = value;
    APR_ARRAY_PUSH(parts, const char *) = "\r\n";
    return 1;
}

static const char *trailers_text(request_rec *r)
{
    apr_array_header_t *parts = apr_array_make(r->pool, 16, sizeof(const char *));

    apr_table_do(append_field, parts, r->trailers_out, NULL);
    return apr_array_pstrcat(r->pool, parts, 0);
}

/* The chunk filter's last bucket before the end, when it is the last chunk. */
static apr_bucket *last_chunk(apr_bucket_brigade *bb)
{
    apr_bucket *eos, *last;
    const char *data;
    apr_size_t len;

    for (eos = APR_BRIGADE_FIRST(bb); eos != APR_BRIGADE_SENTINEL(bb) && !APR_BUCKET_IS_EOS(eos); eos = APR_BUCKET_NEXT(eos))
        ;
    if (eos == APR_BRIGADE_SENTINEL(bb) || eos == APR_BRIGADE_FIRST(bb))
        return NULL;
    last = APR_BUCKET_PREV(eos);
    if (APR_BUCKET_IS_METADATA(last) || last->length != LAST_CHUNK_LEN)
        return NULL;
    if (apr_bucket_read(last, &data, &len, APR_NONBLOCK_READ) != APR_SUCCESS || len != LAST_CHUNK_LEN)
        return NULL;
    return memcmp(data, LAST_CHUNK, LAST_CHUNK_LEN) == 0 ? last : NULL;
}

static apr_status_t trailers_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    apr_bucket *last = f->r->chunked ? last_chunk(bb) : NULL;
    const char *text;

    if (last) {
        apr_bucket_split(last, LAST_CHUNK_LEN - 2); /* before the empty line */
        text = trailers_text(f->r);
        APR_BUCKET_INSERT_AFTER(last, apr_bucket_pool_create(text, strlen(text), f->r->pool, f->c->bucket_alloc));
        ap_remove_output_filter(f);
    }
    return ap_pass_brigade(f->next, bb);
}

bool pooledproxy_trailers_set(request_rec *r, const pp_field_t *fields, unsigned nfields)
{
    apr_pool_t *p = r->pool;

    for (unsigned i = 0; i < nfields; i++) {
        if (may_stand(&fields[i]))
            apr_table_addn(r->trailers_out, apr_pstrmemdup(p, fields[i].name, fields[i].name_len),
                           apr_pstrmemdup(p, fields[i].value, fields[i].value_len));
    }
    if (apr_is_empty_table(r->trailers_out) || !takes_trailers(r))
        return false;
    ap_add_output_filter_handle(trailers_handle, NULL, r, r->connection);
    return true;
}

void pooledproxy_trailers_register(void)
{
    trailers_handle = ap_register_output_filter("POOLEDPROXY_TRAILERS", trailers_filter, NULL,
                                                (ap_filter_type)(AP_FTYPE_TRANSCODE + 1)); /* behind CHUNK */
}
