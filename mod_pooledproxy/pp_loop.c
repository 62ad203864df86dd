/* pp_loop: the event loop, on apr_pollset (epoll, kqueue), apr_skiplist and C11 atomics.
 *
 * Threads: the inbox head and the stop flag are atomic; all else belongs to the loop's thread once it runs. The loop has a pool with
 * an allocator of its own, so nothing the loop allocates meets a lock.
 * A round is: poll, descriptors, timers, inbox. What callbacks post or set for "now" waits for the next round: a round
 * always ends.
 */
#include "pp_loop_own.h"

#include <apr_portable.h>
#include <apr_tables.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* How many descriptors one poll may report. For epoll and kqueue APR takes the pollset's size for nothing else: any number can be
 * watched; what one poll does not report the next does. */
#define EVENTS_PER_ROUND 1024

_Thread_local pp_loop_t *pp_loop_current;

/* ---- the inbox ---- */

void pp_loop_post(pp_loop_t *loop, pp_task_t *task)
{
    pp_task_t *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);

    assert(task->run);
    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak(&loop->inbox, &head, task));
    /* Not empty: its first poster woke the loop, or the loop posted it and looks before it polls. Not so a guest, who may have left. */
    if ((!head || loop->takes_guests) && pp_loop_current != loop)
        pp_loop_wake(loop);
}

static bool is_inbox_empty(pp_loop_t *loop)
{
    return atomic_load(&loop->inbox) == NULL;
}

static pp_task_t *reverse(pp_task_t *task)
{
    pp_task_t *next, *reversed = NULL;

    for (; task; task = next) {
        next = task->next;
        task->next = reversed;
        reversed = task;
    }
    return reversed;
}

static void run_inbox(pp_loop_t *loop)
{
    pp_task_t *next, *task;

    for (task = reverse(atomic_exchange(&loop->inbox, NULL)); task; task = next) {
        next = task->next;
        task->run(task);
    }
}

/* ---- timers ---- */

static int compare_timers(void *a, void *b)
{
    const pp_timer_t *x = a, *y = b;

    if (x->queued != y->queued)
        return x->queued < y->queued ? -1 : 1;
    return (x > y) - (x < y);
}

static void queue_timer(pp_loop_t *loop, pp_timer_t *timer)
{
    timer->queued = timer->when;
    apr_skiplist_insert(loop->timers, timer);
}

static void unqueue_timer(pp_loop_t *loop, pp_timer_t *timer)
{
    int found = apr_skiplist_remove(loop->timers, timer, NULL);

    assert(found);
    timer->queued = 0;
}

void pp_timer_set(pp_loop_t *loop, pp_timer_t *timer, pp_time_t when)
{
    assert(timer->on_timer && when > 0);
    if (loop->in_timers && when <= loop->now)
        when = loop->now + 1; /* else a timer that sets itself to now keeps the round from ending */
    timer->when = when;
    if (timer->queued && timer->queued <= when)
        return;
    if (timer->queued)
        unqueue_timer(loop, timer);
    queue_timer(loop, timer);
}

void pp_timer_clear(pp_timer_t *timer)
{
    timer->when = 0;
}

void pp_timer_remove(pp_loop_t *loop, pp_timer_t *timer)
{
    timer->when = 0;
    if (timer->queued)
        unqueue_timer(loop, timer);
}

/* The timer's place in the list has come: does what its user wants by now. */
static void expire_timer(pp_loop_t *loop, pp_timer_t *timer)
{
    if (timer->when > loop->now) {
        queue_timer(loop, timer);
    }
    else if (timer->when) {
        timer->when = 0;
        timer->on_timer(timer);
    }
}

static void run_timers(pp_loop_t *loop)
{
    pp_timer_t *timer;

    loop->in_timers = true;
    while ((timer = apr_skiplist_peek(loop->timers)) && timer->queued <= loop->now) {
        apr_skiplist_pop(loop->timers, NULL);
        timer->queued = 0;
        expire_timer(loop, timer);
    }
    loop->in_timers = false;
}

/* ---- descriptors ---- */

apr_status_t pp_io_watch(pp_loop_t *loop, pp_io_t *io, int fd, apr_int16_t events, apr_pool_t *pool)
{
    apr_status_t rv;

    assert(io->on_io && !io->watched);
    rv = apr_os_sock_put(&io->socket, &fd, pool);
    if (rv != APR_SUCCESS)
        return rv;
    io->pfd.p = pool;
    io->pfd.desc_type = APR_POLL_SOCKET;
    io->pfd.desc.s = io->socket;
    io->pfd.client_data = io;
    io->pfd.reqevents = events;
    io->pfd.rtnevents = 0;
    rv = apr_pollset_add(loop->pollset, &io->pfd);
    io->watched = rv == APR_SUCCESS;
    return rv;
}

apr_status_t pp_io_want(pp_loop_t *loop, pp_io_t *io, apr_int16_t events)
{
    apr_status_t rv;

    assert(io->watched);
    if (io->pfd.reqevents == events)
        return APR_SUCCESS;
    apr_pollset_remove(loop->pollset, &io->pfd);
    io->pfd.reqevents = events;
    rv = apr_pollset_add(loop->pollset, &io->pfd);
    io->watched = rv == APR_SUCCESS;
    return rv;
}

void pp_io_unwatch(pp_loop_t *loop, pp_io_t *io)
{
    if (!io->watched)
        return;
    apr_pollset_remove(loop->pollset, &io->pfd);
    io->watched = false;
    io->pfd.rtnevents = 0;
}

apr_status_t pp_io_set(pp_loop_t *loop, pp_io_t *io, int fd, apr_int16_t events, apr_pool_t *pool)
{
    if (events)
        return io->watched ? pp_io_want(loop, io, events) : pp_io_watch(loop, io, fd, events, pool);
    pp_io_unwatch(loop, io);
    return APR_SUCCESS;
}

