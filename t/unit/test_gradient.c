/* test_gradient: the limit finds what a backend can take, follows it, stays in its bounds, and survives who shares it. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gradient_rig.h"
#include "tap.h"

static rig_t rig;

static void is_near(double capacity, const char *name)
{
    double level = rig_level(&rig);

    ok(level >= capacity * 0.7 && level <= capacity * 2, "capacity %.0f, %s: %.1f", capacity, name, level);
}

static void test_begin(void)
{
    pp_gradient_t g = {0};

    is_int(pp_gradient_limit(&g, 1, 1000), PP_GRADIENT_INITIAL, "before anything is known: the initial limit");
    is_int(pp_gradient_limit(&g, 1, 5), 5, "... not above the most");
    is_int(pp_gradient_limit(&g, 50, 100), 50, "... nor below the least");
    pp_gradient_sample(&g, 50, 100, PP_SEC(9), PP_MSEC(1), 1, false);
    is_int(pp_gradient_limit(&g, 50, 100), 50, "one sample changes nothing");
}

/* From the initial 20 that is from above for some, from below for others. */
static void test_converges(void)
{
    static const int capacities[] = {4, 8, 15, 20, 40, 100, 300};

    for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
        rig_begin(&rig, capacities[i]);
        rig_run(&rig, PP_SEC(5));
        is_near(capacities[i], "found within 5 s");
        rig_run(&rig, PP_SEC(5));
        rig_watch(&rig);
        rig_run(&rig, PP_SEC(60));
        is_near(capacities[i], "kept for a minute");
        ok(rig.seen_most <= capacities[i] * 2, "... never above: %d", rig.seen_most);
        ok(rig.done > 0.97 * 60 * 100 * capacities[i], "... at the backend's full rate: %ld", rig.done);
    }
    for (int capacity = 1; capacity <= 2; capacity++) {
        rig_begin(&rig, capacity);
        rig_run(&rig, PP_SEC(8));
        rig_watch(&rig);
        rig_run(&rig, PP_SEC(60));
        ok(rig.seen_most <= 2 * capacity, "capacity %d: at most %d", capacity, rig.seen_most);
        ok(rig.done > 0.97 * 60 * 100 * capacity, "... at the backend's full rate: %ld", rig.done);
    }
}

static void test_slow_backends(void)
{
    rig_begin(&rig, 10);
    rig.time = PP_SEC(1);
    rig_run(&rig, PP_SEC(60));
    is_near(10, "answers take 1 s");

    rig_begin(&rig, 100);
    rig.time = PP_SEC(1);
    rig.noise = 1;
    rig_run(&rig, PP_SEC(120));
    is_near(100, "answers take 0.1 s to 10 s: the quick ones don't count for more");

    rig_begin(&rig, 40);
    rig.time = 200;
    rig_run(&rig, PP_SEC(5));
    is_near(40, "answers take 0.2 ms");
}

static void test_follows_capacity(double noise)
{
    note("noise %.1f", noise);
    rig_begin(&rig, 40);
    rig.noise = noise;
    rig_run(&rig, PP_SEC(5));
    is_near(40, "at first");
    rig.capacity = 20;
    rig_run(&rig, PP_SEC(2));
    is_near(20, "halved");
    rig.capacity = 5;
    rig_run(&rig, PP_SEC(3));
    is_near(5, "a quarter");
    rig.capacity = 10;
    rig_run(&rig, PP_SEC(3));
    is_near(10, "doubled");
    rig.capacity = 100;
    rig_run(&rig, PP_SEC(6));
    is_near(100, "ten times");
}

static void test_follows_time(double noise)
{
    note("noise %.1f", noise);
    rig_begin(&rig, 20);
    rig.noise = noise;
    rig_run(&rig, PP_SEC(5));
    rig.time *= 2;
    rig_run(&rig, PP_SEC(6));
    is_near(20, "each answer takes twice the time, for good");
    rig.time *= 5;
    rig_run(&rig, PP_SEC(20));
    is_near(20, "... and five times that");
    rig.time /= 10;
    rig_run(&rig, PP_SEC(20));
    is_near(20, "... and as at first");
}

