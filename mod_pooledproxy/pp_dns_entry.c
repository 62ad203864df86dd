/* pp_dns_entry: keeps what lookups say of a name, and decides when the next one is due. */
#include "pp_dns_own.h"

#include <apr_general.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pp_log.h"

#define TTL_HOSTS PP_SEC(5)      /* what comes from /etc/hosts has no time of its own */
#define RETRY PP_SEC(1)          /* from the beginning of a lookup that failed to the next one */
#define AGAIN_LEAST PP_MSEC(500) /* between lookups that nobody asked for, whatever the time of the records */
#define AHEAD_LEAST 80           /* percent of its time after which a name in use is looked up again: by chance between these, */
#define AHEAD_MOST 90            /* so that loops don't ask all at once */
#define IN_USE_LEAST PP_SEC(5)   /* a failing name is in use that long after it was asked for */

static pp_time_t now_of(const pp_dns_entry_t *entry)
{
    return pp_loop_now(entry->loop);
}

static void count(pp_number_t *number)
{
    pp_stat_add(number, 1);
}

bool pp_dns_entry_is_good(const pp_dns_entry_t *entry)
{
    return entry->addrs.n && (entry->is_literal || now_of(entry) < entry->good_until);
}

bool pp_dns_entry_is_usable(const pp_dns_entry_t *entry)
{
    return entry->addrs.n && (entry->is_literal || now_of(entry) < entry->stale_until);
}

/* ---- when to look it up again ---- */

static bool is_watched(const pp_dns_entry_t *entry)
{
    const pp_dns_watch_t *watch;

    APR_RING_FOREACH(watch, &entry->watches, pp_dns_watch_t, link)
    {
        if (watch->is_in_use(watch))
            return true;
    }
    return false;
}

static bool is_in_use(const pp_dns_entry_t *entry)
{
    pp_time_t lately = entry->policy.negative > IN_USE_LEAST ? entry->policy.negative : IN_USE_LEAST;

    if (entry->asked_at >= entry->began_at || is_watched(entry))
        return true;
    return (entry->failing || !entry->addrs.n) && now_of(entry) - entry->asked_at < lately;
}

static pp_time_t ahead_of(pp_time_t time)
{
    uint16_t chance = 0;

    apr_generate_random_bytes((unsigned char *)&chance, sizeof(chance));
    return time * (AHEAD_LEAST + (AHEAD_MOST - AHEAD_LEAST) * (pp_time_t)chance / UINT16_MAX) / 100;
}

/* A time that was set by hand is held to the end; a record's is what the name's owner allows at most. */
static void set_again(pp_dns_entry_t *entry, pp_time_t holds)
{
    pp_time_t time = entry->policy.ttl ? holds : ahead_of(holds);

    pp_timer_set(entry->loop, &entry->again, now_of(entry) + (time > AGAIN_LEAST ? time : AGAIN_LEAST));
}

static void on_again(pp_timer_t *timer)
{
    pp_dns_entry_t *entry = PP_OWNER_OF(timer, pp_dns_entry_t, again);

    if (is_in_use(entry))
        pp_dns_entry_look_up(entry);
}

void pp_dns_entry_touch(pp_dns_entry_t *entry)
{
    entry->asked_at = now_of(entry);
    if (!entry->again.when && !entry->in_flight && pp_dns_entry_is_good(entry)) /* it was not in use when its time came */
        pp_timer_set(entry->loop, &entry->again, entry->policy.ttl ? entry->good_until : now_of(entry));
}

/* ---- addresses ---- */

const pp_addr_t *pp_dns_entry_addrs(pp_dns_entry_t *entry, int port)
{
    if (entry->is_service)
        pp_dns_service_order(entry->places, entry->addrs.n, entry->addrs.addrs);
    return entry->is_service ? entry->addrs.addrs : pp_dns_addrs_for(&entry->addrs, port);
}

/* ---- outcomes ---- */

static pp_time_t lifetime(const pp_dns_policy_t *policy, int ttl)
{
    pp_time_t time = PP_SEC((pp_time_t)ttl);

    if (policy->ttl)
        return policy->ttl;
    return time < policy->min ? policy->min : time > policy->max ? policy->max : time;
}

static void addrs_append(pp_dns_addrs_t *to, const pp_dns_addrs_t *from)
{
    for (int i = 0; i < from->n; i++)
        pp_dns_addrs_add(to, &from->addrs[i].u, from->addrs[i].len);
}

