/* pp_places: who waits gets a place for a connection, as far as the limits allow; and what this loop asks of the others for it. */
#include <stddef.h>

#include "pp_pool_own.h"

#define TICK PP_MSEC(50)           /* who waits looks around that often, in case nobody has woken it */
#define PROMISE_LASTS PP_MSEC(300) /* what others have promised has come by then: longer than connections are parted with */
#define LOOK_FOR_DEAD PP_MSEC(100) /* a process that was killed holds its permits no longer than that and a little */
#define FAIR_LEAST PP_MSEC(10)     /* waits at two loops that differ by less are the same: connections shall not move for it */
#define FAIR_FACTOR 2              /* ... nor as long as none is so many times the other */

/* ---- permits ---- */

/* Permits of a place for the host's next connection. */
static bool place_take(pp_host_t *host)
{
    pp_pool_t *pool = host->pool;
    int limit = pp_host_limit(host);

    host->lacks_place = !pp_permit_take(pool->seats, host->place.account, pool->seat, limit);
    if (host->lacks_place)
        return false;
    if (!pp_permit_take(pool->seats, pool->place.account, pool->seat, pp_book_size(pool->book))) {
        pp_permit_return(pool->seats, host->place.account, pool->seat, limit);
        return false;
    }
    host->nplaces++;
    return true;
}

void pp_place_return(pp_host_t *host)
{
    pp_pool_t *pool = host->pool;

    host->nplaces--;
    pp_permit_return(pool->seats, pool->place.account, pool->seat, pp_book_size(pool->book));
    pp_permit_return(pool->seats, host->place.account, pool->seat, pp_host_limit(host));
}

void pp_handshake_return(pp_host_t *host)
{
    pp_pool_t *pool = host->pool;

    pp_permit_return(pool->seats, host->handshake.account, pool->seat, pool->policy->max_connecting);
}

bool pp_places_take_spare(pp_host_t *host)
{
    pp_pool_t *pool = host->pool;

    if (pp_permit_is_wanted(pool->place.account) || pp_permit_is_wanted(host->place.account) || !place_take(host))
        return false;
    if (pp_permit_take(pool->seats, host->handshake.account, pool->seat, pool->policy->max_connecting))
        return true;
    pp_place_return(host);
    return false;
}

/* ---- moving waiters on ---- */

/* What waiters that left had been given is given to those behind them, else it is returned. */
static void host_settle(pp_host_t *host)
{
    int spare;

    while (host->nwaiting[STAGE_SERVED] < host->nconnecting && host->nwaiting[STAGE_PLACED] + host->nwaiting[STAGE_QUEUED] > 0)
        pp_waiter_advance(host, host->nwaiting[STAGE_PLACED] ? STAGE_PLACED : STAGE_QUEUED, STAGE_SERVED);
    spare = host->nplaces - host->nidle - host->nbusy - host->nconnecting - host->nclosing - host->nracing -
            host->nwaiting[STAGE_PLACED];
    for (; spare > 0 && host->nwaiting[STAGE_QUEUED]; spare--)
        pp_waiter_advance(host, STAGE_QUEUED, STAGE_PLACED);
    for (; spare > 0; spare--)
        pp_place_return(host);
}

/* The host whose turn it is: that of the first who has no place, of those that may have one more. */
static pp_host_t *neediest_host(pp_pool_t *pool)
{
    pp_host_t *host, *neediest = NULL;

    PP_EACH_HOST(pool, host)
    {
        const pp_checkout_t *w = host->lacks_place ? NULL : pp_waiter_first(host, STAGE_QUEUED);
        if (w && pp_waiter_is_before(w, neediest ? pp_waiter_first(neediest, STAGE_QUEUED) : NULL))
            neediest = host;
    }
    return neediest;
}

static void hand_out_places(pp_pool_t *pool)
{
    pp_host_t *host;

    PP_EACH_HOST(pool, host)
    {
        host->lacks_place = false;
    }
    while ((host = neediest_host(pool)) != NULL) {
        if (place_take(host))
            pp_waiter_advance(host, STAGE_QUEUED, STAGE_PLACED);
        else if (!host->lacks_place)
            return; /* the pool lacks one: so do all others */
    }
}

static void start_openings(pp_host_t *host)
{
    pp_pool_t *pool = host->pool;

    while (host->nwaiting[STAGE_PLACED] > 0 &&
           pp_permit_take(pool->seats, host->handshake.account, pool->seat, pool->policy->max_connecting)) {
        const pp_checkout_t *w = pp_waiter_first(host, STAGE_PLACED);
        pp_waiter_advance(host, STAGE_PLACED, STAGE_SERVED);
        pp_pool_open(host, w->connect_timeout);
    }
}

static void hand_out(pp_pool_t *pool)
{
    pp_host_t *host;

    PP_EACH_HOST(pool, host)
    {
        host_settle(host);
    }
    hand_out_places(pool);
    PP_EACH_HOST(pool, host)
    {
        start_openings(host);
    }
}

/* ---- claims ---- */

