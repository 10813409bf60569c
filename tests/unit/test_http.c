#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guard.h"
#include "http/http.h"

#define HOST "Host: h\r\n"
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* Reads text, which ends at a guard page. */
static int
read_text(const char *text, size_t len, struct http_request *r, size_t *used)
{
	uint8_t *p = guard_copy(text, len);
	int status = http_read(p, len, r, used);

	guard_free(p, len);
	return status;
}

static int
status_of(const char *text)
{
	struct http_request r;
	size_t used;

	return read_text(text, strlen(text), &r, &used);
}

static const struct {
	const char *text;
	const char *path;
	bool head, keep_alive;
} good[] = {
	{ "GET / HTTP/1.1\r\n" HOST "\r\n", "/", false, true },
	{ "HEAD /metrics HTTP/1.1\r\n" HOST "\r\n", "/metrics", true, true },
	{ "GET /a?b=/c HTTP/1.1\r\n" HOST "\r\n", "/a", false, true },
	{ "GET /%2e%00 HTTP/1.1\r\n" HOST "\r\n", "/%2e%00", false, true },
	{ "GET / HTTP/1.0\r\n\r\n", "/", false, false },
	{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "/", false,
	    true },
	{ "GET / HTTP/1.1\r\n" HOST "connection: x, CLOSE\r\n\r\n", "/", false,
	    false },
	{ "GET / HTTP/1.7\r\n" HOST "\r\n", "/", false, true },
	{ "GET / HTTP/1.1\nHost:h\n\n", "/", false, true },
	{ "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "/", false, true },
	{ "GET http://h:1/x?y HTTP/1.1\r\n" HOST "\r\n", "/x", false, true },
	{ "GET HTTP://h HTTP/1.1\r\n" HOST "\r\n", "/", false, true },
	{ "GET / HTTP/1.1\r\nHost:\r\nX:\t \r\n\r\n", "/", false, true },
	{ "GET / HTTP/1.1\r\n" HOST "X: \x80\xff\r\n\r\n", "/", false, true },
	{ "GET / HTTP/1.1\r\n" HOST "Content-Length: 00\r\n\r\n", "/", false,
	    true },
};

static void
test_good(void **state)
{
	struct http_request r;
	size_t used, len;

	(void)state;
	for (size_t i = 0; i < ROWS(good); i++) {
		len = strlen(good[i].text);
		assert_int_equal(read_text(good[i].text, len, &r, &used), 200);
		assert_int_equal(used, len);
		assert_string_equal(r.path, good[i].path);
		assert_int_equal(r.head, good[i].head);
		assert_int_equal(r.keep_alive, good[i].keep_alive);
	}
}

/* Cut at every byte it is not whole yet, and nothing else. */
static void
test_cut(void **state)
{
	struct http_request r;
	size_t used;

	(void)state;
	for (size_t i = 0; i < ROWS(good); i++)
		for (size_t n = 0; n < strlen(good[i].text); n++)
			assert_int_equal(read_text(good[i].text, n, &r, &used),
			    0);
}

static const struct {
	int status;
	const char *text;
} bad[] = {
	{ 400, "GET /\r\n" }, /* HTTP/0.9 */
	{ 400, "GET  / HTTP/1.1\r\n" },
	{ 400, " GET / HTTP/1.1\r\n" },
	{ 400, "GET / HTTP/1.1 \r\n" },
	{ 400, "GET\t/ HTTP/1.1\r\n" },
	{ 400, "GET /a b HTTP/1.1\r\n" },
	{ 400, "GET / http/1.1\r\n" },
	{ 400, "GET / HTTP/1.x\r\n" },
	{ 400, "GET / HTTP/11.1\r\n" },
	{ 400, "GET x HTTP/1.1\r\n" },
	{ 400, "GET http:// HTTP/1.1\r\n" },
	{ 400, "GET http:///x HTTP/1.1\r\n" },
	{ 400, "GET ftp://h/ HTTP/1.1\r\n" },
	{ 400, "GET /#x HTTP/1.1\r\n" },
	{ 400, "GET /\xc3\xa4 HTTP/1.1\r\n" },
	{ 400, "G(T / HTTP/1.1\r\n" },
	{ 400, "/ HTTP/1.1\r\n" },
	{ 400, "GET / HTTP/1.1\rX: y\r\n" }, /* a bare CR */
	{ 400, "\x16\x03\x01" },             /* TLS */
	{ 400, "GET / HTTP/1.1\r\n\r\n" },   /* no Host */
	{ 400, "GET / HTTP/1.1\r\n" HOST HOST "\r\n" },
	{ 400, "GET / HTTP/1.0\r\n" HOST HOST "\r\n" },
	{ 400, "GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\nHost : h\r\n\r\n" },
	{ 400, "GET / HTTP/1.1\r\n: h\r\n" },
	{ 400, "GET / HTTP/1.1\r\nnothing\r\n" },
	{ 400, "GET / HTTP/1.1\r\nX: a\x01\r\n" },
	{ 400, "GET / HTTP/1.1\r\nContent-Length: -1\r\n" },
	{ 400, "GET / HTTP/1.1\r\nContent-Length:\r\n" },
	{ 405, "POST / HTTP/1.1\r\n" },
	{ 405, "get / HTTP/1.1\r\n" },
	{ 405, "OPTIONS * HTTP/1.1\r\n" },
	{ 405, "CONNECT h:1 HTTP/1.1\r\n" },
	{ 413, "GET / HTTP/1.1\r\nContent-Length: 1\r\n" },
	{ 413, "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" },
	{ 505, "PRI * HTTP/2.0\r\n" },
	{ 505, "GET / HTTP/0.9\r\n" },
};

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++)
		if (status_of(bad[i].text) != bad[i].status)
			fail_msg("%s is %d, not %d", bad[i].text,
			    status_of(bad[i].text), bad[i].status);
}

