/* mod_pooledproxy_next: reads and processes the next request of a leased connection on the loop, where that can't block. */
#ifndef MOD_POOLEDPROXY_NEXT_H
#define MOD_POOLEDPROXY_NEXT_H

#include "mod_pooledproxy_forward.h"
#include "mod_pooledproxy_lease.h"

typedef enum pp_read_t {
    PP_READ_WAIT,    /* the client has sent nothing yet */
    PP_READ_REQUEST, /* *r is read and may be processed here */
    PP_READ_GIVE     /* the connection was given back: it is for a worker, or at its end */
} pp_read_t;

/* post_config: finds the input filters that may be passed by. */
void pooledproxy_next_find_filters(void);

/* Notes what decides about the next request's place: to be called for each forwarded request. */
void pooledproxy_next_remember(pp_lease_t *lease, const pp_forward_t *fw);

/* Loop, before the EOR bucket of a request: over TLS the next request is looked for through mod_reqtimeout, which must not take the wait
 * for it as the wait for a body. It forgets its time for a body with the EOR bucket, once that time has begun. */
void pooledproxy_next_end_body_time(pp_lease_t *lease);

/* Loop: reads the next request if its whole head is there. */
pp_read_t pooledproxy_next_read(pp_lease_t *lease, request_rec **r);

/* Loop: runs the hooks and our handler for r. Returns SUSPENDED (it is being forwarded), or a status to answer with; not when the
 * connection was given back because another handler than ours has the request (lease->out is false then). */
int pooledproxy_next_process(pp_lease_t *lease, request_rec *r);

/* How long the client may be idle before its next request, in microseconds: KeepAliveTimeout. */
apr_interval_time_t pooledproxy_next_keep_alive(const pp_lease_t *lease);

#endif
