/* mod_pooledproxy_lease: lends client connections from the event MPM to event loops, and takes them back.
 *
 * Ownership: a leased conn_rec, its pools, bucket allocator, filters and request belong to the loop's thread; else to the MPM, that is
 * to the worker that runs it. The token is the lease's eventfd: whoever has read it after the loop wrote it owns the connection.
 * How: DESIGN in docs/architecture.md, "The life of a client connection".
 *
 * The loop side calls give; the MPM side is the hooks below. What is done with a leased connection is the user's (callbacks).
 */
#ifndef MOD_POOLEDPROXY_LEASE_H
#define MOD_POOLEDPROXY_LEASE_H

#include <apr_ring.h>
#include <httpd.h>
#include <stdbool.h>

#include "mod_pooledproxy_valve.h"
#include "pp_shard.h"

/* What a connection that the loop gave back is to go on with on a worker. */
typedef enum pp_next_t {
    PP_NEXT_HOOKS,     /* nothing of ours: run the process_connection hooks (read a request) */
    PP_NEXT_LINGER,    /* close */
    PP_NEXT_KEEPALIVE, /* the request is done: wait for the next one as usual */
    PP_NEXT_RENEW,     /* lease again at once: the MPM's Timeout must not run out */
    PP_NEXT_PROCESS,   /* lease->r is read: process it */
    PP_NEXT_INVOKE,    /* lease->r is processed: invoke its handler */
    PP_NEXT_FORWARD,   /* lease->work is ready to be forwarded, but not by a loop */
    PP_NEXT_DELIVER,   /* the response goes through filters that may block */
    PP_NEXT_DIE        /* lease->r is answered with the error lease->die_status */
} pp_next_t;

typedef struct pp_lease_t pp_lease_t;

/* What the user of leases does. */
typedef struct pp_lease_user_t {
    void (*on_arrive)(pp_lease_t *lease);                     /* loop: the connection is here (for the first time, or renewed) */
    void (*on_client)(pp_lease_t *lease, apr_int16_t events); /* loop: the client's socket is ready */
    void (*on_deadline)(pp_lease_t *lease);                   /* loop: the moment set by pooledproxy_lease_deadline() has come */
    bool (*may_bounce)(pp_lease_t *lease); /* loop: about to be renewed; from here to on_arrive the connection is not the loop's */
    void (*on_revoked)(pp_lease_t *lease); /* loop: the MPM takes the connection back for good; end what runs */
    void (*on_worker)(pp_lease_t *lease,
                      pp_next_t next);  /* worker: do PROCESS, INVOKE, FORWARD, DELIVER, DIE; leaves c->cs->state set */
    void (*on_lost)(pp_lease_t *lease); /* worker: the connection is closed while lease->r is unfinished: end it */
} pp_lease_user_t;

struct pp_lease_t {
    /* Made once. */
    conn_rec *c;
    const pp_lease_user_t *user;
    pp_shard_t *shard;
    pp_valve_t valve;
    apr_socket_t *mpm_socket; /* the MPM's object: while leased its descriptor is event_fd */
    apr_socket_t *twin;       /* what the filters and modules use: the client's descriptor, always */
    int fd;
    int event_fd;
    apr_bucket_brigade *output; /* for what is passed to the filters: one for all requests, empty between two of them */

    /* The owner's. */
    request_rec *r;     /* unfinished request, or NULL */
    void *work;         /* the user's, belongs to r */
    bool loop_may_read; /* may the connection's next request be read and run on the loop? */
    pp_next_t next;
    int die_status;

    /* The MPM side's. */
    bool inside;  /* our process_connection hook is on the stack */
    bool leaving; /* to be leased when the MPM suspends the connection */
    bool away;    /* leased */

    /* The loop's. */
    void *score;                     /* ap_sb_handle_t for requests that end on the loop, or NULL */
    APR_RING_ENTRY(pp_lease_t) link; /* all leases that are out on this loop */
    pp_io_t io;
    pp_timer_t renew_timer;
    apr_interval_time_t io_timeout; /* the shortest Timeout that the MPM may hold the connection to */
    pp_timer_t deadline_timer;
    pp_task_t task;
    pp_task_t revoke_task;
    void *revoke;
    bool out;                       /* the loop has it */
    bool departing;                 /* given back, but the token is not written yet */
    bool idle;                      /* between two requests, nothing to be written */
    bool congested;                 /* the client's socket is full */
    pp_time_t congested_until;      /* when the client has taken nothing by then it is given up */
    bool readable;                  /* the client's socket has something that was not looked at yet */
    bool client_sent;               /* the client has sent more than this request; not looked at before its end */
    bool stepping, again;           /* see mod_pooledproxy_async.c */
    pp_time_t idle_until;           /* KeepAliveTimeout; 0: not idle */
    apr_interval_time_t keep_alive; /* KeepAliveTimeout for the last request */
    const char *last_prefix;        /* the <Location> it was for, or NULL */
};

/* The lease record of a connection, or NULL: it can't be leased. */
pp_lease_t *pooledproxy_lease_of(conn_rec *c);

/* Worker: lease the connection when the hooks have returned; the request r is suspended. */
void pooledproxy_lease_leave(pp_lease_t *lease, request_rec *r, void *work);

/* Loop: gives the connection back. From the call on the loop may not touch it, nor r, any more. */
void pooledproxy_lease_give(pp_lease_t *lease, pp_next_t next);

/* Loop: which events of the client's socket are wanted. */
void pooledproxy_lease_want(pp_lease_t *lease, apr_int16_t events);

/* Loop: on_deadline at this moment; 0: never. */
void pooledproxy_lease_deadline(pp_lease_t *lease, pp_time_t when);

/* Loop, at child_stopping: idle leases go back to be closed, after a moment for a request that may be on its way. */
#define PP_LEASE_GRACE PP_SEC(1)
void pooledproxy_lease_return_idle(pp_shard_t *shard);

/* Registers the hooks; `user` serves all leases. `is_wanted`: may this fresh connection be leased at all? */
void pooledproxy_lease_register(const pp_lease_user_t *user, bool (*is_wanted)(conn_rec *c));

#endif
