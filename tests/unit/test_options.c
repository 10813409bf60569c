#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_ARGS 160

static const struct command commands[] = {
	{ "start", "USAGE-OF-START", "Summary of start.", NULL },
	{ "list", "USAGE-OF-LIST", "Summary of list.", NULL },
	{ "create", "USAGE-OF-CREATE", "Summary of create.", NULL },
	{ "delete", "USAGE-OF-DELETE", "Summary of delete.", NULL },
	{ "tail", "USAGE-OF-TAIL", "Summary of tail.", NULL },
	{ "health", "USAGE-OF-HEALTH", "Summary of health.", NULL },
	{ "completion", "USAGE-OF-COMPLETION", "Summary of completion.", NULL },
	{ NULL, NULL, NULL, NULL },
};

static struct options o;
static struct err err;
static char words[4096]; /* what o points into */

static int
setup(void **state)
{
	(void)state;
	unsetenv("CONNECTION");
	unsetenv("PORT");
	unsetenv("HOST");
	unsetenv("TEMPORARY");
	memset(&o, 0, sizeof(o));
	memset(&err, 0, sizeof(err));
	return 0;
}

/* Parses a command line whose words stand between '|'. */
static int
parse(const char *line)
{
	static char name[] = "walstream";
	char *argv[MAX_ARGS] = { name }, *rest = words;
	int argc = 1;

	assert_true(strlen(line) < sizeof(words));
	strcpy(words, line);
	while (*line != '\0' && rest != NULL) {
		assert_true(argc < MAX_ARGS - 1);
		argv[argc++] = strsep(&rest, "|");
	}
	return options_parse(&o, commands, argc, argv, &err);
}

static void
parse_good(const char *line)
{
	if (parse(line) != 0)
		fail_msg("%s: %s", line, err.text);
}

