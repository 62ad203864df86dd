/* pp_tls_conn: TLS on one connection. OpenSSL calls the wire through a BIO of ours; nothing blocks. */
#include <apr_strings.h>
#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "pp_tls_own.h"

#define RECORD_MAX SSL3_RT_MAX_PLAIN_LENGTH
#define RECORDS_AT_ONCE 64
#define TROUBLE_MAX 256
#define ALERT_OF(code) (ERR_GET_REASON(code) - SSL_AD_REASON_OFFSET)

struct pp_tls_conn_t {
    const pp_tls_t *tls;
    SSL *ssl;
    const pp_tls_wire_t *wire;
    void *wire_self;
    const SSL_SESSION *offered;
    bool asked_in_vain;      /* in the step that runs the wire had nothing */
    bool is_drained;         /* in the step that runs the wire has given less than was asked for: it has no more now */
    bool awaits_room;        /* the last step could not write */
    bool has_more;           /* the last read was ended by its caller's room, or by `ended` */
    apr_status_t wire_ended; /* APR_EOF, or what broke the wire */
    apr_status_t ended;      /* what reading says from now on */
    pp_err_t failure;
    char trouble[TROUBLE_MAX];
};

/* ---- the wire ---- */

static int on_bio_read(BIO *bio, char *buf, int size)
{
    pp_tls_conn_t *conn = BIO_get_data(bio);
    size_t len = (size_t)size;
    apr_status_t status = conn->is_drained ? APR_EAGAIN : conn->wire->receive(conn->wire_self, buf, &len);

    BIO_clear_retry_flags(bio);
    if (status == APR_SUCCESS) {
        conn->is_drained = len < (size_t)size;
        return (int)len;
    }
    conn->asked_in_vain |= status == APR_EAGAIN;
    if (status == APR_EAGAIN)
        BIO_set_retry_read(bio);
    else
        conn->wire_ended = status;
    return status == APR_EOF ? 0 : -1;
}

static int on_bio_write(BIO *bio, const char *buf, int size)
{
    pp_tls_conn_t *conn = BIO_get_data(bio);
    size_t len = (size_t)size;
    apr_status_t status = conn->wire->send(conn->wire_self, buf, &len);

    BIO_clear_retry_flags(bio);
    if (status == APR_SUCCESS)
        return (int)len;
    if (status == APR_EAGAIN)
        BIO_set_retry_write(bio);
    else if (!conn->wire_ended)
        conn->wire_ended = status;
    return -1;
}

static long on_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *pp_tls_wire_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "pp_tls_wire");

    if (!method)
        return NULL;
    BIO_meth_set_read(method, on_bio_read);
    BIO_meth_set_write(method, on_bio_write);
    BIO_meth_set_ctrl(method, on_bio_ctrl);
    return method;
}

/* ---- opening and closing ---- */

static bool is_address(const char *host)
{
    unsigned char addr[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, addr) == 1 || inet_pton(AF_INET6, host, addr) == 1;
}

