#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "event/change.h"
#include "event/json.h"
#include "event/value.h"
#include "guard.h"
#include "pgo.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct buf json, scratch;
static struct typecat types;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	buf_init(&json, 65536);
	buf_init(&scratch, 65536);
	memset(&err, 0, sizeof(err));
	return typecat_init(&types);
}

static int
teardown(void **state)
{
	(void)state;
	buf_free(&json);
	buf_free(&scratch);
	typecat_free(&types);
	return 0;
}

static void
assert_json(const char *want)
{
	assert_false(json.failed);
	assert_string_equal(buf_cstr(&json), want);
	buf_reset(&json);
}

/* Strings */

/* Appends text, n bytes that end at a guard page, as a string. */
static void
put_string(const char *text, size_t n)
{
	uint8_t *p = guard_copy(text, n);

	json_put_string(&json, (const char *)p, n);
	guard_free(p, n);
}

static void
test_string_every_byte(void **state)
{
	static const char letters[256] = { ['\b'] = 'b',
		['\f'] = 'f',
		['\n'] = 'n',
		['\r'] = 'r',
		['\t'] = 't',
		['"'] = '"',
		['\\'] = '\\' };
	char want[16];

	(void)state;
	for (int c = 0; c < 256; c++) {
		const char text[] = { 'a', (char)c, 'z' };

		if (letters[c] != 0)
			snprintf(want, sizeof(want), "\"a\\%cz\"", letters[c]);
		else if (c < 0x20)
			snprintf(want, sizeof(want), "\"a\\u%04xz\"",
			    (unsigned)c);
		else
			snprintf(want, sizeof(want), "\"a%cz\"", c);
		put_string(text, 3);
		assert_json(want);
	}
}

static void
test_strings(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "\"\"" },
		{ "plain", "\"plain\"" },
		{ "\n", "\"\\n\"" },
		{ "\n\n", "\"\\n\\n\"" },
		{ "a\"", "\"a\\\"\"" },
		{ "\\\\", "\"\\\\\\\\\"" },
		{ "\001\037 ", "\"\\u0001\\u001f \"" },
		{ "</script>/", "\"</script>/\"" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ "\xe2\x80\xa8\x7f", "\"\xe2\x80\xa8\x7f\"" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		put_string(rows[i].text, strlen(rows[i].text));
		assert_json(rows[i].want);
	}
}

/* A NUL is a byte like another; what follows is not lost. */
static void
test_string_with_nul(void **state)
{
	(void)state;
	put_string("a\0b", 3);
	assert_json("\"a\\u0000b\"");
}

/* Numbers */

static void
test_is_number(void **state)
{
	static const char *const yes[] = { "0", "-0", "7", "10", "-123",
		"12345678901234567890123456789", "0.0", "-0.50", "1.5",
		"10.0001", "1e5", "1E5", "1e+05", "1e-05", "1.5e300", "-1.5E-7",
		"0e0", "0.0e-0" };
	static const char *const no[] = { "", "-", "+1", "01", "-01", "00",
		".5", "5.", "-.5", "1.e5", "1e", "1e+", "1e-", "e5", "1.5.5",
		"1e5.5", "1 ", " 1", "1x", "0x10", "--1", "NaN", "Infinity",
		"-Infinity", "nan", "inf", "1,5", "1_000", "1e5e5", "- 1" };

	(void)state;
	for (size_t i = 0; i < COUNT(yes); i++) {
		size_t n = strlen(yes[i]);
		uint8_t *p = guard_copy(yes[i], n);

		if (!json_is_number((const char *)p, n))
			fail_msg("%s is a number", yes[i]);
		guard_free(p, n);
	}
	for (size_t i = 0; i < COUNT(no); i++) {
		size_t n = strlen(no[i]);
		uint8_t *p = guard_copy(no[i], n);

		if (json_is_number((const char *)p, n))
			fail_msg("\"%s\" is no number", no[i]);
		guard_free(p, n);
	}
	assert_false(json_is_number("1\0", 2));
	assert_true(json_is_number("12", 1));
}

/* Values */

enum {
	BOOL = 16,
	BYTEA = 17,
	INT8 = 20,
	INT2 = 21,
	INT4 = 23,
	TEXT = 25,
	OID = 26,
	JSON = 114,
	FLOAT4 = 700,
	FLOAT8 = 701,
	VARCHAR = 1043,
	DATE = 1082,
	TIME = 1083,
	TIMESTAMP = 1114,
	TIMESTAMPTZ = 1184,
	INTERVAL = 1186,
	NUMERIC = 1700,
	UUID = 2950,
	JSONB = 3802,
	ENUM = 16400
};

