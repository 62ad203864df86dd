/* pp_pool: who gets which connection, and what becomes of it afterwards. */
#include <apr_strings.h>
#include <assert.h>
#include <stddef.h>

#include "pp_pool_own.h"

#define HOSTS_BEFORE_SWEEP 64
#define KEEP_MARGIN PP_SEC(1) /* between our giving up an idle connection and the moment the peer said that it closes it */

static void on_idle_event(pp_conn_t *conn, apr_int16_t events);
static void on_idle_timer(pp_timer_t *timer);
static void on_unused_timer(pp_conn_t *conn);

/* ---- accounting: the only place where a state changes ---- */

static const char *const state_names[] = {"CONNECTING", "BUSY", "IDLE", "CLOSED"};

static void state_count(pp_host_t *host, int state, int n)
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
        host->nidle += n;
        pp_stat_add(&stats->idle, n);
        break;
    default:
        return;
    }
    host->pool->ntotal += n;
}

static void conn_state(pp_conn_t *conn, pp_conn_state_t state, const char *why)
{
    if (pp_log_is(PP_LOG_TRACE))
        pp_log(PP_LOG_TRACE, "pool %s conn %u %s [%s] -- %s --> [%s]", conn->host->pool->name, conn->id, conn->host->target.key,
               state_names[conn->state], why, state_names[state]);
    state_count(conn->host, conn->state, -1);
    state_count(conn->host, state, +1);
    conn->state = state;
}

static void conn_destroy(pp_pool_t *pool, pp_conn_t *conn, pp_close_t reason)
{
    if (conn->state == CONN_IDLE)
        APR_RING_REMOVE(conn, link);
    conn_state(conn, CONN_CLOSED, pp_close_text(reason));
    pp_stat_add(&pool->stats->conn_closed[reason], 1);
    pp_conn_close(&conn);
}

/* ---- hosts ---- */

static bool host_is_unused(const pp_host_t *host)
{
    return host->nidle + host->nbusy + host->nconnecting + host->nwaiting == 0;
}

/* Hosts met at run time (RewriteRule) must not stay for ever: past a number of them those without use are forgotten. */
static void hosts_sweep(pp_pool_t *pool)
{
    if (apr_hash_count(pool->hosts) < HOSTS_BEFORE_SWEEP)
        return;
    for (apr_hash_index_t *hi = apr_hash_first(NULL, pool->hosts); hi; hi = apr_hash_next(hi)) {
        pp_host_t *host;
        apr_hash_this(hi, NULL, NULL, (void **)&host);
        if (host_is_unused(host)) {
            apr_hash_set(pool->hosts, host->target.key, APR_HASH_KEY_STRING, NULL);
            apr_pool_destroy(host->memory);
        }
    }
}

static pp_host_t *host_get(pp_pool_t *pool, const pp_target_t *target)
{
    pp_host_t *host = apr_hash_get(pool->hosts, target->key, APR_HASH_KEY_STRING);
    apr_pool_t *memory;

    if (host) {
        host->target.limit = target->limit;
        return host;
    }
    hosts_sweep(pool);
    apr_pool_create(&memory, pool->memory);
    host = apr_pcalloc(memory, sizeof(*host));
    host->pool = pool;
    host->memory = memory;
    host->target.key = apr_pstrdup(memory, target->key);
    host->target.host = apr_pstrdup(memory, target->host);
    host->target.port = target->port;
    host->target.unix_path = target->unix_path ? apr_pstrdup(memory, target->unix_path) : NULL;
    host->target.limit = target->limit;
    APR_RING_INIT(&host->idle, pp_conn_t, link);
    apr_hash_set(pool->hosts, host->target.key, APR_HASH_KEY_STRING, host);
    return host;
}

int pp_host_room(const pp_host_t *host)
{
    int limit = host->target.limit ? host->target.limit : host->pool->policy->host_limit;

    return limit ? limit - host->nbusy - host->nidle - host->nconnecting : host->pool->policy->size;
}

