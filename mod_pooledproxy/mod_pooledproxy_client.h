/* mod_pooledproxy_client: the client's side of a leased connection: when to look at its socket, and what is found there.
 *
 * Threads: the loop that has the lease.
 */
#ifndef MOD_POOLEDPROXY_CLIENT_H
#define MOD_POOLEDPROXY_CLIENT_H

#include "mod_pooledproxy_forward.h"
#include "mod_pooledproxy_lease.h"

/* Chooses the events of the client's socket that matter now, and the moment until which to wait for them. */
void pooledproxy_client_watch(pp_lease_t *lease);

/* Writes what the client takes now; sets lease->congested when that isn't all. False: the client is gone. */
bool pooledproxy_client_push(pp_lease_t *lease);

/* Is the client still there? To be asked when its socket has input that no one waits for. */
bool pooledproxy_client_is_there(pp_lease_t *lease);

/* Around what may end a request: while `on`, it is counted in the loop's line of the scoreboard (which shows no activity else). */
void pooledproxy_client_score(pp_lease_t *lease, bool on);

#endif
