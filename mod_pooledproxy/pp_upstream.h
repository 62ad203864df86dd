/* pp_upstream: the servers that requests may go to, and the pool definitions they draw on. Configuration: made before the loops run,
 * never changed afterwards, read from every thread.
 *
 * Ownership: everything lives in the configuration's pool (or, for a URL met at run time, in the request's).
 */
#ifndef PP_UPSTREAM_H
#define PP_UPSTREAM_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <stdbool.h>

#include "pp_policy.h"
#include "pp_pool.h"

/* One pool as configured: one per vhost and one per named upstream. The pools themselves are per loop (pp_pool). */
typedef struct pp_pool_def_t {
    const char *name; /* the upstream's name, or the vhost's as "server:port" */
    int index;        /* 0 ... number of pools - 1: its place in every loop and in the statistics */
    pp_pool_policy_t policy;
    const pp_tls_t *tls; /* for its https servers: connections are not shared over pools, so each pool has one; NULL: it has none */
    apr_array_header_t
        *servers; /* of pp_server_t *: those the configuration leads to, each once, no backup, none that drains; or NULL */
} pp_pool_def_t;

typedef struct pp_server_t {
    const char *url;       /* as configured, for people */
    const char *key;       /* what tells connections of this server from others of its pool: "host:port", "https://host:port",
                              "unix:/path", "unix:/path|https://host:port", or a service */
    bool is_tls;           /* https:// */
    const char *host;      /* name or address literal, IPv6 without brackets; of a unix socket the host of its http:// part */
    const char *authority; /* host[:port] for the Host field: port left out when it is the scheme's, IPv6 in brackets */
    int port;              /* 0: host is a service, "_api._tcp.example", whose SRV records say more */
    const char *unix_path; /* NULL: TCP */
    const char *path;      /* the URL's path, "" or "/..."; of a named upstream's server without the slash at its end */
    bool is_service;
    int weight; /* >= 1 */
    int limit;  /* most connections to this server, 0: the policy's host_limit */
    bool backup;
    bool drain;
} pp_server_t;

typedef enum pp_balance_kind_t {
    PP_BALANCE_ROUNDROBIN,
    PP_BALANCE_LEASTCONN,
    PP_BALANCE_RANDOM2,
    PP_BALANCE_HASH
} pp_balance_kind_t;

typedef struct pp_upstream_t {
    const char *name; /* NULL: a single server given by its URL */
    const pp_pool_def_t *pool;
    int nservers;
    pp_server_t **servers;
    pp_balance_kind_t balance;
    const void *hash_expr;  /* the ap_expr_info_t of hash:EXPR; opaque here */
    pp_timeouts_t timeouts; /* PooledProxyTimeout of its block; a field of -1 is not set there */
    int index;              /* of a named upstream: its place in each loop's balancer state; -1 for a single URL */
} pp_upstream_t;

/* Parses http[s]://host[:port][/path], srv+http://_service._tcp.name[/path] or unix:/path|http[s]://host[:port]/[path] into a server in `p`. Returns NULL and sets *server, or a
 * message that says what is wrong and what is accepted (h2c is named as not available). */
const char *pp_server_parse(apr_pool_t *p, const char *url, pp_server_t **server);

/* The port that a URL of its scheme does not need to have. */
int pp_server_default_port(const pp_server_t *server);

/* Where connections to it lead, in that pool. */
pp_target_t pp_server_target(const pp_server_t *server, const pp_pool_def_t *pool);

/* What is wrong with the path of a URL, which is "" or "/...", escaped, without query and fragment; NULL: nothing. */
const char *pp_url_path_error(const char *path);

#endif
