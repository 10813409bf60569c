#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "event/proto.h"
#include "guard.h"
#include "rnd.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BYTES(s) (s), sizeof(s) - 1

static struct buf out;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	buf_init(&out, 65536);
	memset(&err, 0, sizeof(err));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_free(&out);
	return 0;
}

/* Reads n bytes that end at a guard page. */
static int
get(const void *p, size_t n, struct client_message *m)
{
	uint8_t *at = guard_copy(p, n);
	int rc;

	memset(m, 0x55, sizeof(*m));
	rc = proto_get_client(at, n, m, &err);
	guard_free(at, n);
	return rc;
}

static void
assert_refused(int rc, enum err_kind kind)
{
	assert_int_equal(rc, -1);
	assert_int_equal(err.kind, kind);
	assert_string_not_equal(err.text, "");
	memset(&err, 0, sizeof(err));
}

static void
assert_out(const char *want, size_t n)
{
	assert_false(out.failed);
	assert_int_equal(buf_unread(&out), n);
	assert_memory_equal(buf_head(&out), want, n);
	buf_reset(&out);
}

/* Acks */

static const struct {
	const char *what, *bytes;
	size_t len;
	bool has_ack;
	lsn_t lsn;
} acks[] = {
	{ "empty", BYTES(""), false, 0 },
	{ "ack", BYTES("\x0a\x03\x08\xac\x02"), true, 300 },
	{ "ack of 0, left out", BYTES("\x0a\x00"), true, 0 },
	{ "ack of 0", BYTES("\x0a\x02\x08\x00"), true, 0 },
	{ "highest ack",
	    BYTES("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), true,
	    UINT64_MAX },
	{ "varint longer than needed", BYTES("\x0a\x04\x08\x81\x80\x00"), true,
	    1 },
	{ "unknown member", BYTES("\x7a\x02\x28\x01"), false, 0 },
	{ "unknown fields around an ack",
	    BYTES("\xf8\x01\x05\x7a\x01x\x0a\x02\x08\x05\x7a\x01x"
		  "\xf9\x01\1\2\3\4\5\6\7\x08\xfd\x01\1\2\3\4"),
	    true, 5 },
	{ "unknown field in an ack", BYTES("\x0a\x05\x7a\x01x\x08\x05"), true,
	    5 },
	{ "repeated ack", BYTES("\x0a\x02\x08\x05\x0a\x02\x08\x07"), true, 7 },
	{ "repeated ack, falling", BYTES("\x0a\x02\x08\x07\x0a\x02\x08\x05"),
	    true, 5 },
	{ "repeated pg_lsn", BYTES("\x0a\x04\x08\x05\x08\x07"), true, 7 },
	{ "ack behind a start", BYTES("\x12\x03\x0a\x01x\x0a\x02\x08\x05"),
	    true, 5 },
};

static void
test_acks(void **state)
{
	struct client_message m;

	(void)state;
	for (size_t i = 0; i < COUNT(acks); i++) {
		if (get(acks[i].bytes, acks[i].len, &m) != 0)
			fail_msg("%s: %s", acks[i].what, err.text);
		assert_int_equal(m.has_ack, acks[i].has_ack);
		assert_int_equal(m.ack_lsn, acks[i].lsn);
		assert_false(m.has_start);
		assert_int_equal(m.start.tables, 0);
	}
}

static const struct {
	const char *what, *bytes;
	size_t len;
} bad[] = {
	{ "garbage", BYTES("\xff\xff\xff\xff\xff\xff") },
	{ "text", BYTES("GET / HTTP/1.1") },
	{ "tag cut off", BYTES("\x80") },
	{ "tag cut off behind an ack", BYTES("\x0a\x02\x08\x05\x80") },
	{ "field 0", BYTES("\x02\x00") },
	{ "field 0, a number", BYTES("\x00\x00") },
	{ "NUL", BYTES("\0") },
	{ "wire type of the ack: varint", BYTES("\x08\x05") },
	{ "wire type of the ack: fixed32", BYTES("\x0d\1\2\3\4") },
	{ "wire type of the start: varint", BYTES("\x10\x05") },
	{ "wire type of pg_lsn: fixed64",
	    BYTES("\x0a\x09\x09\1\2\3\4\5\6\7\x08") },
	{ "wire type of pg_lsn: string", BYTES("\x0a\x03\x0a\x01x") },
	{ "varint of 11 bytes",
	    BYTES("\x0a\x0c\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") },
	{ "varint above 64 bits",
	    BYTES("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f") },
	{ "length past the end", BYTES("\x0a\x03\x08\x05") },
	{ "length of 2^32-1", BYTES("\x0a\xff\xff\xff\xff\x0f\x08\x05") },
	{ "pg_lsn past the ack", BYTES("\x0a\x02\x08\xac\x02") },
	{ "group", BYTES("\x1b\x1c") },
	{ "unknown field cut off", BYTES("\x7a\x05xyz") },
};

static void
test_refused(void **state)
{
	struct client_message m;
	int accepted = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (get(bad[i].bytes, bad[i].len, &m) == 0) {
			print_error("accepted: %s\n", bad[i].what);
			accepted++;
			continue;
		}
		assert_refused(-1, ERR_PROTO);
		assert_int_equal(m.start.tables, 0);
	}
	assert_int_equal(accepted, 0);
	for (size_t n = 1; n < 5; n++)
		assert_refused(get("\x0a\x03\x08\xac\x02", n, &m), ERR_PROTO);
}

