/* pp_dns: names to addresses on the event loop: c-ares, and a cache of what it said.
 *
 * Ownership: the resolver owns its entries, an entry its addresses; both are malloc'ed, as they come and go.
 * Threads: the loop's thread only.
 *
 * An entry is one name. Until `due` its last outcome holds; after that the first who asks starts a lookup, and whoever asks while it is
 * in flight shares it. Addresses are good until `due` and are served for another STALE while later lookups run or fail. How long an
 * outcome holds: addresses from DNS their TTL within [TTL_MIN, TTL_MAX], from /etc/hosts (which has no TTL; c-ares answers from it at
 * once) TTL_HOSTS, literals TTL_MAX, a failure TTL_FAILURE. Askers are never called from within c-ares: they become `ready` and a timer
 * calls them.
 */
#include "pp_dns.h"

#include <apr_hash.h>
#include <apr_lib.h>
#include <ares.h>
#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pp_dns_addrs.h"
#include "pp_log.h"

#define TTL_MIN PP_SEC(1)
#define TTL_MAX PP_SEC(300)
#define TTL_HOSTS PP_SEC(5)
#define TTL_FAILURE PP_SEC(1)
#define STALE PP_SEC(60)

/* c-ares doubles the time with each round through the servers: one mute server costs 2 + 4 seconds. */
#define TRY_MSEC 2000
#define TRIES 2

/* A name of 253 characters, its last dot, the NUL. */
#define NAME_SIZE 256

#define OWNER_OF(part, type, member) ((type *)((char *)(part)-offsetof(type, member)))

APR_RING_HEAD(queries_t, pp_dns_query_t);

typedef struct entry_t {
    pp_dns_t *dns;
    bool in_flight; /* c-ares will call on_addrinfo() */
    bool starting;  /* in ares_getaddrinfo(): what comes now was not sent for */
    struct queries_t waiters;
    int nqueries; /* of this name, here and among the ready */

    /* the last outcome */
    apr_status_t status;
    pp_time_t due;         /* a lookup is; 0: there was none yet */
    pp_time_t stale_until; /* the addresses are of no more use */
    pp_dns_addrs_t addrs;

    char name[]; /* in lower case */
} entry_t;

/* A descriptor of c-ares. Kept for the next one when c-ares closes it: its io must outlast the round. */
typedef struct sock_t sock_t;
struct sock_t {
    pp_io_t io;
    int fd;
    pp_dns_t *dns;
    sock_t *next;
};

struct pp_dns_t {
    pp_loop_t *loop;
    apr_pool_t *pool;
    ares_channel channel;
    bool going; /* c-ares ends all lookups, in any way it likes */
    pp_timer_t try_timer;
    sock_t *sockets;
    apr_hash_t *entries;
    struct queries_t ready; /* to be called, when the timer says so */
    pp_timer_t ready_timer;
};

/* ---- c-ares on the loop ---- */

static apr_status_t from_ares(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return APR_SUCCESS;
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
        return APR_ENOENT;
    case ARES_ETIMEOUT:
        return APR_TIMEUP;
    default:
        return APR_EGENERAL;
    }
}

/* To be called after each call of c-ares: when does it want to be called without any event? */
static void set_try_timer(pp_dns_t *dns)
{
    struct timeval tv, *left = ares_timeout(dns->channel, NULL, &tv);

    if (left)
        pp_timer_set(dns->loop, &dns->try_timer, pp_clock_now() + PP_SEC(left->tv_sec) + left->tv_usec + 1);
    else
        pp_timer_clear(&dns->try_timer);
}

static void on_try_timer(pp_timer_t *timer)
{
    pp_dns_t *dns = OWNER_OF(timer, pp_dns_t, try_timer);

    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_try_timer(dns);
}

static void on_io(pp_io_t *io, apr_int16_t events)
{
    sock_t *sock = OWNER_OF(io, sock_t, io);
    bool broken = events & (APR_POLLERR | APR_POLLHUP);

    ares_process_fd(sock->dns->channel, broken || events & APR_POLLIN ? sock->fd : ARES_SOCKET_BAD,
                    broken || events & APR_POLLOUT ? sock->fd : ARES_SOCKET_BAD);
    set_try_timer(sock->dns);
}

static sock_t *find_sock(pp_dns_t *dns, int fd)
{
    sock_t *sock;

    for (sock = dns->sockets; sock && !(sock->io.watched && sock->fd == fd); sock = sock->next)
        continue;
    return sock;
}

static sock_t *free_sock(pp_dns_t *dns)
{
    sock_t *sock;

    for (sock = dns->sockets; sock && sock->io.watched; sock = sock->next)
        continue;
    if (!sock) {
        sock = apr_pcalloc(dns->pool, sizeof(*sock));
        sock->dns = dns;
        sock->io.on_io = on_io;
        sock->next = dns->sockets;
        dns->sockets = sock;
    }
    return sock;
}

