#include <stdio.h>

#include "cli/commands.h"
#include "pg/replication.h"
#include "server/query.h"

int
cmd_delete(const struct options *o)
{
	const char *slot = o->value[OPT_SLOT];
	struct conninfo ci;
	struct buf sql;
	struct err err;
	int rc;

	if (repl_check_slot_name(slot, &err) == -1 ||
	    cmd_conninfo(&ci, o, &err) == -1)
		return cmd_fail(&err);
	buf_init(&sql, 1024);
	repl_drop_slot(&sql, slot);
	rc = query_run(&ci, true, buf_cstr(&sql), NULL, NULL, &err);
	buf_free(&sql);
	conninfo_free(&ci);
	if (rc == -1)
		return cmd_fail(&err);
	printf("deleted replication slot \"%s\"\n", slot);
	return EXIT_DONE;
}
