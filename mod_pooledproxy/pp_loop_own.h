/* pp_loop_own: what the files of pp_loop share. */
#ifndef PP_LOOP_OWN_H
#define PP_LOOP_OWN_H

#include <apr_skiplist.h>
#include <signal.h>
#include <stdatomic.h>

#include "pp_loop.h"
#include "pp_turn.h"

/* The longest sleep: keeps milliseconds within an int. */
#define PP_LOOP_SLEEP_MOST PP_SEC(3600)

struct pp_loop_t {
    /* set once */
    int index;
    apr_pool_t *pool;
    apr_pollset_t *pollset;
    char *scratch;
    void *spare;
    void (*on_start)(pp_loop_t *loop, apr_thread_t *thread);
    bool takes_guests; /* then `turn` says who runs it */
    pp_turn_t turn;
    sigset_t guest_signals; /* the guest's mask, outside */

    /* any thread */
    _Atomic(pp_task_t *) inbox; /* newest first */
    atomic_bool stopping;

    /* the thread that starts and joins */
    apr_thread_t *thread; /* NULL: not started, or joined */
    int done[2];          /* a pipe; a byte is in it when the thread is about to end */

    /* whose turn it is: the loop's thread, if it takes no guests */
    bool in_round;
    bool in_timers;
    pp_time_t now;
    apr_skiplist *timers; /* pp_timer_t, by (queued, address) */
};

/* The loop that the calling thread runs, or NULL. */
extern _Thread_local pp_loop_t *pp_loop_current;

/* Any thread: whoever is to run the next round comes to it soon. */
void pp_loop_wake(pp_loop_t *loop);

#endif
