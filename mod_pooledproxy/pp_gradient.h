/* pp_gradient: how many requests one upstream host may have at once, as its latency tells: PooledProxyHostLimit auto.
 *
 * The idea is that of Gradient2 (Netflix concurrency-limits) and of Envoy's adaptive concurrency: latency is compared with a baseline;
 * while it is near, the limit grows by up to its square root per window, and when it is above 1.5 times the baseline the limit shrinks
 * in proportion. The baseline never creeps up under load. Instead, now and then and when shrinking does not help, a window is run at half
 * the limit (a dip, Envoy's minRTT window in small): what latency does there tells a queue of our own making from a host that is slower.
 * The limit settles at up to 1.5 times the concurrency from which on the host queues.
 *
 * A window has at least 20 answers and 100 ms, and only requests that began in it count. Times are microseconds.
 *
 * Threads: any number, of any number of processes; the struct may lie in shared memory. Nothing blocks; numbers that meet may get lost.
 * Who dies while it computes stops nobody for longer than a second.
 * Ownership: the caller's; all zero is a valid state that has seen nothing yet.
 */
#ifndef PP_GRADIENT_H
#define PP_GRADIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pp_clock.h"

/* The limit before anything is known, within the bounds. */
#define PP_GRADIENT_INITIAL 20

typedef _Atomic int64_t pp_gradient_number_t;

typedef struct pp_gradient_t {
    /* the window that runs: everybody adds */
    pp_gradient_number_t began; /* 0: not yet */
    pp_gradient_number_t samples, latency_sum, in_use_sum, failures;

    /* since when somebody computes; 0: nobody */
    pp_gradient_number_t turn;

    /* everybody reads, written by who has the turn */
    pp_gradient_number_t limit;    /* in 1/256; 0: not yet known */
    pp_gradient_number_t dip;      /* the limit of the dip that runs; 0: none runs */
    pp_gradient_number_t baseline; /* the latency without a queue; 0: not yet known */
    pp_gradient_number_t shrunk;   /* when failures last shrank the limit: who began before has been accounted for */

    /* of who has the turn */
    pp_gradient_number_t high_latency, high_in_use; /* before the dip: means of a window, in_use in 1/256 */
    pp_gradient_number_t wait, interval;            /* windows till the next dip, and between the last and the next */
    pp_gradient_number_t streak;                    /* windows that shrank, one after the other */
} pp_gradient_t;

/* The most requests (or connections) the host may have now, over all processes; 1 <= least <= most. Between the two, whatever is in `g`. */
int pp_gradient_limit(const pp_gradient_t *g, int least, int most);

/* A request to the host has ended at `now`, `latency` after it was sent (to the head of the answer, without any wait for a permit or a
 * connection); `in_use` were under way then, itself included, over all processes. `failed`: it got no answer, or one that says "too
 * much" (503); its latency does not count. What ended by the client's fault is not to be told here. Some 20 ns, no system call. */
void pp_gradient_sample(pp_gradient_t *g, int least, int most, pp_time_t now, pp_time_t latency, int in_use, bool failed);

#endif
