#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"

/*
 * Standard error is a file here; test_log.py has pipes and the others. The
 * clock of log_limited is ours.
 */

static int log_file, terminal;
static char text[1 << 20];

static int
setup(void **state)
{
	char name[] = "/tmp/test_log.XXXXXX";

	(void)state;
	terminal = dup(STDERR_FILENO);
	log_file = mkstemp(name);
	unlink(name);
	return terminal == -1 || log_file == -1 ||
	    dup2(log_file, STDERR_FILENO) == -1;
}

static int
teardown(void **state)
{
	(void)state;
	close(log_file);
	return dup2(terminal, STDERR_FILENO) == -1;
}

/* What was logged since; cmocka writes there, too, but only on failure. */
static char *
logged(void)
{
	off_t len = lseek(STDERR_FILENO, 0, SEEK_CUR);
	ssize_t n = pread(STDERR_FILENO, text, sizeof(text) - 1, 0);

	assert_true(len >= 0 && n == len);
	text[n] = '\0';
	assert_int_equal(ftruncate(STDERR_FILENO, 0), 0);
	assert_int_equal(lseek(STDERR_FILENO, 0, SEEK_SET), 0);
	return text;
}

/* A line without its time. */
static void
assert_said(const char *expected)
{
	char *line = logged();

	assert_true(strlen(line) > 25);
	assert_string_equal(line + 25, expected);
}

static void
test_text(void **state)
{
	(void)state;
	log_set_format(LOG_TEXT);
	log_info("a.b", "one %d", 1);
	assert_said("info a.b: one 1\n");
	log_warn("a.b", "%s", "a\nb\x1b[m\"\\\x7f");
	assert_said("warn a.b: a\\x0ab\\x1b[m\"\\\\x7f\n");
	log_error("a.b", "%s", "\xc3\xa4\xc2\x9b\xff\xe2\x82\xed\xa0\x80.");
	assert_said(
	    "error a.b: \xc3\xa4\\xc2\\x9b\\xff\\xe2\\x82\\xed\\xa0\\x80.\n");
	log_debug("a.b", "not at this level");
	assert_string_equal(logged(), "");
}

static void
test_json(void **state)
{
	static const char begin[] = "{\"time\":\"";
	char *line;

	(void)state;
	log_set_format(LOG_JSON);
	log_warn("a.b", "%s", "a\n\"\\\xff\xc2\x80\xc3\xa4");
	line = logged();
	assert_memory_equal(line, begin, strlen(begin));
	assert_string_equal(line + strlen(begin) + 24,
	    "\",\"level\":\"warn\",\"event\":\"a.b\",\"message\":"
	    "\"a\\\\x0a\\\"\\\\\\\\xff\\\\xc2\\\\x80\xc3\xa4\"}\n");
	log_set_format(LOG_TEXT);
}

/* However long and of whatever characters: whole, UTF-8, and no longer than a
 * pipe takes at once. */
static void
test_long(void **state)
{
	static const char *const of[] = { "a", "\n", "\"", "\xc3\xa4", "\xff",
		"\xf0\x9f\x98\x80", "\xc2\x80", "x\xe2\x82" };
	char much[5000];
	const char *line;
	size_t len;

	(void)state;
	for (int form = LOG_TEXT; form <= LOG_JSON; form++) {
		log_set_format((enum log_format)form);
		for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
			for (len = 0; len + 5 < sizeof(much);)
				len += (size_t)sprintf(much + len, "%s", of[i]);
			log_info("a.b", "%s", much);
			line = logged();
			len = strlen(line);
			assert_in_range(len, 1000, PIPE_BUF);
			assert_true(utf8_valid(line, len));
			assert_ptr_equal(strchr(line, '\n'), line + len - 1);
			if (form == LOG_JSON)
				assert_string_equal(line + len - 3, "\"}\n");
		}
	}
	log_set_format(LOG_TEXT);
}

static void
test_names(void **state)
{
	enum log_format format;
	enum log_level level;

	(void)state;
	for (int i = 0; i < LOG_LEVELS; i++) {
		assert_int_equal(log_parse_level(log_level_name(
						     (enum log_level)i),
				     &level),
		    0);
		assert_int_equal(level, i);
	}
	assert_int_equal(log_parse_level("Info", &level), -1);
	assert_int_equal(log_parse_format("json", &format), 0);
	assert_int_equal(format, LOG_JSON);
	assert_int_equal(log_parse_format("JSON", &format), -1);
}

static int
count(const char *in, const char *what)
{
	int n = 0;

	for (; (in = strstr(in, what)) != NULL; in++)
		n++;
	return n;
}

/* A burst, then silence; each event has its own. */
static void
test_limited(void **state)
{
	uint64_t before = log_counts()->printed[LOG_WARN];
	char *lines;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		log_limited(LOG_WARN, "flood.one", "%d", i);
		log_limited(LOG_DEBUG, "flood.two", "%d", i);
	}
	log_limited(LOG_INFO, "flood.two", "late");
	lines = logged();
	assert_int_equal(count(lines, "warn flood.one: "), LOG_BURST);
	assert_int_equal(count(lines, "flood.two: late\n"), 1);
	assert_int_equal(log_counts()->printed[LOG_WARN], before + LOG_BURST);
	for (int i = 0; i < 100; i++) { /* more events than there is room for */
		static char names[100][32];

		snprintf(names[i], sizeof(names[i]), "many.%d", i);
		log_limited(LOG_INFO, names[i], "x");
	}
	assert_in_range(count(logged(), "many."), 20, 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_limited),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
