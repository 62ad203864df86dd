/* pp_err: the ways a proxied request can fail, as one table (pp_err.def). */
#ifndef PP_ERR_H
#define PP_ERR_H

typedef enum pp_err_t {
    PP_OK = 0,
#define PP_ERR(name, phase, http, proxy_status, text) PP_ERR_##name,
#include "pp_err.def"
#undef PP_ERR
    PP_ERR_COUNT
} pp_err_t;

/* One row of pp_err.def; strings are static. */
typedef struct pp_err_row_t {
    const char *name;
    const char *phase;
    int http_status;          /* 0: nobody is there to be answered */
    const char *proxy_status; /* RFC 9209 section 2.3 */
    const char *text;
} pp_err_row_t;

/* The row of err; for PP_OK one named "ok". Never NULL. */
const pp_err_row_t *pp_err_row(pp_err_t err);

#endif
