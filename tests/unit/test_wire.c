#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "pg/wire.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BYTES(s) (s), sizeof(s) - 1

static struct buf out;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	buf_init(&out, (size_t)32 << 20);
	memset(&err, 0, sizeof(err));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_free(&out);
	return 0;
}

/* Refused for the reason that the peer broke its protocol. */
static void
assert_proto(long rc)
{
	assert_int_equal(rc, -1);
	assert_int_equal(err.kind, ERR_PROTO);
	assert_string_not_equal(err.text, "");
	memset(&err, 0, sizeof(err));
}

/* Frontend messages */

static void
assert_put(const char *want, size_t n)
{
	assert_false(out.failed);
	assert_int_equal(buf_unread(&out), n);
	assert_memory_equal(buf_head(&out), want, n);
	buf_reset(&out);
}

static void
test_startup(void **state)
{
	static const struct wire_param params[] = { { "user", "u" },
		{ "database", "app" }, { "options", "" } };

	(void)state;
	wire_put_startup(&out, params, 3);
	assert_put(BYTES("\0\0\0\x26\0\3\0\0"
			 "user\0u\0database\0app\0options\0\0\0"));
	wire_put_startup(&out, NULL, 0);
	assert_put(BYTES("\0\0\0\x09\0\3\0\0\0"));
}

static void
test_frontend_messages(void **state)
{
	static const uint8_t data[] = "n,,n=,r=ab";
	static const uint8_t any[] = { 0, 'x', 0xff };

	(void)state;
	wire_put_query(&out, "SELECT 1");
	assert_put(BYTES("Q\0\0\0\x0dSELECT 1\0"));
	wire_put_query(&out, "");
	assert_put(BYTES("Q\0\0\0\x05\0"));
	wire_put_password(&out, "secret");
	assert_put(BYTES("p\0\0\0\x0bsecret\0"));
	wire_put_sasl_initial(&out, "SCRAM-SHA-256", data, 10);
	assert_put(BYTES("p\0\0\0\x20SCRAM-SHA-256\0\0\0\0\x0an,,n=,r=ab"));
	wire_put_sasl_response(&out, data, 10);
	assert_put(BYTES("p\0\0\0\x0en,,n=,r=ab"));
	wire_put_copy_data(&out, any, 3);
	assert_put(BYTES("d\0\0\0\7\0x\xff"));
	wire_put_copy_data(&out, any, 0);
	assert_put(BYTES("d\0\0\0\4"));
	wire_put_copy_done(&out);
	assert_put(BYTES("c\0\0\0\4"));
	wire_put_terminate(&out);
	assert_put(BYTES("X\0\0\0\4"));
}

/* Behind bytes that wait to be sent, some of them sent already. */
static void
test_put_behind_others(void **state)
{
	(void)state;
	wire_put_query(&out, "first");
	buf_consume(&out, 3);
	wire_put_copy_data(&out, (const uint8_t *)"abc", 3);
	wire_put_terminate(&out);
	assert_put(BYTES("\0\x0a"
			 "first\0d\0\0\0\7abcX\0\0\0\4"));
}

/* The length is put in place although the buffer moves and grows meanwhile. */
static void
test_put_large(void **state)
{
	enum { BIG = 0x1020304 - 4 };
	uint8_t *big = calloc(1, BIG);
	const uint8_t *p;

	(void)state;
	wire_put_query(&out, "first");
	buf_consume(&out, 3);
	wire_put_copy_data(&out, big, BIG);
	wire_put_terminate(&out);
	assert_false(out.failed);
	p = buf_head(&out);
	assert_memory_equal(p,
	    "\0\x0a"
	    "first\0d\1\2\3\4\0",
	    14);
	assert_int_equal(buf_unread(&out), 8 + 5 + BIG + 5);
	assert_memory_equal(p + 8 + 5 + BIG, "X\0\0\0\4", 5);
	free(big);
}

