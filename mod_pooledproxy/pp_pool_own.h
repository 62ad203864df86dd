/* pp_pool_own: what the files of a pool share: its insides. Nobody else includes this.
 *
 *   pp_pool.c     who gets which connection, and what becomes of it afterwards
 *   pp_places.c   the permits: taken from the ledger for who waits, returned, claimed from other loops
 *   pp_waiters.c  who waits, first come first
 *   pp_opening.c  one connection being opened
 *   pp_race.c     the addresses that race for it
 *   pp_idle.c     the life of an idle connection, and how one is closed
 *   pp_hosts.c    the hosts of a pool
 *   pp_moved.c    what becomes of connections when a host's name leads elsewhere
 *   pp_warm.c     connections opened before they are asked for
 */
#ifndef PP_POOL_OWN_H
#define PP_POOL_OWN_H

#include <apr_hash.h>
#include <apr_ring.h>

#include "pp_log.h"
#include "pp_order.h"
#include "pp_pool.h"

/* What holds for a connection in each state. In every one but the last it has a place (a permit of the ledger). */
typedef enum pp_conn_state_t {
    CONN_CONNECTING, /* held by its opening, which has a handshake's permit too; counted in host->nconnecting */
    CONN_BUSY,       /* held by whoever checked it out; counted in host->nbusy */
    CONN_IDLE,       /* in host->idle, watched for input, its idle timer set */
    CONN_CLOSING,    /* we have said good-bye (FIN) and wait for the peer's: until then it still counts there */
    CONN_CLOSED
} pp_conn_state_t;

/* What a waiter has got so far. Each goes from one to the next, in order of arrival within its host. */
enum {
    STAGE_QUEUED, /* nothing: it counts for PooledProxyQueue */
    STAGE_PLACED, /* a place for a connection; PooledProxyMaxConnecting keeps that from being opened yet */
    STAGE_SERVED, /* a connection is being opened on its behalf */
    STAGES
};

/* What this loop waits for in an account of the ledger. */
typedef struct pp_claim_t {
    pp_account_t *account;
    int want;        /* as registered */
    pp_time_t since; /* as registered */
} pp_claim_t;

typedef struct pp_host_t pp_host_t;
struct pp_host_t {
    pp_pool_t *pool;
    pp_target_t target; /* strings in `memory` */
    apr_pool_t *memory;
    pp_host_shared_t *shared;
    pp_tls_sessions_t *sessions;                   /* to be resumed by its next connections */
    APR_RING_HEAD(pp_idle_ring_t, pp_conn_t) idle; /* last used first */
    int nidle, nbusy, nconnecting, nclosing;
    int nplaces; /* permits it has: one for each connection, each waiter in STAGE_PLACED, each attempt in nracing */
    APR_RING_HEAD(pp_waiter_ring_t, pp_checkout_t) waiters[STAGES]; /* first come first */
    int nwaiting[STAGES];
    int nracing;    /* attempts beside those in nconnecting, with a place and a handshake's permit each (pp_race.c) */
    int nresolving; /* of the connecting, how many wait for the name's addresses */
    pp_order_t order;
    struct { /* pp_moved.c: where its name leads, since that has changed */
        pp_dns_watch_t watch;
        pp_addr_t *addrs; /* malloc'ed */
        int naddrs;
        unsigned times;
    } moved;
    pp_claim_t place, handshake;
    bool lacks_place; /* in a dispatch: its own limit is reached */
    struct {          /* pp_idle.c: at what ages the peer has closed idle connections, lately */
        pp_time_t least, most, idle_since, at;
        int n;
    } ages;
    bool is_warm; /* connections to it are kept ready */
};

