/* call_rig: calls on a shard with one pool, to one or two servers, with a client that writes down what it is told. */
#ifndef CALL_RIG_H
#define CALL_RIG_H

#include <apr_strings.h>

#include "drive.h"
#include "pp_call.h"
#include "server.h"
#include "tap.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define HEAD_OF(path, host) "GET " path "/x HTTP/1.1\r\nHost: " host "\r\nX: y\r\n\r\n"

static apr_pool_t *memory;
static pp_pool_def_t pool_def;
static pp_upstream_t one, two; /* of one server, of two */
static pp_shard_t *shard;
static pp_ledger_t *ledger;
static pp_book_t *book;
static pp_stats_t *stats_at;
#define stats (*stats_at)
static server_t servers[2];
static peer_t peer;

/* ---- a call and its front ---- */

typedef struct client_t {
    pp_call_t call;
    char body[64];
    int status;
    const char *data; /* of the request's body, what there is by now */
    bool data_ends;
    bool ended;
    pp_err_t err;
    pp_err_t fails; /* in on_head */
} client_t;

static apr_status_t on_body_read(void *self, const char **data, size_t *len, pp_err_t *err)
{
    client_t *client = self;

    (void)err;
    *data = client->data;
    *len = client->data ? strlen(client->data) : 0;
    client->data = NULL;
    return *len ? APR_SUCCESS : client->data_ends ? APR_EOF : APR_EAGAIN;
}

static void on_interim(void *self, const pp_h1_response_t *resp)
{
    (void)self;
    (void)resp;
}

static void on_head(void *self, const pp_h1_response_t *resp)
{
    client_t *client = self;

    client->status = resp->status;
    if (client->fails)
        pp_call_fail(&client->call, client->fails);
}

static void on_data(void *self, const char *data, size_t len)
{
    client_t *client = self;

    strncat(client->body, data, len);
}

static void on_batch(void *self, bool drained)
{
    (void)self;
    (void)drained;
}

static const pp_front_t front = {on_body_read, on_interim, on_head, on_data, on_batch, NULL};

static void on_done(pp_call_t *call, pp_err_t err)
{
    client_t *client = (client_t *)call;

    if (client->ended || call->err != err)
        abort();
    client->ended = true;
    client->err = err;
}

static size_t place(const char *head, const char *part)
{
    return (size_t)(strstr(head, part) - head);
}

/* A GET, not started; its head is for the upstream's first server. */
static client_t *client_for(const pp_upstream_t *upstream)
{
    client_t *client = apr_pcalloc(memory, sizeof(*client));
    pp_call_t *call = &client->call;
    const pp_server_t *first = upstream->servers[0];

    call->shard = shard;
    call->front = &front;
    call->front_self = client;
    call->on_done = on_done;
    call->upstream = upstream;
    call->idempotent = true;
    call->head.bytes = apr_psprintf(memory, HEAD_OF("%s", "%s"), first->path, first->authority);
    call->head.len = strlen(call->head.bytes);
    call->head.path = (pp_head_place_t){4, strlen(first->path)};
    call->head.host = (pp_head_place_t){place(call->head.bytes, "Host: ") + 6, strlen(first->authority)};
    return client;
}

/* What the outcome is to one who may not wait: "200 hello ok", "connect_refused". */
static const char *outcome(client_t *client)
{
    if (!drive_until(shard->loop, client->ended))
        return "goes on";
    if (!client->status)
        return pp_err_row(client->err)->name;
    return apr_psprintf(memory, "%d %s %s", client->status, client->body, pp_err_row(client->err)->name);
}

static bool accept_at(int i)
{
    return server_accept(&servers[i], &peer);
}

/* A request is there, on the connection accepted last or on a new one. */
static bool is_asked(int i)
{
    return drive_until(shard->loop, accept_at(i) || peer_has(&peer, "\r\n\r\n")) &&
           drive_until(shard->loop, peer_has(&peer, "\r\n\r\n"));
}

/* ---- the shard ---- */

static pp_server_t *server_at(int i, const char *path)
{
    pp_server_t *server;

    if (pp_server_parse(memory, apr_psprintf(memory, "http://127.0.0.1:%d%s", servers[i].port, path), &server))
        abort();
    return server;
}

static pp_upstream_t upstream_of(int n, int index)
{
    pp_server_t **list = apr_pcalloc(memory, 2 * sizeof(*list));

    list[0] = server_at(0, "/first");
    list[1] = server_at(1, "/the-second");
    return (pp_upstream_t){.pool = &pool_def, .nservers = n, .servers = list, .index = index};
}

/* After a change of the policy's size: the book has it too. */
static void resize(void)
{
    if (pp_ledger_book(ledger, "test", &pool_def.policy, 8, &book) != APR_SUCCESS)
        abort();
}

static void begin_with(void (*open_first)(server_t *), void (*open_second)(server_t *))
{
    static pp_pool_def_t *pools[] = {&pool_def};
    static pp_upstream_t *upstreams[] = {&two};
    pp_shard_plan_t plan = {.npools = 1, .pools = pools, .books = &book, .nupstreams = 1, .upstreams = upstreams};

    apr_pool_create(&memory, drive_top);
    open_first(&servers[0]);
    open_second(&servers[1]);
    pool_def = (pp_pool_def_t){.name = "test"};
    pool_def.policy =
        (pp_pool_policy_t){.size = 10, .keep_alive = true, .keep_alive_timeout = PP_SEC(3600), .max_connecting = 10, .queue = 10};
    one = upstream_of(1, -1);
    two = upstream_of(2, 0);
    if (pp_ledger_create(&plan.ledger, 1, memory) != APR_SUCCESS)
        abort();
    ledger = plan.ledger;
    resize();
    peer = (peer_t){.fd = -1};
    if (pp_shard_create(&shard, 0, &plan, memory) != APR_SUCCESS)
        abort();
    stats_at = pp_book_stats(book, shard->seat);
}

static DRIVE_UNUSED void begin(void)
{
    begin_with(server_open, server_open);
}

static int64_t closed_in_all(void)
{
    int64_t sum = 0;

    for (int i = 0; i < PP_CLOSE_COUNT; i++)
        sum += stats.conn_closed[i];
    return sum;
}

static void end(void)
{
    drive_clock_runs();
    (void)drive_until(shard->loop, stats.connecting == 0);
    pp_shard_drain(shard);
    ok(stats.busy == 0 && stats.idle == 0 && stats.connecting == 0 && stats.waiting == 0, "... in the end all gauges are 0");
    is_int(stats.conn_opened, closed_in_all(), "... and all that was opened is closed");
    peer_close(&peer);
    server_close(&servers[0]);
    server_close(&servers[1]);
    pp_ledger_close(ledger);
    apr_pool_destroy(memory);
}

/* Leaves one idle connection of the first server, which `peer` is the other end of. */
static DRIVE_UNUSED void make_idle(void)
{
    client_t *client = client_for(&one);

    pp_call_start(&client->call);
    if (!is_asked(0))
        abort();
    peer_forget(&peer);
    peer_send(&peer, OK);
    (void)outcome(client);
}

#endif
