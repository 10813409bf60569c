#include "server/publish.h"

#include <string.h>

#include "base/clock.h"
#include "event/change.h"
#include "grpc/frame.h"

#define KEEP ((size_t)1 << 20)

int
publish_init(struct publish *p, struct ring *ring, size_t max_event)
{
	memset(p, 0, sizeof(*p));
	p->ring = ring;
	names_init(&p->names);
	relation_cache_init(&p->relations);
	buf_init(&p->schema, 4096);
	buf_init(&p->table, 4096);
	buf_init(&p->json, max_event);
	buf_init(&p->message, max_event + 8192);
	p->decoder = pgo_new();
	return p->decoder == NULL ? -1 : 0;
}

void
publish_free(struct publish *p)
{
	names_free(&p->names);
	relation_cache_free(&p->relations);
	buf_free(&p->schema);
	buf_free(&p->table);
	buf_free(&p->json);
	buf_free(&p->message);
	pgo_del(p->decoder);
}

void
publish_start(struct publish *p, lsn_t lsn, bool resume)
{
	publish_stop(p);
	if (!resume)
		ring_segment(p->ring, lsn);
	p->floor = p->ring->last;
	p->start_lsn = p->complete_lsn = lsn;
	p->txn = (struct event_txn){ 0 };
}

void
publish_stop(struct publish *p)
{
	relation_cache_free(&p->relations);
	p->open = false;
	p->held = EVENT_NONE;
}

/* Is the event seq of this transaction in the ring already? */
static bool
known(const struct publish *p, uint32_t seq)
{
	struct ring_pos pos = { p->txn.commit_lsn, seq };

	return ring_pos_le(pos, p->floor);
}

static int
append(struct publish *p, uint32_t seq, lsn_t pg_lsn, struct ring_tag tag,
    const void *data, size_t len, struct err *err)
{
	struct ring_pos pos = { p->txn.commit_lsn, seq };

	if (ring_append(p->ring, pos, pg_lsn, tag, data, len) == -1)
		return err_set(err, ERR_NOMEM, "out of memory for events");
	return 0;
}

/* A begin or commit: what streams make their own message of. */
static int
append_mark(struct publish *p, uint32_t seq, lsn_t pg_lsn, struct err *err)
{
	struct ring_tag none = { 0, 0 };

	if (known(p, seq))
		return 0;
	return append(p, seq, pg_lsn, none, &p->txn, sizeof(p->txn), err);
}

/* The held event as a framed message, in p->message. */
static int
encode(struct publish *p, lsn_t pg_lsn, struct err *err)
{
	struct event e = { .op = p->held,
		.pg_lsn = pg_lsn,
		.txn = p->txn,
		.seq = p->seq };
	static const uint8_t head[FRAME_HEAD];

	e.schema = buf_cstr(&p->schema);
	e.table = buf_cstr(&p->table);
	e.json = (const char *)buf_head(&p->json);
	e.json_len = buf_unread(&p->json);
	buf_shrink(&p->message, KEEP);
	buf_put(&p->message, head, sizeof(head));
	proto_put_event(&p->message, &e);
	if (p->message.failed || p->schema.failed || p->table.failed)
		return err_set(err, ERR_LIMIT, "an event of %s.%s does not fit",
		    e.schema, e.table);
	frame_head(p->message.data, p->message.len - FRAME_HEAD);
	return 0;
}

/* Puts the held event, if there is one, into the ring. */
static int
release(struct publish *p, lsn_t pg_lsn, struct err *err)
{
	struct ring_tag tag = { p->held_table, (uint8_t)p->held };

	if (p->held == EVENT_NONE)
		return 0;
	if (p->seq == 1 &&
	    append_mark(p, RING_BEGIN, p->txn.commit_lsn, err) == -1)
		return -1;
	if (encode(p, pg_lsn, err) == -1 ||
	    append(p, p->seq, pg_lsn, tag, p->message.data, p->message.len,
		err) == -1)
		return -1;
	p->held = EVENT_NONE;
	p->events++;
	return 0;
}

/* The relation that a change is of, or NULL with err. */
static const struct relation *
find_relation(const struct publish *p, uint32_t oid, struct err *err)
{
	const struct relation *rel = relation_cache_get(&p->relations, oid);

	if (!p->open)
		err_set(err, ERR_PROTO,
		    "pgoutput: a change outside a transaction");
	else if (rel == NULL)
		err_set(err, ERR_PROTO,
		    "pgoutput: a change of the unknown relation %u", oid);
	return p->open ? rel : NULL;
}

