/* pp_ledger: lays accounts and statistics out in shared memory. */
#include "pp_ledger.h"

#include <apr_shm.h>
#include <apr_strings.h>
#include <string.h>
#include <unistd.h>

#define CACHE_LINE 64
#define LAYOUT_VERSION (size_t)1 /* to be raised when a member changes its meaning but not its size */

/* What begins a book in shared memory; the accounts follow: places, idle, queue, then two for each host; then the statistics. */
typedef struct book_head_t {
    _Alignas(CACHE_LINE) _Atomic int size;
    pp_host_shared_t hosts[];
} book_head_t;

enum { BOOK_PLACES, BOOK_IDLE, BOOK_QUEUE, BOOK_HOSTS };

struct pp_book_t {
    pp_ledger_t *ledger;
    const char *name;
    int nhosts; /* a power of 2; one more entry, for all others, follows */
    book_head_t *head;
    char *accounts;
    char *stats;
};

struct pp_ledger_t {
    apr_pool_t *pool;
    pp_seats_t *seats;
    apr_array_header_t *books; /* of pp_book_t *; grows only, and only in the parent */
};

static size_t aligned(size_t size)
{
    return (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

apr_status_t pp_ledger_create(pp_ledger_t **ledgerp, int nseats, apr_pool_t *p)
{
    pp_ledger_t *ledger = apr_pcalloc(p, sizeof(*ledger));

    ledger->pool = p;
    ledger->books = apr_array_make(p, 16, sizeof(pp_book_t *));
    *ledgerp = ledger;
    return pp_seats_create(&ledger->seats, nseats, p);
}

size_t pp_ledger_layout(void)
{
    return LAYOUT_VERSION << 48 | sizeof(pp_stats_t) << 24 | sizeof(pp_host_shared_t) << 12 |
           (sizeof(pp_cell_t) + sizeof(pp_account_t));
}

void pp_ledger_close(pp_ledger_t *ledger)
{
    pp_seats_close(ledger->seats);
}

pp_seats_t *pp_ledger_seats(pp_ledger_t *ledger)
{
    return ledger->seats;
}

static int naccounts(const pp_book_t *book)
{
    return BOOK_HOSTS + 2 * (book->nhosts + 1);
}

static apr_status_t book_make(pp_ledger_t *ledger, const char *name, int nhosts, pp_book_t **bookp)
{
    pp_book_t *book = apr_pcalloc(ledger->pool, sizeof(*book));
    int nseats = pp_seats_count(ledger->seats);
    size_t head_size, accounts_size;
    apr_shm_t *shm;
    apr_status_t status;

    book->ledger = ledger;
    book->name = apr_pstrdup(ledger->pool, name);
    for (book->nhosts = 1; book->nhosts < nhosts;)
        book->nhosts *= 2;
    head_size = aligned(sizeof(book_head_t) + sizeof(pp_host_shared_t) * (size_t)(book->nhosts + 1));
    accounts_size = pp_account_size(nseats) * (size_t)naccounts(book);
    status = apr_shm_create(&shm, CACHE_LINE + head_size + accounts_size + aligned(sizeof(pp_stats_t)) * (size_t)nseats, NULL,
                            ledger->pool);
    if (status != APR_SUCCESS)
        return status;
    book->head = (book_head_t *)aligned((size_t)apr_shm_baseaddr_get(shm));
    book->accounts = (char *)book->head + head_size;
    book->stats = book->accounts + accounts_size;
    *bookp = book;
    return APR_SUCCESS;
}

static pp_book_t *book_find(const pp_ledger_t *ledger, const char *name)
{
    for (int i = ledger->books->nelts - 1; i >= 0; i--) { /* the newest of that name */
        pp_book_t *book = APR_ARRAY_IDX(ledger->books, i, pp_book_t *);
        if (strcmp(book->name, name) == 0)
            return book;
    }
    return NULL;
}

apr_status_t pp_ledger_book(pp_ledger_t *ledger, const char *name, const pp_pool_policy_t *policy, int nhosts, pp_book_t **bookp)
{
    *bookp = book_find(ledger, name);
    if (!*bookp || (*bookp)->nhosts < nhosts) {
        apr_status_t status = book_make(ledger, name, nhosts, bookp);
        if (status != APR_SUCCESS)
            return status;
        APR_ARRAY_PUSH(ledger->books, pp_book_t *) = *bookp;
    }
    atomic_store(&(*bookp)->head->size, policy->size);
    return APR_SUCCESS;
}

int pp_ledger_seat_take(pp_ledger_t *ledger)
{
    return pp_seats_take(ledger->seats, getpid(), ledger->books->nelts);
}

pp_ledger_t *pp_book_ledger(pp_book_t *book)
{
    return book->ledger;
}

int pp_book_size(const pp_book_t *book)
{
    return atomic_load_explicit(&book->head->size, memory_order_relaxed);
}

pp_stats_t *pp_book_stats(pp_book_t *book, int seat)
{
    return (pp_stats_t *)(book->stats + aligned(sizeof(pp_stats_t)) * (size_t)seat);
}

static pp_account_t *account(pp_book_t *book, int index)
{
    return (pp_account_t *)(book->accounts + pp_account_size(pp_seats_count(book->ledger->seats)) * (size_t)index);
}

pp_account_t *pp_book_places(pp_book_t *book)
{
    return account(book, BOOK_PLACES);
}

pp_account_t *pp_book_idle(pp_book_t *book)
{
    return account(book, BOOK_IDLE);
}

pp_account_t *pp_book_queue(pp_book_t *book)
{
    return account(book, BOOK_QUEUE);
}

/* FNV-1a, 64 bits; never 0. Two keys with the same hash would share their limits, no more. */
static uint64_t hash_of(const char *key)
{
    uint64_t hash = 14695981039346656037u;

    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 1099511628211u;
    return hash ? hash : 1;
}

pp_host_accounts_t pp_book_host(pp_book_t *book, const char *key)
{
    uint64_t hash = hash_of(key);
    int at = book->nhosts; /* the entry for all others */

    for (int i = 0; i < book->nhosts; i++) {
        int slot = (int)((hash + (uint64_t)i) % (uint64_t)book->nhosts);
        uint64_t there = 0;
        if (atomic_compare_exchange_strong(&book->head->hosts[slot].key, &there, hash) || there == hash) {
            at = slot;
            break;
        }
    }
    return (pp_host_accounts_t){account(book, BOOK_HOSTS + 2 * at), account(book, BOOK_HOSTS + 2 * at + 1), &book->head->hosts[at]};
}

pp_time_t pp_book_close_age(const pp_book_t *book)
{
    pp_time_t least = 0, now = pp_clock_now();

    for (int i = 0; i <= book->nhosts; i++) {
        const pp_host_shared_t *host = &book->head->hosts[i];
        pp_time_t age = atomic_load(&host->close_age_until) > now ? atomic_load(&host->close_age) : 0;
        if (age && (!least || age < least))
            least = age;
    }
    return least;
}

/* ---- the end of a process ---- */

static void book_clear_seat(pp_book_t *book, int seat)
{
    pp_seats_t *seats = book->ledger->seats;

    for (int i = 0; i < BOOK_HOSTS; i++)
        pp_account_clear(seats, account(book, i), seat);
    for (int i = 0; i <= book->nhosts; i++) {
        if (i < book->nhosts && !atomic_load(&book->head->hosts[i].key))
            continue;
        pp_account_clear(seats, account(book, BOOK_HOSTS + 2 * i), seat);
        pp_account_clear(seats, account(book, BOOK_HOSTS + 2 * i + 1), seat);
    }
    pp_stats_clear_gauges(pp_book_stats(book, seat));
}

static void clear_seat(void *self, int seat)
{
    pp_ledger_t *ledger = self;

    for (int i = 0; i < ledger->books->nelts; i++)
        book_clear_seat(APR_ARRAY_IDX(ledger->books, i, pp_book_t *), seat);
}

void pp_ledger_process_gone(pp_ledger_t *ledger, pid_t pid)
{
    pp_seats_bury(ledger->seats, pid, clear_seat, ledger);
}

void pp_ledger_find_dead(pp_ledger_t *ledger)
{
    pid_t pid = pp_seats_find_dead(ledger->seats, ledger->books->nelts);

    if (pid)
        pp_ledger_process_gone(ledger, pid);
}
