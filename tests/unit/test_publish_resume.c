#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "published.h"

/* A session: a transaction of three rows, an empty one, one with a TRUNCATE of
 * two tables, one of a row. */
static const struct step script[] = {
	{ 'R', 1, 0, "t" },
	{ 'B', 100, 0, NULL },
	{ 'I', 1, 0, "1" },
	{ 'U', 1, 0, "2" },
	{ 'I', 1, 0, "3" },
	{ 'C', 100, 140, NULL },
	{ 'B', 150, 0, NULL },
	{ 'C', 150, 160, NULL },
	{ 'B', 160, 0, NULL },
	{ 'R', 2, 0, "u" },
	{ 'T', 1, 2, NULL },
	{ 'D', 2, 0, "4" },
	{ 'C', 160, 190, NULL },
	{ 'B', 200, 0, NULL },
	{ 'I', 2, 0, "5" },
	{ 'C', 200, 240, NULL },
};
#define SCRIPT (sizeof(script) / sizeof(script[0]))

static const char played[] = "B100@100\n"
			     "100.1@100 insert s.t {\"id\":1,\"v\":null}\n"
			     "100.2@100 update s.t {\"id\":2,\"v\":\"x\"}\n"
			     "100.3@140 insert s.t {\"id\":3,\"v\":null}\n"
			     "C100@140\n"
			     "B160@160\n"
			     "160.1@160 truncate s.t\n"
			     "160.2@160 truncate s.u\n"
			     "160.3@190 delete s.u {\"id\":4}\n"
			     "C160@190\n"
			     "B200@200\n"
			     "200.1@240 insert s.u {\"id\":5,\"v\":null}\n"
			     "C200@240\n";

/* Interruptions */

static void
begin_again(lsn_t lsn, bool resume)
{
	publish_stop(&p);
	publish_start(&p, lsn, resume);
}

static void
test_stop_drops_the_held_event(void **state)
{
	uint64_t next;

	(void)state;
	take(script, 4);
	next = ring.next;
	publish_stop(&p);
	assert_int_equal(ring.next, next);
	assert_string_equal(shown(0),
	    "B100@100\n"
	    "100.1@100 insert s.t {\"id\":1,\"v\":null}\n");
	publish_start(&p, 50, false);
	/* Nor does the next commit let it go. */
	TAKE({ 'B', 500, 0, NULL }, { 'C', 500, 540, NULL });
	assert_int_equal(ring.next, next);
}

/* Wherever COPY breaks off, twice, beginning it again adds what is missing. */
static void
test_resume_anywhere(void **state)
{
	(void)state;
	for (size_t first = 0; first <= SCRIPT; first++)
		for (size_t second = 0; second <= SCRIPT; second++) {
			(void)teardown(NULL);
			assert_int_equal(setup(NULL), 0);
			take(script, first);
			begin_again(50, true);
			take(script, second);
			begin_again(50, true);
			take(script, SCRIPT);
			assert_string_equal(shown(0), played);
			assert_int_equal(p.events, 7);
			assert_int_equal(p.complete_lsn, 240);
		}
}

/* publish_start alone ends what was before it. */
static void
test_start_without_stop(void **state)
{
	(void)state;
	for (size_t n = 0; n <= SCRIPT; n++) {
		(void)teardown(NULL);
		assert_int_equal(setup(NULL), 0);
		take(script, n);
		publish_start(&p, 50, true);
		take(script, SCRIPT);
		assert_string_equal(shown(0), played);
	}
}

/* A resumed COPY may also begin behind what is there already. */
static void
test_resume_later(void **state)
{
	(void)state;
	take(script, 8);
	begin_again(160, true);
	take(script, 1);
	take(script + 8, SCRIPT - 8);
	assert_string_equal(shown(0), played);
}

/* An interrupted COPY has not served what a keepalive of it would say. */
static void
test_complete_after_stop(void **state)
{
	(void)state;
	take(script, 3);
	begin_again(50, true);
	assert_int_equal(p.complete_lsn, 50);
	publish_keepalive(&p, 90); /* no transaction is open now */
	assert_int_equal(p.complete_lsn, 90);
}

static void
test_fresh_segment_repeats_all(void **state)
{
	uint64_t next, cursor;

	(void)state;
	take(script, SCRIPT);
	next = ring.next;
	begin_again(70, false);
	assert_int_equal(p.complete_lsn, 70);
	take(script, SCRIPT);
	assert_string_equal(shown(next), played);
	assert_true(ring_holds(&ring, 70, &cursor));
	assert_int_equal(cursor, next);
	assert_false(ring_holds(&ring, 69, &cursor));
}

/* A segment that begins inside a transaction that is there in part. */
static void
test_fresh_segment_in_mid_transaction(void **state)
{
	uint64_t next;

	(void)state;
	take(script, 4);
	next = ring.next;
	begin_again(50, false);
	take(script, 4);
	begin_again(50, true);
	take(script, SCRIPT);
	assert_string_equal(shown(next), played);
}

