#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "server/walk.h"

/* A stream's way through the ring, written as text: "B3 e1 e2 C3" is the begin
 * of transaction 3, two events, its commit. */

struct fixture {
	struct ring ring;
	struct names names;
	struct walk walk;
	char seen[512];
};

static void
begin(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	ring_init(&f->ring, 1 << 20);
	names_init(&f->names);
	names_put(&f->names, "s", "a");
	names_put(&f->names, "s", "b");
	ring_segment(&f->ring, 0);
	walk_init(&f->walk, &f->ring, &f->names);
	f->walk.marks = true;
	walk_start(&f->walk, 0, 0);
}

static void
end(struct fixture *f)
{
	walk_free(&f->walk);
	ring_free(&f->ring);
	names_free(&f->names);
}

static void
mark(struct fixture *f, lsn_t commit_lsn, uint32_t seq)
{
	struct event_txn txn = { commit_lsn, commit_lsn + 5,
		(uint32_t)commit_lsn, 0 };
	struct ring_pos pos = { commit_lsn, seq };
	struct ring_tag tag = { 0, 0 };

	assert_int_equal(ring_append(&f->ring, pos, commit_lsn, tag, &txn,
	    sizeof(txn)), 0);
}

static void
event(struct fixture *f, lsn_t commit_lsn, uint32_t seq, uint32_t table,
    enum event_op op)
{
	struct ring_pos pos = { commit_lsn, seq };
	struct ring_tag tag = { table, (uint8_t)op };

	assert_int_equal(
	    ring_append(&f->ring, pos, commit_lsn, tag, "event", 5), 0);
}

/* A transaction of two inserts, into s.a and s.b. */
static void
transaction(struct fixture *f, lsn_t commit_lsn)
{
	mark(f, commit_lsn, RING_BEGIN);
	event(f, commit_lsn, 1, 0, EVENT_INSERT);
	event(f, commit_lsn, 2, 1, EVENT_INSERT);
	mark(f, commit_lsn, RING_COMMIT);
}

/* Everything from the walk's place on, as text. */
static const char *
walked(struct fixture *f)
{
	const struct ring_entry *e;
	enum walk_kind kind;
	size_t n = 0;

	f->seen[0] = '\0';
	while ((kind = walk_next(&f->walk, &e)) != WALK_END) {
		if (kind == WALK_EVENT)
			n += (size_t)snprintf(f->seen + n, sizeof(f->seen) - n,
			    " e%u", e->pos.seq);
		else
			n += (size_t)snprintf(f->seen + n, sizeof(f->seen) - n,
			    " %c%u/%u", kind == WALK_BEGIN ? 'B' : 'C',
			    (unsigned)f->walk.txn.commit_lsn,
			    kind == WALK_BEGIN ? 0 : f->walk.count);
	}
	return f->seen;
}

static void
test_marks(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	transaction(&f, 10);
	transaction(&f, 20);
	assert_string_equal(walked(&f), " B10/0 e1 e2 C10/2 B20/0 e1 e2 C20/2");
	assert_false(walk_settle(&f.walk));
	assert_int_equal(f.walk.cursor, f.ring.next);
	f.walk.marks = false;
	walk_start(&f.walk, 0, 0);
	assert_string_equal(walked(&f), " e1 e2 e1 e2");
	end(&f);
}

/* What comes in pieces is walked in the same pieces. */
static void
test_pieces(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	mark(&f, 10, RING_BEGIN);
	assert_string_equal(walked(&f), "");
	event(&f, 10, 1, 0, EVENT_INSERT);
	assert_string_equal(walked(&f), " B10/0 e1");
	event(&f, 10, 2, 0, EVENT_INSERT);
	assert_string_equal(walked(&f), " e2");
	mark(&f, 10, RING_COMMIT);
	assert_string_equal(walked(&f), " C10/2");
	end(&f);
}

static void
test_filter(void **state)
{
	char only_b[] = "*.b";
	char *glob[] = { only_b };
	struct fixture f;

	(void)state;
	begin(&f);
	transaction(&f, 10);
	mark(&f, 20, RING_BEGIN);
	event(&f, 20, 1, 0, EVENT_INSERT);
	mark(&f, 20, RING_COMMIT);
	mark(&f, 30, RING_BEGIN);
	event(&f, 30, 1, 1, EVENT_DELETE);
	mark(&f, 30, RING_COMMIT);
	f.walk.filter = (struct filter){ glob, 1, 0 };
	assert_string_equal(walked(&f), " B10/0 e2 C10/1 B30/0 e1 C30/1");
	walk_start(&f.walk, 0, 0);
	f.walk.filter.operations = 1u << EVENT_DELETE;
	assert_string_equal(walked(&f), " B30/0 e1 C30/1");
	/* A table that appears later is asked about, too. */
	assert_int_equal(names_put(&f.names, "x", "b"), 2);
	mark(&f, 40, RING_BEGIN);
	event(&f, 40, 1, 2, EVENT_DELETE);
	assert_string_equal(walked(&f), " B40/0 e1");
	end(&f);
}

static void
test_start(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	transaction(&f, 10);
	transaction(&f, 20);
	transaction(&f, 30);
	walk_start(&f.walk, 0, 20); /* 20 commits at the start: not before */
	assert_string_equal(walked(&f), " B20/0 e1 e2 C20/2 B30/0 e1 e2 C30/2");
	walk_start(&f.walk, 0, 21);
	assert_string_equal(walked(&f), " B30/0 e1 e2 C30/2");
	end(&f);
}

/* After a rewind everything comes by once more: nothing is delivered twice,
 * also not to a walk that stands in the middle of a transaction. */
static void
test_rewind(void **state)
{
	const struct ring_entry *e;
	struct fixture f;

	(void)state;
	begin(&f);
	transaction(&f, 10);
	transaction(&f, 20);
	for (int i = 0; i < 6; i++) /* B10 e1 e2 C10 B20 e1 */
		assert_int_not_equal(walk_next(&f.walk, &e), WALK_END);
	ring_segment(&f.ring, 10);
	transaction(&f, 10);
	transaction(&f, 20);
	transaction(&f, 30);
	assert_string_equal(walked(&f), " e2 C20/2 B30/0 e1 e2 C30/2");
	end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_rewind),
	};

	return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
