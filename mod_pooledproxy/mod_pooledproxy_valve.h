/* mod_pooledproxy_valve: the lowest filters but the core's, one pair per client connection that may be leased. While a loop owns the
 * connection nothing that is written can block: what arrives is written here, as far as the socket takes it, and the rest is held. Nor can
 * anything that is read: who wants to wait for input is told that the time is over.
 *
 * Ownership: whoever owns the connection. The core's output filter writes only what it had when the loop got the connection; for workers
 * it does all.
 */
#ifndef MOD_POOLEDPROXY_VALVE_H
#define MOD_POOLEDPROXY_VALVE_H

#include <httpd.h>
#include <stdbool.h>
#include <util_filter.h>

typedef struct pp_valve_t {
    conn_rec *c;
    apr_socket_t *socket; /* the client's */
    ap_filter_t *filter;
    bool on_loop;
    bool dry;                  /* reading finds nothing: set by who knows that, for a moment */
    bool full;                 /* the socket took no more, the last time */
    bool core_first;           /* the core has something that must go out before what is held */
    apr_bucket_brigade *held;  /* not yet written */
    apr_size_t held_bytes;     /* how much, at most */
    apr_pool_t *held_pool;     /* of what is held and not in memory; NULL: not needed yet */
    apr_bucket_brigade *piece; /* scratch, empty between two uses */
} pp_valve_t;

/* The core's input buffer: what has come and nobody has asked for, then the socket. Is nothing left in memory? (What was read to its end may
 * have left an empty bucket.) */
bool pooledproxy_valve_is_all_read(const apr_bucket_brigade *buffer);

/* Is it the input filter of a valve? */
bool pooledproxy_valve_is_input(const ap_filter_t *f);

void pooledproxy_valve_register(void);

/* post_config: finds mod_logio, which counts what is written. */
void pooledproxy_valve_find_counter(void);

/* Puts a valve on a fresh connection; until it enters a loop it passes everything on. */
void pooledproxy_valve_add(pp_valve_t *valve, conn_rec *c, apr_socket_t *socket);

/* From here on a loop has the connection; ... has it no more, and what is held goes out before whatever is written next. */
void pooledproxy_valve_enter_loop(pp_valve_t *valve);
void pooledproxy_valve_leave_loop(pp_valve_t *valve);

/* On a loop: the socket has room again. */
static inline void pooledproxy_valve_has_room(pp_valve_t *valve)
{
    valve->full = false;
}

/* Is there anything to push? */
static inline bool pooledproxy_valve_has_output(const pp_valve_t *valve)
{
    return valve->core_first || !APR_BRIGADE_EMPTY(valve->held);
}

/* On a loop: writes as much as the client takes. APR_SUCCESS: all is out; APR_EAGAIN: the client's socket is full; else it is gone. */
apr_status_t pooledproxy_valve_push(pp_valve_t *valve);

#endif
