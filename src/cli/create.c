#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "cli/commands.h"
#include "pg/replication.h"
#include "server/query.h"

struct about {
	int version; /* server_version_num */
	bool standby;
};

static int
keep_about(void *arg, const struct wire_row *row, struct err *err)
{
	char version[32], standby[2];
	struct about *server = arg;

	(void)err;
	wire_row_text(row, 0, version, sizeof(version));
	wire_row_text(row, 1, standby, sizeof(standby));
	server->version = atoi(version);
	server->standby = *standby == 't';
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
create(struct conninfo *ci, const char *slot, bool failover, struct err *err)
{
	union {
		const char *c;
		void *v;
	} name = { slot };
	struct about server = { 0, false };
	struct buf sql;
	int rc;

	if (query_run(ci, false,
		"SELECT pg_catalog.current_setting("
		"'server_version_num'), pg_catalog.pg_is_in_recovery()",
		keep_about, &server, err) == -1)
		return -1;
	if (failover && server.version < 170000)
		return err_set(err, ERR_CONFIG,
		    "--failover needs PostgreSQL "
		    "17 or later; the server's version is %d",
		    server.version);
	if (server.standby)
		log_info("slot.slow",
		    "a standby waits for a record that SELECT "
		    "pg_log_standby_snapshot() on the primary writes");
	buf_init(&sql, 1024);
	repl_create_slot(&sql, slot, false, failover, server.version);
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
