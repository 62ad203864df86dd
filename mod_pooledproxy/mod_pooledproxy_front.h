/* mod_pooledproxy_front: the loop's front of an exchange: what it hears of the request's body and of the answer, while a leased connection is
 * the client's. Threads: the loop's. What is heard belongs to a pp_forward_t, whose end is mod_pooledproxy_async's. */
#ifndef MOD_POOLEDPROXY_FRONT_H
#define MOD_POOLEDPROXY_FRONT_H

#include "mod_pooledproxy_forward.h"
#include "mod_pooledproxy_lease.h"

extern const pp_front_t pooledproxy_front;

#endif
