/* pp_log: formats a line and gives it to the sink. */
#include "pp_log.h"

#include <stdarg.h>
#include <stdio.h>

int pp_log_level = -1;
static pp_log_sink_t *log_sink;

void pp_log_to(pp_log_sink_t *sink, int level)
{
    log_sink = sink;
    pp_log_level = sink ? level : -1;
}

void pp_log_line(int level, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (log_sink)
        log_sink(level, line);
}
