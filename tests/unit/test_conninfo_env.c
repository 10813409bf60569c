#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_system.h"

/* A value for every setting that can be in a variable, and what it then is. */
static const struct {
	const char *variable, *value, *other;
	enum conninfo_id id;
} variables[] = {
	{ "PGUSER", "a", "b", CI_USER },
	{ "PGPASSWORD", "a", "b", CI_PASSWORD },
	{ "PGPASSFILE", "/a", "/b", CI_PASSFILE },
	{ "PGDATABASE", "a", "b", CI_DBNAME },
	{ "PGHOST", "a", "b", CI_HOST },
	{ "PGHOSTADDR", "::1", "::2", CI_HOSTADDR },
	{ "PGPORT", "1", "2", CI_PORT },
	{ "PGOPTIONS", "a", "b", CI_OPTIONS },
	{ "PGAPPNAME", "a", "b", CI_APPLICATION_NAME },
	{ "PGCLIENTENCODING", "utf8", "UTF-8", CI_CLIENT_ENCODING },
	{ "PGCONNECT_TIMEOUT", "3", "4", CI_CONNECT_TIMEOUT },
	{ "PGTARGETSESSIONATTRS", "primary", "standby",
	    CI_TARGET_SESSION_ATTRS },
	{ "PGLOADBALANCEHOSTS", "random", "disable", CI_LOAD_BALANCE_HOSTS },
	{ "PGREQUIREPEER", "a", "b", CI_REQUIREPEER },
	{ "PGREQUIREAUTH", "md5", "!md5", CI_REQUIRE_AUTH },
	{ "PGCHANNELBINDING", "disable", "require", CI_CHANNEL_BINDING },
	{ "PGGSSENCMODE", "prefer", "disable", CI_GSSENCMODE },
	{ "PGMINPROTOCOLVERSION", "3.0", "3.0", CI_MIN_PROTOCOL_VERSION },
	{ "PGMAXPROTOCOLVERSION", "3.2", "latest", CI_MAX_PROTOCOL_VERSION },
	{ "PGSSLMODE", "allow", "require", CI_SSLMODE },
	{ "PGSSLNEGOTIATION", "postgres", "postgres", CI_SSLNEGOTIATION },
	{ "PGSSLCOMPRESSION", "1", "0", CI_SSLCOMPRESSION },
	{ "PGSSLCERT", "a", "b", CI_SSLCERT },
	{ "PGSSLKEY", "a", "b", CI_SSLKEY },
	{ "PGSSLCERTMODE", "require", "disable", CI_SSLCERTMODE },
	{ "PGSSLROOTCERT", "a", "b", CI_SSLROOTCERT },
	{ "PGSSLCRL", "a", "b", CI_SSLCRL },
	{ "PGSSLCRLDIR", "a", "b", CI_SSLCRLDIR },
	{ "PGSSLSNI", "0", "1", CI_SSLSNI },
	{ "PGSSLMINPROTOCOLVERSION", "TLSv1", "TLSv1.3",
	    CI_SSL_MIN_PROTOCOL_VERSION },
	{ "PGSSLMAXPROTOCOLVERSION", "TLSv1.2", "TLSv1.3",
	    CI_SSL_MAX_PROTOCOL_VERSION },
	{ "PGSERVICEFILE", "/a", "/b", CI_SERVICEFILE },
};

static void
assert_setting(size_t i, const char *text, const char *want)
{
	struct conninfo ci;
	struct err err;

	if (parse(&ci, text, &err) == -1)
		fail_msg("%s: %s", text, err.text);
	expect(text, variables[i].variable, ci.text[variables[i].id], want);
	conninfo_free(&ci);
}

/* String over environment, in every form of it. */
static void
test_sources(void **state)
{
	char text[128];

	(void)state;
	for (size_t i = 0; i < COUNT(variables); i++) {
		const char *key = conninfo_keyword(variables[i].id);

		fake_clear(NULL);
		fake_set(variables[i].variable, variables[i].value);
		assert_setting(i, NULL, variables[i].value);
		snprintf(text, sizeof(text), "%s=%s", key, variables[i].other);
		assert_setting(i, text, variables[i].other);
		snprintf(text, sizeof(text), "postgres://?%s=%s", key,
		    variables[i].other);
		assert_setting(i, text, variables[i].other);
	}
}

/* Nothing but these has one, and the service (see test_conninfo_service). */
static void
test_all_variables(void **state)
{
	size_t n = 0;

	(void)state;
	for (int i = 0; i < CI_SETTINGS; i++)
		n += conninfo_variable((enum conninfo_id)i) != NULL;
	assert_int_equal(n, COUNT(variables) + 1);
	for (size_t i = 0; i < COUNT(variables); i++)
		assert_string_equal(conninfo_variable(variables[i].id),
		    variables[i].variable);
}

