/* pp_h1_head: one pass over the head of a response, then the rules of RFC 9112 sections 6.3 and 9.3 on what was seen.
 *
 * The pass decides each line at the first byte that shows it, so a verdict on a part of a head is the verdict on all of it.
 */
#include "pp_h1_head.h"

#include <limits.h>
#include <string.h>

/* What the fields said that has no place of its own in pp_h1_response_t. */
typedef struct hints_t {
    bool chunked;    /* Transfer-Encoding: chunked */
    bool close;      /* Connection: close */
    bool keep_alive; /* Connection: keep-alive */
} hints_t;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Does `c` fit the form of a status line? d: digit, s: first digit of a status code we know, else itself */
static bool fits(char c, char form)
{
    if (form == 'd')
        return is_digit(c);
    if (form == 's')
        return c >= '1' && c <= '5';
    return c == form;
}

/* The byte at `p` is wrong in a status line; a bare line end or NUL is named as such. */
static apr_status_t refuse_status_line(const char *p, const char *end, pp_err_t *err)
{
    apr_status_t rv = pp_h1_line_end(&p, end, PP_ERR_bad_status_line, err);

    return rv == APR_SUCCESS ? pp_h1_refuse(err, PP_ERR_bad_status_line) : rv;
}

static const char status_form[] = "HTTP/1.d sdd"; /* RFC 9112 section 4 */
#define STATUS_FORM_LEN (sizeof(status_form) - 1)
#define PROTOCOL_LEN (sizeof("HTTP/1.") - 1)

/* Of a line without status form: finds the first byte that does not fit, so that what is no HTTP is refused at once. */
static apr_status_t judge_status_form(const char *line, const char *end, pp_err_t *err)
{
    for (size_t i = 0; i < STATUS_FORM_LEN && line + i < end; i++) {
        if (!fits(line[i], status_form[i]))
            return i < PROTOCOL_LEN ? pp_h1_refuse(err, PP_ERR_bad_status_line) : refuse_status_line(line + i, end, err);
    }
    return APR_EAGAIN;
}

/* The usual case, in few instructions: all of "HTTP/1.1 200" is there. */
static bool has_status_form(const char *line, const char *end)
{
    return end - line >= (ptrdiff_t)STATUS_FORM_LEN && memcmp(line, status_form, PROTOCOL_LEN) == 0 && is_digit(line[7]) &&
           line[8] == ' ' && fits(line[9], 's') && is_digit(line[10]) && is_digit(line[11]);
}

static apr_status_t read_version_and_status(const char **at, const char *end, pp_h1_response_t *resp, pp_err_t *err)
{
    const char *line = *at;

    if (!has_status_form(line, end))
        return judge_status_form(line, end, err);
    resp->minor = line[7] - '0';
    resp->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    *at = line + STATUS_FORM_LEN;
    return APR_SUCCESS;
}

static apr_status_t read_status_line(const char **at, const char *end, pp_h1_request_kind_t kind, pp_h1_response_t *resp,
                                     pp_err_t *err)
{
    const char *p;
    apr_status_t rv = read_version_and_status(at, end, resp, err);

    if (rv != APR_SUCCESS)
        return rv;
    if (resp->status == 101 && kind != PP_H1_REQUEST_UPGRADE)
        return pp_h1_refuse(err, PP_ERR_unexpected_upgrade);
    p = resp->reason = *at;
    if (p < end && *p == ' ') { /* many servers leave out the space too when there is no reason: that harms nobody */
        resp->reason = p + 1;
        p = pp_h1_value_end(p + 1, end);
    }
    resp->reason_len = (uint32_t)(p - resp->reason);
    *at = p;
    return pp_h1_line_end(at, end, PP_ERR_bad_status_line, err);
}

/* Are s[0 .. len) the letters of `small` (small letters and '-'), case aside? len is at least 8. For names and values, which hold no
 * controls: there, setting the bit that tells small letters from capitals makes no other character a letter or '-'. */
