#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "server/walk.h"

/* A stream's way through the ring, written as text: "B3/0 Rx e1 e2 m C3/3" is
 * the begin of transaction 3, the relation x of the first of two rows, both, a
 * message m, and the commit that counts them. */

struct fixture {
	struct ring ring;
	struct names names;
	struct walk walk;
	struct note *note; /* of rows that are appended; of none: NULL */
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
	note_drop(f->note);
	ring_free(&f->ring);
	names_free(&f->names);
}

static void
mark(struct fixture *f, lsn_t commit_lsn, uint32_t seq)
{
	struct event_txn txn = { commit_lsn, commit_lsn + 5,
		(uint32_t)commit_lsn, 0 };
	struct ring_pos pos = { commit_lsn, seq, 0 };
	struct ring_tag tag = { 0 };

	assert_int_equal(ring_append(&f->ring, pos, commit_lsn, tag, &txn,
			     sizeof(txn)),
	    0);
}

static void
event(struct fixture *f, lsn_t commit_lsn, uint32_t seq, uint32_t table,
    enum event_op op)
{
	struct ring_pos pos = { commit_lsn, seq, 0 };
	struct ring_tag tag = { table, (uint8_t)op, false, f->note };

	assert_int_equal(ring_append(&f->ring, pos, commit_lsn, tag, "event",
			     5),
	    0);
}

/* A message behind row seq; of no transaction when sub is 0. */
static void
message(struct fixture *f, lsn_t commit_lsn, uint32_t seq, uint32_t sub,
    const char *prefix)
{
	struct ring_pos pos = { commit_lsn, seq, sub };
	struct ring_tag tag = { 0, EVENT_MESSAGE, sub == 0,
		note_new(prefix, strlen(prefix) + 1) };

	assert_non_null(tag.note);
	assert_int_equal(ring_append(&f->ring, pos, commit_lsn, tag, "message",
			     7),
	    0);
	note_drop(tag.note);
}

