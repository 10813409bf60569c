#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/conninfo.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The environment the parser sees: at most two variables. */
static struct {
	const char *name;
	char value[64];
} vars[2];

static char *
fake_env(const char *name)
{
	for (size_t i = 0; i < COUNT(vars); i++) {
		if (vars[i].name != NULL && strcmp(vars[i].name, name) == 0)
			return vars[i].value;
	}
	return NULL;
}

static void
set_env(size_t i, const char *name, const char *value)
{
	vars[i].name = name;
	strncpy(vars[i].value, value, sizeof(vars[i].value) - 1);
}

static int
clear_env(void **state)
{
	(void)state;
	memset(vars, 0, sizeof(vars));
	return 0;
}

static int
parse(struct conninfo *ci, const char *text, struct err *err)
{
	memset(ci, 0xa5, sizeof(*ci));
	memset(err, 0, sizeof(*err));
	return conninfo_parse(ci, text, fake_env, "os", err);
}

/* The default: no password, the user as the database. */
#define NO NULL

struct good {
	const char *text;
	const char *user, *password, *host, *port, *dbname;
};

/* Like assert_string_equal, but NULL is a value and a failure names text. */
static void
expect(const char *text, const char *got, const char *want)
{
	if (got == NULL || want == NULL ? got != want : strcmp(got, want) != 0)
		fail_msg("%s: got \"%s\" instead of \"%s\"",
		    text == NULL ? "(null)" : text, got == NULL ? "-" : got,
		    want == NULL ? "-" : want);
}

static void
assert_parses(const struct good *g)
{
	struct conninfo ci;
	struct err err;

	if (parse(&ci, g->text, &err) == -1)
		fail_msg("%s: %s", g->text, err.text);
	expect(g->text, ci.user, g->user == NULL ? "os" : g->user);
	expect(g->text, ci.password, g->password);
	expect(g->text, ci.host, g->host == NULL ? "" : g->host);
	expect(g->text, ci.port, g->port == NULL ? "5432" : g->port);
	expect(g->text, ci.dbname, g->dbname == NULL ? ci.user : g->dbname);
	expect(g->text, ci.application_name, "walstream");
	expect(g->text, ci.options, "");
	expect(g->text, ci.connect_timeout, "0");
	conninfo_free(&ci);
	assert_null(ci.user);
}

