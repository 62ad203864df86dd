/* pp_h1_head: reads the head of an HTTP/1 response and writes the head of a request. Pure: bytes in, fields out.
 *
 * Strict by RFC 9112: what is not exactly in the grammar is an error with a reason, never guessed at.
 * Slices point into the caller's buffer and live as long as it.
 */
#ifndef PP_H1_HEAD_H
#define PP_H1_HEAD_H

#include <apr_errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pp_err.h"
#include "pp_h1_fields.h" /* pp_field_t; lists and grammar for whoever writes a head */

#define PP_H1_FIELDS_MAX 200       /* fields in one head */
#define PP_H1_HEAD_MAX (32 * 1024) /* bytes of one head, status line to empty line */

/* How the end of the body is found: RFC 9112 section 6.3. */
typedef enum pp_framing_t {
    PP_FRAMING_NONE,    /* no body: HEAD, 1xx, 204, 304 */
    PP_FRAMING_LENGTH,  /* Content-Length */
    PP_FRAMING_CHUNKED, /* Transfer-Encoding: chunked, alone */
    PP_FRAMING_CLOSE,   /* until the connection is closed */
    PP_FRAMING_TUNNEL   /* 101, or 2xx to CONNECT: no HTTP any more */
} pp_framing_t;

typedef struct pp_h1_response_t {
    int minor;  /* HTTP/1.<minor> */
    int status; /* 100 ... 599 */
    const char *reason;
    uint32_t reason_len;
    uint32_t nfields;
    pp_framing_t framing;
    int64_t content_length; /* -1: none given. May be given (HEAD, 304) where framing is NONE */
    bool keep_alive;   /* the connection may serve another request afterwards: RFC 9112 section 9.3; false for CLOSE, TUNNEL, and
                             * for a 1xx or 204 that announces a body: who knows whether one follows */
    bool names_fields; /* a Connection field says more than close or keep-alive: RFC 9110 section 7.6.1 */
    int keep_alive_timeout;              /* seconds of the "Keep-Alive: timeout=" hint; -1: none */
    int keep_alive_max;                  /* "Keep-Alive: max="; -1: none */
    pp_field_t fields[PP_H1_FIELDS_MAX]; /* their texts lie in one piece of memory in this order, at least a byte between them */
} pp_h1_response_t;

/* What of the request decides how its response is read. */
typedef enum pp_h1_request_kind_t { PP_H1_REQUEST_PLAIN, PP_H1_REQUEST_HEAD, PP_H1_REQUEST_UPGRADE } pp_h1_request_kind_t;

/* Parses one response head at buf[0 .. len).
 * APR_SUCCESS: *head_len bytes were the head, `resp` is filled. APR_EAGAIN: incomplete so far, call again with more
 * (what can already be seen to be wrong is an error at once). APR_EINVAL: *err says why; head_too_large included. */
apr_status_t pp_h1_head_parse(const char *buf, size_t len, pp_h1_request_kind_t kind, pp_h1_response_t *resp, size_t *head_len,
                              pp_err_t *err);

/* The first field of that name (case does not matter), or NULL. */
const pp_field_t *pp_h1_field_find(const pp_h1_response_t *resp, const char *name);

#endif
