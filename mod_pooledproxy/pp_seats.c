/* pp_seats: seats in shared memory, eventfds to wake who sits there, pidfds to see who has ended. */
#include "pp_seats.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pp_shared.h"

typedef struct seat_t {
    _Alignas(PP_CACHE_LINE) _Atomic int pid; /* who has it; 0: nobody; below 0: process -pid clears it */
    _Atomic int awake;                       /* woken and not yet heard */
    _Atomic int age;
    _Atomic int serves;
} seat_t;

typedef struct shared_t {
    _Alignas(PP_CACHE_LINE) _Atomic int used;
    seat_t seats[];
} shared_t;

struct pp_seats_t {
    int n;
    int *fds;
    shared_t *shared;
};

/* Not a pool's cleanup: with a restart the module's code may be another than the one that made the seats. */
void pp_seats_close(pp_seats_t *seats)
{
    for (int i = 0; i < seats->n; i++)
        if (seats->fds[i] >= 0)
            close(seats->fds[i]);
}

apr_status_t pp_seats_create(pp_seats_t **seatsp, int n, apr_pool_t *p)
{
    pp_seats_t *seats = apr_pcalloc(p, sizeof(*seats));
    void *memory;
    apr_status_t status = pp_shared_make(&memory, sizeof(shared_t) + sizeof(seat_t) * (apr_size_t)n, p);

    if (status != APR_SUCCESS)
        return status;
    seats->n = n;
    seats->shared = memory;
    seats->fds = apr_palloc(p, sizeof(int) * (apr_size_t)n);
    for (int i = 0; i < n; i++)
        seats->fds[i] = -1;
    for (int i = 0; i < n; i++) {
        seats->fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (seats->fds[i] < 0) {
            status = APR_FROM_OS_ERROR(errno);
            pp_seats_close(seats);
            return status;
        }
    }
    *seatsp = seats;
    return APR_SUCCESS;
}

int pp_seats_count(const pp_seats_t *seats)
{
    return seats->n;
}

int pp_seats_used(const pp_seats_t *seats)
{
    return atomic_load(&seats->shared->used);
}

static void used_at_least(pp_seats_t *seats, int used)
{
    int old = atomic_load(&seats->shared->used);

    while (old < used && !atomic_compare_exchange_weak(&seats->shared->used, &old, used))
        ;
}

int pp_seats_take(pp_seats_t *seats, pid_t pid, int age)
{
    for (int i = 0; i < seats->n; i++) {
        int nobody = 0;
        used_at_least(seats, i + 1); /* before it has anything that others must count */
        if (atomic_compare_exchange_strong(&seats->shared->seats[i].pid, &nobody, (int)pid)) {
            atomic_store(&seats->shared->seats[i].age, age);
            atomic_store(&seats->shared->seats[i].serves, 0);
            pp_seat_heard(seats, i);
            return i;
        }
    }
    return -1;
}

bool pp_seat_is_taken(const pp_seats_t *seats, int seat)
{
    return atomic_load(&seats->shared->seats[seat].pid) > 0;
}

void pp_seat_serves(pp_seats_t *seats, int seat, bool serves)
{
    atomic_store(&seats->shared->seats[seat].serves, serves);
}

int pp_seat_rank(const pp_seats_t *seats, int seat, int *of)
{
    int rank = -1;

    *of = 0;
    for (int i = 0; i < pp_seats_used(seats); i++) {
        if (!pp_seat_is_taken(seats, i) || !atomic_load(&seats->shared->seats[i].serves))
            continue;
        if (i == seat)
            rank = *of;
        ++*of;
    }
    return rank;
}

int pp_seat_fd(const pp_seats_t *seats, int seat)
{
    return seats->fds[seat];
}

void pp_seat_wake(pp_seats_t *seats, int seat)
{
    const uint64_t one = 1;

    if (atomic_exchange(&seats->shared->seats[seat].awake, 1))
        return;
    while (write(seats->fds[seat], &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

void pp_seat_heard(pp_seats_t *seats, int seat)
{
    uint64_t number;

    while (read(seats->fds[seat], &number, sizeof(number)) < 0 && errno == EINTR)
        ;
    atomic_store(&seats->shared->seats[seat].awake, 0);
}

/* Has the process ended, so far that it holds no descriptor any more? A zombie has; a signal to it would still succeed. */
static bool has_ended(pid_t pid)
{
    struct pollfd pfd = {.events = POLLIN};
    bool ended;

    pfd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pfd.fd < 0)
        return errno == ESRCH;
    ended = poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLIN);
    close(pfd.fd);
    return ended;
}

pid_t pp_seats_find_dead(const pp_seats_t *seats, int age)
{
    pid_t last = getpid();

    for (int i = 0; i < pp_seats_used(seats); i++) {
        int pid = atomic_load(&seats->shared->seats[i].pid);
        pid_t who = (pid_t)(pid < 0 ? -pid : pid);
        if (who == 0 || who == last || atomic_load(&seats->shared->seats[i].age) > age)
            continue;
        if (has_ended(who))
            return who;
        last = who; /* its next seats need not be looked at */
    }
    return 0;
}

/* Who died may have marked a seat as awake and not have woken it. */
static void wake_all(pp_seats_t *seats)
{
    for (int i = 0; i < pp_seats_used(seats); i++) {
        atomic_store(&seats->shared->seats[i].awake, 0);
        if (pp_seat_is_taken(seats, i))
            pp_seat_wake(seats, i);
    }
}

void pp_seats_bury(pp_seats_t *seats, pid_t pid, void (*clear)(void *self, int seat), void *self)
{
    int me = (int)getpid();
    bool buried = false;

    for (int i = 0; i < seats->n; i++) {
        seat_t *seat = &seats->shared->seats[i];
        int whose = atomic_load(&seat->pid);
        if ((whose != (int)pid && whose != -(int)pid) || !atomic_compare_exchange_strong(&seat->pid, &whose, -me))
            continue;
        clear(self, i);
        atomic_store(&seat->pid, 0);
        buried = true;
    }
    if (buried)
        wake_all(seats);
}
