/* pp_account: a number of permits that the loops of all processes share: connections of a pool, of a host, handshakes, places in a queue.
 *
 * How it is exact without a lock: each seat (pp_seats) has a cell for what it holds, which only it raises. To take a permit it raises
 * its cell, then adds all cells up, and takes it back when that is more than the limit. Of those who raise at the same time at least
 * the last sees all others, so what is really held never exceeds the limit; that two may see each other and both step back costs
 * one of them another try. No sum is stored, so a process that is killed at whatever point leaves nothing behind but its own cell.
 *
 * Who finds no permit registers in its cell how many it waits for and since when, and is woken. A permit that is returned while others
 * wait is given to the one that has least of what it needs, of those to the one that has waited longest: it is moved to its cell, so nobody can
 * take it on the way.
 *
 * Ownership: lies in shared memory (pp_ledger). Threads: any process; calls with a `seat` come from that seat's thread only.
 * Memory that is zero is an account of which nobody holds anything.
 */
#ifndef PP_ACCOUNT_H
#define PP_ACCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "pp_clock.h"
#include "pp_seats.h"

/* One seat's part. A line of the cache each. */
typedef struct pp_cell_t {
    _Alignas(64) _Atomic int held; /* permits; raised and lowered by the seat */
    _Atomic int granted;           /* permits given by others, lowered by the seat when it takes them for held */
    _Atomic int want;              /* how many it waits for */
    _Atomic int asked;             /* how many idle connections others have asked it to close */
    _Atomic int idle;              /* how many it has */
    _Atomic int coming;            /* permits that others have promised, or were asked for: no more need be closed for them */
    _Atomic int uses;              /* not 0: it uses the account, though it may hold nothing (pp_host_table) */
    _Atomic pp_time_t since;       /* since when the longest wait lasts; 0: it waits for none */
} pp_cell_t;

typedef struct pp_account_t {
    _Alignas(64) _Atomic unsigned moves; /* permits that went from one cell to another: a sum taken meanwhile may lack one */
    _Atomic int wanted;                  /* 0: nobody waits; else somebody may */
    pp_cell_t cells[];                   /* by seat */
} pp_account_t;

/* Bytes of an account for so many seats. */
static inline size_t pp_account_size(int nseats)
{
    return sizeof(pp_account_t) + sizeof(pp_cell_t) * (size_t)nseats;
}

/* Takes a permit, one that was granted or one that is free under `limit` (0: there is always one). False: there is none. */
bool pp_permit_take(pp_seats_t *seats, pp_account_t *account, int seat, int limit);

/* Returns one: to whose turn it is (which may be this seat itself, then it is granted to it), else it is free. */
void pp_permit_return(pp_seats_t *seats, pp_account_t *account, int seat, int limit);

/* Permits granted to this seat that it has no use for go on to others. */
void pp_permit_pass_on(pp_seats_t *seats, pp_account_t *account, int seat, int limit);

/* Registers that the seat waits for `want` permits, the longest since `since`; want 0: for none. Permits may have become free just
 * before, so pp_permit_take() must be tried once more after the first registration. */
void pp_permit_wait(pp_account_t *account, int seat, int want, pp_time_t since);

/* Asks other seats that have idle connections of the account to close `n` of them. As many as were asked are coming. */
void pp_permit_ask(pp_seats_t *seats, pp_account_t *account, int seat, int n);

/* How many idle connections this seat was asked to close since the last call. */
int pp_permit_asked(pp_account_t *account, int seat);

/* May anybody wait? One read, no more: for the path of every request. */
static inline bool pp_permit_is_wanted(const pp_account_t *account)
{
    return atomic_load_explicit(&account->wanted, memory_order_relaxed) != 0;
}

/* Says how many idle connections of the account the seat has. One write, to the seat's own line. */
static inline void pp_permit_idle(pp_account_t *account, int seat, int idle)
{
    atomic_store_explicit(&account->cells[seat].idle, idle, memory_order_relaxed);
}

/* Another seat that waits in vain, nothing coming: the one whose turn it is, since when it waits, and whether it would still not have
 * a greater share of what it needs than this one if a permit went from here to there; -1: none does. */
int pp_permit_next(pp_seats_t *seats, pp_account_t *account, int seat, pp_time_t *since, bool *poorer);

/* A permit will be returned soon for the seat `other` that pp_permit_next() has named: one more is coming. */
void pp_permit_promise(pp_account_t *account, int other);

/* It will not be: n connections that were asked for, or promised, are not there. Who counts on them is woken to look elsewhere. */
void pp_permit_disappoint(pp_seats_t *seats, pp_account_t *account, int n);

/* How many are coming to this seat; and: they have not come in time, forget them. */
int pp_permit_coming(const pp_account_t *account, int seat);
void pp_permit_forget_coming(pp_account_t *account, int seat);

/* Permits held or granted, over all seats: never fewer than there really are; INT_MAX: too many move just now to tell. */
int pp_account_sum(const pp_seats_t *seats, const pp_account_t *account);

/* Those of them that are not idle. For an estimate: what changes meanwhile may be seen or not. */
int pp_account_in_use(const pp_seats_t *seats, const pp_account_t *account);

/* The process of that seat is gone: what it held is free. For pp_seats_bury(), which wakes all seats afterwards; idempotent. */
void pp_account_clear(pp_account_t *account, int seat);

#endif
