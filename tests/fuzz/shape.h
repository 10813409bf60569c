#ifndef TESTS_SHAPE_H
#define TESTS_SHAPE_H

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "strict.h"
#include "types.h"

/*
 * Has a JSON text the shape that a value of some type must have: arrays for
 * arrays, objects with the attributes' names in their order for composites, and
 * strings for strings? Told by the judge what is in the text; a callback that
 * returns 0 says no.
 */
#define SHAPE_DEPTH 256
#define SHAPE_DIMENSIONS 6

struct shape {
	struct shape_frame {
		const struct type *of; /* what is open; NULL: of any shape */
		uint16_t seen;         /* keys of a composite */
		int dimension;         /* of an array */
	} frame[SHAPE_DEPTH];
	int depth;
	const struct type *top;
	bool fresh;    /* the last attributes may be missing (value.h) */
	bool json_bad; /* a string that may be in place of a json is none */
};

static const struct type shape_text;

/* What comes next; NULL: anything. */
static inline const struct type *
shape_next(const struct shape *s)
{
	const struct shape_frame *f;

	if (s->depth == 0)
		return s->top;
	f = &s->frame[s->depth - 1];
	if (f->of == NULL)
		return NULL;
	if (f->of->form == TYPE_RECORD)
		return f->of->field[f->seen - 1].type;
	return f->of->form == TYPE_HSTORE ? &shape_text : f->of->elem;
}

static inline int
shape_push(struct shape *s, const struct type *of, int dimension)
{
	assert(s->depth < SHAPE_DEPTH);
	s->frame[s->depth++] = (struct shape_frame){ of, 0, dimension };
	return 1;
}

static inline int
shape_null(void *arg)
{
	const struct shape *s = arg;

	return s->depth > 0; /* a value itself is not NULL here */
}

static inline int
shape_boolean(void *arg, int value)
{
	const struct type *t = shape_next(arg);

	(void)value;
	return t == NULL || t->form == TYPE_BOOL;
}

static inline int
shape_number(void *arg, const char *p, size_t n)
{
	const struct type *t = shape_next(arg);

	(void)p;
	(void)n;
	return t == NULL || t->form == TYPE_NUMBER;
}

static inline int
shape_string(void *arg, const unsigned char *p, size_t n)
{
	struct shape *s = arg;
	const struct type *t = shape_next(s);

	/* where it is not known what it is, it may have been a json */
	if ((t == NULL || t->oid == TYPES_JSON_OID) &&
	    !strict_json((const char *)p, n, NULL, NULL))
		s->json_bad = true;
	return t == NULL || t->form == TYPE_TEXT || t->form == TYPE_NUMBER ||
	    t->form == TYPE_TIMESTAMP;
}

static inline int
shape_start_map(void *arg)
{
	const struct type *t = shape_next(arg);

	return (t == NULL || t->form == TYPE_RECORD ||
		   t->form == TYPE_HSTORE) &&
	    shape_push(arg, t, 0);
}

static inline int
shape_map_key(void *arg, const unsigned char *p, size_t n)
{
	struct shape *s = arg;
	struct shape_frame *f = &s->frame[s->depth - 1];
	const char *name;

	if (f->of == NULL || f->of->form == TYPE_HSTORE)
		return 1;
	if (f->seen == f->of->fields)
		return 0;
	name = f->of->field[f->seen++].name;
	return strlen(name) == n && memcmp(name, p, n) == 0;
}

static inline int
shape_end_map(void *arg)
{
	struct shape *s = arg;
	const struct shape_frame *f = &s->frame[--s->depth];

	return f->of == NULL || f->of->form != TYPE_RECORD ||
	    f->seen == f->of->fields ||
	    (s->fresh && !f->of->dropped && f->seen > 0);
}

/* In an array the next dimension of it, or an element that is printed as an
 * array: where both can be, what is inside is not looked at. */
static inline int
shape_start_array(void *arg)
{
	struct shape *s = arg;
	const struct shape_frame *f;
	const struct type *t = shape_next(s);
	bool list =
	    t == NULL || t->form == TYPE_ARRAY || t->form == TYPE_VECTOR;

	if (s->depth > 0) {
		f = &s->frame[s->depth - 1];
		if (f->of != NULL && f->of->form == TYPE_ARRAY && list)
			return shape_push(s, NULL, 0);
		if (f->of != NULL && f->of->form == TYPE_ARRAY)
			return f->dimension < SHAPE_DIMENSIONS &&
			    shape_push(s, f->of, f->dimension + 1);
	}
	return list && shape_push(s, t, 1);
}

static inline int
shape_end_array(void *arg)
{
	struct shape *s = arg;

	s->depth--;
	return 1;
}

static const yajl_callbacks shape_callbacks = {
	.yajl_null = shape_null,
	.yajl_boolean = shape_boolean,
	.yajl_number = shape_number,
	.yajl_string = shape_string,
	.yajl_start_map = shape_start_map,
	.yajl_map_key = shape_map_key,
	.yajl_end_map = shape_end_map,
	.yajl_start_array = shape_start_array,
	.yajl_end_array = shape_end_array,
};

/* Is it JSON, of the shape that s->top has? s->json_bad then: with every json
 * put in as a string, one of them is no JSON. */
static inline bool
shape_fits(struct shape *s, const char *p, size_t n)
{
	return strict_json(p, n, &shape_callbacks, s);
}

#endif
