#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "event/proto.h"
#include "feed/filter.h"
#include "feed/names.h"

/* What a stream wants to see, and the numbers of table names. */

static const struct {
	const char *pattern, *text;
	bool match;
} globs[] = {
	{ "", "", true },
	{ "", "a", false },
	{ "a", "", false },
	{ "*", "", true },
	{ "*", "public.t", true },
	{ "public.*", "public.t", true },
	{ "public.*", "public", false },
	{ "public.*", "publicx.t", false },
	{ "*.t", "public.t", true },
	{ "*.t", "public.tt", false },
	{ "*.*", "a.b.c", true },
	{ "a?c", "abc", true },
	{ "a?c", "ac", false },
	{ "?", "", false },
	{ "t[0-9]", "t5", true },
	{ "t[0-9]", "tx", false },
	{ "t[!0-9]", "tx", true },
	{ "t[!0-9]", "t5", false },
	{ "t[^a]", "tb", true },
	{ "t[abc]x", "tbx", true },
	{ "t[]x]", "t]", true },
	{ "t[a-]", "t-", true },
	{ "t[", "t[", true },
	{ "t[a", "ta", false },
	{ "\\*", "*", true },
	{ "\\*", "x", false },
	{ "t[\\]]", "t]", true },
	{ "a*b*c", "axxbyyc", true },
	{ "a*b*c", "axxbyy", false },
	{ "*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    false },
	{ "caf\xc3\xa9.*", "caf\xc3\xa9.x", true },
	{ "**", "abc", true },
	{ "*\\", "x\\", true },
};

static void
test_glob(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(globs) / sizeof(globs[0]); i++)
		if (filter_glob(globs[i].pattern, globs[i].text) !=
		    globs[i].match)
			fail_msg("\"%s\" against \"%s\"", globs[i].pattern,
			    globs[i].text);
}

/* Patterns that match one text, and those that may match more. */
static void
test_plain(void **state)
{
	static const struct {
		const char *pattern, *text;
	} rows[] = { { "s.t", "s.t" }, { "", "" }, { "s\\.\\t", "s.t" },
		{ "s.\\*", "s.*" }, { "s.t\\", "s.t\\" }, { "s.*", NULL },
		{ "?.t", NULL }, { "s.[t]", NULL }, { "s.[", NULL } };
	char to[16];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool plain = filter_plain(rows[i].pattern, to, sizeof(to));

		assert_int_equal(plain, rows[i].text != NULL);
		if (plain) {
			assert_string_equal(to, rows[i].text);
			assert_true(filter_glob(rows[i].pattern, to));
		}
	}
	assert_true(filter_plain("abcdef", to, 4));
	assert_string_equal(to, "abc");
}

static void
test_filter(void **state)
{
	char a[] = "app.*", b[] = "*.log";
	char *list[] = { a, b };
	struct filter none = { 0 };
	struct filter some = { .glob = list,
		.n = 2,
		.operations = 1u << EVENT_UPDATE };

	(void)state;
	assert_true(filter_table(&none, "x.y"));
	assert_true(filter_operation(&none, EVENT_DELETE));
	assert_true(filter_table(&some, "app.t"));
	assert_true(filter_table(&some, "other.log"));
	assert_false(filter_table(&some, "other.t"));
	assert_true(filter_operation(&some, EVENT_UPDATE));
	assert_false(filter_operation(&some, EVENT_INSERT));
}

static void
test_names(void **state)
{
	struct names t;
	char name[32];

	(void)state;
	names_init(&t);
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		assert_int_equal(names_put(&t, "s", name), i);
	}
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		assert_int_equal(names_put(&t, "s", name), i);
	}
	assert_string_equal(t.name[4711], "s.t4711");
	assert_int_equal(names_put(&t, "S", "t0"), 5000);
	names_free(&t);
	assert_int_equal(names_put(&t, "s", "t9"), 0);
	names_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glob),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
