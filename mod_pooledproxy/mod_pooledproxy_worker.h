/* mod_pooledproxy_worker: what a worker does with a connection that was leased.
 *
 * Threads: the worker that has the connection.
 */
#ifndef MOD_POOLEDPROXY_WORKER_H
#define MOD_POOLEDPROXY_WORKER_H

#include "mod_pooledproxy_forward.h"
#include "mod_pooledproxy_lease.h"

/* Goes on with lease->r: PP_NEXT_PROCESS, INVOKE, FORWARD, DELIVER or DIE. Leaves c->cs->state set for the MPM. */
void pooledproxy_worker_go_on(pp_lease_t *lease, pp_next_t next);

/* Ends lease->r, whose connection is closed. Its call, if any, has ended. */
void pooledproxy_worker_end_lost(pp_lease_t *lease);

#endif
