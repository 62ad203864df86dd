/* pp_dns: names to addresses on the event loop; one resolver and one cache per loop.
 *
 * Threads: all calls and callbacks on the loop's thread.
 * Ownership: a query and a watch are embedded in their askers, who keep a query until its callback ran or pp_dns_cancel(), a watch until
 * pp_dns_unwatch(). When the resolver goes, those that are still there get no callback and are not touched; nor may they be cancelled then.
 */
#ifndef PP_DNS_H
#define PP_DNS_H

#include <apr_ring.h>

#include "pp_addr.h"
#include "pp_loop.h"
#include "pp_policy.h"
#include "pp_stats.h"

typedef struct pp_dns_t pp_dns_t;

/* What is asked for, and for whom. Copied, but for `stats`. */
typedef struct pp_dns_name_t {
    const char *host; /* a name or an address literal, IPv6 without brackets; of a service "_api._tcp.example" */
    int port;         /* the addresses' port; 0: host is a service, whose SRV records have ports and hosts (RFC 2782) */
    const pp_dns_policy_t *policy; /* askers with the same one share what is known */
    pp_stats_t *stats;             /* dns_... is counted there; kept by reference; NULL: nowhere */
} pp_dns_name_t;

typedef struct pp_dns_query_t pp_dns_query_t;
struct pp_dns_query_t {
    /* Set by the asker: called once if pp_dns_resolve() said APR_EAGAIN. The results stay valid until the callback returns. */
    void (*on_resolved)(pp_dns_query_t *query, apr_status_t status);
    /* The result, owned by the cache: at least one address, port filled in; those of a service in the order to be tried. */
    const pp_addr_t *addrs;
    int naddrs;
    /* pp_dns's own */
    APR_RING_ENTRY(pp_dns_query_t) link;
    void *entry; /* NULL: not waiting */
    int port;
};

/* Someone who has connections to the addresses of a name. */
typedef struct pp_dns_watch_t pp_dns_watch_t;
struct pp_dns_watch_t {
    /* Set by the watcher. As long as is_in_use() says so the name is looked up anew when its time is over. on_change() tells that an address
     * has come or gone; with none left, naddrs is 0. Not called from inside any call of pp_dns. */
    bool (*is_in_use)(const pp_dns_watch_t *watch);
    void (*on_change)(pp_dns_watch_t *watch, const pp_addr_t *addrs, int naddrs);
    /* pp_dns's own */
    APR_RING_ENTRY(pp_dns_watch_t) link;
    void *entry; /* NULL: not watching */
    int port;
};

/* Makes the resolver of a loop; it goes with `pool`, which must be pp_loop_pool() or go before the loop does. Reads the system's
 * resolver configuration now, /etc/hosts at each lookup. */
apr_status_t pp_dns_create(pp_dns_t **dns, pp_loop_t *loop, apr_pool_t *pool);

/* Asks these servers instead of the system's, "address[:port],..." (IPv6 with port: "[address]:port").
 * APR_EINVAL: not understood; APR_EBUSY: a lookup is under way. What is cached stays. */
apr_status_t pp_dns_servers_set(pp_dns_t *dns, const char *servers_csv);

/* Resolves the name. The query: zero-initialised, or used and not waiting.
 * APR_SUCCESS: the result is in the query at once (literal, in /etc/hosts, or cached; valid until control returns to the loop).
 * APR_EAGAIN: the callback will come, never from within this call, with APR_SUCCESS, APR_ENOENT (no such name, or no address),
 * APR_TIMEUP (no server answered) or another error status.
 * APR_EINVAL: longer than a name can be; no callback. */
apr_status_t pp_dns_resolve(pp_dns_t *dns, const pp_dns_name_t *name, pp_dns_query_t *query);

/* The asker lost interest: no callback will come. Nothing happens when the query is not waiting. */
void pp_dns_cancel(pp_dns_query_t *query);

/* Begins to watch a name. Nothing happens when it is an address literal, or too long. */
void pp_dns_watch(pp_dns_t *dns, const pp_dns_name_t *name, pp_dns_watch_t *watch);

/* Nothing happens when it is not watching. */
void pp_dns_unwatch(pp_dns_watch_t *watch);

#endif
