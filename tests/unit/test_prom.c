#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/prom.h"
#include "server/metrics.h"

static void
test_samples(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	prom_counter(&b, "a_total", "What.", UINT64_MAX);
	prom_gauge_double(&b, "g", "That.", 0.1);
	prom_label_u64(&b, "l", "x", "a\"b\\c\nd\te", 0);
	assert_string_equal(buf_cstr(&b),
	    "# HELP a_total What.\n# TYPE a_total counter\n"
	    "a_total 18446744073709551615\n"
	    "# HELP g That.\n# TYPE g gauge\ng 0.10000000000000001\n"
	    "l{x=\"a\\\"b\\\\c\\nd\te\"} 0\n");
	buf_free(&b);
}

/* A page that does not fit is known not to. */
static void
test_bounded(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 16);
	prom_counter(&b, "a_total", "What.", 1);
	assert_true(b.failed);
	buf_free(&b);
}

/* A bound belongs to the bucket below it. */
static void
test_turns(void **state)
{
	struct metrics m = { .turns = { 0 } };

	(void)state;
	metrics_turn(&m, -1, 0); /* a clock that stands still, or worse */
	for (int i = 0; i < TURN_BUCKETS - 1; i++) {
		metrics_turn(&m, metrics_bounds[i], 0);
		metrics_turn(&m, metrics_bounds[i] + 1, 7);
	}
	assert_int_equal(m.turns[0], 2);
	for (int i = 1; i < TURN_BUCKETS - 1; i++)
		assert_int_equal(m.turns[i], 2);
	assert_int_equal(m.turns[TURN_BUCKETS - 1], 1);
	assert_int_equal(m.longest_us, 1000001);
	assert_int_equal(m.longest_cpu_us, 7);
	for (int i = 1; i < TURN_BUCKETS - 1; i++)
		assert_true(metrics_bounds[i] > metrics_bounds[i - 1]);
}

static void
test_ended(void **state)
{
	struct metrics m = { .turns = { 0 } };

	(void)state;
	metrics_ended(&m, GRPC_OK);
	metrics_ended(&m, GRPC_UNAUTHENTICATED);
	assert_int_equal(m.ended[GRPC_CANCELLED], 1);
	assert_int_equal(m.ended[GRPC_UNAUTHENTICATED], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
