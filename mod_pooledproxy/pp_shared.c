/* pp_shared: anonymous shared memory, from APR. */
#include "pp_shared.h"

#include <apr_shm.h>

apr_status_t pp_shared_make(void **memory, size_t size, apr_pool_t *p)
{
    apr_shm_t *shm;
    apr_status_t status = apr_shm_create(&shm, size + PP_CACHE_LINE, NULL, p);

    if (status == APR_SUCCESS)
        *memory = (void *)pp_shared_lines((size_t)apr_shm_baseaddr_get(shm));
    return status;
}
