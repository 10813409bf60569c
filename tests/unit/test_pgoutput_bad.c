#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "guard.h"
#include "pg/pgoutput.h"
#include "pgo.h"
#include "rnd.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct pgo_decoder *decoder;
static struct buf msg;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	decoder = pgo_new();
	buf_init(&msg, (size_t)1 << 20);
	memset(&err, 0, sizeof(err));
	return decoder == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_free(&msg);
	pgo_del(decoder);
	return 0;
}

/* What is decoded below lies at a guard page, at most this much of it. */
#define ROOM ((size_t)1 << 20)
static uint8_t *room;

static int
setup_room(void **state)
{
	static const uint8_t zeros[ROOM];

	(void)state;
	room = guard_copy(zeros, ROOM);
	return 0;
}

static int
teardown_room(void **state)
{
	(void)state;
	guard_free(room, ROOM);
	return 0;
}

static int
decode(const void *p, size_t n, struct pgo_msg *m)
{
	uint8_t *at = room + ROOM - n;

	assert_true(n <= ROOM);
	if (n > 0)
		memcpy(at, p, n);
	return pgo_decode(decoder, at, n, m, &err);
}

/* Decodes what was built in msg, and begins the next. */
static void
decode_built(struct pgo_msg *m)
{
	assert_false(msg.failed);
	if (decode(buf_head(&msg), buf_unread(&msg), m) != 0)
		fail_msg("%s", err.text);
	buf_reset(&msg);
}

static void
assert_proto(int rc)
{
	assert_int_equal(rc, -1);
	assert_int_equal(err.kind, ERR_PROTO);
	assert_string_not_equal(err.text, "");
	memset(&err, 0, sizeof(err));
}

static void
assert_built_refused(void)
{
	struct pgo_msg m;

	assert_false(msg.failed);
	assert_proto(decode(buf_head(&msg), buf_unread(&msg), &m));
	buf_reset(&msg);
}

/* Writes a length over the one that was built. */
static void
poke_u32(size_t at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		msg.data[at + (size_t)i] = (uint8_t)(v >> (24 - 8 * i));
}

static void
test_every_prefix(void **state)
{
	struct pgo_msg m;

	(void)state;
	for (size_t i = 0; i < PGO_SAMPLES; i++) {
		buf_reset(&msg);
		pgo_put_sample(&msg, (enum pgo_sample)i);
		for (size_t n = 0; n < msg.len; n++)
			assert_proto(decode(msg.data, n, &m));
		assert_int_equal(decode(msg.data, msg.len, &m), 0);
	}
}

static void
test_one_byte_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < PGO_SAMPLES; i++)
		for (int c = 0; c < 256; c++) {
			pgo_put_sample(&msg, (enum pgo_sample)i);
			buf_put_u8(&msg, (uint8_t)c);
			assert_built_refused();
		}
}

/* Of all types, also those of later protocol versions. */
static void
test_unknown_types(void **state)
{
	struct pgo_msg m;

	(void)state;
	for (int c = 0; c < 256; c++) {
		if (c != 0 && strchr("BCORYIUDTM", c) != NULL)
			continue;
		pgo_put_sample(&msg, SAMPLE_BEGIN);
		msg.data[0] = (uint8_t)c;
		assert_built_refused();
		assert_proto(decode(&(uint8_t){ (uint8_t)c }, 1, &m));
	}
}

/* A change whose first mark is not one that its type has, and an update whose
 * second is not 'N'. */
static void
test_row_marks(void **state)
{
	static const struct {
		char type;
		const char *marks;
	} rows[] = { { 'I', "N" }, { 'U', "NKO" }, { 'D', "KO" } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (int c = 0; c < 256; c++) {
			if (c != 0 && strchr(rows[i].marks, c) != NULL)
				continue;
			pgo_put_change(&msg, rows[i].type, 1);
			pgo_put_row(&msg, (char)c, sample_row, 3);
			assert_built_refused();
		}
	for (int c = 0; c < 256; c++) {
		if (c == 'N')
			continue;
		pgo_put_change(&msg, 'U', 1);
		pgo_put_row(&msg, 'K', sample_row, 3);
		pgo_put_row(&msg, (char)c, sample_row, 3);
		assert_built_refused();
	}
	/* A key alone is no update; a delete has no new row. */
	pgo_put_change(&msg, 'U', 1);
	pgo_put_row(&msg, 'K', sample_row, 3);
	assert_built_refused();
	pgo_put_change(&msg, 'D', 1);
	pgo_put_row(&msg, 'K', sample_row, 3);
	pgo_put_row(&msg, 'N', sample_row, 3);
	assert_built_refused();
}

/* A row of one column of this kind, with what might belong to it. */
static void
put_kind(int kind, size_t extra)
{
	static const uint8_t one[] = { 0, 0, 0, 1, 'x' };

	pgo_put_change(&msg, 'I', 1);
	buf_put(&msg, "N\0\1", 3);
	buf_put_u8(&msg, (uint8_t)kind);
	buf_put(&msg, one, extra);
}

static void
test_tuple_kinds(void **state)
{
	(void)state;
	for (int kind = 0; kind < 256; kind++) {
		if (kind != 'n' && kind != 'u') {
			put_kind(kind, 0);
			assert_built_refused();
		}
		if (kind != 't') { /* 'b' too: nobody asked for binary */
			put_kind(kind, 5);
			assert_built_refused();
		}
	}
}

static void
test_length_past_end(void **state)
{
	static const uint32_t bad[] = { 2, 0x7fffffff, 0x80000000, 0xfffffffe,
		0xffffffff };
	struct pgo_msg m;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		put_kind('t', 5);
		poke_u32(msg.len - 5, bad[i]);
		assert_built_refused();
		pgo_put_message(&msg, 0, SAMPLE_C, "p", "x", 1);
		poke_u32(msg.len - 5, bad[i]);
		assert_built_refused();
	}
	put_kind('t', 5);
	decode_built(&m);
	assert_int_equal(m.change.new_row.col[0].len, 1);
}

