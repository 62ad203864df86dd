/* mod_pooledproxy_blocking: the front for everything that can't be leased, and for responses whose filters may block: a thread that
 * waits, over the same engine.
 */
#ifndef MOD_POOLEDPROXY_BLOCKING_H
#define MOD_POOLEDPROXY_BLOCKING_H

#include "mod_pooledproxy_forward.h"

/* Forwards on the calling thread, to the end. Returns OK or the HTTP status to answer with, for a handler to return. */
int pooledproxy_blocking_forward(pp_forward_t *fw);

/* Goes on with a response whose head a loop has set in r and whose data comes by fw->channel. Returns like the above. */
int pooledproxy_blocking_deliver(pp_forward_t *fw);

#endif
