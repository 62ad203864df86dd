/* mod_pooledproxy_env: the log fields: what is known of a request's way through the proxy, in its environment. */
#ifndef MOD_POOLEDPROXY_ENV_H
#define MOD_POOLEDPROXY_ENV_H

#include <httpd.h>

#include "mod_pooledproxy_conf.h"
#include "pp_call.h"

/* Sets POOLEDPROXY_UPSTREAM, _SERVER, _REUSED, _REASON, _ATTEMPTS, _PROTOCOL and the times _T_... (microseconds; a phase that was
 * not reached has none). */
void pooledproxy_env_set(request_rec *r, const pp_match_t *match, const pp_call_t *call, pp_err_t err);

#endif
