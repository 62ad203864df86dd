/* pp_idle: the life of an idle connection: how long it may stay, who closes it and why, what is learnt from that. */
#include <assert.h>
#include <inttypes.h>
#include <stddef.h>

#include "pp_pool_own.h"

#define KEEP_MARGIN PP_SEC(1)          /* between our giving up an idle connection and the moment the peer said that it closes it */
#define PART_TIME PP_MSEC(250)         /* for the peer to close its side too: more than the way across the world and back */
#define GOOD_FOR PP_SEC(1)             /* a connection that never served and is closed sooner was none */
#define LEARN_FROM 3                   /* so many closes at the same age are no accident */
#define LEARN_LEAST PP_MSEC(100)       /* a close sooner after an answer has another reason than a time */
#define LEARN_APART PP_MSEC(100)       /* those closer together are one event, a restart of the peer for example */
#define LEARN_WITHIN PP_SEC(600)       /* longer ago is forgotten */
#define LEARN_SPREAD 10                /* "the same age": within a tenth ... */
#define LEARN_SPREAD_LEAST PP_MSEC(50) /* ... or this */
#define LEARNT_FOR PP_SEC(600)         /* then the peer is tried again: its setting may have changed */

void pp_idle_count(pp_host_t *host, int n)
{
    pp_pool_t *pool = host->pool;

    host->nidle += n;
    pool->nidle += n;
    pp_permit_idle(pool->place.account, pool->seat, pool->nidle);
    pp_permit_idle(host->place.account, pool->seat, host->nidle);
    pp_permit_idle(pp_book_idle(pool->book), pool->seat, pool->nidle);
    if (pool->policy->idle_max && n < 0)
        pp_permit_return(pool->seats, pp_book_idle(pool->book), pool->seat, pool->policy->idle_max);
}

static pp_host_t *host_idle_longest(pp_pool_t *pool)
{
    pp_host_t *host, *longest = NULL;

    PP_EACH_HOST(pool, host)
    {
        if (host->nidle && (!longest || APR_RING_LAST(&host->idle)->idle_since < APR_RING_LAST(&longest->idle)->idle_since))
            longest = host;
    }
    return longest;
}

/* The newest one is kept: for it the oldest goes, of this loop or another's. */
bool pp_idle_may_begin(pp_pool_t *pool)
{
    pp_account_t *idle = pp_book_idle(pool->book);
    int most = pool->policy->idle_max;

    if (!most || pp_permit_take(pool->seats, idle, pool->seat, most))
        return true;
    if (pool->nidle > 0) {
        pp_conn_part(APR_RING_LAST(&host_idle_longest(pool)->idle), PP_CLOSE_idle_max);
        return pp_permit_take(pool->seats, idle, pool->seat, most);
    }
    pp_permit_ask(pool->seats, idle, pool->seat, 1); /* there will be room for the next */
    pp_permit_forget_coming(idle, pool->seat);
    return false;
}

/* ---- parting ---- */

static void part_end(pp_conn_t *conn)
{
    pp_pool_t *pool = conn->host->pool;

    pp_conn_destroy(conn, PP_CLOSE_COUNT);
    pp_pool_dispatch(pool);
}

static void on_parting_event(pp_conn_t *conn, apr_int16_t events)
{
    size_t len = PP_LOOP_SCRATCH;
    apr_status_t status = pp_conn_read(conn, pp_loop_scratch(conn->loop), &len);

    (void)events;
    if (status != APR_SUCCESS && status != APR_EAGAIN)
        part_end(conn);
}

void pp_conn_part(pp_conn_t *conn, pp_close_t reason)
{
    if (conn->host->pool->draining) { /* nobody is left to wait for the peer */
        pp_conn_destroy(conn, reason);
        return;
    }
    pp_stat_add(&conn->host->pool->stats->conn_closed[reason], 1);
    pp_conn_state(conn, CONN_CLOSING, pp_close_text(reason));
    conn->holder = NULL;
    conn->on_event = on_parting_event;
    conn->on_timer = part_end;
    pp_conn_shutdown_write(conn);
    pp_conn_want(conn, APR_POLLIN);
    pp_conn_alarm(conn, pp_loop_now(conn->loop) + PART_TIME);
}

/* ---- how long ---- */

static pp_time_t learnt_time(const pp_host_t *host)
{
    pp_time_t age = atomic_load_explicit(&host->shared->close_age, memory_order_relaxed);

    if (!age || atomic_load_explicit(&host->shared->close_age_until, memory_order_relaxed) < pp_loop_now(host->pool->loop))
        return 0;
    return age - (age / 10 > LEARN_SPREAD_LEAST ? age / 10 : age / 2 < LEARN_SPREAD_LEAST ? age / 2 : LEARN_SPREAD_LEAST);
}

/* How long a connection may be idle: less than the peer keeps it, or a request meets its closing. */
pp_time_t pp_idle_time(const pp_conn_t *conn)
{
    pp_time_t keep = conn->host->pool->policy->keep_alive_timeout, learnt = learnt_time(conn->host);

    if (learnt && learnt < keep)
        keep = learnt;
    if (conn->keep_for && conn->keep_for - KEEP_MARGIN < keep)
        keep = conn->keep_for - KEEP_MARGIN;
    return keep;
}

static pp_time_t distance(pp_time_t a, pp_time_t b)
{
    return a > b ? a - b : b - a;
}

/* The ages must be about the same, of connections that became idle and were closed at different moments, to mean that the peer has a
 * time of its own. */
