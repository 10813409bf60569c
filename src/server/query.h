#ifndef SERVER_QUERY_H
#define SERVER_QUERY_H

#include <stdbool.h>

#include "base/err.h"
#include "pg/conninfo.h"
#include "pg/wire.h"

/* Takes one row. Returns 0, or -1 with err to stop. */
typedef int query_row(void *arg, const struct wire_row *row, struct err *err);

/*
 * One query or replication command on a connection of its own, for commands:
 * waits until it is done. row may be NULL. Returns 0, or -1 with err.
 */
int query_run(struct conninfo *ci, bool replication, const char *sql,
    query_row *row, void *arg, struct err *err);

#endif
