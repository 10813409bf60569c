#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/*
 * Instants are microseconds. Only the server loop and the commands ask what
 * time it is; everything below them is told.
 */

/* Monotonic: for every timer. A wall clock that jumps does not move it. */
int64_t clock_mono_us(void);
/* Unix epoch: for log lines and status updates only. */
int64_t clock_wall_us(void);

/* What the calling thread has used of the CPU. */
int64_t clock_cpu_us(void);

/* PostgreSQL counts from 2000-01-01 00:00:00 UTC. */
#define CLOCK_PG_EPOCH_US INT64_C(946684800000000)

#define MS(n) (INT64_C(1000) * (n))
#define SECONDS(n) (INT64_C(1000000) * (n))

/* Of two instants, or the shorter of two times. */
static inline int64_t
clock_earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

#endif
