#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/tls_name.h"

#include "pki.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LABEL63 \
	"a23456789012345678901234567890123456789012345678901234567890123"

/* Is a certificate with this common name and these alternative names for this
 * host? What libpq 15 says, but for malformed names. */
struct row {
	const char *cn, *san, *host;
	const char *error; /* NULL: it is */
};

#define FOR(name, host)                                                        \
	"server certificate for \"" name "\" does not match host name \"" host \
	"\""
#define FOR_MORE(name, more, host)                       \
	"server certificate for \"" name "\" (and " more \
	") does not match host name \"" host "\""
#define NAMELESS "could not get server's host name from server certificate"
#define HOSTLESS "host name must be specified for a verified SSL connection"
#define NUL_IN_IT "SSL certificate's name contains embedded null"
#define BAD_LENGTH(n) "certificate contains IP address with invalid length " n

static const struct row texts[] = {
	{ "db.example", NULL, "db.example", NULL },
	{ "db.example", NULL, "DB.EXAMPLE", NULL },
	{ "DB.Example", NULL, "db.example", NULL },
	{ "db.example", NULL, "db.example.", FOR("db.example", "db.example.") },
	{ "db.example", NULL, "db2.example", FOR("db.example", "db2.example") },
	{ "db.example", NULL, "db", FOR("db.example", "db") },
	{ "db.example", NULL, "db.example.org",
	    FOR("db.example", "db.example.org") },
	{ "ignored", "dns:db.example", "db.example", NULL },
	{ "ignored", "dns:a dns:b dns:db.example", "db.example", NULL },
	{ NULL, "dns:db.example", "db.example", NULL },
	/* The common name counts only where there is no dNSName. */
	{ "db.example", "dns:other", "db.example", FOR("other", "db.example") },
	{ "db.example", "dns:a dns:b", "db.example",
	    FOR_MORE("a", "1 other name", "db.example") },
	{ "db.example", "dns:a dns:b dns:c", "db.example",
	    FOR_MORE("a", "2 other names", "db.example") },
	{ "db.example", "ip:192.0.2.1", "db.example", NULL },
	{ "other", "ip:192.0.2.1", "db.example",
	    FOR_MORE("192.0.2.1", "1 other name", "db.example") },
	{ "db.example", "email:a@db uri:http://x", "db.example", NULL },
	{ NULL, "email:a@db uri:db", "db", NAMELESS },
	{ NULL, NULL, "db", NAMELESS },
	{ "", "dns:", "db", FOR("", "db") },
	{ "db", "malformed", "db",
	    "the names in the server certificate are malformed" },
};

static const struct row wildcards[] = {
	{ "*.example", NULL, "db.example", NULL },
	{ "x", "dns:*.example", "db.example", NULL },
	{ "x", "dns:*.EXAMPLE", "db.example", NULL },
	{ "x", "dns:*.example", "a.db.example",
	    FOR("*.example", "a.db.example") },
	{ "x", "dns:*.example", "example", FOR("*.example", "example") },
	{ "x", "dns:*.example", ".example", FOR("*.example", ".example") },
	{ "x", "dns:*.example", "*.example", NULL }, /* as text */
	{ "x", "dns:*.db.example", "a.db.example", NULL },
	{ "x", "dns:*.*.example", "a.db.example",
	    FOR("*.*.example", "a.db.example") },
	{ "x", "dns:a*.example", "ab.example",
	    FOR("a*.example", "ab.example") },
	{ "x", "dns:*b.example", "ab.example",
	    FOR("*b.example", "ab.example") },
	{ "x", "dns:db.*", "db.example", FOR("db.*", "db.example") },
	{ "x", "dns:db.*.org", "db.example.org",
	    FOR("db.*.org", "db.example.org") },
	{ "x", "dns:*", "db", FOR("*", "db") },
	{ "x", "dns:*.", "db.", FOR("*.", "db.") },
	{ "x", "dns:*.example", LABEL63 ".example", NULL },
	{ "x", "dns:*.0.0.1", "127.0.0.1", NULL }, /* a text, too */
};

