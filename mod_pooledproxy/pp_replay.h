/* pp_replay: the beginning of a request's body, kept while it is sent, so that a second attempt can send it again.
 *
 * Ownership: embedded in its user (pp_call); the copies are its own until pp_replay_clear(). Zero-initialised it is valid and keeps nothing.
 * Threads: the loop's.
 */
#ifndef PP_REPLAY_H
#define PP_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct pp_replay_t {
    size_t limit; /* the user's: most bytes that are kept; a body that is longer can't be sent again */
    char *kept;
    size_t len, space;
    size_t played; /* so much of it has been given out by pp_replay_next() */
    bool lost;     /* something of the body was not kept: it can't be sent again */
} pp_replay_t;

/* This was read from the client and comes behind what is kept: copies it, or gives up for good. */
void pp_replay_keep(pp_replay_t *replay, const char *data, size_t len);

/* This is all that was read so far: kept instead of what there was, whatever the limit. */
void pp_replay_keep_only(pp_replay_t *replay, const char *data, size_t len);

/* All of the body that was read is here, so that it can be played from its beginning; false: it is lost. */
bool pp_replay_rewind(pp_replay_t *replay);

/* What of the kept is still to be played, in one piece that stays valid until it is cleared; false: the rest comes from the client. */
bool pp_replay_next(pp_replay_t *replay, const char **data, size_t *len);

/* Nothing is kept any more. */
void pp_replay_clear(pp_replay_t *replay);

#endif
