#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_system.h"

static const struct {
	const char *text, *want;
} pairs[] = {
	{ NULL, "" },
	{ "", "" },
	{ " \t\n\v\f\r", "" },
	{ "host=h port=1 user=u password=p dbname=d",
	    "host=h|port=1|user=u|password=p|dbname=d" },
	{ "user=u", "user=u|dbname=u" },
	{ "dbname=d", "user=os|dbname=d" },
	{ "host=localhost port=5432 dbname=mydb connect_timeout=10",
	    "host=localhost|dbname=mydb|connect_timeout=10" },
	/* blanks around '=' and between pairs */
	{ "  host = h\tport\n=\n65535  user =u ", "host=h|port=65535|user=u" },
	{ "user= \n 'u' host=\vh", "user=u|host=h" },
	/* quotes and backslashes */
	{ "password='p q' host=h", "password=p q|host=h" },
	{ "password='it\\'s \\\\ \"x\"'", "password=it's \\ \"x\"" },
	{ "password=it\\'s\\ \\\\ host=h", "password=it's \\|host=h" },
	{ "password=\\'p host=h", "password='p|host=h" },
	{ "password=a'b' host=h", "password=a'b'|host=h" },
	{ "password='\\a\\n'", "password=an" },
	{ "password=p\\", "password=p" },
	{ "password='a=b' host=c=d", "password=a=b|host=c=d" },
	{ "password='p'host=h", "password=p|host=h" },
	{ "password='%41'", "password=%41" },
	{ "password='\xff\xc2\xad'", "password=\xff\xc2\xad" },
	{ "dbname='two words'", "dbname=two words" },
	{ "host=/var/run/postgresql", "host=/var/run/postgresql" },
	/* the last one counts */
	{ "host=a password=x host=b password=y", "host=b|password=y" },
	{ "host=a host=''", "" },
	{ "sslmode=disable requiressl=1", "sslmode=require" },
	{ "requiressl=10 ", "sslmode=require" },
	{ "sslmode=disable requiressl=0", "sslmode=prefer" },
	{ "requiressl=''", "sslmode=prefer" },
	/* a value is what follows '=' and blanks, whatever it looks like */
	{ "host= port=1", "host=port=1" },
	/* a database's name is no connection string */
	{ "dbname=postgres://h/d", "dbname=postgres://h/d" },
	{ "dbname='host=h user=u'", "dbname=host=h user=u" },
	/* all the others */
	{ "hostaddr=::1", "hostaddr=::1" },
	{ "passfile=/f", "passfile=/f" },
	{ "options='-c geqo=off'", "options=-c geqo=off" },
	{ "application_name=a", "application_name=a" },
	{ "fallback_application_name=a",
	    "fallback_application_name=a|application_name=a" },
	{ "fallback_application_name=a application_name=b",
	    "fallback_application_name=a|application_name=b" },
	{ "client_encoding=utf-8", "client_encoding=utf-8" },
	{ "client_encoding=Unicode", "client_encoding=Unicode" },
	{ "client_encoding=auto", "client_encoding=auto" },
	{ "requirepeer=postgres", "requirepeer=postgres" },
	{ "sslcert=c sslkey=k sslpassword=p sslrootcert=r sslcrl=l "
	  "sslcrldir=d",
	    "sslcert=c|sslkey=k|sslpassword=p|sslrootcert=r|sslcrl=l|"
	    "sslcrldir=d" },
	{ "gssencmode=prefer", "gssencmode=prefer" },
	{ "sslcompression=1 sslsni=0", "sslcompression=1|sslsni=0" },
	{ "max_protocol_version=3.2", "max_protocol_version=3.2" },
	{ "max_protocol_version=latest", "max_protocol_version=latest" },
	{ "sslrootcert=system", "sslrootcert=system|sslmode=verify-full" },
	{ "sslrootcert=system sslmode=verify-full",
	    "sslrootcert=system|sslmode=verify-full" },
	{ "sslnegotiation=direct sslmode=require",
	    "sslnegotiation=direct|sslmode=require" },
	{ "sslnegotiation=direct sslrootcert=system",
	    "sslnegotiation=direct|sslrootcert=system|sslmode=verify-full" },
	{ "channel_binding=require sslmode=disable",
	    "channel_binding=require|sslmode=disable" },
	{ "ssl_min_protocol_version=tlsV1.3",
	    "ssl_min_protocol_version=tlsV1.3" },
	{ "ssl_min_protocol_version='' ssl_max_protocol_version=TLSv1",
	    "ssl_min_protocol_version=|ssl_max_protocol_version=TLSv1" },
};

