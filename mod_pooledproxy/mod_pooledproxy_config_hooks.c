/* mod_pooledproxy_config_hooks: what httpd has the configuration do once all directives are read. */
#include "mod_pooledproxy_config.h"

#include <ap_mpm.h>
#include <http_core.h>

#include "mod_pooledproxy_config_build.h"

static void report(const pp_build_t *build)
{
    pooledproxy_effect_report(build);
    pooledproxy_tls_report(build);
    pooledproxy_places_report(build);
}

/* At httpd -t warnings are for the one who asks. At the start they go to the error log, which is not open yet. */
int pooledproxy_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *main_server)
{
    pp_main_conf_t *conf = apr_pcalloc(ptemp, sizeof(*conf));
    pp_build_t build;

    (void)plog;
    pooledproxy_build(&build, pconf, main_server, conf);
    build.p = ptemp; /* what is made from here on is for checking only */
    if (!build.errors)
        pooledproxy_tls_make(&build);
    if (build.errors)
        return HTTP_INTERNAL_SERVER_ERROR;
    if (ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST)
        report(&build);
    return OK;
}

int pooledproxy_config_finish(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *main_server)
{
    pp_main_conf_t *conf = apr_pcalloc(pconf, sizeof(*conf));
    pp_build_t build;

    (void)ptemp;
    pooledproxy_build(&build, pconf, main_server, conf);
    if (!build.errors && ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG)
        pooledproxy_tls_make(&build);
    if (build.errors)
        return HTTP_INTERNAL_SERVER_ERROR;
    pooledproxy_main_conf_set(conf);
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG)
        report(&build);
    return OK;
}
