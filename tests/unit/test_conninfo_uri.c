#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_system.h"

/* From PostgreSQL's src/interfaces/libpq/t/001_uri.pl, with its results, and
 * from its documentation. */
static const struct {
	const char *text, *want;
} uris[] = {
	{ "postgresql://uri-user:secret@host:12345/db",
	    "user=uri-user|password=secret|host=host|port=12345|dbname=db" },
	{ "postgresql://uri-user@host:12345/db",
	    "user=uri-user|host=host|port=12345|dbname=db" },
	{ "postgresql://uri-user@host/db",
	    "user=uri-user|host=host|dbname=db" },
	{ "postgresql://host:12345/db", "host=host|port=12345|dbname=db" },
	{ "postgresql://host/db", "host=host|dbname=db" },
	{ "postgresql://uri-user@host:12345/",
	    "user=uri-user|host=host|port=12345" },
	{ "postgresql://uri-user@host/", "user=uri-user|host=host" },
	{ "postgresql://uri-user@", "user=uri-user" },
	{ "postgresql://host:12345/", "host=host|port=12345" },
	{ "postgresql://host:12345", "host=host|port=12345" },
	{ "postgresql://host/", "host=host" },
	{ "postgresql://host", "host=host" },
	{ "postgresql://", "" },
	{ "postgresql://?hostaddr=127.0.0.1", "hostaddr=127.0.0.1" },
	{ "postgresql://example.com?hostaddr=63.1.2.4",
	    "host=example.com|hostaddr=63.1.2.4" },
	{ "postgresql://%68ost/", "host=host" },
	{ "postgresql://host/db?user=uri-user",
	    "user=uri-user|host=host|dbname=db" },
	{ "postgresql://host/db?user=uri-user&port=12345",
	    "user=uri-user|host=host|port=12345|dbname=db" },
	{ "postgresql://host/db?u%73er=someotheruser&port=12345",
	    "user=someotheruser|host=host|port=12345|dbname=db" },
	{ "postgresql://host:12345?user=uri-user",
	    "user=uri-user|host=host|port=12345" },
	{ "postgresql://host?user=uri-user", "user=uri-user|host=host" },
	{ "postgresql://host?", "host=host" },
	{ "postgresql://[::1]:12345/db", "host=::1|port=12345|dbname=db" },
	{ "postgresql://[::1]/db", "host=::1|dbname=db" },
	{ "postgresql://[2001:db8::1234]/", "host=2001:db8::1234" },
	{ "postgresql://[200z:db8::1234]/", "host=200z:db8::1234" },
	{ "postgresql://[::1]", "host=::1" },
	{ "postgres://", "" },
	{ "postgres:///", "" },
	{ "postgres:///db", "dbname=db" },
	{ "postgres://uri-user@/db", "user=uri-user|dbname=db" },
	{ "postgres://?host=/path/to/socket/dir", "host=/path/to/socket/dir" },
	{ "postgres://@host", "host=host" },
	{ "postgres://host:/", "host=host" },
	{ "postgres://:12345/", "port=12345" },
	{ "postgres://otheruser@?host=/no/such/directory",
	    "user=otheruser|host=/no/such/directory" },
	{ "postgres://otheruser@/?host=/no/such/directory",
	    "user=otheruser|host=/no/such/directory" },
	{ "postgres://otheruser@:12345?host=/no/such/socket/path",
	    "user=otheruser|host=/no/such/socket/path|port=12345" },
	{ "postgres://otheruser@:12345/db?host=/path/to/socket",
	    "user=otheruser|host=/path/to/socket|port=12345|dbname=db" },
	{ "postgres://:12345/db?host=/path/to/socket",
	    "host=/path/to/socket|port=12345|dbname=db" },
	{ "postgres://:12345?host=/path/to/socket",
	    "host=/path/to/socket|port=12345" },
	{ "postgres://%2Fvar%2Flib%2Fpostgresql/dbname",
	    "host=/var/lib/postgresql|dbname=dbname" },
	/* the documentation's */
	{ "postgresql://localhost:5433", "host=localhost|port=5433" },
	{ "postgresql://user:secret@localhost",
	    "user=user|password=secret|host=localhost" },
	{ "postgresql://other@localhost/otherdb?connect_timeout=10"
	  "&application_name=myapp",
	    "user=other|host=localhost|dbname=otherdb|connect_timeout=10|"
	    "application_name=myapp" },
	{ "postgresql://host1:123,host2:456/somedb"
	  "?target_session_attrs=any&application_name=myapp",
	    "host=host1,host2|port=123,456|dbname=somedb|"
	    "target_session_attrs=any|application_name=myapp" },
	{ "postgresql://user@localhost:5433/mydb"
	  "?options=-c%20synchronous_commit%3Doff",
	    "user=user|host=localhost|port=5433|dbname=mydb|"
	    "options=-c synchronous_commit=off" },
	{ "postgresql://[2001:db8::1234]/database",
	    "host=2001:db8::1234|dbname=database" },
	{ "postgresql:///dbname?host=/var/lib/postgresql",
	    "host=/var/lib/postgresql|dbname=dbname" },
	/* several hosts: what is missing is empty */
	{ "postgres://a,b", "host=a,b|port=," },
	{ "postgres://a:1,b", "host=a,b|port=1," },
	{ "postgres://a,b:2/d", "host=a,b|port=,2|dbname=d" },
	{ "postgres://[::1]:1,[::2],c", "host=::1,::2,c|port=1,," },
	{ "postgres://,", "host=,|port=," },
	{ "postgres://%2Ftmp,b", "host=/tmp,b|port=," },
	{ "postgres://a%2Cb", "host=a,b" },
	{ "postgres://?host=a,b&port=1,2", "host=a,b|port=1,2" },
	/* percent-encoding */
	{ "postgres://%75:p%40ss%2f%3A%25@h/d%20b",
	    "user=u|password=p@ss/:%|host=h|dbname=d b" },
	{ "postgres://%39%aF%Fa/", "host=9\xaf\xfa" },
	{ "postgres://u:%C2%AD+@h", "user=u|password=\xc2\xad+|host=h" },
	{ "postgres://%40abstract", "host=@abstract" },
	/* what ends what */
	{ "postgres://u:p?q:r&s=t@h", "user=u|password=p?q:r&s=t|host=h" },
	{ "postgres://u:@h", "user=u|host=h" },
	{ "postgres://:p@h", "password=p|host=h" },
	{ "postgres://u:p:q@h", "user=u|password=p:q|host=h" },
	{ "postgres://u,v@h", "user=u,v|host=h" },
	{ "postgres://u:p@[::1]:1/d?user=v",
	    "user=v|password=p|host=::1|port=1|dbname=d" },
	{ "postgres://[fe80::1%25lo]/", "host=fe80::1%lo" },
	{ "postgres://h/a/b", "host=h|dbname=a/b" },
	{ "postgres://h/d#f", "host=h|dbname=d#f" },
	{ "postgres://h/a@b", "host=h|dbname=a@b" },
	{ "postgres://h?dbname=d&", "host=h|dbname=d" },
	{ "postgres://h?dbname=d?x", "host=h|dbname=d?x" },
	{ "postgres://h/d?dbname=&port=", "host=h" },
	{ "postgres://h/d?password=a%26b%3Dc",
	    "host=h|password=a&b=c|dbname=d" },
	{ "postgres://[::1]?port=7", "host=::1|port=7" },
	{ "postgres://h?user=a&user=b", "host=h|user=b" },
	/* spaces around a part, as of PostgreSQL 18 */
	{ "postgres:// u : p @ h /d ? user = v & port = 1",
	    "user=v|password=p|host=h|port=1|dbname=d" },
	{ "postgres://h/d ", "host=h|dbname=d" },
	{ "postgres://h/d%20 ", "host=h|dbname=d " },
	{ "postgres://[ ::1 ]", "host=::1" },
	{ "postgres://h/d\n", "host=h|dbname=d\n" },
	{ "postgres:// ", "" },
	/* JDBC's, and an old one */
	{ "postgres://h?ssl=true", "host=h|sslmode=require" },
	{ "postgres://h?s%73l=tr%75e&sslmode=allow", "host=h|sslmode=allow" },
	{ "postgres://h?requiressl=1", "host=h|sslmode=require" },
};

