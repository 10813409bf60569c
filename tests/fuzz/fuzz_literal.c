#include <ctype.h>
#include <stdbool.h>
#include <strings.h>

#include "base/buf.h"
#include "event/json.h"
#include "event/value.h"
#include "fuzz.h"
#include "types.h"

/*
 * There and back: a type (types.h), and behind it bytes by which a value of it
 * is made up; "~" in front of it: the type has just been read. The value is
 * written as PostgreSQL writes its text (array_out, record_out, hstore_out) and
 * as the JSON that row_to_json makes of it; of the first, value_put has to make
 * the second.
 */

#define ROOM ((size_t)1 << 12)

struct maker {
	const uint8_t *p, *end;
	bool fresh; /* values may be older than their types (value.h) */
};

/* A value in both its forms. */
struct made {
	struct buf text, json;
};

static void make(struct maker *m, const struct type *t, struct made *to);

/* A number below n from the next byte; 0 when there is none. */
static unsigned
choose(struct maker *m, unsigned n)
{
	return m->p == m->end ? 0 : *m->p++ % n;
}

static void
made_init(struct made *to)
{
	buf_init(&to->text, ROOM);
	buf_init(&to->json, ROOM);
}

static bool
made_failed(const struct made *to)
{
	return to->text.failed || to->json.failed;
}

static void
made_free(struct made *to)
{
	buf_free(&to->text);
	buf_free(&to->json);
}

/* The JSON of a part whose text has been put in, and which is freed. */
static void
put_part(struct made *to, struct made *part)
{
	buf_put(&to->json, buf_head(&part->json), buf_unread(&part->json));
	to->text.failed |= made_failed(part);
	made_free(part);
}

/* The same in both. */
static void
put_both(struct made *to, const char *s)
{
	buf_put_str(&to->text, s);
	buf_put_str(&to->json, s);
}

/* s as it is, and as a JSON string. */
static void
put_string(struct made *to, const char *s, size_t n)
{
	buf_put(&to->text, s, n);
	json_put_string(&to->json, s, n);
}

static void
make_text(struct maker *m, struct made *to)
{
	size_t n = choose(m, 16);
	char s[16];

	if (n > (size_t)(m->end - m->p))
		n = (size_t)(m->end - m->p);
	memcpy(s, m->p, n);
	m->p += n;
	for (size_t i = 0; i < n; i++)
		if (s[i] == '\0') /* which no text of PostgreSQL's has */
			s[i] = '0';
	fuzz_mend(s, n);
	put_string(to, s, n);
}

static void
make_number(struct maker *m, struct made *to)
{
	static const char *const plain[] = { "0", "-1", "1.50", "1e-30",
		"-1.5e+300", "123456789012345678901234567890" };
	static const char *const other[] = { "NaN", "Infinity", "-Infinity" };
	unsigned n = choose(m, 9);

	if (n < 6)
		put_both(to, plain[n]);
	else
		put_string(to, other[n - 6], strlen(other[n - 6]));
}

static void
make_timestamp(struct maker *m, struct made *to)
{
	static const char *const as[][2] = {
		{ "infinity", "\"infinity\"" },
		{ "2024-02-29 12:34:56", "\"2024-02-29T12:34:56\"" },
		{ "2024-02-29 12:34:56.000001+00",
		    "\"2024-02-29T12:34:56.000001+00:00\"" },
		{ "0044-03-15 01:02:03-05:30 BC",
		    "\"0044-03-15T01:02:03-05:30 BC\"" },
		{ "0044-03-15 01:02:03 BC", "\"0044-03-15T01:02:03 BC\"" },
		{ "294276-12-31 23:59:59.5-08 BC",
		    "\"294276-12-31T23:59:59.5-08:00 BC\"" },
	};
	unsigned n = choose(m, 6);

	buf_put_str(&to->text, as[n][0]);
	buf_put_str(&to->json, as[n][1]);
}

static void
make_json(struct maker *m, struct made *to)
{
	static const char *const some[] = { "null", "1.10", "\"\"", "[]",
		"{\"a\": [1, {\"b\\\"\\\\\": null}], \"\": \"x\\u0041\"}",
		" [ \"a\",\n\t\"{}\" ] ", "\"NULL\"", "true" };

	put_both(to, some[choose(m, 8)]);
}

