#include "cli/print.h"

#include <inttypes.h>
#include <string.h>

#include "event/json.h"

/* As it came, but on one line: a line break in JSON is white space between
 * tokens, since strings have theirs escaped. */
static void
put_payload(struct buf *out, const struct event *e)
{
	uint8_t *to = buf_room(out, e->json_len);

	if (to == NULL)
		return;
	memcpy(to, e->json, e->json_len);
	for (size_t i = 0; i < e->json_len; i++)
		if (to[i] == '\n' || to[i] == '\r')
			to[i] = ' ';
	buf_added(out, e->json_len);
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

void
print_json(struct buf *out, const struct event *e, bool detail)
{
	buf_putf(out, "{\"op\":\"%s\",\"pg_lsn\":\"" LSN_FMT "\"",
	    event_op_name(e->op), LSN_ARG(e->pg_lsn));
	if (detail)
		put_detail(out, e);
	if (e->schema != NULL) {
		buf_put_str(out, ",\"schema\":");
		json_put_string(out, e->schema, strlen(e->schema));
		buf_put_str(out, ",\"table\":");
		json_put_string(out, e->table, strlen(e->table));
	}
	if (e->json != NULL) {
		buf_put_str(out, ",\"payload\":");
		put_payload(out, e);
	}
	buf_put_str(out, "}\n");
}

void
print_pretty(struct buf *out, const struct event *e, bool detail)
{
	buf_putf(out, LSN_FMT " %-8s", LSN_ARG(e->pg_lsn),
	    event_op_name(e->op));
	if (detail && e->txn.commit_lsn != 0)
		buf_putf(out, " xid %" PRIu32, e->txn.xid);
	if (e->schema != NULL)
		buf_putf(out, " %s.%s", e->schema, e->table);
	if (e->json != NULL) {
		buf_put_u8(out, ' ');
		put_payload(out, e);
	}
	buf_put_u8(out, '\n');
}
