#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/proto.h"
#include "guard.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BYTES(s) (s), sizeof(s) - 1

static struct buf out, hold;
static struct err err;

#define LARGE 3000000 /* bytes of the largest payload */

/* What proto_get_events said, copied. */
static struct seen {
	struct event e;
	char schema[64], table[64], json[64];
} seen[8];
static size_t seen_n;

static int
setup(void **state)
{
	(void)state;
	buf_init(&out, (size_t)4 << 20);
	buf_init(&hold, LARGE + 4096 + PROTO_HOLD_MORE);
	memset(&err, 0, sizeof(err));
	seen_n = 0;
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

static void
see(void *arg, const struct event *e)
{
	struct seen *s = &seen[seen_n++];

	assert_ptr_equal(arg, &seen_n);
	assert_true(seen_n <= COUNT(seen));
	s->e = *e;
	snprintf(s->schema, sizeof(s->schema), "%s",
	    e->schema == NULL ? "-" : e->schema);
	snprintf(s->table, sizeof(s->table), "%s",
	    e->table == NULL ? "-" : e->table);
	snprintf(s->json, sizeof(s->json), "%.*s", (int)e->json.len,
	    e->json.p == NULL ? "" : e->json.p);
}

/* Reads n bytes that end at a guard page. */
static int
get(const void *p, size_t n)
{
	uint8_t *at = guard_copy(p, n);
	int rc;

	seen_n = 0;
	rc = proto_get_events(at, n, &hold, see, &seen_n, &err);
	guard_free(at, n);
	return rc;
}

static void
assert_out(const char *want, size_t n)
{
	assert_false(out.failed);
	assert_int_equal(buf_unread(&out), n);
	assert_memory_equal(buf_head(&out), want, n);
	buf_reset(&out);
}

static void
assert_proto(int rc)
{
	assert_int_equal(rc, -1);
	assert_int_equal(err.kind, ERR_PROTO);
	assert_string_not_equal(err.text, "");
	memset(&err, 0, sizeof(err));
}

static bool
is_row(const struct event *e)
{
	return e->op >= EVENT_INSERT && e->op <= EVENT_TRUNCATE;
}

/* The event that was seen as number i. */
static void
assert_seen(size_t i, const struct event *want)
{
	const struct seen *s = &seen[i];

	assert_true(i < seen_n);
	assert_int_equal(s->e.op, want->op);
	assert_int_equal(s->e.pg_lsn, want->pg_lsn);
	assert_int_equal(s->e.txn.commit_lsn, want->txn.commit_lsn);
	assert_int_equal(s->e.txn.end_lsn, want->txn.end_lsn);
	assert_int_equal(s->e.txn.xid, want->txn.xid);
	assert_int_equal(s->e.txn.commit_us, want->txn.commit_us);
	assert_int_equal(s->e.seq, want->seq);
	if (!is_row(want))
		return;
	assert_string_equal(s->schema, want->schema);
	assert_string_equal(s->table, want->table);
	assert_int_equal(s->e.json.len, want->json.len);
	assert_string_equal(s->json, want->json.p == NULL ? "" : want->json.p);
}

/* Messages as bytes, worked out by hand. */

#define NOTHING .schema = NULL
#define JSON(s) .json = { s, sizeof(s) - 1 }

static const struct {
	struct event event;
	const char *bytes;
	size_t len;
} samples[] = {
	{ { EVENT_INSERT, 300, { 300, 0, 741, 1 }, 1, "s1", "tbl",
	      JSON("{\"a\":1}") },
	    BYTES("\x0a\x1f\x08\xac\x02\x12\x02s1\x1a\x03tbl\x22\x07{\"a\":1}"
		  "\x38\xac\x02\x40\x01\x48\xe5\x05\x50\x01") },
	{ { EVENT_UPDATE, 127, { 0 }, 0, "s1", "tbl", JSON("{}") },
	    BYTES("\x12\x0f\x08\x7f\x12\x02s1\x1a\x03tbl\x22\x02{}") },
	{ { EVENT_DELETE, 0x16b374d848, { 0, 0, 4294967295, 0 }, 0, "s1", "tbl",
	      JSON("{}") },
	    BYTES("\x1a\x1a\x08\xc8\xb0\xd3\x9b\xeb\x02\x12\x02s1\x1a\x03tbl"
		  "\x22\x02{}\x48\xff\xff\xff\xff\x0f") },
	{ { EVENT_TRUNCATE, UINT64_MAX, { 0, 0, 0, -1 }, 2, "s1", "tbl",
	      JSON("") },
	    BYTES("\x22\x21\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
		  "\x12\x02s1\x1a\x03tbl\x40\x02"
		  "\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") },
	{ { EVENT_INSERT, 1, { 0 }, 0, "\xc3\xa9", "\xe2\x82\xac",
	      JSON("{\"\xc3\xa9\":\"\"}") },
	    BYTES("\x0a\x16\x08\x01\x12\x02\xc3\xa9\x1a\x03\xe2\x82\xac"
		  "\x22\x09{\"\xc3\xa9\":\"\"}") },
	{ { EVENT_BEGIN, 300, { 300, 0, 741, 1 }, 0, NOTHING },
	    BYTES("\x32\x0b\x08\xac\x02\x10\xac\x02\x18\xe5\x05\x20\x01") },
	{ { EVENT_COMMIT, 340, { 300, 340, 741, 1 }, 2, NOTHING },
	    BYTES("\x3a\x10\x08\xd4\x02\x10\xac\x02\x18\xe5\x05\x20\x01"
		  "\x28\xd4\x02\x30\x02") },
	{ { EVENT_PROGRESS, 300, { 0 }, 0, NOTHING },
	    BYTES("\x52\x03\x08\xac\x02") },
};

/* One behind the other: each is appended. */
static void
test_put(void **state)
{
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++) {
		proto_put_event(&out, &samples[i].event);
		assert_false(out.failed);
		assert_int_equal(buf_unread(&out), at + samples[i].len);
		assert_memory_equal(buf_head(&out) + at, samples[i].bytes,
		    samples[i].len);
		at = buf_unread(&out);
	}
}

