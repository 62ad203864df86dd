/* pp_seats: which processes' loops are there, over all children of the server: each loop has a seat, and can be woken in it.
 *
 * Ownership: made by the parent before it forks, in memory that all share; a process takes a seat for each of its loops. The seats of a
 * process that has ended are freed by pp_seats_bury() alone, which lets its caller clear what the dead one has left behind.
 * Threads: everything here may be called from any thread of any process.
 */
#ifndef PP_SEATS_H
#define PP_SEATS_H

#include <apr_pools.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct pp_seats_t pp_seats_t;

/* Makes n seats that live as long as p. APR errors: no memory, no descriptor (each seat has one, an eventfd(2), made here since it
 * must be the same in all children). */
apr_status_t pp_seats_create(pp_seats_t **seats, int n, apr_pool_t *p);

/* Closes this process's descriptors of the seats. */
void pp_seats_close(pp_seats_t *seats);

/* Takes a free seat for process `pid`; -1: there is none. `age` grows from one generation of processes to the next. */
int pp_seats_take(pp_seats_t *seats, pid_t pid, int age);

/* How many seats there are; and how many of the first ones were ever taken: a loop over all need not look beyond. */
int pp_seats_count(const pp_seats_t *seats);
int pp_seats_used(const pp_seats_t *seats);

bool pp_seat_is_taken(const pp_seats_t *seats, int seat);

/* Says whether the loop that sits there takes on work that lasts (is not about to end); false at first. And among those that do: which
 * it is of how many, counted from 0; -1 when it is none. */
void pp_seat_serves(pp_seats_t *seats, int seat, bool serves);
int pp_seat_rank(const pp_seats_t *seats, int seat, int *of);

/* Wakes who sits there: pp_seat_fd() becomes readable. Never blocks; one system call at most, none when it is awake already. */
void pp_seat_wake(pp_seats_t *seats, int seat);
int pp_seat_fd(const pp_seats_t *seats, int seat);

/* By the one who was woken, before it looks for the reason. */
void pp_seat_heard(pp_seats_t *seats, int seat);

/* Process `pid` has ended: calls `clear` for each of its seats, frees it, and in the end wakes all others. Whoever calls it first does it;
 * if that process ends in the middle, the next call does it again, so `clear` must be idempotent. */
void pp_seats_bury(pp_seats_t *seats, pid_t pid, void (*clear)(void *self, int seat), void *self);

/* A process with a seat that has ended (all its descriptors are closed) and was not buried yet; 0: none, or this kernel can't tell.
 * Only those of an age up to `age` count: of younger ones the caller may not know all that they had. Makes system calls. For those who can't wait until the parent process has noticed, which takes up to a second. */
pid_t pp_seats_find_dead(const pp_seats_t *seats, int age);

#endif
