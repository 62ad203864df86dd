/* pp_gradient: windows of samples, what each does to the limit, and dips. */
#include <math.h>

#include "pp_gradient.h"

#define ONE 256.0 /* of limit and high_in_use */

#define WINDOW_SAMPLES 20
#define WINDOW_LEAST PP_MSEC(100)
#define WINDOW_MOST PP_SEC(10) /* older and not full: it begins again */
#define TURN_MOST PP_SEC(1)    /* older: its owner is dead */

#define TOLERANCE 1.5   /* times the baseline is still no queue */
#define OUTLIER 4       /* times the baseline is what one sample counts for at most */
#define SHRINK_MOST 0.5 /* per window */
#define FAILURE_SHARE 8 /* one in so many shrinks */
#define DIP_DEPTH 0.5   /* times TOLERANCE less than 1: so repeated dips find the baseline even from within a queue */
#define DIP_IN_USE 0.65 /* a dip that did not get in_use down to this share says nothing */
#define STREAK_MOST 3   /* shrinking that often without success asks for a dip */
#define INTERVAL_MOST 256

typedef struct window_t {
    double failed;          /* which part of the requests; 0: too few to matter */
    bool is_full;           /* if so: */
    double latency, in_use; /* means */
} window_t;

/* The numbers of pp_gradient_t that belong to who has the turn. */
typedef struct state_t {
    double limit, baseline;
    int dip;
    double high_latency, high_in_use;
    int wait, interval, streak;
} state_t;