static void test_noise(void)
{
    double lowest = 1e9, highest = 0;

    for (int seed = 1; seed <= 5; seed++) {
        rig_begin(&rig, 30);
        rig.random = (uint64_t)seed << 32;
        rig.noise = 0.5;
        rig_run(&rig, PP_SEC(5));
        for (int second = 0; second < 120; second++) {
            rig_run(&rig, PP_SEC(1));
            lowest = fmin(lowest, rig_level(&rig));
            highest = fmax(highest, rig_level(&rig));
        }
    }
    ok(lowest >= 21 && highest <= 60, "latency scatters, the limit stays for minutes: %.1f to %.1f", lowest, highest);

    rig_begin(&rig, 2000);
    rig.noise = 0.5;
    rig.clients = 60;
    rig_run(&rig, PP_SEC(120));
    ok(rig_level(&rig) >= 60, "a backend that never queues: no client is kept waiting: %.1f", rig_level(&rig));
}

static void test_outlier(void)
{
    rig_begin(&rig, 40);
    rig.clients = 5;
    rig_run(&rig, PP_SEC(2));
    for (int i = 0; i < 100; i++)
        pp_gradient_sample(&rig.g, 1, 1000, rig.now += PP_MSEC(400), i % 20 == 19 ? PP_SEC(5) : PP_MSEC(10), 5, false);
    ok(rig.g.baseline < PP_MSEC(12), "one slow answer in twenty is not the backend's latency: %lld us", (long long)rig.g.baseline);
}

static void test_idle(void)
{
    rig_begin(&rig, 100);
    rig.clients = 5;
    rig_run(&rig, PP_SEC(60));
    is_int((int)rig_level(&rig), PP_GRADIENT_INITIAL, "who uses a quarter of the limit doesn't make it grow");
    rig.time *= 5;
    rig_run(&rig, PP_SEC(60));
    is_int((int)rig_level(&rig), PP_GRADIENT_INITIAL, "... nor, when latency rises, shrink");
    rig.clients = 16;
    rig_run(&rig, PP_SEC(60));
    ok(rig_level(&rig) > 20 && rig_level(&rig) < 40, "sixteen make it grow, not without end: %.1f", rig_level(&rig));

    rig_begin(&rig, 40);
    rig_run(&rig, PP_SEC(5));
    rig.clients = 1;
    rig_run(&rig, PP_SEC(60));
    rig.now += PP_SEC(3600);
    rig.clients = 2000;
    rig_run(&rig, PP_SEC(3));
    is_near(40, "after an hour of silence");
}

static void test_bounds(void)
{
    rig_begin(&rig, 100);
    rig.least = 5;
    rig.most = 30;
    rig_run(&rig, PP_SEC(20));
    ok(rig.seen_most <= 30 && rig_limit(&rig) == 30, "never above the most, and there when the backend could more");
    rig.capacity = 1;
    rig_run(&rig, PP_SEC(20));
    ok(rig.seen_least >= 5 && rig_limit(&rig) <= 12, "never below the least: %d", rig_limit(&rig));
    is_int(pp_gradient_limit(&rig.g, 50, 60), 50, "new bounds hold at once: least");
    is_int(pp_gradient_limit(&rig.g, 1, 3), 3, "... most");
    rig.most = 3;
    rig.least = 3;
    rig_run(&rig, PP_SEC(5));
    is_int((int)rig_level(&rig), 3, "least and most may be equal");
}

static void test_failures(void)
{
    rig_begin(&rig, 40);
    rig_run(&rig, PP_SEC(5));
    rig.failing = 0.05;
    rig_run(&rig, PP_SEC(5));
    is_near(40, "a few failures matter not");
    rig.failing = 0.5;
    rig_run(&rig, PP_SEC(2));
    ok(rig_level(&rig) < 10, "half of the requests fail: %.1f", rig_level(&rig));
    rig.failing = 1;
    rig_run(&rig, PP_SEC(10));
    is_int(rig_limit(&rig), 1, "all fail: down to the least");
    rig.failing = 0;
    rig_run(&rig, PP_SEC(5));
    is_near(40, "it works again");
}

