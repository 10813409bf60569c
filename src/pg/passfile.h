#ifndef PG_PASSFILE_H
#define PG_PASSFILE_H

#include <stddef.h>

/*
 * The password file (PostgreSQL, "The Password File"): a line for each
 * password,
 *	hostname:port:database:username:password
 * where the first four may be "*", '\' escapes ':' and '\', and '#' at the
 * start of a line is a comment. The first line that matches counts, and what
 * follows the password's ':' does not.
 */
struct passfile_key {
	const char *host; /* as it was given: a name, an address, a directory;
			     "" and the default directories are localhost */
	const char *port, *dbname, *user;
};

/* The password in the n bytes of text for this key, to be wiped and freed by
 * the caller; NULL when there is none, or no memory. */
char *passfile_find(const char *text, size_t n, const struct passfile_key *key);

#endif
