/* pp_tls: the settings of TLS become a context: what all connections with these settings share. */
#include "pp_tls.h"

#include <apr_file_info.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "pp_tls_own.h"

#define ERROR_TEXT 256

/* HTTP/1.1: RFC 7301 section 6 */
static const unsigned char alpn[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

/* A step that reads one of the settings: NULL, or a message, with *culprit set. */
typedef struct making_t {
    pp_tls_t *tls;
    SSL_CTX *ctx;
    const pp_tls_settings_t *settings; /* the caller's, which culprits are members of */
    apr_pool_t *p;
    const void *culprit;
} making_t;

unsigned long pp_tls_error_text(char *buf, size_t size)
{
    const char *data = NULL;
    int flags = 0;
    unsigned long code = ERR_peek_last_error_all(NULL, NULL, NULL, &data, &flags);
    const char *reason = ERR_reason_error_string(code);

    if (code && reason)
        apr_snprintf(buf, size, "%s%s%s", reason, flags & ERR_TXT_STRING && data && *data ? ": " : "",
                     flags & ERR_TXT_STRING && data ? data : "");
    else if (code)
        ERR_error_string_n(code, buf, size);
    else
        *buf = '\0';
    ERR_clear_error();
    return code;
}

static const char *complain(making_t *making, const void *culprit, const char *what)
{
    char text[ERROR_TEXT];

    making->culprit = culprit;
    if (!pp_tls_error_text(text, sizeof(text)))
        return what;
    return apr_pstrcat(making->p, what, ": ", text, NULL);
}

/* ---- whom to trust ---- */

/* Names as openssl rehash makes them: 8 hexadecimal digits, a dot, a number; r before the number: a list of revoked ones. */
static bool is_hashed(const char *name)
{
    return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && name[9] && !name[9 + strspn(name + 9, "0123456789")];
}

/* All of the directory now, so that no file is read on a loop. Returns how many certificates there are. */
static int load_directory(making_t *making, const char *path)
{
    X509_LOOKUP *lookup = X509_STORE_add_lookup(SSL_CTX_get_cert_store(making->ctx), X509_LOOKUP_file());
    apr_finfo_t file;
    apr_dir_t *dir;
    int n = 0;

    if (!lookup || apr_dir_open(&dir, path, making->p) != APR_SUCCESS)
        return 0;
    while (apr_dir_read(&file, APR_FINFO_NAME, dir) == APR_SUCCESS) {
        if (is_hashed(file.name) &&
            X509_load_cert_file(lookup, apr_pstrcat(making->p, path, "/", file.name, NULL), X509_FILETYPE_PEM) > 0)
            n++;
    }
    apr_dir_close(dir);
    ERR_clear_error();
    return n;
}

/* As OpenSSL was built, or as the environment says. */
static void load_system_store(making_t *making)
{
    const char *file = getenv(X509_get_default_cert_file_env()), *dir = getenv(X509_get_default_cert_dir_env());

    if (!SSL_CTX_load_verify_file(making->ctx, file ? file : X509_get_default_cert_file()))
        ERR_clear_error();
    load_directory(making, dir ? dir : X509_get_default_cert_dir());
}

static const char *load_crls(making_t *making)
{
    const pp_tls_settings_t *settings = making->settings;
    X509_STORE *store = SSL_CTX_get_cert_store(making->ctx);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());

    if (!lookup || X509_load_crl_file(lookup, settings->crl_file, X509_FILETYPE_PEM) <= 0)
        return complain(making, &settings->crl_file,
                        apr_psprintf(making->p, "no list of revoked certificates in %s", settings->crl_file));
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return NULL;
}

static const char *set_trust(making_t *making)
{
    const pp_tls_settings_t *settings = making->settings;

    SSL_CTX_set_verify(making->ctx, settings->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (!settings->verify)
        return NULL;
    if (!settings->ca_file && !settings->ca_path)
        load_system_store(making);
    if (settings->ca_file && !SSL_CTX_load_verify_file(making->ctx, settings->ca_file))
        return complain(making, &settings->ca_file, apr_psprintf(making->p, "no certificate in %s", settings->ca_file));
    if (settings->ca_path && !load_directory(making, settings->ca_path))
        return complain(
            making, &settings->ca_path,
            apr_psprintf(making->p, "no certificate with a hashed name in %s; openssl rehash makes such names", settings->ca_path));
    return settings->crl_file ? load_crls(making) : NULL;
}

/* ---- who we are ---- */

/* A key that is locked can't be opened: nobody is there to be asked. */
static int on_passphrase(char *buf, int size, int writing, void *data)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)data;
    return -1;
}

