#ifndef TESTS_PGO_H
#define TESTS_PGO_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/lsn.h"
#include "pg/pgoutput.h"

/*
 * Appends pgoutput messages as PostgreSQL's walsender builds them. Nothing is
 * checked: what is asked for is what is written.
 */

/* In a row NULL stands for NULL, and this for a TOASTed value that was not
 * changed. It is known by its address. */
static const char pgo_toast[] = "unchanged";

static inline void
pgo_put_begin(struct buf *b, lsn_t final_lsn, int64_t at, uint32_t xid)
{
	buf_put_u8(b, 'B');
	buf_put_u64(b, final_lsn);
	buf_put_u64(b, (uint64_t)at);
	buf_put_u32(b, xid);
}

static inline void
pgo_put_commit(struct buf *b, lsn_t commit_lsn, lsn_t end_lsn, int64_t at)
{
	buf_put_u8(b, 'C');
	buf_put_u8(b, 0);
	buf_put_u64(b, commit_lsn);
	buf_put_u64(b, end_lsn);
	buf_put_u64(b, (uint64_t)at);
}

static inline void
pgo_put_origin(struct buf *b, lsn_t lsn, const char *name)
{
	buf_put_u8(b, 'O');
	buf_put_u64(b, lsn);
	buf_put_cstr(b, name);
}

static inline void
pgo_put_type(struct buf *b, uint32_t oid, const char *schema, const char *name)
{
	buf_put_u8(b, 'Y');
	buf_put_u32(b, oid);
	buf_put_cstr(b, schema);
	buf_put_cstr(b, name);
}

static inline void
pgo_put_relation(struct buf *b, const struct pgo_relation *rel)
{
	buf_put_u8(b, 'R');
	buf_put_u32(b, rel->oid);
	buf_put_cstr(b, rel->schema);
	buf_put_cstr(b, rel->name);
	buf_put_u8(b, (uint8_t)rel->identity);
	buf_put_u16(b, rel->n);
	for (uint16_t i = 0; i < rel->n; i++) {
		buf_put_u8(b, rel->attr[i].key);
		buf_put_cstr(b, rel->attr[i].name);
		buf_put_u32(b, rel->attr[i].type_oid);
		buf_put_u32(b, (uint32_t)rel->attr[i].typmod);
	}
}

/* What stands before a row: 'N', 'K' or 'O'. */
static inline void
pgo_put_row(struct buf *b, char mark, const char *const *value, uint16_t n)
{
	buf_put_u8(b, (uint8_t)mark);
	buf_put_u16(b, n);
	for (uint16_t i = 0; i < n; i++) {
		if (value[i] == NULL || value[i] == pgo_toast) {
			buf_put_u8(b, value[i] == NULL ? 'n' : 'u');
			continue;
		}
		buf_put_u8(b, 't');
		buf_put_u32(b, (uint32_t)strlen(value[i]));
		buf_put_str(b, value[i]);
	}
}

/* type 'I', 'U' or 'D'; its rows follow. */
static inline void
pgo_put_change(struct buf *b, char type, uint32_t oid)
{
	buf_put_u8(b, (uint8_t)type);
	buf_put_u32(b, oid);
}

static inline void
pgo_put_truncate(struct buf *b, uint8_t flags, const uint32_t *oid, uint32_t n)
{
	buf_put_u8(b, 'T');
	buf_put_u32(b, n);
	buf_put_u8(b, flags);
	for (uint32_t i = 0; i < n; i++)
		buf_put_u32(b, oid[i]);
}

static inline void
pgo_put_message(struct buf *b, uint8_t flags, lsn_t lsn, const char *prefix,
    const char *content, uint32_t len)
{
	buf_put_u8(b, 'M');
	buf_put_u8(b, flags);
	buf_put_u64(b, lsn);
	buf_put_cstr(b, prefix);
	buf_put_u32(b, len);
	buf_put(b, content, len);
}

