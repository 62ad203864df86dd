/* pp_pool: the connections of one pool on one loop: checkout, then exactly one of checkin or discard.
 *
 * Ownership: a connection belongs to the pool but between a checkout that delivers it and its checkin or discard. A checkout record
 * is embedded in its asker and is the pool's from pp_pool_checkout() == APR_EAGAIN until its callback or pp_pool_cancel().
 * Threads: the loop's thread only; no lock. Callbacks (on_conn) may come from any call into the pool and from the loop, but never from
 * inside pp_pool_checkout() for the record just given.
 * Limits: busy + idle + connecting never exceeds the policy's size, nor the host's limit, over all loops that use the same book.
 */
#ifndef PP_POOL_H
#define PP_POOL_H

#include "pp_conn.h"
#include "pp_dns.h"
#include "pp_ledger.h"
#include "pp_policy.h"
#include "pp_stats.h"

typedef struct pp_pool_t pp_pool_t;

/* Where a connection shall lead. Strings are copied when the pool meets the host for the first time. */
typedef struct pp_target_t {
    const char *key;       /* equal keys: connections are interchangeable */
    const char *host;      /* name or address */
    int port;              /* 0: host is a service (SRV records) */
    const char *unix_path; /* NULL: TCP */
    int limit;             /* most connections; 0: the policy's host_limit */
    const pp_tls_t *tls;   /* NULL: in clear */
} pp_target_t;

typedef struct pp_checkout_t pp_checkout_t;
struct pp_checkout_t {
    /* The asker's: set before pp_pool_checkout(). */
    void (*on_conn)(pp_checkout_t *checkout, pp_conn_t *conn, pp_err_t err); /* exactly one of conn, err */
    pp_time_t wait_until;      /* the moment a wait for a free connection ends with pool_timeout; 0: none */
    pp_time_t connect_timeout; /* microseconds from the moment a connection is being opened on its behalf; 0: none */
    bool fresh;                /* an idle connection won't do */

    /* The answer, valid in the callback and after APR_SUCCESS. */
    bool reused;
    const char *why_new; /* when not reused: "no_idle", "keepalive_off", "fresh" */
    pp_time_t dns_time;  /* microseconds the connection's name lookup and connecting took; 0 when reused */
    pp_time_t connect_time;
    pp_time_t tls_time; /* the handshake */
    int retry_after;    /* seconds after which there may be room, with pool_full and pool_timeout; else 0 */

    /* The pool's. */
    APR_RING_ENTRY(pp_checkout_t) link;
    struct pp_host_t *host;
    pp_pool_t *pool;
    pp_timer_t timer;   /* for wait_until; once it is served for connect_timeout */
    pp_time_t asked_at; /* when it began to wait */
    unsigned long turn; /* its number in order of arrival */
    bool waiting;
    int stage; /* while it waits: pp_pool_own.h */
};

/* Makes an empty pool; it ends with `p`. Its permits and numbers are those of `seat` in `book`, which no other pool uses. `policy` and
 * `name` are kept by reference. */
pp_pool_t *pp_pool_create(pp_loop_t *loop, pp_dns_t *dns, const char *name, const pp_pool_policy_t *policy, pp_book_t *book,
                          int seat, apr_pool_t *p);

/* Somebody has woken the seat: other loops want something, or have given it. */
void pp_pool_attend(pp_pool_t *pool);

/* Keeps the policy's idle_min connections ready, over all loops and the n targets together, from now on. */
void pp_pool_keep_warm(pp_pool_t *pool, const pp_target_t *targets, int n);

/* APR_SUCCESS: *conn is an idle connection, now busy and the caller's. APR_EAGAIN: the callback will come. APR_EGENERAL: *err says why
 * not (pool_full). */
apr_status_t pp_pool_checkout(pp_pool_t *pool, const pp_target_t *target, pp_checkout_t *checkout, pp_conn_t **conn, pp_err_t *err);

/* The asker lost interest: no callback comes. Nothing happens when the record isn't waiting. */
void pp_pool_cancel(pp_checkout_t *checkout);

/* How an exchange on the connection went, before it is checked in or discarded: microseconds from the request's beginning to the first
 * byte of the answer; `failed`: the answer did not come, or was 503. Not to be told of what the client ended. */
void pp_pool_observe(pp_conn_t *conn, pp_time_t latency, bool failed);

/* The exchange ended well and the peer keeps the connection: it becomes idle, serves a waiter, or is closed: by policy,
 * or for a waiter who has waited longer than those it could serve. */
void pp_pool_checkin(pp_pool_t *pool, pp_conn_t **conn);

/* Never again, because of `reason`. */
void pp_pool_discard(pp_pool_t *pool, pp_conn_t **conn, pp_close_t reason);

/* Closes what is idle; from now on nothing is kept. Waiters and exchanges in flight go on. */
void pp_pool_drain(pp_pool_t *pool);

pp_stats_t *pp_pool_stats(pp_pool_t *pool);

#endif
