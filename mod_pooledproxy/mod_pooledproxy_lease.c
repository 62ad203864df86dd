/* mod_pooledproxy_lease: the lease protocol with the event MPM. Facts about the MPM are httpd 2.4.63 and later, server/mpm/event/event.c. */
#include "mod_pooledproxy_lease.h"

#include <apr_portable.h>
#include <assert.h>
#include <errno.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mpm_common.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mod_pooledproxy_conf.h"
#include "mod_pooledproxy_engine.h"

APLOG_USE_MODULE(pooledproxy);

#define LOOPS_MAX 64

APR_RING_HEAD(pp_lease_ring_t, pp_lease_t);
static struct pp_lease_ring_t out_rings[LOOPS_MAX]; /* by loop: touched by that loop only */
static const pp_lease_user_t *lease_user;
static bool (*lease_is_wanted)(conn_rec *c);

#ifdef AP_MPMQ_CAN_WAITIO
#define STATE_WAITIO CONN_STATE_ASYNC_WAITIO
#else
#define STATE_WAITIO CONN_STATE_SUSPENDED /* never used: without it nothing is leased */
#endif

/* Stands for the lease of a connection that can't be leased. */
static pp_lease_t never;

pp_lease_t *pooledproxy_lease_of(conn_rec *c)
{
    pp_lease_t *lease = ap_get_module_config(c->conn_config, &pooledproxy_module);

    return lease == &never ? NULL : lease;
}

/* ---- making one ---- */

static apr_status_t on_lease_destroyed(void *data)
{
    pp_lease_t *lease = data;

    close(lease->event_fd);
    return APR_SUCCESS;
}

static core_net_rec *core_net_of(conn_rec *c)
{
    for (ap_filter_t *f = c->input_filters; f; f = f->next)
        if (f->frec == ap_core_input_filter_handle)
            return f->ctx;
    return NULL;
}

/* Gives the core's filters and all modules a second socket object for the client's descriptor, so that the MPM's own one can stand for
 * the eventfd while the connection is leased. Only before anything was read: then the core's input filter has taken its socket. */
static bool twin_make(pp_lease_t *lease)
{
    conn_rec *c = lease->c;
    core_net_rec *net = core_net_of(c);
    apr_interval_time_t timeout;
    apr_os_sock_t fd;

    if (!net || net->in_ctx || net->client_socket != ap_get_conn_socket(c))
        return false;
    lease->mpm_socket = net->client_socket;
    if (apr_os_sock_get(&fd, lease->mpm_socket) != APR_SUCCESS || apr_os_sock_put(&lease->twin, &fd, c->pool) != APR_SUCCESS)
        return false;
    lease->fd = fd;
    /* The new object believes its descriptor to block: the first time-out set makes APR look. */
    apr_socket_timeout_get(lease->mpm_socket, &timeout);
    apr_socket_timeout_set(lease->twin, timeout);
    net->client_socket = lease->twin;
    ap_set_core_module_config(c->conn_config, lease->twin);
    return true;
}

static void on_arrive_task(pp_task_t *task);
static void on_revoke_task(pp_task_t *task);
static void on_client_io(pp_io_t *io, apr_int16_t events);
static void on_renew_timer(pp_timer_t *timer);
static void on_deadline_timer(pp_timer_t *timer);

/* This connection is served by workers to its end. */
static pp_lease_t *never_lease(conn_rec *c)
{
    ap_set_module_config(c->conn_config, &pooledproxy_module, &never);
    return &never;
}

static pp_lease_t *lease_create(conn_rec *c)
{
    pp_lease_t *lease = apr_pcalloc(c->pool, sizeof(*lease));

    lease->c = c;
    lease->user = lease_user;
    lease->shard = pooledproxy_engine_shard();
    lease->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (lease->event_fd < 0)
        return never_lease(c); /* out of descriptors */
    apr_pool_cleanup_register(c->pool, lease, on_lease_destroyed, apr_pool_cleanup_null);
    if (!twin_make(lease))
        return never_lease(c);
    lease->output = apr_brigade_create(c->pool, c->bucket_alloc);
    lease->io.on_io = on_client_io;
    lease->renew_timer.on_timer = on_renew_timer;
    lease->deadline_timer.on_timer = on_deadline_timer;
    pooledproxy_valve_add(&lease->valve, c, lease->twin);
    ap_set_module_config(c->conn_config, &pooledproxy_module, lease);
    return lease;
}

/* ---- the MPM's side ---- */

static void lease_wait_for_suspend(pp_lease_t *lease)
{
    lease->c->cs->state = STATE_WAITIO;
    lease->c->cs->sense = CONN_SENSE_WANT_READ;
}

static void lease_revoke(pp_lease_t *lease);

/* The hooks have returned: leased, or done by them. */
static void lease_after_hooks(pp_lease_t *lease)
{
    if (!lease->leaving)
        return;
    if (lease->c->aborted) { /* the MPM would close it without suspending it */
        lease->leaving = false;
        lease_revoke(lease); /* when it was to be renewed its call runs */
        lease->user->on_lost(lease);
        lease->c->cs->state = CONN_STATE_LINGER;
        return;
    }
    lease_wait_for_suspend(lease);
}

