/* pp_ledger: what the loops of all children share, in memory made by the parent: for each pool a book with its accounts and numbers.
 *
 * Ownership: the ledger and its books live until the parent process ends, over all restarts: children of the old generation and the
 * new find the same book under a pool's name, so they share its limits. A book whose pool is configured no more stays, for old children
 * may still use it.
 * Threads: making is the parent's; the rest see pp_seats, pp_account, pp_host_table, pp_stats.
 */
#ifndef PP_LEDGER_H
#define PP_LEDGER_H

#include <apr_pools.h>

#include "pp_account.h"
#include "pp_host_table.h"
#include "pp_policy.h"
#include "pp_stats.h"

typedef struct pp_ledger_t pp_ledger_t;
typedef struct pp_book_t pp_book_t;

/* Makes a ledger for nseats loops, in p. */
apr_status_t pp_ledger_create(pp_ledger_t **ledger, int nseats, apr_pool_t *p);

/* This process uses it no more. */
void pp_ledger_close(pp_ledger_t *ledger);

/* A number that differs when this build lays shared memory out in another way. */
size_t pp_ledger_layout(void);

pp_seats_t *pp_ledger_seats(pp_ledger_t *ledger);

/* The pool's book: that of before, or a new one, with room for nhosts hosts (when that is more than before they get a new table: old
 * children count what they have at each host apart). The newest policy's size holds for all who use it. */
apr_status_t pp_ledger_book(pp_ledger_t *ledger, const char *name, const pp_pool_policy_t *policy, int nhosts, pp_book_t **book);

/* Takes a seat for a loop of this process; -1: there is none left. */
int pp_ledger_seat_take(pp_ledger_t *ledger);

/* The process has ended: its permits are free, its gauges 0, its seats free; its counters stay. Does nothing the second time. */
void pp_ledger_process_gone(pp_ledger_t *ledger, pid_t pid);

/* For who waits: looks for a process that has ended and does the same for it; whether there was one. Makes system calls. */
bool pp_ledger_find_dead(pp_ledger_t *ledger);

pp_ledger_t *pp_book_ledger(pp_book_t *book);
int pp_book_size(const pp_book_t *book); /* the policy's size, of the newest configuration */
pp_stats_t *pp_book_stats(pp_book_t *book, int seat);
pp_host_table_t *pp_book_hosts(pp_book_t *book);

/* Accounts of the pool: its connections; those of them that may be idle; requests in its queue. */
pp_account_t *pp_book_places(pp_book_t *book);
pp_account_t *pp_book_idle(pp_book_t *book);
pp_account_t *pp_book_queue(pp_book_t *book);

#endif
