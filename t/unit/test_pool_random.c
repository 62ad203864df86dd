/* test_pool_random: whatever is done to a pool in whatever order, its limits hold and its numbers are true. */
#include "pool_rig.h"

enum { HOSTS = 3, ASKERS = 24, PEERS = 256, STEPS = 1500, PLANS = 36 };

typedef struct host_t {
    server_t server;
    pp_target_t target;
    peer_t peers[PEERS];
    int npeers; /* open ones are peers[0 .. npeers) */
} host_t;

typedef struct player_t {
    asker_t asker;
    host_t *host;
    long ticket; /* in the order of asking */
} player_t;

static host_t hosts[HOSTS];
static char keys[HOSTS][80];
static player_t players[ASKERS];
static const char *complaint; /* the first thing that was wrong */
static long tickets;

static void hold(bool truth, const char *what)
{
    if (!truth && !complaint)
        complaint = what;
}

static bool is_waiting(const player_t *player)
{
    return player->asker.checkout.waiting;
}

/* ---- what the servers see ---- */

static void host_look(host_t *host)
{
    int left = 0;

    while (host->npeers < PEERS && server_accept(&host->server, &host->peers[host->npeers]))
        host->npeers++;
    for (int i = 0; i < host->npeers; i++) {
        if (peer_is_at_eof(&host->peers[i]))
            peer_close(&host->peers[i]);
        else
            host->peers[left++] = host->peers[i];
    }
    host->npeers = left;
}

/* Ends one connection from the server's side, or sends something over it. */
static void host_disturb(host_t *host)
{
    peer_t *peer = &host->peers[host->npeers ? drive_random((unsigned)host->npeers) : 0];

    if (!host->npeers)
        return;
    if (drive_random(2))
        peer_send_some(peer, "?", 1); /* the client may have gone meanwhile */
    else
        shutdown(peer->fd, SHUT_WR);
}

/* ---- what must hold ---- */

static int host_limit_of(const host_t *host)
{
    return host->target.limit ? host->target.limit : policy.host_limit ? policy.host_limit : policy.size;
}

static int held_of(const host_t *host)
{
    int n = 0;

    for (int i = 0; i < ASKERS; i++)
        n += players[i].asker.conn && (!host || players[i].host == host);
    return n;
}

/* At every moment. */
static void check_always(void)
{
    int waiting = 0;

    for (int i = 0; i < ASKERS; i++)
        waiting += is_waiting(&players[i]);
    hold(stats.busy == held_of(NULL), "busy is what is held");
    hold(stats.waiting == waiting, "waiting is who waits");
    hold(stats.idle >= 0 && stats.connecting >= 0, "no gauge below 0");
    hold(stats.busy + stats.idle + stats.connecting <= policy.size, "never more connections than the pool's size");
    hold(stats.connecting <= HOSTS * policy.max_connecting, "never more handshakes than allowed");
    hold(stats.conn_opened - closed_in_all() == stats.busy + stats.idle, "opened - closed = open");
    for (int i = 0; i < HOSTS; i++)
        hold(hosts[i].npeers <= host_limit_of(&hosts[i]), "a server never sees more than its limit");
}

/* When nothing is under way: the numbers are those of the sockets, and nobody waits without need. */
static void check_settled(void)
{
    int open = 0;

    for (int i = 0; i < HOSTS; i++)
        open += hosts[i].npeers;
    hold(open == stats.busy + stats.idle, "what is open is what the servers see");
    for (int i = 0; i < ASKERS; i++) {
        const host_t *host = players[i].host;
        if (!is_waiting(&players[i]))
            continue;
        hold(host->npeers == held_of(host), "nobody waits beside an idle connection of his host");
        hold(host->npeers == host_limit_of(host) || (stats.idle == 0 && open == policy.size), "nobody waits while there is room");
    }
}

/* Who waits at the same host is served in the order of asking; who wants a fresh one comes first, but takes no used one. */
static void check_order(const player_t *served)
{
    if (served->asker.checkout.reused || served->asker.checkout.fresh)
        return;
    for (int i = 0; i < ASKERS; i++)
        hold(!is_waiting(&players[i]) || players[i].host != served->host || players[i].ticket > served->ticket,
             "first come first served");
}

