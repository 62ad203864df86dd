/* pp_addr: a socket address: IPv4, IPv6 or a unix socket's path. */
#ifndef PP_ADDR_H
#define PP_ADDR_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef struct pp_addr_t {
    socklen_t len;
    union {
        struct sockaddr sa;
        struct sockaddr_storage storage;
        struct sockaddr_un un;
    } u;
} pp_addr_t;

/* Of IPv4 and IPv6 addresses: the same address and port? Others never are. */
bool pp_addr_is_same(const pp_addr_t *a, const pp_addr_t *b);
bool pp_addr_is_among(const pp_addr_t *addr, const pp_addr_t *addrs, int n);

/* AF_INET, AF_INET6 or AF_UNIX */
int pp_addr_family(const pp_addr_t *addr);

#endif
