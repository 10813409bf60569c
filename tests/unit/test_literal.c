#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "event/literal.h"
#include "guard.h"
#include "rnd.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The text of a test, which ends at a guard page. */
static uint8_t *text;
static size_t text_len;

static struct literal
of(const char *s, size_t n)
{
	struct literal l;

	text = guard_copy(s, n);
	text_len = n;
	l.p = (char *)text;
	l.end = l.p + n;
	return l;
}

static void
done(void)
{
	guard_free(text, text_len);
}

static void
test_skip(void **state)
{
	struct literal l = of("ab", 2);

	(void)state;
	assert_false(literal_skip(&l, 'b'));
	assert_true(literal_skip(&l, 'a'));
	assert_false(literal_skip(&l, 'a'));
	assert_true(literal_skip(&l, 'b'));
	assert_false(literal_skip(&l, 'b'));
	assert_false(literal_skip(&l, '\0'));
	assert_ptr_equal(l.p, l.end);
	done();
}

static void
test_bounds(void **state)
{
	static const struct {
		const char *text, *rest; /* NULL: malformed */
	} rows[] = {
		{ "", "" },
		{ "{1}", "{1}" },
		{ "x[1:2]=", "x[1:2]=" },
		{ "[1:2]={1,2}", "{1,2}" },
		{ "[-5:-3][0:2147483647]={", "{" },
		{ "[1:2]=", "" },
		{ "[1:2][3:4][5:6][7:8][9:10][11:12]=x", "x" },
		{ "[", NULL },
		{ "[]", NULL },
		{ "[]={}", NULL },
		{ "[1]={1}", NULL },
		{ "[1:]={}", NULL },
		{ "[:1]={}", NULL },
		{ "[-:1]={}", NULL },
		{ "[1:-]={}", NULL },
		{ "[--1:2]={}", NULL },
		{ "[1:2={}", NULL },
		{ "[1:2]{}", NULL },
		{ "[1:2]", NULL },
		{ "[1:2] ={}", NULL },
		{ "[1:2][={}", NULL },
		{ "[a:b]={}", NULL },
		{ "[1", NULL },
		{ "[1:", NULL },
		{ "[1:2", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct literal l = of(rows[i].text, strlen(rows[i].text));

		if (literal_bounds(&l) != (rows[i].rest != NULL))
			fail_msg("%s", rows[i].text);
		if (rows[i].rest != NULL) {
			assert_int_equal(l.end - l.p, strlen(rows[i].rest));
			assert_memory_equal(l.p, rows[i].rest, l.end - l.p);
		}
		done();
	}
}

/* What one item is, and what is left behind it. */
struct row {
	const char *text;
	const char *item; /* NULL: there is none; null: SQL NULL */
	const char *rest;
};
static const char null[] = "NULL";

static bool
element(struct literal *l, struct literal_item *item)
{
	return literal_element(l, ',', item);
}

static bool
box(struct literal *l, struct literal_item *item)
{
	return literal_element(l, ';', item);
}

static void
check(const struct row *r, bool (*cut)(struct literal *, struct literal_item *))
{
	struct literal l = of(r->text, strlen(r->text));
	struct literal_item item;
	bool ok = cut(&l, &item);

	if (ok != (r->item != NULL))
		fail_msg("%s: %d", r->text, ok);
	if (ok && (item.p == NULL) != (r->item == null))
		fail_msg("%s: NULL or not", r->text);
	if (ok && item.p != NULL &&
	    (item.len != strlen(r->item) ||
		memcmp(item.p, r->item, item.len) != 0))
		fail_msg("%s: %.*s", r->text, (int)item.len, item.p);
	if (ok &&
	    ((size_t)(l.end - l.p) != strlen(r->rest) ||
		memcmp(l.p, r->rest, strlen(r->rest)) != 0))
		fail_msg("%s: %.*s is left", r->text, (int)(l.end - l.p), l.p);
	done();
}

static void
test_elements(void **state)
{
	static const struct row rows[] = {
		{ "1,2}", "1", ",2}" },
		{ "1}", "1", "}" },
		{ "two words}", "two words", "}" },
		{ "(1,2)}", "(1", ",2)}" },
		{ "NULL}", null, "}" },
		{ "NULL,NULL}", null, ",NULL}" },
		{ "\"NULL\"}", "NULL", "}" },
		{ "null}", "null", "}" }, /* is not written so */
		{ "NULLS}", "NULLS", "}" },
		{ "NUL}", "NUL", "}" },
		{ "\"\"}", "", "}" },
		{ "\"a,b\",c}", "a,b", ",c}" },
		{ "\"{}\"}", "{}", "}" },
		{ "\"a\\\"b\"}", "a\"b", "}" },
		{ "\"\\\\\"}", "\\", "}" },
		{ "\"\\a\\b\"}", "ab", "}" },
		{ "\"\\\\\\\"\\\\\"}", "\\\"\\", "}" },
		{ "\"a\"\"b\"}", "a", "\"b\"}" },
		{ "\"a\"", "a", "" },
		{ "\xc3\xa9}", "\xc3\xa9", "}" },
		{ "", NULL, NULL },
		{ "}", NULL, NULL },
		{ ",1}", NULL, NULL },
		{ "1", NULL, NULL },
		{ "NULL", NULL, NULL },
		{ "\"", NULL, NULL },
		{ "\"a", NULL, NULL },
		{ "\"a\\", NULL, NULL },
		{ "\"a\\\"", NULL, NULL },
		{ "a\"b}", NULL, NULL },
		{ "a\\b}", NULL, NULL },
		{ "a{b}", NULL, NULL },
		{ "{1}", NULL, NULL },
	};
	static const struct row boxes[] = {
		{ "(1,1),(0,0);(2,2),(1,1)}", "(1,1),(0,0)", ";(2,2),(1,1)}" },
		{ "(2,2),(1,1)}", "(2,2),(1,1)", "}" },
		{ ";}", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(&rows[i], element);
	for (size_t i = 0; i < COUNT(boxes); i++)
		check(&boxes[i], box);
}

static void
test_attributes(void **state)
{
	static const struct row rows[] = {
		{ "1,2)", "1", ",2)" },
		{ "1)", "1", ")" },
		{ ")", null, ")" },
		{ ",1)", null, ",1)" },
		{ "NULL)", "NULL", ")" },
		{ "\"\")", "", ")" },
		{ "\"\",)", "", ",)" },
		{ "\" \")", " ", ")" },
		{ "\"a\"\"b\")", "a\"b", ")" },
		{ "\"\"\"\")", "\"", ")" },
		{ "\"\"\"\"\"\")", "\"\"", ")" },
		{ "\"\\\\\")", "\\", ")" },
		{ "\"\\\"\")", "\"", ")" },
		{ "\"(1,\"\"x y\"\")\",2)", "(1,\"x y\")", ",2)" },
		{ "{1})", "{1}", ")" },
		{ "\"{1,2}\")", "{1,2}", ")" },
		{ "\"a\"", "a", "" },
		{ "\"a\"b)", "a", "b)" },
		{ "", NULL, NULL },
		{ "1", NULL, NULL },
		{ "\"", NULL, NULL },
		{ "\"\"\"", NULL, NULL },
		{ "\"a\\", NULL, NULL },
		{ "\"a\\\"", NULL, NULL },
		{ "a\"b\")", NULL, NULL },
		{ "a\\b)", NULL, NULL },
		{ "(1))", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(&rows[i], literal_attribute);
}

static void
test_hstore(void **state)
{
	static const struct row rows[] = {
		{ "\"a\"=>\"b\"", "a", "=>\"b\"" },
		{ "\"\"", "", "" },
		{ "\"NULL\"", "NULL", "" },
		{ "NULL", null, "" },
		{ "NULL, \"b\"", null, ", \"b\"" },
		{ "\"a\\\"b\\\\\"", "a\"b\\", "" },
		{ "\"a=>b, c\"", "a=>b, c", "" },
		{ "", NULL, NULL },
		{ "a", NULL, NULL },
		{ "NUL", NULL, NULL },
		{ "null", NULL, NULL },
		{ "word", NULL, NULL },
		{ "\"", NULL, NULL },
		{ "\"a", NULL, NULL },
		{ "\"a\\", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(&rows[i], literal_hstore);
}

/* A NUL is not in a text of PostgreSQL's, and ends nothing. */
static void
test_nul(void **state)
{
	struct literal l = of("\"a\0b\"}", 6);
	struct literal_item item;

	(void)state;
	assert_true(literal_element(&l, ',', &item));
	assert_int_equal(item.len, 3);
	assert_memory_equal(item.p, "a\0b", 3);
	done();
	l = of("a\0b}", 4);
	assert_false(literal_element(&l, ',', &item));
	done();
	l = of("a\0b)", 4);
	assert_false(literal_attribute(&l, &item));
	done();
}

/* Whatever there is, nothing is read behind it or written outside. */
static void
test_random(void **state)
{
	static const char often[] = "{}()[]\"\"\\\\,,;:=> NULLab1-";
	struct literal_item item;
	uint64_t seed = 20240705;
	char random[24];
	size_t good = 0;

	(void)state;
	for (int round = 0; round < 60000; round++) {
		size_t n = rnd_below(&seed, sizeof(random));
		struct literal l;
		bool ok;

		for (size_t i = 0; i < n; i++)
			random[i] = often[rnd_below(&seed, sizeof(often))];
		l = of(random, n);
		ok = round % 4 == 0  ? literal_bounds(&l)
		    : round % 4 == 1 ? literal_element(&l, ',', &item)
		    : round % 4 == 2 ? literal_attribute(&l, &item)
				     : literal_hstore(&l, &item);
		good += ok;
		assert_true(l.p >= (char *)text && l.p <= l.end);
		if (ok && round % 4 != 0 && item.p != NULL)
			assert_true(
			    item.p >= (char *)text && item.p + item.len <= l.p);
		done();
	}
	assert_in_range(good, 5000, 55000);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_skip),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_elements),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_hstore),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
