/* test_balance: which server takes the next request: each way to choose, and what all of them keep to. */
#include <stdlib.h>
#include <string.h>

#include "drive.h"
#include "pp_balance.h"
#include "tap.h"

#define SERVERS_MAX 8

static apr_pool_t *pool;
static pp_server_t servers[SERVERS_MAX];
static pp_server_t *list[SERVERS_MAX];
static pp_upstream_t upstream;

/* An upstream of servers with these weights. */
static pp_balance_t *balance_of(pp_balance_kind_t kind, int n, const int *weights)
{
    static const char *const keys[SERVERS_MAX] = {"a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1", "h:1"};

    memset(servers, 0, sizeof(servers));
    for (int i = 0; i < n; i++) {
        servers[i].key = keys[i];
        servers[i].weight = weights ? weights[i] : 1;
        list[i] = &servers[i];
    }
    upstream = (pp_upstream_t){.nservers = n, .servers = list, .balance = kind};
    return pp_balance_create(&upstream, 0, pool);
}

static int pick(pp_balance_t *balance)
{
    return pp_balance_pick(balance, 0, NULL, 0);
}

/* The next `n` choices as letters. */
static const char *sequence(pp_balance_t *balance, int n)
{
    static char letters[64];

    for (int i = 0; i < n; i++)
        letters[i] = (char)('a' + pick(balance));
    letters[n] = 0;
    return letters;
}

static void test_roundrobin(void)
{
    static const int three_one[] = {3, 1}, five_one_one[] = {5, 1, 1};
    pp_balance_t *balance = balance_of(PP_BALANCE_ROUNDROBIN, 3, NULL);
    int tried[] = {1};

    is_str(sequence(balance, 7), "abcabca", "round robin: one after the other");
    is_int(pp_balance_pick(balance, 0, tried, 1), 2, "... who was tried is left out");
    is_str(sequence(balance_of(PP_BALANCE_ROUNDROBIN, 2, three_one), 8), "aabaaaba", "weights 3:1, smoothly");
    is_str(sequence(balance_of(PP_BALANCE_ROUNDROBIN, 3, five_one_one), 14), "aabacaaaabacaa", "weights 5:1:1, smoothly");
}

static void test_seed(void)
{
    static const int weights[] = {1, 1, 2};
    bool begins_with[3] = {false};

    balance_of(PP_BALANCE_ROUNDROBIN, 3, weights);
    for (unsigned seed = 0; seed < 4; seed++) {
        pp_balance_t *balance = pp_balance_create(&upstream, seed, pool);
        int first = pick(balance), count[3] = {0};
        begins_with[first] = true;
        count[first]++;
        for (int i = 0; i < 39; i++)
            count[pick(balance)]++;
        ok(count[0] == 10 && count[1] == 10 && count[2] == 20, "seed %u: the weights hold", seed);
    }
    ok(begins_with[0] && begins_with[1] && begins_with[2], "loops begin at different servers");
}

static void test_leastconn(void)
{
    static const int two_one[] = {2, 1};
    pp_balance_t *balance = balance_of(PP_BALANCE_LEASTCONN, 3, NULL);
    int count[3] = {0};

    pp_balance_begin(balance, 0);
    pp_balance_begin(balance, 0);
    pp_balance_begin(balance, 1);
    is_int(pick(balance), 2, "leastconn: the idle one");
    pp_balance_begin(balance, 2);
    pp_balance_begin(balance, 2);
    is_int(pick(balance), 1, "... then the one with one request");
    pp_balance_end(balance, 0);
    pp_balance_end(balance, 0);
    is_int(pick(balance), 0, "... whose requests have ended counts no more");
    pp_balance_end(balance, 1);
    pp_balance_end(balance, 2);
    pp_balance_end(balance, 2);
    for (int i = 0; i < 300; i++)
        count[pick(balance)]++;
    ok(count[0] > 60 && count[1] > 60 && count[2] > 60, "equals are chosen about equally: %d %d %d", count[0], count[1], count[2]);

    balance = balance_of(PP_BALANCE_LEASTCONN, 2, two_one);
    pp_balance_begin(balance, 0);
    is_int(pick(balance), 1, "weights 2:1, loads 1:0");
    pp_balance_begin(balance, 1);
    is_int(pick(balance), 0, "... 1:1");
    pp_balance_begin(balance, 0);
    pp_balance_begin(balance, 0);
    is_int(pick(balance), 1, "... 3:1");
}

static void test_random2(void)
{
    static const int weights[] = {1, 1, 2, 4};
    pp_balance_t *balance = balance_of(PP_BALANCE_RANDOM2, 4, NULL);
    int count[4] = {0}, load[4] = {0};

    for (int i = 0; i < 8000; i++)
        count[pick(balance)]++;
    for (int i = 0; i < 4; i++)
        ok(count[i] > 1800 && count[i] < 2200, "random2: a quarter for each of four: %d", count[i]);
    pp_balance_begin(balance, 1);
    memset(count, 0, sizeof(count));
    for (int i = 0; i < 4000; i++)
        count[pick(balance)]++;
    is_int(count[1], 0, "the most loaded loses against whoever else is drawn");

    balance = balance_of(PP_BALANCE_RANDOM2, 4, weights);
    for (int i = 0; i < 8000; i++) {
        int server = pick(balance);
        load[server]++;
        pp_balance_begin(balance, server);
    }
    ok(abs(load[0] - load[1]) < 100 && abs(load[2] - 2 * load[0]) < 200 && abs(load[3] - 4 * load[0]) < 400,
       "weights 1:1:2:4 with nothing ending: %d %d %d %d", load[0], load[1], load[2], load[3]);
    balance = balance_of(PP_BALANCE_RANDOM2, 1, NULL);
    is_int(pick(balance), 0, "one server alone");
}