static const char *set_certificate(making_t *making)
{
    const pp_tls_settings_t *settings = making->settings;
    const char *key = settings->key_file ? settings->key_file : settings->certificate_file;
    const void *key_culprit = settings->key_file ? &settings->key_file : &settings->certificate_file;

    if (!settings->certificate_file)
        return settings->key_file ? complain(making, &settings->key_file, "a key without a certificate") : NULL;
    SSL_CTX_set_default_passwd_cb(making->ctx, on_passphrase);
    if (SSL_CTX_use_certificate_chain_file(making->ctx, settings->certificate_file) != 1)
        return complain(making, &settings->certificate_file,
                        apr_psprintf(making->p, "no certificate in %s", settings->certificate_file));
    if (SSL_CTX_use_PrivateKey_file(making->ctx, key, SSL_FILETYPE_PEM) != 1)
        return complain(making, key_culprit, apr_psprintf(making->p, "no key that can be used in %s (without passphrase)", key));
    if (SSL_CTX_check_private_key(making->ctx) != 1)
        return complain(making, key_culprit, apr_psprintf(making->p, "the key in %s is not that of the certificate", key));
    return NULL;
}

/* ---- how ---- */

static const char *set_protocol(making_t *making)
{
    const pp_tls_settings_t *settings = making->settings;

    if (!SSL_CTX_set_min_proto_version(making->ctx, settings->protocol_min) ||
        !SSL_CTX_set_max_proto_version(making->ctx, settings->protocol_max))
        return complain(making, &settings->protocol_min, "this OpenSSL does not have the protocol");
    return NULL;
}

/* OpenSSL passes over names that it does not know, as long as it knows one. Those that are only shut out may be unknown. */
static bool is_cipher_known(making_t *making, const char *name)
{
    bool known = strchr("!-+@", *name) || SSL_CTX_set_cipher_list(making->ctx, name) == 1;

    ERR_clear_error();
    return known;
}

static void append(apr_pool_t *p, const char **list, const char *name)
{
    *list = *list ? apr_pstrcat(p, *list, ":", name, NULL) : name;
}

static const char *set_ciphers(making_t *making)
{
    const void *culprit = &making->settings->ciphers;
    const char *of_12 = NULL, *of_13 = NULL;
    char *left, *name;

    if (!making->settings->ciphers)
        return NULL;
    for (name = apr_strtok(apr_pstrdup(making->p, making->settings->ciphers), ": ,", &left); name;
         name = apr_strtok(NULL, ": ,", &left)) {
        bool is_13 = strncmp(name, "TLS_", 4) == 0;

        if (!is_13 && !is_cipher_known(making, name))
            return complain(making, culprit,
                            apr_psprintf(making->p, "'%s' is not a cipher that OpenSSL has here (openssl ciphers)", name));
        append(making->p, is_13 ? &of_13 : &of_12, name);
    }
    if (of_13 && SSL_CTX_set_ciphersuites(making->ctx, of_13) != 1)
        return complain(making, culprit,
                        apr_psprintf(making->p, "'%s' is not of TLS 1.3's ciphers (openssl ciphers -s -tls1_3)", of_13));
    if (of_12 && SSL_CTX_set_cipher_list(making->ctx, of_12) != 1)
        return complain(making, culprit, apr_psprintf(making->p, "'%s' leaves no cipher", of_12));
    return NULL;
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    pp_tls_sessions_t *sessions = SSL_get_app_data(ssl);

    if (!sessions)
        return 0;
    pp_tls_session_put(sessions, session);
    return 1; /* it is ours now */
}

static const char *set_manners(making_t *making)
{
    SSL_CTX *ctx = making->ctx;

    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY); /* a flood of records without data shall not hold the loop */
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_read_ahead(ctx, 1); /* a record by one receive, not two */
    if (making->settings->session_cache) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, on_new_session);
    }
    else {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    }
    return SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn)) == 0 ? NULL : complain(making, NULL, "ALPN can't be set");
}

static apr_status_t on_pool_going(void *data)
{
    pp_tls_t *tls = data;

    SSL_CTX_free(tls->ctx);
    BIO_meth_free(tls->wire);
    return APR_SUCCESS;
}

const char *pp_tls_create(pp_tls_t **tlsp, const pp_tls_settings_t *settings, apr_pool_t *p, const void **culprit)
{
    static const char *(*const steps[])(making_t *) = {set_manners, set_protocol, set_ciphers, set_trust, set_certificate};
    pp_tls_t *tls = apr_pcalloc(p, sizeof(*tls));
    making_t making = {tls, SSL_CTX_new(TLS_client_method()), settings, p, NULL};
    const char *why = NULL;

    tls->settings = *settings;
    tls->ctx = making.ctx;
    tls->wire = pp_tls_wire_method();
    apr_pool_cleanup_register(p, tls, on_pool_going, apr_pool_cleanup_null);
    if (!tls->ctx || !tls->wire)
        why = complain(&making, NULL, "OpenSSL can't make a context");
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !why; i++)
        why = steps[i](&making);
    *culprit = making.culprit;
    *tlsp = why ? NULL : tls;
    return why;
}
