/* pp_moved: what becomes of connections when their host's name leads elsewhere: idle ones to an address that is gone are closed, busy ones
 * when their exchange is done.
 */
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "pp_pool_own.h"

static bool is_in_use(const pp_dns_watch_t *watch)
{
    const pp_host_t *host = PP_OWNER_OF(watch, pp_host_t, moved.watch);

    return host->nidle + host->nbusy > 0;
}

static void remember(pp_host_t *host, const pp_addr_t *addrs, int n)
{
    free(host->moved.addrs);
    host->moved.addrs = malloc(sizeof(*addrs) * (size_t)(n + 1));
    if (!host->moved.addrs)
        abort();
    if (n)
        memcpy(host->moved.addrs, addrs, sizeof(*addrs) * (size_t)n);
    host->moved.naddrs = n;
    host->moved.times++;
}

bool pp_moved_away(pp_conn_t *conn)
{
    const pp_host_t *host = conn->host;

    if (conn->checked == host->moved.times)
        return false;
    conn->checked = host->moved.times;
    return !pp_conn_leads_to(conn, host->moved.addrs, host->moved.naddrs);
}

static void on_change(pp_dns_watch_t *watch, const pp_addr_t *addrs, int naddrs)
{
    pp_host_t *host = PP_OWNER_OF(watch, pp_host_t, moved.watch);
    pp_conn_t *conn, *next;

    remember(host, addrs, naddrs);
    for (conn = APR_RING_FIRST(&host->idle); conn != APR_RING_SENTINEL(&host->idle, pp_conn_t, link); conn = next) {
        next = APR_RING_NEXT(conn, link);
        if (pp_moved_away(conn))
            pp_conn_part(conn, PP_CLOSE_address_gone);
    }
    pp_pool_dispatch(host->pool);
}

static apr_status_t on_host_gone(void *arg)
{
    pp_host_t *host = arg;

    free(host->moved.addrs);
    return APR_SUCCESS;
}

void pp_moved_watch(pp_host_t *host)
{
    const pp_dns_name_t name = {host->target.host, host->target.port, &host->pool->dns_policy, host->pool->stats};

    apr_pool_cleanup_register(host->memory, host, on_host_gone, apr_pool_cleanup_null);
    host->moved.watch.is_in_use = is_in_use;
    host->moved.watch.on_change = on_change;
    if (!host->target.unix_path)
        pp_dns_watch(host->pool->dns, &name, &host->moved.watch);
}

void pp_moved_unwatch(pp_host_t *host)
{
    pp_dns_unwatch(&host->moved.watch);
}
