/* mod_pooledproxy_engine: starts, stops and counts the loops of a child. */
#include "mod_pooledproxy_engine.h"

#include <ap_mpm.h>
#include <http_log.h>
#include <scoreboard.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pp_log.h"

APLOG_USE_MODULE(pooledproxy);

#define JOIN_TIME PP_SEC(2)
#define RETAINED "mod_pooledproxy:ledger"
#define HOSTS_AT_RUN_TIME 32 /* for which a pool has accounts beside those of its configured servers */

/* Of the whole server, inherited by the children: the ledger is made once and outlives restarts; the books are this configuration's. */
typedef struct retained_t {
    pp_ledger_t *ledger;
    int nseats;
    size_t layout; /* another build of the module may have come with a restart */
} retained_t;

static pp_ledger_t *ledger;
static pp_book_t **books;

/* Of this child. */
static pp_shard_t **shards;
static int nshards;
static bool may_lease;
static volatile bool stopping;
static server_rec *log_server;

static void log_to_httpd(int level, const char *line)
{
    ap_log_error(APLOG_MARK, level, 0, log_server, "%s", line);
}

/* Each seat has a descriptor in every process. Many children may need more than the soft limit that httpd was started with. */
static apr_status_t ledger_make(server_rec *s, int nseats, pp_ledger_t **made)
{
    apr_status_t status = pp_ledger_create(made, nseats, s->process->pool);
    struct rlimit limit;

    if (!APR_STATUS_IS_EMFILE(status) || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return status;
    limit.rlim_cur += (rlim_t)nseats;
    if (limit.rlim_cur > limit.rlim_max || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        ap_log_error(
            APLOG_MARK, APLOG_EMERG, 0, s,
            "pooledproxy: one descriptor for each event loop of each child, %d in all, and httpd's other ones are more than "
            "the limit of %lu: raise it (ulimit -n, LimitNOFILE), or lower ServerLimit",
            nseats, (unsigned long)limit.rlim_max);
        return status;
    }
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                 "pooledproxy: the limit of descriptors is now %lu, for %d event loops in all children",
                 (unsigned long)limit.rlim_cur, nseats);
    return pp_ledger_create(made, nseats, s->process->pool);
}

/* The ledger of before, when it has seats enough and this build understands it; else a new one. Then the limits of children that
 * are still there and of those to come are counted apart. */
static apr_status_t ledger_get(server_rec *s, int nseats)
{
    retained_t *retained = ap_retained_data_get(RETAINED);
    apr_status_t status;

    if (!retained)
        retained = ap_retained_data_create(RETAINED, sizeof(*retained));
    ledger = retained->ledger;
    if (ledger && retained->nseats >= nseats && retained->layout == pp_ledger_layout())
        return APR_SUCCESS;
    status = ledger_make(s, nseats, &ledger);
    if (status != APR_SUCCESS)
        return status;
    if (retained->ledger) {
        pp_ledger_close(retained->ledger);
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "pooledproxy: more event loops than before, or another build: until the old children have ended, their "
                     "connections do not count for the limits of the new ones");
    }
    *retained = (retained_t){ledger, nseats, pp_ledger_layout()};
    return APR_SUCCESS;
}

/* How many processes there may be at a time. The worker MPM starts a new one in place of one that is still ending. */
static int processes_most(void)
{
    int servers = 1;

    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &servers);
    return (servers > 0 ? servers : 1) * (strcmp(ap_show_mpm(), "worker") == 0 ? 2 : 1);
}

static int hosts_of(const pp_pool_def_t *pool)
{
    return (pool->servers ? pool->servers->nelts : 0) + HOSTS_AT_RUN_TIME;
}

static apr_status_t books_make(pp_ledger_t *of, const pp_main_conf_t *conf, pp_book_t **made)
{
    apr_status_t status = APR_SUCCESS;

    for (int i = 0; i < conf->npools && status == APR_SUCCESS; i++)
        status = pp_ledger_book(of, conf->pools[i]->name, &conf->pools[i]->policy, hosts_of(conf->pools[i]), &made[i]);
    return status;
}

int pooledproxy_engine_prepare(apr_pool_t *pconf, server_rec *s)
{
    const pp_main_conf_t *conf = pooledproxy_main_conf();
    apr_status_t status = ledger_get(s, processes_most() * conf->event_loops);

    books = apr_pcalloc(pconf, sizeof(*books) * (apr_size_t)(conf->npools + 1));
    if (status == APR_SUCCESS)
        status = books_make(ledger, conf, books);
    if (status != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, status, s, "pooledproxy: can't make the memory that the children share");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    while (pp_ledger_find_dead(ledger)) /* while the module was not there nobody has told us of their end */
        ;
    return OK;
}

static void on_loop_start(pp_loop_t *loop, apr_thread_t *thread)
{
#if AP_HAS_THREAD_LOCAL
    apr_thread_t *current = thread;
    ap_thread_current_create(&current, NULL, pp_loop_pool(loop));
#endif
    (void)loop;
    (void)thread;
}

/* Before the child's memory goes no loop may run any more. */
static apr_status_t on_child_end(void *data)
{
    (void)data;
    stopping = true;
    for (int i = 0; i < nshards; i++)
        pp_loop_stop(shards[i]->loop);
    for (int i = 0; i < nshards; i++)
        if (pp_loop_join(shards[i]->loop, JOIN_TIME) != APR_SUCCESS)
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, log_server, "pooledproxy: event loop %d did not end in time", i);
    nshards = 0;
    return APR_SUCCESS;
}

