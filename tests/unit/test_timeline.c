#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "guard.h"
#include "pg/timeline.h"
#include "rnd.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct err err;

/* Timeline tli in a history that ends at a guard page. */
static int
read_history(struct timeline *t, const char *text, size_t n, uint32_t tli)
{
	uint8_t *copy = guard_copy(text, n);
	int rc = timeline_read(t, (const char *)copy, n, tli, &err);

	guard_free(copy, n);
	return rc;
}

static const char three[] = "1\t0/3000148\tno recovery target specified\n"
			    "\n"
			    "# a comment\t7\t1/1\n"
			    "2\t0/5000000\tbefore 2026-01-01 00:00:00+00\n"
			    "  4 1/A0000028 at restore point \"x\"\n";

static void
test_ancestors(void **state)
{
	static const struct {
		uint32_t tli;
		lsn_t began, left;
	} row[] = {
		{ 1, 0, 0x3000148 },
		{ 2, 0x3000148, 0x5000000 },
		{ 3, 0x5000000, 0 },
		{ 4, 0x5000000, 0x1A0000028 },
		{ 5, 0x1A0000028, 0 },
		{ 7, 0x1A0000028, 0 },
	};
	struct timeline t;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		assert_int_equal(read_history(&t, three, strlen(three),
				     row[i].tli),
		    0);
		assert_int_equal(t.began_lsn, row[i].began);
		assert_int_equal(t.left_lsn, row[i].left);
	}
}

static void
test_edges(void **state)
{
	static const struct {
		const char *text;
		int rc;
		lsn_t left;
	} row[] = {
		{ "", 0, 0 },
		{ "\n\n", 0, 0 },
		{ "# 1\t0/1", 0, 0 },
		{ "1\t0/1", 0, 1 },
		{ "1\t0/1\r\n", 0, 1 },
		{ "1\t0/1\t", 0, 1 },
		{ "1\tFFFFFFFF/FFFFFFFF\tx\n", 0, UINT64_MAX },
		{ "1\t0/00000010\tx\n", 0, 16 },
		{ "1\t\t0/10\tx\n", 0, 16 },
		{ "4294967295\t0/10\tx\n", 0, 0 },
		{ "1", -1, 0 },
		{ "1\n", -1, 0 },
		{ "1\t\n", -1, 0 },
		{ "1\tx\n", -1, 0 },
		{ "1\t0/\n", -1, 0 },
		{ "1\t/1\n", -1, 0 },
		{ "1\t0/1FFFFFFFF\n", -1, 0 },
		{ "x\t0/1\n", -1, 0 },
		{ "-1\t0/1\n", -1, 0 },
		{ "0\t0/1\n", -1, 0 },
		{ "1x\t0/1\n", -1, 0 },
		{ "4294967296\t0/1\n", -1, 0 },
		{ "99999999999999999999\t0/1\n", -1, 0 },
		{ "1\t0/1\n1\t0/2\n", -1, 0 },
		{ "2\t0/1\n1\t0/2\n", -1, 0 },
	};
	struct timeline t;
	int rc;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		memset(&err, 0, sizeof(err));
		rc = read_history(&t, row[i].text, strlen(row[i].text), 1);
		if (rc != row[i].rc)
			fail_msg("row %zu: %d", i, rc);
		assert_int_equal(err.kind, rc == -1 ? ERR_PROTO : ERR_NONE);
		if (rc == 0)
			assert_int_equal(t.left_lsn, row[i].left);
	}
}

/* A reason as long as it likes, and one that is cut off anywhere. */
static void
test_long(void **state)
{
	char text[4096];
	struct timeline t;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "1\t0/10\t", 7);
	assert_int_equal(read_history(&t, text, sizeof(text), 1), 0);
	assert_int_equal(t.left_lsn, 16);
	text[2000] = '\n';
	memcpy(text + 2001, "2\t0/20\t", 7);
	assert_int_equal(read_history(&t, text, sizeof(text), 2), 0);
	assert_int_equal(t.left_lsn, 32);
	memset(text, '1', sizeof(text));
	assert_int_equal(read_history(&t, text, sizeof(text), 1), -1);
	for (size_t n = 0; n <= strlen(three); n++)
		read_history(&t, three, n, 2);
}

/* Bytes that mean nothing are refused or passed over, and never read past. */
static void
test_noise(void **state)
{
	static const char set[] = "0123456789ABF/\t \n#\0x";
	uint64_t seed = 1;
	struct timeline t;
	char text[80];
	size_t n;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		n = rnd_below(&seed, sizeof(text));
		for (size_t k = 0; k < n; k++)
			text[k] = set[rnd_below(&seed, sizeof(set) - 1)];
		read_history(&t, text, n, 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ancestors),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
