#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MAX_EVENT ((size_t)4 << 20)
#include "published.h"

/* More than may wait behind a row. */
#define BEHIND_MAX ((size_t)1 << 20)

static void
assert_ring(uint64_t from, const char *want)
{
	assert_string_equal(shown(from), want);
}

/* Those before the last row have C, those behind it what it has: E. */
static void
test_between_rows(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'M', 0, 0, "a" },
	    { 'M', 0, 0, "b" }, { 'I', 1, 0, "1" }, { 'M', 0, 0, "c" },
	    { 'I', 1, 0, "2" }, { 'M', 0, 0, "" }, { 'M', 0, 0, "e" },
	    { 'C', 100, 140, NULL });
	assert_ring(0,
	    "B100@100\n"
	    "100.0+1@100 pre a\n"
	    "100.0+2@100 pre b\n"
	    "100.1@100 insert s.t {\"id\":1,\"v\":null}\n"
	    "100.1+1@100 pre c\n"
	    "100.2@140 insert s.t {\"id\":2,\"v\":null}\n"
	    "100.2+1@140 pre \n"
	    "100.2+2@140 pre e\n"
	    "C100@140\n");
	assert_int_equal(p.events, 7);
	assert_int_equal(p.transactions, 1);
}

/* What waits, waits; what need not, does not. */
static void
test_when(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'M', 0, 0, "a" });
	assert_ring(0, "B100@100\n100.0+1@100 pre a\n");
	TAKE({ 'I', 1, 0, "1" }, { 'M', 0, 0, "b" }, { 'M', 0, 0, "c" });
	assert_int_equal(ring.next, 2);
	TAKE({ 'D', 1, 0, "2" });
	assert_ring(2,
	    "100.1@100 insert s.t {\"id\":1,\"v\":null}\n"
	    "100.1+1@100 pre b\n"
	    "100.1+2@100 pre c\n");
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(5, "100.2@140 delete s.t {\"id\":2}\nC100@140\n");
}

static void
test_behind_a_truncate(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'R', 2, 0, "u" }, { 'B', 100, 0, NULL },
	    { 'T', 1, 2, NULL }, { 'M', 0, 0, "a" }, { 'C', 100, 140, NULL });
	assert_ring(0,
	    "B100@100\n"
	    "100.1@100 truncate s.t\n"
	    "100.2@140 truncate s.u\n"
	    "100.2+1@140 pre a\n"
	    "C100@140\n");
}

/* A transaction of messages only has its begin and commit; its messages are
 * not held. */
static void
test_only_messages(void **state)
{
	(void)state;
	TAKE({ 'B', 100, 0, NULL }, { 'M', 0, 0, "a" }, { 'M', 0, 0, "b" },
	    { 'C', 100, 140, NULL }, { 'B', 150, 0, NULL },
	    { 'C', 150, 160, NULL });
	assert_ring(0,
	    "B100@100\n"
	    "100.0+1@100 pre a\n"
	    "100.0+2@100 pre b\n"
	    "C100@140\n");
	assert_int_equal(p.complete_lsn, 160);
}

static const char too_much[] = "B100@100\n"
			       "100.1@100 insert s.t {\"id\":1,\"v\":null}\n"
			       "100.1+1@100 pre 600000 bytes\n"
			       "100.1+2@100 pre 600000 bytes\n"
			       "100.1+3@100 pre small\n"
			       "C100@140\n";

/* With more than may wait the row goes as if another followed. */
static void
test_too_much_behind(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 1, 0, "1" },
	    { 'M', 600000, 0, NULL });
	assert_int_equal(ring.next, 0);
	TAKE({ 'M', 600000, 0, NULL });
	assert_int_equal(ring.next, 4);
	TAKE({ 'M', 0, 0, "small" });
	assert_int_equal(ring.next, 5);
	TAKE({ 'C', 100, 140, NULL });
	assert_ring(0, too_much);
	/* Nothing of it is left for the next transaction. */
	TAKE({ 'B', 200, 0, NULL }, { 'I', 1, 0, "2" }, { 'M', 0, 0, "a" },
	    { 'C', 200, 240, NULL });
	assert_ring(6,
	    "B200@200\n"
	    "200.1@240 insert s.t {\"id\":2,\"v\":null}\n"
	    "200.1+1@240 pre a\n"
	    "C200@240\n");
}

static void
test_one_large_behind(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 1, 0, "1" },
	    { 'M', BEHIND_MAX - 3, 0, NULL }, { 'C', 100, 140, NULL });
	assert_int_equal(ring_at(&ring, 1)->pg_lsn, 140);
	assert_int_equal(ring_at(&ring, 2)->pg_lsn, 140);
	TAKE({ 'B', 200, 0, NULL }, { 'I', 1, 0, "1" },
	    { 'M', BEHIND_MAX - 2, 0, NULL }, { 'C', 200, 240, NULL });
	assert_int_equal(ring_at(&ring, 5)->pg_lsn, 200);
	assert_int_equal(ring_at(&ring, 6)->pg_lsn, 200);
	assert_int_equal(ring_at(&ring, 7)->pg_lsn, 240);
}

