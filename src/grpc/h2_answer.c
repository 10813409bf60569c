#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "grpc/h2_core.h"

/* A server's answers: who serves a request, or why nobody does; response
 * headers and trailers. */

/* How long who does not speak gRPC may take to end his request before it is
 * answered, and then to read that he should. */
#define HOLD_TIME MS(500)
#define TEXT_TIME SECONDS(10)

void
h2_count_refusal(struct h2 *h, enum h2_refusal why)
{
	if (h->limits->refused[why] != NULL)
		++*h->limits->refused[why];
}

void
h2_respond(struct h2_stream *s)
{
	nghttp2_nv headers[] = { h2_nv(":status", "200"),
		h2_nv("content-type", "application/grpc"),
		h2_nv("grpc-accept-encoding", "identity") };
	nghttp2_data_provider data = { { .ptr = s }, h2_read_data };

	if (s->responded)
		return;
	s->responded = true;
	h2_check(s->h2,
	    nghttp2_submit_response(s->h2->ng, s->id, headers, 3, &data));
}

/* A call that ends before its response began: everything in one HEADERS. */
static void
trailers_only(struct h2_stream *s, const char *http_status)
{
	char code[4], message[1024];
	nghttp2_nv headers[5];

	snprintf(code, sizeof(code), "%d", s->code);
	grpc_message_encode(message, sizeof(message), s->message);
	headers[0] = h2_nv(":status", http_status);
	headers[1] = h2_nv("content-type", "application/grpc");
	headers[2] = h2_nv("grpc-status", code);
	headers[3] = h2_nv("grpc-message", message);
	headers[4] = h2_nv("grpc-accept-encoding", "identity");
	s->responded = true;
	h2_check(s->h2,
	    nghttp2_submit_response(s->h2->ng, s->id, headers, 5, NULL));
}

/* Takes half a character of UTF-8 away from the end. */
static void
cut_half(char *text)
{
	size_t len = strlen(text), n = len;

	while (n > 0 && len - n < 4 && ((uint8_t)text[n - 1] & 0xc0) == 0x80)
		n--;
	if (n > 0 && (uint8_t)text[n - 1] >= 0xc0 &&
	    utf8_char(text + n - 1, len - n + 1) == 0)
		text[n - 1] = '\0';
}

static void
set_status(struct h2_stream *s, enum grpc_code code, const char *fmt,
    va_list ap)
{
	s->ending = true;
	s->code = code;
	vsnprintf(s->message, sizeof(s->message), fmt, ap);
	cut_half(s->message);
}

void
h2_end(struct h2_stream *s, enum grpc_code code, const char *fmt, ...)
{
	va_list ap;

	if (s->ending)
		return;
	va_start(ap, fmt);
	set_status(s, code, fmt, ap);
	va_end(ap);
	if (s->responded)
		h2_wake(s);
	else
		trailers_only(s, "200");
}

/* Turns a request away that no handler has seen. */
static void __attribute__((format(printf, 5, 6)))
refuse(struct h2_stream *s, enum h2_refusal why, const char *http_status,
    enum grpc_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_status(s, code, fmt, ap);
	va_end(ap);
	h2_count_refusal(s->h2, why);
	trailers_only(s, http_status);
}

static const struct h2_method *
find_method(const struct h2 *h, const char *path)
{
	const struct h2_method *m;

	for (m = h->methods; m->path != NULL; m++)
		if (strcmp(m->path, path) == 0)
			return m;
	return NULL;
}

static ssize_t
read_text(nghttp2_session *ng, int32_t id, uint8_t *to, size_t cap,
    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct h2_stream *s = source->ptr;
	size_t len = strlen(s->message + s->said);

	(void)ng;
	(void)id;
	(void)arg;
	if (len <= cap)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	else
		len = cap;
	memcpy(to, s->message + s->said, len);
	s->said += len;
	return (ssize_t)len;
}

