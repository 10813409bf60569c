#ifndef TESTS_PUBLISHED_H
#define TESTS_PUBLISHED_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "grpc/frame.h"
#include "pgo.h"
#include "server/publish.h"

/* For tests of publish: messages by name, and the ring as text. cmocka.h comes
 * before. */

#define XID 741
#define AT INT64_C(5000000)
#ifndef MAX_EVENT
#define MAX_EVENT 1000
#endif
#define ROOM ((size_t)64 << 20)
#define CHANGE_LSN 77 /* what XLogData says, of every message */

static struct ring ring;
static struct publish p;
static struct buf msg, text, hold;
static struct err err;

static inline int
setup(void **state)
{
	(void)state;
	buf_init(&msg, ROOM);
	buf_init(&text, ROOM);
	buf_init(&hold, ROOM);
	ring_init(&ring, (size_t)1 << 20);
	memset(&err, 0, sizeof(err));
	if (publish_init(&p, &ring, MAX_EVENT) == -1)
		return -1;
	publish_start(&p, 50, false);
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	publish_free(&p);
	ring_free(&ring);
	buf_free(&hold);
	buf_free(&text);
	buf_free(&msg);
	return 0;
}

static inline void
show_mark(const struct ring_entry *e)
{
	struct event_txn txn;
	bool commit = e->pos.seq == RING_COMMIT;

	assert_int_equal(e->len, sizeof(txn));
	memcpy(&txn, e->data, sizeof(txn));
	assert_int_equal(txn.commit_lsn, e->pos.commit_lsn);
	assert_int_equal(txn.end_lsn, commit ? e->pg_lsn : 0);
	assert_int_equal(txn.xid, XID);
	assert_int_equal(txn.commit_us, AT + CLOCK_PG_EPOCH_US);
	buf_putf(&text, "%c%" PRIu64 "@%" PRIu64 "\n", commit ? 'C' : 'B',
	    e->pos.commit_lsn, e->pg_lsn);
}

static inline void
show_row(const struct ring_entry *entry, const struct event *e)
{
	char name[64];

	assert_int_equal(e->txn.commit_lsn, entry->pos.commit_lsn);
	assert_int_equal(e->txn.xid, XID);
	assert_int_equal(e->txn.commit_us, AT + CLOCK_PG_EPOCH_US);
	assert_int_equal(e->seq, entry->pos.seq);
	assert_int_equal(entry->pos.sub, 0);
	assert_int_equal(e->change_lsn, CHANGE_LSN);
	assert_non_null(entry->tag.note);
	snprintf(name, sizeof(name), "%s.%s", e->schema, e->table);
	assert_true(entry->tag.table < p.names.n);
	assert_string_equal(p.names.name[entry->tag.table], name);
	buf_putf(&text, "%" PRIu64 ".%u@%" PRIu64 " %s %s%s%.*s\n",
	    entry->pos.commit_lsn, entry->pos.seq, entry->pg_lsn,
	    event_op_name(e->op), name, e->json.p == NULL ? "" : " ",
	    (int)e->json.len, e->json.p == NULL ? "" : e->json.p);
}

/* A long message is shown by its length. */
static inline void
show_message(const struct ring_entry *entry, const struct event *e)
{
	assert_string_equal(entry->tag.note->data, e->prefix);
	assert_int_equal(e->transactional, !entry->tag.alone);
	buf_putf(&text, "%" PRIu64 ".%u+%u@%" PRIu64 " %s ",
	    entry->pos.commit_lsn, entry->pos.seq, entry->pos.sub,
	    entry->pg_lsn, e->prefix);
	if (e->content.len > 100)
		buf_putf(&text, "%zu bytes\n", e->content.len);
	else
		buf_putf(&text, "%.*s\n", (int)e->content.len, e->content.p);
}

static inline void
show_event(void *arg, const struct event *e)
{
	const struct ring_entry *entry = arg;

	assert_int_equal(e->pg_lsn, entry->pg_lsn);
	assert_int_equal(e->op, entry->tag.operation);
	if (e->op == EVENT_MESSAGE)
		show_message(entry, e);
	else
		show_row(entry, e);
}

