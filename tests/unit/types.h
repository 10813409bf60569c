#ifndef TESTS_TYPES_H
#define TESTS_TYPES_H

#include <stdio.h>
#include <string.h>

#include "guard.h"
#include "pg/typecat.h"

/* Rows for the type catalogue, as the server answers typecat_ask. cmocka.h
 * comes before. */

/* A type or, with an attribute, one row of a composite type. */
struct type_row {
	uint32_t oid;
	char typtype;
	uint32_t of_oid; /* of an array: its element; of a domain: its base */
	const char *name;
	const char *attribute; /* NULL: none */
	uint32_t attribute_oid;
	char delim; /* 0: a comma */
	bool hstore, dropped;
};

static inline void
put_cell(struct buf *b, const char *text)
{
	buf_put_u32(b, text == NULL ? UINT32_MAX : (uint32_t)strlen(text));
	if (text != NULL)
		buf_put_str(b, text);
}

static inline void
put_number_cell(struct buf *b, uint32_t n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	put_cell(b, text);
}

/* Gives the DataRow that was built; it ends at a guard page. */
static inline int
give_row(struct typecat *tc, struct buf *b, struct err *err)
{
	uint8_t *p = guard_copy(buf_head(b), buf_unread(b));
	struct wire_msg msg = { PQ_DATA_ROW, p, buf_unread(b) };
	struct wire_row row;
	int rc;

	assert_false(b->failed);
	assert_int_equal(wire_row(&msg, &row, err), 0);
	rc = typecat_row(tc, &row, err);
	guard_free(p, buf_unread(b));
	buf_free(b);
	return rc;
}

static inline int
give_snapshot(struct typecat *tc, const char *xmin, bool visible,
    struct err *err)
{
	struct buf b;

	buf_init(&b, 4096);
	buf_put_u16(&b, 2);
	put_cell(&b, xmin);
	put_cell(&b, visible ? "t" : "f");
	return give_row(tc, &b, err);
}

static inline int
give_type(struct typecat *tc, const struct type_row *r, struct err *err)
{
	const char delim[] = { r->delim == 0 ? ',' : r->delim, '\0' };
	const char typtype[] = { r->typtype, '\0' };
	struct buf b;

	buf_init(&b, 65536);
	buf_put_u16(&b, 9);
	put_number_cell(&b, r->oid);
	put_cell(&b, r->name);
	put_cell(&b, delim);
	put_cell(&b, typtype);
	put_number_cell(&b, r->of_oid);
	put_cell(&b, r->hstore ? "t" : "f");
	put_cell(&b, r->dropped ? "t" : "f");
	put_cell(&b, r->attribute);
	if (r->attribute == NULL)
		put_cell(&b, NULL);
	else
		put_number_cell(&b, r->attribute_oid);
	return give_row(tc, &b, err);
}

/* A whole load, which sees everything. */
static inline void
load_types(struct typecat *tc, const struct type_row *rows, size_t n)
{
	struct err err;

	assert_int_equal(give_snapshot(tc, "5", true, &err), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(give_type(tc, &rows[i], &err), 0);
	assert_int_equal(typecat_done(tc, &err), 0);
	assert_false(typecat_needs(tc));
}

/* What a row says that is not said here is nothing. */
#define BASE(o, n) { .oid = o, .typtype = 'b', .name = n }
#define ARRAY(o, of, n) { .oid = o, .typtype = 'b', .of_oid = of, .name = n }
#define DOMAIN(o, of, n) { .oid = o, .typtype = 'd', .of_oid = of, .name = n }
#define HSTORE(o) { .oid = o, .typtype = 'b', .name = "hstore", .hstore = true }
/* A composite type takes a row for each attribute; without any, it has one. */
#define RECORD(o, n) { .oid = o, .typtype = 'c', .name = n }
#define ATTR(o, n, a, of)       \
	{ .oid = o,             \
		.typtype = 'c', \
		.name = n,      \
		.attribute = a, \
		.attribute_oid = of }

/* LOAD(&types, DOMAIN(16400, 23, "price")): a load of these rows. */
#define LOAD(tc, ...)                                            \
	load_types(tc, (const struct type_row[]){ __VA_ARGS__ }, \
	    sizeof((const struct type_row[]){ __VA_ARGS__ }) /   \
		sizeof(struct type_row))

#endif
