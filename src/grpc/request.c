#include "grpc/request.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"

#define MAX_TIMEOUT_DIGITS 8

static bool
is_grpc_content_type(const char *value, size_t n)
{
	static const char base[] = "application/grpc";
	size_t len = sizeof(base) - 1;

	if (n < len || strncasecmp(value, base, len) != 0)
		return false;
	if (n == len || value[len] == ';')
		return true;
	return value[len] == '+' && n - len >= 6 &&
	    strncasecmp(value + len, "+proto", 6) == 0 &&
	    (n - len == 6 || value[len + 6] == ';');
}

bool
request_is(const uint8_t *p, size_t len, const char *s)
{
	return len == strlen(s) && memcmp(p, s, len) == 0;
}

static void
copy(char to[REQUEST_MAX_VALUE + 1], const uint8_t *value, size_t len)
{
	if (len > REQUEST_MAX_VALUE)
		len = 0;
	memcpy(to, value, len);
	to[len] = '\0';
}

static void
copy_consumer(struct request *q, const uint8_t *value, size_t len)
{
	copy(q->consumer, value, len);
	q->long_consumer = len > REQUEST_MAX_VALUE;
}

int
request_timeout(const uint8_t *value, size_t len, int64_t *us)
{
	static const struct {
		char name;
		int64_t us, of_ns; /* one of them is 0 */
	} units[] = { { 'H', SECONDS(3600), 0 }, { 'M', SECONDS(60), 0 },
		{ 'S', SECONDS(1), 0 }, { 'm', MS(1), 0 }, { 'u', 1, 0 },
		{ 'n', 0, 1000 } };
	int64_t n = 0;

	if (len < 2 || len > MAX_TIMEOUT_DIGITS + 1)
		return -1;
	for (size_t i = 0; i < len - 1; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -1;
		n = n * 10 + value[i] - '0';
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (value[len - 1] != units[i].name)
			continue;
		*us = units[i].of_ns == 0
		    ? n * units[i].us
		    : (n + units[i].of_ns - 1) / units[i].of_ns;
		return 0;
	}
	return -1;
}

bool
request_is_http1(const uint8_t *p, size_t len)
{
	static const char *const methods[] = { "GET ", "HEAD ", "POST ", "PUT ",
		"DELETE ", "OPTIONS ", "PATCH ", "TRACE ", "CONNECT " };
	size_t n;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		n = strlen(methods[i]);
		if (len >= n && memcmp(p, methods[i], n) == 0)
			return true;
	}
	return false;
}

bool
request_too_large(const struct request *q)
{
	return q->bytes > REQUEST_MAX_BYTES || q->count > REQUEST_MAX_HEADERS;
}

static void
read_timeout(struct request *q, const uint8_t *value, size_t len)
{
	q->has_timeout = true;
	if (request_timeout(value, len, &q->timeout_us) == -1)
		q->bad_timeout = true;
}

static void
copy_agent(struct request *q, const uint8_t *value, size_t len)
{
	len = len < REQUEST_MAX_AGENT ? len : REQUEST_MAX_AGENT;
	memcpy(q->agent, value, len);
	q->agent[len] = '\0';
}

void
request_header(struct request *q, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t len)
{
	q->bytes += name_len + len + 32;
	q->count++;
	if (request_too_large(q))
		return;
	if (request_is(name, name_len, ":path"))
		copy(q->path, value, len);
	else if (request_is(name, name_len, ":method"))
		q->post = request_is(value, len, "POST");
	else if (request_is(name, name_len, "content-type"))
		q->grpc = is_grpc_content_type((const char *)value, len);
	else if (request_is(name, name_len, "walstream-consumer"))
		copy_consumer(q, value, len);
	else if (request_is(name, name_len, "grpc-encoding"))
		q->encoded = !request_is(value, len, "identity");
	else if (request_is(name, name_len, "grpc-timeout"))
		read_timeout(q, value, len);
	else if (request_is(name, name_len, "user-agent"))
		copy_agent(q, value, len);
}
