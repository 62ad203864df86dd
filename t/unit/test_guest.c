/* test_guest: threads that run a loop's rounds in place of its own: one at a time, and the loop goes on without them. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "loop_rig.h"
#include "pp_loop_own.h"

/* A loop that takes guests, its thread running. */
static pp_loop_t *new_host(apr_pool_t **pool)
{
    pp_loop_t *loop = new_loop(pool);

    pp_loop_take_guests(loop);
    if (pp_loop_start(loop, NULL) != APR_SUCCESS)
        abort();
    return loop;
}

static void end_host(pp_loop_t *loop, apr_pool_t *pool)
{
    pp_loop_stop(loop);
    is_int(pp_loop_join(loop, PP_SEC(60)), APR_SUCCESS, "... and its thread ends");
    apr_pool_destroy(pool);
}

static bool comes(sem_t *sem, int seconds)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    while (sem_timedwait(sem, &until) != 0)
        if (errno != EINTR)
            return false;
    return true;
}

/* ---- work that only one thread at a time may do: plain variables, which the thread sanitizer watches ---- */

typedef struct errand_t {
    pp_task_t task;
    pthread_t by;
    bool ran;
    sem_t done;
} errand_t;

static long work;

static void on_errand(pp_task_t *task)
{
    errand_t *errand = (errand_t *)task;

    work++;
    errand->by = pthread_self();
    errand->ran = true;
    sem_post(&errand->done);
}

static void errand_init(errand_t *errand)
{
    *errand = (errand_t){.task.run = on_errand};
    sem_init(&errand->done, 0, 0);
}

static long ticks;
static pp_loop_t *tick_loop;

static void on_tick(pp_timer_t *timer)
{
    work++;
    ticks++;
    pp_timer_set(tick_loop, timer, pp_loop_now(tick_loop) + 200);
}

enum { VISITS = 3000 };

static void test_visits(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = tick_loop = new_host(&pool);
    pp_timer_t timer = {.on_timer = on_tick};
    int by_guest = 0, by_host = 0;

    ok(pp_loop_takes_guests(loop), "a loop takes guests");
    pp_loop_enter(loop);
    ok(pp_loop_is_current(loop), "... who run it");
    pp_timer_set(loop, &timer, pp_loop_now(loop) + 1);
    pp_loop_leave(loop, true);
    ok(!pp_loop_is_current(loop), "... until they leave");
    for (int i = 0; i < VISITS; i++) {
        errand_t errand;

        errand_init(&errand);
        pp_loop_enter(loop);
        pp_loop_post(loop, &errand.task);
        while (!errand.ran)
            pp_loop_round(loop, PP_SEC(10));
        by_guest += pthread_equal(errand.by, pthread_self()) != 0;
        pp_loop_leave(loop, i % 7 != 0);
        if (i % 100 == 0) { /* the host has its turn, too */
            errand_init(&errand);
            pp_loop_post(loop, &errand.task);
            by_host += comes(&errand.done, 10) && !pthread_equal(errand.by, pthread_self());
        }
    }
    is_int(by_guest, VISITS, "what a guest posts and waits for it does itself");
    pp_loop_enter(loop);
    is_int(by_host, (VISITS + 99) / 100, "what is posted meanwhile from outside the host does");
    is_int(work, VISITS + by_host + ticks, "nobody else did anything at the same time");
    pp_timer_remove(loop, &timer);
    pp_loop_leave(loop, true);
    end_host(loop, pool);
}

typedef struct alarm_t {
    pp_timer_t timer;
    sem_t rang;
} alarm_t;

static void on_alarm(pp_timer_t *timer)
{
    sem_post(&((alarm_t *)timer)->rang);
}