static void
test_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(uris); i++)
		assert_parses(uris[i].text, uris[i].want);
}

static const struct {
	const char *text, *says;
} bad[] = {
	{ "postgre://", "\"=\" is missing" },
	{ "postgres:/h", "\"=\" is missing" },
	{ "POSTGRES://h", "\"=\" is missing" },
	{ " postgres://h", "\"=\" is missing" },
	/* those of 001_uri.pl */
	{ "postgresql://host/db?u%7aer=someotheruser&port=12345",
	    "there is no connection option \"uzer\"" },
	{ "postgresql://host?uzer=", "no connection option \"uzer\"" },
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
	/* and others */
	{ "postgres://%4g@h", "two hexadecimal digits" },
	{ "postgres://u:%@h", "two hexadecimal digits" },
	{ "postgres://u:%00@h", "%00 is not allowed" },
	{ "postgres://h/%2", "two hexadecimal digits" },
	{ "postgres://h:%35x", "\"port\"" },
	{ "postgres://h?%6=x", "two hexadecimal digits" },
	{ "postgres://h?u%00ser=x", "%00 is not allowed" },
	{ "postgres://h?user=%00", "%00 is not allowed" },
	{ "postgres://h?&host=x", "a parameter without \"=\"" },
	{ "postgres://h?host=x&&", "a parameter without \"=\"" },
	{ "postgres://h/d x", "there is a space in it" },
	{ "postgres://u:p q@h", "there is a space in it" },
	{ "postgres://a, b", "there is a space in it" },
	{ "postgres://h?us er=x", "there is a space in it" },
	{ "postgres://h?ssl=1", "there is no connection option \"ssl\"" },
	{ "postgres://h?=x", "there is no connection option \"\"" },
	{ "postgres://h?user=u;port=1=2", "a parameter with two \"=\"" },
	{ "postgres://h:0", "\"port\" (PGPORT) must be a number" },
	{ "postgres://h:1:2", "\"port\" (PGPORT) must be a number" },
	{ "postgres://::1", "\"port\" (PGPORT) must be a number" },
	/* A host with an '@' would be the rest of a password: libpq takes it. */
	{ "postgres://u:p@q@h", "more than one \"@\"" },
	{ "postgres://u@[h@i]", "more than one \"@\"" },
};

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_refused(bad[i].text, bad[i].says);
}

/* Wherever a URI is cut off, it is read to its end and not beyond. */
static void
test_cut_anywhere(void **state)
{
	static const char whole[] =
	    "postgres://u%20:p%40@[::1]:1,b:2,%2Ft/d%2e?user=%76&ssl=true";
	struct conninfo ci;
	struct err err;
	char text[sizeof(whole)];

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		memcpy(text, whole, n);
		text[n] = '\0';
		if (parse(&ci, text, &err) == 0)
			conninfo_free(&ci);
		else
			assert_int_equal(err.kind, ERR_USAGE);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_accepted),
		TEST(test_refused),
		TEST(test_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
