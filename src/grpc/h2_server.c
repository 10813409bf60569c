#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/h2_core.h"

/* The server's side: requests become calls, calls end with trailers. */

#define MAX_STREAMS 100

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
trailers_only(struct h2_stream *s)
{
	char code[4], message[1024];
	nghttp2_nv headers[5];

	snprintf(code, sizeof(code), "%d", s->code);
	grpc_message_encode(message, sizeof(message), s->message);
	headers[0] = h2_nv(":status", "200");
	headers[1] = h2_nv("content-type", "application/grpc");
	headers[2] = h2_nv("grpc-status", code);
	headers[3] = h2_nv("grpc-message", message);
	headers[4] = h2_nv("grpc-accept-encoding", "identity");
	s->responded = true;
	h2_check(s->h2,
	    nghttp2_submit_response(s->h2->ng, s->id, headers, 5, NULL));
}

void
h2_end(struct h2_stream *s, enum grpc_code code, const char *fmt, ...)
{
	va_list ap;

	if (s->ending)
		return;
	s->ending = true;
	s->code = code;
	va_start(ap, fmt);
	vsnprintf(s->message, sizeof(s->message), fmt, ap);
	va_end(ap);
	if (s->responded)
		h2_wake(s);
	else
		trailers_only(s);
}

/* An answer that is no gRPC: the request was none either. */
static void
end_http(struct h2_stream *s, const char *status)
{
	nghttp2_nv headers[] = { h2_nv(":status", status),
		h2_nv("content-length", "0") };

	s->ending = s->responded = true;
	h2_check(s->h2,
	    nghttp2_submit_response(s->h2->ng, s->id, headers, 2, NULL));
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

/* The request headers are complete: who serves it, or why nobody does. */
static void
dispatch(struct h2_stream *s)
{
	struct request *q = s->request;
	const struct h2_method *m = find_method(s->h2, q->path);

	if (!q->post)
		end_http(s, "405");
	else if (!q->grpc)
		end_http(s, "415");
	else if (q->bytes > REQUEST_MAX_BYTES)
		h2_end(s, GRPC_RESOURCE_EXHAUSTED,
		    "request headers exceed %d bytes", REQUEST_MAX_BYTES);
	else if (m == NULL)
		h2_end(s, GRPC_UNIMPLEMENTED, "unknown method %s", q->path);
	if (!s->ending) {
		h2_stream_attach(s, m->handler);
		s->in.encoded = q->encoded;
		m->handler->open(s, s->h2->arg);
	}
	free(q);
	s->request = NULL;
}

static int
on_begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *s;

	if (f->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if ((s = h2_stream_new(h)) == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	s->id = f->hd.stream_id;
	nghttp2_session_set_stream_user_data(ng, s->id, s);
	if ((s->request = calloc(1, sizeof(*s->request))) == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

static int
on_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t n, uint8_t flags, void *arg)
{
	struct h2_stream *s;

	(void)flags;
	(void)arg;
	s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
	if (s != NULL && s->request != NULL)
		request_header(s->request, name, name_len, value, n);
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
	if (f->hd.type == NGHTTP2_HEADERS && s->request != NULL)
		dispatch(s);
	if (f->hd.flags & NGHTTP2_FLAG_END_STREAM)
		h2_peer_done(s);
	return 0;
}

/* The response is complete: the peer need not finish its request. */
static int
on_frame_send(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2_stream *s;

	(void)arg;
	if (f->hd.type != NGHTTP2_HEADERS ||
	    (f->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
	if (s != NULL && !s->half_closed)
		h2_check(s->h2,
		    nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, s->id,
			NGHTTP2_NO_ERROR));
	return 0;
}

static int
on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error_code, void *arg)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);

	(void)error_code;
	(void)arg;
	if (s == NULL)
		return 0;
	nghttp2_session_set_stream_user_data(ng, id, NULL);
	h2_stream_close(s);
	return 0;
}

/* Makes h->ng and queues the SETTINGS. Returns 0, or -1. */
static int
start(struct h2 *h)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, REQUEST_MAX_BYTES },
	};
	nghttp2_session_callbacks *cb = h2_callbacks();
	int rc;

	if (cb == NULL)
		return -1;
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb,
	    on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb,
	    on_stream_close);
	rc = nghttp2_session_server_new(&h->ng, cb, h);
	nghttp2_session_callbacks_del(cb);
	if (rc != 0)
		return -1;
	return nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, settings, 2);
}

struct h2 *
h2_new_server(const struct h2_method *methods, void *arg)
{
	struct h2 *h = h2_new();

	if (h == NULL)
		return NULL;
	h->methods = methods;
	h->arg = arg;
	if (start(h) == 0)
		return h;
	h2_del(h);
	return NULL;
}

void
h2_goaway(struct h2 *h)
{
	h2_check(h,
	    nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE,
		nghttp2_session_get_last_proc_stream_id(h->ng),
		NGHTTP2_NO_ERROR, NULL, 0));
}

void
h2_reset(struct h2_stream *s)
{
	h2_check(s->h2,
	    nghttp2_submit_rst_stream(s->h2->ng, NGHTTP2_FLAG_NONE, s->id,
		NGHTTP2_ENHANCE_YOUR_CALM));
}

const char *
h2_consumer(const struct h2_stream *s)
{
	if (s->request == NULL)
		return "";
	return s->request->long_consumer ? NULL : s->request->consumer;
}