/* Returns whether these are others than before. */
static bool addrs_replace(pp_dns_entry_t *entry, const pp_dns_addrs_t *all)
{
    bool changed = !pp_dns_addrs_same(all, &entry->addrs);

    pp_dns_addrs_clear(&entry->addrs);
    entry->addrs = *all;
    return changed;
}

/* All that is known of both families. */
static bool addrs_collect(pp_dns_entry_t *entry)
{
    pp_dns_addrs_t all = {0};

    for (int family = 0; family < PP_DNS_FAMILIES; family++)
        addrs_append(&all, &entry->families[family].addrs);
    return addrs_replace(entry, &all);
}

static bool places_take(pp_dns_entry_t *entry, pp_dns_service_t *service)
{
    pp_dns_addrs_t all = {0};

    for (int i = 0; i < service->nplaces; i++)
        pp_dns_addrs_add(&all, &service->places[i].addr.u, service->places[i].addr.len);
    free(entry->places);
    entry->places = service->places;
    service->places = NULL;
    return addrs_replace(entry, &all);
}

/* What one family's answer says; none: what was there stays as long as it is of use. Returns its TTL. */
static int family_take(pp_dns_entry_t *entry, int family, pp_dns_part_t *part, bool from_hosts)
{
    pp_dns_addrs_t *addrs = &entry->families[family].addrs;
    bool answered = part->status == APR_SUCCESS || part->status == PP_DNS_NO_NAME || part->status == PP_DNS_NO_RECORD;
    int ttl = from_hosts ? (int)(TTL_HOSTS / PP_SEC(1)) : part->ttl;

    if (!answered && now_of(entry) < entry->families[family].stale_until)
        return INT_MAX;
    pp_dns_addrs_clear(addrs);
    if (part->status != APR_SUCCESS)
        return INT_MAX;
    addrs_append(addrs, &part->addrs);
    entry->families[family].stale_until = now_of(entry) + lifetime(&entry->policy, ttl) + entry->policy.stale;
    return ttl;
}

static void set_times(pp_dns_entry_t *entry, int ttl)
{
    entry->good_until = now_of(entry) + lifetime(&entry->policy, ttl);
    entry->stale_until = entry->good_until + entry->policy.stale;
    set_again(entry, lifetime(&entry->policy, ttl));
}

static bool take_addrs(pp_dns_entry_t *entry)
{
    pp_dns_lookup_t *lookup = entry->lookup;
    int ttl = INT_MAX;

    if (entry->is_service) {
        set_times(entry, entry->service->ttl);
        return places_take(entry, entry->service);
    }

    for (int family = 0; family < PP_DNS_FAMILIES; family++) {
        int of_family = family_take(entry, family, &lookup->parts[family], lookup->from_hosts);
        ttl = of_family < ttl ? of_family : ttl;
    }
    set_times(entry, ttl);
    return addrs_collect(entry);
}

/* The name has no addresses: that is an answer, and holds at once. */
static bool take_nothing(pp_dns_entry_t *entry)
{
    for (int family = 0; family < PP_DNS_FAMILIES; family++)
        pp_dns_addrs_clear(&entry->families[family].addrs);
    entry->good_until = entry->stale_until = 0;
    return addrs_collect(entry);
}

static void set_retry(pp_dns_entry_t *entry)
{
    pp_time_t now = now_of(entry), when = entry->began_at + RETRY;

    entry->refuse_until = now + entry->policy.negative;
    pp_timer_set(entry->loop, &entry->again, when > now ? when : now + 1);
}

static bool take_outcome(pp_dns_entry_t *entry, apr_status_t status)
{
    entry->failing = status != APR_SUCCESS && status != APR_ENOENT;
    entry->status = status;
    if (status == APR_SUCCESS)
        return take_addrs(entry);
    if (entry->stats)
        count(&entry->stats->dns_failed);
    set_retry(entry);
    return status == APR_ENOENT ? take_nothing(entry) : false;
}

