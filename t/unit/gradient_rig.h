/* gradient_rig: a backend that serves `capacity` requests at once and queues the rest, clients in front of it, and the limit between
 * them; time is simulated. */
#ifndef GRADIENT_RIG_H
#define GRADIENT_RIG_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "pp_gradient.h"

#define RIG_IN_USE_MAX 4096

typedef struct rig_call_t {
    pp_time_t end, latency;
    bool failed;
} rig_call_t;

typedef struct rig_t {
    pp_gradient_t g;
    int least, most;
    pp_time_t now;

    int clients;    /* so many requests want to be under way at any time */
    int capacity;   /* the backend's servers */
    pp_time_t time; /* a request takes when there is no queue */
    double noise;   /* lognormal: sigma */
    double failing; /* which part of the requests fails */
    uint64_t random;

    rig_call_t calls[RIG_IN_USE_MAX]; /* a heap: the one that ends first is first */
    int in_use;
    int seen_least, seen_most; /* the limit, at any request's end since rig_watch() */
    long done;
} rig_t;

static void rig_watch(rig_t *rig)
{
    rig->seen_least = RIG_IN_USE_MAX;
    rig->seen_most = 0;
    rig->done = 0;
}

static void rig_begin(rig_t *rig, int capacity)
{
    *rig = (rig_t){.least = 1, .most = 1000, .now = PP_SEC(100), .clients = 2000, .capacity = capacity, .time = PP_MSEC(10)};
    rig_watch(rig);
}

static int rig_limit(const rig_t *rig)
{
    return pp_gradient_limit(&rig->g, rig->least, rig->most);
}

/* In (0, 1). */
static double rig_unit(rig_t *rig)
{
    uint64_t h = rig->random += 0x9e3779b97f4a7c15ull;

    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
    return ((double)((h ^ (h >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

static double rig_normal(rig_t *rig)
{
    return sqrt(-2 * log(rig_unit(rig))) * cos(6.283185307179586 * rig_unit(rig));
}

static void rig_swap(rig_t *rig, int a, int b)
{
    rig_call_t call = rig->calls[a];

    rig->calls[a] = rig->calls[b];
    rig->calls[b] = call;
}

/* A request goes to the backend, which has now in_use of them. */
static void rig_send(rig_t *rig)
{
    int i = rig->in_use++;
    double latency = (double)rig->time * (rig->in_use > rig->capacity ? (double)rig->in_use / rig->capacity : 1);

    if (rig->noise > 0)
        latency *= exp(rig->noise * rig_normal(rig));
    rig->calls[i] = (rig_call_t){rig->now + (pp_time_t)latency, (pp_time_t)latency, rig_unit(rig) < rig->failing};
    for (; i > 0 && rig->calls[i].end < rig->calls[(i - 1) / 2].end; i = (i - 1) / 2)
        rig_swap(rig, i, (i - 1) / 2);
}

/* The request that ends first ends. */
static void rig_end(rig_t *rig)
{
    rig_call_t call = rig->calls[0];

    rig->now = call.end;
    pp_gradient_sample(&rig->g, rig->least, rig->most, call.end, call.latency, rig->in_use, call.failed);
    rig->calls[0] = rig->calls[--rig->in_use];
    for (int i = 0, child; (child = 2 * i + 1) < rig->in_use; i = child) {
        child += child + 1 < rig->in_use && rig->calls[child + 1].end < rig->calls[child].end;
        if (rig->calls[i].end <= rig->calls[child].end)
            break;
        rig_swap(rig, i, child);
    }
    rig->done++;
}

static void rig_run(rig_t *rig, pp_time_t duration)
{
    for (pp_time_t until = rig->now + duration; rig->now < until;) {
        int limit = rig_limit(rig);

        rig->seen_least = limit < rig->seen_least ? limit : rig->seen_least;
        rig->seen_most = limit > rig->seen_most ? limit : rig->seen_most;
        while (rig->in_use < limit && rig->in_use < rig->clients && rig->in_use < RIG_IN_USE_MAX)
            rig_send(rig);
        rig_end(rig);
    }
}

/* The limit outside of dips. */
static double rig_level(const rig_t *rig)
{
    return (double)rig->g.limit / 256;
}

#endif
