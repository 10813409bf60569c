#include "pg/replication.h"

#include <string.h>

#include "pg/wire.h"

void
repl_quote_ident(struct buf *sql, const char *s)
{
	buf_put_u8(sql, '"');
	for (; *s != '\0'; s++) {
		if (*s == '"')
			buf_put_u8(sql, '"');
		buf_put_u8(sql, (uint8_t)*s);
	}
	buf_put_u8(sql, '"');
}

void
repl_quote_literal(struct buf *sql, const char *s)
{
	/* As PQescapeLiteral: a backslash makes it an E'' string, which reads
	 * the same whatever standard_conforming_strings says. */
	if (strchr(s, '\\') != NULL)
		buf_put_str(sql, " E");
	buf_put_u8(sql, '\'');
	for (; *s != '\0'; s++) {
		if (*s == '\'' || *s == '\\')
			buf_put_u8(sql, (uint8_t)*s);
		buf_put_u8(sql, (uint8_t)*s);
	}
	buf_put_u8(sql, '\'');
}

int
repl_check_slot_name(const char *slot, struct err *err)
{
	size_t n = strlen(slot), ok;

	ok = strspn(slot, "abcdefghijklmnopqrstuvwxyz0123456789_");
	if (n == 0)
		return err_set(err, ERR_USAGE, "the slot name is empty");
	if (ok != n)
		return err_set(err, ERR_USAGE,
		    "slot name \"%.100s\" contains "
		    "the character '%c': PostgreSQL allows lower-case letters, "
		    "digits and underscores",
		    slot, slot[ok]);
	if (n > REPL_MAX_SLOT)
		return err_set(err, ERR_USAGE,
		    "slot name \"%.100s\" is longer "
		    "than %d characters",
		    slot, REPL_MAX_SLOT);
	return 0;
}

void
repl_create_slot(struct buf *sql, const char *slot, bool temporary,
    bool failover, int version)
{
	buf_put_str(sql, "CREATE_REPLICATION_SLOT ");
	repl_quote_ident(sql, slot);
	if (temporary)
		buf_put_str(sql, " TEMPORARY");
	buf_put_str(sql, " LOGICAL pgoutput");
	if (version < 150000)
		buf_put_str(sql, " NOEXPORT_SNAPSHOT");
	else
		buf_putf(sql, " (SNAPSHOT 'nothing'%s)",
		    failover ? ", FAILOVER true" : "");
}

void
repl_drop_slot(struct buf *sql, const char *slot)
{
	buf_put_str(sql, "DROP_REPLICATION_SLOT ");
	repl_quote_ident(sql, slot);
}

/* The value of publication_names is a list of identifiers inside a literal of
 * the replication grammar, where only '' is special. */
static void
put_publications(struct buf *sql, const char *const *publication, size_t n)
{
	struct buf ident;
	const char *s;

	buf_init(&ident, 16384);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_put_u8(&ident, ',');
		repl_quote_ident(&ident, publication[i]);
	}
	buf_put_u8(sql, '\'');
	for (s = buf_cstr(&ident); *s != '\0'; s++) {
		if (*s == '\'')
			buf_put_u8(sql, '\'');
		buf_put_u8(sql, (uint8_t)*s);
	}
	buf_put_u8(sql, '\'');
	sql->failed |= ident.failed;
	buf_free(&ident);
}

void
repl_start(struct buf *sql, const char *slot, lsn_t lsn,
    const char *const *publication, size_t publications, bool messages)
{
	buf_put_str(sql, "START_REPLICATION SLOT ");
	repl_quote_ident(sql, slot);
	buf_putf(sql,
	    " LOGICAL " LSN_FMT " (proto_version '1', "
	    "publication_names ",
	    LSN_ARG(lsn));
	put_publications(sql, publication, publications);
	buf_put_str(sql, messages ? ", messages 'true')" : ")");
}

int
repl_parse(const uint8_t *body, size_t len, struct repl_msg *msg,
    struct err *err)
{
	struct rd r = rd_make(body, len);

	memset(msg, 0, sizeof(*msg));
	msg->type = (char)rd_u8(&r);
	switch (msg->type) {
	case REPL_XLOG_DATA:
		msg->start_lsn = rd_u64(&r);
		msg->wal_end = rd_u64(&r);
		msg->sent_at = (int64_t)rd_u64(&r);
		msg->len = rd_left(&r);
		msg->data = rd_bytes(&r, msg->len);
		break;
	case REPL_KEEPALIVE:
		msg->wal_end = rd_u64(&r);
		msg->sent_at = (int64_t)rd_u64(&r);
		msg->reply = rd_u8(&r) != 0;
		break;
	default: /* a later version's; PostgreSQL ignores them too */
		return r.bad ? err_set(err, ERR_PROTO,
				   "the walsender sent an empty message")
			     : 0;
	}
	if (!rd_done(&r))
		return err_set(err, ERR_PROTO,
		    "the walsender sent a message "
		    "of type '%c' with a wrong length",
		    msg->type);
	return 0;
}

void
repl_put_status(struct buf *out, lsn_t write, lsn_t flush, int64_t now,
    bool reply)
{
	struct buf body;

	buf_init(&body, 64);
	buf_put_u8(&body, 'r');
	buf_put_u64(&body, write);
	buf_put_u64(&body, flush);
	buf_put_u64(&body, flush); /* applied */
	buf_put_u64(&body, (uint64_t)now);
	buf_put_u8(&body, reply);
	wire_put_copy_data(out, buf_head(&body), buf_unread(&body));
	out->failed |= body.failed;
	buf_free(&body);
}
