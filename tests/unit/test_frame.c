#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "grpc/frame.h"
#include "guard.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MAX 100

static struct frame frame;
static enum grpc_code code;
static const char *why;

static int
setup(void **state)
{
	(void)state;
	frame_init(&frame, MAX);
	code = GRPC_OK;
	why = NULL;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	frame_free(&frame);
	return 0;
}

static enum frame_result
next(const uint8_t **p, size_t *n)
{
	return frame_next(&frame, p, n, &code, &why);
}

static void
assert_message(const void *want, size_t n)
{
	assert_int_equal(frame.len, n);
	assert_int_equal(buf_unread(&frame.body), n);
	assert_memory_equal(buf_head(&frame.body), want, n);
	assert_false(frame_partial(&frame));
}

/* Three messages: "abc", "", and one as long as the limit. */
static uint8_t stream[5 + 3 + 5 + 5 + MAX];
static const size_t lens[] = { 3, 0, MAX };
static const size_t starts[] = { 5, 13, 18 };

static void
make_stream(void)
{
	for (size_t i = 0; i < COUNT(lens); i++) {
		frame_head(stream + starts[i] - FRAME_HEAD, lens[i]);
		for (size_t k = 0; k < lens[i]; k++)
			stream[starts[i] + k] = (uint8_t)('a' + k);
	}
}

/* May the stream end behind n bytes? */
static bool
is_boundary(size_t n)
{
	for (size_t i = 0; i < COUNT(lens); i++)
		if (n == starts[i] + lens[i])
			return true;
	return n == 0;
}

/* Feeds stream[at] to stream[end - 1], which ends at a guard page. got: how
 * many messages came before; each that comes is checked. Returns how many have
 * come now. */
static size_t
feed(size_t at, size_t end, size_t got)
{
	size_t n = end - at;
	uint8_t *piece = guard_copy(stream + at, n);
	const uint8_t *p = piece;
	enum frame_result r;

	while ((r = next(&p, &n)) == FRAME_MESSAGE) {
		assert_true(got < COUNT(lens));
		assert_message(stream + starts[got], lens[got]);
		got++;
	}
	assert_int_equal(r, FRAME_MORE);
	assert_int_equal(n, 0);
	assert_ptr_equal(p, piece + (end - at));
	guard_free(piece, end - at);
	assert_int_equal(frame_partial(&frame), !is_boundary(end));
	return got;
}

static void
test_all_at_once(void **state)
{
	(void)state;
	assert_int_equal(feed(0, 0, 0), 0);
	assert_int_equal(feed(0, sizeof(stream), 0), 3);
	assert_int_equal(feed(0, sizeof(stream), 0), 3);
}

static void
test_every_split(void **state)
{
	size_t got;

	(void)state;
	for (size_t a = 0; a <= sizeof(stream); a++)
		for (size_t b = a; b <= sizeof(stream); b++) {
			got = feed(0, a, 0);
			got = feed(a, b, got);
			got = feed(b, sizeof(stream), got);
			assert_int_equal(got, 3);
		}
}

static void
test_byte_by_byte(void **state)
{
	size_t got = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(stream); i++) {
		got = feed(i, i + 1, got);
		assert_int_equal(got,
		    (i >= 7) + (i >= 12) + (i == sizeof(stream) - 1));
	}
}

/* A message lives until the next call, and that one takes nothing before it
 * is asked. */
static void
test_one_at_a_time(void **state)
{
	const uint8_t *p = stream;
	size_t n = sizeof(stream);

	(void)state;
	assert_int_equal(next(&p, &n), FRAME_MESSAGE);
	assert_ptr_equal(p, stream + 8);
	assert_int_equal(n, sizeof(stream) - 8);
	assert_message("abc", 3);
	assert_int_equal(next(&p, &n), FRAME_MESSAGE);
	assert_ptr_equal(p, stream + 13);
	assert_message("", 0);
	n = 0;
	assert_int_equal(next(&p, &n), FRAME_MORE);
	assert_false(frame_partial(&frame));
}

/* Refused as soon as the head is whole, and not before. */
static void
assert_bad(const uint8_t head[FRAME_HEAD], enum grpc_code want)
{
	for (size_t split = 0; split < FRAME_HEAD; split++) {
		const uint8_t *p = head;
		size_t n = split;
		bool encoded = frame.encoded;

		frame_free(&frame);
		frame_init(&frame, MAX);
		frame.encoded = encoded;
		assert_int_equal(next(&p, &n), FRAME_MORE);
		assert_int_equal(frame_partial(&frame), split > 0);
		n = FRAME_HEAD - split;
		code = GRPC_OK;
		why = NULL;
		assert_int_equal(next(&p, &n), FRAME_BAD);
		assert_int_equal(code, want);
		assert_non_null(why);
		assert_null(frame.body.data); /* nothing was allocated */
	}
}

