#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "pg/relation.h"

#define MANY 10000

static struct relation_cache cache;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	relation_cache_init(&cache);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	relation_cache_free(&cache);
	return 0;
}

/* Puts a table of n columns whose names hold what `mark` is. All it is made
 * of is overwritten before it returns: the cache must have copied. */
static void
put(uint32_t oid, uint16_t n, int mark)
{
	char schema[32], name[32], column[8][32];
	struct pgo_attr attr[8];
	struct pgo_relation msg = { oid, schema, name, 'f', n, attr };
	struct relation *r;

	snprintf(schema, sizeof(schema), "schema%d", mark);
	snprintf(name, sizeof(name), "table%d", mark);
	for (int i = 0; i < n; i++) {
		snprintf(column[i], sizeof(column[i]), "c%d.%d", mark, i);
		attr[i] = (struct pgo_attr){ i % 2 == 0, column[i],
			(uint32_t)(mark + i), -i };
	}
	r = relation_cache_put(&cache, &msg, &err);
	assert_non_null(r);
	assert_ptr_equal(r, relation_cache_get(&cache, oid));
	assert_int_equal(r->tag, 0);
	r->tag = (uint32_t)mark;
	memset(schema, '#', sizeof(schema));
	memset(name, '#', sizeof(name));
	memset(column, '#', sizeof(column));
	memset(attr, '#', sizeof(attr));
}

static void
assert_held(uint32_t oid, uint16_t n, int mark)
{
	const struct relation *r = relation_cache_get(&cache, oid);
	char text[32];

	assert_non_null(r);
	assert_int_equal(r->oid, oid);
	assert_int_equal(r->tag, (uint32_t)mark);
	assert_int_equal(r->identity, 'f');
	assert_int_equal(r->n, n);
	snprintf(text, sizeof(text), "schema%d", mark);
	assert_string_equal(r->schema, text);
	snprintf(text, sizeof(text), "table%d", mark);
	assert_string_equal(r->name, text);
	for (int i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "c%d.%d", mark, i);
		assert_string_equal(r->col[i].name, text);
		assert_int_equal(r->col[i].type_oid, (uint32_t)(mark + i));
		assert_int_equal(r->col[i].typmod, -i);
		assert_int_equal(r->col[i].key, i % 2 == 0);
		assert_null(r->col[i].type);
	}
}

static void
test_empty(void **state)
{
	(void)state;
	assert_null(relation_cache_get(&cache, 0));
	assert_null(relation_cache_get(&cache, 16385));
}

static void
test_put_and_get(void **state)
{
	(void)state;
	put(16385, 3, 1);
	put(0, 0, 2);
	put(UINT32_MAX, 8, 3);
	assert_held(16385, 3, 1);
	assert_held(0, 0, 2);
	assert_held(UINT32_MAX, 8, 3);
	assert_null(relation_cache_get(&cache, 16384));
	assert_null(relation_cache_get(&cache, 16386));
	assert_null(relation_cache_get(&cache, 1));
}

/* What comes later counts, with more columns or with fewer. */
static void
test_replace(void **state)
{
	static const uint16_t columns[] = { 2, 8, 0, 1, 8, 8 };
	size_t used;

	(void)state;
	put(7, 1, 70);
	put(8, 1, 80);
	used = cache.map.used;
	for (int i = 0; i < 6; i++) {
		put(8, columns[i], i);
		assert_held(8, columns[i], i);
		assert_held(7, 1, 70);
		assert_int_equal(cache.map.used, used);
	}
}

/* OIDs that are all over, that follow each other, and that differ only in
 * their high bits. */
static const uint32_t strides[] = { 1, 3, 64, 65536, 429496, 2654435761 };

static void
fill(uint32_t stride)
{
	for (uint32_t i = 1; i <= MANY; i++)
		put(i * stride, i % 4, (int)i);
}

static void
test_many(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(strides) / sizeof(strides[0]); k++) {
		fill(strides[k]);
		assert_int_equal(cache.map.used, MANY);
		for (uint32_t i = 1; i <= MANY; i++)
			assert_held(i * strides[k], i % 4, (int)i);
		assert_null(relation_cache_get(&cache, 0));
		assert_null(
		    relation_cache_get(&cache, (MANY + 1) * strides[k]));
		relation_cache_free(&cache);
		assert_null(relation_cache_get(&cache, strides[k]));
	}
}

static void
test_replace_many(void **state)
{
	(void)state;
	fill(1);
	for (uint32_t i = 1; i <= MANY; i += 2)
		put(i, 5, -(int)i);
	assert_int_equal(cache.map.used, MANY);
	for (uint32_t i = 1; i <= MANY; i++) {
		if (i % 2 == 1)
			assert_held(i, 5, -(int)i);
		else
			assert_held(i, i % 4, (int)i);
	}
}

/* Replacing does not grow what nothing was added to. */
static void
test_replace_for_ever(void **state)
{
	size_t cap;

	(void)state;
	put(1, 1, 1);
	cap = cache.map.cap;
	for (int i = 0; i < MANY; i++)
		put(1, 1, i);
	assert_int_equal(cache.map.cap, cap);
	assert_held(1, 1, MANY - 1);
}

static void
test_free_and_reuse(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++) {
		put(16385, 2, round);
		assert_held(16385, 2, round);
		relation_cache_free(&cache);
		assert_null(relation_cache_get(&cache, 16385));
		relation_cache_free(&cache);
	}
}

static void
test_most_columns(void **state)
{
	static struct pgo_attr attr[PGO_MAX_COLUMNS];
	struct pgo_relation msg = { 1, "", "", 'n', PGO_MAX_COLUMNS, attr };
	const struct relation *r;

	(void)state;
	for (uint32_t i = 0; i < PGO_MAX_COLUMNS; i++)
		attr[i] =
		    (struct pgo_attr){ false, i % 2 ? "" : "column", i, -1 };
	assert_non_null(relation_cache_put(&cache, &msg, &err));
	r = relation_cache_get(&cache, 1);
	assert_non_null(r);
	assert_int_equal(r->identity, 'n');
	assert_string_equal(r->schema, "");
	assert_int_equal(r->n, PGO_MAX_COLUMNS);
	for (uint32_t i = 0; i < PGO_MAX_COLUMNS; i++) {
		assert_string_equal(r->col[i].name, i % 2 ? "" : "column");
		assert_int_equal(r->col[i].type_oid, i);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_empty),
		TEST(test_put_and_get),
		TEST(test_replace),
		TEST(test_many),
		TEST(test_replace_many),
		TEST(test_replace_for_ever),
		TEST(test_free_and_reuse),
		TEST(test_most_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