static void
test_pairs(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++)
		assert_parses(pairs[i].text, pairs[i].want);
}

static const struct {
	const char *text, *says;
} bad[] = {
	{ "host", "\"=\" is missing" },
	{ "host=h port", "\"=\" is missing" },
	{ "host h", "\"=\" is missing" },
	{ "password='p", "no closing quote" },
	{ "password='", "no closing quote" },
	{ "password='p\\'", "no closing quote" },
	{ "password='p\\", "no closing quote" },
	{ "=h", "there is no connection option \"\"" },
	{ "'host'=h", "there is no connection option \"'host'\"" },
	{ "Host=h", "there is no connection option \"Host\"" },
	{ "hosts=h", "there is no connection option \"hosts\"" },
	{ "ssl=true", "there is no connection option \"ssl\"" },
	{ "tty=x", "there is no connection option \"tty\"" },
	{ "authtype=x", "there is no connection option \"authtype\"" },
	/* libpq's, and not ours: named after a password, too */
	{ "password=p krbsrvname=x", "\"krbsrvname\" is not supported" },
	{ "gsslib=gssapi", "\"gsslib\" is not supported" },
	{ "gssdelegation=1", "\"gssdelegation\" is not supported" },
	{ "replication=database", "\"replication\" is not supported" },
	{ "scram_client_key=x", "\"scram_client_key\" is not supported" },
	{ "scram_server_key=x", "\"scram_server_key\" is not supported" },
	{ "sslkeylogfile=x", "\"sslkeylogfile\" is not supported" },
	{ "oauth_issuer=x", "\"oauth_issuer\" is not supported" },
	{ "oauth_client_id=x", "\"oauth_client_id\" is not supported" },
	{ "oauth_client_secret=x", "\"oauth_client_secret\" is not" },
	{ "oauth_scope=x", "\"oauth_scope\" is not supported" },
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
	/* what cannot be met */
	{ "gssencmode=require", "GSSAPI is not supported" },
	{ "min_protocol_version=3.2", "cannot be above 3.0" },
	{ "min_protocol_version=latest", "cannot be above 3.0" },
	{ "client_encoding=LATIN1",
	    "\"client_encoding\" (PGCLIENTENCODING) "
	    "can only be UTF8" },
	{ "client_encoding=utf8mb4", "can only be UTF8" },
	{ "client_encoding=-", "can only be UTF8" },
	/* what contradicts itself */
	{ "sslrootcert=system sslmode=require", "must be verify-full" },
	{ "sslrootcert=system sslmode=prefer", "must be verify-full" },
	{ "sslrootcert=system requiressl=1", "must be verify-full" },
	{ "sslnegotiation=direct", "must be require or more" },
	{ "sslnegotiation=direct sslmode=allow", "must be require or more" },
	{ "ssl_max_protocol_version=TLSv1.1",
	    "\"ssl_min_protocol_version\" (PGSSLMINPROTOCOLVERSION) is above "
	    "ssl_max_protocol_version" },
	{ "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=tlsv1.2",
	    "is above ssl_max_protocol_version" },
	/* an empty one is no service */
	{ "service=''", "the service \"\" is not defined" },
};

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_refused(bad[i].text, bad[i].says);
}

/* "keyword=value", with quotes around the value. */
static const char *
pair(enum conninfo_id id, const char *value)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s='%s'", conninfo_keyword(id), value);
	return text;
}

