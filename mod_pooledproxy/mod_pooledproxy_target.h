/* mod_pooledproxy_target: makes the request-target for the backend, path and query, from the request and the route's URL. */
#ifndef MOD_POOLEDPROXY_TARGET_H
#define MOD_POOLEDPROXY_TARGET_H

#include <httpd.h>
#include <stdbool.h>

#include "mod_pooledproxy_conf.h"

/* How many bytes of the path `uri` the prefix covers, as ProxyPass counts: whole segments, any number of slashes for each slash.
 * 0: it doesn't match. */
size_t pooledproxy_prefix_match(const char *uri, const char *prefix);

/* The path of the request as it came, still escaped, without query; NULL when it is not safe to take it: it holds dot segments (plain
 * or escaped), a fragment, or is not a path. In r->pool. */
const char *pooledproxy_raw_path(request_rec *r);

/* `path`, decoded by httpd, with what may not stand in a path escaped: what mod_proxy's canonicalisation does. With
 * AllowEncodedSlashes NoDecode the %2F that httpd left in stays. In r->pool. */
const char *pooledproxy_path_escape(request_rec *r, const char *path);

/* `prefix` and `path` (both "" or "/...") one after the other with one slash between them. In r->pool. */
const char *pooledproxy_path_join(request_rec *r, const char *prefix, const char *path);

/* The target of r by `route`, which applies to it. In r->pool. */
const char *pooledproxy_target(request_rec *r, const pp_route_t *route);

/* `path` with the request's query behind it. */
const char *pooledproxy_with_query(request_rec *r, const char *path);

#endif