/* ---- giving out ---- */

static void conn_give(pp_conn_t *conn, pp_checkout_t *checkout, bool reused)
{
    conn->requests++;
    pp_timer_clear(&conn->idle_timer);
    checkout->reused = reused;
    if (reused)
        pp_stat_add(&checkout->pool->stats->conn_reused, 1);
}

/* Gives `conn`, busy already, to the first waiter of its host. */
static bool conn_to_waiter(pp_conn_t *conn, bool reused, pp_time_t dns_time, pp_time_t connect_time)
{
    pp_host_t *host = conn->host;
    pp_checkout_t *w = pp_waiter_first(host, reused ? WAITER_TAKES_REUSED : WAITER_ANY);

    if (!w)
        return false;
    pp_waiter_remove(w);
    pp_waiter_pass_on(host);
    conn_give(conn, w, reused);
    w->dns_time = dns_time;
    w->connect_time = connect_time;
    w->on_conn(w, conn, PP_OK);
    return true;
}

/* How long a connection may be idle: less than the peer says it keeps it, or a request meets its closing. */
static pp_time_t keep_time(const pp_conn_t *conn)
{
    pp_time_t policy = conn->host->pool->policy->keep_alive_timeout, peer = conn->keep_for - KEEP_MARGIN;

    return conn->keep_for && peer < policy ? peer : policy;
}

static void conn_idle(pp_conn_t *conn, const char *why)
{
    pp_pool_t *pool = conn->host->pool;

    conn_state(conn, CONN_IDLE, why);
    APR_RING_INSERT_HEAD(&conn->host->idle, conn, pp_conn_t, link);
    conn->holder = pool;
    conn->on_event = on_idle_event;
    conn->on_timer = on_unused_timer;
    pp_conn_alarm(conn, 0);
    pp_conn_want(conn, APR_POLLIN);
    pp_timer_set(pool->loop, &conn->idle_timer, pp_loop_now(pool->loop) + keep_time(conn));
}

static void on_unused_timer(pp_conn_t *conn)
{
    (void)conn;
}

static void on_idle_event(pp_conn_t *conn, apr_int16_t events)
{
    pp_pool_t *pool = conn->holder;
    char byte;
    size_t len = sizeof(byte);
    apr_status_t status = pp_conn_read(conn, &byte, &len);

    (void)events;
    if (status == APR_EAGAIN)
        return;
    conn_destroy(pool, conn, status == APR_SUCCESS ? PP_CLOSE_unexpected_data : PP_CLOSE_peer_closed);
    pp_pool_dispatch(pool);
}

static void on_idle_timer(pp_timer_t *timer)
{
    pp_conn_t *conn = (pp_conn_t *)((char *)timer - offsetof(pp_conn_t, idle_timer));
    pp_pool_t *pool = conn->host->pool;

    assert(conn->state == CONN_IDLE);
    conn_destroy(pool, conn, PP_CLOSE_idle_timeout);
    pp_pool_dispatch(pool);
}

/* ---- opening ---- */

static void host_evict(pp_host_t *host)
{
    conn_destroy(host->pool, APR_RING_LAST(&host->idle), PP_CLOSE_evicted);
}

/* Room at the host for one more: there is, or its idle connections make it (beside those only who wants a fresh one waits). */
static bool host_make_room(pp_host_t *host)
{
    while (pp_host_room(host) <= 0 && host->nidle > 0)
        host_evict(host);
    return pp_host_room(host) > 0;
}

/* Room in the pool for one more: there is, or an idle connection makes it. */
static bool pool_make_room(pp_pool_t *pool)
{
    if (pool->ntotal < pool->policy->size)
        return true;
    for (apr_hash_index_t *hi = apr_hash_first(NULL, pool->hosts); hi; hi = apr_hash_next(hi)) {
        pp_host_t *host;
        apr_hash_this(hi, NULL, NULL, (void **)&host);
        if (host->nidle > 0) {
            host_evict(host);
            return true;
        }
    }
    return false;
}

