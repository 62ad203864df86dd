/* pp_exchange_own: what the halves of an exchange share. Nobody else includes this. */
#ifndef PP_EXCHANGE_OWN_H
#define PP_EXCHANGE_OWN_H

#include "pp_exchange.h"

enum { OUT_HEAD, OUT_CHUNK_HEAD, OUT_DATA, OUT_CHUNK_END, OUT_COUNT };

/* Which time-out rules. */
enum { ALARM_NONE, ALARM_WRITE, ALARM_EXPECT, ALARM_FIRST_BYTE, ALARM_READ };

/* Ends the exchange. Always returns false: `return pp_exchange_end(...)`. */
bool pp_exchange_end(pp_exchange_t *x, pp_err_t err);

/* Writes until all is sent, the socket is full, or the client has no more for now. False: it has ended. */
bool pp_exchange_send(pp_exchange_t *x);

/* Is the request, body and all, written? */
bool pp_exchange_is_sent(const pp_exchange_t *x);

/* Puts something into a place of x->out. */
void pp_exchange_out(pp_exchange_t *x, int part, const void *data, size_t len);

/* Chooses the time-out that rules now, and the events that are wanted. A time-out that rules already goes on, unless x->alarm was set
 * to ALARM_NONE: bytes went or came. */
void pp_exchange_alarm(pp_exchange_t *x);
void pp_exchange_want(pp_exchange_t *x);

#endif
