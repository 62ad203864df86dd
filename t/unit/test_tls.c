/* test_tls: one TLS connection against OpenSSL's own server, over a wire in memory that gives and takes as little as the test likes. */
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "drive.h"
#include "pp_tls.h"
#include "tap.h"

typedef struct wire_t {
    BIO *in, *out;   /* from the server, to it */
    size_t at_once;  /* so much a receive gives at most */
    size_t room;     /* so much may still be sent */
    size_t receives; /* calls that asked */
    bool ended;
} wire_t;

static wire_t wire;
static SSL_CTX *server_ctx;
static SSL *server;
static apr_pool_t *memory;
static pp_tls_t *tls;
static pp_tls_sessions_t *sessions;
static pp_tls_conn_t *conn;

static apr_status_t on_receive(void *self, char *buf, size_t *len)
{
    int n;

    (void)self;
    wire.receives++;
    n = BIO_read(wire.in, buf, (int)(*len < wire.at_once ? *len : wire.at_once));
    *len = n > 0 ? (size_t)n : 0;
    return n > 0 ? APR_SUCCESS : wire.ended ? APR_EOF : APR_EAGAIN;
}

static apr_status_t on_send(void *self, const char *buf, size_t *len)
{
    (void)self;
    if (!wire.room)
        return APR_EAGAIN;
    if (*len > wire.room)
        *len = wire.room;
    wire.room -= *len;
    BIO_write(wire.out, buf, (int)*len);
    return APR_SUCCESS;
}

static const pp_tls_wire_t functions = {on_receive, on_send};