/*
 * What is in the ring from an entry on, a line each:
 *	B100@100
 *	100.1@140 insert s.t {"id":1,"v":null}
 *	100.1+2@140 prefix content
 *	C100@140
 * that is a begin, event 1 of the transaction with C = 100, the second message
 * behind it, and a commit; the pg_lsn stands behind the '@'.
 */
static inline const char *
shown(uint64_t from)
{
	struct ring_entry e;
	uint8_t head[FRAME_HEAD];

	buf_reset(&text);
	for (uint64_t id = from; id < ring.next; id++) {
		e = *ring_at(&ring, id);
		if (ring_is_begin(e.pos) || e.pos.seq == RING_COMMIT) {
			show_mark(&e);
			continue;
		}
		frame_head(head, e.len - FRAME_HEAD);
		assert_memory_equal(e.data, head, FRAME_HEAD);
		assert_int_equal(proto_get_events(e.data + FRAME_HEAD,
				     e.len - FRAME_HEAD, &hold, show_event, &e,
				     &err),
		    0);
	}
	assert_false(text.failed);
	return buf_cstr(&text);
}

/* A row {id, NULL} or {id, "x"} behind its mark. */
static inline void
put_row(char mark, const char *id, const char *v)
{
	const char *const row[] = { id, v };

	pgo_put_row(&msg, mark, row, 2);
}

/*
 * One pgoutput message. a and b, and what the text is:
 *	R oid, name	B commit_lsn	C commit_lsn, end_lsn
 *	I, U, D oid, id	T oid, oid
 *	M, content; or so many bytes	m lsn, content: not transactional
 */
struct step {
	char type;
	uint64_t a, b;
	const char *text;
};

static inline void
put_message(const struct step *s)
{
	static char many[4 << 20];
	bool lone = s->type == 'm';
	const char *content = s->text == NULL ? many : s->text;

	pgo_put_message(&msg, !lone, lone ? s->a : 55, "pre", content,
	    (uint32_t)(s->text == NULL ? s->a : strlen(s->text)));
}

static inline void
put_step(const struct step *s)
{
	static const struct pgo_attr attrs[] = { { true, "id", 23, -1 },
		{ false, "v", 25, -1 } };
	const struct pgo_relation rel = { (uint32_t)s->a, "s", s->text, 'd', 2,
		attrs };
	const uint32_t oids[] = { (uint32_t)s->a, (uint32_t)s->b };

	if (s->type == 'R')
		pgo_put_relation(&msg, &rel);
	else if (s->type == 'B')
		pgo_put_begin(&msg, s->a, AT, XID);
	else if (s->type == 'C')
		pgo_put_commit(&msg, s->a, s->b, AT);
	else if (s->type == 'M' || s->type == 'm')
		put_message(s);
	else if (s->type == 'T')
		pgo_put_truncate(&msg, 0, oids, 2);
	else
		pgo_put_change(&msg, s->type, oids[0]);
	if (s->type == 'I' || s->type == 'U')
		put_row('N', s->text, s->type == 'U' ? "x" : NULL);
	else if (s->type == 'D')
		put_row('K', s->text, NULL);
}

/* Gives publish what was built in msg, which stays there. */
static inline int
offer(void)
{
	assert_false(msg.failed);
	return publish_message(&p, CHANGE_LSN, msg.data, msg.len, &err);
}

static inline int
give(void)
{
	int rc = offer();

	buf_reset(&msg);
	return rc;
}

static inline void
take(const struct step *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		put_step(&s[i]);
		if (give() != 0)
			fail_msg("%c: %s", s[i].type, err.text);
	}
}

/* TAKE({ 'R', 1, 0, "t" }, { 'B', 100, 0, NULL }): each must be taken. */
#define TAKE(...)                                          \
	take((const struct step[]){ __VA_ARGS__ },         \
	    sizeof((const struct step[]){ __VA_ARGS__ }) / \
		sizeof(struct step))

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
