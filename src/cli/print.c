#include "cli/print.h"

#include <inttypes.h>
#include <string.h>

#include "base/b64.h"
#include "event/json.h"

/* As it came, but on one line: a line break in JSON is white space between
 * tokens, since strings have theirs escaped. */
static void
put_payload(struct buf *out, struct event_text text)
{
	uint8_t *to = buf_room(out, text.len);

	if (to == NULL)
		return;
	memcpy(to, text.p, text.len);
	for (size_t i = 0; i < text.len; i++)
		if (to[i] == '\n' || to[i] == '\r')
			to[i] = ' ';
	buf_added(out, text.len);
}

/* ,"key":"value" */
static void
put_string(struct buf *out, const char *key, const char *value)
{
	buf_putf(out, ",\"%s\":", key);
	json_put_string(out, value, strlen(value));
}

static void
put_detail(struct buf *out, const struct event *e)
{
	if (e->txn.commit_lsn == 0)
		return;
	buf_putf(out,
	    ",\"commit_lsn\":\"" LSN_FMT "\",\"xid\":%" PRIu32
	    ",\"commit_time_us\":%" PRId64,
	    LSN_ARG(e->txn.commit_lsn), e->txn.xid, e->txn.commit_us);
	if (e->op == EVENT_COMMIT)
		buf_putf(out, ",\"event_count\":%" PRIu32, e->seq);
	else if (e->op != EVENT_BEGIN)
		buf_putf(out, ",\"seq\":%" PRIu32, e->seq);
}

static void
put_unchanged(struct buf *out, struct event_text names)
{
	const char *p, *end = names.p + names.len;
	char sep = '[';

	buf_put_str(out, ",\"unchanged\":");
	for (p = names.p; p < end; p += strlen(p) + 1) {
		buf_put_u8(out, (uint8_t)sep);
		json_put_string(out, p, strlen(p));
		sep = ',';
	}
	buf_put_u8(out, ']');
}

static void
put_row(struct buf *out, const struct event *e)
{
	if (e->json.p != NULL) {
		buf_put_str(out, ",\"payload\":");
		put_payload(out, e->json);
	}
	if (e->old.p != NULL) {
		buf_put_str(out, ",\"old\":");
		put_payload(out, e->old);
	}
	if (e->unchanged.len > 0)
		put_unchanged(out, e->unchanged);
	if (e->identity != 0)
		put_string(out, "identity", e->identity == 1 ? "key" : "full");
	if (e->cascade)
		buf_put_str(out, ",\"cascade\":true");
	if (e->restart_identity)
		buf_put_str(out, ",\"restart_identity\":true");
}

static void
put_relation(struct buf *out, const struct event *e)
{
	static const char *const identity[] = { "", "default", "nothing",
		"full", "index" };
	const struct event_column *c;

	put_string(out, "replica_identity",
	    e->identity > 0 && e->identity < 5 ? identity[e->identity] : "");
	buf_put_str(out, ",\"columns\":[");
	for (c = e->column; c < e->column + e->columns; c++) {
		buf_put_str(out, c == e->column ? "{\"name\":" : ",{\"name\":");
		json_put_string(out, c->name, strlen(c->name));
		put_string(out, "type", c->type_name);
		buf_putf(out,
		    ",\"type_oid\":%" PRIu32 ",\"typmod\":%" PRId32
		    ",\"key\":%s}",
		    c->type_oid, c->typmod, c->key ? "true" : "false");
	}
	buf_put_u8(out, ']');
}

/* The content is any bytes: base64, as protobuf's JSON has it. */
static void
put_message(struct buf *out, const struct event *e)
{
	size_t len = B64_ENCODED_LEN(e->content.len);
	uint8_t *to;

	buf_putf(out, ",\"transactional\":%s",
	    e->transactional ? "true" : "false");
	put_string(out, "prefix", e->prefix);
	buf_put_str(out, ",\"content\":\"");
	to = buf_room(out, len + 1);
	if (to != NULL) {
		b64_encode((char *)to, (const uint8_t *)e->content.p,
		    e->content.len);
		buf_added(out, len);
	}
	buf_put_u8(out, '"');
}

void
print_json(struct buf *out, const struct event *e, bool detail)
{
	buf_putf(out, "{\"op\":\"%s\"", event_op_name(e->op));
	if (e->op == EVENT_RELATION)
		buf_putf(out, ",\"oid\":%" PRIu32, e->oid);
	else
		buf_putf(out, ",\"pg_lsn\":\"" LSN_FMT "\"",
		    LSN_ARG(e->pg_lsn));
	if (detail)
		put_detail(out, e);
	if (e->schema != NULL) {
		put_string(out, "schema", e->schema);
		put_string(out, "table", e->table);
	}
	if (e->op == EVENT_RELATION)
		put_relation(out, e);
	else if (e->op == EVENT_MESSAGE)
		put_message(out, e);
	else
		put_row(out, e);
	buf_put_str(out, "}\n");
}

void
print_pretty(struct buf *out, const struct event *e, bool detail)
{
	if (e->op == EVENT_RELATION)
		buf_putf(out, "%u", e->oid);
	else
		buf_putf(out, LSN_FMT, LSN_ARG(e->pg_lsn));
	buf_putf(out, " %-8s", event_op_name(e->op));
	if (detail && e->txn.commit_lsn != 0)
		buf_putf(out, " xid %" PRIu32, e->txn.xid);
	if (e->schema != NULL)
		buf_putf(out, " %s.%s", e->schema, e->table);
	if (e->op == EVENT_MESSAGE)
		buf_putf(out, " %s, %zu bytes", e->prefix, e->content.len);
	for (size_t i = 0; i < e->columns; i++)
		buf_putf(out, "%s%s %s", i == 0 ? " (" : ", ",
		    e->column[i].name, e->column[i].type_name);
	if (e->columns > 0)
		buf_put_u8(out, ')');
	if (e->json.p != NULL) {
		buf_put_u8(out, ' ');
		put_payload(out, e->json);
	}
	if (e->old.p != NULL) {
		buf_put_str(out, " was ");
		put_payload(out, e->old);
	}
	buf_put_str(out, e->cascade ? " cascade" : "");
	buf_put_str(out, e->restart_identity ? " restart identity\n" : "\n");
}