struct pp_pool_t {
    pp_loop_t *loop;
    pp_dns_t *dns;
    const char *name;
    const pp_pool_policy_t *policy;
    pp_dns_policy_t dns_policy;
    pp_stats_t *stats;
    apr_pool_t *memory;
    apr_hash_t *hosts;    /* key -> pp_host_t */
    pp_host_t *last_host; /* of those, who was wanted last: most pools have one only */
    pp_book_t *book;
    pp_seats_t *seats;
    int seat;
    int nidle, nclosing;      /* over all hosts */
    int nwaiting;             /* over all hosts and stages */
    unsigned long turns;      /* numbers of those who wait */
    int nqueue;               /* permits of the queue's account */
    int nadmitted;            /* waiters in STAGE_QUEUED that need none: they were admitted before (fresh) */
    pp_time_t promised_at;    /* since when something is coming that others have promised; as seen by the tick */
    int nclaims;              /* claims with want > 0 */
    pp_claim_t place;         /* on the pool's account */
    pp_time_t queue_patience; /* how long who came last into the queue will wait there */
    pp_timer_t tick;          /* while there are claims */
    pp_time_t looked_at;      /* when it last looked for processes that have died */
    struct {                  /* who left the queue with a connection, in this window of time and the one before */
        pp_time_t began;
        int now, before;
    } pace;
    struct {
        pp_host_t **hosts; /* to which connections are kept ready */
        int nhosts;
        pp_timer_t timer;
    } warm;
    bool draining;
};