static const struct {
	const char *line, *command;
	enum option_id id;
	const char *value; /* NULL: none */
} good[] = {
	/* both spellings of a long option */
	{ "start|--publication|P|--slot|S", "start", OPT_PUBLICATION, "P" },
	{ "start|--publication|P|--slot|S", "start", OPT_SLOT, "S" },
	{ "start|--publication=P|--slot=S", "start", OPT_PUBLICATION, "P" },
	{ "start|--slot=S|--publication=P", "start", OPT_SLOT, "S" },
	{ "start|P|S|--host=a=b", "start", OPT_HOST, "a=b" },
	{ "start|P|S|--host=", "start", OPT_HOST, "" },
	{ "start|P|S|--host|", "start", OPT_HOST, "" },
	{ "start|P|S|--host|two words", "start", OPT_HOST, "two words" },
	/* short ones */
	{ "start|P|S|-p|1", "start", OPT_PORT, "1" },
	{ "start|P|S|-p1", "start", OPT_PORT, "1" },
	{ "start|-p1|P|S", "start", OPT_SLOT, "S" },
	{ "start|P|S|-h|::1", "start", OPT_HOST, "::1" },
	{ "start|P|S|-tfalse", "start", OPT_TEMPORARY, "false" },
	{ "start|P|S|-t|false", "start", OPT_TEMPORARY, "false" },
	/* by position */
	{ "start|P|S", "start", OPT_PUBLICATION, "P" },
	{ "start|P|S", "start", OPT_SLOT, "S" },
	{ "start|P|--slot|S", "start", OPT_SLOT, "S" },
	{ "delete|S", "delete", OPT_SLOT, "S" },
	{ "delete|--slot|S", "delete", OPT_SLOT, "S" },
	{ "create|S", "create", OPT_SLOT, "S" },
	{ "tail|host:1", "tail", OPT_ADDRESS, "host:1" },
	{ "start|-|S", "start", OPT_PUBLICATION, "-" },
	/* global options, before and after the command */
	{ "-c|X|list", "list", OPT_CONNECTION, "X" },
	{ "-cX|list", "list", OPT_CONNECTION, "X" },
	{ "list|-c|X", "list", OPT_CONNECTION, "X" },
	{ "--connection|X|list", "list", OPT_CONNECTION, "X" },
	{ "--connection=host=h user=u|list", "list", OPT_CONNECTION,
	    "host=h user=u" },
	{ "list|--connection=X", "list", OPT_CONNECTION, "X" },
	{ "start|P|-c|X|S", "start", OPT_SLOT, "S" },
	{ "--log-level|debug|list", "list", OPT_LOG_LEVEL, "debug" },
	{ "list|--log-level=debug", "list", OPT_LOG_LEVEL, "debug" },
	/* behind -- everything is a word */
	{ "start|--|P|S", "start", OPT_PUBLICATION, "P" },
	{ "start|P|--|-S", "start", OPT_SLOT, "-S" },
	{ "start|--|--slot|--", "start", OPT_PUBLICATION, "--slot" },
	{ "start|--|--slot|--", "start", OPT_SLOT, "--" },
	{ "start|--slot|S|--|P", "start", OPT_PUBLICATION, "P" },
	{ "--|list", "list", OPT_CONNECTION, NULL },
	{ "list|--", "list", OPT_CONNECTION, NULL },
	/* flags */
	{ "tail|--ack", "tail", OPT_ACK, "" },
	{ "tail|--ack|host:1", "tail", OPT_ADDRESS, "host:1" },
	{ "tail", "tail", OPT_ACK, NULL },
	{ "tail|--quiet", "tail", OPT_QUIET, "" },
	{ "create|S|--failover", "create", OPT_FAILOVER, "" },
	/* defaults */
	{ "start|P|S", "start", OPT_PORT, "50051" },
	{ "start|P|S", "start", OPT_HOST, "0.0.0.0" },
	{ "start|P|S", "start", OPT_TEMPORARY, "true" },
	{ "start|P|S", "start", OPT_BUFFER_SIZE, "16MiB" },
	{ "start|P|S", "start", OPT_CREATE_SLOT, "if-missing" },
	{ "start|P|S", "start", OPT_SLOW_TIMEOUT, "60" },
	{ "start|P|S", "start", OPT_CONNECTION, NULL },
	{ "start|P|S", "start", OPT_LOG_LEVEL, "info" },
	{ "tail", "tail", OPT_ADDRESS, "127.0.0.1:50051" },
	{ "tail", "tail", OPT_TAIL_FORMAT, "json" },
	{ "tail", "tail", OPT_COUNT, NULL },
	{ "list", "list", OPT_LIST_FORMAT, "table" },
	{ "list|--format|json", "list", OPT_LIST_FORMAT, "json" },
	{ "tail|--format|pretty", "tail", OPT_TAIL_FORMAT, "pretty" },
	/* another command's options are not there */
	{ "list", "list", OPT_PORT, NULL },
	{ "list", "list", OPT_TAIL_FORMAT, NULL },
	/* --help and --version need nothing else */
	{ "start|--help", "start", OPT_HELP, "" },
	{ "--help|start", "start", OPT_HELP, "" },
	{ "start|P|--help", "start", OPT_PUBLICATION, "P" },
	{ "delete|--version", "delete", OPT_VERSION, "" },
	{ "--help", NULL, OPT_HELP, "" },
	{ "--version", NULL, OPT_VERSION, "" },
};

/* What an option was given; the first, where there may be several. */
static const char *
given(enum option_id id)
{
	const char *list[OPTIONS_LIST];

	return options_list(&o, id, list) > 0 ? list[0] : o.value[id];
}

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		const char *want = good[i].value, *got;

		parse_good(good[i].line);
		got = given(good[i].id);
		if (want == NULL ? got != NULL
				 : got == NULL || strcmp(got, want) != 0)
			fail_msg("%s: %s", good[i].line,
			    got == NULL ? "NULL" : got);
		if (good[i].command == NULL)
			assert_null(o.command);
		else
			assert_string_equal(o.command->name, good[i].command);
	}
}