/* An empty variable is an empty value: none, where there is such a thing, and
 * wrong where there is not. As in libpq. */
static void
test_empty(void **state)
{
	struct conninfo ci, without;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(variables); i++) {
		enum conninfo_id id = variables[i].id;

		fake_clear(NULL);
		assert_int_equal(parse(&without, NULL, &err), 0);
		fake_set(variables[i].variable, "");
		if (parse(&ci, NULL, &err) == -1) {
			assert_non_null(strstr(err.text, "must be "));
			assert_non_null(
			    strstr(err.text, variables[i].variable));
		} else {
			if (id != CI_APPLICATION_NAME && id != CI_SERVICEFILE &&
			    id != CI_SSL_MIN_PROTOCOL_VERSION)
				expect(NULL, variables[i].variable, ci.text[id],
				    without.text[id]);
			else
				expect(NULL, variables[i].variable, ci.text[id],
				    "");
			conninfo_free(&ci);
		}
		conninfo_free(&without);
	}
}

/* An empty value in the string hides the variable. */
static void
test_empty_hides(void **state)
{
	(void)state;
	fake_set("PGHOST", "a");
	fake_set("PGPORT", "1");
	fake_set("PGUSER", "u");
	fake_set("PGPASSWORD", "p");
	fake_set("PGDATABASE", "d");
	assert_parses("host='' port='' user='' password='' dbname=''",
	    "host=|port=5432|user=os|password=-|dbname=os");
	/* The parts of a URI that are empty do not. */
	assert_parses("postgres://:@:/", "");
	assert_parses("postgres://?host=&port=", "host=|port=5432");
}

static void
test_requiressl(void **state)
{
	(void)state;
	fake_set("PGREQUIRESSL", "1");
	assert_parses("sslmode=disable", "sslmode=disable");
	fake_set("PGREQUIRESSL", "0");
	assert_parses("", "sslmode=prefer");
	fake_set("PGREQUIRESSL", "");
	assert_parses("", "sslmode=prefer");
	fake_set("PGREQUIRESSL", "1yes");
	assert_parses("", "sslmode=require");
	fake_set("PGSSLMODE", "allow");
	assert_parses("", "sslmode=allow");
	fake_set("PGSSLMODE", "");
	assert_refused("", "\"sslmode\" (PGSSLMODE) must be");
}

/* The default of sslmode follows sslrootcert, wherever that is from. */
static void
test_system_roots(void **state)
{
	(void)state;
	fake_set("PGSSLROOTCERT", "system");
	assert_parses("", "sslmode=verify-full");
	assert_parses("sslrootcert=''", "sslrootcert=-|sslmode=prefer");
	fake_set("PGREQUIRESSL", "1");
	assert_refused("", "must be verify-full");
	fake_set("PGSSLMODE", "verify-full");
	assert_parses("", "sslmode=verify-full");
	fake_set("PGSSLMODE", "verify-ca");
	assert_refused("", "must be verify-full");
}

/* The variables go through the same checks as the string. */
static void
test_checked(void **state)
{
	static const struct {
		const char *variable, *value;
	} wrong[] = {
		{ "PGPORT", "0" },
		{ "PGCONNECT_TIMEOUT", "soon" },
		{ "PGCLIENTENCODING", "LATIN1" },
		{ "PGSSLMODE", "Require" },
		{ "PGGSSENCMODE", "require" },
		{ "PGTARGETSESSIONATTRS", "master" },
		{ "PGLOADBALANCEHOSTS", "1" },
		{ "PGREQUIREAUTH", "kerberos" },
		{ "PGMINPROTOCOLVERSION", "3.2" },
		{ "PGSSLCERTMODE", "maybe" },
		{ "PGSSLSNI", "on" },
	};
	char named[64];

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		fake_clear(NULL);
		fake_set(wrong[i].variable, wrong[i].value);
		snprintf(named, sizeof(named), "\" (%s) ", wrong[i].variable);
		assert_refused("", named);
	}
}

/* What means nothing to a libpq without GSSAPI, and what is not for it. */
static void
test_not_read(void **state)
{
	(void)state;
	fake_set("PGKRBSRVNAME", "x");
	fake_set("PGGSSLIB", "x");
	fake_set("PGGSSDELEGATION", "1");
	fake_set("PGDATESTYLE", "German");
	fake_set("PGTZ", "Asia/Tokyo");
	fake_set("PGREPLICATION", "x");
	assert_parses("", "user=os|dbname=os|host=|sslmode=prefer");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_sources),
		TEST(test_all_variables),
		TEST(test_empty),
		TEST(test_empty_hides),
		TEST(test_requiressl),
		TEST(test_system_roots),
		TEST(test_checked),
		TEST(test_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