static void
test_limit(void **state)
{
	static const uint32_t bad[] = { MAX + 1, 0x100, 0x10000, 0x1000000,
		0x7fffffff, 0x80000000, 0xffffffff };
	uint8_t head[FRAME_HEAD];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		frame_head(head, bad[i]);
		assert_bad(head, GRPC_RESOURCE_EXHAUSTED);
	}
}

static void
test_limit_of_zero(void **state)
{
	uint8_t head[FRAME_HEAD];
	const uint8_t *p = head;
	size_t n = FRAME_HEAD;

	(void)state;
	frame_init(&frame, 0);
	frame_head(head, 0);
	assert_int_equal(next(&p, &n), FRAME_MESSAGE);
	assert_message("", 0);
	frame_head(head, 1);
	p = head;
	n = FRAME_HEAD;
	assert_int_equal(next(&p, &n), FRAME_BAD);
	assert_int_equal(code, GRPC_RESOURCE_EXHAUSTED);
}

static void
test_flags(void **state)
{
	uint8_t head[FRAME_HEAD] = { 0, 0, 0, 0, 3 };

	(void)state;
	for (int flag = 1; flag < 256; flag++) {
		head[0] = (uint8_t)flag;
		frame.encoded = false;
		assert_bad(head, GRPC_INTERNAL);
		frame.encoded = true;
		assert_bad(head,
		    flag == 1 ? GRPC_UNIMPLEMENTED : GRPC_INTERNAL);
	}
}

/* With an encoding messages may still come uncompressed. */
static void
test_uncompressed_despite_encoding(void **state)
{
	(void)state;
	frame.encoded = true;
	assert_int_equal(feed(0, sizeof(stream), 0), 3);
}

/* Lengths of two, three and four bytes, all of them different. */
static void
test_large_messages(void **state)
{
	static const size_t sizes[] = { 0x0102, 0x010203, 0x01020304 };
	uint8_t *bytes = calloc(1, FRAME_HEAD + sizes[2]);

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		const uint8_t *p = bytes;
		size_t n = FRAME_HEAD + sizes[i];

		frame_free(&frame);
		frame_init(&frame, sizes[i]);
		frame_head(bytes, sizes[i]);
		bytes[n - 1] = 'z';
		assert_int_equal(next(&p, &n), FRAME_MESSAGE);
		assert_message(bytes + FRAME_HEAD, sizes[i]);
		n = 0;
		assert_int_equal(next(&p, &n), FRAME_MORE);
		/* What a large one needed is given back. */
		assert_true(frame.body.cap < 0x10000);
	}
	free(bytes);
}

static void
test_head(void **state)
{
	uint8_t head[FRAME_HEAD + 1];

	(void)state;
	memset(head, 0x55, sizeof(head));
	frame_head(head, 0x01020304);
	assert_memory_equal(head, "\0\1\2\3\4\x55", 6);
	frame_head(head, 0);
	assert_memory_equal(head, "\0\0\0\0\0\x55", 6);
	frame_head(head, 0xffffffff);
	assert_memory_equal(head, "\0\xff\xff\xff\xff\x55", 6);
}

/* Status */

static const struct {
	const char *text, *wire;
} statuses[] = {
	{ "", "" },
	{ "plain text, ~ and !", "plain text, ~ and !" },
	{ "100%", "100%25" },
	{ "%41", "%2541" },
	{ "a\nb\tc\r", "a%0Ab%09c%0D" },
	{ "\x01\x1f\x7f", "%01%1F%7F" },
	{ "\xc3\xa9t\xc3\xa9 \xf0\x9f\x98\x80", "%C3%A9t%C3%A9 %F0%9F%98%80" },
	{ "\x80\xff", "%80%FF" },
	/* a field of HTTP/2 neither begins nor ends with a blank */
	{ " ", "%20" },
	{ " a b", "%20a b" },
	{ "a b ", "a b%20" },
	{ "  ", "%20%20" },
	{ "  a  ", "%20 a %20" },
};

static void
test_message_encode(void **state)
{
	char text[100];

	(void)state;
	for (size_t i = 0; i < COUNT(statuses); i++) {
		memset(text, '~', sizeof(text));
		assert_int_equal(grpc_message_encode(text, sizeof(text),
				     statuses[i].text),
		    strlen(statuses[i].wire));
		assert_string_equal(text, statuses[i].wire);
	}
}

static void
test_message_decode(void **state)
{
	char text[100];

	(void)state;
	for (size_t i = 0; i < COUNT(statuses); i++) {
		size_t n = strlen(statuses[i].wire);
		uint8_t *p = guard_copy(statuses[i].wire, n);

		assert_int_equal(grpc_message_decode(text, sizeof(text),
				     (const char *)p, n),
		    strlen(statuses[i].text));
		assert_string_equal(text, statuses[i].text);
		guard_free(p, n);
	}
}

