#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "types.h"
/* Its globals come behind. */
#include "published.h"

/* Types that have to be read first, and what an event says of its row. */

enum { INT4 = 23, TEXT = 25, KIND = 16400, KINDS, PAIR, TAGS };

static void
assert_ring(uint64_t from, const char *want)
{
	assert_string_equal(shown(from), want);
}

/* A table in s: an id, and v of this type. */
static void
put_table(uint32_t oid, const char *name, uint32_t type_oid)
{
	const struct pgo_attr attrs[] = { { true, "id", INT4, -1 },
		{ false, "v", type_oid, 24 } };
	const struct pgo_relation rel = { oid, "s", name, 'd', 2, attrs };

	pgo_put_relation(&msg, &rel);
}

static void
put_insert(uint32_t oid, const char *id, const char *v)
{
	pgo_put_change(&msg, 'I', oid);
	put_row('N', id, v);
}

static void
assert_waits_for(uint32_t type_oid)
{
	assert_int_equal(offer(), PUBLISH_WAIT);
	assert_true(typecat_needs(&p.types));
	assert_int_equal(p.types.needed_len, 1);
	assert_int_equal(p.types.needed[0], type_oid);
}

/* Table 1 with pairs in v that have an attribute x, in a transaction. */
static void
begin_pairs(void)
{
	LOAD(&p.types, ATTR(PAIR, "pair", "x", INT4));
	put_table(1, "t", PAIR);
	assert_int_equal(give(), 0);
	TAKE({ 'B', 100, 0, NULL });
}

static void
load_wider_pair(void)
{
	LOAD(&p.types, ATTR(PAIR, "pair", "x", INT4),
	    ATTR(PAIR, "pair", "y", TEXT));
}

/* Relations */

static void
test_relation_waits(void **state)
{
	(void)state;
	put_table(1, "t", KIND);
	assert_waits_for(KIND);
	assert_waits_for(KIND); /* as long as it has not been read */
	LOAD(&p.types, DOMAIN(KIND, INT4, "kind"));
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'B', 100, 0, NULL });
	put_insert(1, "1", "7");
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(0,
	    "B100@100\n"
	    "100.1@140 insert s.t {\"id\":1,\"v\":7}\n"
	    "C100@140\n");
}

/* A type that has been dropped since is text, and is called so. */
static void
test_relation_of_a_lost_type(void **state)
{
	(void)state;
	put_table(1, "t", KIND);
	assert_waits_for(KIND);
	LOAD(&p.types, DOMAIN(KINDS, INT4, "another"));
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'B', 100, 0, NULL });
	put_insert(1, "1", "7");
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(1,
	    "100.1@140 insert s.t {\"id\":1,\"v\":\"7\"}\n"
	    "C100@140\n");
}

/* The row that is held stays so while types are read. */
static void
test_relation_waits_in_a_transaction(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 1, 0, "1" });
	put_table(2, "u", KIND);
	assert_waits_for(KIND);
	assert_int_equal(ring.next, 0);
	LOAD(&p.types, DOMAIN(KIND, INT4, "kind"));
	assert_int_equal(give(), PUBLISH_DONE);
	put_insert(2, "2", "7");
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(0,
	    "B100@100\n"
	    "100.1@100 insert s.t {\"id\":1,\"v\":null}\n"
	    "100.2@140 insert s.u {\"id\":2,\"v\":7}\n"
	    "C100@140\n");
}

static void
test_stop_while_waiting(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 1, 0, "1" });
	put_table(2, "u", KIND);
	assert_waits_for(KIND);
	buf_reset(&msg);
	publish_stop(&p);
	assert_false(typecat_needs(&p.types));
	publish_start(&p, 50, true);
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 1, 0, "1" },
	    { 'C', 100, 140, NULL });
	assert_ring(0,
	    "B100@100\n"
	    "100.1@140 insert s.t {\"id\":1,\"v\":null}\n"
	    "C100@140\n");
}

/* A relation that is described anew, while a row of it is held. */
static void
test_relation_changes_its_type(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 1, 0, "1" });
	put_table(1, "t", KINDS);
	assert_waits_for(KINDS);
	LOAD(&p.types, ARRAY(KINDS, INT4, "kind[]"));
	assert_int_equal(give(), PUBLISH_DONE);
	put_insert(1, "2", "{1,2}");
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(1,
	    "100.1@100 insert s.t {\"id\":1,\"v\":null}\n"
	    "100.2@140 insert s.t {\"id\":2,\"v\":[1,2]}\n"
	    "C100@140\n");
	assert_int_not_equal(ring_at(&ring, 1)->tag.note->id,
	    ring_at(&ring, 2)->tag.note->id);
}

/* Values */