enum { KEYS = 4000 };

static void assign(pp_balance_t *balance, int *to)
{
    char key[32];

    for (int i = 0; i < KEYS; i++)
        to[i] = pp_balance_pick(balance, pp_balance_hash(key, (size_t)snprintf(key, sizeof(key), "/item/%d", i)), NULL, 0);
}

static void test_hash(void)
{
    static const int weights[] = {1, 1, 1, 3};
    static int before[KEYS], after[KEYS];
    pp_balance_t *balance = balance_of(PP_BALANCE_HASH, 5, NULL);
    int count[5] = {0}, moved = 0, wrong = 0, tried[1];

    assign(balance, before);
    assign(balance, after);
    is_int(memcmp(before, after, sizeof(before)), 0, "hash: the same key goes to the same server");
    for (int i = 0; i < KEYS; i++)
        count[before[i]]++;
    for (int i = 0; i < 5; i++)
        ok(count[i] > 700 && count[i] < 900, "a fifth of the keys for each of five: %d of %d", count[i], KEYS);

    servers[2].drain = true;
    assign(balance, after);
    for (int i = 0; i < KEYS; i++) {
        moved += before[i] != after[i];
        wrong += before[i] != after[i] && before[i] != 2;
    }
    is_int(wrong, 0, "when a server leaves, the others keep their keys");
    is_int(moved, count[2], "... and its own go elsewhere");
    tried[0] = 2;
    servers[2].drain = false;
    is_int(pp_balance_pick(balance, pp_balance_hash("/item/7", 7), tried, 1), after[7], "tried is like gone");

    list[2] = &servers[4];
    upstream.nservers = 4; /* a b e d */
    balance = pp_balance_create(&upstream, 99, pool);
    assign(balance, after);
    wrong = 0;
    for (int i = 0; i < KEYS; i++)
        wrong += before[i] != 2 && strcmp(servers[before[i]].key, list[after[i]]->key) != 0;
    is_int(wrong, 0, "a server's place in the list and the seed do not matter");

    balance = balance_of(PP_BALANCE_HASH, 4, weights);
    assign(balance, after);
    memset(count, 0, sizeof(count));
    for (int i = 0; i < KEYS; i++)
        count[after[i]]++;
    ok(count[3] > 1800 && count[3] < 2200, "weights 1:1:1:3: half of the keys for the heavy one: %d", count[3]);
}

static void test_backups(pp_balance_kind_t kind, const char *name)
{
    pp_balance_t *balance = balance_of(kind, 4, NULL);
    int tried[] = {0, 1, 2, 3}, chosen[4] = {0};

    servers[2].backup = servers[3].backup = true;
    for (uint64_t i = 0; i < 100; i++)
        chosen[pp_balance_pick(balance, i * 0x9e3779b97f4a7c15ull, NULL, 0)]++;
    ok(chosen[0] && chosen[1] && !chosen[2] && !chosen[3], "%s: no backup while there are others", name);
    is_int(pp_balance_pick(balance, 1, tried, 1), 1, "%s: ... nor when one of them was tried", name);
    ok(pp_balance_pick(balance, 1, tried, 2) >= 2, "%s: a backup when all others were tried", name);
    is_int(pp_balance_pick(balance, 1, tried, 3), 3, "%s: the other backup when one was tried too", name);
    is_int(pp_balance_pick(balance, 1, tried, 4), -1, "%s: nobody when all were tried", name);
    servers[0].drain = true;
    for (uint64_t i = 0; i < 20; i++)
        chosen[0] += pp_balance_pick(balance, i * 0x9e3779b97f4a7c15ull, NULL, 0) == 0 ? 1000 : 0;
    ok(chosen[0] < 1000, "%s: never one that drains", name);
    servers[1].drain = true;
    ok(pp_balance_pick(balance, 1, NULL, 0) >= 2, "%s: a backup when all others drain", name);
    servers[2].drain = servers[3].drain = true;
    is_int(pp_balance_pick(balance, 1, NULL, 0), -1, "%s: nobody when all drain", name);
    upstream.nservers = 0;
    is_int(pp_balance_pick(pp_balance_create(&upstream, 1, pool), 1, NULL, 0), -1, "%s: nobody of none", name);
}

int main(void)
{
    drive_begin();
    apr_pool_create(&pool, drive_top);
    test_roundrobin();
    test_seed();
    test_leastconn();
    test_random2();
    test_hash();
    test_backups(PP_BALANCE_ROUNDROBIN, "roundrobin");
    test_backups(PP_BALANCE_LEASTCONN, "leastconn");
    test_backups(PP_BALANCE_RANDOM2, "random2");
    test_backups(PP_BALANCE_HASH, "hash");
    drive_end();
    return done_testing();
}
