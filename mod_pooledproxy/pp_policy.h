/* pp_policy: what the administrator decided, as plain numbers that every floor may read. */
#ifndef PP_POLICY_H
#define PP_POLICY_H

#include <stdbool.h>

#include "pp_clock.h"

/* PooledProxyTimeout. Microseconds; 0: no limit. */
typedef struct pp_timeouts_t {
    pp_time_t total;      /* the whole exchange: queue, connects, retries and body included */
    pp_time_t pool;       /* wait for a free connection */
    pp_time_t connect;    /* name, TCP and TLS */
    pp_time_t write;      /* between two successful writes */
    pp_time_t first_byte; /* request sent to status line */
    pp_time_t read;       /* between two successful reads */
} pp_timeouts_t;

/* PooledProxyDNSTTL: how long what the resolver says is believed. Microseconds. */
typedef struct pp_dns_policy_t {
    pp_time_t ttl;      /* addresses hold that long; 0: as long as their records say, within min and max */
    pp_time_t max, min; /* of a record's time */
    pp_time_t stale;    /* how much longer they are used while the resolver fails */
    pp_time_t negative; /* a failure is told for so long without waiting for the resolver */
} pp_dns_policy_t;

/* The settings of one pool. */
typedef struct pp_pool_policy_t {
    int size;                     /* PooledProxyPoolSize: most connections, busy + idle + connecting; >= 1 */
    int host_limit;               /* PooledProxyHostLimit: the same per host; 0: no extra limit */
    int host_limit_least;         /* PooledProxyHostLimit auto: between this and host_limit as latency allows; 0: not auto */
    bool keep_alive;              /* PooledProxyKeepAlive */
    pp_time_t keep_alive_timeout; /* PooledProxyKeepAliveTimeout: an idle connection older than this is closed */
    int idle_max;                 /* PooledProxyIdleMax: idle connections kept at most; 0: no cap */
    int idle_min;                 /* PooledProxyIdleMin: idle connections kept ready at least */
    pp_time_t max_age;            /* PooledProxyMaxAge: a connection older than this is not used again */
    int max_age_jitter;           /* percent of max_age, less than 100: each connection's age is up to that much shorter */
    int max_requests;             /* PooledProxyMaxRequests: requests one connection serves; 0: no limit */
    int max_connecting;           /* PooledProxyMaxConnecting: handshakes in flight per host; >= 1 */
    int queue;                    /* PooledProxyQueue: requests that may wait; 0: none */
    pp_time_t dns_ttl, dns_max, dns_min, dns_stale, dns_negative; /* PooledProxyDNSTTL: pp_dns_policy_t */
} pp_pool_policy_t;

#endif