static void
test_get(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++) {
		assert_int_equal(get(samples[i].bytes, samples[i].len), 0);
		assert_int_equal(seen_n, 1);
		assert_seen(0, &samples[i].event);
	}
}

/* proto3 leaves out what is empty or 0. */
static void
test_nothing(void **state)
{
	static const struct event rows[] = {
		{ EVENT_UPDATE, 0, { 0 }, 0, "", "", JSON("") },
		{ EVENT_TRUNCATE, 0, { 0 }, 0, "", "t", JSON("") },
		{ EVENT_COMMIT, 0, { 0 }, 0, NOTHING },
	};
	static const char *const want[] = { "\x12\0", "\x22\3\x1a\1t",
		"\x3a\0" };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		proto_put_event(&out, &rows[i]);
		assert_int_equal(get(buf_head(&out), buf_unread(&out)), 0);
		assert_int_equal(seen_n, 1);
		assert_seen(0, &rows[i]);
		assert_out(want[i], i == 1 ? 5 : 2);
	}
	assert_int_equal(get("", 0), 0);
	assert_int_equal(seen_n, 0);
}

static const char *const publications[] = { "p" };
static const struct started started = { "7", "s", "0.1", publications, 1, 1,
	150004, true, 300 };

static void
test_started(void **state)
{
	(void)state;
	proto_put_started(&out, &started);
	assert_int_equal(get(buf_head(&out), buf_unread(&out)), 0);
	assert_int_equal(seen_n, 1);
	assert_int_equal(seen[0].e.op, EVENT_STARTED);
	assert_int_equal(seen[0].e.pg_lsn, 300);
	assert_out(BYTES("\x2a\x19\x0a\x01\x37\x10\x01\x1a\x01s\x20\x01\x2a\x01"
			 "p\x30\xf4\x93\x09\x38\xac\x02\x42\x03"
			 "0.1"));
}

