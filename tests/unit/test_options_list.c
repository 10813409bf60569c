#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

/* Options that may be given more than once, and flags beside them. */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_ARGS 160

static const struct command commands[] = {
	{ "start", "", "", NULL },
	{ "tail", "", "", NULL },
	{ NULL, NULL, NULL, NULL },
};

static struct options o;
static struct err err;

/* Parses a command line whose words stand between blanks. */
static int
parse(const char *line)
{
	static char name[] = "walstream", words[4096];
	char *argv[MAX_ARGS] = { name }, *rest = words;
	int argc = 1;

	assert_true(strlen(line) < sizeof(words));
	strcpy(words, line);
	while (rest != NULL) {
		assert_true(argc < MAX_ARGS - 1);
		argv[argc++] = strsep(&rest, " ");
	}
	memset(&err, 0, sizeof(err));
	return options_parse(&o, commands, argc, argv, &err);
}

/* The values of an option, with a blank behind each. */
static void
assert_list(enum option_id id, const char *want)
{
	const char *list[OPTIONS_LIST];
	size_t n = options_list(&o, id, list);
	char got[512] = "";

	for (size_t i = 0; i < n; i++)
		strcat(strcat(got, list[i]), " ");
	assert_string_equal(got, want);
}

static const struct {
	const char *line, *publications, *slot;
} starts[] = {
	{ "start p s", "p ", "s" },
	{ "start p s --publication q", "p q ", "s" },
	{ "start --publication q p s", "q p ", "s" },
	{ "start --publication q --publication=r --slot s", "q r ", "s" },
	{ "start --slot s --publication q --publication q", "q q ", "s" },
	{ "start p --publication q s --publication=r", "p q r ", "s" },
	{ "start --publication= p s", " p ", "s" },
};

static void
test_publications(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(starts); i++) {
		if (parse(starts[i].line) == -1)
			fail_msg("%s: %s", starts[i].line, err.text);
		assert_list(OPT_PUBLICATION, starts[i].publications);
		assert_string_equal(o.value[OPT_SLOT], starts[i].slot);
	}
}

static void
assert_refused(const char *line, const char *part)
{
	if (parse(line) == 0)
		fail_msg("accepted: %s", line);
	assert_int_equal(err.kind, ERR_USAGE);
	if (strstr(err.text, part) == NULL)
		fail_msg("%s: \"%s\" does not name %s", line, err.text, part);
}

static void
test_publication_missing(void **state)
{
	(void)state;
	assert_refused("start", "--publication");
	assert_refused("start --slot s", "--publication");
	assert_refused("start --require-consumer c --slot s", "--publication");
	assert_refused("start --publication p", "--slot");
	assert_refused("start --publication p q", "--slot");
	assert_refused("start p s --publication", "--publication");
	assert_refused("tail --publication p", "--publication");
}

/* There is room for so many in all, and not for one more. */
static void
test_too_many(void **state)
{
	char line[2048] = "start p s";

	(void)state;
	for (int i = 1; i < OPTIONS_LIST; i++)
		strcat(line,
		    i % 2 == 0 ? " --publication q" : " --require-consumer c");
	assert_int_equal(parse(line), 0);
	assert_int_equal(o.list_len, OPTIONS_LIST);
	assert_refused(strcat(line, " --publication q"), "--publication");
}

static void
test_messages_of_start(void **state)
{
	(void)state;
	assert_int_equal(parse("start p s --messages"), 0);
	assert_string_equal(o.value[OPT_MESSAGES], "");
	assert_int_equal(parse("start p s"), 0);
	assert_null(o.value[OPT_MESSAGES]);
	assert_refused("start p s --messages=1", "--messages");
	assert_refused("start p s --messages --messages", "--messages");
	assert_refused("start p s --message m", "--message");
	assert_refused("tail --messages", "--messages");
}

static void
test_messages_of_tail(void **state)
{
	(void)state;
	assert_int_equal(
	    parse("tail --message a* --table t --message=b --relations"), 0);
	assert_list(OPT_MESSAGE, "a* b ");
	assert_list(OPT_TABLE, "t ");
	assert_string_equal(o.value[OPT_RELATIONS], "");
	assert_int_equal(parse("tail"), 0);
	assert_list(OPT_MESSAGE, "");
	assert_null(o.value[OPT_RELATIONS]);
	assert_refused("tail --message", "--message");
	assert_refused("tail --relations=yes", "--relations");
	assert_refused("tail --relations --relations", "--relations");
	assert_refused("start p s --relations", "--relations");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_publications),
		cmocka_unit_test(test_publication_missing),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_messages_of_start),
		cmocka_unit_test(test_messages_of_tail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
