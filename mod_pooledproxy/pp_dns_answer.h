/* pp_dns_answer: reads the messages of DNS servers. Pure: bytes in, records out; what is cut, looped or about another name is refused or
 * left out.
 */
#ifndef PP_DNS_ANSWER_H
#define PP_DNS_ANSWER_H

#include <apr_errno.h>

#include "pp_dns_addrs.h"

#define PP_DNS_RECORDS_MAX 64 /* more of a kind than this are left out */
#define PP_DNS_NAME_SIZE 256  /* a name of 253 characters, its last dot, the NUL */

/* RFC 2782 */
typedef struct pp_dns_srv_t {
    int priority, weight, port;
    char target[PP_DNS_NAME_SIZE]; /* in lower case */
} pp_dns_srv_t;

/* Adds the addresses, of AF_INET or AF_INET6, that the message has for the name it was asked for, by way of CNAMEs too. *ttl: the
 * least of those of the records used, in seconds. APR_NOTFOUND: there are none; APR_EGENERAL: no message. */
apr_status_t pp_dns_answer_addrs(const unsigned char *bytes, int len, int family, pp_dns_addrs_t *addrs, int *ttl);

/* The SRV records: *nrecords of at most PP_DNS_RECORDS_MAX. APR_NOTFOUND: there are none, or the service is decidedly not available
 * (target "."); APR_EGENERAL: no message. */
apr_status_t pp_dns_answer_srv(const unsigned char *bytes, int len, pp_dns_srv_t *records, int *nrecords, int *ttl);

#endif
