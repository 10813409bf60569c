#ifndef EVENT_CHANGE_H
#define EVENT_CHANGE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/pgoutput.h"
#include "pg/relation.h"

/* Which columns an old row has: enum Identity of proto/plugin.proto. */
enum change_identity { CHANGE_NO_OLD, CHANGE_OLD_KEY, CHANGE_OLD_FULL };

/* What an event says of a row, and the memory for it. */
struct change {
	struct buf json;      /* json_payload */
	struct buf old;       /* old_json_payload; empty: none */
	struct buf unchanged; /* names of columns, each with its NUL */
	enum change_identity identity;
	struct buf scratch;
	bool fresh;
};

/* max: of each of the buffers, bytes. */
void change_init(struct change *c, size_t max);
void change_free(struct change *c);

/* Writes the columns' names down as they stand in payloads: once for a relation,
 * before the first change_fill. Returns 0, or -1 with ERR_NOMEM. */
int change_label(struct relation *rel, struct err *err);

/* Does an insert, update or delete fit rel, and is it valid UTF-8? Returns 0,
 * or -1 with ERR_PROTO, or ERR_DATA naming the column. */
int change_check(const struct relation *rel, const struct pgo_msg *msg,
    struct err *err);

/*
 * Fills c from a message that was checked. json is the new row or, of a
 * delete, the old one: only its key columns, when that is all PostgreSQL sent.
 * A TOASTed value that an update did not change is taken from the old row under
 * REPLICA IDENTITY FULL, and is otherwise left out and named in unchanged.
 *
 * fresh: the types of rel have just been read (see value_put). Returns 0, or -1
 * with ERR_LIMIT when the row does not fit c. *stale is set when a value does
 * not have the form of its type: it is there as a string.
 */
int change_fill(struct change *c, const struct relation *rel,
    const struct pgo_msg *msg, bool fresh, bool *stale, struct err *err);

#endif
