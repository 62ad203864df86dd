/* pp_host_table: entries in shared memory, found by a hash of the host's key. */
#include "pp_host_table.h"

#include <apr_shm.h>
#include <limits.h>
#include <string.h>

#define CACHE_LINE 64
#define LOCK_TRIES 10000 /* some ten microseconds; the lock is held for one */

struct pp_host_table_t {
    pp_seats_t *seats;
    int n;
    _Atomic int *lock; /* the seat that has it, plus 1; 0: nobody */
    pp_host_shared_t *hosts;
    char *accounts; /* two for each host */
};

static size_t aligned(size_t size)
{
    return (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

apr_status_t pp_host_table_create(pp_host_table_t **tablep, pp_seats_t *seats, int nhosts, apr_pool_t *p)
{
    pp_host_table_t *table = apr_pcalloc(p, sizeof(*table));
    size_t hosts_size = aligned(sizeof(pp_host_shared_t) * (size_t)nhosts);
    size_t accounts_size = 2 * pp_account_size(pp_seats_count(seats)) * (size_t)nhosts;
    apr_shm_t *shm;
    apr_status_t status = apr_shm_create(&shm, 2 * CACHE_LINE + hosts_size + accounts_size, NULL, p);
    char *base;

    if (status != APR_SUCCESS)
        return status;
    base = (char *)aligned((size_t)apr_shm_baseaddr_get(shm));
    table->seats = seats;
    table->n = nhosts;
    table->lock = (_Atomic int *)base;
    table->hosts = (pp_host_shared_t *)(base + CACHE_LINE);
    table->accounts = base + CACHE_LINE + hosts_size;
    *tablep = table;
    return APR_SUCCESS;
}

int pp_host_table_size(const pp_host_table_t *table)
{
    return table->n;
}

/* Its place account (0) or its handshake account (1). */
static pp_account_t *account(const pp_host_table_t *table, int entry, int which)
{
    return (pp_account_t *)(table->accounts + pp_account_size(pp_seats_count(table->seats)) * (size_t)(2 * entry + which));
}

/* FNV-1a, 64 bits; never 0. Two keys with the same hash would share their limits, no more. */
static uint64_t hash_of(const char *key)
{
    uint64_t hash = 14695981039346656037u;

    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 1099511628211u;
    return hash ? hash : 1;
}

/* ---- the lock ---- */

static bool lock(pp_host_table_t *table, int seat)
{
    int holder = 0;

    for (int i = 0; i < LOCK_TRIES; i++) {
        holder = 0;
        if (atomic_compare_exchange_weak(table->lock, &holder, seat + 1))
            return true;
    }
    if (holder == 0 || pp_seat_is_taken(table->seats, holder - 1)) /* it has lost its processor */
        return false;
    return atomic_compare_exchange_strong(table->lock, &holder, seat + 1); /* it has died with it */
}

static void unlock(pp_host_table_t *table)
{
    atomic_store(table->lock, 0);
}

/* ---- entries; the lock is held ---- */

static bool is_in_use(const pp_host_table_t *table, int entry)
{
    for (int which = 0; which < 2; which++) {
        const pp_account_t *a = account(table, entry, which);
        for (int seat = 0; seat < pp_seats_used(table->seats); seat++)
            if (atomic_load(&a->cells[seat].uses) || atomic_load(&a->cells[seat].held) || atomic_load(&a->cells[seat].granted))
                return true;
    }
    return false;
}

/* Forgets what is known of the host that had the entry. */
static void entry_begin(pp_host_table_t *table, int entry, uint64_t hash)
{
    pp_host_shared_t *host = &table->hosts[entry];

    memset((void *)host, 0, sizeof(*host));
    atomic_store(&host->key, hash);
}

static int entry_find(pp_host_table_t *table, uint64_t hash)
{
    int at_first = (int)(hash % (uint64_t)table->n), usable = -1;

    for (int i = 0; i < table->n; i++) {
        int entry = (at_first + i) % table->n;
        uint64_t key = atomic_load(&table->hosts[entry].key);
        if (key == hash)
            return entry;
        if (key == 0 && usable < 0)
            usable = entry;
    }
    for (int entry = 0; entry < table->n && usable < 0; entry++)
        if (!is_in_use(table, entry))
            usable = entry;
    if (usable >= 0)
        entry_begin(table, usable, hash);
    return usable;
}

bool pp_host_table_use(pp_host_table_t *table, const char *key, int seat, pp_host_accounts_t *accounts)
{
    int entry;

    if (!lock(table, seat))
        return false;
    entry = entry_find(table, hash_of(key));
    if (entry >= 0) {
        *accounts = (pp_host_accounts_t){account(table, entry, 0), account(table, entry, 1), &table->hosts[entry]};
        atomic_fetch_add(&accounts->places->cells[seat].uses, 1);
    }
    unlock(table);
    return entry >= 0;
}

void pp_host_table_leave(pp_host_table_t *table, const pp_host_accounts_t *accounts, int seat)
{
    (void)table;
    atomic_fetch_sub(&accounts->places->cells[seat].uses, 1);
}

/* ---- all entries ---- */

void pp_host_table_pass_on(pp_host_table_t *table, int seat)
{
    for (int entry = 0; entry < table->n; entry++) {
        for (int which = 0; which < 2 && atomic_load(&table->hosts[entry].key); which++) {
            pp_account_t *a = account(table, entry, which);
            if (atomic_load(&a->cells[seat].granted) > 0 && atomic_load(&a->cells[seat].want) == 0)
                pp_permit_pass_on(table->seats, a, seat, INT_MAX);
        }
    }
}

void pp_host_table_clear(pp_host_table_t *table, int seat)
{
    for (int entry = 0; entry < table->n; entry++) {
        for (int which = 0; which < 2 && atomic_load(&table->hosts[entry].key); which++)
            pp_account_clear(table->seats, account(table, entry, which), seat);
    }
}

pp_time_t pp_host_table_close_age(const pp_host_table_t *table)
{
    pp_time_t least = 0, now = pp_clock_now();

    for (int i = 0; i < table->n; i++) {
        const pp_host_shared_t *host = &table->hosts[i];
        pp_time_t age = atomic_load(&host->close_age_until) > now ? atomic_load(&host->close_age) : 0;
        if (age && (!least || age < least))
            least = age;
    }
    return least;
}
