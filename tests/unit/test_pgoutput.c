#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "pg/pgoutput.h"
#include "pgo.h"

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

/* Decodes what was built in msg, and begins the next. What was decoded is
 * good until then. */
static void
decode_built(struct pgo_msg *m)
{
	assert_false(msg.failed);
	memset(m, 0x55, sizeof(*m));
	if (pgo_decode(decoder, msg.data, msg.len, m, &err) != 0)
		fail_msg("%s", err.text);
	buf_reset(&msg);
}

static void
decode_sample(enum pgo_sample which, struct pgo_msg *m)
{
	pgo_put_sample(&msg, which);
	decode_built(m);
}

static void
assert_row(const struct pgo_tuple *t, const char *const *want)
{
	assert_int_equal(t->n, 3);
	for (int i = 0; i < 3; i++) {
		const struct pgo_col *c = &t->col[i];

		if (want[i] == NULL || want[i] == pgo_toast) {
			assert_int_equal(c->kind,
			    want[i] == NULL ? PGO_NULL : PGO_UNCHANGED);
			continue;
		}
		assert_int_equal(c->kind, PGO_TEXT);
		assert_int_equal(c->len, strlen(want[i]));
		assert_memory_equal(c->data, want[i], c->len);
	}
}

/* old and new: the rows there must be, NULL for one that must not. */
static void
assert_change(enum pgo_sample which, char type, char old_kind,
    const char *const *old, const char *const *new)
{
	struct pgo_msg m;

	decode_sample(which, &m);
	assert_int_equal(m.type, type);
	assert_int_equal(m.change.oid, SAMPLE_OID);
	assert_int_equal(m.change.old_kind, old_kind);
	if (old != NULL)
		assert_row(&m.change.old_row, old);
	else
		assert_int_equal(m.change.old_row.n, 0);
	if (new != NULL)
		assert_row(&m.change.new_row, new);
	else
		assert_int_equal(m.change.new_row.n, 0);
}

static void
test_changes(void **state)
{
	(void)state;
	assert_change(SAMPLE_INSERT, PGO_INSERT, 0, NULL, sample_row);
	assert_change(SAMPLE_UPDATE, PGO_UPDATE, 0, NULL, sample_toast);
	assert_change(SAMPLE_UPDATE_KEY, PGO_UPDATE, 'K', sample_key,
	    sample_toast);
	assert_change(SAMPLE_UPDATE_FULL, PGO_UPDATE, 'O', sample_row,
	    sample_toast);
	assert_change(SAMPLE_DELETE_KEY, PGO_DELETE, 'K', sample_key, NULL);
	assert_change(SAMPLE_DELETE_FULL, PGO_DELETE, 'O', sample_row, NULL);
}

static void
test_transaction(void **state)
{
	struct pgo_msg m;

	(void)state;
	decode_sample(SAMPLE_BEGIN, &m);
	assert_int_equal(m.type, PGO_BEGIN);
	assert_int_equal(m.begin.final_lsn, SAMPLE_C);
	assert_int_equal(m.begin.commit_at, SAMPLE_AT);
	assert_int_equal(m.begin.xid, 4294967295);
	decode_sample(SAMPLE_COMMIT, &m);
	assert_int_equal(m.type, PGO_COMMIT);
	assert_int_equal(m.commit.commit_lsn, SAMPLE_C);
	assert_int_equal(m.commit.end_lsn, SAMPLE_E);
	assert_int_equal(m.commit.commit_at, SAMPLE_AT);
	decode_sample(SAMPLE_ORIGIN, &m);
	assert_int_equal(m.type, PGO_ORIGIN);
	decode_sample(SAMPLE_STREAM_ABORT, &m);
	assert_int_equal(m.type, PGO_STREAM_ABORT);
	decode_sample(SAMPLE_TYPE, &m);
	assert_int_equal(m.type, PGO_TYPE);
}

