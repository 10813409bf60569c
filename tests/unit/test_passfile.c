#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "pg/passfile.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* n bytes of text, which end at a guard page. */
static void
assert_bytes(const char *text, size_t n, const struct passfile_key *key,
    const char *want)
{
	uint8_t *copy = guard_copy(text, n);
	char *got = passfile_find((char *)copy, n, key);

	guard_free(copy, n);
	if (got == NULL || want == NULL ? got != want : strcmp(got, want) != 0)
		fail_msg("%s: \"%s\" instead of \"%s\"", text,
		    got == NULL ? "-" : got, want == NULL ? "-" : want);
	free(got);
}

static void
assert_finds(const char *text, const struct passfile_key *key, const char *want)
{
	assert_bytes(text, strlen(text), key, want);
}

static const struct passfile_key usual = { "h", "5432", "d", "u" };

/* For host h, port 5432, database d, user u. */
static const struct {
	const char *text, *want;
} files[] = {
	{ "", NULL },
	{ "\n", NULL },
	{ "h:5432:d:u:p", "p" },
	{ "h:5432:d:u:p\n", "p" },
	{ "h:5432:d:u:p\r\n", "p" },
	{ "h:5432:d:u:p\r\r\n", "p" },
	{ "h:5432:d:u:p\r", "p" },
	{ "h:5432:d:u: p \n", " p " },
	{ "\n\r\n\nh:5432:d:u:p", "p" },
	{ "*:*:*:*:p", "p" },
	{ "h:*:d:*:p", "p" },
	{ "h:5432:d:u:", "" },
	{ "h:5432:d:u", NULL },
	{ "h:5432:d:", NULL },
	{ "h:", NULL },
	{ "h", NULL },
	{ ":", NULL },
	{ "*", NULL },
	{ "::::p", NULL },
	/* the first that matches */
	{ "h:5432:d:v:1\nh:5432:d:u:2\nh:5432:d:u:3\n", "2" },
	{ "*:*:*:*:1\nh:5432:d:u:2\n", "1" },
	{ "h:5432:d:u:\nh:5432:d:u:2\n", "" },
	/* another one */
	{ "i:5432:d:u:p", NULL },
	{ "h:5433:d:u:p", NULL },
	{ "h:5432:e:u:p", NULL },
	{ "h:5432:d:v:p", NULL },
	{ "hh:5432:d:u:p", NULL },
	{ "h:5432:d:uu:p", NULL },
	{ ":5432:d:u:p", NULL },
	{ "h:05432:d:u:p", NULL },
	{ "H:5432:d:u:p", NULL },
	{ " h:5432:d:u:p", NULL },
	{ "**:5432:d:u:p", NULL },
	{ "\\*:5432:d:u:p", NULL },
	/* comments are whole lines */
	{ "#h:5432:d:u:p\n", NULL },
	{ "# x\nh:5432:d:u:p", "p" },
	{ " #\nh:5432:d:u:p#x", "p#x" },
	/* escapes */
	{ "h:5432:d:u:a\\:b\\\\c", "a:b\\c" },
	{ "h:5432:d:u:a\\bc", "abc" },
	{ "h:5432:d:u:a\\", "a\\" },
	{ "h:5432:d:u:\\", "\\" },
	{ "\\h:54\\32:d:u:p", "p" },
	{ "h\\:5432:d:u:p", NULL },
	{ "h:5432:d:u\\:p", NULL },
	/* what follows the password is nothing */
	{ "h:5432:d:u:a:b", "a" },
	{ "h:5432:d:u::b", "" },
	{ "h:5432:d:u:a\\::b", "a:" },
};

static void
test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(files); i++)
		assert_finds(files[i].text, &usual, files[i].want);
}

static const struct {
	struct passfile_key key;
	const char *text, *want;
} keys[] = {
	{ { "", "1", "d", "u" }, "localhost:1:d:u:p", "p" },
	{ { "", "1", "d", "u" }, ":1:d:u:p", NULL },
	{ { "localhost", "1", "d", "u" }, "localhost:1:d:u:p", "p" },
	{ { "127.0.0.1", "1", "d", "u" }, "localhost:1:d:u:p", NULL },
	{ { "/var/run/postgresql", "1", "d", "u" }, "localhost:1:d:u:p", "p" },
	{ { "/tmp", "1", "d", "u" }, "localhost:1:d:u:p", "p" },
	{ { "/tmp", "1", "d", "u" }, "/tmp:1:d:u:p", "p" },
	{ { "/run", "1", "d", "u" }, "localhost:1:d:u:p", NULL },
	{ { "/run", "1", "d", "u" }, "/run:1:d:u:p", "p" },
	{ { "@x", "1", "d", "u" }, "@x:1:d:u:p", "p" },
	{ { "::1", "1", "d", "u" }, "\\:\\:1:1:d:u:p", "p" },
	{ { "::1", "1", "d", "u" }, "::1:1:d:u:p", "p" },
	{ { "h", "1", "a:b", "c\\d" }, "h:1:a\\:b:c\\\\d:p", "p" },
	{ { "h", "1", "a:b", "c\\d" }, "h:1:a:b:c\\d:p", NULL },
	{ { "h", "1", "*", "*" }, "h:1:*:*:p", "p" },
	{ { "h", "1", "*", "x" }, "h:1:\\*:x:p", "p" },
	{ { "h", "1", "replication", "u" }, "h:1:replication:u:p", "p" },
	{ { "h", "1", "d", "\xc3\xa9" }, "h:1:d:\xc3\xa9:\xff", "\xff" },
};

static void
test_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++)
		assert_finds(keys[i].text, &keys[i].key, keys[i].want);
}

static void
test_nul(void **state)
{
	static const char text[] = "h:5432:d:u:a\0b\nh:5432:d:u:c\n",
			  field[] = "h\0:5432:d:u:a\nh:5432:d:u:c\n";

	(void)state;
	assert_bytes(text, sizeof(text) - 1, &usual, "c");
	assert_bytes(field, sizeof(field) - 1, &usual, "c");
}

/* As long as the file. */
static void
test_long_lines(void **state)
{
	enum { LONG = 300000 };
	char *text = malloc(2 * LONG + 64), *want = malloc(LONG + 1);

	(void)state;
	assert_non_null(text);
	assert_non_null(want);
	memset(want, 'x', LONG);
	want[LONG] = '\0';
	sprintf(text, "%s:1:d:u:y\nh:5432:d:u:%s\n", want, want);
	assert_finds(text, &usual, want);
	free(text);
	free(want);
}

/* Every prefix is read to its end and not beyond. */
static void
test_cut_anywhere(void **state)
{
	static const char text[] = "#\r\n*:\\5432:x:u:\\\nh:5432:d:u:p\\:q";
	const size_t whole = sizeof(text) - 1;
	char *got;

	(void)state;
	for (size_t n = 0; n <= whole; n++) {
		uint8_t *copy = guard_copy(text, n);

		got = passfile_find((char *)copy, n, &usual);
		guard_free(copy, n);
		if (n + 4 < whole)
			assert_null(got);
		else
			assert_int_equal(*got, n + 4 > whole ? 'p' : '\0');
		free(got);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
