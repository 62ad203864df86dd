/* pp_loop: one event loop thread: descriptors, timers, and an inbox for what other threads hand over.
 *
 * Threads: pp_loop_post() and pp_loop_stop() may be called from any thread; everything else only from the loop's own thread
 * (or before pp_loop_start()). Callbacks run on the loop's thread and never block.
 * Ownership: tasks, timers and watched descriptors are embedded in the objects of their users, who keep them alive until they ran
 * (task), fired or were removed (timer), were unwatched (io).
 */
#ifndef PP_LOOP_H
#define PP_LOOP_H

#include <apr_poll.h>
#include <apr_pools.h>
#include <apr_thread_proc.h>
#include <stdbool.h>
#include <stddef.h>

#include "pp_clock.h"

typedef struct pp_loop_t pp_loop_t;

/* The object that a task, timer or descriptor is embedded in, by the member that it is: for the callbacks. */
#define PP_OWNER_OF(part, type, member) ((type *)((char *)(part)-offsetof(type, member)))

/* Something to be done once on the loop's thread. */
typedef struct pp_task_t pp_task_t;
struct pp_task_t {
    pp_task_t *next;
    void (*run)(pp_task_t *task);
};

/* A moment to be told of. Zero-initialised plus on_timer set is a valid, unset timer. */
typedef struct pp_timer_t pp_timer_t;
struct pp_timer_t {
    void (*on_timer)(pp_timer_t *timer);
    pp_time_t when;   /* what the user wants; 0: never */
    pp_time_t queued; /* where it stands in the loop's list, at or before `when`; 0: not in it */
};

/* A descriptor to be watched. Zero-initialised plus on_io set is valid and unwatched. */
typedef struct pp_io_t pp_io_t;
struct pp_io_t {
    void (*on_io)(pp_io_t *io, apr_int16_t events); /* APR_POLLIN, APR_POLLOUT, APR_POLLHUP, APR_POLLERR */
    apr_socket_t *socket;
    apr_pollfd_t pfd;
    bool watched;
};

/* Makes a loop that lives until `pool` goes; `index` is its number in this process. */
apr_status_t pp_loop_create(pp_loop_t **loop, int index, apr_pool_t *pool);

/* Starts the thread. `on_start`, if any, runs first on it. */
apr_status_t pp_loop_start(pp_loop_t *loop, void (*on_start)(pp_loop_t *loop, apr_thread_t *thread));

/* Asks the thread to end after the round it is in. Any thread; safe in a signal handler's call chain: takes no lock. */
void pp_loop_stop(pp_loop_t *loop);

/* Waits until the thread has ended, at most `timeout` (APR_TIMEUP). */
apr_status_t pp_loop_join(pp_loop_t *loop, pp_time_t timeout);

/* One round of poll and callbacks on the calling thread, waiting at most `timeout`: for guests, and for tests instead of start. */
apr_status_t pp_loop_round(pp_loop_t *loop, pp_time_t timeout);

/* Before the start: other threads may run rounds, too, one at a time, between enter and leave. What is the loop's thread's in other
 * declarations is then whose turn it is; a guest must not block between the two. See pp_turn.h. */
void pp_loop_take_guests(pp_loop_t *loop);
bool pp_loop_takes_guests(const pp_loop_t *loop);
void pp_loop_enter(pp_loop_t *loop);
void pp_loop_leave(pp_loop_t *loop, bool back_soon); /* back_soon: the loop may rest for PP_TURN_PATIENCE */

/* A guest, between two rounds: signals, which wait while it is in, are taken now. A handler may end the process. */
void pp_loop_take_signals(pp_loop_t *loop);

int pp_loop_index(const pp_loop_t *loop);
apr_pool_t *pp_loop_pool(pp_loop_t *loop);

/* Is the caller on this loop's thread? */
bool pp_loop_is_current(const pp_loop_t *loop);

/* The time at the start of the round: the same for all callbacks of a round, cheap. */
pp_time_t pp_loop_now(const pp_loop_t *loop);

/* Runs `task` on the loop's thread, in the order of posting. Any thread; no lock, but where guests are taken. The task may not be posted again before it ran. */
void pp_loop_post(pp_loop_t *loop, pp_task_t *task);

/* Sets the timer to the moment `when` (may be set already). Moving it to later costs nothing. */
void pp_timer_set(pp_loop_t *loop, pp_timer_t *timer, pp_time_t when);

/* The timer will not fire; it may still be in the loop's list, so its memory must stay. */
void pp_timer_clear(pp_timer_t *timer);

/* The same, and the loop forgets it: after this its memory may go. */
void pp_timer_remove(pp_loop_t *loop, pp_timer_t *timer);

/* Watches fd for `events` (APR_POLLIN | APR_POLLOUT; 0: only errors and hang-up). Level-triggered. `pool` holds a small
 * descriptor object, made once per io. APR errors: no memory, no descriptor. */
apr_status_t pp_io_watch(pp_loop_t *loop, pp_io_t *io, int fd, apr_int16_t events, apr_pool_t *pool);

/* Changes what a watched descriptor is watched for; nothing happens when that is the same. */
apr_status_t pp_io_want(pp_loop_t *loop, pp_io_t *io, apr_int16_t events);

/* Watches, changes or (events 0) stops watching, whichever is needed. */
apr_status_t pp_io_set(pp_loop_t *loop, pp_io_t *io, int fd, apr_int16_t events, apr_pool_t *pool);

/* Stops watching. No callback comes after this, not even one of the same round. The io's memory must stay until the round's
 * events are through: a task that is posted now runs after that. */
void pp_io_unwatch(pp_loop_t *loop, pp_io_t *io);

/* Scratch for the callback that runs; its content is lost when the callback returns. */
#define PP_LOOP_SCRATCH (128 * 1024)
char *pp_loop_scratch(pp_loop_t *loop);

/* A place for pp_conn to keep the memory of closed connections for the next ones; NULL at first. */
void **pp_loop_spare(pp_loop_t *loop);

#endif
