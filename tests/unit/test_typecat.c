#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "types.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { BOOL = 16, INT4 = 23, TEXT = 25, BOX = 603, A = 16400, B, C, D };

static struct typecat types;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	return typecat_init(&types);
}

static int
teardown(void **state)
{
	(void)state;
	typecat_free(&types);
	return 0;
}

/* A type that is no domain. */
static const struct type *
assert_type(uint32_t oid, enum type_form form, const char *name)
{
	const struct type *t = typecat_get(&types, oid);

	assert_non_null(t);
	assert_int_equal(t->oid, oid);
	assert_int_equal(t->form, form);
	assert_string_equal(t->name, name);
	assert_ptr_equal(typecat_self(&types, oid), t);
	return t;
}

static void
assert_field(const struct type *t, uint16_t i, const char *name, uint32_t oid)
{
	assert_true(i < t->fields);
	assert_string_equal(t->field[i].name, name);
	assert_int_equal(t->field[i].oid, oid);
	assert_ptr_equal(t->field[i].type, typecat_get(&types, oid));
}

/* What is known from the start */

static void
test_builtin(void **state)
{
	(void)state;
	assert_type(BOOL, TYPE_BOOL, "boolean");
	assert_type(INT4, TYPE_NUMBER, "integer");
	assert_type(TEXT, TYPE_TEXT, "text");
	assert_type(26, TYPE_TEXT, "oid");
	assert_type(114, TYPE_JSON, "json");
	assert_type(1043, TYPE_TEXT, "character varying");
	assert_type(1114, TYPE_TIMESTAMP, "timestamp without time zone");
	assert_type(1184, TYPE_TIMESTAMP, "timestamp with time zone");
	assert_type(1700, TYPE_NUMBER, "numeric");
	assert_type(3802, TYPE_JSON, "jsonb");
	assert_null(typecat_get(&types, 0));
	assert_null(typecat_get(&types, 22));
	assert_null(typecat_get(&types, 1007));
	assert_null(typecat_self(&types, UINT32_MAX));
	assert_false(typecat_needs(&types));
}

/* What the server says of a built-in type does not change its form. */
static void
test_builtin_read_again(void **state)
{
	const struct type *t = typecat_get(&types, INT4);

	(void)state;
	LOAD(&types, BASE(INT4, "integer"), BASE(3802, "jsonb"),
	    ARRAY(1007, INT4, "integer[]"));
	assert_ptr_equal(assert_type(INT4, TYPE_NUMBER, "integer"), t);
	assert_type(3802, TYPE_JSON, "jsonb");
}

/* Forms */

static void
test_other_types(void **state)
{
	(void)state;
	LOAD(&types, { .oid = A, .typtype = 'e', .name = "app.mood" },
	    { .oid = B, .typtype = 'r', .name = "int4range" },
	    { .oid = C, .typtype = 'p', .name = "cstring" },
	    BASE(D, "\"Odd\".\"na\"\"me\""));
	assert_type(A, TYPE_TEXT, "app.mood");
	assert_type(B, TYPE_TEXT, "int4range");
	assert_type(C, TYPE_TEXT, "cstring");
	assert_type(D, TYPE_TEXT, "\"Odd\".\"na\"\"me\"");
}

static void
test_arrays(void **state)
{
	const struct type *t;

	(void)state;
	/* The element comes behind the array as well as before it. */
	LOAD(&types, ARRAY(1007, INT4, "integer[]"), ARRAY(A, B, "mood[]"),
	    { .oid = B, .typtype = 'e', .name = "mood" },
	    ARRAY(1020, BOX, "box[]"),
	    { .oid = BOX, .typtype = 'b', .name = "box", .delim = ';' });
	t = assert_type(1007, TYPE_ARRAY, "integer[]");
	assert_int_equal(t->of_oid, INT4);
	assert_ptr_equal(t->elem, typecat_get(&types, INT4));
	assert_int_equal(t->elem->delim, ',');
	t = assert_type(A, TYPE_ARRAY, "mood[]");
	assert_ptr_equal(t->elem, typecat_get(&types, B));
	t = assert_type(1020, TYPE_ARRAY, "box[]");
	assert_int_equal(t->elem->delim, ';');
}