/* ---- what is done ---- */

static void on_player_conn(pp_checkout_t *checkout, pp_conn_t *conn, pp_err_t err)
{
    on_asker_conn(checkout, conn, err);
    hold(conn != NULL, "nobody fails");
    check_order((player_t *)checkout);
}

static void player_ask(player_t *player)
{
    pp_conn_t *conn = NULL;
    pp_err_t err = PP_OK;
    apr_status_t status;

    player->host = &hosts[drive_random(HOSTS)];
    player->ticket = ++tickets;
    player->asker.checkout.on_conn = on_player_conn;
    player->asker.checkout.fresh = drive_random(8) == 0;
    status = pp_pool_checkout(pool, &player->host->target, &player->asker.checkout, &conn, &err);
    hold((status == APR_SUCCESS) == (conn != NULL), "a connection, or none");
    hold((status == APR_EGENERAL) == (err == PP_ERR_pool_full), "only a full pool refuses");
    hold(status != APR_EGENERAL || stats.waiting >= policy.queue, "nobody is refused before the queue is full");
    if (conn)
        asker_hold(&player->asker, conn);
}

static void player_move(player_t *player)
{
    if (is_waiting(player)) {
        if (drive_random(4) == 0)
            pp_pool_cancel(&player->asker.checkout);
    }
    else if (!player->asker.conn)
        player_ask(player);
    else if (drive_random(3))
        pp_pool_checkin(pool, &player->asker.conn);
    else
        pp_pool_discard(pool, &player->asker.conn, PP_CLOSE_failed);
}

static void look(void)
{
    for (int i = 0; i < HOSTS; i++)
        host_look(&hosts[i]);
}

/* Until all that is ready has been done. */
static void settle(void)
{
    do {
        drive_rounds(loop, 4);
        look();
    } while (stats.connecting > 0);
    drive_rounds(loop, 2);
    look();
}

static void step(void)
{
    unsigned what = drive_random(20);

    if (what < 14)
        player_move(&players[drive_random(ASKERS)]);
    else if (what < 18)
        drive_rounds(loop, 1);
    else if (what < 19)
        host_disturb(&hosts[drive_random(HOSTS)]);
    else
        settle();
    look();
    check_always();
    if (what == 19)
        check_settled();
}

/* ---- the plans ---- */

static void plan_make(int plan)
{
    policy.size = 1 + (int)drive_random(12);
    resize();
    policy.host_limit = plan % 3 ? (int)drive_random(6) : 0;
    policy.max_connecting = 1 + (int)drive_random(4);
    policy.queue = plan % 4 ? (int)drive_random(12) : ASKERS;
    policy.max_requests = plan % 2 ? 0 : 5;
    for (int i = 0; i < HOSTS; i++) {
        hosts[i] = (host_t){0};
        server_open_unix(&hosts[i].server);
        hosts[i].target = target_of(&hosts[i].server, keys[i]);
        hosts[i].target.limit = plan % 5 == i ? 1 + (int)drive_random(5) : 0;
    }
}

static void plan_end(void)
{
    for (int i = 0; i < ASKERS; i++) {
        pp_pool_cancel(&players[i].asker.checkout);
        if (players[i].asker.conn)
            pp_pool_discard(pool, &players[i].asker.conn, PP_CLOSE_failed);
    }
    settle();
    pp_pool_drain(pool);
    look();
    for (int i = 0; i < HOSTS; i++) {
        hold(hosts[i].npeers == 0, "in the end nothing is open");
        server_close(&hosts[i].server);
    }
}

static void test_plan(int plan)
{
    int done = 0;

    begin();
    plan_make(plan);
    complaint = NULL;
    memset(players, 0, sizeof(players));
    while (done < STEPS && !complaint) {
        step();
        done++;
    }
    plan_end();
    if (!ok(!complaint, "size %d, host limit %d, connecting %d, queue %d: %d reused, %d opened", policy.size, policy.host_limit,
            policy.max_connecting, policy.queue, (int)stats.conn_reused, (int)stats.conn_opened))
        note("step %d: %s", done, complaint);
    end();
}

int main(void)
{
    drive_begin();
    for (int plan = 0; plan < PLANS; plan++)
        test_plan(plan);
    drive_end();
    return done_testing();
}
