#include "cli/commands.h"

#include <stdlib.h>

#include "base/log.h"
#include "cli/outside.h"
#include "net/tls.h"

int
cmd_fail(const struct err *err)
{
	log_error("failed", "%s", err->text);
	return err->kind == ERR_USAGE ? EXIT_ASKED_WRONGLY : EXIT_FAILED;
}

int
cmd_conninfo(struct conninfo *ci, const struct options *o, struct err *err)
{
	int rc;

	if (tls_init(err) == -1)
		return -1;
	outside_init();
	rc = conninfo_parse(ci, o->value[OPT_CONNECTION], &outside, err);
	outside_hide(o->value[OPT_CONNECTION]);
	outside_hide(getenv("CONNECTION"));
	outside_hide(getenv("PGPASSWORD"));
	unsetenv("PGPASSWORD");
	return rc;
}