static void
test_array_of_the_unknown(void **state)
{
	(void)state;
	LOAD(&types, ARRAY(A, B, "lost[]"));
	assert_null(assert_type(A, TYPE_ARRAY, "lost[]")->elem);
	LOAD(&types, BASE(B, "found"));
	assert_ptr_equal(typecat_get(&types, A)->elem, typecat_get(&types, B));
}

static void
test_vectors(void **state)
{
	const struct type *t;

	(void)state;
	LOAD(&types, ARRAY(22, 21, "int2vector"), ARRAY(30, 26, "oidvector"));
	t = assert_type(22, TYPE_VECTOR, "int2vector");
	assert_ptr_equal(t->elem, typecat_get(&types, 21));
	t = assert_type(30, TYPE_VECTOR, "oidvector");
	assert_ptr_equal(t->elem, typecat_get(&types, 26));
}

static void
test_records(void **state)
{
	const struct type *t;

	(void)state;
	LOAD(&types, ATTR(A, "pair", "x", INT4), ATTR(A, "pair", "n\"x", B),
	    ATTR(A, "pair", "", TEXT), ATTR(B, "s.inner", "deep", A),
	    RECORD(C, "nothing"));
	t = assert_type(A, TYPE_RECORD, "pair");
	assert_int_equal(t->fields, 3);
	assert_field(t, 0, "x", INT4);
	assert_field(t, 1, "n\"x", B);
	assert_field(t, 2, "", TEXT);
	assert_false(t->dropped);
	t = assert_type(B, TYPE_RECORD, "s.inner");
	assert_int_equal(t->fields, 1);
	assert_field(t, 0, "deep", A);
	assert_int_equal(assert_type(C, TYPE_RECORD, "nothing")->fields, 0);
}

static void
test_record_of_the_unknown(void **state)
{
	const struct type *t;

	(void)state;
	LOAD(&types, ATTR(A, "a", "x", B));
	t = assert_type(A, TYPE_RECORD, "a");
	assert_field(t, 0, "x", B);
	assert_null(t->field[0].type);
	LOAD(&types, DOMAIN(B, INT4, "price"));
	assert_ptr_equal(t->field[0].type, typecat_get(&types, INT4));
}

static void
test_most_attributes(void **state)
{
	char name[16];
	struct type_row row = ATTR(A, "wide", name, INT4);
	const struct type *t;

	(void)state;
	assert_int_equal(give_snapshot(&types, "5", true, &err), 0);
	for (int i = 0; i < 1600; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		assert_int_equal(give_type(&types, &row, &err), 0);
	}
	assert_int_equal(typecat_done(&types, &err), 0);
	t = assert_type(A, TYPE_RECORD, "wide");
	assert_int_equal(t->fields, 1600);
	assert_field(t, 0, "c0", INT4);
	assert_field(t, 1599, "c1599", INT4);
}

static void
test_dropped(void **state)
{
	struct type_row row = ATTR(A, "a", "x", INT4);

	(void)state;
	row.dropped = true;
	load_types(&types, &row, 1);
	assert_true(typecat_get(&types, A)->dropped);
	LOAD(&types, ATTR(A, "a", "x", INT4));
	assert_false(typecat_get(&types, A)->dropped);
}

static void
test_hstore(void **state)
{
	(void)state;
	LOAD(&types, HSTORE(A), ARRAY(B, A, "hstore[]"), DOMAIN(C, A, "tags"));
	assert_type(A, TYPE_HSTORE, "hstore");
	assert_int_equal(typecat_get(&types, B)->elem->form, TYPE_HSTORE);
	assert_int_equal(typecat_get(&types, C)->form, TYPE_HSTORE);
}

