#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "feed/quorum.h"
#include "rnd.h"

/*
 * Random members of a quorum, each beside a plain list of what it was sent and
 * has not acknowledged.
 */

#define MEMBERS 5
#define STEPS 200000

struct model {
	struct quorum_member m;
	bool joined;
	lsn_t unacked[64]; /* what was sent and not acknowledged, rising */
	int n;
	lsn_t done; /* nothing is missing up to here */
};

static struct quorum q;
static struct model models[MEMBERS];
static struct err err;
static lsn_t now; /* of the stream: only rises */

static void
model_sent(struct model *x)
{
	if (x->n == 64)
		return;
	now += 1 + (now & 7);
	quorum_sent(&x->m, now);
	x->unacked[x->n++] = now;
}

/* Acknowledges up to one of the events, or below, or above all of them. */
static void
model_ack(struct model *x, uint64_t *seed)
{
	lsn_t lsn;
	int k;

	if (rnd_below(seed, 10) == 0) {
		assert_int_equal(quorum_ack(&x->m,
				     x->m.sent + 1 + rnd_below(seed, 1000),
				     &err),
		    -1);
		return;
	}
	if (x->n == 0 || rnd_below(seed, 5) == 0) {
		lsn = rnd_below(seed, (uint32_t)x->m.acked + 1);
		assert_int_equal(quorum_ack(&x->m, lsn, &err), 0);
		return;
	}
	k = (int)rnd_below(seed, (uint32_t)x->n);
	lsn = x->unacked[k];
	assert_int_equal(quorum_ack(&x->m, lsn, &err), 0);
	x->done = lsn_max(x->done, lsn);
	memmove(x->unacked, x->unacked + k + 1,
	    (size_t)(x->n - k - 1) * sizeof(x->unacked[0]));
	x->n -= k + 1;
}

/* Who has left or observes since the last turn: the lowest of them. */
static lsn_t left;
static bool someone_left;

static void
model_step(struct model *x, uint64_t *seed)
{
	uint32_t what = rnd_below(seed, 100);

	if (x->joined && what < 4 && x->m.votes) {
		left = someone_left && left < x->done ? left : x->done;
		someone_left = true;
	}
	if (!x->joined) {
		*x = (struct model){ .joined = true, .done = q.confirmed };
		quorum_join(&q, &x->m, q.confirmed);
	} else if (what < 2) {
		quorum_leave(&q, &x->m);
		x->joined = false;
	} else if (what < 4) {
		quorum_observe(&q, &x->m);
	} else if (what < 50) {
		model_sent(x);
	} else if (what < 80) {
		model_ack(x, seed);
	} else if (x->n == 0) {
		quorum_served(&x->m, now);
		x->done = now;
	}
}

/* The lowest place up to which nothing is missing; false: nobody votes. */
static bool
model_low(lsn_t *low)
{
	bool any = someone_left;

	*low = left;
	for (int i = 0; i < MEMBERS; i++) {
		const struct model *x = &models[i];

		if (!x->joined || !x->m.votes)
			continue;
		*low = any && *low < x->done ? *low : x->done;
		any = true;
	}
	return any;
}

static void
test_random_members(void **state)
{
	uint64_t seed = 20240303;
	lsn_t before, low = 0;
	int moved = 0;

	(void)state;
	quorum_init(&q);
	now = 1000;
	quorum_reset(&q, now);
	for (int i = 0; i < STEPS; i++) {
		before = q.confirmed;
		model_step(&models[rnd_below(&seed, MEMBERS)], &seed);
		assert_int_equal(q.confirmed, before);
		if (rnd_below(&seed, 4) != 0)
			continue;
		quorum_settle(&q);
		if (model_low(&low))
			assert_int_equal(q.confirmed, lsn_max(before, low));
		else
			assert_int_equal(q.confirmed, before);
		moved += q.confirmed > before;
		someone_left = false;
	}
	assert_true(moved > STEPS / 200);
	for (int i = 0; i < MEMBERS; i++)
		quorum_leave(&q, &models[i].m);
	assert_null(q.members);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
