#ifndef EVENT_PROTO_H
#define EVENT_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/lsn.h"

/*
 * The messages of proto/plugin.proto as bytes, both ways. The only file that
 * knows nanopb.
 */

/* The members of ServerMessage's oneof, by their field numbers. */
enum event_op {
	EVENT_NONE = 0, /* a member this version does not know */
	EVENT_INSERT = 1,
	EVENT_UPDATE = 2,
	EVENT_DELETE = 3,
	EVENT_TRUNCATE = 4,
	EVENT_STARTED = 5,
	EVENT_BEGIN = 6,
	EVENT_COMMIT = 7,
	EVENT_RELATION = 8,
	EVENT_MESSAGE = 9,
	EVENT_PROGRESS = 10,
	EVENT_BATCH = 11,
};

/* What all events of a transaction have in common. */
struct event_txn {
	lsn_t commit_lsn; /* C */
	lsn_t end_lsn;    /* E; 0 while not known */
	uint32_t xid;
	int64_t commit_us; /* Unix epoch */
};

/* Not NUL-terminated; p is NULL when there is none. */
struct event_text {
	const char *p;
	size_t len;
};

/* A row event, begin, commit, logical message or progress. */
struct event {
	enum event_op op;
	lsn_t pg_lsn;
	struct event_txn txn;
	uint32_t seq;                /* row events; commit: how many of them */
	const char *schema, *table;  /* row events, relation */
	struct event_text json;      /* json_payload */
	struct event_text old;       /* old_json_payload */
	struct event_text unchanged; /* names, each with its NUL */
	lsn_t change_lsn;
	uint32_t oid; /* of the relation */
	int identity; /* Identity; of a relation: ReplicaIdentity */
	bool cascade, restart_identity;    /* truncate */
	bool transactional;                /* message */
	const char *prefix;                /* message */
	struct event_text content;         /* message: any bytes */
	const struct event_column *column; /* relation */
	size_t columns;
};

/* A Column of a RelationEvent. */
struct event_column {
	const char *name, *type_name;
	uint32_t type_oid;
	int32_t typmod;
	bool key;
};

struct started {
	const char *system_identifier, *slot, *walstream_version;
	const char *const *publication;
	size_t publications;
	uint32_t timeline, server_version;
	bool temporary;
	lsn_t start_lsn;
};

/* "insert", "update", … */
const char *event_op_name(enum event_op op);

/* Appends e as a ServerMessage; sets out->failed when it does not fit. */
void proto_put_event(struct buf *out, const struct event *e);
void proto_put_started(struct buf *out, const struct started *s);

/* Called for every event of a ServerMessage, those in a batch one by one; its
 * strings live until it returns. */
typedef void proto_event_fn(void *arg, const struct event *e);

/* Reads a ServerMessage. hold is scratch, which may have to grow to so much more
 * than the message. Returns 0, or -1 with ERR_PROTO. */
#define PROTO_HOLD_MORE ((size_t)512 * 1024)
int proto_get_events(const uint8_t *p, size_t n, struct buf *hold,
    proto_event_fn *each, void *arg, struct err *err);

/*
 * A Batch of messages whose encoded lengths are known: the bytes in front of
 * all of them, and in front of each. Each returns how many bytes it wrote to
 * `to`, which has room for PROTO_HEAD.
 */
#define PROTO_HEAD 24
size_t proto_batch_head(uint8_t to[PROTO_HEAD], size_t items_len);
size_t proto_item_head(uint8_t to[PROTO_HEAD], size_t message_len);

/* A client's Start. Strings are owned by it, see proto_start_free. */
#define START_MAX_TABLES 64
#define START_MAX_STRING 255
struct start {
	char *table[START_MAX_TABLES]; /* globs */
	size_t tables;
	char *message[START_MAX_TABLES]; /* globs */
	size_t messages;
	unsigned operations; /* bits 1 << enum event_op; 0: all */
	lsn_t after_lsn;
	char system_identifier[START_MAX_STRING + 1];
	char consumer[START_MAX_STRING + 1];
	bool observer, batch, exact, relations;
	uint32_t max_batch_bytes, progress_interval_ms;
};

struct client_message {
	bool has_ack, has_start;
	lsn_t ack_lsn;
	struct start start;
};

/* Reads a ClientMessage; unknown fields are ignored. Returns 0, or -1 with
 * ERR_PROTO, ERR_USAGE for a Start beyond the limits above, or ERR_NOMEM; then
 * nothing is left to free. */
int proto_get_client(const uint8_t *p, size_t n, struct client_message *m,
    struct err *err);
void proto_start_free(struct start *s);

/* Appends a ClientMessage. */
void proto_put_ack(struct buf *out, lsn_t lsn);
void proto_put_start(struct buf *out, const struct start *s);

#endif