static inline bool reads(const char *s, const char *small, size_t len)
{
    uint64_t a, b;

    for (size_t i = 0;; i += 8) {
        if (i + 8 > len)
            i = len - 8; /* the last eight, some of them once more */
        memcpy(&a, s + i, sizeof(a));
        memcpy(&b, small + i, sizeof(b));
        if ((a | 0x2020202020202020u) != b)
            return false;
        if (i + 8 == len)
            return true;
    }
}

/* All digits, at least one, at most `max`: the number; else -1. */
static int64_t read_number(const char *s, size_t len, int64_t max)
{
    int64_t number = 0;

    for (size_t i = 0; i < len; i++) {
        if (!is_digit(s[i]) || number > (max - (s[i] - '0')) / 10)
            return -1;
        number = number * 10 + (s[i] - '0');
    }
    return len > 0 ? number : -1;
}

/* RFC 9110 section 8.6 would allow the same number twice; nobody honest sends that. */
static apr_status_t heed_content_length(const pp_field_t *field, pp_h1_response_t *resp, const hints_t *hints, pp_err_t *err)
{
    if (resp->content_length >= 0)
        return pp_h1_refuse(err, PP_ERR_bad_content_length);
    resp->content_length = read_number(field->value, field->value_len, INT64_MAX);
    if (resp->content_length < 0)
        return pp_h1_refuse(err, PP_ERR_bad_content_length);
    if (hints->chunked)
        return pp_h1_refuse(err, PP_ERR_bad_transfer_encoding); /* two ways to find the end: RFC 9112 section 6.3, rule 3 */
    return APR_SUCCESS;
}

/* No coding but chunked was asked for, HTTP/1.0 has none: RFC 9112 section 6.1. */
static apr_status_t heed_transfer_encoding(const pp_field_t *field, const pp_h1_response_t *resp, hints_t *hints, pp_err_t *err)
{
    const size_t chunked_len = sizeof("chunked") - 1;

    if (hints->chunked || resp->minor == 0 || resp->content_length >= 0 || field->value_len != chunked_len ||
        !pp_h1_same(field->value, "chunked", chunked_len))
        return pp_h1_refuse(err, PP_ERR_bad_transfer_encoding);
    hints->chunked = true;
    return APR_SUCCESS;
}

/* There may be several Connection fields: they add up. Only HTTP/1.0 needs to say keep-alive. */
static apr_status_t heed_connection(const pp_field_t *field, pp_h1_response_t *resp, hints_t *hints)
{
    const size_t keep_alive_len = sizeof("keep-alive") - 1;

    if (field->value_len == keep_alive_len && reads(field->value, "keep-alive", keep_alive_len)) {
        hints->keep_alive = true; /* what nearly all send who send anything */
        return APR_SUCCESS;
    }
    if (field->value_len != sizeof("close") - 1 || !pp_h1_same(field->value, "close", field->value_len))
        resp->names_fields = true;
    hints->close = hints->close || pp_h1_list_has(field->value, field->value_len, "close");
    if (resp->minor == 0)
        hints->keep_alive = hints->keep_alive || pp_h1_list_has(field->value, field->value_len, "keep-alive");
    return APR_SUCCESS;
}

/* If `item` is "<name>=<number>", puts the number into *hint. */
static void read_hint(const char *item, size_t len, const char *name, int *hint)
{
    const size_t name_len = strlen(name);

    if (*hint < 0 && len > name_len && item[name_len] == '=' && pp_h1_same(item, name, name_len))
        *hint = (int)read_number(item + name_len + 1, len - name_len - 1, INT_MAX);
}

/* "timeout=5, max=100": only a hint and in no standard (RFC 2068 section 19.7.1.1), so what is not understood is passed over. */
static apr_status_t heed_keep_alive(const pp_field_t *field, pp_h1_response_t *resp)
{
    const char *at = field->value, *item;
    size_t len;

    while (pp_h1_list_next(&at, field->value + field->value_len, &item, &len)) {
        read_hint(item, len, "timeout", &resp->keep_alive_timeout);
        read_hint(item, len, "max", &resp->keep_alive_max);
    }
    return APR_SUCCESS;
}