static int64_t get(const pp_gradient_number_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static void set(pp_gradient_number_t *number, int64_t value)
{
    atomic_store_explicit(number, value, memory_order_relaxed);
}

static int64_t add(pp_gradient_number_t *number, int64_t value)
{
    return atomic_fetch_add_explicit(number, value, memory_order_relaxed) + value;
}

static int64_t take(pp_gradient_number_t *number)
{
    return atomic_exchange_explicit(number, 0, memory_order_relaxed);
}

static double between(double low, double value, double high)
{
    return value < low ? low : value > high ? high : value;
}

int pp_gradient_limit(const pp_gradient_t *g, int least, int most)
{
    int64_t limit = get(&g->dip);

    if (limit == 0)
        limit = get(&g->limit) / (int64_t)ONE;
    if (limit == 0)
        limit = PP_GRADIENT_INITIAL;
    return limit < least ? least : limit > most ? most : (int)limit;
}

static state_t load(const pp_gradient_t *g, int least, int most)
{
    int64_t limit = get(&g->limit);

    return (state_t){
        .limit = between(least, limit ? (double)limit / ONE : PP_GRADIENT_INITIAL, most),
        .baseline = (double)get(&g->baseline),
        .dip = (int)get(&g->dip),
        .high_latency = (double)get(&g->high_latency),
        .high_in_use = (double)get(&g->high_in_use) / ONE,
        .wait = (int)get(&g->wait),
        .interval = (int)get(&g->interval),
        .streak = (int)get(&g->streak),
    };
}

static void store(pp_gradient_t *g, const state_t *s, int least, int most)
{
    set(&g->limit, (int64_t)(between(least, s->limit, most) * ONE));
    set(&g->baseline, s->baseline < 1 ? s->baseline > 0 : (int64_t)s->baseline);
    set(&g->high_latency, (int64_t)s->high_latency);
    set(&g->high_in_use, (int64_t)(s->high_in_use * ONE));
    set(&g->wait, s->wait);
    set(&g->interval, s->interval);
    set(&g->streak, s->streak);
    set(&g->dip, s->dip);
}

/* ---- what a window does ---- */

/* Latency is below the baseline: a little may be chance. Returns whether it is much. */
static bool lower_baseline(state_t *s, double latency)
{
    bool much = latency < s->baseline * 0.8;

    s->baseline = much ? latency : s->baseline - (s->baseline - latency) / 4;
    return much;
}

/* The next dip comes soon when something was learnt, else after twice the windows. */
static void plan_dip(state_t *s, bool learnt)
{
    s->interval = learnt ? 1 : s->interval < INTERVAL_MOST ? s->interval * 2 : INTERVAL_MOST;
    s->wait = s->interval;
}

static void begin_dip(state_t *s, const window_t *w, int least)
{
    int dip = (int)between(least, s->limit * DIP_DEPTH, s->limit);

    s->streak = 0;
    s->wait = s->interval;
    if (dip >= (int)s->limit) { /* at the bottom: latency is not of our making */
        if (w->latency > s->baseline)
            s->baseline += (w->latency - s->baseline) / 2;
        return;
    }
    s->dip = dip;
    s->high_latency = w->latency;
    s->high_in_use = w->in_use;
}

/* Latency that fell like in_use: both times the host was busy, at the same rate. That stayed: there is no queue. */
static void end_dip(state_t *s, const window_t *w)
{
    double in_use = w->in_use / s->high_in_use, latency = w->latency / s->high_latency;
    double dip = s->dip;
    bool learnt = false;

    s->dip = 0;
    if (in_use <= DIP_IN_USE) {
        if (w->latency < s->baseline) {
            learnt = lower_baseline(s, w->latency);
        }
        else if (latency > (1 + in_use) / 2) {
            learnt = w->latency > s->baseline * 1.2;
            s->baseline += (w->latency - s->baseline) / 2;
        }
        if (latency <= in_use * 1.2) {
            s->limit = dip;
            learnt = true;
        }
    }
    plan_dip(s, learnt);
}

/* The limit does not bind: it stays, and latency is the host's own. */
static void on_idle(state_t *s, const window_t *w)
{
    s->streak = 0;
    if (w->latency < s->baseline)
        lower_baseline(s, w->latency);
    else
        s->baseline += (w->latency - s->baseline) / 16;
}

static void on_busy(state_t *s, const window_t *w, int least, int most)
{
    double ratio;

    if (w->latency < s->baseline && lower_baseline(s, w->latency))
        plan_dip(s, true);
    ratio = w->latency / s->baseline;
    if (ratio > TOLERANCE) {
        s->limit *= between(SHRINK_MOST, TOLERANCE / ratio, 1);
        s->streak++;
    }
    else {
        s->limit += sqrt(s->limit) * between(0, (TOLERANCE - ratio) / (TOLERANCE - 1), 1);
        s->streak = 0;
    }
    s->limit = between(least, s->limit, most);
    if (--s->wait <= 0 || s->streak >= STREAK_MOST)
        begin_dip(s, w, least);
}

static void on_latency(state_t *s, const window_t *w, int least, int most)
{
    if (s->baseline <= 0) { /* the first window: is it a queue already? */
        s->baseline = w->latency;
        s->interval = 1;
        begin_dip(s, w, least);
    }
    else if (s->dip) {
        end_dip(s, w);
    }
    else if (w->in_use * 2 < (int)s->limit) {
        on_idle(s, w);
    }
    else {
        on_busy(s, w, least, most);
    }
}

/* ---- the window ---- */

/* Ends the window and begins the next. A sample that comes meanwhile may be in one sum only. */
static window_t take_window(pp_gradient_t *g, pp_time_t now)
{
    window_t w = {0};
    double samples, latency, in_use, failures;

    set(&g->began, now);
    samples = (double)take(&g->samples);
    latency = (double)take(&g->latency_sum);
    in_use = (double)take(&g->in_use_sum);
    failures = (double)take(&g->failures);
    if (failures > 0 && failures * FAILURE_SHARE >= samples + failures)
        w.failed = failures / (samples + failures);
    w.is_full = samples >= WINDOW_SAMPLES;
    if (w.is_full) {
        w.latency = fmax(latency / samples, 1);
        w.in_use = fmax(in_use / samples, 1);
    }
    return w;
}

static void update(pp_gradient_t *g, int least, int most, pp_time_t now)
{
    window_t w = take_window(g, now);
    state_t s = load(g, least, most);

    if (w.failed > 0) {
        s.limit *= 1 - w.failed / 2;
        s.dip = 0;
        set(&g->shrunk, now);
    }
    else if (w.is_full) {
        on_latency(&s, &w, least, most);
    }
    else {
        s.dip = 0;
    }
    store(g, &s, least, most);
}

/* Only one computes at a time; who finds another at it leaves it to that one. */
static void try_update(pp_gradient_t *g, int least, int most, pp_time_t now)
{
    int64_t turn = get(&g->turn);

    if (turn != 0 && now - turn < TURN_MOST)
        return;
    if (!atomic_compare_exchange_strong_explicit(&g->turn, &turn, now, memory_order_acquire, memory_order_relaxed))
        return;
    update(g, least, most, now);
    turn = now; /* unless it took so long that another has it */
    atomic_compare_exchange_strong_explicit(&g->turn, &turn, 0, memory_order_release, memory_order_relaxed);
}

/* How many failures end a window: with a low limit there are never many at once. */
static bool are_enough_failures(const pp_gradient_t *g, int64_t failures)
{
    return failures >= 2 && (failures >= WINDOW_SAMPLES || (double)failures >= (double)get(&g->limit) / ONE / 2);
}

/* One sample counts for at most OUTLIER times the baseline. Returns how many the window has. */
static int64_t add_answer(pp_gradient_t *g, pp_time_t latency, int in_use, pp_time_t baseline)
{
    add(&g->latency_sum, baseline && latency > baseline * OUTLIER ? baseline * OUTLIER : latency);
    add(&g->in_use_sum, in_use);
    return add(&g->samples, 1);
}

/* A window is as long as two answers take: in a shorter one only the quick ones would begin and end. */
void pp_gradient_sample(pp_gradient_t *g, int least, int most, pp_time_t now, pp_time_t latency, int in_use, bool failed)
{
    pp_time_t window_began = get(&g->began), began = now - latency, age = now - window_began, baseline = get(&g->baseline);
    bool is_full = false;

    if (window_began == 0)
        is_full = true;
    else if (failed)
        is_full = began >= get(&g->shrunk) && are_enough_failures(g, add(&g->failures, 1)) && age >= WINDOW_LEAST;
    else if (began >= window_began)
        is_full = add_answer(g, latency, in_use, baseline) >= WINDOW_SAMPLES && age >= WINDOW_LEAST && age >= baseline * 2;
    if (is_full || (age > WINDOW_MOST && age > baseline * WINDOW_SAMPLES))
        try_update(g, least, most, now);
}
