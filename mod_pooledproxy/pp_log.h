/* pp_log: how the core says something; whoever embeds it decides where that goes. */
#ifndef PP_LOG_H
#define PP_LOG_H

/* The levels have httpd's numbers (APLOG_ERR 3 ... APLOG_TRACE8 15). */
enum { PP_LOG_ERR = 3, PP_LOG_WARNING = 4, PP_LOG_NOTICE = 5, PP_LOG_INFO = 6, PP_LOG_DEBUG = 7, PP_LOG_TRACE = 8 };

/* Takes one finished line without line end; called from any thread. */
typedef void pp_log_sink_t(int level, const char *line);

/* Lines at or below `level` go to `sink`. Until it is called nothing is said. To be called before loops run. */
void pp_log_to(pp_log_sink_t *sink, int level);

/* Whether a line of this level would be said: to spare the work of making it. */
#define pp_log_is(lvl) ((lvl) <= pp_log_level)
extern int pp_log_level;

void pp_log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define pp_log(lvl, ...)                   \
    do {                                   \
        if (pp_log_is(lvl))                \
            pp_log_line(lvl, __VA_ARGS__); \
    } while (0)

#endif
