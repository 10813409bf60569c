#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "feed/ring.h"

/* What one event of len bytes counts for. */
#define COST(len) ((len) + sizeof(struct ring_entry))

static struct ring ring;

static int
setup(void **state)
{
	(void)state;
	ring_init(&ring, 100000);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ring_free(&ring);
	return 0;
}

static void
check_invariant(void)
{
	assert_true(ring.first <= ring.segment_id);
	assert_true(ring.segment_id <= ring.next);
}

/* Appends an event whose bytes follow from `fill`, and forgets them. */
static void
append(lsn_t commit_lsn, uint32_t seq, size_t len, int fill)
{
	struct ring_pos pos = { commit_lsn, seq, 0 };
	struct ring_tag tag = { (uint32_t)fill, (uint8_t)seq, false, NULL };
	uint8_t *data = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(fill + (int)i);
	assert_int_equal(ring_append(&ring, pos, commit_lsn + seq, tag, data,
			     len),
	    0);
	memset(data, '#', len + 1);
	free(data);
	check_invariant();
}

static void
assert_entry(uint64_t id, lsn_t commit_lsn, uint32_t seq, size_t len, int fill)
{
	const struct ring_entry *e = ring_at(&ring, id);

	assert_non_null(e);
	assert_int_equal(e->pos.commit_lsn, commit_lsn);
	assert_int_equal(e->pos.seq, seq);
	assert_int_equal(e->pg_lsn, commit_lsn + seq);
	assert_int_equal(e->tag.table, (uint32_t)fill);
	assert_int_equal(e->tag.operation, (uint8_t)seq);
	assert_int_equal(e->len, len);
	for (size_t i = 0; i < len; i++)
		if (e->data[i] != (uint8_t)(fill + (int)i))
			fail_msg("byte %zu of event %d", i, (int)id);
}

static void
trim(uint64_t cursor, lsn_t confirmed)
{
	ring_trim(&ring, cursor, confirmed);
	check_invariant();
}

static void
test_append(void **state)
{
	(void)state;
	assert_null(ring_at(&ring, 0));
	assert_int_equal(ring_behind(&ring, 0), 0);
	append(10, 1, 5, 'a');
	append(10, 2, 0, 0);
	append(20, 1, 300, 'b');
	assert_entry(0, 10, 1, 5, 'a');
	assert_entry(1, 10, 2, 0, 0);
	assert_entry(2, 20, 1, 300, 'b');
	assert_null(ring_at(&ring, 3));
	assert_int_equal(ring_behind(&ring, 3), 0);
	assert_int_equal(ring_behind(&ring, 2), COST(300));
	assert_int_equal(ring_behind(&ring, 1), COST(300) + COST(0));
	assert_int_equal(ring_behind(&ring, 0), COST(300) + COST(0) + COST(5));
	assert_int_equal(ring.last.commit_lsn, 20);
	assert_int_equal(ring.last.seq, 1);
}

static void
test_positions_compare(void **state)
{
	static const struct ring_pos in_order[] = { { 0, 0, 0 },
		{ 1, RING_BEGIN, 0 }, { 1, RING_BEGIN, 1 }, { 1, 1, 0 },
		{ 1, 1, 1 }, { 1, 1, UINT32_MAX }, { 1, 2, 0 },
		{ 1, RING_COMMIT, 0 }, { 2, RING_BEGIN, 0 },
		{ UINT64_C(1) << 32, 1, 0 }, { UINT64_MAX, 1, 0 } };

	(void)state;
	for (int i = 0; i < 11; i++)
		for (int k = 0; k < 11; k++)
			assert_int_equal(ring_pos_le(in_order[i], in_order[k]),
			    i <= k);
}

