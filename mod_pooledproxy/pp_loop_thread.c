/* pp_loop_thread: who runs the rounds of a loop: its thread, and guests. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "pp_loop_own.h"

/* false: a guest was at it when the end came. */
static bool run_round(pp_loop_t *loop, bool last)
{
    apr_status_t rv;

    if (loop->takes_guests && !pp_turn_host_begin(&loop->turn, &loop->stopping))
        return false;
    rv = pp_loop_round(loop, last ? 0 : -1);
    assert(rv == APR_SUCCESS);
    if (loop->takes_guests)
        pp_turn_host_end(&loop->turn);
    return true;
}

/* A round that begins after the stop is the last: what was posted before the stop still runs. */
static void *APR_THREAD_FUNC run_thread(apr_thread_t *thread, void *arg)
{
    pp_loop_t *loop = arg;
    bool last;
    ssize_t written;

    apr_setup_signal_thread();
    pp_loop_current = loop;
    if (loop->on_start)
        loop->on_start(loop, thread);
    do {
        last = atomic_load(&loop->stopping);
    } while (run_round(loop, last) && !last);
    do {
        written = write(loop->done[1], "", 1);
    } while (written < 0 && errno == EINTR);
    return NULL;
}

apr_status_t pp_loop_start(pp_loop_t *loop, void (*on_start)(pp_loop_t *loop, apr_thread_t *thread))
{
    assert(!loop->thread);
    loop->on_start = on_start;
    if (pp_loop_current == loop) /* ran rounds here, as tests do */
        pp_loop_current = NULL;
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
    pp_time_t now, end = pp_clock_now() + (timeout < PP_LOOP_SLEEP_MOST ? timeout : PP_LOOP_SLEEP_MOST);
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

/* ---- guests ---- */

static void wake_poll(void *loop)
{
    apr_pollset_wakeup(((pp_loop_t *)loop)->pollset);
}

void pp_loop_wake(pp_loop_t *loop)
{
    wake_poll(loop);
    if (loop->takes_guests)
        pp_turn_call_host(&loop->turn);
}

void pp_loop_take_guests(pp_loop_t *loop)
{
    assert(!loop->thread);
    loop->takes_guests = true;
    pp_turn_init(&loop->turn);
}

bool pp_loop_takes_guests(const pp_loop_t *loop)
{
    return loop->takes_guests;
}

/* A handler that ends the process (httpd's prefork has such) would do so in the middle of a round, with a mutex held, or with structures
 * half changed that the end takes apart: it waits. */
static void signals_hold(pp_loop_t *loop)
{
    static const int faults[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    sigset_t all;

    sigfillset(&all);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, &loop->guest_signals);
}

void pp_loop_take_signals(pp_loop_t *loop)
{
    assert(pp_loop_current == loop && !loop->in_round);
    pthread_sigmask(SIG_SETMASK, &loop->guest_signals, NULL);
    signals_hold(loop);
}

void pp_loop_enter(pp_loop_t *loop)
{
    assert(!pp_loop_current && loop->takes_guests);
    signals_hold(loop);
    pp_turn_guest_begin(&loop->turn, wake_poll, loop);
    pp_loop_current = loop;
}

void pp_loop_leave(pp_loop_t *loop, bool back_soon)
{
    sigset_t outside = loop->guest_signals;

    assert(pp_loop_current == loop && !loop->in_round);
    pp_loop_current = NULL;
    pp_turn_guest_end(&loop->turn, back_soon);
    pthread_sigmask(SIG_SETMASK, &outside, NULL);
}
