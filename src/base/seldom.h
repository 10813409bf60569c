#ifndef BASE_SELDOM_H
#define BASE_SELDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What may happen thousands of times a second is logged once in a while. */
struct seldom {
	int64_t next_at; /* not before; 0: at once */
	unsigned missed; /* how often it was not, since */
	char more[64];   /* " (and 3 more since the last such line)", or "" */
};

/* May it be logged now (all in us)? Then s->more says how many were not. */
static inline bool
seldom(struct seldom *s, int64_t now, int64_t every_us)
{
	if (now < s->next_at) {
		s->missed++;
		return false;
	}
	s->more[0] = '\0';
	if (s->missed > 0)
		snprintf(s->more, sizeof(s->more),
		    " (and %u more since the last such line)", s->missed);
	s->missed = 0;
	s->next_at = now + every_us;
	return true;
}

#endif
