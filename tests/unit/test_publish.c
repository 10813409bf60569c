#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "published.h"

static void
assert_ring(uint64_t from, const char *want)
{
	assert_string_equal(shown(from), want);
}

/* One event: it is the last one. */
static void
test_one_event(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 1, 0, "7" });
	assert_ring(0, "");
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(0,
	    "B100@100\n"
	    "100.1@140 insert s.t {\"id\":7,\"v\":null}\n"
	    "C100@140\n");
	assert_int_equal(p.events, 1);
	assert_int_equal(p.transactions, 1);
}

/* All have C but the last, which has E; one is held until it is known. */
static void
test_several_events(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 1, 0, "1" },
	    { 'U', 1, 0, "2" });
	assert_ring(0,
	    "B100@100\n"
	    "100.1@100 insert s.t {\"id\":1,\"v\":null}\n");
	TAKE({ 'D', 1, 0, "3" }, { 'C', 100, 140, NULL });
	assert_ring(0,
	    "B100@100\n"
	    "100.1@100 insert s.t {\"id\":1,\"v\":null}\n"
	    "100.2@100 update s.t {\"id\":2,\"v\":\"x\"}\n"
	    "100.3@140 delete s.t {\"id\":3}\n"
	    "C100@140\n");
	/* The next transaction counts from 1 again. */
	TAKE({ 'B', 140, 0, NULL }, { 'I', 1, 0, "4" },
	    { 'C', 140, 180, NULL });
	assert_ring(5,
	    "B140@140\n"
	    "140.1@180 insert s.t {\"id\":4,\"v\":null}\n"
	    "C140@180\n");
}

static void
test_truncate_of_several_tables(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'R', 2, 0, "u" }, { 'B', 100, 0, NULL },
	    { 'T', 1, 2, NULL }, { 'C', 100, 140, NULL });
	assert_ring(0,
	    "B100@100\n"
	    "100.1@100 truncate s.t\n"
	    "100.2@140 truncate s.u\n"
	    "C100@140\n");
	TAKE({ 'B', 200, 0, NULL }, { 'I', 1, 0, "1" }, { 'T', 2, 1, NULL },
	    { 'I', 2, 0, "2" }, { 'C', 200, 240, NULL });
	assert_ring(4,
	    "B200@200\n"
	    "200.1@200 insert s.t {\"id\":1,\"v\":null}\n"
	    "200.2@200 truncate s.u\n"
	    "200.3@200 truncate s.t\n"
	    "200.4@240 insert s.u {\"id\":2,\"v\":null}\n"
	    "C200@240\n");
}

/* A table that changes its name while an event of it is held. */
static void
test_relation_changes(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 1, 0, "1" },
	    { 'R', 1, 0, "renamed" }, { 'I', 1, 0, "2" },
	    { 'C', 100, 140, NULL });
	assert_ring(0,
	    "B100@100\n"
	    "100.1@100 insert s.t {\"id\":1,\"v\":null}\n"
	    "100.2@140 insert s.renamed {\"id\":2,\"v\":null}\n"
	    "C100@140\n");
}

/* Origin, Type and Stream Abort deliver nothing. */
static void
give_quiet_messages(void)
{
	static const enum pgo_sample quiet[] = { SAMPLE_ORIGIN, SAMPLE_TYPE,
		SAMPLE_STREAM_ABORT };

	for (int i = 0; i < 3; i++) {
		pgo_put_sample(&msg, quiet[i]);
		assert_int_equal(give(), 0);
	}
}

static void
test_messages_without_events(void **state)
{
	(void)state;
	give_quiet_messages();
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL });
	give_quiet_messages();
	TAKE({ 'I', 1, 0, "1" });
	give_quiet_messages();
	TAKE({ 'I', 1, 0, "2" });
	give_quiet_messages();
	TAKE({ 'C', 100, 140, NULL });
	give_quiet_messages();
	assert_int_equal(p.complete_lsn, 140);
	assert_ring(0,
	    "B100@100\n"
	    "100.1@100 insert s.t {\"id\":1,\"v\":null}\n"
	    "100.2@140 insert s.t {\"id\":2,\"v\":null}\n"
	    "C100@140\n");
}

/* Two tables with one number, or one with two, would confuse the filters. */
static void
test_table_numbers(void **state)
{
	uint32_t t;

	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'R', 2, 0, "u" }, { 'B', 100, 0, NULL },
	    { 'I', 1, 0, "1" }, { 'I', 2, 0, "2" }, { 'I', 1, 0, "3" },
	    { 'C', 100, 140, NULL });
	t = ring_at(&ring, 1)->tag.table;
	assert_int_not_equal(ring_at(&ring, 2)->tag.table, t);
	assert_int_equal(ring_at(&ring, 3)->tag.table, t);
	/* Dropped and made again: another OID, the same name. */
	publish_stop(&p);
	publish_start(&p, 140, true);
	TAKE({ 'R', 3, 0, "t" }, { 'B', 200, 0, NULL }, { 'I', 3, 0, "1" },
	    { 'C', 200, 240, NULL });
	assert_int_equal(ring_at(&ring, 6)->tag.table, t);
}