static void open_for(pp_checkout_t *checkout)
{
    state_count(checkout->host, CONN_CONNECTING, +1);
    pp_opening_start(checkout->host, checkout->connect_timeout);
}

/* Starts openings for waiters, first come first, as far as the limits allow. */
void pp_pool_dispatch(pp_pool_t *pool)
{
    pp_checkout_t *w, *next;

    if (pool->nserved == pool->nwaiting)
        return;
    for (w = APR_RING_FIRST(&pool->waiters); w != APR_RING_SENTINEL(&pool->waiters, pp_checkout_t, link); w = next) {
        pp_host_t *host = w->host;
        next = APR_RING_NEXT(w, link);
        if (w->served)
            continue;
        if (host->nserved < host->nconnecting) {
            pp_waiter_serve(w); /* by the opening whose waiter is gone */
            continue;
        }
        if (host->nconnecting >= pool->policy->max_connecting || !host_make_room(host)) {
            if (host->nwaiting == pool->nwaiting)
                return; /* all wait for this host */
            continue;
        }
        if (!pool_make_room(pool))
            return;
        pp_waiter_serve(w);
        open_for(w);
    }
}

void pp_pool_opened(pp_host_t *host, pp_conn_t *conn, pp_time_t dns_time, pp_time_t connect_time)
{
    pp_pool_t *pool = host->pool;

    conn->host = host;
    conn->idle_timer.on_timer = on_idle_timer;
    conn->state = CONN_CONNECTING;
    pp_stat_add(&pool->stats->conn_opened, 1);
    conn_state(conn, CONN_BUSY, "connected");
    if (!conn_to_waiter(conn, false, dns_time, connect_time))
        pp_pool_checkin(pool, &conn);
    pp_pool_dispatch(pool);
}

void pp_pool_open_failed(pp_host_t *host, pp_err_t err)
{
    pp_pool_t *pool = host->pool;
    pp_checkout_t *w = pp_waiter_first(host, WAITER_SERVED);

    pp_stat_add(&pool->stats->conn_failed, 1);
    state_count(host, CONN_CONNECTING, -1);
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
    state_count(host, CONN_CONNECTING, -1);
    if (host->nserved > host->nconnecting)
        open_for(pp_waiter_first(host, WAITER_SERVED));
    else
        pp_pool_dispatch(pool);
}

/* ---- the public side ---- */

pp_pool_t *pp_pool_create(pp_loop_t *loop, pp_dns_t *dns, const char *name, const pp_pool_policy_t *policy, pp_stats_t *stats,
                          apr_pool_t *p)
{
    pp_pool_t *pool = apr_pcalloc(p, sizeof(*pool));

    pool->loop = loop;
    pool->dns = dns;
    pool->name = name;
    pool->policy = policy;
    pool->stats = stats;
    pool->memory = p;
    pool->hosts = apr_hash_make(p);
    APR_RING_INIT(&pool->waiters, pp_checkout_t, link);
    return pool;
}

/* The last one used that is not too old; older ones on the way are closed. */
static pp_conn_t *idle_take(pp_host_t *host)
{
    pp_pool_t *pool = host->pool;

    while (host->nidle > 0) {
        pp_conn_t *conn = APR_RING_FIRST(&host->idle);
        if (conn->idle_timer.when > pp_loop_now(pool->loop)) {
            APR_RING_REMOVE(conn, link);
            conn_state(conn, CONN_BUSY, "reused");
            return conn;
        }
        conn_destroy(pool, conn, PP_CLOSE_idle_timeout);
    }
    return NULL;
}

