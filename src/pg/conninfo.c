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
#define PATH_CAP 1024 /* of a path's text */

static const struct setting {
	const char *keyword, *env;
	const char *preset; /* the default; or NULL */
	bool kept;          /* an empty value is one; otherwise, it is none */
} settings[CI_SETTINGS] = {
	[CI_SERVICE] = { "service", "PGSERVICE", NULL, true },
	[CI_SERVICEFILE] = { "servicefile", "PGSERVICEFILE", NULL, true },
	[CI_USER] = { "user", "PGUSER", NULL, false },
	[CI_PASSWORD] = { "password", "PGPASSWORD", NULL, false },
	[CI_PASSFILE] = { "passfile", "PGPASSFILE", NULL, false },
	[CI_DBNAME] = { "dbname", "PGDATABASE", NULL, false },
	[CI_HOST] = { "host", "PGHOST", "", false },
	[CI_HOSTADDR] = { "hostaddr", "PGHOSTADDR", "", false },
	[CI_PORT] = { "port", "PGPORT", "5432", false },
	[CI_OPTIONS] = { "options", "PGOPTIONS", "", false },
	[CI_APPLICATION_NAME] = { "application_name", "PGAPPNAME", NULL, true },
	[CI_FALLBACK_APPLICATION_NAME] = { "fallback_application_name", NULL,
	    "walstream", true },
	[CI_CLIENT_ENCODING] = { "client_encoding", "PGCLIENTENCODING", "UTF8",
	    false },
	[CI_CONNECT_TIMEOUT] = { "connect_timeout", "PGCONNECT_TIMEOUT", "0",
	    true },
	[CI_KEEPALIVES] = { "keepalives", NULL, "1", true },
	[CI_KEEPALIVES_IDLE] = { "keepalives_idle", NULL, "0", true },
	[CI_KEEPALIVES_INTERVAL] = { "keepalives_interval", NULL, "0", true },
	[CI_KEEPALIVES_COUNT] = { "keepalives_count", NULL, "0", true },
	[CI_TCP_USER_TIMEOUT] = { "tcp_user_timeout", NULL, "0", true },
	[CI_TARGET_SESSION_ATTRS] = { "target_session_attrs",
	    "PGTARGETSESSIONATTRS", "any", true },
	[CI_LOAD_BALANCE_HOSTS] = { "load_balance_hosts", "PGLOADBALANCEHOSTS",
	    "disable", true },
	[CI_REQUIREPEER] = { "requirepeer", "PGREQUIREPEER", "", false },
	[CI_REQUIRE_AUTH] = { "require_auth", "PGREQUIREAUTH", "", false },
	[CI_CHANNEL_BINDING] = { "channel_binding", "PGCHANNELBINDING",
	    "prefer", true },
	[CI_GSSENCMODE] = { "gssencmode", "PGGSSENCMODE", "disable", true },
	[CI_MIN_PROTOCOL_VERSION] = { "min_protocol_version",
	    "PGMINPROTOCOLVERSION", "3.0", true },
	[CI_MAX_PROTOCOL_VERSION] = { "max_protocol_version",
	    "PGMAXPROTOCOLVERSION", "3.0", true },
	[CI_SSLMODE] = { "sslmode", "PGSSLMODE", NULL, true },
	[CI_SSLNEGOTIATION] = { "sslnegotiation", "PGSSLNEGOTIATION",
	    "postgres", true },
	[CI_SSLCOMPRESSION] = { "sslcompression", "PGSSLCOMPRESSION", "0",
	    true },
	[CI_SSLCERT] = { "sslcert", "PGSSLCERT", NULL, false },
	[CI_SSLKEY] = { "sslkey", "PGSSLKEY", NULL, false },
	[CI_SSLPASSWORD] = { "sslpassword", NULL, NULL, false },
	[CI_SSLCERTMODE] = { "sslcertmode", "PGSSLCERTMODE", "allow", true },
	[CI_SSLROOTCERT] = { "sslrootcert", "PGSSLROOTCERT", NULL, false },
	[CI_SSLCRL] = { "sslcrl", "PGSSLCRL", NULL, false },
	[CI_SSLCRLDIR] = { "sslcrldir", "PGSSLCRLDIR", NULL, false },
	[CI_SSLSNI] = { "sslsni", "PGSSLSNI", "1", true },
	[CI_SSL_MIN_PROTOCOL_VERSION] = { "ssl_min_protocol_version",
	    "PGSSLMINPROTOCOLVERSION", "TLSv1.2", true },
	[CI_SSL_MAX_PROTOCOL_VERSION] = { "ssl_max_protocol_version",
	    "PGSSLMAXPROTOCOLVERSION", "", true },
};

