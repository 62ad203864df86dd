/* pp_dns_addrs: arrays of socket addresses: one without port, one for each port asked for. */
#include "pp_dns_addrs.h"

#include <apr_lib.h>
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct pp_dns_answer_t answer_t;
struct pp_dns_answer_t {
    answer_t *next;
    int port;
    pp_addr_t addrs[];
};

void pp_dns_addrs_clear(pp_dns_addrs_t *addrs)
{
    answer_t *next, *answer;

    for (answer = addrs->answers; answer; answer = next) {
        next = answer->next;
        free(answer);
    }
    free(addrs->addrs);
    *addrs = (pp_dns_addrs_t){0};
}

void pp_dns_addrs_add(pp_dns_addrs_t *addrs, const void *sockaddr, socklen_t len)
{
    pp_addr_t *addr;

    assert(!addrs->answers && len <= sizeof(addr->u));
    addrs->addrs = realloc(addrs->addrs, (size_t)(addrs->n + 1) * sizeof(*addr));
    if (!addrs->addrs)
        abort();
    addr = &addrs->addrs[addrs->n++];
    memset(addr, 0, sizeof(*addr));
    memcpy(&addr->u, sockaddr, len);
    addr->len = len;
}

bool pp_dns_addrs_literal(pp_dns_addrs_t *addrs, const char *name)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v4 = inet_pton(AF_INET, name, &v4.sin_addr) == 1;

    if (!is_v4 && inet_pton(AF_INET6, name, &v6.sin6_addr) != 1)
        return false;
    pp_dns_addrs_clear(addrs);
    if (is_v4)
        pp_dns_addrs_add(addrs, &v4, sizeof(v4));
    else
        pp_dns_addrs_add(addrs, &v6, sizeof(v6));
    return true;
}

static void set_port(pp_addr_t *addr, int port)
{
    if (addr->u.sa.sa_family == AF_INET6)
        ((struct sockaddr_in6 *)&addr->u.storage)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)&addr->u.storage)->sin_port = htons((uint16_t)port);
}

static answer_t *add_answer(pp_dns_addrs_t *addrs, int port)
{
    size_t size = (size_t)addrs->n * sizeof(pp_addr_t);
    answer_t *answer = malloc(sizeof(*answer) + size);

    if (!answer)
        abort();
    answer->next = addrs->answers;
    answer->port = port;
    memcpy(answer->addrs, addrs->addrs, size);
    for (int i = 0; port && i < addrs->n; i++)
        set_port(&answer->addrs[i], port);
    addrs->answers = answer;
    return answer;
}

const pp_addr_t *pp_dns_addrs_for(pp_dns_addrs_t *addrs, int port)
{
    const answer_t *answer;

    assert(addrs->n);
    for (answer = addrs->answers; answer && answer->port != port; answer = answer->next)
        continue;
    if (!answer)
        answer = add_answer(addrs, port);
    return answer->addrs;
}

bool pp_dns_addrs_same(const pp_dns_addrs_t *a, const pp_dns_addrs_t *b)
{
    for (int i = 0; i < a->n; i++) {
        if (!pp_addr_is_among(&a->addrs[i], b->addrs, b->n))
            return false;
    }
    for (int i = 0; i < b->n; i++) {
        if (!pp_addr_is_among(&b->addrs[i], a->addrs, a->n))
            return false;
    }
    return true;
}

bool pp_dns_name_copy(char *name, size_t size, const char *host)
{
    size_t len = strlen(host);

    if (len >= size)
        return false;
    for (size_t i = 0; i <= len; i++)
        name[i] = (char)apr_tolower(host[i]);
    return true;
}
