/* dns_server: a DNS server for tests: UDP on 127.0.0.1, in a thread of the test, with a handful of records.
 *
 * server_start() opens it on a port of its own, server_stop() ends it; in between `server_mood` says how it behaves.
 */
#ifndef DNS_SERVER_H
#define DNS_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TYPE_A = 1,
    TYPE_AAAA = 28,
    SERVFAIL = 2,
    NXDOMAIN = 3,
    SILENT = -1,
    HALF = -2,
    OTHER = -3,
    GARBAGE = -4,
    TRUNCATED = -5,
    LOOP = -6,
    FOR_OTHER = -7
};

typedef struct record_t {
    const char *name;
    int type;
    unsigned ttl;
    const char *address;
} record_t;

/* A name that is in none of them does not exist. */
// clang-format off
static const record_t records[] = {
    {"one.test", TYPE_A, 100, "192.0.2.1"},
    {"brief.test", TYPE_A, 0, "192.0.2.2"},
    {"long.test", TYPE_A, 86400, "192.0.2.3"},
    {"six.test", TYPE_AAAA, 100, "2001:db8::6"},
    {"many.test", TYPE_A, 100, "192.0.2.11"},
    {"many.test", TYPE_A, 20, "192.0.2.12"},
    {"many.test", TYPE_AAAA, 100, "2001:db8::11"},
};
// clang-format on
enum { NRECORDS = sizeof(records) / sizeof(records[0]) };

static int server_fd, server_port;
static pthread_t server_thread;
static atomic_bool server_stopping;
static atomic_int server_asked; /* questions for A so far */
static atomic_int
    server_mood; /* 0, SERVFAIL, NXDOMAIN, SILENT, HALF: silent to AAAA, OTHER: other addresses; below: wrong answers */

/* The question's name as text; returns its type. */
static int read_question(const unsigned char *packet, char *name, size_t size)
{
    const unsigned char *p = packet + 12;
    size_t n = 0;

    for (; *p; p += *p + 1)
        n += (size_t)snprintf(name + n, size - n, "%s%.*s", n ? "." : "", *p, (const char *)p + 1);
    return p[1] << 8 | p[2];
}

static size_t put_record(unsigned char *p, const record_t *record)
{
    unsigned char head[12] = {0xc0, 12, 0, (unsigned char)record->type, 0, 1};
    size_t len = record->type == TYPE_A ? 4 : 16;

    head[6] = (unsigned char)(record->ttl >> 24);
    head[7] = (unsigned char)(record->ttl >> 16);
    head[8] = (unsigned char)(record->ttl >> 8);
    head[9] = (unsigned char)record->ttl;
    head[11] = (unsigned char)len;
    memcpy(p, head, sizeof(head));
    inet_pton(record->type == TYPE_A ? AF_INET : AF_INET6, record->address, p + sizeof(head));
    p[sizeof(head)] ^= server_mood == OTHER;
    return sizeof(head) + len;
}

/* Makes an answer wrong, as the mood is; `question` is where the question ends. */
static size_t spoil(unsigned char *packet, size_t question, size_t len)
{
    static const unsigned char loop[] = {0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 99, 0, 2, 0xc0, 12};

    if (server_mood == GARBAGE) {
        for (size_t i = question; i < 500; i++)
            packet[i] = (unsigned char)(i * 37);
        packet[7] = 9;
        return 500;
    }
    if (server_mood == LOOP) {
        memcpy(packet + question, loop, sizeof(loop));
        packet[7] = 1;
        return question + sizeof(loop);
    }
    if (server_mood == TRUNCATED)
        packet[2] |= 2;
    if (server_mood == FOR_OTHER && len > question + 1)
        packet[question + 1] = 16; /* the end of the name */
    return len;
}

/* Turns the question in `packet` into its answer; returns the new length, 0: none. */
static size_t make_answer(unsigned char *packet, size_t len)
{
    char name[256];
    int type = read_question(packet, name, sizeof(name));
    size_t question = len;
    bool exists = false;

    server_asked += type == TYPE_A;
    if (server_mood == SILENT || (server_mood == HALF && type == TYPE_AAAA))
        return 0;
    packet[2] = 0x81;
    packet[3] = 0x80;
    for (int i = 0; i < NRECORDS; i++) {
        if (strcmp(records[i].name, name) != 0)
            continue;
        exists = server_mood != NXDOMAIN;
        if (records[i].type != type || server_mood == SERVFAIL || server_mood == NXDOMAIN)
            continue;
        len += put_record(packet + len, &records[i]);
        packet[7]++;
    }
    packet[3] |= server_mood == SERVFAIL ? SERVFAIL : exists ? 0 : NXDOMAIN;
    return spoil(packet, question, len);
}

static void *run_server(void *arg)
{
    struct pollfd in = {.fd = server_fd, .events = POLLIN};
    struct sockaddr_in from;
    unsigned char packet[1024];

    while (!server_stopping) {
        socklen_t fromlen = sizeof(from);
        ssize_t n;
        if (poll(&in, 1, 10) <= 0)
            continue;
        n = recvfrom(server_fd, packet, 512, 0, (struct sockaddr *)&from, &fromlen);
        if (n > 12 && (n = (ssize_t)make_answer(packet, (size_t)n)) > 0)
            sendto(server_fd, packet, (size_t)n, 0, (struct sockaddr *)&from, fromlen);
    }
    return arg;
}

static void server_start(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);

    server_fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(server_fd, (struct sockaddr *)&addr, len) != 0 || getsockname(server_fd, (struct sockaddr *)&addr, &len) != 0)
        abort();
    server_port = ntohs(addr.sin_port);
    server_stopping = false;
    pthread_create(&server_thread, NULL, run_server, NULL);
}

static void server_stop(void)
{
    server_stopping = true;
    pthread_join(server_thread, NULL);
    close(server_fd);
}

#endif
