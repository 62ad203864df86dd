/* pp_opening: opens one connection for a host: its name, then its addresses one after another, within one time-out. What a
 * request waits for it is not decided here: it may outlive the waiter it was started for, and each waiter has its own time.
 *
 * Ownership: an opening frees itself after it has told the pool the outcome.
 */
#include <apr_strings.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pp_pool_own.h"

#define ADDRS_MAX 8
#define ATTEMPT_MIN PP_MSEC(250) /* a SYN's way across the world and back: less would give up addresses that do answer */

typedef struct pp_opening_t {
    pp_host_t *host;
    pp_dns_query_t query;
    pp_task_t task;
    pp_timer_t timer;
    pp_conn_t *conn;
    pp_time_t timeout, began, resolved;
    pp_addr_t addrs[ADDRS_MAX];
    int naddrs, next;
    bool resolving;
    pp_err_t err; /* of the last address tried */
} pp_opening_t;

#define OPENING_OF(member_ptr, member) ((pp_opening_t *)((char *)(member_ptr)-offsetof(pp_opening_t, member)))

/* The host knows how many are at it, for those whose time ends meanwhile. */
static void opening_is_resolving(pp_opening_t *opening, bool resolving)
{
    opening->host->nresolving += resolving - opening->resolving;
    opening->resolving = resolving;
}

static void opening_end(pp_opening_t *opening)
{
    opening_is_resolving(opening, false);
    pp_dns_cancel(&opening->query);
    pp_timer_remove(opening->host->pool->loop, &opening->timer);
    free(opening);
}

static void opening_fail(pp_opening_t *opening, pp_err_t err)
{
    pp_host_t *host = opening->host;

    if (opening->conn)
        pp_conn_close(&opening->conn);
    opening_end(opening);
    pp_pool_open_failed(host, err);
}

static void opening_done(pp_opening_t *opening)
{
    pp_host_t *host = opening->host;
    pp_conn_t *conn = opening->conn;
    pp_time_t dns_time = opening->resolved - opening->began;
    pp_time_t connect_time = pp_clock_now() - opening->resolved;

    pp_conn_alarm(conn, 0);
    opening_end(opening);
    pp_pool_opened(host, conn, dns_time, connect_time);
}

static void opening_try(pp_opening_t *opening);

static void on_connect_event(pp_conn_t *conn, apr_int16_t events)
{
    pp_opening_t *opening = conn->holder;

    (void)events;
    opening->err = pp_conn_established(conn);
    if (opening->err == PP_OK) {
        opening_done(opening);
        return;
    }
    pp_conn_close(&opening->conn);
    opening_try(opening);
}

/* This address has had its share of the time. */
static void on_connect_timer(pp_conn_t *conn)
{
    pp_opening_t *opening = conn->holder;

    opening->err = PP_ERR_connect_timeout;
    pp_conn_close(&opening->conn);
    opening_try(opening);
}

/* When to give up the address just taken for the next one, so that one which swallows everything doesn't cost all the time: the rest of
 * the time in equal parts. 0: never, for the last one has all the rest, and without a time-out there is nothing to share. */
static pp_time_t attempt_until(const pp_opening_t *opening)
{
    pp_time_t now = pp_clock_now(), share;
    int left = opening->naddrs - opening->next;

    if (left == 0 || !opening->timeout)
        return 0;
    share = (opening->began + opening->timeout - now) / (left + 1);
    return now + (share > ATTEMPT_MIN ? share : ATTEMPT_MIN);
}

/* The next address, until one begins to connect or none is left. */
static void opening_try(pp_opening_t *opening)
{
    pp_loop_t *loop = opening->host->pool->loop;

    while (opening->next < opening->naddrs) {
        opening->err = pp_conn_open(&opening->conn, loop, &opening->addrs[opening->next++]);
        if (opening->err == PP_OK) {
            opening->conn->holder = opening;
            opening->conn->on_event = on_connect_event;
            opening->conn->on_timer = on_connect_timer;
            pp_conn_alarm(opening->conn, attempt_until(opening));
            return;
        }
    }
    opening_fail(opening, opening->err);
}

/* Takes the addresses found, beginning with another one each time. */
static void opening_take_addrs(pp_opening_t *opening, const pp_addr_t *addrs, int naddrs)
{
    int n = naddrs < ADDRS_MAX ? naddrs : ADDRS_MAX;
    unsigned first = opening->host->next_addr++ % (unsigned)naddrs;

    for (int i = 0; i < n; i++)
        opening->addrs[i] = addrs[(first + (unsigned)i) % (unsigned)naddrs];
    opening->naddrs = n;
    opening->resolved = pp_clock_now();
}

static void on_resolved(pp_dns_query_t *query, apr_status_t status)
{
    pp_opening_t *opening = OPENING_OF(query, query);

    opening_is_resolving(opening, false);
    if (status != APR_SUCCESS || query->naddrs == 0) {
        opening_fail(opening, APR_STATUS_IS_TIMEUP(status) ? PP_ERR_dns_timeout : PP_ERR_dns_failed);
        return;
    }
    opening_take_addrs(opening, query->addrs, query->naddrs);
    opening_try(opening);
}

static void on_opening_timer(pp_timer_t *timer)
{
    pp_opening_t *opening = OPENING_OF(timer, timer);
    pp_host_t *host = opening->host;

    if (opening->conn)
        pp_conn_close(&opening->conn);
    opening_end(opening);
    pp_pool_open_expired(host);
}

static void opening_resolve(pp_opening_t *opening)
{
    const pp_target_t *target = &opening->host->target;
    const pp_pool_t *pool = opening->host->pool;
    const pp_dns_name_t name = {target->host, target->port, &pool->dns_policy, pool->stats};
    apr_status_t status;

    if (target->unix_path) {
        pp_addr_t addr;
        memset(&addr, 0, sizeof(addr));
        addr.u.un.sun_family = AF_UNIX;
        apr_cpystrn(addr.u.un.sun_path, target->unix_path, sizeof(addr.u.un.sun_path));
        addr.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(addr.u.un.sun_path) + 1);
        opening_take_addrs(opening, &addr, 1);
        opening_try(opening);
        return;
    }
    opening->query.on_resolved = on_resolved;
    opening_is_resolving(opening, true);
    status = pp_dns_resolve(opening->host->pool->dns, &name, &opening->query);
    if (status != APR_EAGAIN)
        on_resolved(&opening->query, status);
}

static void on_opening_task(pp_task_t *task)
{
    pp_opening_t *opening = OPENING_OF(task, task);

    if (opening->timeout) /* a moment later than the waiter it was started for, who would be given another one else */
        pp_timer_set(opening->host->pool->loop, &opening->timer, opening->began + opening->timeout + 1);
    opening_resolve(opening);
}

void pp_opening_start(pp_host_t *host, pp_time_t timeout)
{
    pp_opening_t *opening = calloc(1, sizeof(*opening));

    if (!opening)
        abort();
    opening->host = host;
    opening->began = pp_clock_now();
    opening->timer.on_timer = on_opening_timer;
    opening->task.run = on_opening_task;
    opening->timeout = timeout;
    pp_loop_post(host->pool->loop, &opening->task);
}