/* All that is under way times out at once, every 30 s. */
static void test_time_outs(void)
{
    int before;

    rig_begin(&rig, 40);
    rig_run(&rig, PP_SEC(5));
    before = (int)rig_level(&rig);
    for (int i = 0; i < 1000; i++)
        pp_gradient_sample(&rig.g, 1, 1000, rig.now + PP_SEC(30) + i * 1000, PP_SEC(30), 1000 - i, true);
    ok(rig_limit(&rig) >= before / 2 && rig_limit(&rig) <= before * 0.7, "a round of time-outs shrinks once: %d to %d", before,
       rig_limit(&rig));
    before = rig_limit(&rig);
    for (int i = 0; i < before; i++)
        pp_gradient_sample(&rig.g, 1, 1000, rig.now + PP_SEC(62), PP_SEC(30), before - i, true);
    ok(rig_limit(&rig) < before, "... and the next again: %d", rig_limit(&rig));
}

static void test_turn(void)
{
    int before;

    rig_begin(&rig, 100);
    rig_run(&rig, PP_SEC(1));
    before = (int)rig_level(&rig);
    rig.g.turn = rig.now;
    rig_run(&rig, PP_MSEC(900));
    is_int((int)rig_level(&rig), before, "while another computes nobody else does");
    rig_run(&rig, PP_SEC(5));
    is_near(100, "... who never returns is not waited for");
    is_int(rig.g.turn, 0, "... and the turn is given back");
}

/* ---- many at once ---- */

static struct shared_t {
    pp_gradient_t g;
    _Atomic int64_t now;
    _Atomic int outside, stop;
} * shared;

/* Samples of a backend for 50; each is a tick of 0.1 ms. */
static void hammer(int times)
{
    for (int i = 0; i != times && !shared->stop; i++) {
        pp_time_t now = atomic_fetch_add(&shared->now, 100);
        int limit = pp_gradient_limit(&shared->g, 2, 200);
        pp_gradient_sample(&shared->g, 2, 200, now, limit > 50 ? limit * 100 : 5000, limit, i % 64 == 0);
        if (limit < 2 || limit > 200)
            shared->outside = 1;
    }
}

static void *on_thread(void *times)
{
    hammer(*(int *)times);
    return NULL;
}

static void share(void)
{
    if (shared)
        munmap(shared, sizeof(*shared));
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        abort();
    shared->now = PP_SEC(100);
}

static bool is_settled(void)
{
    double level = (double)shared->g.limit / 256;

    note("limit %.1f after %.0f s", level, (double)(shared->now - PP_SEC(100)) / 1e6);
    return level >= 35 && level <= 100 && !shared->outside;
}

static void test_threads(void)
{
    pthread_t threads[4];
    int times = 100000;

    share();
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, on_thread, &times);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ok(is_settled(), "four threads");
}

static pid_t start_process(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        hammer(-1);
        _exit(0);
    }
    return pid;
}

static void wait_for(pp_time_t now)
{
    while (shared->now < now)
        sched_yield();
}

static void test_processes(void)
{
    pid_t pids[3];

    share();
    alarm(120); /* rather than for ever, should they stand still */
    for (int i = 0; i < 3; i++)
        pids[i] = start_process();
    for (int i = 0; i < 60; i++) {
        wait_for(shared->now + PP_MSEC(500));
        kill(pids[i % 3], SIGKILL);
        waitpid(pids[i % 3], NULL, 0);
        pids[i % 3] = start_process();
    }
    wait_for(shared->now + PP_SEC(10));
    shared->stop = 1;
    for (int i = 0; i < 3; i++)
        waitpid(pids[i], NULL, 0);
    ok(is_settled(), "three processes, killed 60 times in the midst");
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    test_begin();
    test_converges();
    test_slow_backends();
    for (double noise = 0; noise < 0.6; noise += 0.25) {
        test_follows_capacity(noise);
        test_follows_time(noise);
    }
    test_noise();
    test_outlier();
    test_idle();
    test_bounds();
    test_failures();
    test_time_outs();
    test_turn();
    test_threads();
    test_processes();
    return done_testing();
}
