/* pool_rig: a pool on a loop, servers for it, and askers that check connections out. */
#ifndef POOL_RIG_H
#define POOL_RIG_H

#include "drive.h"
#include "pp_pool.h"
#include "server.h"
#include "tap.h"

static server_t server, other; /* two hosts: TCP, unix */
static pp_loop_t *loop;
static apr_pool_t *memory;
static pp_dns_t *dns;
static pp_pool_t *pool;
static pp_ledger_t *ledger;
static pp_book_t *book;
static pp_stats_t *stats_at;
#define stats (*stats_at)
static pp_pool_policy_t policy;

/* A pool that allows much; a test changes `policy` as it likes. */
static void begin(void)
{
    policy =
        (pp_pool_policy_t){.size = 10, .keep_alive = true, .keep_alive_timeout = PP_SEC(60), .max_connecting = 10, .queue = 10};
    policy.dns_max = PP_SEC(300);
    policy.dns_min = policy.dns_negative = PP_SEC(1);
    policy.dns_stale = PP_SEC(60);
    server_open(&server);
    server_open_unix(&other);
    loop = drive_loop(&memory);
    if (pp_dns_create(&dns, loop, pp_loop_pool(loop)) != APR_SUCCESS)
        abort();
    if (pp_ledger_create(&ledger, 1, memory) != APR_SUCCESS || pp_ledger_book(ledger, "test", &policy, 8, &book) != APR_SUCCESS)
        abort();
    stats_at = pp_book_stats(book, pp_ledger_seat_take(ledger));
    pool = pp_pool_create(loop, dns, "test", &policy, book, 0, pp_loop_pool(loop));
}

/* After a change of policy.size: the book has it too. */
static DRIVE_UNUSED void resize(void)
{
    if (pp_ledger_book(ledger, "test", &policy, 8, &book) != APR_SUCCESS)
        abort();
}

static int64_t closed_in_all(void)
{
    int64_t sum = 0;

    for (int i = 0; i < PP_CLOSE_COUNT; i++)
        sum += stats.conn_closed[i];
    return sum;
}

/* What must hold after each test, however it went. */
static void end(void)
{
    server_close(&server);
    server_close(&other);
    (void)drive_until(loop, stats.connecting == 0);
    pp_pool_drain(pool);
    ok(stats.busy == 0 && stats.idle == 0 && stats.connecting == 0 && stats.waiting == 0, "... in the end all gauges are 0");
    is_int(stats.conn_opened, closed_in_all(), "... and all that was opened is closed");
    drive_clock_runs();
    pp_ledger_close(ledger);
    apr_pool_destroy(memory);
}

/* Someone who wants a connection. */
typedef struct asker_t {
    pp_checkout_t checkout;
    pp_conn_t *conn;
    pp_err_t err;
    int called;              /* callbacks that came */
    int order;               /* the how manieth to be answered of all */
    bool closes;             /* discards what it gets at once */
    struct asker_t *cancels; /* in its callback */
    apr_int16_t events;      /* on its connection */
} asker_t;

static int answered;

static void on_asker_event(pp_conn_t *conn, apr_int16_t events)
{
    ((asker_t *)conn->holder)->events |= events;
    pp_conn_want(conn, 0);
}

static void on_asker_timer(pp_conn_t *conn)
{
    (void)conn;
    abort();
}

static void asker_hold(asker_t *asker, pp_conn_t *conn)
{
    asker->conn = conn;
    conn->holder = asker;
    conn->on_event = on_asker_event;
    conn->on_timer = on_asker_timer;
    pp_conn_want(conn, 0);
}

static void on_asker_conn(pp_checkout_t *checkout, pp_conn_t *conn, pp_err_t err)
{
    asker_t *asker = (asker_t *)checkout;

    if (!conn == !err || checkout->waiting)
        abort();
    asker->called++;
    asker->order = ++answered;
    asker->err = err;
    if (conn)
        asker_hold(asker, conn);
    if (asker->cancels)
        pp_pool_cancel(&asker->cancels->checkout);
    if (conn && asker->closes)
        pp_pool_discard(pool, &asker->conn, PP_CLOSE_failed);
}

static pp_target_t target_of(const server_t *to, char key[80])
{
    if (*to->path)
        snprintf(key, 80, "unix:%s", to->path);
    else
        snprintf(key, 80, "127.0.0.1:%d", to->port);
    return (pp_target_t){.key = key, .host = "127.0.0.1", .port = to->port, .unix_path = *to->path ? to->path : NULL};
}

static apr_status_t ask_target(asker_t *asker, const pp_target_t *target)
{
    pp_conn_t *conn = NULL;
    apr_status_t status;

    asker->checkout.on_conn = on_asker_conn;
    asker->err = PP_OK;
    asker->conn = NULL;
    status = pp_pool_checkout(pool, target, &asker->checkout, &conn, &asker->err);
    if (status == APR_SUCCESS)
        asker_hold(asker, conn);
    return status;
}

/* Checks out; the answer may come later. */
static apr_status_t ask(asker_t *asker, const server_t *to)
{
    char key[80];
    pp_target_t target = target_of(to, key);

    return ask_target(asker, &target);
}

static bool is_answered(const asker_t *asker)
{
    return asker->conn || asker->err;
}

/* Checks out and waits for the answer. */
static DRIVE_UNUSED pp_conn_t *get(asker_t *asker, const server_t *to)
{
    ask(asker, to);
    (void)drive_until(loop, is_answered(asker));
    return asker->conn;
}

static DRIVE_UNUSED void give_back(asker_t *asker)
{
    pp_pool_checkin(pool, &asker->conn);
}

static DRIVE_UNUSED void throw_away(asker_t *asker)
{
    pp_pool_discard(pool, &asker->conn, PP_CLOSE_failed);
}

#endif