/* An altered type is read again, once for a message. */
static void
test_value_waits(void **state)
{
	(void)state;
	begin_pairs();
	put_insert(1, "1", "(1)");
	assert_int_equal(give(), PUBLISH_DONE);
	assert_int_equal(ring.next, 0);
	put_insert(1, "2", "(2,two)");
	assert_waits_for(PAIR);
	assert_int_equal(ring.next, 2); /* the row before is not the last */
	load_wider_pair();
	assert_int_equal(give(), PUBLISH_DONE);
	assert_int_equal(ring.next, 2);
	TAKE({ 'M', 0, 0, "behind" }, { 'C', 100, 140, NULL });
	assert_ring(0,
	    "B100@100\n"
	    "100.1@100 insert s.t {\"id\":1,\"v\":{\"x\":1}}\n"
	    "100.2@140 insert s.t {\"id\":2,\"v\":{\"x\":2,\"y\":\"two\"}}\n"
	    "100.2+1@140 pre behind\n"
	    "C100@140\n");
	assert_int_equal(p.events, 3);
}

/* When that does not help, the text is all there is to say. */
static void
test_value_does_not_fit(void **state)
{
	(void)state;
	begin_pairs();
	for (int i = 0; i < 2; i++) {
		put_insert(1, "1", "(2,two)");
		assert_waits_for(PAIR);
		LOAD(&p.types, ATTR(PAIR, "pair", "x", INT4));
		assert_int_equal(give(), PUBLISH_DONE);
	}
	put_insert(1, "2", "(7)");
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(0,
	    "B100@100\n"
	    "100.1@100 insert s.t {\"id\":1,\"v\":\"(2,two)\"}\n"
	    "100.2@100 insert s.t {\"id\":1,\"v\":\"(2,two)\"}\n"
	    "100.3@140 insert s.t {\"id\":2,\"v\":{\"x\":7}}\n"
	    "C100@140\n");
}

/* Nor is anything read that cannot have changed since it was. */
static void
test_value_of_a_fresh_type(void **state)
{
	(void)state;
	begin_pairs();
	assert_int_equal(give_snapshot(&p.types, "742", true, &err), 0);
	assert_int_equal(typecat_done(&p.types, &err), 0);
	put_insert(1, "1", "(2,two)");
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(1,
	    "100.1@140 insert s.t {\"id\":1,\"v\":\"(2,two)\"}\n"
	    "C100@140\n");
}

/* A value that is older than its type's last attribute. */
static void
test_older_value(void **state)
{
	(void)state;
	begin_pairs();
	load_wider_pair();
	put_insert(1, "1", "(2)");
	assert_waits_for(PAIR);
	load_wider_pair();
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(1,
	    "100.1@140 insert s.t {\"id\":1,\"v\":{\"x\":2}}\n"
	    "C100@140\n");
}

/* In an array of records it is the array that is asked for, with all that is
 * in it. */
static void
test_value_in_an_array(void **state)
{
	(void)state;
	LOAD(&p.types, ATTR(PAIR, "pair", "x", INT4),
	    ARRAY(KINDS, PAIR, "pair[]"));
	put_table(1, "t", KINDS);
	assert_int_equal(give(), 0);
	TAKE({ 'B', 100, 0, NULL });
	put_insert(1, "1", "{\"(1,one)\"}");
	assert_waits_for(KINDS);
	load_wider_pair();
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(1,
	    "100.1@140 insert s.t {\"id\":1,\"v\":[{\"x\":1,\"y\":\"one\"}]}\n"
	    "C100@140\n");
}

/* A value that no reading of types would help with. */
static void
test_value_that_never_fits(void **state)
{
	(void)state;
	LOAD(&p.types, HSTORE(TAGS));
	put_table(1, "t", TAGS);
	assert_int_equal(give(), 0);
	put_table(2, "u", 1184);
	assert_int_equal(give(), 0);
	TAKE({ 'B', 100, 0, NULL });
	put_insert(1, "1", "no hstore");
	assert_int_equal(give(), PUBLISH_DONE);
	put_insert(2, "2", "Sat Jan 31 2026");
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(1,
	    "100.1@100 insert s.t {\"id\":1,\"v\":\"no hstore\"}\n"
	    "100.2@140 insert s.u {\"id\":2,\"v\":\"Sat Jan 31 2026\"}\n"
	    "C100@140\n");
}

/* Wherever it waits, the row before is there once. */
static void
test_stop_while_a_value_waits(void **state)
{
	(void)state;
	begin_pairs();
	put_insert(1, "1", "(1)");
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'M', 0, 0, "behind" });
	put_insert(1, "2", "(2,two)");
	assert_waits_for(PAIR);
	buf_reset(&msg);
	publish_stop(&p);
	publish_start(&p, 50, true);
	load_wider_pair();
	put_table(1, "t", PAIR);
	assert_int_equal(give(), 0);
	TAKE({ 'B', 100, 0, NULL });
	put_insert(1, "1", "(1)"); /* in the ring: not looked at */
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'M', 0, 0, "behind" });
	put_insert(1, "2", "(2,two)");
	assert_int_equal(give(), PUBLISH_DONE);
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(0,
	    "B100@100\n"
	    "100.1@100 insert s.t {\"id\":1,\"v\":{\"x\":1}}\n"
	    "100.1+1@100 pre behind\n"
	    "100.2@140 insert s.t {\"id\":2,\"v\":{\"x\":2,\"y\":\"two\"}}\n"
	    "C100@140\n");
}