static void
make_vector(struct maker *m, const struct type *t, struct made *to)
{
	buf_put_u8(&to->json, '[');
	for (unsigned n = choose(m, 4), i = 0; i < n; i++) {
		if (i > 0) {
			buf_put_u8(&to->text, ' ');
			buf_put_u8(&to->json, ',');
		}
		if (t->elem->form == TYPE_NUMBER)
			put_both(to, "-10");
		else
			put_string(to, "4294967295", 10);
	}
	buf_put_u8(&to->json, ']');
}

/* Quoted, the two with a character in front. */
static void
put_quoted(struct buf *to, const struct buf *item, char quote, char backslash)
{
	const char *s = (const char *)buf_head(item);
	const char *end = s + buf_unread(item), *run = s;

	buf_put_u8(to, '"');
	for (; s < end; s++) {
		if (*s != '"' && *s != '\\')
			continue;
		buf_put(to, run, (size_t)(s - run));
		buf_put_u8(to, (uint8_t)(*s == '"' ? quote : backslash));
		run = s;
	}
	buf_put(to, run, (size_t)(end - run));
	buf_put_u8(to, '"');
}

/* A blank, or one of the characters in special? Or is there nothing at all? */
static bool
wants_quotes(const struct buf *item, const char *special)
{
	const char *s = (const char *)buf_head(item);

	for (size_t i = 0; i < buf_unread(item); i++)
		if ((s[i] > 0 && isspace(s[i])) || strchr(special, s[i]))
			return true;
	return buf_unread(item) == 0;
}

static void
put_element(struct made *to, char delim, struct made *item)
{
	const char special[] = { '{', '}', '"', '\\', delim, '\0' };

	if (wants_quotes(&item->text, special) ||
	    strcasecmp(buf_cstr(&item->text), "NULL") == 0)
		put_quoted(&to->text, &item->text, '\\', '\\');
	else
		buf_put(&to->text, buf_head(&item->text),
		    buf_unread(&item->text));
	put_part(to, item);
}

static void
make_element(struct maker *m, const struct type *t, struct made *to)
{
	struct made item;

	if (choose(m, 4) == 3) {
		buf_put_str(&to->text, "NULL");
		buf_put_str(&to->json, "null");
		return;
	}
	made_init(&item);
	make(m, t, &item);
	put_element(to, t->delim, &item);
}

/* dimensions that are left, each of size items. */
static void
make_dimension(struct maker *m, const struct type *t, struct made *to,
    unsigned dimensions, unsigned size)
{
	if (dimensions == 0) {
		make_element(m, t, to);
		return;
	}
	buf_put_u8(&to->text, '{');
	buf_put_u8(&to->json, '[');
	for (unsigned i = 0; i < size; i++) {
		if (i > 0) {
			buf_put_u8(&to->text, (uint8_t)t->delim);
			buf_put_u8(&to->json, ',');
		}
		make_dimension(m, t, to, dimensions - 1, size);
	}
	buf_put_u8(&to->text, '}');
	buf_put_u8(&to->json, ']');
}

static void
make_array(struct maker *m, const struct type *t, struct made *to)
{
	unsigned dimensions = choose(m, 7), size = 1 + choose(m, 3);

	if (dimensions > 3)
		size = 1; /* or it gets too large */
	if (dimensions > 0 && choose(m, 4) == 3) {
		for (unsigned i = 0; i < dimensions; i++)
			buf_putf(&to->text, "[%d:%d]", -1, (int)size - 2);
		buf_put_u8(&to->text, '=');
	}
	if (dimensions == 0)
		make_dimension(m, t->elem, to, 1, 0);
	else
		make_dimension(m, t->elem, to, dimensions, size);
}

static void
make_attribute(struct maker *m, const struct type *t, struct made *to)
{
	struct made item;

	if (choose(m, 4) == 3) {
		buf_put_str(&to->json, "null");
		return;
	}
	made_init(&item);
	make(m, t, &item);
	if (wants_quotes(&item.text, "\"\\(),"))
		put_quoted(&to->text, &item.text, '"', '\\');
	else
		buf_put(&to->text, buf_head(&item.text),
		    buf_unread(&item.text));
	put_part(to, &item);
}

