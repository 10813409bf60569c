#include <pb_decode.h>
#include <stdlib.h>
#include <string.h>

#include "event/proto.h"
#include "event/proto_pb.h"
#include "plugin.pb.h"

/* What clients send, both ways; the other direction is in proto.c. */

/* A ClientMessage being read. */
struct reading {
	struct client_message *m;
	bool limit;  /* it failed at a limit, not at its encoding */
	bool memory; /* or for want of memory */
};

static bool
over_limit(struct reading *r)
{
	r->limit = true;
	return false;
}

static bool
get_string(pb_istream_t *s, struct reading *r, char *to)
{
	size_t n = s->bytes_left;

	if (n > START_MAX_STRING)
		return over_limit(r);
	if (!pb_read(s, (pb_byte_t *)to, n))
		return false;
	to[n] = '\0';
	return strlen(to) == n || over_limit(r); /* a NUL in a name */
}

static bool
get_identifier(pb_istream_t *s, const pb_field_t *field, void **arg)
{
	struct reading *r = *arg;

	(void)field;
	return get_string(s, r, r->m->start.system_identifier);
}

static bool
get_consumer(pb_istream_t *s, const pb_field_t *field, void **arg)
{
	struct reading *r = *arg;

	(void)field;
	return get_string(s, r, r->m->start.consumer);
}

/* One more of a list of globs. */
static bool
get_glob(pb_istream_t *s, struct reading *r, char **list, size_t *n)
{
	char glob[START_MAX_STRING + 1];

	if (*n == START_MAX_TABLES)
		return over_limit(r);
	if (!get_string(s, r, glob))
		return false;
	if ((list[*n] = strdup(glob)) == NULL) {
		r->memory = true;
		return false;
	}
	(*n)++;
	return true;
}

static bool
get_table(pb_istream_t *s, const pb_field_t *field, void **arg)
{
	struct reading *r = *arg;
	struct start *st = &r->m->start;

	(void)field;
	return get_glob(s, r, st->table, &st->tables);
}

static bool
get_prefix(pb_istream_t *s, const pb_field_t *field, void **arg)
{
	struct reading *r = *arg;
	struct start *st = &r->m->start;

	(void)field;
	return get_glob(s, r, st->message, &st->messages);
}

static bool
get_operation(pb_istream_t *s, const pb_field_t *field, void **arg)
{
	struct reading *r = *arg;
	uint64_t op;

	(void)field;
	while (s->bytes_left > 0) {
		if (!pb_decode_varint(s, &op))
			return false;
		if (op < EVENT_INSERT || op > EVENT_TRUNCATE)
			return over_limit(r);
		r->m->start.operations |= 1u << op;
	}
	return true;
}

static pb_callback_t
decoder(bool (*get)(pb_istream_t *, const pb_field_t *, void **),
    struct reading *r)
{
	pb_callback_t cb = { .funcs.decode = get, .arg = r };

	return cb;
}

static bool
get_start(pb_istream_t *s, struct reading *r)
{
	struct start *st = &r->m->start;
	plugin_Start m = plugin_Start_init_zero;

	m.tables = decoder(get_table, r);
	m.messages = decoder(get_prefix, r);
	m.operations = decoder(get_operation, r);
	m.system_identifier = decoder(get_identifier, r);
	m.consumer = decoder(get_consumer, r);
	if (!pb_decode(s, plugin_Start_fields, &m))
		return false;
	st->after_lsn = m.after_lsn;
	st->observer = m.observer;
	st->batch = m.batch;
	st->exact = m.exact;
	st->relations = m.relations;
	st->max_batch_bytes = m.max_batch_bytes;
	st->progress_interval_ms = m.progress_interval_ms;
	return true;
}

/* One field of a ClientMessage; the last member of the oneof counts. */
static bool
get_member(pb_istream_t *s, uint32_t tag, void *arg)
{
	plugin_ClientAck ack = plugin_ClientAck_init_zero;
	struct reading *r = arg;
	struct client_message *m = r->m;

	if (tag != plugin_ClientMessage_ack_tag &&
	    tag != plugin_ClientMessage_start_tag)
		return true;
	proto_start_free(&m->start);
	memset(m, 0, sizeof(*m));
	if (s == NULL)
		return false;
	if (tag == plugin_ClientMessage_start_tag)
		return m->has_start = get_start(s, r);
	m->has_ack = pb_decode(s, plugin_ClientAck_fields, &ack);
	m->ack_lsn = ack.pg_lsn;
	return m->has_ack;
}

int
proto_get_client(const uint8_t *p, size_t n, struct client_message *m,
    struct err *err)
{
	pb_istream_t s = pb_istream_from_buffer(p, n);
	struct reading r = { m, false, false };

	memset(m, 0, sizeof(*m));
	if (proto_fields(&s, get_member, &r))
		return 0;
	proto_start_free(&m->start);
	if (r.limit)
		return err_set(err, ERR_USAGE,
		    "start: an unknown operation, a string of more than %d "
		    "bytes, or more than %d tables or messages",
		    START_MAX_STRING, START_MAX_TABLES);
	if (r.memory)
		return err_set(err, ERR_NOMEM, "out of memory");
	return err_set(err, ERR_PROTO, "malformed ClientMessage");
}

void
proto_start_free(struct start *st)
{
	while (st->tables > 0)
		free(st->table[--st->tables]);
	while (st->messages > 0)
		free(st->message[--st->messages]);
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
put_globs(pb_ostream_t *s, const pb_field_t *field, char *const *glob, size_t n)
{
	/* An empty one, too: none at all would mean all. */
	for (size_t i = 0; i < n; i++)
		if (!pb_encode_tag_for_field(s, field) ||
		    !pb_encode_string(s, (const pb_byte_t *)glob[i],
			strlen(glob[i])))
			return false;
	return true;
}

static bool
put_tables(pb_ostream_t *s, const pb_field_t *field, void *const *arg)
{
	const struct start *st = *arg;

	return put_globs(s, field, st->table, st->tables);
}

static bool
put_prefixes(pb_ostream_t *s, const pb_field_t *field, void *const *arg)
{
	const struct start *st = *arg;

	return put_globs(s, field, st->message, st->messages);
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
	for (size_t i = 0; i < st->messages; i++)
		text += strlen(st->message[i]) + 4;
	m.tables = (pb_callback_t){ .funcs.encode = put_tables, .arg = arg.v };
	m.messages =
	    (pb_callback_t){ .funcs.encode = put_prefixes, .arg = arg.v };
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
	m.relations = st->relations;
	if (proto_begin(&s, out, text))
		proto_end(&s, out,
		    pb_encode_tag(&s, PB_WT_STRING,
			plugin_ClientMessage_start_tag) &&
			pb_encode_submessage(&s, plugin_Start_fields, &m));
}
