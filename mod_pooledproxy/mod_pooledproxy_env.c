/* mod_pooledproxy_env: sets the log fields of a request. */
#include "mod_pooledproxy_env.h"

#include <apr_strings.h>

#define DIGITS_MAX 20 /* with the NUL 21 */
#define NUMBERS 7

/* Log fields on their way: the table, and room for the digits of the numbers. */
typedef struct writer_t {
    apr_table_t *env;
    char *room;
} writer_t;

/* The decimal digits of n >= 0, ending at `end`; returns where they begin. On the hot path: no printf. */
static char *digits(char *end, int64_t n)
{
    *--end = '\0';
    do
        *--end = (char)('0' + n % 10);
    while (n /= 10);
    return end;
}

/* At most NUMBERS times. Below 0: not reached, no field. */
static void add_number(writer_t *w, const char *name, int64_t number)
{
    if (number < 0)
        return;
    w->room += DIGITS_MAX + 1;
    apr_table_addn(w->env, name, digits(w->room, number));
}

/* The names have the same first letters, which makes setting one after the other slow: they are added, when none is there yet. */
static void remove_old(apr_table_t *env)
{
    static const char *const names[] = {"UPSTREAM", "SERVER", "REUSED",    "REASON", "PROTOCOL",     "ATTEMPTS",
                                        "T_POOL",   "T_DNS",  "T_CONNECT", "T_TLS",  "T_FIRST_BYTE", "T_TOTAL"};
    char name[32] = "POOLEDPROXY_";

    if (apr_is_empty_table(env) || !apr_table_get(env, "POOLEDPROXY_UPSTREAM"))
        return;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        apr_cpystrn(name + sizeof("POOLEDPROXY_") - 1, names[i], sizeof(name) - sizeof("POOLEDPROXY_"));
        apr_table_unset(env, name);
    }
}

/* Why the connection was not a reused one, or why the request failed. */
static const char *reason(const pp_call_t *call, pp_err_t err)
{
    if (err != PP_OK)
        return pp_err_row(err)->name;
    return call->reused ? NULL : call->why_new;
}

void pooledproxy_env_set(request_rec *r, const pp_match_t *match, const pp_call_t *call, pp_err_t err)
{
    apr_table_t *env = r->subprocess_env;
    writer_t w = {env, apr_palloc(r->pool, NUMBERS * (DIGITS_MAX + 1))};
    const char *why = reason(call, err);

    remove_old(env);
    apr_table_addn(env, "POOLEDPROXY_UPSTREAM", match->upstream->name ? match->upstream->name : match->upstream->pool->name);
    if (call->server)
        apr_table_addn(env, "POOLEDPROXY_SERVER", call->server->key);
    apr_table_addn(env, "POOLEDPROXY_REUSED", call->reused ? "1" : "0");
    if (why)
        apr_table_addn(env, "POOLEDPROXY_REASON", why);
    apr_table_addn(env, "POOLEDPROXY_PROTOCOL", "http/1.1");
    add_number(&w, "POOLEDPROXY_ATTEMPTS", call->attempts);
    if (!call->began)
        return;
    add_number(&w, "POOLEDPROXY_T_POOL", call->t_pool);
    add_number(&w, "POOLEDPROXY_T_DNS", call->t_dns);
    add_number(&w, "POOLEDPROXY_T_CONNECT", call->t_connect);
    add_number(&w, "POOLEDPROXY_T_TLS", call->t_tls);
    add_number(&w, "POOLEDPROXY_T_FIRST_BYTE", call->t_first_byte);
    add_number(&w, "POOLEDPROXY_T_TOTAL", pp_clock_now() - call->began);
}