/* ---- pp_hosts.c ---- */
#define PP_EACH_HOST(pool, host)                                            \
    for (apr_hash_index_t *host##_at = apr_hash_first(NULL, (pool)->hosts); \
         host##_at && (apr_hash_this(host##_at, NULL, NULL, (void **)&(host)), true); host##_at = apr_hash_next(host##_at))

pp_host_t *pp_host_get(pp_pool_t *pool, const pp_target_t *target); /* NULL: the pool's table of hosts is full */
int pp_host_limit(const pp_host_t *host);                           /* 0: none of its own */
bool pp_host_is_over_limit(const pp_host_t *host);                  /* it has become less than there are connections */

/* ---- pp_opening.c ---- */

/* Starts one more; the outcome comes by pp_pool_opened(), pp_pool_open_failed() or, when it has taken as long as `timeout`
 * (microseconds; 0: no limit), pp_pool_open_expired(); never from inside this call. */
void pp_opening_start(pp_host_t *host, pp_time_t timeout);

/* ---- pp_race.c ---- */

#define PP_RACE_ADDRS 8 /* of a name that has more, so many are tried for one connection */
#define PP_RACE_MOST 2  /* at a time */

typedef struct pp_race_t pp_race_t;

/* One address being connected to. */
typedef struct pp_attempt_t {
    pp_race_t *race;
    pp_conn_t *conn;
    int addr;        /* its number */
    pp_time_t until; /* it may be given up for the next; 0: never */
} pp_attempt_t;

/* Embedded in its opening. */
struct pp_race_t {
    /* Set before the start, the rest being zero. */
    pp_host_t *host;
    pp_addr_t addrs[PP_RACE_ADDRS];                   /* in the order to be tried */
    int naddrs;                                       /* >= 1 */
    pp_time_t until;                                  /* the opening's end, a moment; 0: none */
    void (*on_won)(pp_race_t *race, pp_conn_t *conn); /* exactly one of these; the race is over then */
    void (*on_lost)(pp_race_t *race, pp_err_t err);   /* of the last address that failed; also from inside pp_race_start() */

    pp_time_t give_up_at; /* the moment until which the winner's address may take for more than that (TLS); 0: to the end */

    /* its own */
    pp_attempt_t attempts[PP_RACE_MOST];
    bool failed[PP_RACE_ADDRS];
    int next, nflying, nextra, winner;
    pp_timer_t timer;
    pp_err_t err;
};

void pp_race_start(pp_race_t *race);

/* The connection that won was no good, and is closed: the addresses that are left race on, and on_won or on_lost comes again. */
void pp_race_resume(pp_race_t *race, pp_err_t err);

/* Nobody is told. Nothing happens when it is over, or was never started. */
void pp_race_stop(pp_race_t *race);

/* ---- pp_moved.c ---- */
void pp_moved_watch(pp_host_t *host); /* once, when the host is made */
void pp_moved_unwatch(pp_host_t *host);
bool pp_moved_away(pp_conn_t *conn); /* the host's name does not lead to its peer any more */

/* ---- pp_waiters.c: the counts and the gauge are kept here ---- */
void pp_waiter_add(pp_host_t *host, pp_checkout_t *checkout); /* to STAGE_QUEUED */
void pp_waiter_remove(pp_checkout_t *checkout);
void pp_waiter_advance(pp_host_t *host, int from, int to);        /* the first one; to STAGE_SERVED its connect time-out begins */
pp_checkout_t *pp_waiter_first(const pp_host_t *host, int stage); /* NULL: none */
pp_checkout_t *pp_waiter_for_reused(const pp_host_t *host);       /* the first, whatever its stage, that takes a used connection */

/* Who is to be served before whom. */
bool pp_waiter_is_before(const pp_checkout_t *a, const pp_checkout_t *b);

/* The queue's pace: one leaves it, for a connection. And: seconds after which a place in it may be worth asking for. */
void pp_queue_departed(const pp_checkout_t *checkout);
int pp_queue_retry_after(const pp_pool_t *pool);

/* ---- pp_places.c ---- */

/* Of a connection that is no more. */
void pp_place_return(pp_host_t *host);

/* A place and a handshake's permit, for what is not yet needed: only when nobody else wants them. */
bool pp_places_take_spare(pp_host_t *host);

/* A handshake has ended. */
void pp_handshake_return(pp_host_t *host);

/* Something has changed: who waits is moved on as far as the limits allow, claims are made or given up. */
void pp_pool_dispatch(pp_pool_t *pool);

/* A waiter of the host is gone, with or without a connection: what it had been given goes on to the next. */
void pp_pool_waiter_left(pp_host_t *host);

/* The other way to make room: a connection just done is closed rather than kept or handed on, for who waits longer than all it
 * could serve: at another host of this loop, at another loop, or for a fresh one. */
bool pp_place_is_due(const pp_conn_t *conn);

/* Returns the queue's permits that are not needed any more. False: one is needed that can't be had. */
bool pp_queue_settle(pp_pool_t *pool);

/* ---- pp_idle.c ---- */
void pp_idle_count(pp_host_t *host, int n);    /* so many more are idle, or fewer; for pp_conn_state() */
pp_time_t pp_idle_time(const pp_conn_t *conn); /* how long it may be idle, in microseconds; not above 0: not at all */
void pp_idle_begin(pp_conn_t *conn, pp_time_t keep);
pp_conn_t *pp_idle_take(pp_host_t *host); /* the last one used that may still be, now busy; NULL: none */
bool pp_idle_may_begin(pp_pool_t *pool); /* takes a permit of PooledProxyIdleMax for one more; an older one may have to go for it */
int pp_idle_evict(pp_pool_t *pool, int n); /* closes so many, if there are, the oldest first; returns how many */
int pp_idle_evict_host(pp_host_t *host, int n);
void pp_idle_served(pp_conn_t *conn);               /* an exchange on it ended well */
void pp_idle_learn(pp_conn_t *conn, pp_time_t age); /* the peer has closed it, or was found to have, after so long */

/* Says good-bye to a connection that is in order; its place comes back when the peer has closed its side too, or soon. */
void pp_conn_part(pp_conn_t *conn, pp_close_t reason);

/* ---- pp_warm.c ---- */
void pp_warm_outcome(pp_host_t *host, bool opened); /* of any opening */

/* ---- pp_pool.c ---- */

/* The only place where a state changes, and where connections are counted. */
void pp_conn_state(pp_conn_t *conn, pp_conn_state_t state, const char *why);

/* The end of a connection: closed at once; its place is free. */
void pp_conn_destroy(pp_conn_t *conn, pp_close_t reason);

/* Begins one more connection, for which there are a place and a handshake's permit. */
void pp_pool_open(pp_host_t *host, pp_time_t timeout);

/* What the parts of an opening took, in microseconds. */
typedef struct pp_open_times_t {
    pp_time_t dns, connect, tls;
} pp_open_times_t;

void pp_pool_opened(pp_host_t *host, pp_conn_t *conn, const pp_open_times_t *times);
void pp_pool_open_failed(pp_host_t *host, pp_err_t err);

/* The time of an opening is over, which fails nobody: each waiter has its own. Who still waits for it gets another in its place. */
void pp_pool_open_expired(pp_host_t *host);

#endif
