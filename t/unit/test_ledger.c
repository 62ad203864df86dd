/* test_ledger: permits over processes: whatever they do in whatever order, and whenever they are killed, no more are held than the limit,
 * none is lost, and nobody waits for ever. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pp_ledger.h"
#include "tap.h"

enum { SEATS = 8 };

static pp_ledger_t *ledger;
static pp_book_t *book;
static pp_seats_t *seats;
static pp_account_t *places;
static apr_pool_t *memory;

static void begin(int size)
{
    const pp_pool_policy_t policy = {.size = size};

    apr_pool_create(&memory, NULL);
    if (pp_ledger_create(&ledger, SEATS, memory) != APR_SUCCESS || pp_ledger_book(ledger, "test", &policy, 4, &book) != APR_SUCCESS)
        abort();
    seats = pp_ledger_seats(ledger);
    places = pp_book_places(book);
}

static void end(void)
{
    pp_ledger_close(ledger);
    apr_pool_destroy(memory);
}

static bool is_awake(int seat)
{
    struct pollfd pfd = {.fd = pp_seat_fd(seats, seat), .events = POLLIN};

    return poll(&pfd, 1, 0) == 1;
}

/* So many microseconds go by. */
static void pass(long time)
{
    const struct timespec timeout = {.tv_nsec = time * 1000};

    ppoll(NULL, 0, &timeout, NULL);
}

/* ---- one process, several seats ---- */

static void test_take_and_return(void)
{
    note("permits are taken up to the limit");
    begin(2);
    for (int seat = 0; seat < 3; seat++)
        pp_ledger_seat_take(ledger);
    ok(pp_permit_take(seats, places, 0, 2), "the first");
    ok(pp_permit_take(seats, places, 1, 2), "the second");
    ok(!pp_permit_take(seats, places, 2, 2), "no third");
    pp_permit_return(seats, places, 0, 2);
    ok(pp_permit_take(seats, places, 2, 2), "one that was returned");
    ok(pp_permit_take(seats, places, 2, 3), "one more when the limit is raised");
    pp_permit_return(seats, places, 1, 2);
    ok(!pp_permit_take(seats, places, 0, 2), "when it is lowered none until there are fewer");
    ok(pp_permit_take(seats, places, 0, 0), "without a limit there is always one");
    end();
}

static void test_longest_first(void)
{
    note("who has waited longest is given what is returned");
    begin(1);
    for (int seat = 0; seat < 4; seat++)
        pp_ledger_seat_take(ledger);
    pp_permit_take(seats, places, 0, 1);
    pp_permit_wait(places, 1, 2, 200);
    pp_permit_wait(places, 2, 1, 100);
    pp_permit_return(seats, places, 0, 1);
    ok(is_awake(2) && !is_awake(1), "he is woken, nobody else");
    ok(!pp_permit_take(seats, places, 3, 1), "nobody can take it from him on the way");
    ok(pp_permit_take(seats, places, 2, 1), "he has it");
    pp_permit_wait(places, 2, 0, 0);
    pp_permit_return(seats, places, 2, 1);
    ok(is_awake(1), "the next one's turn");
    pp_permit_wait(places, 1, 0, 0);
    pp_permit_pass_on(seats, places, 1, 1);
    ok(pp_permit_take(seats, places, 3, 1), "what he does not want any more is free");
    end();
}

static void test_promises(void)
{
    pp_time_t since;
    bool poorer;

    note("no more is closed for who waits than he wants");
    begin(1);
    for (int seat = 0; seat < 3; seat++)
        pp_ledger_seat_take(ledger);
    is_int(pp_permit_next(seats, places, 0, &since, &poorer), -1, "nobody waits");
    pp_permit_wait(places, 1, 1, 50);
    is_int(pp_permit_next(seats, places, 0, &since, &poorer), 1, "one does");
    is_int(since, 50, "... since when");
    is_int(pp_permit_next(seats, places, 1, &since, &poorer), -1, "... nobody beside himself");
    pp_permit_promise(places, 1);
    is_int(pp_permit_next(seats, places, 0, &since, &poorer), -1, "he has been promised one");
    pp_permit_forget_coming(places, 1);
    pp_permit_idle(places, 2, 5);
    pp_permit_ask(seats, places, 1, 3);
    is_int(pp_permit_asked(places, 2), 3, "who has idle ones is asked for some");
    is_int(pp_permit_asked(places, 2), 0, "... once");
    is_int(pp_permit_coming(places, 1), 3, "they are coming");
    end();
}

