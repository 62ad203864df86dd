/* pp_ledger: lays accounts and statistics out in shared memory. */
#include "pp_ledger.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>
#include <unistd.h>

#include "pp_shared.h"

#define LAYOUT_VERSION (size_t)2 /* to be raised when a member changes its meaning but not its size */

#define STATS_SIZE pp_shared_lines(sizeof(pp_stats_t))

enum { BOOK_PLACES, BOOK_IDLE, BOOK_QUEUE, BOOK_ACCOUNTS };

struct pp_book_t {
    pp_ledger_t *ledger;
    const char *name;
    _Atomic int *size; /* from here on in shared memory */
    char *accounts;
    char *stats;
    apr_array_header_t
        *tables; /* of pp_host_table_t *: the last one is that of this configuration, the others are old children's */
};

struct pp_ledger_t {
    apr_pool_t *pool;
    pp_seats_t *seats;
    apr_array_header_t *books; /* of pp_book_t *; grows only, and only in the parent */
};

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

/* ---- books ---- */

static apr_status_t book_make(pp_ledger_t *ledger, const char *name, pp_book_t **bookp)
{
    pp_book_t *book = apr_pcalloc(ledger->pool, sizeof(*book));
    int nseats = pp_seats_count(ledger->seats);
    size_t accounts_size = pp_account_size(nseats) * BOOK_ACCOUNTS;
    void *memory;
    apr_status_t status = pp_shared_make(&memory, PP_CACHE_LINE + accounts_size + STATS_SIZE * (size_t)nseats, ledger->pool);

    if (status != APR_SUCCESS)
        return status;
    book->ledger = ledger;
    book->name = apr_pstrdup(ledger->pool, name);
    book->size = memory;
    book->accounts = (char *)memory + PP_CACHE_LINE;
    book->stats = book->accounts + accounts_size;
    book->tables = apr_array_make(ledger->pool, 1, sizeof(pp_host_table_t *));
    APR_ARRAY_PUSH(ledger->books, pp_book_t *) = book;
    *bookp = book;
    return APR_SUCCESS;
}

/* A table with room to spare: it shall do for the configurations to come, too. */
static apr_status_t book_make_table(pp_book_t *book, int nhosts)
{
    pp_host_table_t *table;
    apr_status_t status;
    int n = 1;

    while (n < nhosts)
        n *= 2;
    status = pp_host_table_create(&table, book->ledger->seats, n, book->ledger->pool);
    if (status == APR_SUCCESS)
        APR_ARRAY_PUSH(book->tables, pp_host_table_t *) = table;
    return status;
}

static pp_book_t *book_find(const pp_ledger_t *ledger, const char *name)
{
    for (int i = 0; i < ledger->books->nelts; i++) {
        pp_book_t *book = APR_ARRAY_IDX(ledger->books, i, pp_book_t *);
        if (strcmp(book->name, name) == 0)
            return book;
    }
    return NULL;
}

apr_status_t pp_ledger_book(pp_ledger_t *ledger, const char *name, const pp_pool_policy_t *policy, int nhosts, pp_book_t **bookp)
{
    pp_book_t *book = book_find(ledger, name);
    apr_status_t status = book ? APR_SUCCESS : book_make(ledger, name, &book);

    if (status == APR_SUCCESS && (!book->tables->nelts || pp_host_table_size(pp_book_hosts(book)) < nhosts))
        status = book_make_table(book, nhosts);
    if (status != APR_SUCCESS)
        return status;
    atomic_store(book->size, policy->size);
    *bookp = book;
    return APR_SUCCESS;
}

pp_ledger_t *pp_book_ledger(pp_book_t *book)
{
    return book->ledger;
}

int pp_book_size(const pp_book_t *book)
{
    return atomic_load_explicit(book->size, memory_order_relaxed);
}

pp_stats_t *pp_book_stats(pp_book_t *book, int seat)
{
    return (pp_stats_t *)(book->stats + STATS_SIZE * (size_t)seat);
}

pp_host_table_t *pp_book_hosts(pp_book_t *book)
{
    return APR_ARRAY_IDX(book->tables, book->tables->nelts - 1, pp_host_table_t *);
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

/* ---- processes ---- */

int pp_ledger_seat_take(pp_ledger_t *ledger)
{
    return pp_seats_take(ledger->seats, getpid(), ledger->books->nelts);
}

static void book_clear_seat(pp_book_t *book, int seat)
{
    for (int i = 0; i < BOOK_ACCOUNTS; i++)
        pp_account_clear(account(book, i), seat);
    for (int i = 0; i < book->tables->nelts; i++)
        pp_host_table_clear(APR_ARRAY_IDX(book->tables, i, pp_host_table_t *), seat);
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

bool pp_ledger_find_dead(pp_ledger_t *ledger)
{
    pid_t pid = pp_seats_find_dead(ledger->seats, ledger->books->nelts);

    if (pid)
        pp_ledger_process_gone(ledger, pid);
    return pid != 0;
}
