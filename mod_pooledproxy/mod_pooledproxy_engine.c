/* mod_pooledproxy_engine: starts, stops and counts the loops of a child. */
#include "mod_pooledproxy_engine.h"

#include <ap_mpm.h>
#include <apr_shm.h>
#include <http_log.h>
#include <scoreboard.h>
#include <unistd.h>

#include "pp_log.h"

APLOG_USE_MODULE(pooledproxy);

#define JOIN_TIME PP_SEC(2)

/* Of the whole server: made in post_config, inherited by the children. */
static apr_shm_t *shm;
static _Atomic int *slot_pids; /* who has each slot; 0: nobody */
static pp_stats_t *all_stats;  /* [process slot][loop][pool] */
static int nslots;
static int nloops;

/* Of this child. */
static pp_shard_t **shards;
static int nshards;
static bool may_lease;
static volatile bool stopping;
static server_rec *log_server;

static pp_stats_t *stats_of(int slot, int loop)
{
    return all_stats + ((size_t)slot * (size_t)nloops + (size_t)loop) * (size_t)pooledproxy_main_conf()->npools;
}

static void log_to_httpd(int level, const char *line)
{
    ap_log_error(APLOG_MARK, level, 0, log_server, "%s", line);
}

int pooledproxy_engine_prepare(apr_pool_t *pconf, server_rec *s)
{
    const pp_main_conf_t *conf = pooledproxy_main_conf();
    int servers = 1;
    apr_size_t size, pids_size;
    apr_status_t status;

    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &servers);
    nslots = servers > 0 ? servers : 1;
    nloops = conf->event_loops;
    pids_size = APR_ALIGN_DEFAULT(sizeof(*slot_pids) * (apr_size_t)nslots);
    size = pids_size + sizeof(pp_stats_t) * (apr_size_t)nslots * (apr_size_t)nloops * (apr_size_t)(conf->npools + 1);
    status = apr_shm_create(&shm, size, NULL, pconf);
    if (status != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, status, s, "pooledproxy: can't make %" APR_SIZE_T_FMT " bytes of shared memory",
                     size);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    slot_pids = apr_shm_baseaddr_get(shm);
    memset((void *)slot_pids, 0, size);
    all_stats = (pp_stats_t *)((char *)apr_shm_baseaddr_get(shm) + pids_size);
    return OK;
}

/* Takes a free slot for this process; -1: there is none (more processes than ServerLimit). */
static int slot_take(void)
{
    for (int i = 0; i < nslots; i++) {
        int nobody = 0;
        if (atomic_compare_exchange_strong(&slot_pids[i], &nobody, (int)getpid()))
            return i;
    }
    return -1;
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

static apr_status_t shard_start(int index, const pp_shard_plan_t *plan, int slot, apr_pool_t *pchild)
{
    pp_stats_t *stats =
        slot >= 0 ? stats_of(slot, index) : apr_pcalloc(pchild, sizeof(pp_stats_t) * (apr_size_t)(plan->npools + 1));
    apr_status_t status;

    for (int i = 0; i < plan->npools; i++)
        pp_stats_clear_gauges(&stats[i]);
    status = pp_shard_create(&shards[index], index, plan, stats, pchild);
    if (status == APR_SUCCESS)
        status = pp_loop_start(shards[index]->loop, on_loop_start);
    if (status == APR_SUCCESS)
        nshards++;
    return status;
}

void pooledproxy_engine_start(apr_pool_t *pchild, server_rec *s)
{
    const pp_main_conf_t *conf = pooledproxy_main_conf();
    pp_shard_plan_t *plan = apr_palloc(pchild, sizeof(*plan));
    int waitio = 0, slot = slot_take();

    if (conf->npools == 0)
        return;
    log_server = s;
    pp_log_to(log_to_httpd, ap_get_server_module_loglevel(s, APLOG_MODULE_INDEX));
#ifdef AP_MPMQ_CAN_WAITIO
    may_lease = ap_mpm_query(AP_MPMQ_CAN_WAITIO, &waitio) == APR_SUCCESS && waitio;
#endif
    *plan = (pp_shard_plan_t){conf->npools, conf->pools, conf->nupstreams, conf->upstreams};
    shards = apr_pcalloc(pchild, sizeof(*shards) * (apr_size_t)conf->event_loops);
    apr_pool_pre_cleanup_register(pchild, NULL, on_child_end);
    for (int i = 0; i < conf->event_loops; i++) {
        apr_status_t status = shard_start(i, plan, slot, pchild);
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
    for (int slot = 0; slot_pids && slot < nslots; slot++) {
        if (atomic_load(&slot_pids[slot]) != (int)pid)
            continue;
        for (int i = 0; i < nloops * pooledproxy_main_conf()->npools; i++)
            pp_stats_clear_gauges(&stats_of(slot, 0)[i]);
        atomic_store(&slot_pids[slot], 0);
    }
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
    for (unsigned row = 0; row < pp_stat_row_count; row++) {
        numbers[row] = 0;
        for (int slot = 0; slot < nslots; slot++)
            for (int loop = 0; loop < nloops; loop++)
                numbers[row] += pp_stat_get(&stats_of(slot, loop)[index], &pp_stat_rows[row]);
    }
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
