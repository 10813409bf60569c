#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/report.h"
#include "pg/conninfo.h"
#include "server/query.h"

/*
 * walstream check: is the server ready for start? One function a check, in the
 * table of check.c; it asks over a connection they share, and adds at least
 * one line to the report.
 */

struct check {
	const char *id; /* of the one that runs */
	struct conninfo *ci;
	const char *const *publication;
	size_t publications; /* may be 0 */
	const char *slot;    /* NULL: none was named */
	struct report *report;

	struct query query;
	bool connected;
	struct buf sql;   /* what check_ask sends next */
	struct buf cells; /* what col points into */
	const char *col[WIRE_MAX_COLUMNS];

	/* Found out by the first checks. */
	int version;     /* server_version_num */
	bool standby;    /* the server is in recovery */
	bool replicates; /* a walsender answered */
	bool unusable;   /* there is no sense in asking more */
	bool slot_exists;
};

/* Begins a line, with what is. */
void check_ok(struct check *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void check_warn(struct check *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void check_fail(struct check *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* What to do about it; more appends. */
void check_todo(struct check *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* What helps against an error of connecting. */
void check_todo_error(struct check *c, const struct err *err);

/* Puts sql, behind what is in c->sql, to the server. Returns 0, or -1 with
 * err. */
int check_ask(struct check *c, const char *sql, struct err *err);
/* The next row: col[i] is its text, NULL for SQL NULL or a column that is not
 * there, until the next call. Returns 1, 0 at the end, or -1 with err. */
int check_next(struct check *c, struct err *err);
/* Both, for a query of one row at most. */
int check_row(struct check *c, const char *sql, struct err *err);
/* Column i of the row; "" for NULL. */
const char *check_text(const struct check *c, int i);
bool check_true(const struct check *c, int i);
bool check_is(const struct check *c, int i, const char *text);

/* Appends an array of the publications to c->sql. */
void check_put_publications(struct check *c);

/* Is a library named in the list that output_plugin_libraries is: names with
 * commas and blanks between, some in double quotes? Names are compared as they
 * are. */
bool check_listed(const char *list, const char *name);

/* The checks. Each returns 0, or -1 with err where it cannot be told: then one
 * line says so. */
typedef int check_run(struct check *c, struct err *err);

/* check_server.c */
check_run check_connection, check_version, check_recovery, check_wal_level,
    check_slots, check_walsenders, check_replication, check_role, check_plugin;
/* check_publication.c */
check_run check_publication, check_tables, check_column_lists, check_generated;
/* check_identity.c */
check_run check_identity;
/* check_slot.c */
check_run check_slot, check_other_slots;
/* check_settings.c */
check_run check_sender_timeout, check_keep_size, check_idle_timeout,
    check_failover;

#endif