/* Begins the next event: releases the one before, which was not the last. The
 * message has been checked: nothing more is wrong with it. */
static int
hold(struct publish *p, enum event_op op, const struct relation *rel,
    struct err *err)
{
	if (release(p, p->txn.commit_lsn, err) == -1)
		return -1;
	p->seq++;
	if (known(p, p->seq))
		return 0;
	p->held = op;
	p->held_table = rel->tag;
	buf_reset(&p->schema);
	buf_put_str(&p->schema, rel->schema);
	buf_reset(&p->table);
	buf_put_str(&p->table, rel->name);
	buf_shrink(&p->json, KEEP);
	return 0;
}

static int
on_change(struct publish *p, const struct pgo_msg *m, struct err *err)
{
	enum event_op op = m->type == PGO_INSERT ? EVENT_INSERT
	    : m->type == PGO_UPDATE              ? EVENT_UPDATE
						 : EVENT_DELETE;
	const struct relation *rel = find_relation(p, m->change.oid, err);

	if (rel == NULL || change_check(rel, m, err) == -1 ||
	    hold(p, op, rel, err) == -1)
		return -1;
	return p->held == EVENT_NONE ? 0
				     : change_payload(&p->json, rel, m, err);
}

static int
on_truncate(struct publish *p, const struct pgo_msg *m, struct err *err)
{
	const struct relation *rel;

	for (uint32_t i = 0; i < m->truncate.n; i++)
		if (find_relation(p, m->truncate.oid[i], err) == NULL)
			return -1;
	for (uint32_t i = 0; i < m->truncate.n; i++) {
		rel = relation_cache_get(&p->relations, m->truncate.oid[i]);
		if (hold(p, EVENT_TRUNCATE, rel, err) == -1)
			return -1;
	}
	return 0;
}

static int
on_begin(struct publish *p, const struct pgo_msg *m, struct err *err)
{
	if (p->open)
		return err_set(err, ERR_PROTO,
		    "pgoutput: Begin inside a transaction");
	p->open = true;
	p->txn = (struct event_txn){ m->begin.final_lsn, 0, m->begin.xid,
		m->begin.commit_at + CLOCK_PG_EPOCH_US };
	p->seq = 0;
	return 0;
}

static int
on_commit(struct publish *p, const struct pgo_msg *m, struct err *err)
{
	if (!p->open || m->commit.commit_lsn != p->txn.commit_lsn)
		return err_set(err, ERR_PROTO,
		    "pgoutput: Commit without its Begin");
	if (release(p, m->commit.end_lsn, err) == -1)
		return -1;
	p->txn.end_lsn = m->commit.end_lsn;
	if (p->seq > 0 &&
	    append_mark(p, RING_COMMIT, m->commit.end_lsn, err) == -1)
		return -1;
	p->open = false;
	p->complete_lsn = lsn_max(p->complete_lsn, m->commit.end_lsn);
	p->transactions++;
	return 0;
}

static int
on_relation(struct publish *p, const struct pgo_msg *m, struct err *err)
{
	struct relation *rel;

	rel = relation_cache_put(&p->relations, &m->relation, err);
	if (rel == NULL)
		return -1;
	rel->tag = names_put(&p->names, rel->schema, rel->name);
	return rel->tag != UINT32_MAX
	    ? 0
	    : err_set(err, ERR_NOMEM, "out of memory");
}

int
publish_message(struct publish *p, const uint8_t *data, size_t len,
    struct err *err)
{
	struct pgo_msg m;

	if (pgo_decode(p->decoder, data, len, &m, err) == -1)
		return -1;
	switch (m.type) {
	case PGO_INSERT:
	case PGO_UPDATE:
	case PGO_DELETE:
		return on_change(p, &m, err);
	case PGO_TRUNCATE:
		return on_truncate(p, &m, err);
	case PGO_BEGIN:
		return on_begin(p, &m, err);
	case PGO_COMMIT:
		return on_commit(p, &m, err);
	case PGO_RELATION:
		return on_relation(p, &m, err);
	default: /* Type, Origin, Message: nothing to deliver */
		return 0;
	}
}

void
publish_keepalive(struct publish *p, lsn_t wal_end)
{
	if (!p->open)
		p->complete_lsn = lsn_max(p->complete_lsn, wal_end);
}

lsn_t
publish_now(const struct publish *p)
{
	return p->txn.commit_lsn == 0
	    ? p->start_lsn
	    : lsn_max(p->start_lsn, p->txn.commit_lsn + 1);
}