static const struct {
	const char *line, *part; /* of what is said about it */
} bad[] = {
	/* unknown */
	{ "--nope", "--nope" },
	{ "--nope|list", "--nope" },
	{ "list|--nope", "--nope" },
	{ "list|--nope=1", "--nope" },
	{ "list|-x", "-x" },
	{ "list|-h", "-h" },
	{ "start|P|S|--slo|x", "--slo" }, /* no abbreviations */
	{ "start|P|S|--slots|x", "--slots" },
	{ "start|P|S|--=x", "option --" },
	{ "list|--slot|S", "--slot" }, /* of another command */
	{ "start|P|S|--count|1", "--count" },
	{ "-p|1|start|P|S", "-p" }, /* of no command yet */
	{ "--slot|S|start", "--slot" },
	{ "nope", "nope" },
	{ "star|P|S", "star" },
	{ "start-|P|S", "start-" },
	{ "-|P|S", "\"-\"" },
	{ "--|--help", "--help" },
	{ "", "command" },
	{ "-c|X", "command" },
	{ "--", "command" },
	/* no value */
	{ "start|P|--slot", "--slot" },
	{ "start|P|S|-p", "--port" },
	{ "-c", "--connection" },
	{ "list|--log-level", "--log-level" },
	/* twice */
	{ "start|P|S|--slot|T", "--slot" },
	{ "start|--slot|T|--slot=T|P", "--slot" },
	{ "start|P|S|-p1|--port=2", "--port" },
	{ "-c|X|list|-c|Y", "--connection" },
	{ "tail|--ack|--ack", "--ack" },
	/* required */
	{ "start", "--publication" },
	{ "start|P", "--slot" },
	{ "start|--slot|S", "--publication" },
	{ "delete", "--slot" },
	{ "create", "--slot" },
	/* too many words */
	{ "start|P|S|X", "\"X\"" },
	{ "start|P|S|--|-X", "\"-X\"" },
	{ "delete|S|X", "\"X\"" },
	{ "list|X", "\"X\"" },
	{ "tail|host:1|X", "\"X\"" },
	/* a value for a flag */
	{ "tail|--ack=true", "--ack" },
	{ "tail|--ack=", "--ack" },
	{ "--help=1", "--help" },
	{ "start|P|S|--version=2", "--version" },
};

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		memset(&err, 0, sizeof(err));
		if (parse(bad[i].line) == 0)
			fail_msg("accepted: %s", bad[i].line);
		assert_int_equal(err.kind, ERR_USAGE);
		if (strstr(err.text, bad[i].part) == NULL)
			fail_msg("%s: \"%s\" does not name %s", bad[i].line,
			    err.text, bad[i].part);
	}
}

/* A password in the wrong place is not echoed. */
static void
test_secret(void **state)
{
	static const char *const lines[] = { "host=h password=SECRET|list",
		"list|host=h password=SECRET", "postgres://u:SECRET@h/d|list",
		"start|postgresql://u:SECRET@h|S", "list|--conection=SECRET",
		"--pasword=SECRET" };

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		assert_int_equal(parse(lines[i]), -1);
		assert_int_equal(err.kind, ERR_USAGE);
		assert_null(strstr(err.text, "SECRET"));
	}
}

/* However long an argument is, the error is one line that ends. */
static void
test_long_arguments(void **state)
{
	char line[4000];

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(parse(line), -1);
	memcpy(line, "start|--", 8);
	assert_int_equal(parse(line), -1);
	memcpy(line, "list|xxx", 8);
	assert_int_equal(parse(line), -1);
	memcpy(line, "start|P|S|--host=", 17);
	parse_good(line);
	assert_int_equal(strlen(o.value[OPT_HOST]), sizeof(line) - 1 - 17);
}

static void
test_environment(void **state)
{
	(void)state;
	setenv("PORT", "1234", 1);
	setenv("HOST", "::1", 1);
	setenv("TEMPORARY", "false", 1);
	setenv("CONNECTION", "host=db", 1);
	parse_good("start|P|S");
	assert_string_equal(o.value[OPT_PORT], "1234");
	assert_string_equal(o.value[OPT_HOST], "::1");
	assert_string_equal(o.value[OPT_TEMPORARY], "false");
	assert_string_equal(o.value[OPT_CONNECTION], "host=db");
	/* The command line comes first. */
	parse_good("-c|X|start|P|S|-p1|--host|h|-t|true");
	assert_string_equal(o.value[OPT_PORT], "1");
	assert_string_equal(o.value[OPT_HOST], "h");
	assert_string_equal(o.value[OPT_TEMPORARY], "true");
	assert_string_equal(o.value[OPT_CONNECTION], "X");
	/* Only for commands that have the option. */
	parse_good("list");
	assert_null(o.value[OPT_PORT]);
	assert_string_equal(o.value[OPT_CONNECTION], "host=db");
	/* An empty variable is none. */
	setenv("PORT", "", 1);
	setenv("CONNECTION", "", 1);
	parse_good("start|P|S");
	assert_string_equal(o.value[OPT_PORT], "50051");
	assert_null(o.value[OPT_CONNECTION]);
}

