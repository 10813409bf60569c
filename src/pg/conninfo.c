#include "pg/conninfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/conninfo_check.h"
#include "pg/service.h"
#include "pg/uri.h"

#define BLANKS " \t\n\v\f\r"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define FILE_MAX ((size_t)1 << 20)

static const struct setting {
	const char *keyword, *env;
	const char *preset; /* the default; or NULL */
} settings[CI_SETTINGS] = {
	[CI_SERVICE] = { "service", "PGSERVICE", NULL },
	[CI_SERVICEFILE] = { "servicefile", "PGSERVICEFILE", NULL },
	[CI_USER] = { "user", "PGUSER", NULL },
	[CI_PASSWORD] = { "password", "PGPASSWORD", NULL },
	[CI_PASSFILE] = { "passfile", "PGPASSFILE", NULL },
	[CI_DBNAME] = { "dbname", "PGDATABASE", NULL },
	[CI_HOST] = { "host", "PGHOST", "" },
	[CI_HOSTADDR] = { "hostaddr", "PGHOSTADDR", "" },
	[CI_PORT] = { "port", "PGPORT", "5432" },
	[CI_OPTIONS] = { "options", "PGOPTIONS", "" },
	[CI_APPLICATION_NAME] = { "application_name", "PGAPPNAME", NULL },
	[CI_FALLBACK_APPLICATION_NAME] = { "fallback_application_name", NULL,
	    "walstream" },
	[CI_CLIENT_ENCODING] = { "client_encoding", "PGCLIENTENCODING",
	    "UTF8" },
	[CI_CONNECT_TIMEOUT] = { "connect_timeout", "PGCONNECT_TIMEOUT", "0" },
	[CI_KEEPALIVES] = { "keepalives", NULL, "1" },
	[CI_KEEPALIVES_IDLE] = { "keepalives_idle", NULL, "0" },
	[CI_KEEPALIVES_INTERVAL] = { "keepalives_interval", NULL, "0" },
	[CI_KEEPALIVES_COUNT] = { "keepalives_count", NULL, "0" },
	[CI_TCP_USER_TIMEOUT] = { "tcp_user_timeout", NULL, "0" },
	[CI_TARGET_SESSION_ATTRS] = { "target_session_attrs",
	    "PGTARGETSESSIONATTRS", "any" },
	[CI_LOAD_BALANCE_HOSTS] = { "load_balance_hosts", "PGLOADBALANCEHOSTS",
	    "disable" },
	[CI_REQUIREPEER] = { "requirepeer", "PGREQUIREPEER", "" },
	[CI_REQUIRE_AUTH] = { "require_auth", "PGREQUIREAUTH", "" },
	[CI_CHANNEL_BINDING] = { "channel_binding", "PGCHANNELBINDING",
	    "prefer" },
	[CI_GSSENCMODE] = { "gssencmode", "PGGSSENCMODE", "disable" },
	[CI_MIN_PROTOCOL_VERSION] = { "min_protocol_version",
	    "PGMINPROTOCOLVERSION", "3.0" },
	[CI_MAX_PROTOCOL_VERSION] = { "max_protocol_version",
	    "PGMAXPROTOCOLVERSION", "3.0" },
	[CI_SSLMODE] = { "sslmode", "PGSSLMODE", NULL },
	[CI_SSLNEGOTIATION] = { "sslnegotiation", "PGSSLNEGOTIATION",
	    "postgres" },
	[CI_SSLCOMPRESSION] = { "sslcompression", "PGSSLCOMPRESSION", "0" },
	[CI_SSLCERT] = { "sslcert", "PGSSLCERT", NULL },
	[CI_SSLKEY] = { "sslkey", "PGSSLKEY", NULL },
	[CI_SSLPASSWORD] = { "sslpassword", NULL, NULL },
	[CI_SSLCERTMODE] = { "sslcertmode", "PGSSLCERTMODE", "allow" },
	[CI_SSLROOTCERT] = { "sslrootcert", "PGSSLROOTCERT", NULL },
	[CI_SSLCRL] = { "sslcrl", "PGSSLCRL", NULL },
	[CI_SSLCRLDIR] = { "sslcrldir", "PGSSLCRLDIR", NULL },
	[CI_SSLSNI] = { "sslsni", "PGSSLSNI", "1" },
	[CI_SSL_MIN_PROTOCOL_VERSION] = { "ssl_min_protocol_version",
	    "PGSSLMINPROTOCOLVERSION", "TLSv1.2" },
	[CI_SSL_MAX_PROTOCOL_VERSION] = { "ssl_max_protocol_version",
	    "PGSSLMAXPROTOCOLVERSION", "" },
};

