#include "grpc/request.h"

#include <string.h>
#include <strings.h>

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

/* "Bearer", in any case, blanks, the token. */
static void
take_authorization(struct request *q, const uint8_t *value, size_t len)
{
	static const char scheme[] = "bearer ";
	size_t n = sizeof(scheme) - 1;
	bool first = q->auth == REQUEST_ANONYMOUS;

	q->auth = REQUEST_OTHERWISE;
	if (!first || len < n || strncasecmp((const char *)value, scheme, n))
		return;
	while (n < len && value[n] == ' ')
		n++;
	while (len > n && value[len - 1] == ' ')
		len--;
	if (n < len && secret_digest(q->bearer, value + n, len - n) == 0)
		q->auth = REQUEST_BEARER;
}

void
request_header(struct request *q, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t len)
{
	q->bytes += name_len + len + 32;
	if (request_is(name, name_len, ":path"))
		copy(q->path, value, len);
	else if (request_is(name, name_len, ":method"))
		q->post = request_is(value, len, "POST");
	else if (request_is(name, name_len, "content-type"))
		q->grpc = is_grpc_content_type((const char *)value, len);
	else if (request_is(name, name_len, "walstream-consumer"))
		copy_consumer(q, value, len);
	else if (request_is(name, name_len, "authorization"))
		take_authorization(q, value, len);
	else if (request_is(name, name_len, "grpc-encoding"))
		q->encoded = !request_is(value, len, "identity");
}