/* More entries than there was room for at first, and not from id 0 on. */
static void
test_growth(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		append((lsn_t)i, 1, 10, i);
	trim(900, 900);
	assert_int_equal(ring.first, 900);
	for (int i = 1000; i < 6000; i++)
		append((lsn_t)i, 1, 10, i);
	for (int i = 900; i < 6000; i++)
		assert_entry((uint64_t)i, (lsn_t)i, 1, 10, i);
	assert_null(ring_at(&ring, 6000));
	assert_int_equal(ring_behind(&ring, 900), 5100 * COST(10));
}

static void
test_many_chunks(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++)
		append((lsn_t)i, 1, 100000, i);
	for (int i = 0; i < 50; i++)
		assert_entry((uint64_t)i, (lsn_t)i, 1, 100000, i);
	for (int i = 1; i <= 50; i++) {
		trim((uint64_t)i, (lsn_t)i);
		assert_int_equal(ring.first, i);
		append((lsn_t)(i + 49), 1, 100000, i + 49);
		for (int k = i; k < i + 50; k += 7)
			assert_entry((uint64_t)k, (lsn_t)k, 1, 100000, k);
	}
}

/* It goes in alone: nothing more until it has been sent. */
static void
test_event_larger_than_the_ring(void **state)
{
	(void)state;
	append(1, 1, 10, 'a');
	assert_true(ring_room(&ring));
	append(2, 1, 1000000, 'b');
	assert_false(ring_room(&ring));
	assert_entry(0, 1, 1, 10, 'a');
	assert_entry(1, 2, 1, 1000000, 'b');
	trim(1, 0);
	assert_false(ring_room(&ring));
	assert_entry(1, 2, 1, 1000000, 'b');
	trim(2, 0);
	assert_true(ring_room(&ring));
	assert_int_equal(ring.first, 2); /* the size asks for it */
	append(3, 1, 10, 'c');
	assert_entry(2, 3, 1, 10, 'c');
}

static void
test_trim_keeps_what_a_cursor_needs(void **state)
{
	(void)state;
	for (int i = 0; i < 2000; i++)
		append((lsn_t)i, 1, 1000, i);
	trim(0, UINT64_MAX);
	assert_int_equal(ring.first, 0); /* although it is far too much */
	trim(700, UINT64_MAX);
	assert_int_equal(ring.first, 700);
	assert_entry(700, 700, 1, 1000, 700);
	trim(2000, UINT64_MAX);
	assert_int_equal(ring.first, 2000);
	assert_null(ring_at(&ring, 2000));
	append(2000, 1, 5, 'x');
	assert_entry(2000, 2000, 1, 5, 'x');
}

/* While there is room, what has been sent is kept until it is confirmed. */
static void
test_trim_keeps_what_is_unconfirmed(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 30; i++)
		append(100 + i / 3, i % 3 + 1, 10, (int)i);
	trim(30, 0);
	assert_int_equal(ring.first, 0);
	trim(30, 100); /* a transaction that begins to commit at 100 */
	assert_int_equal(ring.first, 0);
	trim(30, 101);
	assert_int_equal(ring.first, 3);
	trim(10, 200);
	assert_int_equal(ring.first, 10);
	trim(30, 104);
	assert_int_equal(ring.first, 12);
	trim(30, 50); /* confirmed does not fall, but if it did */
	assert_int_equal(ring.first, 12);
}

/* When there is no room, the oldest go, as many as must. */
static void
test_trim_to_size(void **state)
{
	size_t fit = 100000 / COST(1000);

	(void)state;
	for (int i = 0; i < 500; i++)
		append((lsn_t)i, 1, 1000, i);
	trim(200, 0);
	assert_int_equal(ring.first, 200);
	trim(500, 0);
	assert_int_equal(ring.first, 500 - fit);
	assert_true(ring_behind(&ring, ring.first) <= 100000);
	trim(500, 0);
	assert_int_equal(ring.first, 500 - fit);
}

