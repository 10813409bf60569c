#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "server/lifetime.h"

#define START SECONDS(1000)

static struct lifetime_rules rules;
static struct lifetime life;
static struct life_facts facts;
static int64_t now;

static int
setup(void **state)
{
	(void)state;
	rules = (struct lifetime_rules){ .keepalive_us = SECONDS(30),
		.keepalive_timeout_us = SECONDS(10) };
	facts = (struct life_facts){ .greeted = false };
	now = START;
	lifetime_init(&life, &rules, now, 0);
	return 0;
}

/* With these rules, a client that has said all it owes. */
static void
open_with(struct lifetime_rules r, int more)
{
	rules = r;
	lifetime_init(&life, &rules, now, more);
	facts.greeted = facts.settled = true;
	assert_int_equal(lifetime_step(&life, &facts, now), LIFE_NOTHING);
	assert_int_equal(life.state, LIFE_OPEN);
}

/* The next thing that is due, and when, by waking only when told to: seconds
 * since the start. */
static double
next(enum life_action *action)
{
	for (int i = 0; i < 10000; i++) {
		*action = lifetime_step(&life, &facts, now);
		if (*action != LIFE_NOTHING)
			return (double)(now - START) / 1e6;
		assert_true(lifetime_deadline(&life) > now);
		if (lifetime_deadline(&life) == INT64_MAX)
			return -1;
		now = lifetime_deadline(&life);
	}
	fail_msg("it wakes up too often");
	return 0;
}

static void
expect(enum life_action want, double at)
{
	enum life_action action;
	double when = next(&action);

	assert_int_equal(action, want);
	assert_true(when > at - 0.001 && when < at + 0.001);
}

static void
test_no_preface(void **state)
{
	(void)state;
	expect(LIFE_NO_PREFACE, 10);
}

static void
test_no_settings(void **state)
{
	(void)state;
	now = START + SECONDS(9);
	facts.greeted = true;
	lifetime_heard(&life, now);
	expect(LIFE_NO_SETTINGS, 19);
}

static void
test_keepalive(void **state)
{
	(void)state;
	open_with(rules, 0);
	expect(LIFE_PING, 30);
	expect(LIFE_DEAD, 40);
}

/* From the last byte that came, not from the PING. */
static void
test_keepalive_heard(void **state)
{
	(void)state;
	open_with(rules, 0);
	now = START + SECONDS(7);
	lifetime_heard(&life, now);
	expect(LIFE_PING, 37);
	now = START + SECONDS(46);
	lifetime_heard(&life, now);
	expect(LIFE_PING, 76);
	expect(LIFE_DEAD, 86);
}

static void
test_keepalive_off(void **state)
{
	enum life_action action;

	(void)state;
	open_with((struct lifetime_rules){ .keepalive_us = 0 }, 0);
	assert_true(next(&action) < 0);
	assert_int_equal(action, LIFE_NOTHING);
}

/* A client that takes what was sent before the PING is slow, not dead. */
static void
test_keepalive_progress(void **state)
{
	(void)state;
	open_with(rules, 0);
	expect(LIFE_PING, 30);
	for (int s = 31; s < 300; s++) {
		now = START + SECONDS(s);
		lifetime_progress(&life, now);
		assert_int_equal(lifetime_step(&life, &facts, now),
		    LIFE_NOTHING);
		/* Somebody has to look. */
		assert_true(lifetime_deadline(&life) <= now + SECONDS(1));
	}
	expect(LIFE_DEAD, 339);
}

/* Who was asleep itself gives the client its time. */
static void
test_keepalive_late(void **state)
{
	(void)state;
	open_with(rules, 0);
	now = START + SECONDS(500);
	expect(LIFE_PING, 500);
	expect(LIFE_DEAD, 510);
}

static void
test_idle(void **state)
{
	(void)state;
	open_with((struct lifetime_rules){ .idle_us = SECONDS(60) }, 0);
	now = START + SECONDS(20);
	facts.streams = true;
	assert_int_equal(lifetime_step(&life, &facts, now), LIFE_NOTHING);
	assert_true(lifetime_deadline(&life) == INT64_MAX);
	now = START + SECONDS(100);
	facts.streams = false;
	expect(LIFE_NOTICE, 160);
	assert_string_equal(life.leave, "max_idle");
	expect(LIFE_GOAWAY, 165);
}

/* What comes after the first GOAWAY, heard or not. */
static void
test_age(void **state)
{
	const struct lifetime_rules r = { .age_us = SECONDS(100),
		.age_grace_us = SECONDS(20) };

	(void)state;
	facts.streams = true;
	open_with(r, 0);
	expect(LIFE_NOTICE, 100);
	assert_string_equal(life.leave, "max_age");
	now = START + SECONDS(102);
	facts.noticed = true;
	expect(LIFE_GOAWAY, 102);
	expect(LIFE_END_ALL, 122);
	expect(LIFE_CLOSE, 127);
}

static void
test_age_not_heard(void **state)
{
	(void)state;
	open_with((struct lifetime_rules){ .age_us = SECONDS(100) }, 0);
	expect(LIFE_NOTICE, 100);
	expect(LIFE_GOAWAY, 105);
	expect(LIFE_END_ALL, 105);
}

/* Give or take a tenth. */
static void
test_age_jitter(void **state)
{
	(void)state;
	open_with((struct lifetime_rules){ .age_us = SECONDS(100) }, -100);
	expect(LIFE_NOTICE, 90);
	now = START;
	open_with((struct lifetime_rules){ .age_us = SECONDS(100) }, 100);
	expect(LIFE_NOTICE, 110);
}

/* A dead client is found while it is being asked to leave, too. */
static void
test_dead_while_leaving(void **state)
{
	(void)state;
	open_with(rules, 0);
	facts.streams = true;
	lifetime_leave(&life, "shutting_down");
	expect(LIFE_NOTICE, 0);
	expect(LIFE_GOAWAY, 5);
	expect(LIFE_PING, 30);
	expect(LIFE_DEAD, 40);
}

static void
test_leave(void **state)
{
	(void)state;
	open_with(rules, 0);
	lifetime_leave(&life, "shutting_down");
	lifetime_leave(&life, "other");
	expect(LIFE_NOTICE, 0);
	facts.noticed = true;
	expect(LIFE_GOAWAY, 0);
	assert_string_equal(life.leave, "shutting_down");
}

/* Who has not said that it speaks HTTP/2 would not understand. */
static void
test_leave_before_hello(void **state)
{
	(void)state;
	lifetime_leave(&life, "shutting_down");
	expect(LIFE_CLOSE, 0);
	lifetime_init(&life, &rules, now, 0);
	facts.greeted = true;
	lifetime_leave(&life, "shutting_down");
	expect(LIFE_NOTICE, 0);
}

static void
test_spent(void **state)
{
	(void)state;
	open_with(rules, 0);
	facts.spent = true;
	expect(LIFE_NOTICE, 0);
	assert_string_equal(life.leave, "stream_ids_exhausted");
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_no_preface),
		TEST(test_no_settings),
		TEST(test_keepalive),
		TEST(test_keepalive_heard),
		TEST(test_keepalive_off),
		TEST(test_keepalive_progress),
		TEST(test_keepalive_late),
		TEST(test_idle),
		TEST(test_age),
		TEST(test_age_not_heard),
		TEST(test_age_jitter),
		TEST(test_dead_while_leaving),
		TEST(test_leave),
		TEST(test_leave_before_hello),
		TEST(test_spent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