/* Messages that take next to nothing each. */
static void
test_many_behind(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 1, 0, "1" });
	for (int i = 0; i < 10000; i++)
		TAKE({ 'M', 0, 0, "" });
	TAKE({ 'C', 100, 140, NULL });
	assert_int_equal(ring.next, 10003);
	assert_int_equal(ring_at(&ring, 1)->pg_lsn, 140);
	assert_int_equal(ring_at(&ring, 10001)->pg_lsn, 140);
	assert_int_equal(ring_at(&ring, 10001)->pos.sub, 10000);
}

/* Messages outside transactions */

static void
test_lone(void **state)
{
	(void)state;
	TAKE({ 'R', 1, 0, "t" }, { 'm', 80, 0, "a" });
	assert_ring(0, "79.1+0@80 pre a\n");
	assert_int_equal(p.complete_lsn, 80);
	assert_true(ring_at(&ring, 0)->tag.alone);
	TAKE({ 'B', 100, 0, NULL }, { 'I', 1, 0, "1" }, { 'C', 100, 140, NULL },
	    { 'm', 150, 0, "b" }, { 'm', 160, 0, "c" });
	assert_ring(1,
	    "B100@100\n"
	    "100.1@140 insert s.t {\"id\":1,\"v\":null}\n"
	    "C100@140\n"
	    "149.1+0@150 pre b\n"
	    "159.1+0@160 pre c\n");
	assert_int_equal(p.complete_lsn, 160);
	assert_int_equal(p.transactions, 1);
	assert_int_equal(p.events, 4);
}

/* What is refused */

static void
assert_refused(enum err_kind kind)
{
	uint64_t next = ring.next;

	assert_int_equal(give(), -1);
	assert_int_equal(err.kind, kind);
	assert_int_equal(ring.next, next);
	publish_stop(&p);
	publish_start(&p, 50, true);
}

static void
test_out_of_place(void **state)
{
	(void)state;
	put_step(&(struct step){ 'M', 0, 0, "a" });
	assert_refused(ERR_PROTO);
	put_step(&(struct step){ 'm', 0, 0, "at 0" });
	assert_refused(ERR_PROTO);
	TAKE({ 'B', 100, 0, NULL });
	put_step(&(struct step){ 'm', 90, 0, "a" });
	assert_refused(ERR_PROTO);
}

static void
test_prefix_not_utf8(void **state)
{
	static const char *const prefixes[] = { "\xe9", "a\xed\xa0\x80",
		"ok\xc3" };

	(void)state;
	for (int i = 0; i < 3; i++) {
		pgo_put_message(&msg, 0, 90, prefixes[i], "x", 1);
		assert_refused(ERR_DATA);
		TAKE({ 'B', 100, 0, NULL });
		pgo_put_message(&msg, 1, 90, prefixes[i], "x", 1);
		assert_refused(ERR_DATA);
	}
}

/* Its content may be anything. */
static void
test_any_content(void **state)
{
	(void)state;
	pgo_put_message(&msg, 0, 90, "", "\xff\0\xc3", 3);
	assert_int_equal(give(), 0);
	assert_int_equal(ring.next, 1);
	assert_int_equal(ring_at(&ring, 0)->tag.note->len, 1);
}

static void
test_too_large(void **state)
{
	(void)state;
	put_step(&(struct step){ 'm', 90, 0, "a" });
	assert_int_equal(give(), 0);
	publish_free(&p);
	assert_int_equal(publish_init(&p, &ring, 1000), 0);
	publish_start(&p, 50, true);
	TAKE({ 'B', 100, 0, NULL });
	put_step(&(struct step){ 'M', 1 << 20, 0, NULL });
	assert_int_equal(give(), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
}

static void
begin_with(size_t max_event)
{
	publish_free(&p);
	assert_int_equal(publish_init(&p, &ring, max_event), 0);
	publish_start(&p, 50, false);
	TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }, { 'I', 1, 0, "1" });
}

/* Each is small; together they are more than the limit of one. */
static void
test_small_limit_behind(void **state)
{
	(void)state;
	begin_with(1000);
	for (int i = 0; i < 20; i++)
		TAKE({ 'M', 300, 0, NULL });
	TAKE({ 'C', 100, 140, NULL });
	assert_int_equal(ring.next, 23);
	assert_int_equal(ring_at(&ring, 1)->pg_lsn, 140);
}

/* The row in front is not said to be the last: what is too large comes again. */
static void
test_too_large_behind(void **state)
{
	(void)state;
	begin_with(1000);
	put_step(&(struct step){ 'M', 990, 0, NULL });
	assert_int_equal(give(), -1);
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_int_equal(ring.next, 2);
	assert_int_equal(ring_at(&ring, 1)->pg_lsn, 100);
}

