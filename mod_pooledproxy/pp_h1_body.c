/* pp_h1_body: a state machine that takes a body in any pieces. Lines of framing go byte by byte, data in runs. */
#include "pp_h1_body.h"

#include <stdlib.h>
#include <string.h>

/* Of a chunked body: what the next byte belongs to. RFC 9112 section 7.1 */
enum {
    SIZE,      /* hex digits; line_len says how many there were */
    EXT_SPACE, /* white space behind the size: a ';' must follow */
    EXT,       /* the chunk's extensions, which nobody reads */
    SIZE_LF,   /* CR came, LF ends the size's line */
    DATA,      /* `remaining` bytes of it */
    DATA_CR,   /* the line end behind the data */
    DATA_LF,
    TRAILER,        /* first byte of the trailer section: CR when there is none */
    TRAILER_LF,     /* CR came at once, LF ends the message */
    TRAILER_FIELDS, /* a line of trailer_bytes; its last line_len bytes are the line we are in */
    DONE
};

void pp_h1_body_init(pp_h1_body_t *body, const pp_h1_response_t *resp)
{
    *body = (pp_h1_body_t){.framing = resp->framing, .state = SIZE};
    if (resp->framing == PP_FRAMING_LENGTH)
        body->remaining = resp->content_length;
}

