/* pp_dns_service: SRV records, and what they lead to. */
#include "pp_dns_service.h"

#include <apr_general.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "pp_log.h"

/* A host's weight is shared by its addresses; one of weight 0 gets a little, too. */
#define WEIGHT_FACTOR 256

static void candidate_ask(pp_dns_service_t *service);

static void release(pp_dns_service_t *service)
{
    if (!service->dropped || service->asking)
        return;
    for (int i = 0; i < service->nrecords; i++)
        pp_dns_lookup_drop(&service->lookups[i]);
    free(service->lookups);
    free(service->records);
    free(service->places);
    free(service);
}

/* ---- what was found ---- */

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static void add_place(pp_dns_service_t *service, const pp_dns_srv_t *record, const pp_addr_t *addr, int share)
{
    pp_dns_addrs_t one = {0};
    pp_dns_place_t *place;

    service->places = must(realloc(service->places, sizeof(*place) * (size_t)(service->nplaces + 1)));
    place = &service->places[service->nplaces++];
    pp_dns_addrs_add(&one, &addr->u, addr->len);
    *place = (pp_dns_place_t){*pp_dns_addrs_for(&one, record->port), record->priority, share};
    pp_dns_addrs_clear(&one);
}

static void add_places(pp_dns_service_t *service, const pp_dns_srv_t *record, const pp_dns_lookup_t *lookup)
{
    int n = 0, share;

    for (int family = 0; family < PP_DNS_FAMILIES; family++)
        n += lookup->parts[family].addrs.n;
    share = n ? (record->weight * WEIGHT_FACTOR + 1) / n : 0;
    for (int family = 0; family < PP_DNS_FAMILIES; family++) {
        const pp_dns_part_t *part = &lookup->parts[family];

        for (int i = 0; i < part->addrs.n; i++)
            add_place(service, record, &part->addrs.addrs[i], share ? share : 1);
        if (part->addrs.n && !lookup->from_hosts && part->ttl < service->ttl)
            service->ttl = part->ttl;
    }
}

static void done(pp_dns_service_t *service, apr_status_t status)
{
    service->status = status;
    service->on_done(service->owner, service);
}

static void collect(pp_dns_service_t *service)
{
    apr_status_t failure = APR_ENOENT;

    for (int i = 0; i < service->nrecords; i++) {
        const pp_dns_lookup_t *lookup = service->lookups[i];

        if (lookup->status == APR_SUCCESS) {
            add_places(service, &service->records[i], lookup);
            continue;
        }
        pp_log(PP_LOG_INFO, "dns: %s: its host %s has %s", service->name, lookup->name,
               lookup->status == APR_ENOENT ? "no addresses" : "no answer");
        if (lookup->status != APR_ENOENT)
            failure = lookup->status;
    }
    service->incomplete = failure != APR_ENOENT;
    done(service, service->nplaces ? APR_SUCCESS : failure);
}

/* ---- asking ---- */

static void on_host(void *owner, pp_dns_lookup_t *lookup)
{
    pp_dns_service_t *service = owner;

    (void)lookup;
    if (service->starting || service->status != APR_EAGAIN) /* or an answer that was missing has come later */
        return;
    for (int i = 0; i < service->nrecords; i++) {
        if (service->lookups[i]->status == APR_EAGAIN)
            return;
    }
    collect(service);
}

/* Some may be answered for at once, from /etc/hosts; it is not over before all have been asked for. */
static void hosts_ask(pp_dns_service_t *service)
{
    service->lookups = must(calloc((size_t)service->nrecords, sizeof(*service->lookups)));
    service->starting = true;
    for (int i = 0; i < service->nrecords; i++) {
        service->lookups[i] = pp_dns_lookup_make(service->ares, service->loop, service->records[i].target, on_host, service);
        service->lookups[i]->is_absolute = true; /* as all names in records */
    }
    for (int i = 0; i < service->nrecords; i++)
        pp_dns_lookup_start(service->lookups[i]);
    service->starting = false;
    on_host(service, NULL);
}

static void on_records(void *self, apr_status_t status, const unsigned char *bytes, int len)
{
    pp_dns_service_t *service = self;

    service->asking = false;
    if (service->dropped) {
        release(service);
        return;
    }
    if (bytes) {
        service->records = must(calloc(PP_DNS_RECORDS_MAX, sizeof(*service->records)));
        status = pp_dns_answer_srv(bytes, len, service->records, &service->nrecords, &service->ttl);
    }
    if (status == APR_SUCCESS) {
        hosts_ask(service);
    }
    else if (!bytes && (status == PP_DNS_NO_NAME || status == PP_DNS_NO_RECORD)) {
        service->candidate++;
        candidate_ask(service);
    }
    else {
        done(service, status == PP_DNS_NO_RECORD ? APR_ENOENT : status);
    }
}

static void candidate_ask(pp_dns_service_t *service)
{
    char name[PP_DNS_NAME_SIZE];

    if (!pp_dns_ares_candidate(service->ares, service->name, service->candidate, name, sizeof(name))) {
        done(service, APR_ENOENT);
        return;
    }
    service->asking = true;
    pp_dns_ares_ask(service->ares, name, PP_DNS_SRV, on_records, service);
}

void pp_dns_service_start(pp_dns_service_t *service)
{
    candidate_ask(service);
}

/* ---- life ---- */

pp_dns_service_t *pp_dns_service_make(pp_dns_ares_t *ares, pp_loop_t *loop, const char *name,
                                      void (*on_done)(void *owner, pp_dns_service_t *service), void *owner)
{
    size_t size = strlen(name) + 1;
    pp_dns_service_t *service = must(calloc(1, sizeof(*service) + size));

    service->on_done = on_done;
    service->owner = owner;
    service->status = APR_EAGAIN;
    service->ares = ares;
    service->loop = loop;
    service->ttl = INT_MAX;
    memcpy(service->name, name, size);
    return service;
}

void pp_dns_service_drop(pp_dns_service_t **servicep)
{
    pp_dns_service_t *service = *servicep;

    *servicep = NULL;
    if (!service)
        return;
    service->dropped = true;
    release(service);
}

/* ---- the order ---- */

/* Of the places from `at` on the next one: among those of the least priority one by chance. */
static int pick(const pp_dns_place_t *places, int at, int n)
{
    int priority = places[at].priority;
    int64_t sum = 0, mark;
    uint32_t chance = 0;

    for (int i = at; i < n; i++)
        priority = places[i].priority < priority ? places[i].priority : priority;
    for (int i = at; i < n; i++)
        sum += places[i].priority == priority ? places[i].weight : 0;
    apr_generate_random_bytes((unsigned char *)&chance, sizeof(chance));
    mark = (int64_t)((uint64_t)sum * chance >> 32);
    for (int i = at; i < n; i++) {
        if (places[i].priority != priority)
            continue;
        mark -= places[i].weight;
        if (mark < 0)
            return i;
    }
    return at;
}

void pp_dns_service_order(const pp_dns_place_t *places, int n, pp_addr_t *to)
{
    pp_dns_place_t *left = must(malloc(sizeof(*left) * (size_t)n));

    memcpy(left, places, sizeof(*left) * (size_t)n);
    for (int at = 0; at < n; at++) {
        int next = pick(left, at, n);

        to[at] = left[next].addr;
        left[next] = left[at];
    }
    free(left);
}
