#include "pg/conninfo.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/uri.h"

#define BLANKS " \t\n\v\f\r"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct option {
	const char *keyword, *env;
	const char *preset; /* stands for an absent or empty value; or NULL */
	size_t at;          /* of its member in struct conninfo */
};

static const struct option options[] = {
	{ "user", "PGUSER", NULL, offsetof(struct conninfo, user) },
	{ "password", "PGPASSWORD", NULL, offsetof(struct conninfo, password) },
	{ "connect_timeout", "PGCONNECT_TIMEOUT", "0",
	    offsetof(struct conninfo, connect_timeout) },
	{ "dbname", "PGDATABASE", NULL, offsetof(struct conninfo, dbname) },
	{ "host", "PGHOST", "", offsetof(struct conninfo, host) },
	{ "port", "PGPORT", "5432", offsetof(struct conninfo, port) },
	{ "options", "PGOPTIONS", "", offsetof(struct conninfo, options) },
	{ "application_name", "PGAPPNAME", "walstream",
	    offsetof(struct conninfo, application_name) },
};

/*
 * Keywords of libpq that are not supported. Where ignoring the variable would
 * change the server or weaken its security, it is named here, with the values
 * that ask for nothing.
 */
static const struct refused {
	const char *keyword, *env;
	const char *harmless[4]; /* NULL after the last */
} refused[] = {
	{ "service", "PGSERVICE", { NULL } },
	{ "servicefile", "PGSERVICEFILE", { NULL } },
	{ "passfile", "PGPASSFILE", { NULL } },
	{ "hostaddr", "PGHOSTADDR", { NULL } },
	{ "channel_binding", "PGCHANNELBINDING", { "disable", "prefer" } },
	{ "require_auth", "PGREQUIREAUTH", { NULL } },
	{ "requirepeer", "PGREQUIREPEER", { NULL } },
	{ "target_session_attrs", "PGTARGETSESSIONATTRS", { "any" } },
	{ "sslmode", "PGSSLMODE", { "disable", "allow", "prefer" } },
	{ "requiressl", "PGREQUIRESSL", { "0" } },
	{ "sslnegotiation", "PGSSLNEGOTIATION", { "postgres" } },
	{ "sslcert", "PGSSLCERT", { NULL } },
	{ "sslkey", "PGSSLKEY", { NULL } },
	{ "sslrootcert", "PGSSLROOTCERT", { NULL } },
	{ "sslcrl", "PGSSLCRL", { NULL } },
	{ "sslcrldir", "PGSSLCRLDIR", { NULL } },
	{ "gssencmode", "PGGSSENCMODE", { "disable", "prefer" } },
	{ "client_encoding", NULL, { NULL } },
	{ "fallback_application_name", NULL, { NULL } },
	{ "gssdelegation", NULL, { NULL } },
	{ "gsslib", NULL, { NULL } },
	{ "keepalives", NULL, { NULL } },
	{ "keepalives_count", NULL, { NULL } },
	{ "keepalives_idle", NULL, { NULL } },
	{ "keepalives_interval", NULL, { NULL } },
	{ "krbsrvname", NULL, { NULL } },
	{ "load_balance_hosts", NULL, { NULL } },
	{ "max_protocol_version", NULL, { NULL } },
	{ "min_protocol_version", NULL, { NULL } },
	{ "replication", NULL, { NULL } },
	{ "ssl", NULL, { NULL } },
	{ "ssl_max_protocol_version", NULL, { NULL } },
	{ "ssl_min_protocol_version", NULL, { NULL } },
	{ "sslcertmode", NULL, { NULL } },
	{ "sslcompression", NULL, { NULL } },
	{ "sslpassword", NULL, { NULL } },
	{ "sslsni", NULL, { NULL } },
	{ "tcp_user_timeout", NULL, { NULL } },
};

static char **
member(struct conninfo *ci, const struct option *o)
{
	return (char **)((char *)ci + o->at);
}

static bool
is_empty(const char *s)
{
	return s == NULL || *s == '\0';
}