/* c-ares has opened a socket, or wants something else of it; neither: is about to close it. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    pp_dns_t *dns = arg;
    sock_t *sock = find_sock(dns, fd);
    apr_int16_t events = (readable ? APR_POLLIN : 0) | (writable ? APR_POLLOUT : 0);
    apr_status_t rv = APR_SUCCESS;

    if (!events) {
        if (sock)
            pp_io_unwatch(dns->loop, &sock->io);
        return;
    }
    if (sock) {
        rv = pp_io_want(dns->loop, &sock->io, events);
    }
    else {
        sock = free_sock(dns);
        sock->fd = fd;
        rv = pp_io_watch(dns->loop, &sock->io, fd, events, dns->pool);
    }
    if (rv != APR_SUCCESS) /* the try will time out */
        pp_log(PP_LOG_ERR, "dns: socket %d cannot be watched (%d)", fd, rv);
}

/* ---- who waits ---- */

static bool is_usable(const entry_t *entry)
{
    return entry->addrs.n && pp_loop_now(entry->dns->loop) < entry->stale_until;
}

/* Gives the query what the entry has. */
static apr_status_t fill(pp_dns_query_t *query, entry_t *entry)
{
    query->naddrs = entry->addrs.n;
    query->addrs = query->naddrs ? pp_dns_addrs_for(&entry->addrs, query->port) : NULL;
    return query->naddrs ? APR_SUCCESS : entry->status;
}

static void call_ready_soon(pp_dns_t *dns)
{
    if (!APR_RING_EMPTY(&dns->ready, pp_dns_query_t, link))
        pp_timer_set(dns->loop, &dns->ready_timer, pp_loop_now(dns->loop));
}

static void join_queue(struct queries_t *queue, pp_dns_query_t *query, entry_t *entry)
{
    APR_RING_INSERT_TAIL(queue, query, pp_dns_query_t, link);
    query->lookup = entry;
    entry->nqueries++;
}

static entry_t *leave_queue(pp_dns_query_t *query)
{
    entry_t *entry = query->lookup;

    APR_RING_REMOVE(query, link);
    query->lookup = NULL;
    entry->nqueries--;
    return entry;
}

/* Those who become ready while these are called wait for the next round. */
static void on_ready_timer(pp_timer_t *timer)
{
    pp_dns_t *dns = OWNER_OF(timer, pp_dns_t, ready_timer);
    struct queries_t batch;
    pp_dns_query_t *query;

    APR_RING_INIT(&batch, pp_dns_query_t, link);
    APR_RING_CONCAT(&batch, &dns->ready, pp_dns_query_t, link);
    while (!APR_RING_EMPTY(&batch, pp_dns_query_t, link)) {
        query = APR_RING_FIRST(&batch);
        query->on_resolved(query, fill(query, leave_queue(query)));
    }
}

/* ---- lookups ---- */

static void end_lookup(entry_t *entry, apr_status_t status, pp_time_t ttl)
{
    pp_dns_t *dns = entry->dns;

    entry->in_flight = false;
    entry->status = status;
    entry->due = pp_loop_now(dns->loop) + ttl;
    if (status == APR_SUCCESS)
        entry->stale_until = entry->due + STALE;
    APR_RING_CONCAT(&dns->ready, &entry->waiters, pp_dns_query_t, link);
    call_ready_soon(dns);
}

static pp_time_t ttl_of(const struct ares_addrinfo *ai)
{
    int ttl = INT_MAX;

    for (const struct ares_addrinfo_node *node = ai->nodes; node; node = node->ai_next)
        if (node->ai_ttl < ttl)
            ttl = node->ai_ttl;
    for (const struct ares_addrinfo_cname *cname = ai->cnames; cname; cname = cname->next)
        if (cname->ttl < ttl)
            ttl = cname->ttl;
    return PP_SEC(ttl) < TTL_MIN ? TTL_MIN : PP_SEC(ttl) > TTL_MAX ? TTL_MAX : PP_SEC(ttl);
}

static void take_addrs(entry_t *entry, const struct ares_addrinfo *ai)
{
    pp_dns_addrs_clear(&entry->addrs);
    for (const struct ares_addrinfo_node *node = ai->nodes; node; node = node->ai_next)
        pp_dns_addrs_add(&entry->addrs, node->ai_addr, (socklen_t)node->ai_addrlen);
}

static void on_addrinfo(void *arg, int status, int timeouts, struct ares_addrinfo *ai)
{
    entry_t *entry = arg;
    pp_time_t ttl;

    (void)timeouts;
    if (status == ARES_SUCCESS && !ai->nodes)
        status = ARES_ENODATA;
    if (entry->dns->going) {
        /* nobody waits any more */
    }
    else if (status == ARES_SUCCESS) {
        ttl = entry->starting ? TTL_HOSTS : ttl_of(ai);
        take_addrs(entry, ai);
        pp_log(PP_LOG_DEBUG, "dns: %s: %d addresses for %d s", entry->name, entry->addrs.n, (int)(ttl / PP_SEC(1)));
        end_lookup(entry, APR_SUCCESS, ttl);
    }
    else {
        pp_log(PP_LOG_INFO, "dns: %s: %s", entry->name, ares_strerror(status));
        end_lookup(entry, from_ares(status), TTL_FAILURE);
    }
    if (ai)
        ares_freeaddrinfo(ai);
}