/* The shape of the rows that follow. */
static void
shape(struct fixture *f, const char *text)
{
	note_drop(f->note);
	f->note = note_new(text, strlen(text) + 1);
	assert_non_null(f->note);
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

static size_t
show(struct fixture *f, char *to, size_t cap, enum walk_kind kind,
    const struct ring_entry *e)
{
	if (kind == WALK_EVENT && e->tag.operation == EVENT_MESSAGE)
		return (size_t)snprintf(to, cap, " %s", e->tag.note->data);
	if (kind == WALK_EVENT)
		return (size_t)snprintf(to, cap, " e%u", e->pos.seq);
	if (kind == WALK_RELATION)
		return (size_t)snprintf(to, cap, " R%s", e->tag.note->data);
	return (size_t)snprintf(to, cap, " %c%u/%u",
	    kind == WALK_BEGIN ? 'B' : 'C', (unsigned)f->walk.txn.commit_lsn,
	    kind == WALK_BEGIN ? 0 : f->walk.count);
}

/* Everything from the walk's place on, as text. Relations count as told. */
static const char *
walked(struct fixture *f)
{
	const struct ring_entry *e = NULL;
	enum walk_kind kind;
	size_t n = 0;

	f->seen[0] = '\0';
	while ((kind = walk_next(&f->walk, &e)) != WALK_END) {
		n += show(f, f->seen + n, sizeof(f->seen) - n, kind, e);
		assert_true(n < sizeof(f->seen));
		if (kind == WALK_RELATION)
			walk_told(&f->walk, e);
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
	f.walk.filter = (struct filter){ .glob = glob, .n = 1 };
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

/* What it may see cuts down what it wants, and messages are of no table. */
static void
test_allowed(void **state)
{
	char only_b[] = "*.b", everything[] = "*";
	char *glob[] = { only_b }, *all[] = { everything };
	struct filter allowed = { .glob = glob, .n = 1 };
	struct fixture f;

	(void)state;
	begin(&f);
	f.walk.allowed = &allowed;
	f.walk.relations = true;
	shape(&f, "x");
	mark(&f, 10, RING_BEGIN);
	event(&f, 10, 1, 0, EVENT_TRUNCATE);
	message(&f, 10, 1, 1, "m");
	event(&f, 10, 2, 1, EVENT_TRUNCATE);
	mark(&f, 10, RING_COMMIT);
	mark(&f, 20, RING_BEGIN);
	event(&f, 20, 1, 0, EVENT_INSERT);
	mark(&f, 20, RING_COMMIT);
	message(&f, 30, 0, 0, "alone");
	assert_string_equal(walked(&f), " B10/0 Rx e2 C10/1");
	walk_start(&f.walk, 0, 0);
	f.walk.filter = (struct filter){ .glob = all,
		.n = 1,
		.message = all,
		.messages = 1 };
	assert_string_equal(walked(&f), " B10/0 e2 C10/1");
	/* All of it went by: nothing is held back. */
	assert_int_equal(f.walk.cursor, f.ring.next);
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

/* The server goes on on another timeline */

/* A walk that was handed nothing from there on, wherever it stands, gets what
 * is left of the old one, and then the new one: nothing twice. */
static void
test_cut(void **state)
{
	static const char *const want[] = {
		" B10/0 e1 e2 C10/2 B20/0 e1 e2 C20/2 B30/0 e1 e2 C30/2",
		" e1 e2 C10/2 B20/0 e1 e2 C20/2 B30/0 e1 e2 C30/2",
		" e2 C10/2 B20/0 e1 e2 C20/2 B30/0 e1 e2 C30/2",
		" C10/2 B20/0 e1 e2 C20/2 B30/0 e1 e2 C30/2",
		" B20/0 e1 e2 C20/2 B30/0 e1 e2 C30/2",
	};
	const struct ring_entry *e;
	struct fixture f;

	(void)state;
	for (int at = 0; at < 5; at++) {
		begin(&f);
		transaction(&f, 10);
		transaction(&f, 20); /* of the old timeline */
		transaction(&f, 30);
		for (int i = 0; i < at; i++)
			assert_int_not_equal(walk_next(&f.walk, &e), WALK_END);
		assert_true(f.walk.given_lsn < 20);
		walk_cut(&f.walk, 20);
		ring_cut(&f.ring, 20);
		ring_segment(&f.ring, 5);
		transaction(&f, 10);
		transaction(&f, 20); /* of the new one */
		transaction(&f, 30);
		assert_string_equal(walked(&f), want[at]);
		end(&f);
	}
}

/* Also one that was past it all, because none was for it. */
static void
test_cut_and_filter(void **state)
{
	char only_b[] = "*.b";
	char *glob[] = { only_b };
	struct fixture f;

	(void)state;
	begin(&f);
	f.walk.filter = (struct filter){ .glob = glob, .n = 1 };
	transaction(&f, 10);
	mark(&f, 20, RING_BEGIN);
	event(&f, 20, 1, 0, EVENT_INSERT);
	mark(&f, 20, RING_COMMIT);
	mark(&f, 30, RING_BEGIN);
	event(&f, 30, 1, 0, EVENT_INSERT);
	assert_string_equal(walked(&f), " B10/0 e2 C10/1");
	assert_int_equal(f.walk.given_lsn, 10);
	walk_cut(&f.walk, 20);
	ring_cut(&f.ring, 20);
	event(&f, 30, 2, 1, EVENT_INSERT); /* cannot be, and is not delivered */
	ring_cut(&f.ring, 20);
	ring_segment(&f.ring, 10);
	transaction(&f, 10);
	transaction(&f, 20);
	assert_string_equal(walked(&f), " B20/0 e2 C20/1");
	assert_int_equal(f.walk.given_lsn, 20);
	end(&f);
}

/* A start above the cut was of WAL that is not there: it begins at the cut. */
static void
test_cut_start(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	walk_start(&f.walk, 0, 35);
	transaction(&f, 30);
	assert_string_equal(walked(&f), "");
	walk_cut(&f.walk, 20);
	ring_cut(&f.ring, 20);
	ring_segment(&f.ring, 20);
	transaction(&f, 19);
	transaction(&f, 20);
	assert_string_equal(walked(&f), " B20/0 e1 e2 C20/2");
	end(&f);
}

/* A batch that was begun is completed from what is stale. */
static void
test_cut_in_a_batch(void **state)
{
	const struct ring_entry *e;
	struct fixture f;

	(void)state;
	begin(&f);
	transaction(&f, 10);
	transaction(&f, 20);
	assert_int_equal(walk_next(&f.walk, &e), WALK_BEGIN);
	ring_segment(&f.ring, 10);
	transaction(&f, 20);
	f.walk.stale_too = true;
	ring_cut(&f.ring, 15);
	assert_string_equal(walked(&f), " e1 e2 C10/2 B20/0 e1 e2 C20/2");
	end(&f);
}

/* Relations */

static void
test_relations(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	shape(&f, "1");
	transaction(&f, 10);
	transaction(&f, 20);
	assert_string_equal(walked(&f), " B10/0 e1 e2 C10/2 B20/0 e1 e2 C20/2");
	f.walk.relations = true;
	walk_start(&f.walk, 0, 0);
	assert_string_equal(walked(&f),
	    " B10/0 R1 e1 R1 e2 C10/2 B20/0 e1 e2 C20/2");
	/* What was told stays told, also to a walk that starts again. */
	walk_start(&f.walk, 0, 0);
	assert_string_equal(walked(&f), " B10/0 e1 e2 C10/2 B20/0 e1 e2 C20/2");
	end(&f);
}

/* A shape comes before the first row that has it, and once more when there was
 * another in between. The same bytes are the same shape. */
static void
test_relation_changes(void **state)
{
	static const char *const shapes[] = { "1", "2", "2", "1" };
	struct fixture f;

	(void)state;
	begin(&f);
	f.walk.relations = true;
	mark(&f, 10, RING_BEGIN);
	for (uint32_t i = 0; i < 4; i++) {
		shape(&f, shapes[i]);
		event(&f, 10, i + 1, 0, EVENT_INSERT);
	}
	mark(&f, 10, RING_COMMIT);
	assert_string_equal(walked(&f), " B10/0 R1 e1 R2 e2 e3 R1 e4 C10/4");
	end(&f);
}

/* Only of what is delivered, and without marks too. */
static void
test_relation_and_filter(void **state)
{
	char only_b[] = "*.b";
	char *glob[] = { only_b };
	struct fixture f;

	(void)state;
	begin(&f);
	f.walk.relations = true;
	f.walk.marks = false;
	f.walk.filter = (struct filter){ .glob = glob, .n = 1 };
	shape(&f, "1");
	transaction(&f, 10);
	assert_string_equal(walked(&f), " R1 e2");
	assert_int_equal(names_put(&f.names, "x", "b"), 2);
	event(&f, 20, 1, 2, EVENT_INSERT);
	assert_string_equal(walked(&f), " R1 e1");
	end(&f);
}

/* Asked for a relation, a walk goes on with its row, told or not. */
static void
test_relation_not_told(void **state)
{
	static const enum walk_kind want[] = { WALK_BEGIN, WALK_RELATION,
		WALK_EVENT, WALK_RELATION, WALK_EVENT, WALK_COMMIT, WALK_END };
	const struct ring_entry *e;
	struct fixture f;

	(void)state;
	begin(&f);
	f.walk.relations = true;
	shape(&f, "1");
	mark(&f, 10, RING_BEGIN);
	event(&f, 10, 1, 0, EVENT_INSERT);
	event(&f, 10, 2, 0, EVENT_INSERT);
	mark(&f, 10, RING_COMMIT);
	for (int i = 0; i < 7; i++)
		assert_int_equal(walk_next(&f.walk, &e), want[i]);
	end(&f);
}

/* A copy does not move the original, which is asked again. */
static void
test_relation_of_a_copy(void **state)
{
	const struct ring_entry *e;
	struct fixture f;
	struct walk copy;

	(void)state;
	begin(&f);
	f.walk.relations = true;
	shape(&f, "1");
	transaction(&f, 10);
	assert_int_equal(walk_next(&f.walk, &e), WALK_BEGIN);
	copy = f.walk;
	assert_int_equal(walk_next(&copy, &e), WALK_RELATION);
	assert_int_equal(walk_next(&copy, &e), WALK_EVENT);
	f.walk.table = copy.table; /* it may have grown */
	f.walk.tables = copy.tables;
	assert_string_equal(walked(&f), " R1 e1 R1 e2 C10/2");
	end(&f);
}

/* Messages */

/* A message before, between and behind rows. */
static void
messages(struct fixture *f, lsn_t commit_lsn)
{
	mark(f, commit_lsn, RING_BEGIN);
	message(f, commit_lsn, 0, 1, "a.first");
	event(f, commit_lsn, 1, 0, EVENT_INSERT);
	message(f, commit_lsn, 1, 1, "b.second");
	event(f, commit_lsn, 2, 0, EVENT_DELETE);
	message(f, commit_lsn, 2, 1, "a.third");
	message(f, commit_lsn, 2, 2, "b.fourth");
	mark(f, commit_lsn, RING_COMMIT);
}

static void
test_messages(void **state)
{
	char a[] = "a.*", all[] = "*";
	char *only_a[] = { a }, *every[] = { all };
	struct fixture f;

	(void)state;
	begin(&f);
	messages(&f, 10);
	assert_string_equal(walked(&f), " B10/0 e1 e2 C10/2");
	f.walk.filter = (struct filter){ .message = only_a, .messages = 1 };
	walk_start(&f.walk, 0, 0);
	assert_string_equal(walked(&f), " B10/0 a.first e1 e2 a.third C10/4");
	f.walk.filter.message = every;
	walk_start(&f.walk, 0, 0);
	assert_string_equal(walked(&f),
	    " B10/0 a.first e1 b.second e2 a.third b.fourth C10/6");
	/* Filters on rows are not asked about messages. */
	f.walk.filter.operations = 1u << EVENT_UPDATE;
	walk_start(&f.walk, 0, 0);
	assert_string_equal(walked(&f),
	    " B10/0 a.first b.second a.third b.fourth C10/4");
	f.walk.filter = (struct filter){ .glob = only_a,
		.n = 1,
		.message = only_a,
		.messages = 1 };
	walk_start(&f.walk, 0, 0);
	assert_string_equal(walked(&f), " B10/0 a.first a.third C10/2");
	end(&f);
}

/* A message has no relation, nor does it use up that of the row behind it. */
static void
test_messages_and_relations(void **state)
{
	char all[] = "*";
	char *every[] = { all };
	struct fixture f;

	(void)state;
	begin(&f);
	f.walk.relations = true;
	f.walk.filter = (struct filter){ .message = every, .messages = 1 };
	shape(&f, "1");
	messages(&f, 10);
	assert_string_equal(walked(&f),
	    " B10/0 a.first R1 e1 b.second e2 a.third b.fourth C10/6");
	end(&f);
}

/* Those that are of no transaction come without marks, and in none's count. */
static void
test_alone(void **state)
{
	char all[] = "*";
	char *every[] = { all };
	struct fixture f;

	(void)state;
	begin(&f);
	f.walk.filter = (struct filter){ .message = every, .messages = 1 };
	message(&f, 5, 1, 0, "alone");
	transaction(&f, 10);
	message(&f, 14, 1, 0, "between");
	message(&f, 15, 1, 0, "these");
	transaction(&f, 20);
	assert_string_equal(walked(&f),
	    " alone B10/0 e1 e2 C10/2 between these B20/0 e1 e2 C20/2");
	walk_start(&f.walk, 0, 15);
	assert_string_equal(walked(&f), " these B20/0 e1 e2 C20/2");
	f.walk.filter.messages = 0;
	walk_start(&f.walk, 0, 0);
	assert_string_equal(walked(&f), " B10/0 e1 e2 C10/2 B20/0 e1 e2 C20/2");
	end(&f);
}

/* After a rewind messages are not delivered twice either. */
static void
test_messages_after_rewind(void **state)
{
	const struct ring_entry *e;
	char all[] = "*";
	char *every[] = { all };
	struct fixture f;

	(void)state;
	for (int n = 0; n <= 7; n++) {
		begin(&f);
		f.walk.filter =
		    (struct filter){ .message = every, .messages = 1 };
		message(&f, 5, 1, 0, "alone");
		messages(&f, 10);
		f.walk.marks = false;
		for (int i = 0; i < n; i++)
			assert_int_equal(walk_next(&f.walk, &e), WALK_EVENT);
		ring_segment(&f.ring, 5);
		message(&f, 5, 1, 0, "alone");
		messages(&f, 10);
		for (int i = n; i < 7; i++)
			assert_int_equal(walk_next(&f.walk, &e), WALK_EVENT);
		assert_int_equal(walk_next(&f.walk, &e), WALK_END);
		end(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_rewind),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cut_and_filter),
		cmocka_unit_test(test_cut_start),
		cmocka_unit_test(test_cut_in_a_batch),
		cmocka_unit_test(test_relations),
		cmocka_unit_test(test_relation_changes),
		cmocka_unit_test(test_relation_and_filter),
		cmocka_unit_test(test_relation_not_told),
		cmocka_unit_test(test_relation_of_a_copy),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_messages_and_relations),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_messages_after_rewind),
	};

	return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
