/* fuzz_response: what any bytes do to the HTTP/1 response codec, whole and in pieces.
 *
 * Input: one byte that chooses the kind of request and the size of the pieces, then what the server sends until it closes.
 * Build: clang -fsanitize=fuzzer,address,undefined -I mod_pooledproxy t/fuzz/fuzz_response.c mod_pooledproxy/{pp_h1_*,pp_err}.c
 *        or with t/fuzz/replay.c in place of libFuzzer.
 */
#include "pp_h1_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

/* Names the invariant that broke, and stops. */
#define MUST(condition)                                                             \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

/* How a body was read: all that must not depend on how it was cut. */
typedef struct outcome_t {
    char *data;
    size_t data_len;
    size_t used;
    apr_status_t rv;
    pp_err_t err;
    pp_err_t at_close;
    uint32_t ntrailers;
    size_t trailer_bytes; /* of names and values together */
} outcome_t;

/* Memory of exactly that size, so that ASan sees one byte too many. Never NULL. */
static char *copy_exactly(const char *bytes, size_t len)
{
    char *copy = malloc(len ? len : 1);

    MUST(copy);
    return memcpy(copy, bytes, len);
}

static bool is_inside(const char *s, size_t len, const char *buf, size_t buf_len)
{
    return s >= buf && len <= buf_len && (size_t)(s - buf) <= buf_len - len;
}

static void check_field(const pp_field_t *field, const char *buf, size_t len)
{
    MUST(is_inside(field->name, field->name_len, buf, len));
    MUST(is_inside(field->value, field->value_len, buf, len));
    MUST(pp_h1_is_token(field->name, field->name_len));
    MUST(pp_h1_is_field_value(field->value, field->value_len));
    if (field->value_len > 0)
        MUST(!pp_h1_is_ows(field->value[0]) && !pp_h1_is_ows(field->value[field->value_len - 1]));
}

/* What is promised of every head that was accepted. */
static void check_head(const pp_h1_response_t *resp, const char *buf, size_t head_len, pp_h1_request_kind_t kind)
{
    MUST(head_len <= PP_H1_HEAD_MAX && head_len >= sizeof("HTTP/1.1 200\r\n\r\n") - 1);
    MUST(memcmp(buf + head_len - 4, "\r\n\r\n", 4) == 0);
    MUST(resp->status >= 100 && resp->status <= 599 && resp->minor >= 0 && resp->minor <= 9);
    MUST(resp->nfields <= PP_H1_FIELDS_MAX && resp->content_length >= -1);
    MUST(is_inside(resp->reason, resp->reason_len, buf, head_len));
    for (uint32_t i = 0; i < resp->nfields; i++)
        check_field(&resp->fields[i], buf, head_len);
    MUST(resp->framing != PP_FRAMING_LENGTH || resp->content_length >= 0);
    MUST(resp->framing != PP_FRAMING_CHUNKED || resp->content_length == -1);
    MUST((resp->framing == PP_FRAMING_TUNNEL) == (resp->status == 101 && kind == PP_H1_REQUEST_UPGRADE));
    MUST(!resp->keep_alive || (resp->framing != PP_FRAMING_CLOSE && resp->framing != PP_FRAMING_TUNNEL));
}

/* A piece of the head must be incomplete, or refused for the reason the whole is; only all of it may be accepted. */
static void check_pieces_of_head(const char *in, size_t len, size_t step, pp_h1_request_kind_t kind, apr_status_t whole,
                                 size_t whole_len, pp_err_t whole_err)
{
    static pp_h1_response_t resp;

    for (size_t n = 0; n < len && n <= PP_H1_HEAD_MAX; n += step + n / 32) { /* sparser far out: speed */
        char *piece = copy_exactly(in, n);
        size_t head_len = 0;
        pp_err_t err = PP_OK;
        apr_status_t rv = pp_h1_head_parse(piece, n, kind, &resp, &head_len, &err);

        free(piece);
        if (rv == APR_SUCCESS)
            MUST(whole == APR_SUCCESS && head_len == whole_len && head_len <= n);
        else if (rv == APR_EINVAL)
            MUST(whole == APR_EINVAL && err == whole_err && err != PP_OK);
        else
            MUST(rv == APR_EAGAIN && (whole != APR_SUCCESS || n < whole_len));
    }
}

