#include "event/proto.h"

#include <assert.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

#include "event/proto_pb.h"
#include "plugin.pb.h"

/*
 * A ServerMessage is one member of a oneof, so it is written and read here as
 * its tag and a submessage. The three row events have the same fields and
 * share InsertEvent's description.
 */
static_assert(sizeof(plugin_InsertEvent) == sizeof(plugin_UpdateEvent) &&
	sizeof(plugin_InsertEvent) == sizeof(plugin_DeleteEvent),
    "row events differ");

const char *
event_op_name(enum event_op op)
{
	static const char *const names[] = { "none", "insert", "update",
		"delete", "truncate", "started", "begin", "commit", "relation",
		"message", "progress", "batch" };

	return names[op];
}

static bool
put_row(pb_ostream_t *s, const struct event *e)
{
	struct proto_text schema = proto_text_of(e->schema),
			  table = proto_text_of(e->table);
	struct proto_text json = { e->json, e->json_len };
	plugin_InsertEvent row = { e->pg_lsn, proto_writer(&schema),
		proto_writer(&table), proto_writer(&json), e->txn.commit_lsn,
		e->seq, e->txn.xid, e->txn.commit_us };

	return pb_encode_submessage(s, plugin_InsertEvent_fields, &row);
}

static bool
put_truncate(pb_ostream_t *s, const struct event *e)
{
	struct proto_text schema = proto_text_of(e->schema),
			  table = proto_text_of(e->table);
	plugin_TruncateEvent truncate = { e->pg_lsn, proto_writer(&schema),
		proto_writer(&table), e->txn.commit_lsn, e->seq, e->txn.xid,
		e->txn.commit_us };

	return pb_encode_submessage(s, plugin_TruncateEvent_fields, &truncate);
}

static bool
put_begin(pb_ostream_t *s, const struct event *e)
{
	plugin_BeginEvent begin = { e->pg_lsn, e->txn.commit_lsn, e->txn.xid,
		e->txn.commit_us };

	return pb_encode_submessage(s, plugin_BeginEvent_fields, &begin);
}

static bool
put_commit(pb_ostream_t *s, const struct event *e)
{
	plugin_CommitEvent commit = { e->pg_lsn, e->txn.commit_lsn, e->txn.xid,
		e->txn.commit_us, e->txn.end_lsn, e->seq };

	return pb_encode_submessage(s, plugin_CommitEvent_fields, &commit);
}

static bool
put_progress(pb_ostream_t *s, const struct event *e)
{
	plugin_Progress progress = { e->pg_lsn };

	return pb_encode_submessage(s, plugin_Progress_fields, &progress);
}

void
proto_put_event(struct buf *out, const struct event *e)
{
	static bool (*const put[])(pb_ostream_t *, const struct event *) = {
		[EVENT_INSERT] = put_row,
		[EVENT_UPDATE] = put_row,
		[EVENT_DELETE] = put_row,
		[EVENT_TRUNCATE] = put_truncate,
		[EVENT_BEGIN] = put_begin,
		[EVENT_COMMIT] = put_commit,
		[EVENT_PROGRESS] = put_progress,
	};
	size_t text = e->schema == NULL
	    ? 0
	    : strlen(e->schema) + strlen(e->table) + e->json_len;
	pb_ostream_t s;

	if (proto_begin(&s, out, text))
		proto_end(&s, out,
		    pb_encode_tag(&s, PB_WT_STRING, (uint32_t)e->op) &&
			put[e->op](&s, e));
}

void
proto_put_started(struct buf *out, const struct started *st)
{
	struct proto_text id = proto_text_of(st->system_identifier);
	struct proto_text slot = proto_text_of(st->slot);
	struct proto_text publication = proto_text_of(st->publication);
	struct proto_text version = proto_text_of(st->walstream_version);
	plugin_Started m = { proto_writer(&id), st->timeline,
		proto_writer(&slot), st->temporary, proto_writer(&publication),
		st->server_version, st->start_lsn, proto_writer(&version) };
	pb_ostream_t s;

	if (proto_begin(&s, out, id.n + slot.n + publication.n + version.n))
		proto_end(&s, out,
		    pb_encode_tag(&s, PB_WT_STRING, EVENT_STARTED) &&
			pb_encode_submessage(&s, plugin_Started_fields, &m));
}

/* Where one string of a message being read goes. */
struct into {
	struct buf *hold;
	size_t at, len;
	bool set;
};

static bool
get_text(pb_istream_t *s, const pb_field_t *field, void **arg)
{
	struct into *to = *arg;
	size_t n = s->bytes_left;
	uint8_t *p = buf_room(to->hold, n + 1);

	(void)field;
	if (p == NULL || !pb_read(s, p, n))
		return false;
	p[n] = '\0';
	to->at = to->hold->len;
	to->len = n;
	to->set = true;
	buf_added(to->hold, n + 1);
	return true;
}

static pb_callback_t
reader(struct into *to)
{
	pb_callback_t cb = { .funcs.decode = get_text, .arg = to };

	return cb;
}

static bool
get_row(pb_istream_t *s, struct event *e, struct buf *hold)
{
	struct into schema = { .hold = hold }, table = { .hold = hold };
	struct into json = { .hold = hold };
	plugin_InsertEvent row = { .schema = reader(&schema),
		.table = reader(&table),
		.json_payload = reader(&json) };

	buf_reset(hold);
	buf_put_u8(hold, 0); /* what an absent string points at */
	if (!pb_decode(s, plugin_InsertEvent_fields, &row) || hold->failed)
		return false;
	e->pg_lsn = row.pg_lsn;
	e->txn.commit_lsn = row.commit_lsn;
	e->txn.xid = row.xid;
	e->txn.commit_us = row.commit_time_us;
	e->seq = row.seq;
	e->schema = (const char *)hold->data + schema.at;
	e->table = (const char *)hold->data + table.at;
	e->json = json.set ? (const char *)hold->data + json.at : NULL;
	e->json_len = json.len;
	return true;
}

