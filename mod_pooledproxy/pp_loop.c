/* pp_loop: the event loop thread, on apr_pollset (epoll, kqueue), apr_skiplist and C11 atomics.
 *
 * Threads: the inbox head and the stop flag are atomic; all else belongs to the loop's thread once it runs. The loop has a pool with
 * an allocator of its own, so nothing the loop allocates meets a lock.
 * A round is: poll, descriptors, timers, inbox. What callbacks post or set for "now" waits for the next round: a round
 * always ends.
 */
#include "pp_loop.h"

#include <apr_portable.h>
#include <apr_skiplist.h>
#include <apr_tables.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

/* How many descriptors one poll may report. For epoll and kqueue APR takes the pollset's size for nothing else: any number can be
 * watched; what one poll does not report the next does. */
#define EVENTS_PER_ROUND 1024

/* The longest sleep: keeps milliseconds within an int. */
#define MAX_SLEEP PP_SEC(3600)

struct pp_loop_t {
    /* set once */
    int index;
    apr_pool_t *pool;
    apr_pollset_t *pollset;
    char *scratch;
    void *spare;
    void (*on_start)(pp_loop_t *loop, apr_thread_t *thread);

    /* any thread */
    _Atomic(pp_task_t *) inbox; /* newest first */
    atomic_bool stopping;

    /* the thread that starts and joins */
    apr_thread_t *thread; /* NULL: not started, or joined */
    int done[2];          /* a pipe; a byte is in it when the thread is about to end */

    /* the loop's thread */
    bool in_round;
    bool in_timers;
    pp_time_t now;
    apr_skiplist *timers; /* pp_timer_t, by (queued, address) */
};

/* The loop whose thread this is. */
static _Thread_local pp_loop_t *current;

/* ---- the inbox ---- */

void pp_loop_post(pp_loop_t *loop, pp_task_t *task)
{
    pp_task_t *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);

    assert(task->run);
    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak(&loop->inbox, &head, task));
    /* Not empty: its first poster woke the loop, or the loop posted it and looks before it polls. */
    if (!head && current != loop)
        apr_pollset_wakeup(loop->pollset);
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

    if (limit < 0 || limit > MAX_SLEEP)
        limit = MAX_SLEEP;
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

    current = loop;
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

/* ---- the thread ---- */

/* A round that begins after the stop is the last: what was posted before the stop still runs. */
static void *APR_THREAD_FUNC run_thread(apr_thread_t *thread, void *arg)
{
    pp_loop_t *loop = arg;
    bool last;
    ssize_t written;

    apr_setup_signal_thread();
    current = loop;
    if (loop->on_start)
        loop->on_start(loop, thread);
    do {
        last = atomic_load(&loop->stopping);
        apr_status_t rv = pp_loop_round(loop, last ? 0 : -1);
        assert(rv == APR_SUCCESS);
    } while (!last);
    do {
        written = write(loop->done[1], "", 1);
    } while (written < 0 && errno == EINTR);
    return NULL;
}

apr_status_t pp_loop_start(pp_loop_t *loop, void (*on_start)(pp_loop_t *loop, apr_thread_t *thread))
{
    assert(!loop->thread);
    loop->on_start = on_start;
    if (current == loop) /* ran rounds here, as tests do */
        current = NULL;
    return apr_thread_create(&loop->thread, NULL, run_thread, loop, loop->pool);
}

void pp_loop_stop(pp_loop_t *loop)
{
    atomic_store(&loop->stopping, true);
    apr_pollset_wakeup(loop->pollset);
}

apr_status_t pp_loop_join(pp_loop_t *loop, pp_time_t timeout)
{
    struct pollfd done = {.fd = loop->done[0], .events = POLLIN};
    pp_time_t now, end = pp_clock_now() + (timeout < MAX_SLEEP ? timeout : MAX_SLEEP);
    apr_status_t rv, ignored;
    int n;

    if (!loop->thread)
        return APR_SUCCESS;
    do {
        now = pp_clock_now();
        n = poll(&done, 1, end > now ? (int)((end - now + 999) / 1000) : 0);
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n ? errno : APR_TIMEUP;
    rv = apr_thread_join(&ignored, loop->thread);
    loop->thread = NULL;
    return rv;
}

/* ---- making and unmaking ---- */

/* Before anything in the loop's pool goes, its thread must have ended. */
static apr_status_t on_pool_going(void *arg)
{
    pp_loop_t *loop = arg;

    if (loop->thread)
        pp_loop_stop(loop);
    while (pp_loop_join(loop, MAX_SLEEP) == APR_TIMEUP)
        continue;
    return APR_SUCCESS;
}

static apr_status_t on_pool_gone(void *arg)
{
    pp_loop_t *loop = arg;

    if (current == loop)
        current = NULL;
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
    return current == loop;
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