/* Text that is not UTF-8 */

/* An attribute is renamed, which nothing tells: what is known gets old. */
static void
test_renamed_attribute(void **state)
{
	(void)state;
	begin_pairs();
	put_insert(1, "1", "(1)");
	assert_int_equal(give(), PUBLISH_DONE);
	p.now += 2999999;
	put_insert(1, "2", "(2)");
	assert_int_equal(give(), PUBLISH_DONE);
	p.now += 1;
	put_insert(1, "3", "(3)");
	assert_waits_for(PAIR);
	LOAD(&p.types, ATTR(PAIR, "pair", "renamed", INT4));
	assert_int_equal(give(), PUBLISH_DONE);
	put_insert(1, "4", "(4)");
	assert_int_equal(give(), PUBLISH_DONE); /* for another 3 s */
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(1,
	    "100.1@100 insert s.t {\"id\":1,\"v\":{\"x\":1}}\n"
	    "100.2@100 insert s.t {\"id\":2,\"v\":{\"x\":2}}\n"
	    "100.3@100 insert s.t {\"id\":3,\"v\":{\"renamed\":3}}\n"
	    "100.4@140 insert s.t {\"id\":4,\"v\":{\"renamed\":4}}\n"
	    "C100@140\n");
}

static void
test_not_utf8(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 1, 0, "1" });
	put_insert(1, "2", "caf\xe9");
	assert_int_equal(give(), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_non_null(strstr(err.text, "\"v\" of \"s\".\"t\""));
	assert_int_equal(ring.next, 0); /* nothing of it counts */
	publish_start(&p, 50, true);
	put_table(1, "t\xff", TEXT);
	assert_int_equal(give(), -1);
	assert_int_equal(err.kind, ERR_DATA);
}

/* What an event says of its row */

static struct event seen;
static char seen_old[64], seen_unchanged[64];
static struct event_column seen_column[2];
static char seen_type[2][64];

static void
see(void *arg, const struct event *e)
{
	(void)arg;
	seen = *e;
	assert_true(e->old.len < 64 && e->unchanged.len < 64);
	snprintf(seen_old, sizeof(seen_old), "%.*s", (int)e->old.len,
	    e->old.p == NULL ? "" : e->old.p);
	memset(seen_unchanged, '#', sizeof(seen_unchanged));
	if (e->unchanged.len > 0)
		memcpy(seen_unchanged, e->unchanged.p, e->unchanged.len);
	for (size_t i = 0; i < e->columns && i < 2; i++) {
		seen_column[i] = e->column[i];
		snprintf(seen_type[i], sizeof(seen_type[i]), "%s %s",
		    e->column[i].name, e->column[i].type_name);
	}
}

static void
look(const uint8_t *data, size_t len)
{
	assert_int_equal(proto_get_events(data + FRAME_HEAD, len - FRAME_HEAD,
			     &hold, see, NULL, &err),
	    0);
}

static void
look_at(uint64_t id)
{
	look(ring_at(&ring, id)->data, ring_at(&ring, id)->len);
}

/* An update without an old row, with its key, with all of it. */
static void
test_rows(void **state)
{
	static const char *const new[] = { "2", pgo_toast };
	static const char *const old[] = { "1", "x" };

	(void)state;
	TAKE({ 'R', 7, 0, "t" }, { 'B', 100, 0, NULL });
	for (int i = 0; i < 3; i++) {
		pgo_put_change(&msg, 'U', 7);
		if (i > 0)
			pgo_put_row(&msg, i == 1 ? 'K' : 'O', old, 2);
		pgo_put_row(&msg, 'N', new, 2);
		assert_int_equal(give(), PUBLISH_DONE);
	}
	TAKE({ 'D', 7, 0, "2" }, { 'C', 100, 140, NULL });
	assert_ring(1,
	    "100.1@100 update s.t {\"id\":2}\n"
	    "100.2@100 update s.t {\"id\":2}\n"
	    "100.3@100 update s.t {\"id\":2,\"v\":\"x\"}\n"
	    "100.4@140 delete s.t {\"id\":2}\n"
	    "C100@140\n");
	look_at(1);
	assert_int_equal(seen.identity, CHANGE_NO_OLD);
	assert_int_equal(seen.oid, 7);
	assert_int_equal(seen.change_lsn, CHANGE_LSN);
	assert_string_equal(seen_old, "");
	assert_int_equal(seen.unchanged.len, 2);
	assert_memory_equal(seen_unchanged, "v\0", 2);
	look_at(2);
	assert_int_equal(seen.identity, CHANGE_OLD_KEY);
	assert_string_equal(seen_old, "{\"id\":1}");
	assert_memory_equal(seen_unchanged, "v\0", 2);
	look_at(3);
	assert_int_equal(seen.identity, CHANGE_OLD_FULL);
	assert_string_equal(seen_old, "{\"id\":1,\"v\":\"x\"}");
	assert_int_equal(seen.unchanged.len, 0);
	look_at(4);
	assert_int_equal(seen.identity, CHANGE_OLD_KEY);
	assert_string_equal(seen_old, "");
}

