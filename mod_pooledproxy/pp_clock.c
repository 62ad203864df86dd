/* pp_clock: CLOCK_MONOTONIC, or what a test has set. */
#include "pp_clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic pp_time_t standing;

pp_time_t pp_clock_now(void)
{
    struct timespec ts;
    pp_time_t set = atomic_load_explicit(&standing, memory_order_relaxed);

    if (set)
        return set;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (pp_time_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void pp_clock_set(pp_time_t now)
{
    atomic_store(&standing, now);
}
