#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "feed/quorum.h"

static struct quorum q;
static struct quorum_member a, b, c;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	quorum_init(&q);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	memset(&c, 0, sizeof(c));
	memset(&err, 0, sizeof(err));
	return 0;
}

static void
ack(struct quorum_member *m, lsn_t lsn)
{
	assert_int_equal(quorum_ack(m, lsn, &err), 0);
}

/* Where m stands, and whether it owes an ack. */
static void
assert_stands(const struct quorum_member *m, lsn_t position, bool idle)
{
	assert_int_equal(quorum_position(m), position);
	assert_int_equal(quorum_idle(m), idle);
}

/* At the end of a turn. */
static void
assert_confirmed(lsn_t lsn)
{
	assert_int_equal(quorum_settle(&q), lsn);
	assert_int_equal(q.confirmed, lsn);
}

static void
test_empty_confirms_nothing(void **state)
{
	(void)state;
	assert_confirmed(0);
	quorum_reset(&q, 100);
	assert_confirmed(100);
	quorum_join(&q, &a, 300);
	quorum_leave(&q, &a);
	assert_confirmed(300);
	quorum_reset(&q, 50);
	assert_confirmed(50);
}

static void
test_join(void **state)
{
	(void)state;
	quorum_reset(&q, 100);
	quorum_join(&q, &a, 100);
	assert_true(a.votes);
	assert_stands(&a, 100, true);
	assert_confirmed(100);
	/* A member whose memory held something before starts over. */
	quorum_sent(&a, 500);
	ack(&a, 500);
	quorum_leave(&q, &a);
	a.votes = false;
	quorum_join(&q, &a, 510);
	assert_true(a.votes);
	assert_stands(&a, 510, true);
}

static void
test_ack_is_cumulative(void **state)
{
	(void)state;
	quorum_join(&q, &a, 100);
	for (lsn_t lsn = 110; lsn <= 200; lsn += 10)
		quorum_sent(&a, lsn);
	assert_stands(&a, 100, false);
	assert_confirmed(100);
	ack(&a, 150);
	assert_stands(&a, 150, false);
	assert_confirmed(150);
	ack(&a, 155); /* no event has it; what lies below it is done */
	assert_stands(&a, 155, false);
	ack(&a, 200);
	assert_stands(&a, 200, true);
	assert_confirmed(200);
}

static void
test_ack_of_zero_or_lower(void **state)
{
	(void)state;
	quorum_join(&q, &a, 100);
	quorum_sent(&a, 200);
	quorum_sent(&a, 300);
	ack(&a, 0);
	assert_stands(&a, 100, false);
	ack(&a, 99);
	assert_stands(&a, 100, false);
	ack(&a, 200);
	ack(&a, 200);
	ack(&a, 199);
	ack(&a, 1);
	ack(&a, 0);
	assert_stands(&a, 200, false);
	assert_confirmed(200);
	ack(&a, 300);
	ack(&a, 200);
	assert_stands(&a, 300, true);
}

