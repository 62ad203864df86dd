/* micro: the frame of a micro benchmark. A program is a table of benchmarks and MICRO_MAIN.
 *
 *   micro_x               prints the names of its benchmarks
 *   micro_x NAME TIMES    runs one of them TIMES times, prints the nanoseconds of each time
 */
#ifndef MICRO_H
#define MICRO_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pp_clock.h"

typedef struct micro_t {
    const char *name;
    void (*run)(long times);
} micro_t;

/* What is given here counts as used: the compiler can't leave out the work that led to it. */
static inline void micro_use(const void *result)
{
    __asm__ volatile("" : : "r"(result) : "memory");
}

static inline void micro_check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "micro benchmark: %s\n", what);
        exit(1);
    }
}

static inline int micro_main(const micro_t *benchmarks, size_t n, int argc, char **argv)
{
    for (size_t i = 0; i < n; i++) {
        if (argc < 3) {
            puts(benchmarks[i].name);
        }
        else if (strcmp(argv[1], benchmarks[i].name) == 0) {
            long times = strtol(argv[2], NULL, 10);
            pp_time_t began = pp_clock_now();
            benchmarks[i].run(times);
            printf("%.2f\n", (double)(pp_clock_now() - began) * 1000 / (double)times);
            return 0;
        }
    }
    return argc < 3 ? 0 : 2;
}

#define MICRO_MAIN(benchmarks)                                                                 \
    int main(int argc, char **argv)                                                            \
    {                                                                                          \
        return micro_main(benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0]), argc, argv); \
    }

#endif
