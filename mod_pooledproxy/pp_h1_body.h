/* pp_h1_body: finds the data in a response's body, and writes a request's body in chunks. Pure: bytes in, data out. RFC 9112 sections 6, 7 */
#ifndef PP_H1_BODY_H
#define PP_H1_BODY_H

#include "pp_h1_head.h"

#define PP_H1_TRAILER_MAX (8 * 1024) /* bytes of a trailer section */
#define PP_H1_TRAILER_FIELDS_MAX 32
#define PP_H1_CHUNK_LINE_MAX 4096 /* bytes of a chunk's first line: size, extensions, CRLF */

/* Where in a body we are. The user reads `framing` and the trailers, nothing else. */
typedef struct pp_h1_body_t {
    pp_framing_t framing;
    int state;
    int64_t remaining; /* bytes to come of the body (LENGTH) or of the chunk (CHUNKED) */
    uint32_t line_len; /* bytes seen of the line we are in */
    uint32_t trailer_len;
    uint32_t ntrailers;
    char *trailer_bytes; /* malloc'ed when a trailer section comes; NULL else */
} pp_h1_body_t;

/* For the body behind the head `resp`. */
void pp_h1_body_init(pp_h1_body_t *body, const pp_h1_response_t *resp);

/* Frees what the body holds; may be called twice. */
void pp_h1_body_clear(pp_h1_body_t *body);

/* Takes from in[0 .. len): *used bytes are done with, of which (*data, *data_len) is one run of body data inside `in` (may be empty).
 * APR_SUCCESS: go on with in + *used (all used: more must come). APR_EOF: the message ends after *used bytes (and there may be
 * data in this last call too). APR_EINVAL: *err says why (bad_chunk, bad_trailer; internal: out of memory), nothing was found; only
 * clear may follow. With framing NONE, or LENGTH with nothing left, it is APR_EOF at once, *used 0. With len 0 `in` may be NULL. */
apr_status_t pp_h1_body_decode(pp_h1_body_t *body, const char *in, size_t len, size_t *used, const char **data, size_t *data_len,
                               pp_err_t *err);

/* The peer closed: PP_OK when that is this body's end (framing CLOSE, or nothing was missing), PP_ERR_body_cut else. */
pp_err_t pp_h1_body_at_close(const pp_h1_body_t *body);

/* The trailer fields of a chunked body that has ended; returns their number, at most `max`. Slices live until clear. */
uint32_t pp_h1_body_trailers(const pp_h1_body_t *body, pp_field_t *fields, uint32_t max);

/* Writes the head of a chunk of `size` > 0 bytes ("1f4\r\n") and returns its length. The chunk's data is followed by CRLF, the last
 * chunk is PP_H1_LAST_CHUNK. */
#define PP_H1_CHUNK_HEAD_MAX 20
#define PP_H1_LAST_CHUNK "0\r\n\r\n"
size_t pp_h1_chunk_head(char head[PP_H1_CHUNK_HEAD_MAX], size_t size);

#endif
