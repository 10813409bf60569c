#include <pb_decode.h>
#include <string.h>

#include "event/proto.h"
#include "event/proto_pb.h"
#include "plugin.pb.h"

/*
 * Reads what servers send; proto.c writes it. The strings of one message go to
 * a buffer that has room for all of it from the start, so they do not move.
 */

/* Where one string of a message being read goes. */
struct into {
	struct buf *hold;
	struct event_text *to;
};

/* More than the NULs that are put behind strings which take no byte. */
#define SPARE 64

static bool
begin_hold(struct buf *hold, size_t message_len, size_t more)
{
	buf_reset(hold);
	return buf_room(hold, message_len + more + SPARE) != NULL;
}

/* The rest of s, with a NUL behind it. */
static const char *
take_text(pb_istream_t *s, struct buf *hold, size_t *len)
{
	uint8_t *p = buf_room(hold, s->bytes_left + 1);

	*len = s->bytes_left;
	if (p == NULL || !pb_read(s, p, *len))
		return NULL;
	p[*len] = '\0';
	buf_added(hold, *len + 1);
	return (const char *)p;
}

static bool
get_text(pb_istream_t *s, const pb_field_t *field, void **arg)
{
	struct into *into = *arg;

	(void)field;
	into->to->p = take_text(s, into->hold, &into->to->len);
	return into->to->p != NULL;
}

static pb_callback_t
reader(struct into *into)
{
	pb_callback_t cb = { .funcs.decode = get_text, .arg = into };

	return cb;
}

static const char *
string_of(const struct event_text *t)
{
	return t->p == NULL ? "" : t->p;
}

/* nanopb would take a number where a string is due. arg: those fields, a bit
 * 1 << tag each. */
static bool
is_string_due(pb_istream_t *s, uint32_t tag, void *arg)
{
	const uint32_t *strings = arg;

	return s != NULL || tag > 31 || (*strings & 1u << tag) == 0;
}

static bool
has_strings(pb_istream_t s, uint32_t strings)
{
	return proto_fields(&s, is_string_due, &strings);
}

#define TAG(message, field) (1u << plugin_##message##_##field##_tag)
#define ROW_STRINGS                                           \
	(TAG(InsertEvent, schema) | TAG(InsertEvent, table) | \
	    TAG(InsertEvent, json_payload) |                  \
	    TAG(InsertEvent, old_json_payload) |              \
	    TAG(InsertEvent, unchanged_columns))
#define RELATION_STRINGS \
	(TAG(RelationEvent, schema) | TAG(RelationEvent, table))
#define COLUMN_STRINGS (TAG(Column, name) | TAG(Column, type_name))
#define MESSAGE_STRINGS \
	(TAG(LogicalMessageEvent, prefix) | TAG(LogicalMessageEvent, content))

/* Names of unchanged columns go one behind the other. */
struct names {
	struct buf *hold;
	struct event_text *to;
};

static bool
get_name(pb_istream_t *s, uint32_t tag, void *arg)
{
	struct names *names = arg;
	const char *name;
	size_t len;

	if (tag != plugin_InsertEvent_unchanged_columns_tag)
		return true;
	if ((name = take_text(s, names->hold, &len)) == NULL)
		return false;
	if (names->to->p == NULL)
		names->to->p = name;
	names->to->len += len + 1;
	return true;
}

/* A TruncateEvent has other fields from 13 on. */
static bool
get_flags(pb_istream_t s, struct event *e)
{
	plugin_TruncateEvent truncate = plugin_TruncateEvent_init_zero;

	if (!pb_decode(&s, plugin_TruncateEvent_fields, &truncate))
		return false;
	e->cascade = truncate.cascade;
	e->restart_identity = truncate.restart_identity;
	return true;
}

