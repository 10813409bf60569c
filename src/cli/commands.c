#include "cli/commands.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

int
cmd_fail(const struct err *err)
{
	log_error("failed", "%s", err->text);
	return err->kind == ERR_USAGE ? EXIT_ASKED_WRONGLY : EXIT_FAILED;
}

int
cmd_conninfo(struct conninfo *ci, const struct options *o, struct err *err)
{
	const struct passwd *pw = getpwuid(geteuid());

	/* A container may run as a user without a name. */
	return conninfo_parse(ci, o->value[OPT_CONNECTION], getenv,
	    pw != NULL ? pw->pw_name : "postgres", err);
}
