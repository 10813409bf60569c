#ifndef PG_SERVICE_H
#define PG_SERVICE_H

#include <stddef.h>

#include "base/err.h"
#include "pg/uri.h"

/*
 * The connection service file (PostgreSQL, "The Connection Service File"):
 *	# comment
 *	[name]
 *	keyword=value
 */

/*
 * Gives every setting of the service to store, in the file's order. text is
 * overwritten. Returns 1, 0 when there is no such service, or -1 with
 * ERR_USAGE, naming the line, or what store said.
 */
int service_find(char *text, const char *name, uri_store *store, void *arg,
    struct err *err);

#endif
