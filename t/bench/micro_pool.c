/* micro_pool: taking an idle connection from a pool and giving it back, within one round of the loop, as a busy proxy does. */
#include <apr_general.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "micro.h"
#include "pp_pool.h"

#define CONNS 50

static pp_loop_t *loop;
static pp_pool_t *pool;
static pp_target_t target = {.key = "http://127.0.0.1", .host = "127.0.0.1"};
static pp_conn_t *opened[CONNS];
static int nopened;
static long runs, depth;

/* A server that never accepts: the kernel completes the connections. */
static int listen_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    micro_check(bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 2 * CONNS) == 0, "nothing to listen on");
    getsockname(fd, (struct sockaddr *)&address, &len);
    return ntohs(address.sin_port);
}

static void on_conn(pp_checkout_t *checkout, pp_conn_t *conn, pp_err_t err)
{
    (void)checkout;
    micro_check(conn && err == PP_OK, "a connection does not open");
    opened[nopened++] = conn;
}

/* A pool with `CONNS` idle connections. */
static void prepare(void)
{
    static const pp_pool_policy_t policy = {
        .size = 100, .keep_alive = true, .keep_alive_timeout = PP_SEC(300), .max_connecting = 100, .queue = 100};
    static pp_checkout_t checkouts[CONNS];
    apr_pool_t *memory;
    pp_ledger_t *ledger;
    pp_book_t *book;
    pp_dns_t *dns;
    pp_conn_t *conn;
    pp_err_t err;

    apr_initialize();
    apr_pool_create(&memory, NULL);
    micro_check(pp_loop_create(&loop, 0, memory) == APR_SUCCESS, "there is no loop");
    micro_check(pp_dns_create(&dns, loop, pp_loop_pool(loop)) == APR_SUCCESS, "there is no resolver");
    target.port = listen_somewhere();
    micro_check(pp_ledger_create(&ledger, 16, memory) == APR_SUCCESS, "there is no ledger");
    micro_check(pp_ledger_book(ledger, "micro", &policy, 8, &book) == APR_SUCCESS, "there is no book");
    pool = pp_pool_create(loop, dns, "micro", &policy, book, pp_ledger_seat_take(ledger), pp_loop_pool(loop));
    for (int i = 0; i < CONNS; i++) {
        checkouts[i].on_conn = on_conn;
        micro_check(pp_pool_checkout(pool, &target, &checkouts[i], &conn, &err) == APR_EAGAIN, "the pool is not empty");
    }
    while (nopened < CONNS)
        pp_loop_round(loop, PP_SEC(1));
    for (int i = 0; i < CONNS; i++)
        pp_pool_checkin(pool, &opened[i]);
}

/* `depth` connections are taken, then all given back: 1 is the sequential client, CONNS the pool in full use. */
static void take_and_give(pp_task_t *task)
{
    static pp_checkout_t checkouts[CONNS];
    pp_conn_t *conns[CONNS];
    pp_err_t err;

    (void)task;
    for (long i = 0; i < runs; i += depth) {
        for (long k = 0; k < depth; k++) {
            checkouts[k].on_conn = on_conn;
            micro_check(pp_pool_checkout(pool, &target, &checkouts[k], &conns[k], &err) == APR_SUCCESS, "no idle connection");
        }
        for (long k = 0; k < depth; k++)
            pp_pool_checkin(pool, &conns[k]);
    }
}

static void run(long times, long at_once)
{
    pp_task_t task = {.run = take_and_give};

    prepare();
    runs = times;
    depth = at_once;
    pp_loop_post(loop, &task);
    pp_loop_round(loop, 0);
}

static void run_one(long times)
{
    run(times, 1);
}

static void run_all(long times)
{
    run(times, CONNS);
}

static const micro_t benchmarks[] = {
    {"pool checkout and checkin, one", run_one},
    {"pool checkout and checkin, 50 at once", run_all},
};

MICRO_MAIN(benchmarks)
