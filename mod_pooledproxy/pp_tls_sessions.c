/* pp_tls_sessions: the sessions of one target, the newest first, to be resumed by its next connections. */
#include <openssl/x509.h>
#include <string.h>

#include "pp_tls_own.h"

#define REFUSED_MOST 2 /* then it is one that can't resume: handshakes are in full from then on */
#define SESSIONS_MAX \
    8 /* a server gives two tickets with a handshake and one with a resumption: enough for some connections at once */

struct pp_tls_sessions_t {
    SSL_SESSION *sessions[SESSIONS_MAX];
    int n;
    int refused; /* how many the server would not go on with */
};

static apr_status_t on_pool_going(void *data)
{
    pp_tls_sessions_t *sessions = data;

    while (sessions->n > 0)
        SSL_SESSION_free(sessions->sessions[--sessions->n]);
    return APR_SUCCESS;
}

pp_tls_sessions_t *pp_tls_sessions_create(apr_pool_t *p)
{
    pp_tls_sessions_t *sessions = apr_pcalloc(p, sizeof(*sessions));

    apr_pool_cleanup_register(p, sessions, on_pool_going, apr_pool_cleanup_null);
    return sessions;
}

/* A ticket of TLS 1.3 is used once, so that nobody can tell connections of one client: RFC 8446 appendix C.4 */
static bool is_for_one_use(const SSL_SESSION *session)
{
    return SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION;
}

/* A resumption shows no certificate: the one of the session must still hold. */
static bool is_usable(SSL_SESSION *session)
{
    X509 *certificate = SSL_SESSION_get0_peer(session);

    return SSL_SESSION_is_resumable(session) && (!certificate || X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0);
}

static void forget(pp_tls_sessions_t *sessions, int i)
{
    SSL_SESSION_free(sessions->sessions[i]);
    sessions->n--;
    memmove(&sessions->sessions[i], &sessions->sessions[i + 1], sizeof(*sessions->sessions) * (size_t)(sessions->n - i));
}

SSL_SESSION *pp_tls_session_take(pp_tls_sessions_t *sessions)
{
    while (sessions->n > 0 && sessions->refused < REFUSED_MOST) {
        SSL_SESSION *session = sessions->sessions[0];

        if (is_usable(session)) {
            SSL_SESSION_up_ref(session);
            if (is_for_one_use(session))
                forget(sessions, 0);
            return session;
        }
        forget(sessions, 0);
    }
    return NULL;
}

void pp_tls_session_drop(pp_tls_sessions_t *sessions, const SSL_SESSION *session)
{
    for (int i = sessions->n - 1; i >= 0; i--)
        if (sessions->sessions[i] == session)
            forget(sessions, i);
    sessions->refused++;
}

void pp_tls_session_put(pp_tls_sessions_t *sessions, SSL_SESSION *session)
{
    if (!is_for_one_use(session)) { /* the newest does for all */
        while (sessions->n > 0)
            forget(sessions, sessions->n - 1);
    }
    if (sessions->n == SESSIONS_MAX)
        forget(sessions, SESSIONS_MAX - 1);
    memmove(&sessions->sessions[1], &sessions->sessions[0], sizeof(*sessions->sessions) * (size_t)sessions->n);
    sessions->sessions[0] = session;
    sessions->n++;
}
