/* mod_pooledproxy_status: the handler "pooledproxy-status": what the pools of all processes have and had. */
#ifndef MOD_POOLEDPROXY_STATUS_H
#define MOD_POOLEDPROXY_STATUS_H

#include <httpd.h>

/* HTML; ?format=json, ?format=prometheus. */
int pooledproxy_status_handler(request_rec *r);

#endif
