#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event/json.h"
#include "event/value.h"
#include "types.h"

/*
 * Values of types that are made of others. Those of one piece are in
 * test_event.c.
 */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum {
	BOOL = 16,
	INT2VECTOR = 22,
	INT4 = 23,
	TEXT = 25,
	OIDVECTOR = 30,
	JSON = 114,
	JSONS = 199,
	BOX = 603,
	BOOLS = 1000,
	INTS = 1007,
	TEXTS = 1009,
	BOXES = 1020,
	TSTZ = 1184,
	TSTZS = 1185,
	JSONB = 3802,
	TAGS = 16400,
	TAGSES,
	PRICE,
	PRICES,
	ONE,
	PAIR,
	NONE,
	DEEP,
	DEEPS,
	MIXED,
	LOST,
	LOSTS,
	LOST_RECORD,
	OLD,
	LOOP,
};

static struct typecat types;
static struct buf json, scratch;

static int
setup(void **state)
{
	(void)state;
	buf_init(&json, 65536);
	buf_init(&scratch, 65536);
	if (typecat_init(&types) == -1)
		return -1;
	LOAD(&types, ARRAY(INT2VECTOR, 21, "int2vector"),
	    ARRAY(OIDVECTOR, 26, "oidvector"), ARRAY(JSONS, JSON, "json[]"),
	    ARRAY(BOOLS, BOOL, "boolean[]"), ARRAY(INTS, INT4, "integer[]"),
	    ARRAY(TEXTS, TEXT, "text[]"), ARRAY(BOXES, BOX, "box[]"),
	    { .oid = BOX, .typtype = 'b', .name = "box", .delim = ';' },
	    ARRAY(TSTZS, TSTZ, "timestamp with time zone[]"), HSTORE(TAGS),
	    ARRAY(TAGSES, TAGS, "hstore[]"), DOMAIN(PRICE, INT4, "price"),
	    ARRAY(PRICES, PRICE, "price[]"), ATTR(ONE, "one", "x", TEXT),
	    ATTR(PAIR, "pair", "id", INT4), ATTR(PAIR, "pair", "n\"m", TEXT),
	    RECORD(NONE, "none"), ATTR(DEEP, "deep", "pairs", 17000),
	    ATTR(DEEP, "deep", "tags", TAGS), ATTR(DEEP, "deep", "doc", JSONB),
	    ARRAY(17000, PAIR, "pair[]"), ARRAY(DEEPS, DEEP, "deep[]"),
	    ATTR(MIXED, "mixed", "ok", BOOL), ATTR(MIXED, "mixed", "p", PRICE),
	    ATTR(MIXED, "mixed", "at", TSTZ), ATTR(MIXED, "mixed", "a", INTS),
	    ARRAY(LOSTS, LOST, "lost[]"),
	    ATTR(LOST_RECORD, "lost_record", "x", LOST),
	    { .oid = OLD,
		.typtype = 'c',
		.name = "old",
		.attribute = "x",
		.attribute_oid = INT4,
		.dropped = true },
	    { .oid = OLD,
		.typtype = 'c',
		.name = "old",
		.attribute = "y",
		.attribute_oid = INT4,
		.dropped = true },
	    ARRAY(LOOP, LOOP, "loop[]"));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	typecat_free(&types);
	buf_free(&json);
	buf_free(&scratch);
	return 0;
}

/* Appends a value to what is in json. */
static bool
put(uint32_t oid, const char *text, size_t n, bool fresh)
{
	const struct type *t = typecat_get(&types, oid);
	uint8_t *p = guard_copy(text, n);
	bool ok;

	assert_non_null(t);
	ok = value_put(&json, t, (const char *)p, n, fresh, &scratch);
	assert_memory_equal(p, text, n);
	guard_free(p, n);
	assert_false(json.failed);
	return ok;
}

/* want is NULL: the text does not have the form of its type, so it is there as
 * one string, and nothing else of it. */
static void
check(uint32_t oid, const char *text, bool fresh, const char *want)
{
	struct buf b;
	bool ok;

	buf_reset(&json);
	buf_put_str(&json, "before");
	ok = put(oid, text, strlen(text), fresh);
	buf_init(&b, 65536);
	buf_put_str(&b, "before");
	if (want != NULL)
		buf_put_str(&b, want);
	else
		json_put_string(&b, text, strlen(text));
	if (ok != (want != NULL) || strcmp(buf_cstr(&json), buf_cstr(&b)) != 0)
		fail_msg("type %u: %s became %s, %d", oid, text,
		    buf_cstr(&json), ok);
	buf_free(&b);
}

