/* mod_pooledproxy_channel: heads and data to a thread, the request's body to a loop. */
#include "mod_pooledproxy_channel.h"

#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mod_pooledproxy_bell.h"

#define RECEIVED_HIGH (64 * 1024) /* from here on the server is not read from */
#define BODY_HIGH (64 * 1024)     /* of the request's body, not yet taken by the loop */
#define HEADS_MAX 40              /* more than an exchange lets through */

typedef struct bytes_t {
    char *start;
    size_t len, space;
} bytes_t;

struct pp_channel_t {
    pthread_mutex_t mutex;
    pp_call_t *call;

    /* Under the mutex. */
    bytes_t received; /* response data for the thread */
    pp_h1_response_t *heads[HEADS_MAX];
    int nheads;
    bytes_t body; /* request data for the loop */
    bool body_eof;
    bool body_wanted; /* the loop's exchange waits for more */
    bool body_asked;  /* it has done with what it had before there was a channel */
    bool paused;
    bool flush; /* the server has sent its head, and paused */
    bool done;
    pp_err_t err;
    pp_err_t cancel;
    bool posted;    /* `task` is on its way */
    bool news;      /* the thread has not seen the last change */
    int waiting_fd; /* the thread waits for this eventfd; -1: it doesn't wait */

    /* The loop's, the thread's. */
    bytes_t sending;
    bytes_t taken;
    pp_task_t task;
    bool started;
};

static void bytes_add(bytes_t *bytes, const char *data, size_t len)
{
    if (bytes->len + len > bytes->space) {
        bytes->space = (bytes->len + len) * 2;
        bytes->start = realloc(bytes->start, bytes->space);
        if (!bytes->start)
            abort();
    }
    memcpy(bytes->start + bytes->len, data, len);
    bytes->len += len;
}

static void bytes_swap(bytes_t *a, bytes_t *b)
{
    bytes_t c = *a;
    *a = *b;
    *b = c;
}

/* Under the mutex: there is news. Returns whose bell is to be rung when the mutex is free: who wakes up sooner would have to wait for
 * it. By then the channel may be gone. */
static int thread_tell(pp_channel_t *channel)
{
    int fd = channel->waiting_fd;

    channel->news = true;
    channel->waiting_fd = -1;
    return fd;
}

static void on_channel_task(pp_task_t *task);

/* Under the mutex: makes the loop look. */
static void loop_tell(pp_channel_t *channel)
{
    if (channel->posted)
        return;
    channel->posted = true;
    channel->task.run = on_channel_task;
    pp_loop_post(channel->call->shard->loop, &channel->task);
}

pp_channel_t *pooledproxy_channel_create(pp_call_t *call, bool started, bool body_waits)
{
    pp_channel_t *channel = calloc(1, sizeof(*channel));

    if (!channel)
        abort();
    pthread_mutex_init(&channel->mutex, NULL);
    channel->call = call;
    channel->waiting_fd = -1;
    channel->started = started;
    channel->body_asked = started ? body_waits : !call->request.expect_continue; /* the server's 100 comes first */
    channel->body_wanted = body_waits;
    return channel;
}

void pooledproxy_channel_free(pp_channel_t *channel)
{
    for (int i = 0; i < channel->nheads; i++)
        free(channel->heads[i]);
    free(channel->received.start);
    free(channel->body.start);
    free(channel->sending.start);
    free(channel->taken.start);
    pthread_mutex_destroy(&channel->mutex);
    free(channel);
}

/* ---- the loop's side ---- */

/* What the thread asked for since the last time. After pooledproxy_channel_done() the channel is the thread's alone. */
static void on_channel_task(pp_task_t *task)
{
    pp_channel_t *channel = PP_OWNER_OF(task, pp_channel_t, task);
    pp_call_t *call = channel->call;
    bool resume, body, start = !channel->started, ended;
    int bell = -1;
    pp_err_t cancel;

    pthread_mutex_lock(&channel->mutex);
    channel->posted = false;
    cancel = channel->cancel;
    resume = channel->paused && channel->received.len == 0;
    if (resume)
        channel->paused = false;
    body = channel->body_wanted && (channel->body.len || channel->body_eof);
    if (body)
        channel->body_wanted = false;
    ended = channel->done;
    if (ended)
        bell = thread_tell(channel);
    pthread_mutex_unlock(&channel->mutex);
    pooledproxy_bell_ring(bell);
    if (ended)
        return;
    channel->started = true;
    if (cancel) {
        pp_call_cancel(call, cancel);
        pooledproxy_channel_done(channel, cancel);
    }
    else if (start) {
        pp_call_start(call);
    }
    else {
        if (resume) /* calls nobody back */
            pp_call_resume(call);
        if (body) /* may be the call's last step, so it comes last */
            pp_call_body_ready(call);
    }
}