/* Payloads whose lengths take one byte, two, three or four. */
static char large[LARGE];

static void
see_large(void *arg, const struct event *e)
{
	const size_t *size = arg;

	seen_n++;
	assert_int_equal(e->op, EVENT_INSERT);
	assert_string_equal(e->table, "table");
	assert_int_equal(e->json.len, *size);
	assert_memory_equal(e->json.p, large, *size);
}

static void
test_large_events(void **state)
{
	static const size_t sizes[] = { 1, 60, 70, 80, 90, 100, 110, 120, 127,
		128, 16000, 16300, 16383, 16384, 2097152, sizeof(large) };
	struct event e = { EVENT_INSERT, UINT64_MAX, { 0 }, UINT32_MAX,
		"schema", "table", .json = { large, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)(i * 31); /* NULs as well */
	for (size_t i = 0; i < COUNT(sizes); i++) {
		e.json.len = sizes[i];
		buf_reset(&out);
		proto_put_event(&out, &e);
		assert_false(out.failed);
		seen_n = 0;
		assert_int_equal(proto_get_events(buf_head(&out),
				     buf_unread(&out), &hold, see_large,
				     &e.json.len, &err),
		    0);
		assert_int_equal(seen_n, 1);
	}
}

/* So long that a length forgotten would show. */
static void
test_long_names(void **state)
{
	static char name[1001];
	const char *publication = "";
	struct event e = { EVENT_INSERT, 1, { 0 }, 0, name, "t", JSON("") };
	struct started st = { "", "", "", &publication, 1, 1, 1, false, 1 };
	const char **const texts[] = { &e.schema, &e.table,
		&st.system_identifier, &st.slot, &publication,
		&st.walstream_version };

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	for (size_t i = 0; i < COUNT(texts); i++) {
		e.schema = e.table = "";
		*texts[i] = name;
		buf_reset(&out);
		if (i < 2)
			proto_put_event(&out, &e);
		else
			proto_put_started(&out, &st);
		assert_false(out.failed);
		assert_in_range(buf_unread(&out), 1000, 1020 + i * 1000);
		assert_int_equal(get(buf_head(&out), buf_unread(&out)), 0);
		assert_int_equal(seen_n, 1);
	}
}

static void
test_put_does_not_fit(void **state)
{
	(void)state;
	for (size_t max = 0; max < 27; max++) {
		buf_free(&out);
		buf_init(&out, max);
		proto_put_event(&out, &samples[0].event);
		assert_true(out.failed);
		buf_reset(&out);
		proto_put_started(&out, &started);
		assert_true(out.failed);
		assert_int_equal(buf_unread(&out), 0);
	}
}

/* Batches */

static size_t
put_item(struct buf *b, size_t i)
{
	uint8_t head[PROTO_HEAD];
	size_t n = proto_item_head(head, samples[i].len);

	buf_put(b, head, n);
	buf_put(b, samples[i].bytes, samples[i].len);
	return n + samples[i].len;
}

/* A batch of every sample, in out. */
static void
put_batch(void)
{
	struct buf items;
	uint8_t head[PROTO_HEAD];
	size_t len = 0;

	buf_init(&items, 65536);
	for (size_t i = 0; i < COUNT(samples); i++)
		len += put_item(&items, i);
	assert_int_equal(buf_unread(&items), len);
	buf_put(&out, head, proto_batch_head(head, len));
	buf_put(&out, buf_head(&items), len);
	buf_free(&items);
}

static void
test_batch(void **state)
{
	(void)state;
	put_batch();
	assert_int_equal(get(buf_head(&out), buf_unread(&out)), 0);
	assert_int_equal(seen_n, COUNT(samples));
	for (size_t i = 0; i < COUNT(samples); i++)
		assert_seen(i, &samples[i].event);
	for (size_t n = 1; n < buf_unread(&out); n++)
		assert_proto(get(buf_head(&out), n));
	assert_int_equal(get("\x5a\0", 2), 0);
	assert_int_equal(seen_n, 0);
}

static void
test_batch_heads(void **state)
{
	static const struct {
		size_t len;
		const char *varint;
		size_t n;
	} rows[] = { { 0, BYTES("\0") }, { 1, BYTES("\1") },
		{ 127, BYTES("\x7f") }, { 128, BYTES("\x80\1") },
		{ 16383, BYTES("\xff\x7f") }, { 16384, BYTES("\x80\x80\1") },
		{ UINT32_MAX, BYTES("\xff\xff\xff\xff\x0f") } };
	uint8_t to[PROTO_HEAD];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(proto_batch_head(to, rows[i].len),
		    1 + rows[i].n);
		assert_int_equal(to[0], 0x5a);
		assert_memory_equal(to + 1, rows[i].varint, rows[i].n);
		assert_int_equal(proto_item_head(to, rows[i].len),
		    1 + rows[i].n);
		assert_int_equal(to[0], 0x0a);
		assert_memory_equal(to + 1, rows[i].varint, rows[i].n);
	}
}

