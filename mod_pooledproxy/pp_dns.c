/* pp_dns: who asks for names, and the cache of what is known of them (pp_dns_entry).
 *
 * Ownership: the resolver owns its entries; they are malloc'ed, as they come and go.
 * Threads: the loop's thread only.
 *
 * Whoever asks while a lookup is in flight shares it. Askers and watchers are never called from within c-ares: a timer calls them.
 */
#include "pp_dns.h"

#include <apr_hash.h>
#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "pp_dns_own.h"

/* A name whose time was over this long ago is looked up before its addresses are used: where they lead may have changed since. But not
 * for longer than PATIENCE, and not when the resolver is known to fail. */
#define EXPIRED_LONG_AGO PP_SEC(1)
#define PATIENCE PP_MSEC(50)

#define KEY_SIZE (PP_DNS_NAME_SIZE + 128)

struct pp_dns_t {
    pp_loop_t *loop;
    apr_pool_t *pool;
    pp_dns_ares_t *ares;
    apr_hash_t *entries;
    struct pp_dns_queries_t ready; /* to be called, when the timer says so */
    pp_timer_t ready_timer;
};

/* ---- who waits ---- */

static void stat(pp_stats_t *stats, size_t offset)
{
    if (stats)
        pp_stat_add((pp_number_t *)((char *)stats + offset), 1);
}

/* Gives the query what the entry has. Who has waited for an answer gets it, even if it holds for no time at all. */
static apr_status_t fill(pp_dns_query_t *query, pp_dns_entry_t *entry)
{
    query->naddrs = pp_dns_entry_is_usable(entry) || entry->status == APR_SUCCESS ? entry->addrs.n : 0;
    query->addrs = query->naddrs ? pp_dns_entry_addrs(entry, query->port) : NULL;
    if (query->naddrs && !entry->is_literal && pp_loop_now(entry->loop) > entry->good_until)
        stat(entry->stats, offsetof(pp_stats_t, dns_stale));
    if (query->naddrs)
        return APR_SUCCESS;
    return entry->status != APR_SUCCESS ? entry->status : APR_EGENERAL;
}

static void call_ready_soon(pp_dns_t *dns)
{
    if (!APR_RING_EMPTY(&dns->ready, pp_dns_query_t, link))
        pp_timer_set(dns->loop, &dns->ready_timer, pp_loop_now(dns->loop));
}

static void join_queue(struct pp_dns_queries_t *queue, pp_dns_query_t *query, pp_dns_entry_t *entry)
{
    APR_RING_INSERT_TAIL(queue, query, pp_dns_query_t, link);
    query->entry = entry;
    entry->nqueries++;
}

static pp_dns_entry_t *leave_queue(pp_dns_query_t *query)
{
    pp_dns_entry_t *entry = query->entry;

    APR_RING_REMOVE(query, link);
    query->entry = NULL;
    entry->nqueries--;
    return entry;
}

/* Those who become ready while these are called wait for the next round. */
static void on_ready_timer(pp_timer_t *timer)
{
    pp_dns_t *dns = PP_OWNER_OF(timer, pp_dns_t, ready_timer);
    struct pp_dns_queries_t batch;
    pp_dns_query_t *query;

    APR_RING_INIT(&batch, pp_dns_query_t, link);
    APR_RING_CONCAT(&batch, &dns->ready, pp_dns_query_t, link);
    while (!APR_RING_EMPTY(&batch, pp_dns_query_t, link)) {
        query = APR_RING_FIRST(&batch);
        query->on_resolved(query, fill(query, leave_queue(query)));
    }
}

static void waiters_ready(pp_dns_entry_t *entry)
{
    pp_timer_clear(&entry->patience);
    APR_RING_CONCAT(&entry->dns->ready, &entry->waiters, pp_dns_query_t, link);
    call_ready_soon(entry->dns);
}

static void on_patience(pp_timer_t *timer)
{
    waiters_ready(PP_OWNER_OF(timer, pp_dns_entry_t, patience));
}

