/* pp_exchange: one attempt of one request on one connection: sends the request, reads the response, both at once.
 *
 * Ownership: the exchange is embedded in its user (pp_call) and borrows the connection between pp_exchange_start() and its end.
 * Threads: the loop's thread only. Callbacks may pause it or call pp_exchange_fail(), nothing else.
 */
#ifndef PP_EXCHANGE_H
#define PP_EXCHANGE_H

#include "pp_conn.h"
#include "pp_h1_body.h"
#include "pp_h1_head.h"
#include "pp_policy.h"
#include "pp_replay.h"
#include "pp_stats.h"

typedef struct pp_exchange_t pp_exchange_t;

/* What an exchange needs from the side that has the client. All calls on the loop's thread. */
typedef struct pp_front_t {
    /* The next piece of the request's body (of what the client sends, in a tunnel). APR_SUCCESS: *data, *len > 0, valid until the next
     * call. APR_EAGAIN: pp_exchange_body_ready() will be called. APR_EOF: that was all, and when asked again,
     * too. Other: *err says what ends the exchange. */
    apr_status_t (*body_read)(void *front, const char **data, size_t *len, pp_err_t *err);
    /* An interim response but 100 and 101. */
    void (*on_interim)(void *front, const pp_h1_response_t *resp);
    /* The final response's head (or 101). `resp` is valid until return. */
    void (*on_head)(void *front, const pp_h1_response_t *resp);
    /* A run of the response's body; the front takes all of it. It stays valid until on_batch or the end's callback has returned. To have
     * less the front calls pp_exchange_pause(). */
    void (*on_data)(void *front, const char *data, size_t len);
    /* All that was read has been given and the response goes on: what the client is to see without delay goes out now. `drained`: the
     * server had no more for the moment. */
    void (*on_batch)(void *front, bool drained);
    /* The trailer section of a chunked response, before its end is told. May be NULL. */
    void (*on_trailers)(void *front, const pp_field_t *fields, unsigned nfields);
} pp_front_t;

/* The request as it goes over the wire. */
typedef struct pp_request_t {
    const char *head; /* whole, with the empty line */
    size_t head_len;
    bool has_body;
    bool chunked;         /* the body goes in chunks */
    bool expect_continue; /* the body waits for 100, or a second */
    pp_h1_request_kind_t kind;
} pp_request_t;

/* How an exchange ended. */
typedef struct pp_exchange_end_t {
    pp_err_t err;            /* PP_OK: the response is whole */
    bool reusable;           /* the connection may serve another request */
    pp_close_t close_reason; /* when it may not */
} pp_exchange_end_t;

struct pp_exchange_t {
    /* The user's: set before start. */
    const pp_front_t *front;
    void *front_self;
    void (*on_end)(pp_exchange_t *x, const pp_exchange_end_t *end); /* last of all; the connection is the user's again */
    const pp_request_t *request;
    const pp_timeouts_t *timeouts;
    bool reused;         /* the connection has served before: decides between stale and closed_no_answer */
    pp_replay_t *replay; /* what is kept of the request's body is sent first, what is read is kept; NULL: nothing is */

    /* To be read by the user. */
    bool head_seen; /* on_head was called */
    bool any_byte;  /* a byte of an answer came */
    size_t sent;    /* bytes of the request written */
    pp_time_t began_at, first_byte_at;
    pp_time_t head_until; /* once a part of the head is there: when all of it must be; 0: no limit */
    int status;           /* of the answer; 0: none yet */

    /* The exchange's own. */
    pp_conn_t *conn;
    pp_err_t fail;       /* what a callback asked it to end with */
    int alarm;           /* which time-out rules now */
    pp_time_t read_left; /* while paused: what was left of the time-out of reading; 0: it did not rule */
    bool paused;
    bool overdue;      /* the time for the first byte was over while paused: what has come by then still counts */
    bool expect_hold;  /* the body waits for 100 */
    bool body_waits;   /* body_read said APR_EAGAIN */
    bool body_done;    /* body_read said APR_EOF, or there is none */
    bool send_yields;  /* there is more to send, in the next round */
    bool send_dead;    /* the server takes no more; it may have answered */
    bool server_keeps; /* the response allows another request */
    bool tunnel;
    bool past_end; /* bytes came behind the response */
    int ninterim;
    struct iovec out[4]; /* still to be written: head, chunk head, data, chunk end */
    char chunk_head[PP_H1_CHUNK_HEAD_MAX];
    pp_h1_body_t body;
    char *held; /* an incomplete head; malloc'ed */
    size_t held_len;
    size_t read_most; /* bytes of the next read: many while the front takes all that comes, few when it had to wait */
};

/* Sends the request on `conn` and goes on from there. The end may come from inside this call. */
void pp_exchange_start(pp_exchange_t *x, pp_conn_t *conn);

/* There may be more to read by body_read. The end may come from inside. */
void pp_exchange_body_ready(pp_exchange_t *x);

/* After an end with nothing sent: what was read of the request's body. *len 0: nothing. */
void pp_exchange_unsent(const pp_exchange_t *x, const char **data, size_t *len);

/* No callback but body_read until resume (and what was read already, when called from a callback): back-pressure reaches the server. */
void pp_exchange_pause(pp_exchange_t *x);
void pp_exchange_resume(pp_exchange_t *x);

/* From a callback: end with `err` when the callback has returned. */
void pp_exchange_fail(pp_exchange_t *x, pp_err_t err);

/* Not from a callback: ends it now, without on_end; the caller discards the connection. */
void pp_exchange_abandon(pp_exchange_t *x);

#endif
