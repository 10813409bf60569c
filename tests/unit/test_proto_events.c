#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "event/proto.h"
#include "guard.h"

/*
 * Relations, logical messages, and what rows have besides their payload, as
 * bytes that were worked out by hand, there and back.
 */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BYTES(s) (s), sizeof(s) - 1
#define TEXT(s) { s, sizeof(s) - 1 }

static struct buf out, hold;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	buf_init(&out, (size_t)8 << 20);
	buf_init(&hold, (size_t)16 << 20);
	memset(&err, 0, sizeof(err));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_free(&out);
	buf_free(&hold);
	return 0;
}

/* What is to be seen, and how often something was. */
struct want {
	const struct event *e;
	int seen;
};

/* NULL and "" are the same in proto3. */
static void
assert_string(const char *got, const char *want)
{
	assert_string_equal(got == NULL ? "" : got, want == NULL ? "" : want);
}

static void
assert_text(struct event_text got, struct event_text want)
{
	assert_int_equal(got.len, want.len);
	if (want.len > 0)
		assert_memory_equal(got.p, want.p, want.len);
}

static void
assert_columns(const struct event *got, const struct event *want)
{
	assert_int_equal(got->columns, want->columns);
	for (size_t i = 0; i < want->columns; i++) {
		const struct event_column *g = &got->column[i],
					  *w = &want->column[i];

		assert_string_equal(g->name, w->name);
		assert_string_equal(g->type_name, w->type_name);
		assert_int_equal(g->type_oid, w->type_oid);
		assert_int_equal(g->typmod, w->typmod);
		assert_int_equal(g->key, w->key);
	}
}

static void
see(void *arg, const struct event *e)
{
	struct want *w = arg;

	w->seen++;
	assert_int_equal(e->op, w->e->op);
	assert_int_equal(e->pg_lsn, w->e->pg_lsn);
	assert_string(e->schema, w->e->schema);
	assert_string(e->table, w->e->table);
	assert_text(e->json, w->e->json);
	assert_text(e->old, w->e->old);
	assert_text(e->unchanged, w->e->unchanged);
	assert_int_equal(e->change_lsn, w->e->change_lsn);
	assert_int_equal(e->oid, w->e->oid);
	assert_int_equal(e->identity, w->e->identity);
	assert_int_equal(e->cascade, w->e->cascade);
	assert_int_equal(e->restart_identity, w->e->restart_identity);
	assert_int_equal(e->transactional, w->e->transactional);
	assert_string(e->prefix, w->e->prefix);
	assert_text(e->content, w->e->content);
	assert_columns(e, w->e);
}

/* Reads n bytes that end at a guard page. */
static int
get(const void *p, size_t n, proto_event_fn *each, void *arg)
{
	uint8_t *at = guard_copy(p, n);
	int rc = proto_get_events(at, n, &hold, each, arg, &err);

	guard_free(at, n);
	return rc;
}

