/* test_loop_io: the descriptors that pp_loop watches. */
#include <apr_general.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "loop_rig.h"

typedef struct watch_t {
    pp_io_t io;
    char c;
    int fd;
    pp_loop_t *loop;
    apr_pool_t *pool;
    struct watch_t *unwatch, *rewatch; /* what its callback does to others */
    apr_int16_t events;
} watch_t;

static void on_event(pp_io_t *io, apr_int16_t events)
{
    watch_t *watch = (watch_t *)io, *other;

    happen(watch->c);
    watch->events = events;
    if ((other = watch->unwatch))
        pp_io_unwatch(other->loop, &other->io);
    if ((other = watch->rewatch)) {
        pp_io_unwatch(other->loop, &other->io);
        pp_io_watch(other->loop, &other->io, other->fd, APR_POLLIN, other->pool);
    }
}

/* A watch of an eventfd; readable when `value` is not 0. */
static watch_t new_watch(pp_loop_t *loop, apr_pool_t *pool, char c, unsigned value)
{
    return (watch_t){.io.on_io = on_event, .c = c, .fd = eventfd(value, EFD_NONBLOCK), .loop = loop, .pool = pool};
}

static apr_status_t start_watch(watch_t *watch, apr_int16_t events)
{
    return pp_io_watch(watch->loop, &watch->io, watch->fd, events, watch->pool);
}

static const char *round_of(pp_loop_t *loop)
{
    *happened = 0;
    pp_loop_round(loop, PP_MSEC(20));
    return happened;
}

static void test_watching(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_loop(&pool);
    watch_t a = new_watch(loop, pool, 'a', 1);
    apr_socket_t *made;

    is_int(start_watch(&a, APR_POLLIN), APR_SUCCESS, "a descriptor is watched");
    is_str(round_of(loop), "a", "... its event comes");
    is_int(a.events, APR_POLLIN, "... just what it is watched for");
    is_str(round_of(loop), "a", "... again in the next round: level-triggered");
    pp_io_want(loop, &a.io, APR_POLLOUT);
    is_str(round_of(loop), "a", "another event wanted");
    is_int(a.events, APR_POLLOUT, "... comes");
    pp_io_want(loop, &a.io, 0);
    is_str(round_of(loop), "", "nothing wanted: nothing comes");
    made = a.io.socket;
    pp_io_unwatch(loop, &a.io);
    pp_io_unwatch(loop, &a.io);
    close(a.fd);
    a.fd = eventfd(1, 0);
    start_watch(&a, APR_POLLIN);
    is_str(round_of(loop), "a", "an io may watch another descriptor later");
    ok(a.io.socket == made, "... with the socket object it has");
    pp_io_unwatch(loop, &a.io);
    close(a.fd);
    ok(start_watch(&a, APR_POLLIN) != APR_SUCCESS && !a.io.watched, "a closed descriptor cannot be watched");
    apr_pool_destroy(pool);
}

static void test_hangup(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_loop(&pool);
    int fds[2];
    watch_t a = {.io.on_io = on_event, .c = 'a', .loop = loop, .pool = pool};

    if (pipe(fds) != 0)
        abort();
    a.fd = fds[0];
    start_watch(&a, 0);
    is_str(round_of(loop), "", "watched for nothing, nothing happens");
    close(fds[1]);
    is_str(round_of(loop), "a", "... until the other side hangs up");
    is_int(a.events, APR_POLLHUP, "... which is told as such");
    pp_io_unwatch(loop, &a.io);
    close(fds[0]);
    apr_pool_destroy(pool);
}

static void test_unwatch_in_round(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_loop(&pool);
    watch_t a = new_watch(loop, pool, 'a', 1), b = new_watch(loop, pool, 'b', 1);
    int readable = b.fd, silent = eventfd(0, 0);

    a.unwatch = &b;
    b.unwatch = &a;
    start_watch(&a, APR_POLLIN);
    start_watch(&b, APR_POLLIN);
    is_int((int)strlen(round_of(loop)), 1, "of two ready ones the first unwatches the other, which gets no callback");
    pp_io_unwatch(loop, &a.io);
    pp_io_unwatch(loop, &b.io);

    a.unwatch = b.unwatch = NULL;
    a.rewatch = &b;
    start_watch(&a, APR_POLLIN);
    start_watch(&b, APR_POLLIN);
    b.fd = silent;
    is_str(round_of(loop), "a", "one watched anew for another descriptor gets no event of the old one");
    is_str(round_of(loop), "a", "... nor later");
    b.fd = readable;
    is_str(round_of(loop), "a", "watched anew for a ready one");
    a.rewatch = NULL;
    ok(strchr(round_of(loop), 'b') != NULL, "... it gets its event in the next round");
    pp_io_unwatch(loop, &a.io);
    pp_io_unwatch(loop, &b.io);
    close(a.fd);
    close(readable);
    close(silent);
    apr_pool_destroy(pool);
}

static int many_events;

static void on_many(pp_io_t *io, apr_int16_t events)
{
    (void)events;
    many_events++;
    pp_io_unwatch(((watch_t *)io)->loop, io);
}

static void test_many_descriptors(void)
{
    apr_pool_t *pool;
    pp_loop_t *loop = new_loop(&pool);
    struct rlimit limit;
    int fd = eventfd(1, 0), n, watched = 0;
    watch_t *watches;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    n = limit.rlim_max > 20100 ? 20000 : (int)limit.rlim_max - 100;
    watches = calloc((size_t)n, sizeof(*watches));
    for (int i = 0; i < n; i++) {
        watches[i] = (watch_t){.io.on_io = on_many, .fd = dup(fd), .loop = loop, .pool = pool};
        watched += start_watch(&watches[i], APR_POLLIN) == APR_SUCCESS;
    }
    is_int(watched, n, "many thousand descriptors are watched");
    for (int i = 0; i < n && many_events < n; i++)
        pp_loop_round(loop, 0);
    is_int(many_events, n, "... each gets its event");
    for (int i = 0; i < n; i++)
        close(watches[i].fd);
    close(fd);
    free(watches);
    apr_pool_destroy(pool);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&top, NULL);
    test_watching();
    test_hangup();
    test_unwatch_in_round();
    test_many_descriptors();
    apr_pool_destroy(top);
    apr_terminate();
    return done_testing();
}