static void
test_relation(void **state)
{
	struct pgo_msg m;

	(void)state;
	decode_sample(SAMPLE_RELATION, &m);
	assert_int_equal(m.type, PGO_RELATION);
	assert_int_equal(m.relation.oid, SAMPLE_OID);
	assert_string_equal(m.relation.schema, "public");
	assert_string_equal(m.relation.name, "t");
	assert_int_equal(m.relation.identity, 'd');
	assert_int_equal(m.relation.n, 3);
	for (int i = 0; i < 3; i++) {
		const struct pgo_attr *got = &m.relation.attr[i];

		assert_int_equal(got->key, sample_attrs[i].key);
		assert_string_equal(got->name, sample_attrs[i].name);
		assert_int_equal(got->type_oid, sample_attrs[i].type_oid);
		assert_int_equal(got->typmod, sample_attrs[i].typmod);
	}
}

static void
test_relation_of_pg_catalog(void **state)
{
	struct pgo_relation catalog = sample_relation;
	struct pgo_msg m;

	(void)state;
	catalog.schema = "";
	catalog.n = 0;
	pgo_put_relation(&msg, &catalog);
	decode_built(&m);
	assert_string_equal(m.relation.schema, "pg_catalog");
	assert_string_equal(m.relation.name, "t");
	assert_int_equal(m.relation.n, 0);
}

/* Only the lowest bit of a column's flags says key. */
static void
test_relation_flags(void **state)
{
	struct pgo_msg m;

	(void)state;
	for (int flags = 0; flags < 256; flags++) {
		pgo_put_relation(&msg, &sample_relation);
		msg.data[1 + 4 + 7 + 2 + 1 + 2] = (uint8_t)flags;
		decode_built(&m);
		assert_int_equal(m.relation.attr[0].key, flags & 1);
	}
}

static void
test_truncate(void **state)
{
	struct pgo_msg m;

	(void)state;
	for (uint8_t flags = 0; flags < 4; flags++) {
		pgo_put_truncate(&msg, flags, sample_oids, 3);
		decode_built(&m);
		assert_int_equal(m.type, PGO_TRUNCATE);
		assert_int_equal(m.truncate.cascade, flags & 1);
		assert_int_equal(m.truncate.restart_identity, flags >> 1);
		assert_int_equal(m.truncate.n, 3);
		assert_memory_equal(m.truncate.oid, sample_oids,
		    sizeof(sample_oids));
	}
	pgo_put_truncate(&msg, 0, sample_oids + 2, 1);
	decode_built(&m);
	assert_int_equal(m.truncate.n, 1);
	assert_int_equal(m.truncate.oid[0], 7);
}

static void
test_truncate_of_many(void **state)
{
	uint32_t many[2000];
	struct pgo_msg m;

	(void)state;
	for (uint32_t i = 0; i < COUNT(many); i++)
		many[i] = i * 3;
	pgo_put_truncate(&msg, 0, many, COUNT(many));
	decode_built(&m);
	assert_int_equal(m.truncate.n, COUNT(many));
	assert_memory_equal(m.truncate.oid, many, sizeof(many));
}

static void
test_message(void **state)
{
	struct pgo_msg m;

	(void)state;
	decode_sample(SAMPLE_MESSAGE, &m);
	assert_int_equal(m.type, PGO_MESSAGE);
	assert_true(m.message.transactional);
	assert_int_equal(m.message.lsn, SAMPLE_C);
	assert_string_equal(m.message.prefix, "prefix");
	assert_int_equal(m.message.len, 8);
	assert_memory_equal(m.message.content, "con\0tent", 8);
	pgo_put_message(&msg, 0, 0, "", "", 0);
	decode_built(&m);
	assert_false(m.message.transactional);
	assert_string_equal(m.message.prefix, "");
	assert_int_equal(m.message.len, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_changes),
		TEST(test_transaction),
		TEST(test_relation),
		TEST(test_relation_of_pg_catalog),
		TEST(test_relation_flags),
		TEST(test_truncate),
		TEST(test_truncate_of_many),
		TEST(test_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
