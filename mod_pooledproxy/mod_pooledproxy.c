/* mod_pooledproxy: the module record and its hooks. */
#include <httpd.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mpm_common.h>

#include "mod_pooledproxy_async.h"
#include "mod_pooledproxy_config.h"
#include "mod_pooledproxy_engine.h"
#include "mod_pooledproxy_handler.h"
#include "mod_pooledproxy_lease.h"
#include "mod_pooledproxy_next.h"
#include "mod_pooledproxy_route.h"
#include "mod_pooledproxy_safety.h"
#include "mod_pooledproxy_status.h"
#include "mod_pooledproxy_trailers.h"
#include "mod_pooledproxy_valve.h"

static int on_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    int status;

    (void)plog;
    status = pooledproxy_config_finish(pconf, ptemp, s);
    if (status != OK || ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return status;
    pooledproxy_safety_survey(s, ptemp);
    pooledproxy_valve_find_counter();
    pooledproxy_next_find_filters();
    return pooledproxy_engine_prepare(pconf, s);
}

static void on_child_stopping(apr_pool_t *pchild, int graceful)
{
    (void)pchild;
    pooledproxy_engine_stopping(graceful, pooledproxy_lease_return_idle);
}

static void on_child_status(server_rec *s, pid_t pid, ap_generation_t generation, int slot, mpm_child_status state)
{
    (void)s;
    (void)generation;
    (void)slot;
    if (state == MPM_CHILD_EXITED)
        pooledproxy_engine_child_gone(pid);
}

/* The vhost of a request is not known yet when its connection begins: any vhost of this address may be meant, so all have a say. */
static bool any_routes;

static bool is_connection_wanted(conn_rec *c)
{
    (void)c;
    return any_routes;
}

static void on_child_init(apr_pool_t *pchild, server_rec *s)
{
    for (server_rec *vhost = s; vhost; vhost = vhost->next)
        any_routes |= pooledproxy_server_conf(vhost)->has_routes;
    pooledproxy_engine_start(pchild, s);
}

static void register_hooks(apr_pool_t *p)
{
    static const char *const before_alias[] = {"mod_alias.c", "mod_userdir.c", "mod_vhost_alias.c", "mod_proxy.c", NULL};
    static const char *const after_rewrite[] = {"mod_rewrite.c", NULL};
    static const char *const before_core[] = {"core.c", NULL};

    (void)p;
    pooledproxy_valve_register();
    pooledproxy_trailers_register();
    pooledproxy_lease_register(&pooledproxy_async_user, is_connection_wanted);
    ap_hook_check_config(pooledproxy_config_check, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(pooledproxy_config_dump, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(on_post_config, NULL, NULL, APR_HOOK_LAST);
    ap_hook_child_init(on_child_init, NULL, NULL, APR_HOOK_LAST);
    ap_hook_child_stopping(on_child_stopping, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_child_status(on_child_status, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_translate_name(pooledproxy_translate_name, after_rewrite, before_alias, APR_HOOK_FIRST);
    ap_hook_map_to_storage(pooledproxy_map_to_storage, NULL, before_core, APR_HOOK_FIRST);
    ap_hook_fixups(pooledproxy_fixups, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_handler(pooledproxy_handler, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_handler(pooledproxy_status_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(pooledproxy) = {STANDARD20_MODULE_STUFF,
                                  pooledproxy_config_create_dir,
                                  pooledproxy_config_merge_dir,
                                  pooledproxy_config_create_server,
                                  pooledproxy_config_merge_server,
                                  pooledproxy_commands,
                                  register_hooks,
#if defined(AP_MODULE_FLAG_NONE)
                                  AP_MODULE_FLAG_NONE
#endif
};
