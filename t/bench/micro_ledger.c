/* micro_ledger: what permits cost: nothing but a look when a connection is reused, the whole when one is opened and closed. */
#include <apr_general.h>

#include "micro.h"
#include "pp_ledger.h"

#define LOOPS 16

static pp_ledger_t *ledger;
static pp_seats_t *seats;
static pp_account_t *places;

static void prepare(void)
{
    static const pp_pool_policy_t policy = {.size = 1000};
    apr_pool_t *memory;
    pp_book_t *book;

    apr_initialize();
    apr_pool_create(&memory, NULL);
    micro_check(pp_ledger_create(&ledger, LOOPS, memory) == APR_SUCCESS, "there is no ledger");
    micro_check(pp_ledger_book(ledger, "micro", &policy, 8, &book) == APR_SUCCESS, "there is no book");
    seats = pp_ledger_seats(ledger);
    places = pp_book_places(book);
    for (int i = 0; i < LOOPS; i++)
        micro_check(pp_ledger_seat_take(ledger) == i, "a seat is missing");
}

/* What each check-in of a connection does. */
static void run_look(long times)
{
    prepare();
    for (long i = 0; i < times; i++) {
        bool wanted = pp_permit_is_wanted(places);
        pp_permit_idle(places, 0, (int)i);
        micro_use(&wanted);
    }
}

static void run_take(long times)
{
    prepare();
    for (long i = 0; i < times; i++) {
        micro_check(pp_permit_take(seats, places, 0, 1000), "no permit");
        pp_permit_return(seats, places, 0, 1000);
    }
}

static void run_give(long times)
{
    prepare();
    micro_check(pp_permit_take(seats, places, 0, 1), "no permit");
    for (long i = 0; i < times; i++) {
        int from = (int)(i % LOOPS), to = (int)((i + 1) % LOOPS);
        pp_permit_wait(places, to, 1, i + 1);
        pp_permit_return(seats, places, from, 1);
        micro_check(pp_permit_take(seats, places, to, 1), "no permit was given");
        pp_permit_wait(places, to, 0, 0);
        pp_seat_heard(seats, to);
    }
}

static const micro_t benchmarks[] = {
    {"permit: the look at each reuse", run_look},
    {"permit taken and returned, 16 loops", run_take},
    {"permit given to another loop and heard", run_give},
};

MICRO_MAIN(benchmarks)
