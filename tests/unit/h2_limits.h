#ifndef TESTS_H2_LIMITS_H
#define TESTS_H2_LIMITS_H

#include "base/clock.h"
#include "h2_raw.h"

/* A server with a clock of the test's own, and what it says to raw frames. */

enum { PRIORITY = 2, PING = 6, WINDOW_UPDATE = 8, CONTINUATION = 9 };
enum { ACK = 1 };
enum {
	PROTOCOL_ERROR = 1,
	SETTINGS_TIMEOUT = 4,
	STREAM_CLOSED = 5,
	REFUSED_STREAM = 7,
	CANCEL = 8,
	COMPRESSION_ERROR = 9,
	CALM = 11
};

static int64_t now;

static inline void
respond(struct side *x)
{
	h2_respond(x->stream);
}

static inline int
setup_limits(void **state)
{
	int rc = setup_raw(state);

	now = SECONDS(1000);
	assert_true(h2_tick(server, now) == INT64_MAX);
	at_open = respond;
	return rc;
}

static inline void
pass(int64_t us)
{
	now += us;
	h2_tick(server, now);
}

/* Gives the server what was built, and asks for what it says. */
static inline int
say(void)
{
	int rc;

	assert_false(raw.failed);
	rc = give(server, buf_head(&raw), buf_unread(&raw));
	buf_reset(&raw);
	buf_reset(&reply);
	assert_int_equal(h2_output(server, &reply, SIZE_MAX, &err), 0);
	return rc;
}

static inline void
hello(void)
{
	buf_put_str(&raw, PREFACE);
	put_frame(SETTINGS, 0, 0, "", 0);
	put_frame(SETTINGS, ACK, 0, "", 0);
	assert_int_equal(say(), 0);
}

static inline void
put_call_to(const char *path, uint32_t id, int flags, struct header more)
{
	const struct header h[] = { { ":method", "POST" },
		{ ":scheme", "http" }, { ":path", path },
		{ ":authority", "localhost" },
		{ "content-type", "application/grpc" }, more };

	put_headers_of(id, h, COUNT(h), flags);
}

static inline void
put_call_of(uint32_t id, int flags, struct header more)
{
	put_call_to(CALL, id, flags, more);
}

static inline uint32_t
number(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

/* How many frames of a type the reply has. */
static inline int
count_frames(int type)
{
	const uint8_t *p = buf_head(&reply), *end = p + buf_unread(&reply);
	int n = 0;

	for (; end - p >= 9; p += 9 + (p[0] << 16 | p[1] << 8 | p[2]))
		n += p[3] == type;
	return n;
}

static inline void
assert_goaway(enum h2_fault fault, uint32_t code, const char *text)
{
	const uint8_t *p = find_frame(GOAWAY);
	size_t len;

	assert_int_equal(h2_fault(server), fault);
	assert_non_null(p);
	assert_int_equal(number(p + 4), code);
	if (text != NULL) {
		len = (size_t)p[-9] << 16 | (size_t)p[-8] << 8 | p[-7];
		assert_int_equal(len - 8, strlen(text));
		assert_memory_equal(p + 8, text, strlen(text));
		assert_string_equal(h2_fault_text(server), text);
	}
	assert_true(h2_over(server));
	assert_false(h2_want_write(server));
	/* It takes, and says, nothing any more. */
	put_frame(PING, 0, 0, "12345678", 8);
	assert_int_equal(say(), -1);
	assert_int_equal(buf_unread(&reply), 0);
}

#define LIMIT(f) cmocka_unit_test_setup_teardown(f, setup_limits, teardown_raw)

#endif