static void test_host_goes_on(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_host(&pool);
    alarm_t alarm = {.timer.on_timer = on_alarm};
    errand_t errand;

    sem_init(&alarm.rang, 0, 0);
    for (int i = 0; i < 2; i++) {
        pp_loop_enter(loop);
        pp_timer_set(loop, &alarm.timer, pp_loop_now(loop) + PP_MSEC(1));
        pp_loop_leave(loop, i == 0);
        ok(comes(&alarm.rang, 10), i ? "... at once, when the guest will not" : "the host takes over when no guest comes back");
    }
    pp_loop_enter(loop);
    pp_loop_leave(loop, true);
    errand_init(&errand);
    pp_loop_post(loop, &errand.task); /* nobody runs the loop at this moment */
    ok(comes(&errand.done, 10), "what is posted while the loop rests is done");
    ok(!pthread_equal(errand.by, pthread_self()), "... by the host");
    end_host(loop, pool);
}

typedef struct late_t {
    errand_t errand;
    alarm_t alarm;
    pp_loop_t *loop;
} late_t;

static void on_late(pp_task_t *task)
{
    late_t *late = (late_t *)task;

    pp_timer_set(late->loop, &late->alarm.timer, pp_loop_now(late->loop) + PP_MSEC(1));
}

/* As if the host had all the time in the world. */
static void test_patient_host(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_loop(&pool);
    late_t late = {.errand.task.run = on_late, .alarm.timer.on_timer = on_alarm, .loop = loop};
    errand_t left, next;

    pp_loop_take_guests(loop);
    loop->turn.patience = PP_SEC(600);
    sem_init(&late.alarm.rang, 0, 0);
    is_int(pp_loop_start(loop, NULL), APR_SUCCESS, "a host that would wait for ten minutes");
    pp_loop_enter(loop);
    pp_loop_leave(loop, true);
    pp_loop_post(loop, &late.errand.task);
    ok(comes(&late.alarm.rang, 10), "who was called stays, for what comes of the call");
    errand_init(&left);
    errand_init(&next);
    pp_loop_enter(loop);
    pp_loop_post(loop, &left.task);
    pp_loop_leave(loop, true);
    pp_loop_post(loop, &next.task);
    ok(comes(&next.done, 10), "and is called although a guest has left something");
    ok(left.ran, "... which is done, too");
    pp_loop_wake(loop);
    end_host(loop, pool);
}

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals++;
}

static void test_signals(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_host(&pool);

    signal(SIGUSR1, on_signal);
    pp_loop_enter(loop);
    pthread_kill(pthread_self(), SIGUSR1);
    pp_loop_round(loop, 0);
    is_int(signals, 0, "a signal waits while a guest is at work");
    pp_loop_take_signals(loop);
    is_int(signals, 1, "... until it wants to know");
    pthread_kill(pthread_self(), SIGUSR1);
    is_int(signals, 1, "... and again");
    pp_loop_leave(loop, true);
    is_int(signals, 2, "... or leaves");
    end_host(loop, pool);
}

static void test_long_visit(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_host(&pool);
    alarm_t alarm = {.timer.on_timer = on_alarm};
    pp_time_t began;

    sem_init(&alarm.rang, 0, 0);
    pp_loop_enter(loop);
    began = pp_clock_now();
    while (pp_clock_now() - began < PP_MSEC(150))
        pp_loop_round(loop, PP_MSEC(10));
    pp_timer_set(loop, &alarm.timer, pp_loop_now(loop) + PP_MSEC(1));
    pp_loop_leave(loop, true);
    ok(comes(&alarm.rang, 10), "the host takes over after a long visit, too");
    end_host(loop, pool);
}

static void test_stop_with_guest(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_host(&pool);
    errand_t errand;

    errand_init(&errand);
    pp_loop_enter(loop);
    pp_loop_post(loop, &errand.task);
    pp_loop_stop(loop);
    is_int(pp_loop_join(loop, PP_SEC(60)), APR_SUCCESS,
           "the thread ends although a guest is at work, as when a signal ends the process");
    ok(!errand.ran, "... and leaves its work as it stands");
    pp_loop_leave(loop, true);
    apr_pool_destroy(pool);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&top, NULL);
    test_visits();
    test_host_goes_on();
    test_patient_host();
    test_signals();
    test_long_visit();
    test_stop_with_guest();
    apr_pool_destroy(top);
    apr_terminate();
    return done_testing();
}
