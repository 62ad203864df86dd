/* mod_pooledproxy_engine: the event loops of this child process and the numbers they keep in shared memory. */
#ifndef MOD_POOLEDPROXY_ENGINE_H
#define MOD_POOLEDPROXY_ENGINE_H

#include <httpd.h>

#include "mod_pooledproxy_conf.h"
#include "pp_shard.h"

/* post_config: the shared memory, for all children that will be. */
int pooledproxy_engine_prepare(apr_pool_t *pconf, server_rec *s);

/* child_init: makes and starts the loops. Without them every request is refused (503), with the reason in the log. */
void pooledproxy_engine_start(apr_pool_t *pchild, server_rec *s);

/* child_stopping. Graceful: on each loop `return_idle` gives idle client connections back, what is in flight ends. */
void pooledproxy_engine_stopping(int graceful, void (*return_idle)(pp_shard_t *shard));

/* child_status, in the parent: the process is gone; what it counted stays, what it had open is no more. */
void pooledproxy_engine_child_gone(pid_t pid);

/* A shard for a new connection or a thread's call: they are taken in turn. NULL: there are none. */
pp_shard_t *pooledproxy_engine_shard(void);

/* May connections be leased to loops (MPM with AP_MPMQ_CAN_WAITIO)? */
bool pooledproxy_engine_may_lease(void);

/* Are we between child_stopping and the end? */
bool pooledproxy_engine_is_stopping(void);

/* The sum over all processes and loops of pool number `index`: pp_stat_row_count numbers, in the order of pp_stat_rows. */
void pooledproxy_engine_sum(int index, int64_t *numbers);

/* The shortest age at which servers of pool number `index` were found to close idle connections, in microseconds; 0: not known. */
pp_time_t pooledproxy_engine_close_age(int index);

/* For requests that end on a loop: its line in the scoreboard, made in c->pool, so that mod_status counts them. It is one beyond
 * the workers' lines; NULL when ThreadsPerChild leaves none below ThreadLimit. */
void *pooledproxy_engine_score(conn_rec *c, const pp_shard_t *shard);

#endif
