/* test_loop: the inbox, the thread and timers of pp_loop. */
#include <apr_general.h>
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop_rig.h"

/* ---- the inbox ---- */

typedef struct letter_t {
    pp_task_t task;
    char c;
    pp_loop_t *loop;
    struct letter_t *next; /* posted by this one */
} letter_t;

static void on_letter(pp_task_t *task)
{
    letter_t *letter = (letter_t *)task;

    happen(letter->c);
    if (letter->next)
        pp_loop_post(letter->loop, &letter->next->task);
}

static void test_posting_order(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_loop(&pool);
    letter_t d = {.task.run = on_letter, .c = 'd'};
    letter_t a = {.task.run = on_letter, .c = 'a', .loop = loop, .next = &d};
    letter_t b = {.task.run = on_letter, .c = 'b'}, c = {.task.run = on_letter, .c = 'c'};
    pp_time_t start = pp_clock_now();

    is_int(pp_loop_index(loop), 7, "a loop knows its number");
    *happened = 0;
    pp_loop_post(loop, &a.task);
    pp_loop_post(loop, &b.task);
    pp_loop_post(loop, &c.task);
    pp_loop_round(loop, PP_SEC(10));
    is_str(happened, "abc", "tasks run in the order of posting; what a task posts waits for the next round");
    pp_loop_round(loop, PP_SEC(10));
    is_str(happened, "abcd", "... and runs there");
    ok(pp_clock_now() - start < PP_SEC(5), "... which does not sleep");
    pp_loop_post(loop, &b.task);
    pp_loop_round(loop, PP_SEC(10));
    is_str(happened, "abcdb", "a task that ran may be posted again");
    apr_pool_destroy(pool);
}

enum { POSTERS = 4, POSTS = 25000 };

typedef struct number_t {
    pp_task_t task;
    int poster, serial;
} number_t;

typedef struct poster_t {
    pthread_t thread;
    pp_loop_t *loop;
    int number;
    number_t *numbers;
} poster_t;

static int last_serial[POSTERS], out_of_order, off_thread;
static atomic_int numbers_run;
static pp_loop_t *number_loop;

static void on_number(pp_task_t *task)
{
    number_t *number = (number_t *)task;

    if (number->serial != ++last_serial[number->poster])
        out_of_order++;
    if (!pp_loop_is_current(number_loop))
        off_thread++;
    numbers_run++;
}

static void *run_poster(void *arg)
{
    poster_t *poster = arg;

    for (int i = 0; i < POSTS; i++) {
        number_t *number = &poster->numbers[i];
        *number = (number_t){.task.run = on_number, .poster = poster->number, .serial = i + 1};
        pp_loop_post(poster->loop, &number->task);
        if (i % 1000 == 0)
            sched_yield(); /* the loop may catch up and fall asleep */
    }
    return NULL;
}

static void test_posting_threads(void)
{
    apr_pool_t *pool;
    poster_t posters[POSTERS];

    number_loop = new_loop(&pool);
    is_int(pp_loop_start(number_loop, NULL), APR_SUCCESS, "the thread starts");
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (poster_t){.loop = number_loop, .number = i, .numbers = calloc(POSTS, sizeof(number_t))};
        pthread_create(&posters[i].thread, NULL, run_poster, &posters[i]);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    ok(!pp_loop_is_current(number_loop), "another thread is not the loop's");
    pp_loop_stop(number_loop);
    is_int(pp_loop_join(number_loop, PP_SEC(60)), APR_SUCCESS, "the thread stops and is joined");
    is_int(pp_loop_join(number_loop, 0), APR_SUCCESS, "... joining once more is harmless");
    is_int(numbers_run, POSTERS * POSTS, "every task posted before the stop ran once");
    is_int(out_of_order, 0, "... in the order of each poster");
    is_int(off_thread, 0, "... on the loop's thread");
    for (int i = 0; i < POSTERS; i++)
        free(posters[i].numbers);
    apr_pool_destroy(pool);
}

/* ---- the thread ---- */

static atomic_int started;

static void on_start(pp_loop_t *loop, apr_thread_t *thread)
{
    started = thread && pp_loop_is_current(loop);
}

static sem_t join_gave_up;

/* Keeps the loop's thread busy until the test has seen that joining it takes too long. */
static void on_busy(pp_task_t *task)
{
    (void)task;
    sem_wait(&join_gave_up);
}

static void test_thread(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_loop(&pool);
    pp_task_t busy = {.run = on_busy};

    sem_init(&join_gave_up, 0, 0);
    pp_loop_start(loop, on_start);
    pp_loop_post(loop, &busy);
    pp_loop_stop(loop);
    is_int(pp_loop_join(loop, PP_MSEC(20)), APR_TIMEUP, "joining gives up when its time is over");
    sem_post(&join_gave_up);
    is_int(pp_loop_join(loop, PP_SEC(60)), APR_SUCCESS, "... and may be tried again");
    is_int(started, 1, "on_start ran, on the loop's thread");
    apr_pool_destroy(pool);

    loop = new_loop(&pool);
    pp_loop_start(loop, NULL);
    apr_pool_destroy(pool);
    ok(1, "a loop whose pool goes stops its thread first");
}

/* ---- timers ---- */

typedef struct alarm_t {
    pp_timer_t timer;
    char c;
    pp_loop_t *loop;
    pp_time_t again;    /* when it fires: set to this */
    pp_timer_t *victim; /* ... and this one removed */
} alarm_t;

