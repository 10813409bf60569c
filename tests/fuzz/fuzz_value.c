#include <stdbool.h>

#include "base/buf.h"
#include "event/value.h"
#include "fuzz.h"
#include "shape.h"
#include "strict.h"
#include "types.h"

/*
 * A type (types.h) and behind it any text. What value_put writes is JSON that
 * has the shape of the type or, when it says that the text does not fit, is the
 * text as a string.
 *
 * The text of a json is written as it stands, for PostgreSQL has looked at it.
 * So every json is first taken for a text; where all of these turn out to be
 * JSON, the whole must be too when they are taken for what they are.
 *
 * In front of it all may stand "~": the type has just been read; and then "!"
 * and a byte: so much room there is for the output.
 */

#define ROOM ((size_t)1 << 22)

struct input {
	const uint8_t *type, *end;
	char *text;
	size_t len;
	size_t room;
	bool fresh;
};

struct result {
	struct buf json;
	bool fits;
};

static const char before[] = "before";

/* Behind bytes that are there already, which stay. */
static void
put(struct result *r, const struct type *type, const struct input *in)
{
	struct buf scratch;

	/* as large as it has to be, so that a read behind the text shows */
	buf_init(&scratch, in->len);
	buf_init(&r->json, in->room + sizeof(before));
	buf_put_cstr(&r->json, before);
	r->fits =
	    value_put(&r->json, type, in->text, in->len, in->fresh, &scratch);
	assert(buf_unread(&r->json) >= sizeof(before));
	assert(memcmp(buf_head(&r->json), before, sizeof(before)) == 0);
	buf_consume(&r->json, sizeof(before));
	buf_free(&scratch);
}

struct string {
	const char *p;
	size_t len;
};

static int
same_string(void *arg, const unsigned char *p, size_t n)
{
	const struct string *s = arg;

	return n == s->len && memcmp(p, s->p, n) == 0;
}

static bool
is_string(const struct buf *json, const char *text, size_t len)
{
	static const yajl_callbacks each = { .yajl_string = same_string };
	struct string s = { text, len };

	return *buf_head(json) == '"' &&
	    strict_json((const char *)buf_head(json), buf_unread(json), &each,
		&s);
}

/* Returns whether the text fits the type, and all json in it is JSON. */
static bool
check_shape(const struct input *in)
{
	struct types types;
	const uint8_t *p = in->type;
	const struct type *type = types_begin(&types, TYPE_TEXT, &p, in->end);
	struct shape shape = { .top = type, .fresh = in->fresh };
	struct result r;
	bool all_json = false;

	put(&r, type, in);
	if (r.json.failed) {
		assert(buf_unread(&r.json) <= in->room);
	} else if (r.fits) {
		assert(shape_fits(&shape, (const char *)buf_head(&r.json),
		    buf_unread(&r.json)));
		all_json = !shape.json_bad;
	} else {
		assert(is_string(&r.json, in->text, in->len));
	}
	buf_free(&r.json);
	return all_json;
}

static void
check_json(const struct input *in, bool all_json)
{
	struct types types;
	const uint8_t *p = in->type;
	const struct type *type = types_begin(&types, TYPE_JSON, &p, in->end);
	struct result r;

	if (!types.has_json)
		return;
	put(&r, type, in);
	if (all_json && !r.json.failed)
		assert(r.fits &&
		    strict_json((const char *)buf_head(&r.json),
			buf_unread(&r.json), NULL, NULL));
	buf_free(&r.json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct types types;
	struct input in = { .end = data + size, .room = ROOM };
	const uint8_t *p = data;

	if (p < in.end && *p == '~') {
		in.fresh = true;
		p++;
	}
	if (in.end - p >= 2 && *p == '!') {
		in.room = p[1];
		p += 2;
	}
	in.type = p;
	types_begin(&types, TYPE_JSON, &p, in.end);
	in.len = (size_t)(in.end - p);
	in.text = fuzz_copy(p, in.len);
	fuzz_mend(in.text, in.len);
	check_json(&in, check_shape(&in));
	free(in.text);
	return 0;
}
