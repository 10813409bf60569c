#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "server/pace.h"

static struct pace pace;
static int64_t now;

static int
setup(void **state)
{
	(void)state;
	now = SECONDS(1000);
	pace_start(&pace, false, now);
	return 0;
}

/* For so long, n messages of len bytes in each millisecond, of which each is
 * read as it comes, or, in bulk, when it is due. How often did bulk change? */
static int
go(int64_t ms, int n, size_t len)
{
	bool was = pace.bulk;
	int changes = 0;

	for (int64_t at = 0; at < ms; at++) {
		for (int i = 0; i < n; i++)
			pace_message(&pace, len);
		now += MS(1);
		assert_true(!pace.bulk || now >= pace.due_at);
		pace_read(&pace, false, now);
		changes += pace.bulk != was;
		was = pace.bulk;
	}
	return changes;
}

/* A thousand transactions a second, of five messages each. */
static void
few(void **state)
{
	(void)state;
	assert_int_equal(go(10000, 5, 100), 0);
	assert_false(pace.bulk);
	assert_int_equal(pace.due_at, INT64_MAX);
}

static void
many(void **state)
{
	(void)state;
	assert_int_equal(go(100, 100, 100), 1);
	assert_true(pace.bulk);
	assert_int_equal(pace.due_at, now + MS(1));
}

static void
unix_socket(void **state)
{
	(void)state;
	pace_start(&pace, true, now);
	go(100, 100, 100);
	assert_true(pace.bulk);
	assert_int_equal(pace.due_at, now + 400);
}

static void
few_that_are_large(void **state)
{
	(void)state;
	assert_int_equal(go(100, 1, 100 * 1024), 1);
	assert_true(pace.bulk);
}

/* A transaction of a hundred rows after a silence is read at once. */
static void
one_transaction(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(go(1, 100, 100), 0);
		assert_int_equal(go(20, 0, 0), 0);
		assert_int_equal(pace.due_at, INT64_MAX);
	}
	now += SECONDS(10);
	assert_int_equal(go(1, 1000, 100), 0);
}

/* Between two large transactions the server has to think. */
static void
gaps(void **state)
{
	(void)state;
	assert_int_equal(go(100, 100, 100), 1);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(go(10, 0, 0), 0);
		assert_int_equal(go(1, 100, 100), 0);
	}
	assert_true(pace.bulk);
}

/* At the end it is over soon; an empty read counts. */
static void
silence(void **state)
{
	(void)state;
	go(100, 100, 100);
	assert_int_equal(go(16, 0, 0), 1);
	assert_false(pace.bulk);
	assert_int_equal(pace.due_at, INT64_MAX);
}

/* So much that it is read before it is due: still what comes in a millisecond
 * counts. */
static void
sooner(void **state)
{
	(void)state;
	go(100, 100, 100);
	for (int i = 0; i < 1000; i++) {
		pace_message(&pace, 65536);
		now += 100;
		pace_read(&pace, false, now);
		assert_int_equal(pace.due_at, now + MS(1));
	}
}

/* There is more: in bulk it is due at once, otherwise poll says so. */
static void
more(void **state)
{
	(void)state;
	pace_read(&pace, true, now);
	assert_int_equal(pace.due_at, INT64_MAX);
	go(100, 100, 100);
	pace_read(&pace, true, now);
	assert_int_equal(pace.due_at, now);
}

/* Between the two limits it stays as it is. */
static void
in_between(void **state)
{
	(void)state;
	assert_int_equal(go(1000, 20, 100), 0);
	go(100, 100, 100);
	assert_int_equal(go(1000, 20, 100), 0);
	assert_true(pace.bulk);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(few, setup),
		cmocka_unit_test_setup(many, setup),
		cmocka_unit_test_setup(unix_socket, setup),
		cmocka_unit_test_setup(few_that_are_large, setup),
		cmocka_unit_test_setup(one_transaction, setup),
		cmocka_unit_test_setup(gaps, setup),
		cmocka_unit_test_setup(silence, setup),
		cmocka_unit_test_setup(sooner, setup),
		cmocka_unit_test_setup(more, setup),
		cmocka_unit_test_setup(in_between, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