/* A certificate for test.test, signed by its own key. */
static void certificate_make(SSL_CTX *ctx)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);

    X509_set_version(certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test.test", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    SSL_CTX_use_certificate(ctx, certificate);
    SSL_CTX_use_PrivateKey(ctx, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void begin(int version)
{
    pp_tls_settings_t settings = {.protocol_min = TLS1_2_VERSION, .session_cache = true};
    const void *culprit;

    apr_pool_create(&memory, drive_top);
    server_ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_max_proto_version(server_ctx, version);
    SSL_CTX_set_session_id_context(server_ctx, (const unsigned char *)"test", 4);
    certificate_make(server_ctx);
    if (pp_tls_create(&tls, &settings, memory, &culprit))
        abort();
    sessions = pp_tls_sessions_create(memory);
}

static void end(void)
{
    SSL_CTX_free(server_ctx);
    apr_pool_destroy(memory);
}

static void connection_open(void)
{
    wire = (wire_t){BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()), 1 << 20, 1 << 24, 0, false};
    BIO_set_mem_eof_return(wire.in, -1);
    BIO_set_mem_eof_return(wire.out, -1);
    server = SSL_new(server_ctx);
    BIO_up_ref(wire.in);
    BIO_up_ref(wire.out);
    SSL_set_bio(server, wire.out, wire.in);
    SSL_set_accept_state(server);
    conn = pp_tls_open(tls, "test.test", sessions, &functions, NULL);
}

static void connection_close(void)
{
    pp_tls_close(&conn);
    SSL_set_shutdown(server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(server);
    BIO_free(wire.in);
    BIO_free(wire.out);
}

/* Both sides in turn, until the client's is done. */
static bool shake_hands(void)
{
    pp_err_t err;

    for (int i = 0; i < 20000; i++) {
        apr_status_t status = pp_tls_handshake(conn, &err);

        if (status == APR_SUCCESS)
            return SSL_do_handshake(server) == 1;
        if (status != APR_EAGAIN)
            return false;
        if (pp_tls_awaits_room(conn))
            wire.room = 1;
        SSL_do_handshake(server);
    }
    return false;
}

static void connected(int version)
{
    begin(version);
    connection_open();
    ok(shake_hands(), "%s", version == TLS1_3_VERSION ? "TLS 1.3" : "TLS 1.2");
}

static void disconnected(void)
{
    connection_close();
    end();
}

static char big[100000], got[200000];

static void test_reading(int version)
{
    size_t len = 100;

    connected(version);
    is_int(pp_tls_read(conn, got, &len), APR_EAGAIN, "nothing but tickets: nothing to read");
    ok(!pp_tls_has_more(conn), "... and nothing inside");
    is_int(pp_tls_peek(conn), APR_EAGAIN, "... nor to be seen");
    SSL_write(server, big, 50000);
    is_int(pp_tls_peek(conn), APR_SUCCESS, "data is seen");
    len = 1000;
    ok(pp_tls_read(conn, got, &len) == APR_SUCCESS && len == 1000, "a read into little room fills it");
    ok(pp_tls_has_more(conn), "... and says that there is more inside");
    len = sizeof(got);
    ok(pp_tls_read(conn, got, &len) == APR_SUCCESS && len == 49000, "a read into much room takes all records");
    ok(!pp_tls_has_more(conn), "... and leaves nothing");
    SSL_write(server, big, 500);
    wire.receives = 0;
    len = sizeof(got);
    ok(pp_tls_read(conn, got, &len) == APR_SUCCESS && len == 500, "a small answer");
    is_int((long long)wire.receives, 1, "... takes one receive");
    SSL_write(server, "last", 4);
    SSL_shutdown(server);
    len = sizeof(got);
    ok(pp_tls_read(conn, got, &len) == APR_SUCCESS && len == 4, "the last data, with close_notify behind it");
    ok(pp_tls_has_more(conn), "... of which reading has to tell yet");
    is_int(pp_tls_peek(conn), APR_EOF, "... as a look does");
    is_int(pp_tls_read(conn, got, &len), APR_EOF, "the end");
    is_int(pp_tls_read(conn, got, &len), APR_EOF, "... for good");
    disconnected();
}

static void test_cut(void)
{
    size_t len = sizeof(got);

    connected(TLS1_3_VERSION);
    SSL_write(server, "part", 4);
    wire.ended = true;
    ok(pp_tls_read(conn, got, &len) == APR_SUCCESS && len == 4, "data, and then the wire ends");
    len = sizeof(got);
    is_int(pp_tls_read(conn, got, &len), PP_TLS_CUT, "... without close_notify: cut");
    is_int(pp_tls_failure(conn), PP_OK, "... which is no failure of TLS");
    disconnected();
}

static void test_by_bytes(int version)
{
    size_t len, all = 0;

    begin(version);
    connection_open();
    wire.at_once = 1;
    wire.room = 1;
    ok(shake_hands(), "a handshake in single bytes, both ways");
    SSL_write(server, big, 3000);
    for (int i = 0; i < 10000 && all < 3000; i++) {
        len = sizeof(got);
        if (pp_tls_read(conn, got, &len) == APR_SUCCESS)
            all += len;
    }
    is_int((long long)all, 3000, "... and data");
    disconnected();
}

static size_t server_reads(void)
{
    size_t all = 0;
    int n;

    while ((n = SSL_read(server, got + all, (int)(sizeof(got) - all))) > 0)
        all += (size_t)n;
    return all;
}

static void test_writing(int version)
{
    struct iovec vec[] = {{"head ", 5}, {big, 40000}, {"tail", 4}};
    size_t written;

    connected(version);
    is_int(pp_tls_writev(conn, vec, 1, &written), APR_SUCCESS, "a small write");
    ok(written == 5 && server_reads() == 5, "... arrives");
    ok(pp_tls_writev(conn, vec, 3, &written) == APR_SUCCESS && written == SSL3_RT_MAX_PLAIN_LENGTH,
       "of much the first record's worth goes");
    ok(server_reads() == written && memcmp(got, "head ", 5) == 0 && got[5] == big[0], "... head and data in one");
    wire.room = 100;
    is_int(pp_tls_writev(conn, vec, 2, &written), APR_EAGAIN, "no room for all of a record: not yet");
    is_int((long long)written, 0, "... and nothing counts as written");
    wire.room = 1 << 20;
    ok(pp_tls_writev(conn, vec, 3, &written) == APR_SUCCESS && written == SSL3_RT_MAX_PLAIN_LENGTH,
       "again, with more behind it, from elsewhere");
    is_int((long long)server_reads(), (long long)written, "... arrives once");
    wire.room = 10;
    vec[0].iov_len = 3;
    is_int(pp_tls_writev(conn, vec, 1, &written), APR_EAGAIN, "a short one without room");
    wire.room = 1 << 20;
    is_int(pp_tls_writev(conn, vec, 3, &written), APR_SUCCESS, "... then with more behind it");
    is_int((long long)server_reads(), (long long)written, "... arrives once");
    ok(memcmp(got, "hea", 3) == 0 && got[3] == big[0], "... in its order");
    pp_tls_bye(conn);
    server_reads();
    ok(SSL_get_shutdown(server) & SSL_RECEIVED_SHUTDOWN, "a good-bye is understood");
    disconnected();
}

/* So many connections one after the other; how many of them resumed a session. */
static int resumed_of(int n)
{
    int resumed = 0;

    for (int i = 0; i < n; i++) {
        size_t len = sizeof(got);

        connection_open();
        if (!shake_hands())
            return -1;
        resumed += pp_tls_is_resumed(conn);
        pp_tls_read(conn, got, &len); /* tickets */
        connection_close();
    }
    return resumed;
}

static void test_resumption(int version)
{
    begin(version);
    is_int(resumed_of(6), 5, "from the second connection on sessions are resumed");
    SSL_CTX_set_options(server_ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(server_ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(server_ctx, 0);
    ok(resumed_of(6) <= 5, "a server that has stopped giving any does no harm");
    is_int(resumed_of(1), 0, "... when they are used up");
    end();
}

static void test_failure(void)
{
    pp_err_t err = PP_OK;

    begin(TLS1_3_VERSION);
    connection_open();
    pp_tls_handshake(conn, &err);
    BIO_write(wire.in, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    is_int(pp_tls_handshake(conn, &err), APR_EGENERAL, "a server that speaks something else");
    is_int(err, PP_ERR_tls_handshake, "... fails the handshake");
    is_str(pp_tls_trouble(conn), "wrong version number", "... in OpenSSL's words");
    connection_close();
    connection_open();
    pp_tls_handshake(conn, &err);
    wire.ended = true;
    ok(pp_tls_handshake(conn, &err) == APR_EGENERAL && err == PP_ERR_tls_handshake, "a server that closes");
    is_str(pp_tls_trouble(conn), "the server closed the connection", "... in ours");
    connection_close();
    end();
}

int main(void)
{
    drive_begin();
    memset(big, 'x', sizeof(big));
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        test_reading(version);
        test_by_bytes(version);
        test_writing(version);
        test_resumption(version);
    }
    test_cut();
    test_failure();
    drive_end();
    return done_testing();
}
