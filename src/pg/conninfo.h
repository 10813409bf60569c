#ifndef PG_CONNINFO_H
#define PG_CONNINFO_H

#include "base/err.h"

/*
 * Where the database is and who we are, from a connection string and the
 * environment (PostgreSQL, "Connection Strings" and "Environment Variables" of
 * libpq): "host=db user=u" or "postgres://u@db/app". A keyword in the string
 * comes before its environment variable, that before the default. A keyword
 * that is not supported is an error: nothing that was asked for is ignored.
 */
struct conninfo {
	char *host; /* name or address; with a leading '/' the directory of a
		       Unix socket; "" means the default socket directory */
	char *port; /* decimal, 1 to 65535 */
	char *user;
	char *password; /* NULL when none was given, or ""; wiped when freed */
	char *dbname;
	char *application_name;
	char *options;         /* for the startup packet; "" when none */
	char *connect_timeout; /* decimal seconds; "0" is for ever */
};

/* Looks up an environment variable, as getenv(3). */
typedef char *conninfo_env(const char *name);

/*
 * Reads text (NULL or "" when there is none) over env. os_user stands in for
 * the user where nothing names one; dbname falls back to the user. On success
 * every member but password is set, and owned by ci. Returns 0, or -1 with
 * ERR_USAGE (or ERR_NOMEM), and then there is nothing to free. No error text
 * holds a password or another value.
 */
int conninfo_parse(struct conninfo *ci, const char *text, conninfo_env *env,
    const char *os_user, struct err *err);

/* Wipes the password and frees every member. */
void conninfo_free(struct conninfo *ci);

int conninfo_connect_timeout(const struct conninfo *ci); /* seconds, 0 none */

#endif
