/* pp_tls_own: what the files of pp_tls share: its insides. Nobody else includes this. */
#ifndef PP_TLS_OWN_H
#define PP_TLS_OWN_H

#include <openssl/ssl.h>

#include "pp_tls.h"

struct pp_tls_t {
    pp_tls_settings_t settings;
    SSL_CTX *ctx;
    BIO_METHOD *wire; /* reads and writes by pp_tls_wire_t; the BIO's data is the pp_tls_conn_t */
};

/* ---- pp_tls_conn.c ---- */
BIO_METHOD *pp_tls_wire_method(void); /* NULL: no memory */

/* ---- pp_tls_sessions.c ---- */

/* The newest session that may be resumed now, taken out if it is for one use only; NULL: none. The caller frees it. */
SSL_SESSION *pp_tls_session_take(pp_tls_sessions_t *sessions);

/* Takes the session over. */
void pp_tls_session_put(pp_tls_sessions_t *sessions, SSL_SESSION *session);

/* The server would not go on with it: it is not offered again. Nothing happens when it is not there any more. */
void pp_tls_session_drop(pp_tls_sessions_t *sessions, const SSL_SESSION *session);

/* The newest error of OpenSSL in words, into buf; clears all of them. Returns its code, 0: there was none. */
unsigned long pp_tls_error_text(char *buf, size_t size);

#endif