/* Reads a head, whole and in pieces; returns its length, or 0 when it is none. */
static size_t read_head(const char *in, size_t len, size_t step, pp_h1_request_kind_t kind, pp_h1_response_t *resp)
{
    char *whole = copy_exactly(in, len);
    size_t head_len = 0;
    pp_err_t err = PP_OK;
    apr_status_t rv = pp_h1_head_parse(whole, len, kind, resp, &head_len, &err);

    if (rv == APR_SUCCESS)
        check_head(resp, whole, head_len, kind);
    else
        MUST(head_len == 0 && (rv == APR_EAGAIN ? len < PP_H1_HEAD_MAX : rv == APR_EINVAL && err != PP_OK));
    check_pieces_of_head(in, len, step, kind, rv, head_len, err);
    free(whole);
    return head_len;
}

/* One piece of a body. */
static void read_piece(pp_h1_body_t *body, const char *in, size_t len, outcome_t *outcome)
{
    char *piece = copy_exactly(in, len);
    size_t at = 0, used, data_len;
    const char *data;

    do {
        outcome->rv = pp_h1_body_decode(body, piece + at, len - at, &used, &data, &data_len, &outcome->err);
        if (outcome->rv == APR_EINVAL)
            break;
        MUST(outcome->rv == APR_SUCCESS || outcome->rv == APR_EOF);
        MUST(used <= len - at);
        MUST(data_len == 0 || is_inside(data, data_len, piece + at, used));
        MUST(used > 0 || outcome->rv == APR_EOF || len == at);
        memcpy(outcome->data + outcome->data_len, data, data_len);
        outcome->data_len += data_len;
        outcome->used += used;
        at += used;
    } while (outcome->rv == APR_SUCCESS && at < len);
    free(piece);
}

static void read_trailers(const pp_h1_body_t *body, outcome_t *outcome)
{
    pp_field_t fields[PP_H1_TRAILER_FIELDS_MAX];

    outcome->ntrailers = pp_h1_body_trailers(body, fields, PP_H1_TRAILER_FIELDS_MAX);
    MUST(outcome->ntrailers <= PP_H1_TRAILER_FIELDS_MAX);
    for (uint32_t i = 0; i < outcome->ntrailers; i++) {
        check_field(&fields[i], body->trailer_bytes, body->trailer_len);
        outcome->trailer_bytes += fields[i].name_len + fields[i].value_len;
    }
}

/* A body in pieces of `step` bytes. The caller frees outcome.data. */
static outcome_t read_body(const pp_h1_response_t *resp, const char *in, size_t len, size_t step)
{
    outcome_t outcome = {.data = copy_exactly(in, len), .rv = APR_SUCCESS};
    pp_h1_body_t body;
    size_t at = 0;

    pp_h1_body_init(&body, resp);
    do {
        const size_t piece = step < len - at ? step : len - at;

        read_piece(&body, in + at, piece, &outcome);
        at += piece;
    } while (outcome.rv == APR_SUCCESS && at < len);
    outcome.at_close = pp_h1_body_at_close(&body);
    read_trailers(&body, &outcome);
    pp_h1_body_clear(&body);
    return outcome;
}

static void check_body(const pp_h1_response_t *resp, const char *in, size_t len, size_t step)
{
    outcome_t whole = read_body(resp, in, len, len ? len : 1);
    outcome_t cut = read_body(resp, in, len, step);

    MUST(whole.rv == cut.rv);
    MUST(whole.rv != APR_EINVAL || (whole.err == cut.err && whole.err != PP_OK));
    MUST(whole.rv == APR_EINVAL || whole.used == cut.used);
    MUST(whole.rv != APR_SUCCESS || whole.used == len);
    MUST(whole.rv != APR_EOF || whole.at_close == PP_OK);
    MUST(whole.at_close == cut.at_close);
    MUST(whole.data_len == cut.data_len && memcmp(whole.data, cut.data, cut.data_len) == 0);
    MUST(whole.ntrailers == cut.ntrailers && whole.trailer_bytes == cut.trailer_bytes);
    MUST(resp->framing != PP_FRAMING_NONE || (whole.rv == APR_EOF && whole.used == 0));
    MUST(resp->framing != PP_FRAMING_LENGTH || whole.rv != APR_EOF || (int64_t)whole.data_len == resp->content_length);
    free(whole.data);
    free(cut.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static pp_h1_response_t resp;
    const char *in = (const char *)input + 1;
    pp_h1_request_kind_t kind;
    size_t len, step, head_len;

    if (size < 2)
        return 0;
    kind = (pp_h1_request_kind_t)(input[0] % 3);
    step = (size_t)input[0] / 3 + 1;
    for (len = size - 1; (head_len = read_head(in, len, step, kind, &resp)) > 0;) {
        in += head_len;
        len -= head_len;
        check_body(&resp, in, len, step);
        if (resp.status >= 200 || resp.status == 101)
            break; /* an interim answer is followed by another head */
    }
    return 0;
}