static void
assert_refused(const char *text, const char *says)
{
	struct conninfo ci;
	struct err err;

	if (parse(&ci, text, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_int_equal(err.kind, ERR_USAGE);
	if (strstr(err.text, says) == NULL)
		fail_msg("%s: no \"%s\" in: %s", text, says, err.text);
	assert_null(ci.password);
	assert_null(ci.host);
}

static const struct good pairs[] = {
	{ NO, NO, NO, NO, NO, NO },
	{ "", NO, NO, NO, NO, NO },
	{ " \t\n\v\f\r", NO, NO, NO, NO, NO },
	{ "host=h port=1 user=u password=p dbname=d", "u", "p", "h", "1", "d" },
	{ "user=u", "u", NO, NO, NO, "u" },
	{ "host=localhost port=5432 dbname=mydb", NO, NO, "localhost", NO,
	    "mydb" },
	/* blanks around '=' and between pairs */
	{ "  host = h\tport\n=\n65535  user =u ", "u", NO, "h", "65535", NO },
	{ "user= \n 'u' host=\vh", "u", NO, "h", NO, NO },
	/* quotes and backslashes */
	{ "password='p q' host=h", NO, "p q", "h", NO, NO },
	{ "password='it\\'s \\\\ \"x\"'", NO, "it's \\ \"x\"", NO, NO, NO },
	{ "password=it\\'s\\ \\\\ host=h", NO, "it's \\", "h", NO, NO },
	{ "password=\\'p host=h", NO, "'p", "h", NO, NO },
	{ "password=a'b' host=h", NO, "a'b'", "h", NO, NO },
	{ "password='\\a\\n'", NO, "an", NO, NO, NO },
	{ "password=p\\", NO, "p", NO, NO, NO },
	{ "password='a=b' host=c=d", NO, "a=b", "c=d", NO, NO },
	{ "password='p'host=h", NO, "p", "h", NO, NO },
	{ "password='%41'", NO, "%41", NO, NO, NO },
	{ "dbname='two words'", NO, NO, NO, NO, "two words" },
	{ "host=/var/run/postgresql", NO, NO, "/var/run/postgresql", NO, NO },
	/* the last one counts */
	{ "host=a password=x host=b password=y", NO, "y", "b", NO, NO },
	/* an empty value is the default */
	{ "host='' port='' password='' dbname='' options='' "
	    "application_name='' connect_timeout=''", NO, NO, NO, NO, NO },
	{ "host=", NO, NO, NO, NO, NO },
	/* a value is what follows '=' and blanks, whatever it looks like */
	{ "host= port=1", NO, NO, "port=1", NO, NO },
	{ "dbname=postgres://h/d", NO, NO, NO, NO, "postgres://h/d" },
	/* numbers as libpq reads them */
	{ "port=' 5433 '", NO, NO, NO, "5433", NO },
	{ "port=+5433", NO, NO, NO, "5433", NO },
	{ "port=005433", NO, NO, NO, "5433", NO },
};

/* From PostgreSQL's src/interfaces/libpq/t/001_uri.pl, with its results. */
static const struct good uris[] = {
	{ "postgresql://uri-user:secret@host:12345/db", "uri-user", "secret",
	    "host", "12345", "db" },
	{ "postgresql://uri-user@host:12345/db", "uri-user", NO, "host",
	    "12345", "db" },
	{ "postgresql://uri-user@host/db", "uri-user", NO, "host", NO, "db" },
	{ "postgresql://host:12345/db", NO, NO, "host", "12345", "db" },
	{ "postgresql://host/db", NO, NO, "host", NO, "db" },
	{ "postgresql://uri-user@host:12345/", "uri-user", NO, "host", "12345",
	    NO },
	{ "postgresql://uri-user@host/", "uri-user", NO, "host", NO, NO },
	{ "postgresql://uri-user@", "uri-user", NO, NO, NO, NO },
	{ "postgresql://host:12345/", NO, NO, "host", "12345", NO },
	{ "postgresql://host:12345", NO, NO, "host", "12345", NO },
	{ "postgresql://host/", NO, NO, "host", NO, NO },
	{ "postgresql://host", NO, NO, "host", NO, NO },
	{ "postgresql://", NO, NO, NO, NO, NO },
	{ "postgresql://%68ost/", NO, NO, "host", NO, NO },
	{ "postgresql://host/db?user=uri-user", "uri-user", NO, "host", NO,
	    "db" },
	{ "postgresql://host/db?user=uri-user&port=12345", "uri-user", NO,
	    "host", "12345", "db" },
	{ "postgresql://host/db?u%73er=someotheruser&port=12345",
	    "someotheruser", NO, "host", "12345", "db" },
	{ "postgresql://host:12345?user=uri-user", "uri-user", NO, "host",
	    "12345", NO },
	{ "postgresql://host?user=uri-user", "uri-user", NO, "host", NO, NO },
	{ "postgresql://host?", NO, NO, "host", NO, NO },
	{ "postgresql://[::1]:12345/db", NO, NO, "::1", "12345", "db" },
	{ "postgresql://[::1]/db", NO, NO, "::1", NO, "db" },
	{ "postgresql://[2001:db8::1234]/", NO, NO, "2001:db8::1234", NO, NO },
	{ "postgresql://[200z:db8::1234]/", NO, NO, "200z:db8::1234", NO, NO },
	{ "postgresql://[::1]", NO, NO, "::1", NO, NO },
	{ "postgres://", NO, NO, NO, NO, NO },
	{ "postgres:///", NO, NO, NO, NO, NO },
	{ "postgres:///db", NO, NO, NO, NO, "db" },
	{ "postgres://uri-user@/db", "uri-user", NO, NO, NO, "db" },
	{ "postgres://?host=/path/to/socket/dir", NO, NO, "/path/to/socket/dir",
	    NO, NO },
	{ "postgres://@host", NO, NO, "host", NO, NO },
	{ "postgres://host:/", NO, NO, "host", NO, NO },
	{ "postgres://:12345/", NO, NO, NO, "12345", NO },
	{ "postgres://otheruser@?host=/no/such/directory", "otheruser", NO,
	    "/no/such/directory", NO, NO },
	{ "postgres://otheruser@/?host=/no/such/directory", "otheruser", NO,
	    "/no/such/directory", NO, NO },
	{ "postgres://otheruser@:12345?host=/no/such/socket/path", "otheruser",
	    NO, "/no/such/socket/path", "12345", NO },
	{ "postgres://otheruser@:12345/db?host=/path/to/socket", "otheruser",
	    NO, "/path/to/socket", "12345", "db" },
	{ "postgres://:12345/db?host=/path/to/socket", NO, NO,
	    "/path/to/socket", "12345", "db" },
	{ "postgres://:12345?host=/path/to/socket", NO, NO, "/path/to/socket",
	    "12345", NO },
	{ "postgres://%2Fvar%2Flib%2Fpostgresql/dbname", NO, NO,
	    "/var/lib/postgresql", NO, "dbname" },
	/* and others */
	{ "postgres://%75:p%40ss%2f%3A%25@h/d%20b", "u", "p@ss/:%", "h", NO,
	    "d b" },
	{ "postgres://%39%aF%Fa/", NO, NO, "9\xaf\xfa", NO, NO },
	{ "postgres://u:p?q:r&s=t@h", "u", "p?q:r&s=t", "h", NO, NO },
	{ "postgres://u:@h", "u", NO, "h", NO, NO },
	{ "postgres://:p@h", NO, "p", "h", NO, NO },
	{ "postgres://u:p@[::1]:1/d?user=v", "v", "p", "::1", "1", "d" },
	{ "postgres://h/a/b", NO, NO, "h", NO, "a/b" },
	{ "postgres://h?dbname=d&", NO, NO, "h", NO, "d" },
	{ "postgres://h/d?dbname=&port=", NO, NO, "h", NO, NO },
	{ "postgres://h/d?password=a%26b%3Dc", NO, "a&b=c", "h", NO, "d" },
	{ "postgres://[::1]?port=7", NO, NO, "::1", "7", NO },
};

static void
test_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++)
		assert_parses(&pairs[i]);
	for (size_t i = 0; i < COUNT(uris); i++)
		assert_parses(&uris[i]);
}

