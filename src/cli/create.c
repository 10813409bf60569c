#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "pg/replication.h"
#include "server/query.h"

/* Keeps the first column of the one row there is. */
static int
keep_number(void *arg, const struct wire_row *row, struct err *err)
{
	char text[32];

	(void)err;
	wire_row_text(row, 0, text, sizeof(text));
	*(int *)arg = atoi(text);
	return 0;
}

/* CREATE_REPLICATION_SLOT returns the name and the position. */
static int
print_slot(void *arg, const struct wire_row *row, struct err *err)
{
	char lsn[32];

	(void)err;
	wire_row_text(row, 1, lsn, sizeof(lsn));
	printf("created replication slot \"%s\" at %s\n", (const char *)arg,
	    lsn);
	return 0;
}

static int
create(struct conninfo *ci, const char *slot, bool failover,
    struct err *err)
{
	union {
		const char *c;
		void *v;
	} name = { slot };
	int version = 0, rc;
	struct buf sql;

	if (query_run(ci, false,
		"SELECT pg_catalog.current_setting("
		"'server_version_num')",
		keep_number, &version, err) == -1)
		return -1;
	if (failover && version < 170000)
		return err_set(err, ERR_CONFIG,
		    "--failover needs PostgreSQL "
		    "17 or later; the server's version is %d",
		    version);
	buf_init(&sql, 1024);
	repl_create_slot(&sql, slot, false, failover, version);
	rc = query_run(ci, true, buf_cstr(&sql), print_slot, name.v, err);
	buf_free(&sql);
	return rc;
}

int
cmd_create(const struct options *o)
{
	const char *slot = o->value[OPT_SLOT];
	struct conninfo ci;
	struct err err;
	int rc;

	if (repl_check_slot_name(slot, &err) == -1 ||
	    cmd_conninfo(&ci, o, &err) == -1)
		return cmd_fail(&err);
	rc = create(&ci, slot, o->value[OPT_FAILOVER] != NULL, &err);
	conninfo_free(&ci);
	return rc == 0 ? EXIT_DONE : cmd_fail(&err);
}
