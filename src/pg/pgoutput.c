#include "pg/pgoutput.h"

#include <stdlib.h>
#include <string.h>

#include "base/rd.h"

/*
 * message  := 'B' final_lsn:8 time:8 xid:4
 *	     | 'C' flags:1 commit_lsn:8 end_lsn:8 time:8
 *	     | 'O' lsn:8 name
 *	     | 'R' oid:4 schema name identity:1 n:2 n*(flags:1 name type:4 mod:4)
 *	     | 'Y' oid:4 schema name
 *	     | 'I' oid:4 'N' tuple
 *	     | 'U' oid:4 [('K' | 'O') tuple] 'N' tuple
 *	     | 'D' oid:4 ('K' | 'O') tuple
 *	     | 'T' n:4 flags:1 n*oid:4
 *	     | 'M' flags:1 lsn:8 prefix len:4 bytes
 *	     | 'A' xid:4 subxid:4
 * tuple    := n:2 n*('n' | 'u' | 't' len:4 bytes)
 */

struct pgo_decoder {
	struct pgo_attr attr[PGO_MAX_COLUMNS];
	struct pgo_col old_col[PGO_MAX_COLUMNS];
	struct pgo_col new_col[PGO_MAX_COLUMNS];
	uint32_t *oid; /* of one TRUNCATE */
	uint32_t oid_cap;
};

struct pgo_decoder *
pgo_new(void)
{
	return calloc(1, sizeof(struct pgo_decoder));
}

void
pgo_del(struct pgo_decoder *d)
{
	if (d == NULL)
		return;
	free(d->oid);
	free(d);
}

/* Each reader takes the fields; what was missing shows in r->bad at the end.
 * They return -1 only for what would not show there. */

static int
read_begin(struct pgo_decoder *d, struct rd *r, struct pgo_msg *m)
{
	(void)d;
	m->begin.final_lsn = rd_u64(r);
	m->begin.commit_at = (int64_t)rd_u64(r);
	m->begin.xid = rd_u32(r);
	return m->begin.final_lsn == 0 ? -1 : 0;
}

static int
read_commit(struct pgo_decoder *d, struct rd *r, struct pgo_msg *m)
{
	(void)d;
	(void)rd_u8(r); /* flags, unused */
	m->commit.commit_lsn = rd_u64(r);
	m->commit.end_lsn = rd_u64(r);
	m->commit.commit_at = (int64_t)rd_u64(r);
	return m->commit.end_lsn <= m->commit.commit_lsn ? -1 : 0;
}

static int
read_origin(struct pgo_decoder *d, struct rd *r, struct pgo_msg *m)
{
	(void)d;
	(void)m;
	(void)rd_u64(r);
	(void)rd_cstr(r);
	return 0;
}

static int
read_type(struct pgo_decoder *d, struct rd *r, struct pgo_msg *m)
{
	(void)d;
	(void)m;
	(void)rd_u32(r);
	(void)rd_cstr(r);
	(void)rd_cstr(r);
	return 0;
}

static int
read_relation(struct pgo_decoder *d, struct rd *r, struct pgo_msg *m)
{
	struct pgo_relation *rel = &m->relation;

	rel->oid = rd_u32(r);
	rel->schema = rd_cstr(r);
	if (*rel->schema == '\0')
		rel->schema = "pg_catalog";
	rel->name = rd_cstr(r);
	rel->identity = (char)rd_u8(r);
	rel->n = rd_u16(r);
	rel->attr = d->attr;
	if (rel->n > PGO_MAX_COLUMNS)
		return -1;
	for (uint16_t i = 0; i < rel->n && !r->bad; i++) {
		d->attr[i].key = (rd_u8(r) & 1) != 0;
		d->attr[i].name = rd_cstr(r);
		d->attr[i].type_oid = rd_u32(r);
		d->attr[i].typmod = (int32_t)rd_u32(r);
	}
	return 0;
}