/* Whom the certificate must be for, and SNI: RFC 6066 section 3 (no literals, no dot at the end). */
static bool name_set(SSL *ssl, const char *host)
{
    char name[256];
    size_t len = strlen(host);

    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    if (len && host[len - 1] == '.')
        len--;
    if (!len || len >= sizeof(name))
        return false;
    apr_cpystrn(name, host, len + 1);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static void session_offer(pp_tls_conn_t *conn, pp_tls_sessions_t *sessions)
{
    SSL_SESSION *session;

    if (!sessions || !conn->tls->settings.session_cache)
        return;
    SSL_set_app_data(conn->ssl, sessions);
    session = pp_tls_session_take(sessions);
    if (session)
        SSL_set_session(conn->ssl, session);
    conn->offered = session; /* only to be compared */
    SSL_SESSION_free(session);
}

pp_tls_conn_t *pp_tls_open(const pp_tls_t *tls, const char *host, pp_tls_sessions_t *sessions, const pp_tls_wire_t *wire,
                           void *self)
{
    pp_tls_conn_t *conn = calloc(1, sizeof(*conn));
    BIO *bio = BIO_new(tls->wire);
    const char *name = tls->settings.server_name ? tls->settings.server_name : host;

    if (!conn)
        abort();
    conn->tls = tls;
    conn->wire = wire;
    conn->wire_self = self;
    conn->ssl = SSL_new(tls->ctx);
    if (!conn->ssl || !bio || !name_set(conn->ssl, name)) {
        BIO_free(bio);
        pp_tls_close(&conn);
        return NULL;
    }
    BIO_set_data(bio, conn);
    BIO_set_init(bio, 1);
    SSL_set_bio(conn->ssl, bio, bio);
    SSL_set_connect_state(conn->ssl);
    session_offer(conn, sessions);
    return conn;
}

/* Unless told that all ended well OpenSSL marks the connection's session as not to be resumed. */
void pp_tls_close(pp_tls_conn_t **connp)
{
    pp_tls_conn_t *conn = *connp;

    *connp = NULL;
    if (conn->offered && !SSL_is_init_finished(conn->ssl)) /* to some servers a session they do not know is a reason to go silent */
        pp_tls_session_drop(SSL_get_app_data(conn->ssl), conn->offered);
    if (conn->ssl && SSL_is_init_finished(conn->ssl) && !conn->failure)
        SSL_set_shutdown(conn->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(conn->ssl);
    ERR_clear_error();
    free(conn);
}

/* ---- what went wrong ---- */

static void describe(pp_tls_conn_t *conn, const char *what, const char *more)
{
    apr_snprintf(conn->trouble, sizeof(conn->trouble), "%s%s%s", what, *more ? ": " : "", more);
}

static pp_err_t verify_error(pp_tls_conn_t *conn)
{
    long result = SSL_get_verify_result(conn->ssl);

    describe(conn, "certificate verify failed", X509_verify_cert_error_string(result));
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return PP_ERR_tls_expired;
    default:
        return PP_ERR_tls_verify;
    }
}

/* Of what OpenSSL has in its queue. */
static pp_err_t protocol_error(pp_tls_conn_t *conn)
{
    char text[TROUBLE_MAX];
    unsigned long code = pp_tls_error_text(text, sizeof(text));
    bool is_alert = ERR_GET_LIB(code) == ERR_LIB_SSL && ALERT_OF(code) >= 0 && ALERT_OF(code) <= 255;

    if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return verify_error(conn);
    if (!code)
        describe(conn, conn->wire_ended == APR_EOF ? "the server closed the connection" : "the connection broke", "");
    else if (is_alert)
        describe(conn, "alert received", text);
    else
        describe(conn, text, "");
    if (is_alert)
        return ALERT_OF(code) == SSL_AD_NO_APPLICATION_PROTOCOL ? PP_ERR_tls_alpn : PP_ERR_tls_alert;
    return PP_ERR_tls_handshake;
}

/* ---- steps ---- */

/* Before each step: whatever another user of OpenSSL has left in this thread's queue is none of ours. */
static void step_begin(pp_tls_conn_t *conn)
{
    ERR_clear_error();
    conn->is_drained = conn->awaits_room = conn->has_more = conn->asked_in_vain = false;
}

apr_status_t pp_tls_handshake(pp_tls_conn_t *conn, pp_err_t *err)
{
    int result;

    step_begin(conn);
    result = SSL_do_handshake(conn->ssl);
    if (result == 1) {
        conn->has_more = SSL_has_pending(conn->ssl); /* what came with the end of the handshake: the socket won't tell of it */
        return APR_SUCCESS;
    }
    switch (SSL_get_error(conn->ssl, result)) {
    case SSL_ERROR_WANT_WRITE:
        conn->awaits_room = true;
        return APR_EAGAIN;
    case SSL_ERROR_WANT_READ:
        return APR_EAGAIN;
    default:
        *err = conn->failure = protocol_error(conn);
        return APR_EGENERAL;
    }
}

/* A step has failed: not by what OpenSSL found, but by the wire. */
static bool is_of_wire(const pp_tls_conn_t *conn)
{
    return conn->wire_ended && !ERR_peek_error();
}

/* Why reading gave nothing. What ends it does so for good. */
static apr_status_t read_status(pp_tls_conn_t *conn, int result)
{
    switch (SSL_get_error(conn->ssl, result)) {
    case SSL_ERROR_WANT_WRITE: /* it has to answer a KeyUpdate */
        conn->awaits_room = true;
        return APR_EAGAIN;
    case SSL_ERROR_WANT_READ:
        return APR_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return conn->ended = APR_EOF;
    default:
        if (is_of_wire(conn))
            return conn->ended = conn->wire_ended == APR_EOF ? PP_TLS_CUT : conn->wire_ended;
        conn->failure = protocol_error(conn);
        return conn->ended = APR_EGENERAL;
    }
}

/* Is there more to be read that the wire won't tell of? Not when it was asked in vain: then the rest of a record is missing. */
static bool has_more(const pp_tls_conn_t *conn)
{
    return !conn->asked_in_vain && !conn->awaits_room && SSL_has_pending(conn->ssl);
}

/* As much as there is: a short read means that the wire has no more now, as with a socket; but no more records than take a moment, for a
 * server may send very small ones, or some that have no data at all: after each of those OpenSSL returns. */
apr_status_t pp_tls_read(pp_tls_conn_t *conn, char *buf, size_t *len)
{
    size_t size = *len, done = 0, n;
    apr_status_t status = conn->ended;

    step_begin(conn);
    for (int records = 0; !status && done < size && records < RECORDS_AT_ONCE; records++) {
        int result = SSL_read_ex(conn->ssl, buf + done, size - done, &n);

        if (result == 1)
            done += n;
        else
            status = read_status(conn, result);
    }
    *len = done;
    conn->has_more = conn->ended ? done > 0 : has_more(conn);
    return done ? APR_SUCCESS : status;
}

apr_status_t pp_tls_peek(pp_tls_conn_t *conn)
{
    char byte;
    size_t n;
    int result;
    apr_status_t status;

    if (conn->ended)
        return conn->ended;
    step_begin(conn);
    result = SSL_peek_ex(conn->ssl, &byte, sizeof(byte), &n);
    if (result == 1) {
        conn->has_more = true;
        return APR_SUCCESS;
    }
    status = read_status(conn, result);
    conn->has_more = !conn->ended && has_more(conn);
    return status;
}

/* One record's worth from the beginning of the vector: what lies in several pieces is put together in `gathered`. */
static const char *gather(const struct iovec *vec, int nvec, char *gathered, size_t *len)
{
    size_t done = 0;

    if (nvec == 1 || vec[0].iov_len >= RECORD_MAX) {
        *len = vec[0].iov_len < RECORD_MAX ? vec[0].iov_len : RECORD_MAX;
        return vec[0].iov_base;
    }
    for (int i = 0; i < nvec && done < RECORD_MAX; i++) {
        size_t take = vec[i].iov_len < RECORD_MAX - done ? vec[i].iov_len : RECORD_MAX - done;

        memcpy(gathered + done, vec[i].iov_base, take);
        done += take;
    }
    *len = done;
    return gathered;
}

apr_status_t pp_tls_writev(pp_tls_conn_t *conn, const struct iovec *vec, int nvec, size_t *written)
{
    char gathered[RECORD_MAX];
    size_t len;
    const char *data = gather(vec, nvec, gathered, &len);
    int result;

    *written = 0;
    assert(len > 0);
    ERR_clear_error();
    result = SSL_write_ex(conn->ssl, data, len, written);
    if (result == 1)
        return APR_SUCCESS;
    switch (SSL_get_error(conn->ssl, result)) {
    case SSL_ERROR_WANT_WRITE:
    case SSL_ERROR_WANT_READ: /* not without renegotiation */
        return APR_EAGAIN;
    default:
        if (is_of_wire(conn))
            return conn->wire_ended;
        if (!conn->failure)
            conn->failure = protocol_error(conn);
        return APR_EGENERAL;
    }
}

void pp_tls_bye(pp_tls_conn_t *conn)
{
    ERR_clear_error();
    if (SSL_is_init_finished(conn->ssl) && !conn->failure)
        SSL_shutdown(conn->ssl);
}

/* ---- questions ---- */

bool pp_tls_has_more(const pp_tls_conn_t *conn)
{
    return conn->has_more;
}

bool pp_tls_awaits_room(const pp_tls_conn_t *conn)
{
    return conn->awaits_room;
}

bool pp_tls_is_resumed(const pp_tls_conn_t *conn)
{
    return SSL_session_reused(conn->ssl);
}

pp_err_t pp_tls_failure(const pp_tls_conn_t *conn)
{
    return conn->failure;
}

const char *pp_tls_trouble(const pp_tls_conn_t *conn)
{
    return conn->trouble;
}
