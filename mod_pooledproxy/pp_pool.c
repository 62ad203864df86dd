/* pp_pool: who gets which connection, and what becomes of it afterwards. */
#include <apr_general.h>
#include <assert.h>
#include <stddef.h>

#include "pp_pool_own.h"

/* ---- accounting: the only place where a state changes ---- */

static const char *const state_names[] = {"CONNECTING", "BUSY", "IDLE", "CLOSING", "CLOSED"};

static void host_count(pp_host_t *host, int state, int n)
{
    pp_stats_t *stats = host->pool->stats;

    switch (state) {
    case CONN_CONNECTING:
        host->nconnecting += n;
        pp_stat_add(&stats->connecting, n);
        break;
    case CONN_BUSY:
        host->nbusy += n;
        pp_stat_add(&stats->busy, n);
        break;
    case CONN_IDLE:
        pp_stat_add(&stats->idle, n);
        pp_idle_count(host, n);
        break;
    case CONN_CLOSING:
        host->nclosing += n;
        host->pool->nclosing += n;
        break;
    default:
        break;
    }
}

void pp_conn_state(pp_conn_t *conn, pp_conn_state_t state, const char *why)
{
    if (pp_log_is(PP_LOG_TRACE))
        pp_log(PP_LOG_TRACE, "pool %s conn %u %s [%s] -- %s --> [%s]", conn->host->pool->name, conn->id, conn->host->target.key,
               state_names[conn->state], why, state_names[state]);
    if (conn->state == CONN_IDLE) {
        APR_RING_REMOVE(conn, link);
        pp_timer_clear(&conn->idle_timer);
    }
    host_count(conn->host, conn->state, -1);
    host_count(conn->host, state, +1);
    conn->state = state;
}

void pp_conn_destroy(pp_conn_t *conn, pp_close_t reason)
{
    pp_host_t *host = conn->host;

    if (conn->state != CONN_CLOSING) /* else the reason was counted when it began */
        pp_stat_add(&host->pool->stats->conn_closed[reason], 1);
    pp_conn_state(conn, CONN_CLOSED, conn->state == CONN_CLOSING ? "parted" : pp_close_text(reason));
    pp_conn_close(&conn);
    pp_place_return(host);
}

/* ---- giving out ---- */

static void conn_give(pp_conn_t *conn, pp_checkout_t *checkout, bool reused)
{
    conn->requests++;
    if (conn->keep_requests > 0)
        conn->keep_requests--;
    checkout->reused = reused;
    if (reused)
        pp_stat_add(&checkout->pool->stats->conn_reused, 1);
}

/* Gives `conn`, busy already, to the first waiter of its host. */
static bool conn_to_waiter(pp_conn_t *conn, bool reused, const pp_open_times_t *times)
{
    pp_host_t *host = conn->host;
    pp_checkout_t *w = reused ? pp_waiter_for_reused(host) : pp_waiter_first(host, STAGE_SERVED);

    if (!w)
        return false;
    if (w->stage == STAGE_QUEUED)
        pp_queue_departed(w);
    pp_waiter_remove(w);
    conn_give(conn, w, reused);
    conn->idle_for = 0;
    w->dns_time = times->dns;
    w->connect_time = times->connect;
    w->tls_time = times->tls;
    pp_pool_waiter_left(host);
    w->on_conn(w, conn, PP_OK);
    return true;
}

/* ---- opening ---- */

void pp_pool_open(pp_host_t *host, pp_time_t timeout)
{
    host_count(host, CONN_CONNECTING, +1);
    pp_opening_start(host, timeout);
}

/* When a connection retires: at the policy's age, or earlier by chance, so that those opened together do not all end together. */
static pp_time_t retire_time(const pp_conn_t *conn)
{
    const pp_pool_policy_t *policy = conn->host->pool->policy;
    uint16_t chance = 0;

    if (!policy->max_age)
        return 0;
    apr_generate_random_bytes((unsigned char *)&chance, sizeof(chance));
    return conn->opened_at + policy->max_age - policy->max_age * policy->max_age_jitter / 100 * chance / UINT16_MAX;
}

