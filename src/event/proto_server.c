#include <pb_decode.h>
#include <string.h>

#include "base/rd.h"
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
#define RELATION_STRINGS \
	(TAG(RelationEvent, schema) | TAG(RelationEvent, table))
#define COLUMN_STRINGS (TAG(Column, name) | TAG(Column, type_name))
#define MESSAGE_STRINGS \
	(TAG(LogicalMessageEvent, prefix) | TAG(LogicalMessageEvent, content))

/* More than the names of the 1,600 columns that a table has at most take. */
#define NAMES_MAX (PROTO_HOLD_MORE / 2)

/*
 * Rows are nearly all there is, so they are read as they stand, once: they are
 * copied to hold as they came, where their strings stay, and names of unchanged
 * columns are put behind, one behind the other.
 */

static bool
get_varint(struct rd *r, uint64_t *v)
{
	uint8_t c = rd_u8(r);

	*v = c & 0x7f;
	for (int shift = 7; c >= 0x80 && shift < 64; shift += 7) {
		c = rd_u8(r);
		*v |= (uint64_t)(c & 0x7f) << shift;
	}
	return c < 0x80 && !r->bad;
}

/* A number of a row; a TruncateEvent has other fields from 13 on. */
static bool
take_number(struct event *e, uint32_t tag, uint64_t v)
{
	switch (tag) {
	case plugin_InsertEvent_pg_lsn_tag:
		e->pg_lsn = v;
		break;
	case plugin_InsertEvent_commit_lsn_tag:
		e->txn.commit_lsn = v;
		break;
	case plugin_InsertEvent_seq_tag:
		e->seq = (uint32_t)v;
		break;
	case plugin_InsertEvent_xid_tag:
		e->txn.xid = (uint32_t)v;
		break;
	case plugin_InsertEvent_commit_time_us_tag:
		e->txn.commit_us = (int64_t)v;
		break;
	case plugin_InsertEvent_change_lsn_tag:
		e->change_lsn = v;
		break;
	case plugin_InsertEvent_relation_oid_tag:
		e->oid = (uint32_t)v;
		break;
	case plugin_InsertEvent_identity_tag:
		e->identity = (int)v;
		break;
	case plugin_TruncateEvent_cascade_tag:
		e->cascade = v != 0;
		break;
	case plugin_TruncateEvent_restart_identity_tag:
		e->restart_identity = v != 0;
		break;
	default: /* not where a string is due */
		return tag > plugin_TruncateEvent_restart_identity_tag;
	}
	return true;
}

/* The strings of a row that has been copied, each as long as it is. */
struct row_strings {
	struct event_text schema, table, json, old;
	struct event_text *unchanged;
	struct buf *hold;
};

static bool
take_string(struct row_strings *to, uint32_t tag, struct event_text text)
{
	switch (tag) {
	case plugin_InsertEvent_schema_tag:
		to->schema = text;
		break;
	case plugin_InsertEvent_table_tag:
		to->table = text;
		break;
	case plugin_InsertEvent_json_payload_tag:
		to->json = text;
		break;
	case plugin_InsertEvent_old_json_payload_tag:
		to->old = text;
		break;
	case plugin_InsertEvent_unchanged_columns_tag:
		if (to->hold->cap - to->hold->len <= text.len)
			return false; /* more than there can be */
		if (to->unchanged->p == NULL)
			to->unchanged->p =
			    (const char *)to->hold->data + to->hold->len;
		buf_put(to->hold, text.p, text.len);
		buf_put_u8(to->hold, '\0');
		to->unchanged->len += text.len + 1;
		break;
	default: /* not where a number is due */
		return tag > plugin_TruncateEvent_restart_identity_tag;
	}
	return true;
}

static bool
take_field(struct rd *r, struct event *e, struct row_strings *to)
{
	struct event_text text;
	uint64_t key, v;
	uint32_t tag;

	if (!get_varint(r, &key) || key >> 3 == 0 || key > UINT32_MAX)
		return false;
	tag = (uint32_t)key >> 3;
	switch (key & 7) {
	case PB_WT_VARINT:
		return get_varint(r, &v) && take_number(e, tag, v);
	case PB_WT_STRING:
		if (!get_varint(r, &v))
			return false;
		text.len = (size_t)v;
		text.p = (const char *)rd_bytes(r, text.len);
		return text.p != NULL && take_string(to, tag, text);
	case PB_WT_64BIT:
	case PB_WT_32BIT:
		return tag > plugin_TruncateEvent_restart_identity_tag &&
		    rd_bytes(r, (key & 7) == PB_WT_64BIT ? 8 : 4) != NULL;
	default:
		return false;
	}
}

/* Ends it with a NUL. What stood there has been read: the tag of a field. */
static struct event_text
ended(struct buf *hold, struct event_text text)
{
	if (text.p != NULL)
		hold->data[(const uint8_t *)text.p - hold->data + text.len] =
		    '\0';
	return text;
}

static bool
get_row(pb_istream_t *s, struct event *e, struct buf *hold)
{
	struct row_strings to = { .unchanged = &e->unchanged, .hold = hold };
	size_t len = s->bytes_left;
	struct rd r;

	if (!begin_hold(hold, len, len < NAMES_MAX ? len : NAMES_MAX) ||
	    !pb_read(s, hold->data, len))
		return false;
	buf_added(hold, len + 1);
	r = rd_make(hold->data, len);
	while (rd_left(&r) > 0)
		if (!take_field(&r, e, &to))
			return false;
	to.schema = ended(hold, to.schema);
	to.table = ended(hold, to.table);
	e->schema = string_of(&to.schema);
	e->table = string_of(&to.table);
	e->json = ended(hold, to.json);
	e->old = ended(hold, to.old);
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