/* Returns whether it waits only from now on: then it must look once more. */
static bool claim_set(pp_pool_t *pool, pp_claim_t *claim, int want, const pp_checkout_t *first, int limit)
{
    bool begins = want > 0 && claim->want == 0;

    if (want != claim->want || (want && first->asked_at != claim->since)) {
        pool->nclaims += (want > 0) - (claim->want > 0);
        claim->want = want;
        claim->since = want ? first->asked_at : 0;
        pp_permit_wait(claim->account, pool->seat, want, claim->since);
    }
    if (!want)
        pp_permit_pass_on(pool->seats, claim->account, pool->seat, limit);
    return begins;
}

static bool claims_register(pp_pool_t *pool)
{
    const pp_checkout_t *first = NULL;
    pp_host_t *host;
    int want = 0;
    bool begins = false;

    PP_EACH_HOST(pool, host)
    {
        const pp_checkout_t *queued = pp_waiter_first(host, STAGE_QUEUED);
        int n = host->nwaiting[STAGE_QUEUED];
        begins |= claim_set(pool, &host->place, host->lacks_place ? n : 0, queued, pp_host_limit(host));
        begins |= claim_set(pool, &host->handshake, host->nwaiting[STAGE_PLACED], pp_waiter_first(host, STAGE_PLACED),
                            pool->policy->max_connecting);
        if (host->lacks_place || !n)
            continue;
        want += n;
        if (pp_waiter_is_before(queued, first))
            first = queued;
    }
    begins |= claim_set(pool, &pool->place, want, first, pp_book_size(pool->book));
    return begins;
}

/* What is wanted and neither on its way nor asked for: own idle connections make room, then those of other loops. */
static void claim_press(pp_pool_t *pool, pp_claim_t *claim, pp_host_t *host)
{
    int closing = host ? host->nclosing : pool->nclosing;
    int lack = claim->want - closing - pp_permit_coming(claim->account, pool->seat);

    if (lack > 0)
        lack -= host ? pp_idle_evict_host(host, lack) : pp_idle_evict(pool, lack);
    if (lack > 0)
        pp_permit_ask(pool->seats, claim->account, pool->seat, lack);
}

static void claims_press(pp_pool_t *pool)
{
    pp_host_t *host;

    claim_press(pool, &pool->place, NULL);
    PP_EACH_HOST(pool, host)
    {
        if (host->place.want)
            claim_press(pool, &host->place, host);
    }
}

static int least_of(int a, int b)
{
    return a < b ? a : b;
}

/* The queue's permits: one for each that waits for a place, but for those whose place is being made of an idle connection, and for those
 * that were admitted before. */
static int queue_needs(const pp_pool_t *pool)
{
    int at_pool = 0, queued = 0;
    pp_host_t *host;

    PP_EACH_HOST(pool, host)
    {
        int n = host->nwaiting[STAGE_QUEUED];
        if (host->lacks_place)
            queued += n - least_of(n, host->nclosing + pp_permit_coming(host->place.account, pool->seat));
        else
            at_pool += n;
    }
    queued += at_pool - least_of(at_pool, pool->nclosing + pp_permit_coming(pool->place.account, pool->seat));
    return queued > pool->nadmitted ? queued - pool->nadmitted : 0;
}

bool pp_queue_settle(pp_pool_t *pool)
{
    pp_account_t *queue = pp_book_queue(pool->book);
    int needs = pool->nwaiting ? queue_needs(pool) : 0, limit = pool->policy->queue;

    for (; pool->nqueue > needs; pool->nqueue--)
        pp_permit_return(pool->seats, queue, pool->seat, limit);
    while (pool->nqueue < needs) {
        if (!limit || !pp_permit_take(pool->seats, queue, pool->seat, limit))
            return false;
        pool->nqueue++;
    }
    return true;
}

/* ---- when to look again ---- */

static pp_checkout_t *last_queued(pp_pool_t *pool)
{
    pp_checkout_t *last = NULL;
    pp_host_t *host;

    PP_EACH_HOST(pool, host)
    {
        pp_checkout_t *w = host->nwaiting[STAGE_QUEUED] ? APR_RING_LAST(&host->waiters[STAGE_QUEUED]) : NULL;
        if (w && (!last || pp_waiter_is_before(last, w)))
            last = w;
    }
    return last;
}

/* An idle connection that others were asked for did not come: who had counted on it finds the queue full all the same. */
static void queue_reject(pp_pool_t *pool)
{
    while (!pp_queue_settle(pool)) {
        pp_checkout_t *w = last_queued(pool);
        w->retry_after = pp_queue_retry_after(pool);
        pp_waiter_remove(w);
        w->on_conn(w, NULL, PP_ERR_pool_full);
    }
}

/* Whoever has promised something may have died; it has come in time, or it is not waited for. */
static void forget_promises(pp_pool_t *pool)
{
    pp_time_t now = pp_loop_now(pool->loop);
    int coming = pp_permit_coming(pool->place.account, pool->seat);
    pp_host_t *host;

    PP_EACH_HOST(pool, host)
    {
        coming += pp_permit_coming(host->place.account, pool->seat);
    }
    if (coming == 0 || !pool->promised_at)
        pool->promised_at = coming ? now : 0;
    if (coming == 0 || now - pool->promised_at < PROMISE_LASTS)
        return;
    pool->promised_at = 0;
    pp_permit_forget_coming(pool->place.account, pool->seat);
    PP_EACH_HOST(pool, host)
    {
        pp_permit_forget_coming(host->place.account, pool->seat);
    }
}