/* Keywords of libpq that are refused, and variables of theirs. */
static const struct {
	const char *keyword, *env;
} refused[] = {
	{ "krbsrvname", NULL }, /* the variable means nothing without GSSAPI */
	{ "gsslib", NULL },
	{ "gssdelegation", NULL },
	{ "replication", NULL },
	{ "scram_client_key", NULL },
	{ "scram_server_key", NULL },
	{ "sslkeylogfile", NULL },
	{ "oauth_issuer", NULL },
	{ "oauth_client_id", NULL },
	{ "oauth_client_secret", NULL },
	{ "oauth_scope", NULL },
};

const char *
conninfo_keyword(enum conninfo_id id)
{
	return settings[id].keyword;
}

const char *
conninfo_variable(enum conninfo_id id)
{
	return settings[id].env;
}

void
conninfo_drop(char **m)
{
	if (*m != NULL)
		explicit_bzero(*m, strlen(*m));
	free(*m);
	*m = NULL;
}

int
conninfo_put(char **m, const char *value, struct err *err)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	conninfo_drop(m);
	*m = copy;
	return 0;
}

static bool
is_refused(const char *keyword)
{
	for (size_t i = 0; i < COUNT(refused); i++)
		if (strcmp(keyword, refused[i].keyword) == 0)
			return true;
	return false;
}

static int
refuse(const struct conninfo *ci, const char *keyword, struct err *err)
{
	if (is_refused(keyword))
		return err_set(err, ERR_USAGE,
		    "connection option \"%s\" is not supported", keyword);
	/* After a password it can be the rest of one, badly quoted. */
	if (ci->text[CI_PASSWORD] != NULL)
		return err_set(err, ERR_USAGE,
		    "there is no such connection option as the one after the "
		    "password (is the password quoted, or in a URI "
		    "percent-encoded?)");
	return err_set(err, ERR_USAGE,
	    "there is no connection option \"%.63s\"", keyword);
}

static int
find(const char *keyword)
{
	for (int i = 0; i < CI_SETTINGS; i++)
		if (strcmp(keyword, settings[i].keyword) == 0)
			return i;
	return -1;
}

/* A uri_store: what is given last counts. */
static int
set(void *arg, const char *key, const char *value, struct err *err)
{
	struct conninfo *ci = arg;
	int i = find(key);

	/* As libpq does for JDBC's sake. */
	if (strcmp(key, "ssl") == 0 && strcmp(value, "true") == 0)
		return conninfo_put(&ci->text[CI_SSLMODE], "require", err);
	return i == -1 ? refuse(ci, key, err)
		       : conninfo_put(&ci->text[i], value, err);
}

/* A uri_store for a service: what is there already stays. */
static int
set_if_missing(void *arg, const char *key, const char *value, struct err *err)
{
	struct conninfo *ci = arg;
	int i = find(key);

	return i != -1 && ci->text[i] != NULL ? 0 : set(ci, key, value, err);
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
	if (conninfo_put(&copy, text, err) == -1)
		return -1;
	/* Parsing cuts the copy apart, so that its length is not the text's
	 * any more: it is wiped by that. */
	rc = uri_scheme(copy) > 0 ? uri_parse(copy, set, ci, err)
				  : parse_pairs(ci, copy, err);
	explicit_bzero(copy, strlen(text));
	free(copy);
	return rc;
}

