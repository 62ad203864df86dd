/* test_dns: names to addresses with pp_dns, against a DNS server that lives in a thread of this test. */
#include <malloc.h>
#include <stdlib.h>

#include "dns_rig.h"

/* ---- the tests ---- */

static void test_literals(void)
{
    asker_t a = {0}, b = {0};
    char longest[300];

    set_up();
    is_int(ask(&a, "192.0.2.7", 8080), APR_SUCCESS, "an IPv4 literal is answered at once");
    is_str(a.answer, "192.0.2.7:8080", "... with the port");
    is_int(ask(&b, "2001:DB8::7", 443), APR_SUCCESS, "an IPv6 literal is answered at once");
    is_str(b.answer, "2001:db8::7:443", "... with the port");
    is_int(b.query.addrs[0].len, sizeof(struct sockaddr_in6), "... and the length of its family");
    ask(&b, "192.0.2.7", 81);
    is_str(b.answer, "192.0.2.7:81", "another port of the same host");
    note_answer(&a);
    is_str(a.answer, "192.0.2.7:8080", "... leaves the earlier answer as it was");
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = 0;
    is_int(ask(&a, longest, 80), APR_EINVAL, "what is too long for a name is refused");
    is_int(server_asked, 0, "no server is asked for any of these");
    tear_down();
}

static void test_localhost(void)
{
    asker_t a = {0};

    set_up();
    server_mood = SILENT;
    is_int(ask(&a, "localhost", 80), APR_SUCCESS, "localhost is answered at once");
    ok(strstr(a.answer, "127.0.0.1:80") || strstr(a.answer, "::1:80"), "... with the loopback: %s", a.answer);
    is_int(ask(&a, "LocalHost", 80), APR_SUCCESS, "... whatever its case");
    is_int(server_asked, 0, "no server is asked");
    tear_down();
}

static void test_answers(void)
{
    asker_t a = {0};

    set_up();
    is_int(ask(&a, "one.test", 80), APR_EAGAIN, "a name has to be looked up");
    is_int(await(&a), APR_SUCCESS, "... the callback comes");
    is_str(a.answer, "192.0.2.1:80", "... with its address");
    is_str(answer_to("six.test", 80), "2001:db8::6:80", "a name with an IPv6 address only");
    answer_to("many.test", 80);
    is_int(ask(&a, "many.test", 80), APR_SUCCESS, "a name with many addresses");
    is_int(a.query.naddrs, 3, "... has all of them");
    is_int(server_asked, 3, "each was asked for once");
    is_int(pp_dns_servers_set(dns, "no address"), APR_EINVAL, "servers must be addresses");
    ask(&a, "other.test", 80);
    is_int(pp_dns_servers_set(dns, "127.0.0.1"), APR_EBUSY, "servers cannot be changed while a lookup is under way");
    await(&a);
    tear_down();
}

static void test_failures(void)
{
    asker_t a = {0}, b = {0};

    set_up();
    pp_clock_set(PP_SEC(1000));
    ask(&a, "gone.test", 80);
    is_int(await(&a), APR_ENOENT, "a name that does not exist: APR_ENOENT");
    is_int(a.query.naddrs, 0, "... no addresses");
    a.called = 0;
    is_int(ask(&a, "gone.test", 80), APR_EAGAIN, "asked again within a second the callback will come");
    is_int(a.called, 0, "... not from within the call");
    is_int(await(&a), APR_ENOENT, "... with the same result");
    is_int(a.called, 1, "... once");
    a.asks_again = "gone.test";
    a.called = 0;
    ask(&a, "gone.test", 80);
    settle();
    is_int(a.called, 1, "who asks again in the callback is not called in that round");
    pp_clock_set(PP_SEC(1000) + 1);
    is_int(await(&a), APR_ENOENT, "... but later");
    is_int(a.called, 2, "... once");
    is_int(server_asked, 1, "all that took one lookup");
    pp_clock_set(PP_SEC(1000) + PP_MSEC(1002));
    ask(&a, "gone.test", 80);
    await(&a);
    settle();
    is_int(server_asked, 2, "after a second it is looked up anew");
    server_mood = SERVFAIL;
    ask(&b, "one.test", 80);
    is_int(await(&b), APR_EGENERAL, "a server that fails: APR_EGENERAL");
    ask(&b, "a..b", 80);
    is_int(await(&b), APR_EGENERAL, "a name that cannot be: APR_EGENERAL");
    tear_down();
}

