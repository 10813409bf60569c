#include "event/proto.h"

#include <assert.h>
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

/* More than tags, lengths and numbers of a Column take. */
#define COLUMN_OVERHEAD 40

/* Room for all the text there is in it, and for what goes with lists. */
static size_t
text_len(const struct event *e)
{
	size_t n =
	    e->json.len + e->old.len + 2 * e->unchanged.len + e->content.len;

	if (e->schema != NULL)
		n += strlen(e->schema) + strlen(e->table);
	if (e->prefix != NULL)
		n += strlen(e->prefix);
	for (size_t i = 0; i < e->columns; i++)
		n += COLUMN_OVERHEAD + strlen(e->column[i].name) +
		    strlen(e->column[i].type_name);
	return n;
}

/* More than tags, lengths and numbers of a row take. */
#define ROW_OVERHEAD 192

static uint8_t *
put_varint(uint8_t *to, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*to++ = (uint8_t)(v | 0x80);
	*to++ = (uint8_t)v;
	return to;
}

static size_t
varint_len(uint64_t v)
{
	size_t n = 1;

	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

/* The tag and the length of a field that has one. */
static uint8_t *
put_head(uint8_t *to, uint32_t tag, size_t len)
{
	return put_varint(put_varint(to, (uint64_t)tag << 3 | PB_WT_STRING),
	    len);
}

/* A field that has its default is left out. */
static uint8_t *
put_number(uint8_t *to, uint32_t tag, uint64_t v)
{
	if (v == 0)
		return to;
	to = put_varint(to, (uint64_t)tag << 3 | PB_WT_VARINT);
	return put_varint(to, v);
}

static uint8_t *
put_bytes(uint8_t *to, uint32_t tag, const void *p, size_t n)
{
	if (n == 0)
		return to;
	to = put_head(to, tag, n);
	memcpy(to, p, n);
	return to + n;
}

static uint8_t *
put_row_fields(uint8_t *to, const struct event *e)
{
	const struct event_text *names = &e->unchanged;
	const char *name;

	to = put_number(to, plugin_InsertEvent_pg_lsn_tag, e->pg_lsn);
	to = put_bytes(to, plugin_InsertEvent_schema_tag, e->schema,
	    strlen(e->schema));
	to = put_bytes(to, plugin_InsertEvent_table_tag, e->table,
	    strlen(e->table));
	to = put_bytes(to, plugin_InsertEvent_json_payload_tag, e->json.p,
	    e->json.len);
	to = put_bytes(to, plugin_InsertEvent_old_json_payload_tag, e->old.p,
	    e->old.len);
	for (size_t at = 0; at < names->len; at += strlen(name) + 1) {
		name = names->p + at;
		to = put_bytes(to, plugin_InsertEvent_unchanged_columns_tag,
		    name, strlen(name));
	}
	to = put_number(to, plugin_InsertEvent_commit_lsn_tag,
	    e->txn.commit_lsn);
	to = put_number(to, plugin_InsertEvent_seq_tag, e->seq);
	to = put_number(to, plugin_InsertEvent_xid_tag, e->txn.xid);
	to = put_number(to, plugin_InsertEvent_commit_time_us_tag,
	    (uint64_t)e->txn.commit_us);
	to = put_number(to, plugin_InsertEvent_change_lsn_tag, e->change_lsn);
	to = put_number(to, plugin_InsertEvent_relation_oid_tag, e->oid);
	return put_number(to, plugin_InsertEvent_identity_tag, e->identity);
}

/*
 * Rows are nearly all there is, so they are written as they stand: nanopb goes
 * through its description of them twice, the first time for the length.
 */
static void
put_row(struct buf *out, const struct event *e)
{
	size_t room = ROW_OVERHEAD + text_len(e), guess = 1 + varint_len(room);
	uint8_t *to = buf_room(out, room), *fields, *end;
	size_t len, head;

	if (to == NULL)
		return;
	fields = to + guess;
	end = put_row_fields(fields, e);
	assert(end <= to + room);
	len = (size_t)(end - fields);
	head = 1 + varint_len(len);
	if (head != guess)
		memmove(to + head, fields, len);
	put_head(to, e->op, len);
	buf_added(out, head + len);
}

static bool
put_truncate(pb_ostream_t *s, const struct event *e)
{
	struct proto_text schema = proto_text_of(e->schema),
			  table = proto_text_of(e->table);
	plugin_TruncateEvent truncate = { .pg_lsn = e->pg_lsn,
		.schema = proto_writer(&schema),
		.table = proto_writer(&table),
		.commit_lsn = e->txn.commit_lsn,
		.seq = e->seq,
		.xid = e->txn.xid,
		.commit_time_us = e->txn.commit_us,
		.change_lsn = e->change_lsn,
		.relation_oid = e->oid,
		.cascade = e->cascade,
		.restart_identity = e->restart_identity };

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
put_column(pb_ostream_t *s, const struct event_column *c)
{
	struct proto_text name = proto_text_of(c->name),
			  type_name = proto_text_of(c->type_name);
	plugin_Column column = { proto_writer(&name), c->type_oid,
		proto_writer(&type_name), c->typmod, c->key };

	return pb_encode_submessage(s, plugin_Column_fields, &column);
}

static bool
put_columns(pb_ostream_t *s, const pb_field_t *field, void *const *arg)
{
	const struct event *e = *arg;

	for (size_t i = 0; i < e->columns; i++)
		if (!pb_encode_tag_for_field(s, field) ||
		    !put_column(s, &e->column[i]))
			return false;
	return true;
}

static bool
put_relation(pb_ostream_t *s, const struct event *e)
{
	struct proto_text schema = proto_text_of(e->schema),
			  table = proto_text_of(e->table);
	struct event copy = *e; /* nanopb wants what it may write to */
	plugin_RelationEvent relation = { .oid = e->oid,
		.schema = proto_writer(&schema),
		.table = proto_writer(&table),
		.replica_identity = (plugin_ReplicaIdentity)e->identity,
		.columns = { .funcs.encode = put_columns, .arg = &copy } };

	return pb_encode_submessage(s, plugin_RelationEvent_fields, &relation);
}

static bool
put_message(pb_ostream_t *s, const struct event *e)
{
	struct proto_text prefix = proto_text_of(e->prefix);
	struct proto_text content = { e->content.p, e->content.len };
	plugin_LogicalMessageEvent message = { e->pg_lsn, e->transactional,
		proto_writer(&prefix), proto_writer(&content) };

	return pb_encode_submessage(s, plugin_LogicalMessageEvent_fields,
	    &message);
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
		[EVENT_TRUNCATE] = put_truncate,
		[EVENT_BEGIN] = put_begin,
		[EVENT_COMMIT] = put_commit,
		[EVENT_RELATION] = put_relation,
		[EVENT_MESSAGE] = put_message,
		[EVENT_PROGRESS] = put_progress,
	};
	pb_ostream_t s;

	if (e->op == EVENT_INSERT || e->op == EVENT_UPDATE ||
	    e->op == EVENT_DELETE)
		put_row(out, e);
	else if (proto_begin(&s, out, text_len(e)))
		proto_end(&s, out,
		    pb_encode_tag(&s, PB_WT_STRING, (uint32_t)e->op) &&
			put[e->op](&s, e));
}

static bool
put_publications(pb_ostream_t *s, const pb_field_t *field, void *const *arg)
{
	const struct started *st = *arg;
	struct proto_text one;
	void *one_arg = &one;

	for (size_t i = 0; i < st->publications; i++) {
		one = proto_text_of(st->publication[i]);
		if (!proto_put_text(s, field, &one_arg))
			return false;
	}
	return true;
}

void
proto_put_started(struct buf *out, const struct started *st)
{
	struct proto_text id = proto_text_of(st->system_identifier);
	struct proto_text slot = proto_text_of(st->slot);
	struct proto_text version = proto_text_of(st->walstream_version);
	struct started copy = *st; /* nanopb wants what it may write to */
	plugin_Started m = { .system_identifier = proto_writer(&id),
		.timeline = st->timeline,
		.slot = proto_writer(&slot),
		.temporary = st->temporary,
		.publications = { .funcs.encode = put_publications,
		    .arg = &copy },
		.server_version = st->server_version,
		.start_lsn = st->start_lsn,
		.walstream_version = proto_writer(&version) };
	size_t text = id.n + slot.n + version.n;
	pb_ostream_t s;

	for (size_t i = 0; i < st->publications; i++)
		text += strlen(st->publication[i]) + 4;
	if (proto_begin(&s, out, text))
		proto_end(&s, out,
		    pb_encode_tag(&s, PB_WT_STRING, EVENT_STARTED) &&
			pb_encode_submessage(&s, plugin_Started_fields, &m));
}

size_t
proto_item_head(uint8_t to[PROTO_HEAD], size_t message_len)
{
	return (
	    size_t)(put_head(to, plugin_Batch_messages_tag, message_len) - to);
}

size_t
proto_batch_head(uint8_t to[PROTO_HEAD], size_t items_len)
{
	return (size_t)(put_head(to, EVENT_BATCH, items_len) - to);
}
