/* mod_pooledproxy_channel: between a loop that runs a call and a thread that has the client and may block.
 *
 * Ownership: made by the side that begins, freed by the thread after pooledproxy_channel_done(); until then both sides use it.
 * Threads: each function says whose it is. A mutex inside, held for copying at most.
 */
#ifndef MOD_POOLEDPROXY_CHANNEL_H
#define MOD_POOLEDPROXY_CHANNEL_H

#include <stdbool.h>

#include "pp_call.h"

typedef struct pp_channel_t pp_channel_t;

/* Any thread, or, for a call that runs already, its loop; `body_waits`: such a call waits for more of the request's body. Never fails (out of memory aborts, as in httpd). */
pp_channel_t *pooledproxy_channel_create(pp_call_t *call, bool started, bool body_waits);
void pooledproxy_channel_free(pp_channel_t *channel);

/* ---- the loop's side ---- */

/* A head to the thread, interim or final: copied. Of a final one the thread is told with what follows, as of all that is put: by
 * pooledproxy_channel_batch() or pooledproxy_channel_done(). */
void pooledproxy_channel_head(pp_channel_t *channel, const pp_h1_response_t *resp);

/* The response's trailers to the thread: a head with status 0. */
void pooledproxy_channel_trailers(pp_channel_t *channel, const pp_field_t *fields, unsigned nfields);

/* Response data to the thread: copied; pauses the call when there is a lot. */
void pooledproxy_channel_put(pp_channel_t *channel, const char *data, size_t len);

/* All that came together was put here: it is worth sending now, also a head without data behind it. */
void pooledproxy_channel_batch(pp_channel_t *channel);

/* Nothing more comes. The last thing the loop does with the channel and with the call. */
void pooledproxy_channel_done(pp_channel_t *channel, pp_err_t err);

/* Request data from the thread, as pp_front_t.body_read says. */
apr_status_t pooledproxy_channel_read(pp_channel_t *channel, const char **data, size_t *len, pp_err_t *err);

/* ---- the thread's side ---- */

/* Starts the channel's call on its loop. */
void pooledproxy_channel_start(pp_channel_t *channel);

/* Ends the call; done follows. */
void pooledproxy_channel_cancel(pp_channel_t *channel, pp_err_t err);

/* What has come since the last time. */
typedef struct pp_received_t {
    pp_h1_response_t *head; /* the next head, to be freed by free(); NULL: none. Data belongs behind the last head */
    const char *data;       /* valid until the next pooledproxy_channel_take() */
    size_t len;
    bool paused; /* nothing more comes before pooledproxy_channel_resume() */
    bool flush;  /* a head that has not been sent is not to wait for data */
    bool done;   /* nothing more comes: `err` is the outcome */
    pp_err_t err;
    bool wants_body; /* there is room for more of the request's body */
} pp_received_t;

/* Takes what has come; does not wait. */
void pooledproxy_channel_take(pp_channel_t *channel, pp_received_t *received);

/* There is room again. Nothing happens when the call was not paused. */
void pooledproxy_channel_resume(pp_channel_t *channel);

/* Has something come, or changed, since the last take? */
bool pooledproxy_channel_has_news(pp_channel_t *channel);

/* Waits until there is something to take, until client_fd (-1: none) has input, if that is wanted, or is reset, or for timeout_ms (-1: no
 * limit). Returns whether client_fd is. */
bool pooledproxy_channel_wait(pp_channel_t *channel, int client_fd, bool wants_input, int timeout_ms);

/* A piece of the request's body to the loop: copied; only while wants_body. `last`: nothing comes behind it (it may be empty). */
void pooledproxy_channel_send(pp_channel_t *channel, const char *data, size_t len, bool last);

#endif
