#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "feed/consumer.h"

/* Named consumers in the quorum: who is waited for, and from where a name goes
 * on. */

struct fixture {
	struct quorum q;
	struct consumers cs;
	struct quorum_member a, b;
	struct err err;
};

static void
begin(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	quorum_init(&f->q);
	consumers_init(&f->cs, &f->q);
	quorum_reset(&f->q, 100);
}

static void
end(struct fixture *f)
{
	quorum_leave(&f->q, &f->a);
	quorum_leave(&f->q, &f->b);
	consumers_free(&f->cs);
	assert_null(f->q.members);
}

static void
test_resume(void **state)
{
	struct fixture f;
	struct consumer *c;

	(void)state;
	begin(&f);
	c = consumers_get(&f.cs, "c", NULL);
	assert_ptr_equal(consumers_get(&f.cs, "c", NULL), c);
	assert_int_equal(c->position, 0);
	consumer_claim(&f.cs, c, &f);
	quorum_join(&f.q, &f.a, 100);
	consumer_placed(&f.cs, c);
	quorum_sent(&f.a, 300);
	assert_int_equal(quorum_ack(&f.a, 200, &f.err), 0);
	consumer_release(&f.cs, c, &f.a, 300);
	assert_null(c->stream);
	assert_int_equal(c->position, 200);
	end(&f);
}

/* Between a stream's claim and its place, its position stays unconfirmed. */
static void
test_claim_holds(void **state)
{
	struct fixture f;
	struct consumer *c;

	(void)state;
	begin(&f);
	c = consumers_get(&f.cs, "c", NULL);
	c->position = 150;
	consumer_claim(&f.cs, c, &f);
	quorum_join(&f.q, &f.b, 100);
	quorum_served(&f.b, 900);
	assert_int_equal(quorum_settle(&f.q), 150);
	quorum_join(&f.q, &f.a, 150);
	consumer_placed(&f.cs, c);
	assert_int_equal(quorum_settle(&f.q), 150);
	quorum_served(&f.a, 500);
	assert_int_equal(quorum_settle(&f.q), 500);
	end(&f);
}

static void
test_required(void **state)
{
	struct fixture f;
	struct consumer *c;

	(void)state;
	begin(&f);
	assert_int_equal(consumers_require(&f.cs, "c"), 0);
	c = consumers_get(&f.cs, "c", NULL);
	quorum_join(&f.q, &f.b, 100);
	quorum_served(&f.b, 900);
	assert_int_equal(quorum_settle(&f.q), 100);
	consumer_claim(&f.cs, c, &f);
	quorum_join(&f.q, &f.a, 100);
	consumer_placed(&f.cs, c);
	assert_int_equal(quorum_settle(&f.q), 100);
	quorum_served(&f.a, 400);
	assert_int_equal(quorum_settle(&f.q), 400);
	consumer_release(&f.cs, c, &f.a, 300);
	quorum_leave(&f.q, &f.a);
	assert_int_equal(quorum_settle(&f.q), 400);
	quorum_served(&f.b, 1000);
	assert_int_equal(quorum_settle(&f.q), 400);
	end(&f);
}

static void
test_forget(void **state)
{
	struct fixture f;
	struct consumer *c;

	(void)state;
	begin(&f);
	assert_int_equal(consumers_require(&f.cs, "r"), 0);
	c = consumers_get(&f.cs, "c", NULL);
	c->position = 700;
	consumers_get(&f.cs, "r", NULL)->position = 700;
	consumers_forget(&f.cs);
	assert_int_equal(c->position, 0);
	assert_int_equal(consumers_get(&f.cs, "r", NULL)->position, 0);
	quorum_join(&f.q, &f.b, 100);
	quorum_served(&f.b, 900);
	assert_int_equal(quorum_settle(&f.q), 100); /* r is still required */
	end(&f);
}

/* Positions above where another timeline begins are void; who was sent more
 * has to be told of it, once, and not behind a stream's back. */