static const struct {
	const char *text, *says;
} bad[] = {
	/* keyword and value */
	{ "host", "\"=\" is missing" },
	{ "host=h port", "\"=\" is missing" },
	{ "host h", "\"=\" is missing" },
	{ "postgre://", "\"=\" is missing" },
	{ "postgres:/h", "\"=\" is missing" },
	{ "POSTGRES://h", "\"=\" is missing" },
	{ " postgres://h", "\"=\" is missing" },
	{ "password='p", "no closing quote" },
	{ "password='", "no closing quote" },
	{ "password='p\\'", "no closing quote" },
	{ "password='p\\", "no closing quote" },
	{ "=h", "connection option \"\" is not supported" },
	{ "'host'=h", "connection option \"'host'\" is not supported" },
	{ "Host=h", "connection option \"Host\" is not supported" },
	{ "hosts=h", "connection option \"hosts\" is not supported" },
	{ "sslmode=require", "connection option \"sslmode\" is not supported; "
	    "supported are: user, password, connect_timeout, dbname, host, "
	    "port, options, application_name" },
	{ "password=p sslmode=disable", "option \"sslmode\" is not supported" },
	{ "password=p service=s", "option \"service\" is not supported" },
	{ "hostaddr=::1", "connection option \"hostaddr\" is not supported" },
	{ "replication=database", "option \"replication\" is not supported" },
	/* URIs; those of 001_uri.pl first */
	{ "postgresql://?hostaddr=127.0.0.1", "\"hostaddr\" is not supported" },
	{ "postgresql://host/db?u%7aer=someotheruser&port=12345",
	    "connection option \"uzer\" is not supported" },
	{ "postgresql://host?uzer=", "option \"uzer\" is not supported" },
	{ "postgres://[::1", "no \"]\"" },
	{ "postgres://[]", "empty IPv6 address" },
	{ "postgres://[::1]z", "can follow an IPv6 address" },
	{ "postgresql://host?zzz", "a parameter without \"=\"" },
	{ "postgresql://host?value1&value2", "a parameter without \"=\"" },
	{ "postgresql://host?key=key=value", "a parameter with two \"=\"" },
	{ "postgres://host?dbname=%XXfoo", "two hexadecimal digits" },
	{ "postgresql://a%00b", "%00 is not allowed" },
	{ "postgresql://%zz", "two hexadecimal digits" },
	{ "postgresql://%1", "two hexadecimal digits" },
	{ "postgresql://%", "two hexadecimal digits" },
	{ "postgresql://host?sslmode=verify-full", "\"sslmode\"" },
	{ "postgres://%4g@h", "two hexadecimal digits" },
	{ "postgres://u:%@h", "two hexadecimal digits" },
	{ "postgres://u:%00@h", "%00 is not allowed" },
	{ "postgres://h/%2", "two hexadecimal digits" },
	{ "postgres://h:%35x", "\"port\"" },
	{ "postgres://h?%6=x", "two hexadecimal digits" },
	{ "postgres://h?&host=x", "a parameter without \"=\"" },
	{ "postgres://h?ssl=true", "option \"ssl\" is not supported" },
	{ "postgres://u:p@q@h", "more than one \"@\"" },
	{ "postgres://u@[h@i]", "more than one \"@\"" },
	/* several hosts */
	{ "host=a,b", "several hosts" },
	{ "host=a,", "several hosts" },
	{ "host=/tmp,/run", "several hosts" },
	{ "port=1,2", "several hosts" },
	{ "postgres://a,b", "several hosts" },
	{ "postgres://a:1,b:2/d", "several hosts" },
	{ "postgres://a:1,b", "several hosts" },
	{ "postgres://[::1],b", "several hosts" },
	{ "postgres://a,[::1]", "several hosts" },
	{ "postgres://,", "several hosts" },
	{ "postgres://a%2Cb", "several hosts" },
	{ "postgres://[::1,::2]", "several hosts" },
	{ "postgres://?host=a,b", "several hosts" },
	{ "postgres://h?port=1,2", "several hosts" },
	/* numbers */
	{ "port=0", "\"port\" (PGPORT) must be a number" },
	{ "port=-1", "\"port\" (PGPORT) must be a number" },
	{ "port=65536", "\"port\" (PGPORT) must be a number" },
	{ "port=4294972728", "\"port\" (PGPORT) must be a number" },
	{ "port=99999999999999999999", "\"port\" (PGPORT) must be a number" },
	{ "port=x", "\"port\" (PGPORT) must be a number" },
	{ "port=1x", "\"port\" (PGPORT) must be a number" },
	{ "port='1 2'", "\"port\" (PGPORT) must be a number" },
	{ "port=' '", "\"port\" (PGPORT) must be a number" },
	{ "port=0x10", "\"port\" (PGPORT) must be a number" },
	{ "postgres://h:0", "\"port\" (PGPORT) must be a number" },
	{ "postgres://h:1:2", "\"port\" (PGPORT) must be a number" },
	{ "postgres://::1", "\"port\" (PGPORT) must be a number" },
	{ "connect_timeout=x", "\"connect_timeout\"" },
	{ "connect_timeout=1s", "\"connect_timeout\"" },
	{ "connect_timeout=1.5", "\"connect_timeout\"" },
	{ "connect_timeout=' '", "\"connect_timeout\"" },
	{ "connect_timeout=2147483648", "\"connect_timeout\"" },
	{ "connect_timeout=-99999999999999999999", "\"connect_timeout\"" },
	/* a user that is asked for, and is nobody */
	{ "user=''", "no database user" },
};

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_refused(bad[i].text, bad[i].says);
}

