/* pp_dns_service: a service being looked up: its SRV records, then the addresses of all the hosts they name; and the order in which these
 * are to be tried (RFC 2782).
 *
 * Ownership: who makes it, until pp_dns_service_drop(). Threads: the loop's thread only.
 */
#ifndef PP_DNS_SERVICE_H
#define PP_DNS_SERVICE_H

#include "pp_dns_lookup.h"

/* One address of a host that offers the service. */
typedef struct pp_dns_place_t {
    pp_addr_t addr; /* with its port */
    int priority;   /* the lower ones first */
    int weight;     /* its share among those of the same priority; >= 1 */
} pp_dns_place_t;

typedef struct pp_dns_service_t pp_dns_service_t;
struct pp_dns_service_t {
    /* Called once, from inside pp_dns_service_start() too. */
    void (*on_done)(void *owner, pp_dns_service_t *service);
    void *owner;
    apr_status_t status; /* APR_SUCCESS: there are places; APR_ENOENT: there are none; APR_TIMEUP or other: no answer */
    bool incomplete;     /* not every host was answered for */
    int ttl;             /* the least of all records, in seconds; of a host in /etc/hosts none */
    int nplaces;
    pp_dns_place_t *places;

    /* its own */
    pp_dns_ares_t *ares;
    pp_loop_t *loop;
    int candidate;
    bool asking, starting, dropped;
    int nrecords;
    pp_dns_srv_t *records;
    pp_dns_lookup_t **lookups; /* by record */
    char name[];
};

/* Made, not started. `name` in lower case. */
pp_dns_service_t *pp_dns_service_make(pp_dns_ares_t *ares, pp_loop_t *loop, const char *name,
                                      void (*on_done)(void *owner, pp_dns_service_t *service), void *owner);
void pp_dns_service_start(pp_dns_service_t *service);

/* Nobody wants to know any more; clears *service. NULL is nothing to do. */
void pp_dns_service_drop(pp_dns_service_t **service);

/* Puts the addresses of the n places into `to`, in an order that is another one by chance each time, as priorities and weights say. */
void pp_dns_service_order(const pp_dns_place_t *places, int n, pp_addr_t *to);

#endif