/* What does not fit leaves the buffer failed, wherever it stopped fitting. */
static void
test_put_does_not_fit(void **state)
{
	static const struct wire_param param = { "user", "somebody" };
	static const uint8_t data[] = "12345678";
	struct buf b;

	(void)state;
	for (size_t max = 0; max <= 23; max++) {
		buf_init(&b, max);
		wire_put_startup(&b, &param, 1);
		assert_int_equal(b.failed, max < 23);
		buf_reset(&b);
		wire_put_sasl_initial(&b, "SCRAM", data, 8);
		assert_int_equal(b.failed, max < 23);
		buf_free(&b);
	}
}

/* wire_cut */

static const struct {
	bool authenticated;
	const char *bytes;
	size_t len;
} messages[] = {
	{ false, BYTES("R\0\0\0\x08\0\0\0\0") },
	{ false, BYTES("R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0") },
	{ false, BYTES("E\0\0\0\x0bMgone\0\0") },
	{ false, BYTES("N\0\0\0\x05\0") },
	{ false, BYTES("v\0\0\0\x0c\0\3\0\0\0\0\0\0") },
	{ true, BYTES("Z\0\0\0\5I") },
	{ true, BYTES("K\0\0\0\x0c\0\0\0\1\0\0\0\2") },
	{ true,
	    BYTES("S\0\0\0\x0d"
		  "server\0001\0") },
	{ true, BYTES("c\0\0\0\4") },
	{ true, BYTES("d\0\0\0\x0cw1234567") },
	{ true, BYTES("W\0\0\0\7\0\0\0") },
	{ true, BYTES("D\0\0\0\x0c\0\1\0\0\0\2ab") },
};

/* Cuts the first n of message i, which end at a guard page. */
static long
cut(size_t i, size_t n, struct wire_msg *msg, size_t *want)
{
	uint8_t *p = guard_copy(messages[i].bytes, n);
	long got = wire_cut(p, n, messages[i].authenticated, msg, want, &err);

	if (got > 0) {
		assert_int_equal(msg->type, messages[i].bytes[0]);
		assert_ptr_equal(msg->body, p + 5);
		assert_int_equal(msg->len, n - 5);
		assert_memory_equal(msg->body, messages[i].bytes + 5, n - 5);
	}
	guard_free(p, n);
	return got;
}

static void
test_cut_every_prefix(void **state)
{
	struct wire_msg msg;
	size_t want;

	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		size_t len = messages[i].len;

		for (size_t n = 0; n < len; n++) {
			want = 77;
			assert_int_equal(cut(i, n, &msg, &want), 0);
			assert_int_equal(want, n < 5 ? 5 : len);
		}
		assert_int_equal(cut(i, len, &msg, &want), len);
	}
}

static void
test_cut_leaves_the_next(void **state)
{
	static const uint8_t two[] = "Z\0\0\0\5Id\0\0\0\6ab";
	struct wire_msg msg;
	size_t want;

	(void)state;
	assert_int_equal(wire_cut(two, 13, true, &msg, &want, &err), 6);
	assert_int_equal(msg.type, PQ_READY);
	assert_int_equal(msg.len, 1);
	assert_int_equal(wire_cut(two + 6, 7, true, &msg, &want, &err), 7);
	assert_int_equal(msg.type, PQ_COPY_DATA);
	assert_int_equal(msg.len, 2);
	assert_memory_equal(msg.body, "ab", 2);
}

