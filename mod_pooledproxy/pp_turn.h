/* pp_turn: whose turn it is to run a loop's rounds: its own thread's (the host), or that of a thread which waits for the loop's work and does it
 * itself meanwhile (a guest). That spares waking the one and being woken by it, for each request.
 *
 * Threads: the host's calls from the loop's thread, the guest's from any other, one at a time; call from any. Between two visits that follow
 * each other closely nobody runs the loop: the host takes over when no guest has come for PP_TURN_PATIENCE.
 */
#ifndef PP_TURN_H
#define PP_TURN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "pp_clock.h"

#define PP_TURN_PATIENCE PP_MSEC(20)

typedef struct pp_turn_t {
    pthread_mutex_t mutex;
    pthread_cond_t for_host, for_guest;
    pp_time_t patience; /* PP_TURN_PATIENCE; tests set another before the host begins */

    /* Under the mutex. */
    bool host_in, guest_in;
    bool guest_waits;
    bool visited;     /* a guest was there since the host looked last */
    bool called;      /* the host is needed */
    bool host_sleeps; /* longer than its patience: the guest is at work for so long already */
} pp_turn_t;

void pp_turn_init(pp_turn_t *turn);
void pp_turn_destroy(pp_turn_t *turn);

/* The host: waits for its turn, or for the end. false: *stopping, and a guest was at it, which will not come back: its work is left as it
 * stands. */
bool pp_turn_host_begin(pp_turn_t *turn, atomic_bool *stopping);
void pp_turn_host_end(pp_turn_t *turn);

/* A guest: waits for its turn. `wake` is called, under a mutex, when that needs the host to come back from its poll. */
void pp_turn_guest_begin(pp_turn_t *turn, void (*wake)(void *self), void *self);

/* `back_soon`: the host need not hurry. */
void pp_turn_guest_end(pp_turn_t *turn, bool back_soon);

/* There is something for the host to do that no guest waits for. */
void pp_turn_call_host(pp_turn_t *turn);

#endif