static const struct {
	uint32_t oid;
	const char *text, *want;
} values[] = {
	{ BOOL, "t", "true" },
	{ BOOL, "f", "false" },
	{ INT2, "-32768", "-32768" },
	{ INT4, "0", "0" },
	{ INT4, "2147483647", "2147483647" },
	{ INT8, "-9223372036854775808", "-9223372036854775808" },
	{ FLOAT4, "1.5", "1.5" },
	{ FLOAT4, "1e+10", "1e+10" },
	{ FLOAT4, "NaN", "\"NaN\"" },
	{ FLOAT8, "-0", "-0" },
	{ FLOAT8, "0.1", "0.1" },
	{ FLOAT8, "1e-07", "1e-07" },
	{ FLOAT8, "1.7976931348623157e+308", "1.7976931348623157e+308" },
	{ FLOAT8, "NaN", "\"NaN\"" },
	{ FLOAT8, "Infinity", "\"Infinity\"" },
	{ FLOAT8, "-Infinity", "\"-Infinity\"" },
	{ NUMERIC, "0.00", "0.00" },
	{ NUMERIC, "-12345678901234567890123456789.0000000001",
	    "-12345678901234567890123456789.0000000001" },
	{ NUMERIC, "NaN", "\"NaN\"" },
	{ NUMERIC, "Infinity", "\"Infinity\"" },
	{ NUMERIC, "-Infinity", "\"-Infinity\"" },
	{ TIMESTAMP, "2026-01-31 12:34:56", "\"2026-01-31T12:34:56\"" },
	{ TIMESTAMP, "2026-01-31 12:34:56.7", "\"2026-01-31T12:34:56.7\"" },
	{ TIMESTAMP, "2026-01-31 12:34:56.78", "\"2026-01-31T12:34:56.78\"" },
	{ TIMESTAMP, "2026-01-31 00:00:00.123456",
	    "\"2026-01-31T00:00:00.123456\"" },
	{ TIMESTAMP, "0044-03-15 12:00:00 BC", "\"0044-03-15T12:00:00 BC\"" },
	{ TIMESTAMP, "0044-03-15 12:00:00.5 BC",
	    "\"0044-03-15T12:00:00.5 BC\"" },
	{ TIMESTAMP, "294276-12-31 23:59:59.999999",
	    "\"294276-12-31T23:59:59.999999\"" },
	{ TIMESTAMP, "infinity", "\"infinity\"" },
	{ TIMESTAMP, "-infinity", "\"-infinity\"" },
	{ TIMESTAMPTZ, "2026-01-31 12:34:56+00",
	    "\"2026-01-31T12:34:56+00:00\"" },
	{ TIMESTAMPTZ, "2026-01-31 12:34:56.7+00",
	    "\"2026-01-31T12:34:56.7+00:00\"" },
	{ TIMESTAMPTZ, "2026-01-31 12:34:56.123456+00",
	    "\"2026-01-31T12:34:56.123456+00:00\"" },
	{ TIMESTAMPTZ, "0044-03-15 12:00:00+00 BC",
	    "\"0044-03-15T12:00:00+00:00 BC\"" },
	{ TIMESTAMPTZ, "4714-11-24 00:00:00.000001+00 BC",
	    "\"4714-11-24T00:00:00.000001+00:00 BC\"" },
	{ TIMESTAMPTZ, "infinity", "\"infinity\"" },
	{ TIMESTAMPTZ, "-infinity", "\"-infinity\"" },
	{ JSON, "{\"a\": [1, \"x\\ny\", null]}",
	    "{\"a\": [1, \"x\\ny\", null]}" },
	{ JSON, " 1 ", " 1 " },
	{ JSON, "\"str\"", "\"str\"" },
	{ JSONB, "{\"k\": \"\xc3\xa9\"}", "{\"k\": \"\xc3\xa9\"}" },
	{ JSONB, "null", "null" },
	{ TEXT, "", "\"\"" },
	{ TEXT, "say \"hi\"\n", "\"say \\\"hi\\\"\\n\"" },
	/* The type decides, not what the text looks like. */
	{ TEXT, "1", "\"1\"" },
	{ TEXT, "t", "\"t\"" },
	{ TEXT, "null", "\"null\"" },
	{ TEXT, "{\"a\": 1}", "\"{\\\"a\\\": 1}\"" },
	{ TEXT, "2026-01-31 12:34:56", "\"2026-01-31 12:34:56\"" },
	{ VARCHAR, "true", "\"true\"" },
	{ OID, "26", "\"26\"" },
	{ BYTEA, "\\x00ff", "\"\\\\x00ff\"" },
	{ DATE, "2026-01-31", "\"2026-01-31\"" },
	{ DATE, "0044-03-15 BC", "\"0044-03-15 BC\"" },
	{ TIME, "12:34:56", "\"12:34:56\"" },
	{ INTERVAL, "1 day 02:00:00", "\"1 day 02:00:00\"" },
	{ UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
	    "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"" },
	{ ENUM, "happy", "\"happy\"" },
};

/* What has no form of its own is text. */
static const struct type *
type_of(uint32_t oid)
{
	static const struct type other = { .form = TYPE_TEXT };
	const struct type *t = typecat_get(&types, oid);

	return t == NULL ? &other : t;
}

static void
test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		size_t n = strlen(values[i].text);
		uint8_t *p = guard_copy(values[i].text, n);

		if (!value_put(&json, type_of(values[i].oid), (const char *)p,
			n, false, &scratch) ||
		    json.failed || strcmp(buf_cstr(&json), values[i].want) != 0)
			fail_msg("type %u: %s became %s", values[i].oid,
			    values[i].text, buf_cstr(&json));
		buf_reset(&json);
		guard_free(p, n);
	}
}

