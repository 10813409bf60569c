#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/b64.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/lsn.h"
#include "base/rd.h"
#include "guard.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* buf */

static void
assert_holds(const struct buf *b, const void *want, size_t n)
{
	assert_true(b->off <= b->len && b->len <= b->cap && b->cap <= b->max);
	assert_int_equal(buf_unread(b), n);
	assert_memory_equal(buf_head(b), want, n);
}

static void
test_buf_put(void **state)
{
	static const uint8_t want[] = "ab"
				      "cd\0"
				      "\x01\x02\x03\x04\x05\x06\x07"
				      "\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
				      "7 x";
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_holds(&b, "", 0);
	buf_put(&b, "", 0);
	buf_put_str(&b, "ab");
	buf_put_cstr(&b, "cd");
	buf_put_u8(&b, 0x01);
	buf_put_u16(&b, 0x0203);
	buf_put_u32(&b, 0x04050607);
	buf_put_u64(&b, 0x08090a0b0c0d0e0f);
	buf_putf(&b, "%d %s", 7, "x");
	assert_false(b.failed);
	assert_holds(&b, want, sizeof(want) - 1);
	buf_free(&b);
	assert_int_equal(b.max, 1000);
	assert_null(b.data);
}

/* Up to max every byte fits; the first beyond changes nothing but failed. */
static void
fill_to_max(size_t max)
{
	struct buf b;

	buf_init(&b, max);
	for (size_t i = 0; i < max; i++) {
		buf_put_u8(&b, (uint8_t)i);
		assert_false(b.failed);
		assert_true(b.cap <= max);
	}
	buf_put_u8(&b, 0xff);
	assert_true(b.failed);
	assert_int_equal(buf_unread(&b), max);
	for (size_t i = 0; i < max; i++)
		assert_int_equal(buf_head(&b)[i], (uint8_t)i);
	buf_free(&b);
}

static void
test_buf_max(void **state)
{
	(void)state;
	fill_to_max(0);
	fill_to_max(1);
	fill_to_max(255);
	fill_to_max(256);
	fill_to_max(257);
	fill_to_max(1000);
}

static void
test_buf_failed_is_sticky(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 300);
	buf_put_str(&b, "kept");
	assert_null(buf_room(&b, 297));
	assert_true(b.failed);
	buf_put_u8(&b, 'x');
	buf_putf(&b, "%d", 1);
	assert_null(buf_room(&b, 0));
	assert_holds(&b, "kept", 4);
	assert_string_equal(buf_cstr(&b), "");
	buf_consume(&b, 4);
	buf_put_u8(&b, 'x');
	assert_holds(&b, "", 0);
	buf_reset(&b);
	assert_false(b.failed);
	buf_put_str(&b, "again");
	assert_null(buf_room(&b, SIZE_MAX)); /* no sum may wrap around */
	assert_holds(&b, "again", 5);
	buf_free(&b);
}

static void
test_buf_room(void **state)
{
	struct buf b;
	uint8_t *to;

	(void)state;
	buf_init(&b, 300);
	buf_put_str(&b, "ab");
	to = buf_room(&b, 298);
	assert_non_null(to);
	memset(to, 'z', 298); /* all of it is there, says the sanitizer */
	assert_holds(&b, "ab", 2);
	memcpy(to, "cd", 2);
	buf_added(&b, 2);
	assert_holds(&b, "abcd", 4);
	buf_free(&b);
}

static void
test_buf_consume(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 300);
	buf_put_str(&b, "abcd");
	buf_consume(&b, 0);
	assert_holds(&b, "abcd", 4);
	buf_consume(&b, 1);
	assert_holds(&b, "bcd", 3);
	assert_string_equal(buf_cstr(&b), "bcd");
	buf_consume(&b, 3);
	assert_holds(&b, "", 0);
	assert_int_equal(b.off, 0); /* the whole buffer is free again */
	buf_free(&b);
}

/* What was consumed is room again, without growing. */
static void
test_buf_compaction(void **state)
{
	uint8_t bytes[256];
	struct buf b;
	uint8_t *data;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	buf_init(&b, 256);
	buf_put(&b, bytes, 256);
	buf_consume(&b, 200);
	data = b.data;
	buf_put(&b, bytes, 200);
	assert_false(b.failed);
	assert_ptr_equal(b.data, data);
	assert_int_equal(b.off, 0);
	assert_int_equal(buf_unread(&b), 256);
	assert_memory_equal(buf_head(&b), bytes + 200, 56);
	assert_memory_equal(buf_head(&b) + 56, bytes, 200);
	buf_free(&b);
}