/* No at the size, yes again at half of it, and no again only at the size. */
static void
test_room_marks(void **state)
{
	(void)state;
	ring_free(&ring);
	ring_init(&ring, 10 * COST(100));
	for (int round = 0; round < 3; round++) {
		uint64_t low = ring.next;

		trim(low, 0);
		for (int i = 0; i < 9; i++) {
			append(ring.next, 1, 100, i);
			assert_true(ring_room(&ring));
		}
		append(ring.next, 1, 100, 9);
		assert_false(ring_room(&ring));
		for (uint64_t i = 1; i < 5; i++) {
			trim(low + i, 0);
			assert_false(ring_room(&ring));
		}
		trim(low + 5, 0);
		assert_true(ring_room(&ring));
		append(ring.next, 1, 100, 10);
		assert_true(ring_room(&ring));
	}
}

static void
test_room_without_streams(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		append((lsn_t)i, 1, 1000, i);
		trim(ring.next, 0);
		assert_true(ring_room(&ring));
		assert_true(ring_behind(&ring, ring.first) <= 100000);
	}
}

/* Segments */

/* A stream from lsn on can start at id. */
static void
assert_holds(lsn_t lsn, uint64_t id)
{
	uint64_t cursor = 77;

	assert_true(ring_holds(&ring, lsn, &cursor));
	assert_int_equal(cursor, id);
}

static void
assert_lacks(lsn_t lsn)
{
	uint64_t cursor;

	assert_false(ring_holds(&ring, lsn, &cursor));
}

static void
test_segment(void **state)
{
	(void)state;
	ring_segment(&ring, 100);
	assert_lacks(99);
	assert_holds(100, 0);
	assert_holds(500, 0);
	append(100, 1, 10, 1);
	append(150, 1, 10, 2);
	append(150, 2, 10, 3);
	assert_lacks(99);
	assert_holds(100, 0);
	assert_holds(151, 0);
}

static void
test_segment_after_eviction(void **state)
{
	(void)state;
	ring_segment(&ring, 100);
	append(120, 1, 10, 1);
	append(150, 1, 10, 2);
	append(150, 2, 10, 3);
	append(180, 1, 10, 4);
	trim(1, 121); /* 120 is gone */
	assert_lacks(100);
	assert_lacks(120);
	assert_holds(121, 1);
	trim(2, 151); /* half of 150 is gone */
	assert_lacks(121);
	assert_lacks(150);
	assert_holds(151, 2);
	trim(4, UINT64_MAX);
	assert_lacks(180);
	assert_holds(181, 4);
	assert_null(ring_at(&ring, 4));
}

/* A rewind: what was there comes again behind what is there. */
static void
test_second_segment(void **state)
{
	(void)state;
	ring_segment(&ring, 100);
	append(120, 1, 10, 1);
	append(150, 1, 10, 2);
	ring_segment(&ring, 90);
	check_invariant();
	assert_int_equal(ring.last.commit_lsn, 0);
	assert_int_equal(ring.last.seq, 0);
	assert_entry(0, 120, 1, 10, 1); /* for those who are there still */
	assert_lacks(89);
	assert_holds(90, 2);
	append(95, 1, 10, 3);
	append(120, 1, 10, 1);
	append(150, 1, 10, 2);
	assert_holds(90, 2);
	/* What goes of the first segment takes nothing from the second. */
	trim(1, 121);
	trim(2, 151);
	assert_int_equal(ring.first, 2);
	assert_holds(90, 2);
	trim(3, 151);
	assert_lacks(90);
	assert_lacks(95);
	assert_holds(96, 3);
}

static void
test_empty_segment(void **state)
{
	(void)state;
	append(120, 1, 10, 1);
	trim(1, 121);
	ring_segment(&ring, 50);
	assert_lacks(49);
	assert_holds(50, 1);
	trim(1, 1000);
	assert_holds(50, 1);
	ring_segment(&ring, 20);
	assert_holds(20, 1);
}

