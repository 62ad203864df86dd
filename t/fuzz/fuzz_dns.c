/* fuzz_dns: what any bytes do to the reader of DNS answers.
 *
 * Input: one byte that chooses the kind of record, then the message.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pp_dns_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

/* Names the invariant that broke, and stops. */
#define MUST(condition)                                                             \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

static void check_addrs(const unsigned char *bytes, int len, int family)
{
    pp_dns_addrs_t addrs = {0};
    int ttl;
    apr_status_t status = pp_dns_answer_addrs(bytes, len, family, &addrs, &ttl);

    MUST((status == APR_SUCCESS) == (addrs.n > 0));
    MUST(addrs.n <= PP_DNS_RECORDS_MAX);
    for (int i = 0; i < addrs.n; i++)
        MUST(pp_addr_family(&addrs.addrs[i]) == family);
    pp_dns_addrs_clear(&addrs);
}

static void check_srv(const unsigned char *bytes, int len)
{
    static pp_dns_srv_t records[PP_DNS_RECORDS_MAX];
    int n, ttl;
    apr_status_t status = pp_dns_answer_srv(bytes, len, records, &n, &ttl);

    MUST((status == APR_SUCCESS) == (n > 0));
    MUST(n <= PP_DNS_RECORDS_MAX);
    for (int i = 0; i < n; i++) {
        MUST(records[i].port > 0 && records[i].port <= 65535);
        MUST(memchr(records[i].target, 0, sizeof(records[i].target)) != NULL && *records[i].target);
        MUST(ttl >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    unsigned char *bytes; /* of exactly that size, so that ASan sees one byte too many */

    if (size < 1 || size > 65536)
        return 0;
    bytes = malloc(size);
    MUST(bytes);
    memcpy(bytes, input + 1, size - 1);
    switch (input[0] % 3) {
    case 0:
        check_addrs(bytes, (int)size - 1, AF_INET);
        break;
    case 1:
        check_addrs(bytes, (int)size - 1, AF_INET6);
        break;
    default:
        check_srv(bytes, (int)size - 1);
        break;
    }
    free(bytes);
    return 0;
}
