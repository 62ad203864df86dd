/* mod_pooledproxy_route: which requests are ours: the hooks before the handler. Finding and matching is declared in mod_pooledproxy_conf.h. */
#ifndef MOD_POOLEDPROXY_ROUTE_H
#define MOD_POOLEDPROXY_ROUTE_H

#include <httpd.h>

/* translate_name, before mod_alias and the like: OK and r->filename "pooledproxy:..." when a route applies. */
int pooledproxy_translate_name(request_rec *r);

/* map_to_storage, before the core's: OK for such a filename, so that nobody walks the file system. TRACE stays httpd's. */
int pooledproxy_map_to_storage(request_rec *r);

/* fixups, after everybody else: a route is stronger than AddHandler and SetHandler, as with ProxyPass; only the status page goes
 * before it. */
int pooledproxy_fixups(request_rec *r);

#endif
