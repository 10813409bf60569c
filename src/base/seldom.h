#ifndef BASE_SELDOM_H
#define BASE_SELDOM_H

#include <stdbool.h>
#include <stdint.h>

/* What may happen thousands of times a second is logged once in a while. */
struct seldom {
	int64_t next_at; /* not before; 0: at once */
	unsigned missed; /* how often it was not, since */
};

/* May it be logged now (all in us)? Then *missed is how many were not. */
static inline bool
seldom(struct seldom *s, int64_t now, int64_t every_us, unsigned *missed)
{
	if (now < s->next_at) {
		s->missed++;
		return false;
	}
	*missed = s->missed;
	s->missed = 0;
	s->next_at = now + every_us;
	return true;
}

#endif
