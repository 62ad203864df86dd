/* pp_addr: compares addresses by what leads to another place, which is not all that a struct holds. */
#include "pp_addr.h"

#include <netinet/in.h>
#include <string.h>

int pp_addr_family(const pp_addr_t *addr)
{
    return addr->u.sa.sa_family;
}

static bool is_same_v4(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
    return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

static bool is_same_v6(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
    return a->sin6_port == b->sin6_port && memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0;
}

bool pp_addr_is_same(const pp_addr_t *a, const pp_addr_t *b)
{
    if (pp_addr_family(a) != pp_addr_family(b))
        return false;
    if (pp_addr_family(a) == AF_INET)
        return is_same_v4((const struct sockaddr_in *)&a->u.storage, (const struct sockaddr_in *)&b->u.storage);
    if (pp_addr_family(a) == AF_INET6)
        return is_same_v6((const struct sockaddr_in6 *)&a->u.storage, (const struct sockaddr_in6 *)&b->u.storage);
    return false;
}

bool pp_addr_is_among(const pp_addr_t *addr, const pp_addr_t *addrs, int n)
{
    for (int i = 0; i < n; i++) {
        if (pp_addr_is_same(addr, &addrs[i]))
            return true;
    }
    return false;
}