void pp_pool_opened(pp_host_t *host, pp_conn_t *conn, const pp_open_times_t *times)
{
    pp_pool_t *pool = host->pool;

    conn->host = host;
    conn->state = CONN_CONNECTING;
    conn->keep_requests = -1;
    conn->retire_at = retire_time(conn);
    pp_stat_add(&pool->stats->conn_opened, 1);
    if (host->target.tls)
        pp_stat_add(pp_conn_is_resumed(conn) ? &pool->stats->handshakes_resumed : &pool->stats->handshakes_full, 1);
    pp_conn_state(conn, CONN_BUSY, "connected");
    pp_handshake_return(host);
    pp_warm_outcome(host, true);
    if (!conn_to_waiter(conn, false, times))
        pp_pool_checkin(pool, &conn);
}

void pp_pool_open_failed(pp_host_t *host, pp_err_t err)
{
    pp_pool_t *pool = host->pool;
    pp_checkout_t *w = pp_waiter_first(host, STAGE_SERVED);

    pp_stat_add(&pool->stats->conn_failed, 1);
    host_count(host, CONN_CONNECTING, -1);
    pp_handshake_return(host);
    pp_place_return(host);
    pp_warm_outcome(host, false);
    pp_log(PP_LOG_DEBUG, "pool %s %s: %s", pool->name, host->target.key, pp_err_row(err)->text);
    if (w) {
        pp_waiter_remove(w);
        w->on_conn(w, NULL, err);
    }
    pp_pool_dispatch(pool);
}

void pp_pool_open_expired(pp_host_t *host)
{
    pp_pool_t *pool = host->pool;

    pp_stat_add(&pool->stats->conn_failed, 1);
    host_count(host, CONN_CONNECTING, -1);
    pp_warm_outcome(host, false);
    if (host->nwaiting[STAGE_SERVED] > host->nconnecting) { /* with the permits of the one that has expired */
        pp_pool_open(host, pp_waiter_first(host, STAGE_SERVED)->connect_timeout);
        return;
    }
    pp_handshake_return(host);
    pp_place_return(host);
    pp_pool_dispatch(pool);
}

/* ---- the public side ---- */

pp_pool_t *pp_pool_create(pp_loop_t *loop, pp_dns_t *dns, const char *name, const pp_pool_policy_t *policy, pp_book_t *book,
                          int seat, apr_pool_t *p)
{
    pp_pool_t *pool = apr_pcalloc(p, sizeof(*pool));

    pool->loop = loop;
    pool->dns = dns;
    pool->name = name;
    pool->policy = policy;
    pool->dns_policy =
        (pp_dns_policy_t){policy->dns_ttl, policy->dns_max, policy->dns_min, policy->dns_stale, policy->dns_negative};
    pool->book = book;
    pool->seat = seat;
    pool->seats = pp_ledger_seats(pp_book_ledger(book));
    pool->stats = pp_book_stats(book, seat);
    pool->place.account = pp_book_places(book);
    pool->memory = p;
    pool->hosts = apr_hash_make(p);
    return pool;
}

static apr_status_t refuse(pp_checkout_t *checkout, pp_err_t *err)
{
    pp_host_t *host = checkout->host;

    checkout->retry_after = pp_queue_retry_after(host->pool);
    pp_waiter_remove(checkout);
    pp_pool_waiter_left(host);
    *err = PP_ERR_pool_full;
    return APR_EGENERAL;
}

