#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/utf8.h"
#include "guard.h"
#include "rnd.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BYTES(s) (s), sizeof(s) - 1

/* The n bytes end at a guard page. */
static bool
valid(const void *p, size_t n)
{
	uint8_t *at = guard_copy(p, n);
	bool ok = utf8_valid((const char *)at, n);

	guard_free(at, n);
	return ok;
}

static const struct {
	const char *text;
	size_t len;
} good[] = {
	{ BYTES("") },
	{ BYTES("plain") },
	{ BYTES("\0") },
	{ BYTES("a\0b") },
	{ BYTES("\x7f") },
	{ BYTES("\xc2\x80") }, /* U+0080 */
	{ BYTES("\xc3\xa9t\xc3\xa9") },
	{ BYTES("\xdf\xbf") },     /* U+07FF */
	{ BYTES("\xe0\xa0\x80") }, /* U+0800 */
	{ BYTES("\xe2\x82\xac") },
	{ BYTES("\xed\x9f\xbf") },     /* U+D7FF */
	{ BYTES("\xee\x80\x80") },     /* U+E000 */
	{ BYTES("\xef\xbf\xbf") },     /* U+FFFF */
	{ BYTES("\xf0\x90\x80\x80") }, /* U+10000 */
	{ BYTES("\xf0\x9f\x98\x80") },
	{ BYTES("\xf4\x8f\xbf\xbf") }, /* U+10FFFF */
};

static const struct {
	const char *what, *text;
	size_t len;
} bad[] = {
	{ "continuation alone", BYTES("\x80") },
	{ "continuation alone", BYTES("a\xbf") },
	{ "continuation too many", BYTES("\xc3\xa9\xa9") },
	{ "two bytes, overlong", BYTES("\xc0\x80") },
	{ "two bytes, overlong", BYTES("\xc1\xbf") },
	{ "three bytes, overlong", BYTES("\xe0\x80\x80") },
	{ "three bytes, overlong", BYTES("\xe0\x9f\xbf") },
	{ "four bytes, overlong", BYTES("\xf0\x80\x80\x80") },
	{ "four bytes, overlong", BYTES("\xf0\x8f\xbf\xbf") },
	{ "surrogate", BYTES("\xed\xa0\x80") },
	{ "surrogate", BYTES("\xed\xbf\xbf") },
	{ "surrogate pair", BYTES("\xed\xa0\xbd\xed\xb8\x80") },
	{ "above U+10FFFF", BYTES("\xf4\x90\x80\x80") },
	{ "above U+10FFFF", BYTES("\xf5\x80\x80\x80") },
	{ "five bytes", BYTES("\xf8\x88\x80\x80\x80") },
	{ "six bytes", BYTES("\xfc\x84\x80\x80\x80\x80") },
	{ "0xfe", BYTES("\xfe") },
	{ "0xff", BYTES("\xff") },
	{ "Latin-1", BYTES("caf\xe9") },
	{ "Latin-1 inside", BYTES("caf\xe9s are") },
	{ "second byte is a start", BYTES("\xe2\xe2\xac") },
	{ "third byte is ASCII", BYTES("\xe2\x82z") },
	{ "fourth byte is a start", BYTES("\xf0\x9f\x98\xc2") },
};

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		if (!valid(good[i].text, good[i].len))
			fail_msg("number %zu", i);
}

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (valid(bad[i].text, bad[i].len))
			fail_msg("%s, number %zu", bad[i].what, i);
}

/* Behind text of every length below some, and so at every alignment. */
static void
test_behind_ascii(void **state)
{
	char text[128];

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t n = 0; n < 100; n++) {
		assert_true(valid(text, n));
		for (size_t i = 0; i < COUNT(good); i++) {
			memcpy(text + n, good[i].text, good[i].len);
			assert_true(valid(text, n + good[i].len));
			assert_true(valid(text, n + good[i].len + 9));
			memset(text + n, 'a', good[i].len);
		}
		for (size_t i = 0; i < COUNT(bad); i++) {
			memcpy(text + n, bad[i].text, bad[i].len);
			assert_false(valid(text, n + bad[i].len));
			assert_false(valid(text, n + bad[i].len + 9));
			memset(text + n, 'a', bad[i].len);
		}
	}
}