static void on_alarm(pp_timer_t *timer)
{
    alarm_t *alarm = (alarm_t *)timer;
    pp_time_t again = alarm->again;

    happen(alarm->c);
    alarm->again = 0;
    if (again)
        pp_timer_set(alarm->loop, timer, again);
    if (alarm->victim)
        pp_timer_remove(alarm->loop, alarm->victim);
}

/* One round at the moment `now`, to see what fires. */
static const char *fires_at(pp_loop_t *loop, pp_time_t now)
{
    *happened = 0;
    pp_clock_set(now);
    pp_loop_round(loop, 0);
    return happened;
}

static void test_timers(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_loop(&pool);
    alarm_t a = {.timer.on_timer = on_alarm, .c = 'a', .loop = loop};
    alarm_t b = {.timer.on_timer = on_alarm, .c = 'b', .loop = loop};
    alarm_t c = {.timer.on_timer = on_alarm, .c = 'c', .loop = loop};

    pp_clock_set(100);
    pp_timer_set(loop, &b.timer, 2000);
    pp_timer_set(loop, &c.timer, 3000);
    pp_timer_set(loop, &a.timer, 1000);
    is_str(fires_at(loop, 999), "", "no timer fires early");
    is_str(fires_at(loop, 3000), "abc", "timers fire in the order of their moments");
    is_str(fires_at(loop, 9000), "", "... once");

    pp_timer_set(loop, &a.timer, 10000);
    pp_timer_set(loop, &a.timer, 12000);
    is_int(a.timer.queued, 10000, "a timer moved later keeps its place in the list");
    is_str(fires_at(loop, 11000), "", "... does not fire there");
    is_str(fires_at(loop, 12000), "a", "... but at the later moment");
    pp_timer_set(loop, &a.timer, 20000);
    pp_timer_set(loop, &b.timer, 19000);
    pp_timer_set(loop, &a.timer, 18000);
    is_str(fires_at(loop, 20000), "ab", "a timer moved earlier fires earlier");

    pp_timer_set(loop, &a.timer, 30000);
    pp_timer_set(loop, &b.timer, 30000);
    pp_timer_clear(&a.timer);
    is_str(fires_at(loop, 30000), "b", "a cleared timer does not fire");
    is_int(a.timer.queued, 0, "... and has left the list by then");
    pp_timer_set(loop, &a.timer, 40000);
    pp_timer_clear(&a.timer);
    pp_timer_set(loop, &a.timer, 40500);
    is_str(fires_at(loop, 40500), "a", "a cleared timer may be set again");

    a.again = 1;
    pp_timer_set(loop, &a.timer, 50000);
    is_str(fires_at(loop, 50000), "a", "a timer that sets itself to the past waits for the next round");
    is_str(fires_at(loop, 50001), "a", "... and fires there");
    pp_clock_set(0);
    apr_pool_destroy(pool);
}

static void test_timer_removal(void)
{
    enum { MANY = 500 };
    apr_pool_t *pool;
    pp_loop_t *loop = new_loop(&pool);
    alarm_t *many[MANY];
    alarm_t unset = {.timer.on_timer = on_alarm}, *late = calloc(1, sizeof(alarm_t));
    alarm_t early = {.timer.on_timer = on_alarm, .c = 'e', .loop = loop, .victim = &late->timer};

    pp_clock_set(100);
    for (int i = 0; i < MANY; i++) {
        many[i] = calloc(1, sizeof(alarm_t));
        *many[i] = (alarm_t){.timer.on_timer = on_alarm, .c = 'x', .loop = loop};
        pp_timer_set(loop, &many[i]->timer, 1000 + i % 3); /* many at the same moment */
    }
    for (int i = 0; i < MANY; i++) {
        int k = (i * 7) % MANY;
        if (k % 50 == 0)
            continue;
        pp_timer_remove(loop, &many[k]->timer);
        free(many[k]);
    }
    is_int((int)strlen(fires_at(loop, 5000)), MANY / 50, "of many timers at the same moments just those not removed fire");
    for (int i = 0; i < MANY; i += 50)
        free(many[i]);
    pp_timer_remove(loop, &unset.timer);
    ok(1, "removing a timer that was never set is harmless");
    late->timer.on_timer = on_alarm;
    pp_timer_set(loop, &early.timer, 6000);
    pp_timer_set(loop, &late->timer, 6500);
    is_str(fires_at(loop, 7000), "e", "a timer removed by another one's callback does not fire in that round");
    free(late);
    pp_clock_set(0);
    apr_pool_destroy(pool);
}

static void test_timer_sleep(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_loop(&pool);
    alarm_t a = {.timer.on_timer = on_alarm, .c = 'a', .loop = loop};
    pp_time_t start = pp_clock_now();
    int rounds = 0;

    *happened = 0;
    pp_timer_set(loop, &a.timer, start + PP_MSEC(30) + 500);
    for (; !*happened && rounds < 100; rounds++)
        pp_loop_round(loop, PP_SEC(10));
    ok(pp_clock_now() >= start + PP_MSEC(30) + 500, "a timer within a millisecond does not fire early");
    ok(rounds <= 2, "... and the loop slept until then: %d rounds", rounds);
    apr_pool_destroy(pool);
}

/* ---- scratch ---- */

static void test_scratch(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_loop(&pool);

    ok(pp_loop_scratch(loop) != NULL, "there is scratch");
    memset(pp_loop_scratch(loop), 1, PP_LOOP_SCRATCH);
    apr_pool_destroy(pool);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&top, NULL);
    test_posting_order();
    test_posting_threads();
    test_thread();
    test_timers();
    test_timer_removal();
    test_timer_sleep();
    test_scratch();
    apr_pool_destroy(top);
    apr_terminate();
    return done_testing();
}