/* May end at once. */
static void start_lookup(entry_t *entry)
{
    static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    pp_dns_t *dns = entry->dns;

    if (pp_dns_addrs_literal(&entry->addrs, entry->name)) {
        end_lookup(entry, APR_SUCCESS, TTL_MAX);
        return;
    }
    entry->in_flight = true;
    entry->starting = true;
    ares_getaddrinfo(dns->channel, entry->name, NULL, &hints, on_addrinfo, entry);
    entry->starting = false;
    set_try_timer(dns);
}

/* ---- the cache ---- */

static void free_entry(entry_t *entry)
{
    pp_dns_addrs_clear(&entry->addrs);
    free(entry);
}

/* Removes what holds no more and nobody waits for. */
static void evict(pp_dns_t *dns)
{
    pp_time_t now = pp_loop_now(dns->loop);

    for (apr_hash_index_t *hi = apr_hash_first(NULL, dns->entries); hi; hi = apr_hash_next(hi)) {
        entry_t *entry = apr_hash_this_val(hi);
        if (entry->in_flight || entry->nqueries || now < entry->due || now < entry->stale_until)
            continue;
        apr_hash_set(dns->entries, entry->name, APR_HASH_KEY_STRING, NULL);
        free_entry(entry);
    }
}

static entry_t *add_entry(pp_dns_t *dns, const char *name)
{
    size_t size = strlen(name) + 1;
    entry_t *entry = calloc(1, sizeof(*entry) + size);

    if (!entry)
        abort();
    entry->dns = dns;
    memcpy(entry->name, name, size);
    APR_RING_INIT(&entry->waiters, pp_dns_query_t, link);
    apr_hash_set(dns->entries, entry->name, APR_HASH_KEY_STRING, entry);
    return entry;
}

static entry_t *entry_of(pp_dns_t *dns, const char *name)
{
    entry_t *entry = apr_hash_get(dns->entries, name, APR_HASH_KEY_STRING);

    if (!entry) {
        evict(dns);
        entry = add_entry(dns, name);
    }
    return entry;
}

/* ---- what others call ---- */

apr_status_t pp_dns_resolve(pp_dns_t *dns, const char *host, int port, pp_dns_query_t *query)
{
    char name[NAME_SIZE];
    entry_t *entry;

    assert(query->on_resolved && !query->lookup);
    if (!pp_dns_name_copy(name, sizeof(name), host))
        return APR_EINVAL;
    entry = entry_of(dns, name);
    if (!entry->in_flight && pp_loop_now(dns->loop) >= entry->due)
        start_lookup(entry);
    query->port = port;
    if (is_usable(entry))
        return fill(query, entry);
    pp_dns_addrs_clear(&entry->addrs);
    join_queue(entry->in_flight ? &entry->waiters : &dns->ready, query, entry);
    call_ready_soon(dns);
    return APR_EAGAIN;
}

void pp_dns_cancel(pp_dns_query_t *query)
{
    if (query->lookup)
        leave_queue(query);
}

apr_status_t pp_dns_servers_set(pp_dns_t *dns, const char *servers_csv)
{
    switch (ares_set_servers_ports_csv(dns->channel, servers_csv)) {
    case ARES_SUCCESS:
        return APR_SUCCESS;
    case ARES_ENOTIMP: /* what c-ares says while a lookup is under way */
        return APR_EBUSY;
    default:
        return APR_EINVAL;
    }
}

/* c-ares tells of the end of each lookup from within ares_destroy(), so the entries go after the channel. */
static apr_status_t on_pool_gone(void *arg)
{
    pp_dns_t *dns = arg;

    dns->going = true;
    ares_destroy(dns->channel);
    pp_timer_remove(dns->loop, &dns->try_timer);
    pp_timer_remove(dns->loop, &dns->ready_timer);
    for (apr_hash_index_t *hi = apr_hash_first(NULL, dns->entries); hi; hi = apr_hash_next(hi))
        free_entry(apr_hash_this_val(hi));
    return APR_SUCCESS;
}

static void init_library(void)
{
    ares_library_init(ARES_LIB_INIT_ALL);
}

static apr_status_t create_channel(pp_dns_t *dns)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct ares_options options = {
        .timeout = TRY_MSEC, .tries = TRIES, .sock_state_cb = on_socket_state, .sock_state_cb_data = dns};

    pthread_once(&once, init_library);
    return from_ares(ares_init_options(&dns->channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB));
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
    (*dns)->try_timer.on_timer = on_try_timer;
    (*dns)->ready_timer.on_timer = on_ready_timer;
    APR_RING_INIT(&(*dns)->ready, pp_dns_query_t, link);
    rv = create_channel(*dns);
    if (rv == APR_SUCCESS)
        apr_pool_cleanup_register(own, *dns, on_pool_gone, apr_pool_cleanup_null);
    else
        apr_pool_destroy(own);
    return rv;
}
