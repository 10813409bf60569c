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

/* nanopb would take a number where a string is due. */
static bool
is_string_due(pb_istream_t *s, uint32_t tag, void *arg)
{
	(void)arg;
	return s != NULL || tag < plugin_InsertEvent_schema_tag ||
	    tag > plugin_InsertEvent_json_payload_tag;
}

static bool
get_row(pb_istream_t *s, struct event *e, struct buf *hold)
{
	struct into schema = { .hold = hold }, table = { .hold = hold };
	struct into json = { .hold = hold };
	pb_istream_t look = *s;
	plugin_InsertEvent row = { .schema = reader(&schema),
		.table = reader(&table),
		.json_payload = reader(&json) };

	if (!proto_fields(&look, is_string_due, NULL))
		return false;
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
	struct event e; /* the last member of the oneof */
};

static bool get_server(pb_istream_t *s, struct sink *to);

static bool
get_batched(pb_istream_t *s, uint32_t tag, void *arg)
{
	if (tag != plugin_Batch_messages_tag)
		return true;
	return s != NULL && get_server(s, arg);
}

/* A batch in a batch is refused, so this does not nest. */
static bool
get_batch(pb_istream_t *s, struct sink *to)
{
	bool ok = !to->in_batch;

	to->in_batch = true;
	ok = ok && proto_fields(s, get_batched, to);
	to->in_batch = false;
	to->e.op = EVENT_NONE; /* all handed out */
	return ok;
}

/* A member that is not known is of a later version. */
static bool
get_member(pb_istream_t *s, uint32_t tag, void *arg)
{
	struct sink *to = arg;
	bool known =
	    tag <= EVENT_COMMIT || tag == EVENT_PROGRESS || tag == EVENT_BATCH;

	if (!known || s == NULL)
		return true;
	memset(&to->e, 0, sizeof(to->e));
	to->e.op = (enum event_op)tag;
	switch (to->e.op) {
	case EVENT_STARTED:
		return get_started(s, &to->e);
	case EVENT_BEGIN:
		return get_begin(s, &to->e);
	case EVENT_COMMIT:
		return get_commit(s, &to->e);
	case EVENT_PROGRESS:
		return get_progress(s, &to->e);
	case EVENT_BATCH:
		return get_batch(s, to);
	default:
		return get_row(s, &to->e, to->hold);
	}
}

static bool
get_server(pb_istream_t *s, struct sink *to)
{
	to->e.op = EVENT_NONE;
	if (!proto_fields(s, get_member, to))
		return false;
	if (to->e.op != EVENT_NONE)
		to->each(to->arg, &to->e);
	return true;
}

int
proto_get_events(const uint8_t *p, size_t n, struct buf *hold,
    proto_event_fn *each, void *arg, struct err *err)
{
	pb_istream_t s = pb_istream_from_buffer(p, n);
	struct sink to = { .hold = hold, .each = each, .arg = arg };

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
