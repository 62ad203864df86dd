/* pp_stats: the numbers kept for a pool, as one table (pp_stats.def).
 *
 * Threads: one writer (the loop that owns the pool), any number of readers, also in other processes: the struct may lie in shared
 * memory. Every number is read and written whole; two numbers of one reading may be a moment apart.
 */
#ifndef PP_STATS_H
#define PP_STATS_H

#include <stdatomic.h>
#include <stdint.h>

typedef enum pp_close_t {
#define PP_CLOSE(name, text) PP_CLOSE_##name,
#include "pp_stats.def"
    PP_CLOSE_COUNT
} pp_close_t;

typedef _Atomic int64_t pp_number_t;

typedef struct pp_stats_t {
#define PP_GAUGE(name, text) pp_number_t name;
#define PP_COUNTER(name, text) pp_number_t name;
#include "pp_stats.def"
    pp_number_t conn_closed[PP_CLOSE_COUNT];
} pp_stats_t;

typedef enum pp_stat_kind_t { PP_STAT_GAUGE, PP_STAT_COUNTER, PP_STAT_CLOSE } pp_stat_kind_t;

/* One row of pp_stats.def: how to find and to name a number. */
typedef struct pp_stat_row_t {
    const char *name; /* "busy", "conn_opened", "conn_closed_idle_timeout" */
    const char *text;
    pp_stat_kind_t kind;
    unsigned offset; /* of the pp_number_t in pp_stats_t */
} pp_stat_row_t;

extern const pp_stat_row_t pp_stat_rows[];
extern const unsigned pp_stat_row_count;

const char *pp_close_name(pp_close_t reason);
const char *pp_close_text(pp_close_t reason);

/* For the one writer. */
static inline void pp_stat_add(pp_number_t *number, int64_t n)
{
    atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + n, memory_order_relaxed);
}

/* For readers. */
static inline int64_t pp_stat_get(const pp_stats_t *stats, const pp_stat_row_t *row)
{
    return atomic_load_explicit((const pp_number_t *)((const char *)stats + row->offset), memory_order_relaxed);
}

/* The writer is gone (its process ended): what was now is no more, what was open is closed; counters stay. Idempotent. */
void pp_stats_clear_gauges(pp_stats_t *stats);

#endif
