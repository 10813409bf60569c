#ifndef FEED_LAG_H
#define FEED_LAG_H

#include <stddef.h>
#include <stdint.h>

#include "base/lsn.h"

/*
 * When were positions new? Commits as they are received, thinned out with their
 * age, say how long ago what lies just above a position was committed: that is
 * how late whoever stands there is.
 *
 * A sample stands for all commits above the one before it, and has the time of
 * the first of them, so an age is never told too low. It is at most 1/16, and
 * at most LAG_STEP, too high.
 */
#define LAG_SAMPLES 512
#define LAG_STEP MS(100)

struct lag_sample {
	lsn_t lsn;         /* the end of its last commit */
	int64_t commit_us; /* of its first one; Unix epoch */
};

struct lag {
	struct lag_sample at[LAG_SAMPLES]; /* rising by lsn */
	size_t n;
};

/* A transaction that ends at lsn was committed at that time. One that has been
 * noted before has no effect. */
void lag_note(struct lag *l, lsn_t lsn, int64_t commit_us);
/* Positions mean something else now. */
void lag_reset(struct lag *l);

/* The age of the oldest commit above lsn at that time, us; 0: there is none. */
int64_t lag_age(const struct lag *l, lsn_t lsn, int64_t now_us);

#endif
