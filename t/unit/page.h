/* page: puts bytes in front of a page that may not be touched, so that reading one byte too far is a crash and not luck. */
#ifndef PAGE_H
#define PAGE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_ROOM (256 * 1024) /* the most bytes page_put takes; a multiple of every page size in use */

/* Maps the room and the forbidden page behind it; returns the address of that page. */
static char *page_map(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *room = mmap(NULL, PAGE_ROOM + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (room == MAP_FAILED || mprotect(room + PAGE_ROOM, page, PROT_NONE) != 0) {
        perror("page_map");
        exit(1);
    }
    return room + PAGE_ROOM;
}

/* A copy of bytes[0 .. len) that ends where the forbidden page begins. Valid until the next call. */
static char *page_put(const void *bytes, size_t len)
{
    static char *forbidden;

    if (!forbidden)
        forbidden = page_map();
    if (len > PAGE_ROOM)
        abort();
    return memcpy(forbidden - len, bytes, len);
}

#endif
