#include "event/value.h"

#include <string.h>

#include "event/json.h"
#include "event/literal.h"

/* PostgreSQL's MAXDIM. */
#define MAX_DIMENSIONS 6
/* Each level of composites doubles the quotes of the next: PostgreSQL's own
 * limit of 1 GB ends that sooner. */
#define MAX_DEPTH 40

/* Where values go, and how. */
struct out {
	struct buf *json;
	bool fresh;
	int depth; /* containers around this */
};

static bool put(struct out *o, const struct type *t, char *text, size_t len);

static bool
put_bool(struct buf *json, const char *text, size_t len)
{
	if (len != 1 || (*text != 't' && *text != 'f'))
		return false;
	buf_put(json, *text == 't' ? "true" : "false", *text == 't' ? 4 : 5);
	return true;
}

/* NaN and the infinities are no JSON numbers: they are quoted. */
static void
put_number(struct buf *json, const char *text, size_t len)
{
	if (json_is_number(text, len))
		buf_put(json, text, len);
	else
		json_put_string(json, text, len);
}

/* What a timestamp is made of. */
static const bool of_timestamp[256] = { ['0'] = true,
	['1'] = true,
	['2'] = true,
	['3'] = true,
	['4'] = true,
	['5'] = true,
	['6'] = true,
	['7'] = true,
	['8'] = true,
	['9'] = true,
	['-'] = true,
	['+'] = true,
	[':'] = true,
	['.'] = true,
	[' '] = true,
	['B'] = true,
	['C'] = true };

/* "2026-01-31 12:00:00+00 BC" becomes "2026-01-31T12:00:00+00:00 BC": a T, and
 * minutes on an offset that has none. "infinity" stays as it is. */
static bool
put_timestamp(struct buf *json, const char *text, size_t len)
{
	const char *space = memchr(text, ' ', len), *end = text + len, *p;
	bool all = true;

	if (space == NULL) {
		json_put_string(json, text, len);
		return true;
	}
	for (p = text; p < end; p++)
		all &= of_timestamp[(uint8_t)*p];
	if (!all)
		return false;
	buf_put_u8(json, '"');
	buf_put(json, text, (size_t)(space - text));
	buf_put_u8(json, 'T');
	p = memchr(space + 1, ' ', (size_t)(end - space - 1));
	if (p == NULL)
		p = end;
	buf_put(json, space + 1, (size_t)(p - space - 1));
	if (p - space > 3 && (p[-3] == '+' || p[-3] == '-'))
		buf_put_str(json, ":00");
	buf_put(json, p, (size_t)(end - p));
	buf_put_u8(json, '"');
	return true;
}

static bool
put_item(struct out *o, const struct type *t, const struct literal_item *item)
{
	if (item->p != NULL)
		return put(o, t, item->p, item->len);
	buf_put_str(o->json, "null");
	return true;
}

/* An element, or the beginning of an inner array, which may be empty only as a
 * whole. *level: braces that are open. */
static bool
put_element(struct out *o, const struct type *t, struct literal *l, int *level)
{
	struct literal_item item;

	while (literal_skip(l, '{')) {
		if (++*level > MAX_DIMENSIONS)
			return false;
		buf_put_u8(o->json, '[');
		if (l->p < l->end && *l->p == '}')
			return *level == 1;
	}
	return *level > 0 && literal_element(l, t->delim, &item) &&
	    put_item(o, t, &item);
}

static bool
put_array(struct out *o, const struct type *t, char *text, size_t len)
{
	struct literal l = { text, text + len };
	int level = 0;

	if (t->elem == NULL || !literal_bounds(&l))
		return false;
	do {
		if (level > 0)
			buf_put_u8(o->json, ',');
		if (!put_element(o, t->elem, &l, &level))
			return false;
		for (; level > 0 && literal_skip(&l, '}'); level--)
			buf_put_u8(o->json, ']');
	} while (level > 0 && literal_skip(&l, t->elem->delim));
	return level == 0 && l.p == l.end;
}

/* "1 2 3" */
static bool
put_vector(struct out *o, const struct type *t, char *text, size_t len)
{
	char *end = text + len, *blank;
	char sep = '[';

	if (t->elem == NULL)
		return false;
	for (; text < end; text = blank + (blank < end)) {
		if ((blank = memchr(text, ' ', (size_t)(end - text))) == NULL)
			blank = end;
		buf_put_u8(o->json, (uint8_t)sep);
		if (!put(o, t->elem, text, (size_t)(blank - text)))
			return false;
		sep = ',';
	}
	buf_put_str(o->json, sep == '[' ? "[]" : "]");
	return true;
}

