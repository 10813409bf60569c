#ifndef TESTS_TYPES_H
#define TESTS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pg/typecat.h"

/*
 * A type as a few characters, so that an input can begin with one: a letter,
 * and behind it the types that it is made of. Any bytes are a type.
 *
 *	b n s j h t	boolean, number, timestamp, json, hstore, text
 *	v o		int2vector, oidvector
 *	A type		array
 *	R digit type...	composite, of so many attributes
 *	D digit type...	composite that has lost one besides
 *	; type		the same, with a semicolon between elements, as box has
 *	?		not in the catalogue; but at the top, a text
 *
 * "An{1,2}" is an array of numbers and its text.
 */
#define TYPES_MAX 32
#define TYPES_FIELDS 8

#define TYPES_JSON_OID 114

struct types {
	struct type type[TYPES_MAX];
	struct type_field field[TYPES_MAX][TYPES_FIELDS];
	size_t n;
	enum type_form json; /* what a json is to be */
	bool has_json, has_unknown;
};

static inline struct type *
types_add(struct types *ts, enum type_form form)
{
	struct type *t = &ts->type[ts->n++];

	*t = (struct type){ .form = form, .delim = ',' };
	return t;
}

static inline const struct type *
types_read(struct types *ts, const uint8_t **p, const uint8_t *end);

static inline const struct type *
types_read_record(struct types *ts, bool dropped, const uint8_t **p,
    const uint8_t *end)
{
	static char *name[TYPES_FIELDS] = { "a", "", "q\"uo\\te", "\xc3\xa9",
		"a b", "a", "\t", "\x01" };
	struct type *t = types_add(ts, TYPE_RECORD);

	t->dropped = dropped;
	t->field = ts->field[t - ts->type];
	if (*p < end)
		t->fields = *(*p)++ % TYPES_FIELDS;
	for (uint16_t i = 0; i < t->fields; i++)
		t->field[i] =
		    (struct type_field){ name[i], 0, types_read(ts, p, end) };
	return t;
}

/* A scalar. */
static inline enum type_form
types_form(char letter, enum type_form json)
{
	switch (letter) {
	case 'b':
		return TYPE_BOOL;
	case 'n':
		return TYPE_NUMBER;
	case 's':
		return TYPE_TIMESTAMP;
	case 'j':
		return json;
	case 'h':
		return TYPE_HSTORE;
	case 'v':
	case 'o':
		return TYPE_VECTOR;
	default:
		return TYPE_TEXT;
	}
}

/* The type that stands at p, which is passed over; or NULL, which the top must
 * not be. */
static inline const struct type *
types_read(struct types *ts, const uint8_t **p, const uint8_t *end)
{
	static const struct type text = { .delim = ',' };
	static const struct type number = { .form = TYPE_NUMBER, .delim = ',' };
	const struct type *of;
	struct type *t;
	char letter;

	if (*p == end || ts->n == TYPES_MAX)
		return &text;
	letter = (char)*(*p)++;
	if (letter == 'R' || letter == 'D')
		return types_read_record(ts, letter == 'D', p, end);
	t = types_add(ts, types_form(letter, ts->json));
	if (letter == 'v' || letter == 'o')
		t->elem = letter == 'v' ? &number : &text;
	if (letter == 'j') {
		t->oid = TYPES_JSON_OID;
		ts->has_json = true;
	}
	if (letter == 'A') {
		t->form = TYPE_ARRAY;
		t->elem = types_read(ts, p, end);
	}
	if (letter == ';' && (of = types_read(ts, p, end)) != NULL) {
		*t = *of;
		t->delim = ';';
	}
	ts->has_unknown |= letter == '?';
	return letter == '?' ? NULL : t;
}

/* Reads the type that an input begins with. json: TYPE_JSON, or TYPE_TEXT to
 * have a type of the same shape whose every json is a string. */
static inline const struct type *
types_begin(struct types *ts, enum type_form json, const uint8_t **p,
    const uint8_t *end)
{
	static const struct type text = { .delim = ',' };
	const struct type *t;

	ts->n = 0;
	ts->json = json;
	ts->has_json = ts->has_unknown = false;
	t = types_read(ts, p, end);
	return t == NULL ? &text : t;
}

#endif