/* Keywords of libpq that are refused. What they have of variables means
 * nothing to a libpq without GSSAPI, either. */
static const char *const refused[] = { "krbsrvname", "gsslib", "gssdelegation",
	"replication", "scram_client_key", "scram_server_key", "sslkeylogfile",
	"oauth_issuer", "oauth_client_id", "oauth_client_secret",
	"oauth_scope" };

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

static int
refuse(const struct conninfo *ci, const char *keyword, struct err *err)
{
	for (size_t i = 0; i < COUNT(refused); i++)
		if (strcmp(keyword, refused[i]) == 0)
			return err_set(err, ERR_USAGE,
			    "connection option \"%s\" is not supported",
			    keyword);
	if (ci->hush)
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

static int
store(struct conninfo *ci, const char *key, const char *value, struct err *err)
{
	int i = find(key);

	if (i == -1)
		return refuse(ci, key, err);
	if (i == CI_PASSWORD || i == CI_SSLPASSWORD)
		ci->hush = true;
	return conninfo_put(&ci->text[i], value, err);
}

/* A uri_store: what is given last counts. */
static int
set(void *arg, const char *key, const char *value, struct err *err)
{
	/* What sslmode was before. */
	if (strcmp(key, "requiressl") == 0)
		return store(arg, "sslmode",
		    *value == '1' ? "require" : "prefer", err);
	return store(arg, key, value, err);
}

/* The same for a URI, where libpq knows a parameter of JDBC's, too. */
static int
set_of_uri(void *arg, const char *key, const char *value, struct err *err)
{
	if (strcmp(key, "ssl") == 0 && strcmp(value, "true") == 0)
		return store(arg, "sslmode", "require", err);
	return set(arg, key, value, err);
}

/* And for a service: what is there already stays. */
static int
set_if_missing(void *arg, const char *key, const char *value, struct err *err)
{
	struct conninfo *ci = arg;
	int i = find(key);

	return i != -1 && ci->text[i] != NULL ? 0 : store(ci, key, value, err);
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

/* Is there an '@' that ends no user and password? Then it may end a password
 * with a bare '/', whose rest looks like anything. */
static bool
is_ambiguous(const char *uri)
{
	const char *p = uri + uri_scheme(uri);

	p += strcspn(p, "@/");
	return strchr(*p == '@' ? p + 1 : p, '@') != NULL;
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
	if (uri_scheme(copy) > 0) {
		ci->hush = is_ambiguous(copy);
		rc = uri_parse(copy, set_of_uri, ci, err);
	} else
		rc = parse_pairs(ci, copy, err);
	/* Parsing has cut the copy apart: its length is the text's. */
	explicit_bzero(copy, strlen(text));
	free(copy);
	return rc;
}

/* What may be shown of a value of the text. */
static const char *
shown(const struct conninfo *ci, const char *value)
{
	return ci->hush ? "..." : value;
}

/* Looks for the service in what a file has. */
static int
search(struct conninfo *ci, struct buf *text, struct err *err)
{
	if (memchr(buf_head(text), '\0', buf_unread(text)) != NULL)
		return err_set(err, ERR_USAGE, "there is a NUL byte in it");
	buf_put_u8(text, '\0');
	if (text->failed)
		return err_set(err, ERR_USAGE, "too large");
	return service_find((char *)text->data, ci->text[CI_SERVICE],
	    set_if_missing, ci, err);
}

/* As service_find; *exists says whether there is the file. */
static int
read_service(struct conninfo *ci, const char *path, bool *exists,
    struct err *err)
{
	const char *name =
	    path == ci->text[CI_SERVICEFILE] ? shown(ci, path) : path;
	struct buf text;
	int got;

	buf_init(&text, FILE_MAX);
	got = ci->sys->read(path, false, &text, err);
	*exists = got == 1;
	if (got == 1 && (got = search(ci, &text, err)) == -1)
		err_prefix(err, "service file %s", name);
	else if (got == -1 && ci->hush)
		err_set(err, err->kind, "cannot read a service file");
	if (text.data != NULL)
		explicit_bzero(text.data, text.len);
	buf_free(&text);
	return got;
}

/* The file that is named has to be there; the user's need not. */
static int
search_users(struct conninfo *ci, struct err *err)
{
	const char *named = ci->text[CI_SERVICEFILE];
	char path[PATH_CAP];
	bool exists;
	int got;

	if (named == NULL && ci->sys->home == NULL)
		return 0;
	if (named == NULL) {
		snprintf(path, sizeof(path), "%s/.pg_service.conf",
		    ci->sys->home);
		return read_service(ci, path, &exists, err);
	}
	got = read_service(ci, named, &exists, err);
	if (got == 0 && !exists)
		return err_set(err, ERR_USAGE,
		    "there is no service file %.500s", shown(ci, named));
	return got;
}

/* Then the system's. */
static int
apply_service(struct conninfo *ci, struct err *err)
{
	const char *dir = ci->sys->env("PGSYSCONFDIR");
	char path[PATH_CAP];
	bool exists;
	int got;

	if (ci->text[CI_SERVICE] == NULL)
		return 0;
	snprintf(path, sizeof(path), "%s/pg_service.conf",
	    dir != NULL ? dir : "/etc/postgresql-common");
	if ((got = search_users(ci, err)) == 0)
		got = read_service(ci, path, &exists, err);
	if (got == 0)
		return err_set(err, ERR_USAGE,
		    "the service \"%.63s\" is not defined in %.200s or %.200s",
		    shown(ci, ci->text[CI_SERVICE]),
		    ci->text[CI_SERVICEFILE] == NULL
			? "~/.pg_service.conf"
			: shown(ci, ci->text[CI_SERVICEFILE]),
		    path);
	return got == 1 ? 0 : -1;
}

static int
from_environment(struct conninfo *ci, enum conninfo_id id, struct err *err)
{
	const char *v =
	    settings[id].env == NULL ? NULL : ci->sys->env(settings[id].env);

	if (ci->text[id] != NULL || v == NULL)
		return 0;
	return conninfo_put(&ci->text[id], v, err);
}

/* An empty one hides the environment's and means the default: so does
 * libpq. */
static int
preset(struct conninfo *ci, enum conninfo_id id, struct err *err)
{
	char **m = &ci->text[id];

	if (*m != NULL && **m == '\0' && !settings[id].kept)
		conninfo_drop(m);
	if (*m != NULL || settings[id].preset == NULL)
		return 0;
	return conninfo_put(m, settings[id].preset, err);
}

/* What the text did not say: from the service, the environment, or preset. */
static int
fill(struct conninfo *ci, struct err *err)
{
	const char *ssl = ci->sys->env("PGREQUIRESSL");

	if (from_environment(ci, CI_SERVICE, err) == -1 ||
	    from_environment(ci, CI_SERVICEFILE, err) == -1 ||
	    apply_service(ci, err) == -1 ||
	    from_environment(ci, CI_SSLMODE, err) == -1)
		return -1;
	if (ci->text[CI_SSLMODE] == NULL && ssl != NULL && *ssl == '1' &&
	    conninfo_put(&ci->text[CI_SSLMODE], "require", err) == -1)
		return -1;
	for (int i = 0; i < CI_SETTINGS; i++) {
		if (from_environment(ci, (enum conninfo_id)i, err) == -1 ||
		    preset(ci, (enum conninfo_id)i, err) == -1)
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
