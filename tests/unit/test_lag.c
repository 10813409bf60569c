#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "feed/lag.h"

static struct lag l;

static int
setup(void **state)
{
	(void)state;
	l.n = 0;
	return 0;
}

static void
test_nothing_is_late(void **state)
{
	(void)state;
	assert_int_equal(lag_age(&l, 0, SECONDS(5)), 0);
	lag_note(&l, 100, SECONDS(1));
	assert_int_equal(lag_age(&l, 100, SECONDS(5)), 0);
	assert_int_equal(lag_age(&l, 101, SECONDS(5)), 0);
}

static void
test_age_of_the_oldest(void **state)
{
	(void)state;
	lag_note(&l, 100, SECONDS(1));
	lag_note(&l, 200, SECONDS(2));
	lag_note(&l, 300, SECONDS(4));
	assert_int_equal(lag_age(&l, 99, SECONDS(9)), SECONDS(8));
	assert_int_equal(lag_age(&l, 100, SECONDS(9)), SECONDS(7));
	assert_int_equal(lag_age(&l, 199, SECONDS(9)), SECONDS(7));
	assert_int_equal(lag_age(&l, 200, SECONDS(9)), SECONDS(5));
	assert_int_equal(lag_age(&l, 300, SECONDS(9)), 0);
}

/* Within a step one sample does: the first one's time. */
static void
test_step(void **state)
{
	(void)state;
	lag_note(&l, 100, SECONDS(1));
	lag_note(&l, 200, SECONDS(1) + LAG_STEP - 1);
	assert_int_equal(l.n, 1);
	assert_int_equal(lag_age(&l, 100, SECONDS(2)), SECONDS(1));
	lag_note(&l, 300, SECONDS(1) + LAG_STEP);
	assert_int_equal(l.n, 2);
}

/* What comes again after a rewind was noted; clocks that differ, or lie, are
 * no more than that. */
static void
test_odd_ones(void **state)
{
	(void)state;
	lag_note(&l, 200, SECONDS(2));
	lag_note(&l, 100, SECONDS(3));
	lag_note(&l, 200, SECONDS(3));
	assert_int_equal(l.n, 1);
	assert_int_equal(lag_age(&l, 100, SECONDS(1)), 0);
	lag_note(&l, 300, INT64_MIN);
	assert_int_equal(l.n, 1);
	lag_note(&l, 400, INT64_MAX);
	assert_int_equal(l.n, 2);
	assert_int_equal(lag_age(&l, 300, SECONDS(9)), 0);
	lag_reset(&l);
	lag_note(&l, 10, INT64_MIN);
	assert_int_equal(lag_age(&l, 0, INT64_MAX), INT64_MAX);
}

/* A month of commits, irregular: every age is right within its share. */
static void
test_long_run(void **state)
{
	static int64_t when[1 << 20];
	size_t n = sizeof(when) / sizeof(when[0]);
	int64_t at = 0, want, got;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		at += (int64_t)((i * 2654435761u) % (size_t)SECONDS(5));
		when[i] = at;
		lag_note(&l, i + 1, at);
	}
	assert_true(at > SECONDS(86400) * 28);
	for (size_t i = 0; i < n; i += 7) { /* acknowledged: the i-th */
		want = at - when[i];
		got = lag_age(&l, i, at);
		assert_true(got >= want);
		assert_true(got - want <= LAG_STEP + want / 16);
	}
}

/* The same when many come at once: no gap is left to merge into. */
static void
test_all_at_once(void **state)
{
	(void)state;
	for (lsn_t i = 0; i < 100000; i++)
		lag_note(&l, i + 1, (int64_t)i * LAG_STEP);
	assert_true(l.n <= LAG_SAMPLES);
	assert_in_range(lag_age(&l, 0, 100000 * LAG_STEP), 100000 * LAG_STEP,
	    100000 * LAG_STEP);
	assert_in_range(lag_age(&l, 99990, 100000 * LAG_STEP), 10 * LAG_STEP,
	    11 * LAG_STEP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_is_late, setup),
		cmocka_unit_test_setup(test_age_of_the_oldest, setup),
		cmocka_unit_test_setup(test_step, setup),
		cmocka_unit_test_setup(test_odd_ones, setup),
		cmocka_unit_test_setup(test_long_run, setup),
		cmocka_unit_test_setup(test_all_at_once, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
