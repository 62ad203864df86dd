/* test_dns_answer: what pp_dns_answer makes of messages, right ones and such as no server should send; and what a name becomes that is
 * answered so.
 */
#include "dns_rig.h"
#include "page.h"
#include "pp_dns_answer.h"
#include "pp_dns_service.h"

/* ---- messages ---- */

typedef struct message_t {
    unsigned char bytes[2048];
    int len;
} message_t;

static void put(message_t *m, const void *bytes, size_t len)
{
    memcpy(m->bytes + m->len, bytes, len);
    m->len += (int)len;
}

static void put_number(message_t *m, unsigned number)
{
    unsigned char bytes[2] = {(unsigned char)(number >> 8), (unsigned char)number};

    put(m, bytes, 2);
}

/* "one.test" as it goes over the wire. */
static void put_name(message_t *m, const char *name)
{
    while (*name) {
        unsigned char len = (unsigned char)strcspn(name, ".");
        put(m, &len, 1);
        put(m, name, len);
        name += len + (name[len] == '.');
    }
    put(m, "", 1);
}

static void begin(message_t *m, const char *name, int type, unsigned nrecords)
{
    m->len = 0;
    put(m, "\0\1\201\200\0\1", 6);
    put_number(m, nrecords);
    put(m, "\0\0\0\0", 4);
    put_name(m, name);
    put_number(m, (unsigned)type);
    put_number(m, 1);
}

static void put_head(message_t *m, const char *name, int type, unsigned ttl, unsigned len)
{
    put_name(m, name);
    put_number(m, (unsigned)type);
    put_number(m, 1);
    put_number(m, ttl >> 16);
    put_number(m, ttl);
    put_number(m, len);
}

static void put_a(message_t *m, const char *name, unsigned ttl, int last)
{
    unsigned char addr[4] = {192, 0, 2, (unsigned char)last};

    put_head(m, name, TYPE_A, ttl, 4);
    put(m, addr, 4);
}

static void put_cname(message_t *m, const char *name, unsigned ttl, const char *to)
{
    put_head(m, name, 5, ttl, (unsigned)strlen(to) + 2);
    put_name(m, to);
}

static void put_srv(message_t *m, unsigned ttl, unsigned priority, unsigned weight, unsigned port, const char *target)
{
    put_head(m, "_api._tcp.test", PP_DNS_SRV, ttl, 6 + (*target ? (unsigned)strlen(target) + 2 : 1));
    put_number(m, priority);
    put_number(m, weight);
    put_number(m, port);
    put_name(m, target);
}

/* ---- reading ---- */

static pp_dns_addrs_t found;
static int ttl;

static apr_status_t read_addrs(const message_t *m)
{
    apr_status_t status;

    pp_dns_addrs_clear(&found);
    status = pp_dns_answer_addrs(m->bytes, m->len, AF_INET, &found, &ttl);
    return status;
}

static void test_addrs(void)
{
    message_t m;

    begin(&m, "a.test", TYPE_A, 2);
    put_a(&m, "a.test", 100, 1);
    put_a(&m, "a.test", 20, 2);
    is_int(read_addrs(&m), APR_SUCCESS, "two addresses");
    is_int(found.n, 2, "... are both there");
    is_int(ttl, 20, "... for the time of the shorter one");
    begin(&m, "a.test", TYPE_A, 2);
    put_cname(&m, "a.test", 7, "b.test");
    put_a(&m, "b.test", 100, 1);
    is_int(read_addrs(&m), APR_SUCCESS, "by way of a CNAME");
    is_int(ttl, 7, "... whose time counts too");
    begin(&m, "a.test", TYPE_A, 1);
    put_a(&m, "a.test", 0x80000000u, 1);
    is_int(read_addrs(&m), APR_SUCCESS, "a TTL beyond all limits");
    ok(ttl <= 0, "... counts as none (%d)", ttl);
    begin(&m, "a.test", TYPE_A, 100);
    for (int i = 0; i < 70; i++)
        put_a(&m, "a.test", 100, i);
    m.bytes[7] = 70;
    is_int(read_addrs(&m), APR_SUCCESS, "more addresses than anybody needs");
    is_int(found.n, PP_DNS_RECORDS_MAX, "... are cut");
}

