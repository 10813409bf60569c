#include "cli/commands.h"

#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/log.h"
#include "cli/outside.h"

int
cmd_fail(const struct err *err)
{
	log_error("failed", "%s", err->text);
	return err->kind == ERR_USAGE ? EXIT_ASKED_WRONGLY : EXIT_FAILED;
}

/* OpenSSL sets itself up when it is first used, and when it cannot, crashes
 * then: so it is asked at the start. */
static int
start_openssl(struct err *err)
{
	if (OPENSSL_init_ssl(0, NULL) == 1 &&
	    OSSL_LIB_CTX_get0_global_default() != NULL && RAND_status() == 1)
		return 0;
	return err_set(err, ERR_NOMEM, "OpenSSL cannot be set up");
}

int
cmd_conninfo(struct conninfo *ci, const struct options *o, struct err *err)
{
	int rc;

	if (start_openssl(err) == -1)
		return -1;
	outside_init();
	rc = conninfo_parse(ci, o->value[OPT_CONNECTION], &outside, err);
	outside_hide(o->value[OPT_CONNECTION]);
	outside_hide(getenv("CONNECTION"));
	outside_hide(getenv("PGPASSWORD"));
	unsetenv("PGPASSWORD");
	return rc;
}
