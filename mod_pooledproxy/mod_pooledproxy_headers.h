/* mod_pooledproxy_headers: request_rec to the head of the upstream request, and the upstream's response head to request_rec. */
#ifndef MOD_POOLEDPROXY_HEADERS_H
#define MOD_POOLEDPROXY_HEADERS_H

#include <httpd.h>

#include "mod_pooledproxy_conf.h"
#include "pp_h1_head.h"

/* How the body of the upstream request is framed. */
typedef enum pp_request_body_t {
    PP_REQUEST_BODY_NONE,   /* no Content-Length, no Transfer-Encoding field is sent */
    PP_REQUEST_BODY_LENGTH, /* Content-Length: body_length (may be 0) */
    PP_REQUEST_BODY_CHUNKED /* Transfer-Encoding: chunked */
} pp_request_body_t;

typedef struct pp_request_head_t {
    const char *bytes; /* the whole head, empty line included; in r->pool */
    size_t len;
    size_t path_at, path_len; /* in bytes: the server's own path before the target; another server's may take its place */
    size_t host_at, host_len; /* in bytes: the server's authority; host_len 0: the client's Host was sent */
    bool upgrade;             /* the client asks for an upgrade and the head passes it on */
    bool expect_continue;     /* the head carries Expect: 100-continue */
} pp_request_head_t;

/* Writes the head of the request to `server` for r, from parsed parts only (never raw bytes): method, target, Host, end-to-end fields,
 * Via, forwarded fields. Hop-by-hop fields (RFC 9110 section 7.6.1: Connection and what it names, Keep-Alive, Proxy-Connection, TE,
 * Trailer, Transfer-Encoding, Upgrade, Proxy-Authorization, Proxy-Authenticate, HTTP2-Settings) and Content-Length are dropped and made
 * anew. `keep_alive` false adds Connection: close. OK, or an HTTP status (400: a part that can't be sent). */
int pooledproxy_request_head(request_rec *r, const pp_match_t *match, const pp_server_t *server, pp_request_body_t body,
                             apr_off_t body_length, bool keep_alive, pp_request_head_t *head);

/* Sets r->status, status_line, headers_out, content type from the upstream's response: hop-by-hop fields dropped, redirects and cookies
 * rewritten. With framing LENGTH (or a Content-Length on HEAD/304) Content-Length is set. */
void pooledproxy_response_head(request_rec *r, const pp_match_t *match, const pp_server_t *server, const pp_h1_response_t *resp);

/* Sends an interim response (103 and other 1xx but 100 and 101) to an HTTP/1.1 client: ap_send_interim_response with its fields.
 * The caller has made sure that writing doesn't block. */
void pooledproxy_interim_response(request_rec *r, const pp_h1_response_t *resp);

#endif
