#include "server/feeder.h"

#include <string.h>

#include "event/proto.h"
#include "grpc/frame.h"

#define BATCH_DEFAULT ((uint32_t)256 * 1024)
#define BATCH_MAX ((uint32_t)16 * 1024 * 1024)
/* Who takes less, and not all there is, is not moving: a window can be opened
 * byte by byte. */
#define MOVE_MIN 16384
/* Near the limit of gRPC libraries, 4 MiB. */
#define LARGE ((uint32_t)4 * 1024 * 1024 - 64)

/* Appends a framed message that is in the list's scratch buffer. */
static void
put_framed(struct session *s)
{
	struct buf *msg = &s->list->scratch;
	uint8_t head[FRAME_HEAD];

	frame_head(head, buf_unread(msg));
	buf_put(&s->out, head, sizeof(head));
	buf_put(&s->out, buf_head(msg), buf_unread(msg));
	s->out.failed |= msg->failed;
}

/* Appends what goes in front of an item of a batch. */
static void
put_item_head(struct session *s, size_t message_len)
{
	uint8_t head[PROTO_HEAD];

	buf_put(&s->out, head, proto_item_head(head, message_len));
}

/* A begin or commit of the walk, encoded in the scratch buffer. */
static void
encode_mark(struct buf *to, const struct walk *w, enum walk_kind kind)
{
	struct event e = { .op = EVENT_BEGIN,
		.pg_lsn = w->txn.commit_lsn,
		.txn = w->txn };

	if (kind == WALK_COMMIT) {
		e.op = EVENT_COMMIT;
		e.pg_lsn = w->txn.end_lsn;
		e.seq = w->count;
	}
	buf_reset(to);
	proto_put_event(to, &e);
}

static void
put_mark(struct session *s, enum walk_kind kind)
{
	struct buf *msg = &s->list->scratch;

	encode_mark(msg, &s->walk, kind);
	if (!s->start.batch) {
		put_framed(s);
	} else {
		put_item_head(s, buf_unread(msg));
		buf_put(&s->out, buf_head(msg), buf_unread(msg));
	}
	quorum_sent(&s->member,
	    kind == WALK_COMMIT ? s->walk.txn.end_lsn : s->walk.txn.commit_lsn);
}

/* The relation of the walk's entry, as it stands in its note. */
static void
put_relation(struct session *s, const struct ring_entry *e)
{
	const struct note *note = e->tag.note;
	size_t skip = s->start.batch ? FRAME_HEAD : 0;

	if (s->start.batch)
		put_item_head(s, note->len - FRAME_HEAD);
	buf_put(&s->out, note->data + skip, note->len - skip);
	walk_told(&s->walk, e);
}

/* Bytes of the next item of the walk in a batch; 0 at the end. */
static size_t
item_len(struct session *s, struct walk *w, enum walk_kind *kind)
{
	const struct ring_entry *e = NULL;
	uint8_t head[PROTO_HEAD];
	size_t len;

	*kind = walk_next(w, &e);
	if (*kind == WALK_END)
		return 0;
	if (*kind == WALK_EVENT) {
		len = e->len - FRAME_HEAD;
	} else if (*kind == WALK_RELATION) {
		len = e->tag.note->len - FRAME_HEAD;
	} else {
		encode_mark(&s->list->scratch, w, *kind);
		len = buf_unread(&s->list->scratch);
	}
	return proto_item_head(head, len) + len;
}

/* Begins a batch of what there is, as far as it fits, and up to a relation:
 * the copy of the walk cannot note that it was told. False: there is nothing. */
static bool
begin_batch(struct session *s)
{
	uint32_t max = s->start.max_batch_bytes;
	size_t total = 0, len, head_len;
	uint8_t frame[FRAME_HEAD], head[PROTO_HEAD];
	struct walk w = s->walk;
	enum walk_kind kind;

	max = max == 0 ? BATCH_DEFAULT : max < BATCH_MAX ? max : BATCH_MAX;
	while ((len = item_len(s, &w, &kind)) > 0) {
		if (s->batch_left > 0 &&
		    (kind == WALK_RELATION || total + len + PROTO_HEAD > max))
			break;
		total += len;
		s->batch_left++;
	}
	s->walk.table = w.table; /* it may have grown */
	s->walk.tables = w.tables;
	s->walk.given_lsn = w.given_lsn; /* as good as handed out */
	if (s->batch_left == 0)
		return false;
	head_len = proto_batch_head(head, total);
	frame_head(frame, head_len + total);
	buf_put(&s->out, frame, sizeof(frame));
	buf_put(&s->out, head, head_len);
	return true;
}

