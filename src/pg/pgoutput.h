#ifndef PG_PGOUTPUT_H
#define PG_PGOUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/lsn.h"

/*
 * The decoder of pgoutput, protocol version 1 (PostgreSQL, "Logical
 * Replication Message Formats"). Everything it yields is borrowed from the
 * input or from the decoder, until the next call.
 */

/* The most columns a table can have: MaxTupleAttributeNumber is 1664. */
#define PGO_MAX_COLUMNS 1664

enum pgo_type {
	PGO_BEGIN = 'B',
	PGO_COMMIT = 'C',
	PGO_ORIGIN = 'O',
	PGO_RELATION = 'R',
	PGO_TYPE = 'Y',
	PGO_INSERT = 'I',
	PGO_UPDATE = 'U',
	PGO_DELETE = 'D',
	PGO_TRUNCATE = 'T',
	PGO_MESSAGE = 'M',
	PGO_STREAM_ABORT = 'A', /* which 18 may send without being asked */
};

enum pgo_kind {
	PGO_NULL = 'n',
	PGO_UNCHANGED =
	    'u', /* a TOASTed value that was not changed: not sent */
	PGO_TEXT = 't',
};

struct pgo_col {
	char kind; /* enum pgo_kind */
	uint32_t len;
	const char *data; /* PGO_TEXT only */
};

struct pgo_tuple {
	uint16_t n;
	struct pgo_col *col;
	const char *bytes; /* all of the columns, as they came */
	size_t len;
};

struct pgo_attr {
	bool key; /* part of the replica identity; under FULL every column is */
	const char *name;
	uint32_t type_oid;
	int32_t typmod;
};

struct pgo_begin {
	lsn_t final_lsn;   /* start of the commit record: C */
	int64_t commit_at; /* microseconds since 2000-01-01 */
	uint32_t xid;
};

struct pgo_commit {
	lsn_t commit_lsn;  /* C again */
	lsn_t end_lsn;     /* end of the commit record: E */
	int64_t commit_at; /* microseconds since 2000-01-01 */
};

struct pgo_relation {
	uint32_t oid;
	const char *schema; /* never "": pg_catalog is spelled out */
	const char *name;
	char identity; /* pg_class.relreplident: d, n, f, i */
	uint16_t n;
	const struct pgo_attr *attr;
};

struct pgo_change {
	uint32_t oid;
	char old_kind; /* 'O' whole old row, 'K' its key columns, 0 none */
	struct pgo_tuple old_row, new_row;
};

struct pgo_truncate {
	bool cascade, restart_identity;
	uint32_t n;
	const uint32_t *oid;
};

struct pgo_message {
	bool transactional;
	lsn_t lsn;
	const char *prefix;
	const uint8_t *content;
	uint32_t len;
};

struct pgo_msg {
	char type; /* enum pgo_type: which member is set */
	union {
		struct pgo_begin begin;
		struct pgo_commit commit;
		struct pgo_relation relation;
		struct pgo_change change; /* I, U, D */
		struct pgo_truncate truncate;
		struct pgo_message message;
	}; /* Origin, Type and Stream Abort are checked, and carry nothing */
};

struct pgo_decoder;

struct pgo_decoder *pgo_new(void); /* NULL when out of memory */
void pgo_del(struct pgo_decoder *d);

/* Decodes one whole message. Returns 0, or -1 with ERR_PROTO naming the
 * message and what is wrong with it. */
int pgo_decode(struct pgo_decoder *d, const uint8_t *p, size_t len,
    struct pgo_msg *msg, struct err *err);

#endif
