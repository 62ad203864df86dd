/* test_pool_waiters: who waits for a connection is neither passed over nor given another's time-out. */
#include "pool_rig.h"

/* ---- nobody starves ---- */

/* `first` is answered after a few checkins, though there is always somebody behind it whom the connections would suit. */
static bool is_served_beside(asker_t *first, asker_t *busy, asker_t *waiting, int n)
{
    for (int round = 0; round < 10 && !first->conn; round++) {
        for (int i = 0; i < n; i++) {
            if (!busy[i].conn)
                continue;
            give_back(&busy[i]);
            ask(&busy[i], &server);
        }
        for (int i = 0; i < n; i++) {
            if (!waiting[i].conn)
                continue;
            give_back(&waiting[i]);
            ask(&waiting[i], &server);
        }
        drive_clock_by(PP_MSEC(50)); /* the servers here don't close their side: a connection that is parted with takes 250 ms */
        drive_rounds(loop, 5);
    }
    return first->conn;
}

static void cancel_all(asker_t *askers, int n)
{
    for (int i = 0; i < n; i++) {
        pp_pool_cancel(&askers[i].checkout);
        if (askers[i].conn)
            throw_away(&askers[i]);
    }
}

static void test_other_host_is_not_starved(void)
{
    asker_t busy[2] = {0}, waiting[2] = {0}, first = {0};

    note("first in the queue, for another host than that whose connections fill the pool");
    begin();
    drive_clock_by(0);
    policy.size = 2;
    resize();
    get(&busy[0], &server);
    get(&busy[1], &server);
    ask(&first, &other);
    ask(&waiting[0], &server);
    ask(&waiting[1], &server);
    ok(is_served_beside(&first, busy, waiting, 2), "he is served");
    is_int(stats.conn_closed[PP_CLOSE_evicted], 1, "... at the cost of one connection");
    ok(stats.conn_reused > 0, "... the others are handed on");
    throw_away(&first);
    cancel_all(busy, 2);
    cancel_all(waiting, 2);
    end();
}

static void test_fresh_is_not_starved(void)
{
    asker_t busy[2] = {0}, waiting[2] = {0}, first = {.checkout.fresh = true};

    note("first in the queue, for a fresh connection");
    begin();
    drive_clock_by(0);
    policy.size = 2;
    resize();
    get(&busy[0], &server);
    get(&busy[1], &server);
    ask(&first, &server);
    ask(&waiting[0], &server);
    ask(&waiting[1], &server);
    ok(is_served_beside(&first, busy, waiting, 2), "he is served where the pool is full");
    throw_away(&first);
    cancel_all(busy, 2);
    cancel_all(waiting, 2);
    policy.size = 10;
    resize();
    policy.host_limit = 2;
    get(&busy[0], &server);
    get(&busy[1], &server);
    ask(&first, &server);
    ask(&waiting[0], &server);
    ask(&waiting[1], &server);
    ok(is_served_beside(&first, busy, waiting, 2), "... and where the host is");
    throw_away(&first);
    cancel_all(busy, 2);
    cancel_all(waiting, 2);
    end();
}

static void test_nothing_is_closed_in_vain(void)
{
    asker_t a = {0}, b = {0}, c = {0}, first = {0};

    note("first in the queue, for a host that is full itself");
    begin();
    drive_clock_by(0);
    policy.size = 2;
    resize();
    policy.host_limit = 1;
    get(&a, &server);
    get(&b, &other);
    ask(&first, &other);
    ask(&c, &server);
    give_back(&a);
    ok(c.conn && c.checkout.reused, "another host's connection is handed on");
    is_int(stats.conn_closed[PP_CLOSE_evicted], 0, "... none is closed");
    give_back(&b);
    ok(first.conn, "he gets one of his host's");
    throw_away(&first);
    throw_away(&c);
    end();
}

/* ---- each has his own connect time-out ---- */

static const pp_target_t nowhere = {.key = "silent.test:80", .host = "silent.test", .port = 80};