static void ages_add(pp_host_t *host, const pp_conn_t *conn, pp_time_t age)
{
    pp_time_t now = pp_loop_now(host->pool->loop), spread;
    bool first = host->ages.n == 0 || now - host->ages.at > LEARN_WITHIN;
    pp_time_t least = !first && host->ages.least < age ? host->ages.least : age;
    pp_time_t most = !first && host->ages.most > age ? host->ages.most : age;

    if (!first && (now - host->ages.at < LEARN_APART || distance(conn->idle_since, host->ages.idle_since) < LEARN_APART))
        return;
    spread = least / LEARN_SPREAD > LEARN_SPREAD_LEAST ? least / LEARN_SPREAD : LEARN_SPREAD_LEAST;
    first |= most - least > spread;
    host->ages.n = first ? 1 : host->ages.n + 1;
    host->ages.least = first ? age : least;
    host->ages.most = first ? age : most;
    host->ages.idle_since = conn->idle_since;
    host->ages.at = now;
}

/* One that was idle for longer than those that were closed, and served all the same: the peer has no such time. */
void pp_idle_served(pp_conn_t *conn)
{
    pp_host_t *host = conn->host;

    if (host->ages.n && conn->idle_for > host->ages.most)
        host->ages.n = 0;
}

void pp_idle_learn(pp_conn_t *conn, pp_time_t age)
{
    pp_host_t *host = conn->host;
    pp_time_t now = pp_loop_now(host->pool->loop), known = atomic_load(&host->shared->close_age), until;

    if (age >= LEARN_LEAST)
        ages_add(host, conn, age);
    if (age < LEARN_LEAST || host->ages.n < LEARN_FROM)
        return;
    until = atomic_exchange(&host->shared->close_age_until, now + LEARNT_FOR);
    if (until > now && known && known <= host->ages.least)
        return;
    /* Another loop may learn the same at the same time: one of them says it. */
    if (atomic_compare_exchange_strong(&host->shared->close_age, &known, host->ages.least) &&
        distance(known, host->ages.least) > host->ages.least / LEARN_SPREAD)
        pp_log(PP_LOG_NOTICE, "pool %s: %s closes idle connections after about %" PRId64 " ms: they are given up before that",
               host->pool->name, host->target.key, (int64_t)(host->ages.least / 1000));
    host->ages.n = 0;
}

/* ---- becoming idle, and what ends it ---- */

static void on_idle_event(pp_conn_t *conn, apr_int16_t events)
{
    pp_pool_t *pool = conn->host->pool;
    char byte;
    size_t len = sizeof(byte);
    apr_status_t status = pp_conn_read(conn, &byte, &len);

    (void)events;
    if (status == APR_EAGAIN)
        return;
    if (pp_conn_failure(conn) != PP_OK)
        pp_log(PP_LOG_WARNING, "pool %s: %s: TLS: %s", pool->name, conn->host->target.key, pp_conn_trouble(conn));
    if (conn->requests == 0 &&
        pp_loop_now(conn->loop) - conn->opened_at < GOOD_FOR) /* TLS 1.3 refuses clients after the handshake */
        pp_warm_outcome(conn->host, false);
    if (status == APR_EOF || status == PP_TLS_CUT)
        pp_idle_learn(conn, pp_loop_now(conn->loop) - conn->idle_since);
    pp_conn_destroy(conn, status == APR_SUCCESS ? PP_CLOSE_unexpected_data : PP_CLOSE_peer_closed);
    pp_pool_dispatch(pool);
}

static void on_idle_timer(pp_timer_t *timer)
{
    pp_conn_t *conn = PP_OWNER_OF(timer, pp_conn_t, idle_timer);

    assert(conn->state == CONN_IDLE);
    pp_conn_part(conn, conn->retire_at && pp_loop_now(conn->loop) >= conn->retire_at ? PP_CLOSE_max_age : PP_CLOSE_idle_timeout);
}

void pp_idle_begin(pp_conn_t *conn, pp_time_t keep)
{
    pp_pool_t *pool = conn->host->pool;
    pp_time_t now = pp_loop_now(pool->loop), until = now + keep;

    pp_conn_state(conn, CONN_IDLE, "checkin");
    APR_RING_INSERT_HEAD(&conn->host->idle, conn, pp_conn_t, link);
    conn->idle_since = now;
    conn->holder = pool;
    conn->on_event = on_idle_event;
    conn->on_timer = NULL;
    conn->idle_timer.on_timer = on_idle_timer;
    pp_conn_alarm(conn, 0);
    pp_conn_want(conn, APR_POLLIN);
    pp_timer_set(pool->loop, &conn->idle_timer, conn->retire_at && conn->retire_at < until ? conn->retire_at : until);
}

pp_conn_t *pp_idle_take(pp_host_t *host)
{
    while (host->nidle > 0) {
        pp_conn_t *conn = APR_RING_FIRST(&host->idle);
        pp_time_t now = pp_loop_now(conn->loop);
        if (conn->idle_timer.when > now) {
            conn->idle_for = now - conn->idle_since;
            pp_conn_state(conn, CONN_BUSY, "reused");
            return conn;
        }
        on_idle_timer(&conn->idle_timer);
    }
    return NULL;
}

int pp_idle_evict_host(pp_host_t *host, int n)
{
    int evicted = 0;

    for (; evicted < n && host->nidle > 0; evicted++)
        pp_conn_part(APR_RING_LAST(&host->idle), PP_CLOSE_evicted);
    return evicted;
}

int pp_idle_evict(pp_pool_t *pool, int n)
{
    int evicted = 0;

    for (; evicted < n && pool->nidle > 0; evicted++)
        pp_idle_evict_host(host_idle_longest(pool), 1);
    return evicted;
}

void pp_pool_drain(pp_pool_t *pool)
{
    pp_host_t *host;

    pool->draining = true;
    PP_EACH_HOST(pool, host)
    {
        while (host->nidle > 0)
            pp_conn_part(APR_RING_FIRST(&host->idle), PP_CLOSE_shutdown);
    }
}
