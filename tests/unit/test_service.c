#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_system.h"

#define USERS "/home/.pg_service.conf"
#define SYSTEM "/etc/postgresql-common/pg_service.conf"

static const char simple[] = "[one]\nhost=h\nport=1\nuser=u\npassword=p\n";

/* String over service over environment over default. */
static void
test_precedence(void **state)
{
	(void)state;
	fake_file(USERS, simple);
	fake_set("PGHOST", "e");
	fake_set("PGDATABASE", "d");
	assert_parses("service=one",
	    "service=one|host=h|port=1|user=u|password=p|dbname=d");
	assert_parses("service=one host=s",
	    "service=one|host=s|port=1|user=u|password=p|dbname=d");
	assert_parses("host=s service=one",
	    "service=one|host=s|port=1|user=u|password=p|dbname=d");
	assert_parses("postgres://v@/?service=one",
	    "service=one|host=h|port=1|user=v|password=p|dbname=d");
	/* An empty value is given, too. */
	assert_parses("service=one host=''",
	    "service=one|host=|port=1|user=u|password=p|dbname=d");
}

static void
test_variable(void **state)
{
	(void)state;
	fake_file(USERS, "[one]\nhost=1\n[two]\nhost=2\n");
	fake_set("PGSERVICE", "one");
	assert_parses("", "service=one|host=1");
	assert_parses("service=two", "service=two|host=2");
	fake_set("PGSERVICE", "");
	assert_refused("", "the service \"\" is not defined");
	fake_set("PGSERVICE", "three");
	assert_refused("",
	    "the service \"three\" is not defined in "
	    "~/.pg_service.conf or " SYSTEM);
}

/* The user's file, then the system's. */
static void
test_files(void **state)
{
	(void)state;
	fake_file(USERS, "[one]\nhost=user\n");
	fake_file(SYSTEM, "[one]\nhost=system\n[two]\nhost=2\n");
	assert_parses("service=one", "service=one|host=user");
	assert_parses("service=two", "service=two|host=2");
	fake.home = NULL;
	assert_parses("service=one", "service=one|host=system");
	fake_file("/conf/pg_service.conf", "[one]\nhost=conf\n");
	fake_set("PGSYSCONFDIR", "/conf");
	assert_parses("service=one", "service=one|host=conf");
	fake_set("PGSYSCONFDIR", "/none");
	assert_refused("service=one", "/none/pg_service.conf");
}

/* One that is named replaces the user's file, and has to be there. */
static void
test_named_file(void **state)
{
	(void)state;
	fake_file(USERS, "[one]\nhost=user\n");
	fake_file(SYSTEM, "[two]\nhost=system\n");
	fake_file("/named", "[one]\nhost=named\n");
	fake_file("/other", "[one]\nhost=other\n");
	fake_set("PGSERVICEFILE", "/named");
	assert_parses("service=one", "service=one|host=named");
	assert_parses("service=two", "service=two|host=system");
	assert_parses("service=one servicefile=/other",
	    "service=one|host=other|servicefile=/other");
	fake_set("PGSERVICEFILE", "/none");
	assert_parses("", ""); /* no service, no file */
	assert_refused("service=two", "there is no service file /none");
	fake_set("PGSERVICEFILE", "");
	assert_refused("service=two", "there is no service file ");
	assert_parses("service=one servicefile=/other",
	    "service=one|host=other|servicefile=/other");
	fake_file("/broken", NULL);
	assert_fails("service=one servicefile=/broken", ERR_IO, "/broken");
}

