/* pp_host_table: the hosts of a pool that have accounts, in shared memory: the same entry for the same host in all loops.
 *
 * Who uses an entry says so in its cell; when there is no free one, one that nobody uses and of which nobody holds anything is taken for
 * another host.
 *
 * Ownership: made by the parent. Threads: any process; calls with a `seat` come from that seat's thread only. To make an entry takes a
 * lock that is only tried for a moment: whoever holds it is through in a microsecond, or has died.
 */
#ifndef PP_HOST_TABLE_H
#define PP_HOST_TABLE_H

#include <apr_pools.h>

#include "pp_account.h"
#include "pp_gradient.h"

typedef struct pp_host_table_t pp_host_table_t;

/* What all loops know of a host. */
typedef struct pp_host_shared_t {
    _Atomic uint64_t key;              /* a hash of the host's key; 0: free */
    _Atomic pp_time_t close_age;       /* the learnt age at which it closes idle connections; 0: not known */
    _Atomic pp_time_t close_age_until; /* that is believed until then */
    _Atomic pp_time_t warm_at;         /* unless it is reachable, no connection is opened ahead of need before then */
    _Atomic int failures;              /* openings that failed in a row */
    _Atomic int is_reachable;          /* the last one did not */
    pp_gradient_t gradient;            /* its limit, when that follows its latency */
} pp_host_shared_t;

/* An entry. */
typedef struct pp_host_accounts_t {
    pp_account_t *places;     /* connections to it */
    pp_account_t *handshakes; /* those being opened */
    pp_host_shared_t *shared;
} pp_host_accounts_t;

/* Makes a table with room for at least nhosts hosts, in p. */
apr_status_t pp_host_table_create(pp_host_table_t **table, pp_seats_t *seats, int nhosts, apr_pool_t *p);
int pp_host_table_size(const pp_host_table_t *table);

/* The entry of the host with that key, from now on used by the seat. False: all entries are in use, or it can't be told now. */
bool pp_host_table_use(pp_host_table_t *table, const char *key, int seat, pp_host_accounts_t *accounts);

/* The seat uses the entry with these places no more; it holds nothing of it. */
void pp_host_table_leave(pp_account_t *places, int seat);

/* What was granted to the seat in entries that it does not wait at, or does not use any more, goes on to others. */
void pp_host_table_pass_on(pp_host_table_t *table, int seat);

/* The process of that seat is gone. */
void pp_host_table_clear(pp_host_table_t *table, int seat);

/* The shortest of the learnt ages (microseconds); 0: none is known. */
pp_time_t pp_host_table_close_age(const pp_host_table_t *table);

#endif