static void
test_put_ack(void **state)
{
	static const lsn_t lsns[] = { 0, 1, 127, 128, 0x16b374d848,
		UINT64_MAX };
	struct client_message m;

	(void)state;
	proto_put_ack(&out, 300);
	assert_out(BYTES("\x0a\x03\x08\xac\x02"));
	proto_put_ack(&out, UINT64_MAX);
	assert_out(
	    BYTES("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
	for (size_t i = 0; i < COUNT(lsns); i++) {
		proto_put_ack(&out, lsns[i]);
		assert_false(out.failed);
		assert_int_equal(get(buf_head(&out), buf_unread(&out), &m), 0);
		assert_true(m.has_ack);
		assert_int_equal(m.ack_lsn, lsns[i]);
		buf_reset(&out);
	}
	buf_free(&out);
	buf_init(&out, 4);
	proto_put_ack(&out, 300);
	assert_true(out.failed);
	assert_int_equal(buf_unread(&out), 0);
}

/* Start */

/* Every field, worked out by hand: tables a.* and b.?, update and truncate,
 * messages m* and n. */
static const char whole_start[] =
    "\x12\x30\x0a\x03"
    "a.*\x0a\x03"
    "b.?\x12\x02\x02\x04\x18\xac\x02\x22\x03"
    "742\x2a\x02me\x30\x01\x38\x01\x40\x80\x80\x10\x48\xe8\x07\x50\x01"
    "\x5a\x02m*\x5a\x01n\x60\x01";
#define WHOLE_LEN (sizeof(whole_start) - 1)

static void
assert_whole_start(const struct client_message *m)
{
	assert_true(m->has_start);
	assert_false(m->has_ack);
	assert_int_equal(m->start.tables, 2);
	assert_string_equal(m->start.table[0], "a.*");
	assert_string_equal(m->start.table[1], "b.?");
	assert_int_equal(m->start.operations,
	    1u << EVENT_UPDATE | 1u << EVENT_TRUNCATE);
	assert_int_equal(m->start.after_lsn, 300);
	assert_string_equal(m->start.system_identifier, "742");
	assert_string_equal(m->start.consumer, "me");
	assert_true(m->start.observer);
	assert_true(m->start.batch);
	assert_int_equal(m->start.max_batch_bytes, 262144);
	assert_int_equal(m->start.progress_interval_ms, 1000);
	assert_true(m->start.exact);
	assert_true(m->start.relations);
	assert_int_equal(m->start.messages, 2);
	assert_string_equal(m->start.message[0], "m*");
	assert_string_equal(m->start.message[1], "n");
}

static void
test_start(void **state)
{
	struct client_message m, again;

	(void)state;
	assert_int_equal(get(whole_start, WHOLE_LEN, &m), 0);
	assert_whole_start(&m);
	proto_put_start(&out, &m.start);
	assert_false(out.failed);
	assert_int_equal(get(buf_head(&out), buf_unread(&out), &again), 0);
	assert_whole_start(&again);
	proto_start_free(&m.start);
	proto_start_free(&again.start);
	assert_int_equal(m.start.tables, 0);
	assert_int_equal(m.start.messages, 0);
}

/* What was left out is none, 0 or false, which mean "all" and "no". */
static void
test_start_of_nothing(void **state)
{
	static const struct start none;
	struct client_message m;

	(void)state;
	proto_put_start(&out, &none);
	assert_int_equal(get(buf_head(&out), buf_unread(&out), &m), 0);
	assert_true(m.has_start);
	assert_false(m.has_ack);
	assert_memory_equal(&m.start, &none, sizeof(none));
	assert_out(BYTES("\x12\x00"));
}

/* An empty glob, which no table matches, is not the same as no glob. Found by
 * fuzz_frame. */
static void
test_start_empty_globs(void **state)
{
	char *glob[] = { strdup(""), strdup("t"), strdup("") };
	struct start s = { .tables = 2, .messages = 1 };
	struct client_message m;

	(void)state;
	s.table[0] = glob[0];
	s.table[1] = glob[1];
	s.message[0] = glob[2];
	proto_put_start(&out, &s);
	assert_int_equal(get(buf_head(&out), buf_unread(&out), &m), 0);
	assert_int_equal(m.start.tables, 2);
	assert_string_equal(m.start.table[0], "");
	assert_string_equal(m.start.table[1], "t");
	assert_int_equal(m.start.messages, 1);
	assert_string_equal(m.start.message[0], "");
	proto_start_free(&m.start);
	proto_start_free(&s);
}

/* A repeated enum comes packed or not. The last member of the oneof counts. */
static void
test_start_forms(void **state)
{
	struct client_message m;

	(void)state;
	assert_int_equal(get(BYTES("\x12\x04\x10\x01\x10\x03"), &m), 0);
	assert_int_equal(m.start.operations,
	    1u << EVENT_INSERT | 1u << EVENT_DELETE);
	assert_int_equal(get(BYTES("\x0a\x02\x08\x05\x12\x03\x0a\x01x"), &m),
	    0);
	assert_true(m.has_start);
	assert_false(m.has_ack);
	assert_int_equal(m.start.tables, 1);
	assert_string_equal(m.start.table[0], "x");
	proto_start_free(&m.start);
	/* What begins with a start that does not count is freed. */
	assert_int_equal(get(BYTES("\x12\x03\x5a\x01x\x12\x03\x5a\x01y"), &m),
	    0);
	assert_int_equal(m.start.messages, 1);
	assert_string_equal(m.start.message[0], "y");
	proto_start_free(&m.start);
}

/* Whatever is missing, nothing is leaked and nothing else is read. */
static void
test_start_every_prefix(void **state)
{
	struct client_message m;

	(void)state;
	for (size_t n = 1; n < WHOLE_LEN; n++) {
		assert_refused(get(whole_start, n, &m), ERR_PROTO);
		assert_int_equal(m.start.tables, 0);
	}
}

/* A start in which field `tag` is n times a string of len bytes. */
static int
get_strings(uint8_t tag, size_t n, size_t len, struct client_message *m)
{
	struct buf body, b;
	int rc;

	buf_init(&body, 65536);
	buf_init(&b, 65536);
	for (size_t i = 0; i < n; i++) {
		buf_put_u8(&body, tag);
		buf_put_u8(&body, (uint8_t)(len | 0x80));
		buf_put_u8(&body, (uint8_t)(len >> 7));
		for (size_t k = 0; k < len; k++)
			buf_put_u8(&body, 'x');
	}
	buf_put_u8(&b, 0x12);
	buf_put_u8(&b, (uint8_t)(body.len | 0x80));
	buf_put_u8(&b, (uint8_t)(body.len >> 7 | 0x80));
	buf_put_u8(&b, (uint8_t)(body.len >> 14));
	buf_put(&b, buf_head(&body), body.len);
	assert_false(b.failed || body.failed);
	rc = get(buf_head(&b), buf_unread(&b), m);
	buf_free(&body);
	buf_free(&b);
	return rc;
}

static void
assert_most(char *const *list, size_t n)
{
	assert_int_equal(n, START_MAX_TABLES);
	for (size_t i = 0; i < START_MAX_TABLES; i++)
		assert_int_equal(strlen(list[i]), 255);
}

/* As many globs as there may be, there and back. */
static void
check_most(uint8_t tag)
{
	struct client_message m;
	bool tables = tag == 0x0a;

	buf_reset(&out);
	assert_int_equal(get_strings(tag, START_MAX_TABLES, 255, &m), 0);
	for (int i = 0; i < 2; i++) {
		assert_most(tables ? m.start.table : m.start.message,
		    tables ? m.start.tables : m.start.messages);
		if (i == 0)
			proto_put_start(&out, &m.start);
		proto_start_free(&m.start);
		assert_false(out.failed);
		assert_int_equal(get(buf_head(&out), buf_unread(&out), &m), 0);
	}
	proto_start_free(&m.start);
	assert_refused(get_strings(tag, START_MAX_TABLES + 1, 1, &m),
	    ERR_USAGE);
	assert_int_equal(m.start.tables + m.start.messages, 0);
}

static void
test_start_limits(void **state)
{
	static const uint8_t strings[] = { 0x0a, 0x22, 0x2a, 0x5a };
	struct client_message m;

	(void)state;
	for (size_t i = 0; i < COUNT(strings); i++) {
		assert_int_equal(get_strings(strings[i], 1, START_MAX_STRING,
				     &m),
		    0);
		proto_start_free(&m.start);
		assert_refused(get_strings(strings[i], 1, START_MAX_STRING + 1,
				   &m),
		    ERR_USAGE);
		assert_int_equal(m.start.tables, 0);
	}
	check_most(0x0a);
	check_most(0x5a);
}

static const struct {
	const char *bytes;
	size_t len;
	enum err_kind kind;
} bad_starts[] = {
	/* operations that are not: 0, 5, 5 packed, 2^32 + 1 */
	{ BYTES("\x12\x02\x10\x00"), ERR_USAGE },
	{ BYTES("\x12\x02\x10\x05"), ERR_USAGE },
	{ BYTES("\x12\x03\x12\x01\x05"), ERR_USAGE },
	{ BYTES("\x12\x06\x10\x81\x80\x80\x80\x10"), ERR_USAGE },
	/* NULs in names */
	{ BYTES("\x12\x05\x0a\x03x\0y"), ERR_USAGE },
	{ BYTES("\x12\x05\x22\x03x\0y"), ERR_USAGE },
	{ BYTES("\x12\x05\x2a\x03x\0y"), ERR_USAGE },
	{ BYTES("\x12\x05\x5a\x03x\0y"), ERR_USAGE },
	{ BYTES("\x12\x03\x12\x01\x80"), ERR_PROTO },
	/* a table, then something broken, in the start and behind it */
	{ BYTES("\x12\x05\x0a\x01x\x0a\x05"), ERR_PROTO },
	{ BYTES("\x12\x05\x5a\x01x\x5a\x05"), ERR_PROTO },
	{ BYTES("\x12\x05\x0a\x01x\x1a\x00"), ERR_PROTO },
	{ BYTES("\x12\x03\x0a\x01x\x12"), ERR_PROTO },
	{ BYTES("\x12\x03\x0a\x01x\x80"), ERR_PROTO },
};

static void
test_start_refused(void **state)
{
	struct client_message m;

	(void)state;
	for (size_t i = 0; i < COUNT(bad_starts); i++) {
		assert_refused(get(bad_starts[i].bytes, bad_starts[i].len, &m),
		    bad_starts[i].kind);
		assert_int_equal(m.start.tables, 0);
	}
}

static void
test_mutations(void **state)
{
	static const uint8_t zeros[64];
	uint8_t *end = guard_copy(zeros, 64) + 64, *at = end - WHOLE_LEN;
	uint64_t seed = 20240304;
	struct client_message m;
	size_t good = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		memcpy(end - WHOLE_LEN, whole_start, WHOLE_LEN);
		for (uint32_t k = rnd_below(&seed, 4); k > 0; k--)
			at[rnd_below(&seed, WHOLE_LEN)] =
			    (uint8_t)rnd_next(&seed);
		if (proto_get_client(at, WHOLE_LEN, &m, &err) == 0) {
			assert_true(m.start.tables <= START_MAX_TABLES);
			proto_start_free(&m.start);
			good++;
			continue;
		}
		assert_true(err.kind == ERR_PROTO || err.kind == ERR_USAGE);
		assert_int_equal(m.start.tables + m.start.messages, 0);
	}
	assert_in_range(good, 20000, 90000);
	guard_free(end - 64, 64);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_acks),
		TEST(test_refused),
		TEST(test_put_ack),
		TEST(test_start),
		TEST(test_start_of_nothing),
		TEST(test_start_empty_globs),
		TEST(test_start_forms),
		TEST(test_start_every_prefix),
		TEST(test_start_limits),
		TEST(test_start_refused),
		TEST(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
