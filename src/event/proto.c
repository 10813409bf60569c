#include "event/proto.h"

#include <assert.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.pb.h"

/*
 * A ServerMessage is one member of a oneof, so it is written and read here as
 * its tag and a submessage. The three row events have the same fields and
 * share InsertEvent's description.
 */
static_assert(sizeof(plugin_InsertEvent) == sizeof(plugin_UpdateEvent) &&
	sizeof(plugin_InsertEvent) == sizeof(plugin_DeleteEvent),
    "row events differ");

/* More than tags, lengths and numbers of any event take. */
#define OVERHEAD 192

struct text {
	const char *p;
	size_t n;
};

const char *
event_op_name(enum event_op op)
{
	static const char *const names[] = { "none", "insert", "update",
		"delete", "truncate", "started", "begin", "commit", "relation",
		"message", "progress", "batch" };

	return names[op];
}

static bool
put_text(pb_ostream_t *s, const pb_field_t *field, void *const *arg)
{
	const struct text *t = *arg;

	return t->n == 0 ||
	    (pb_encode_tag_for_field(s, field) &&
		pb_encode_string(s, (const pb_byte_t *)t->p, t->n));
}

static pb_callback_t
writer(struct text *t)
{
	pb_callback_t cb = { .funcs.encode = put_text, .arg = t };

	return cb;
}

static struct text
text_of(const char *s)
{
	struct text t = { s, s == NULL ? 0 : strlen(s) };

	return t;
}

/* Room for a message with this much text. */
static bool
begin_put(pb_ostream_t *s, struct buf *out, size_t text_len)
{
	uint8_t *to = buf_room(out, OVERHEAD + text_len);

	if (to != NULL)
		*s = pb_ostream_from_buffer(to, OVERHEAD + text_len);
	return to != NULL;
}

static void
end_put(const pb_ostream_t *s, struct buf *out, bool ok)
{
	if (ok)
		buf_added(out, s->bytes_written);
	else
		out->failed = true;
}

static bool
put_row(pb_ostream_t *s, const struct event *e)
{
	struct text schema = text_of(e->schema), table = text_of(e->table);
	struct text json = { e->json, e->json_len };
	plugin_InsertEvent row = { e->pg_lsn, writer(&schema), writer(&table),
		writer(&json), e->txn.commit_lsn, e->seq, e->txn.xid,
		e->txn.commit_us };

	return pb_encode_submessage(s, plugin_InsertEvent_fields, &row);
}