static const struct row addresses[] = {
	{ "x", "ip:192.0.2.1", "192.0.2.1", NULL },
	{ "x", "ip:192.0.2.1", "192.0.2.2", FOR("192.0.2.1", "192.0.2.2") },
	{ "x", "ip:127.0.0.1", "127.1", NULL },
	{ "x", "ip:127.0.0.1", "0x7f000001", NULL },
	{ "x", "ip:127.0.0.1", "2130706433", NULL },
	{ "x", "ip:127.0.0.1", "localhost",
	    FOR_MORE("127.0.0.1", "1 other name", "localhost") },
	{ "x", "ip:2001:db8::1", "2001:db8::1", NULL },
	{ "x", "ip:2001:db8::1", "2001:0DB8:0:0::0001", NULL },
	{ "x", "ip:2001:db8::1", "2001:db8::2",
	    FOR("2001:db8::1", "2001:db8::2") },
	{ "x", "ip:::ffff:192.0.2.1", "192.0.2.1",
	    FOR("::ffff:192.0.2.1", "192.0.2.1") },
	{ "x", "ip:192.0.2.1", "::ffff:192.0.2.1",
	    FOR("192.0.2.1", "::ffff:192.0.2.1") },
	/* The common name counts where there is no iPAddress. */
	{ "192.0.2.1", NULL, "192.0.2.1", NULL },
	{ "192.0.2.1", "dns:x", "192.0.2.1", NULL },
	{ "192.0.2.1", "ip:192.0.2.2", "192.0.2.1",
	    FOR("192.0.2.2", "192.0.2.1") },
	{ "x", "dns:192.0.2.1", "192.0.2.1", NULL }, /* as text, too */
	{ "x", "dns:192.0.2.1 ip:192.0.2.2", "192.0.2.1", NULL },
	{ "x", "ip:%01%02%03", "192.0.2.1", BAD_LENGTH("3") },
	{ "x", "ip:", "192.0.2.1", BAD_LENGTH("0") },
	{ "x", "ip:%01%02%03%04%05 dns:db", "db", BAD_LENGTH("5") },
	{ "x", "dns:db ip:%01", "db", NULL }, /* what comes first counts */
};

static const struct row odd[] = {
	{ "db%00.evil", NULL, "db", NUL_IN_IT },
	{ "x", "dns:db%00.evil", "db", NUL_IN_IT },
	{ "x", "dns:%00", "db", NUL_IN_IT },
	{ "x", "dns:a%00b dns:db", "db", NUL_IN_IT },
	{ "x", "dns:db dns:a%00b", "db", NULL },
	{ "db%00", "dns:db", "db", NULL }, /* not looked at */
	{ "a%0ab%1b%ff", NULL, "db", FOR("a?b??", "db") },
	{ "db", NULL, "", HOSTLESS },
	{ "db", NULL, NULL, HOSTLESS },
};

static void
check_row(const struct row *row)
{
	struct cert_spec spec = { .cn = row->cn, .san = row->san };
	struct identity who = identity_make(&spec, NULL);
	struct err err = { .kind = ERR_NONE };
	int rc = tls_name_check(who.cert, row->host, &err);

	if (row->error == NULL && rc != 0)
		fail_msg("%s, %s: %s", row->cn, row->san, err.text);
	if (row->error != NULL) {
		if (rc != -1)
			fail_msg("%s, %s is for %s", row->cn, row->san,
			    row->host);
		assert_int_equal(err.kind, ERR_AUTH);
		assert_string_equal(err.text, row->error);
	}
	identity_free(&who);
}

#define EACH(name)                                       \
	static void test_##name(void **state)            \
	{                                                \
		(void)state;                             \
		for (size_t i = 0; i < COUNT(name); i++) \
			check_row(&name[i]);             \
	}

EACH(texts)
EACH(wildcards)
EACH(addresses)
EACH(odd)

/* Names of any length are told apart; no host has one of 1024 characters. */
static void
test_long(void **state)
{
	static const size_t lengths[] = { 250, 254, 255, 256, 257, 1000, 1023,
		1024, 1400 };
	char cn[1500], san[1510], host[1500];
	struct cert_spec spec = { .cn = "x", .san = san };
	struct identity who;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		size_t n = lengths[i];

		memset(cn, 'a', n);
		cn[n] = '\0';
		snprintf(san, sizeof(san), "dns:%s", cn);
		memcpy(host, cn, n + 1);
		host[n - 1] = 'b';
		who = identity_make(&spec, NULL);
		assert_int_equal(tls_name_check(who.cert, host, &err), -1);
		assert_non_null(strstr(err.text, "does not match host name"));
		assert_int_equal(tls_name_check(who.cert, cn, &err),
		    n < 1024 ? 0 : -1);
		identity_free(&who);
	}
}

/* RFC 6066: names, not addresses. */
static void
test_sni(void **state)
{
	static const struct {
		const char *host;
		bool sent;
	} rows[] = {
		{ "db.example", true },
		{ "localhost", true },
		{ "1a", true },
		{ "127.0.0.1", false },
		{ "1.2", false },
		{ "::1", false },
		{ "fe80::1%eth0", false },
		{ "", false },
		{ NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(tls_name_is_sni(rows[i].host), rows[i].sent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_wildcards),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_sni),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
