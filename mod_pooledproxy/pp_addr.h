/* pp_addr: a socket address: IPv4, IPv6 or a unix socket's path. */
#ifndef PP_ADDR_H
#define PP_ADDR_H

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

#endif