/* complete_lsn */

static void
test_keepalive(void **state)
{
	(void)state;
	assert_int_equal(p.complete_lsn, 50);
	publish_keepalive(&p, 90);
	assert_int_equal(p.complete_lsn, 90);
	publish_keepalive(&p, 60);
	assert_int_equal(p.complete_lsn, 90);
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL });
	publish_keepalive(&p, 110);
	assert_int_equal(p.complete_lsn, 90);
	TAKE({ 'I', 1, 0, "1" });
	publish_keepalive(&p, 1000);
	assert_int_equal(p.complete_lsn, 90);
	TAKE({ 'C', 100, 140, NULL });
	assert_int_equal(p.complete_lsn, 140);
	publish_keepalive(&p, 150);
	assert_int_equal(p.complete_lsn, 150);
}

static void
test_empty_transaction(void **state)
{
	(void)state;
	TAKE({ 'B', 100, 0, NULL });
	assert_int_equal(p.complete_lsn, 50);
	TAKE({ 'C', 100, 140, NULL });
	assert_int_equal(p.complete_lsn, 140);
	assert_int_equal(p.transactions, 1);
	assert_int_equal(p.events, 0);
	assert_ring(0, "");
}

static void
test_now(void **state)
{
	(void)state;
	assert_int_equal(publish_now(&p), 50);
	publish_keepalive(&p, 90);
	assert_int_equal(publish_now(&p), 50);
	TAKE({ 'B', 100, 0, NULL });
	assert_int_equal(publish_now(&p), 101);
	TAKE({ 'C', 100, 140, NULL });
	assert_int_equal(publish_now(&p), 101);
	publish_start(&p, 120, false);
	assert_int_equal(publish_now(&p), 120);
	publish_start(&p, 60, false); /* below what came before */
	assert_int_equal(publish_now(&p), 60);
	publish_start(&p, 120, false);
	/* before what was asked for: sent all the same */
	TAKE({ 'B', 110, 0, NULL }, { 'C', 110, 130, NULL });
	assert_int_equal(publish_now(&p), 120);
}

/* The largest event, by its payload */

static void
insert_long(size_t len)
{
	char id[2 * MAX_EVENT];

	memset(id, '1', sizeof(id));
	id[len] = '\0';
	put_step(&(struct step){ 'I', 1, 0, id });
}

static void
test_longest_event(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL });
	/* Of its message 35 bytes are not of the payload. */
	insert_long(MAX_EVENT - strlen("{\"id\":,\"v\":null}") - 35);
	assert_int_equal(give(), 0);
	TAKE({ 'C', 100, 140, NULL });
	assert_int_equal(ring.next, 3);
	assert_int_equal(ring_at(&ring, 1)->len, FRAME_HEAD + MAX_EVENT);
	assert_int_equal(ring_at(&ring, 1)->pg_lsn, 140);
}

static void
test_event_too_large(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 1, 0, "1" });
	insert_long(MAX_EVENT - strlen("{\"id\":,\"v\":null}") + 1);
	assert_int_equal(give(), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
	publish_stop(&p);
	/* The event before it is not the last of its transaction. */
	for (uint64_t id = 0; id < ring.next; id++)
		assert_int_equal(ring_at(&ring, id)->pg_lsn, 100);
}

/* Names have their bounds too: never is one cut. */
static void
test_name_too_long(void **state)
{
	static const struct pgo_attr attr = { true, "id", 23, -1 };
	static const char *const row[] = { "1" };
	char name[9000];
	struct pgo_relation rel = { 1, name, "t", 'd', 1, &attr };

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < 2; i++) {
		publish_start(&p, 50, false);
		pgo_put_relation(&msg, &rel);
		assert_int_equal(give(), 0);
		TAKE({ 'B', 100, 0, NULL });
		pgo_put_change(&msg, 'I', 1);
		pgo_put_row(&msg, 'N', row, 1);
		assert_int_equal(give(), 0);
		put_step(&(struct step){ 'C', 100, 140, NULL });
		assert_int_equal(give(), -1);
		assert_int_equal(err.kind, ERR_NOMEM);
		rel.name = name;
		rel.schema = "s";
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_one_event),
		TEST(test_several_events),
		TEST(test_truncate_of_several_tables),
		TEST(test_relation_changes),
		TEST(test_messages_without_events),
		TEST(test_table_numbers),
		TEST(test_keepalive),
		TEST(test_empty_transaction),
		TEST(test_now),
		TEST(test_longest_event),
		TEST(test_event_too_large),
		TEST(test_name_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
