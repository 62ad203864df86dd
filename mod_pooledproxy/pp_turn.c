/* pp_turn: a baton between a loop's thread and its guest. */
#include "pp_turn.h"

#include <assert.h>
#include <time.h>

#define PATIENCE_MOST PP_MSEC(200) /* with a guest that stays long */

void pp_turn_init(pp_turn_t *turn)
{
    pthread_condattr_t attributes;

    *turn = (pp_turn_t){.patience = PP_TURN_PATIENCE};
    pthread_mutex_init(&turn->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* as pp_clock has it */
    pthread_cond_init(&turn->for_host, &attributes);
    pthread_cond_init(&turn->for_guest, &attributes);
    pthread_condattr_destroy(&attributes);
}

void pp_turn_destroy(pp_turn_t *turn)
{
    pthread_cond_destroy(&turn->for_host);
    pthread_cond_destroy(&turn->for_guest);
    pthread_mutex_destroy(&turn->mutex);
}

static void wait_for_host_until(pp_turn_t *turn, pp_time_t when)
{
    struct timespec at = {(time_t)(when / PP_SEC(1)), (long)(when % PP_SEC(1)) * 1000};

    pthread_cond_timedwait(&turn->for_host, &turn->mutex, &at);
}

static bool is_hosts_turn(const pp_turn_t *turn)
{
    return !turn->guest_in && !turn->guest_waits && (turn->called || !turn->visited);
}

bool pp_turn_host_begin(pp_turn_t *turn, atomic_bool *stopping)
{
    pp_time_t patience = turn->patience, most = patience < PATIENCE_MOST ? PATIENCE_MOST : patience;
    bool mine;

    pthread_mutex_lock(&turn->mutex);
    while (!is_hosts_turn(turn) && !atomic_load(stopping)) {
        turn->visited = false;
        turn->host_sleeps = patience > turn->patience;
        wait_for_host_until(turn, pp_clock_now() + patience);
        patience = !turn->guest_in ? turn->patience : 2 * patience < most ? 2 * patience : most;
    }
    turn->host_sleeps = turn->called = turn->visited = false; /* from now on it is at it, until another guest comes */
    turn->host_in = mine = !turn->guest_in;
    pthread_mutex_unlock(&turn->mutex);
    return mine;
}

void pp_turn_host_end(pp_turn_t *turn)
{
    pthread_mutex_lock(&turn->mutex);
    turn->host_in = false;
    if (turn->guest_waits)
        pthread_cond_signal(&turn->for_guest);
    pthread_mutex_unlock(&turn->mutex);
}

void pp_turn_guest_begin(pp_turn_t *turn, void (*wake)(void *self), void *self)
{
    pthread_mutex_lock(&turn->mutex);
    assert(!turn->guest_in);
    turn->guest_waits = true;
    if (turn->host_in)
        wake(self);
    while (turn->host_in)
        pthread_cond_wait(&turn->for_guest, &turn->mutex);
    turn->guest_waits = false;
    turn->guest_in = true;
    pthread_mutex_unlock(&turn->mutex);
}

void pp_turn_guest_end(pp_turn_t *turn, bool back_soon)
{
    pthread_mutex_lock(&turn->mutex);
    turn->guest_in = false;
    turn->visited = back_soon;
    if (!back_soon || turn->called || turn->host_sleeps)
        pthread_cond_signal(&turn->for_host);
    pthread_mutex_unlock(&turn->mutex);
}

void pp_turn_call_host(pp_turn_t *turn)
{
    pthread_mutex_lock(&turn->mutex);
    turn->called = true;
    pthread_cond_signal(&turn->for_host);
    pthread_mutex_unlock(&turn->mutex);
}