/* A name server that never answers; its descriptor. */
static int silent_begin(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    char servers[32];

    begin();
    drive_clock_by(0);
    drive_rounds(loop, 1);
    if (bind(fd, (struct sockaddr *)&addr, len) != 0 || getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        abort();
    snprintf(servers, sizeof(servers), "127.0.0.1:%d", ntohs(addr.sin_port));
    pp_dns_servers_set(dns, servers);
    return fd;
}

static void wait_for(pp_time_t time)
{
    drive_clock_by(time);
    drive_rounds(loop, 3);
}

static void ask_nowhere(asker_t *asker, pp_time_t timeout)
{
    asker->called = 0;
    asker->checkout.connect_timeout = timeout;
    ask_target(asker, &nowhere);
    drive_rounds(loop, 3);
}

static void test_own_timeout(void)
{
    asker_t a = {0}, b = {0};
    int fd = silent_begin();

    note("connect time-outs of different length");
    ask_nowhere(&a, PP_SEC(10));
    ask_nowhere(&b, PP_SEC(1));
    wait_for(PP_SEC(1) - 1);
    is_int(a.called + b.called, 0, "nobody's time is over");
    wait_for(1);
    is_int(b.err, PP_ERR_dns_timeout, "the shorter one, though asked for later, ends him who set it");
    is_int(a.called, 0, "... and not the first in the queue");
    wait_for(PP_SEC(9) - 1);
    is_int(a.called, 0, "the other one's is not over");
    wait_for(1);
    is_int(a.err, PP_ERR_dns_timeout, "now it is");
    wait_for(PP_SEC(1));
    is_int(stats.connecting, 0, "nothing is left");
    close(fd);
    end();
}

static void test_inherited_opening(void)
{
    asker_t a = {0}, b = {0};
    int fd = silent_begin();

    note("an opening that is inherited");
    policy.max_connecting = 1;
    ask_nowhere(&a, PP_SEC(10));
    wait_for(PP_SEC(6));
    ask_nowhere(&b, PP_SEC(10));
    pp_pool_cancel(&a.checkout);
    wait_for(PP_SEC(4) + 1);
    is_int(b.called, 0, "its own time is over: the heir's is not");
    is_int(stats.conn_failed, 1, "... it ends");
    is_int(stats.connecting, 1, "... another takes its place");
    wait_for(PP_SEC(6) - 2);
    is_int(b.called, 0, "... he waits on");
    wait_for(1);
    is_int(b.err, PP_ERR_dns_timeout, "... for all of his own");
    is_int(b.called, 1, "... once");
    wait_for(PP_SEC(10));
    is_int(stats.connecting, 0, "nothing is left");
    close(fd);
    end();
}

static void test_timeout_begins_when_served(void)
{
    asker_t a = {0}, b = {0};
    int fd = silent_begin();

    note("a connect time-out begins when a connection is being opened");
    policy.max_connecting = 1;
    ask_nowhere(&a, PP_SEC(2));
    b.checkout.wait_until = pp_clock_now() + PP_SEC(3);
    ask_nowhere(&b, PP_SEC(2));
    wait_for(PP_SEC(2));
    is_int(a.err, PP_ERR_dns_timeout, "the first one's is over");
    is_int(b.called, 0, "... the second one's begins");
    wait_for(PP_SEC(2) - 1);
    is_int(b.called, 0, "... the wait for a free connection counts no more");
    wait_for(1);
    is_int(b.err, PP_ERR_dns_timeout, "now it is over");
    wait_for(PP_SEC(2));
    is_int(stats.connecting, 0, "nothing is left");
    close(fd);
    end();
}

/* ---- addresses that swallow everything ---- */

enum { FILLERS = 4 };

/* A listener whose backlog is full: the kernel drops what more comes. */
typedef struct hole_t {
    int fd, port, fillers[FILLERS];
} hole_t;

static bool hole_open(hole_t *hole)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);

    hole->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(hole->fd, (struct sockaddr *)&addr, len) != 0 || listen(hole->fd, 0) != 0)
        return false;
    getsockname(hole->fd, (struct sockaddr *)&addr, &len);
    hole->port = ntohs(addr.sin_port);
    for (int i = 0; i < FILLERS; i++) {
        hole->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(hole->fillers[i], (struct sockaddr *)&addr, len);
    }
    return true;
}

static void hole_close(hole_t *hole)
{
    for (int i = 0; i < FILLERS; i++)
        close(hole->fillers[i]);
    close(hole->fd);
}

static void test_connecting_takes_too_long(void)
{
    asker_t a = {.checkout.connect_timeout = PP_SEC(2)};
    hole_t hole = {0};
    pp_target_t target = {.key = "hole", .host = "127.0.0.1"};

    note("a server that does not answer");
    begin();
    drive_clock_by(0);
    ok(hole_open(&hole), "a server with a full backlog");
    target.port = hole.port;
    ask_target(&a, &target);
    drive_rounds(loop, 3);
    wait_for(PP_SEC(2));
    is_int(a.err, PP_ERR_connect_timeout, "connect_timeout");
    wait_for(1);
    is_int(stats.connecting, 0, "nothing is left");
    is_int(stats.conn_failed, 1, "the opening is counted");
    hole_close(&hole);
    end();
}

