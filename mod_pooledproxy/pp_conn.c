/* pp_conn: the socket calls of an upstream connection. */
#include "pp_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* With TLS reading may have waited for room to write: that is none of the holder's. */
static apr_int16_t events_for_holder(pp_conn_t *conn, apr_int16_t events)
{
    if (!(events & APR_POLLOUT) || !(conn->wanted & APR_POLLIN))
        return events;
    if (pp_tls_awaits_room(conn->tls))
        events |= APR_POLLIN;
    return conn->wanted & APR_POLLOUT ? events : events & ~APR_POLLOUT;
}

static void on_conn_io(pp_io_t *io, apr_int16_t events)
{
    pp_conn_t *conn = PP_OWNER_OF(io, pp_conn_t, io);

    if (conn->tls)
        events = events_for_holder(conn, events);
    if (events)
        conn->on_event(conn, events);
    else
        pp_conn_want(conn, conn->wanted);
}

static void on_conn_timer(pp_timer_t *timer)
{
    pp_conn_t *conn = PP_OWNER_OF(timer, pp_conn_t, timer);
    conn->on_timer(conn);
}

static pp_err_t connect_error(int code)
{
    switch (code) {
    case 0:
        return PP_OK;
    case ECONNREFUSED:
    case ENOENT: /* a unix socket that is not there */
        return PP_ERR_connect_refused;
    case EMFILE:
    case ENFILE:
        return PP_ERR_out_of_descriptors;
    default:
        return PP_ERR_connect_failed;
    }
}

static pp_err_t socket_open(int *fd, const pp_addr_t *addr)
{
    int on = 1;

    *fd = socket(addr->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return connect_error(errno);
    if (addr->u.sa.sa_family != AF_UNIX)
        setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    /* EAGAIN: the backlog of a unix socket is full, the server can't take more now */
    if (connect(*fd, &addr->u.sa, addr->len) != 0 && errno != EINPROGRESS) {
        pp_err_t err = connect_error(errno);
        close(*fd);
        return err;
    }
    return PP_OK;
}

/* Memory for a connection: of one that was closed, or new. A pool for each would take 8 KiB. */
static pp_conn_t *conn_memory(pp_loop_t *loop)
{
    pp_conn_t **spare = (pp_conn_t **)pp_loop_spare(loop), *conn = *spare;
    apr_socket_t *socket;

    if (!conn)
        return apr_pcalloc(pp_loop_pool(loop), sizeof(*conn));
    *spare = conn->next_spare;
    socket = conn->io.socket; /* the descriptor object stays with its io */
    memset(conn, 0, sizeof(*conn));
    conn->io.socket = socket;
    return conn;
}

/* The round in which it was closed has ended: nobody knows it any more. */
static void on_spare(pp_task_t *task)
{
    pp_conn_t *conn = PP_OWNER_OF(task, pp_conn_t, spare_task);
    pp_conn_t **spare = (pp_conn_t **)pp_loop_spare(conn->loop);

    conn->next_spare = *spare;
    *spare = conn;
}

pp_err_t pp_conn_open(pp_conn_t **connp, pp_loop_t *loop, const pp_addr_t *addr)
{
    static _Atomic unsigned last_id;
    pp_conn_t *conn;
    int fd;
    pp_err_t err = socket_open(&fd, addr);

    if (err != PP_OK)
        return err;
    conn = conn_memory(loop);
    conn->id = ++last_id;
    conn->loop = loop;
    conn->fd = fd;
    conn->opened_at = pp_loop_now(loop);
    conn->io.on_io = on_conn_io;
    conn->timer.on_timer = on_conn_timer;
    if (pp_io_watch(loop, &conn->io, fd, APR_POLLOUT, pp_loop_pool(loop)) != APR_SUCCESS) {
        pp_conn_close(&conn);
        return PP_ERR_internal;
    }
    *connp = conn;
    return PP_OK;
}

pp_err_t pp_conn_established(pp_conn_t *conn)
{
    int code = 0;
    socklen_t len = sizeof(code);

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0)
        code = errno;
    return connect_error(code);
}

bool pp_conn_leads_to(const pp_conn_t *conn, const pp_addr_t *addrs, int n)
{
    pp_addr_t peer = {.len = sizeof(peer.u)};

    return getpeername(conn->fd, &peer.u.sa, &peer.len) == 0 && pp_addr_is_among(&peer, addrs, n);
}
/* ---- bytes ---- */

static apr_status_t receive(const pp_conn_t *conn, char *buf, size_t *len, int flags)
{
    ssize_t n;

    do
        n = recv(conn->fd, buf, *len, flags);
    while (n < 0 && errno == EINTR);
    *len = n > 0 ? (size_t)n : 0;
    if (n > 0)
        return APR_SUCCESS;
    if (n == 0)
        return APR_EOF;
    return errno == EAGAIN || errno == EWOULDBLOCK ? APR_EAGAIN : APR_FROM_OS_ERROR(errno);
}