struct row {
	uint32_t oid;
	const char *text, *want;
};

static void
check_all(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		check(rows[i].oid, rows[i].text, false, rows[i].want);
		/* Nothing here is older than its type. */
		check(rows[i].oid, rows[i].text, true, rows[i].want);
	}
}

static void
test_arrays(void **state)
{
	static const struct row rows[] = {
		{ INTS, "{}", "[]" },
		{ INTS, "{1}", "[1]" },
		{ INTS, "{1,NULL,-3}", "[1,null,-3]" },
		{ INTS, "{{1,2},{3,4}}", "[[1,2],[3,4]]" },
		{ INTS, "{{{{{{1}}}}}}", "[[[[[[1]]]]]]" },
		{ INTS, "{{{1},{2}},{{3},{NULL}}}",
		    "[[[1],[2]],[[3],[null]]]" },
		{ INTS, "[0:1]={1,2}", "[1,2]" },
		{ INTS, "[-1:0][5:5]={{1},{2}}", "[[1],[2]]" },
		{ BOOLS, "{t,f,NULL}", "[true,false,null]" },
		{ TEXTS, "{NULL,\"NULL\",\"null\",\"\"}",
		    "[null,\"NULL\",\"null\",\"\"]" },
		{ TEXTS, "{\"a\\\"b\",\"c\\\\d\",\"e,f\",\"{g}\",h i}",
		    "[\"a\\\"b\",\"c\\\\d\",\"e,f\",\"{g}\",\"h i\"]" },
		{ TEXTS, "{\"a\nb\",\xc3\xa9}", "[\"a\\nb\",\"\xc3\xa9\"]" },
		{ TEXTS, "{t,1}", "[\"t\",\"1\"]" },
		{ TEXTS, "{;}", "[\";\"]" },
		{ JSONS, "{\"{\\\"a\\\": [1, \\\"x\\\"]}\",1,\"null\"}",
		    "[{\"a\": [1, \"x\"]},1,null]" },
		{ BOXES, "{(1,1),(0,0);(2,2),(1,1)}",
		    "[\"(1,1),(0,0)\",\"(2,2),(1,1)\"]" },
		{ BOXES, "{(1,1),(0,0)}", "[\"(1,1),(0,0)\"]" },
		{ PRICES, "{1,2}", "[1,2]" },
		{ TSTZS, "{\"2026-01-31 12:00:00+00\",infinity}",
		    "[\"2026-01-31T12:00:00+00:00\",\"infinity\"]" },
		{ TAGSES, "{\"\\\"a\\\"=>NULL\",\"\"}", "[{\"a\": null},{}]" },
	};

	(void)state;
	check_all(rows, COUNT(rows));
}

static void
test_malformed_arrays(void **state)
{
	static const struct row rows[] = {
		{ INTS, "", NULL },
		{ INTS, "{", NULL },
		{ INTS, "}", NULL },
		{ INTS, "1", NULL },
		{ INTS, "1,2", NULL },
		{ INTS, "{1", NULL },
		{ INTS, "{1,", NULL },
		{ INTS, "{1,}", NULL },
		{ INTS, "{,1}", NULL },
		{ INTS, "{1}}", NULL },
		{ INTS, "{1} ", NULL },
		{ INTS, " {1}", NULL },
		{ INTS, "{1}{2}", NULL },
		{ INTS, "{{1}", NULL },
		{ INTS, "{{}}", NULL },
		{ INTS, "{{},{}}", NULL },
		{ INTS, "{{1},{}}", NULL },
		{ INTS, "{}{}", NULL },
		{ INTS, "{},{}", NULL },
		{ INTS, "{{{{{{{1}}}}}}}", NULL },
		{ INTS, "[0:1]", NULL },
		{ INTS, "[0:1]{1}", NULL },
		{ INTS, "[a:1]={1}", NULL },
		{ INTS, "(1)", NULL },
		{ INTS, "{1;2", NULL },
		{ BOOLS, "{t,x}", NULL },
		{ BOOLS, "{{t},{true}}", NULL },
		{ TEXTS, "{\"a}", NULL },
		{ TEXTS, "{\"a\\\"}", NULL },
		{ TEXTS, "{\"a\"b}", NULL },
		{ TEXTS, "{a\"b\"}", NULL },
		{ TEXTS, "{a\\b}", NULL },
		{ BOXES, "{(1,1),(0,0);}", NULL },
		{ LOSTS, "{1}", NULL },
		{ LOSTS, "{}", NULL },
	};

	(void)state;
	check_all(rows, COUNT(rows));
}

