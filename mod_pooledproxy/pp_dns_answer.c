/* pp_dns_answer: the records of an answer, by c-ares' parsers; the TTL of SRV records, which those keep to themselves, by hand. */
#include "pp_dns_answer.h"

#include <ares.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>

#define HEADER_LEN 12
#define RECORD_LEN 10 /* type, class, TTL, length, behind the name */

static apr_status_t from_ares(int status, int n)
{
    if (status == ARES_SUCCESS && n > 0)
        return APR_SUCCESS;
    return status == ARES_SUCCESS || status == ARES_ENODATA ? APR_NOTFOUND : APR_EGENERAL;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

static apr_status_t read_v4(const unsigned char *bytes, int len, pp_dns_addrs_t *addrs, int *ttl)
{
    struct ares_addrttl found[PP_DNS_RECORDS_MAX];
    int n = PP_DNS_RECORDS_MAX, status = ares_parse_a_reply(bytes, len, NULL, found, &n);

    for (int i = 0; status == ARES_SUCCESS && i < n; i++) {
        struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = found[i].ipaddr};
        pp_dns_addrs_add(addrs, &addr, sizeof(addr));
        *ttl = least(*ttl, found[i].ttl);
    }
    return from_ares(status, n);
}

static apr_status_t read_v6(const unsigned char *bytes, int len, pp_dns_addrs_t *addrs, int *ttl)
{
    struct ares_addr6ttl found[PP_DNS_RECORDS_MAX];
    int n = PP_DNS_RECORDS_MAX, status = ares_parse_aaaa_reply(bytes, len, NULL, found, &n);

    for (int i = 0; status == ARES_SUCCESS && i < n; i++) {
        struct sockaddr_in6 addr = {.sin6_family = AF_INET6};
        memcpy(&addr.sin6_addr, &found[i].ip6addr, sizeof(addr.sin6_addr));
        pp_dns_addrs_add(addrs, &addr, sizeof(addr));
        *ttl = least(*ttl, found[i].ttl);
    }
    return from_ares(status, n);
}

apr_status_t pp_dns_answer_addrs(const unsigned char *bytes, int len, int family, pp_dns_addrs_t *addrs, int *ttl)
{
    *ttl = INT_MAX;
    return family == AF_INET6 ? read_v6(bytes, len, addrs, ttl) : read_v4(bytes, len, addrs, ttl);
}

/* ---- SRV ---- */

static int number_at(const unsigned char *at)
{
    return at[0] << 8 | at[1];
}

/* Moves *at behind a name. */
static bool skip_name(const unsigned char *bytes, int len, int *at)
{
    char *name;
    long used;

    if (*at >= len || ares_expand_name(bytes + *at, bytes, len, &name, &used) != ARES_SUCCESS)
        return false;
    ares_free_string(name);
    *at += (int)used;
    return *at <= len;
}

/* The least TTL of all records of the answer, CNAMEs included; RFC 2181 section 8: with the highest bit set it is 0. */
static bool least_ttl(const unsigned char *bytes, int len, int *ttl)
{
    int at = HEADER_LEN, questions, records;

    if (len < HEADER_LEN)
        return false;
    questions = number_at(bytes + 4);
    records = number_at(bytes + 6);
    for (; questions > 0; questions--, at += 4) {
        if (!skip_name(bytes, len, &at))
            return false;
    }
    for (; records > 0; records--) {
        if (!skip_name(bytes, len, &at) || len - at < RECORD_LEN)
            return false;
        *ttl = bytes[at + 4] & 0x80 ? 0 : least(*ttl, number_at(bytes + at + 4) << 16 | number_at(bytes + at + 6));
        at += RECORD_LEN + number_at(bytes + at + 8);
    }
    return at <= len;
}

static int copy_records(const struct ares_srv_reply *reply, pp_dns_srv_t *records)
{
    int n = 0;

    for (; reply && n < PP_DNS_RECORDS_MAX; reply = reply->next) {
        if (!*reply->host || strcmp(reply->host, ".") == 0 || !reply->port ||
            !pp_dns_name_copy(records[n].target, sizeof(records[n].target), reply->host))
            continue;
        records[n].priority = reply->priority;
        records[n].weight = reply->weight;
        records[n++].port = reply->port;
    }
    return n;
}

apr_status_t pp_dns_answer_srv(const unsigned char *bytes, int len, pp_dns_srv_t *records, int *nrecords, int *ttl)
{
    struct ares_srv_reply *reply = NULL;
    int status = ares_parse_srv_reply(bytes, len, &reply);

    *nrecords = 0;
    *ttl = INT_MAX;
    if (status == ARES_SUCCESS && !least_ttl(bytes, len, ttl))
        status = ARES_EBADRESP;
    if (status == ARES_SUCCESS)
        *nrecords = copy_records(reply, records);
    if (reply)
        ares_free_data(reply);
    return from_ares(status, *nrecords);
}
