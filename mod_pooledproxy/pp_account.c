/* pp_account: see the header for why this is exact. All accesses are sequentially consistent unless said otherwise. */
#include "pp_account.h"

#include <assert.h>
#include <limits.h>

#define SUM_TRIES 16  /* each is spoilt by another process that moved a permit just then */
#define TAKE_TRIES 16 /* each is spoilt by another process that stepped back from the same permit */

int pp_account_sum(const pp_seats_t *seats, const pp_account_t *account)
{
    for (int i = 0; i < SUM_TRIES; i++) {
        unsigned moves = atomic_load(&account->moves);
        int sum = 0;
        for (int seat = 0; seat < pp_seats_used(seats); seat++) {
            sum += atomic_load(&account->cells[seat].granted); /* first: a seat raises held before it lowers granted */
            sum += atomic_load(&account->cells[seat].held);
        }
        if (moves == atomic_load(&account->moves))
            return sum;
    }
    return INT_MAX;
}

int pp_account_in_use(const pp_seats_t *seats, const pp_account_t *account)
{
    int sum = 0;

    for (int seat = 0; seat < pp_seats_used(seats); seat++)
        sum += atomic_load_explicit(&account->cells[seat].held, memory_order_relaxed) -
               atomic_load_explicit(&account->cells[seat].idle, memory_order_relaxed);
    return sum;
}

static bool is_wanted(const pp_account_t *account)
{
    return atomic_load(&account->wanted) != 0;
}

/* What a search for the seat whose turn it is leaves out. */
typedef struct search_t {
    int except;        /* this seat */
    bool count_coming; /* who gets all that it wants if what is coming comes */
} search_t;

static int holds(const pp_cell_t *cell)
{
    return atomic_load(&cell->held) + atomic_load(&cell->granted);
}

static bool is_content(const pp_cell_t *cell, const search_t *search)
{
    int gets = atomic_load(&cell->granted) + (search->count_coming ? atomic_load(&cell->coming) : 0);

    return gets >= atomic_load(&cell->want);
}

static int demands(const pp_cell_t *cell)
{
    return holds(cell) + atomic_load(&cell->want);
}

/* Who has less of what it needs comes first, then who has waited longer. Given by time alone, all that is returned would go to one loop,
 * which then has too many and returns them all again. */
static bool is_before(const pp_cell_t *a, const pp_cell_t *b)
{
    int64_t share_a = (int64_t)holds(a) * demands(b), share_b = (int64_t)holds(b) * demands(a);

    return share_a != share_b ? share_a < share_b : atomic_load(&a->since) < atomic_load(&b->since);
}

/* The seat that waits, was given less than it wants and comes first; -1: none. *any: somebody waits. */
static int scan(const pp_seats_t *seats, pp_account_t *account, const search_t *search, bool *any)
{
    int first = -1;

    *any = false;
    for (int seat = 0; seat < pp_seats_used(seats); seat++) {
        pp_cell_t *cell = &account->cells[seat];
        if (!atomic_load(&cell->since))
            continue;
        *any = true;
        if (seat == search->except || is_content(cell, search))
            continue;
        if (first < 0 || is_before(cell, &account->cells[first]))
            first = seat;
    }
    return first;
}

static int next_waiting(pp_seats_t *seats, pp_account_t *account, const search_t *search)
{
    bool any;
    int next = scan(seats, account, search, &any);

    if (any)
        return next;
    atomic_store(&account->wanted, 0);
    next = scan(seats, account, search, &any);
    if (any) { /* who registered between: was not to be seen, by those either who returned a permit just now */
        atomic_store(&account->wanted, 1);
        if (next >= 0)
            pp_seat_wake(seats, next);
    }
    return next;
}

static void wake_next(pp_seats_t *seats, pp_account_t *account, int except)
{
    search_t search = {except, false};
    int seat = is_wanted(account) ? next_waiting(seats, account, &search) : -1;

    if (seat >= 0)
        pp_seat_wake(seats, seat);
}

/* Not below 0. */
static void lower_coming(pp_cell_t *cell)
{
    int coming = atomic_load(&cell->coming);

    while (coming > 0 && !atomic_compare_exchange_weak(&cell->coming, &coming, coming - 1))
        ;
}

bool pp_permit_take(pp_seats_t *seats, pp_account_t *account, int seat, int limit)
{
    pp_cell_t *cell = &account->cells[seat];

    if (atomic_load(&cell->granted) > 0) {
        atomic_fetch_add(&cell->held, 1);
        atomic_fetch_sub(&cell->granted, 1);
        lower_coming(cell);
        return true;
    }
    if (!limit) {
        atomic_fetch_add(&cell->held, 1);
        return true;
    }
    for (int i = 0; i < TAKE_TRIES; i++) {
        if (pp_account_sum(seats, account) >= limit)
            return false;
        atomic_fetch_add(&cell->held, 1);
        if (pp_account_sum(seats, account) <= limit)
            return true;
        atomic_fetch_sub(&cell->held, 1);
        wake_next(seats, account, seat); /* who may have found no permit because of this one */
    }
    return false;
}

