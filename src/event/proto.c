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

/* The names of unchanged columns, which stand one behind the other. */
static bool
put_names(pb_ostream_t *s, const pb_field_t *field, void *const *arg)
{
	const struct proto_text *names = *arg;
	const char *end = names->p + names->n, *p;
	struct proto_text one;
	void *one_arg = &one;

	for (p = names->p; p < end; p += one.n + 1) {
		one = proto_text_of(p);
		if (!proto_put_text(s, field, &one_arg))
			return false;
	}
	return true;
}

static bool
put_row(pb_ostream_t *s, const struct event *e)
{
	struct proto_text schema = proto_text_of(e->schema),
			  table = proto_text_of(e->table);
	struct proto_text json = { e->json.p, e->json.len };
	struct proto_text old = { e->old.p, e->old.len };
	struct proto_text unchanged = { e->unchanged.p, e->unchanged.len };
	plugin_InsertEvent row = { .pg_lsn = e->pg_lsn,
		.schema = proto_writer(&schema),
		.table = proto_writer(&table),
		.json_payload = proto_writer(&json),
		.old_json_payload = proto_writer(&old),
		.commit_lsn = e->txn.commit_lsn,
		.seq = e->seq,
		.xid = e->txn.xid,
		.commit_time_us = e->txn.commit_us,
		.change_lsn = e->change_lsn,
		.relation_oid = e->oid,
		.identity = (plugin_Identity)e->identity };

	if (unchanged.n > 0)
		row.unchanged_columns =
		    (pb_callback_t){ .funcs.encode = put_names,
			    .arg = &unchanged };
	return pb_encode_submessage(s, plugin_InsertEvent_fields, &row);
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
		[EVENT_RELATION] = put_relation,
		[EVENT_MESSAGE] = put_message,
		[EVENT_PROGRESS] = put_progress,
	};
	pb_ostream_t s;

	if (proto_begin(&s, out, text_len(e)))
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