static void
test_vectors(void **state)
{
	static const struct row rows[] = {
		{ INT2VECTOR, "", "[]" },
		{ INT2VECTOR, "1", "[1]" },
		{ INT2VECTOR, "1 -2 3", "[1,-2,3]" },
		{ OIDVECTOR, "23 25", "[\"23\",\"25\"]" },
	};

	(void)state;
	check_all(rows, COUNT(rows));
}

static void
test_records(void **state)
{
	static const struct row rows[] = {
		{ NONE, "()", "{}" },
		{ ONE, "()", "{\"x\":null}" },
		{ ONE, "(\"\")", "{\"x\":\"\"}" },
		{ ONE, "(a)", "{\"x\":\"a\"}" },
		{ ONE, "(NULL)", "{\"x\":\"NULL\"}" },
		{ ONE, "(\"a,b\")", "{\"x\":\"a,b\"}" },
		{ ONE, "(\"say \"\"hi\"\"\")", "{\"x\":\"say \\\"hi\\\"\"}" },
		{ ONE, "(\"a\\\\b\")", "{\"x\":\"a\\\\b\"}" },
		{ ONE, "(\"(a)\")", "{\"x\":\"(a)\"}" },
		{ ONE, "({a})", "{\"x\":\"{a}\"}" },
		{ PAIR, "(,)", "{\"id\":null,\"n\\\"m\":null}" },
		{ PAIR, "(1,)", "{\"id\":1,\"n\\\"m\":null}" },
		{ PAIR, "(,\"\")", "{\"id\":null,\"n\\\"m\":\"\"}" },
		{ PAIR, "(-1,\"a b\")", "{\"id\":-1,\"n\\\"m\":\"a b\"}" },
		{ MIXED, "(t,7,\"2026-01-31 12:00:00+00\",\"{1,NULL}\")",
		    "{\"ok\":true,\"p\":7,\"at\":\"2026-01-31T12:00:00+00:00\","
		    "\"a\":[1,null]}" },
		{ MIXED, "(,,,)",
		    "{\"ok\":null,\"p\":null,\"at\":null,\"a\":null}" },
		{ OLD, "(1,2)", "{\"x\":1,\"y\":2}" },
	};

	(void)state;
	check_all(rows, COUNT(rows));
}

static void
test_malformed_records(void **state)
{
	static const struct row rows[] = {
		{ NONE, "", NULL },
		{ NONE, "(", NULL },
		{ NONE, "(1)", NULL },
		{ NONE, "(,)", NULL },
		{ ONE, "", NULL },
		{ ONE, "(", NULL },
		{ ONE, "a", NULL },
		{ ONE, "(a", NULL },
		{ ONE, "a)", NULL },
		{ ONE, "(a))", NULL },
		{ ONE, "(a) ", NULL },
		{ ONE, "(a,b)", NULL },
		{ ONE, "(a,)", NULL },
		{ ONE, "(\"a)", NULL },
		{ ONE, "(\"a\"b)", NULL },
		{ ONE, "{a}", NULL },
		{ PAIR, "(1,a,b)", NULL },
		{ PAIR, "(1,a", NULL },
		{ PAIR, "(1,", NULL },
		{ MIXED, "(x,1,,)", NULL },
		{ MIXED, "(t,1,\"no time\",)", NULL },
		{ MIXED, "(t,1,,\"{1\")", NULL },
		{ LOST_RECORD, "(1)", NULL },
		{ OLD, "(1)", NULL },
		{ OLD, "()", NULL },
	};

	(void)state;
	check_all(rows, COUNT(rows));
}

/* Fewer attributes than there are now: the type is not known well enough, or
 * the value is older than the last of them. */