/* What readers have to take, and what they have to refuse */

static void
test_every_prefix(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++)
		for (size_t n = 1; n < samples[i].len; n++) {
			assert_proto(get(samples[i].bytes, n));
			assert_int_equal(seen_n, 0);
		}
}

static const struct {
	const char *what, *bytes;
	size_t len;
	struct event want; /* EVENT_NONE: nothing is to be seen */
} odd[] = {
	{ "fields of each wire type in an event",
	    BYTES("\x0a\x20\x78\x05\x08\x07\x82\x01\x03xyz\x12\x01s\x89\x01"
		  "\1\2\3\4\5\6\7\x08\x1a\x01t\x95\x01\1\2\3\4"),
	    { EVENT_INSERT, 7, { 0 }, 0, "s", "t", JSON("") } },
	{ "a member that is not known", BYTES("\x7a\x03xyz"), { 0 } },
	{ "only a number", BYTES("\xf8\x01\x05"), { 0 } },
	{ "a field before the event", BYTES("\x7a\x01x\x12\x02\x08\x01"),
	    { EVENT_UPDATE, 1, { 0 }, 0, "", "", JSON("") } },
	{ "a number after the event", BYTES("\x12\x02\x08\x01\xf8\x01\x05"),
	    { EVENT_UPDATE, 1, { 0 }, 0, "", "", JSON("") } },
	{ "a string after the event", BYTES("\x12\x02\x08\x01\x7a\x01x"),
	    { EVENT_UPDATE, 1, { 0 }, 0, "", "", JSON("") } },
	{ "the last of two members",
	    BYTES("\x0a\x0a\x08\x01\x12\x01s\x22\x03old\x22\x05\x08\x02"
		  "\x1a\x01t"),
	    { EVENT_TRUNCATE, 2, { 0 }, 0, "", "t", JSON("") } },
	{ "the last of two fields",
	    BYTES("\x0a\x0e\x08\x01\x12\x03one\x08\x02\x12\x03two"),
	    { EVENT_INSERT, 2, { 0 }, 0, "two", "", JSON("") } },
	{ "a field in a batch",
	    BYTES("\x5a\x0a\x10\x01\x0a\x04\x12\x02\x08\x01"
		  "\x18\x01"),
	    { EVENT_UPDATE, 1, { 0 }, 0, "", "", JSON("") } },
};

static void
test_odd_but_valid(void **state)
{
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(odd); i++) {
		size_t want = odd[i].want.op != EVENT_NONE;

		if (get(odd[i].bytes, odd[i].len) != 0 || seen_n != want) {
			print_error("%s: %zu events, %s\n", odd[i].what, seen_n,
			    err.text);
			wrong++;
		} else if (want > 0) {
			assert_seen(0, &odd[i].want);
		}
	}
	assert_int_equal(wrong, 0);
}

