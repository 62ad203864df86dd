/* mod_pooledproxy_config: the directives, and the configuration they make. */
#ifndef MOD_POOLEDPROXY_CONFIG_H
#define MOD_POOLEDPROXY_CONFIG_H

#include <httpd.h>
#include <http_config.h>

extern const command_rec pooledproxy_commands[];

void *pooledproxy_config_create_server(apr_pool_t *p, server_rec *s);
void *pooledproxy_config_merge_server(apr_pool_t *p, void *base, void *over);
void *pooledproxy_config_create_dir(apr_pool_t *p, char *location);
void *pooledproxy_config_merge_dir(apr_pool_t *p, void *base, void *over);

/* check_config, which httpd -t runs too: names of upstreams, URLs of handlers. OK, or an error after logging. */
int pooledproxy_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *main_server);

/* test_config: httpd -t -D DUMP_POOLS. */
void pooledproxy_config_dump(apr_pool_t *pconf, server_rec *main_server);

/* post_config: makes what mod_pooledproxy_conf.h promises to exist after it. OK, or an error after logging. */
int pooledproxy_config_finish(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *main_server);

#endif
