#include "server/publish.h"

#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "event/shape.h"
#include "grpc/frame.h"

#define KEEP ((size_t)1 << 20)
/* Bytes of a payload. A row of PostgreSQL's is no longer; an event may have two. */
#define PAYLOAD_MAX ((size_t)1 << 30)
/* For how long composite types are taken to be as they were read. */
#define TYPES_MAX_AGE SECONDS(3)

static void
drop_shape(void *note)
{
	note_drop(note);
}

int
publish_init(struct publish *p, struct ring *ring, size_t max_event)
{
	size_t payload_max = max_event < PAYLOAD_MAX ? max_event : PAYLOAD_MAX;

	memset(p, 0, sizeof(*p));
	p->ring = ring;
	names_init(&p->names);
	relation_cache_init(&p->relations);
	oidmap_init(&p->shapes);
	change_init(&p->change, payload_max);
	buf_init(&p->names_of_held, 8192);
	behind_init(&p->behind, max_event);
	buf_init(&p->message, 2 * payload_max + 65536);
	p->max_event = max_event;
	p->decoder = pgo_new();
	return p->decoder == NULL ? -1 : typecat_init(&p->types);
}

void
publish_free(struct publish *p)
{
	publish_stop(p);
	names_free(&p->names);
	typecat_free(&p->types);
	change_free(&p->change);
	buf_free(&p->names_of_held);
	behind_free(&p->behind);
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
	p->types_at = p->now;
	p->txn = (struct event_txn){ 0 };
}

static void
let_go(struct publish *p)
{
	note_drop(p->held_tag.note);
	p->held_tag.note = NULL;
	p->held.op = EVENT_NONE;
	behind_clear(&p->behind);
}

void
publish_stop(struct publish *p)
{
	let_go(p);
	relation_cache_free(&p->relations);
	oidmap_free(&p->shapes, drop_shape);
	typecat_need_nothing(&p->types);
	p->open = p->sure = false;
}

/* Is the event at this place in the ring already? */
static bool
known(const struct publish *p, struct ring_pos pos)
{
	return ring_pos_le(pos, p->floor);
}

static struct ring_pos
here(const struct publish *p)
{
	return (struct ring_pos){ p->txn.commit_lsn, p->seq, p->sub };
}

static int
append(struct publish *p, struct ring_pos pos, lsn_t pg_lsn,
    struct ring_tag tag, const void *data, size_t len, struct err *err)
{
	if (ring_append(p->ring, pos, pg_lsn, tag, data, len) == -1)
		return err_set(err, ERR_NOMEM, "out of memory for events");
	return 0;
}

/* A begin or commit: what streams make their own message of. */
static int
append_mark(struct publish *p, uint32_t seq, lsn_t pg_lsn, struct err *err)
{
	struct ring_pos pos = { p->txn.commit_lsn, seq, 0 };
	struct ring_tag none = { 0 };

	if (known(p, pos))
		return 0;
	return append(p, pos, pg_lsn, none, &p->txn, sizeof(p->txn), err);
}

/* The begin comes before the first event, whatever that is. */
static int
begin(struct publish *p, struct err *err)
{
	if (p->begun)
		return 0;
	p->begun = true;
	return append_mark(p, RING_BEGIN, p->txn.commit_lsn, err);
}

/* A framed message in p->message: between these, what is in it. */
static void
begin_frame(struct publish *p)
{
	static const uint8_t head[FRAME_HEAD];

	buf_shrink(&p->message, KEEP);
	buf_put(&p->message, head, sizeof(head));
}

static int
end_frame(struct publish *p, const char *of, struct err *err)
{
	if (p->message.failed)
		return err_set(err, ERR_LIMIT,
		    "an event of %s is larger than --max-event allows, or "
		    "memory is short",
		    of);
	frame_head(p->message.data, p->message.len - FRAME_HEAD);
	return 0;
}

static int
encode(struct publish *p, const struct event *e, struct err *err)
{
	const char *of = e->table != NULL ? e->table : e->prefix;
	size_t len;

	begin_frame(p);
	proto_put_event(&p->message, e);
	if (end_frame(p, of, err) == -1)
		return -1;
	len = p->message.len - FRAME_HEAD;
	return len <= p->max_event
	    ? 0
	    : err_set(err, ERR_LIMIT,
		  "an event of %s has %zu bytes, more than --max-event allows "
		  "(%zu)",
		  of, len, p->max_event);
}

