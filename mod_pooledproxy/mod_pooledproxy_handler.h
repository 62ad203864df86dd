/* mod_pooledproxy_handler: the content handler: decides which front a request takes. */
#ifndef MOD_POOLEDPROXY_HANDLER_H
#define MOD_POOLEDPROXY_HANDLER_H

#include <httpd.h>

int pooledproxy_handler(request_rec *r);

#endif