/* Little was consumed: what is left would overlap where it moves to. */
static void
test_buf_growth_keeps_unread(void **state)
{
	char text[301];
	struct buf b;

	(void)state;
	memset(text, 'x', 300);
	text[0] = 'a';
	text[299] = 'z';
	text[300] = '\0';
	buf_init(&b, 300);
	buf_put(&b, "123", 3);
	buf_put(&b, text, 250);
	buf_consume(&b, 3);
	buf_put(&b, text + 250, 50);
	assert_false(b.failed);
	assert_holds(&b, text, 300);
	buf_consume(&b, 1);
	buf_put_u8(&b, '!');
	assert_false(b.failed);
	assert_int_equal(buf_head(&b)[0], 'x');
	assert_int_equal(buf_head(&b)[299], '!');
	buf_free(&b);
}

static void
test_buf_shrink(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	assert_non_null(buf_room(&b, 4096));
	buf_put_u8(&b, 'x');
	assert_null(buf_room(&b, 4096));
	buf_shrink(&b, 4096);
	assert_holds(&b, "", 0);
	assert_false(b.failed);
	assert_non_null(b.data);
	buf_shrink(&b, 4095);
	assert_null(b.data);
	assert_int_equal(b.max, 4096);
	buf_put_str(&b, "again");
	assert_holds(&b, "again", 5);
	buf_free(&b);
}

static void
test_buf_cstr(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 300);
	assert_string_equal(buf_cstr(&b), "");
	buf_put_str(&b, "ab");
	assert_string_equal(buf_cstr(&b), "ab");
	buf_put_str(&b, "c");
	assert_string_equal(buf_cstr(&b), "abc");
	assert_holds(&b, "abc", 3);
	buf_free(&b);
}

/* The NUL that is not counted needs its byte too. */
static void
test_buf_uncounted_nul(void **state)
{
	char text[257];
	struct buf b;

	(void)state;
	memset(text, 'x', 256);
	text[256] = '\0';
	buf_init(&b, 1000);
	buf_put(&b, text, 256);
	assert_string_equal(buf_cstr(&b), text);
	buf_free(&b);
	buf_put(&b, text, 250);
	buf_putf(&b, "%s", "xxxxxx");
	assert_holds(&b, text, 256);
	buf_free(&b);
}

/* rd */

static const uint8_t fields[] = "\x01\x02\x03\x04\x05\x06\x07"
				"\xf8\x09\x0a\x0b\x0c\x0d\x0e\xff"
				"bytes"
				"text";

/* Reads all of it; true when it was there and nothing was left. */
static bool
read_fields(struct rd *r)
{
	uint8_t a = rd_u8(r);
	uint16_t b = rd_u16(r);
	uint32_t c = rd_u32(r);
	uint64_t d = rd_u64(r);
	const uint8_t *e = rd_bytes(r, 5);
	const char *f = rd_cstr(r);

	return rd_done(r) && a == 0x01 && b == 0x0203 && c == 0x04050607 &&
	    d == 0xf8090a0b0c0d0eff && memcmp(e, "bytes", 5) == 0 &&
	    strcmp(f, "text") == 0;
}

static void
test_rd_fields(void **state)
{
	uint8_t *p = guard_copy(fields, sizeof(fields));
	struct rd r = rd_make(p, sizeof(fields));

	(void)state;
	assert_int_equal(rd_left(&r), sizeof(fields));
	assert_true(read_fields(&r));
	assert_int_equal(rd_left(&r), 0);
	guard_free(p, sizeof(fields));
}

static void
test_rd_prefixes(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(fields); n++) {
		uint8_t *p = guard_copy(fields, n);
		struct rd r = rd_make(p, n);

		assert_false(read_fields(&r));
		assert_true(r.bad);
		guard_free(p, n);
	}
}