/* Domains */

static void
test_domains(void **state)
{
	(void)state;
	LOAD(&types, DOMAIN(A, B, "over.domain"), DOMAIN(B, INT4, "over.int"),
	    DOMAIN(C, 1007, "over.array"), ARRAY(1007, INT4, "integer[]"));
	assert_ptr_equal(typecat_get(&types, A), typecat_get(&types, INT4));
	assert_ptr_equal(typecat_get(&types, B), typecat_get(&types, INT4));
	assert_ptr_equal(typecat_get(&types, C), typecat_get(&types, 1007));
	assert_int_equal(typecat_self(&types, A)->form, TYPE_DOMAIN);
	assert_string_equal(typecat_self(&types, A)->name, "over.domain");
	assert_string_equal(typecat_self(&types, C)->name, "over.array");
}

static void
test_domains_in_others(void **state)
{
	const struct type *t;

	(void)state;
	LOAD(&types, ARRAY(A, B, "price[]"), DOMAIN(B, INT4, "price"),
	    ATTR(C, "item", "price", B), ATTR(C, "item", "prices", A),
	    DOMAIN(D, C, "good.item"));
	assert_ptr_equal(typecat_get(&types, A)->elem,
	    typecat_get(&types, INT4));
	t = typecat_get(&types, D);
	assert_int_equal(t->form, TYPE_RECORD);
	assert_field(t, 0, "price", B);
	assert_field(t, 1, "prices", A);
}

static void
test_domain_of_the_unknown(void **state)
{
	(void)state;
	LOAD(&types, DOMAIN(A, B, "lost"));
	assert_null(typecat_get(&types, A));
	assert_string_equal(typecat_self(&types, A)->name, "lost");
}

/* There are none, but a catalogue that is read while types change may show
 * some. */
static void
test_cycles_end(void **state)
{
	(void)state;
	LOAD(&types, DOMAIN(A, B, "a"), DOMAIN(B, A, "b"), DOMAIN(C, C, "c"),
	    ARRAY(D, A, "a[]"), ARRAY(20000, 20000, "self[]"),
	    ATTR(20001, "r", "x", C));
	assert_null(typecat_get(&types, A));
	assert_null(typecat_get(&types, B));
	assert_null(typecat_get(&types, C));
	assert_null(typecat_get(&types, D)->elem);
	assert_ptr_equal(typecat_get(&types, 20000)->elem,
	    typecat_get(&types, 20000));
	assert_null(typecat_get(&types, 20001)->field[0].type);
}

/* The longest chain of domains that all types can be is no cycle. */
static void
test_long_chain(void **state)
{
	static struct type_row rows[5000];

	(void)state;
	for (uint32_t i = 0; i < COUNT(rows); i++)
		rows[i] = (struct type_row)DOMAIN(A + i,
		    i == 0 ? INT4 : A + i - 1, "d");
	load_types(&types, rows, COUNT(rows));
	assert_ptr_equal(typecat_get(&types, A + COUNT(rows) - 1),
	    typecat_get(&types, INT4));
}

/* What is needed */

static void
test_need(void **state)
{
	(void)state;
	typecat_need(&types, A, 1);
	typecat_need(&types, A, 1);
	typecat_need(&types, B, 1);
	assert_true(typecat_needs(&types));
	assert_int_equal(types.needed_len, 2);
	for (uint32_t i = 0; i < 1000; i++)
		typecat_need(&types, 20000 + i, 1);
	assert_int_equal(types.needed_len, 1002);
	typecat_need_nothing(&types);
	assert_false(typecat_needs(&types));
}

/* What is not there any more is text, until it is. */
static void
test_needed_and_absent(void **state)
{
	const struct type *t;

	(void)state;
	typecat_need(&types, A, 1);
	typecat_need(&types, B, 1);
	LOAD(&types, BASE(B, "there"));
	t = assert_type(A, TYPE_TEXT, "???");
	assert_type(B, TYPE_TEXT, "there");
	typecat_need(&types, A, 1);
	LOAD(&types, ARRAY(A, INT4, "here[]"));
	assert_ptr_equal(assert_type(A, TYPE_ARRAY, "here[]"), t);
}

