/* pp_host_table: entries in shared memory, found by a hash of the host's key. */
#include "pp_host_table.h"

#include <limits.h>
#include <sched.h>
#include <string.h>

#include "pp_hash.h"
#include "pp_shared.h"

#define LOCK_TRIES 1000 /* each lets who has it go on; it has it for a microsecond */

struct pp_host_table_t {
    pp_seats_t *seats;
    int n;
    _Atomic int *lock; /* the seat that has it, plus 1; 0: nobody */
    pp_host_shared_t *hosts;
    char *accounts; /* two for each host */
};

apr_status_t pp_host_table_create(pp_host_table_t **tablep, pp_seats_t *seats, int nhosts, apr_pool_t *p)
{
    pp_host_table_t *table = apr_pcalloc(p, sizeof(*table));
    size_t hosts_size = pp_shared_lines(sizeof(pp_host_shared_t) * (size_t)nhosts);
    size_t accounts_size = 2 * pp_account_size(pp_seats_count(seats)) * (size_t)nhosts;
    void *memory;
    apr_status_t status = pp_shared_make(&memory, PP_CACHE_LINE + hosts_size + accounts_size, p);

    if (status != APR_SUCCESS)
        return status;
    table->seats = seats;
    table->n = nhosts;
    table->lock = memory;
    table->hosts = (pp_host_shared_t *)((char *)memory + PP_CACHE_LINE);
    table->accounts = (char *)table->hosts + hosts_size;
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

/* Never 0. Two keys with the same hash would share their limits, no more. */
static uint64_t hash_of(const char *key)
{
    uint64_t hash = pp_hash(key, strlen(key));

    return hash ? hash : 1;
}

/* ---- the lock: for making and reusing entries, not for finding them ---- */

static bool lock(pp_host_table_t *table, int seat)
{
    int holder = 0;

    for (int i = 0; i < LOCK_TRIES; i++) {
        holder = 0;
        if (atomic_compare_exchange_strong(table->lock, &holder, seat + 1))
            return true;
        if (!pp_seat_is_taken(table->seats, holder - 1)) /* it has died with it */
            return atomic_compare_exchange_strong(table->lock, &holder, seat + 1);
        sched_yield();
    }
    return false;
}

static void unlock(pp_host_table_t *table)
{
    atomic_store(table->lock, 0);
}

/* ---- entries ---- */

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

/* Takes it away from its host unless somebody uses it. Who finds it meanwhile says that it uses it, then looks whether it is there still. */
static bool entry_free(pp_host_table_t *table, int entry)
{
    pp_host_shared_t *host = &table->hosts[entry];
    uint64_t key = atomic_exchange(&host->key, 0);

    if (is_in_use(table, entry)) {
        atomic_store(&host->key, key);
        return false;
    }
    memset((void *)host, 0, sizeof(*host)); /* forgets what is known of the host that had it */
    return true;
}

/* The entry of that key, now used by the seat; -1: there is none. No lock. */
static int entry_find(pp_host_table_t *table, uint64_t hash, int seat)
{
    int first = (int)(hash % (uint64_t)table->n);

    for (int i = 0; i < table->n; i++) {
        int entry = (first + i) % table->n;
        _Atomic int *uses = &account(table, entry, 0)->cells[seat].uses;
        if (atomic_load(&table->hosts[entry].key) != hash)
            continue;
        atomic_fetch_add(uses, 1);
        if (atomic_load(&table->hosts[entry].key) == hash)
            return entry;
        atomic_fetch_sub(uses, 1);
    }
    return -1;
}

/* Makes an entry for that key, of a free one or of one that nobody uses; -1: there is none. The lock is held. */
static int entry_make(pp_host_table_t *table, uint64_t hash, int seat)
{
    int first = (int)(hash % (uint64_t)table->n), entry = -1;

    for (int i = 0; i < table->n && entry < 0; i++)
        if (!atomic_load(&table->hosts[(first + i) % table->n].key))
            entry = (first + i) % table->n;
    for (int i = 0; i < table->n && entry < 0; i++)
        if (entry_free(table, i))
            entry = i;
    if (entry >= 0) {
        atomic_fetch_add(&account(table, entry, 0)->cells[seat].uses, 1);
        atomic_store(&table->hosts[entry].key, hash);
    }
    return entry;
}

bool pp_host_table_use(pp_host_table_t *table, const char *key, int seat, pp_host_accounts_t *accounts)
{
    uint64_t hash = hash_of(key);
    int entry = entry_find(table, hash, seat);

    if (entry < 0 && lock(table, seat)) {
        entry = entry_find(table, hash, seat); /* somebody else may have made it */
        if (entry < 0)
            entry = entry_make(table, hash, seat);
        unlock(table);
    }
    if (entry >= 0)
        *accounts = (pp_host_accounts_t){account(table, entry, 0), account(table, entry, 1), &table->hosts[entry]};
    return entry >= 0;
}

void pp_host_table_leave(pp_account_t *places, int seat)
{
    atomic_fetch_sub(&places->cells[seat].uses, 1);
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
            pp_account_clear(account(table, entry, which), seat);
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