/* Looks for the service in one file. As service_find; 0 also without one. */
static int
read_service(struct conninfo *ci, const char *path, struct err *err)
{
	struct buf text;
	int got;

	buf_init(&text, FILE_MAX);
	got = ci->sys->read(path, false, &text, err);
	if (got == 1) {
		buf_put_u8(&text, '\0');
		got = text.failed
		    ? err_set(err, ERR_NOMEM, "%s: too large", path)
		    : service_find((char *)text.data, ci->text[CI_SERVICE],
			  set_if_missing, ci, err);
	}
	if (got == -1)
		err_prefix(err, "%s", path);
	explicit_bzero(text.data, text.len);
	buf_free(&text);
	return got;
}

/* The user's file, or the one that is named; then the system's. */
static int
apply_service(struct conninfo *ci, struct err *err)
{
	const char *named = ci->text[CI_SERVICEFILE];
	const char *dir = ci->sys->env("PGSYSCONFDIR");
	char path[1024] = "";
	int got = 0;

	if (ci->text[CI_SERVICE] == NULL)
		return 0;
	if (named != NULL)
		snprintf(path, sizeof(path), "%s", named);
	else if (ci->sys->home != NULL)
		snprintf(path, sizeof(path), "%s/.pg_service.conf",
		    ci->sys->home);
	if (*path != '\0')
		got = read_service(ci, path, err);
	if (got == 0) {
		snprintf(path, sizeof(path), "%s/pg_service.conf",
		    dir != NULL ? dir : "/etc/postgresql-common");
		got = read_service(ci, path, err);
	}
	if (got == 0)
		return err_set(err, ERR_USAGE,
		    "the service \"%.63s\" is not defined in %s or %s",
		    ci->text[CI_SERVICE],
		    named != NULL ? named : "~/.pg_service.conf", path);
	return got == 1 ? 0 : -1;
}

static int
from_environment(struct conninfo *ci, enum conninfo_id id, struct err *err)
{
	const char *v =
	    settings[id].env == NULL ? NULL : ci->sys->env(settings[id].env);

	if (ci->text[id] != NULL || v == NULL || *v == '\0')
		return 0;
	return conninfo_put(&ci->text[id], v, err);
}

/* What the text did not say: from the service, the environment, or preset. */
static int
fill(struct conninfo *ci, struct err *err)
{
	const char *ssl;

	if (from_environment(ci, CI_SERVICE, err) == -1 ||
	    from_environment(ci, CI_SERVICEFILE, err) == -1 ||
	    apply_service(ci, err) == -1)
		return -1;
	ssl = ci->sys->env("PGREQUIRESSL"); /* what sslmode was before */
	if (ci->text[CI_SSLMODE] == NULL && ci->sys->env("PGSSLMODE") == NULL &&
	    ssl != NULL && *ssl == '1' &&
	    conninfo_put(&ci->text[CI_SSLMODE], "require", err) == -1)
		return -1;
	for (int i = 0; i < CI_SETTINGS; i++) {
		char **m = &ci->text[i];

		if (from_environment(ci, (enum conninfo_id)i, err) == -1)
			return -1;
		if (*m != NULL && **m == '\0' && i != CI_USER)
			conninfo_drop(m); /* for libpq, too, that is none */
		if (*m == NULL && settings[i].preset != NULL &&
		    conninfo_put(m, settings[i].preset, err) == -1)
			return -1;
	}
	return 0;
}

int
conninfo_parse(struct conninfo *ci, const char *text,
    const struct conninfo_system *sys, struct err *err)
{
	memset(ci, 0, sizeof(*ci));
	ci->sys = sys;
	if (parse_text(ci, text, err) == 0 && fill(ci, err) == 0 &&
	    conninfo_check(ci, err) == 0)
		return 0;
	conninfo_free(ci);
	return -1;
}

void
conninfo_free(struct conninfo *ci)
{
	for (size_t i = 0; i < ci->hosts; i++) {
		conninfo_drop(&ci->host[i].host);
		conninfo_drop(&ci->host[i].hostaddr);
		conninfo_drop(&ci->host[i].port);
		conninfo_drop(&ci->host[i].password);
	}
	free(ci->host);
	ci->host = NULL;
	ci->hosts = 0;
	for (size_t i = 0; i < CI_SETTINGS; i++)
		conninfo_drop(&ci->text[i]);
}
