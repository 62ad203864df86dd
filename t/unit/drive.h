/* drive: a loop whose rounds the test itself turns, and a clock that the test sets, so that nothing has to be slept for. */
#ifndef DRIVE_H
#define DRIVE_H

#include <apr_general.h>
#include <stdlib.h>

#include "pp_loop.h"

#define DRIVE_UNUSED __attribute__((unused))

static apr_pool_t *drive_top;
static pp_time_t drive_clock; /* where the clock stands; 0: it runs */

static DRIVE_UNUSED void drive_begin(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    apr_initialize();
    apr_pool_create(&drive_top, NULL);
}

static DRIVE_UNUSED void drive_end(void)
{
    apr_pool_destroy(drive_top);
    apr_terminate();
}

/* A pool for one test, and in it a loop. */
static DRIVE_UNUSED pp_loop_t *drive_loop(apr_pool_t **pool)
{
    pp_loop_t *loop = NULL;

    apr_pool_create(pool, drive_top);
    if (pp_loop_create(&loop, 0, *pool) != APR_SUCCESS)
        abort();
    return loop;
}

/* Rounds that don't wait: what is ready now is done, and what follows from it. */
static DRIVE_UNUSED void drive_rounds(pp_loop_t *loop, int n)
{
    for (int i = 0; i < n; i++)
        pp_loop_round(loop, 0);
}

/* Rounds until the condition holds, for a few seconds at most; whether it does. */
#define drive_until(loop, condition)                                          \
    ({                                                                        \
        bool drive_done_ = (condition);                                       \
        for (int drive_i_ = 0; drive_i_ < 3000 && !drive_done_; drive_i_++) { \
            pp_loop_round(loop, drive_i_ < 20 ? 0 : PP_MSEC(1));              \
            drive_done_ = (condition);                                        \
        }                                                                     \
        drive_done_;                                                          \
    })

/* The clock stands from now on (the first time), or goes on by so much at once. */
static DRIVE_UNUSED void drive_clock_by(pp_time_t by)
{
    drive_clock = drive_clock ? drive_clock + by : PP_SEC(1000) + by;
    pp_clock_set(drive_clock);
}

static DRIVE_UNUSED void drive_clock_runs(void)
{
    drive_clock = 0;
    pp_clock_set(0);
}

/* Numbers that look random and are the same in every run. */
static DRIVE_UNUSED unsigned drive_random(unsigned below)
{
    static uint64_t state = 88172645463325252ull;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 20) % below);
}

#endif
