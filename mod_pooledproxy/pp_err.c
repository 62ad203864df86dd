/* pp_err: the rows of pp_err.def as an array. */
#include "pp_err.h"

#include <stddef.h>

static const pp_err_row_t rows[PP_ERR_COUNT] = {
    {"ok", "-", 200, "-", "no error"},
#define PP_ERR(name, phase, http, proxy_status, text) {#name, #phase, http, proxy_status, text},
#include "pp_err.def"
#undef PP_ERR
};

const pp_err_row_t *pp_err_row(pp_err_t err)
{
    return &rows[(unsigned)err < PP_ERR_COUNT ? err : PP_ERR_internal];
}
