/* mod_pooledproxy_async: the loop's front: drives leased connections: exchanges, and the next request of the same client. */
#ifndef MOD_POOLEDPROXY_ASYNC_H
#define MOD_POOLEDPROXY_ASYNC_H

#include "mod_pooledproxy_forward.h"
#include "mod_pooledproxy_lease.h"

/* The user of all leases. */
extern const pp_lease_user_t pooledproxy_async_user;

/* May r, as it stands in its handler, be forwarded by the loop that will have or has its connection? Returns the lease, or NULL. */
pp_lease_t *pooledproxy_async_lease(request_rec *r, const pp_match_t *match);

/* In the handler, on a worker or on the loop: fw is started when its connection is the loop's and the hooks have returned. Returns
 * SUSPENDED for the handler to return. */
int pooledproxy_async_forward(pp_lease_t *lease, pp_forward_t *fw);

/* In the handler: what no loop may do is done by the calling thread (returns OK or an HTTP status), or, when that is a loop's, by a
 * worker that gets the connection (returns SUSPENDED). */
int pooledproxy_async_decline(pp_forward_t *fw);

#endif
