/* test_dns_times: how long pp_dns believes what it was told, when it asks again, and what it does while nobody answers. */
#include "dns_rig.h"

static void test_lifetimes(void)
{
    asker_t a = {0};

    set_up();
    pp_clock_set(PP_SEC(1000));
    answer_to("one.test", 80);
    answer_to("brief.test", 80);
    answer_to("long.test", 80);
    answer_to("many.test", 80);
    is_int(server_asked, 4, "four names looked up");
    pp_clock_set(PP_SEC(1000) + PP_MSEC(790));
    answer_to("brief.test", 80);
    settle();
    is_int(server_asked, 4, "a TTL of 0 counts as one second");
    pp_clock_set(PP_SEC(1000) + PP_MSEC(910));
    settle();
    is_int(server_asked, 5, "... and is renewed a little ahead of its end");
    is_int(ask(&a, "brief.test", 80), APR_SUCCESS, "... so that nobody waits");
    pp_clock_set(PP_SEC(1015));
    settle();
    is_int(server_asked, 6, "a name that was not asked for since is renewed no more than once");
    pp_clock_set(PP_SEC(1019));
    settle();
    is_int(server_asked, 7, "of several TTLs the least holds");
    pp_clock_set(PP_SEC(1239));
    settle();
    is_int(server_asked, 8, "the name of a TTL of 100 seconds is renewed");
    is_int(ask(&a, "long.test", 80), APR_SUCCESS, "a TTL of a day");
    pp_clock_set(PP_SEC(1271));
    settle();
    is_int(server_asked, 9, "... holds for 300 seconds");
    tear_down();
}

static void test_long_ago(void)
{
    asker_t a = {0};

    set_up();
    pp_clock_set(PP_SEC(1000));
    policy.stale = PP_SEC(1000);
    answer_to("one.test", 80);
    pp_clock_set(PP_SEC(1095));
    settle(); /* renewed */
    pp_clock_set(PP_SEC(1190));
    settle();
    is_int(server_asked, 2, "a name that nobody asks for is not looked up");
    pp_clock_set(PP_SEC(1195) + PP_MSEC(500));
    is_int(ask(&a, "one.test", 80), APR_SUCCESS, "in the second after its end an address is served");
    settle();
    is_int(server_asked, 3, "... while a lookup renews it");
    pp_clock_set(PP_SEC(1400));
    is_int(ask(&a, "one.test", 80), APR_EAGAIN, "one that ended long ago is looked up first");
    is_int(await(&a), APR_SUCCESS, "... which succeeds");
    server_mood = SILENT;
    pp_clock_set(PP_SEC(1700));
    is_int(ask(&a, "one.test", 80), APR_EAGAIN, "... and is waited for");
    settle();
    is_int(a.called, 1, "... but not for long");
    pp_clock_set(PP_SEC(1700) + PP_MSEC(50));
    settle();
    pp_clock_set(PP_SEC(1700) + PP_MSEC(51));
    is_int(await(&a), APR_SUCCESS, "... 50 ms without an answer, and the old address is served");
    is_int(ask(&a, "one.test", 80), APR_SUCCESS, "... from then on at once");
    is_int(stats.dns_stale, 3, "what is served after its time is counted");
    tear_down();
}

static void test_fixed(void)
{
    asker_t a = {0};

    set_up();
    pp_clock_set(PP_SEC(1000));
    policy.ttl = PP_SEC(300);
    answer_to("brief.test", 80);
    pp_clock_set(PP_SEC(1299));
    is_int(ask(&a, "brief.test", 80), APR_SUCCESS, "a time set by hand holds whatever the record says");
    settle();
    is_int(server_asked, 1, "... to its end");
    pp_clock_set(PP_SEC(1300));
    settle();
    is_int(server_asked, 2, "... then it is looked up");
    policy.ttl = 0;
    answer_to("brief.test", 80);
    is_int(server_asked, 3, "who has another policy shares nothing with that");
    is_int(stats.dns_lookups, 3, "lookups are counted");
    is_int(stats.dns_hits, 1, "... and what is answered without one");
    tear_down();
}

static void test_stale(void)
{
    asker_t a = {0};

    set_up();
    pp_clock_set(PP_SEC(1000));
    answer_to("one.test", 80);
    server_mood = SERVFAIL;
    pp_clock_set(PP_SEC(1095));
    ask(&a, "one.test", 80);
    settle();
    is_int(stats.dns_failed, 1, "a lookup ahead of the end fails");
    pp_clock_set(PP_SEC(1097));
    settle();
    is_int(stats.dns_failed, 2, "... is repeated");
    is_int(stats.dns_stale, 0, "... and harms nobody");
    pp_clock_set(PP_SEC(1150));
    is_int(ask(&a, "one.test", 80), APR_SUCCESS, "an expired answer is served at once while renewing fails");
    is_str(a.answer, "192.0.2.1:80", "... as it was");
    pp_clock_set(PP_SEC(1159));
    is_int(ask(&a, "one.test", 80), APR_SUCCESS, "... up to 60 seconds after its time");
    is_int(stats.dns_stale, 2, "... which is counted");
    settle();
    pp_clock_set(PP_SEC(1161));
    ask(&a, "one.test", 80);
    is_int(await(&a), APR_EGENERAL, "... no longer: then the failure shows");
    server_mood = 0;
    pp_clock_set(PP_SEC(1164));
    is_str(answer_to("one.test", 80), "192.0.2.1:80", "the server is back: an answer again");
    tear_down();
}