/* n bytes: what it begins with, then c. */
static int
status_filled(const char *begin, int c, size_t n)
{
	struct http_request r;
	char *text = malloc(n);
	size_t used;
	int status;

	assert_non_null(text);
	memset(text, c, n);
	memcpy(text, begin, strlen(begin));
	status = read_text(text, n, &r, &used);
	free(text);
	return status;
}

static void
test_too_long(void **state)
{
	char text[HTTP_MAX_HEAD * 2] = "GET / HTTP/1.1\r\n" HOST;
	char *at;

	(void)state;
	assert_int_equal(status_filled("GET /", 'a', HTTP_MAX_HEAD - 1), 0);
	assert_int_equal(status_filled("GET /", 'a', HTTP_MAX_HEAD), 414);
	assert_int_equal(status_filled("GET /", 'a', HTTP_MAX_HEAD + 9), 414);
	assert_int_equal(status_filled("\n", '\n', HTTP_MAX_HEAD), 414);
	assert_int_equal(status_filled("GET / HTTP/1.1\nX:", 'a',
			     HTTP_MAX_HEAD - 1),
	    0);
	assert_int_equal(status_filled("GET / HTTP/1.1\nX:", 'a',
			     HTTP_MAX_HEAD),
	    431);
	at = text + strlen(text);
	for (int i = 0; i < HTTP_MAX_FIELDS; i++, at += 3)
		strcpy(at, "a:\n");
	assert_int_equal(status_of(text), 431);
	strcpy(at - 3, "\n"); /* Host is one, too */
	assert_int_equal(status_of(text), 200);
}

static void
test_path(void **state)
{
	char text[HTTP_MAX_PATH + 64];
	struct http_request r;
	size_t used;
	int n;

	(void)state;
	for (int more = 0; more <= 1; more++) {
		n = snprintf(text, sizeof(text), "GET /%0*d HTTP/1.0\r\n\r\n",
		    HTTP_MAX_PATH - 1 + more, 0);
		assert_int_equal(read_text(text, (size_t)n, &r, &used),
		    more == 0 ? 200 : 414);
	}
}

/* What follows a request is left alone. */
static void
test_pipelined(void **state)
{
	static const char two[] = "GET /1 HTTP/1.1\r\n" HOST "\r\n"
				  "GET /2 HTTP/1.1\r\n" HOST "\r\n";
	struct http_request r;
	size_t used, at;

	(void)state;
	assert_int_equal(read_text(two, strlen(two), &r, &at), 200);
	assert_string_equal(r.path, "/1");
	assert_int_equal(read_text(two + at, strlen(two) - at, &r, &used), 200);
	assert_string_equal(r.path, "/2");
	assert_int_equal(at + used, strlen(two));
}

static void
test_head(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	http_put_head(&b, 405, "text/plain", 7, false, "now");
	assert_non_null(strstr(buf_cstr(&b),
	    "HTTP/1.1 405 Method Not Allowed\r\nDate: now\r\n"
	    "Content-Type: text/plain\r\nContent-Length: 7\r\n"
	    "Connection: close\r\nAllow: GET, HEAD\r\n"));
	buf_reset(&b);
	http_put_head(&b, 200, "text/plain", 7, true, "now");
	assert_null(strstr(buf_cstr(&b), "Allow"));
	assert_non_null(strstr(buf_cstr(&b), "Connection: keep-alive\r\n"));
	buf_free(&b);
}

static void
test_statuses(void **state)
{
	(void)state;
	for (int i = 0; i < HTTP_KINDS; i++)
		assert_int_equal(http_kind(http_status((enum http_kind)i)), i);
	assert_int_equal(http_kind(299), HTTP_KIND_500);
	assert_string_equal(http_reason(414), "URI Too Long");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
