#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A token bucket: so many at once, and one more each interval. All it keeps is
 * when it would be full again. A bucket of zeros is full.
 */
struct bucket {
	int64_t full_at; /* us */
};

/* Takes one. False when there is none, and nothing is taken. */
static inline bool
bucket_take(struct bucket *b, int64_t interval_us, int burst, int64_t now)
{
	int64_t from = b->full_at > now ? b->full_at : now;

	if (from + interval_us > now + burst * interval_us)
		return false;
	b->full_at = from + interval_us;
	return true;
}

#endif
