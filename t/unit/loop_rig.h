/* loop_rig: a loop for a test, and letters to write down what happens on it. */
#ifndef LOOP_RIG_H
#define LOOP_RIG_H

#include <apr_general.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pp_loop.h"
#include "tap.h"

static apr_pool_t *top;

/* A pool and a loop in it, for one test. */
static pp_loop_t *new_loop(apr_pool_t **pool)
{
    pp_loop_t *loop = NULL;

    apr_pool_create(pool, top);
    if (pp_loop_create(&loop, 7, *pool) != APR_SUCCESS)
        abort();
    return loop;
}

/* What happened, in order, as one letter each. */
static char happened[64];

static inline void happen(char c)
{
    size_t n = strlen(happened);

    assert(n + 1 < sizeof(happened));
    happened[n] = c;
    happened[n + 1] = 0;
}

#endif