/* ---- who watches ---- */

/* Those who are called may end their watch, or another's. */
static void on_news_timer(pp_timer_t *timer)
{
    pp_dns_entry_t *entry = PP_OWNER_OF(timer, pp_dns_entry_t, news);
    struct pp_dns_watches_t batch;
    pp_dns_watch_t *watch;
    int n;

    entry->nqueries++; /* it must not go meanwhile */
    APR_RING_INIT(&batch, pp_dns_watch_t, link);
    APR_RING_CONCAT(&batch, &entry->watches, pp_dns_watch_t, link);
    while (!APR_RING_EMPTY(&batch, pp_dns_watch_t, link)) {
        watch = APR_RING_FIRST(&batch);
        APR_RING_REMOVE(watch, link);
        APR_RING_INSERT_TAIL(&entry->watches, watch, pp_dns_watch_t, link);
        n = entry->addrs.n;
        watch->on_change(watch, n ? pp_dns_entry_addrs(entry, watch->port) : NULL, n);
    }
    entry->nqueries--;
}

static void on_known(pp_dns_entry_t *entry, bool changed)
{
    if (!entry->in_flight)
        waiters_ready(entry);
    if (changed && !APR_RING_EMPTY(&entry->watches, pp_dns_watch_t, link))
        pp_timer_set(entry->loop, &entry->news, pp_loop_now(entry->loop));
}

/* ---- the cache ---- */

/* Removes what holds no more and nobody waits for. */
static void evict(pp_dns_t *dns)
{
    for (apr_hash_index_t *hi = apr_hash_first(NULL, dns->entries); hi; hi = apr_hash_next(hi)) {
        pp_dns_entry_t *entry = apr_hash_this_val(hi);
        if (!pp_dns_entry_is_done(entry))
            continue;
        apr_hash_set(dns->entries, entry->key, APR_HASH_KEY_STRING, NULL);
        pp_dns_entry_free(entry);
    }
}

static pp_dns_entry_t *add_entry(pp_dns_t *dns, const pp_dns_policy_t *policy, const char *key, size_t name_at, bool is_service)
{
    pp_dns_entry_t *entry = pp_dns_entry_make(key, name_at, is_service);

    entry->dns = dns;
    entry->ares = dns->ares;
    entry->loop = dns->loop;
    entry->policy = *policy;
    entry->on_known = on_known;
    entry->patience.on_timer = on_patience;
    entry->news.on_timer = on_news_timer;
    apr_hash_set(dns->entries, entry->key, APR_HASH_KEY_STRING, entry);
    return entry;
}

/* NULL: longer than a name can be. */
static pp_dns_entry_t *entry_of(pp_dns_t *dns, const pp_dns_name_t *name)
{
    const pp_dns_policy_t *p = name->policy;
    char key[KEY_SIZE];
    int at = snprintf(key, sizeof(key), "%s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " ", name->port ? "" : "srv",
                      (int64_t)p->ttl, (int64_t)p->max, (int64_t)p->min, (int64_t)p->stale, (int64_t)p->negative);
    pp_dns_entry_t *entry;

    if (!pp_dns_name_copy(key + at, PP_DNS_NAME_SIZE, name->host))
        return NULL;
    entry = apr_hash_get(dns->entries, key, APR_HASH_KEY_STRING);
    if (!entry) {
        evict(dns);
        entry = add_entry(dns, p, key, (size_t)at, name->port == 0);
    }
    if (name->stats)
        entry->stats = name->stats;
    return entry;
}

/* ---- what others call ---- */

/* A failure is told at once for a while, whatever is going on behind. */
static bool is_refused(const pp_dns_entry_t *entry)
{
    return !pp_dns_entry_is_usable(entry) && pp_loop_now(entry->loop) < entry->refuse_until;
}

