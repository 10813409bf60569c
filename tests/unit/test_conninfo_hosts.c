#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_system.h"

/* host hostaddr port of each, by ' ' and '|'. */
static const struct {
	const char *text, *want;
} lists[] = {
	{ "", "  5432" },
	{ "host=h", "h  5432" },
	{ "host=h port=1", "h  1" },
	{ "port=1", "  1" },
	{ "host=a,b", "a  5432|b  5432" },
	{ "host=a,b port=1", "a  1|b  1" },
	{ "host=a,b port=1,2", "a  1|b  2" },
	{ "host=a,b port=1,", "a  1|b  5432" },
	{ "host=a,b port=,", "a  5432|b  5432" },
	{ "host=a,b port=' 1 ,+2'", "a  1|b  2" },
	{ "host=a,", "a  5432|  5432" },
	{ "host=,", "  5432|  5432" },
	{ "host=/tmp,@x,b", "/tmp  5432|@x  5432|b  5432" },
	{ "host='a, b'", "a  5432| b  5432" },
	{ "hostaddr=::1", " ::1 5432" },
	{ "hostaddr=::1,::2", " ::1 5432| ::2 5432" },
	{ "host=a hostaddr=::1", "a ::1 5432" },
	{ "host=a,b hostaddr=::1,::2 port=1,2", "a ::1 1|b ::2 2" },
	{ "host=a,b hostaddr=::1,", "a ::1 5432|b  5432" },
	{ "host=,b hostaddr=,::2", "  5432|b ::2 5432" },
	{ "host=a,b hostaddr=", "a  5432|b  5432" },
	{ "postgres://a:1,[::1],%2Ftmp:3/d", "a  1|::1  5432|/tmp  3" },
	{ "postgres://a,b:2", "a  5432|b  2" },
	{ "postgres://a,b?port=7", "a  7|b  7" },
	{ "postgres://,", "  5432|  5432" },
};

static void
assert_hosts(const char *text, const char *want)
{
	char got[256] = "";
	struct conninfo ci;
	struct err err;
	size_t n = 0;

	if (parse(&ci, text, &err) == -1)
		fail_msg("%s: %s", text, err.text);
	for (size_t i = 0; i < ci.hosts; i++)
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%s %s %s",
		    i == 0 ? "" : "|", ci.host[i].host, ci.host[i].hostaddr,
		    ci.host[i].port);
	expect(text, "the list", got, want);
	conninfo_free(&ci);
}

static void
test_lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++)
		assert_hosts(lists[i].text, lists[i].want);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "hostaddr=::1,::2 host=a",
		    "\"hostaddr\" (PGHOSTADDR) must "
		    "list as many as \"host\"" },
		{ "hostaddr=::1 host=a,b", "as many as \"host\"" },
		{ "host=a port=1,2",
		    "\"port\" (PGPORT) must list one, or as "
		    "many as \"host\"" },
		{ "host=a,b,c port=1,2", "must list one, or as many" },
		{ "port=1,2", "must list one, or as many" },
		{ "port=,", "must list one, or as many" },
		{ "host=a,b port=1,2,", "must list one, or as many" },
		{ "host=a,b port=1,0", "must be a number" },
		{ "host=a,b port=1,x", "must be a number" },
		{ "postgres://a:1,b:2?host=c", "must list one, or as many" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_refused(bad[i].text, bad[i].says);
}

/* Of many places, as they are in the environment. */
static void
test_mixed(void **state)
{
	(void)state;
	fake_set("PGPORT", "1,2");
	assert_hosts("host=a,b", "a  1|b  2");
	assert_hosts("postgres://a,b", "a  5432|b  5432"); /* "," is given */
	assert_refused("host=a", "must list one, or as many");
	fake_set("PGHOSTADDR", "::1,::2");
	assert_hosts("host=a,b", "a ::1 1|b ::2 2");
	assert_refused("host=a", "must list as many");
	assert_hosts("host=a hostaddr='' port=3", "a  3");
}

static void
test_many(void **state)
{
	char text[20000] = "host=";
	struct conninfo ci;
	struct err err;

	(void)state;
	for (int i = 0; i < 1000; i++)
		strcat(text, "host.example,");
	assert_int_equal(parse(&ci, text, &err), 0);
	assert_int_equal(ci.hosts, 1001);
	assert_string_equal(ci.host[999].host, "host.example");
	conninfo_free(&ci);
}

