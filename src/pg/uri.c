#include "pg/uri.h"

#include <string.h>

#include "base/buf.h"

#define HOSTS_MAX ((size_t)64 * 1024)

struct uri {
	char *at; /* what is not yet cut */
	uri_store *store;
	void *arg;
	struct err *err;
};

size_t
uri_scheme(const char *text)
{
	static const char *const schemes[] = { "postgresql://", "postgres://" };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = strlen(schemes[i]);

		if (strncmp(text, schemes[i], n) == 0)
			return n;
	}
	return 0;
}

/* Takes the text before the first character of stop, or all of it. Returns
 * that character, or NUL. */
static char
cut(struct uri *u, const char *stop, char **token)
{
	size_t n = strcspn(u->at, stop);
	char c = u->at[n];

	*token = u->at;
	u->at += n + (c != '\0');
	(*token)[n] = '\0';
	return c;
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Undoes percent-encoding in place, and takes spaces off both ends, as libpq
 * does from PostgreSQL 18 on; to an older one they are a part of it. */
static int
decode(char *s, struct err *err)
{
	const char *p = s + strspn(s, " ");
	char *to = s;

	for (; *p != '\0' && *p != ' '; p++) {
		if (*p != '%') {
			*to++ = *p;
			continue;
		}
		if (hex(p[1]) < 0 || hex(p[2]) < 0)
			return err_set(err, ERR_USAGE,
			    "connection URI: \"%%\" is not followed by two "
			    "hexadecimal digits; write %%25 for \"%%\"");
		*to = (char)(hex(p[1]) << 4 | hex(p[2]));
		if (*to++ == '\0')
			return err_set(err, ERR_USAGE,
			    "connection URI: %%00 is not allowed");
		p += 2;
	}
	if (p[strspn(p, " ")] != '\0')
		return err_set(err, ERR_USAGE,
		    "connection URI: there is a space in it; write %%20 for a "
		    "space");
	*to = '\0';
	return 0;
}

static int
put(struct uri *u, const char *key, char *value)
{
	if (*value == '\0')
		return 0;
	if (decode(value, u->err) == -1)
		return -1;
	return u->store(u->arg, key, value, u->err);
}

static int
credentials(struct uri *u)
{
	char *user, *password, *end = u->at + strcspn(u->at, "@/");

	if (*end != '@')
		return 0;
	*end = '\0';
	cut(u, ":", &user);
	password = u->at;
	u->at = end + 1;
	if (put(u, "user", user) == -1)
		return -1;
	return put(u, "password", password);
}

/* An IPv6 address; *end is what follows the brackets. */
static int
bracketed(struct uri *u, char **host, char *end)
{
	u->at++;
	if (cut(u, "]", host) == '\0')
		return err_set(u->err, ERR_USAGE,
		    "connection URI: no \"]\" after an IPv6 address");
	if (**host == '\0')
		return err_set(u->err, ERR_USAGE,
		    "connection URI: empty IPv6 address");
	*end = *u->at;
	if (*end == '\0')
		return 0;
	if (strchr(":/?,", *end) == NULL)
		return err_set(u->err, ERR_USAGE,
		    "connection URI: only \":port\", \"/\" or \"?\" can "
		    "follow an IPv6 address");
	u->at++;
	return 0;
}

/* One host and its port, to the ends of the lists. *end is what follows. */
static int
one_host(struct uri *u, struct buf *hosts, struct buf *ports, char *end)
{
	char *host, *port;

	if (*u->at != '[')
		*end = cut(u, ":/?,", &host);
	else if (bracketed(u, &host, end) == -1)
		return -1;
	port = host + strlen(host);
	if (*end == ':')
		*end = cut(u, "/?,", &port);
	/* The rest of a password with a bare '@' would end up in log lines as
	 * the name of a host. */
	if (strchr(host, '@') != NULL)
		return err_set(u->err, ERR_USAGE,
		    "connection URI: more than one \"@\"; write %%40 for \"@\" "
		    "in a user name or password");
	buf_put_str(hosts, host);
	buf_put_str(ports, port);
	if (*end == ',') {
		buf_put_u8(hosts, ',');
		buf_put_u8(ports, ',');
	}
	return 0;
}

static int
put_list(struct uri *u, const char *key, struct buf *list)
{
	buf_put_u8(list, '\0');
	if (list->failed)
		return err_set(u->err, ERR_NOMEM, "out of memory");
	return put(u, key, (char *)list->data);
}

/* Hosts and ports; *end is what follows them: '/', '?' or NUL. */
static int
authority(struct uri *u, char *end)
{
	struct buf hosts, ports;
	int rc;

	buf_init(&hosts, HOSTS_MAX);
	buf_init(&ports, HOSTS_MAX);
	do
		rc = one_host(u, &hosts, &ports, end);
	while (rc == 0 && *end == ',');
	if (rc == 0)
		rc = put_list(u, "host", &hosts);
	if (rc == 0)
		rc = put_list(u, "port", &ports);
	buf_free(&hosts);
	buf_free(&ports);
	return rc;
}

static int
parameters(struct uri *u)
{
	char *key, *value;

	while (*u->at != '\0') {
		cut(u, "&", &key);
		if ((value = strchr(key, '=')) == NULL)
			return err_set(u->err, ERR_USAGE,
			    "connection URI: a parameter without \"=\"");
		*value++ = '\0';
		if (strchr(value, '=') != NULL)
			return err_set(u->err, ERR_USAGE,
			    "connection URI: a parameter with two \"=\"; write "
			    "%%3D for \"=\" in a value");
		if (decode(key, u->err) == -1 || decode(value, u->err) == -1)
			return -1;
		if (u->store(u->arg, key, value, u->err) == -1)
			return -1;
	}
	return 0;
}

int
uri_parse(char *text, uri_store *store, void *arg, struct err *err)
{
	struct uri u = { text + uri_scheme(text), store, arg, err };
	char end = '\0', *dbname;

	if (credentials(&u) == -1 || authority(&u, &end) == -1)
		return -1;
	if (end == '/') {
		end = cut(&u, "?", &dbname);
		if (put(&u, "dbname", dbname) == -1)
			return -1;
	}
	return end == '?' ? parameters(&u) : 0;
}