static void test_recovery(void)
{
    asker_t a = {0};

    set_up();
    policy.negative = PP_SEC(5);
    pp_clock_set(PP_SEC(1000));
    server_mood = SERVFAIL;
    ask(&a, "one.test", 80);
    await(&a);
    pp_clock_set(PP_SEC(1000) + PP_MSEC(900));
    ask(&a, "one.test", 80);
    is_int(await(&a), APR_EGENERAL, "a failure is told again");
    is_int(stats.dns_lookups, 1, "... from memory");
    server_mood = 0;
    pp_clock_set(PP_SEC(1001) + 1);
    settle();
    is_int(stats.dns_lookups, 2, "... while the name is looked up behind, once a second");
    is_int(ask(&a, "one.test", 80), APR_SUCCESS, "... so that it is there as soon as it can be");
    tear_down();
}

/* ---- watches ---- */

typedef struct watcher_t {
    pp_dns_watch_t watch;
    bool in_use;
    int called, naddrs;
} watcher_t;

static bool is_in_use(const pp_dns_watch_t *watch)
{
    return ((const watcher_t *)watch)->in_use;
}

static void on_change(pp_dns_watch_t *watch, const pp_addr_t *addrs, int naddrs)
{
    (void)addrs;
    ((watcher_t *)watch)->called++;
    ((watcher_t *)watch)->naddrs = naddrs;
}

static void test_watch(void)
{
    watcher_t w = {{.is_in_use = is_in_use, .on_change = on_change}, true, 0, 0};

    set_up();
    pp_clock_set(PP_SEC(1000));
    answer_to("one.test", 80);
    pp_dns_watch(dns, &(pp_dns_name_t){"one.test", 80, &policy, &stats}, &w.watch);
    for (int i = 1; i < 5; i++) {
        pp_clock_set(PP_SEC(1000 + i * 95));
        settle();
    }
    is_int(server_asked, 5, "a name in use is looked up again and again, though nobody asks");
    is_int(w.called, 0, "... and nothing is told while it stays the same");
    server_mood = OTHER;
    pp_clock_set(PP_SEC(1475));
    settle();
    is_int(w.called, 1, "another address is told");
    is_int(w.naddrs, 1, "... which is the only one");
    server_mood = SERVFAIL;
    pp_clock_set(PP_SEC(1570));
    settle();
    is_int(w.called, 1, "a failure is no change");
    server_mood = NXDOMAIN;
    pp_clock_set(PP_SEC(1572));
    settle();
    is_int(w.called, 2, "that the name exists no more is one");
    is_int(w.naddrs, 0, "... to no address at all");
    w.in_use = false;
    server_mood = 0;
    pp_clock_set(PP_SEC(1600));
    settle();
    pp_clock_set(PP_SEC(1700));
    settle();
    is_int(w.called, 2, "who has no use for it does not keep it fresh");
    pp_dns_unwatch(&w.watch);
    pp_dns_unwatch(&w.watch);
    tear_down();
}

static void test_families(void)
{
    asker_t a = {0};
    pp_time_t start;

    set_up();
    server_mood = HALF;
    start = pp_clock_now();
    ask(&a, "many.test", 80);
    await(&a);
    ok(pp_clock_now() - start >= PP_MSEC(49) && pp_clock_now() - start < PP_MSEC(200),
       "a server that is mute to AAAA costs 50 ms (%d)", (int)((pp_clock_now() - start) / 1000));
    is_str(a.answer, "192.0.2.11:80 192.0.2.12:80", "... and the IPv4 addresses are there");
    server_mood = 0;
    for (int i = 0; i < 100 && a.query.naddrs < 3; i++) {
        settle();
        ask(&a, "many.test", 80);
    }
    is_int(a.query.naddrs, 3, "the answer that was missing is taken when it comes after all");
    tear_down();
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    apr_initialize();
    apr_pool_create(&top, NULL);
    server_start();
    test_lifetimes();
    test_long_ago();
    test_fixed();
    test_stale();
    test_recovery();
    test_watch();
    test_families();
    server_stop();
    apr_pool_destroy(top);
    apr_terminate();
    return done_testing();
}
