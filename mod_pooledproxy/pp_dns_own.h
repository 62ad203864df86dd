/* pp_dns_own: what the files of pp_dns share: an entry of the cache: what is known of one name, and until when.
 *
 *   pp_dns.c        who asks and who watches; the cache
 *   pp_dns_entry.c  times, addresses, and when to look a name up again
 *
 * Addresses hold until `good_until`. After that they are stale: of use until `stale_until`, as long as no answer has come. A name in use is
 * looked up ahead of that moment, when it fails once a second, until it is in use no more.
 */
#ifndef PP_DNS_OWN_H
#define PP_DNS_OWN_H

#include "pp_dns.h"
#include "pp_dns_service.h"

APR_RING_HEAD(pp_dns_queries_t, pp_dns_query_t);
APR_RING_HEAD(pp_dns_watches_t, pp_dns_watch_t);

typedef struct pp_dns_entry_t pp_dns_entry_t;
struct pp_dns_entry_t {
    pp_dns_t *dns;
    pp_dns_ares_t *ares;
    pp_loop_t *loop;
    pp_dns_policy_t policy;
    pp_stats_t *stats;                                     /* of who asked last, or NULL */
    void (*on_known)(pp_dns_entry_t *entry, bool changed); /* the lookup in flight has ended, or has brought more */

    /* pp_dns's */
    struct pp_dns_queries_t waiters; /* for the lookup in flight */
    struct pp_dns_watches_t watches;
    int nqueries; /* of this name: waiters, and those about to be called */
    pp_timer_t patience;
    pp_timer_t news;

    /* the lookup, of a name or of a service; NULL: none is in flight, nor is any answer missing */
    pp_dns_lookup_t *lookup;
    pp_dns_service_t *service;
    bool in_flight;
    pp_time_t began_at; /* of the last one */
    pp_time_t asked_at; /* the last time */
    pp_timer_t again;

    /* the last outcome */
    bool is_literal;
    bool is_service;
    apr_status_t status;
    bool failing;           /* the last lookup has got no answer */
    pp_time_t good_until;   /* 0: there was no answer yet */
    pp_time_t stale_until;  /* the addresses are of no more use */
    pp_time_t refuse_until; /* of a failure: told at once */
    pp_dns_addrs_t addrs;   /* all that is known */
    struct {
        pp_dns_addrs_t addrs;
        pp_time_t stale_until;
    } families[PP_DNS_FAMILIES];
    pp_dns_place_t *places; /* of a service: malloc'ed, addrs.n of them */

    const char *name; /* in lower case */
    char key[];       /* what tells it from others: name and policy */
};

/* The addresses with this port; of a service with theirs, in an order of its own each time. There must be some. Valid until control
 * returns to the loop, or the next call. */
const pp_addr_t *pp_dns_entry_addrs(pp_dns_entry_t *entry, int port);

/* Nothing is known yet; `key` is copied, `name` is a part of it. */
pp_dns_entry_t *pp_dns_entry_make(const char *key, size_t name_at, bool is_service);
void pp_dns_entry_free(pp_dns_entry_t *entry);

/* Looks it up, unless that is being done or it failed a moment ago. It may be known when this returns. */
void pp_dns_entry_look_up(pp_dns_entry_t *entry);

/* Somebody asks: from now on it is in use, for a while. */
void pp_dns_entry_touch(pp_dns_entry_t *entry);

bool pp_dns_entry_is_good(const pp_dns_entry_t *entry);   /* it has addresses, and they hold */
bool pp_dns_entry_is_usable(const pp_dns_entry_t *entry); /* it has addresses, maybe stale */

/* It has nothing that holds, and nothing depends on it. */
bool pp_dns_entry_is_done(const pp_dns_entry_t *entry);

#endif