static apr_status_t send_vector(const pp_conn_t *conn, const struct iovec *vec, int nvec, size_t *written)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)vec, .msg_iovlen = (size_t)nvec};
    ssize_t n;

    do
        n = sendmsg(conn->fd, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    *written = n > 0 ? (size_t)n : 0;
    if (n >= 0)
        return APR_SUCCESS;
    return errno == EAGAIN || errno == EWOULDBLOCK ? APR_EAGAIN : APR_FROM_OS_ERROR(errno);
}

/* ---- TLS ---- */

static apr_status_t on_wire_receive(void *self, char *buf, size_t *len)
{
    return receive(self, buf, len, 0);
}

static apr_status_t on_wire_send(void *self, const char *buf, size_t *len)
{
    struct iovec vec = {(void *)buf, *len};

    return send_vector(self, &vec, 1, len);
}

/* What TLS holds the socket does not tell of: the holder is told in the next round. */
static void on_more(pp_task_t *task)
{
    pp_conn_t *conn = PP_OWNER_OF(task, pp_conn_t, more_task);

    conn->more_posted = false;
    if (conn->tls && (conn->wanted & APR_POLLIN) && pp_tls_has_more(conn->tls))
        conn->on_event(conn, APR_POLLIN);
}

static void tell_more(pp_conn_t *conn)
{
    if (conn->more_posted || !(conn->wanted & APR_POLLIN) || !pp_tls_has_more(conn->tls))
        return;
    conn->more_posted = true;
    conn->more_task.run = on_more;
    pp_loop_post(conn->loop, &conn->more_task);
}

pp_err_t pp_conn_secure(pp_conn_t *conn, const pp_tls_t *tls, const char *host, pp_tls_sessions_t *sessions)
{
    static const pp_tls_wire_t wire = {on_wire_receive, on_wire_send};

    conn->tls = pp_tls_open(tls, host, sessions, &wire, conn);
    return conn->tls ? PP_OK : PP_ERR_internal;
}

apr_status_t pp_conn_handshake(pp_conn_t *conn, pp_err_t *err)
{
    apr_status_t status = pp_tls_handshake(conn->tls, err);

    if (status == APR_EAGAIN)
        pp_io_set(conn->loop, &conn->io, conn->fd, pp_tls_awaits_room(conn->tls) ? APR_POLLOUT : APR_POLLIN,
                  pp_loop_pool(conn->loop));
    return status;
}

bool pp_conn_is_resumed(const pp_conn_t *conn)
{
    return conn->tls && pp_tls_is_resumed(conn->tls);
}

pp_err_t pp_conn_failure(const pp_conn_t *conn)
{
    return conn->tls ? pp_tls_failure(conn->tls) : PP_OK;
}

const char *pp_conn_trouble(const pp_conn_t *conn)
{
    return conn->tls ? pp_tls_trouble(conn->tls) : "";
}

/* ---- both ---- */

apr_status_t pp_conn_read(pp_conn_t *conn, char *buf, size_t *len)
{
    apr_status_t status;

    if (!conn->tls)
        return receive(conn, buf, len, 0);
    status = pp_tls_read(conn->tls, buf, len);
    if (pp_tls_awaits_room(conn->tls))
        pp_conn_want(conn, conn->wanted);
    tell_more(conn);
    return status;
}

apr_status_t pp_conn_peek(pp_conn_t *conn)
{
    char byte;
    size_t len = sizeof(byte);

    return conn->tls ? pp_tls_peek(conn->tls) : receive(conn, &byte, &len, MSG_PEEK | MSG_DONTWAIT);
}

apr_status_t pp_conn_writev(pp_conn_t *conn, const struct iovec *vec, int nvec, size_t *written)
{
    return conn->tls ? pp_tls_writev(conn->tls, vec, nvec, written) : send_vector(conn, vec, nvec, written);
}

void pp_conn_shutdown_write(pp_conn_t *conn)
{
    if (conn->tls)
        pp_tls_bye(conn->tls);
    shutdown(conn->fd, SHUT_WR);
}

void pp_conn_want(pp_conn_t *conn, apr_int16_t events)
{
    conn->wanted = events;
    if (conn->tls) {
        tell_more(conn);
        if ((events & APR_POLLIN) && pp_tls_awaits_room(conn->tls))
            events |= APR_POLLOUT;
    }
    pp_io_set(conn->loop, &conn->io, conn->fd, events, pp_loop_pool(conn->loop));
}

void pp_conn_alarm(pp_conn_t *conn, pp_time_t when)
{
    if (when)
        pp_timer_set(conn->loop, &conn->timer, when);
    else
        pp_timer_clear(&conn->timer);
}

void pp_conn_close(pp_conn_t **connp)
{
    pp_conn_t *conn = *connp;

    *connp = NULL;
    pp_io_unwatch(conn->loop, &conn->io);
    pp_timer_remove(conn->loop, &conn->timer);
    pp_timer_remove(conn->loop, &conn->idle_timer);
    if (conn->tls)
        pp_tls_close(&conn->tls);
    close(conn->fd);
    conn->fd = -1;
    conn->spare_task.run = on_spare;
    pp_loop_post(conn->loop, &conn->spare_task);
}
