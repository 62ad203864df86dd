/* mod_pooledproxy_trailers: trailer fields of the backend's answer on their way to the client.
 *
 * mod_http2 sends r->trailers_out by itself. httpd's own chunk filter knows no trailers: for a client that says `TE: trailers` a filter
 * behind it puts them into the last chunk.
 */
#ifndef MOD_POOLEDPROXY_TRAILERS_H
#define MOD_POOLEDPROXY_TRAILERS_H

#include <httpd.h>

#include "pp_h1_head.h"

/* To be called when all of the answer's data is known and before its end is passed on; copies the fields. Those that must not stand in
 * a trailer section (RFC 9110 section 6.5.1) are left out. True: the client gets them in its last chunk, so the answer must not be given
 * a Content-Length any more. */
bool pooledproxy_trailers_set(request_rec *r, const pp_field_t *fields, unsigned nfields);

void pooledproxy_trailers_register(void);

#endif