static void test_hosts(void)
{
    pp_host_accounts_t first, same, other[4];
    pp_host_table_t *table;
    char key[16];
    int found = 0;

    note("hosts have accounts of their own");
    begin(1);
    pp_ledger_seat_take(ledger);
    pp_ledger_seat_take(ledger);
    table = pp_book_hosts(book);
    ok(pp_host_table_use(table, "a:80", 0, &first) && first.places != first.handshakes, "one for places, one for handshakes");
    ok(pp_host_table_use(table, "a:80", 1, &same) && same.places == first.places, "the same for all loops");
    for (int i = 0; i < 4; i++) {
        snprintf(key, sizeof(key), "b:%d", i);
        found += pp_host_table_use(table, key, 0, &other[i]) && other[i].places != first.places;
    }
    is_int(found, 3, "others for others, as long as there is room");
    pp_host_table_leave(other[1].places, 0);
    ok(pp_host_table_use(table, "c:1", 0, &same) && same.places == other[1].places, "what nobody uses any more is another's");
    pp_permit_take(seats, other[2].places, 0, 1);
    pp_host_table_leave(other[2].places, 0);
    ok(!pp_host_table_use(table, "c:2", 0, &same), "... unless something of it is still held");
    pp_permit_return(seats, other[2].places, 0, 1);
    ok(pp_host_table_use(table, "c:2", 0, &same), "... then it is");
    ok(pp_host_table_use(table, "a:80", 1, &same) && same.places == first.places, "the first one is where it was");
    end();
}

static void test_restart(void)
{
    const pp_pool_policy_t larger = {.size = 7};
    const pp_host_table_t *table;
    pp_book_t *again;

    note("a restart finds the books of before");
    begin(3);
    pp_ledger_seat_take(ledger);
    pp_permit_take(seats, places, 0, 3);
    pp_ledger_book(ledger, "test", &larger, 4, &again);
    ok(again == book, "the same book under the same name");
    is_int(pp_book_size(book), 7, "... with the new size, for all");
    is_int(pp_account_sum(seats, pp_book_places(again)), 1, "... and what the old generation holds");
    table = pp_book_hosts(book);
    pp_ledger_book(ledger, "test", &larger, 100, &again);
    ok(again == book && pp_book_hosts(book) != table, "more hosts: another table, but the same book");
    pp_ledger_book(ledger, "another", &larger, 4, &again);
    ok(again != book, "another name, another book");
    end();
}

/* ---- many processes that are killed ---- */

enum { PROCESSES = 5, LIMIT = 4, ROUNDS = 60 };

/* What the processes report to the judge. A process that is stopped or killed between two steps makes `total` too low, never too
 * high, so that an excess is one. */
typedef struct report_t {
    _Atomic int have[PROCESSES];
    _Atomic int total;
    _Atomic int most;   /* the highest total seen */
    _Atomic long taken; /* permits taken in all */
    _Atomic long waits; /* of those, after waiting */
} report_t;

static report_t *report;

static void have_one_more(int process)
{
    int total, most = atomic_load(&report->most);

    atomic_fetch_add(&report->have[process], 1);
    total = atomic_fetch_add(&report->total, 1) + 1;
    while (total > most && !atomic_compare_exchange_weak(&report->most, &most, total))
        ;
    atomic_fetch_add(&report->taken, 1);
}

static void have_one_less(int process)
{
    atomic_fetch_sub(&report->total, 1);
    atomic_fetch_sub(&report->have[process], 1);
}

/* Waits as a loop does: registered, woken, looking around every 50 ms. */
static void take_or_wait(int seat)
{
    struct pollfd pfd = {.fd = pp_seat_fd(seats, seat), .events = POLLIN};

    if (pp_permit_take(seats, places, seat, LIMIT))
        return;
    atomic_fetch_add(&report->waits, 1);
    pp_permit_wait(places, seat, 1, pp_clock_now());
    while (!pp_permit_take(seats, places, seat, LIMIT)) {
        if (poll(&pfd, 1, 50) == 1)
            pp_seat_heard(seats, seat);
        else
            pp_ledger_find_dead(ledger);
    }
    pp_permit_wait(places, seat, 0, 0);
}