static const struct {
	const char *file, *want; /* of service=s; "!": says */
} cases[] = {
	{ "[s]\n", "" },
	{ "[s]", "" },
	{ "[s]\nhost=h", "host=h" },
	{ "[s]\r\nhost=h\r\nport=1\r\n", "host=h|port=1" },
	{ "# [s]\n  # x\n\n\t\n[s]\n#host=x\n \n host=h \t\n", "host=h" },
	{ "   [s]   \nhost=h\n", "host=h" },
	{ "[s] whatever\nhost=h\n", "host=h" },
	{ "[a]\nhost=a\n[s]\nhost=h\n[b]\nhost=b\n", "host=h" },
	{ "[ss]\nhost=a\n[s]\nhost=h\n", "host=h" },
	/* the first section, and the first value */
	{ "[s]\nhost=h\n[s]\nhost=i\nport=1\n", "host=h" },
	{ "[s]\nhost=h\nhost=i\n", "host=h" },
	/* a value is as it is, but for its end */
	{ "[s]\nhost= h \n", "host= h" },
	{ "[s]\nhost=a=b\n", "host=a=b" },
	{ "[s]\nhost='h'\n", "host='h'" },
	{ "[s]\noptions=-c geqo=off # x\n", "options=-c geqo=off # x" },
	{ "[s]\nhost=\n", "host=" },
	{ "[s]\nhost=a,b\nport=1,2\n", "host=a,b|port=1,2" },
	{ "[s]\nsslmode=disable\nsslrootcert=x\n",
	    "sslmode=disable|sslrootcert=x" },
	/* others' nonsense */
	{ "nonsense\nx=y\n[a]\nmore nonsense\n[s]\nhost=h\n", "host=h" },
	{ "[s]\nhost=h\n[a]\nnonsense\n", "host=h" },
	{ "[s]\nhost\n", "!line 2 of the service file is no keyword=value" },
	{ "\n[s]\n\n[]\nhost\n", "" },
	{ "[s]\nhost =h\n", "!there is no connection option \"host \"" },
	{ "[s]\nHOST=h\n", "!there is no connection option \"HOST\"" },
	{ "[s]\nx=h\n", "!line 2 of the service file: there is no" },
	{ "[s]\nssl=true\n", "!there is no connection option \"ssl\"" },
	{ "[s]\nrequiressl=1\n", "!no connection option \"requiressl\"" },
	{ "[s]\nreplication=on\n", "!\"replication\" is not supported" },
	{ "[s]\nservice=t\n", "!a service cannot name another" },
	{ "[s]\nservicefile=t\n", "!a service cannot name another" },
	{ "[s]\nldap://h/x\n", "!LDAP is not supported" },
	{ "[s]\nldap=x\n", "!LDAP is not supported" },
	{ "[s]\nsslmode=maybe\n", "!\"sslmode\" (PGSSLMODE) must be" },
	{ "[s\nhost=h\n", "!is not defined" },
	{ "[S]\nhost=h\n", "!is not defined" },
	{ "[ s]\nhost=h\n", "!is not defined" },
	{ "[s ]\nhost=h\n", "!is not defined" },
	{ "", "!is not defined" },
	{ "[", "!is not defined" },
};

static void
test_syntax(void **state)
{
	char want[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		fake_clear(NULL);
		fake_file(USERS, cases[i].file);
		if (*cases[i].want == '!') {
			assert_refused("service=s", cases[i].want + 1);
			continue;
		}
		snprintf(want, sizeof(want), "service=s|%s", cases[i].want);
		assert_parses("service=s", want);
	}
}

/* What a line is wrong with is said with the file's name. */
static void
test_says_where(void **state)
{
	(void)state;
	fake_file(USERS, "[s]\n\n# x\nwhat=ever\n");
	assert_refused("service=s",
	    "service file " USERS ": line 4 of the service file: there is no "
	    "connection option \"what\"");
}

static void
test_bytes(void **state)
{
	static const char nul[] = "[s]\nhost=h\0\n";
	static char large[(1 << 20) + 16];

	(void)state;
	fake_bytes(USERS, nul, sizeof(nul) - 1);
	assert_refused("service=s", "NUL");
	memset(large, ' ', sizeof(large));
	memcpy(large, "[s]\nhost=h", 10);
	fake_bytes(USERS, large, 1 << 20);
	assert_refused("service=s", "too large");
	fake_bytes(USERS, large, (1 << 20) - 1);
	assert_parses("service=s", "service=s|host=h");
}

/* No error repeats a value. */
static void
test_no_value_in_errors(void **state)
{
	static const char *const files[] = {
		"[s]\npassword=PENCIL\nx=y\n",
		"[s]\npassword=PENCIL\nsslmode=maybe\n",
		"[s]\nPENCIL\n",
		"[s]\nservice=PENCIL\n",
		"[s]\nldap PENCIL\n",
		"[s]\nx=PENCIL\n",
		"[s]\nport=PENCIL\n",
		"[s]\npassword=PENCIL",
	};
	struct conninfo ci;
	struct err err;

	(void)state;
	fake_set("PGCONNECT_TIMEOUT", "soon");
	for (size_t i = 0; i < COUNT(files); i++) {
		fake_file(USERS, files[i]);
		assert_int_equal(parse(&ci, "service=s", &err), -1);
		if (strstr(err.text, "PENCIL") != NULL)
			fail_msg("%s: %s", files[i], err.text);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_precedence),
		TEST(test_variable),
		TEST(test_files),
		TEST(test_named_file),
		TEST(test_syntax),
		TEST(test_says_where),
		TEST(test_bytes),
		TEST(test_no_value_in_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