static void
assert_read(const void *p, size_t n, const struct event *e)
{
	struct want want = { e, 0 };

	if (get(p, n, see, &want) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(want.seen, 1);
}

/* e there and back. */
static void
assert_round(const struct event *e)
{
	buf_reset(&out);
	proto_put_event(&out, e);
	assert_false(out.failed);
	assert_read(buf_head(&out), buf_unread(&out), e);
}

static const struct event_column columns[] = {
	{ "id", "integer", 23, -1, true },
	{ "v", "numeric(5,2)", 1700, 327686, false },
};

static const struct {
	struct event e;
	const char *bytes;
	size_t len;
} samples[] = {
	{ { .op = EVENT_RELATION,
	      .schema = "s1",
	      .table = "tbl",
	      .oid = 16400,
	      .identity = 4,
	      .column = columns,
	      .columns = 2 },
	    BYTES("\x42\x47\x08\x90\x80\x01\x12\x02s1\x1a\x03tbl\x20\x04"
		  "\x2a\x1c\x0a\x02id\x10\x17\x1a\x07integer"
		  "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x28\x01"
		  "\x2a\x18\x0a\x01v\x10\xa4\x0d\x1a\x0cnumeric(5,2)"
		  "\x20\x86\x80\x14") },
	{ { .op = EVENT_RELATION, .oid = 1 }, BYTES("\x42\x02\x08\x01") },
	{ { .op = EVENT_MESSAGE,
	      .pg_lsn = 300,
	      .transactional = true,
	      .prefix = "pre",
	      .content = TEXT("a\0\xff") },
	    BYTES("\x4a\x0f\x08\xac\x02\x10\x01\x1a\x03pre\x22\x03"
		  "a\0\xff") },
	{ { .op = EVENT_MESSAGE }, BYTES("\x4a\0") },
	{ { .op = EVENT_UPDATE,
	      .schema = "s",
	      .table = "t",
	      .json = TEXT("{}"),
	      .old = TEXT("{\"a\":1}"),
	      .unchanged = TEXT("big\0w\0"),
	      .change_lsn = 300,
	      .oid = 16400,
	      .identity = 2 },
	    BYTES("\x12\x24\x12\x01s\x1a\x01t\x22\x02{}\x2a\x07{\"a\":1}"
		  "\x32\x03"
		  "big\x32\x01w\x58\xac\x02\x60\x90\x80\x01\x68\x02") },
	{ { .op = EVENT_TRUNCATE,
	      .pg_lsn = 1,
	      .table = "t",
	      .schema = "",
	      .change_lsn = 5,
	      .oid = 6,
	      .cascade = true,
	      .restart_identity = true },
	    BYTES("\x22\x0d\x08\x01\x1a\x01t\x58\x05\x60\x06\x70\x01"
		  "\x78\x01") },
	{ { .op = EVENT_TRUNCATE, .restart_identity = true },
	    BYTES("\x22\x02\x78\x01") },
};

static void
test_put(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++) {
		buf_reset(&out);
		proto_put_event(&out, &samples[i].e);
		assert_false(out.failed);
		if (buf_unread(&out) != samples[i].len ||
		    memcmp(buf_head(&out), samples[i].bytes, samples[i].len) !=
			0)
			fail_msg("sample %zu", i);
	}
}

static void
test_get(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++)
		assert_read(samples[i].bytes, samples[i].len, &samples[i].e);
}

/* Nothing of an event that is cut off is handed out. */
static void
see_none(void *arg, const struct event *e)
{
	(void)arg;
	fail_msg("a %s", event_op_name(e->op));
}

static void
test_every_prefix(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++)
		for (size_t n = 1; n < samples[i].len; n++) {
			err.kind = ERR_NONE;
			assert_int_equal(get(samples[i].bytes, n, see_none,
					     NULL),
			    -1);
			assert_int_equal(err.kind, ERR_PROTO);
		}
}

/* The same in one batch. */
static void
see_next(void *arg, const struct event *e)
{
	size_t *n = arg;
	struct want want = { &samples[(*n)++].e, 0 };

	see(&want, e);
}

static void
test_batch(void **state)
{
	uint8_t head[PROTO_HEAD];
	struct buf items;
	size_t n = 0;

	(void)state;
	buf_init(&items, 65536);
	for (size_t i = 0; i < COUNT(samples); i++) {
		buf_put(&items, head, proto_item_head(head, samples[i].len));
		buf_put(&items, samples[i].bytes, samples[i].len);
	}
	buf_put(&out, head, proto_batch_head(head, buf_unread(&items)));
	buf_put(&out, buf_head(&items), buf_unread(&items));
	assert_int_equal(get(buf_head(&out), buf_unread(&out), see_next, &n),
	    0);
	assert_int_equal(n, COUNT(samples));
	buf_free(&items);
}

/* The largest there are. */

static void
test_many_columns(void **state)
{
	static char name[1600][64];
	static struct event_column many[1600];
	struct event e = { .op = EVENT_RELATION,
		.schema = "s",
		.table = "t",
		.oid = UINT32_MAX,
		.identity = 3,
		.column = many };

	(void)state;
	for (uint32_t i = 0; i < 1600; i++) {
		snprintf(name[i], sizeof(name[i]), "%063u", i);
		many[i] = (struct event_column){ name[i], name[1599 - i],
			UINT32_MAX - i, -1 - (int32_t)i, i % 2 == 0 };
	}
	for (size_t n = 0; n <= 1600; n += n < 10 ? 1 : 265) {
		e.columns = n;
		assert_round(&e);
	}
	/* Columns of nothing take next to nothing. */
	for (uint32_t i = 0; i < 1600; i++)
		many[i] = (struct event_column){ .name = "", .type_name = "" };
	e.columns = 1600;
	assert_round(&e);
	assert_in_range(buf_unread(&out), 3200, 3300);
}