static void
set_deadline(struct h2_stream *s, int64_t us)
{
	s->deadline_at = s->h2->now + us;
	if (s->deadline_at < s->h2->deadline_at)
		s->h2->deadline_at = s->deadline_at;
}

/* An answer to what is no gRPC: a text to read, and the status all the same.
 * It waits for the end of the request: what is wrong with that comes first. */
static void
refuse_http(struct h2_stream *s, const char *http_status, enum grpc_code code)
{
	s->ending = true;
	s->code = code;
	s->held = http_status;
	set_deadline(s, HOLD_TIME);
	h2_count_refusal(s->h2, H2_REFUSED_MALFORMED);
}

void
h2_answer_held(struct h2_stream *s)
{
	static const char text[] = "this port speaks gRPC: POST with the "
				   "content-type application/grpc";
	char number[4];
	nghttp2_nv headers[4];
	nghttp2_data_provider data = { { .ptr = s }, read_text };

	snprintf(number, sizeof(number), "%d", s->code);
	headers[0] = h2_nv(":status", s->held);
	headers[1] = h2_nv("content-type", "text/plain");
	headers[2] = h2_nv("grpc-status", number);
	headers[3] = h2_nv("grpc-message", text);
	snprintf(s->message, sizeof(s->message), "%s\n", text);
	s->responded = true;
	s->held = NULL;
	set_deadline(s, TEXT_TIME);
	h2_check(s->h2,
	    nghttp2_submit_response(s->h2->ng, s->id, headers, 4, &data));
}

/* Is the request one that somebody can serve? If not, it was answered. */
static bool
is_sound(struct h2_stream *s, const struct request *q)
{
	if (request_too_large(q))
		refuse(s, H2_REFUSED_HEADERS, "431", GRPC_RESOURCE_EXHAUSTED,
		    "request headers exceed %d bytes, or %d of them",
		    REQUEST_MAX_BYTES, REQUEST_MAX_HEADERS);
	else if (!q->grpc)
		refuse_http(s, q->post ? "415" : "405",
		    q->post ? GRPC_INVALID_ARGUMENT : GRPC_INTERNAL);
	else if (!q->post)
		refuse(s, H2_REFUSED_MALFORMED, "405", GRPC_INTERNAL,
		    "the method of a gRPC request is POST");
	else if (q->bad_timeout)
		refuse(s, H2_REFUSED_MALFORMED, "400", GRPC_INTERNAL,
		    "malformed grpc-timeout");
	return !s->ending;
}

/* How many calls of its kind there may be; 0: any number. */
static unsigned
most_calls(const struct h2_limits *l, const struct h2_handler *handler)
{
	if (!handler->open_to_all || l->max_total == 0)
		return l->max_total;
	return l->max_total / H2_OPEN_PART + 1;
}

void
h2_dispatch(struct h2_stream *s, struct request *q)
{
	struct h2 *h = s->h2;
	unsigned most;
	const struct h2_method *m = find_method(h, q->path);

	memcpy(h->agent, q->agent, sizeof(h->agent));
	if (!is_sound(s, q))
		return;
	if (m == NULL) {
		refuse(s, H2_REFUSED_METHOD, "200", GRPC_UNIMPLEMENTED,
		    "unknown method %s", q->path);
	} else if ((most = most_calls(h->limits, m->handler)) != 0 &&
	    *h2_total(h->limits, m->handler) >= most) {
		refuse(s, H2_REFUSED_STREAMS, "200", GRPC_RESOURCE_EXHAUSTED,
		    "the server has as many streams as it takes, %u", most);
	} else if (q->has_timeout && q->timeout_us == 0) {
		h2_end(s, GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
	} else {
		h2_stream_attach(s, m->handler);
		s->in.encoded = q->encoded;
		if (q->has_timeout)
			set_deadline(s, q->timeout_us);
		else if (m->handler->most_us != 0)
			set_deadline(s, m->handler->most_us);
		m->handler->open(s, h->arg);
	}
}
