/* pp_clock: the one monotonic clock of the core. */
#ifndef PP_CLOCK_H
#define PP_CLOCK_H

#include <stdint.h>

/* Microseconds since some fixed moment; never goes back. 0 means "never" wherever a moment is optional. */
typedef int64_t pp_time_t;

#define PP_MSEC(n) ((pp_time_t)(n)*1000)
#define PP_SEC(n) ((pp_time_t)(n)*1000000)

/* Now, read from the clock (clock_gettime(2), CLOCK_MONOTONIC; no system call on Linux). */
pp_time_t pp_clock_now(void);

/* For tests: from now on the clock stands at `now`; 0 lets it run again. */
void pp_clock_set(pp_time_t now);

#endif
