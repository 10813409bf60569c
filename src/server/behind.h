#ifndef SERVER_BEHIND_H
#define SERVER_BEHIND_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "event/proto.h"
#include "pg/pgoutput.h"

/*
 * Logical messages that wait behind a held row: their position is known once it
 * is known whether the row is the last of its transaction.
 */
struct behind {
	struct buf messages; /* of each its length, its prefix and itself */
	size_t max_event;    /* as of publish_init */
};

void behind_init(struct behind *b, size_t max_event);
void behind_free(struct behind *b);
/* Forgets those that wait. */
void behind_clear(struct behind *b);

/* May it wait? Not behind too much, and not if it could turn out to be too large
 * once the row has gone as the last of its transaction. */
bool behind_has_room(const struct behind *b, const struct pgo_message *m);
/* Copies it. Returns 0, or -1 with ERR_NOMEM. */
int behind_put(struct behind *b, const struct pgo_message *m, struct err *err);
/* Takes the next one: e's prefix and content, until the next put. */
bool behind_take(struct behind *b, struct event *e);

#endif
