/* mod_pooledproxy_forward: one request being forwarded: what both fronts (the loop's and the blocking one) have in common.
 *
 * Ownership: lives in r->pool; belongs to whoever owns the request, but `call`, which is its loop's from start to on_done.
 */
#ifndef MOD_POOLEDPROXY_FORWARD_H
#define MOD_POOLEDPROXY_FORWARD_H

#include <httpd.h>

#include "mod_pooledproxy_conf.h"
#include "mod_pooledproxy_headers.h"
#include "pp_call.h"

typedef struct pp_forward_t {
    request_rec *r;
    const pp_match_t *match;
    pp_call_t call;

    /* The request's body. */
    pp_request_body_t body_kind;
    apr_off_t body_length; /* with PP_REQUEST_BODY_LENGTH */
    apr_off_t body_seen;
    apr_bucket_brigade *in; /* read from the client, not yet sent; NULL: nothing was asked for */
    apr_bucket *lent;       /* of `in`: the exchange has its data */
    char *gathered;         /* copies of several buckets, for one write; NULL: not needed yet */
    bool in_eof;
    int client_status; /* what the client is told when its body was refused (413, 400 ...); 0: not refused */

    /* The response. */
    apr_bucket_brigade *out; /* received, not yet passed on; given by the front */
    bool head_set;           /* r carries the response's head */
    bool passed;             /* something was given to the output filters */
    bool tunnel;

    struct pp_lease_t *lease;     /* of the loop's front, or NULL */
    struct pp_channel_t *channel; /* of the blocking front, or NULL */

    /* The loop's: see mod_pooledproxy_async.c. */
    bool started;
    bool bounced;         /* the connection is on its way through the MPM: nothing of it or r may be touched */
    bool body_waits;      /* the exchange waits for more of the body */
    pp_time_t body_until; /* ... at most until this moment; 0: not now */
    bool done;            /* ended while bounced, with `err` */
    pp_err_t err;
} pp_forward_t;

/* Prepares to forward r: upstream request's head, kind of body. `whole`: a body of unknown length that is already here is taken as a
 * whole, so that a loop can send it. OK with *fw set; else an HTTP status. */
int pooledproxy_forward_create(request_rec *r, const pp_match_t *match, pp_shard_t *shard, bool whole, pp_forward_t **fw);

/* The next piece of the request's body (or of what the client sends in a tunnel), as pp_front_t.body_read says. */
apr_status_t pooledproxy_forward_read(pp_forward_t *fw, apr_read_type_e block, const char **data, size_t *len, pp_err_t *err);

/* Is r's client still there? To be asked when its socket has input that no one waits for; *sent: it is more than belongs to r. Does not
 * wait. */
bool pooledproxy_forward_client_is_there(request_rec *r, bool *sent);

/* Takes the response's head over into r; for 101 answers it and makes r a tunnel. */
void pooledproxy_forward_head(pp_forward_t *fw, const pp_h1_response_t *resp);

/* Adds received data to `out`; `bucket data` stays the caller's until out is passed. */
void pooledproxy_forward_data(pp_forward_t *fw, const char *data, size_t len);

/* Keeps trailers in r->trailers_out. */
void pooledproxy_forward_trailers(pp_forward_t *fw, const pp_field_t *fields, unsigned nfields);

/* Passes `out`, with a FLUSH bucket or not, through the output filters. APR errors: the client is gone. */
apr_status_t pooledproxy_forward_pass(pp_forward_t *fw, bool flush);

/* The end, with the call's outcome: sets the log fields, logs a failure, and ends the response's body (cut when err isn't PP_OK and
 * something was sent). Returns OK, or the HTTP status that the client must be answered with (ap_die). */
int pooledproxy_forward_end(pp_forward_t *fw, pp_err_t err);

#endif
