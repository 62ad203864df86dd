/* pp_pool_own: what pp_pool.c and pp_opening.c share: the insides of a pool. Nobody else includes this. */
#ifndef PP_POOL_OWN_H
#define PP_POOL_OWN_H

#include <apr_hash.h>
#include <apr_ring.h>

#include "pp_log.h"
#include "pp_pool.h"

/* What holds for a connection in each state. */
typedef enum pp_conn_state_t {
    CONN_CONNECTING, /* held by its opening; counted in host->connecting */
    CONN_BUSY,       /* held by whoever checked it out; counted in host->busy */
    CONN_IDLE,       /* in host->idle, watched for input, its idle timer set */
    CONN_CLOSED
} pp_conn_state_t;

typedef struct pp_host_t {
    pp_pool_t *pool;
    pp_target_t target; /* strings in `memory` */
    apr_pool_t *memory;
    APR_RING_HEAD(pp_idle_ring_t, pp_conn_t) idle; /* last used first */
    int nidle, nbusy, nconnecting;
    int nwaiting;       /* its checkouts in pool->waiters */
    int nserved;        /* of those, how many have an opening on their behalf */
    int nresolving;     /* of the connecting, how many wait for the name's addresses */
    unsigned next_addr; /* round robin over the name's addresses */
} pp_host_t;

struct pp_pool_t {
    pp_loop_t *loop;
    pp_dns_t *dns;
    const char *name;
    const pp_pool_policy_t *policy;
    pp_stats_t *stats;
    apr_pool_t *memory;
    apr_hash_t *hosts;                                      /* key -> pp_host_t */
    APR_RING_HEAD(pp_waiter_ring_t, pp_checkout_t) waiters; /* first come first */
    int ntotal;                                             /* busy + idle + connecting */
    int nwaiting, nserved;
    bool draining;
};

/* pp_opening.c: one connection being opened for a host. */

/* Starts one more; the outcome comes by pp_pool_opened(), pp_pool_open_failed() or, when it has taken as long as `timeout`
 * (microseconds; 0: no limit), pp_pool_open_expired(); never from inside this call. */
void pp_opening_start(pp_host_t *host, pp_time_t timeout);

/* pp_waiters.c: the pool's and the host's counts and the gauge are kept here. */
void pp_waiter_add(pp_pool_t *pool, pp_host_t *host, pp_checkout_t *checkout);
void pp_waiter_remove(pp_checkout_t *checkout);

/* A connection is being opened on its behalf: from now on its connect time-out runs. */
void pp_waiter_serve(pp_checkout_t *checkout);

/* An opening outlives the waiter it was started for: it then is on behalf of the next one. */
void pp_waiter_pass_on(pp_host_t *host);

/* The first of the host's waiters, of any kind or of one kind; NULL: there is none. */
enum { WAITER_ANY, WAITER_SERVED, WAITER_TAKES_REUSED };
pp_checkout_t *pp_waiter_first(pp_host_t *host, int which);

/* A checked in connection is better closed than handed on: the first unserved waiter whom its place would help can't use it, being
 * for another host or wanting a fresh one, and would never get one while those behind it keep the pool full. */
bool pp_waiter_needs_place_of(const pp_conn_t *conn);

/* How many wait for a connection to become free. Those who wait only for handshakes that the limits allow do not count. */
int pp_waiters_queued(const pp_pool_t *pool);

/* pp_pool.c */

/* How many more connections the host's own limit allows; without one the pool's size is all that counts. */
int pp_host_room(const pp_host_t *host);

void pp_pool_dispatch(pp_pool_t *pool); /* starts openings for waiters, first come first, as far as the limits allow */
void pp_pool_opened(pp_host_t *host, pp_conn_t *conn, pp_time_t dns_time, pp_time_t connect_time);
void pp_pool_open_failed(pp_host_t *host, pp_err_t err);

/* The time of an opening is over, which fails nobody: each waiter has its own. Who still waits for it gets another in its place. */
void pp_pool_open_expired(pp_host_t *host);

#endif
