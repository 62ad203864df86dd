/* pp_dns_ares: c-ares on the loop: its sockets, its timer, its words for what went wrong.
 *
 * The names are completed and both families asked for by pp_dns_lookup: ares_getaddrinfo() calls back only when the slower of two
 * answers has come, which for a server that is mute to one of them takes seconds.
 */
#include "pp_dns_ares.h"

#include <apr_strings.h>
#include <ares.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pp_log.h"

/* c-ares doubles the time with each round through the servers: one mute server costs 1 + 2 seconds. No more: the next
 * lookup begins anew, so that a server that is back is heard of soon. */
#define TRY_MSEC 1000
#define TRIES 2

/* A descriptor of c-ares. Kept for the next one when c-ares closes it: its io must outlast the round. */
typedef struct sock_t sock_t;
struct sock_t {
    pp_io_t io;
    int fd;
    pp_dns_ares_t *ares;
    sock_t *next;
};

struct pp_dns_ares_t {
    pp_loop_t *loop;
    apr_pool_t *pool;
    ares_channel channel;
    ares_channel hosts; /* looks into /etc/hosts only */
    pp_timer_t timer;
    sock_t *sockets;
    char **domains; /* the search list */
    int ndomains, ndots;
};

static apr_status_t from_ares(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return APR_SUCCESS;
    case ARES_ENOTFOUND:
        return PP_DNS_NO_NAME;
    case ARES_ENODATA:
        return PP_DNS_NO_RECORD;
    case ARES_ETIMEOUT:
        return APR_TIMEUP;
    case ARES_EDESTRUCTION:
        return APR_EINTR;
    default:
        return APR_EGENERAL;
    }
}

/* ---- sockets and time ---- */

/* To be called after each call of c-ares: when does it want to be called without any event? */
static void set_timer(pp_dns_ares_t *ares)
{
    struct timeval tv, *left = ares_timeout(ares->channel, NULL, &tv);

    if (left)
        pp_timer_set(ares->loop, &ares->timer, pp_clock_now() + PP_SEC(left->tv_sec) + left->tv_usec + 1);
    else
        pp_timer_clear(&ares->timer);
}

static void on_timer(pp_timer_t *timer)
{
    pp_dns_ares_t *ares = PP_OWNER_OF(timer, pp_dns_ares_t, timer);

    ares_process_fd(ares->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(ares);
}

static void on_io(pp_io_t *io, apr_int16_t events)
{
    sock_t *sock = PP_OWNER_OF(io, sock_t, io);
    bool broken = events & (APR_POLLERR | APR_POLLHUP);

    ares_process_fd(sock->ares->channel, broken || events & APR_POLLIN ? sock->fd : ARES_SOCKET_BAD,
                    broken || events & APR_POLLOUT ? sock->fd : ARES_SOCKET_BAD);
    set_timer(sock->ares);
}

static sock_t *find_sock(pp_dns_ares_t *ares, int fd)
{
    sock_t *sock;

    for (sock = ares->sockets; sock && !(sock->io.watched && sock->fd == fd); sock = sock->next)
        continue;
    return sock;
}

static sock_t *free_sock(pp_dns_ares_t *ares)
{
    sock_t *sock;

    for (sock = ares->sockets; sock && sock->io.watched; sock = sock->next)
        continue;
    if (!sock) {
        sock = apr_pcalloc(ares->pool, sizeof(*sock));
        sock->ares = ares;
        sock->io.on_io = on_io;
        sock->next = ares->sockets;
        ares->sockets = sock;
    }
    return sock;
}

/* c-ares has opened a socket, or wants something else of it; neither: is about to close it. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    pp_dns_ares_t *ares = arg;
    sock_t *sock = find_sock(ares, fd);
    apr_int16_t events = (readable ? APR_POLLIN : 0) | (writable ? APR_POLLOUT : 0);
    apr_status_t rv = APR_SUCCESS;

    if (!events) {
        if (sock)
            pp_io_unwatch(ares->loop, &sock->io);
        return;
    }
    if (sock) {
        rv = pp_io_want(ares->loop, &sock->io, events);
    }
    else {
        sock = free_sock(ares);
        sock->fd = fd;
        rv = pp_io_watch(ares->loop, &sock->io, fd, events, ares->pool);
    }
    if (rv != APR_SUCCESS) /* the try will time out */
        pp_log(PP_LOG_ERR, "dns: socket %d cannot be watched (%d)", fd, rv);
}

/* ---- asking ---- */

typedef struct question_t {
    pp_dns_on_answer_t *on_answer;
    void *self;
    int type;
    char name[];
} question_t;

static void on_ares_answer(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
    question_t *question = arg;

    (void)timeouts;
    if (status != ARES_SUCCESS && status != ARES_EDESTRUCTION)
        pp_log(PP_LOG_DEBUG, "dns: %s (type %d): %s", question->name, question->type, ares_strerror(status));
    question->on_answer(question->self, from_ares(status), status == ARES_SUCCESS ? bytes : NULL, status == ARES_SUCCESS ? len : 0);
    free(question);
}

