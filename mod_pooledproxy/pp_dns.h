/* pp_dns: names to addresses on the event loop, through c-ares; one resolver and one cache per loop.
 *
 * Threads: all calls and callbacks on the loop's thread.
 * Ownership: a query is embedded in its asker, who keeps it until its callback ran or pp_dns_cancel(). When the resolver goes, queries
 * that still wait get no callback and are not touched; nor may they be cancelled then.
 */
#ifndef PP_DNS_H
#define PP_DNS_H

#include <apr_ring.h>

#include "pp_addr.h"
#include "pp_loop.h"

typedef struct pp_dns_t pp_dns_t;

typedef struct pp_dns_query_t pp_dns_query_t;
struct pp_dns_query_t {
    /* Set by the asker: called once if pp_dns_resolve() said APR_EAGAIN. The results stay valid until the callback returns. */
    void (*on_resolved)(pp_dns_query_t *query, apr_status_t status);
    /* The result: addresses in the order to be tried, port filled in. Owned by the cache. */
    const pp_addr_t *addrs;
    int naddrs;
    /* pp_dns's own */
    APR_RING_ENTRY(pp_dns_query_t) link;
    void *lookup; /* NULL: not waiting */
    int port;
};

/* Makes the resolver of a loop; it goes with `pool`, which must be pp_loop_pool() or go before the loop does. Reads the system's
 * resolver configuration now, /etc/hosts at each lookup. */
apr_status_t pp_dns_create(pp_dns_t **dns, pp_loop_t *loop, apr_pool_t *pool);

/* Optional, mostly for tests: asks these servers instead of the system's, "address[:port],..." (IPv6 with port: "[address]:port").
 * APR_EINVAL: not understood; APR_EBUSY: a lookup is under way. What is cached stays. */
apr_status_t pp_dns_servers_set(pp_dns_t *dns, const char *servers_csv);

/* Resolves host (a name or an address literal, IPv6 without brackets) for port. The query: zero-initialised, or used and not waiting.
 * APR_SUCCESS: the result is in the query at once (literal, in /etc/hosts, or cached; valid until control returns to the loop).
 * APR_EAGAIN: the callback will come, never from within this call, with APR_SUCCESS, APR_ENOENT (no such name, or no address),
 * APR_TIMEUP (no server answered) or another error status.
 * APR_EINVAL: longer than a name can be; no callback. */
apr_status_t pp_dns_resolve(pp_dns_t *dns, const char *host, int port, pp_dns_query_t *query);

/* The asker lost interest: no callback will come. Nothing happens when the query is not waiting. */
void pp_dns_cancel(pp_dns_query_t *query);

#endif