static const struct {
	const char *what, *bytes;
	size_t len;
} bad[] = {
	{ "tag cut off", BYTES("\x80") },
	{ "tag cut off behind an event", BYTES("\x22\x02\x08\x01\x80") },
	{ "tag cut off in a batch", BYTES("\x5a\x05\x0a\x02\x12\x00\x80") },
	{ "field 0", BYTES("\x00\x00") },
	{ "length cut off", BYTES("\x0a\x80") },
	{ "length past the end", BYTES("\x0a\x03\x08\x01") },
	{ "length of 4 GiB", BYTES("\x0a\xff\xff\xff\xff\x0f\x08\x01") },
	{ "length of 2^64-1",
	    BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x08\x01") },
	{ "field cut off by the end of the event",
	    BYTES("\x0a\x03\x08\x80\x80\x01") },
	{ "string longer than the event", BYTES("\x0a\x03\x12\x02s\x73\x73") },
	{ "string where a number should be", BYTES("\x0a\x03\x0a\x01x") },
	{ "varint of 11 bytes",
	    BYTES("\x0a\x0c\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") },
	{ "begin cut off", BYTES("\x32\x02\x08\x80") },
	{ "commit cut off", BYTES("\x3a\x02\x08\x80") },
	{ "progress cut off", BYTES("\x52\x02\x08\x80") },
	{ "started cut off", BYTES("\x2a\x02\x10\x80") },
	{ "group", BYTES("\x7b\x7c") },
	{ "wire type 6", BYTES("\x7e\x01") },
	{ "wire type 7", BYTES("\x7f\x01") },
	{ "unknown string cut off", BYTES("\x7a\x05xyz") },
	{ "unknown fixed64 cut off", BYTES("\x79\1\2\3\4\5\6\7") },
	{ "batch in a batch", BYTES("\x5a\x04\x0a\x02\x5a\x00") },
	{ "event longer than its batch", BYTES("\x5a\x03\x0a\x02\x12\x00") },
	{ "number where an event of a batch should be",
	    BYTES("\x5a\x02\x08\x01") },
};

static void
test_refused(void **state)
{
	int accepted = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (get(bad[i].bytes, bad[i].len) == 0) {
			print_error("accepted: %s\n", bad[i].what);
			accepted++;
			continue;
		}
		assert_proto(-1);
	}
	assert_int_equal(accepted, 0);
}

/* A number in the place of a string is refused, or is an unknown field; it is
 * no text. */
static void
test_number_for_string(void **state)
{
	static const struct event want = { EVENT_INSERT, 1, { 0 }, 0, "", "",
		JSON("") };

	(void)state;
	if (get(BYTES("\x0a\x04\x08\x01\x10\x41")) == 0)
		assert_seen(0, &want);
	else
		assert_proto(-1);
}

/* What does not fit into hold is refused. */
static void
test_hold_too_small(void **state)
{
	(void)state;
	for (size_t max = 0; max < 2 + 3 + 7; max++) {
		buf_free(&hold);
		buf_init(&hold, max);
		assert_proto(get(samples[0].bytes, samples[0].len));
		assert_int_equal(seen_n, 0);
	}
}

static void
test_op_names(void **state)
{
	static const char *const names[] = { "insert", "update", "delete",
		"truncate", "started", "begin", "commit", "relation", "message",
		"progress", "batch" };

	(void)state;
	for (int i = 0; i < 11; i++)
		assert_string_equal(event_op_name(EVENT_INSERT + i), names[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_put),
		TEST(test_get),
		TEST(test_nothing),
		TEST(test_started),
		TEST(test_large_events),
		TEST(test_long_names),
		TEST(test_put_does_not_fit),
		TEST(test_batch),
		TEST(test_batch_heads),
		TEST(test_every_prefix),
		TEST(test_odd_but_valid),
		TEST(test_refused),
		TEST(test_number_for_string),
		TEST(test_hold_too_small),
		TEST(test_op_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