apr_status_t pp_pool_checkout(pp_pool_t *pool, const pp_target_t *target, pp_checkout_t *checkout, pp_conn_t **conn, pp_err_t *err)
{
    pp_host_t *host = host_get(pool, target);

    assert(!checkout->waiting);
    if (!checkout->fresh) /* else it has asked before */
        pp_stat_add(&pool->stats->requests, 1);
    checkout->pool = pool;
    checkout->host = host;
    checkout->served = false;
    checkout->dns_time = checkout->connect_time = 0;
    *conn = checkout->fresh ? NULL : idle_take(host);
    if (*conn) {
        conn_give(*conn, checkout, true);
        return APR_SUCCESS;
    }
    checkout->why_new = checkout->fresh ? "fresh" : pool->policy->keep_alive ? "no_idle" : "keepalive_off";
    pp_waiter_add(pool, host, checkout);
    pp_pool_dispatch(pool);
    if (checkout->served)
        return APR_EAGAIN;
    if (pp_waiters_queued(pool) > pool->policy->queue) {
        pp_waiter_remove(checkout);
        *err = PP_ERR_pool_full;
        return APR_EGENERAL;
    }
    pp_stat_add(&pool->stats->requests_queued, 1);
    if (checkout->wait_until)
        pp_timer_set(pool->loop, &checkout->timer, checkout->wait_until);
    return APR_EAGAIN;
}

void pp_pool_cancel(pp_checkout_t *checkout)
{
    pp_host_t *host = checkout->host;

    if (!checkout->waiting)
        return;
    pp_waiter_remove(checkout);
    pp_waiter_pass_on(host);
}

/* Why a connection whose exchange ended well is not kept all the same; -1: it is kept. One reason a line, in this order. */
static int reason_not_to_keep(const pp_pool_t *pool, const pp_conn_t *conn)
{
    if (pool->draining)
        return PP_CLOSE_shutdown;
    if (!pool->policy->keep_alive)
        return PP_CLOSE_keepalive_off;
    if (pool->policy->max_requests && conn->requests >= pool->policy->max_requests)
        return PP_CLOSE_max_requests;
    return -1;
}

void pp_pool_checkin(pp_pool_t *pool, pp_conn_t **connp)
{
    pp_conn_t *conn = *connp;
    int reason = reason_not_to_keep(pool, conn);

    assert(conn->state == CONN_BUSY);
    *connp = NULL;
    pp_conn_alarm(conn, 0);
    if (reason >= 0) {
        pp_pool_discard(pool, &conn, (pp_close_t)reason);
        return;
    }
    if (pp_waiter_needs_place_of(conn)) {
        pp_pool_discard(pool, &conn, PP_CLOSE_evicted);
        return;
    }
    if (conn_to_waiter(conn, true, 0, 0))
        return;
    if (conn->keep_for && conn->keep_for <= KEEP_MARGIN) {
        pp_pool_discard(pool, &conn, PP_CLOSE_keepalive_hint);
        return;
    }
    conn_idle(conn, "checkin");
    pp_pool_dispatch(pool); /* who waits for another host may have its place */
}

void pp_pool_discard(pp_pool_t *pool, pp_conn_t **connp, pp_close_t reason)
{
    pp_conn_t *conn = *connp;

    assert(conn->state == CONN_BUSY);
    *connp = NULL;
    conn_destroy(pool, conn, reason);
    pp_pool_dispatch(pool);
}

void pp_pool_drain(pp_pool_t *pool)
{
    pool->draining = true;
    for (apr_hash_index_t *hi = apr_hash_first(NULL, pool->hosts); hi; hi = apr_hash_next(hi)) {
        pp_host_t *host;
        apr_hash_this(hi, NULL, NULL, (void **)&host);
        while (host->nidle > 0)
            conn_destroy(pool, APR_RING_FIRST(&host->idle), PP_CLOSE_shutdown);
    }
}

pp_stats_t *pp_pool_stats(pp_pool_t *pool)
{
    return pool->stats;
}
