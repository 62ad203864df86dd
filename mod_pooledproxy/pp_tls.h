/* pp_tls: a client's side of TLS, on OpenSSL: what the connections of one set of settings share, sessions to be resumed, and the state of
 * one connection. Knows nothing of sockets: bytes come and go by pp_tls_wire_t, which never blocks.
 *
 *   pp_tls.c           the settings become a context
 *   pp_tls_conn.c      one connection
 *   pp_tls_sessions.c  the sessions of one target
 *
 * Ownership: a context lives until the pool it was made in goes. A connection's state is its opener's, until pp_tls_close().
 * Threads: a context is made by one thread (the parent's) and then used by any, in any child. All else is the loop's thread's only.
 */
#ifndef PP_TLS_H
#define PP_TLS_H

#include <apr_pools.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "pp_err.h"

/* What the administrator decided. Strings NULL: not set. */
typedef struct pp_tls_settings_t {
    bool verify;                    /* the server's certificate: chain and name */
    const char *ca_file;            /* PEM, certificates that are trusted; with neither of the two the system's */
    const char *ca_path;            /* a directory of them, with hashed names (openssl rehash); read once */
    const char *crl_file;           /* PEM; every authority of a chain must have its list in it */
    const char *certificate_file;   /* PEM, the client's certificate and those between it and its root */
    const char *key_file;           /* PEM; NULL: it is in certificate_file */
    const char *server_name;        /* for SNI and to be verified; NULL: the host's */
    int protocol_min, protocol_max; /* 0x0303: TLS 1.2; 0: OpenSSL's highest */
    const char *ciphers;            /* names with ':' between; those that begin with TLS_ are for TLS 1.3, the others for TLS 1.2 */
    bool session_cache;
} pp_tls_settings_t;

typedef struct pp_tls_t pp_tls_t;                   /* a context */
typedef struct pp_tls_sessions_t pp_tls_sessions_t; /* the sessions of one target on one loop */
typedef struct pp_tls_conn_t pp_tls_conn_t;         /* one connection */

/* Makes a context; reads all files. NULL: it is made; else a message in `p`, and *culprit points to the member of `settings` that is
 * at fault. `settings` is copied, its strings are kept. */
const char *pp_tls_create(pp_tls_t **tls, const pp_tls_settings_t *settings, apr_pool_t *p, const void **culprit);

/* Room for sessions, which end with `p`. */
pp_tls_sessions_t *pp_tls_sessions_create(apr_pool_t *p);

/* How the bytes go. *len: in, at most so many; out, so many went. APR_SUCCESS: *len > 0; APR_EAGAIN; APR_EOF (receive); other: broken. */
typedef struct pp_tls_wire_t {
    apr_status_t (*receive)(void *self, char *buf, size_t *len);
    apr_status_t (*send)(void *self, const char *buf, size_t *len);
} pp_tls_wire_t;

/* The peer's bytes ended without its saying that they do (close_notify): what was received may be cut. RFC 8446 section 6.1 */
#define PP_TLS_CUT APR_ECONNABORTED

/* The state of a new connection to `host` (a name, or an address literal: then without SNI). `sessions` is where sessions come from and
 * go to; it must outlive the connection. NULL: OpenSSL has no memory. */
pp_tls_conn_t *pp_tls_open(const pp_tls_t *tls, const char *host, pp_tls_sessions_t *sessions, const pp_tls_wire_t *wire,
                           void *self);

/* One step of the handshake. APR_SUCCESS: it is done. APR_EAGAIN: pp_tls_awaits_room() says what for. APR_EGENERAL: *err says why not,
 * pp_tls_trouble() in words. */
apr_status_t pp_tls_handshake(pp_tls_conn_t *conn, pp_err_t *err);

/* As pp_conn_read(), _peek(), _writev(); PP_TLS_CUT instead of APR_EOF when close_notify has not come. What was not written must be the
 * beginning of what is written next. */
apr_status_t pp_tls_read(pp_tls_conn_t *conn, char *buf, size_t *len);
apr_status_t pp_tls_peek(pp_tls_conn_t *conn);
apr_status_t pp_tls_writev(pp_tls_conn_t *conn, const struct iovec *vec, int nvec, size_t *written);

/* No more will be written: sends close_notify, if there is room for it. */
void pp_tls_bye(pp_tls_conn_t *conn);

/* Would pp_tls_read() say more, even if nothing more came over the wire? */
bool pp_tls_has_more(const pp_tls_conn_t *conn);

/* Does the handshake, or reading, wait for room to write rather than for something to read? */
bool pp_tls_awaits_room(const pp_tls_conn_t *conn);

/* After the handshake: was a session resumed? */
bool pp_tls_is_resumed(const pp_tls_conn_t *conn);

/* What broke the connection, if it was TLS: tls_alert, tls_handshake ...; PP_OK: it was not. And in words, "" if there are none. */
pp_err_t pp_tls_failure(const pp_tls_conn_t *conn);
const char *pp_tls_trouble(const pp_tls_conn_t *conn);

/* Forgets the connection, and clears *conn. Nothing is sent. */
void pp_tls_close(pp_tls_conn_t **conn);

#endif
