#include "feed/lag.h"

#include <stdbool.h>

#include "base/clock.h"

/* A sample may stand for so much of its age. */
#define SHARE 16

/* From a to b; what a server says may be anything. */
static int64_t
span(int64_t a, int64_t b)
{
	uint64_t n = (uint64_t)b - (uint64_t)a;

	if (b <= a)
		return 0;
	return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

/* Can the sample before `next` take over the one before that? */
static bool
may_join(const struct lag_sample *first, const struct lag_sample *next,
    int64_t now_us)
{
	return span(first->commit_us, next->commit_us) <=
	    span(next->commit_us, now_us) / SHARE;
}

/* Makes room: those that are close together for their age become one. */
static void
thin(struct lag *l, int64_t now_us)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		/* at[n - 1] and at[i]; the next one says where at[i] ends. */
		if (n > 0 && i + 1 < l->n &&
		    may_join(&l->at[n - 1], &l->at[i + 1], now_us))
			l->at[n - 1].lsn = l->at[i].lsn;
		else
			l->at[n++] = l->at[i];
	}
	if (n == LAG_SAMPLES) { /* older than anybody can wait */
		l->at[0].lsn = l->at[1].lsn;
		for (size_t i = 2; i < n; i++)
			l->at[i - 1] = l->at[i];
		n--;
	}
	l->n = n;
}

void
lag_note(struct lag *l, lsn_t lsn, int64_t commit_us)
{
	struct lag_sample *last = l->at + (l->n > 0 ? l->n - 1 : 0);

	if (l->n > 0 && lsn <= last->lsn)
		return;
	if (l->n > 0 && span(last->commit_us, commit_us) < LAG_STEP) {
		last->lsn = lsn;
		return;
	}
	if (l->n == LAG_SAMPLES)
		thin(l, commit_us);
	l->at[l->n++] = (struct lag_sample){ lsn, commit_us };
}

void
lag_reset(struct lag *l)
{
	l->n = 0;
}

int64_t
lag_age(const struct lag *l, lsn_t lsn, int64_t now_us)
{
	size_t low = 0, high = l->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (l->at[mid].lsn > lsn)
			high = mid;
		else
			low = mid + 1;
	}
	return low == l->n ? 0 : span(l->at[low].commit_us, now_us);
}