/* However a password is misquoted, no error repeats any of it. */
static const char *const leaks[] = {
	"password=PENCIL",
	"password=x PENCIL",
	"password=x PENCIL host=h",
	"password=x PENCIL=h",
	"password='x'PENCIL=h",
	"password='x 'PENCIL' =h",
	"password='PENCIL",
	"password=PENCIL sslmode=require",
	"password=PENCIL port=x",
	"port=PENCIL",
	"connect_timeout=PENCIL",
	"user=PENCIL port=0",
	"host=PENCIL,PENCIL",
	"postgre://u:PENCIL@h",
	"PENCIL",
	"postgres://u:PENCIL@h:x",
	"postgres://u:PENCIL@h?x",
	"postgres://u:PENCIL@h?x=y",
	"postgres://u:PENCIL@h?x=y=z",
	"postgres://u:PENCIL%@h",
	"postgres://u:PENCIL%00@h",
	"postgres://u:x@PENCIL@h",
	"postgres://u:x@y?PENCIL@h",
	"postgres://u:x@y?PENCIL=z@h",
	"postgres://u:PENCIL/x@h",
	"postgres://u:x:PENCIL/x@h",
	"postgres://u:0/PENCIL@h",
	"postgres://u:x@[PENCIL@h",
	"postgres://u:x@[y]PENCIL@h",
	"postgres://h?password=x&PENCIL",
	"postgres://h?password=x&PENCIL=y",
	"postgres://h?password=x=PENCIL",
	"postgres://h?password=%PENCIL",
	"postgres://h,PENCIL",
};