static void
test_many_unchanged(void **state)
{
	static char names[1600 * 64];
	struct event e = { .op = EVENT_UPDATE,
		.schema = "s",
		.table = "t",
		.unchanged = { names, 0 } };

	(void)state;
	for (size_t i = 0; i < 1600; i++)
		snprintf(names + i * 64, 64, "%063zu", i);
	for (size_t n = 1; n <= 1600; n += 123) {
		e.unchanged.len = n * 64;
		assert_round(&e);
	}
	/* Names of one letter, and longer ones than a byte can count. */
	for (size_t i = 0; i < sizeof(names); i++)
		names[i] = i % 2 == 0 ? 'x' : '\0';
	e.unchanged.len = sizeof(names);
	assert_round(&e);
	memset(names, 'x', sizeof(names));
	for (size_t i = 199; i < sizeof(names); i += 200)
		names[i] = '\0';
	assert_round(&e);
}

static void
test_large_content(void **state)
{
	static char content[3000000];
	static const size_t lens[] = { 1, 127, 128, 16383, 16384, 2097151,
		2097152, sizeof(content) };
	struct event e = { .op = EVENT_MESSAGE, .prefix = "p" };

	(void)state;
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (char)(i * 31);
	for (size_t i = 0; i < COUNT(lens); i++) {
		e.content = (struct event_text){ content, lens[i] };
		assert_round(&e);
	}
	/* An old row next to as much of a new one. */
	e = (struct event){ .op = EVENT_UPDATE,
		.schema = "s",
		.table = "t",
		.json = { content, sizeof(content) },
		.old = { content + 1, sizeof(content) - 1 } };
	assert_round(&e);
}

static void
test_long_prefix(void **state)
{
	static char prefix[100001];
	struct event e = { .op = EVENT_MESSAGE, .prefix = prefix };

	(void)state;
	memset(prefix, 'p', sizeof(prefix) - 1);
	assert_round(&e);
}

/* What has no room fails; it is never cut. */
static void
test_put_does_not_fit(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++)
		for (size_t max = 0; max < samples[i].len; max++) {
			buf_free(&out);
			buf_init(&out, max);
			proto_put_event(&out, &samples[i].e);
			assert_true(out.failed);
			assert_int_equal(buf_unread(&out), 0);
		}
}

