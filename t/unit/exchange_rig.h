/* exchange_rig: an exchange on a connection to a scripted server, with a front that writes down what it is told. */
#ifndef EXCHANGE_RIG_H
#define EXCHANGE_RIG_H

#include "drive.h"
#include "pp_exchange.h"
#include "server.h"
#include "tap.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n\r\n"

enum { NOWHERE, IN_BODY_READ, IN_INTERIM, IN_HEAD, IN_DATA, IN_BATCH, IN_TRAILERS };

/* What the front has been told, and how it behaves. */
typedef struct front_t {
    char said[512];  /* "103 200 {X-Sum: abc}" */
    char body[512];  /* how the response's body begins */
    size_t received; /* of it in all */
    uint64_t sum;    /* over all of it */
    int batches, drained, reads;
    bool ended;
    pp_exchange_end_t end;
    /* its request's body */
    const char *data;
    size_t len, at;
    size_t given;      /* so much of it there is by now */
    size_t piece;      /* most at a time; 0: all */
    pp_err_t body_err; /* instead of the end of it */
    /* what it does */
    int fails_in, pauses_in;
    bool server_reads; /* the server reads whenever the front is asked for more */
} front_t;

static apr_pool_t *memory;
static pp_loop_t *loop;
static server_t server;
static peer_t peer;
static pp_conn_t *conn;
static pp_exchange_t x;
static pp_request_t request;
static pp_timeouts_t timeouts;
static front_t front;

static uint64_t sum_over(uint64_t sum, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (unsigned char)data[i]) * 0x100000001b3ull;
    return sum;
}

static void front_does(int where)
{
    if (front.fails_in == where)
        pp_exchange_fail(&x, PP_ERR_client_gone);
    if (front.pauses_in == where)
        pp_exchange_pause(&x);
}

static void __attribute__((format(printf, 1, 2))) front_says(const char *format, ...)
{
    size_t n = strlen(front.said);
    va_list args;

    va_start(args, format);
    vsnprintf(front.said + n, sizeof(front.said) - n, format, args);
    va_end(args);
}

static apr_status_t on_body_read(void *self, const char **data, size_t *len, pp_err_t *err)
{
    (void)self;
    front.reads++;
    if (front.server_reads)
        peer_take(&peer);
    front_does(IN_BODY_READ);
    *data = front.data + front.at;
    *len = front.given - front.at;
    if (front.piece && *len > front.piece)
        *len = front.piece;
    front.at += *len;
    if (*len)
        return APR_SUCCESS;
    if (front.given < front.len)
        return APR_EAGAIN;
    *err = front.body_err;
    return front.body_err ? APR_EGENERAL : APR_EOF;
}

static void on_interim(void *self, const pp_h1_response_t *resp)
{
    (void)self;
    front_says("%d ", resp->status);
    front_does(IN_INTERIM);
}

static void on_head(void *self, const pp_h1_response_t *resp)
{
    (void)self;
    front_says("%d ", resp->status);
    front_does(IN_HEAD);
}

static void on_data(void *self, const char *data, size_t len)
{
    (void)self;
    for (size_t i = 0; i < len && front.received + i + 1 < sizeof(front.body); i++)
        front.body[front.received + i] = data[i];
    front.received += len;
    front.sum = sum_over(front.sum, data, len);
    front_does(IN_DATA);
}

static void on_batch(void *self, bool drained)
{
    (void)self;
    front.batches++;
    front.drained += drained;
    front_does(IN_BATCH);
}

static void on_trailers(void *self, const pp_field_t *fields, unsigned n)
{
    (void)self;
    for (unsigned i = 0; i < n; i++)
        front_says("{%.*s: %.*s} ", (int)fields[i].name_len, fields[i].name, (int)fields[i].value_len, fields[i].value);
    front_does(IN_TRAILERS);
}

static const pp_front_t front_calls = {on_body_read, on_interim, on_head, on_data, on_batch, on_trailers};

static void on_end(pp_exchange_t *ended, const pp_exchange_end_t *end)
{
    if (front.ended || ended != &x)
        abort();
    front.ended = true;
    front.end = *end;
}

static void on_connected(pp_conn_t *connected, apr_int16_t events)
{
    *(bool *)connected->holder = events != 0;
}

static void rig_begin(void)
{
    loop = drive_loop(&memory);
    server_open_unix(&server);
}

static void rig_end(void)
{
    server_close(&server);
    drive_clock_runs();
    apr_pool_destroy(memory);
}

/* A fresh connection and nothing on it; all settings as new. */
static void connect_to(server_t *to)
{
    pp_addr_t addr = {.len = to->addr_len};
    bool connected = false;

    addr.u.storage = to->addr;
    if (pp_conn_open(&conn, loop, &addr) != PP_OK)
        abort();
    conn->holder = &connected;
    conn->on_event = on_connected;
    if (!drive_until(loop, connected && server_accept(to, &peer)))
        abort();
    memset(&x, 0, sizeof(x));
    memset(&front, 0, sizeof(front));
    front.sum = 1;
    request = (pp_request_t){.head = GET, .head_len = strlen(GET)};
    timeouts = (pp_timeouts_t){0};
}

static void prepare(void)
{
    connect_to(&server);
}

/* The request has this body, of which `given` bytes are there. */
static void has_body(const char *data, size_t len, size_t given)
{
    request.head = POST;
    request.head_len = strlen(POST);
    request.has_body = true;
    front.data = data;
    front.len = len;
    front.given = given;
}

static void start(void)
{
    x.front = &front_calls;
    x.on_end = on_end;
    x.request = &request;
    x.timeouts = &timeouts;
    pp_exchange_start(&x, conn);
}

/* More of the request's body has come. */
static void give(size_t n)
{
    front.given += n;
    pp_exchange_body_ready(&x);
}

/* Both ends are closed, as the pool would do it. */
static void done(void)
{
    pp_exchange_abandon(&x);
    pp_conn_close(&conn);
    peer_close(&peer);
    drive_rounds(loop, 1);
}

/* "200 [hello] ok reusable": what the front was told, the body, the end, and what becomes of the connection. */
static const char *outcome(void)
{
    static char text[1200];

    snprintf(text, sizeof(text), "%s[%s] %s %s", front.said, front.body, front.ended ? pp_err_row(front.end.err)->name : "goes on",
             !front.ended         ? ""
             : front.end.reusable ? "reusable"
                                  : pp_close_name(front.end.close_reason));
    return text;
}

/* The outcome, which may take a while to come. */
static const char *outcome_at_end(void)
{
    (void)drive_until(loop, front.ended);
    return outcome();
}

#endif