static void
test_no_password_in_errors(void **state)
{
	struct conninfo ci;
	struct err err;

	(void)state;
	set_env(0, "PGCONNECT_TIMEOUT", "soon"); /* so that all of them fail */
	for (size_t i = 0; i < COUNT(leaks); i++) {
		if (parse(&ci, leaks[i], &err) == 0)
			fail_msg("accepted: %s", leaks[i]);
		assert_int_equal(err.kind, ERR_USAGE);
		if (strstr(err.text, "PENCIL") != NULL)
			fail_msg("%s: %s", leaks[i], err.text);
	}
}

static const struct {
	const char *keyword, *env;
	size_t at;
	const char *preset;
} settings[] = {
	{ "user", "PGUSER", offsetof(struct conninfo, user), "os" },
	{ "password", "PGPASSWORD", offsetof(struct conninfo, password), NULL },
	{ "host", "PGHOST", offsetof(struct conninfo, host), "" },
	{ "port", "PGPORT", offsetof(struct conninfo, port), "5432" },
	{ "dbname", "PGDATABASE", offsetof(struct conninfo, dbname), "os" },
	{ "application_name", "PGAPPNAME",
	    offsetof(struct conninfo, application_name), "walstream" },
	{ "connect_timeout", "PGCONNECT_TIMEOUT",
	    offsetof(struct conninfo, connect_timeout), "0" },
	{ "options", "PGOPTIONS", offsetof(struct conninfo, options), "" },
};

/* What one member is after parsing text. */
static void
assert_setting(size_t i, const char *text, const char *want)
{
	struct conninfo ci;
	struct err err;

	assert_int_equal(parse(&ci, text, &err), 0);
	expect(text, *(char **)((char *)&ci + settings[i].at), want);
	conninfo_free(&ci);
}

/* String over environment over default. An empty variable is no variable; an
 * empty value hides it and means the default. */
static void
test_sources(void **state)
{
	char text[64];

	(void)state;
	for (size_t i = 0; i < COUNT(settings); i++) {
		memset(vars, 0, sizeof(vars));
		assert_setting(i, NULL, settings[i].preset);
		set_env(0, settings[i].env, "");
		assert_setting(i, NULL, settings[i].preset);
		set_env(0, settings[i].env, "77");
		assert_setting(i, NULL, "77");
		snprintf(text, sizeof(text), "%s=88", settings[i].keyword);
		assert_setting(i, text, "88");
		snprintf(text, sizeof(text), "postgres://?%s=88",
		    settings[i].keyword);
		assert_setting(i, text, "88");
		snprintf(text, sizeof(text), "%s=''", settings[i].keyword);
		if (strcmp(settings[i].keyword, "user") != 0) /* refused */
			assert_setting(i, text, settings[i].preset);
	}
}

static void
test_dbname_follows_user(void **state)
{
	struct conninfo ci;
	struct err err;

	(void)state;
	set_env(0, "PGUSER", "u");
	assert_int_equal(parse(&ci, "", &err), 0);
	assert_string_equal(ci.dbname, "u");
	conninfo_free(&ci);
	set_env(1, "PGDATABASE", "d");
	assert_int_equal(parse(&ci, "user=v", &err), 0);
	assert_string_equal(ci.user, "v");
	assert_string_equal(ci.dbname, "d");
	conninfo_free(&ci);
}

