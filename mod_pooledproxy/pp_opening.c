/* pp_opening: opens one connection for a host: its name, then its addresses (pp_race), TLS, within one time-out. What a
 * request waits for it is not decided here: it may outlive the waiter it was started for, and each waiter has its own time.
 *
 * Ownership: an opening frees itself after it has told the pool the outcome.
 */
#include <apr_strings.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pp_pool_own.h"

typedef struct pp_opening_t {
    pp_host_t *host;
    pp_dns_query_t query;
    pp_task_t task;
    pp_timer_t timer;
    pp_race_t race;
    pp_conn_t *conn; /* that has won it, while it speaks TLS */
    pp_time_t timeout, began, resolved, connected;
    bool resolving;
} pp_opening_t;

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

    opening_end(opening);
    pp_pool_open_failed(host, err);
}

static void opening_done(pp_opening_t *opening)
{
    pp_host_t *host = opening->host;
    pp_conn_t *conn = opening->conn;
    pp_open_times_t times = {opening->resolved - opening->began, opening->connected - opening->resolved,
                             host->target.tls ? pp_clock_now() - opening->connected : 0};

    pp_conn_alarm(conn, 0);
    opening_end(opening);
    pp_pool_opened(host, conn, &times);
}

/* ---- TLS ---- */

/* Here it could not be done: the next address. */
static void opening_miss(pp_opening_t *opening, pp_err_t err)
{
    pp_conn_close(&opening->conn);
    pp_race_resume(&opening->race, err);
}

static void note_handshake_failed(const pp_opening_t *opening, pp_err_t err)
{
    const pp_host_t *host = opening->host;

    pp_stat_add(&host->pool->stats->handshakes_failed, 1);
    pp_log(PP_LOG_WARNING, "pool %s %s: TLS: %s: %s", host->pool->name, host->target.key, pp_err_row(err)->text,
           pp_conn_trouble(opening->conn));
}

static void on_handshake_event(pp_conn_t *conn, apr_int16_t events)
{
    pp_opening_t *opening = conn->holder;
    pp_err_t err = PP_OK;
    apr_status_t status = pp_conn_handshake(conn, &err);

    (void)events;
    if (status == APR_EAGAIN)
        return;
    if (status == APR_SUCCESS) {
        opening_done(opening);
        return;
    }
    note_handshake_failed(opening, err);
    opening_miss(opening, err);
}

/* This address has had its share of the time. */
static void on_handshake_timer(pp_conn_t *conn)
{
    opening_miss(conn->holder, PP_ERR_connect_timeout);
}

static void opening_secure(pp_opening_t *opening)
{
    const pp_host_t *host = opening->host;
    pp_err_t err = pp_conn_secure(opening->conn, host->target.tls, host->target.host, host->sessions);

    if (err != PP_OK) {
        opening_miss(opening, err);
        return;
    }
    opening->conn->on_event = on_handshake_event;
    opening->conn->on_timer = on_handshake_timer;
    pp_conn_alarm(opening->conn, opening->race.give_up_at);
    on_handshake_event(opening->conn, 0);
}

/* ---- TCP ---- */

static void on_won(pp_race_t *race, pp_conn_t *conn)
{
    pp_opening_t *opening = PP_OWNER_OF(race, pp_opening_t, race);

    opening->conn = conn;
    opening->conn->holder = opening;
    opening->connected = pp_clock_now();
    if (opening->host->target.tls)
        opening_secure(opening);
    else
        opening_done(opening);
}

static void on_lost(pp_race_t *race, pp_err_t err)
{
    opening_fail(PP_OWNER_OF(race, pp_opening_t, race), err);
}

static void opening_connect(pp_opening_t *opening, const pp_addr_t *addrs, int naddrs)
{
    pp_host_t *host = opening->host;
    pp_race_t *race = &opening->race;

    opening->resolved = pp_clock_now();
    race->host = host;
    race->naddrs =
        pp_order_addrs(&host->order, opening->resolved, addrs, naddrs, host->target.port == 0, race->addrs, PP_RACE_ADDRS);
    race->until = opening->timeout ? opening->began + opening->timeout : 0;
    race->on_won = on_won;
    race->on_lost = on_lost;
    pp_race_start(race);
}

static void on_resolved(pp_dns_query_t *query, apr_status_t status)
{
    pp_opening_t *opening = PP_OWNER_OF(query, pp_opening_t, query);

    opening_is_resolving(opening, false);
    if (status != APR_SUCCESS || query->naddrs == 0) {
        opening_fail(opening, APR_STATUS_IS_TIMEUP(status) ? PP_ERR_dns_timeout : PP_ERR_dns_failed);
        return;
    }
    opening_connect(opening, query->addrs, query->naddrs);
}

static void on_opening_timer(pp_timer_t *timer)
{
    pp_opening_t *opening = PP_OWNER_OF(timer, pp_opening_t, timer);
    pp_host_t *host = opening->host;

    if (opening->conn)
        pp_conn_close(&opening->conn);
    pp_race_stop(&opening->race);
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
        opening_connect(opening, &addr, 1);
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
    pp_opening_t *opening = PP_OWNER_OF(task, pp_opening_t, task);

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
