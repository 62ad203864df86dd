/* pp_call: one proxied request from beginning to end: chooses a server, checks a connection out, runs attempts until there is one
 * outcome.
 *
 * Ownership: embedded in its front, which keeps it and all it points to until on_done. The call owns its connection.
 * Threads: everything on the thread of the shard's loop. Front callbacks may call pp_call_pause() and pp_call_fail(), nothing else.
 */
#ifndef PP_CALL_H
#define PP_CALL_H

#include "pp_exchange.h"
#include "pp_shard.h"

#define PP_ATTEMPTS_MAX 8

/* Where in the head the parts lie that depend on the server: the URL's path prefix and Host. */
typedef struct pp_head_place_t {
    size_t offset, len;
} pp_head_place_t;

/* The head, as written for upstream->servers[0]. */
typedef struct pp_call_head_t {
    const char *bytes;
    size_t len;
    pp_head_place_t path; /* that server's path */
    pp_head_place_t host; /* that server's authority; len 0: the client's Host is sent, don't replace */
} pp_call_head_t;

typedef struct pp_call_t pp_call_t;
struct pp_call_t {
    /* The front's: set before start. */
    pp_shard_t *shard;
    const pp_front_t *front;
    void *front_self;
    void (*on_done)(pp_call_t *call, pp_err_t err); /* last of all; may end the call's memory */
    const pp_upstream_t *upstream;
    uint64_t hash; /* for hash balancing */
    pp_timeouts_t timeouts;
    pp_call_head_t head;
    pp_request_t request; /* has_body, chunked, expect_continue, kind */
    bool idempotent;      /* RFC 9110 section 9.2.2, or the client says that it may be sent again */
    int request_buffer;   /* bytes of an idempotent request's body that are kept to be sent again */

    /* The outcome, growing; complete in on_done. */
    const pp_server_t *server; /* the last one tried, or NULL */
    pp_err_t err;
    int attempts;
    bool reused;         /* the last attempt's connection had served before */
    const char *why_new; /* when not */
    int retry_after;     /* seconds after which there may be room in the pool; 0: not known */
    pp_time_t began, t_pool, t_dns, t_connect, t_tls,
        t_first_byte; /* a moment; the others durations in microseconds; -1: not reached */

    /* The call's own. */
    pp_checkout_t checkout;
    pp_exchange_t exchange;
    pp_conn_t *conn;
    pp_timer_t total;
    char *own_head; /* malloc'ed when the server is another than the head was written for */
    int tried[PP_ATTEMPTS_MAX];
    int server_index;
    pp_time_t checkout_at;
    pp_replay_t body; /* what is kept of the request's body */
    bool replayed;    /* it met a dead connection, and has got a fresh one */
    bool in_flight;
    bool paused;
};

/* Begins. on_done may come from inside this call. */
void pp_call_start(pp_call_t *call);

/* There may be more to read by front->body_read. on_done may come from inside. */
void pp_call_body_ready(pp_call_t *call);

/* Is there a connection that the body is for, at the moment? */
bool pp_call_takes_body(const pp_call_t *call);

/* See pp_exchange_pause(). Not to be forgotten over attempts. */
void pp_call_pause(pp_call_t *call);
void pp_call_resume(pp_call_t *call);

/* From a front's callback: end with err after it returned. */
void pp_call_fail(pp_call_t *call, pp_err_t err);

/* Not from a callback: ends the call now with `err` (client_gone, shutdown ...); no on_done. Nothing happens when it has ended. */
void pp_call_cancel(pp_call_t *call, pp_err_t err);

/* Has on_head been called? */
bool pp_call_has_answer(const pp_call_t *call);

#endif