static bool
get_begin(pb_istream_t *s, struct event *e)
{
	plugin_BeginEvent m = plugin_BeginEvent_init_zero;

	if (!pb_decode(s, plugin_BeginEvent_fields, &m))
		return false;
	e->pg_lsn = m.pg_lsn;
	e->txn = (struct event_txn){ m.commit_lsn, 0, m.xid, m.commit_time_us };
	return true;
}

static bool
get_commit(pb_istream_t *s, struct event *e)
{
	plugin_CommitEvent m = plugin_CommitEvent_init_zero;

	if (!pb_decode(s, plugin_CommitEvent_fields, &m))
		return false;
	e->pg_lsn = m.pg_lsn;
	e->txn = (struct event_txn){ m.commit_lsn, m.end_lsn, m.xid,
		m.commit_time_us };
	e->seq = m.event_count;
	return true;
}

static bool
get_progress(pb_istream_t *s, struct event *e)
{
	plugin_Progress m = plugin_Progress_init_zero;

	if (!pb_decode(s, plugin_Progress_fields, &m))
		return false;
	e->pg_lsn = m.pg_lsn;
	return true;
}

static bool
get_started(pb_istream_t *s, struct event *e)
{
	plugin_Started m = plugin_Started_init_zero;

	if (!pb_decode(s, plugin_Started_fields, &m))
		return false;
	e->pg_lsn = m.start_lsn;
	return true;
}

/* Where the events of a message go. */
struct sink {
	struct buf *hold;
	proto_event_fn *each;
	void *arg;
	bool in_batch;
};

static bool get_server(pb_istream_t *s, struct sink *to);

/* A Batch: its one field, over and over. A batch in a batch is refused, so
 * this does not nest. */
static bool
get_batch(pb_istream_t *s, struct sink *to)
{
	pb_wire_type_t wire_type;
	pb_istream_t sub;
	uint32_t tag;
	bool eof, ok = !to->in_batch;

	to->in_batch = true;
	while (ok && pb_decode_tag(s, &wire_type, &tag, &eof)) {
		if (tag != plugin_Batch_messages_tag) {
			ok = pb_skip_field(s, wire_type);
			continue;
		}
		ok = wire_type == PB_WT_STRING &&
		    pb_make_string_substream(s, &sub) && get_server(&sub, to) &&
		    pb_close_string_substream(s, &sub);
	}
	to->in_batch = false;
	return ok && s->bytes_left == 0;
}

static bool
get_member(pb_istream_t *s, struct event *e, struct sink *to)
{
	switch (e->op) {
	case EVENT_INSERT:
	case EVENT_UPDATE:
	case EVENT_DELETE:
	case EVENT_TRUNCATE:
		return get_row(s, e, to->hold);
	case EVENT_STARTED:
		return get_started(s, e);
	case EVENT_BEGIN:
		return get_begin(s, e);
	case EVENT_COMMIT:
		return get_commit(s, e);
	case EVENT_PROGRESS:
		return get_progress(s, e);
	case EVENT_BATCH:
		return get_batch(s, to);
	case EVENT_NONE:
		break;
	}
	e->op = EVENT_NONE; /* from a later version */
	return pb_read(s, NULL, s->bytes_left);
}

static bool
get_server(pb_istream_t *s, struct sink *to)
{
	struct event e = { .op = EVENT_NONE };
	pb_wire_type_t wire_type;
	pb_istream_t sub;
	uint32_t tag;
	bool eof, ok = true;

	while (ok && pb_decode_tag(s, &wire_type, &tag, &eof)) {
		if (wire_type != PB_WT_STRING) {
			ok = pb_skip_field(s, wire_type);
			continue;
		}
		memset(&e, 0, sizeof(e));
		e.op = (enum event_op)tag;
		ok = pb_make_string_substream(s, &sub) &&
		    get_member(&sub, &e, to) &&
		    pb_close_string_substream(s, &sub);
	}
	if (!ok || s->bytes_left != 0)
		return false;
	if (e.op != EVENT_NONE && e.op != EVENT_BATCH)
		to->each(to->arg, &e);
	return true;
}

int
proto_get_events(const uint8_t *p, size_t n, struct buf *hold,
    proto_event_fn *each, void *arg, struct err *err)
{
	pb_istream_t s = pb_istream_from_buffer(p, n);
	struct sink to = { hold, each, arg, false };

	if (!get_server(&s, &to))
		return err_set(err, ERR_PROTO, "malformed ServerMessage: %s",
		    PB_GET_ERROR(&s));
	return 0;
}

size_t
proto_item_head(uint8_t to[PROTO_HEAD], size_t message_len)
{
	pb_ostream_t s = pb_ostream_from_buffer(to, PROTO_HEAD);

	pb_encode_tag(&s, PB_WT_STRING, plugin_Batch_messages_tag);
	pb_encode_varint(&s, message_len);
	return s.bytes_written;
}

size_t
proto_batch_head(uint8_t to[PROTO_HEAD], size_t items_len)
{
	pb_ostream_t s = pb_ostream_from_buffer(to, PROTO_HEAD);

	pb_encode_tag(&s, PB_WT_STRING, EVENT_BATCH);
	pb_encode_varint(&s, items_len);
	return s.bytes_written;
}