void pp_dns_ares_ask(pp_dns_ares_t *ares, const char *name, int type, pp_dns_on_answer_t *on_answer, void *self)
{
    size_t size = strlen(name) + 1;
    question_t *question = malloc(sizeof(*question) + size);

    if (!question)
        abort();
    *question = (question_t){.on_answer = on_answer, .self = self, .type = type};
    memcpy(question->name, name, size);
    ares_query(ares->channel, name, 1 /* IN */, type, on_ares_answer, question);
    set_timer(ares);
}

/* ---- names ---- */

typedef struct hosts_t {
    pp_dns_addrs_t *v6, *v4;
    bool found;
} hosts_t;

static void on_hosts(void *arg, int status, int timeouts, struct ares_addrinfo *ai)
{
    hosts_t *hosts = arg;

    (void)timeouts;
    for (const struct ares_addrinfo_node *node = status == ARES_SUCCESS ? ai->nodes : NULL; node; node = node->ai_next) {
        pp_dns_addrs_add(node->ai_family == AF_INET6 ? hosts->v6 : hosts->v4, node->ai_addr, (socklen_t)node->ai_addrlen);
        hosts->found = true;
    }
    if (ai)
        ares_freeaddrinfo(ai);
}

bool pp_dns_ares_hosts(pp_dns_ares_t *ares, const char *name, pp_dns_addrs_t *v6, pp_dns_addrs_t *v4)
{
    static const struct ares_addrinfo_hints hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT};
    hosts_t hosts = {v6, v4, false};

    ares_getaddrinfo(ares->hosts, name, NULL, &hints, on_hosts, &hosts); /* ends before it returns: it has nobody to ask */
    return hosts.found;
}

static int dots_in(const char *name)
{
    int dots = 0;

    for (; *name; name++)
        dots += *name == '.';
    return dots;
}

bool pp_dns_ares_candidate(const pp_dns_ares_t *ares, const char *name, int n, char *candidate, size_t size)
{
    size_t len = strlen(name);
    bool complete = len && name[len - 1] == '.', first = complete || dots_in(name) >= ares->ndots;
    int domain = first ? n - 1 : n;

    if (n > 0 && complete)
        return false;
    if (domain == (first ? -1 : ares->ndomains))
        return (size_t)snprintf(candidate, size, "%s", name) < size;
    return domain < ares->ndomains && (size_t)snprintf(candidate, size, "%s.%s", name, ares->domains[domain]) < size;
}

/* ---- life ---- */

apr_status_t pp_dns_ares_servers_set(pp_dns_ares_t *ares, const char *servers_csv)
{
    switch (ares_set_servers_ports_csv(ares->channel, servers_csv)) {
    case ARES_SUCCESS:
        return APR_SUCCESS;
    case ARES_ENOTIMP: /* what c-ares says while a question is under way */
        return APR_EBUSY;
    default:
        return APR_EINVAL;
    }
}

static void init_library(void)
{
    ares_library_init(ARES_LIB_INIT_ALL);
}

static int read_search_list(pp_dns_ares_t *ares)
{
    struct ares_options options = {0};
    int mask = 0, status = ares_save_options(ares->channel, &options, &mask);

    if (status == ARES_SUCCESS) {
        ares->ndots = options.ndots;
        ares->ndomains = options.ndomains;
        ares->domains = apr_pcalloc(ares->pool, sizeof(*ares->domains) * (apr_size_t)(options.ndomains + 1));
        for (int i = 0; i < options.ndomains; i++)
            ares->domains[i] = apr_pstrdup(ares->pool, options.domains[i]);
    }
    ares_destroy_options(&options);
    return status;
}

static int create_channels(pp_dns_ares_t *ares)
{
    struct ares_options options = {
        .timeout = TRY_MSEC, .tries = TRIES, .sock_state_cb = on_socket_state, .sock_state_cb_data = ares};
    struct ares_options hosts = {.lookups = (char *)"f"};
    int status = ares_init_options(&ares->channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);

    if (status == ARES_SUCCESS)
        status = ares_init_options(&ares->hosts, &hosts, ARES_OPT_LOOKUPS);
    return status == ARES_SUCCESS ? read_search_list(ares) : status;
}

void pp_dns_ares_destroy(pp_dns_ares_t *ares)
{
    if (ares->channel)
        ares_destroy(ares->channel);
    if (ares->hosts)
        ares_destroy(ares->hosts);
    ares->channel = ares->hosts = NULL;
    pp_timer_remove(ares->loop, &ares->timer);
}

apr_status_t pp_dns_ares_create(pp_dns_ares_t **aresp, pp_loop_t *loop, apr_pool_t *pool)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pp_dns_ares_t *ares = apr_pcalloc(pool, sizeof(*ares));
    int status;

    pthread_once(&once, init_library);
    ares->loop = loop;
    ares->pool = pool;
    ares->timer.on_timer = on_timer;
    status = create_channels(ares);
    if (status != ARES_SUCCESS)
        pp_dns_ares_destroy(ares);
    *aresp = ares;
    return from_ares(status);
}