static void test_bad_addrs(void)
{
    message_t m, whole;

    begin(&m, "a.test", TYPE_A, 1);
    put_a(&m, "other.test", 100, 1);
    ok(read_addrs(&m) != APR_SUCCESS && found.n == 0, "an address of another name is none of ours");
    begin(&m, "a.test", TYPE_A, 2);
    put_cname(&m, "a.test", 7, "b.test");
    put_cname(&m, "b.test", 7, "a.test");
    ok(read_addrs(&m) != APR_SUCCESS && found.n == 0, "CNAMEs in a circle lead nowhere");
    begin(&m, "a.test", TYPE_A, 1);
    put_head(&m, "a.test", TYPE_A, 100, 3);
    put(&m, "abc", 3);
    ok(read_addrs(&m) != APR_SUCCESS && found.n == 0, "an address of three bytes is none");
    begin(&m, "a.test", TYPE_A, 1);
    put(&m, "\300\014", 2);
    m.bytes[12] = 0xc0; /* the question's name points at itself */
    m.bytes[13] = 12;
    ok(read_addrs(&m) != APR_SUCCESS && found.n == 0, "a name that points at itself is none");
    begin(&whole, "a.test", TYPE_A, 2);
    put_cname(&whole, "a.test", 7, "b.test");
    put_a(&whole, "b.test", 100, 1);
    for (int len = 0; len < whole.len; len++) {
        const char *cut = page_put(whole.bytes, (size_t)len);
        pp_dns_addrs_clear(&found);
        if (pp_dns_answer_addrs((const unsigned char *)cut, len, AF_INET, &found, &ttl) == APR_SUCCESS)
            ok(false, "cut after %d bytes: taken for an answer", len);
    }
    ok(true, "a message that is cut is none, wherever that is");
    pp_dns_addrs_clear(&found);
}

static void test_srv(void)
{
    static pp_dns_srv_t services[PP_DNS_RECORDS_MAX];
    message_t m;
    int n;

    begin(&m, "_api._tcp.test", PP_DNS_SRV, 3);
    put_srv(&m, 100, 10, 60, 8080, "A.test");
    put_srv(&m, 30, 20, 0, 8081, "b.test");
    put_srv(&m, 50, 20, 0, 0, "c.test");
    is_int(pp_dns_answer_srv(m.bytes, m.len, services, &n, &ttl), APR_SUCCESS, "services");
    is_int(n, 2, "... but for the one without a port");
    is_int(ttl, 30, "... for the time of the shortest");
    is_str(services[0].target, "a.test", "a host, in lower case");
    ok(services[0].priority == 10 && services[0].weight == 60 && services[0].port == 8080, "priority, weight and port");
    begin(&m, "_api._tcp.test", PP_DNS_SRV, 1);
    put_srv(&m, 100, 0, 0, 1, "");
    is_int(pp_dns_answer_srv(m.bytes, m.len, services, &n, &ttl), PP_DNS_NO_RECORD,
           "the root as a host: the service is not available");
    for (int len = 0; len < m.len; len++) {
        const char *cut = page_put(m.bytes, (size_t)len);
        if (pp_dns_answer_srv((const unsigned char *)cut, len, services, &n, &ttl) == APR_SUCCESS)
            ok(false, "cut after %d bytes: taken for an answer", len);
    }
}

static void test_order(void)
{
    enum { N = 4, TIMES = 4000 };
    pp_dns_place_t places[N] = {{.priority = 2, .weight = 1},
                                {.priority = 1, .weight = 3000},
                                {.priority = 1, .weight = 1000},
                                {.priority = 1, .weight = 1}};
    pp_addr_t order[N];
    int first[N] = {0}, last = 0;

    for (int i = 0; i < N; i++)
        places[i].addr.len = (socklen_t)i;
    for (int i = 0; i < TIMES; i++) {
        pp_dns_service_order(places, N, order);
        first[order[0].len]++;
        last += order[N - 1].len == 0;
    }
    is_int(last, TIMES, "the higher priority is last");
    ok(first[3] < TIMES / 100, "hardly any weight, hardly a turn (%d)", first[3]);
    ok(first[1] > 2 * first[2] && first[1] < 4 * first[2], "three times the weight, three times the turns (%d, %d)", first[1],
       first[2]);
}

/* ---- servers that send such ---- */

static void test_bad_server(void)
{
    static const struct {
        int mood;
        const char *text;
    } moods[] = {{GARBAGE, "garbage"},
                 {TRUNCATED, "a truncated answer, and TCP refused"},
                 {LOOP, "CNAMEs in a circle"},
                 {FOR_OTHER, "an answer about another name"}};

    for (size_t i = 0; i < sizeof(moods) / sizeof(moods[0]); i++) {
        asker_t a = {0}, b = {0};

        set_up();
        server_mood = moods[i].mood;
        ask(&a, "one.test", 80);
        ok(await(&a) != APR_SUCCESS && a.query.naddrs == 0, "%s: the name fails", moods[i].text);
        server_mood = 0;
        ask(&b, "many.test", 80);
        is_int(await(&b), APR_SUCCESS, "... nothing else");
        tear_down();
    }
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    apr_initialize();
    apr_pool_create(&top, NULL);
    server_start();
    test_addrs();
    test_bad_addrs();
    test_srv();
    test_order();
    test_bad_server();
    server_stop();
    apr_pool_destroy(top);
    apr_terminate();
    return done_testing();
}