apr_status_t pp_pool_checkout(pp_pool_t *pool, const pp_target_t *target, pp_checkout_t *checkout, pp_conn_t **conn, pp_err_t *err)
{
    pp_host_t *host = pp_host_get(pool, target);

    assert(!checkout->waiting);
    if (!host) {
        *conn = NULL;
        *err = PP_ERR_pool_full;
        return APR_EGENERAL;
    }
    if (!checkout->fresh) /* else it has asked before */
        pp_stat_add(&pool->stats->requests, 1);
    checkout->pool = pool;
    checkout->host = host;
    checkout->dns_time = checkout->connect_time = checkout->tls_time = 0;
    checkout->retry_after = 0;
    *conn = checkout->fresh ? NULL : pp_idle_take(host);
    if (*conn) {
        conn_give(*conn, checkout, true);
        return APR_SUCCESS;
    }
    checkout->why_new = checkout->fresh ? "fresh" : pool->policy->keep_alive ? "no_idle" : "keepalive_off";
    pp_waiter_add(host, checkout);
    pp_pool_dispatch(pool);
    if (checkout->stage == STAGE_SERVED)
        return APR_EAGAIN;
    if (checkout->stage == STAGE_QUEUED && !checkout->fresh && !pp_queue_settle(pool))
        return refuse(checkout, err);
    pp_stat_add(&pool->stats->requests_queued, 1);
    if (checkout->wait_until) {
        pool->queue_patience = checkout->wait_until - checkout->asked_at;
        pp_timer_set(pool->loop, &checkout->timer, checkout->wait_until);
    }
    return APR_EAGAIN;
}

void pp_pool_cancel(pp_checkout_t *checkout)
{
    pp_host_t *host = checkout->host;

    if (!checkout->waiting)
        return;
    pp_waiter_remove(checkout);
    pp_pool_waiter_left(host);
}

/* Why a connection whose exchange ended well is not kept all the same; -1: it is kept. One reason a line, in this order. */
static int reason_not_to_keep(const pp_pool_t *pool, pp_conn_t *conn)
{
    if (!pool->policy->keep_alive)
        return PP_CLOSE_keepalive_off;
    if (pool->policy->max_requests && conn->requests >= pool->policy->max_requests)
        return PP_CLOSE_max_requests;
    if (conn->retire_at && pp_loop_now(pool->loop) >= conn->retire_at)
        return PP_CLOSE_max_age;
    if (conn->keep_requests == 0)
        return PP_CLOSE_keepalive_hint;
    if (pp_host_is_over_limit(conn->host))
        return PP_CLOSE_host_limit;
    if (pp_moved_away(conn))
        return PP_CLOSE_address_gone;
    if (pp_place_is_due(conn))
        return PP_CLOSE_evicted;
    return -1;
}

/* The same for one that no waiter takes at once. */
static int reason_not_to_be_idle(pp_pool_t *pool, pp_time_t keep)
{
    if (pool->draining)
        return PP_CLOSE_shutdown;
    if (keep <= 0)
        return PP_CLOSE_keepalive_hint;
    if (!pp_idle_may_begin(pool))
        return PP_CLOSE_idle_max;
    return -1;
}

void pp_pool_checkin(pp_pool_t *pool, pp_conn_t **connp)
{
    pp_conn_t *conn = *connp;
    static const pp_open_times_t none = {0};
    pp_time_t keep = 0;
    int reason = reason_not_to_keep(pool, conn);

    assert(conn->state == CONN_BUSY);
    *connp = NULL;
    pp_conn_alarm(conn, 0);
    pp_idle_served(conn);
    if (reason < 0 && conn_to_waiter(conn, true, &none))
        return;
    if (reason < 0) {
        keep = pp_idle_time(conn);
        reason = reason_not_to_be_idle(pool, keep);
    }
    if (reason < 0)
        pp_idle_begin(conn, keep);
    else
        pp_conn_part(conn, (pp_close_t)reason);
    pp_pool_dispatch(pool); /* who waits for another host may have its place */
}

void pp_pool_discard(pp_pool_t *pool, pp_conn_t **connp, pp_close_t reason)
{
    pp_conn_t *conn = *connp;

    assert(conn->state == CONN_BUSY);
    *connp = NULL;
    if (reason == PP_CLOSE_stale)
        pp_idle_learn(conn, conn->idle_for);
    if (reason == PP_CLOSE_server_says_close) /* all is in order: the peer is about to close it */
        pp_conn_part(conn, reason);
    else
        pp_conn_destroy(conn, reason);
    pp_pool_dispatch(pool);
}

pp_stats_t *pp_pool_stats(pp_pool_t *pool)
{
    return pool->stats;
}