/* One of this seat's goes to the cell of `to`. */
static void move(pp_seats_t *seats, pp_account_t *account, _Atomic int *from, int seat, int to)
{
    pp_cell_t *cell = &account->cells[to];

    atomic_fetch_add(&cell->granted, 1);
    atomic_fetch_add(&account->moves, 1); /* between the two: see pp_account_sum() */
    atomic_fetch_sub(from, 1);
    if (to == seat)
        return;
    if (!pp_seat_is_taken(seats, to))
        atomic_store(&cell->granted, 0); /* it died and was cleared meanwhile, perhaps before this one came */
    else
        pp_seat_wake(seats, to);
}

static void give(pp_seats_t *seats, pp_account_t *account, _Atomic int *from, int seat, int except, int limit)
{
    search_t search = {except, false};
    int to = -1;

    assert(atomic_load(from) > 0);
    if (is_wanted(account) && (!limit || pp_account_sum(seats, account) <= limit))
        to = next_waiting(seats, account, &search);
    if (to >= 0) {
        move(seats, account, from, seat, to);
        return;
    }
    atomic_fetch_sub(from, 1);
    wake_next(seats, account, except); /* who registered meanwhile, or may take it now that fewer are held than the limit */
}

void pp_permit_return(pp_seats_t *seats, pp_account_t *account, int seat, int limit)
{
    give(seats, account, &account->cells[seat].held, seat, -1, limit);
}

void pp_permit_pass_on(pp_seats_t *seats, pp_account_t *account, int seat, int limit)
{
    while (atomic_load(&account->cells[seat].granted) > 0)
        give(seats, account, &account->cells[seat].granted, seat, seat, limit);
}

void pp_permit_wait(pp_account_t *account, int seat, int want, pp_time_t since)
{
    pp_cell_t *cell = &account->cells[seat];

    atomic_store(&cell->want, want);
    atomic_store(&cell->since, want ? since : 0);
    if (want)
        atomic_store(&account->wanted, 1);
}

void pp_permit_ask(pp_seats_t *seats, pp_account_t *account, int seat, int n)
{
    int used = pp_seats_used(seats);

    for (int i = 1; i < used && n > 0; i++) {
        int other = (seat + i) % used;
        pp_cell_t *cell = &account->cells[other];
        int has = atomic_load(&cell->idle) - atomic_load(&cell->asked), some = has < n ? has : n;
        if (some <= 0)
            continue;
        atomic_fetch_add(&account->cells[seat].coming, some);
        atomic_fetch_add(&cell->asked, some);
        pp_seat_wake(seats, other);
        n -= some;
    }
}

int pp_permit_asked(pp_account_t *account, int seat)
{
    _Atomic int *asked = &account->cells[seat].asked;

    return atomic_load(asked) ? atomic_exchange(asked, 0) : 0;
}

int pp_permit_next(pp_seats_t *seats, pp_account_t *account, int seat, pp_time_t *since, bool *poorer)
{
    const pp_cell_t *mine = &account->cells[seat], *its;
    search_t search = {seat, true};
    int other = is_wanted(account) ? next_waiting(seats, account, &search) : -1;

    if (other < 0)
        return -1;
    its = &account->cells[other];
    *since = atomic_load(&its->since);
    *poorer = (int64_t)(holds(its) + 1) * demands(mine) <= (int64_t)(holds(mine) - 1) * demands(its);
    return other;
}

void pp_permit_promise(pp_account_t *account, int other)
{
    atomic_fetch_add(&account->cells[other].coming, 1);
}

void pp_permit_disappoint(pp_seats_t *seats, pp_account_t *account, int n)
{
    for (int seat = 0; seat < pp_seats_used(seats) && n > 0; seat++) {
        pp_cell_t *cell = &account->cells[seat];
        int coming = atomic_load(&cell->coming), some = coming < n ? coming : n;
        if (some <= 0 || !atomic_compare_exchange_strong(&cell->coming, &coming, coming - some))
            continue;
        n -= some;
        pp_seat_wake(seats, seat);
    }
}

int pp_permit_coming(const pp_account_t *account, int seat)
{
    return atomic_load(&account->cells[seat].coming);
}

void pp_permit_forget_coming(pp_account_t *account, int seat)
{
    atomic_store(&account->cells[seat].coming, 0);
}

void pp_account_clear(pp_account_t *account, int seat)
{
    pp_cell_t *cell = &account->cells[seat];

    atomic_store(&cell->since, 0);
    atomic_store(&cell->want, 0);
    atomic_store(&cell->idle, 0);
    atomic_store(&cell->asked, 0);
    atomic_store(&cell->coming, 0);
    atomic_store(&cell->uses, 0);
    atomic_store(&cell->granted, 0);
    atomic_store(&cell->held, 0);
}
