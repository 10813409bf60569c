#include <pb_decode.h>
#include <stdlib.h>
#include <string.h>

#include "event/proto.h"
#include "event/proto_pb.h"
#include "plugin.pb.h"

/* What clients send, both ways; the other direction is in proto.c. */

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
get_member(pb_istream_t *s, uint32_t tag, void *arg)
{
	plugin_ClientAck ack = plugin_ClientAck_init_zero;
	struct client_message *m = arg;

	if (tag != plugin_ClientMessage_ack_tag &&
	    tag != plugin_ClientMessage_start_tag)
		return true;
	proto_start_free(&m->start);
	memset(m, 0, sizeof(*m));
	m->has_start = tag == plugin_ClientMessage_start_tag;
	m->has_ack = !m->has_start;
	if (m->has_start)
		return s != NULL && get_start(s, &m->start);
	if (s == NULL || !pb_decode(s, plugin_ClientAck_fields, &ack))
		return false;
	m->ack_lsn = ack.pg_lsn;
	return true;
}

int
proto_get_client(const uint8_t *p, size_t n, struct client_message *m,
    struct err *err)
{
	pb_istream_t s = pb_istream_from_buffer(p, n);

	memset(m, 0, sizeof(*m));
	if (proto_fields(&s, get_member, m))
		return 0;
	proto_start_free(&m->start);
	if (m->has_start)
		return err_set(err, ERR_USAGE,
		    "start: malformed, an unknown operation, a string of more "
		    "than %d bytes or more than %d tables",
		    START_MAX_STRING, START_MAX_TABLES);
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

	if (proto_begin(&s, out, 0))
		proto_end(&s, out,
		    pb_encode_tag(&s, PB_WT_STRING,
			plugin_ClientMessage_ack_tag) &&
			pb_encode_submessage(&s, plugin_ClientAck_fields,
			    &ack));
}

static bool
put_tables(pb_ostream_t *s, const pb_field_t *field, void *const *arg)
{
	const struct start *st = *arg;
	struct proto_text t;
	void *one = &t;

	for (size_t i = 0; i < st->tables; i++) {
		t = proto_text_of(st->table[i]);
		if (!proto_put_text(s, field, &one))
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
	struct proto_text id = proto_text_of(st->system_identifier);
	struct proto_text consumer = proto_text_of(st->consumer);
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
	m.operations =
	    (pb_callback_t){ .funcs.encode = put_operations, .arg = arg.v };
	m.after_lsn = st->after_lsn;
	m.system_identifier = proto_writer(&id);
	m.consumer = proto_writer(&consumer);
	m.observer = st->observer;
	m.batch = st->batch;
	m.max_batch_bytes = st->max_batch_bytes;
	m.progress_interval_ms = st->progress_interval_ms;
	m.exact = st->exact;
	if (proto_begin(&s, out, text))
		proto_end(&s, out,
		    pb_encode_tag(&s, PB_WT_STRING,
			plugin_ClientMessage_start_tag) &&
			pb_encode_submessage(&s, plugin_Start_fields, &m));
}
