#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/rd.h"
#include "event/value.h"
#include "fuzz.h"
#include "pg/typecat.h"
#include "pg/wire.h"
#include "strict.h"

/*
 * What a server says about types, in any order and however wrong: whatever was
 * taken in, values can then be printed, as JSON. The input is made of steps, each a
 * letter, a length of one byte and as many bytes:
 *
 *	r	a DataRow message's body: a row of a load
 *	d	the load is over
 *	n	a type is needed: its OID and an xid, of four bytes each
 *	x	nothing is needed
 *	f	all is forgotten
 *	v	a text, which is printed as a value of every type there is
 *	others	a row that is made up from MADE_UP bytes
 *
 * "fuzz_typecat ask" prints the query of a load, so that real rows can be had.
 */

#define ROOM ((size_t)1 << 20)
#define MADE_UP 6
/* Types may be made of each other in circles. */
#define PARTS_DEPTH 4

struct state {
	struct typecat tc;
	bool linked; /* no row has come since the last load was over */
};

int LLVMFuzzerInitialize(int *argc, char ***argv);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct typecat tc;
	struct buf sql;

	if (*argc != 2 || strcmp((*argv)[1], "ask") != 0)
		return 0;
	buf_init(&sql, ROOM);
	if (typecat_init(&tc) == -1)
		abort();
	typecat_ask(&tc, &sql);
	puts(buf_cstr(&sql));
	typecat_free(&tc);
	buf_free(&sql);
	exit(0);
}

static void
row(struct state *s, const uint8_t *p, size_t len)
{
	struct wire_msg msg = { PQ_DATA_ROW, p, len };
	struct wire_row one;
	struct err err = { 0 };

	s->linked = false;
	if (wire_row(&msg, &one, &err) == -1 ||
	    typecat_row(&s->tc, &one, &err) == -1)
		assert(err.kind == ERR_PROTO);
}

/* One of few types, made of others of them: so there will be circles. */
static void
made_up(struct state *s, const uint8_t p[MADE_UP])
{
	char oid[8], of[8], attribute_oid[8];
	const char *const col[] = { oid, "made up", (const char *)&p[2],
		(const char *)&p[3], of, p[5] & 1 ? "t" : "f",
		p[5] & 2 ? "t" : "f",
		p[5] & 4 ? (p[5] & 8 ? "\xe9" : "a") : NULL, attribute_oid };
	struct wire_row one = { .n = sizeof(col) / sizeof(col[0]) };
	struct err err;

	snprintf(oid, sizeof(oid), "%d", 100000 + p[0] % 8);
	snprintf(of, sizeof(of), "%d", p[1] < 128 ? 0 : 100000 + p[1] % 8);
	snprintf(attribute_oid, sizeof(attribute_oid), "%d",
	    p[4] < 64 ? p[4] : 100000 + p[4] % 8);
	for (int i = 0; i < one.n; i++) {
		one.col[i].p = col[i];
		one.col[i].len = i == 2 || i == 3 ? 1
		    : col[i] == NULL              ? 0
						  : strlen(col[i]);
	}
	s->linked = false;
	if (typecat_row(&s->tc, &one, &err) == -1)
		assert(err.kind == ERR_PROTO);
}

static void
done(struct state *s)
{
	struct err err;
	struct buf sql;

	buf_init(&sql, ROOM);
	typecat_ask(&s->tc, &sql);
	assert(!sql.failed);
	buf_free(&sql);
	if (typecat_done(&s->tc, &err) == 0)
		s->linked = true;
}

static void
need(struct state *s, const uint8_t *p, size_t len)
{
	struct rd r = rd_make(p, len);
	uint32_t oid = rd_u32(&r), xid = rd_u32(&r);

	typecat_need(&s->tc, oid, xid);
	typecat_fresh(&s->tc, xid);
}

/* May there be a json in it, which is written as it stands? */
static bool
may_have_json(const struct type *t, int depth)
{
	if (t == NULL)
		return false;
	if (t->form == TYPE_JSON || depth == PARTS_DEPTH)
		return true;
	for (uint16_t i = 0; i < t->fields; i++)
		if (may_have_json(t->field[i].type, depth + 1))
			return true;
	return may_have_json(t->elem, depth + 1);
}

static void
print(const struct type *t, const char *text, size_t len, bool fresh)
{
	struct buf json, scratch;

	buf_init(&json, ROOM);
	buf_init(&scratch, len);
	value_put(&json, t, text, len, fresh, &scratch);
	assert(json.failed ||
	    strict_utf8((const char *)buf_head(&json), buf_unread(&json)));
	assert(json.failed || may_have_json(t, 0) ||
	    strict_json((const char *)buf_head(&json), buf_unread(&json), NULL,
		NULL));
	buf_free(&json);
	buf_free(&scratch);
}

/* Its first byte says whether the types are fresh. */
static void
print_all(const struct state *s, char *text, size_t len)
{
	const struct oidmap *m = &s->tc.types;
	const struct type *t;

	if (!s->linked || len == 0)
		return;
	fuzz_mend(text + 1, len - 1);
	for (size_t i = 0; i < m->cap; i++) {
		if (m->slot[i].value == NULL)
			continue;
		t = typecat_get(&s->tc, m->slot[i].oid);
		if (t != NULL)
			print(t, text + 1, len - 1, *text == '~');
	}
}

static void
step(struct state *s, char letter, void *p, size_t len)
{
	switch (letter) {
	case 'r':
		row(s, p, len);
		break;
	case 'd':
		done(s);
		break;
	case 'n':
		need(s, p, len);
		break;
	case 'x':
		typecat_need_nothing(&s->tc);
		break;
	case 'f':
		if (typecat_forget(&s->tc) == -1)
			abort();
		break;
	case 'v':
		print_all(s, p, len);
		break;
	default:
		if (len >= MADE_UP)
			made_up(s, p);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_make(data, size);
	struct state s = { .linked = false };
	size_t len;
	char letter;
	void *p;

	if (typecat_init(&s.tc) == -1)
		abort();
	while (rd_left(&r) > 0) {
		letter = (char)rd_u8(&r);
		len = rd_u8(&r);
		if (r.bad)
			break;
		if (len > rd_left(&r))
			len = rd_left(&r);
		p = fuzz_copy(rd_bytes(&r, len), len);
		step(&s, letter, p, len);
		free(p);
	}
	typecat_free(&s.tc);
	return 0;
}
