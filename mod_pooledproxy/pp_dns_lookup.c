/* pp_dns_lookup: asks for both families of a name, and judges when there is enough to go on with. */
#include "pp_dns_lookup.h"

#include <apr_strings.h>
#include <apr_errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pp_log.h"

#define DELAY PP_MSEC(50) /* RFC 8305 section 8: Resolution Delay */

/* One question on its way. */
typedef struct ask_t {
    pp_dns_lookup_t *lookup;
    int family, candidate;
} ask_t;

static void candidate_ask(pp_dns_lookup_t *lookup);

static void release(pp_dns_lookup_t *lookup)
{
    if (!lookup->dropped || lookup->nasking)
        return;
    for (int family = 0; family < PP_DNS_FAMILIES; family++)
        pp_dns_addrs_clear(&lookup->parts[family].addrs);
    free(lookup);
}

static void over(pp_dns_lookup_t *lookup, apr_status_t status)
{
    pp_timer_clear(&lookup->delay);
    lookup->status = status;
    lookup->on_news(lookup->owner, lookup);
}

static void on_delay(pp_timer_t *timer)
{
    over(PP_OWNER_OF(timer, pp_dns_lookup_t, delay), APR_SUCCESS);
}

/* ---- judging ---- */

static bool is_nothing(apr_status_t status)
{
    return status == PP_DNS_NO_NAME || status == PP_DNS_NO_RECORD;
}

static void candidate_next(pp_dns_lookup_t *lookup)
{
    lookup->candidate++;
    candidate_ask(lookup);
}

/* There are servers that deny the name when they are asked for IPv6; asked for IPv4 they are believed at once. After a failure the next
 * name is not tried: it may be that of another host. */
static void judge(pp_dns_lookup_t *lookup)
{
    apr_status_t v6 = lookup->parts[PP_DNS_V6].status, v4 = lookup->parts[PP_DNS_V4].status;
    bool pending = v6 == APR_EAGAIN || v4 == APR_EAGAIN;

    if ((v6 == APR_SUCCESS || v4 == APR_SUCCESS) && pending)
        pp_timer_set(lookup->loop, &lookup->delay, pp_clock_now() + DELAY);
    else if (v6 == APR_SUCCESS || v4 == APR_SUCCESS)
        over(lookup, APR_SUCCESS);
    else if (v4 == PP_DNS_NO_NAME || (is_nothing(v4) && is_nothing(v6)))
        candidate_next(lookup);
    else if (!pending)
        over(lookup, is_nothing(v4) ? v6 : v4);
}

/* ---- asking ---- */

static void on_answer(void *self, apr_status_t status, const unsigned char *bytes, int len)
{
    ask_t *ask = self;
    pp_dns_lookup_t *lookup = ask->lookup;
    pp_dns_part_t *part = &lookup->parts[ask->family];
    bool matters = !lookup->dropped && ask->candidate == lookup->candidate;

    if (matters) {
        part->status = status;
        if (bytes)
            part->status = pp_dns_answer_addrs(bytes, len, ask->family == PP_DNS_V6 ? AF_INET6 : AF_INET, &part->addrs, &part->ttl);
    }
    free(ask);
    lookup->nasking--;
    if (lookup->dropped)
        release(lookup);
    else if (matters && lookup->status != APR_EAGAIN)
        lookup->on_news(lookup->owner, lookup);
    else if (matters)
        judge(lookup);
}

static void family_ask(pp_dns_lookup_t *lookup, const char *name, int family)
{
    ask_t *ask = malloc(sizeof(*ask));

    if (!ask)
        abort();
    *ask = (ask_t){lookup, family, lookup->candidate};
    lookup->nasking++;
    pp_dns_ares_ask(lookup->ares, name, family == PP_DNS_V6 ? PP_DNS_AAAA : PP_DNS_A, on_answer, ask);
}

static bool candidate_name(const pp_dns_lookup_t *lookup, char *name, size_t size)
{
    if (!lookup->is_absolute)
        return pp_dns_ares_candidate(lookup->ares, lookup->name, lookup->candidate, name, size);
    apr_cpystrn(name, lookup->name, size);
    return lookup->candidate == 0 && strlen(lookup->name) < size;
}

/* The first question's answer may come at once, and be enough to go on with the next name. */
static void candidate_ask(pp_dns_lookup_t *lookup)
{
    char name[PP_DNS_NAME_SIZE];
    int candidate = lookup->candidate;

    if (!candidate_name(lookup, name, sizeof(name))) {
        over(lookup, APR_ENOENT);
        return;
    }
    for (int family = 0; family < PP_DNS_FAMILIES; family++) {
        pp_dns_addrs_clear(&lookup->parts[family].addrs);
        lookup->parts[family].status = APR_EAGAIN;
    }
    lookup->nasking++; /* it stays while this function uses it */
    family_ask(lookup, name, PP_DNS_V6);
    if (!lookup->dropped && lookup->candidate == candidate)
        family_ask(lookup, name, PP_DNS_V4);
    lookup->nasking--;
    release(lookup);
}

static bool found_in_hosts(pp_dns_lookup_t *lookup)
{
    pp_dns_part_t *v6 = &lookup->parts[PP_DNS_V6], *v4 = &lookup->parts[PP_DNS_V4];

    lookup->from_hosts = pp_dns_ares_hosts(lookup->ares, lookup->name, &v6->addrs, &v4->addrs);
    if (!lookup->from_hosts)
        return false;
    v6->status = v6->addrs.n ? APR_SUCCESS : PP_DNS_NO_RECORD;
    v4->status = v4->addrs.n ? APR_SUCCESS : PP_DNS_NO_RECORD;
    v6->ttl = v4->ttl = INT_MAX;
    return true;
}

void pp_dns_lookup_start(pp_dns_lookup_t *lookup)
{
    if (found_in_hosts(lookup))
        over(lookup, APR_SUCCESS);
    else
        candidate_ask(lookup);
}

/* ---- life ---- */

pp_dns_lookup_t *pp_dns_lookup_make(pp_dns_ares_t *ares, pp_loop_t *loop, const char *name,
                                    void (*on_news)(void *owner, pp_dns_lookup_t *lookup), void *owner)
{
    size_t size = strlen(name) + 1;
    pp_dns_lookup_t *lookup = calloc(1, sizeof(*lookup) + size);

    if (!lookup)
        abort();
    lookup->on_news = on_news;
    lookup->owner = owner;
    lookup->status = APR_EAGAIN;
    lookup->ares = ares;
    lookup->loop = loop;
    lookup->delay.on_timer = on_delay;
    for (int family = 0; family < PP_DNS_FAMILIES; family++)
        lookup->parts[family].status = APR_EAGAIN;
    memcpy(lookup->name, name, size);
    return lookup;
}

void pp_dns_lookup_drop(pp_dns_lookup_t **lookupp)
{
    pp_dns_lookup_t *lookup = *lookupp;

    *lookupp = NULL;
    if (!lookup)
        return;
    lookup->dropped = true;
    pp_timer_remove(lookup->loop, &lookup->delay);
    release(lookup);
}
