#include "pg/conninfo_check.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pg/passfile.h"

#define BLANKS " \t\n\v\f\r"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define FILE_MAX ((size_t)1 << 20)

/* Settings with a few possible values, in the order of the enums. */
static const struct {
	enum conninfo_id id;
	const char *choices[7]; /* NULL after the last */
} choices[] = {
	{ CI_SSLMODE,
	    { "disable", "allow", "prefer", "require", "verify-ca",
		"verify-full" } },
	{ CI_SSLNEGOTIATION, { "postgres", "direct" } },
	{ CI_SSLCERTMODE, { "disable", "allow", "require" } },
	{ CI_CHANNEL_BINDING, { "disable", "prefer", "require" } },
	{ CI_TARGET_SESSION_ATTRS,
	    { "any", "read-write", "read-only", "primary", "standby",
		"prefer-standby" } },
	{ CI_LOAD_BALANCE_HOSTS, { "disable", "random" } },
	{ CI_GSSENCMODE, { "disable", "prefer", "require" } },
	{ CI_SSLSNI, { "0", "1" } },
	{ CI_SSLCOMPRESSION, { "0", "1" } }, /* TLS has none: no effect */
	{ CI_MIN_PROTOCOL_VERSION, { "3.0", "3.2", "latest" } },
	{ CI_MAX_PROTOCOL_VERSION, { "3.0", "3.2", "latest" } },
	{ CI_SSL_MIN_PROTOCOL_VERSION,
	    { "", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" } },
	{ CI_SSL_MAX_PROTOCOL_VERSION,
	    { "", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" } },
};

static const enum conninfo_id numbers[] = { CI_CONNECT_TIMEOUT, CI_KEEPALIVES,
	CI_KEEPALIVES_IDLE, CI_KEEPALIVES_INTERVAL, CI_KEEPALIVES_COUNT,
	CI_TCP_USER_TIMEOUT };

static int
wrong(enum conninfo_id id, const char *what, struct err *err)
{
	const char *env = conninfo_variable(id);

	return err_set(err, ERR_USAGE, "connection option \"%s\"%s%s%s %s",
	    conninfo_keyword(id), env == NULL ? "" : " (",
	    env == NULL ? "" : env, env == NULL ? "" : ")", what);
}

static int
check_choice(struct conninfo *ci, enum conninfo_id id,
    const char *const *choice, struct err *err)
{
	bool versions = id == CI_SSL_MIN_PROTOCOL_VERSION ||
	    id == CI_SSL_MAX_PROTOCOL_VERSION; /* in any case */
	char list[160] = "must be ";
	size_t n;

	for (int i = 0; choice[i] != NULL; i++) {
		if ((versions ? strcasecmp : strcmp)(ci->text[id], choice[i]) ==
		    0) {
			ci->value[id] = i;
			return 0;
		}
		n = strlen(list);
		if (*choice[i] != '\0')
			snprintf(list + n, sizeof(list) - n, "%s%s",
			    list[n - 1] == ' ' ? "" : ", ", choice[i]);
	}
	return wrong(id, list, err);
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
check_numbers(struct conninfo *ci, struct err *err)
{
	int *timeout = &ci->value[CI_CONNECT_TIMEOUT], *v;

	for (size_t i = 0; i < COUNT(numbers); i++) {
		v = &ci->value[numbers[i]];
		if (parse_int(ci->text[numbers[i]], v) == -1)
			return wrong(numbers[i], "must be a number", err);
		if (*v < 0 && numbers[i] != CI_KEEPALIVES)
			*v = 0; /* the default */
	}
	if (*timeout == 1)
		*timeout = 2; /* as libpq: a second can be nearly over */
	return 0;
}

/* Is this a name of UTF-8? As the server reads them: letters and digits. */
static bool
is_utf8(const char *name)
{
	char clean[8] = "";
	size_t n = 0;

	for (; *name != '\0'; name++) {
		if (!isalnum((unsigned char)*name))
			continue;
		if (n == sizeof(clean) - 1)
			return false;
		clean[n++] = (char)tolower((unsigned char)*name);
	}
	return strcmp(clean, "utf8") == 0 || strcmp(clean, "unicode") == 0 ||
	    strcmp(clean, "auto") == 0;
}

/* What only makes sense, or is supported, together. */
static int
check_tls(struct conninfo *ci, struct err *err)
{
	const char *root = ci->text[CI_SSLROOTCERT];
	bool system = root != NULL && strcmp(root, "system") == 0;
	int *v = ci->value;

	if (ci->text[CI_SSLMODE] == NULL &&
	    conninfo_put(&ci->text[CI_SSLMODE],
		system ? "verify-full" : "prefer", err) == -1)
		return -1;
	for (size_t i = 0; i < COUNT(choices); i++)
		if (check_choice(ci, choices[i].id, choices[i].choices, err))
			return -1;
	if (system && v[CI_SSLMODE] != SSLMODE_VERIFY_FULL)
		return wrong(CI_SSLMODE,
		    "must be verify-full with sslrootcert=system", err);
	if (v[CI_SSLNEGOTIATION] == SSLNEGOTIATION_DIRECT &&
	    v[CI_SSLMODE] < SSLMODE_REQUIRE)
		return wrong(CI_SSLMODE,
		    "must be require or more with sslnegotiation=direct", err);
	if (v[CI_SSL_MAX_PROTOCOL_VERSION] != TLS_ANY &&
	    v[CI_SSL_MIN_PROTOCOL_VERSION] > v[CI_SSL_MAX_PROTOCOL_VERSION])
		return wrong(CI_SSL_MIN_PROTOCOL_VERSION,
		    "is above ssl_max_protocol_version", err);
	if (strcmp(ci->text[CI_GSSENCMODE], "require") == 0)
		return wrong(CI_GSSENCMODE,
		    "cannot be require: GSSAPI is not supported", err);
	if (v[CI_MIN_PROTOCOL_VERSION] > 0)
		return wrong(CI_MIN_PROTOCOL_VERSION,
		    "cannot be above 3.0, which is what walstream speaks", err);
	if (!is_utf8(ci->text[CI_CLIENT_ENCODING]))
		return wrong(CI_CLIENT_ENCODING, "can only be UTF8", err);
	return 0;
}

/* Methods of require_auth, by their places in its bits; those that are not
 * supported after the others. */
static const char *const methods[] = { "none", "password", "md5",
	"scram-sha-256", "gss", "sspi", "oauth" };

/* The bit of the method that is the n characters at p, or 0. */
static unsigned
method_bit(const char *p, size_t n)
{
	for (unsigned i = 0; i < COUNT(methods); i++)
		if (strlen(methods[i]) == n && strncmp(p, methods[i], n) == 0)
			return 1U << i;
	return 0;
}

/* Reads the list, each with or each without "!". */
static int
named_methods(const char *p, bool negated, unsigned *named, struct err *err)
{
	unsigned bit;
	size_t n;

	for (;; p += n + 1) {
		if ((*p == '!') != negated)
			return wrong(CI_REQUIRE_AUTH,
			    "cannot have methods with and without \"!\"", err);
		p += negated;
		n = strcspn(p, ",");
		if ((bit = method_bit(p, n)) == 0)
			return wrong(CI_REQUIRE_AUTH,
			    "must be a list of password, md5, scram-sha-256, "
			    "none, gss, sspi and oauth, each with or each "
			    "without \"!\"",
			    err);
		if ((*named & bit) != 0)
			return wrong(CI_REQUIRE_AUTH, "names a method twice",
			    err);
		*named |= bit;
		if (p[n] == '\0')
			return 0;
	}
}

/* What is allowed: the methods that are named, or all others. */
static int
check_auth(struct conninfo *ci, struct err *err)
{
	const char *list = ci->text[CI_REQUIRE_AUTH];
	bool negated = *list == '!';
	unsigned named = 0;

	ci->auth_allowed = AUTH_ALLOW_ALL;
	if (*list == '\0')
		return 0;
	if (named_methods(list, negated, &named, err) == -1)
		return -1;
	ci->auth_allowed &= negated ? ~named : named;
	if (ci->auth_allowed == 0)
		return wrong(CI_REQUIRE_AUTH,
		    "allows nothing that is supported: password, md5, "
		    "scram-sha-256 and none",
		    err);
	return 0;
}

static size_t
count_items(const char *list)
{
	size_t n = 1;

	for (; *list != '\0'; list++)
		n += *list == ',';
	return n;
}

/* The i-th item of a comma-separated list, a copy. */
static char *
item(const char *list, size_t i)
{
	while (i-- > 0)
		list += strcspn(list, ",") + 1;
	return strndup(list, strcspn(list, ","));
}

static int
check_port(char **port, struct err *err)
{
	char text[16];
	int n = 5432;

	if (**port != '\0' &&
	    (parse_int(*port, &n) == -1 || n < 1 || n > 65535))
		return wrong(CI_PORT, "must be a number from 1 to 65535", err);
	snprintf(text, sizeof(text), "%d", n);
	return conninfo_put(port, text, err);
}

/* Cuts the lists; they must be as long as each other, but one port is for
 * all. */
static int
make_hosts(struct conninfo *ci, struct err *err)
{
	const char *host = ci->text[CI_HOST], *addr = ci->text[CI_HOSTADDR];
	const char *port = ci->text[CI_PORT];
	size_t ports = count_items(port);
	size_t n = count_items(*addr != '\0' ? addr : host);

	if (*addr != '\0' && *host != '\0' && count_items(host) != n)
		return wrong(CI_HOSTADDR, "must list as many as \"host\"", err);
	if (ports != 1 && ports != n)
		return wrong(CI_PORT, "must list one, or as many as \"host\"",
		    err);
	if ((ci->host = calloc(n, sizeof(*ci->host))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	ci->hosts = n;
	for (size_t i = 0; i < n; i++) {
		struct conninfo_host *h = &ci->host[i];

		h->host = *host == '\0' ? strdup("") : item(host, i);
		h->hostaddr = *addr == '\0' ? strdup("") : item(addr, i);
		h->port = item(port, ports == 1 ? 0 : i);
		if (h->host == NULL || h->hostaddr == NULL || h->port == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		if (check_port(&h->port, err) == -1)
			return -1;
	}
	return 0;
}

static int
check_names(struct conninfo *ci, struct err *err)
{
	char **user = &ci->text[CI_USER], **name = ci->text;

	if (*user == NULL && ci->sys->user != NULL &&
	    conninfo_put(user, ci->sys->user, err) == -1)
		return -1;
	if (*user == NULL)
		return wrong(CI_USER, "is missing: no database user", err);
	if (name[CI_DBNAME] == NULL &&
	    conninfo_put(&name[CI_DBNAME], *user, err) == -1)
		return -1;
	if (name[CI_APPLICATION_NAME] == NULL)
		return conninfo_put(&name[CI_APPLICATION_NAME],
		    name[CI_FALLBACK_APPLICATION_NAME], err);
	return 0;
}

/* Passwords for each host: the one that was given, or from the file. */
static int
find_passwords(struct conninfo *ci, const char *text, size_t n, struct err *err)
{
	for (size_t i = 0; i < ci->hosts; i++) {
		struct conninfo_host *h = &ci->host[i];
		struct passfile_key key = { *h->host != '\0' ? h->host
							     : h->hostaddr,
			h->port, ci->text[CI_DBNAME], ci->text[CI_USER] };

		if (ci->text[CI_PASSWORD] == NULL) {
			conninfo_drop(&h->password);
			h->password = passfile_find(text, n, &key);
			if (h->password != NULL && *h->password == '\0')
				conninfo_drop(&h->password);
		} else if (conninfo_put(&h->password, ci->text[CI_PASSWORD],
			       err) == -1)
			return -1;
	}
	return 0;
}

/* Reads the password file; it is empty when there is none. */
static int
read_passfile(const struct conninfo *ci, struct buf *text, struct err *err)
{
	const struct conninfo_system *sys = ci->sys;
	char path[1024];

	if (ci->text[CI_PASSFILE] != NULL)
		return sys->read(ci->text[CI_PASSFILE], true, text, err);
	if (sys->home == NULL)
		return 0;
	snprintf(path, sizeof(path), "%s/.pgpass", sys->home);
	return sys->read(path, true, text, err);
}

int
conninfo_passwords(struct conninfo *ci, struct err *err)
{
	bool given = ci->text[CI_PASSWORD] != NULL;
	struct buf text;
	int rc;

	if (given && ci->host[0].password != NULL)
		return 0;
	buf_init(&text, FILE_MAX);
	rc = given ? 0 : read_passfile(ci, &text, err);
	if (rc != -1)
		rc = find_passwords(ci, (const char *)buf_head(&text),
		    buf_unread(&text), err);
	if (text.data != NULL)
		explicit_bzero(text.data, text.len);
	buf_free(&text);
	return rc == -1 ? -1 : 0;
}

int
conninfo_check(struct conninfo *ci, struct err *err)
{
	if (check_numbers(ci, err) == -1 || check_tls(ci, err) == -1 ||
	    check_auth(ci, err) == -1 || check_names(ci, err) == -1 ||
	    make_hosts(ci, err) == -1)
		return -1;
	return conninfo_passwords(ci, err);
}