/* Cuts a header of this type and length with nothing behind it. */
static long
cut_header(int type, uint32_t len, bool authenticated, size_t *want)
{
	const uint8_t head[5] = { (uint8_t)type, (uint8_t)(len >> 24),
		(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };
	uint8_t *p = guard_copy(head, 5);
	struct wire_msg msg;
	long got = wire_cut(p, 5, authenticated, &msg, want, &err);

	guard_free(p, 5);
	return got;
}

/* This type may hold max bytes and no more. */
static void
assert_max_body(int type, bool authenticated, size_t max)
{
	size_t want;

	assert_int_equal(cut_header(type, (uint32_t)max + 4, authenticated,
			     &want),
	    0);
	assert_int_equal(want, max + 5);
	assert_proto(cut_header(type, (uint32_t)max + 5, authenticated, &want));
}

static void
test_before_authentication(void **state)
{
	struct wire_msg msg;
	size_t want;

	(void)state;
	for (int type = 0; type < 256; type++) {
		if (type == 'R')
			assert_max_body(type, false, 2000);
		else if (type != 0 && strchr("ENv", type) != NULL)
			assert_max_body(type, false, 30000);
		else
			assert_proto(cut_header(type, 8, false, &want));
	}
	/* It need not wait for five bytes of an SSH banner or of HTTP. */
	assert_proto(
	    wire_cut((const uint8_t *)"S", 1, false, &msg, &want, &err));
	assert_proto(wire_cut((const uint8_t *)"HTTP/1.1 400", 12, false, &msg,
	    &want, &err));
}

static void
test_after_authentication(void **state)
{
	(void)state;
	for (int type = 0; type < 256; type++)
		assert_max_body(type, true,
		    type != 0 && strchr("TDdENA", type) != NULL
			? WIRE_MAX_MESSAGE
			: 30000);
}

static void
test_impossible_lengths(void **state)
{
	static const uint32_t bad[] = { 0, 1, 3, 0x7fffffff, 0x80000000,
		0xfffffffe, 0xffffffff };
	size_t want;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_proto(cut_header('R', bad[i], false, &want));
		assert_proto(cut_header('E', bad[i], false, &want));
		assert_proto(cut_header('Z', bad[i], true, &want));
		assert_proto(cut_header('d', bad[i], true, &want));
		assert_proto(cut_header(0, bad[i], true, &want));
	}
}

/* wire_error */

/* Reads n bytes that end at a guard page as an ErrorResponse. */
static void
read_error(const void *body, size_t n)
{
	uint8_t *p = guard_copy(body, n);
	struct wire_msg msg = { PQ_ERROR, p, n };

	memset(&err, 0, sizeof(err));
	assert_int_equal(wire_error(&msg, &err), -1);
	guard_free(p, n);
}

/* rest: what follows the severity, its colon and the blanks behind it. */
static void
assert_error(const char *body, size_t n, const char *severity,
    const char *sqlstate, const char *rest)
{
	size_t len = strlen(severity);

	read_error(body, n);
	assert_int_equal(err.kind, ERR_SERVER);
	assert_string_equal(err.sqlstate, sqlstate);
	assert_memory_equal(err.text, severity, len);
	assert_int_equal(err.text[len], ':');
	len += 1 + strspn(err.text + len + 1, " ");
	assert_string_equal(err.text + len, rest);
}

#define REPORT "SFEHLER\0VFATAL\0C42704\0Mno slot\0Ddet\0Htry\0P15\0Fx.c\0"

static void
test_error_fields(void **state)
{
	(void)state;
	assert_error(BYTES(REPORT "\0"), "FATAL", "42704",
	    "no slot (SQLSTATE 42704); detail: det; hint: try");
	/* in any order */
	assert_error(BYTES("Htry\0Fx.c\0Ddet\0Mno slot\0C42704\0VFATAL\0"
			   "SFEHLER\0\0"),
	    "FATAL", "42704",
	    "no slot (SQLSTATE 42704); detail: det; hint: try");
	assert_error(BYTES("VERROR\0C57P01\0Mbye\0Htry\0\0"), "ERROR", "57P01",
	    "bye (SQLSTATE 57P01); hint: try");
	assert_error(BYTES("VNOTICE\0C00000\0Mbye\0Dd\0\0"), "NOTICE", "00000",
	    "bye (SQLSTATE 00000); detail: d");
	/* A format string is only text. */
	assert_error(BYTES("VERROR\0C57P01\0M%s%n\0\0"), "ERROR", "57P01",
	    "%s%n (SQLSTATE 57P01)");
}