/* A '%' that is no escape stays, also where the text ends within one. */
static void
test_message_decode_leniently(void **state)
{
	static const struct {
		const char *wire, *text;
	} rows[] = { { "%", "%" }, { "%4", "%4" }, { "a%", "a%" },
		{ "%zz", "%zz" }, { "%4z", "%4z" }, { "%z4", "%z4" },
		{ "%%41", "%A" }, { "%4%41", "%4A" }, { "%c3%A9", "\xc3\xa9" },
		{ "%-1", "%-1" }, { "% 1", "% 1" } };
	char text[100];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t n = strlen(rows[i].wire);
		uint8_t *p = guard_copy(rows[i].wire, n);

		(void)grpc_message_decode(text, sizeof(text), (const char *)p,
		    n);
		assert_string_equal(text, rows[i].text);
		guard_free(p, n);
	}
}

/* Every byte there and back. */
static void
test_message_round_trip(void **state)
{
	char all[256], wire[3 * 255 + 1], back[256];

	(void)state;
	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	grpc_message_encode(wire, sizeof(wire), all);
	for (const char *s = wire; *s != '\0'; s++)
		assert_in_range((uint8_t)*s, 0x20, 0x7e);
	assert_int_equal(grpc_message_decode(back, sizeof(back), wire,
			     strlen(wire)),
	    255);
	assert_string_equal(back, all);
}

/* However little room there is, an escape is whole or is not there, and so is a
 * character. */
static void
test_message_cap(void **state)
{
	static const char text[] = "ab\xc3\xa9%c";
	static const char wire[] = "ab%C3%A9%25c";
	static const size_t ends[] = { 0, 1, 2, 8, 11, 12 };
	char to[16], back[16];
	size_t n, whole;

	(void)state;
	for (size_t cap = 1; cap <= sizeof(wire); cap++) {
		memset(to, '~', sizeof(to));
		n = grpc_message_encode(to, cap, text);
		whole = 0;
		for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
			if (ends[i] < cap)
				whole = ends[i];
		assert_int_equal(n, whole);
		assert_int_equal(strlen(to), n);
		assert_memory_equal(to, wire, n);
		assert_int_equal(to[cap], '~');

		memset(back, '~', sizeof(back));
		n = grpc_message_decode(back, cap, wire, sizeof(wire) - 1);
		assert_int_equal(n, cap - 1 < 6 ? cap - 1 : 6);
		assert_int_equal(strlen(back), n);
		assert_memory_equal(back, text, n);
		assert_int_equal(back[cap], '~');
	}
}

/* Nor does it when the text is cut behind a blank. */
static void
test_message_cut_at_blank(void **state)
{
	char to[16];

	(void)state;
	assert_int_equal(grpc_message_encode(to, 4, "ab cd"), 2);
	assert_string_equal(to, "ab");
	assert_int_equal(grpc_message_encode(to, 5, "ab  cd"), 2);
	assert_string_equal(to, "ab");
	assert_int_equal(grpc_message_encode(to, 5, "ab cd"), 4);
	assert_string_equal(to, "ab c");
	assert_int_equal(grpc_message_encode(to, 3, " cd"), 0);
	assert_string_equal(to, "");
	assert_int_equal(grpc_message_encode(to, 5, " \xff"), 3);
	assert_string_equal(to, "%20");
}

static void
test_code_names(void **state)
{
	static const struct {
		int code;
		const char *name;
	} rows[] = { { 0, "OK" }, { 1, "CANCELLED" }, { 2, "UNKNOWN" },
		{ 3, "INVALID_ARGUMENT" }, { 4, "DEADLINE_EXCEEDED" },
		{ 5, "NOT_FOUND" }, { 6, "ALREADY_EXISTS" },
		{ 7, "PERMISSION_DENIED" }, { 8, "RESOURCE_EXHAUSTED" },
		{ 9, "FAILED_PRECONDITION" }, { 10, "ABORTED" },
		{ 11, "OUT_OF_RANGE" }, { 12, "UNIMPLEMENTED" },
		{ 13, "INTERNAL" }, { 14, "UNAVAILABLE" }, { 15, "DATA_LOSS" },
		{ 16, "UNAUTHENTICATED" }, { 17, "UNKNOWN" }, { -1, "UNKNOWN" },
		{ 1000000, "UNKNOWN" } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(grpc_code_name(rows[i].code), rows[i].name);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_all_at_once),
		TEST(test_every_split),
		TEST(test_byte_by_byte),
		TEST(test_one_at_a_time),
		TEST(test_limit),
		TEST(test_limit_of_zero),
		TEST(test_flags),
		TEST(test_uncompressed_despite_encoding),
		TEST(test_large_messages),
		TEST(test_head),
		TEST(test_message_encode),
		TEST(test_message_decode),
		TEST(test_message_decode_leniently),
		TEST(test_message_round_trip),
		TEST(test_message_cap),
		TEST(test_message_cut_at_blank),
		TEST(test_code_names),
	};

	make_stream();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