static void
test_no_user(void **state)
{
	struct conninfo ci;
	struct err err;

	(void)state;
	assert_int_equal(conninfo_parse(&ci, "", fake_env, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_int_equal(conninfo_parse(&ci, "", fake_env, "", &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_int_equal(conninfo_parse(&ci, "user=u", fake_env, NULL, &err),
	    0);
	conninfo_free(&ci);
}

static const struct {
	const char *name;
	const char *harmless[4]; /* NULL after the last */
	const char *harmful[4];
} variables[] = {
	{ "PGSSLMODE", { "disable", "allow", "prefer" },
	    { "require", "verify-ca", "verify-full", "Disable" } },
	{ "PGGSSENCMODE", { "disable", "prefer" }, { "require", "x" } },
	{ "PGCHANNELBINDING", { "disable", "prefer" }, { "require", "x" } },
	{ "PGTARGETSESSIONATTRS", { "any" },
	    { "read-write", "primary", "standby", "an" } },
	{ "PGSSLNEGOTIATION", { "postgres" }, { "direct" } },
	{ "PGREQUIRESSL", { "0" }, { "1" } },
	{ "PGHOSTADDR", { NULL }, { "127.0.0.1" } },
	{ "PGSERVICE", { NULL }, { "s" } },
	{ "PGSERVICEFILE", { NULL }, { "f" } },
	{ "PGPASSFILE", { NULL }, { "f" } },
	{ "PGREQUIREAUTH", { NULL }, { "scram-sha-256", "none" } },
	{ "PGREQUIREPEER", { NULL }, { "postgres" } },
	{ "PGSSLROOTCERT", { NULL }, { "system" } },
	{ "PGSSLCERT", { NULL }, { "f" } },
	{ "PGSSLKEY", { NULL }, { "f" } },
	{ "PGSSLCRL", { NULL }, { "f" } },
	{ "PGSSLCRLDIR", { NULL }, { "d" } },
};

static void
assert_variable(const char *name, const char *value, int want)
{
	struct conninfo ci;
	struct err err;

	set_env(0, name, value);
	if (parse(&ci, "host=h", &err) != want)
		fail_msg("%s=%s: not %d", name, value, want);
	if (want == 0) {
		conninfo_free(&ci);
		return;
	}
	assert_int_equal(err.kind, ERR_USAGE);
	assert_non_null(strstr(err.text, name));
	assert_null(ci.host);
}

static void
test_variables_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(variables); i++) {
		memset(vars, 0, sizeof(vars));
		assert_variable(variables[i].name, "", 0);
		for (size_t k = 0; k < COUNT(variables[i].harmless); k++) {
			if (variables[i].harmless[k] != NULL)
				assert_variable(variables[i].name,
				    variables[i].harmless[k], 0);
			if (variables[i].harmful[k] != NULL)
				assert_variable(variables[i].name,
				    variables[i].harmful[k], -1);
		}
	}
}

/* The variables go through the same checks as the string. */
static void
test_variables_checked(void **state)
{
	(void)state;
	set_env(0, "PGHOST", "a,b");
	assert_refused("", "several hosts");
	set_env(0, "PGPORT", "0");
	assert_refused("", "(PGPORT)");
	set_env(0, "PGCONNECT_TIMEOUT", "soon");
	assert_refused("", "(PGCONNECT_TIMEOUT)");
}

static void
assert_numbers(const char *text, int port, int timeout, const char *stored)
{
	struct conninfo ci;
	struct err err;

	assert_int_equal(parse(&ci, text, &err), 0);
	assert_int_equal(atoi(ci.port), port);
	assert_int_equal(conninfo_connect_timeout(&ci), timeout);
	assert_string_equal(ci.connect_timeout, stored);
	conninfo_free(&ci);
}

static void
test_numbers(void **state)
{
	(void)state;
	assert_numbers("", 5432, 0, "0");
	assert_numbers("port=1 connect_timeout=0", 1, 0, "0");
	assert_numbers("port=65535 connect_timeout=1", 65535, 2, "2");
	assert_numbers("connect_timeout=2", 5432, 2, "2");
	assert_numbers("connect_timeout=' +30 '", 5432, 30, "30");
	assert_numbers("connect_timeout=-1", 5432, 0, "0");
	assert_numbers("connect_timeout=2147483647", 5432, 2147483647,
	    "2147483647");
	assert_numbers("postgres://h:99?connect_timeout=5", 99, 5, "5");
}

#define TEST(f) cmocka_unit_test_setup(f, clear_env)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_accepted),
		TEST(test_refused),
		TEST(test_no_password_in_errors),
		TEST(test_sources),
		TEST(test_dbname_follows_user),
		TEST(test_no_user),
		TEST(test_variables_refused),
		TEST(test_variables_checked),
		TEST(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