static bool
put_truncate(pb_ostream_t *s, const struct event *e)
{
	struct text schema = text_of(e->schema), table = text_of(e->table);
	plugin_TruncateEvent truncate = { e->pg_lsn, writer(&schema),
		writer(&table), e->txn.commit_lsn, e->seq, e->txn.xid,
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

	if (begin_put(&s, out, text))
		end_put(&s, out, pb_encode_tag(&s, PB_WT_STRING,
		    (uint32_t)e->op) && put[e->op](&s, e));
}

void
proto_put_started(struct buf *out, const struct started *st)
{
	struct text id = text_of(st->system_identifier);
	struct text slot = text_of(st->slot);
	struct text publication = text_of(st->publication);
	struct text version = text_of(st->walstream_version);
	plugin_Started m = { writer(&id), st->timeline, writer(&slot),
		st->temporary, writer(&publication), st->server_version,
		st->start_lsn, writer(&version) };
	pb_ostream_t s;

	if (begin_put(&s, out, id.n + slot.n + publication.n + version.n))
		end_put(&s, out, pb_encode_tag(&s, PB_WT_STRING,
		    EVENT_STARTED) && pb_encode_submessage(&s,
		    plugin_Started_fields, &m));
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
		.table = reader(&table), .json_payload = reader(&json) };

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
	e->txn = (struct event_txn){ m.commit_lsn, 0, m.xid,
		m.commit_time_us };
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
		    pb_make_string_substream(s, &sub) &&
		    get_server(&sub, to) &&
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

/* Strings of a Start: one that is too long fails the message. */

static bool
get_string(pb_istream_t *s, const pb_field_t *field, void **arg)
{
	char *to = *arg;
	size_t n = s->bytes_left;

	(void)field;
	if (n > START_MAX_STRING || !pb_read(s, (pb_byte_t *)to, n))
		return false;
	to[n] = '\0';
	return strlen(to) == n;
}

static bool
get_table(pb_istream_t *s, const pb_field_t *field, void **arg)
{
	struct start *st = *arg;
	size_t n = s->bytes_left;
	char *to;

	(void)field;
	if (n > START_MAX_STRING || st->tables == START_MAX_TABLES ||
	    (to = calloc(1, n + 1)) == NULL)
		return false;
	st->table[st->tables++] = to;
	return pb_read(s, (pb_byte_t *)to, n) && strlen(to) == n;
}

static bool
get_operation(pb_istream_t *s, const pb_field_t *field, void **arg)
{
	struct start *st = *arg;
	uint64_t op;

	(void)field;
	while (s->bytes_left > 0) {
		if (!pb_decode_varint(s, &op) || op < EVENT_INSERT ||
		    op > EVENT_TRUNCATE)
			return false;
		st->operations |= 1u << op;
	}
	return true;
}

static pb_callback_t
decoder(bool (*get)(pb_istream_t *, const pb_field_t *, void **), void *arg)
{
	pb_callback_t cb = { .funcs.decode = get, .arg = arg };

	return cb;
}

static bool
get_start(pb_istream_t *s, struct start *st)
{
	plugin_Start m = plugin_Start_init_zero;

	m.tables = decoder(get_table, st);
	m.operations = decoder(get_operation, st);
	m.system_identifier = decoder(get_string, st->system_identifier);
	m.consumer = decoder(get_string, st->consumer);
	if (!pb_decode(s, plugin_Start_fields, &m))
		return false;
	st->after_lsn = m.after_lsn;
	st->observer = m.observer;
	st->batch = m.batch;
	st->exact = m.exact;
	st->max_batch_bytes = m.max_batch_bytes;
	st->progress_interval_ms = m.progress_interval_ms;
	return true;
}

/* One field of a ClientMessage; the last member of the oneof counts. */
static bool
get_client_field(pb_istream_t *s, uint32_t tag, struct client_message *m)
{
	plugin_ClientAck ack = plugin_ClientAck_init_zero;

	proto_start_free(&m->start);
	memset(m, 0, sizeof(*m));
	if (tag == plugin_ClientMessage_start_tag) {
		m->has_start = true;
		return get_start(s, &m->start);
	}
	m->has_ack = true;
	if (!pb_decode(s, plugin_ClientAck_fields, &ack))
		return false;
	m->ack_lsn = ack.pg_lsn;
	return true;
}

int
proto_get_client(const uint8_t *p, size_t n, struct client_message *m,
    struct err *err)
{
	pb_istream_t s = pb_istream_from_buffer(p, n), sub;
	pb_wire_type_t wire_type;
	uint32_t tag;
	bool eof, ok = true;

	memset(m, 0, sizeof(*m));
	while (ok && pb_decode_tag(&s, &wire_type, &tag, &eof)) {
		if (tag != plugin_ClientMessage_ack_tag &&
		    tag != plugin_ClientMessage_start_tag)
			ok = pb_skip_field(&s, wire_type);
		else
			ok = wire_type == PB_WT_STRING &&
			    pb_make_string_substream(&s, &sub) &&
			    get_client_field(&sub, tag, m) &&
			    pb_close_string_substream(&s, &sub);
	}
	if (ok && s.bytes_left == 0)
		return 0;
	proto_start_free(&m->start);
	if (m->has_start)
		return err_set(err, ERR_USAGE, "start: malformed, an unknown "
		    "operation, a string of more than %d bytes or more than %d"
		    " tables", START_MAX_STRING, START_MAX_TABLES);
	return err_set(err, ERR_PROTO, "malformed ClientMessage: %s",
	    PB_GET_ERROR(&s));
}

void
proto_start_free(struct start *st)
{
	while (st->tables > 0)
		free(st->table[--st->tables]);
}

void
proto_put_ack(struct buf *out, lsn_t lsn)
{
	plugin_ClientAck ack = { lsn };
	pb_ostream_t s;

	if (begin_put(&s, out, 0))
		end_put(&s, out, pb_encode_tag(&s, PB_WT_STRING,
		    plugin_ClientMessage_ack_tag) && pb_encode_submessage(&s,
		    plugin_ClientAck_fields, &ack));
}

static bool
put_tables(pb_ostream_t *s, const pb_field_t *field, void *const *arg)
{
	const struct start *st = *arg;
	struct text t;
	void *one = &t;

	for (size_t i = 0; i < st->tables; i++) {
		t = text_of(st->table[i]);
		if (!put_text(s, field, &one))
			return false;
	}
	return true;
}

static bool
put_operations(pb_ostream_t *s, const pb_field_t *field, void *const *arg)
{
	const struct start *st = *arg;

	for (uint32_t op = EVENT_INSERT; op <= EVENT_TRUNCATE; op++)
		if ((st->operations & 1u << op) != 0 &&
		    (!pb_encode_tag(s, PB_WT_VARINT, field->tag) ||
			!pb_encode_varint(s, op)))
			return false;
	return true;
}

void
proto_put_start(struct buf *out, const struct start *st)
{
	struct text id = text_of(st->system_identifier);
	struct text consumer = text_of(st->consumer);
	/* nanopb wants a pointer that it does not write through. */
	union {
		const struct start *c;
		void *v;
	} arg = { st };
	plugin_Start m = plugin_Start_init_zero;
	size_t text = id.n + consumer.n;
	pb_ostream_t s;

	for (size_t i = 0; i < st->tables; i++)
		text += strlen(st->table[i]) + 4;
	m.tables = (pb_callback_t){ .funcs.encode = put_tables, .arg = arg.v };
	m.operations = (pb_callback_t){ .funcs.encode = put_operations,
		.arg = arg.v };
	m.after_lsn = st->after_lsn;
	m.system_identifier = writer(&id);
	m.consumer = writer(&consumer);
	m.observer = st->observer;
	m.batch = st->batch;
	m.max_batch_bytes = st->max_batch_bytes;
	m.progress_interval_ms = st->progress_interval_ms;
	m.exact = st->exact;
	if (begin_put(&s, out, text))
		end_put(&s, out, pb_encode_tag(&s, PB_WT_STRING,
		    plugin_ClientMessage_start_tag) && pb_encode_submessage(&s,
		    plugin_Start_fields, &m));
}
