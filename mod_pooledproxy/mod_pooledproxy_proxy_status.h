/* mod_pooledproxy_proxy_status: tells the client in Proxy-Status (RFC 9209) how the proxying went: PooledProxyStatusHeader. */
#ifndef MOD_POOLEDPROXY_PROXY_STATUS_H
#define MOD_POOLEDPROXY_PROXY_STATUS_H

#include <httpd.h>

#include "mod_pooledproxy_conf.h"
#include "pp_err.h"

/* The answer to r is ours, because of `err`: why, unless the setting is off. */
void pooledproxy_proxy_status_error(request_rec *r, const pp_match_t *match, pp_err_t err);

/* r->headers_out has the upstream's answer, with the Proxy-Status it may have: adds our part behind that, when the setting is always. */
void pooledproxy_proxy_status_answer(request_rec *r, const pp_match_t *match, int received_status);

#endif
