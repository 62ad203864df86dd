/* pp_conn: one upstream connection: a non-blocking stream socket on a loop, in clear or with TLS, which makes no difference once the
 * handshake is done. Knows nothing of pools or HTTP.
 *
 * Ownership: whoever has opened it, until pp_conn_close(); its memory is used again, but not before the loop's round has ended.
 * Threads: the loop's thread only.
 */
#ifndef PP_CONN_H
#define PP_CONN_H

#include <apr_ring.h>
#include <sys/uio.h>

#include "pp_addr.h"
#include "pp_err.h"
#include "pp_loop.h"
#include "pp_tls.h"

typedef struct pp_conn_t pp_conn_t;
struct pp_conn_t {
    /* The holder's: who is told what happens. Set by whoever takes the connection over. */
    void *holder;
    void (*on_event)(pp_conn_t *conn, apr_int16_t events);
    void (*on_timer)(pp_conn_t *conn); /* the moment set with pp_conn_alarm() has come */

    /* The pool's. */
    APR_RING_ENTRY(pp_conn_t) link;
    struct pp_host_t *host;
    int state;           /* pp_conn_state_t of pp_pool.c */
    int requests;        /* served, the present one included */
    pp_time_t opened_at; /* connect(2) was called */
    pp_timer_t idle_timer;
    pp_time_t keep_for;   /* microseconds the peer says it keeps an idle connection; 0: it said nothing */
    int keep_requests;    /* how many more requests the peer says it takes; -1: it said nothing */
    pp_time_t idle_since; /* the last time it became idle */
    pp_time_t idle_for;   /* microseconds it was idle before its present request */
    unsigned checked;     /* which of its host's moves it was last held against */
    pp_time_t retire_at;  /* from then on it is not used again; 0: never */

    /* pp_conn's own. */
    unsigned id; /* for the log: unique in its loop */
    int fd;
    pp_loop_t *loop;
    pp_io_t io;
    pp_timer_t timer;
    pp_task_t spare_task;
    pp_conn_t *next_spare;
    pp_tls_conn_t *tls; /* NULL: in clear */
    apr_int16_t wanted; /* with TLS: the events the holder wants */
    pp_task_t more_task;
    bool more_posted;
};

/* Begins to connect. The holder gets APR_POLLOUT when it is done, then asks pp_conn_established(). */
pp_err_t pp_conn_open(pp_conn_t **conn, pp_loop_t *loop, const pp_addr_t *addr);

/* How the connecting ended: PP_OK or connect_refused, connect_failed. */
pp_err_t pp_conn_established(pp_conn_t *conn);

/* Is its peer's address among these? */
bool pp_conn_leads_to(const pp_conn_t *conn, const pp_addr_t *addrs, int n);

/* From now on it speaks TLS with `host`; for `sessions` see pp_tls_open(). internal: it can't. */
pp_err_t pp_conn_secure(pp_conn_t *conn, const pp_tls_t *tls, const char *host, pp_tls_sessions_t *sessions);

/* One step of the handshake. APR_SUCCESS: it is done. APR_EAGAIN: the holder gets an event when it can go on. APR_EGENERAL: *err says why
 * not, pp_conn_trouble() in words. */
apr_status_t pp_conn_handshake(pp_conn_t *conn, pp_err_t *err);

/* Was a TLS session resumed? */
bool pp_conn_is_resumed(const pp_conn_t *conn);

/* What of TLS has broken it; PP_OK: nothing of that. And in words. */
pp_err_t pp_conn_failure(const pp_conn_t *conn);
const char *pp_conn_trouble(const pp_conn_t *conn);

/* One read of at most *len bytes: when there are fewer, there are no more for now. APR_SUCCESS: *len > 0; APR_EAGAIN; APR_EOF;
 * PP_TLS_CUT: the peer has closed without saying so, which anybody could have done; other: the connection is broken. */
apr_status_t pp_conn_read(pp_conn_t *conn, char *buf, size_t *len);

/* What the peer of a connection that lay idle has done meanwhile; takes nothing. APR_EAGAIN: nothing; APR_SUCCESS: it has sent something;
 * other: it has closed. */
apr_status_t pp_conn_peek(pp_conn_t *conn);

/* One writev(2), or one TLS record; *written bytes are gone. APR_SUCCESS (maybe not all), APR_EAGAIN (none; what is written next begins
 * with the same bytes), other: broken. */
apr_status_t pp_conn_writev(pp_conn_t *conn, const struct iovec *vec, int nvec, size_t *written);

/* No more will be written (close_notify, FIN). */
void pp_conn_shutdown_write(pp_conn_t *conn);

/* Which events the holder wants: APR_POLLIN | APR_POLLOUT (errors and hang-up come with them), or 0: none at all. */
void pp_conn_want(pp_conn_t *conn, apr_int16_t events);

/* Calls on_timer at the moment `when`; 0: never. */
void pp_conn_alarm(pp_conn_t *conn, pp_time_t when);

/* Closes and clears *conn; no callback comes afterwards. */
void pp_conn_close(pp_conn_t **conn);

#endif
