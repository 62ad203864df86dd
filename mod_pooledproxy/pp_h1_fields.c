/* pp_h1_fields: one pass over a field line, by a table of bytes and eight bytes at a time where that is possible. */
#include "pp_h1_fields.h"

#include <string.h>

/* What a byte may be part of. Every token character may stand in a value too. */
enum { VALUE = 1, TOKEN = 2 };
#define v VALUE
#define T (VALUE | TOKEN)

static const unsigned char classes[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, v, 0, 0, 0, 0, 0, 0, /* only HTAB of the controls */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /**/
    v, T, v, T, T, T, T, T, v, v, T, T, v, T, T, v, /* SP ! " # $ % & ' ( ) * + , - . / */
    T, T, T, T, T, T, T, T, T, T, v, v, v, v, v, v, /* 0-9 : ; < = > ? */
    v, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, /* @ A-O */
    T, T, T, T, T, T, T, T, T, T, T, v, v, v, T, T, /* P-Z [ \ ] ^ _ */
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, /* ` a-o */
    T, T, T, T, T, T, T, T, T, T, T, v, T, v, T, 0, /* p-z { | } ~ DEL */
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /* obs-text from here on */
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /**/
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /**/
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /**/
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /**/
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /**/
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /**/
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /**/
};
#undef v
#undef T

static inline bool is_class(char c, unsigned wanted)
{
    return classes[(unsigned char)c] & wanted;
}

#define EACH_BYTE(b) (0x0101010101010101u * (uint64_t)(b))

/* Eight bytes as a number, the first one lowest. */
static inline uint64_t load_eight(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Marks the controls (below SP, or DEL) among eight bytes by their high bit. A byte borrows from the next one only when it is marked
 * itself, so the lowest mark is right; obs-text, which has the high bit, is masked out. */
static inline uint64_t mark_controls(uint64_t word)
{
    return ((word - EACH_BYTE(0x20)) | ((word ^ EACH_BYTE(0x7f)) - EACH_BYTE(1))) & ~word & EACH_BYTE(0x80);
}

static inline const char *value_end_from(const char *at, const char *end)
{
    while (end - at >= 8) {
        const uint64_t marks = mark_controls(load_eight(at));

        if (!marks) {
            at += 8;
            continue;
        }
        at += __builtin_ctzll(marks) / 8;
        if (*at != '\t')
            return at;
        at++;
    }
    while (at < end && is_class(*at, VALUE))
        at++;
    return at;
}

const char *pp_h1_value_end(const char *at, const char *end)
{
    return value_end_from(at, end);
}

/* The first byte from `at` on that is no token character, or `end`. */
static inline const char *token_end(const char *at, const char *end)
{
#define STOP_AT(i)               \
    if (!is_class(at[i], TOKEN)) \
    return at + i
    for (; end - at >= 8; at += 8) { /* unrolled: names are most of what is read byte by byte */
        STOP_AT(0);
        STOP_AT(1);
        STOP_AT(2);
        STOP_AT(3);
        STOP_AT(4);
        STOP_AT(5);
        STOP_AT(6);
        STOP_AT(7);
    }
#undef STOP_AT
    while (at < end && is_class(*at, TOKEN))
        at++;
    return at;
}

apr_status_t pp_h1_line_end(const char **at, const char *end, pp_err_t otherwise, pp_err_t *err)
{
    const char *p = *at;

    if (p == end)
        return APR_EAGAIN;
    if (*p != '\r')
        return pp_h1_refuse(err, *p == '\n' || *p == '\0' ? PP_ERR_bad_line_end : otherwise);
    if (p + 1 == end)
        return APR_EAGAIN;
    if (p[1] != '\n')
        return pp_h1_refuse(err, PP_ERR_bad_line_end);
    *at = p + 2;
    return APR_SUCCESS;
}

/* The line at *at has no "name:" at its start: `stop` is the byte that shows it. The empty line, or an error. */
static apr_status_t read_no_name(const char **at, const char *stop, const char *end, pp_err_t *err)
{
    const bool first = stop == *at;
    apr_status_t rv;

    if (first && pp_h1_is_ows(*stop))
        return pp_h1_refuse(err, PP_ERR_obs_fold);
    rv = pp_h1_line_end(&stop, end, PP_ERR_bad_header, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (!first)
        return pp_h1_refuse(err, PP_ERR_bad_header); /* a line without a colon */
    *at = stop;
    return APR_EOF;
}

apr_status_t pp_h1_field_next(const char **at, const char *end, pp_field_t *field, pp_err_t *err)
{
    const char *p = token_end(*at, end), *value, *value_end;
    apr_status_t rv;

    if (p == end)
        return APR_EAGAIN;
    if (*p != ':' || p == *at)
        return read_no_name(at, p, end, err);
    field->name = *at;
    field->name_len = (uint32_t)(p - *at);
    if (++p < end && *p == ' ') /* nearly always, and nearly always that is all */
        p++;
    while (p < end && pp_h1_is_ows(*p))
        p++;
    value = p;
    value_end = p = value_end_from(p, end);
    rv = pp_h1_line_end(&p, end, PP_ERR_bad_header, err);
    if (rv != APR_SUCCESS)
        return rv;
    while (value_end > value && pp_h1_is_ows(value_end[-1]))
        value_end--;
    field->value = value;
    field->value_len = (uint32_t)(value_end - value);
    *at = p;
    return APR_SUCCESS;
}

static inline char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool pp_h1_same(const char *a, const char *b, size_t len)
{
    if (memcmp(a, b, len) == 0) /* most are written in the usual way */
        return true;
    for (size_t i = 0; i < len; i++) {
        if (lower(a[i]) != lower(b[i]))
            return false;
    }
    return true;
}

/* The byte behind the quoted string that begins at `at`, or `end` when it never ends. RFC 9110 section 5.6.4 */
static const char *skip_quoted(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
    }
    return at < end ? at + 1 : end;
}

bool pp_h1_list_next(const char **at, const char *end, const char **item, size_t *item_len)
{
    const char *p = *at, *last;

    if (!p)
        return false;
    while (p < end && pp_h1_is_ows(*p))
        p++;
    *item = p;
    while (p < end && *p != ',')
        p = *p == '"' ? skip_quoted(p, end) : p + 1;
    for (last = p; last > *item && pp_h1_is_ows(last[-1]); last--)
        ;
    *item_len = (size_t)(last - *item);
    *at = p < end ? p + 1 : NULL; /* NULL: that was the last one */
    return true;
}

bool pp_h1_list_has(const char *value, size_t len, const char *token)
{
    const size_t token_len = strlen(token);
    const char *at = value, *item;
    size_t item_len;

    while (pp_h1_list_next(&at, value + len, &item, &item_len)) {
        if (item_len == token_len && pp_h1_same(item, token, token_len))
            return true;
    }
    return false;
}

bool pp_h1_is_token(const char *s, size_t len)
{
    return len > 0 && token_end(s, s + len) == s + len;
}

bool pp_h1_is_field_value(const char *s, size_t len)
{
    return len == 0 || pp_h1_value_end(s, s + len) == s + len;
}

bool pp_h1_is_target(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_class(s[i], VALUE) || pp_h1_is_ows(s[i]))
            return false;
    }
    return len > 0;
}