static void
test_free_and_reuse(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 2000; i++)
			append((lsn_t)i, 1, 1000, i);
		trim(1000, 1000);
		ring_free(&ring);
		assert_int_equal(ring.size, 100000);
		assert_int_equal(ring.first, 0);
		assert_null(ring_at(&ring, 0));
	}
}

/* Notes */

/* Appends an event with a note. */
static void
append_noted(lsn_t commit_lsn, struct note *note)
{
	struct ring_pos pos = { commit_lsn, 1, 0 };
	struct ring_tag tag = { 0, 1, false, note };

	assert_int_equal(ring_append(&ring, pos, commit_lsn, tag, "x", 1), 0);
}

/* A note is held by each entry, until that is trimmed. */
static void
test_notes(void **state)
{
	struct note *a = note_new("a", 2), *b = note_new("b", 2);

	(void)state;
	for (lsn_t lsn = 1; lsn <= 10; lsn++)
		append_noted(lsn, lsn % 2 == 0 ? a : b);
	append(11, 1, 5, 'x'); /* has none */
	assert_int_equal(a->holders, 6);
	assert_int_equal(b->holders, 6);
	assert_ptr_equal(ring_at(&ring, 3)->tag.note, a);
	trim(3, 3); /* 1 and 2 are confirmed, 3 is not */
	assert_int_equal(a->holders, 5);
	assert_int_equal(b->holders, 5);
	trim(11, 100);
	assert_int_equal(a->holders, 1);
	assert_int_equal(b->holders, 1);
	note_drop(a);
	note_drop(b);
}

/* The ring may be the last to hold one. */
static void
test_notes_of_the_ring(void **state)
{
	struct note *note;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (lsn_t lsn = 1; lsn <= 3000; lsn++) {
			note = note_new(&lsn, sizeof(lsn));
			append_noted(lsn, note);
			note_drop(note);
		}
		for (lsn_t lsn = 1; lsn <= 3000; lsn++)
			assert_memory_equal(ring_at(&ring, lsn - 1)
						->tag.note->data,
			    &lsn, sizeof(lsn));
		trim(1000, 1001);
		ring_segment(&ring, 500);
		assert_int_equal(ring_at(&ring, 1000)->tag.note->holders, 1);
		ring_free(&ring);
	}
}

/* What commits at the cut or above is stale, in whatever segment; what comes
 * later at the same positions is not. */
static void
test_cut(void **state)
{
	static const bool stale[] = { false, true, true, false, true, false,
		false };

	(void)state;
	append(10, 1, 5, 1);
	append(20, 1, 5, 2);
	append(30, 1, 5, 3);
	ring_segment(&ring, 10);
	append(19, 1, 5, 4);
	append(20, 1, 5, 5);
	ring_cut(&ring, 30);
	assert_int_equal(ring.last.commit_lsn, 20);
	ring_cut(&ring, 20);
	assert_int_equal(ring.last.commit_lsn, 0); /* nothing above 20 */
	ring_segment(&ring, 10);
	append(20, 1, 5, 6);
	append(30, 1, 5, 7);
	for (uint64_t id = 0; id < 7; id++)
		assert_int_equal(ring_at(&ring, id)->stale, stale[id]);
	trim(7, 100);
	ring_cut(&ring, 0);
	append(40, 1, 5, 8);
	assert_false(ring_at(&ring, 7)->stale);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_append),
		TEST(test_positions_compare),
		TEST(test_growth),
		TEST(test_many_chunks),
		TEST(test_event_larger_than_the_ring),
		TEST(test_trim_keeps_what_a_cursor_needs),
		TEST(test_trim_keeps_what_is_unconfirmed),
		TEST(test_trim_to_size),
		TEST(test_room_marks),
		TEST(test_room_without_streams),
		TEST(test_segment),
		TEST(test_segment_after_eviction),
		TEST(test_second_segment),
		TEST(test_empty_segment),
		TEST(test_free_and_reuse),
		TEST(test_cut),
		TEST(test_notes),
		TEST(test_notes_of_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