static inline void
pgo_put_stream_abort(struct buf *b, uint32_t xid, uint32_t subxid)
{
	buf_put_u8(b, 'A');
	buf_put_u32(b, xid);
	buf_put_u32(b, subxid);
}

/*
 * One valid message of each kind. Text, NULL, the empty string, a TOASTed
 * value, numbers that are not what they are when signed: all are in them.
 */
enum pgo_sample {
	SAMPLE_BEGIN,
	SAMPLE_COMMIT,
	SAMPLE_ORIGIN,
	SAMPLE_RELATION,
	SAMPLE_TYPE,
	SAMPLE_INSERT,
	SAMPLE_UPDATE,
	SAMPLE_UPDATE_KEY,
	SAMPLE_UPDATE_FULL,
	SAMPLE_DELETE_KEY,
	SAMPLE_DELETE_FULL,
	SAMPLE_TRUNCATE,
	SAMPLE_MESSAGE,
	SAMPLE_STREAM_ABORT,
	PGO_SAMPLES
};

#define SAMPLE_C UINT64_C(0x8000000001000028)
#define SAMPLE_E UINT64_C(0x8000000001000060)
#define SAMPLE_AT (-INT64_C(123456789))
#define SAMPLE_OID 2147516033

static const struct pgo_attr sample_attrs[] = { { true, "id", 23, -1 },
	{ false, "na\"me", 1043, 24 }, { false, "", 4294967295, -1 } };
static const struct pgo_relation sample_relation = { SAMPLE_OID, "public", "t",
	'd', 3, sample_attrs };
static const char *const sample_row[] = { "1", NULL, "" };
static const char *const sample_toast[] = { "12", "\xc3\xa9", pgo_toast };
static const char *const sample_key[] = { "0", NULL, NULL };
static const uint32_t sample_oids[] = { SAMPLE_OID, 4294967295, 7 };

static inline void
pgo_put_sample_change(struct buf *b, enum pgo_sample which)
{
	char type = which == SAMPLE_INSERT ? 'I'
	    : which >= SAMPLE_DELETE_KEY   ? 'D'
					   : 'U';

	pgo_put_change(b, type, SAMPLE_OID);
	if (which == SAMPLE_UPDATE_KEY || which == SAMPLE_DELETE_KEY)
		pgo_put_row(b, 'K', sample_key, 3);
	if (which == SAMPLE_UPDATE_FULL || which == SAMPLE_DELETE_FULL)
		pgo_put_row(b, 'O', sample_row, 3);
	if (type == 'I')
		pgo_put_row(b, 'N', sample_row, 3);
	if (type == 'U')
		pgo_put_row(b, 'N', sample_toast, 3);
}

static inline void
pgo_put_sample(struct buf *b, enum pgo_sample which)
{
	switch (which) {
	case SAMPLE_BEGIN:
		pgo_put_begin(b, SAMPLE_C, SAMPLE_AT, 4294967295);
		break;
	case SAMPLE_COMMIT:
		pgo_put_commit(b, SAMPLE_C, SAMPLE_E, SAMPLE_AT);
		break;
	case SAMPLE_ORIGIN:
		pgo_put_origin(b, SAMPLE_C, "origin");
		break;
	case SAMPLE_RELATION:
		pgo_put_relation(b, &sample_relation);
		break;
	case SAMPLE_TYPE:
		pgo_put_type(b, 16390, "public", "mood");
		break;
	case SAMPLE_TRUNCATE:
		pgo_put_truncate(b, 1, sample_oids, 3);
		break;
	case SAMPLE_MESSAGE:
		pgo_put_message(b, 1, SAMPLE_C, "prefix", "con\0tent", 8);
		break;
	case SAMPLE_STREAM_ABORT:
		pgo_put_stream_abort(b, 741, 742);
		break;
	default:
		pgo_put_sample_change(b, which);
	}
}

#endif