/* Makes the next thing to send; false when there is nothing. */
static bool
advance(struct session *s)
{
	const struct ring_entry *e;
	enum walk_kind kind;

	if (s->start.batch && s->batch_left == 0 && !begin_batch(s))
		return false;
	kind = walk_next(&s->walk, &e);
	if (kind == WALK_END)
		return false;
	if (kind == WALK_RELATION) {
		put_relation(s, e);
	} else if (kind != WALK_EVENT) {
		put_mark(s, kind);
	} else {
		if (s->start.batch)
			put_item_head(s, e->len - FRAME_HEAD);
		s->offset = s->start.batch ? FRAME_HEAD : 0;
		s->in_event = true;
		if (e->len > LARGE)
			s->large = e->pos;
	}
	if (s->start.batch)
		s->batch_left--;
	return true;
}

static size_t
copy_event(struct session *s, uint8_t *to, size_t cap)
{
	/* Asked for anew each time: appending moves entries, not their bytes. */
	const struct ring_entry *e = ring_at(s->list->ring, s->walk.cursor - 1);
	size_t n = e->len - s->offset < cap ? e->len - s->offset : cap;

	memcpy(to, e->data + s->offset, n);
	s->offset += n;
	if (s->offset == e->len) {
		s->in_event = false;
		s->sent++;
		s->list->metrics->sent_events++;
		quorum_sent(&s->member, e->pg_lsn);
	}
	return n;
}

static size_t
copy_out(struct session *s, uint8_t *to, size_t cap)
{
	size_t n = buf_unread(&s->out) < cap ? buf_unread(&s->out) : cap;

	memcpy(to, buf_head(&s->out), n);
	buf_consume(&s->out, n);
	return n;
}

bool
feeder_busy(const struct session *s)
{
	return buf_unread(&s->out) > 0 || s->in_event || s->batch_left > 0;
}

bool
feeder_at_end(struct session *s)
{
	return !feeder_busy(s) && !walk_settle(&s->walk);
}

uint64_t
feeder_low(const struct session *s)
{
	return s->walk.cursor - s->in_event;
}

size_t
feeder_pull(struct h2_stream *stream, uint8_t *to, size_t cap)
{
	struct session *s = stream->user;
	size_t n = 0;

	if (s == NULL || (!session_in_place(s) && !feeder_busy(s))) {
		stream->mid_message = false;
		return 0;
	}
	while (n < cap && !s->out.failed) {
		if (buf_unread(&s->out) > 0)
			n += copy_out(s, to + n, cap - n);
		else if (s->in_event)
			n += copy_event(s, to + n, cap - n);
		else if ((stream->ending && s->batch_left == 0) || !advance(s))
			break;
	}
	s->list->metrics->sent_bytes += n;
	s->moved += n;
	if (n > 0)
		s->taken_at = s->list->now;
	if (s->moved >= MOVE_MIN || (n > 0 && n < cap)) { /* or all there is */
		s->moved = 0;
		s->moved_at = s->list->now;
	}
	stream->mid_message = feeder_busy(s);
	return n;
}

void
feeder_started(struct session *s, lsn_t start_lsn)
{
	const struct walreceiver *wr = s->list->wr;
	struct started st = { .system_identifier = wr->system_identifier,
		.slot = wr->config->slot,
		.publication = wr->config->publication,
		.publications = wr->config->publications,
		.walstream_version = VERSION,
		.timeline = wr->timeline,
		.server_version = (uint32_t)wr->version,
		.temporary = wr->config->temporary,
		.start_lsn = start_lsn };

	buf_reset(&s->list->scratch);
	proto_put_started(&s->list->scratch, &st);
	put_framed(s);
}

void
feeder_progress(struct session *s, lsn_t lsn)
{
	struct event e = { .op = EVENT_PROGRESS, .pg_lsn = lsn };

	buf_reset(&s->list->scratch);
	proto_put_event(&s->list->scratch, &e);
	put_framed(s);
	quorum_sent(&s->member, lsn);
}
