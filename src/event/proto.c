#include "event/proto.h"

#include <assert.h>
#include <pb_decode.h>
#include <pb_encode.h>
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
#define OVERHEAD 128

struct text {
	const char *p;
	size_t n;
};

const char *
event_op_name(enum event_op op)
{
	static const char *const names[] = { "none", "insert", "update",
		"delete", "truncate" };

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

static bool
put_submessage(pb_ostream_t *s, const struct event *e)
{
	struct text schema = { e->schema, strlen(e->schema) };
	struct text table = { e->table, strlen(e->table) };
	struct text json = { e->json, e->json_len };
	plugin_TruncateEvent truncate = { e->pg_lsn, writer(&schema),
		writer(&table) };
	plugin_InsertEvent row = { e->pg_lsn, writer(&schema), writer(&table),
		writer(&json) };

	return pb_encode_tag(s, PB_WT_STRING, (uint32_t)e->op) &&
	    (e->op == EVENT_TRUNCATE
		    ? pb_encode_submessage(s, plugin_TruncateEvent_fields,
			  &truncate)
		    : pb_encode_submessage(s, plugin_InsertEvent_fields, &row));
}

void
proto_put_event(struct buf *out, const struct event *e)
{
	size_t room = OVERHEAD + strlen(e->schema) + strlen(e->table) +
	    e->json_len;
	uint8_t *to = buf_room(out, room);
	pb_ostream_t s;

	if (to == NULL)
		return;
	s = pb_ostream_from_buffer(to, room);
	if (put_submessage(&s, e))
		buf_added(out, s.bytes_written);
	else
		out->failed = true;
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
get_submessage(pb_istream_t *s, struct event *e, struct buf *hold)
{
	struct into schema = { .hold = hold }, table = { .hold = hold };
	struct into json = { .hold = hold };
	plugin_InsertEvent row = { 0, reader(&schema), reader(&table),
		reader(&json) };

	buf_reset(hold);
	buf_put_u8(hold, 0); /* what an absent string points at */
	if (!pb_decode(s, plugin_InsertEvent_fields, &row))
		return false;
	e->pg_lsn = row.pg_lsn;
	e->schema = (const char *)hold->data + schema.at;
	e->table = (const char *)hold->data + table.at;
	e->json = json.set ? (const char *)hold->data + json.at : NULL;
	e->json_len = json.len;
	return true;
}

int
proto_get_event(const uint8_t *p, size_t n, struct event *e, struct buf *hold,
    struct err *err)
{
	pb_istream_t s = pb_istream_from_buffer(p, n), sub;
	pb_wire_type_t wire_type;
	uint32_t tag;
	bool eof, ok = true;

	memset(e, 0, sizeof(*e));
	while (ok && pb_decode_tag(&s, &wire_type, &tag, &eof)) {
		if (tag < EVENT_INSERT || tag > EVENT_TRUNCATE) {
			ok = pb_skip_field(&s, wire_type);
			continue;
		}
		e->op = (enum event_op)tag;
		ok = wire_type == PB_WT_STRING &&
		    pb_make_string_substream(&s, &sub) &&
		    get_submessage(&sub, e, hold) &&
		    pb_close_string_substream(&s, &sub);
	}
	if (!ok || s.bytes_left != 0)
		return err_set(err, ERR_PROTO, "malformed ServerMessage: %s",
		    PB_GET_ERROR(&s));
	return 0;
}

int
proto_get_client(const uint8_t *p, size_t n, struct client_message *m,
    struct err *err)
{
	plugin_ClientMessage msg = plugin_ClientMessage_init_zero;
	pb_istream_t s = pb_istream_from_buffer(p, n);

	if (!pb_decode(&s, plugin_ClientMessage_fields, &msg))
		return err_set(err, ERR_PROTO, "malformed ClientMessage: %s",
		    PB_GET_ERROR(&s));
	m->has_ack = msg.which_msg == plugin_ClientMessage_ack_tag;
	m->ack_lsn = m->has_ack ? msg.msg.ack.pg_lsn : 0;
	return 0;
}

void
proto_put_ack(struct buf *out, lsn_t lsn)
{
	plugin_ClientMessage msg = plugin_ClientMessage_init_zero;
	uint8_t *to = buf_room(out, OVERHEAD);
	pb_ostream_t s;

	if (to == NULL)
		return;
	msg.which_msg = plugin_ClientMessage_ack_tag;
	msg.msg.ack.pg_lsn = lsn;
	s = pb_ostream_from_buffer(to, OVERHEAD);
	if (pb_encode(&s, plugin_ClientMessage_fields, &msg))
		buf_added(out, s.bytes_written);
	else
		out->failed = true;
}
