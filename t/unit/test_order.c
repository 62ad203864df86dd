/* test_order: in which order pp_order has the addresses of a host tried. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "pp_order.h"
#include "tap.h"

enum { MOST = 8 };

static pp_addr_t v4(int last)
{
    pp_addr_t addr = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000200u + (unsigned)last)};

    memcpy(&addr.u, &in, sizeof(in));
    return addr;
}

static pp_addr_t v6(int last)
{
    pp_addr_t addr = {.len = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 in = {.sin6_family = AF_INET6};

    in.sin6_addr.s6_addr[15] = (unsigned char)last;
    memcpy(&addr.u, &in, sizeof(in));
    return addr;
}

/* The order, as "6.1 4.1 6.2 ..." */
static const char *ordered(pp_order_t *order, pp_time_t now, const pp_addr_t *addrs, int n, bool as_given)
{
    static char text[200];
    pp_addr_t to[MOST];
    int got = pp_order_addrs(order, now, addrs, n, as_given, to, MOST);
    char *p = text;

    *p = 0;
    for (int i = 0; i < got; i++) {
        bool six = pp_addr_family(&to[i]) == AF_INET6;
        const struct sockaddr_in *in = (const struct sockaddr_in *)&to[i].u.storage;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&to[i].u.storage;

        p += sprintf(p, "%s%d.%d", i ? " " : "", six ? 6 : 4,
                     six ? in6->sin6_addr.s6_addr[15] : (int)(ntohl(in->sin_addr.s_addr) & 255));
    }
    return text;
}

static void test_turns(void)
{
    pp_order_t order = {0};
    pp_addr_t addrs[] = {v6(1), v6(2), v4(1), v4(2), v4(3)};

    is_str(ordered(&order, 1, addrs, 5, false), "6.1 4.1 6.2 4.2 4.3", "families alternate");
    is_str(ordered(&order, 1, addrs, 5, false), "6.2 4.1 6.1 4.2 4.3", "... each address begins in its turn");
    is_str(ordered(&order, 1, addrs, 5, false), "4.1 6.1 4.2 6.2 4.3", "... of either family");
    is_str(ordered(&order, 1, addrs + 2, 1, false), "4.1", "one alone");
    is_str(ordered(&order, 1, addrs, 5, true), "6.1 6.2 4.1 4.2 4.3", "an order that is given is kept");
}

static void test_slow(void)
{
    pp_order_t order = {0};
    pp_addr_t addrs[] = {v6(1), v6(2), v4(1), v4(2)};

    pp_order_note_slow(&order, 1, &addrs[2], &addrs[3]);
    is_str(ordered(&order, 1, addrs, 4, true), "6.1 6.2 4.2 4.1", "one that was slow is last");
    order.turn = 2;
    is_str(ordered(&order, PP_SEC(59), addrs, 4, false), "4.2 6.1 6.2 4.1", "... also when it is its turn");
    is_str(ordered(&order, PP_SEC(62), addrs, 4, true), "6.1 6.2 4.1 4.2", "... for a minute");
    pp_order_note_slow(&order, PP_SEC(100), &addrs[0], &addrs[2]);
    order.turn = 0;
    is_str(ordered(&order, PP_SEC(100), addrs, 4, false), "4.1 4.2 6.1 6.2",
           "one that lost to another family: all of its own are last");
    is_str(ordered(&order, PP_SEC(699), addrs, 4, true), "4.1 4.2 6.1 6.2", "... for ten minutes");
    is_str(ordered(&order, PP_SEC(701), addrs, 4, true), "6.1 6.2 4.1 4.2", "... no longer");
}

static void test_many(void)
{
    pp_order_t order = {0};
    pp_addr_t addrs[100];

    for (int i = 0; i < 100; i++)
        addrs[i] = v4(i);
    is_str(ordered(&order, 1, addrs, 100, false), "4.0 4.1 4.2 4.3 4.4 4.5 4.6 4.7", "of many the first few");
    is_str(ordered(&order, 1, addrs, 100, true), "4.0 4.1 4.2 4.3 4.4 4.5 4.6 4.99",
           "... and where their order is given, the last one, a backup");
    order.turn = 98;
    is_str(ordered(&order, 1, addrs, 100, false), "4.98 4.99 4.0 4.1 4.2 4.3 4.4 4.5", "... round the end");
    for (int i = 0; i < 20; i++)
        pp_order_note_slow(&order, 1, &addrs[i], &addrs[50]);
    order.turn = 12;
    is_str(ordered(&order, 1, addrs, 100, false), "4.20 4.21 4.22 4.23 4.24 4.25 4.26 4.27",
           "the last few slow ones are remembered");
}

int main(void)
{
    test_turns();
    test_slow();
    test_many();
    return done_testing();
}