/* Looks at the few fields that rule the connection. The length sorts out nearly all others without a look at their name. */
static apr_status_t heed_field(const pp_field_t *field, pp_h1_response_t *resp, hints_t *hints, pp_err_t *err)
{
    switch (field->name_len) {
    case sizeof("Connection") - 1: /* and Keep-Alive */
        if (reads(field->name, "connection", field->name_len))
            return heed_connection(field, resp, hints);
        if (reads(field->name, "keep-alive", field->name_len))
            return heed_keep_alive(field, resp);
        break;
    case sizeof("Content-Length") - 1:
        if (reads(field->name, "content-length", field->name_len))
            return heed_content_length(field, resp, hints, err);
        break;
    case sizeof("Transfer-Encoding") - 1:
        if (reads(field->name, "transfer-encoding", field->name_len))
            return heed_transfer_encoding(field, resp, hints, err);
        break;
    }
    return APR_SUCCESS;
}

static apr_status_t read_fields(const char **at, const char *end, pp_h1_response_t *resp, hints_t *hints, pp_err_t *err)
{
    pp_field_t field;
    apr_status_t rv;

    resp->nfields = 0;
    resp->content_length = -1;
    resp->keep_alive_timeout = resp->keep_alive_max = -1;
    resp->names_fields = false;
    while ((rv = pp_h1_field_next(at, end, &field, err)) == APR_SUCCESS) {
        if (resp->nfields == PP_H1_FIELDS_MAX)
            return pp_h1_refuse(err, PP_ERR_head_too_large);
        resp->fields[resp->nfields++] = field;
        rv = heed_field(&field, resp, hints, err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

/* Answers that never have a body, whatever was asked. RFC 9110 section 6.4.1 */
static bool is_bodiless(int status)
{
    return status < 200 || status == 204;
}

/* RFC 9112 section 6.3. A 101 that nobody asked for does not come this far. */
static pp_framing_t framing_of(const pp_h1_response_t *resp, pp_h1_request_kind_t kind, bool chunked)
{
    if (resp->status == 101)
        return PP_FRAMING_TUNNEL;
    if (is_bodiless(resp->status) || resp->status == 304 || kind == PP_H1_REQUEST_HEAD)
        return PP_FRAMING_NONE;
    if (chunked)
        return PP_FRAMING_CHUNKED;
    return resp->content_length >= 0 ? PP_FRAMING_LENGTH : PP_FRAMING_CLOSE;
}

/* RFC 9112 section 9.3 */
static bool may_keep_alive(const pp_h1_response_t *resp, const hints_t *hints)
{
    if (resp->framing == PP_FRAMING_CLOSE || resp->framing == PP_FRAMING_TUNNEL)
        return false;
    if (hints->close)
        return false;
    if (is_bodiless(resp->status) && (hints->chunked || resp->content_length > 0))
        return false; /* the bytes it announces could pass for the answer to the next request */
    return resp->minor > 0 || hints->keep_alive;
}

apr_status_t pp_h1_head_parse(const char *buf, size_t len, pp_h1_request_kind_t kind, pp_h1_response_t *resp, size_t *head_len,
                              pp_err_t *err)
{
    const bool full = len >= PP_H1_HEAD_MAX;
    const char *at = buf, *end = buf + (full ? PP_H1_HEAD_MAX : len);
    hints_t hints = {0};
    apr_status_t rv = read_status_line(&at, end, kind, resp, err);

    if (rv == APR_SUCCESS)
        rv = read_fields(&at, end, resp, &hints, err);
    if (rv == APR_EAGAIN && full)
        return pp_h1_refuse(err, PP_ERR_head_too_large);
    if (rv != APR_SUCCESS)
        return rv;
    resp->framing = framing_of(resp, kind, hints.chunked);
    resp->keep_alive = may_keep_alive(resp, &hints);
    *head_len = (size_t)(at - buf);
    return APR_SUCCESS;
}

const pp_field_t *pp_h1_field_find(const pp_h1_response_t *resp, const char *name)
{
    const size_t len = strlen(name);

    for (uint32_t i = 0; i < resp->nfields; i++) {
        if (resp->fields[i].name_len == len && pp_h1_same(resp->fields[i].name, name, len))
            return &resp->fields[i];
    }
    return NULL;
}
