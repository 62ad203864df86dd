/* mod_pooledproxy_bell: eventfds, one for each thread that waits. */
#include "mod_pooledproxy_bell.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct bell_t {
    struct bell_t *next;
    int fd;
} bell_t;

static pthread_key_t bell_key;
static pthread_once_t bell_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t bells_mutex = PTHREAD_MUTEX_INITIALIZER;
static bell_t *bells_spare;

static void bell_return(void *value)
{
    bell_t *bell = value;

    pthread_mutex_lock(&bells_mutex);
    bell->next = bells_spare;
    bells_spare = bell;
    pthread_mutex_unlock(&bells_mutex);
}

static void bell_key_create(void)
{
    pthread_key_create(&bell_key, bell_return);
}

static bell_t *bell_take(void)
{
    bell_t *bell;

    pthread_mutex_lock(&bells_mutex);
    bell = bells_spare;
    bells_spare = bell ? bell->next : NULL;
    pthread_mutex_unlock(&bells_mutex);
    return bell;
}

static bell_t *bell_make(void)
{
    bell_t *bell;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (fd < 0)
        return NULL;
    bell = malloc(sizeof(*bell));
    if (!bell)
        abort();
    bell->fd = fd;
    return bell;
}

int pooledproxy_bell(void)
{
    bell_t *bell;

    pthread_once(&bell_once, bell_key_create);
    bell = pthread_getspecific(bell_key);
    if (!bell) {
        bell = bell_take();
        bell = bell ? bell : bell_make();
        pthread_setspecific(bell_key, bell);
    }
    return bell ? bell->fd : -1;
}

void pooledproxy_bell_ring(int bell)
{
    uint64_t one = 1;

    if (bell >= 0 && write(bell, &one, sizeof(one)) < 0 && errno != EAGAIN)
        abort();
}
