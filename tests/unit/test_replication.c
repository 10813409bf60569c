#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "guard.h"
#include "pg/replication.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct buf sql;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	buf_init(&sql, 16384);
	memset(&err, 0, sizeof(err));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_free(&sql);
	return 0;
}

static void
assert_sql(const char *want)
{
	assert_false(sql.failed);
	assert_string_equal(buf_cstr(&sql), want);
	buf_reset(&sql);
}

/* Refused for this reason, with a text that holds `part`. */
static void
assert_refused(int rc, enum err_kind kind, const char *part)
{
	assert_int_equal(rc, -1);
	assert_int_equal(err.kind, kind);
	if (strstr(err.text, part) == NULL)
		fail_msg("\"%s\" does not name %s", err.text, part);
	memset(&err, 0, sizeof(err));
}

/* Quoting */

static void
test_quote_ident(void **state)
{
	static const struct {
		const char *name, *quoted;
	} rows[] = {
		{ "", "\"\"" },
		{ "slot", "\"slot\"" },
		{ "CamelCase and space", "\"CamelCase and space\"" },
		{ "a\"b", "\"a\"\"b\"" },
		{ "\"", "\"\"\"\"" },
		{ "\"\"", "\"\"\"\"\"\"" },
		{ "it's", "\"it's\"" },
		{ "back\\slash", "\"back\\slash\"" },
		{ "\xc3\xa9\n", "\"\xc3\xa9\n\"" },
		{ "a\"; DROP TABLE t; --", "\"a\"\"; DROP TABLE t; --\"" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		repl_quote_ident(&sql, rows[i].name);
		assert_sql(rows[i].quoted);
	}
}

static void
test_quote_literal(void **state)
{
	static const struct {
		const char *text, *quoted;
	} rows[] = {
		{ "", "''" },
		{ "text", "'text'" },
		{ "it's", "'it''s'" },
		{ "'", "''''" },
		{ "\"", "'\"'" },
		{ "back\\slash", " E'back\\\\slash'" },
		{ "\\", " E'\\\\'" },
		{ "\\'", " E'\\\\'''" },
		{ "' OR 1=1 --", "''' OR 1=1 --'" },
		{ "\\' OR 1=1 --", " E'\\\\'' OR 1=1 --'" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		repl_quote_literal(&sql, rows[i].text);
		assert_sql(rows[i].quoted);
	}
}

/* They append, and say when something did not fit. */
static void
test_quote_appends(void **state)
{
	struct buf b;

	(void)state;
	buf_put_str(&sql, "x=");
	repl_quote_literal(&sql, "1");
	repl_quote_ident(&sql, "i");
	assert_sql("x='1'\"i\"");
	for (size_t max = 0; max <= 7; max++) {
		buf_init(&b, max);
		repl_quote_ident(&b, "a\"bc");
		assert_true(b.failed == (max < 7));
		buf_free(&b);
	}
}

/* Slot names */

static void
test_slot_names_taken(void **state)
{
	static const char *const good[] = { "a", "_", "0", "slot_1",
		"abcdefghijklmnopqrstuvwxyz0123456789_",
		"123456789012345678901234567890123456789012345678901234567890"
		"123" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		if (repl_check_slot_name(good[i], &err) != 0)
			fail_msg("%s: %s", good[i], err.text);
}

static void
test_slot_names_refused(void **state)
{
	static const struct {
		const char *name, *part;
	} rows[] = {
		{ "", "empty" },
		{ "Slot", "'S'" },
		{ "sLot", "'L'" },
		{ "my-slot", "'-'" },
		{ "my slot", "' '" },
		{ "slot ", "' '" },
		{ " slot", "' '" },
		{ "a.b", "'.'" },
		{ "a\"b", "'\"'" },
		{ "a'b", "'''" },
		{ "a;b", "';'" },
		{ "a\\b", "'\\'" },
		{ "a`b", "'`'" },
		{ "a{b", "'{'" },
		{ "a/b", "'/'" },
		{ "a:b", "':'" },
		{ "a@b", "'@'" },
		{ "a[b", "'['" },
		{ "a\nb", "'\n'" },
		{ "\xc3\xa9", "" },
		{ "123456789012345678901234567890123456789012345678901234567890"
		  "1234",
		    "63" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_refused(repl_check_slot_name(rows[i].name, &err),
		    ERR_USAGE, rows[i].part);
}

/* Every byte but NUL, alone: taken or refused as PostgreSQL does. */
static void
test_slot_name_characters(void **state)
{
	char name[2] = "";
	bool good;

	(void)state;
	for (int c = 1; c < 256; c++) {
		name[0] = (char)c;
		good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    c == '_';
		assert_int_equal(repl_check_slot_name(name, &err),
		    good ? 0 : -1);
	}
}

/* Commands */

#define CREATE "CREATE_REPLICATION_SLOT \"s\" "

static void
test_create_slot(void **state)
{
	static const struct {
		int version;
		bool temporary, failover;
		const char *sql;
	} rows[] = {
		{ 140000, true, false,
		    CREATE "TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT" },
		{ 140018, false, false,
		    CREATE "LOGICAL pgoutput NOEXPORT_SNAPSHOT" },
		{ 149999, false, false,
		    CREATE "LOGICAL pgoutput NOEXPORT_SNAPSHOT" },
		{ 150000, true, false,
		    CREATE "TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')" },
		{ 150000, false, false,
		    CREATE "LOGICAL pgoutput (SNAPSHOT 'nothing')" },
		{ 180001, false, false,
		    CREATE "LOGICAL pgoutput (SNAPSHOT 'nothing')" },
		{ 170000, false, true,
		    CREATE "LOGICAL pgoutput (SNAPSHOT 'nothing', "
			   "FAILOVER true)" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		repl_create_slot(&sql, "s", rows[i].temporary, rows[i].failover,
		    rows[i].version);
		assert_sql(rows[i].sql);
	}
	repl_create_slot(&sql, "a\"b", false, false, 140000);
	assert_sql("CREATE_REPLICATION_SLOT \"a\"\"b\" LOGICAL pgoutput "
		   "NOEXPORT_SNAPSHOT");
}

static void
test_drop_slot(void **state)
{
	(void)state;
	repl_drop_slot(&sql, "slot_1");
	assert_sql("DROP_REPLICATION_SLOT \"slot_1\"");
	repl_drop_slot(&sql, "a\" WAIT");
	assert_sql("DROP_REPLICATION_SLOT \"a\"\" WAIT\"");
}

static void
start(lsn_t lsn, const char *publication)
{
	repl_start(&sql, "s", lsn, &publication, 1, false);
}

#define START "START_REPLICATION SLOT \"s\" LOGICAL "
#define OPTIONS " (proto_version '1', publication_names "

static void
test_start(void **state)
{
	(void)state;
	start(0, "p");
	assert_sql(START "0/0" OPTIONS "'\"p\"')");
	start(UINT64_C(0x16b374d848), "p");
	assert_sql(START "16/B374D848" OPTIONS "'\"p\"')");
	start(UINT64_MAX, "p");
	assert_sql(START "FFFFFFFF/FFFFFFFF" OPTIONS "'\"p\"')");
}

static void
test_start_several(void **state)
{
	static const char *const names[] = { "p", "a,b", "it's" };

	(void)state;
	repl_start(&sql, "s", 0, names, 2, false);
	assert_sql(START "0/0" OPTIONS "'\"p\",\"a,b\"')");
	repl_start(&sql, "s", 0, names, 3, true);
	assert_sql(
	    START "0/0" OPTIONS "'\"p\",\"a,b\",\"it''s\"', messages 'true')");
}

/* One name stays one name: a list of identifiers inside a literal. */
static void
test_start_publication_names(void **state)
{
	static const struct {
		const char *name, *quoted;
	} rows[] = {
		{ "CamelCase", "'\"CamelCase\"'" },
		{ "a,b", "'\"a,b\"'" },
		{ "a, b c", "'\"a, b c\"'" },
		{ "a\"b", "'\"a\"\"b\"'" },
		{ "a\",\"b", "'\"a\"\",\"\"b\"'" },
		{ "it's", "'\"it''s\"'" },
		{ "''\"\"", "'\"''''\"\"\"\"\"'" },
		{ "a\\b", "'\"a\\b\"'" },
		{ "a'); DROP_REPLICATION_SLOT s; --",
		    "'\"a''); DROP_REPLICATION_SLOT s; --\"'" },
		{ "pr\xc3\xa9s", "'\"pr\xc3\xa9s\"'" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char want[200] = START "0/0" OPTIONS;

		start(0, rows[i].name);
		strcat(strcat(want, rows[i].quoted), ")");
		assert_sql(want);
	}
}

/* A name that is too long fails the command; it is never cut. */
static void
test_start_does_not_fit(void **state)
{
	char name[20001];

	(void)state;
	memset(name, 'p', 20000);
	name[20000] = '\0';
	start(0, name);
	assert_true(sql.failed);
	buf_reset(&sql);
	name[5000] = '\0';
	start(0, name);
	assert_true(sql.failed || strstr(buf_cstr(&sql), name) != NULL);
}

/* repl_parse */

static const uint8_t xlog_data[] = "w\1\2\3\4\5\6\7\x08\x11\x12\x13\x14\x15"
				   "\x16\x17\x18\xff\xff\xff\xff\xff\xff\xff"
				   "\xfe"
				   "payload";
static const uint8_t keepalive[] = "k\x81\2\3\4\5\6\7\x08\0\0\0\0\0\0\1\0\1";

#define XLOG_HEAD 25
#define KEEPALIVE 18

/* Parses the first n bytes, which end at a guard page. */
static int
parse(const uint8_t *body, size_t n, struct repl_msg *msg)
{
	uint8_t *p = guard_copy(body, n);
	int rc = repl_parse(p, n, msg, &err);

	if (rc == 0 && msg->type == REPL_XLOG_DATA) {
		assert_ptr_equal(msg->data, p + XLOG_HEAD);
		assert_int_equal(msg->len, n - XLOG_HEAD);
	}
	guard_free(p, n);
	return rc;
}

static void
test_parse_xlog_data(void **state)
{
	size_t len = sizeof(xlog_data) - 1;
	struct repl_msg msg;

	(void)state;
	for (size_t n = XLOG_HEAD; n <= len; n++) {
		assert_int_equal(parse(xlog_data, n, &msg), 0);
		assert_int_equal(msg.type, REPL_XLOG_DATA);
		assert_int_equal(msg.start_lsn, UINT64_C(0x0102030405060708));
		assert_int_equal(msg.wal_end, UINT64_C(0x1112131415161718));
		assert_int_equal(msg.sent_at, -2);
	}
	assert_int_equal(repl_parse(xlog_data, len, &msg, &err), 0);
	assert_int_equal(msg.len, 7);
	assert_memory_equal(msg.data, "payload", 7);
	for (size_t n = 1; n < XLOG_HEAD; n++)
		assert_refused(parse(xlog_data, n, &msg), ERR_PROTO, "'w'");
}

static void
test_parse_keepalive(void **state)
{
	struct repl_msg msg;
	uint8_t copy[KEEPALIVE];

	(void)state;
	assert_int_equal(parse(keepalive, KEEPALIVE, &msg), 0);
	assert_int_equal(msg.type, REPL_KEEPALIVE);
	assert_int_equal(msg.wal_end, UINT64_C(0x8102030405060708));
	assert_int_equal(msg.sent_at, 256);
	assert_true(msg.reply);
	memcpy(copy, keepalive, KEEPALIVE);
	copy[KEEPALIVE - 1] = 0;
	assert_int_equal(parse(copy, KEEPALIVE, &msg), 0);
	assert_false(msg.reply);
	for (size_t n = 1; n < KEEPALIVE; n++)
		assert_refused(parse(keepalive, n, &msg), ERR_PROTO, "'k'");
	/* its NUL is one byte too many */
	assert_refused(parse(keepalive, KEEPALIVE + 1, &msg), ERR_PROTO, "'k'");
}

static void
test_parse_others(void **state)
{
	struct repl_msg msg;
	uint8_t body[2] = { 0, 0xff };

	(void)state;
	assert_refused(parse(body, 0, &msg), ERR_PROTO, "empty");
	for (int type = 0; type < 256; type++) {
		if (type == 'w' || type == 'k')
			continue;
		body[0] = (uint8_t)type;
		for (size_t n = 1; n <= 2; n++) {
			assert_int_equal(parse(body, n, &msg), 0);
			assert_int_equal((uint8_t)msg.type, type);
			assert_int_equal(msg.start_lsn, 0);
			assert_int_equal(msg.wal_end, 0);
			assert_false(msg.reply);
			assert_null(msg.data);
		}
	}
}

/* Status update */

static void
test_status(void **state)
{
	static const char ping[] = "d\0\0\0\x26r"
				   "\1\2\3\4\5\6\7\x08"
				   "\x11\x12\x13\x14\x15\x16\x17\x18"
				   "\x11\x12\x13\x14\x15\x16\x17\x18"
				   "\0\0\0\0\0\0\1\0\1";
	static const char quiet[] = "d\0\0\0\x26r"
				    "\0\0\0\0\0\0\0\0"
				    "\0\0\0\0\0\0\0\0"
				    "\0\0\0\0\0\0\0\0"
				    "\xff\xff\xff\xff\xff\xff\xff\xff\0";

	(void)state;
	repl_put_status(&sql, UINT64_C(0x0102030405060708),
	    UINT64_C(0x1112131415161718), 256, true);
	repl_put_status(&sql, 0, 0, -1, false);
	assert_false(sql.failed);
	assert_int_equal(buf_unread(&sql), 39 * 2);
	assert_memory_equal(buf_head(&sql), ping, 39);
	assert_memory_equal(buf_head(&sql) + 39, quiet, 39);
}

static void
test_status_does_not_fit(void **state)
{
	struct buf b;

	(void)state;
	for (size_t max = 0; max <= 39; max++) {
		buf_init(&b, max);
		repl_put_status(&b, 1, 1, 1, false);
		assert_true(b.failed == (max < 39));
		buf_free(&b);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_quote_ident),
		TEST(test_quote_literal),
		TEST(test_quote_appends),
		TEST(test_slot_names_taken),
		TEST(test_slot_names_refused),
		TEST(test_slot_name_characters),
		TEST(test_create_slot),
		TEST(test_drop_slot),
		TEST(test_start),
		TEST(test_start_several),
		TEST(test_start_publication_names),
		TEST(test_start_does_not_fit),
		TEST(test_parse_xlog_data),
		TEST(test_parse_keepalive),
		TEST(test_parse_others),
		TEST(test_status),
		TEST(test_status_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