/* More processes than there may be: the limits of this one count apart, which is better than to serve nobody. */
static apr_status_t plan_apart(pp_shard_plan_t *plan, const pp_main_conf_t *conf, apr_pool_t *pchild)
{
    pp_book_t **own = apr_pcalloc(pchild, sizeof(*own) * (apr_size_t)(conf->npools + 1));
    apr_status_t status = pp_ledger_create(&plan->ledger, conf->event_loops, pchild);

    ap_log_error(APLOG_MARK, APLOG_ERR, 0, log_server,
                 "pooledproxy: there are more child processes than ServerLimit: the limits of this one count apart");
    plan->books = own;
    return status == APR_SUCCESS ? books_make(plan->ledger, conf, own) : status;
}

static bool is_threaded(void)
{
    int threaded = 1;

    return ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) != APR_SUCCESS || threaded != AP_MPMQ_NOT_SUPPORTED;
}

static apr_status_t shard_start(int index, pp_shard_plan_t *plan, apr_pool_t *pchild)
{
    apr_status_t status = pp_shard_create(&shards[index], index, plan, pchild);

    if (APR_STATUS_IS_ENOSPC(status) && plan_apart(plan, pooledproxy_main_conf(), pchild) == APR_SUCCESS)
        status = pp_shard_create(&shards[index], index, plan, pchild);
    if (status == APR_SUCCESS && !is_threaded())
        pp_loop_take_guests(shards[index]->loop); /* the only thread there is waits for the loop anyway */
    if (status == APR_SUCCESS)
        status = pp_loop_start(shards[index]->loop, on_loop_start);
    if (status == APR_SUCCESS)
        nshards++;
    return status;
}

/* A notice is logged whatever LogLevel says, as httpd does it. */
static int log_level(server_rec *s)
{
    int level = ap_get_server_module_loglevel(s, APLOG_MODULE_INDEX);

    return level > APLOG_NOTICE ? level : APLOG_NOTICE;
}

void pooledproxy_engine_start(apr_pool_t *pchild, server_rec *s)
{
    const pp_main_conf_t *conf = pooledproxy_main_conf();
    pp_shard_plan_t *plan = apr_palloc(pchild, sizeof(*plan));
    int waitio = 0;

    if (conf->npools == 0)
        return;
    log_server = s;
    pp_log_to(log_to_httpd, log_level(s));
#ifdef AP_MPMQ_CAN_WAITIO
    may_lease = ap_mpm_query(AP_MPMQ_CAN_WAITIO, &waitio) == APR_SUCCESS && waitio;
#endif
    *plan = (pp_shard_plan_t){conf->npools, conf->pools, ledger, books, conf->nupstreams, conf->upstreams, conf->resolver};
    shards = apr_pcalloc(pchild, sizeof(*shards) * (apr_size_t)conf->event_loops);
    apr_pool_pre_cleanup_register(pchild, NULL, on_child_end);
    for (int i = 0; i < conf->event_loops; i++) {
        apr_status_t status = shard_start(i, plan, pchild);
        if (status != APR_SUCCESS) {
            ap_log_error(APLOG_MARK, APLOG_ERR, status, s, "pooledproxy: can't start event loop %d", i);
            break;
        }
    }
}

typedef struct drain_task_t {
    pp_task_t task;
    pp_shard_t *shard;
    void (*return_idle)(pp_shard_t *shard);
} drain_task_t;

static void on_drain(pp_task_t *task)
{
    drain_task_t *drain = (drain_task_t *)task;

    drain->return_idle(drain->shard);
    pp_shard_drain(drain->shard);
}

void pooledproxy_engine_stopping(int graceful, void (*return_idle)(pp_shard_t *shard))
{
    static drain_task_t drains[64];
    static bool told;

    stopping = true;
    /* Not graceful: a worker may still wait for a loop's answer, so the loops end only with the child's memory (on_child_end). */
    for (int i = 0; i < nshards && graceful && !told; i++) {
        drains[i].task.run = on_drain;
        drains[i].shard = shards[i];
        drains[i].return_idle = return_idle;
        pp_loop_post(shards[i]->loop, &drains[i].task);
    }
    told |= graceful != 0;
}

void pooledproxy_engine_child_gone(pid_t pid)
{
    if (ledger)
        pp_ledger_process_gone(ledger, pid);
}

pp_shard_t *pooledproxy_engine_shard(void)
{
    static _Atomic unsigned turn;

    return nshards ? shards[turn++ % (unsigned)nshards] : NULL;
}

bool pooledproxy_engine_may_lease(void)
{
    return may_lease && nshards > 0;
}

bool pooledproxy_engine_is_stopping(void)
{
    return stopping;
}

void pooledproxy_engine_sum(int index, int64_t *numbers)
{
    int used = pp_seats_used(pp_ledger_seats(ledger));

    for (unsigned row = 0; row < pp_stat_row_count; row++) {
        numbers[row] = 0;
        for (int seat = 0; seat < used; seat++)
            numbers[row] += pp_stat_get(pp_book_stats(books[index], seat), &pp_stat_rows[row]);
    }
}

pp_time_t pooledproxy_engine_close_age(int index)
{
    return pp_host_table_close_age(pp_book_hosts(books[index]));
}

void *pooledproxy_engine_score(conn_rec *c, const pp_shard_t *shard)
{
    ap_sb_handle_t *sbh = NULL;
    int line = 0, limit = 0;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &line);
    ap_mpm_query(AP_MPMQ_HARD_LIMIT_THREADS, &limit);
    line += pp_loop_index(shard->loop);
    if (line < limit) /* the event MPM makes c->id of child and thread: ID_FROM_CHILD_THREAD */
        ap_create_sb_handle(&sbh, c->pool, (int)(c->id / limit), line);
    return sbh;
}