/* Whatever the text of a number or a bool is, it cannot break the JSON. */
static void
test_values_cannot_inject(void **state)
{
	static const uint32_t oids[] = { BOOL, INT2, INT4, INT8, FLOAT4, FLOAT8,
		NUMERIC };
	static const char *const texts[] = { "", "1,\"x\":2", "1}", "tt", "ff",
		"x", " t", "true,1", "0x1" };

	(void)state;
	for (size_t i = 0; i < COUNT(oids); i++)
		for (size_t k = 0; k < COUNT(texts); k++) {
			struct buf want;

			value_put(&json, type_of(oids[i]), texts[k],
			    strlen(texts[k]), false, &scratch);
			buf_init(&want, 256);
			json_put_string(&want, texts[k], strlen(texts[k]));
			assert_json(buf_cstr(&want));
			buf_free(&want);
		}
}

/* Payloads */

static const struct pgo_attr attrs[] = { { true, "id", INT4, -1 },
	{ false, "na\"me", TEXT, -1 }, { false, "big", TEXT, -1 },
	{ true, "ok", BOOL, -1 }, { false, "doc", JSONB, -1 } };
static const char *const whole[] = { "1", "a\nb", "TOAST", "t", "{}" };
static const char *const nulls[] = { NULL, NULL, NULL, NULL, NULL };
static const char *const toasted[] = { "2", NULL, pgo_toast, "f", pgo_toast };
static const char *const all_toasted[] = { pgo_toast, pgo_toast, pgo_toast,
	pgo_toast, pgo_toast };
static const char *const key[] = { "1", NULL, NULL, "t", NULL };

/* What payload is asked for: a mark of 0 means that there is no such row. */
struct sample {
	char type;
	char old_mark;
	const char *const *old;
	uint16_t old_n;
	char new_mark;
	const char *const *new;
	uint16_t new_n;
};

static int
check_and_fill(const struct relation *rel, const struct pgo_msg *m, size_t max)
{
	struct change change;
	bool stale = true;
	int rc;

	if (change_check(rel, m, &err) == -1)
		return -1;
	change_init(&change, max);
	rc = change_fill(&change, rel, m, false, &stale, &err);
	assert_false(stale);
	buf_put(&json, buf_head(&change.json), buf_unread(&change.json));
	change_free(&change);
	return rc;
}

/* The payload of a change of a table of n of the columns above. */
static int
payload_max(const struct sample *c, uint16_t n, size_t max)
{
	struct pgo_relation r = { 1, "s", "t", 'd', n, attrs };
	struct pgo_decoder *d = pgo_new();
	struct relation_cache cache;
	struct relation *rel;
	struct pgo_msg msg;
	struct buf b;
	int rc;

	buf_init(&b, 4096);
	pgo_put_change(&b, c->type, 1);
	if (c->old_mark != 0)
		pgo_put_row(&b, c->old_mark, c->old, c->old_n);
	if (c->new_mark != 0)
		pgo_put_row(&b, c->new_mark, c->new, c->new_n);
	assert_int_equal(pgo_decode(d, b.data, b.len, &msg, &err), 0);
	relation_cache_init(&cache);
	assert_non_null(rel = relation_cache_put(&cache, &r, &err));
	for (uint16_t i = 0; i < n; i++)
		rel->col[i].type = type_of(rel->col[i].type_oid);
	assert_int_equal(change_label(rel, &err), 0);
	rc = check_and_fill(rel, &msg, max);
	relation_cache_free(&cache);
	buf_free(&b);
	pgo_del(d);
	return rc;
}

static int
payload(const struct sample *c, uint16_t n)
{
	return payload_max(c, n, 4096);
}