static void
test_relations_end_with_their_copy(void **state)
{
	(void)state;
	take(script, 6);
	begin_again(140, true);
	TAKE({ 'B', 300, 0, NULL });
	put_step(&(struct step){ 'I', 1, 0, "1" });
	assert_int_equal(give(), -1);
	assert_int_equal(err.kind, ERR_PROTO);
}

/* What breaks the protocol */

/* n messages of the script, then a bad one that is refused. Then COPY begins
 * again without it, and nothing is missing, there twice, or left of it. */
static int
breaks(size_t n, void (*put_bad)(void))
{
	const char *got;

	(void)teardown(NULL);
	assert_int_equal(setup(NULL), 0);
	take(script, n);
	put_bad();
	if (give() != -1 || err.kind != ERR_PROTO) {
		print_error("taken after %zu messages\n", n);
		return 1;
	}
	begin_again(50, true);
	take(script, SCRIPT);
	if (strcmp(got = shown(0), played) == 0)
		return 0;
	print_error("after %zu messages and a bad one:\n%s", n, got);
	return 1;
}

/* The bad messages. Relations 1 and, later, 2 are there. */

static void
bad_insert(void)
{
	put_step(&(struct step){ 'I', 1, 0, "9" });
}

static void
bad_update(void)
{
	put_step(&(struct step){ 'U', 1, 0, "9" });
}

static void
bad_delete(void)
{
	put_step(&(struct step){ 'D', 1, 0, "9" });
}

static void
bad_truncate(void)
{
	put_step(&(struct step){ 'T', 1, 1, NULL });
}

static void
bad_commit(void)
{
	put_step(&(struct step){ 'C', 300, 340, NULL });
}

static void
bad_begin(void)
{
	put_step(&(struct step){ 'B', 100, 0, NULL });
}

static void
unknown_insert(void)
{
	put_step(&(struct step){ 'I', 9, 0, "9" });
}

static void
unknown_first(void)
{
	put_step(&(struct step){ 'T', 9, 1, NULL });
}

static void
unknown_second(void)
{
	put_step(&(struct step){ 'T', 1, 9, NULL });
}

static void
unknown_third(void)
{
	static const uint32_t oids[] = { 1, 1, 9 };

	pgo_put_truncate(&msg, 0, oids, 3);
}

static void
column_missing(void)
{
	static const char *const row[] = { "9" };

	pgo_put_change(&msg, 'I', 1);
	pgo_put_row(&msg, 'N', row, 1);
}

static void
column_too_many(void)
{
	static const char *const row[] = { "7", "8", "9" };

	pgo_put_change(&msg, 'D', 1);
	pgo_put_row(&msg, 'O', row, 3);
}

static void
cut_off(void)
{
	bad_insert();
	msg.len--;
}

static void
no_message(void)
{
	buf_put_u8(&msg, '?');
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
test_wrong_outside_transaction(void **state)
{
	static void (*const bad[])(void) = { bad_insert, bad_update, bad_delete,
		bad_truncate, bad_commit, unknown_insert, cut_off, no_message };
	static const size_t outside[] = { 1, 6, 8, 13, SCRIPT };
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(outside); i++)
		for (size_t k = 0; k < COUNT(bad); k++)
			wrong += breaks(outside[i], bad[k]);
	assert_int_equal(wrong, 0);
}

static void
test_wrong_inside_transaction(void **state)
{
	static void (*const bad[])(void) = { bad_commit, bad_begin,
		unknown_insert, unknown_first, cut_off, no_message };
	static const size_t inside[] = { 2, 3, 4, 5, 7, 9, 10, 11, 12, 14, 15 };
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(inside); i++)
		for (size_t k = 0; k < COUNT(bad); k++)
			wrong += breaks(inside[i], bad[k]);
	assert_int_equal(wrong, 0);
}

/* Refused only when part of it has been read: that part does not count. */
static void
test_wrong_in_part(void **state)
{
	static void (*const bad[])(void) = { unknown_second, unknown_third,
		column_missing, column_too_many };
	static const size_t inside[] = { 2, 3, 4, 5 };
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(inside); i++)
		for (size_t k = 0; k < COUNT(bad); k++)
			wrong += breaks(inside[i], bad[k]);
	assert_int_equal(wrong, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_stop_drops_the_held_event),
		TEST(test_resume_anywhere),
		TEST(test_start_without_stop),
		TEST(test_resume_later),
		TEST(test_complete_after_stop),
		TEST(test_fresh_segment_repeats_all),
		TEST(test_fresh_segment_in_mid_transaction),
		TEST(test_relations_end_with_their_copy),
		TEST(test_wrong_outside_transaction),
		TEST(test_wrong_inside_transaction),
		TEST(test_wrong_in_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
