/* pp_dns_addrs: the addresses of one name, as pp_dns keeps them: without a port, and with each port that was asked for.
 *
 * Ownership: malloc'ed by this file; a zero-initialised object is valid and empty, an emptied one holds no memory.
 */
#ifndef PP_DNS_ADDRS_H
#define PP_DNS_ADDRS_H

#include <stdbool.h>

#include "pp_addr.h"

typedef struct pp_dns_addrs_t {
    int n;
    pp_addr_t *addrs; /* port 0, but for those of services */
    struct pp_dns_answer_t *answers;
} pp_dns_addrs_t;

/* Empties it: whatever pp_dns_addrs_for() returned is gone. */
void pp_dns_addrs_clear(pp_dns_addrs_t *addrs);

/* Adds a struct sockaddr_in or sockaddr_in6 at the end. None may be added once pp_dns_addrs_for() was called. */
void pp_dns_addrs_add(pp_dns_addrs_t *addrs, const void *sockaddr, socklen_t len);

/* If `name` is an IPv4 or IPv6 literal (inet_pton(3)), makes this the one address. */
bool pp_dns_addrs_literal(pp_dns_addrs_t *addrs, const char *name);

/* Does each hold the addresses of the other, in whatever order? */
bool pp_dns_addrs_same(const pp_dns_addrs_t *a, const pp_dns_addrs_t *b);

/* All n addresses with this port; 0: with those they have. Valid until the next clear. */
const pp_addr_t *pp_dns_addrs_for(pp_dns_addrs_t *addrs, int port);

/* `host` in lower case: names are the same in any case. False: it does not fit. */
bool pp_dns_name_copy(char *name, size_t size, const char *host);

#endif
