/* pp_balance: round robin (smooth, weighted), least connections, two random choices, consistent hashing (rendezvous). */
#include "pp_balance.h"

#include <math.h>
#include <string.h>

#include "pp_hash.h"

typedef struct slot_t {
    uint64_t id; /* hash of the server's key: stable over restarts and configurations */
    int current; /* smooth round robin's running weight */
    int in_flight;
} slot_t;

struct pp_balance_t {
    const pp_upstream_t *upstream;
    uint64_t random;
    slot_t *slots;
};

static uint64_t mix(uint64_t x) /* the finaliser of splitmix64 */
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

uint64_t pp_balance_hash(const char *s, size_t len)
{
    return mix(pp_hash(s, len));
}

static uint64_t next_random(pp_balance_t *balance)
{
    return mix(balance->random += 0x9e3779b97f4a7c15ull);
}

static bool may_take(const pp_balance_t *balance, int i, bool backup, const int *tried, int ntried)
{
    const pp_server_t *server = balance->upstream->servers[i];

    if (server->drain || server->backup != backup)
        return false;
    for (int t = 0; t < ntried; t++)
        if (tried[t] == i)
            return false;
    return true;
}

/* The candidates' indexes, the ordinary ones or else the backups. */
static int candidates(const pp_balance_t *balance, const int *tried, int ntried, int *list)
{
    int n = 0;

    for (int backup = 0; backup <= 1 && n == 0; backup++)
        for (int i = 0; i < balance->upstream->nservers; i++)
            if (may_take(balance, i, backup, tried, ntried))
                list[n++] = i;
    return n;
}

static int weight(const pp_balance_t *balance, int i)
{
    return balance->upstream->servers[i]->weight;
}

/* Each gains its weight, the highest is chosen and pays the sum: a 3:1 pair gives a a b a. */
static int pick_roundrobin(pp_balance_t *balance, const int *list, int n)
{
    int best = list[0], sum = 0;

    for (int i = 0; i < n; i++) {
        slot_t *slot = &balance->slots[list[i]];
        slot->current += weight(balance, list[i]);
        sum += weight(balance, list[i]);
        if (slot->current > balance->slots[best].current)
            best = list[i];
    }
    balance->slots[best].current -= sum;
    return best;
}

/* Is a less loaded than b, by their weights? */
static bool is_less_loaded(const pp_balance_t *balance, int a, int b)
{
    return (int64_t)balance->slots[a].in_flight * weight(balance, b) < (int64_t)balance->slots[b].in_flight * weight(balance, a);
}

static int pick_leastconn(pp_balance_t *balance, const int *list, int n)
{
    int first = (int)(next_random(balance) % (uint64_t)n), best = list[first];

    for (int i = 1; i < n; i++) {
        int other = list[(first + i) % n];
        if (is_less_loaded(balance, other, best))
            best = other;
    }
    return best;
}

static int weighted_random(pp_balance_t *balance, const int *list, int n, int not_this)
{
    int sum = 0;
    int64_t at;

    for (int i = 0; i < n; i++)
        sum += list[i] == not_this ? 0 : weight(balance, list[i]);
    at = (int64_t)(next_random(balance) % (uint64_t)sum);
    for (int i = 0; i < n; i++) {
        if (list[i] == not_this)
            continue;
        at -= weight(balance, list[i]);
        if (at < 0)
            return list[i];
    }
    return list[0];
}

static int pick_random2(pp_balance_t *balance, const int *list, int n)
{
    int a = weighted_random(balance, list, n, -1);
    int b = n > 1 ? weighted_random(balance, list, n, a) : a;

    return is_less_loaded(balance, b, a) ? b : a;
}

/* Rendezvous hashing with weights: the highest score wins; a server that leaves moves only its own requests. */
static int pick_hash(const pp_balance_t *balance, uint64_t hash, const int *list, int n)
{
    int best = list[0];
    double best_score = -1;

    for (int i = 0; i < n; i++) {
        uint64_t h = mix(hash ^ balance->slots[list[i]].id);
        double unit = ((double)(h >> 11) + 0.5) / 9007199254740992.0; /* in (0, 1) */
        double score = weight(balance, list[i]) / -log(unit);
        if (score > best_score) {
            best = list[i];
            best_score = score;
        }
    }
    return best;
}

int pp_balance_pick(pp_balance_t *balance, uint64_t hash, const int *tried, int ntried)
{
    int list[balance->upstream->nservers > 0 ? balance->upstream->nservers : 1];
    int n = candidates(balance, tried, ntried, list);

    if (n == 0)
        return -1;
    switch (balance->upstream->balance) {
    case PP_BALANCE_LEASTCONN:
        return pick_leastconn(balance, list, n);
    case PP_BALANCE_RANDOM2:
        return pick_random2(balance, list, n);
    case PP_BALANCE_HASH:
        return pick_hash(balance, hash, list, n);
    default:
        return pick_roundrobin(balance, list, n);
    }
}

pp_balance_t *pp_balance_create(const pp_upstream_t *upstream, unsigned seed, apr_pool_t *p)
{
    pp_balance_t *balance = apr_pcalloc(p, sizeof(*balance));
    unsigned sum = 0;

    balance->upstream = upstream;
    balance->random = mix(seed + 1);
    balance->slots = apr_pcalloc(p, sizeof(slot_t) * (size_t)upstream->nservers);
    for (int i = 0; i < upstream->nservers; i++) {
        const char *key = upstream->servers[i]->key;
        balance->slots[i].id = pp_balance_hash(key, strlen(key));
        sum += (unsigned)weight(balance, i);
    }
    for (unsigned skip = sum ? seed % sum : 0; skip > 0; skip--)
        pp_balance_pick(balance, 0, NULL, 0);
    return balance;
}

void pp_balance_begin(pp_balance_t *balance, int server)
{
    balance->slots[server].in_flight++;
}

void pp_balance_end(pp_balance_t *balance, int server)
{
    balance->slots[server].in_flight--;
}
