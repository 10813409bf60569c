#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "grpc/h2_core.h"

/* How a server ends a connection, at once or with grace, and finds out whether
 * there is still somebody. */

static void
submit_goaway(struct h2 *h, uint32_t error_code, const char *text)
{
	h2_check(h,
	    nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE,
		nghttp2_session_get_last_proc_stream_id(h->ng), error_code,
		(const uint8_t *)text, strlen(text)));
}

int
h2_give_up(struct h2 *h, enum h2_fault fault, uint32_t error_code,
    const char *fmt, ...)
{
	va_list ap;

	if (h->fault != H2_FINE)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	h->fault = fault;
	va_start(ap, fmt);
	vsnprintf(h->fault_text, sizeof(h->fault_text), fmt, ap);
	va_end(ap);
	submit_goaway(h, error_code, h->fault_text);
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int
h2_give_up_flood(struct h2 *h, enum h2_flood kind)
{
	return h2_give_up(h, H2_FLOODED, NGHTTP2_ENHANCE_YOUR_CALM, "%s",
	    h2_flood_name(kind));
}

enum h2_fault
h2_fault(const struct h2 *h)
{
	return h->fault;
}

const char *
h2_fault_text(const struct h2 *h)
{
	return h->fault_text;
}

bool
h2_greeted(const struct h2 *h)
{
	return h->greeted;
}

bool
h2_settled(const struct h2 *h)
{
	return h->settled;
}

void
h2_ping(struct h2 *h)
{
	if (nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE,
		(const uint8_t *)"alive\0\0") == 0)
		h->ping_queued = true;
}

bool
h2_ping_sent(const struct h2 *h)
{
	return !h->ping_queued;
}

void
h2_notice(struct h2 *h)
{
	h2_check(h, nghttp2_submit_shutdown_notice(h->ng));
}

bool
h2_noticed(const struct h2 *h)
{
	return h->noticed;
}

void
h2_goaway(struct h2 *h, const char *why)
{
	h->leaving = true;
	submit_goaway(h, NGHTTP2_NO_ERROR, why);
}

void
h2_too_slow(struct h2 *h, const char *what)
{
	h2_give_up(h, H2_TOO_SLOW,
	    h->greeted && !h->settled ? NGHTTP2_SETTINGS_TIMEOUT
				      : NGHTTP2_ENHANCE_YOUR_CALM,
	    "%s_timeout", what);
}

void
h2_end_all(struct h2 *h, const char *why)
{
	struct h2_stream *s;

	for (s = h->streams; s != NULL; s = s->next)
		h2_end(s, GRPC_UNAVAILABLE, "%s", why);
}