static void
test_older_records(void **state)
{
	(void)state;
	check(PAIR, "(1)", false, NULL);
	check(PAIR, "(1)", true, "{\"id\":1}");
	check(PAIR, "()", false, NULL);
	check(PAIR, "()", true, "{\"id\":null}");
	check(MIXED, "(t,1)", true, "{\"ok\":true,\"p\":1}");
	check(MIXED, "(t", true, NULL);
	check(MIXED, "(x)", true, NULL);
	check(DEEP, "(\"{(1)}\")", false, NULL);
	check(DEEP, "(\"{(1)}\")", true, "{\"pairs\":[{\"id\":1}]}");
}

static void
test_nested(void **state)
{
	static const struct row rows[] = {
		{ DEEP, "(,,)", "{\"pairs\":null,\"tags\":null,\"doc\":null}" },
		{ DEEP, "({},\"\",{})",
		    "{\"pairs\":[],\"tags\":{},\"doc\":{}}" },
		{ DEEP,
		    "(\"{\"\"(1,a)\"\","
		    "\"\"(2,\\\\\"\"b \\\\\\\\\\\\\"\"c\\\\\"\")\"\"}\","
		    "\"\"\"k\"\"=>\"\"v\"\"\",\"{\"\"d\"\": 1}\")",
		    "{\"pairs\":[{\"id\":1,\"n\\\"m\":\"a\"},{\"id\":2,"
		    "\"n\\\"m\":\"b \\\"c\"}],\"tags\":{\"k\": \"v\"},"
		    "\"doc\":{\"d\": 1}}" },
		{ DEEPS, "{\"(\\\"{\\\"\\\"(1,)\\\"\\\"}\\\",,)\",NULL}",
		    "[{\"pairs\":[{\"id\":1,\"n\\\"m\":null}],\"tags\":null,"
		    "\"doc\":null},null]" },
		{ DEEPS, "{\"(\\\"{\\\"\\\"(1,\\\"\\\"}\\\",,)\",NULL}", NULL },
		{ DEEPS, "{\"(,\\\"x\\\",)\"}", NULL },
	};

	(void)state;
	check_all(rows, COUNT(rows));
}

static void
test_hstores(void **state)
{
	static const struct row rows[] = {
		{ TAGS, "", "{}" },
		{ TAGS, "\"a\"=>\"1\"", "{\"a\": \"1\"}" },
		{ TAGS, "\"a\"=>NULL", "{\"a\": null}" },
		{ TAGS, "\"a\"=>\"NULL\"", "{\"a\": \"NULL\"}" },
		{ TAGS, "\"\"=>\"\"", "{\"\": \"\"}" },
		{ TAGS, "\"a\"=>\"1\", \"b\"=>NULL, \"c\"=>\"t\"",
		    "{\"a\": \"1\", \"b\": null, \"c\": \"t\"}" },
		{ TAGS, "\"a\\\"b\"=>\"c\\\\d, \\\"=>\"",
		    "{\"a\\\"b\": \"c\\\\d, \\\"=>\"}" },
		{ TAGS, "\"k\n\"=>\"\xc3\xa9\"", "{\"k\\n\": \"\xc3\xa9\"}" },
		{ TAGS, "a=>b", NULL },
		{ TAGS, "\"a\"", NULL },
		{ TAGS, "\"a\"=", NULL },
		{ TAGS, "\"a\"=>", NULL },
		{ TAGS, "\"a\"=>1", NULL },
		{ TAGS, "\"a\"=>NUL", NULL },
		{ TAGS, "\"a\"=>null", NULL },
		{ TAGS, "\"a\"=>NULLx", NULL },
		{ TAGS, "NULL=>\"a\"", NULL },
		{ TAGS, "\"a\"=>\"1\",", NULL },
		{ TAGS, "\"a\"=>\"1\", ", NULL },
		{ TAGS, "\"a\"=>\"1\",\"b\"=>\"2\"", NULL },
		{ TAGS, "\"a\"=>\"1\"\"b\"=>\"2\"", NULL },
		{ TAGS, ", \"a\"=>\"1\"", NULL },
		{ TAGS, "\"a\"=>\"1", NULL },
		{ TAGS, "\"a=>\"1\"", NULL },
	};

	(void)state;
	check_all(rows, COUNT(rows));
}