static void on_tick(pp_timer_t *timer)
{
    pp_pool_t *pool = PP_OWNER_OF(timer, pp_pool_t, tick);
    pp_time_t now = pp_loop_now(pool->loop);

    if (now - pool->looked_at >= LOOK_FOR_DEAD) {
        pool->looked_at = now;
        pp_ledger_find_dead(pp_book_ledger(pool->book));
    }
    forget_promises(pool);
    pp_pool_dispatch(pool);
    queue_reject(pool);
}

void pp_pool_dispatch(pp_pool_t *pool)
{
    if (pool->nwaiting == 0 && pool->nclaims == 0 && pool->nqueue == 0)
        return;
    hand_out(pool);
    if (claims_register(pool)) { /* a permit may have become free before the others could see that it is wanted */
        hand_out(pool);
        claims_register(pool);
    }
    if (pool->nclaims) {
        claims_press(pool);
        pool->tick.on_timer = on_tick;
        if (!pool->tick.when)
            pp_timer_set(pool->loop, &pool->tick, pp_loop_now(pool->loop) + TICK);
    }
    else {
        pp_timer_clear(&pool->tick);
        pool->promised_at = 0;
    }
    pp_queue_settle(pool);
}

void pp_pool_waiter_left(pp_host_t *host)
{
    host_settle(host);
    pp_pool_dispatch(host->pool);
}

static void give_asked(pp_pool_t *pool, pp_claim_t *claim, pp_host_t *host)
{
    int asked = pp_permit_asked(claim->account, pool->seat);
    int given = asked == 0 ? 0 : host ? pp_idle_evict_host(host, asked) : pp_idle_evict(pool, asked);

    if (given < asked)
        pp_permit_disappoint(pool->seats, claim->account, asked - given);
}

void pp_pool_attend(pp_pool_t *pool)
{
    pp_host_t *host;

    give_asked(pool, &pool->place, NULL);
    PP_EACH_HOST(pool, host)
    {
        give_asked(pool, &host->place, host);
    }
    pp_idle_evict(pool, pp_permit_asked(pp_book_idle(pool->book), pool->seat));
    pp_pool_dispatch(pool);
    if (pool->place.want == 0)
        pp_permit_pass_on(pool->seats, pool->place.account, pool->seat, pp_book_size(pool->book));
    pp_host_table_pass_on(pp_book_hosts(pool->book), pool->seat);
}

/* ---- making room for others ---- */

/* The first at this loop who would be helped by the connection's place, but not by the connection; NULL: there is none, or places
 * enough for all of them are coming from connections that are being closed. */
static const pp_checkout_t *other_at_loop(const pp_conn_t *conn)
{
    pp_pool_t *pool = conn->host->pool;
    const pp_checkout_t *first = NULL;
    pp_host_t *host;
    int n = 0;

    PP_EACH_HOST(pool, host)
    {
        const pp_checkout_t *w = pp_waiter_first(host, STAGE_QUEUED);
        if (!w || (host == conn->host ? !w->fresh : host->lacks_place))
            continue;
        n += host == conn->host ? 1 : host->nwaiting[STAGE_QUEUED];
        if (pp_waiter_is_before(w, first))
            first = w;
    }
    return n > pool->nclosing ? first : NULL;
}

/* Has a wait at another loop lasted so much longer than one here? */
static bool is_much_longer(const pp_pool_t *pool, pp_time_t since, const pp_checkout_t *taker)
{
    pp_time_t other = pp_loop_now(pool->loop) - since, here = taker ? pp_loop_now(pool->loop) - taker->asked_at : 0;

    return !taker || (other - here > FAIR_LEAST && other > FAIR_FACTOR * here);
}

/* Promises the connection's place to another loop that is poorer, or waits much longer than who could have the connection here. */
static bool is_due_to_loop(const pp_conn_t *conn, pp_account_t *account, const pp_checkout_t *taker)
{
    const pp_pool_t *pool = conn->host->pool;
    pp_time_t since;
    bool poorer;
    int other = pp_permit_next(pool->seats, account, pool->seat, &since, &poorer);

    if (other < 0 || (!poorer && !is_much_longer(pool, since, taker)))
        return false;
    pp_permit_promise(account, other);
    return true;
}

bool pp_place_is_due(const pp_conn_t *conn)
{
    const pp_host_t *host = conn->host;
    const pp_pool_t *pool = host->pool;
    const pp_checkout_t *taker, *other;

    if (!pp_permit_is_wanted(pool->place.account) && !pp_permit_is_wanted(host->place.account) && pool->nwaiting == 0)
        return false;
    taker = pp_waiter_for_reused(host);
    other = other_at_loop(conn);
    if (other && is_much_longer(pool, other->asked_at, taker))
        return true;
    return is_due_to_loop(conn, pool->place.account, taker) || is_due_to_loop(conn, host->place.account, taker);
}