static void
test_cut(void **state)
{
	struct fixture f;
	struct consumer *low, *high, *used;

	(void)state;
	begin(&f);
	low = consumers_get(&f.cs, "low", NULL);
	high = consumers_get(&f.cs, "high", NULL);
	used = consumers_get(&f.cs, "used", NULL);
	low->position = 700;
	low->told = 500; /* what was served above was not for it */
	high->position = 300;
	high->told = 501;
	used->told = 900;
	consumer_claim(&f.cs, used, &f);
	consumers_cut(&f.cs, 500);
	assert_int_equal(low->position, 500);
	assert_int_equal(low->void_lsn, 0);
	assert_int_equal(high->position, 300);
	assert_int_equal(high->void_lsn, 501);
	assert_int_equal(high->cut_lsn, 500);
	assert_int_equal(used->void_lsn, 0);
	assert_int_equal(used->told, 500);
	consumers_cut(&f.cs, 500);
	assert_int_equal(high->void_lsn, 501);
	consumers_heard(&f.cs, low);
	assert_int_equal(high->void_lsn, 501);
	consumers_heard(&f.cs, high);
	assert_int_equal(high->void_lsn, 0);
	high->told = 501;
	consumers_cut(&f.cs, 500);
	assert_int_equal(high->void_lsn, 501);
	consumers_forget(&f.cs);
	assert_int_equal(high->void_lsn, 0);
	assert_int_equal(low->told, 0);
	end(&f);
}

/* What a name was sent is remembered, however many streams it had. */
static void
test_told(void **state)
{
	struct fixture f;
	struct consumer *c;

	(void)state;
	begin(&f);
	c = consumers_get(&f.cs, "c", NULL);
	consumer_claim(&f.cs, c, &f);
	consumer_release(&f.cs, c, NULL, 300);
	consumer_claim(&f.cs, c, &f);
	consumer_release(&f.cs, c, NULL, 0);
	assert_int_equal(c->told, 300);
	consumer_claim(&f.cs, c, &f);
	consumer_release(&f.cs, c, NULL, 400);
	assert_int_equal(c->told, 400);
	end(&f);
}

/* The oldest name that nobody uses makes room; used and required ones stay. */
static void
test_limit(void **state)
{
	struct fixture f;
	struct consumer *used;
	char name[16];

	(void)state;
	begin(&f);
	assert_int_equal(consumers_require(&f.cs, "required"), 0);
	used = consumers_get(&f.cs, "used", NULL);
	used->stream = &f;
	consumers_get(&f.cs, "first", NULL)->position = 5;
	for (int i = 0; i < CONSUMER_MAX - 3; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_non_null(consumers_get(&f.cs, name, NULL));
	}
	assert_int_equal(f.cs.n, CONSUMER_MAX);
	assert_non_null(consumers_get(&f.cs, "more", NULL));
	assert_int_equal(f.cs.n, CONSUMER_MAX);
	assert_ptr_equal(consumers_get(&f.cs, "used", NULL), used);
	assert_true(consumers_get(&f.cs, "required", NULL)->required);
	assert_int_equal(consumers_get(&f.cs, "first", NULL)->position, 0);
	end(&f);
}

/* Who makes up names has only its own forgotten. */
static void
test_limit_of_owner(void **state)
{
	struct fixture f;
	struct consumer *c;
	char name[16];

	(void)state;
	begin(&f);
	c = consumers_get(&f.cs, "first", "a");
	consumer_own(c, "a");
	c->position = 5;
	consumers_get(&f.cs, "nobody's", NULL)->position = 6;
	for (int i = 0; i < 2 * CONSUMER_MAX; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		consumer_own(consumers_get(&f.cs, name, "b"), "b");
	}
	assert_int_equal(f.cs.n, CONSUMER_MAX);
	assert_int_equal(consumers_get(&f.cs, "first", "a")->position, 5);
	assert_string_equal(c->owner, "a");
	assert_int_equal(consumers_get(&f.cs, "nobody's", "a")->position, 6);
	/* Somebody's goes for who has none. */
	consumer_own(consumers_get(&f.cs, "other", "c"), "c");
	assert_int_equal(f.cs.n, CONSUMER_MAX);
	assert_int_equal(consumers_get(&f.cs, "first", "a")->position, 0);
	end(&f);
}

/* The same place in a row counts. */
static void
test_breaks(void **state)
{
	const struct ring_pos one = { 100, 1, 0 }, two = { 100, 2, 0 };
	struct consumer c = { .name = NULL };

	(void)state;
	assert_int_equal(consumer_broke(&c, one), 1);
	assert_int_equal(consumer_broke(&c, one), 2);
	assert_int_equal(consumer_broke(&c, two), 1);
	assert_int_equal(consumer_broke(&c, one), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_claim_holds),
		cmocka_unit_test(test_required),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_limit_of_owner),
		cmocka_unit_test(test_breaks),
	};

	return cmocka_run_group_tests_name("consumer", tests, NULL, NULL);
}