static void
test_truncate_flags(void **state)
{
	static const uint32_t oids[] = { 7, 8 };

	(void)state;
	TAKE({ 'R', 7, 0, "t" }, { 'R', 8, 0, "u" }, { 'B', 100, 0, NULL });
	for (uint8_t flags = 0; flags < 4; flags++) {
		pgo_put_truncate(&msg, flags, oids, 2);
		assert_int_equal(give(), PUBLISH_DONE);
	}
	TAKE({ 'C', 100, 140, NULL });
	for (uint64_t i = 0; i < 8; i++) {
		look_at(1 + i);
		assert_int_equal(seen.op, EVENT_TRUNCATE);
		assert_int_equal(seen.oid, oids[i % 2]);
		assert_int_equal(seen.cascade, (i / 2 & 1) != 0);
		assert_int_equal(seen.restart_identity, (i / 2 & 2) != 0);
		assert_int_equal(seen.change_lsn, CHANGE_LSN);
	}
}

/* Every row has its relation for a note; a domain keeps its name there. */
static void
test_relation_events(void **state)
{
	static const char identities[] = "dnfix";
	struct pgo_attr attrs[] = { { true, "id", INT4, -1 },
		{ false, "v", KIND, 24 } };
	struct pgo_relation rel = { 7, "s", "t", 'd', 2, attrs };
	const struct note *note;

	(void)state;
	LOAD(&p.types, DOMAIN(KIND, INT4, "app.kind"));
	TAKE({ 'B', 100, 0, NULL });
	for (int i = 0; i < 5; i++) {
		rel.identity = identities[i];
		pgo_put_relation(&msg, &rel);
		assert_int_equal(give(), PUBLISH_DONE);
		put_insert(7, "1", "2");
		assert_int_equal(give(), PUBLISH_DONE);
	}
	TAKE({ 'C', 100, 140, NULL });
	for (int i = 0; i < 5; i++) {
		note = ring_at(&ring, (uint64_t)(1 + i))->tag.note;
		look(note->data, note->len);
		assert_int_equal(seen.op, EVENT_RELATION);
		assert_int_equal(seen.oid, 7);
		assert_int_equal(seen.identity, (i + 1) % 5);
		assert_int_equal(seen.columns, 2);
		assert_string_equal(seen_type[0], "id integer");
		assert_string_equal(seen_type[1], "v app.kind");
		assert_int_equal(seen_column[1].type_oid, KIND);
		assert_int_equal(seen_column[1].typmod, 24);
		assert_true(seen_column[0].key);
		assert_false(seen_column[1].key);
	}
}

/* The note outlives the COPY, as long as the row is in the ring. */
static void
test_notes_are_kept(void **state)
{
	const struct note *note;

	(void)state;
	TAKE({ 'R', 7, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 7, 0, "1" },
	    { 'I', 7, 0, "2" }, { 'C', 100, 140, NULL });
	note = ring_at(&ring, 1)->tag.note;
	assert_ptr_equal(ring_at(&ring, 2)->tag.note, note);
	assert_int_equal(note->holders, 3);
	publish_stop(&p);
	assert_int_equal(note->holders, 2);
	ring_trim(&ring, 2, 200);
	assert_int_equal(note->holders, 1);
	look(note->data, note->len);
	assert_int_equal(seen.oid, 7);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_relation_waits),
		TEST(test_relation_of_a_lost_type),
		TEST(test_relation_waits_in_a_transaction),
		TEST(test_stop_while_waiting),
		TEST(test_relation_changes_its_type),
		TEST(test_value_waits),
		TEST(test_value_does_not_fit),
		TEST(test_value_of_a_fresh_type),
		TEST(test_older_value),
		TEST(test_value_in_an_array),
		TEST(test_value_that_never_fits),
		TEST(test_stop_while_a_value_waits),
		TEST(test_renamed_attribute),
		TEST(test_not_utf8),
		TEST(test_rows),
		TEST(test_truncate_flags),
		TEST(test_relation_events),
		TEST(test_notes_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