static void
test_repeated(void **state)
{
	const char *list[OPTIONS_LIST];
	char line[1024] = "tail";

	(void)state;
	parse_good("tail|--table|a|--operation=insert|--table=b|--table|c");
	assert_int_equal(options_list(&o, OPT_TABLE, list), 3);
	assert_string_equal(list[0], "a");
	assert_string_equal(list[1], "b");
	assert_string_equal(list[2], "c");
	assert_int_equal(options_list(&o, OPT_OPERATION, list), 1);
	assert_string_equal(list[0], "insert");
	parse_good("tail");
	assert_int_equal(options_list(&o, OPT_TABLE, list), 0);
	for (int i = 0; i < OPTIONS_LIST; i++)
		strcat(line, "|--table|t");
	parse_good(line);
	assert_int_equal(options_list(&o, OPT_TABLE, list), OPTIONS_LIST);
	strcat(line, "|--table|t");
	assert_int_equal(parse(line), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_non_null(strstr(err.text, "--table"));
}

/* Values */

static void
assert_value_refused(int rc, const char *name)
{
	assert_int_equal(rc, -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_non_null(strstr(err.text, name));
	memset(&err, 0, sizeof(err));
}

static void
test_bool(void **state)
{
	static const char *const wrong[] = { "", "TRUE", "True", "t", "yes",
		"1", "0", "on", "true ", " true", "truee", "falsee", "fals" };
	bool v = false;

	(void)state;
	o.value[OPT_TEMPORARY] = "true";
	assert_int_equal(options_bool(&o, OPT_TEMPORARY, &v, &err), 0);
	assert_true(v);
	o.value[OPT_TEMPORARY] = "false";
	assert_int_equal(options_bool(&o, OPT_TEMPORARY, &v, &err), 0);
	assert_false(v);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		o.value[OPT_TEMPORARY] = wrong[i];
		assert_value_refused(options_bool(&o, OPT_TEMPORARY, &v, &err),
		    "--temporary");
	}
}

/* What is no number from 0 on in digits. */
static const char *const no_numbers[] = { "", "-1", "+1", " 1", "1 ", "1x", "x",
	"0x10", "1e3", "1.5", "--1", "1,000", "18446744073709551616",
	"99999999999999999999999" };

static void
test_number(void **state)
{
	static const struct {
		const char *text;
		unsigned long long max, v;
		bool good;
	} rows[] = {
		{ "0", 65535, 0, true },
		{ "1", 65535, 1, true },
		{ "65535", 65535, 65535, true },
		{ "65536", 65535, 0, false },
		{ "007", 65535, 7, true },
		{ "0", 0, 0, true },
		{ "1", 0, 0, false },
		{ "18446744073709551615", ULLONG_MAX, ULLONG_MAX, true },
		{ "18446744073709551616", ULLONG_MAX, 0, false },
	};
	unsigned long long v;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int rc;

		o.value[OPT_PORT] = rows[i].text;
		rc = options_number(&o, OPT_PORT, rows[i].max, &v, &err);
		if (!rows[i].good) {
			assert_value_refused(rc, "--port");
			continue;
		}
		assert_int_equal(rc, 0);
		assert_int_equal(v, rows[i].v);
	}
	for (size_t i = 0; i < COUNT(no_numbers); i++) {
		o.value[OPT_PORT] = no_numbers[i];
		assert_value_refused(options_number(&o, OPT_PORT, ULLONG_MAX,
					 &v, &err),
		    "--port");
	}
}

static void
test_size(void **state)
{
	static const struct {
		const char *text;
		size_t v;
	} rows[] = { { "0", 0 }, { "65536", 65536 }, { "1KiB", 1024 },
		{ "512KiB", 524288 }, { "16MiB", 16777216 },
		{ "1GiB", 1073741824 }, { "0GiB", 0 },
		{ "4GiB", (size_t)4 << 30 },
		{ "17179869183GiB", SIZE_MAX >> 30 << 30 } };
	static const char *const wrong[] = { "16MB", "16M", "16m", "16mib",
		"16 MiB", "MiB", "16MiBs", "1.5GiB", "16KiB ", "1TiB", "1B",
		"17179869184GiB", "18446744073709551615GiB", "-1KiB" };
	size_t v;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		o.value[OPT_BUFFER_SIZE] = rows[i].text;
		assert_int_equal(options_size(&o, OPT_BUFFER_SIZE, &v, &err),
		    0);
		assert_int_equal(v, rows[i].v);
	}
	for (size_t i = 0; i < COUNT(wrong) + COUNT(no_numbers); i++) {
		o.value[OPT_BUFFER_SIZE] =
		    i < COUNT(wrong) ? wrong[i] : no_numbers[i - COUNT(wrong)];
		assert_value_refused(options_size(&o, OPT_BUFFER_SIZE, &v,
					 &err),
		    "--buffer-size");
	}
}

