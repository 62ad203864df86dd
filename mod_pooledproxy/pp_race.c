/* pp_race: the addresses of a host race for one connection (RFC 8305 section 5): when one does not take it soon, the next is tried beside
 * it, as far as there are permits for one more; the first to connect wins, the others are closed.
 *
 * Permits: the first attempt goes on those of its opening, which stay that connection's; a second one beside it takes a place and a
 * handshake's permit of its own, when nobody waits for them, and returns them when one of the two has ended. Without permits the first
 * has its share of the time, then its address is given up for the next.
 */
#include <assert.h>
#include <stddef.h>

#include "pp_pool_own.h"

#define ATTEMPT_DELAY PP_MSEC(250) /* RFC 8305 section 8; also a SYN's way across the world and back */
#define LOOK_AGAIN PP_MSEC(50)     /* for permits */

static bool race_try(pp_race_t *race);

/* ---- permits of a second attempt ---- */

static void count_extra(pp_race_t *race, int n)
{
    race->nextra += n;
    race->host->nracing += n;
    pp_stat_add(&race->host->pool->stats->connecting, n);
}

static bool extra_take(pp_race_t *race)
{
    if (!pp_places_take_spare(race->host))
        return false;
    count_extra(race, +1);
    return true;
}

/* Returns all but those that attempts in flight need; the last one's are the opening's. Whether there were any. */
static bool extra_settle(pp_race_t *race)
{
    int needed = race->nflying > 1 ? race->nflying - 1 : 0;
    bool any = race->nextra > needed;

    while (race->nextra > needed) {
        count_extra(race, -1);
        pp_handshake_return(race->host);
        pp_place_return(race->host);
    }
    return any;
}

/* ---- attempts ---- */

static void attempt_end(pp_race_t *race, pp_attempt_t *attempt)
{
    if (attempt->conn)
        pp_conn_close(&attempt->conn);
    race->nflying--;
}

static void over(pp_race_t *race)
{
    for (int i = 0; i < PP_RACE_MOST; i++) {
        if (race->attempts[i].conn)
            attempt_end(race, &race->attempts[i]);
    }
    extra_settle(race);
    pp_timer_remove(race->host->pool->loop, &race->timer);
}

/* Those that began before the winner and have not come to an end, or were given up. */
static void note_slow(pp_race_t *race, int winner)
{
    for (int i = 0; i < winner; i++) {
        if (!race->failed[i])
            pp_order_note_slow(&race->host->order, pp_clock_now(), &race->addrs[i], &race->addrs[winner]);
    }
}

/* What is left of its share, but as long as an attempt has in any case. */
static pp_time_t give_up_time(const pp_race_t *race, const pp_attempt_t *attempt)
{
    pp_time_t least = pp_clock_now() + ATTEMPT_DELAY;

    if (race->next == race->naddrs || !attempt->until)
        return 0;
    return attempt->until > least ? attempt->until : least;
}

static void won(pp_race_t *race, pp_attempt_t *attempt)
{
    pp_conn_t *conn = attempt->conn;

    race->winner = attempt->addr;
    race->give_up_at = give_up_time(race, attempt);
    note_slow(race, race->winner);
    attempt->conn = NULL;
    race->nflying--;
    over(race);
    race->on_won(race, conn);
}

/* What is left of the race when an attempt has failed: the next address at once, in its place, else the other attempt. */
static void go_on(pp_race_t *race)
{
    if (race_try(race))
        return;
    if (extra_settle(race))
        pp_pool_dispatch(race->host->pool);
    if (race->nflying)
        return;
    over(race);
    race->on_lost(race, race->err);
}

static void on_connect_event(pp_conn_t *conn, apr_int16_t events)
{
    pp_attempt_t *attempt = conn->holder;
    pp_race_t *race = attempt->race;
    pp_err_t err = pp_conn_established(conn);

    (void)events;
    if (err == PP_OK) {
        won(race, attempt);
        return;
    }
    race->err = err;
    race->failed[attempt->addr] = true;
    attempt_end(race, attempt);
    go_on(race);
}

/* When to give up the address just taken for the next one, where there are no permits for both: the rest of the time in equal parts. 0:
 * never, for the last one has all the rest, and without a time-out there is nothing to share. */
static pp_time_t attempt_until(const pp_race_t *race)
{
    pp_time_t now = pp_clock_now(), share;
    int left = race->naddrs - race->next;

    if (left == 0 || !race->until)
        return 0;
    share = (race->until - now) / (left + 1);
    return now + (share > ATTEMPT_DELAY ? share : ATTEMPT_DELAY);
}

static pp_attempt_t *free_attempt(pp_race_t *race)
{
    for (int i = 0; i < PP_RACE_MOST; i++) {
        if (!race->attempts[i].conn)
            return &race->attempts[i];
    }
    return NULL;
}

static void look_in(pp_race_t *race, pp_time_t delay)
{
    if (race->next < race->naddrs)
        pp_timer_set(race->host->pool->loop, &race->timer, pp_clock_now() + delay);
    else
        pp_timer_clear(&race->timer);
}

/* The next address, until one begins to connect. False: none is left. */
static bool race_try(pp_race_t *race)
{
    pp_attempt_t *attempt = free_attempt(race);

    assert(attempt);
    while (race->next < race->naddrs) {
        attempt->addr = race->next++;
        race->err = pp_conn_open(&attempt->conn, race->host->pool->loop, &race->addrs[attempt->addr]);
        if (race->err == PP_OK) {
            attempt->race = race;
            attempt->until = attempt_until(race);
            attempt->conn->holder = attempt;
            attempt->conn->on_event = on_connect_event;
            race->nflying++;
            look_in(race, ATTEMPT_DELAY);
            return true;
        }
        race->failed[attempt->addr] = true;
    }
    return false;
}

/* ---- time ---- */

static pp_attempt_t *oldest(pp_race_t *race)
{
    pp_attempt_t *found = NULL;

    for (int i = 0; i < PP_RACE_MOST; i++) {
        pp_attempt_t *attempt = &race->attempts[i];
        if (attempt->conn && (!found || attempt->addr < found->addr))
            found = attempt;
    }
    return found;
}

/* Whoever is tried has not answered for a while. */
static void on_race_timer(pp_timer_t *timer)
{
    pp_race_t *race = PP_OWNER_OF(timer, pp_race_t, timer);
    pp_attempt_t *attempt = oldest(race);

    if (race->nflying < PP_RACE_MOST && extra_take(race)) {
        if (!race_try(race) && extra_settle(race))
            pp_pool_dispatch(race->host->pool);
        return;
    }
    if (attempt->until && pp_clock_now() >= attempt->until) {
        race->err = PP_ERR_connect_timeout;
        attempt_end(race, attempt);
        go_on(race);
        return;
    }
    look_in(race, LOOK_AGAIN);
}

/* ---- what the opening calls ---- */

void pp_race_start(pp_race_t *race)
{
    race->timer.on_timer = on_race_timer;
    if (!race_try(race))
        race->on_lost(race, race->err);
}

void pp_race_resume(pp_race_t *race, pp_err_t err)
{
    race->err = err;
    race->failed[race->winner] = err != PP_ERR_connect_timeout; /* else it was slow */
    go_on(race);
}

void pp_race_stop(pp_race_t *race)
{
    if (race->host)
        over(race);
}