static void
assert_passwords(const char *text, const char *want)
{
	char got[256] = "";
	struct conninfo ci;
	struct err err;

	if (parse(&ci, text, &err) == -1)
		fail_msg("%s: %s", text, err.text);
	for (size_t i = 0; i < ci.hosts; i++) {
		if (i > 0)
			strcat(got, " ");
		strcat(got,
		    ci.host[i].password != NULL ? ci.host[i].password : "-");
	}
	expect(text, "the passwords", got, want);
	conninfo_free(&ci);
}

static const char passwords[] = "a:1:*:*:ofa1\n"
				"a:*:*:*:ofa\n"
				"localhost:*:*:*:local\n"
				"\\:\\:1:*:*:*:six\n"
				"10.0.0.1:*:*:*:ten\n"
				"/run:*:*:*:run\n"
				"@x:*:*:*:abstract\n"
				"*:*:d:v:ofdv\n"
				"empty:*:*:*:\n"
				"*:5000:*:*:anyhost\n";

static void
test_passwords(void **state)
{
	size_t file = fake_file("/home/.pgpass", passwords);

	(void)state;
	assert_passwords("host=a,b,a port=1,2,3", "ofa1 - ofa");
	assert_true(fake_files[file].secret);
	assert_passwords("", "local");
	assert_passwords("host=/var/run/postgresql", "local");
	assert_passwords("host=/tmp,/run,@x", "local run abstract");
	assert_passwords("host=localhost", "local");
	assert_passwords("host=b hostaddr=10.0.0.1", "-"); /* by its name */
	assert_passwords("hostaddr=10.0.0.1,::1", "ten six");
	assert_passwords("host=,b hostaddr=10.0.0.1,10.0.0.1", "ten -");
	assert_passwords("host=b user=v", "-");
	assert_passwords("host=b user=v dbname=d", "ofdv");
	assert_passwords("host=b port=5000", "anyhost");
	/* An empty password is none, and hides what follows it. */
	assert_passwords("host=empty port=5000", "-");
	/* A password that was given is everybody's. */
	fake_files[file].reads = 0;
	assert_passwords("host=a,b password=p", "p p");
	assert_int_equal(fake_files[file].reads, 0);
	fake_set("PGPASSWORD", "q");
	assert_passwords("host=a,b", "q q");
	assert_passwords("host=a,b password=''", "ofa -");
}

static void
test_passfile(void **state)
{
	struct conninfo ci;
	struct err err;

	(void)state;
	fake_file("/home/.pgpass", "*:*:*:*:home\n");
	fake_file("/other", "*:*:*:*:other\n");
	fake_file("/third", "*:*:*:*:third\n");
	assert_passwords("", "home");
	fake_set("PGPASSFILE", "/other");
	assert_passwords("", "other");
	assert_passwords("passfile=/third", "third");
	assert_passwords("passfile=''", "home");
	assert_passwords("passfile=/none", "-");
	fake.home = NULL;
	assert_passwords("passfile=''", "-");
	fake_file("/broken", NULL);
	assert_int_equal(parse(&ci, "passfile=/broken", &err), -1);
	assert_int_equal(err.kind, ERR_IO);
}

/* The file is read again, and only that is. */
static void
test_read_again(void **state)
{
	struct conninfo ci;
	struct err err;

	(void)state;
	fake_file("/home/.pgpass", "a:*:*:*:one\n");
	assert_int_equal(parse(&ci, "host=a,b", &err), 0);
	assert_string_equal(ci.host[0].password, "one");
	assert_null(ci.host[1].password);
	fake_file("/home/.pgpass", "a:*:*:*:two\nb:*:*:*:three\n");
	assert_int_equal(conninfo_passwords(&ci, &err), 0);
	assert_string_equal(ci.host[0].password, "two");
	assert_string_equal(ci.host[1].password, "three");
	fake_file("/home/.pgpass", NULL);
	assert_int_equal(conninfo_passwords(&ci, &err), -1);
	assert_int_equal(err.kind, ERR_IO);
	fake_file("/home/.pgpass", "");
	assert_int_equal(conninfo_passwords(&ci, &err), 0);
	assert_null(ci.host[0].password);
	conninfo_free(&ci);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_lists),
		TEST(test_refused),
		TEST(test_mixed),
		TEST(test_many),
		TEST(test_passwords),
		TEST(test_passfile),
		TEST(test_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