/* Has the client sent its next request already? The MPM wants to know: what was read no poll will tell it of. */
static void look_for_pipelined(pp_lease_t *lease)
{
    apr_bucket_brigade *bb = lease->valve.piece; /* empty between two passes */

    lease->c->data_in_input_filters = ap_check_pipeline(lease->c, bb, DEFAULT_LIMIT_BLANK_LINES) == APR_SUCCESS;
    apr_brigade_cleanup(bb);
}

static int lease_process(pp_lease_t *lease)
{
    pp_next_t next = lease->next;
    int rc = OK;

    lease->next = PP_NEXT_HOOKS;
    switch (next) {
    case PP_NEXT_LINGER:
        lease->c->cs->state = CONN_STATE_LINGER;
        return OK;
    case PP_NEXT_KEEPALIVE:
        look_for_pipelined(lease);
        lease->c->cs->state = CONN_STATE_WRITE_COMPLETION;
        return OK;
    case PP_NEXT_RENEW:
        lease->leaving = true;
        break;
    case PP_NEXT_HOOKS:
        lease->inside = true;
        rc = ap_run_process_connection(lease->c);
        lease->inside = false;
        break;
    default:
        lease->inside = true;
        lease->user->on_worker(lease, next);
        lease->inside = false;
        break;
    }
    lease_after_hooks(lease);
    return rc;
}

static int on_process_connection(conn_rec *c)
{
    pp_lease_t *lease;

    if (c->master || !c->cs || !pooledproxy_engine_may_lease())
        return DECLINED;
    lease = ap_get_module_config(c->conn_config, &pooledproxy_module);
    if (!lease && lease_is_wanted(c))
        lease = lease_create(c);
    if (!lease || lease == &never || lease->inside)
        return DECLINED;
    return lease_process(lease);
}

static void socket_point_to(apr_socket_t *socket, int fd)
{
    apr_os_sock_t os = fd;

    apr_os_sock_put(&socket, &os, NULL); /* an existing object: only its descriptor is set */
}

/* The MPM has let go of the connection and will wait on its socket object: from here on that is the eventfd, and the client the loop's. */
static void on_suspend(conn_rec *c, request_rec *r)
{
    pp_lease_t *lease = c->master ? NULL : pooledproxy_lease_of(c);

    (void)r;
    if (!lease || !lease->leaving)
        return;
    lease->leaving = false;
    lease->away = true;
    socket_point_to(lease->mpm_socket, lease->event_fd);
    c->sbh = NULL;
    lease->task.run = on_arrive_task;
    pp_loop_post(lease->shard->loop, &lease->task);
}

/* A worker that must have the connection now waits for the loop's answer; the loop never blocks, so it comes soon. */
typedef struct revoke_t {
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    bool done;
} revoke_t;

static void lease_revoke(pp_lease_t *lease)
{
    revoke_t revoke = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

    lease->revoke = &revoke;
    lease->revoke_task.run = on_revoke_task;
    pp_loop_post(lease->shard->loop, &lease->revoke_task);
    pthread_mutex_lock(&revoke.mutex);
    while (!revoke.done)
        pthread_cond_wait(&revoke.answered, &revoke.mutex);
    pthread_mutex_unlock(&revoke.mutex);
}

static bool token_take(pp_lease_t *lease)
{
    uint64_t n;

    return read(lease->event_fd, &n, sizeof(n)) == sizeof(n);
}

/* The MPM has the connection again: because the loop gave it back, or because Timeout ran out or the child ends. */
static void on_resume(conn_rec *c, request_rec *r)
{
    pp_lease_t *lease = c->master ? NULL : pooledproxy_lease_of(c);
    bool given, closing;

    (void)r;
    if (!lease || !lease->away)
        return;
    lease->away = false;
    given = token_take(lease);
    closing = c->cs->state != CONN_STATE_PROCESSING; /* what the listener makes of a connection that is ready */
    if (pooledproxy_engine_may_lease() && (!given || (closing && lease->r)))
        lease_revoke(lease);
    (void)token_take(lease);
    socket_point_to(lease->mpm_socket, lease->fd);
    pooledproxy_valve_leave_loop(&lease->valve);
    if ((closing || !given) && lease->r && pooledproxy_engine_may_lease())
        lease->user->on_lost(lease);
}

void pooledproxy_lease_leave(pp_lease_t *lease, request_rec *r, void *work)
{
    lease->r = r;
    lease->work = work;
    lease->leaving = true;
}

/* ---- the loop's side ---- */

static struct pp_lease_ring_t *ring_of(const pp_shard_t *shard)
{
    struct pp_lease_ring_t *ring = &out_rings[pp_loop_index(shard->loop)];

    if (!APR_RING_FIRST(ring))
        APR_RING_INIT(ring, pp_lease_t, link);
    return ring;
}