/* Every value of what has a few; what says the value is what value[] has. */
static const struct {
	enum conninfo_id id;
	const char *with; /* what it needs */
	const char *good[7], *says;
} choices[] = {
	{ CI_SSLMODE, "",
	    { "disable", "allow", "prefer", "require", "verify-ca",
		"verify-full" },
	    "must be disable, allow, prefer, require, verify-ca, "
	    "verify-full" },
	{ CI_SSLNEGOTIATION, "sslmode=require ", { "postgres", "direct" },
	    "must be postgres, direct" },
	{ CI_SSLCERTMODE, "", { "disable", "allow", "require" },
	    "must be disable, allow, require" },
	{ CI_CHANNEL_BINDING, "", { "disable", "prefer", "require" },
	    "must be disable, prefer, require" },
	{ CI_TARGET_SESSION_ATTRS, "",
	    { "any", "read-write", "read-only", "primary", "standby",
		"prefer-standby" },
	    "must be any, read-write, read-only, primary, standby, "
	    "prefer-standby" },
	{ CI_LOAD_BALANCE_HOSTS, "", { "disable", "random" },
	    "must be disable, random" },
	{ CI_GSSENCMODE, "", { "disable", "prefer" },
	    "must be disable, prefer, require" },
	{ CI_SSLSNI, "", { "0", "1" }, "must be 0, 1" },
	{ CI_SSLCOMPRESSION, "", { "0", "1" }, "must be 0, 1" },
	{ CI_MIN_PROTOCOL_VERSION, "", { "3.0" }, "must be 3.0, 3.2, latest" },
	{ CI_MAX_PROTOCOL_VERSION, "", { "3.0", "3.2", "latest" },
	    "must be 3.0, 3.2, latest" },
	{ CI_SSL_MIN_PROTOCOL_VERSION, "",
	    { "", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" },
	    "must be TLSv1, TLSv1.1, TLSv1.2, TLSv1.3" },
	{ CI_SSL_MAX_PROTOCOL_VERSION, "ssl_min_protocol_version=TLSv1 ",
	    { "", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" },
	    "must be TLSv1, TLSv1.1, TLSv1.2, TLSv1.3" },
};

static void
assert_value(const char *text, enum conninfo_id id, int want)
{
	struct conninfo ci;
	struct err err;

	if (parse(&ci, text, &err) == -1)
		fail_msg("%s: %s", text, err.text);
	if (ci.value[id] != want)
		fail_msg("%s: %d instead of %d", text, ci.value[id], want);
	conninfo_free(&ci);
}

static void
test_choices(void **state)
{
	static const char *const wrong[] = { "x", "Prefer", " prefer",
		"prefer ", "requir", "required", "2", "TLSv1.4", "3.1" };
	char text[256], named[64];

	(void)state;
	for (size_t i = 0; i < COUNT(choices); i++) {
		enum conninfo_id id = choices[i].id;

		for (int k = 0; choices[i].good[k] != NULL; k++) {
			snprintf(text, sizeof(text), "%s%s", choices[i].with,
			    pair(id, choices[i].good[k]));
			assert_value(text, id, k);
		}
		for (size_t k = 0; k < COUNT(wrong); k++)
			assert_refused(pair(id, wrong[k]), choices[i].says);
		snprintf(named, sizeof(named), "connection option \"%s\"",
		    conninfo_keyword(id));
		assert_refused(pair(id, "x"), named);
		if (*choices[i].good[0] != '\0') /* that is no value */
			assert_refused(pair(id, ""), choices[i].says);
	}
}

static const enum conninfo_id numbers[] = { CI_CONNECT_TIMEOUT, CI_KEEPALIVES,
	CI_KEEPALIVES_IDLE, CI_KEEPALIVES_INTERVAL, CI_KEEPALIVES_COUNT,
	CI_TCP_USER_TIMEOUT };

/* As strtol(3) reads them, within an int. */
static void
test_numbers(void **state)
{
	static const char *const wrong[] = { "", " ", "x", "1s", "1.5", "0x1",
		"1 2", "- 1", "+", "2147483648", "-2147483649",
		"99999999999999999999", "-99999999999999999999" };
	char named[64];

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		enum conninfo_id id = numbers[i];

		assert_value(pair(id, "0"), id, 0);
		assert_value(pair(id, "77"), id, 77);
		assert_value(pair(id, " +077 "), id, 77);
		assert_value(pair(id, "2147483647"), id, 2147483647);
		snprintf(named, sizeof(named), "option \"%s\"",
		    conninfo_keyword(id));
		for (size_t k = 0; k < COUNT(wrong); k++)
			assert_refused(pair(id, wrong[k]), named);
		assert_value(pair(id, "-1"), id, id == CI_KEEPALIVES ? -1 : 0);
	}
	/* A second can be nearly over. */
	assert_value("connect_timeout=1", CI_CONNECT_TIMEOUT, 2);
	assert_value("connect_timeout=2", CI_CONNECT_TIMEOUT, 2);
	assert_value("", CI_KEEPALIVES, 1);
	assert_value("", CI_CONNECT_TIMEOUT, 0);
}

/* What is none when it is empty, and what then is the default. */
static void
test_empty(void **state)
{
	static const enum conninfo_id ids[] = { CI_USER, CI_PASSWORD,
		CI_PASSFILE, CI_DBNAME, CI_HOST, CI_HOSTADDR, CI_PORT,
		CI_OPTIONS, CI_CLIENT_ENCODING, CI_REQUIREPEER, CI_REQUIRE_AUTH,
		CI_SSLCERT, CI_SSLKEY, CI_SSLPASSWORD, CI_SSLROOTCERT,
		CI_SSLCRL, CI_SSLCRLDIR };

	(void)state;
	for (size_t i = 0; i < COUNT(ids); i++)
		assert_parses(pair(ids[i], ""), "");
	/* And what is as it is. */
	assert_parses("application_name=''", "application_name=");
	assert_parses("fallback_application_name=''",
	    "fallback_application_name=|application_name=");
	assert_parses("application_name='' fallback_application_name=f",
	    "application_name=|fallback_application_name=f");
	assert_value("ssl_min_protocol_version=''", CI_SSL_MIN_PROTOCOL_VERSION,
	    TLS_ANY);
}

static const struct {
	const char *list;
	unsigned allowed; /* 0: refused */
	const char *says;
} auth[] = {
	{ "", AUTH_ALLOW_ALL, NULL },
	{ "password", AUTH_ALLOW_PASSWORD, NULL },
	{ "md5", AUTH_ALLOW_MD5, NULL },
	{ "scram-sha-256", AUTH_ALLOW_SCRAM, NULL },
	{ "none", AUTH_ALLOW_NONE, NULL },
	{ "scram-sha-256,none", AUTH_ALLOW_SCRAM | AUTH_ALLOW_NONE, NULL },
	{ "none,md5,password,scram-sha-256", AUTH_ALLOW_ALL, NULL },
	{ "gss,md5", AUTH_ALLOW_MD5, NULL },
	{ "!password", AUTH_ALLOW_ALL & ~AUTH_ALLOW_PASSWORD, NULL },
	{ "!none", AUTH_ALLOW_ALL & ~AUTH_ALLOW_NONE, NULL },
	{ "!password,!md5,!none", AUTH_ALLOW_SCRAM, NULL },
	{ "!gss,!sspi,!oauth", AUTH_ALLOW_ALL, NULL },
	{ "gss", 0, "allows nothing that is supported" },
	{ "gss,sspi,oauth", 0, "allows nothing that is supported" },
	{ "!password,!md5,!none,!scram-sha-256", 0, "allows nothing" },
	{ "password,!md5", 0, "with and without \"!\"" },
	{ "!password,md5", 0, "with and without \"!\"" },
	{ "!password,", 0, "with and without \"!\"" },
	{ "md5,md5", 0, "names a method twice" },
	{ "none,none", 0, "names a method twice" },
	{ "gss,md5,gss", 0, "names a method twice" },
	{ "!md5,!md5", 0, "names a method twice" },
	{ "password,", 0, "must be a list of" },
	{ ",password", 0, "must be a list of" },
	{ ",", 0, "must be a list of" },
	{ "!", 0, "must be a list of" },
	{ "!!md5", 0, "must be a list of" },
	{ "scram", 0, "must be a list of" },
	{ "MD5", 0, "must be a list of" },
	{ "md5, password", 0, "must be a list of" },
	{ "scram-sha-256-plus", 0, "must be a list of" },
};

static void
test_require_auth(void **state)
{
	struct conninfo ci;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(auth); i++) {
		const char *text = pair(CI_REQUIRE_AUTH, auth[i].list);

		if (auth[i].allowed == 0) {
			assert_refused(text, auth[i].says);
			assert_refused(text, "\"require_auth\"");
			continue;
		}
		if (parse(&ci, text, &err) == -1)
			fail_msg("%s: %s", text, err.text);
		if (ci.auth_allowed != auth[i].allowed)
			fail_msg("%s: %x", text, ci.auth_allowed);
		conninfo_free(&ci);
	}
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
	"password=PENCIL sslmode=maybe",
	"password=PENCIL port=x",
	"sslpassword=x PENCIL=h",
	"sslpassword=PENCIL port=x",
	"oauth_client_secret=PENCIL",
	"scram_client_key=PENCIL",
	"port=PENCIL",
	"connect_timeout=PENCIL",
	"user=PENCIL port=0",
	"host=PENCIL,PENCIL",
	"hostaddr=PENCIL host=PENCIL,PENCIL",
	"sslmode=PENCIL",
	"require_auth=PENCIL",
	"client_encoding=PENCIL",
	"password=x service=PENCIL",
	"password=x servicefile=PENCIL service=s",
	"password=x servicefile=/PENCIL service=s",
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
	"postgres://u:1/x?PENCIL=z@h",
	"postgres://u:1/x?service=PENCIL&port=0@h",
	"postgres://u:1/x?service=PENCIL@h",
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
	fake_set("PGCONNECT_TIMEOUT", "soon"); /* so that all of them fail */
	fake_file("/PENCIL", NULL);
	for (size_t i = 0; i < COUNT(leaks); i++) {
		if (parse(&ci, leaks[i], &err) == 0)
			fail_msg("accepted: %s", leaks[i]);
		if (strstr(err.text, "PENCIL") != NULL)
			fail_msg("%s: %s", leaks[i], err.text);
	}
}

