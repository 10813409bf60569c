#ifndef PG_URI_H
#define PG_URI_H

#include <stddef.h>

#include "base/err.h"

/*
 * Connection URIs, cut into settings for conninfo.c:
 *	postgres://[user[:password]@][host][:port][,...][/dbname][?key=value[&...]]
 * (PostgreSQL, "Connection URIs"), percent-decoded. Several hosts, and their
 * ports, are stored as one list each.
 */

/* Takes one setting; both strings live until it returns. Returns 0, or -1 with
 * err filled. */
typedef int
uri_store(void *arg, const char *key, const char *value, struct err *err);

/* The length of "postgres://" or "postgresql://" at the start of text, or 0. */
size_t uri_scheme(const char *text);

/*
 * Stores what text, a URI, holds; parts that are empty are not stored, but
 * parameters are. Spaces around a part are none of it, and in it are wrong.
 * text is overwritten. Returns 0, or -1 with ERR_USAGE or what store said.
 * Errors quote nothing: a misplaced '@' or '/' makes a password look like any
 * other part.
 */
int uri_parse(char *text, uri_store *store, void *arg, struct err *err);

#endif