static void
test_seconds(void **state)
{
	int64_t us;

	(void)state;
	o.value[OPT_DRAIN] = "0";
	assert_int_equal(options_seconds(&o, OPT_DRAIN, &us, &err), 0);
	assert_int_equal(us, 0);
	o.value[OPT_DRAIN] = "86400";
	assert_int_equal(options_seconds(&o, OPT_DRAIN, &us, &err), 0);
	assert_int_equal(us, INT64_C(86400000000));
	for (size_t i = 0; i < COUNT(no_numbers); i++) {
		o.value[OPT_DRAIN] = no_numbers[i];
		assert_value_refused(options_seconds(&o, OPT_DRAIN, &us, &err),
		    "--drain");
	}
}

/* Help */

static const struct {
	const char *command, *options;
} helps[] = {
	{ "start",
	    "--publication --slot --port --host --temporary "
	    "--buffer-size --create-slot --require-consumer --messages "
	    "--slow-client-timeout --shutdown-grace --server-timeout --drain" },
	{ "list", "--format" },
	{ "create", "--slot --failover" },
	{ "delete", "--slot" },
	{ "tail",
	    "--address --count --ack --quiet --format --table "
	    "--operation --consumer --after-lsn --observer --exact "
	    "--batch --relations --message" },
	{ "health", "--address --timeout" },
	{ "completion", "--shell" },
};
static const char globals[] = "--connection --log-level --help --version";

/* What --help prints for a command line. */
static char *
help(const char *line)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	parse_good(line);
	options_help(&o, to);
	fclose(to);
	return text;
}

/* How many of these words the text holds, with a blank or newline behind. */
static size_t
count_held(const char *text, const char *list)
{
	char copy[512], *rest = copy, *word;
	size_t held = 0;

	strcpy(copy, list);
	while ((word = strsep(&rest, " ")) != NULL) {
		const char *at = strstr(text, word);

		held += at != NULL && strchr(" \n", at[strlen(word)]) != NULL;
	}
	return held;
}

static bool
holds_all(const char *text, const char *list)
{
	size_t n = 1;

	for (const char *s = list; *s != '\0'; s++)
		n += *s == ' ';
	return count_held(text, list) == n;
}

static void
test_help_of_a_command(void **state)
{
	char line[64];

	(void)state;
	for (size_t i = 0; i < COUNT(helps); i++) {
		char *text;

		strcat(strcpy(line, helps[i].command), "|--help");
		text = help(line);
		if (!holds_all(text, helps[i].options) ||
		    !holds_all(text, globals))
			fail_msg("%s", text);
		assert_non_null(strstr(text, o.command->summary));
		assert_non_null(strstr(text, o.command->usage));
		free(text);
	}
}

/* Nor does it mention what is another command's. */
static void
test_help_of_another_command(void **state)
{
	char *text = help("list|--help");

	(void)state;
	assert_int_equal(count_held(text, helps[0].options), 0);
	assert_int_equal(count_held(text, "--count --ack --quiet"), 0);
	free(text);
}

static void
test_help_of_all(void **state)
{
	char *text = help("--help");

	(void)state;
	for (const struct command *c = commands; c->name != NULL; c++) {
		assert_non_null(strstr(text, c->name));
		assert_non_null(strstr(text, c->summary));
	}
	assert_true(holds_all(text, globals));
	assert_int_equal(count_held(text, helps[0].options), 0);
	free(text);
}

static void
test_help_says_where_values_come_from(void **state)
{
	char *text = help("start|--help");

	(void)state;
	assert_non_null(strstr(text, "-p, --port PORT"));
	assert_non_null(strstr(text, "[env: PORT] [default: 50051]"));
	assert_non_null(strstr(text, "-c, --connection CONNINFO"));
	assert_non_null(strstr(text, "[env: CONNECTION]"));
	free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, setup)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_good),
		TEST(test_bad),
		TEST(test_secret),
		TEST(test_long_arguments),
		TEST(test_environment),
		TEST(test_repeated),
		TEST(test_bool),
		TEST(test_number),
		TEST(test_size),
		TEST(test_seconds),
		TEST(test_help_of_a_command),
		TEST(test_help_of_another_command),
		TEST(test_help_of_all),
		TEST(test_help_says_where_values_come_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