static int
read_tuple(struct rd *r, struct pgo_tuple *t, struct pgo_col *col)
{
	t->n = rd_u16(r);
	t->col = col;
	t->bytes = (const char *)r->p;
	if (t->n > PGO_MAX_COLUMNS)
		return -1;
	for (uint16_t i = 0; i < t->n && !r->bad; i++) {
		col[i].kind = (char)rd_u8(r);
		col[i].len = 0;
		col[i].data = NULL;
		switch (col[i].kind) {
		case PGO_NULL:
		case PGO_UNCHANGED:
			break;
		case PGO_TEXT:
			col[i].len = rd_u32(r);
			col[i].data = (const char *)rd_bytes(r, col[i].len);
			break;
		default:
			return -1;
		}
	}
	t->len = (size_t)((const char *)r->p - t->bytes);
	return 0;
}

/* Insert, update and delete: an old tuple where the type has one, then a new
 * one where it has one. */
static int
read_change(struct pgo_decoder *d, struct rd *r, struct pgo_msg *m)
{
	struct pgo_change *c = &m->change;
	char mark;

	c->oid = rd_u32(r);
	c->old_kind = 0;
	c->old_row.n = c->new_row.n = 0;
	mark = (char)rd_u8(r);
	if (m->type != PGO_INSERT && (mark == 'K' || mark == 'O')) {
		c->old_kind = mark;
		if (read_tuple(r, &c->old_row, d->old_col) == -1)
			return -1;
		if (m->type == PGO_DELETE)
			return 0;
		mark = (char)rd_u8(r);
	}
	if (mark != 'N' || m->type == PGO_DELETE)
		return -1;
	return read_tuple(r, &c->new_row, d->new_col);
}

static int
read_truncate(struct pgo_decoder *d, struct rd *r, struct pgo_msg *m)
{
	struct pgo_truncate *t = &m->truncate;
	uint8_t flags;
	uint32_t *oid;

	t->n = rd_u32(r);
	flags = rd_u8(r);
	t->cascade = (flags & 1) != 0;
	t->restart_identity = (flags & 2) != 0;
	if (rd_left(r) != (uint64_t)t->n * 4)
		return -1;
	if (t->n > d->oid_cap) {
		if ((oid = realloc(d->oid, t->n * sizeof(*oid))) == NULL)
			return -1;
		d->oid = oid;
		d->oid_cap = t->n;
	}
	for (uint32_t i = 0; i < t->n; i++)
		d->oid[i] = rd_u32(r);
	t->oid = d->oid;
	return 0;
}

static int
read_message(struct pgo_decoder *d, struct rd *r, struct pgo_msg *m)
{
	(void)d;
	m->message.transactional = (rd_u8(r) & 1) != 0;
	m->message.lsn = rd_u64(r);
	m->message.prefix = rd_cstr(r);
	m->message.len = rd_u32(r);
	m->message.content = rd_bytes(r, m->message.len);
	return 0;
}

static int
read_stream_abort(struct pgo_decoder *d, struct rd *r, struct pgo_msg *m)
{
	(void)d;
	(void)m;
	(void)rd_u32(r);
	(void)rd_u32(r);
	return 0;
}

static const struct {
	char type;
	const char *name;
	int (*read)(struct pgo_decoder *, struct rd *, struct pgo_msg *);
} readers[] = {
	{ PGO_INSERT, "Insert", read_change },
	{ PGO_UPDATE, "Update", read_change },
	{ PGO_DELETE, "Delete", read_change },
	{ PGO_BEGIN, "Begin", read_begin },
	{ PGO_COMMIT, "Commit", read_commit },
	{ PGO_RELATION, "Relation", read_relation },
	{ PGO_TYPE, "Type", read_type },
	{ PGO_TRUNCATE, "Truncate", read_truncate },
	{ PGO_ORIGIN, "Origin", read_origin },
	{ PGO_MESSAGE, "Message", read_message },
	{ PGO_STREAM_ABORT, "Stream Abort", read_stream_abort },
};

int
pgo_decode(struct pgo_decoder *d, const uint8_t *p, size_t len,
    struct pgo_msg *msg, struct err *err)
{
	struct rd r = rd_make(p, len);

	msg->type = (char)rd_u8(&r);
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
		if (readers[i].type != msg->type)
			continue;
		if (readers[i].read(d, &r, msg) == -1 || !rd_done(&r))
			return err_set(err, ERR_PROTO,
			    "pgoutput: malformed "
			    "%s message of %zu bytes",
			    readers[i].name, len);
		return 0;
	}
	return err_set(err, ERR_PROTO, "pgoutput: unknown message type 0x%02x",
	    (unsigned char)msg->type);
}
