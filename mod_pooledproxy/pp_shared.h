/* pp_shared: memory that a process shares with the children it will have, and how things lie in it. */
#ifndef PP_SHARED_H
#define PP_SHARED_H

#include <apr_pools.h>
#include <stddef.h>

#define PP_CACHE_LINE 64 /* what different processes write lies in lines of its own */

/* size, rounded up to whole lines. */
static inline size_t pp_shared_lines(size_t size)
{
    return (size + PP_CACHE_LINE - 1) / PP_CACHE_LINE * PP_CACHE_LINE;
}

/* `size` bytes that are zero and begin with a line; they go with p. APR errors: no memory. */
apr_status_t pp_shared_make(void **memory, size_t size, apr_pool_t *p);

#endif