/* After the first failure nothing is read, even if it were there. */
static void
test_rd_bad_is_sticky(void **state)
{
	struct rd r = rd_make("\xff\xff", 3);

	(void)state;
	assert_int_equal(rd_u32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(rd_u8(&r), 0);
	assert_int_equal(rd_u16(&r), 0);
	assert_null(rd_bytes(&r, 0));
	assert_string_equal(rd_cstr(&r), "");
	assert_int_equal(rd_left(&r), 3);
	r.p = r.end;
	assert_false(rd_done(&r));
}

static void
test_rd_left_over(void **state)
{
	struct rd r = rd_make("ab", 2);

	(void)state;
	assert_false(rd_done(&r));
	assert_int_equal(rd_u8(&r), 'a');
	assert_false(rd_done(&r));
	assert_non_null(rd_bytes(&r, 0));
	assert_int_equal(rd_u8(&r), 'b');
	assert_true(rd_done(&r));
	assert_null(rd_bytes(&r, SIZE_MAX));
	assert_false(rd_done(&r));
}

static void
test_rd_cstr(void **state)
{
	uint8_t *p = guard_copy("\0ab\0cd", 6);
	struct rd r = rd_make(p, 6);

	(void)state;
	assert_string_equal(rd_cstr(&r), "");
	assert_false(r.bad);
	assert_string_equal(rd_cstr(&r), "ab");
	assert_false(r.bad);
	assert_string_equal(rd_cstr(&r), "");
	assert_true(r.bad);
	guard_free(p, 6);
}

/* lsn */

static void
test_lsn_parse(void **state)
{
	static const struct {
		const char *text;
		lsn_t lsn;
	} good[] = {
		{ "0/0", 0 },
		{ "0/1", 1 },
		{ "16/B374D848", 0x16b374d848 },
		{ "16/b374d848", 0x16b374d848 },
		{ "9/AF09af", UINT64_C(9) << 32 | 0xaf09af },
		{ "00000001/00000002", UINT64_C(1) << 32 | 2 },
		{ "FFFFFFFF/FFFFFFFF", UINT64_MAX },
	};
	lsn_t lsn;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		lsn = 77;
		if (lsn_parse(good[i].text, &lsn) != 0 || lsn != good[i].lsn)
			fail_msg("%s: " LSN_FMT, good[i].text, LSN_ARG(lsn));
	}
}

static void
test_lsn_refused(void **state)
{
	static const char *const bad[] = { "", "/", "0", "0/", "/0", "0/0/0",
		"0/0 ", " 0/0", "0 /0", "0/ 0", "0/g", "g/0", "-1/0", "0/-1",
		"+1/0", "0x1/0", "100000000/0", "000000000/0", "0/000000000",
		"0/100000000", "0/0\n", "16:B374D848", "16B374D848" };
	lsn_t lsn;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (lsn_parse(bad[i], &lsn) != -1)
			fail_msg("accepted: \"%s\"", bad[i]);
	}
}

static void
test_lsn_print(void **state)
{
	char text[32];

	(void)state;
	snprintf(text, sizeof(text), LSN_FMT,
	    LSN_ARG(UINT64_C(0x16b374d848)));
	assert_string_equal(text, "16/B374D848");
	snprintf(text, sizeof(text), LSN_FMT, LSN_ARG(UINT64_MAX));
	assert_string_equal(text, "FFFFFFFF/FFFFFFFF");
	assert_int_equal(lsn_max(1, UINT64_MAX), UINT64_MAX);
	assert_int_equal(lsn_max(UINT64_MAX, 1), UINT64_MAX);
}

/* b64 */

/* RFC 4648, section 10, and all digits. */
static const struct {
	const char *plain, *coded;
} vectors[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
	{ "\x69\xb7\x1d\x79\xf8\x21\x8a\x39\x25\x9a\x7a\x29\xaa\xbb\x2d\xba"
	  "\xfc\x31\xcb\x3d\x35\xdb\x7e\x39\xeb\xbf\x3d\xfb\xf0\x01\x08\x31"
	  "\x05\x18\x72\x09\x28\xb3\x0d\x38\xf4\x11\x49\x35\x15\x59\x76\x19",
	    "abcdefghijklmnopqrstuvwxyz0123456789+/ABCDEFGHIJKLMN"
	    "OPQRSTUVWXYZ" },
};

static void
test_b64_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		size_t n = strlen(vectors[i].plain);
		size_t len = strlen(vectors[i].coded);
		uint8_t *plain = guard_copy(vectors[i].plain, n);
		uint8_t *coded = guard_copy(vectors[i].coded, len);
		char text[100];
		uint8_t back[100];

		memset(text, 'x', sizeof(text));
		b64_encode(text, plain, n);
		assert_string_equal(text, vectors[i].coded);
		assert_int_equal(B64_ENCODED_LEN(n), len);
		assert_int_equal(b64_decode(back, n, (char *)coded, len), n);
		assert_memory_equal(back, vectors[i].plain, n);
		if (n > 0)
			assert_int_equal(
			    b64_decode(back, n - 1, (char *)coded, len), -1);
		guard_free(plain, n);
		guard_free(coded, len);
	}
}

