#ifndef SERVER_QUERY_H
#define SERVER_QUERY_H

#include <stdbool.h>

#include "base/err.h"
#include "pg/conninfo.h"
#include "pg/wire.h"
#include "server/pgconn.h"

/*
 * Queries and replication commands that are waited for, for commands.
 */

struct query {
	struct pgconn pc;
	bool busy; /* the answer to the last one is not read to its end */
};

/* Connects, for many of them; to the server that beside (NULL: none) is
 * connected to. ci must outlive q. Returns 0, or -1 with err and nothing to
 * close. */
int query_open(struct query *q, struct conninfo *ci, bool replication,
    const struct query *beside, struct err *err);
void query_close(struct query *q);
/* Asks; what is left of an earlier answer is dropped. Returns 0, or -1 with
 * err. */
int query_send(struct query *q, const char *sql, struct err *err);
/* The next row, borrowed until the next call on q. Returns 1, 0 at the end, or
 * -1 with err; after ERR_SERVER that is not fatal the next one can be asked. */
int query_next(struct query *q, struct wire_row *row, struct err *err);

/* Takes one row. Returns 0, or -1 with err to stop. */
typedef int query_row(void *arg, const struct wire_row *row, struct err *err);

/* One query on a connection of its own. row may be NULL. Returns 0, or -1 with
 * err. */
int query_run(struct conninfo *ci, bool replication, const char *sql,
    query_row *row, void *arg, struct err *err);

#endif
