/* pp_order: in which order the addresses of a host are tried: each in its turn first, then families alternating, last those that were slow.
 * Pure: one object per host; zero-initialised it knows of no slow ones.
 */
#ifndef PP_ORDER_H
#define PP_ORDER_H

#include "pp_addr.h"
#include "pp_clock.h"

#define PP_ORDER_SLOW_MAX 8

typedef struct pp_order_t {
    unsigned turn;
    int slow_family;             /* 0: none */
    pp_time_t slow_family_until; /* moments */
    struct {
        pp_addr_t addr;
        pp_time_t until;
    } slow[PP_ORDER_SLOW_MAX];
    int next_slow; /* where the next one is noted */
} pp_order_t;

/* Puts the n addresses, at most `most` of them, into `to`; returns how many. `as_given`: they come in an order that is to be kept, but
 * for the slow ones. */
int pp_order_addrs(pp_order_t *order, pp_time_t now, const pp_addr_t *addrs, int n, bool as_given, pp_addr_t *to, int most);

/* `slow` had not taken a connection when `winner`, tried after it, had: it is tried last for a while, and so is its family if that is
 * another one. */
void pp_order_note_slow(pp_order_t *order, pp_time_t now, const pp_addr_t *slow, const pp_addr_t *winner);

#endif