static bool
get_row(pb_istream_t *s, struct event *e, struct buf *hold)
{
	struct event_text schema = { 0 }, table = { 0 };
	struct into to_schema = { hold, &schema }, to_table = { hold, &table },
		    to_json = { hold, &e->json }, to_old = { hold, &e->old };
	struct names names = { hold, &e->unchanged };
	pb_istream_t again = *s;
	plugin_InsertEvent row = { .schema = reader(&to_schema),
		.table = reader(&to_table),
		.json_payload = reader(&to_json),
		.old_json_payload = reader(&to_old) };

	if (!has_strings(*s, ROW_STRINGS) ||
	    !begin_hold(hold, s->bytes_left, 0) ||
	    (e->op == EVENT_TRUNCATE && !get_flags(*s, e)) ||
	    !pb_decode(s, plugin_InsertEvent_fields, &row) ||
	    !proto_fields(&again, get_name, &names))
		return false;
	e->pg_lsn = row.pg_lsn;
	e->txn.commit_lsn = row.commit_lsn;
	e->txn.xid = row.xid;
	e->txn.commit_us = row.commit_time_us;
	e->seq = row.seq;
	e->schema = string_of(&schema);
	e->table = string_of(&table);
	e->change_lsn = row.change_lsn;
	e->oid = row.relation_oid;
	e->identity = (int)row.identity;
	return true;
}

/* The columns of a relation: a number first, then each. */
struct columns {
	struct buf *hold;
	struct event_column *column; /* NULL: they are being counted */
	size_t n;
};

static bool
get_column(pb_istream_t *s, uint32_t tag, void *arg)
{
	struct columns *cs = arg;
	struct event_text name = { 0 }, type_name = { 0 };
	struct into to_name = { cs->hold, &name },
		    to_type = { cs->hold, &type_name };
	plugin_Column c = { .name = reader(&to_name),
		.type_name = reader(&to_type) };

	if (tag != plugin_RelationEvent_columns_tag || s == NULL)
		return tag != plugin_RelationEvent_columns_tag;
	if (cs->column != NULL) {
		if (!has_strings(*s, COLUMN_STRINGS) ||
		    !pb_decode(s, plugin_Column_fields, &c))
			return false;
		cs->column[cs->n] = (struct event_column){ string_of(&name),
			string_of(&type_name), c.type_oid, c.typmod, c.key };
	}
	cs->n++;
	return true;
}

static bool
get_relation(pb_istream_t *s, struct event *e, struct buf *hold)
{
	struct event_text schema = { 0 }, table = { 0 };
	struct into to_schema = { hold, &schema }, to_table = { hold, &table };
	struct columns cs = { .hold = hold };
	pb_istream_t count = *s, again = *s;
	plugin_RelationEvent m = { .schema = reader(&to_schema),
		.table = reader(&to_table) };
	size_t size;

	if (!proto_fields(&count, get_column, &cs))
		return false;
	size = cs.n * sizeof(*cs.column);
	if (!has_strings(*s, RELATION_STRINGS) ||
	    !begin_hold(hold, s->bytes_left, size + 2 * cs.n))
		return false;
	cs.column = (struct event_column *)(void *)hold->data;
	buf_added(hold, size);
	cs.n = 0;
	if (!proto_fields(&again, get_column, &cs) ||
	    !pb_decode(s, plugin_RelationEvent_fields, &m))
		return false;
	e->oid = m.oid;
	e->identity = (int)m.replica_identity;
	e->schema = string_of(&schema);
	e->table = string_of(&table);
	e->column = cs.column;
	e->columns = cs.n;
	return true;
}

static bool
get_message(pb_istream_t *s, struct event *e, struct buf *hold)
{
	struct event_text prefix = { 0 };
	struct into to_prefix = { hold, &prefix },
		    to_content = { hold, &e->content };
	plugin_LogicalMessageEvent m = { .prefix = reader(&to_prefix),
		.content = reader(&to_content) };

	if (!has_strings(*s, MESSAGE_STRINGS) ||
	    !begin_hold(hold, s->bytes_left, 0) ||
	    !pb_decode(s, plugin_LogicalMessageEvent_fields, &m))
		return false;
	e->pg_lsn = m.pg_lsn;
	e->transactional = m.transactional;
	e->prefix = string_of(&prefix);
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

	if (tag > EVENT_BATCH || s == NULL)
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
	case EVENT_RELATION:
		return get_relation(s, &to->e, to->hold);
	case EVENT_MESSAGE:
		return get_message(s, &to->e, to->hold);
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
