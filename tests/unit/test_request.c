#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "grpc/request.h"
#include "guard.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct request q;

static int
setup(void **state)
{
	(void)state;
	memset(&q, 0, sizeof(q));
	return 0;
}

/* One header, name and value at guard pages. */
static void
header(const char *name, const char *value)
{
	size_t name_len = strlen(name), len = strlen(value);
	uint8_t *n = guard_copy(name, name_len), *v = guard_copy(value, len);

	request_header(&q, n, name_len, v, len);
	guard_free(n, name_len);
	guard_free(v, len);
}

static void
test_content_types(void **state)
{
	static const char *const good[] = { "application/grpc",
		"application/grpc+proto", "application/grpc;",
		"APPLICATION/GRPC", "application/grpc; charset=utf-8",
		"application/grpc+PROTO", "application/grpc+proto;x" };
	static const char *const bad[] = { "", "a", "application/grp",
		"application/grpc ", "application/grpcx", "application/grpc+",
		"application/grpc+p", "application/grpc+prot",
		"application/grpc+protos", "application/grpc+json",
		"application/grpc-web", "application/grpc-web+proto",
		"text/plain", "xapplication/grpc" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		q.grpc = false;
		header("content-type", good[i]);
		if (!q.grpc)
			fail_msg("refused: %s", good[i]);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		q.grpc = true;
		header("content-type", bad[i]);
		if (q.grpc)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void
test_methods(void **state)
{
	static const char *const bad[] = { "", "POS", "POSTS", "post", "GET",
		"PUT", "CONNECT" };

	(void)state;
	header(":method", "POST");
	assert_true(q.post);
	for (size_t i = 0; i < COUNT(bad); i++) {
		q.post = true;
		header(":method", bad[i]);
		assert_false(q.post);
	}
}

static void
test_encodings(void **state)
{
	(void)state;
	header("grpc-encoding", "identity");
	assert_false(q.encoded);
	header("grpc-encoding", "gzip");
	assert_true(q.encoded);
	header("grpc-encoding", "identity");
	assert_false(q.encoded);
	header("grpc-encoding", "identity2");
	assert_true(q.encoded);
}

/* Taken whole or not at all. */
static void
test_values(void **state)
{
	char value[REQUEST_MAX_VALUE + 2];

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	memset(q.path, '#', sizeof(q.path));
	memset(q.consumer, '#', sizeof(q.consumer));
	header(":path", "/p");
	header("walstream-consumer", "billing");
	assert_string_equal(q.path, "/p");
	assert_string_equal(q.consumer, "billing");
	header(":path", value);
	header("walstream-consumer", value);
	assert_string_equal(q.path, "");
	assert_string_equal(q.consumer, "");
	value[REQUEST_MAX_VALUE] = '\0';
	header(":path", value);
	header("walstream-consumer", value);
	assert_string_equal(q.path, value);
	assert_string_equal(q.consumer, value);
	header(":path", "");
	assert_string_equal(q.path, "");
}

/* A consumer's name that has no room is no name left out. */
static void
test_long_consumer(void **state)
{
	char value[5000];

	(void)state;
	memset(value, 'x', sizeof(value));
	for (size_t n = 0; n < sizeof(value); n += n < 260 ? 1 : 947) {
		value[n] = '\0';
		q.bytes = q.count = 0;
		header("walstream-consumer", value);
		assert_int_equal(q.long_consumer, n > REQUEST_MAX_VALUE);
		assert_string_equal(q.consumer, q.long_consumer ? "" : value);
		value[n] = 'x';
	}
	q.bytes = 0;
	/* The last one counts. */
	header("walstream-consumer", "billing");
	assert_false(q.long_consumer);
	assert_string_equal(q.consumer, "billing");
	/* A long path is none's name. */
	value[300] = '\0';
	header(":path", value);
	assert_false(q.long_consumer);
}

/* Other headers count, and change nothing else. */
static void
test_others(void **state)
{
	static const char *const names[] = { "", ":pat", ":paths", "path",
		"method", ":scheme", "content-typ", "content-types",
		"grpc-encodin", "grpc-encodings", "walstream-consume",
		"walstream-consumers", "te" };
	size_t bytes = 0;

	(void)state;
	header(":method", "POST");
	header("content-type", "application/grpc");
	header(":path", "/p");
	assert_int_equal(q.bytes, (7 + 4 + 32) + (12 + 16 + 32) + (5 + 2 + 32));
	for (size_t i = 0; i < COUNT(names); i++) {
		header(names[i], "gzip");
		bytes += strlen(names[i]) + 4 + 32;
		assert_true(q.post && q.grpc && !q.encoded);
		assert_string_equal(q.path, "/p");
		assert_string_equal(q.consumer, "");
	}
	assert_int_equal(q.bytes, 43 + 60 + 39 + bytes);
}

static void
test_timeouts(void **state)
{
	static const struct {
		const char *text;
		int64_t us; /* -1: it is none */
	} timeouts[] = { { "1H", 3600000000 }, { "1M", 60000000 },
		{ "1S", 1000000 }, { "1m", 1000 }, { "1u", 1 }, { "1n", 1 },
		{ "1000n", 1 }, { "1001n", 2 }, { "0n", 0 }, { "0S", 0 },
		{ "00000001S", 1000000 }, { "99999999S", 99999999000000 },
		{ "99999999H", 359999996400000000 }, { "", -1 }, { "S", -1 },
		{ "1", -1 }, { "12345678", -1 }, { "123456789S", -1 },
		{ "-1S", -1 }, { "+1S", -1 }, { " 1S", -1 }, { "1S ", -1 },
		{ "1s", -1 }, { "1h", -1 }, { "1.5S", -1 }, { "0x1S", -1 },
		{ "1SS", -1 }, { "S1", -1 } };
	int64_t us;

	(void)state;
	for (size_t i = 0; i < COUNT(timeouts); i++) {
		size_t n = strlen(timeouts[i].text);
		uint8_t *p = guard_copy(timeouts[i].text, n);

		us = -1;
		assert_int_equal(request_timeout(p, n, &us),
		    timeouts[i].us == -1 ? -1 : 0);
		assert_true(us == timeouts[i].us);
		guard_free(p, n);
	}
	assert_false(q.has_timeout);
	header("grpc-timeout", "5S");
	assert_true(q.has_timeout && !q.bad_timeout);
	assert_true(q.timeout_us == 5000000);
	header("grpc-timeout", "5");
	assert_true(q.bad_timeout);
}

static void
test_http1(void **state)
{
	static const struct {
		const char *text;
		bool is;
	} texts[] = { { "GET / HTTP/1.1\r\n", true }, { "GET ", true },
		{ "POST /x", true }, { "OPTIONS *", true }, { "GET", false },
		{ "get /", false }, { "", false }, { "PRI * HTTP/2.0", false },
		{ "PROXY TCP4 1.2.3.4", false }, { "SSH-2.0", false },
		{ "\x16\x03\x01", false } };

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		size_t n = strlen(texts[i].text);
		uint8_t *p = guard_copy(texts[i].text, n);

		assert_int_equal(request_is_http1(p, n), texts[i].is);
		guard_free(p, n);
	}
}

static void
test_agent(void **state)
{
	char value[300];

	(void)state;
	header("user-agent", "grpc-go/1.60");
	assert_string_equal(q.agent, "grpc-go/1.60");
	memset(value, 'x', sizeof(value));
	value[299] = '\0';
	header("user-agent", value);
	assert_int_equal(strlen(q.agent), REQUEST_MAX_AGENT);
}

/* What is too much is counted and not looked at. */
static void
test_too_large(void **state)
{
	char value[8193];

	(void)state;
	memset(value, 'x', sizeof(value));
	value[8192 - 32 - 1] = '\0';
	header("x", value);
	assert_int_equal(q.bytes, 8192);
	assert_false(request_too_large(&q));
	header(":path", "/p");
	assert_true(request_too_large(&q));
	assert_string_equal(q.path, "");
	memset(&q, 0, sizeof(q));
	for (int i = 0; i < REQUEST_MAX_HEADERS; i++)
		header("", "");
	assert_false(request_too_large(&q));
	header(":path", "/p");
	assert_true(request_too_large(&q));
	assert_string_equal(q.path, "");
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_content_types),
		TEST(test_methods),
		TEST(test_encodings),
		TEST(test_values),
		TEST(test_long_consumer),
		TEST(test_others),
		TEST(test_timeouts),
		TEST(test_http1),
		TEST(test_agent),
		TEST(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
