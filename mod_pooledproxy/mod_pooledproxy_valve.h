/* mod_pooledproxy_valve: the lowest filters but the core's, one pair per client connection that may be leased. While a loop owns the
 * connection nothing that is written can block: FLUSH buckets end here, and the core gets only as much as it can't block on. Nor can
 * anything that is read: who wants to wait for input is told that the time is over.
 *
 * Ownership: whoever owns the connection. Why it is safe: ap_core_output_filter blocks only on a FLUSH bucket, on more than
 * FlushMaxThreshold bytes in memory, or on too many EOR buckets.
 */
#ifndef MOD_POOLEDPROXY_VALVE_H
#define MOD_POOLEDPROXY_VALVE_H

#include <httpd.h>
#include <stdbool.h>
#include <util_filter.h>

typedef struct pp_valve_t {
    conn_rec *c;
    ap_filter_t *filter;
    bool on_loop;              /* set and cleared by the lease */
    apr_bucket_brigade *held;  /* not yet given to the core */
    apr_pool_t *held_pool;     /* what is held was set aside here */
    apr_bucket_brigade *piece; /* scratch */
    apr_size_t limit;          /* most bytes in memory that the core may have without blocking */
    apr_size_t given;          /* bytes given to the core since it was last known to have none */
} pp_valve_t;

#define PP_VALVE_IN "pooledproxy_valve_in" /* the input filter's name */

void pooledproxy_valve_register(void);

/* Can writing be kept from blocking under the configuration of c's server? Not with FlushMaxPipelined 0: then the core waits at the end
 * of every response. */
bool pooledproxy_valve_fits(conn_rec *c);

/* Puts a valve on a fresh connection; it passes everything until on_loop is set. */
void pooledproxy_valve_add(pp_valve_t *valve, conn_rec *c);

/* On a loop: writes as much as the client takes. APR_SUCCESS: all is out; APR_EAGAIN: the client's socket is full; else it is gone. */
apr_status_t pooledproxy_valve_push(pp_valve_t *valve);

#endif