static void
drop(char **m)
{
	if (*m != NULL)
		explicit_bzero(*m, strlen(*m));
	free(*m);
	*m = NULL;
}

static int
put(char **m, const char *value, struct err *err)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	drop(m);
	*m = copy;
	return 0;
}

static bool
known(const char *keyword)
{
	for (size_t i = 0; i < COUNT(refused); i++) {
		if (strcmp(keyword, refused[i].keyword) == 0)
			return true;
	}
	return false;
}

static int
refuse(const struct conninfo *ci, const char *keyword, struct err *err)
{
	char list[256] = "";

	for (size_t i = 0; i < COUNT(options); i++) {
		size_t n = strlen(list);

		snprintf(list + n, sizeof(list) - n, "%s%s", i == 0 ? "" : ", ",
		    options[i].keyword);
	}
	/* After a password it can be the rest of one, badly quoted. */
	if (ci->password != NULL && !known(keyword))
		return err_set(err, ERR_USAGE,
		    "a connection option after the password is not supported "
		    "(is the password quoted, or in a URI percent-encoded?); "
		    "supported are: %s",
		    list);
	return err_set(err, ERR_USAGE,
	    "connection option \"%.63s\" is not supported; supported are: %s",
	    keyword, list);
}

/* A uri_store. */
static int
set(void *arg, const char *key, const char *value, struct err *err)
{
	struct conninfo *ci = arg;

	for (size_t i = 0; i < COUNT(options); i++) {
		if (strcmp(key, options[i].keyword) == 0)
			return put(member(ci, &options[i]), value, err);
	}
	return refuse(ci, key, err);
}

/* Takes a keyword and its '='. Returns 1, 0 at the end of the text, or -1. */
static int
take_keyword(char **at, char **key, struct err *err)
{
	char *end, *p = *at + strspn(*at, BLANKS);

	if (*p == '\0')
		return 0;
	*key = p;
	end = p += strcspn(p, "=" BLANKS);
	p += strspn(p, BLANKS);
	if (*p != '=')
		return err_set(err, ERR_USAGE,
		    "connection string: expected keyword=value, or a "
		    "postgres:// URI; \"=\" is missing after a word");
	*end = '\0';
	*at = p + 1 + strspn(p + 1, BLANKS);
	return 1;
}

/* Takes a value, undoing quotes and backslashes in place. */
static int
take_value(char **at, char **value, struct err *err)
{
	char *p = *at, *to;
	bool quoted = *p == '\'';
	const char *stop = quoted ? "'" : BLANKS;

	if (quoted)
		p++;
	*value = to = p;
	for (; *p != '\0' && strchr(stop, *p) == NULL; p++) {
		if (*p == '\\' && *++p == '\0')
			break;
		*to++ = *p;
	}
	if (quoted && *p == '\0')
		return err_set(err, ERR_USAGE,
		    "connection string: no closing quote");
	*at = *p == '\0' ? p : p + 1;
	*to = '\0';
	return 0;
}

static int
parse_pairs(struct conninfo *ci, char *text, struct err *err)
{
	char *key, *value;
	int got;

	while ((got = take_keyword(&text, &key, err)) == 1) {
		if (take_value(&text, &value, err) == -1 ||
		    set(ci, key, value, err) == -1)
			return -1;
	}
	return got;
}

static int
parse_text(struct conninfo *ci, const char *text, struct err *err)
{
	char *copy = NULL;
	int rc;

	if (text == NULL)
		return 0;
	if (put(&copy, text, err) == -1)
		return -1;
	/* Parsing cuts the copy apart, so that its length is not the text's
	 * any more: it is wiped by that. */
	rc = uri_scheme(copy) > 0 ? uri_parse(copy, set, ci, err)
				  : parse_pairs(ci, copy, err);
	explicit_bzero(copy, strlen(text));
	free(copy);
	return rc;
}