/* Takes and returns at random, for ever. */
static void process_run(int process, unsigned seed)
{
    int seat = pp_ledger_seat_take(ledger), n = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (seat < 0)
        _exit(1);
    srandom(seed);
    for (;;) {
        if (n > 0 && (n == 3 || random() % 2)) {
            have_one_less(process);
            pp_permit_return(seats, places, seat, LIMIT);
            n--;
        }
        else if (n > 0) {
            if (!pp_permit_take(seats, places, seat, LIMIT))
                continue;
            have_one_more(process);
            n++;
        }
        else {
            take_or_wait(seat);
            have_one_more(process);
            n++;
        }
        pp_permit_pass_on(seats, places, seat, LIMIT);
        if (random() % 8 == 0)
            pass(random() % 200);
    }
}

static pid_t process_start(int process, unsigned seed)
{
    pid_t pid = fork();

    if (pid == 0)
        process_run(process, seed);
    return pid;
}

/* It is stopped first, so that the report forgets what it has before anybody can have it after it. */
static void process_kill(int process, pid_t pid)
{
    kill(pid, SIGSTOP);
    waitpid(pid, NULL, WUNTRACED);
    atomic_fetch_sub(&report->total, atomic_exchange(&report->have[process], 0));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    pp_ledger_process_gone(ledger, pid);
}

static bool goes_on(void)
{
    long before = atomic_load(&report->taken);

    for (int i = 0; i < 400 && atomic_load(&report->taken) == before; i++)
        pass(5000);
    return atomic_load(&report->taken) > before;
}

static void test_killed(void)
{
    pid_t pids[PROCESSES];
    int stuck = 0;

    note("%d processes at one account, one killed again and again", PROCESSES);
    begin(LIMIT);
    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = process_start(i, (unsigned)i);
    for (int round = 0; round < ROUNDS; round++) {
        int victim = round % PROCESSES;
        pass(3000 + round * 37);
        process_kill(victim, pids[victim]);
        stuck += !goes_on();
        pids[victim] = process_start(victim, (unsigned)(round + PROCESSES));
    }
    for (int i = 0; i < PROCESSES; i++)
        process_kill(i, pids[i]);
    is_int(atomic_load(&report->most), LIMIT, "never more than the limit were held, and all of them were used");
    is_int(stuck, 0, "nothing ever stopped");
    ok(atomic_load(&report->waits) > ROUNDS, "... though many waited (%ld of %ld)", atomic_load(&report->waits),
       atomic_load(&report->taken));
    is_int(pp_account_sum(seats, places), 0, "nothing is left behind");
    munmap(report, sizeof(*report));
    end();
}

static void test_find_dead(void)
{
    int tube[2];
    char byte;
    pid_t pid;

    note("who waits finds the dead without the parent");
    begin(1);
    if (pipe(tube) != 0)
        abort();
    pid = fork();
    if (pid == 0) {
        pp_permit_take(seats, places, pp_ledger_seat_take(ledger), 1);
        (void)!write(tube[1], "x", 1);
        pause();
        _exit(0);
    }
    (void)!read(tube[0], &byte, 1);
    pp_ledger_seat_take(ledger);
    pp_ledger_find_dead(ledger);
    ok(!pp_permit_take(seats, places, 1, 1), "while it lives its permit is its own");
    kill(pid, SIGKILL);
    for (int i = 0; i < 1000 && pp_seat_is_taken(seats, 0); i++) { /* it is not waited for: a zombie */
        pp_ledger_find_dead(ledger);
        pass(1000);
    }
    ok(pp_permit_take(seats, places, 1, 1), "when it is dead it is free");
    waitpid(pid, NULL, 0);
    pp_ledger_process_gone(ledger, pid);
    is_int(pp_account_sum(seats, places), 1, "the parent finds nothing more to do");
    close(tube[0]);
    close(tube[1]);
    end();
}

int main(void)
{
    apr_initialize();
    test_take_and_return();
    test_longest_first();
    test_promises();
    test_hosts();
    test_restart();
    test_find_dead();
    test_killed();
    return done_testing();
}