/* Is it worth waiting for something better than stale addresses? */
static bool may_wait(const pp_dns_entry_t *entry)
{
    pp_time_t now = pp_loop_now(entry->loop);

    return entry->in_flight && !entry->failing && now >= entry->good_until + EXPIRED_LONG_AGO && now < entry->began_at + PATIENCE;
}

apr_status_t pp_dns_resolve(pp_dns_t *dns, const pp_dns_name_t *name, pp_dns_query_t *query)
{
    pp_dns_entry_t *entry = entry_of(dns, name);

    assert(query->on_resolved && !query->entry);
    if (!entry)
        return APR_EINVAL;
    query->port = name->port;
    pp_dns_entry_touch(entry);
    if (pp_dns_entry_is_good(entry) && !entry->is_literal)
        stat(entry->stats, offsetof(pp_stats_t, dns_hits));
    if (!pp_dns_entry_is_good(entry) && (!is_refused(entry) || !entry->again.when)) /* refused: behind, when nobody does already */
        pp_dns_entry_look_up(entry);
    if (pp_dns_entry_is_good(entry) || (pp_dns_entry_is_usable(entry) && !may_wait(entry)))
        return fill(query, entry);
    if (pp_dns_entry_is_usable(entry))
        pp_timer_set(dns->loop, &entry->patience, entry->began_at + PATIENCE);
    join_queue(entry->in_flight && !is_refused(entry) ? &entry->waiters : &dns->ready, query, entry);
    call_ready_soon(dns);
    return APR_EAGAIN;
}

void pp_dns_cancel(pp_dns_query_t *query)
{
    if (query->entry)
        leave_queue(query);
}

void pp_dns_watch(pp_dns_t *dns, const pp_dns_name_t *name, pp_dns_watch_t *watch)
{
    pp_dns_entry_t *entry = entry_of(dns, name);

    assert(watch->is_in_use && watch->on_change && !watch->entry);
    if (!entry || entry->is_literal)
        return;
    watch->entry = entry;
    watch->port = name->port;
    APR_RING_INSERT_TAIL(&entry->watches, watch, pp_dns_watch_t, link);
}

void pp_dns_unwatch(pp_dns_watch_t *watch)
{
    if (watch->entry)
        APR_RING_REMOVE(watch, link);
    watch->entry = NULL;
}

apr_status_t pp_dns_servers_set(pp_dns_t *dns, const char *servers_csv)
{
    return pp_dns_ares_servers_set(dns->ares, servers_csv);
}

/* The entries go first: what c-ares says when it is ended is of no interest any more. */
static apr_status_t on_pool_gone(void *arg)
{
    pp_dns_t *dns = arg;

    for (apr_hash_index_t *hi = apr_hash_first(NULL, dns->entries); hi; hi = apr_hash_next(hi))
        pp_dns_entry_free(apr_hash_this_val(hi));
    pp_dns_ares_destroy(dns->ares);
    pp_timer_remove(dns->loop, &dns->ready_timer);
    return APR_SUCCESS;
}

apr_status_t pp_dns_create(pp_dns_t **dns, pp_loop_t *loop, apr_pool_t *pool)
{
    apr_pool_t *own; /* children go before their parent's cleanups run, so before the loop if that is in `pool` too */
    apr_status_t rv = apr_pool_create(&own, pool);

    if (rv != APR_SUCCESS)
        return rv;
    *dns = apr_pcalloc(own, sizeof(**dns));
    (*dns)->loop = loop;
    (*dns)->pool = own;
    (*dns)->entries = apr_hash_make(own);
    (*dns)->ready_timer.on_timer = on_ready_timer;
    APR_RING_INIT(&(*dns)->ready, pp_dns_query_t, link);
    rv = pp_dns_ares_create(&(*dns)->ares, loop, own);
    if (rv == APR_SUCCESS)
        apr_pool_cleanup_register(own, *dns, on_pool_gone, apr_pool_cleanup_null);
    else
        apr_pool_destroy(own);
    return rv;
}