static void
test_error_fields_missing(void **state)
{
	(void)state;
	assert_error(BYTES("\0"), "ERROR", "XX000", "(SQLSTATE XX000)");
	assert_error(BYTES("Monly\0\0"), "ERROR", "XX000",
	    "only (SQLSTATE XX000)");
	assert_error(BYTES("C\0M\0\0"), "ERROR", "", "(SQLSTATE )");
	assert_error(BYTES("C4270455\0Mlong\0\0"), "ERROR", "42704",
	    "long (SQLSTATE 42704)");
}

static void
test_error_cut_off(void **state)
{
	static const char body[] = REPORT; /* its NUL is the terminator */

	(void)state;
	assert_error(body, sizeof(body), "FATAL", "42704",
	    "no slot (SQLSTATE 42704); detail: det; hint: try");
	for (size_t n = 0; n < sizeof(body); n++) {
		read_error(body, n);
		assert_int_equal(err.kind, ERR_PROTO);
		assert_string_equal(err.sqlstate, "");
		assert_string_not_equal(err.text, "");
	}
	/* Nor may anything come behind the terminator. */
	read_error(BYTES(REPORT "\0x"));
	assert_int_equal(err.kind, ERR_PROTO);
}

/* How often c stands in the text. */
static size_t
count(char c)
{
	size_t n = 0;

	for (const char *s = err.text; *s != '\0'; s++)
		n += *s == c;
	return n;
}

static void
test_error_of_megabytes(void **state)
{
	enum { MB = 1 << 20 };
	static const char codes[] = { 'V', 'C', 'M', 'D', 'H', 'Z' };
	char *body = malloc(COUNT(codes) * (MB + 2) + 1), *p = body;

	(void)state;
	assert_non_null(body);
	for (size_t i = 0; i < COUNT(codes); i++) {
		*p++ = codes[i];
		memset(p, "#*<+>@"[i], MB);
		p += MB;
		*p++ = '\0';
	}
	*p++ = '\0';
	read_error(body, (size_t)(p - body));
	assert_int_equal(err.kind, ERR_SERVER);
	assert_string_equal(err.sqlstate, "*****");
	assert_int_equal(count('<'), 300);
	assert_int_equal(count('+'), 300);
	assert_int_equal(count('>'), 300);
	assert_int_equal(count('@'), 0);
	assert_true(count('#') <= 300);
	assert_non_null(strstr(err.text, "SQLSTATE *****)"));
	/* The same without terminators. */
	for (char *s = body; s < p; s++)
		if (*s == '\0')
			*s = '.';
	read_error(body, (size_t)(p - body));
	assert_int_equal(err.kind, ERR_PROTO);
	free(body);
}

/* wire_row */

static int
read_row(const void *body, size_t n, struct wire_row *row)
{
	uint8_t *p = guard_copy(body, n);
	struct wire_msg msg = { PQ_DATA_ROW, p, n };
	int rc = wire_row(&msg, row, &err);

	/* Every value can be read to its end. */
	for (int i = 0; rc == 0 && i < row->n; i++)
		if (row->col[i].p != NULL)
			assert_true(memchr(row->col[i].p, '!',
					row->col[i].len) == NULL);
	guard_free(p, n);
	return rc;
}

/* abc, NULL, an empty string, d */
static const char some_row[] = "\0\4\0\0\0\3abc\xff\xff\xff\xff\0\0\0\0"
			       "\0\0\0\1d";

static void
test_row(void **state)
{
	struct wire_msg msg = { PQ_DATA_ROW, (const uint8_t *)some_row,
		sizeof(some_row) - 1 };
	struct wire_row row;
	char text[4] = "xyz", *copy;

	(void)state;
	memset(&row, 0x55, sizeof(row));
	assert_int_equal(wire_row(&msg, &row, &err), 0);
	assert_int_equal(row.n, 4);
	assert_int_equal(row.col[0].len, 3);
	assert_memory_equal(row.col[0].p, "abc", 3);
	assert_null(row.col[1].p);
	assert_int_equal(row.col[1].len, 0);
	assert_non_null(row.col[2].p);
	assert_int_equal(row.col[2].len, 0);
	wire_row_text(&row, 3, text, sizeof(text));
	assert_string_equal(text, "d");
	copy = wire_row_dup(&row, 0);
	assert_string_equal(copy, "abc");
	free(copy);
	copy = wire_row_dup(&row, 2);
	assert_string_equal(copy, "");
	free(copy);
	assert_null(wire_row_dup(&row, 1));
	assert_null(wire_row_dup(&row, 4));
}

