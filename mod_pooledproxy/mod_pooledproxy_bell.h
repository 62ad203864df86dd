/* mod_pooledproxy_bell: what threads wait on beside their client's socket. Threads: any.
 *
 * A bell is never closed, since it may be rung after the wait for it is over; the next thread takes that of one that has ended. So it may
 * ring without a reason.
 */
#ifndef MOD_POOLEDPROXY_BELL_H
#define MOD_POOLEDPROXY_BELL_H

/* The calling thread's, an eventfd, not blocking; -1: out of descriptors. */
int pooledproxy_bell(void);

/* -1: nobody is to be woken. */
void pooledproxy_bell_ring(int bell);

#endif
