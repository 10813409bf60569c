#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "feed/note.h"

/* It is a copy. */
static void
test_new(void **state)
{
	char text[] = "text";
	struct note *n = note_new(text, sizeof(text));

	(void)state;
	assert_non_null(n);
	memset(text, '#', sizeof(text));
	assert_int_equal(n->holders, 1);
	assert_int_equal(n->len, 5);
	assert_string_equal(n->data, "text");
	note_drop(n);
}

static void
test_holders(void **state)
{
	struct note *n = note_new("x", 1);

	(void)state;
	assert_ptr_equal(note_hold(n), n);
	assert_ptr_equal(note_hold(n), n);
	assert_int_equal(n->holders, 3);
	note_drop(n);
	note_drop(n);
	assert_int_equal(n->holders, 1);
	assert_int_equal(n->data[0], 'x');
	note_drop(n);
	assert_null(note_hold(NULL));
	note_drop(NULL);
}

/* The same bytes have the same id, and others, even by one bit, another. */
static void
test_id(void **state)
{
	uint8_t bytes[64] = { 0 };
	struct note *a = note_new(bytes, sizeof(bytes)), *b;

	(void)state;
	b = note_new(bytes, sizeof(bytes));
	assert_int_equal(a->id, b->id);
	note_drop(b);
	for (size_t n = 0; n < sizeof(bytes); n++) {
		b = note_new(bytes, n);
		assert_int_not_equal(a->id, b->id);
		note_drop(b);
	}
	for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		b = note_new(bytes, sizeof(bytes));
		assert_int_not_equal(a->id, b->id);
		note_drop(b);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	note_drop(a);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_holders),
		cmocka_unit_test(test_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