static void
test_user(void **state)
{
	struct conninfo ci;
	struct err err;

	(void)state;
	fake.user = NULL;
	assert_refused("", "\"user\" (PGUSER) is missing: no database user");
	assert_refused("user=''", "no database user");
	assert_int_equal(parse(&ci, "user=u", &err), 0);
	assert_string_equal(ci.text[CI_DBNAME], "u");
	conninfo_free(&ci);
	fake.user = "os";
	assert_int_equal(parse(&ci, "user='' dbname=''", &err), 0);
	assert_string_equal(ci.text[CI_USER], "os");
	assert_string_equal(ci.text[CI_DBNAME], "os");
	conninfo_free(&ci);
}

/* Every setting has a keyword of its own, which is found, and no variable is
 * another's. */
static void
test_table(void **state)
{
	(void)state;
	for (int i = 0; i < CI_SETTINGS; i++) {
		const char *key = conninfo_keyword((enum conninfo_id)i);
		const char *env = conninfo_variable((enum conninfo_id)i);

		assert_non_null(key);
		for (int k = 0; k < i; k++) {
			const char *other =
			    conninfo_variable((enum conninfo_id)k);

			assert_string_not_equal(key,
			    conninfo_keyword((enum conninfo_id)k));
			if (env != NULL && other != NULL)
				assert_string_not_equal(env, other);
		}
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_pairs),
		TEST(test_refused),
		TEST(test_choices),
		TEST(test_numbers),
		TEST(test_empty),
		TEST(test_require_auth),
		TEST(test_no_password_in_errors),
		TEST(test_user),
		TEST(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