void pp_h1_body_clear(pp_h1_body_t *body)
{
    free(body->trailer_bytes);
    body->trailer_bytes = NULL;
    body->ntrailers = 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte where the size stands; returns the next state, or -1. */
static int take_size(pp_h1_body_t *body, char c)
{
    const int digit = hex_digit(c);

    if (digit >= 0) {
        if (body->line_len > 16 || body->remaining > INT64_MAX >> 4)
            return -1;
        body->remaining = body->remaining << 4 | digit;
        return SIZE;
    }
    if (body->line_len == 1)
        return -1; /* no digit came */
    if (c == '\r')
        return SIZE_LF;
    if (c == ';')
        return EXT;
    return pp_h1_is_ows(c) ? EXT_SPACE : -1;
}

/* One byte of the white space behind the size. Padding without an extension is not in the grammar. */
static int take_ext_space(char c)
{
    if (c == ';')
        return EXT;
    return pp_h1_is_ows(c) ? EXT_SPACE : -1;
}

static int take_ext(char c)
{
    if (c == '\r')
        return SIZE_LF;
    return pp_h1_is_field_value(&c, 1) ? EXT : -1;
}

static int take_size_lf(pp_h1_body_t *body, char c)
{
    body->line_len = 0;
    if (c != '\n')
        return -1;
    return body->remaining > 0 ? DATA : TRAILER;
}

/* One byte of a chunk's framing; returns the next state, or -1 for a byte that may not stand there. */
static int take_framing(pp_h1_body_t *body, char c)
{
    if (body->state <= SIZE_LF && ++body->line_len > PP_H1_CHUNK_LINE_MAX)
        return -1;
    switch (body->state) {
    case SIZE:
        return take_size(body, c);
    case EXT_SPACE:
        return take_ext_space(c);
    case EXT:
        return take_ext(c);
    case SIZE_LF:
        return take_size_lf(body, c);
    case DATA_CR:
        return c == '\r' ? DATA_LF : -1;
    case DATA_LF:
        return c == '\n' ? SIZE : -1;
    default:
        return -1;
    }
}

/* A run of body data: as much of in[0 .. len) as still belongs to it. */
static size_t take_data(pp_h1_body_t *body, const char *in, size_t len, const char **data, size_t *data_len)
{
    const size_t run = (uint64_t)body->remaining < len ? (size_t)body->remaining : len;

    body->remaining -= (int64_t)run;
    *data = in;
    *data_len = run;
    return run;
}

/* Copies the rest of the line at in[0 .. len), or what is there of it; returns the bytes copied, 0 when the section grows too large. */
static size_t gather_line(pp_h1_body_t *body, const char *in, size_t len)
{
    const char *lf = memchr(in, '\n', len);
    const size_t piece = lf ? (size_t)(lf - in) + 1 : len;

    if (piece > PP_H1_TRAILER_MAX - body->trailer_len)
        return 0;
    memcpy(body->trailer_bytes + body->trailer_len, in, piece);
    body->trailer_len += (uint32_t)piece;
    body->line_len += (uint32_t)piece;
    return piece;
}

/* One piece of one line of the trailer section, judged by what is there of it. RFC 9112 section 7.1.2 */
static apr_status_t take_trailer_line(pp_h1_body_t *body, const char *in, size_t len, size_t *used, pp_err_t *err)
{
    const size_t piece = gather_line(body, in, len);
    const char *end = body->trailer_bytes + body->trailer_len;
    const char *line = end - body->line_len;
    pp_field_t field;
    apr_status_t rv;

    if (piece == 0)
        return pp_h1_refuse(err, PP_ERR_bad_trailer);
    *used += piece;
    rv = pp_h1_field_next(&line, end, &field, err);
    if (rv == APR_EAGAIN)
        return APR_SUCCESS;
    if (rv == APR_EOF) {
        body->state = DONE;
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS || body->ntrailers == PP_H1_TRAILER_FIELDS_MAX)
        return pp_h1_refuse(err, PP_ERR_bad_trailer);
    body->ntrailers++;
    body->line_len = 0;
    return APR_SUCCESS;
}

/* Behind the last chunk. Nearly always that is the empty line alone, for which no memory is taken. */
static apr_status_t take_trailer(pp_h1_body_t *body, const char *in, size_t len, size_t *used, pp_err_t *err)
{
    if (body->state == TRAILER_FIELDS)
        return take_trailer_line(body, in, len, used, err);
    if (body->state == TRAILER && *in != '\r') {
        body->trailer_bytes = malloc(PP_H1_TRAILER_MAX);
        if (!body->trailer_bytes)
            return pp_h1_refuse(err, PP_ERR_internal);
        body->state = TRAILER_FIELDS;
        return APR_SUCCESS;
    }
    if (body->state == TRAILER_LF && *in != '\n')
        return pp_h1_refuse(err, PP_ERR_bad_trailer);
    body->state = body->state == TRAILER ? TRAILER_LF : DONE;
    ++*used;
    return APR_SUCCESS;
}

/* One step of a chunked body at in[0 .. len), len > 0. */
static apr_status_t take_chunked(pp_h1_body_t *body, const char *in, size_t len, size_t *used, const char **data, size_t *data_len,
                                 pp_err_t *err)
{
    int next;

    if (body->state >= TRAILER)
        return take_trailer(body, in, len, used, err);
    if (body->state == DATA) {
        *used += take_data(body, in, len, data, data_len);
        if (body->remaining == 0)
            body->state = DATA_CR;
        return APR_SUCCESS;
    }
    next = take_framing(body, *in);
    if (next < 0)
        return pp_h1_refuse(err, PP_ERR_bad_chunk);
    body->state = next;
    ++*used;
    return APR_SUCCESS;
}

/* Steps until there is a run of data, an end, an error, or nothing left to take. */
static apr_status_t decode_chunked(pp_h1_body_t *body, const char *in, size_t len, size_t *used, const char **data,
                                   size_t *data_len, pp_err_t *err)
{
    while (body->state != DONE && *used < len && *data_len == 0) {
        apr_status_t rv = take_chunked(body, in + *used, len - *used, used, data, data_len, err);

        if (rv != APR_SUCCESS)
            return rv;
    }
    return body->state == DONE ? APR_EOF : APR_SUCCESS;
}

apr_status_t pp_h1_body_decode(pp_h1_body_t *body, const char *in, size_t len, size_t *used, const char **data, size_t *data_len,
                               pp_err_t *err)
{
    *used = 0;
    *data = in;
    *data_len = 0;
    switch (body->framing) {
    case PP_FRAMING_CHUNKED:
        return decode_chunked(body, in, len, used, data, data_len, err);
    case PP_FRAMING_LENGTH:
        *used = take_data(body, in, len, data, data_len);
        return body->remaining == 0 ? APR_EOF : APR_SUCCESS;
    case PP_FRAMING_CLOSE:
    case PP_FRAMING_TUNNEL:
        *used = *data_len = len;
        return APR_SUCCESS;
    case PP_FRAMING_NONE:
        break;
    }
    return APR_EOF;
}

pp_err_t pp_h1_body_at_close(const pp_h1_body_t *body)
{
    switch (body->framing) {
    case PP_FRAMING_CHUNKED:
        return body->state == DONE ? PP_OK : PP_ERR_body_cut;
    case PP_FRAMING_LENGTH:
        return body->remaining == 0 ? PP_OK : PP_ERR_body_cut;
    default:
        return PP_OK;
    }
}

uint32_t pp_h1_body_trailers(const pp_h1_body_t *body, pp_field_t *fields, uint32_t max)
{
    const char *at = body->trailer_bytes, *end;
    uint32_t n = 0;
    pp_err_t err;

    if (body->state != DONE || !at)
        return 0;
    end = at + body->trailer_len;
    while (n < max && n < body->ntrailers && pp_h1_field_next(&at, end, &fields[n], &err) == APR_SUCCESS)
        n++;
    return n;
}

size_t pp_h1_chunk_head(char head[PP_H1_CHUNK_HEAD_MAX], size_t size)
{
    size_t len = 1, at;

    for (size_t rest = size >> 4; rest > 0; rest >>= 4)
        len++;
    for (at = len; at > 0; size >>= 4)
        head[--at] = "0123456789abcdef"[size & 15];
    head[len] = '\r';
    head[len + 1] = '\n';
    return len + 2;
}
