/* pp_order: takes turns among addresses and families (RFC 8305 section 4). */
#include "pp_order.h"

#define SLOW_FOR PP_SEC(60)
#define SLOW_FAMILY_FOR PP_SEC(600)

static bool is_slow_family(const pp_order_t *order, pp_time_t now, const pp_addr_t *addr)
{
    return pp_addr_family(addr) == order->slow_family && now < order->slow_family_until;
}

static bool is_slow(const pp_order_t *order, pp_time_t now, const pp_addr_t *addr)
{
    if (is_slow_family(order, now, addr))
        return true;
    for (int i = 0; i < PP_ORDER_SLOW_MAX; i++) {
        if (now < order->slow[i].until && pp_addr_is_same(addr, &order->slow[i].addr))
            return true;
    }
    return false;
}

/* The addresses as a circle that begins at `first`. */
typedef struct circle_t {
    const pp_addr_t *addrs;
    int n, first;
} circle_t;

static const pp_addr_t *at(const circle_t *circle, int i)
{
    return &circle->addrs[(circle->first + i) % circle->n];
}

/* The next one from *i on that is slow, or is not, of the family (0: of any) or not of it; moves *i behind it. NULL: there is none. */
static const pp_addr_t *find(const pp_order_t *order, pp_time_t now, const circle_t *circle, bool slow, int family, bool of_it,
                             int *i)
{
    while (*i < circle->n) {
        const pp_addr_t *addr = at(circle, (*i)++);

        if (is_slow(order, now, addr) == slow && (!family || (pp_addr_family(addr) == family) == of_it))
            return addr;
    }
    return NULL;
}

/* Those that are slow, or those that are not, families alternating. */
static int put(const pp_order_t *order, pp_time_t now, const circle_t *circle, bool slow, pp_addr_t *to, int most)
{
    int i = 0, others = 0, n = 0, family;
    const pp_addr_t *a = find(order, now, circle, slow, 0, true, &i), *b;

    if (!a)
        return 0;
    family = pp_addr_family(a);
    b = find(order, now, circle, slow, family, false, &others);
    while ((a || b) && n < most) {
        if (a) {
            to[n++] = *a;
            a = find(order, now, circle, slow, family, true, &i);
        }
        if (b && n < most) {
            to[n++] = *b;
            b = find(order, now, circle, slow, family, false, &others);
        }
    }
    return n;
}

static int put_as_given(const pp_order_t *order, pp_time_t now, const circle_t *circle, bool slow, pp_addr_t *to, int most)
{
    const pp_addr_t *addr;
    int i = 0, n = 0;

    while (n < most && (addr = find(order, now, circle, slow, 0, true, &i)) != NULL)
        to[n++] = *addr;
    return n;
}

int pp_order_addrs(pp_order_t *order, pp_time_t now, const pp_addr_t *addrs, int n, bool as_given, pp_addr_t *to, int most)
{
    circle_t circle = {addrs, n, as_given ? 0 : (int)(order->turn++ % (unsigned)n)};
    bool backup = as_given && n > most; /* what comes last are backups: one of them shall have its chance */
    int done = 0;

    if (backup)
        to[--most] = addrs[n - 1];
    for (int slow = 0; slow <= 1; slow++) {
        done += as_given ? put_as_given(order, now, &circle, slow, to + done, most - done)
                         : put(order, now, &circle, slow, to + done, most - done);
    }
    return done + backup;
}

void pp_order_note_slow(pp_order_t *order, pp_time_t now, const pp_addr_t *slow, const pp_addr_t *winner)
{
    if (pp_addr_family(slow) != pp_addr_family(winner)) {
        order->slow_family = pp_addr_family(slow);
        order->slow_family_until = now + SLOW_FAMILY_FOR;
    }
    else if (order->slow_family == pp_addr_family(winner)) { /* none of both is any better */
        order->slow_family = 0;
    }
    order->slow[order->next_slow].addr = *slow;
    order->slow[order->next_slow].until = now + SLOW_FOR;
    order->next_slow = (order->next_slow + 1) % PP_ORDER_SLOW_MAX;
}
