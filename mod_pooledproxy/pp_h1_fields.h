/* pp_h1_fields: the grammar of field lines, which heads and trailer sections share. Pure: bytes in, fields out. RFC 9110 section 5, RFC 9112 section 5
 *
 * Users include pp_h1_head.h, which includes this. Slices point into the caller's buffer and live as long as it.
 */
#ifndef PP_H1_FIELDS_H
#define PP_H1_FIELDS_H

#include <apr_errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pp_err.h"

typedef struct pp_field_t {
    const char *name;  /* token, RFC 9110 section 5.1, as it came */
    const char *value; /* without the white space around it */
    uint32_t name_len;
    uint32_t value_len;
} pp_field_t;

/* Reads the line at *at, which ends before `end`. Decides at the first byte that shows it, so a longer input never changes a verdict.
 * APR_SUCCESS: a field, *at is behind its CRLF. APR_EOF: the empty line that ends the section, *at is behind it.
 * APR_EAGAIN: incomplete so far. APR_EINVAL: *err is bad_header, bad_line_end or obs_fold. RFC 9112 section 5 */
apr_status_t pp_h1_field_next(const char **at, const char *end, pp_field_t *field, pp_err_t *err);

/* Expects CRLF at *at and moves behind it: APR_SUCCESS. APR_EAGAIN: incomplete. APR_EINVAL: *err is bad_line_end for a bare CR, a
 * bare LF or NUL, and `otherwise` for any other byte. RFC 9112 section 2.2 */
apr_status_t pp_h1_line_end(const char **at, const char *end, pp_err_t otherwise, pp_err_t *err);

/* The first byte from `at` on that may not stand in a field value or reason phrase, or `end`. */
const char *pp_h1_value_end(const char *at, const char *end);

/* Are a[0 .. len) and b[0 .. len) the same but for the case of ASCII letters, whatever the locale? */
bool pp_h1_same(const char *a, const char *b, size_t len);

/* White space as it may stand around values: OWS, RFC 9110 section 5.6.3. */
static inline bool pp_h1_is_ows(char c)
{
    return c == ' ' || c == '\t';
}

/* One item of a comma-separated list, without the white space around it: RFC 9110 section 5.6.1. Commas in quoted strings do not
 * separate. Begin with *at at the value; *at is the walk's own afterwards. An item may be empty. false: there are no more. */
bool pp_h1_list_next(const char **at, const char *end, const char **item, size_t *item_len);

/* Does the comma-separated list `value` hold `token` (case does not matter; quoted strings are skipped)? RFC 9110 section 5.6.1 */
bool pp_h1_list_has(const char *value, size_t len, const char *token);

/* Grammar of RFC 9110: for whoever writes a head from parsed parts. */
bool pp_h1_is_token(const char *s, size_t len);       /* section 5.6.2, not empty */
bool pp_h1_is_field_value(const char *s, size_t len); /* section 5.5: no CR, LF, NUL or other control but HTAB; obs-text allowed */
bool pp_h1_is_target(const char *s, size_t len);      /* a request-target: not empty, visible ASCII and obs-text only, no space */

/* Says why, and that the outside world broke the rules. */
static inline apr_status_t pp_h1_refuse(pp_err_t *err, pp_err_t why)
{
    *err = why;
    return APR_EINVAL;
}

#endif