static void
assert_ack_refused(struct quorum_member *m, lsn_t lsn, const char *acked,
    const char *sent)
{
	struct quorum_member before = *m;

	assert_int_equal(quorum_ack(m, lsn, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_non_null(strstr(err.text, acked));
	assert_non_null(strstr(err.text, sent));
	assert_memory_equal(m, &before, sizeof(before));
}

/* The error names both numbers, and nothing moves. */
static void
test_ack_above_sent(void **state)
{
	(void)state;
	quorum_join(&q, &a, 0x100);
	assert_ack_refused(&a, 0x101, "0/101", "0/100");
	quorum_sent(&a, UINT64_C(0x16b374d848));
	assert_ack_refused(&a, UINT64_C(0x16b374d849), "16/B374D849",
	    "16/B374D848");
	assert_ack_refused(&a, UINT64_MAX, "FFFFFFFF/FFFFFFFF", "16/B374D848");
	assert_stands(&a, 0x100, false);
	assert_confirmed(0x100);
	ack(&a, UINT64_C(0x16b374d848));
	/* What was served was not sent. */
	quorum_served(&a, UINT64_C(0x1700000000));
	assert_ack_refused(&a, UINT64_C(0x16f0000000), "16/F0000000",
	    "16/B374D848");
}

/* With nothing unacknowledged a member stands where it has been served to. */
static void
test_idle_is_served(void **state)
{
	(void)state;
	quorum_join(&q, &a, 100);
	quorum_served(&a, 150);
	assert_stands(&a, 150, true);
	assert_confirmed(150);
	quorum_served(&a, 120);
	assert_stands(&a, 150, true);
	quorum_sent(&a, 200);
	assert_stands(&a, 150, false);
	quorum_served(&a, 220);
	assert_stands(&a, 150, false); /* 200 is not acknowledged */
	assert_confirmed(150);
	ack(&a, 200);
	assert_stands(&a, 220, true);
	assert_confirmed(220);
}

/* An event after a stretch of idleness does not throw its member back. */
static void
test_position_kept_after_idle(void **state)
{
	(void)state;
	quorum_join(&q, &a, 100);
	quorum_sent(&a, 110);
	ack(&a, 110);
	quorum_served(&a, 500);
	assert_stands(&a, 500, true);
	quorum_sent(&a, 600);
	assert_stands(&a, 500, false);
	ack(&a, 110); /* once more: it was acknowledged long ago */
	ack(&a, 400);
	assert_stands(&a, 500, false);
	quorum_sent(&a, 700);
	assert_stands(&a, 500, false);
	ack(&a, 600);
	assert_stands(&a, 600, false);
	ack(&a, 700);
	assert_stands(&a, 700, true);
}

/* The events of a transaction share C; the last one has E. */
static void
test_transaction_of_several_events(void **state)
{
	(void)state;
	quorum_join(&q, &a, 100);
	quorum_sent(&a, 200);
	quorum_sent(&a, 200);
	ack(&a, 200);
	assert_confirmed(200);
	quorum_sent(&a, 240);
	assert_stands(&a, 200, false);
	ack(&a, 240);
	assert_confirmed(240);
}

static void
test_lowest_position_counts(void **state)
{
	(void)state;
	quorum_join(&q, &a, 100);
	quorum_join(&q, &b, 100);
	quorum_join(&q, &c, 100);
	quorum_sent(&a, 300);
	quorum_sent(&b, 300);
	quorum_sent(&c, 300);
	ack(&a, 300);
	assert_confirmed(100);
	ack(&b, 200);
	assert_confirmed(100);
	ack(&c, 250);
	assert_confirmed(200);
	ack(&b, 300);
	assert_confirmed(250);
	ack(&c, 300);
	assert_confirmed(300);
}

static void
test_observer_does_not_count(void **state)
{
	(void)state;
	quorum_join(&q, &a, 100);
	quorum_join(&q, &b, 100);
	quorum_sent(&a, 300);
	quorum_sent(&b, 300);
	ack(&a, 300);
	assert_confirmed(100);
	b.votes = false;
	assert_confirmed(300);
	/* Nor does it confirm: alone it is an empty quorum. */
	a.votes = false;
	quorum_served(&a, 500);
	quorum_served(&b, 500);
	ack(&b, 300);
	assert_confirmed(300);
	b.votes = true;
	assert_confirmed(500);
}

/* Whoever half-closes has acknowledged until then. */
static void
test_observe(void **state)
{
	(void)state;
	quorum_join(&q, &a, 100);
	quorum_sent(&a, 300);
	ack(&a, 200);
	quorum_observe(&q, &a);
	assert_false(a.votes);
	assert_confirmed(200);
	ack(&a, 300);
	assert_confirmed(200);
	/* But with others it is still their lowest. */
	quorum_join(&q, &b, 200);
	quorum_join(&q, &c, 200);
	quorum_sent(&b, 300);
	quorum_sent(&c, 300);
	ack(&b, 300);
	ack(&c, 250);
	quorum_observe(&q, &b);
	assert_confirmed(250);
}

/* Whoever joins below it, or is left over there, does not pull it back. */
static void
test_confirmed_never_falls(void **state)
{
	(void)state;
	quorum_reset(&q, 1000);
	quorum_join(&q, &a, 500);
	assert_confirmed(1000);
	quorum_served(&a, 1100);
	assert_confirmed(1100);
	quorum_join(&q, &b, 700);
	assert_confirmed(1100);
	quorum_leave(&q, &a);
	assert_confirmed(1100);
	quorum_sent(&b, 1200);
	ack(&b, 1200);
	assert_confirmed(1200);
}

/* The last ack of a member that leaves counts, although nobody asked since. */
static void
test_last_ack_counts_at_leave(void **state)
{
	(void)state;
	quorum_join(&q, &a, 100);
	quorum_sent(&a, 200);
	ack(&a, 200);
	quorum_leave(&q, &a);
	assert_confirmed(200);
	assert_null(q.members);
}

/* But what it has not acknowledged does not, and the others still do. */
static void
test_leave_with_something_unacked(void **state)
{
	(void)state;
	quorum_join(&q, &a, 100);
	quorum_join(&q, &b, 100);
	quorum_sent(&a, 200);
	quorum_sent(&b, 200);
	quorum_sent(&b, 300);
	ack(&b, 200);
	quorum_served(&a, 900);
	quorum_leave(&q, &a);
	assert_confirmed(100);
	assert_confirmed(200);
	quorum_leave(&q, &b);
	assert_confirmed(200);
}

static void
test_leave_in_any_order(void **state)
{
	struct quorum_member *const members[] = { &a, &b, &c };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct quorum_member *x = members[i], *y = members[(i + 1) % 3];
		struct quorum_member *z = members[(i + 2) % 3];

		quorum_reset(&q, 0);
		quorum_join(&q, &a, 100);
		quorum_join(&q, &b, 100);
		quorum_join(&q, &c, 100);
		quorum_served(y, 200);
		quorum_served(z, 300);
		quorum_leave(&q, x);
		assert_confirmed(100);
		assert_confirmed(200);
		quorum_leave(&q, y);
		assert_confirmed(200);
		assert_confirmed(300);
		quorum_leave(&q, z);
		assert_null(q.members);
		assert_confirmed(300);
	}
}

/* When all leave in one turn, in whatever order, nobody is passed over. */
static void
test_leave_at_once(void **state)
{
	struct quorum_member *const members[] = { &a, &b, &c };

	(void)state;
	for (int i = 0; i < 3; i++) {
		quorum_reset(&q, 0);
		quorum_join(&q, &a, 100);
		quorum_join(&q, &b, 200);
		quorum_join(&q, &c, 300);
		quorum_leave(&q, members[i]);
		quorum_observe(&q, members[(i + 1) % 3]);
		quorum_leave(&q, members[(i + 2) % 3]);
		quorum_leave(&q, members[(i + 1) % 3]);
		assert_confirmed(100);
		assert_confirmed(100);
		assert_null(q.members);
	}
}

/* In the middle of a turn who has left is not forgotten. */
static void
test_confirm_within_a_turn(void **state)
{
	(void)state;
	quorum_join(&q, &a, 100);
	quorum_join(&q, &b, 100);
	quorum_served(&a, 200);
	quorum_served(&b, 300);
	quorum_leave(&q, &a);
	assert_int_equal(quorum_confirm(&q), 200);
	assert_int_equal(quorum_confirm(&q), 200);
	assert_confirmed(200);
	assert_int_equal(quorum_confirm(&q), 300);
}

static void
test_leave_without_join(void **state)
{
	(void)state;
	quorum_leave(&q, &a);
	quorum_join(&q, &a, 100);
	quorum_join(&q, &b, 100);
	quorum_leave(&q, &c);
	quorum_leave(&q, &b);
	quorum_leave(&q, &b); /* twice */
	assert_confirmed(100);
	assert_ptr_equal(q.members, &a);
	assert_null(a.next);
	quorum_leave(&q, &a);
	quorum_leave(&q, &a);
	assert_null(q.members);
}

/* Nor does leaving twice bring back who has left since. */
static void
test_leave_twice(void **state)
{
	(void)state;
	quorum_join(&q, &a, 100);
	quorum_join(&q, &b, 100);
	quorum_join(&q, &c, 100);
	quorum_leave(&q, &b);
	quorum_leave(&q, &a);
	quorum_leave(&q, &b);
	assert_ptr_equal(q.members, &c);
	assert_null(c.next);
	quorum_served(&c, 200);
	assert_confirmed(100);
	assert_confirmed(200);
}

/* Another slot may stand below, and members count from there on. */
static void
test_reset(void **state)
{
	(void)state;
	quorum_reset(&q, 1000);
	assert_confirmed(1000);
	quorum_reset(&q, 10);
	assert_int_equal(q.confirmed, 10);
	quorum_join(&q, &a, 20);
	assert_confirmed(20);
	/* Who left before it is no part of it. */
	quorum_leave(&q, &a);
	quorum_reset(&q, 5);
	quorum_join(&q, &b, 30);
	assert_confirmed(30);
}

static void
test_high(void **state)
{
	(void)state;
	assert_int_equal(quorum_high(&q), 0);
	quorum_reset(&q, 100);
	assert_int_equal(quorum_high(&q), 100);
	quorum_join(&q, &a, 150);
	quorum_join(&q, &b, 100);
	assert_int_equal(quorum_high(&q), 150);
	quorum_served(&b, 170);
	assert_int_equal(quorum_high(&q), 170);
	quorum_observe(&q, &a);
	quorum_sent(&a, 300); /* an observer's counts as well */
	assert_int_equal(quorum_high(&q), 300);
}

/* No position stays above the cut, none below it moves, and what comes after
 * it may use the positions again. */
static void
test_cut(void **state)
{
	(void)state;
	quorum_reset(&q, 100);
	quorum_join(&q, &a, 100);
	quorum_join(&q, &b, 100);
	quorum_join(&q, &c, 100);
	quorum_sent(&a, 200); /* one unacknowledged, below */
	quorum_served(&b, 900);
	quorum_sent(&c, 250);
	ack(&c, 250);
	quorum_cut(&q, 250);
	assert_stands(&a, 100, false);
	assert_stands(&b, 250, true);
	assert_stands(&c, 250, true);
	assert_confirmed(100);
	ack(&a, 200);
	quorum_served(&a, 250);
	assert_confirmed(250);
	quorum_sent(&b, 260);
	assert_stands(&b, 250, false);
	assert_confirmed(250);
}

/* What was confirmed, or stands for who has left, is cut as well. */
static void
test_cut_confirmed(void **state)
{
	(void)state;
	quorum_reset(&q, 300);
	quorum_join(&q, &a, 300);
	quorum_leave(&q, &a);
	quorum_cut(&q, 200);
	assert_confirmed(200);
	quorum_join(&q, &b, 200);
	quorum_sent(&b, 220);
	quorum_leave(&q, &b);
	quorum_cut(&q, 210);
	assert_confirmed(200);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_empty_confirms_nothing),
		TEST(test_join),
		TEST(test_ack_is_cumulative),
		TEST(test_ack_of_zero_or_lower),
		TEST(test_ack_above_sent),
		TEST(test_idle_is_served),
		TEST(test_position_kept_after_idle),
		TEST(test_transaction_of_several_events),
		TEST(test_lowest_position_counts),
		TEST(test_observer_does_not_count),
		TEST(test_observe),
		TEST(test_confirmed_never_falls),
		TEST(test_last_ack_counts_at_leave),
		TEST(test_leave_with_something_unacked),
		TEST(test_leave_in_any_order),
		TEST(test_leave_at_once),
		TEST(test_confirm_within_a_turn),
		TEST(test_leave_without_join),
		TEST(test_leave_twice),
		TEST(test_reset),
		TEST(test_high),
		TEST(test_cut),
		TEST(test_cut_confirmed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
