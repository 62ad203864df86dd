/* mod_pooledproxy_reverse: URLs and cookies of the backend's answer, as they look from the front. */
#ifndef MOD_POOLEDPROXY_REVERSE_H
#define MOD_POOLEDPROXY_REVERSE_H

#include <httpd.h>

#include "mod_pooledproxy_conf.h"

/* How a request's path was changed on its way, to be undone. */
typedef struct pp_reverse_t {
    request_rec *r;
    const pp_match_t *match;
    const char *authority; /* of the server that answered; NULL: not known, only URLs without a host are changed */
    const char *scheme;    /* "http:" or "https:" */
    const char *port;      /* the one that may be left out, with its colon, when it is the server's; else NULL */
    const char *front;     /* path prefixes without the slash at the end */
    const char *back;
} pp_reverse_t;

/* `server` may be NULL. Strings are made in r->pool. */
void pooledproxy_reverse_init(pp_reverse_t *reverse, request_rec *r, const pp_match_t *match, const pp_server_t *server);

/* A URL that points at the backend's side of the route, pointing at the front's; any other as it is. */
const char *pooledproxy_reverse_url(const pp_reverse_t *reverse, const char *url);

/* The value of Refresh ("5; url=..."), of Link ("<...>; rel=..., <...>"), of Set-Cookie, with what is in it reversed. */
const char *pooledproxy_reverse_refresh(const pp_reverse_t *reverse, const char *value);
const char *pooledproxy_reverse_link(const pp_reverse_t *reverse, const char *value);
const char *pooledproxy_reverse_cookie(const pp_reverse_t *reverse, const char *value);

#endif
