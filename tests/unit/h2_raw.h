#ifndef TESTS_H2_RAW_H
#define TESTS_H2_RAW_H

#include "h2_pair.h"

/*
 * What no client of ours would send: frames written byte by byte for the
 * server. Its answers go to the client, which made the same call and whose own
 * bytes are thrown away.
 */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BYTES(s) (s), sizeof(s) - 1
#define CALL "/test.Service/Call"
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, GOAWAY = 7 };
enum { END_STREAM = 1, END_HEADERS = 4, PADDED = 8 };

static struct buf raw;   /* for the server */
static struct buf reply; /* of the server, the last time it was asked */

static inline int
setup_raw(void **state)
{
	buf_init(&raw, (size_t)1 << 20);
	buf_init(&reply, (size_t)1 << 20);
	return setup(state);
}

static inline int
teardown_raw(void **state)
{
	buf_free(&raw);
	buf_free(&reply);
	return teardown(state);
}

static inline void
put_frame(int type, int flags, uint32_t id, const void *p, size_t n)
{
	buf_put_u8(&raw, (uint8_t)(n >> 16));
	buf_put_u16(&raw, (uint16_t)n);
	buf_put_u8(&raw, (uint8_t)type);
	buf_put_u8(&raw, (uint8_t)flags);
	buf_put_u32(&raw, id);
	buf_put(&raw, p, n);
}

/* RFC 7541, section 5.2, without Huffman coding. */
static inline void
put_hpack_string(struct buf *b, const char *s)
{
	size_t n = strlen(s), left;

	buf_put_u8(b, n < 127 ? (uint8_t)n : 127);
	if (n >= 127) {
		for (left = n - 127; left >= 128; left >>= 7)
			buf_put_u8(b, (uint8_t)(left | 128));
		buf_put_u8(b, (uint8_t)left);
	}
	buf_put_str(b, s);
}

struct header {
	const char *name, *value; /* a NULL value: it is left out */
};

/* HEADERS of a stream, each field a literal without indexing. */
static inline void
put_headers_of(uint32_t id, const struct header *h, size_t n, int flags)
{
	struct buf block;

	buf_init(&block, 65536);
	for (size_t i = 0; i < n; i++) {
		if (h[i].value == NULL)
			continue;
		buf_put_u8(&block, 0);
		put_hpack_string(&block, h[i].name);
		put_hpack_string(&block, h[i].value);
	}
	assert_false(block.failed);
	put_frame(HEADERS, END_HEADERS | flags, id, buf_head(&block),
	    buf_unread(&block));
	buf_free(&block);
}

static inline void
put_headers(const struct header *h, size_t n, int flags)
{
	put_headers_of(1, h, n, flags);
}

/* A request; more is a header of its own. */
static inline void
put_request(const char *method, const char *content_type, const char *path,
    struct header more, int flags)
{
	const struct header h[] = { { ":method", method },
		{ ":scheme", "http" }, { ":path", path },
		{ ":authority", "localhost" }, { "content-type", content_type },
		more };

	buf_put_str(&raw, PREFACE);
	put_frame(SETTINGS, 0, 0, "", 0);
	put_headers(h, COUNT(h), flags);
}

static const struct header no_more = { "x", NULL };

static inline void
put_call(int flags)
{
	put_request("POST", "application/grpc", CALL, no_more, flags);
}

/* Gives the server what was built, and the client the answer. */
static inline int
exchange(void)
{
	struct buf dropped;
	int rc;

	buf_init(&dropped, (size_t)1 << 20);
	if (caller.stream == NULL && caller.closed == 0)
		call(&caller, CALL);
	assert_false(raw.failed);
	rc = give(server, buf_head(&raw), buf_unread(&raw));
	buf_reset(&raw);
	buf_reset(&reply);
	assert_int_equal(h2_output(server, &reply, SIZE_MAX, &err), 0);
	assert_int_equal(h2_output(client, &dropped, SIZE_MAX, &err), 0);
	assert_int_equal(give(client, buf_head(&reply), buf_unread(&reply)), 0);
	buf_free(&dropped);
	return rc;
}

/* The client got trailers. It has not half-closed, as it was not asked: its
 * side of the call stays. */
static inline void
assert_status(enum grpc_code code)
{
	assert_non_null(caller.stream);
	assert_true(caller.stream->has_status);
	assert_int_equal(caller.stream->code, code);
	assert_int_equal(served[0].closed, 1);
	assert_true(h2_idle(server));
}

/* The payload of the first frame of this type in the reply, or NULL. */
static inline const uint8_t *
find_frame(int type)
{
	const uint8_t *p = buf_head(&reply), *end = p + buf_unread(&reply);

	for (; end - p >= 9; p += 9 + (p[0] << 16 | p[1] << 8 | p[2]))
		if (p[3] == type)
			return p + 9;
	return NULL;
}

#endif