/* Odd, but valid: unknown fields, other orders, what comes twice. */
static void
test_odd_but_valid(void **state)
{
	static const struct event_column one[] = { { "b", "", 7, 0, false } };
	static const struct event_column none[] = { { "", "", 0, 0, false } };
	static const struct {
		const char *bytes;
		size_t len;
		struct event e;
	} rows[] = {
		/* the last name and OID of a column count */
		{ BYTES("\x42\x0e\x2a\x0a\x0a\x01"
			"a\x10\x05\x0a\x01"
			"b\x10\x07\x08\x01"),
		    { .op = EVENT_RELATION,
			.oid = 1,
			.column = one,
			.columns = 1 } },
		{ BYTES("\x42\x0b\x7a\x01x\x2a\x04\x7a\x02zz\x08\x02"),
		    { .op = EVENT_RELATION,
			.oid = 2,
			.column = none,
			.columns = 1 } },
		{ BYTES("\x4a\x0b\x22\x01y\xf8\x01\x05\x1a\x03pre"),
		    { .op = EVENT_MESSAGE,
			.prefix = "pre",
			.content = TEXT("y") } },
		{ BYTES("\x4a\x08\x22\x02no\x22\x02ok"),
		    { .op = EVENT_MESSAGE, .content = TEXT("ok") } },
		/* names of columns stand apart, and may be empty */
		{ BYTES("\x12\x0e\x32\x01"
			"a\x1a\x01t\x32\x00\x32\x02"
			"bc\x58\x01"),
		    { .op = EVENT_UPDATE,
			.table = "t",
			.unchanged = TEXT("a\0\0bc\0"),
			.change_lsn = 1 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_read(rows[i].bytes, rows[i].len, &rows[i].e);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *what, *bytes;
		size_t len;
	} rows[] = {
		{ "column that is a number", BYTES("\x42\x02\x28\x01") },
		{ "column longer than its relation",
		    BYTES("\x42\x04\x2a\x03\x0a\x01") },
		{ "name longer than its column",
		    BYTES("\x42\x06\x2a\x04\x0a\x03"
			  "ab") },
		{ "OID of a column that is a string",
		    BYTES("\x42\x05\x2a\x03\x12\x01x") },
		{ "field 0 in a column", BYTES("\x42\x04\x2a\x02\x00\x00") },
		{ "field 0 in a relation", BYTES("\x42\x02\x00\x00") },
		{ "OID that is a string", BYTES("\x42\x03\x0a\x01x") },
		{ "OID of 11 bytes",
		    BYTES("\x42\x0c\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
			  "\x01") },
		{ "second column cut off",
		    BYTES("\x42\x07\x2a\x03\x0a\x01"
			  "a\x2a\x03") },
		{ "relation that is a number", BYTES("\x40\x01\x80") },
		{ "content longer than its message",
		    BYTES("\x4a\x04\x22\x05xy") },
		{ "content of 2^32-1 bytes",
		    BYTES("\x4a\x08\x22\xff\xff\xff\xff\x0fxy") },
		{ "pg_lsn of a message that is a string",
		    BYTES("\x4a\x03\x0a\x01x") },
		{ "field 0 in a message", BYTES("\x4a\x02\x00\x00") },
		{ "unchanged column that is a number",
		    BYTES("\x12\x02\x30\x41") },
		{ "old row that is a number", BYTES("\x12\x02\x28\x41") },
		{ "unchanged column longer than its row",
		    BYTES("\x12\x04\x32\x03xy") },
		{ "identity that is a string", BYTES("\x12\x03\x6a\x01x") },
		{ "cascade that is a string", BYTES("\x22\x03\x72\x01x") },
		{ "cascade cut off", BYTES("\x22\x02\x70\x80") },
	};
	int accepted = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		err.kind = ERR_NONE;
		if (get(rows[i].bytes, rows[i].len, see_none, NULL) == 0) {
			print_error("accepted: %s\n", rows[i].what);
			accepted++;
			continue;
		}
		assert_int_equal(err.kind, ERR_PROTO);
	}
	assert_int_equal(accepted, 0);
}

/* What does not fit into hold is refused. */
static void
test_hold_too_small(void **state)
{
	(void)state;
	for (size_t max = 0; max < 2 * sizeof(columns) + 20; max++) {
		buf_free(&hold);
		buf_init(&hold, max);
		assert_int_equal(get(samples[0].bytes, samples[0].len, see_none,
				     NULL),
		    -1);
	}
	for (size_t max = 0; max < 8; max++) {
		buf_free(&hold);
		buf_init(&hold, max);
		assert_int_equal(get(samples[2].bytes, samples[2].len, see_none,
				     NULL),
		    -1);
	}
}

static void
test_started(void **state)
{
	static const char *const names[] = { "p", "second", "" };
	struct started st = { "7", "s", "0.1", names, 2, 1, 150004, false, 1 };

	(void)state;
	proto_put_started(&out, &st);
	assert_int_equal(buf_unread(&out), 32);
	assert_memory_equal(buf_head(&out) + 10,
	    "\x2a\x01p\x2a\x06second\x30\xf4\x93\x09\x38\x01\x42\x03"
	    "0.1",
	    21);
	st.publications = 0;
	buf_reset(&out);
	proto_put_started(&out, &st);
	assert_false(out.failed);
	assert_int_equal(buf_unread(&out), 32 - 11);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_put),
		TEST(test_get),
		TEST(test_every_prefix),
		TEST(test_batch),
		TEST(test_many_columns),
		TEST(test_many_unchanged),
		TEST(test_large_content),
		TEST(test_long_prefix),
		TEST(test_put_does_not_fit),
		TEST(test_odd_but_valid),
		TEST(test_refused),
		TEST(test_hold_too_small),
		TEST(test_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
