/* test_replay: what is kept of a body, and when it is too much. */
#include <stdlib.h>

#include "pp_replay.h"
#include "tap.h"

/* What is still to be played: "text", or "-". */
static const char *next(pp_replay_t *replay)
{
    static char text[64];
    const char *data;
    size_t len;

    if (!pp_replay_next(replay, &data, &len))
        return "-";
    snprintf(text, sizeof(text), "%.*s", (int)len, data);
    return text;
}

static void test_kept(void)
{
    pp_replay_t replay = {.limit = 11};

    is_str(next(&replay), "-", "nothing is kept: all comes from the client");
    ok(pp_replay_rewind(&replay), "... and it can be sent again");
    is_str(next(&replay), "-", "... from the client");
    pp_replay_keep(&replay, "hello", 5);
    pp_replay_keep(&replay, " world", 6);
    is_str(next(&replay), "-", "what is kept while it is sent is not played to the same attempt");
    ok(pp_replay_rewind(&replay), "as much as the limit can be sent again");
    is_str(next(&replay), "hello world", "... in one piece");
    is_str(next(&replay), "-", "... and then the rest comes from the client");
    pp_replay_keep(&replay, "", 0);
    ok(pp_replay_rewind(&replay), "nothing is never too much");
    pp_replay_keep(&replay, "!", 1);
    ok(!pp_replay_rewind(&replay), "one byte more than the limit: it is lost");
    ok(!replay.kept, "... and takes no memory any more");
    pp_replay_keep(&replay, "!", 1);
    ok(!pp_replay_rewind(&replay), "... for good");
    pp_replay_clear(&replay);
}

static void test_rest(void)
{
    pp_replay_t replay = {.limit = 100};

    pp_replay_keep(&replay, "first", 5);
    ok(pp_replay_rewind(&replay), "a second attempt");
    is_str(next(&replay), "first", "... plays what was kept");
    pp_replay_keep(&replay, " second", 7);
    is_str(next(&replay), "-", "... and what it reads itself comes behind");
    ok(pp_replay_rewind(&replay), "a third");
    is_str(next(&replay), "first second", "... plays it all");
    pp_replay_clear(&replay);
    ok(pp_replay_rewind(&replay) && !replay.kept, "cleared: nothing is kept");
}

static void test_only(void)
{
    pp_replay_t replay = {0};

    pp_replay_keep(&replay, "much", 4);
    ok(!pp_replay_rewind(&replay), "with a limit of 0 any body is lost");
    pp_replay_keep_only(&replay, "much", 4);
    ok(pp_replay_rewind(&replay), "... but a piece of which nothing was sent can be kept");
    is_str(next(&replay), "much", "... and is played");
    pp_replay_keep_only(&replay, NULL, 0);
    ok(pp_replay_rewind(&replay), "so can none");
    is_str(next(&replay), "-", "... all comes from the client");
    pp_replay_clear(&replay);
}

/* A body that comes in many small pieces. */
static void test_pieces(void)
{
    enum { PIECES = 10000 };
    pp_replay_t replay = {.limit = 2 * PIECES};
    const char *data;
    size_t len;
    int wrong = 0;

    for (int i = 0; i < PIECES; i++)
        pp_replay_keep(&replay, i % 2 ? "ab" : "cd", 2);
    ok(pp_replay_rewind(&replay) && pp_replay_next(&replay, &data, &len) && len == 2 * PIECES, "10,000 pieces are one");
    for (int i = 0; i < PIECES; i++)
        wrong += memcmp(data + 2 * i, i % 2 ? "ab" : "cd", 2) != 0;
    is_int(wrong, 0, "... byte for byte");
    pp_replay_clear(&replay);
}

int main(void)
{
    test_kept();
    test_rest();
    test_only();
    test_pieces();
    return done_testing();
}