/* One byte that is not, at every place of every length. */
static void
test_ascii(void **state)
{
	char text[100];

	(void)state;
	memset(text, 0x7f, sizeof(text));
	for (size_t n = 0; n <= sizeof(text); n++) {
		assert_true(utf8_ascii(text, n));
		for (size_t i = 0; i < n; i++) {
			text[i] = (char)0x80;
			assert_false(utf8_ascii(text, n));
			text[i] = 0x7f;
		}
	}
}

/* A character is valid only as a whole. */
static void
test_every_length(void **state)
{
	static const char text[] = "12345\xf0\x9f\x98\x80xyz\xe2\x82\xac\xc3"
				   "\xa9";
	static const bool want[] = { true, true, true, true, true, true, false,
		false, false, true, true, true, true, false, false, true, false,
		true };

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++)
		assert_int_equal(valid(text, n), want[n]);
}

/* One wrong byte anywhere in a long run is found. */
static void
test_long_runs(void **state)
{
	static char text[4096];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t from = 0; from < 8; from++)
		for (size_t at = from; at < 100; at++) {
			text[at] = '\xa0';
			assert_false(valid(text + from, sizeof(text) - from));
			text[at] = 'x';
			assert_true(valid(text + from, sizeof(text) - from));
		}
	text[sizeof(text) - 1] = '\xc3';
	assert_false(valid(text, sizeof(text)));
	assert_true(valid(text, sizeof(text) - 1));
}

/* The same by decoding: as plain as can be. */

static size_t
reference_one(const uint8_t *p, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = *p < 0x80 ? 1
	    : *p >> 5 == 6     ? 2
	    : *p >> 4 == 14    ? 3
	    : *p >> 3 == 30    ? 4
			       : 0;
	uint32_t c = len < 2 ? *p : *p & (0x7fu >> len);

	if (len == 0 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)
	    ? 0
	    : len;
}

static bool
reference(const uint8_t *p, size_t n)
{
	size_t len;

	for (; n > 0; p += len, n -= len)
		if ((len = reference_one(p, n)) == 0)
			return false;
	return true;
}

static void
test_every_pair_and_triple(void **state)
{
	uint8_t text[4] = { 0 };

	(void)state;
	for (uint32_t c = 0; c < 1u << 24; c++) {
		text[0] = (uint8_t)(c >> 16);
		text[1] = (uint8_t)(c >> 8);
		text[2] = (uint8_t)c;
		if (utf8_valid((const char *)text, 3) != reference(text, 3))
			fail_msg("%06x", c);
	}
}

/* Bytes that are often part of characters, so that half and more are good. */
static uint8_t
likely(uint64_t *seed)
{
	static const uint8_t often[] = { 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
		0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4 };
	uint32_t r = rnd_below(seed, 40);

	if (r < COUNT(often))
		return often[r];
	return r < 38 ? (uint8_t)rnd_below(seed, 128) : (uint8_t)rnd_next(seed);
}

/* A valid character, or one byte of chance. */
static size_t
put_likely(uint8_t *to, uint64_t *seed)
{
	size_t i = rnd_below(seed, COUNT(good));

	if (rnd_below(seed, 20) == 0) {
		*to = likely(seed);
		return 1;
	}
	memcpy(to, good[i].text, good[i].len);
	return good[i].len;
}

static void
test_random(void **state)
{
	uint64_t seed = 20240704;
	uint8_t text[80];
	int seen[2] = { 0 };

	(void)state;
	for (int round = 0; round < 200000; round++) {
		size_t n = rnd_below(&seed, 60), at = 0;
		bool want;

		while (at < n)
			at += round % 2 == 0 ? put_likely(text + at, &seed)
					     : (text[at] = likely(&seed), 1);
		want = reference(text, n);
		seen[want]++;
		if (utf8_valid((const char *)text, n) != want)
			fail_msg("round %d", round);
	}
	assert_in_range(seen[0], 20000, 180000);
	assert_in_range(seen[1], 20000, 180000);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_behind_ascii),
		cmocka_unit_test(test_ascii),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_long_runs),
		cmocka_unit_test(test_every_pair_and_triple),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