static void
test_row_text_fits(void **state)
{
	struct wire_msg msg = { PQ_DATA_ROW, (const uint8_t *)some_row,
		sizeof(some_row) - 1 };
	struct wire_row row;
	char text[8];

	(void)state;
	assert_int_equal(wire_row(&msg, &row, &err), 0);
	for (size_t cap = 1; cap < sizeof(text); cap++) {
		memset(text, '~', sizeof(text));
		wire_row_text(&row, 0, text, cap);
		assert_int_equal(strlen(text), cap < 4 ? cap - 1 : 3);
		assert_memory_equal(text, "abc", strlen(text));
		assert_int_equal(text[cap < 4 ? cap : 4], '~');
	}
	wire_row_text(&row, 1, text, sizeof(text));
	assert_string_equal(text, "");
	text[0] = '~';
	wire_row_text(&row, 4, text, sizeof(text));
	assert_string_equal(text, "");
}

static void
test_row_cut_off(void **state)
{
	struct wire_row row;

	(void)state;
	assert_int_equal(read_row(some_row, sizeof(some_row) - 1, &row), 0);
	for (size_t n = 0; n < sizeof(some_row) - 1; n++)
		assert_proto(read_row(some_row, n, &row));
	/* its NUL is one byte too many */
	assert_proto(read_row(some_row, sizeof(some_row), &row));
	assert_proto(read_row(BYTES("\0\1\0\0\0\4abc"), &row));
	assert_proto(read_row(BYTES("\0\1\x7f\xff\xff\xff"
				    "abc"),
	    &row));
	assert_proto(read_row(BYTES("\0\1\xff\xff\xff\xfe"
				    "abc"),
	    &row));
	assert_proto(read_row(BYTES("\0\1\x80\0\0\0abc"), &row));
}

/* The length of a row of n NULLs, written to `to`. */
static size_t
nulls(uint8_t *to, uint16_t n)
{
	to[0] = (uint8_t)(n >> 8);
	to[1] = (uint8_t)n;
	memset(to + 2, 0xff, (size_t)n * 4);
	return 2 + (size_t)n * 4;
}

static void
test_row_columns(void **state)
{
	static uint8_t body[2 + 65535 * 4];
	struct wire_row row;

	(void)state;
	assert_int_equal(read_row(body, nulls(body, 0), &row), 0);
	assert_int_equal(row.n, 0);
	assert_int_equal(read_row(body, nulls(body, 32), &row), 0);
	assert_int_equal(row.n, 32);
	for (int i = 0; i < 32; i++)
		assert_null(row.col[i].p);
	assert_proto(read_row(body, nulls(body, 33), &row));
	assert_proto(read_row(body, nulls(body, 32767), &row));
	assert_proto(read_row(body, nulls(body, 65535), &row)); /* -1 */
	assert_proto(read_row("\xff\xff", 2, &row));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_startup),
		TEST(test_frontend_messages),
		TEST(test_put_behind_others),
		TEST(test_put_large),
		TEST(test_put_does_not_fit),
		TEST(test_cut_every_prefix),
		TEST(test_cut_leaves_the_next),
		TEST(test_before_authentication),
		TEST(test_after_authentication),
		TEST(test_impossible_lengths),
		TEST(test_error_fields),
		TEST(test_error_fields_missing),
		TEST(test_error_cut_off),
		TEST(test_error_of_megabytes),
		TEST(test_row),
		TEST(test_row_text_fits),
		TEST(test_row_cut_off),
		TEST(test_row_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
