/* pp_dns_lookup: one name being looked up: /etc/hosts, else both families at once, for each name that it may stand for (search list)
 * until there is one that exists.
 *
 * It is over when both families have answered, or one has addresses and DELAY has passed (RFC 8305 section 3): a server that is mute to
 * one of them costs no more. The answer that is missing may come later.
 *
 * Ownership: who makes it, until pp_dns_lookup_drop(). Threads: the loop's thread only.
 */
#ifndef PP_DNS_LOOKUP_H
#define PP_DNS_LOOKUP_H

#include "pp_dns_answer.h"
#include "pp_dns_ares.h"

enum { PP_DNS_V6, PP_DNS_V4, PP_DNS_FAMILIES };

/* What is known of one family. */
typedef struct pp_dns_part_t {
    apr_status_t status;  /* APR_EAGAIN: nothing yet; APR_SUCCESS; PP_DNS_NO_NAME, PP_DNS_NO_RECORD; other: no answer */
    pp_dns_addrs_t addrs; /* with APR_SUCCESS: at least one */
    int ttl;              /* of these, in seconds */
} pp_dns_part_t;

typedef struct pp_dns_lookup_t pp_dns_lookup_t;
struct pp_dns_lookup_t {
    /* Called when it is over, and once more when a missing answer comes after that; from inside pp_dns_lookup_start() too. */
    void (*on_news)(void *owner, pp_dns_lookup_t *lookup);
    void *owner;
    apr_status_t status; /* APR_EAGAIN: not over; APR_SUCCESS; APR_ENOENT: no addresses; APR_TIMEUP or other: no answer */
    bool is_absolute;    /* set before the start: the name is complete, the search list is not for it */
    bool from_hosts;     /* /etc/hosts had it: there is no TTL */
    pp_dns_part_t parts[PP_DNS_FAMILIES];

    /* its own */
    pp_dns_ares_t *ares;
    pp_loop_t *loop;
    pp_timer_t delay;
    int candidate; /* which of the names it may stand for */
    int nasking;   /* questions whose answers have not come */
    bool dropped;
    char name[];
};

/* Made, not started. `name` in lower case. */
pp_dns_lookup_t *pp_dns_lookup_make(pp_dns_ares_t *ares, pp_loop_t *loop, const char *name,
                                    void (*on_news)(void *owner, pp_dns_lookup_t *lookup), void *owner);
void pp_dns_lookup_start(pp_dns_lookup_t *lookup);

/* Nobody wants to know any more; clears *lookup. NULL is nothing to do. */
void pp_dns_lookup_drop(pp_dns_lookup_t **lookup);

#endif