static void
test_timestamps(void **state)
{
	static const struct row rows[] = {
		{ TSTZ, "2026-01-31 12:00:00+05:30",
		    "\"2026-01-31T12:00:00+05:30\"" },
		{ TSTZ, "1890-01-01 00:00:00-00:17:30",
		    "\"1890-01-01T00:00:00-00:17:30\"" },
		{ TSTZ, "2026-01-31 12:00:00-03",
		    "\"2026-01-31T12:00:00-03:00\"" },
		{ TSTZ, "0044-03-15 12:00:00-03 BC",
		    "\"0044-03-15T12:00:00-03:00 BC\"" },
		{ TSTZ, "", "\"\"" },
		{ TSTZ, "now", "\"now\"" },
		{ TSTZ, "a\"b", "\"a\\\"b\"" },
		{ TSTZ, "2026-01-31 12:00:00+00\"", NULL },
		{ TSTZ, "2026\" 12:00", NULL },
		{ TSTZ, "Sat Jan 31 12:00:00 2026 UTC", NULL },
		{ TSTZ, "31/01/2026 12:00:00 \\", NULL },
		{ TSTZ, "2026-01-31 12:00:00\n", NULL },
		{ TSTZ, "2026-01-31 12:00:00\xc3\xa9", NULL },
		/* Nonsense, but nothing that ends the string. */
		{ TSTZ, " ", "\"T\"" },
		{ TSTZ, "  ", "\"T \"" },
		{ TSTZ, " +", "\"T+\"" },
		{ TSTZ, " +00", "\"T+00:00\"" },
		{ TSTZ, "BC BC", "\"BCTBC\"" },
	};

	(void)state;
	check_all(rows, COUNT(rows));
	put(TSTZ, "2026-01-31 12\00000", 16, false);
	assert_non_null(strstr(buf_cstr(&json), "12\\u000000"));
}

/* JSON is what it is, byte by byte. */
static void
test_json(void **state)
{
	static const struct row rows[] = {
		{ JSON, "{\"a\" : 1 ,\n \"a\":2}", "{\"a\" : 1 ,\n \"a\":2}" },
		{ JSONB, "[\"\\u00e9\", 1.0, 1e400]",
		    "[\"\\u00e9\", 1.0, 1e400]" },
		{ JSON, "  null ", "  null " },
	};

	(void)state;
	check_all(rows, COUNT(rows));
}

/* A type that is made of itself ends somewhere. */
static void
test_depth(void **state)
{
	char text[200];

	(void)state;
	check(LOOP, "{}", false, "[]");
	check(LOOP, "{NULL}", false, "[null]");
	check(LOOP, "{\"{NULL}\"}", false, "[[null]]");
	check(LOOP, "{x}", false, NULL);
	memset(text, '{', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	check(LOOP, text, false, NULL);
}

/* What has no room fails all of it; nothing is cut. */
static void
test_too_large(void **state)
{
	static const char text[] = "{\"(1,a)\",\"(2,b)\"}";
	static const char want[] = "[{\"id\":1,\"n\\\"m\":\"a\"},"
				   "{\"id\":2,\"n\\\"m\":\"b\"}]";
	const struct type *t;

	(void)state;
	t = typecat_get(&types, 17000);
	for (size_t max = 0; max < sizeof(want); max++) {
		buf_free(&json);
		buf_init(&json, max);
		(void)value_put(&json, t, text, strlen(text), false, &scratch);
		assert_int_equal(json.failed, max < strlen(want));
	}
	assert_memory_equal(buf_head(&json), want, strlen(want));
	for (size_t max = 0; max <= strlen(text); max++) {
		buf_reset(&json);
		buf_free(&scratch);
		buf_init(&scratch, max);
		(void)value_put(&json, t, text, strlen(text), false, &scratch);
		assert_int_equal(json.failed, max < strlen(text));
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_arrays),
		TEST(test_malformed_arrays),
		TEST(test_vectors),
		TEST(test_records),
		TEST(test_malformed_records),
		TEST(test_older_records),
		TEST(test_nested),
		TEST(test_hstores),
		TEST(test_timestamps),
		TEST(test_json),
		TEST(test_depth),
		TEST(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