/* An event may have max_event bytes, and not one more. */
static void
test_max_event(void **state)
{
	size_t len;

	(void)state;
	put_step(&(struct step){ 'm', 190, 0, "a" });
	assert_int_equal(give(), 0);
	len = ring_at(&ring, 0)->len - FRAME_HEAD;
	for (size_t max = len; max >= len - 1; max--) {
		publish_free(&p);
		assert_int_equal(publish_init(&p, &ring, max), 0);
		publish_start(&p, 50, true);
		put_step(&(struct step){ 'm', max == len ? 195 : 200, 0, "a" });
		assert_int_equal(give(), max == len ? 0 : -1);
	}
	assert_int_equal(err.kind, ERR_LIMIT);
	assert_non_null(strstr(err.text, "--max-event"));
}

/* Interruptions */

#define LONG 600000

static const struct step script[] = {
	{ 'R', 1, 0, "t" },
	{ 'm', 60, 0, "lone" },
	{ 'B', 100, 0, NULL },
	{ 'M', 0, 0, "a" },
	{ 'I', 1, 0, "1" },
	{ 'M', 0, 0, "b" },
	{ 'M', 0, 0, "c" },
	{ 'U', 1, 0, "2" },
	{ 'M', 0, 0, "d" },
	{ 'C', 100, 140, NULL },
	{ 'm', 150, 0, "lone" },
	{ 'm', 155, 0, "lone" },
	{ 'B', 160, 0, NULL },
	{ 'M', 0, 0, "only" },
	{ 'M', 0, 0, "messages" },
	{ 'C', 160, 190, NULL },
	{ 'B', 200, 0, NULL },
	{ 'I', 1, 0, "3" },
	{ 'M', LONG, 0, NULL },
	{ 'M', LONG, 0, NULL },
	{ 'M', 0, 0, "e" },
	{ 'C', 200, 240, NULL },
};
#define SCRIPT (sizeof(script) / sizeof(script[0]))

static const char played[] = "59.1+0@60 pre lone\n"
			     "B100@100\n"
			     "100.0+1@100 pre a\n"
			     "100.1@100 insert s.t {\"id\":1,\"v\":null}\n"
			     "100.1+1@100 pre b\n"
			     "100.1+2@100 pre c\n"
			     "100.2@140 update s.t {\"id\":2,\"v\":\"x\"}\n"
			     "100.2+1@140 pre d\n"
			     "C100@140\n"
			     "149.1+0@150 pre lone\n"
			     "154.1+0@155 pre lone\n"
			     "B160@160\n"
			     "160.0+1@160 pre only\n"
			     "160.0+2@160 pre messages\n"
			     "C160@190\n"
			     "B200@200\n"
			     "200.1@200 insert s.t {\"id\":3,\"v\":null}\n"
			     "200.1+1@200 pre 600000 bytes\n"
			     "200.1+2@200 pre 600000 bytes\n"
			     "200.1+3@200 pre e\n"
			     "C200@240\n";

static void
begin_again(bool resume)
{
	publish_stop(&p);
	publish_start(&p, 50, resume);
}

/* Wherever COPY breaks off, twice, beginning it again adds what is missing. */
static void
test_resume_anywhere(void **state)
{
	(void)state;
	for (size_t first = 0; first <= SCRIPT; first++)
		for (size_t second = 0; second <= SCRIPT; second += 3) {
			(void)teardown(NULL);
			assert_int_equal(setup(NULL), 0);
			take(script, first);
			begin_again(true);
			take(script, second);
			begin_again(true);
			take(script, SCRIPT);
			if (strcmp(shown(0), played) != 0)
				fail_msg("after %zu, %zu:\n%s", first, second,
				    shown(0));
			assert_int_equal(p.complete_lsn, 240);
		}
}

static void
test_fresh_segment_repeats_all(void **state)
{
	uint64_t next;

	(void)state;
	for (size_t n = 0; n <= SCRIPT; n++) {
		(void)teardown(NULL);
		assert_int_equal(setup(NULL), 0);
		take(script, n);
		next = ring.next;
		begin_again(false);
		take(script, SCRIPT);
		assert_string_equal(shown(next), played);
	}
}

/* What waits behind a row goes with it. */
static void
test_stop_drops_what_waits(void **state)
{
	(void)state;
	take(script, 6);
	begin_again(true);
	TAKE({ 'R', 1, 0, "t" }, { 'B', 300, 0, NULL }, { 'I', 1, 0, "9" },
	    { 'C', 300, 340, NULL });
	assert_string_equal(shown(3),
	    "B300@300\n"
	    "300.1@340 insert s.t {\"id\":9,\"v\":null}\n"
	    "C300@340\n");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_between_rows),
		TEST(test_when),
		TEST(test_behind_a_truncate),
		TEST(test_only_messages),
		TEST(test_too_much_behind),
		TEST(test_one_large_behind),
		TEST(test_many_behind),
		TEST(test_lone),
		TEST(test_out_of_place),
		TEST(test_prefix_not_utf8),
		TEST(test_any_content),
		TEST(test_too_large),
		TEST(test_small_limit_behind),
		TEST(test_too_large_behind),
		TEST(test_max_event),
		TEST(test_resume_anywhere),
		TEST(test_fresh_segment_repeats_all),
		TEST(test_stop_drops_what_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