/* What was known and is absent stays what it was. */
static void
test_known_and_absent(void **state)
{
	const struct type *t;

	(void)state;
	LOAD(&types, ATTR(A, "a", "x", INT4));
	typecat_need(&types, A, 1);
	LOAD(&types, BASE(B, "b"));
	t = assert_type(A, TYPE_RECORD, "a");
	assert_int_equal(t->fields, 1);
	assert_field(t, 0, "x", INT4);
}

static void
test_forget(void **state)
{
	(void)state;
	LOAD(&types, BASE(A, "a"), ATTR(B, "b", "x", A));
	typecat_need(&types, C, 1);
	assert_int_equal(typecat_forget(&types), 0);
	assert_null(typecat_get(&types, A));
	assert_null(typecat_get(&types, B));
	assert_type(INT4, TYPE_NUMBER, "integer");
	assert_false(typecat_needs(&types));
}

/* Loads */

static void
test_reload_in_place(void **state)
{
	const struct type *a, *b;

	(void)state;
	LOAD(&types, ATTR(A, "a", "x", INT4), ATTR(A, "a", "y", INT4),
	    ARRAY(B, A, "a[]"));
	a = typecat_get(&types, A);
	b = typecat_get(&types, B);
	LOAD(&types, ATTR(A, "renamed", "z", TEXT));
	assert_ptr_equal(typecat_get(&types, A), a);
	assert_ptr_equal(b->elem, a);
	assert_string_equal(a->name, "renamed");
	assert_int_equal(a->fields, 1);
	assert_field(a, 0, "z", TEXT);
	LOAD(&types, ATTR(A, "a", "x", INT4), ATTR(A, "a", "y", B),
	    ATTR(A, "a", "z", TEXT));
	assert_int_equal(a->fields, 3);
	assert_field(a, 1, "y", B);
	LOAD(&types, RECORD(A, "a"));
	assert_int_equal(a->fields, 0);
	/* Even what it is may be another thing. */
	LOAD(&types, { .oid = A, .typtype = 'e', .name = "e" });
	assert_type(A, TYPE_TEXT, "e");
	LOAD(&types, DOMAIN(A, INT4, "d"));
	assert_ptr_equal(typecat_get(&types, A), typecat_get(&types, INT4));
	LOAD(&types, BASE(C, "c"));
	assert_int_equal(b->elem->form, TYPE_NUMBER);
}

/* As long as the transaction is not over for the load, it was too early. */
static void
test_too_early(void **state)
{
	static const struct type_row row = BASE(A, "a");

	(void)state;
	typecat_need(&types, A, 741);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(give_snapshot(&types, "741", false, &err), 0);
		assert_int_equal(typecat_done(&types, &err), 1);
		assert_true(typecat_needs(&types));
		assert_null(typecat_get(&types, A));
		assert_false(typecat_fresh(&types, 741));
	}
	assert_int_equal(give_snapshot(&types, "742", true, &err), 0);
	assert_int_equal(give_type(&types, &row, &err), 0);
	assert_int_equal(typecat_done(&types, &err), 0);
	assert_false(typecat_needs(&types));
	assert_true(typecat_fresh(&types, 741));
	assert_type(A, TYPE_TEXT, "a");
}

/* Transaction numbers are compared as PostgreSQL does, modulo 2^32; those of
 * snapshots are wider. */