static const struct {
	struct sample change;
	const char *want;
} payloads[] = {
	{ { 'I', 0, NULL, 0, 'N', whole, 5 },
	    "{\"id\":1,\"na\\\"me\":\"a\\nb\",\"big\":\"TOAST\",\"ok\":true,"
	    "\"doc\":{}}" },
	{ { 'I', 0, NULL, 0, 'N', nulls, 5 },
	    "{\"id\":null,\"na\\\"me\":null,\"big\":null,\"ok\":null,"
	    "\"doc\":null}" },
	{ { 'U', 0, NULL, 0, 'N', whole, 5 },
	    "{\"id\":1,\"na\\\"me\":\"a\\nb\",\"big\":\"TOAST\",\"ok\":true,"
	    "\"doc\":{}}" },
	/* What was not changed is left out, never null ... */
	{ { 'U', 0, NULL, 0, 'N', toasted, 5 },
	    "{\"id\":2,\"na\\\"me\":null,\"ok\":false}" },
	{ { 'U', 'K', key, 5, 'N', toasted, 5 },
	    "{\"id\":2,\"na\\\"me\":null,\"ok\":false}" },
	{ { 'U', 0, NULL, 0, 'N', all_toasted, 5 }, "{}" },
	/* ... or it is what it was. */
	{ { 'U', 'O', whole, 5, 'N', toasted, 5 },
	    "{\"id\":2,\"na\\\"me\":null,\"big\":\"TOAST\",\"ok\":false,"
	    "\"doc\":{}}" },
	{ { 'U', 'O', whole, 5, 'N', all_toasted, 5 },
	    "{\"id\":1,\"na\\\"me\":\"a\\nb\",\"big\":\"TOAST\",\"ok\":true,"
	    "\"doc\":{}}" },
	{ { 'U', 'O', nulls, 5, 'N', whole, 5 },
	    "{\"id\":1,\"na\\\"me\":\"a\\nb\",\"big\":\"TOAST\",\"ok\":true,"
	    "\"doc\":{}}" },
	{ { 'D', 'K', key, 5, 0, NULL, 0 }, "{\"id\":1,\"ok\":true}" },
	{ { 'D', 'O', whole, 5, 0, NULL, 0 },
	    "{\"id\":1,\"na\\\"me\":\"a\\nb\",\"big\":\"TOAST\",\"ok\":true,"
	    "\"doc\":{}}" },
	{ { 'D', 'O', nulls, 5, 0, NULL, 0 },
	    "{\"id\":null,\"na\\\"me\":null,\"big\":null,\"ok\":null,"
	    "\"doc\":null}" },
};

static void
test_payloads(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(payloads); i++) {
		assert_int_equal(payload(&payloads[i].change, 5), 0);
		assert_json(payloads[i].want);
	}
}

static void
test_payload_of_no_columns(void **state)
{
	static const struct sample none = { 'I', 0, NULL, 0, 'N', whole, 0 };

	(void)state;
	assert_int_equal(payload(&none, 0), 0);
	assert_json("{}");
}

static void
test_payload_column_mismatch(void **state)
{
	static const struct sample bad[] = {
		{ 'I', 0, NULL, 0, 'N', whole, 4 },
		{ 'I', 0, NULL, 0, 'N', whole, 2 },
		{ 'I', 0, NULL, 0, 'N', whole, 0 },
		{ 'U', 0, NULL, 0, 'N', whole, 4 },
		{ 'U', 'K', whole, 3, 'N', whole, 4 },
		{ 'U', 'O', whole, 3, 'N', whole, 4 },
		{ 'U', 'O', whole, 4, 'N', whole, 3 },
		{ 'U', 'O', whole, 2, 'N', toasted, 3 },
		{ 'D', 'K', whole, 4, 0, NULL, 0 },
		{ 'D', 'K', whole, 2, 0, NULL, 0 },
		{ 'D', 'O', whole, 4, 0, NULL, 0 },
		{ 'D', 'O', whole, 0, 0, NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(payload(&bad[i], 3), -1);
		assert_int_equal(err.kind, ERR_PROTO);
		assert_non_null(strstr(err.text, "\"s\".\"t\""));
	}
}

/* One byte less than a payload takes is too little, whatever it would hit. */
static void
test_payload_too_large(void **state)
{
	size_t len = strlen(payloads[0].want);

	(void)state;
	for (size_t max = 0; max <= len; max++) {
		buf_reset(&json);
		memset(&err, 0, sizeof(err));
		assert_int_equal(payload_max(&payloads[0].change, 5, max),
		    max < len ? -1 : 0);
		assert_int_equal(err.kind, max < len ? ERR_LIMIT : ERR_NONE);
	}
	assert_json(payloads[0].want);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_string_every_byte),
		TEST(test_strings),
		TEST(test_string_with_nul),
		TEST(test_is_number),
		TEST(test_values),
		TEST(test_values_cannot_inject),
		TEST(test_payloads),
		TEST(test_payload_of_no_columns),
		TEST(test_payload_column_mismatch),
		TEST(test_payload_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