/* Copies a text to *at and a NUL behind it. */
static const char *text_copy(char **at, const char *text, size_t len)
{
    char *copy = memcpy(*at, text, len);

    copy[len] = '\0';
    *at += len + 1;
    return copy;
}

/* A copy with its texts behind it, in one piece of memory. */
static pp_h1_response_t *response_copy(const pp_h1_response_t *resp)
{
    size_t size = offsetof(pp_h1_response_t, fields) + resp->nfields * sizeof(pp_field_t), text = resp->reason_len + 1;
    pp_h1_response_t *copy;
    char *at;

    for (uint32_t i = 0; i < resp->nfields; i++)
        text += resp->fields[i].name_len + resp->fields[i].value_len + 2;
    copy = malloc(size + text);
    if (!copy)
        abort();
    memcpy(copy, resp, size);
    at = (char *)copy + size;
    copy->reason = text_copy(&at, resp->reason, resp->reason_len);
    for (uint32_t i = 0; i < resp->nfields; i++) {
        pp_field_t *field = &copy->fields[i];
        field->name = text_copy(&at, field->name, field->name_len);
        field->value = text_copy(&at, field->value, field->value_len);
    }
    return copy;
}

void pooledproxy_channel_head(pp_channel_t *channel, const pp_h1_response_t *resp)
{
    pp_h1_response_t *copy = response_copy(resp);
    int bell = -1;

    pthread_mutex_lock(&channel->mutex);
    if (channel->nheads == HEADS_MAX)
        abort();
    channel->heads[channel->nheads++] = copy;
    if (resp->status >= 100 && resp->status < 200)
        bell = thread_tell(channel); /* behind others there is data, or the end */
    pthread_mutex_unlock(&channel->mutex);
    pooledproxy_bell_ring(bell);
}

void pooledproxy_channel_trailers(pp_channel_t *channel, const pp_field_t *fields, unsigned nfields)
{
    pp_h1_response_t trailers;

    memset(&trailers, 0, offsetof(pp_h1_response_t, fields));
    trailers.reason = "";
    trailers.nfields = nfields;
    memcpy(trailers.fields, fields, sizeof(fields[0]) * nfields);
    pooledproxy_channel_head(channel, &trailers);
}

void pooledproxy_channel_put(pp_channel_t *channel, const char *data, size_t len)
{
    bool pause;

    pthread_mutex_lock(&channel->mutex);
    bytes_add(&channel->received, data, len);
    pause = channel->received.len >= RECEIVED_HIGH;
    channel->paused |= pause;
    pthread_mutex_unlock(&channel->mutex);
    if (pause)
        pp_call_pause(channel->call);
}

/* Now the thread is told, once, of the head and the data that came together. */
void pooledproxy_channel_batch(pp_channel_t *channel)
{
    int bell;

    pthread_mutex_lock(&channel->mutex);
    channel->flush = true;
    bell = thread_tell(channel);
    pthread_mutex_unlock(&channel->mutex);
    pooledproxy_bell_ring(bell);
}

void pooledproxy_channel_done(pp_channel_t *channel, pp_err_t err)
{
    int bell = -1;

    pthread_mutex_lock(&channel->mutex);
    channel->done = true;
    channel->err = err;
    if (!channel->posted) /* else the thread must wait for the task to have run: it is told there */
        bell = thread_tell(channel);
    pthread_mutex_unlock(&channel->mutex);
    pooledproxy_bell_ring(bell);
}

