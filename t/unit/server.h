/* server: the other side of a connection, for tests: listens on 127.0.0.1 or on a unix path and does what the test tells it, on the
 * test's own thread. Nothing here blocks.
 */
#ifndef SERVER_H
#define SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SERVER_UNUSED __attribute__((unused))

typedef struct server_t {
    int fd;
    int port;      /* 0: a unix socket */
    char path[64]; /* "": TCP */
    struct sockaddr_storage addr;
    socklen_t addr_len;
} server_t;

/* One accepted connection. */
typedef struct peer_t {
    int fd;     /* -1: closed here */
    bool eof;   /* the client has closed its side */
    size_t len; /* bytes received and not yet forgotten */
    size_t size;
    char *in; /* those, with a NUL behind */
} peer_t;

static void server_bind(server_t *server)
{
    server->fd = socket(server->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (server->fd < 0 || bind(server->fd, (struct sockaddr *)&server->addr, server->addr_len) != 0)
        abort();
    getsockname(server->fd, (struct sockaddr *)&server->addr, &server->addr_len);
}

/* Has a port, but whoever connects to it is refused. */
static SERVER_UNUSED void server_refuse(server_t *server)
{
    struct sockaddr_in *addr = (struct sockaddr_in *)&server->addr;

    memset(server, 0, sizeof(*server));
    addr->sin_family = AF_INET;
    addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->addr_len = sizeof(*addr);
    server_bind(server);
    server->port = ntohs(addr->sin_port);
}

static SERVER_UNUSED void server_open(server_t *server)
{
    server_refuse(server);
    if (listen(server->fd, 500) != 0)
        abort();
}

static SERVER_UNUSED void server_open_unix(server_t *server)
{
    static int number;
    struct sockaddr_un *addr = (struct sockaddr_un *)&server->addr;

    memset(server, 0, sizeof(*server));
    snprintf(server->path, sizeof(server->path), "/tmp/pp-test-%d-%d", (int)getpid(), number++);
    addr->sun_family = AF_UNIX;
    snprintf(addr->sun_path, sizeof(addr->sun_path), "%s", server->path);
    server->addr_len = sizeof(*addr);
    unlink(server->path);
    server_bind(server);
    if (listen(server->fd, 500) != 0)
        abort();
}

static SERVER_UNUSED void server_close(server_t *server)
{
    close(server->fd);
    if (*server->path)
        unlink(server->path);
}

/* Takes one connection when there is one. */
static SERVER_UNUSED bool server_accept(server_t *server, peer_t *peer)
{
    int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK);

    if (fd < 0)
        return false;
    *peer = (peer_t){.fd = fd};
    return true;
}

/* Receives what is there, but no more than `most`; what there is by now. */
static SERVER_UNUSED const char *peer_take_some(peer_t *peer, size_t most)
{
    while (peer->fd >= 0 && most > 0) {
        ssize_t n;
        if (peer->size < peer->len + 4096) {
            peer->size = 2 * peer->size + 8192;
            peer->in = realloc(peer->in, peer->size);
            if (!peer->in)
                abort();
        }
        n = recv(peer->fd, peer->in + peer->len, most < 4000 ? most : 4000, 0);
        if (n <= 0) {
            peer->eof |= n == 0 || errno == ECONNRESET;
            break;
        }
        peer->len += (size_t)n;
        most -= (size_t)n;
    }
    if (!peer->in)
        return "";
    peer->in[peer->len] = 0;
    return peer->in;
}

static SERVER_UNUSED const char *peer_take(peer_t *peer)
{
    return peer_take_some(peer, (size_t)-1);
}

static SERVER_UNUSED bool peer_is_at_eof(peer_t *peer)
{
    peer_take(peer);
    return peer->eof;
}

static SERVER_UNUSED bool peer_has(peer_t *peer, const char *text)
{
    return strstr(peer_take(peer), text) != NULL;
}

static SERVER_UNUSED void peer_forget(peer_t *peer)
{
    peer->len = 0;
}

/* Sends as much as goes; how much that was. */
static SERVER_UNUSED size_t peer_send_some(peer_t *peer, const char *data, size_t len)
{
    ssize_t n = send(peer->fd, data, len, MSG_NOSIGNAL);

    return n > 0 ? (size_t)n : 0;
}

static SERVER_UNUSED void peer_send_bytes(peer_t *peer, const char *data, size_t len)
{
    if (peer_send_some(peer, data, len) != len)
        abort();
}

static SERVER_UNUSED void peer_send(peer_t *peer, const char *text)
{
    peer_send_bytes(peer, text, strlen(text));
}

static SERVER_UNUSED void peer_close(peer_t *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    free(peer->in);
    peer->in = NULL;
    peer->len = peer->size = 0;
}

/* RST instead of FIN; TCP only. */
static SERVER_UNUSED void peer_reset(peer_t *peer)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};

    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    peer_close(peer);
}

#endif