/* Answers what the name server was asked: each name has the addresses 127.0.0.1 and 127.0.0.2. */
static void resolve(int fd)
{
    static const unsigned char record[16] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 99, 0, 4, 127, 0, 0, 0};
    struct sockaddr_in from;
    socklen_t fromlen = sizeof(from);
    unsigned char packet[512 + 2 * sizeof(record)];
    ssize_t len;

    while ((len = recvfrom(fd, packet, 512, MSG_DONTWAIT, (struct sockaddr *)&from, &fromlen)) > 12) {
        size_t end = 12 + strlen((char *)packet + 12) + 1 + 4;
        int n = packet[end - 3] == 1 ? 2 : 0; /* for A, not for AAAA */
        packet[2] = 0x81;
        packet[3] = 0x80;
        packet[7] = (unsigned char)n;
        packet[11] = 0; /* no EDNS */
        for (int i = 0; i < n; i++) {
            memcpy(packet + end, record, sizeof(record));
            end += sizeof(record);
            packet[end - 1] = (unsigned char)(i + 1);
        }
        sendto(fd, packet, end, 0, (struct sockaddr *)&from, fromlen);
    }
}

/* A server at the port of `hole`, but another address. */
static int beside(const hole_t *hole)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    addr.sin_port = htons((uint16_t)hole->port);
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(fd, 5) != 0)
        abort();
    return fd;
}

static void test_next_address(void)
{
    asker_t first = {.checkout.connect_timeout = PP_SEC(4)}, second = first, third = first, fourth = first;
    int names = silent_begin(), fd;
    hole_t hole = {0};
    pp_target_t target = {.key = "two.test", .host = "two.test"};

    note("one of two addresses swallows everything");
    ok(hole_open(&hole), "a server with a full backlog");
    fd = beside(&hole);
    target.port = hole.port;
    ask_target(&first, &target);
    ask_target(&second, &target);
    ok(drive_until(loop, (resolve(names), stats.busy == 1)), "who begins with the other address is connected at once");
    wait_for(PP_MSEC(250) - 1);
    is_int(stats.busy, 1, "who begins with this one waits 250 ms");
    is_int(stats.connecting, 1, "... with one connection being opened");
    wait_for(1);
    ok(drive_until(loop, stats.busy == 2), "... then the other one is tried beside it, and wins");
    is_int(stats.conn_failed, 0, "... by the same opening");
    is_int(stats.connecting, 0, "... and nothing is left of the race");
    ask_target(&third, &target);
    ask_target(&fourth, &target);
    ok(drive_until(loop, stats.busy == 4), "from then on the other one is tried first");
    wait_for(PP_SEC(10));
    ok(first.conn && second.conn, "the time-out is for connecting only");
    cancel_all(&first, 1);
    cancel_all(&second, 1);
    cancel_all(&third, 1);
    cancel_all(&fourth, 1);
    close(fd);
    close(names);
    hole_close(&hole);
    end();
}

static void test_race_without_permits(void)
{
    asker_t first = {.checkout.connect_timeout = PP_SEC(4)}, second = first;
    int names = silent_begin(), fd;
    hole_t hole = {0};
    pp_target_t target = {.key = "two.test", .host = "two.test", .limit = 2};

    note("there is no permit for a second attempt");
    ok(hole_open(&hole), "a server with a full backlog");
    fd = beside(&hole);
    target.port = hole.port;
    ask_target(&first, &target);
    ask_target(&second, &target);
    ok(drive_until(loop, (resolve(names), stats.busy == 1)), "who begins with the other address is connected at once");
    wait_for(PP_MSEC(1990));
    is_int(stats.busy + stats.connecting, 2, "who begins with this one has no second attempt");
    wait_for(PP_MSEC(60));
    ok(drive_until(loop, stats.busy == 2), "... but after half of his time the other address");
    cancel_all(&first, 1);
    cancel_all(&second, 1);
    close(fd);
    close(names);
    hole_close(&hole);
    end();
}

int main(void)
{
    drive_begin();
    test_other_host_is_not_starved();
    test_fresh_is_not_starved();
    test_nothing_is_closed_in_vain();
    test_own_timeout();
    test_inherited_opening();
    test_timeout_begins_when_served();
    test_connecting_takes_too_long();
    test_next_address();
    test_race_without_permits();
    drive_end();
    return done_testing();
}