static void
test_b64_refused(void **state)
{
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zg===", "Zm9",
		"Zm9vY", "Zm9vYg", "Zm9vYg=", "=", "==", "===", "====",
		"Z===", "=Zg=", "Zg=g", "Zg==Zg==", "Zm8=Zm9v", "Zm9vYg==Zg==",
		/* bits that no encoder sets */
		"Zh==", "Zv==", "Zm9=", "Zm+=",
		/* not digits */
		"Zm9\n", "Zm9vYg==\n", " Zm9", "Zm 9", "Zm9-", "Zm9_", "Zm9.",
		"Zm9\x80", "Zm9\xff" };
	uint8_t to[16];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (b64_decode(to, sizeof(to), bad[i], strlen(bad[i])) != -1)
			fail_msg("accepted: \"%s\"", bad[i]);
	}
	assert_int_equal(b64_decode(to, sizeof(to), "Zm9\0", 4), -1);
	assert_int_equal(b64_decode(to, sizeof(to), "\0\0\0\0", 4), -1);
	assert_int_equal(b64_decode(to, sizeof(to), "Zg\0=", 4), -1);
}

static void
test_b64_all_bytes(void **state)
{
	uint8_t plain[256], back[256];
	char text[B64_ENCODED_LEN(sizeof(plain)) + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 7);
	for (size_t n = 0; n <= sizeof(plain); n++) {
		b64_encode(text, plain, n);
		assert_int_equal(strlen(text), B64_ENCODED_LEN(n));
		assert_int_equal(
		    b64_decode(back, sizeof(back), text, strlen(text)), n);
		assert_memory_equal(back, plain, n);
	}
}

/* err */

static void
test_err_set(void **state)
{
	char big[2000];
	struct err e = { .sqlstate = "42P01" };

	(void)state;
	assert_int_equal(err_set(&e, ERR_IO, "%s %d", "port", 1), -1);
	assert_int_equal(e.kind, ERR_IO);
	assert_string_equal(e.sqlstate, "");
	assert_string_equal(e.text, "port 1");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(err_set(&e, ERR_IO, "%s", big), -1);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

static void
test_err_prefix(void **state)
{
	struct err e = { .kind = ERR_SERVER, .sqlstate = "42P01",
		.text = "why" };

	(void)state;
	assert_int_equal(err_prefix(&e, "table %d", 7), -1);
	assert_string_equal(e.text, "table 7: why");
	assert_int_equal(err_prefix(&e, "slot"), -1);
	assert_string_equal(e.text, "slot: table 7: why");
	assert_int_equal(e.kind, ERR_SERVER);
	assert_string_equal(e.sqlstate, "42P01");
}

/* A text that is full loses its end; a prefix that is too long is cut. */
static void
test_err_prefix_truncates(void **state)
{
	char full[1024], big[2000];
	struct err e;

	(void)state;
	memset(full, 'x', sizeof(full) - 1);
	full[sizeof(full) - 1] = '\0';
	full[sizeof(full) - 2] = 'y';
	err_set(&e, ERR_IO, "%s", full);
	err_prefix(&e, "a");
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_memory_equal(e.text, "a: xxx", 6);
	assert_null(strchr(e.text, 'y'));

	memset(big, 'p', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_set(&e, ERR_IO, "why");
	err_prefix(&e, "%s", big);
	assert_true(strspn(e.text, "p") >= 200);
	assert_string_equal(e.text + strspn(e.text, "p"), ": why");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf_put),
		cmocka_unit_test(test_buf_max),
		cmocka_unit_test(test_buf_failed_is_sticky),
		cmocka_unit_test(test_buf_room),
		cmocka_unit_test(test_buf_consume),
		cmocka_unit_test(test_buf_compaction),
		cmocka_unit_test(test_buf_growth_keeps_unread),
		cmocka_unit_test(test_buf_shrink),
		cmocka_unit_test(test_buf_cstr),
		cmocka_unit_test(test_buf_uncounted_nul),
		cmocka_unit_test(test_rd_fields),
		cmocka_unit_test(test_rd_prefixes),
		cmocka_unit_test(test_rd_bad_is_sticky),
		cmocka_unit_test(test_rd_left_over),
		cmocka_unit_test(test_rd_cstr),
		cmocka_unit_test(test_lsn_parse),
		cmocka_unit_test(test_lsn_refused),
		cmocka_unit_test(test_lsn_print),
		cmocka_unit_test(test_b64_vectors),
		cmocka_unit_test(test_b64_refused),
		cmocka_unit_test(test_b64_all_bytes),
		cmocka_unit_test(test_err_set),
		cmocka_unit_test(test_err_prefix),
		cmocka_unit_test(test_err_prefix_truncates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