static bool
is_harmless(const struct refused *r, const char *value)
{
	for (size_t i = 0; i < COUNT(r->harmless); i++) {
		if (r->harmless[i] != NULL &&
		    strcmp(value, r->harmless[i]) == 0)
			return true;
	}
	return false;
}

static int
check_env(conninfo_env *env, struct err *err)
{
	for (size_t i = 0; i < COUNT(refused); i++) {
		const struct refused *r = &refused[i];
		const char *v = r->env == NULL ? NULL : env(r->env);

		if (!is_empty(v) && !is_harmless(r, v))
			return err_set(err, ERR_USAGE,
			    "what the environment variable %s asks for is not "
			    "supported; unset it",
			    r->env);
	}
	return 0;
}

/* From the environment what the text did not say, then the defaults. */
static int
fill(struct conninfo *ci, conninfo_env *env, struct err *err)
{
	for (size_t i = 0; i < COUNT(options); i++) {
		const struct option *o = &options[i];
		char **m = member(ci, o);
		const char *v = *m == NULL ? env(o->env) : NULL;

		if (v != NULL && *v != '\0' && put(m, v, err) == -1)
			return -1;
		if (is_empty(*m) && o->preset != NULL &&
		    put(m, o->preset, err) == -1)
			return -1;
	}
	if (is_empty(ci->password))
		drop(&ci->password); /* for libpq, too, that is none */
	return 0;
}

static int
check_names(struct conninfo *ci, const char *os_user, struct err *err)
{
	if (ci->user == NULL && os_user != NULL &&
	    put(&ci->user, os_user, err) == -1)
		return -1;
	if (is_empty(ci->user))
		return err_set(err, ERR_USAGE,
		    "no database user: set the connection option \"user\" or "
		    "PGUSER");
	if (is_empty(ci->dbname) && put(&ci->dbname, ci->user, err) == -1)
		return -1;
	if (strchr(ci->host, ',') != NULL || strchr(ci->port, ',') != NULL)
		return err_set(err, ERR_USAGE,
		    "connection option \"host\": several hosts are not "
		    "supported");
	return 0;
}

/* An int as libpq reads it: with a sign and blanks around it if it wants. */
static int
parse_int(const char *s, int *v)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(s, &end, 10);
	if (end == s || end[strspn(end, BLANKS)] != '\0' || errno != 0 ||
	    n < INT_MIN || n > INT_MAX)
		return -1;
	*v = (int)n;
	return 0;
}

static int
put_int(char **m, int v, struct err *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", v);
	return put(m, text, err);
}

static int
check_numbers(struct conninfo *ci, struct err *err)
{
	int port, timeout;

	if (parse_int(ci->port, &port) == -1 || port < 1 || port > 65535)
		return err_set(err, ERR_USAGE,
		    "connection option \"port\" (PGPORT) must be a number from "
		    "1 to 65535");
	if (parse_int(ci->connect_timeout, &timeout) == -1)
		return err_set(err, ERR_USAGE,
		    "connection option \"connect_timeout\" "
		    "(PGCONNECT_TIMEOUT) must be a number of seconds");
	if (timeout < 0)
		timeout = 0;
	if (timeout == 1)
		timeout = 2; /* as libpq: a second can be nearly over */
	if (put_int(&ci->port, port, err) == -1)
		return -1;
	return put_int(&ci->connect_timeout, timeout, err);
}

int
conninfo_parse(struct conninfo *ci, const char *text, conninfo_env *env,
    const char *os_user, struct err *err)
{
	memset(ci, 0, sizeof(*ci));
	if (parse_text(ci, text, err) == 0 && check_env(env, err) == 0 &&
	    fill(ci, env, err) == 0 && check_names(ci, os_user, err) == 0 &&
	    check_numbers(ci, err) == 0)
		return 0;
	conninfo_free(ci);
	return -1;
}

void
conninfo_free(struct conninfo *ci)
{
	for (size_t i = 0; i < COUNT(options); i++)
		drop(member(ci, &options[i]));
}

int
conninfo_connect_timeout(const struct conninfo *ci)
{
	return atoi(ci->connect_timeout);
}
