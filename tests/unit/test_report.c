#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/check.h"
#include "cli/report.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct report report;
static struct buf out;

static int
setup(void **state)
{
	(void)state;
	report_init(&report);
	buf_init(&out, SIZE_MAX / 2);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	report_free(&report);
	buf_free(&out);
	return 0;
}

static void
test_nothing(void **state)
{
	(void)state;
	report_put_text(&report, &out);
	assert_string_equal(buf_cstr(&out), "");
	report_put_json(&report, &out);
	assert_string_equal(buf_cstr(&out), "{\"ok\":true,\"checks\":[\n]}\n");
}

static void
test_text(void **state)
{
	(void)state;
	report_add(&report, "short", RESULT_OK);
	report_text(&report, "%d", 1);
	report_text(&report, " of %s", "two");
	report_add(&report, "longer_one", RESULT_WARN);
	report_text(&report, "so");
	report_todo(&report, "Do %s", "this");
	report_todo(&report, ", or that");
	report_add(&report, "x", RESULT_FAIL);
	report_text(&report, "no");
	report_put_text(&report, &out);
	assert_string_equal(buf_cstr(&out),
	    "ok    short       1 of two\n"
	    "warn  longer_one  so. Do this, or that\n"
	    "FAIL  x           no\n");
}

static void
test_json(void **state)
{
	(void)state;
	report_add(&report, "a", RESULT_OK);
	report_text(&report, "say \"x\"\n");
	report_put_json(&report, &out);
	assert_string_equal(buf_cstr(&out),
	    "{\"ok\":true,\"checks\":[\n"
	    " {\"check\":\"a\",\"result\":\"ok\",\"text\":\"say "
	    "\\\"x\\\"\\n\"}\n]}\n");
	buf_reset(&out);
	report_add(&report, "b", RESULT_WARN);
	report_todo(&report, "do");
	report_put_json(&report, &out);
	assert_non_null(strstr(buf_cstr(&out), "{\"ok\":true,"));
	assert_non_null(strstr(buf_cstr(&out),
	    "},\n {\"check\":\"b\",\"result\":\"warn\",\"text\":\"\","
	    "\"do\":\"do\"}\n]}\n"));
	buf_reset(&out);
	report_add(&report, "c", RESULT_FAIL);
	report_add(&report, "d", RESULT_OK);
	report_put_json(&report, &out);
	assert_non_null(strstr(buf_cstr(&out), "{\"ok\":false,"));
	assert_non_null(strstr(buf_cstr(&out), "\"result\":\"fail\""));
}

/* Nothing of the server's moves a terminal's cursor, or begins a line. */
static void
test_control_characters(void **state)
{
	char all[33] = "";

	(void)state;
	for (int c = 1; c < 0x20; c++)
		all[c - 1] = (char)c;
	all[0x1f] = 0x7f;
	report_add(&report, "a", RESULT_FAIL);
	report_text(&report, "%s", all);
	report_todo(&report, "%s", all);
	report_put_text(&report, &out);
	for (const char *p = buf_cstr(&out); p[1] != '\0'; p++)
		assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
	assert_non_null(strstr(buf_cstr(&out), "\\x01\\x02"));
	assert_non_null(strstr(buf_cstr(&out), "\\x1f\\x7f. \\x01"));
	buf_reset(&out);
	report_put_json(&report, &out);
	assert_non_null(strstr(buf_cstr(&out), "\"text\":\"\\u0001\\u0002"));
}

/* JSON is UTF-8, whatever the database is. */
static void
test_encoding(void **state)
{
	(void)state;
	report_add(&report, "a", RESULT_OK);
	report_text(&report, "caf\xc3\xa9");
	report_add(&report, "b", RESULT_OK);
	report_text(&report, "caf\xe9 \"x\"");
	report_put_json(&report, &out);
	assert_non_null(strstr(buf_cstr(&out), "\"text\":\"caf\xc3\xa9\""));
	assert_non_null(strstr(buf_cstr(&out), "\"text\":\"caf? \\\"x\\\"\""));
}

/* However long a text is, all of it is there. */
static void
test_long(void **state)
{
	char text[10000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	report_add(&report, "a", RESULT_OK);
	report_text(&report, "%s", text);
	report_put_text(&report, &out);
	assert_int_equal(buf_unread(&out), 6 + 3 + sizeof(text) - 1 + 1);
}

/* More than a line may hold is noticed, not cut. */
static void
test_too_long(void **state)
{
	(void)state;
	report_add(&report, "a", RESULT_OK);
	for (int i = 0; i < 70; i++)
		report_text(&report, "%1000d", i);
	report_put_text(&report, &out);
	assert_true(out.failed);
	buf_reset(&out);
	report_put_json(&report, &out);
	assert_true(out.failed);
}

static void
test_listed(void **state)
{
	static const struct {
		const char *list;
		bool is;
	} lists[] = {
		{ "pgoutput", true },
		{ "pgoutput, test_decoding", true },
		{ "test_decoding,pgoutput", true },
		{ " test_decoding ,\t pgoutput ", true },
		{ "\"pgoutput\"", true },
		{ "\"a, b\",\"pgoutput\"", true },
		{ "a,,pgoutput", true },
		{ "", false },
		{ " , ", false },
		{ "\"", false },
		{ "\"\"", false },
		{ "pgoutput2", false },
		{ "xpgoutput", false },
		{ "PGOUTPUT", false },
		{ "$libdir/pgoutput", false },
		{ "\"a, pgoutput\"", false },
		{ "\" pgoutput\"", false },
		{ "\"pgoutput2\", test_decoding", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++)
		if (check_listed(lists[i].list, "pgoutput") != lists[i].is)
			fail_msg("wrong: %s", lists[i].list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_json, setup, teardown),
		cmocka_unit_test_setup_teardown(test_control_characters, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_encoding, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
		cmocka_unit_test(test_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