static void log_outcome(const pp_dns_entry_t *entry, bool changed)
{
    if (entry->status != APR_SUCCESS)
        pp_log(PP_LOG_INFO, "dns: %s: %s%s", entry->name, entry->failing ? "no answer" : "no addresses",
               pp_dns_entry_is_usable(entry) ? "; the last one is still used" : "");
    else
        pp_log(PP_LOG_DEBUG, "dns: %s: %d addresses%s for %d ms", entry->name, entry->addrs.n, changed ? ", others," : "",
               (int)((entry->good_until - now_of(entry)) / PP_MSEC(1)));
}

/* The lookup is over; or an answer that was missing then has come after all. */
static void on_news(void *owner, pp_dns_lookup_t *lookup)
{
    pp_dns_entry_t *entry = owner;
    bool changed;

    if (entry->in_flight) {
        entry->in_flight = false;
        changed = take_outcome(entry, lookup->status);
        log_outcome(entry, changed);
    }
    else {
        for (int family = 0; family < PP_DNS_FAMILIES; family++)
            family_take(entry, family, &lookup->parts[family], false);
        changed = addrs_collect(entry);
    }
    if (!lookup->nasking)
        pp_dns_lookup_drop(&entry->lookup);
    entry->on_known(entry, changed);
}

/* When some of its hosts had no answer, what was known of all of them is better than a part. */
static void on_service(void *owner, pp_dns_service_t *service)
{
    pp_dns_entry_t *entry = owner;
    bool changed, partial = service->status == APR_SUCCESS && service->incomplete && pp_dns_entry_is_usable(entry);

    entry->in_flight = false;
    changed = take_outcome(entry, partial ? APR_EGENERAL : service->status);
    log_outcome(entry, changed);
    pp_dns_service_drop(&entry->service);
    entry->on_known(entry, changed);
}

static void lookup_start(pp_dns_entry_t *entry)
{
    if (entry->is_service) {
        entry->service = pp_dns_service_make(entry->ares, entry->loop, entry->name, on_service, entry);
        pp_dns_service_start(entry->service);
        return;
    }
    entry->lookup = pp_dns_lookup_make(entry->ares, entry->loop, entry->name, on_news, entry);
    pp_dns_lookup_start(entry->lookup);
}

void pp_dns_entry_look_up(pp_dns_entry_t *entry)
{
    pp_time_t now = now_of(entry);

    if (entry->is_literal || entry->in_flight ||
        (entry->began_at && entry->status != APR_SUCCESS && now < entry->began_at + RETRY && now < entry->refuse_until))
        return;
    pp_timer_clear(&entry->again);
    pp_dns_lookup_drop(&entry->lookup);
    if (entry->stats)
        count(&entry->stats->dns_lookups);
    entry->in_flight = true;
    entry->began_at = now;
    lookup_start(entry);
}

/* ---- life ---- */

pp_dns_entry_t *pp_dns_entry_make(const char *key, size_t name_at, bool is_service)
{
    size_t size = strlen(key) + 1;
    pp_dns_entry_t *entry = calloc(1, sizeof(*entry) + size);

    if (!entry)
        abort();
    memcpy(entry->key, key, size);
    entry->name = entry->key + name_at;
    entry->again.on_timer = on_again;
    APR_RING_INIT(&entry->waiters, pp_dns_query_t, link);
    APR_RING_INIT(&entry->watches, pp_dns_watch_t, link);
    entry->is_service = is_service;
    entry->is_literal = !is_service && pp_dns_addrs_literal(&entry->addrs, entry->name);
    return entry;
}

void pp_dns_entry_free(pp_dns_entry_t *entry)
{
    pp_dns_lookup_drop(&entry->lookup);
    pp_dns_service_drop(&entry->service);
    pp_timer_remove(entry->loop, &entry->again);
    pp_timer_remove(entry->loop, &entry->patience);
    pp_timer_remove(entry->loop, &entry->news);
    for (int family = 0; family < PP_DNS_FAMILIES; family++)
        pp_dns_addrs_clear(&entry->families[family].addrs);
    pp_dns_addrs_clear(&entry->addrs);
    free(entry->places);
    free(entry);
}

bool pp_dns_entry_is_done(const pp_dns_entry_t *entry)
{
    pp_time_t now = now_of(entry);
    bool holds = entry->is_literal ? now < entry->asked_at + TTL_HOSTS : now < entry->stale_until || now < entry->refuse_until;

    return !entry->in_flight && !entry->nqueries && !holds && APR_RING_EMPTY(&entry->watches, pp_dns_watch_t, link);
}