static void test_sharing(void)
{
    asker_t a = {0}, b = {0}, c = {0};

    set_up();
    ask(&a, "one.test", 80);
    is_int(ask(&b, "ONE.test", 81), APR_EAGAIN, "a second asker of a name waits too");
    ask(&c, "one.test", 82);
    pp_dns_cancel(&b.query);
    await(&a);
    await(&c);
    is_str(a.answer, "192.0.2.1:80", "the first has its answer");
    is_str(c.answer, "192.0.2.1:82", "the third has its own port");
    is_int(b.called, 0, "the second cancelled and is not called");
    is_int(server_asked, 1, "one lookup served them all");
    pp_dns_cancel(&b.query);
    pp_dns_cancel(&a.query);
    is_int(ask(&b, "one.test", 80), APR_SUCCESS, "to cancel what does not wait is harmless");
    tear_down();
}

static void test_cancel(void)
{
    asker_t a = {0}, b = {0}, *gone = calloc(1, sizeof(*gone));

    set_up();
    ask(gone, "one.test", 80);
    pp_dns_cancel(&gone->query);
    free(gone);
    settle();
    is_int(ask(&a, "one.test", 80), APR_SUCCESS, "a cancelled lookup still fills the cache");

    gone = calloc(1, sizeof(*gone));
    ask(&a, "gone.test", 80);
    ask(gone, "gone.test", 80);
    a.cancels = gone;
    await(&a);
    settle();
    is_int(gone->called, 0, "one may cancel another from its callback: it is not called in the same round");
    a.cancels = NULL;
    ask(&b, "gone.test", 80);
    pp_dns_cancel(&b.query);
    settle();
    is_int(b.called, 0, "a cached failure may be cancelled before its callback");
    free(gone);
    tear_down();
}

static void test_bounded(void)
{
    char name[32];
    size_t used = 0;
    asker_t a = {0}, b = {0};

    set_up();
    pp_clock_set(PP_SEC(900));
    ask(&a, "a..b", 80);
    pp_clock_set(PP_SEC(910));
    ask(&b, "192.0.2.1", 80);
    is_int(await(&a), APR_EGENERAL, "a name that is waited for stays in the cache");
    for (int i = 0; i < 2000; i++) {
        pp_clock_set(PP_SEC(1000 + i * 2));
        snprintf(name, sizeof(name), "::%x", i);
        answer_to(name, 80);
        snprintf(name, sizeof(name), "n%d..test", i);
        answer_to(name, 80);
        if (i == 1000)
            used = mallinfo2().uordblks;
    }
    ok(mallinfo2().uordblks < used + 20000, "thousands of names come and go, the cache stays small");
    tear_down();
}

static void test_going(void)
{
    asker_t a = {0}, *b = calloc(1, sizeof(*b)), c = {0};

    set_up();
    ask(&a, "gone.test", 80);
    await(&a);
    a.called = 0;
    server_mood = HALF;
    ask(b, "one.test", 80);
    pp_loop_round(loop, PP_MSEC(5));
    ask(&a, "gone.test", 80);
    ask(&c, "many.test", 80);
    free(b); /* what waits is not touched any more */
    tear_down();
    is_int(a.called + c.called, 0, "when the resolver goes, nobody is called");
}

/* The server has stopped by now. */
static void test_refused(void)
{
    asker_t a = {0};

    set_up();
    ask(&a, "one.test", 80);
    is_int(await(&a), APR_EGENERAL, "a port where no server is: APR_EGENERAL, at once");
    tear_down();
}

static void test_timeout(void)
{
    asker_t a = {0};
    pp_time_t start = pp_clock_now();

    set_up();
    server_mood = SILENT;
    ask(&a, "one.test", 80);
    is_int(await(&a), APR_TIMEUP, "a server that says nothing: APR_TIMEUP");
    ok(pp_clock_now() - start > PP_SEC(2) && pp_clock_now() - start < PP_SEC(6), "... after two tries, 1 and 2 seconds");
    tear_down();
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    apr_initialize();
    apr_pool_create(&top, NULL);
    server_start();
    test_literals();
    test_localhost();
    test_answers();
    test_failures();
    test_sharing();
    test_cancel();
    test_bounded();
    test_going();
    test_timeout();
    server_stop();
    test_refused();
    apr_pool_destroy(top);
    apr_terminate();
    return done_testing();
}
