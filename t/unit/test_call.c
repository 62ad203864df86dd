/* test_call: a request from its beginning to one outcome, over as many attempts as it takes. */
#include "call_rig.h"

/* ---- one attempt ---- */

static void test_plain(void)
{
    client_t *a, *b;

    note("one attempt");
    begin();
    a = client_for(&one);
    pp_call_start(&a->call);
    ok(!pp_call_has_answer(&a->call) && is_asked(0), "a request reaches the server");
    is_str(peer_take(&peer), a->call.head.bytes, "... as it was written");
    peer_forget(&peer);
    peer_send(&peer, OK);
    is_str(outcome(a), "200 hello ok", "... and is answered");
    ok(pp_call_has_answer(&a->call), "... has its answer");
    ok(!a->call.reused && a->call.why_new && a->call.attempts == 1, "... on a new connection, in one attempt");
    ok(a->call.t_pool >= 0 && a->call.t_dns >= 0 && a->call.t_connect >= 0 && a->call.t_first_byte >= 0, "... with its times");
    is_str(a->call.server->key, one.servers[0]->key, "... and its server");
    b = client_for(&one);
    pp_call_start(&b->call);
    ok(is_asked(0) && b->call.reused && !b->call.why_new, "the next reuses the connection");
    b->fails = PP_ERR_client_gone;
    peer_send(&peer, OK);
    is_str(outcome(b), "200  client_gone", "a front that fails ends it");
    is_int(stats.requests_failed, 1, "... counted as failed");
    is_int(stats.conn_closed[PP_CLOSE_client_gone], 1, "... and its connection is closed");
    end();
}

/* ---- another server ---- */

static void test_failover(void)
{
    client_t *client;
    const char *head;

    note("another server");
    begin_with(server_refuse, server_open);
    client = client_for(&two);
    pp_call_start(&client->call);
    ok(is_asked(1), "the first refuses: the second is asked");
    head = apr_psprintf(memory, HEAD_OF("/the-second", "127.0.0.1:%d"), servers[1].port);
    is_str(peer_take(&peer), head, "... with its own path and Host");
    peer_send(&peer, OK);
    is_str(outcome(client), "200 hello ok", "... and answers");
    is_int(client->call.attempts, 2, "... in two attempts");
    end();

    begin_with(server_refuse, server_open);
    client = client_for(&two);
    client->call.head.host.len = 0;
    pp_call_start(&client->call);
    ok(is_asked(1), "where the client's Host is passed on");
    head = apr_psprintf(memory, HEAD_OF("/the-second", "127.0.0.1:%d"), servers[0].port);
    is_str(peer_take(&peer), head, "... it stays as it is");
    peer_send(&peer, OK);
    is_str(outcome(client), "200 hello ok", "... answered");
    end();

    begin_with(server_refuse, server_refuse);
    client = client_for(&two);
    pp_call_start(&client->call);
    is_str(outcome(client), "connect_refused", "both refuse");
    is_int(client->call.attempts, 2, "... after two attempts");
    client = client_for(&one);
    pp_call_start(&client->call);
    is_str(outcome(client), "connect_refused", "a single server that refuses");
    is_int(client->call.attempts, 1, "... one attempt");
    is_int(stats.requests_failed, 2, "... both are counted as failed");
    end();

    begin();
    client = client_for(&two);
    pp_call_start(&client->call);
    ok(is_asked(0), "a server that has the request");
    peer_close(&peer);
    is_str(outcome(client), "closed_no_answer", "... and fails: no other is tried");
    is_int(client->call.attempts, 1, "... one attempt");
    end();
}

static void test_no_server(void)
{
    client_t *client;

    begin();
    two.servers[0]->drain = two.servers[1]->drain = true;
    client = client_for(&two);
    pp_call_start(&client->call);
    ok(client->ended, "no server may take it: the end comes at once");
    is_str(outcome(client), "no_server", "... no_server");
    ok(!client->call.server && client->call.attempts == 0, "... none was tried");
    end();

    begin_with(server_refuse, server_open);
    two.servers[1]->drain = true;
    client = client_for(&two);
    pp_call_start(&client->call);
    is_str(outcome(client), "connect_refused", "the only one refuses: that is the reason given");
    end();

    begin();
    pool_def.policy.size = 1;
    resize();
    pool_def.policy.queue = 0;
    client = client_for(&one);
    pp_call_start(&client->call);
    client = client_for(&one);
    pp_call_start(&client->call);
    is_str(outcome(client), "pool_full", "a full pool");
    is_int(stats.requests_failed, 1, "... counted as failed");
    (void)is_asked(0);
    peer_send(&peer, OK);
    (void)drive_until(shard->loop, stats.busy == 0);
    end();
}

int main(void)
{
    drive_begin();
    test_plain();
    test_failover();
    test_no_server();
    drive_end();
    return done_testing();
}
