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
};

struct event {
	enum event_op op;
	lsn_t pg_lsn;
	const char *schema, *table;
	const char *json; /* json_payload; not NUL-terminated; NULL: none */
	size_t json_len;
};

/* "insert", "update", … */
const char *event_op_name(enum event_op op);

/* Appends e as a ServerMessage; sets out->failed when it does not fit. */
void proto_put_event(struct buf *out, const struct event *e);

/* Reads a ServerMessage. The strings of e are copied into hold, which is reset
 * first, and live as long as its contents. Returns 0, or -1 with ERR_PROTO. */
int proto_get_event(const uint8_t *p, size_t n, struct event *e,
    struct buf *hold, struct err *err);

struct client_message {
	bool has_ack;
	lsn_t ack_lsn;
};

/* Reads a ClientMessage; unknown fields are ignored. Returns 0, or -1 with
 * ERR_PROTO. */
int proto_get_client(const uint8_t *p, size_t n, struct client_message *m,
    struct err *err);
/* Appends a ClientMessage that acknowledges lsn. */
void proto_put_ack(struct buf *out, lsn_t lsn);

#endif
