/* pp_dns_ares: c-ares on the event loop: one question, one answer. Knows nothing of caches.
 *
 * Threads: the loop's thread only.
 * Ownership: lives in its pool. Whoever asks keeps `self` until on_answer, which comes exactly once, at the latest (with APR_EINTR)
 * when the pool goes.
 */
#ifndef PP_DNS_ARES_H
#define PP_DNS_ARES_H

#include "pp_dns_addrs.h"
#include "pp_loop.h"

typedef struct pp_dns_ares_t pp_dns_ares_t;

/* RFC 1035 section 3.2.2, RFC 3596, RFC 2782 */
enum { PP_DNS_A = 1, PP_DNS_AAAA = 28, PP_DNS_SRV = 33 };

/* What a server says of a name that is no answer: the name does not exist at all; it does, but has no such record. Any other error: there
 * was no answer, APR_TIMEUP when the servers said nothing. */
#define PP_DNS_NO_NAME APR_ENOENT
#define PP_DNS_NO_RECORD APR_NOTFOUND

/* `bytes` is the whole message as it came, NULL unless status is APR_SUCCESS; it goes when the callback returns. */
typedef void pp_dns_on_answer_t(void *self, apr_status_t status, const unsigned char *bytes, int len);

/* Reads the system's resolver configuration now. */
apr_status_t pp_dns_ares_create(pp_dns_ares_t **ares, pp_loop_t *loop, apr_pool_t *pool);

/* Ends all questions; on_answer comes for each. */
void pp_dns_ares_destroy(pp_dns_ares_t *ares);

/* "address[:port],...", IPv6 with port in brackets. APR_EINVAL: not understood; APR_EBUSY: a question is under way. */
apr_status_t pp_dns_ares_servers_set(pp_dns_ares_t *ares, const char *servers_csv);

/* Adds what /etc/hosts, read anew, has for the name, which localhost always is in; false: nothing. */
bool pp_dns_ares_hosts(pp_dns_ares_t *ares, const char *name, pp_dns_addrs_t *v6, pp_dns_addrs_t *v4);

/* Asks for the records of this type; the name is complete. on_answer may come from inside. */
void pp_dns_ares_ask(pp_dns_ares_t *ares, const char *name, int type, pp_dns_on_answer_t *on_answer, void *self);

/* The number `n`, from 0, of the complete names that `name` may stand for, by the system's search list (resolv.conf(5): search, ndots)
 * in the order to be asked for. False: there are no more, or it is longer than a name can be. */
bool pp_dns_ares_candidate(const pp_dns_ares_t *ares, const char *name, int n, char *candidate, size_t size);

#endif