apr_status_t pooledproxy_channel_read(pp_channel_t *channel, const char **data, size_t *len, pp_err_t *err)
{
    apr_status_t status = APR_SUCCESS;
    int bell = -1;

    (void)err;
    channel->sending.len = 0;
    pthread_mutex_lock(&channel->mutex);
    if (channel->body.len)
        bytes_swap(&channel->body, &channel->sending);
    else
        status = channel->body_eof ? APR_EOF : APR_EAGAIN;
    channel->body_wanted = status == APR_EAGAIN;
    if (status == APR_SUCCESS || !channel->body_asked)
        bell = thread_tell(channel); /* there is room (again) */
    channel->body_asked = true;
    pthread_mutex_unlock(&channel->mutex);
    pooledproxy_bell_ring(bell);
    *data = channel->sending.start;
    *len = channel->sending.len;
    return status;
}

/* ---- the thread's side ---- */

void pooledproxy_channel_start(pp_channel_t *channel)
{
    pthread_mutex_lock(&channel->mutex);
    loop_tell(channel);
    pthread_mutex_unlock(&channel->mutex);
}

void pooledproxy_channel_cancel(pp_channel_t *channel, pp_err_t err)
{
    pthread_mutex_lock(&channel->mutex);
    channel->cancel = err;
    if (!channel->done)
        loop_tell(channel);
    pthread_mutex_unlock(&channel->mutex);
}

void pooledproxy_channel_take(pp_channel_t *channel, pp_received_t *received)
{
    memset(received, 0, sizeof(*received));
    channel->taken.len = 0;
    pthread_mutex_lock(&channel->mutex);
    channel->news = false;
    if (channel->nheads) {
        received->head = channel->heads[0];
        memmove(channel->heads, channel->heads + 1, sizeof(channel->heads[0]) * (size_t)(--channel->nheads));
        channel->news = true; /* there may be data behind it */
    }
    else {
        bytes_swap(&channel->received, &channel->taken);
        received->flush = channel->flush;
        received->done = channel->done && !channel->posted;
        received->err = channel->err;
        received->paused = channel->paused && !channel->done;
    }
    received->wants_body = channel->body_asked && !channel->body_eof && channel->body.len < BODY_HIGH && !channel->done;
    pthread_mutex_unlock(&channel->mutex);
    received->data = channel->taken.start;
    received->len = channel->taken.len;
}

void pooledproxy_channel_resume(pp_channel_t *channel)
{
    pthread_mutex_lock(&channel->mutex);
    if (channel->paused && !channel->done)
        loop_tell(channel);
    pthread_mutex_unlock(&channel->mutex);
}

bool pooledproxy_channel_has_news(pp_channel_t *channel)
{
    bool news;

    pthread_mutex_lock(&channel->mutex);
    news = channel->news;
    pthread_mutex_unlock(&channel->mutex);
    return news;
}

bool pooledproxy_channel_wait(pp_channel_t *channel, int client_fd, bool wants_input, int timeout_ms)
{
    struct pollfd fds[2] = {{pooledproxy_bell(), POLLIN, 0}, {client_fd, wants_input ? POLLIN : 0, 0}};
    uint64_t count;

    pthread_mutex_lock(&channel->mutex);
    if (channel->news) {
        pthread_mutex_unlock(&channel->mutex);
        return false;
    }
    channel->waiting_fd = fds[0].fd;
    pthread_mutex_unlock(&channel->mutex);
    if (fds[0].fd < 0)
        timeout_ms = 10; /* out of descriptors: look again soon */
    if (poll(fds, client_fd >= 0 ? 2 : 1, timeout_ms) < 0)
        fds[0].revents = fds[1].revents = 0;
    if (fds[0].revents && read(fds[0].fd, &count, sizeof(count)) < 0)
        fds[0].revents = 0;
    pthread_mutex_lock(&channel->mutex);
    channel->waiting_fd = -1;
    pthread_mutex_unlock(&channel->mutex);
    return fds[1].revents != 0;
}

void pooledproxy_channel_send(pp_channel_t *channel, const char *data, size_t len, bool last)
{
    pthread_mutex_lock(&channel->mutex);
    if (len)
        bytes_add(&channel->body, data, len);
    channel->body_eof |= last;
    if (channel->body_wanted)
        loop_tell(channel);
    pthread_mutex_unlock(&channel->mutex);
}
