/* micro_loop: setting timers among many others, as each request does several times; and tasks. */
#include <apr_general.h>

#include "micro.h"
#include "pp_loop.h"

#define OTHERS 1000

static pp_loop_t *loop;
static pp_timer_t timers[OTHERS];
static pp_time_t start;
static long tasks_left;

static void on_timer(pp_timer_t *timer)
{
    micro_use(timer);
}

/* A loop with timers that stand half a minute away, a millisecond from each other. */
static void prepare(void)
{
    apr_pool_t *pool;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    micro_check(pp_loop_create(&loop, 0, pool) == APR_SUCCESS, "there is no loop");
    start = pp_clock_now() + PP_SEC(30);
    for (int i = 0; i < OTHERS; i++) {
        timers[i].on_timer = on_timer;
        pp_timer_set(loop, &timers[i], start + PP_MSEC(i));
    }
}

/* What keep-alive and time-outs do: the same moment, a little later each time. */
static void run_later(long times)
{
    prepare();
    for (long i = 0; i < times; i++)
        pp_timer_set(loop, &timers[i % OTHERS], start + PP_SEC(2) + i);
}

static void run_clear(long times)
{
    prepare();
    for (long i = 0; i < times; i++) {
        pp_timer_clear(&timers[i % OTHERS]);
        pp_timer_set(loop, &timers[i % OTHERS], start + PP_SEC(2) + i);
    }
}

/* The costly case: each goes to an earlier place in the list. */
static void run_remove(long times)
{
    prepare();
    for (long i = 0; i < times; i++) {
        pp_timer_remove(loop, &timers[i % OTHERS]);
        pp_timer_set(loop, &timers[i % OTHERS], start + PP_MSEC(i % OTHERS));
    }
}

static void on_task(pp_task_t *task)
{
    if (tasks_left-- > 0)
        pp_loop_post(loop, task);
}

/* A round each, its poll(2) included. */
static void run_tasks(long times)
{
    pp_task_t task = {.run = on_task};

    prepare();
    tasks_left = times;
    pp_loop_post(loop, &task);
    while (tasks_left >= 0)
        pp_loop_round(loop, 0);
}

static const micro_t benchmarks[] = {
    {"pp_timer_set to later, 1000 timers", run_later},
    {"pp_timer_clear and set, 1000 timers", run_clear},
    {"pp_timer_remove and set, 1000 timers", run_remove},
    {"pp_loop_post and a round", run_tasks},
};

MICRO_MAIN(benchmarks)