static void
test_fresh(void **state)
{
	static const struct {
		const char *xmin;
		uint32_t xid;
		bool fresh;
	} rows[] = {
		{ "1000", 999, true },
		{ "1000", 1000, false },
		{ "1000", 1001, false },
		{ "1000", 4294967295, true },
		{ "4294967295", 3, false },
		{ "4294968296", 999, true }, /* 2^32 + 1000 */
		{ "4294968296", 1000, false },
		{ "18446744073709551615", 4294967294, true },
		{ "18446744073709551615", 4294967295, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(give_snapshot(&types, rows[i].xmin, true,
				     &err),
		    0);
		assert_int_equal(typecat_done(&types, &err), 0);
		if (typecat_fresh(&types, rows[i].xid) != rows[i].fresh)
			fail_msg("xmin %s, xid %u", rows[i].xmin, rows[i].xid);
	}
}

static void
test_malformed_rows(void **state)
{
	static const struct type_row none = BASE(0, "no OID");
	struct buf b;

	(void)state;
	assert_int_equal(give_type(&types, &none, &err), -1);
	assert_int_equal(err.kind, ERR_PROTO);
	for (uint16_t n = 0; n <= 12; n++) {
		buf_init(&b, 4096);
		buf_put_u16(&b, n);
		for (uint16_t i = 0; i < n; i++)
			put_cell(&b, n == 9 ? NULL : "1");
		memset(&err, 0, sizeof(err));
		assert_int_equal(give_row(&types, &b, &err), n == 2 ? 0 : -1);
		assert_int_equal(err.kind, n == 2 ? ERR_NONE : ERR_PROTO);
	}
}

/* A delimiter that is no character of its own would cut others in two. */
static void
test_odd_delimiter(void **state)
{
	(void)state;
	LOAD(&types,
	    { .oid = A, .typtype = 'b', .name = "odd", .delim = (char)0xa9 });
	assert_int_equal(typecat_get(&types, A)->delim, ',');
}

/* A name that no server makes is cut, and an empty delimiter is none. */
static void
test_odd_names(void **state)
{
	char name[3000];
	struct type_row row = BASE(A, name);

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	load_types(&types, &row, 1);
	assert_int_equal(strlen(typecat_get(&types, A)->name), 1023);
	LOAD(&types, BASE(A, ""));
	assert_type(A, TYPE_TEXT, "");
}

/* The query */

static size_t
count(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what)) != NULL) {
		text += strlen(what);
		n++;
	}
	return n;
}

static void
test_ask(void **state)
{
	struct buf sql;
	const char *text;

	(void)state;
	buf_init(&sql, 65536);
	typecat_ask(&types, &sql);
	text = buf_cstr(&sql);
	assert_int_equal(count(text, "VALUES"), 0);
	assert_int_equal(count(text, "("), count(text, ")"));
	buf_reset(&sql);
	typecat_need(&types, A, 741);
	typecat_need(&types, UINT32_MAX, 741);
	typecat_ask(&types, &sql);
	text = buf_cstr(&sql);
	assert_non_null(
	    strstr(text, "VALUES (oid '16400'), (oid '4294967295') UNION"));
	assert_non_null(strstr(text, "741"));
	assert_int_equal(count(text, "("), count(text, ")"));
	assert_int_equal(count(text, "'") % 2, 0);
	buf_free(&sql);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_builtin),
		TEST(test_builtin_read_again),
		TEST(test_other_types),
		TEST(test_arrays),
		TEST(test_array_of_the_unknown),
		TEST(test_vectors),
		TEST(test_records),
		TEST(test_record_of_the_unknown),
		TEST(test_most_attributes),
		TEST(test_dropped),
		TEST(test_hstore),
		TEST(test_domains),
		TEST(test_domains_in_others),
		TEST(test_domain_of_the_unknown),
		TEST(test_cycles_end),
		TEST(test_long_chain),
		TEST(test_need),
		TEST(test_needed_and_absent),
		TEST(test_known_and_absent),
		TEST(test_forget),
		TEST(test_reload_in_place),
		TEST(test_too_early),
		TEST(test_fresh),
		TEST(test_malformed_rows),
		TEST(test_odd_delimiter),
		TEST(test_odd_names),
		TEST(test_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