static int
append_event(struct publish *p, struct ring_pos pos, const struct event *e,
    struct ring_tag tag, struct err *err)
{
	if (encode(p, e, err) == -1 ||
	    append(p, pos, e->pg_lsn, tag, p->message.data, p->message.len,
		err) == -1)
		return -1;
	p->events++;
	p->by_op[e->op]++;
	p->bytes += p->message.len;
	return 0;
}

static int
append_message(struct publish *p, struct ring_pos pos, struct event *e,
    struct err *err)
{
	struct ring_tag tag = { 0, EVENT_MESSAGE, !e->transactional,
		note_new(e->prefix, strlen(e->prefix) + 1) };
	int rc;

	if (tag.note == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	rc = append_event(p, pos, e, tag, err);
	note_drop(tag.note);
	return rc;
}

static int
release_behind(struct publish *p, lsn_t pg_lsn, struct err *err)
{
	struct event e = { .op = EVENT_MESSAGE,
		.pg_lsn = pg_lsn,
		.transactional = true };
	struct ring_pos pos = { p->txn.commit_lsn, p->seq, 0 };

	while (behind_take(&p->behind, &e)) {
		pos.sub++;
		if (append_message(p, pos, &e, err) == -1)
			return -1;
	}
	return 0;
}

/* Puts what is held, if anything is, into the ring. */
static int
release(struct publish *p, lsn_t pg_lsn, struct err *err)
{
	struct event *e = &p->held;
	struct ring_pos pos = { p->txn.commit_lsn, p->seq, 0 };

	if (e->op == EVENT_NONE)
		return 0;
	if (p->names_of_held.failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	e->pg_lsn = pg_lsn;
	e->schema = (const char *)buf_head(&p->names_of_held);
	e->table = e->schema + p->table_at;
	if (begin(p, err) == -1 ||
	    append_event(p, pos, e, p->held_tag, err) == -1 ||
	    release_behind(p, pg_lsn, err) == -1)
		return -1;
	let_go(p);
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

/* Begins the next row event: releases the one before, which was not the last.
 * The message has been checked: nothing more is wrong with it. */
static int
hold(struct publish *p, enum event_op op, const struct relation *rel, lsn_t lsn,
    struct err *err)
{
	if (release(p, p->txn.commit_lsn, err) == -1)
		return -1;
	p->seq++;
	p->sub = 0;
	if (known(p, here(p)))
		return 0;
	p->held = (struct event){ .op = op,
		.txn = p->txn,
		.seq = p->seq,
		.change_lsn = lsn,
		.oid = rel->oid };
	p->held_tag = (struct ring_tag){ rel->tag, (uint8_t)op, false,
		note_hold(oidmap_get(&p->shapes, rel->oid)) };
	buf_reset(&p->names_of_held);
	buf_put_cstr(&p->names_of_held, rel->schema);
	p->table_at = buf_unread(&p->names_of_held);
	buf_put_cstr(&p->names_of_held, rel->name);
	return 0;
}

static struct event_text
text_of(const struct buf *b)
{
	return (struct event_text){ (const char *)buf_head(b), buf_unread(b) };
}

/* Types of rel that may have been altered since they were read. */
static void
need_again(struct publish *p, const struct relation *rel)
{
	for (uint16_t i = 0; i < rel->n; i++)
		if (type_has_records(rel->col[i].type))
			typecat_need(&p->types, rel->col[i].type_oid,
			    p->txn.xid);
}

/* May what is known of composite types be older than this transaction? */
static bool
may_be_stale(const struct publish *p)
{
	return !p->sure && !typecat_fresh(&p->types, p->txn.xid);
}

/*
 * PostgreSQL does not tell when an attribute was renamed, or dropped and
 * another added: what may be stale is not used for long.
 */
static bool
is_too_old(const struct publish *p, const struct relation *rel)
{
	return rel->records && p->now - p->types_at >= TYPES_MAX_AGE &&
	    may_be_stale(p);
}

/* Fills the held event. A value that is not as its type is known to be asks for
 * the type once more; is it still so, its text is all there is to say. */
static int
fill(struct publish *p, const struct relation *rel, const struct pgo_msg *m,
    struct err *err)
{
	struct change *c = &p->change;
	bool stale;

	if (change_fill(c, rel, m, !may_be_stale(p), &stale, err) == -1)
		return -1;
	if (stale && may_be_stale(p))
		need_again(p, rel);
	if (typecat_needs(&p->types)) {
		let_go(p);
		p->seq--;
		return PUBLISH_WAIT;
	}
	p->held.json = text_of(&c->json);
	p->held.old = text_of(&c->old);
	p->held.unchanged = text_of(&c->unchanged);
	p->held.identity = (int)c->identity;
	return 0;
}

static int
on_change(struct publish *p, const struct pgo_msg *m, lsn_t lsn,
    struct err *err)
{
	enum event_op op = m->type == PGO_INSERT ? EVENT_INSERT
	    : m->type == PGO_UPDATE              ? EVENT_UPDATE
						 : EVENT_DELETE;
	const struct relation *rel = find_relation(p, m->change.oid, err);

	if (rel == NULL || change_check(rel, m, err) == -1)
		return -1;
	if (is_too_old(p, rel)) {
		need_again(p, rel);
		return PUBLISH_WAIT;
	}
	if (hold(p, op, rel, lsn, err) == -1)
		return -1;
	return p->held.op == EVENT_NONE ? 0 : fill(p, rel, m, err);
}

static int
on_truncate(struct publish *p, const struct pgo_msg *m, lsn_t lsn,
    struct err *err)
{
	const struct relation *rel;

	for (uint32_t i = 0; i < m->truncate.n; i++)
		if (find_relation(p, m->truncate.oid[i], err) == NULL)
			return -1;
	for (uint32_t i = 0; i < m->truncate.n; i++) {
		rel = relation_cache_get(&p->relations, m->truncate.oid[i]);
		if (hold(p, EVENT_TRUNCATE, rel, lsn, err) == -1)
			return -1;
		p->held.cascade = m->truncate.cascade;
		p->held.restart_identity = m->truncate.restart_identity;
	}
	return 0;
}

static int
on_begin(struct publish *p, const struct pgo_msg *m, lsn_t lsn, struct err *err)
{
	(void)lsn;
	if (p->open)
		return err_set(err, ERR_PROTO,
		    "pgoutput: Begin inside a transaction");
	if (m->begin.final_lsn < p->txn.end_lsn)
		return err_set(err, ERR_PROTO,
		    "pgoutput: a commit LSN of " LSN_FMT
		    " after a transaction that ends at " LSN_FMT,
		    LSN_ARG(m->begin.final_lsn), LSN_ARG(p->txn.end_lsn));
	p->open = true;
	p->begun = false;
	/* Whatever a server says is added without overflow. */
	p->txn = (struct event_txn){ m->begin.final_lsn, 0, m->begin.xid,
		(int64_t)((uint64_t)m->begin.commit_at +
		    (uint64_t)CLOCK_PG_EPOCH_US) };
	p->seq = p->sub = 0;
	return 0;
}

static int
on_commit(struct publish *p, const struct pgo_msg *m, lsn_t lsn,
    struct err *err)
{
	(void)lsn;
	if (!p->open || m->commit.commit_lsn != p->txn.commit_lsn)
		return err_set(err, ERR_PROTO,
		    "pgoutput: Commit without its Begin");
	if (release(p, m->commit.end_lsn, err) == -1)
		return -1;
	p->txn.end_lsn = m->commit.end_lsn;
	if ((p->begun || p->seq > 0 || p->sub > 0) &&
	    append_mark(p, RING_COMMIT, m->commit.end_lsn, err) == -1)
		return -1;
	p->open = false;
	p->complete_lsn = lsn_max(p->complete_lsn, m->commit.end_lsn);
	lag_note(&p->lag, m->commit.end_lsn, p->txn.commit_us);
	p->transactions++;
	p->commit_at = p->now;
	p->commit_us = p->txn.commit_us;
	return 0;
}

/*
 * A message that is not of a transaction has a place of its own: confirming the
 * end of its record skips it, and anything below brings it again (logical.c:
 * it is skipped when its record *starts* before). The last byte of the record
 * stands for what a commit LSN is to a transaction.
 */
static int
on_lone_message(struct publish *p, const struct pgo_message *m, struct event *e,
    struct err *err)
{
	struct ring_pos pos = { m->lsn - 1, 1, 0 };

	if (p->open || m->lsn == 0)
		return err_set(err, ERR_PROTO,
		    "pgoutput: a message out of its place");
	e->pg_lsn = m->lsn;
	if (!known(p, pos) && append_message(p, pos, e, err) == -1)
		return -1;
	p->complete_lsn = lsn_max(p->complete_lsn, m->lsn);
	return 0;
}

static int
on_message(struct publish *p, const struct pgo_msg *msg, lsn_t lsn,
    struct err *err)
{
	const struct pgo_message *m = &msg->message;
	struct event e = { .op = EVENT_MESSAGE,
		.pg_lsn = p->txn.commit_lsn,
		.transactional = m->transactional,
		.prefix = m->prefix,
		.content = { (const char *)m->content, m->len } };

	(void)lsn;
	if (!utf8_valid(m->prefix, strlen(m->prefix)))
		return err_set(err, ERR_DATA,
		    "the prefix of a logical message is not valid UTF-8");
	if (!m->transactional)
		return on_lone_message(p, m, &e, err);
	if (!p->open)
		return err_set(err, ERR_PROTO,
		    "pgoutput: a message outside its transaction");
	p->sub++;
	if (known(p, here(p)))
		return 0;
	if (p->held.op != EVENT_NONE && behind_has_room(&p->behind, m))
		return behind_put(&p->behind, m, err);
	if (release(p, p->txn.commit_lsn, err) == -1 || begin(p, err) == -1)
		return -1;
	return append_message(p, here(p), &e, err);
}

/* Whether all types of rel are known; sets them. */
static bool
resolve(struct publish *p, struct relation *rel)
{
	rel->records = false;
	for (uint16_t i = 0; i < rel->n; i++) {
		rel->col[i].type = typecat_get(&p->types, rel->col[i].type_oid);
		rel->records |= type_has_records(rel->col[i].type);
		if (rel->col[i].type == NULL)
			typecat_need(&p->types, rel->col[i].type_oid,
			    p->txn.xid);
	}
	return !typecat_needs(&p->types);
}

/* Makes the RelationEvent of rel, for streams that want it. */
static int
describe(struct publish *p, const struct relation *rel, struct err *err)
{
	struct note *shape;

	begin_frame(p);
	shape_put(&p->message, rel, &p->types);
	if (end_frame(p, rel->name, err) == -1)
		return -1;
	shape = note_new(p->message.data, p->message.len);
	if (shape == NULL ||
	    oidmap_put(&p->shapes, rel->oid, shape, drop_shape) == -1) {
		note_drop(shape);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	return 0;
}

static int
on_relation(struct publish *p, const struct pgo_msg *m, lsn_t lsn,
    struct err *err)
{
	struct relation *rel;

	(void)lsn;
	rel = relation_cache_put(&p->relations, &m->relation, err);
	if (rel == NULL || shape_check(rel, err) == -1 ||
	    change_label(rel, err) == -1)
		return -1;
	rel->tag = names_put(&p->names, rel->schema, rel->name);
	if (rel->tag == UINT32_MAX)
		return err_set(err, ERR_NOMEM, "out of memory");
	return resolve(p, rel) ? describe(p, rel, err) : PUBLISH_WAIT;
}

static int
dispatch(struct publish *p, const struct pgo_msg *m, lsn_t lsn, struct err *err)
{
	switch (m->type) {
	case PGO_INSERT:
	case PGO_UPDATE:
	case PGO_DELETE:
		return on_change(p, m, lsn, err);
	case PGO_TRUNCATE:
		return on_truncate(p, m, lsn, err);
	case PGO_BEGIN:
		return on_begin(p, m, lsn, err);
	case PGO_COMMIT:
		return on_commit(p, m, lsn, err);
	case PGO_RELATION:
		return on_relation(p, m, lsn, err);
	case PGO_MESSAGE:
		return on_message(p, m, lsn, err);
	default: /* Type, Origin, Stream Abort: nothing to deliver */
		return PUBLISH_DONE;
	}
}

int
publish_message(struct publish *p, lsn_t lsn, const uint8_t *data, size_t len,
    struct err *err)
{
	struct pgo_msg m;
	int rc;

	if (pgo_decode(p->decoder, data, len, &m, err) == -1)
		return -1;
	if (p->sure)
		p->types_at = p->now;
	rc = dispatch(p, &m, lsn, err);
	p->sure = rc == PUBLISH_WAIT;
	return rc;
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
