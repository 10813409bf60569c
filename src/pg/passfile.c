#include "pg/passfile.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A default socket directory is localhost to libpq, as long as it is the one
 * that it was built with: these are the usual ones (see addr_pg_socket). */
static bool
is_default_directory(const char *host)
{
	return strcmp(host, "/var/run/postgresql") == 0 ||
	    strcmp(host, "/tmp") == 0;
}

/* Does the field at p, which ends before end, mean this? Returns what follows
 * its ':', or NULL. */
static const char *
match(const char *p, const char *end, const char *wanted)
{
	if (end - p >= 2 && p[0] == '*' && p[1] == ':')
		return p + 2;
	for (; p < end && !(*p == ':' && *wanted == '\0'); p++, wanted++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		if (*p != *wanted || *wanted == '\0')
			return NULL;
	}
	return p < end ? p + 1 : NULL;
}

/* The last field of a line, without escapes; what may follow it is nothing. */
static char *
unescape(const char *p, const char *end)
{
	char *s = malloc((size_t)(end - p) + 1), *to = s;

	if (s == NULL)
		return NULL;
	for (; p < end && *p != ':'; p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		*to++ = *p;
	}
	*to = '\0';
	return s;
}

static const char *
match_line(const char *p, const char *end, const struct passfile_key *key)
{
	const char *host;

	if (p == end || *p == '#')
		return NULL;
	host = match(p, end, *key->host == '\0' ? "localhost" : key->host);
	if (host == NULL && is_default_directory(key->host))
		host = match(p, end, "localhost");
	if (host == NULL || (p = match(host, end, key->port)) == NULL ||
	    (p = match(p, end, key->dbname)) == NULL)
		return NULL;
	return match(p, end, key->user);
}

char *
passfile_find(const char *text, size_t n, const struct passfile_key *key)
{
	const char *last = text + n, *end, *next, *password;

	for (; text < last; text = next) {
		end = memchr(text, '\n', (size_t)(last - text));
		next = end == NULL ? last : end + 1;
		if (end == NULL)
			end = last;
		while (end > text && end[-1] == '\r')
			end--;
		password = match_line(text, end, key);
		if (password != NULL &&
		    memchr(password, '\0', (size_t)(end - password)) == NULL)
			return unescape(password, end);
	}
	return NULL;
}
