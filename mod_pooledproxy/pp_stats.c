/* pp_stats: the rows of pp_stats.def as arrays. */
#include "pp_stats.h"

#include <stddef.h>

const pp_stat_row_t pp_stat_rows[] = {
#define PP_GAUGE(name, text) {#name, text, PP_STAT_GAUGE, offsetof(pp_stats_t, name)},
#define PP_COUNTER(name, text) {#name, text, PP_STAT_COUNTER, offsetof(pp_stats_t, name)},
#define PP_CLOSE(name, text) \
    {"conn_closed_" #name, text, PP_STAT_CLOSE, offsetof(pp_stats_t, conn_closed) + PP_CLOSE_##name * sizeof(pp_number_t)},
#include "pp_stats.def"
};
const unsigned pp_stat_row_count = sizeof(pp_stat_rows) / sizeof(pp_stat_rows[0]);

static const struct {
    const char *name, *text;
} close_rows[] = {
#define PP_CLOSE(name, text) {#name, text},
#include "pp_stats.def"
};

const char *pp_close_name(pp_close_t reason)
{
    return close_rows[reason].name;
}

const char *pp_close_text(pp_close_t reason)
{
    return close_rows[reason].text;
}

void pp_stats_clear_gauges(pp_stats_t *stats)
{
    int64_t open = atomic_exchange(&stats->busy, 0) + atomic_exchange(&stats->idle, 0);

    pp_stat_add(&stats->conn_closed[PP_CLOSE_process_gone], open);
#define PP_GAUGE(name, text) atomic_store_explicit(&stats->name, 0, memory_order_relaxed);
#include "pp_stats.def"
}
