/* mod_pooledproxy_safety: what may run on an event loop because it is known not to block. What is not known runs on a worker thread. */
#ifndef MOD_POOLEDPROXY_SAFETY_H
#define MOD_POOLEDPROXY_SAFETY_H

#include <httpd.h>
#include <stdbool.h>

/* post_config: looks at the modules that hook into request processing and at the configuration, and says once in the log (info) what
 * keeps requests from being read on loops. */
void pooledproxy_safety_survey(server_rec *s, apr_pool_t *ptemp);

/* May requests be read and processed on a loop at all? If not, each begins on a worker; waiting for the backend is the loop's still. */
bool pooledproxy_safety_may_read(void);

/* May r, which was just read, be processed on a loop? Not when httpd is to check a password: a provider may block, a hash takes time. */
bool pooledproxy_safety_may_process(const request_rec *r);

/* May the next request on the connection that r came on begin on a loop? Not where r was authenticated: a provider may block. */
bool pooledproxy_safety_may_read_after(const request_rec *r);

/* May r's response be passed through its output filters, and r be logged, on a loop? */
bool pooledproxy_safety_may_write(const request_rec *r);

/* May an error of r be answered on a loop? Not where an ErrorDocument may make it another request, nor where httpd may want to read the
 * rest of r's body first. */
bool pooledproxy_safety_may_die(request_rec *r);

#endif