/* Does a record that ends behind n attributes have all there were? */
static bool
is_whole(const struct out *o, const struct type *t, uint16_t n)
{
	return n == t->fields || (n > 0 && o->fresh && !t->dropped);
}

static bool
put_record(struct out *o, const struct type *t, char *text, size_t len)
{
	struct literal l = { text, text + len };
	struct literal_item item;
	uint16_t i;

	if (!literal_skip(&l, '('))
		return false;
	buf_put_u8(o->json, '{');
	for (i = 0; i < t->fields; i++) {
		if (i > 0 && !literal_skip(&l, ','))
			break;
		if (i > 0)
			buf_put_u8(o->json, ',');
		json_put_string(o->json, t->field[i].name,
		    strlen(t->field[i].name));
		buf_put_u8(o->json, ':');
		if (t->field[i].type == NULL || !literal_attribute(&l, &item) ||
		    !put_item(o, t->field[i].type, &item))
			return false;
	}
	buf_put_u8(o->json, '}');
	return is_whole(o, t, i) && literal_skip(&l, ')') && l.p == l.end;
}

/* As hstore_to_json: every value is a string, and blanks are put in. */
static bool
put_hstore(struct buf *json, char *text, size_t len)
{
	struct literal l = { text, text + len };
	struct literal_item key, value;

	buf_put_u8(json, '{');
	while (l.p < l.end) {
		if (l.p > text &&
		    (!literal_skip(&l, ',') || !literal_skip(&l, ' ')))
			return false;
		if (l.p > text)
			buf_put_str(json, ", ");
		if (!literal_hstore(&l, &key) || key.p == NULL ||
		    !literal_skip(&l, '=') || !literal_skip(&l, '>') ||
		    !literal_hstore(&l, &value))
			return false;
		json_put_string(json, key.p, key.len);
		buf_put_str(json, ": ");
		if (value.p == NULL)
			buf_put_str(json, "null");
		else
			json_put_string(json, value.p, value.len);
	}
	buf_put_u8(json, '}');
	return true;
}

/* Writes into text where it undoes the quoting of a container's items. */
static bool
put_container(struct out *o, const struct type *t, char *text, size_t len)
{
	bool ok;

	if (o->depth == MAX_DEPTH)
		return false;
	o->depth++;
	ok = t->form == TYPE_ARRAY   ? put_array(o, t, text, len)
	    : t->form == TYPE_VECTOR ? put_vector(o, t, text, len)
	    : t->form == TYPE_RECORD ? put_record(o, t, text, len)
				     : put_hstore(o->json, text, len);
	o->depth--;
	return ok;
}

static bool
put(struct out *o, const struct type *t, char *text, size_t len)
{
	switch (t->form) {
	case TYPE_BOOL:
		return put_bool(o->json, text, len);
	case TYPE_NUMBER:
		put_number(o->json, text, len);
		return true;
	case TYPE_TIMESTAMP:
		return put_timestamp(o->json, text, len);
	case TYPE_JSON:
		buf_put(o->json, text, len);
		return true;
	case TYPE_ARRAY:
	case TYPE_VECTOR:
	case TYPE_RECORD:
	case TYPE_HSTORE:
		return put_container(o, t, text, len);
	case TYPE_TEXT:
	case TYPE_DOMAIN:
		break;
	}
	json_put_string(o->json, text, len);
	return true;
}

static bool
is_container(const struct type *t)
{
	return t->form >= TYPE_ARRAY && t->form <= TYPE_HSTORE;
}

bool
value_put(struct buf *json, const struct type *t, const char *text, size_t len,
    bool fresh, struct buf *scratch)
{
	struct out out = { json, fresh, 0 };
	size_t before = buf_unread(json);
	union {
		const char *c;
		char *v;
	} at = { text }; /* only containers are written into */

	if (is_container(t) && len > 0) {
		buf_reset(scratch);
		buf_put(scratch, text, len);
		if (scratch->failed) {
			json->failed = true;
			return true;
		}
		at.v = (char *)scratch->data + scratch->off;
	}
	if (put(&out, t, at.v, len))
		return true;
	buf_truncate(json, before);
	json_put_string(json, text, len);
	return false;
}
