/* pp_replay: keeps the beginning of a body. */
#include "pp_replay.h"

#include <stdlib.h>
#include <string.h>

#define SPACE_LEAST 4096

static void give_up(pp_replay_t *replay)
{
    pp_replay_clear(replay);
    replay->lost = true;
}

/* Doubled, so that a body of many small pieces is not copied again with each. */
static void make_space(pp_replay_t *replay, size_t wanted)
{
    if (wanted <= replay->space)
        return;
    if (!replay->space)
        replay->space = SPACE_LEAST;
    while (replay->space < wanted)
        replay->space *= 2;
    replay->kept = realloc(replay->kept, replay->space);
    if (!replay->kept)
        abort();
}

static void append(pp_replay_t *replay, const char *data, size_t len)
{
    make_space(replay, replay->len + len);
    memcpy(replay->kept + replay->len, data, len);
    replay->len += len;
    replay->played = replay->len; /* the attempt that read it sends it */
}

void pp_replay_keep(pp_replay_t *replay, const char *data, size_t len)
{
    if (replay->lost || !len)
        return;
    if (replay->len + len > replay->limit)
        give_up(replay);
    else
        append(replay, data, len);
}

void pp_replay_keep_only(pp_replay_t *replay, const char *data, size_t len)
{
    pp_replay_clear(replay);
    replay->lost = false;
    if (len)
        append(replay, data, len);
}

bool pp_replay_rewind(pp_replay_t *replay)
{
    replay->played = 0;
    return !replay->lost;
}

bool pp_replay_next(pp_replay_t *replay, const char **data, size_t *len)
{
    if (replay->played == replay->len)
        return false;
    *data = replay->kept + replay->played;
    *len = replay->len - replay->played;
    replay->played = replay->len;
    return true;
}

void pp_replay_clear(pp_replay_t *replay)
{
    free(replay->kept);
    replay->kept = NULL;
    replay->len = replay->space = replay->played = 0;
}