/* A count that is not that of the tables which are there. */
static void
test_truncate_miscounted(void **state)
{
	static const uint32_t bad[] = { 0, 2, 4, 0x40000003, 0x80000003,
		0xffffffff };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		pgo_put_sample(&msg, SAMPLE_TRUNCATE);
		poke_u32(1, bad[i]);
		assert_built_refused();
	}
}

/* A relation and rows of n columns, all of them there. */
static void
put_wide_relation(uint16_t n)
{
	struct pgo_relation r = sample_relation;

	r.n = 0;
	pgo_put_relation(&msg, &r);
	msg.data[msg.len - 2] = (uint8_t)(n >> 8);
	msg.data[msg.len - 1] = (uint8_t)n;
	for (uint16_t i = 0; i < n; i++)
		buf_put(&msg, "\1c\0\0\0\0\1\0\0\0\2", 11);
}

static void
put_wide_row(char type, char mark, uint16_t n)
{
	static const char *const wide[65535];

	pgo_put_change(&msg, type, 1);
	if (type == 'U' && mark == 'N')
		pgo_put_row(&msg, 'K', wide, 1);
	pgo_put_row(&msg, mark, wide, n);
	if (type == 'U' && mark == 'K')
		pgo_put_row(&msg, 'N', wide, 1);
}

static const struct {
	char type, mark;
} wide_rows[] = { { 'I', 'N' }, { 'U', 'N' }, { 'U', 'K' }, { 'D', 'O' } };

static void
test_most_columns(void **state)
{
	struct pgo_msg m;

	(void)state;
	put_wide_relation(PGO_MAX_COLUMNS);
	decode_built(&m);
	assert_int_equal(m.relation.n, 1664);
	for (int i = 0; i < 1664; i++) {
		assert_string_equal(m.relation.attr[i].name, "c");
		assert_int_equal(m.relation.attr[i].typmod, 2);
	}
	put_wide_row('I', 'N', 1664);
	decode_built(&m);
	assert_int_equal(m.change.new_row.n, 1664);
	put_wide_row('U', 'K', 1664);
	decode_built(&m);
	assert_int_equal(m.change.old_row.n, 1664);
	assert_int_equal(m.change.new_row.n, 1);
}

static void
test_too_many_columns(void **state)
{
	static const uint16_t bad[] = { 1665, 32767, 32768, 65535 };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		put_wide_relation(bad[i]);
		assert_built_refused();
		for (size_t k = 0; k < COUNT(wide_rows); k++) {
			put_wide_row(wide_rows[k].type, wide_rows[k].mark,
			    bad[i]);
			assert_built_refused();
		}
	}
}

/* A count with nothing behind it, -1 among them. */
static void
test_columns_missing(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 65536; n++) {
		buf_put(&msg, "I\0\0\0\1N", 6);
		buf_put_u16(&msg, (uint16_t)n);
		assert_built_refused();
		buf_put(&msg, "R\0\0\0\1s\0t\0d", 10);
		buf_put_u16(&msg, (uint16_t)n);
		assert_built_refused();
	}
}

static void
test_names_without_nul(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{ "O\0\0\0\0\0\0\0\1origin", 15 },
		{ "Y\0\0\0\1schema", 11 },
		{ "Y\0\0\0\1schema\0type", 16 },
		{ "R\0\0\0\1schema", 11 },
		{ "R\0\0\0\1schema\0name", 16 },
		{ "R\0\0\0\1schema\0name\0d\0\1\1column", 27 },
		{ "M\0\0\0\0\0\0\0\0\1prefix", 16 },
	};
	struct pgo_msg m;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_proto(decode(rows[i].bytes, rows[i].len, &m));
}