/* io->pfd.rtnevents is what this round has still to tell. First every io is told its own, then the callbacks run: an io that is
 * unwatched, or unwatched and watched anew, has lost it. (APR reports in copies and does not use ours.) */
static void note_events(const apr_pollfd_t *ready, int n)
{
    for (int i = 0; i < n; i++) {
        pp_io_t *io = ready[i].client_data;
        io->pfd.rtnevents = ready[i].rtnevents;
    }
}

static void run_io(pp_io_t *io)
{
    apr_int16_t events = io->pfd.rtnevents & (io->pfd.reqevents | APR_POLLHUP | APR_POLLERR);

    io->pfd.rtnevents = 0;
    if (io->watched && events)
        io->on_io(io, events);
}

/* ---- rounds ---- */

/* How long poll may sleep, in whole milliseconds: rounded up, or the loop would spin through the last one before a timer.
 * `limit` below 0: none. */
static pp_time_t sleep_time(pp_loop_t *loop, pp_time_t limit)
{
    const pp_timer_t *first = apr_skiplist_peek(loop->timers);
    pp_time_t left;

    if (limit < 0 || limit > PP_LOOP_SLEEP_MOST)
        limit = PP_LOOP_SLEEP_MOST;
    if (first && limit > 0) {
        left = first->queued - pp_clock_now();
        if (left < limit)
            limit = left > 0 ? left : 0;
    }
    return (limit + 999) / 1000 * 1000;
}

/* Negative timeout: no limit. */
apr_status_t pp_loop_round(pp_loop_t *loop, pp_time_t timeout)
{
    const apr_pollfd_t *ready = NULL;
    apr_int32_t n = 0;
    apr_status_t rv;

    if (!loop->thread)
        pp_loop_current = loop; /* a test runs it */
    assert(!loop->in_round);
    rv = apr_pollset_poll(loop->pollset, is_inbox_empty(loop) ? sleep_time(loop, timeout) : 0, &n, &ready);
    if (rv != APR_SUCCESS)
        n = 0; /* after EINTR, -1 */
    loop->in_round = true;
    loop->now = pp_clock_now();
    note_events(ready, n);
    for (int i = 0; i < n; i++)
        run_io(ready[i].client_data);
    run_timers(loop);
    run_inbox(loop);
    loop->in_round = false;
    return APR_STATUS_IS_TIMEUP(rv) || APR_STATUS_IS_EINTR(rv) ? APR_SUCCESS : rv;
}

/* ---- making and unmaking ---- */

/* Before anything in the loop's pool goes, its thread must have ended. */
static apr_status_t on_pool_going(void *arg)
{
    pp_loop_t *loop = arg;

    if (loop->thread)
        pp_loop_stop(loop);
    while (pp_loop_join(loop, PP_LOOP_SLEEP_MOST) == APR_TIMEUP)
        continue;
    return APR_SUCCESS;
}

static apr_status_t on_pool_gone(void *arg)
{
    pp_loop_t *loop = arg;

    if (pp_loop_current == loop)
        pp_loop_current = NULL;
    if (loop->takes_guests)
        pp_turn_destroy(&loop->turn);
    close(loop->done[0]);
    close(loop->done[1]);
    return APR_SUCCESS;
}

static apr_status_t create_pool(apr_pool_t **pool, apr_pool_t *parent)
{
    apr_allocator_t *allocator;
    apr_status_t rv = apr_allocator_create(&allocator);

    if (rv != APR_SUCCESS)
        return rv;
    rv = apr_pool_create_ex(pool, parent, NULL, allocator);
    if (rv != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return rv;
    }
    apr_allocator_owner_set(allocator, *pool);
    return APR_SUCCESS;
}

static apr_status_t create_parts(pp_loop_t *loop)
{
    apr_status_t rv;

    if (pipe2(loop->done, O_CLOEXEC) != 0)
        return errno;
    apr_pool_pre_cleanup_register(loop->pool, loop, on_pool_going);
    apr_pool_cleanup_register(loop->pool, loop, on_pool_gone, apr_pool_cleanup_null);
    rv = apr_skiplist_init(&loop->timers, loop->pool);
    if (rv != APR_SUCCESS)
        return rv;
    apr_skiplist_set_compare(loop->timers, compare_timers, compare_timers);
    loop->scratch = apr_palloc(loop->pool, PP_LOOP_SCRATCH);
    return apr_pollset_create(&loop->pollset, EVENTS_PER_ROUND, loop->pool, APR_POLLSET_NOCOPY | APR_POLLSET_WAKEABLE);
}

apr_status_t pp_loop_create(pp_loop_t **loop, int index, apr_pool_t *pool)
{
    apr_pool_t *own;
    apr_status_t rv = create_pool(&own, pool);

    if (rv != APR_SUCCESS)
        return rv;
    *loop = apr_pcalloc(own, sizeof(**loop));
    (*loop)->index = index;
    (*loop)->pool = own;
    rv = create_parts(*loop);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(own);
        *loop = NULL;
    }
    return rv;
}

int pp_loop_index(const pp_loop_t *loop)
{
    return loop->index;
}

apr_pool_t *pp_loop_pool(pp_loop_t *loop)
{
    return loop->pool;
}

bool pp_loop_is_current(const pp_loop_t *loop)
{
    return pp_loop_current == loop;
}

pp_time_t pp_loop_now(const pp_loop_t *loop)
{
    return loop->in_round ? loop->now : pp_clock_now();
}

char *pp_loop_scratch(pp_loop_t *loop)
{
    return loop->scratch;
}

void **pp_loop_spare(pp_loop_t *loop)
{
    return &loop->spare;
}
