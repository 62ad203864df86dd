/* pp_balance: which server of an upstream takes the next request. One state per upstream and loop; no lock.
 *
 * Threads: the loop's thread only.
 */
#ifndef PP_BALANCE_H
#define PP_BALANCE_H

#include <stdint.h>

#include "pp_upstream.h"

typedef struct pp_balance_t pp_balance_t;

/* `seed` makes loops begin at different places. Lives in `p`. */
pp_balance_t *pp_balance_create(const pp_upstream_t *upstream, unsigned seed, apr_pool_t *p);

/* The index of a server that may take a request and is not among the `ntried` in `tried`; -1: there is none. Servers that drain are
 * never chosen, backups only when no other is left. `hash`: of the request, for PP_BALANCE_HASH. */
int pp_balance_pick(pp_balance_t *balance, uint64_t hash, const int *tried, int ntried);

/* A request goes to the server, and has ended there: what leastconn and random2 count. */
void pp_balance_begin(pp_balance_t *balance, int server);
void pp_balance_end(pp_balance_t *balance, int server);

/* A hash for pp_balance_pick(): FNV-1a, well mixed. */
uint64_t pp_balance_hash(const char *s, size_t len);

#endif