static void
test_commit_positions(void **state)
{
	static const struct {
		lsn_t commit, end;
		bool good;
	} rows[] = {
		{ SAMPLE_C, SAMPLE_C + 1, true },
		{ 1, UINT64_MAX, true },
		{ SAMPLE_C, SAMPLE_C, false },
		{ SAMPLE_C, SAMPLE_C - 1, false },
		{ UINT64_MAX, 1, false },
		{ 0, 0, false },
	};
	struct pgo_msg m;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		pgo_put_commit(&msg, rows[i].commit, rows[i].end, SAMPLE_AT);
		if (rows[i].good)
			decode_built(&m);
		else
			assert_built_refused();
	}
	pgo_put_begin(&msg, 0, SAMPLE_AT, 1);
	assert_built_refused();
}

static void
test_error_names_the_message(void **state)
{
	struct pgo_msg m;

	(void)state;
	assert_int_equal(decode("I", 1, &m), -1);
	assert_non_null(strstr(err.text, "Insert"));
	assert_int_equal(decode("R", 1, &m), -1);
	assert_non_null(strstr(err.text, "Relation"));
	assert_int_equal(decode("?", 1, &m), -1);
	assert_non_null(strstr(err.text, "0x3f"));
}

/* Mutations */

#define MUTATIONS 200000

/* Adds up every byte that a decoded message refers to. */
static unsigned
read_row(const struct pgo_tuple *t)
{
	unsigned sum = 0;

	for (uint16_t i = 0; i < t->n; i++)
		for (uint32_t k = 0; k < t->col[i].len; k++)
			sum += (uint8_t)t->col[i].data[k];
	return sum;
}

static size_t
read_relation(const struct pgo_relation *r)
{
	size_t sum = strlen(r->schema) + strlen(r->name);

	for (uint16_t i = 0; i < r->n; i++)
		sum += strlen(r->attr[i].name);
	return sum;
}

static size_t
read_all(const struct pgo_msg *m)
{
	size_t sum = 0;

	switch (m->type) {
	case PGO_RELATION:
		return read_relation(&m->relation);
	case PGO_INSERT:
	case PGO_UPDATE:
	case PGO_DELETE:
		return read_row(&m->change.old_row) +
		    read_row(&m->change.new_row);
	case PGO_TRUNCATE:
		for (uint32_t i = 0; i < m->truncate.n; i++)
			sum += m->truncate.oid[i];
		return sum;
	case PGO_MESSAGE:
		for (uint32_t i = 0; i < m->message.len; i++)
			sum += m->message.content[i];
		return sum + strlen(m->message.prefix);
	default:
		return 0;
	}
}

/* Changes a few bytes of msg, and at times its length. */
static void
mutate(uint64_t *seed)
{
	static const uint8_t edges[] = { 0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, 'n',
		'u', 't', 'K', 'N', 'O' };

	for (uint32_t i = rnd_below(seed, 4); i > 0; i--) {
		uint8_t *at = &msg.data[rnd_below(seed, (uint32_t)msg.len)];

		*at = rnd_below(seed, 2) == 0
		    ? (uint8_t)rnd_next(seed)
		    : edges[rnd_below(seed, COUNT(edges))];
	}
	if (rnd_below(seed, 4) == 0)
		msg.len -= rnd_below(seed, (uint32_t)msg.len);
	else if (rnd_below(seed, 4) == 0)
		buf_put_u32(&msg, rnd_next(seed));
}

static void
test_mutations(void **state)
{
	uint64_t seed = 20240229;
	size_t good = 0, sum = 0;
	struct pgo_msg m;

	(void)state;
	for (int i = 0; i < MUTATIONS; i++) {
		buf_reset(&msg);
		pgo_put_sample(&msg,
		    (enum pgo_sample)rnd_below(&seed, PGO_SAMPLES));
		mutate(&seed);
		if (decode(msg.data, msg.len, &m) == 0) {
			sum += read_all(&m);
			good++;
		} else if (err.kind != ERR_PROTO) {
			fail_msg("mutation %d: %s", i, err.text);
		}
	}
	/* Both happened often, and something was there to be read. */
	assert_in_range(good, MUTATIONS / 10, MUTATIONS / 2);
	assert_true(sum > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_every_prefix),
		TEST(test_one_byte_more),
		TEST(test_unknown_types),
		TEST(test_row_marks),
		TEST(test_tuple_kinds),
		TEST(test_length_past_end),
		TEST(test_truncate_miscounted),
		TEST(test_most_columns),
		TEST(test_too_many_columns),
		TEST(test_columns_missing),
		TEST(test_names_without_nul),
		TEST(test_commit_positions),
		TEST(test_error_names_the_message),
		TEST(test_mutations),
	};

	return cmocka_run_group_tests(tests, setup_room, teardown_room);
}
