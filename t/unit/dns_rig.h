/* dns_rig: a resolver on a loop, a DNS server for it (dns_server.h), and askers. */
#ifndef DNS_RIG_H
#define DNS_RIG_H

#include <apr_general.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "dns_server.h"
#include "drive.h"
#include "pp_dns.h"
#include "tap.h"

static apr_pool_t *top, *pool;
static pp_loop_t *loop;
static pp_dns_t *dns;
static pp_dns_policy_t policy;
static pp_stats_t stats;

static void set_up(void)
{
    char servers[64];

    policy = (pp_dns_policy_t){.max = PP_SEC(300), .min = PP_SEC(1), .stale = PP_SEC(60), .negative = PP_SEC(1)};
    memset(&stats, 0, sizeof(stats));
    server_mood = 0;
    server_asked = 0;
    apr_pool_create(&pool, top);
    snprintf(servers, sizeof(servers), "127.0.0.1:%d", server_port);
    if (pp_loop_create(&loop, 0, pool) || pp_dns_create(&dns, loop, pp_loop_pool(loop)) || pp_dns_servers_set(dns, servers))
        abort();
}

static void tear_down(void)
{
    pp_clock_set(0);
    apr_pool_destroy(pool);
}

/* Someone who asks. */
typedef struct asker_t {
    pp_dns_query_t query;
    apr_status_t status; /* APR_EAGAIN: not yet called */
    int called;
    char answer[200]; /* "address:port ..." */
    struct asker_t *cancels;
    const char *asks_again;
} asker_t;

static void note_answer(asker_t *asker)
{
    char *p = asker->answer, text[INET6_ADDRSTRLEN];

    *p = 0;
    for (int i = 0; i < asker->query.naddrs; i++) {
        const pp_addr_t *addr = &asker->query.addrs[i];
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&addr->u.storage;
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&addr->u.storage;
        bool six = addr->u.sa.sa_family == AF_INET6;
        inet_ntop(addr->u.sa.sa_family, six ? (const void *)&v6->sin6_addr : &v4->sin_addr, text, sizeof(text));
        p += sprintf(p, "%s%s:%d", i ? " " : "", text, ntohs(six ? v6->sin6_port : v4->sin_port));
    }
}

static apr_status_t ask(asker_t *asker, const char *host, int port);

static void on_resolved(pp_dns_query_t *query, apr_status_t status)
{
    asker_t *asker = (asker_t *)query;
    const char *again = asker->asks_again;

    asker->called++;
    asker->status = status;
    note_answer(asker);
    if (asker->cancels)
        pp_dns_cancel(&asker->cancels->query);
    asker->asks_again = NULL;
    if (again)
        ask(asker, again, 80);
}

static apr_status_t ask(asker_t *asker, const char *host, int port)
{
    asker->query.on_resolved = on_resolved;
    asker->status = pp_dns_resolve(dns, &(pp_dns_name_t){host, port, &policy, &stats}, &asker->query);
    *asker->answer = 0;
    if (asker->status == APR_SUCCESS)
        note_answer(asker);
    return asker->status;
}

/* Rounds until the asker has an answer; what it is. */
static apr_status_t await(asker_t *asker)
{
    for (int i = 0; i < 500 && asker->status == APR_EAGAIN; i++)
        pp_loop_round(loop, PP_MSEC(20));
    return asker->status;
}

/* Some rounds, for what is under way without anybody waiting. */
static DRIVE_UNUSED void settle(void)
{
    for (int i = 0; i < 10; i++)
        pp_loop_round(loop, PP_MSEC(10));
}

static DRIVE_UNUSED const char *answer_to(const char *host, int port)
{
    static asker_t asker;

    ask(&asker, host, port);
    await(&asker);
    return asker.answer;
}

#endif
