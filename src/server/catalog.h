#ifndef SERVER_CATALOG_H
#define SERVER_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "pg/conninfo.h"
#include "pg/typecat.h"
#include "server/pgconn.h"

/*
 * Reads types that turn up in the middle of a COPY, over a connection of its
 * own: the walsender's takes no query then, and a temporary slot would not
 * survive that it is ended. Nothing else is read meanwhile.
 */
struct catalog {
	struct pgconn pg;
	struct conninfo *ci;
	const struct pgconn *server; /* whose types are read */
	struct typecat *types;
	bool asked;
	int64_t complained_at; /* about a long wait; 0: not waiting */
	int64_t due_at; /* the answer is due, or the next try; 0: at once */
};

void catalog_init(struct catalog *c, struct conninfo *ci,
    const struct pgconn *server, struct typecat *types);
void catalog_free(struct catalog *c);

/* The socket (-1: none), its events, and when to call again at the latest
 * (monotonic us). */
int catalog_fd(const struct catalog *c);
short catalog_want(const struct catalog *c);
int64_t catalog_deadline(const struct catalog *c, int64_t now);

/* Moves on. True when what was needed has just been read. */
bool catalog_step(struct catalog *c, short revents, int64_t now);

#endif