static void
make_record(struct maker *m, const struct type *t, struct made *to)
{
	buf_put_u8(&to->text, '(');
	buf_put_u8(&to->json, '{');
	for (uint16_t i = 0; i < t->fields; i++) {
		if (i > 0 && m->fresh && !t->dropped && choose(m, 4) == 3)
			break;
		if (i > 0)
			put_both(to, ",");
		json_put_string(&to->json, t->field[i].name,
		    strlen(t->field[i].name));
		buf_put_u8(&to->json, ':');
		make_attribute(m, t->field[i].type, to);
	}
	buf_put_u8(&to->text, ')');
	buf_put_u8(&to->json, '}');
}

static void
make_pair_half(struct maker *m, struct made *to)
{
	struct made item;

	made_init(&item);
	make_text(m, &item);
	put_quoted(&to->text, &item.text, '\\', '\\');
	put_part(to, &item);
}

static void
make_hstore(struct maker *m, struct made *to)
{
	buf_put_u8(&to->json, '{');
	for (unsigned n = choose(m, 4), i = 0; i < n; i++) {
		if (i > 0)
			put_both(to, ", ");
		make_pair_half(m, to);
		buf_put_str(&to->text, "=>");
		buf_put_str(&to->json, ": ");
		if (choose(m, 4) == 3) {
			buf_put_str(&to->text, "NULL");
			buf_put_str(&to->json, "null");
		} else {
			make_pair_half(m, to);
		}
	}
	buf_put_u8(&to->json, '}');
}

static void
make_bool(struct maker *m, struct made *to)
{
	unsigned value = choose(m, 2);

	buf_put_str(&to->text, value ? "t" : "f");
	buf_put_str(&to->json, value ? "true" : "false");
}

static void
make(struct maker *m, const struct type *t, struct made *to)
{
	switch (t->form) {
	case TYPE_BOOL:
		make_bool(m, to);
		break;
	case TYPE_NUMBER:
		make_number(m, to);
		break;
	case TYPE_TIMESTAMP:
		make_timestamp(m, to);
		break;
	case TYPE_JSON:
		make_json(m, to);
		break;
	case TYPE_ARRAY:
		make_array(m, t, to);
		break;
	case TYPE_VECTOR:
		make_vector(m, t, to);
		break;
	case TYPE_RECORD:
		make_record(m, t, to);
		break;
	case TYPE_HSTORE:
		make_hstore(m, to);
		break;
	case TYPE_TEXT:
	case TYPE_DOMAIN:
		make_text(m, to);
		break;
	}
}

static bool
put(struct buf *json, const struct type *t, const char *text, size_t len,
    bool fresh)
{
	struct buf scratch;
	bool fits;

	buf_init(json, 6 * ROOM + 2); /* for a string of it as well */
	buf_init(&scratch, len);
	fits = value_put(json, t, text, len, fresh, &scratch);
	assert(!json->failed);
	buf_free(&scratch);
	return fits;
}

static void
check(const struct type *t, const struct made *made, bool fresh)
{
	struct buf json;

	assert(put(&json, t, (const char *)buf_head(&made->text),
	    buf_unread(&made->text), fresh));
	assert(buf_unread(&json) == buf_unread(&made->json));
	assert(memcmp(buf_head(&json), buf_head(&made->json),
		   buf_unread(&json)) == 0);
	buf_free(&json);
}

/* Nothing of the text is passed over: cut by a byte or with one more behind it,
 * it does not fit. Only what has an end of its own is looked at. */
static void
check_whole(const struct type *t, struct made *made, bool fresh)
{
	size_t len = buf_unread(&made->text);
	struct buf json;

	if (t->form != TYPE_ARRAY && t->form != TYPE_RECORD)
		return;
	assert(!put(&json, t, (const char *)buf_head(&made->text), len - 1,
	    fresh));
	buf_free(&json);
	buf_put_u8(&made->text, 'x');
	if (made->text.failed)
		return;
	assert(!put(&json, t, (const char *)buf_head(&made->text), len + 1,
	    fresh));
	buf_free(&json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct maker m = { data, data + size, size > 0 && *data == '~' };
	struct types types;
	const struct type *t;
	struct made made;

	m.p += m.fresh;
	t = types_begin(&types, TYPE_JSON, &m.p, m.end);
	if (types.has_unknown)
		return 0;
	made_init(&made);
	make(&m, t, &made);
	if (!made_failed(&made)) {
		check(t, &made, m.fresh);
		check_whole(t, &made, m.fresh);
	}
	made_free(&made);
	return 0;
}