/* The MPM closes a connection that it has not seen for Timeout (of the last request's vhost): renew in good time. */
static void renew_set(pp_lease_t *lease)
{
    if (!lease->io_timeout)
        lease->io_timeout = lease->c->base_server->timeout;
    if (lease->r && lease->r->server->timeout < lease->io_timeout)
        lease->io_timeout = lease->r->server->timeout;
    pp_timer_set(lease->shard->loop, &lease->renew_timer, pp_loop_now(lease->shard->loop) + lease->io_timeout / 2);
}

static void on_arrive_task(pp_task_t *task)
{
    pp_lease_t *lease = PP_OWNER_OF(task, pp_lease_t, task);

    lease->out = true;
    pooledproxy_valve_enter_loop(&lease->valve);
    lease->c->current_thread = NULL;
    if (!lease->score)
        lease->score = pooledproxy_engine_score(lease->c, lease->shard);
    APR_RING_INSERT_TAIL(ring_of(lease->shard), lease, pp_lease_t, link);
    apr_socket_timeout_set(lease->twin, 0);
    renew_set(lease);
    lease->user->on_arrive(lease);
}

static void lease_detach(pp_lease_t *lease)
{
    pp_loop_t *loop = lease->shard->loop;

    lease->out = false;
    APR_RING_REMOVE(lease, link);
    pp_io_unwatch(loop, &lease->io);
    pp_timer_remove(loop, &lease->renew_timer);
    pp_timer_remove(loop, &lease->deadline_timer);
    pooledproxy_valve_leave_loop(&lease->valve);
    apr_socket_timeout_set(lease->twin, lease->r ? lease->r->server->timeout : lease->c->base_server->timeout);
}

/* The last thing the loop does with a connection: after the write a worker may have destroyed it. */
static void on_depart_task(pp_task_t *task)
{
    pp_lease_t *lease = PP_OWNER_OF(task, pp_lease_t, task);
    uint64_t one = 1;
    int fd = lease->event_fd;

    lease->departing = false;
    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

void pooledproxy_lease_give(pp_lease_t *lease, pp_next_t next)
{
    assert(lease->out);
    lease_detach(lease);
    lease->next = next;
    if (next != PP_NEXT_RENEW)
        lease->idle = false;
    lease->departing = true;
    /* Not before this round has ended: it may hold an event of the client's socket still. */
    lease->task.run = on_depart_task;
    pp_loop_post(lease->shard->loop, &lease->task);
}

static void on_revoke_task(pp_task_t *task)
{
    pp_lease_t *lease = PP_OWNER_OF(task, pp_lease_t, revoke_task);
    revoke_t *revoke = lease->revoke;

    if (lease->departing) { /* given back in the same moment: the worker must not go on before that is over */
        pp_loop_post(lease->shard->loop, task);
        return;
    }
    if (lease->out)
        lease_detach(lease);
    lease->user->on_revoked(lease);
    pthread_mutex_lock(&revoke->mutex);
    revoke->done = true;
    pthread_cond_signal(&revoke->answered);
    pthread_mutex_unlock(&revoke->mutex);
}

static void on_client_io(pp_io_t *io, apr_int16_t events)
{
    pp_lease_t *lease = PP_OWNER_OF(io, pp_lease_t, io);

    lease->user->on_client(lease, events);
}

static void on_renew_timer(pp_timer_t *timer)
{
    pp_lease_t *lease = PP_OWNER_OF(timer, pp_lease_t, renew_timer);

    if (lease->user->may_bounce(lease))
        pooledproxy_lease_give(lease, PP_NEXT_RENEW);
}

static void on_deadline_timer(pp_timer_t *timer)
{
    pp_lease_t *lease = PP_OWNER_OF(timer, pp_lease_t, deadline_timer);

    lease->user->on_deadline(lease);
}

void pooledproxy_lease_want(pp_lease_t *lease, apr_int16_t events)
{
    pp_io_set(lease->shard->loop, &lease->io, lease->fd, events, lease->c->pool);
}

void pooledproxy_lease_deadline(pp_lease_t *lease, pp_time_t when)
{
    if (when)
        pp_timer_set(lease->shard->loop, &lease->deadline_timer, when);
    else
        pp_timer_clear(&lease->deadline_timer);
}

void pooledproxy_lease_return_idle(pp_shard_t *shard)
{
    struct pp_lease_ring_t *ring = ring_of(shard);
    pp_time_t last = pp_loop_now(shard->loop) + PP_LEASE_GRACE;

    for (pp_lease_t *lease = APR_RING_FIRST(ring); lease != APR_RING_SENTINEL(ring, pp_lease_t, link);
         lease = APR_RING_NEXT(lease, link)) {
        if (!lease->idle || lease->idle_until <= last)
            continue;
        lease->idle_until = last;
        pooledproxy_lease_deadline(lease, last);
    }
}

void pooledproxy_lease_register(const pp_lease_user_t *user, bool (*is_wanted)(conn_rec *c))
{
    lease_user = user;
    lease_is_wanted = is_wanted;
    ap_hook_process_connection(on_process_connection, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_suspend_connection(on_suspend, NULL, NULL, APR_HOOK_LAST);
    ap_hook_resume_connection(on_resume, NULL, NULL, APR_HOOK_FIRST);
}
