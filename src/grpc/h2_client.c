#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/h2_core.h"

/* The client's side: calls, and how they ended. */

#define CLIENT_WINDOW (4 * 1024 * 1024)

static void
response_header(struct h2_stream *s, const uint8_t *name, size_t name_len,
    const uint8_t *value, size_t n)
{
	char text[16];

	snprintf(text, sizeof(text), "%.*s", (int)(n < 15 ? n : 15), value);
	if (request_is(name, name_len, ":status")) {
		s->http_status = atoi(text);
	} else if (request_is(name, name_len, "grpc-status")) {
		s->code = (enum grpc_code)atoi(text);
		s->has_status = true;
	} else if (request_is(name, name_len, "grpc-message")) {
		grpc_message_decode(s->message, sizeof(s->message),
		    (const char *)value, n);
	}
}

static int
on_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t n, uint8_t flags, void *arg)
{
	struct h2_stream *s;

	(void)flags;
	(void)arg;
	s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
	if (s != NULL)
		response_header(s, name, name_len, value, n);
	return 0;
}

static int
on_frame_recv(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2_stream *s;

	(void)arg;
	if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA)
		return 0;
	s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
	if (s == NULL)
		return 0;
	if (f->hd.type == NGHTTP2_HEADERS &&
	    f->headers.cat == NGHTTP2_HCAT_RESPONSE &&
	    s->handler->responded != NULL)
		s->handler->responded(s);
	if (f->hd.flags & NGHTTP2_FLAG_END_STREAM)
		h2_peer_done(s);
	return 0;
}

/* What a reset says (grpc/doc/PROTOCOL-HTTP2.md, Errors). */
static enum grpc_code
reset_code(uint32_t error_code)
{
	switch (error_code) {
	case NGHTTP2_REFUSED_STREAM:
		return GRPC_UNAVAILABLE;
	case NGHTTP2_CANCEL:
		return GRPC_CANCELLED;
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return GRPC_RESOURCE_EXHAUSTED;
	case NGHTTP2_INADEQUATE_SECURITY:
		return GRPC_PERMISSION_DENIED;
	default:
		return GRPC_INTERNAL;
	}
}

/* How a call ended that got no grpc-status (grpc/doc/
 * http-grpc-status-mapping.md). */
static void
derive_status(struct h2_stream *s, uint32_t error_code)
{
	if (s->http_status != 0 && s->http_status != 200) {
		s->code = s->http_status == 429 || s->http_status >= 502
		    ? GRPC_UNAVAILABLE
		    : GRPC_UNKNOWN;
		snprintf(s->message, sizeof(s->message),
		    "the server answered with HTTP status %d", s->http_status);
		return;
	}
	s->code = reset_code(error_code);
	snprintf(s->message, sizeof(s->message), "the stream was reset: %s",
	    nghttp2_http2_strerror(error_code));
}

static int
on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error_code, void *arg)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);

	(void)arg;
	if (s == NULL)
		return 0;
	if (!s->has_status)
		derive_status(s, error_code);
	nghttp2_session_set_stream_user_data(ng, id, NULL);
	h2_stream_close(s);
	return 0;
}

/* Makes h->ng and queues the SETTINGS. Returns 0, or -1. */
static int
start(struct h2 *h)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, CLIENT_WINDOW },
	};
	nghttp2_session_callbacks *cb = h2_callbacks();
	int rc;

	if (cb == NULL)
		return -1;
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb,
	    on_stream_close);
	rc = nghttp2_session_client_new(&h->ng, cb, h);
	nghttp2_session_callbacks_del(cb);
	if (rc != 0)
		return -1;
	return nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, settings, 2) |
	    nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0,
		CLIENT_WINDOW);
}

struct h2 *
h2_new_client(void)
{
	struct h2 *h = h2_new();

	if (h == NULL || start(h) == 0)
		return h;
	h2_del(h);
	return NULL;
}

void
h2_finish(struct h2_stream *s)
{
	s->finished = true;
	h2_wake(s);
}

void
h2_cancel(struct h2_stream *s)
{
	h2_check(s->h2,
	    nghttp2_submit_rst_stream(s->h2->ng, NGHTTP2_FLAG_NONE, s->id,
		NGHTTP2_CANCEL));
}

void
h2_authorize(struct h2 *h, const char *authorization)
{
	h->authorization = authorization;
}

void
h2_set_secure(struct h2 *h)
{
	h->secure = true;
}

struct h2_stream *
h2_call(struct h2 *h, const char *authority, const char *path,
    const struct h2_handler *handler, void *user)
{
	nghttp2_nv headers[] = { h2_nv(":method", "POST"),
		h2_nv(":scheme", h->secure ? "https" : "http"),
		h2_nv(":path", path), h2_nv(":authority", authority),
		h2_nv("te", "trailers"),
		h2_nv("content-type", "application/grpc"),
		h2_nv("user-agent", "walstream/" VERSION),
		h2_nv("authorization",
		    h->authorization != NULL ? h->authorization : "") };
	struct h2_stream *s = h2_stream_new(h);
	nghttp2_data_provider data = { { .ptr = s }, h2_read_data };

	if (s == NULL)
		return NULL;
	h2_stream_attach(s, handler);
	s->user = user;
	headers[7].flags = NGHTTP2_NV_FLAG_NO_INDEX;
	s->id = nghttp2_submit_request(h->ng, NULL, headers,
	    h->authorization != NULL ? 8 : 7, &data, s);
	if (s->id >= 0)
		return s;
	h2_stream_close(s);
	h2_reap(h);
	return NULL;
}
