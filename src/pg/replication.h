#ifndef PG_REPLICATION_H
#define PG_REPLICATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/lsn.h"
#include "base/rd.h"

/*
 * The streaming replication protocol (PostgreSQL, "Streaming Replication
 * Protocol"): commands as text, and what flows inside CopyBoth.
 */

/* Longest slot name: NAMEDATALEN - 1. */
#define REPL_MAX_SLOT 63

/* Appends s quoted as an SQL identifier, or as a literal that is safe whatever
 * standard_conforming_strings says. */
void repl_quote_ident(struct buf *sql, const char *s);
void repl_quote_literal(struct buf *sql, const char *s);

/* Is this a name PostgreSQL allows for a slot ([a-z0-9_], 1 to 63)? Returns 0,
 * or -1 with ERR_USAGE naming the character. */
int repl_check_slot_name(const char *slot, struct err *err);

/* Appends a command. version is server_version_num: 14 spells options as
 * keywords, 15 and later in parentheses; failover needs 17. */
void repl_create_slot(struct buf *sql, const char *slot, bool temporary,
    bool failover, int version);
void repl_drop_slot(struct buf *sql, const char *slot);
/* proto_version 1. lsn 0 means: from the slot's confirmed_flush_lsn. messages:
 * logical messages, too. */
void repl_start(struct buf *sql, const char *slot, lsn_t lsn,
    const char *const *publication, size_t publications, bool messages);

enum repl_type { REPL_XLOG_DATA = 'w', REPL_KEEPALIVE = 'k' };

/* One CopyData body of the walsender. */
struct repl_msg {
	char type;       /* enum repl_type; others are to be ignored */
	lsn_t start_lsn; /* XLogData: position of the change, 0 when the message
			    only describes the next one */
	lsn_t wal_end;   /* keepalive: everything that commits before this has
			    been sent */
	int64_t sent_at; /* server's clock, microseconds since 2000-01-01 */
	bool reply;      /* keepalive: answer at once */
	const uint8_t *data; /* XLogData: one pgoutput message, borrowed */
	size_t len;
};

/* Returns 0, or -1 with ERR_PROTO. */
int repl_parse(const uint8_t *body, size_t len, struct repl_msg *msg,
    struct err *err);

/*
 * Appends a standby status update as one CopyData message. All positions are
 * "last byte + 1"; only flush moves confirmed_flush_lsn. now is microseconds
 * since 2000-01-01.
 */
void repl_put_status(struct buf *out, lsn_t write, lsn_t flush, int64_t now,
    bool reply);

#endif
