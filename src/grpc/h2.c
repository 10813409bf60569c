#include "grpc/h2.h"

#include <nghttp2/nghttp2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STREAMS 100
#define CLIENT_WINDOW (4 * 1024 * 1024)

struct h2 {
	nghttp2_session *ng;
	const struct h2_method *methods; /* NULL for a client */
	void *arg;
	const char *peer;
	struct h2_stream *streams, *dead;
};

static nghttp2_nv
nv(const char *name, const char *value)
{
	/* nghttp2 copies both and writes to neither. */
	union {
		const char *c;
		uint8_t *u;
	} n = { name }, v = { value };
	nghttp2_nv h = { n.u, v.u, strlen(name), strlen(value),
		NGHTTP2_NV_FLAG_NONE };

	return h;
}

static struct h2_stream *
stream_new(struct h2 *h)
{
	struct h2_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->h2 = h;
	s->next = h->streams;
	if (s->next != NULL)
		s->next->prev = s;
	h->streams = s;
	return s;
}

static void
stream_attach(struct h2_stream *s, const struct h2_handler *handler)
{
	s->handler = handler;
	frame_init(&s->in, handler->max_message);
}

/* Runs the handler's last callback and puts s on the list of the dead. */
static void
stream_close(struct h2_stream *s)
{
	struct h2 *h = s->h2;

	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		h->streams = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	if (s->handler != NULL)
		s->handler->closed(s);
	s->next = h->dead;
	h->dead = s;
}

static void
reap(struct h2 *h)
{
	struct h2_stream *s;

	while ((s = h->dead) != NULL) {
		h->dead = s->next;
		frame_free(&s->in);
		free(s->request);
		free(s);
	}
}

static ssize_t
read_data(nghttp2_session *ng, int32_t id, uint8_t *to, size_t cap,
    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct h2_stream *s = source->ptr;
	char code[4];
	char message[1024];
	nghttp2_nv trailers[2];
	size_t n;

	(void)arg;
	if (s->finished && !s->mid_message) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		return 0;
	}
	if (!s->ending || s->mid_message) {
		n = s->handler->pull(s, to, cap);
		return n > 0 ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
	}
	snprintf(code, sizeof(code), "%d", s->code);
	grpc_message_encode(message, sizeof(message), s->message);
	trailers[0] = nv("grpc-status", code);
	trailers[1] = nv("grpc-message", message);
	*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	if (nghttp2_submit_trailer(ng, id, trailers, 2) != 0)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

void
h2_respond(struct h2_stream *s)
{
	nghttp2_nv headers[] = { nv(":status", "200"),
		nv("content-type", "application/grpc"),
		nv("grpc-accept-encoding", "identity") };
	nghttp2_data_provider data = { { .ptr = s }, read_data };

	if (s->responded)
		return;
	s->responded = true;
	nghttp2_submit_response(s->h2->ng, s->id, headers, 3, &data);
}

void
h2_wake(struct h2_stream *s)
{
	/* Fails when the stream is not waiting, which is as well. */
	nghttp2_session_resume_data(s->h2->ng, s->id);
}

/* A call that ends before its response began: everything in one HEADERS. */
static void
trailers_only(struct h2_stream *s)
{
	char code[4], message[1024];
	nghttp2_nv headers[5];

	snprintf(code, sizeof(code), "%d", s->code);
	grpc_message_encode(message, sizeof(message), s->message);
	headers[0] = nv(":status", "200");
	headers[1] = nv("content-type", "application/grpc");
	headers[2] = nv("grpc-status", code);
	headers[3] = nv("grpc-message", message);
	headers[4] = nv("grpc-accept-encoding", "identity");
	s->responded = true;
	nghttp2_submit_response(s->h2->ng, s->id, headers, 5, NULL);
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
	nghttp2_nv headers[] = { nv(":status", status),
		nv("content-length", "0") };

	s->ending = s->responded = true;
	nghttp2_submit_response(s->h2->ng, s->id, headers, 2, NULL);
}

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
		stream_attach(s, m->handler);
		s->in.encoded = q->encoded;
		m->handler->open(s, s->h2->arg);
	}
	free(q);
	s->request = NULL;
}

static void
peer_done(struct h2_stream *s)
{
	s->half_closed = true;
	if (s->handler == NULL || s->ending)
		return;
	if (frame_partial(&s->in))
		h2_end(s, GRPC_INTERNAL, "the request ended inside a message");
	else if (s->handler->half_closed != NULL)
		s->handler->half_closed(s);
}

static int
on_begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *s;

	if (f->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if ((s = stream_new(h)) == NULL)
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
	struct h2 *h = arg;
	struct h2_stream *s;

	(void)flags;
	s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
	if (s == NULL)
		return 0;
	if (h->methods == NULL)
		response_header(s, name, name_len, value, n);
	else if (s->request != NULL)
		request_header(s->request, name, name_len, value, n);
	return 0;
}

static int
on_frame_recv(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *s;

	if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA)
		return 0;
	s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
	if (s == NULL)
		return 0;
	if (f->hd.type == NGHTTP2_HEADERS && h->methods == NULL) {
		if (f->headers.cat == NGHTTP2_HCAT_RESPONSE &&
		    s->handler->responded != NULL)
			s->handler->responded(s);
	} else if (f->hd.type == NGHTTP2_HEADERS && s->request != NULL) {
		dispatch(s);
	}
	if (f->hd.flags & NGHTTP2_FLAG_END_STREAM)
		peer_done(s);
	return 0;
}

static int
on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p,
    size_t n, void *arg)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);
	enum frame_result got = FRAME_MORE;
	enum grpc_code code;
	const char *why;

	(void)flags;
	(void)arg;
	if (s == NULL || s->handler == NULL)
		return 0;
	while (!s->ending &&
	    (got = frame_next(&s->in, &p, &n, &code, &why)) == FRAME_MESSAGE)
		s->handler->message(s, buf_head(&s->in.body), s->in.len);
	if (got == FRAME_BAD && s->h2->methods != NULL)
		h2_end(s, code, "%s", why);
	else if (got == FRAME_BAD)
		nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, id,
		    NGHTTP2_CANCEL);
	return 0;
}

/* The response is complete: the peer need not finish its request. */
static int
on_frame_send(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *s;

	if (h->methods == NULL || f->hd.type != NGHTTP2_HEADERS ||
	    (f->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
	if (s != NULL && !s->half_closed)
		nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, s->id,
		    NGHTTP2_NO_ERROR);
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
	struct h2 *h = arg;

	if (s == NULL)
		return 0;
	if (h->methods == NULL && !s->has_status)
		derive_status(s, error_code);
	nghttp2_session_set_stream_user_data(ng, id, NULL);
	stream_close(s);
	return 0;
}

static nghttp2_session_callbacks *
callbacks(void)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb,
	    on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb,
	    on_stream_close);
	return cb;
}

/* Sets h->ng up and queues the SETTINGS. Returns 0, or -1. */
static int
start(struct h2 *h, nghttp2_session_callbacks *cb)
{
	static const nghttp2_settings_entry server[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, REQUEST_MAX_BYTES },
	};
	static const nghttp2_settings_entry client[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, CLIENT_WINDOW },
	};

	if (h->methods != NULL) {
		if (nghttp2_session_server_new(&h->ng, cb, h) != 0)
			return -1;
		return nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, server,
		    2);
	}
	if (nghttp2_session_client_new(&h->ng, cb, h) != 0)
		return -1;
	return nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, client, 2) |
	    nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0,
		CLIENT_WINDOW);
}

static struct h2 *
h2_new(const struct h2_method *methods, void *arg)
{
	nghttp2_session_callbacks *cb = callbacks();
	struct h2 *h = calloc(1, sizeof(*h));
	int failed = -1;

	if (cb != NULL && h != NULL) {
		h->methods = methods;
		h->arg = arg;
		failed = start(h, cb);
	}
	nghttp2_session_callbacks_del(cb);
	if (failed == 0)
		return h;
	if (h != NULL)
		h2_del(h);
	return NULL;
}

struct h2 *
h2_new_server(const struct h2_method *methods, void *arg)
{
	return h2_new(methods, arg);
}

struct h2 *
h2_new_client(void)
{
	return h2_new(NULL, NULL);
}

void
h2_del(struct h2 *h)
{
	while (h->streams != NULL)
		stream_close(h->streams);
	reap(h);
	nghttp2_session_del(h->ng);
	free(h);
}

int
h2_input(struct h2 *h, const uint8_t *p, size_t n, struct err *err)
{
	ssize_t got = nghttp2_session_mem_recv(h->ng, p, n);

	reap(h);
	if (got == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
		return err_set(err, ERR_PROTO,
		    "the peer does not speak HTTP/2 "
		    "(gRPC needs it, without an upgrade)");
	if (got < 0)
		return err_set(err, ERR_PROTO, "HTTP/2: %s",
		    nghttp2_strerror((int)got));
	return 0;
}

int
h2_output(struct h2 *h, struct buf *out, size_t limit, struct err *err)
{
	const uint8_t *p;
	ssize_t n = 0;

	while (buf_unread(out) < limit &&
	    (n = nghttp2_session_mem_send(h->ng, &p)) > 0)
		buf_put(out, p, (size_t)n);
	reap(h);
	if (n < 0)
		return err_set(err, ERR_PROTO, "HTTP/2: %s",
		    nghttp2_strerror((int)n));
	if (out->failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

bool
h2_want_write(const struct h2 *h)
{
	return nghttp2_session_want_write(h->ng) != 0;
}

bool
h2_idle(const struct h2 *h)
{
	return h->streams == NULL;
}

bool
h2_over(const struct h2 *h)
{
	return nghttp2_session_want_read(h->ng) == 0 &&
	    nghttp2_session_want_write(h->ng) == 0;
}

void
h2_goaway(struct h2 *h)
{
	nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE,
	    nghttp2_session_get_last_proc_stream_id(h->ng), NGHTTP2_NO_ERROR,
	    NULL, 0);
}

void
h2_reset(struct h2_stream *s)
{
	nghttp2_submit_rst_stream(s->h2->ng, NGHTTP2_FLAG_NONE, s->id,
	    NGHTTP2_ENHANCE_YOUR_CALM);
}

const char *
h2_consumer(const struct h2_stream *s)
{
	if (s->request == NULL)
		return "";
	return s->request->long_consumer ? NULL : s->request->consumer;
}

void
h2_set_peer(struct h2 *h, const char *peer)
{
	h->peer = peer;
}

const char *
h2_peer(const struct h2_stream *s)
{
	return s->h2->peer != NULL ? s->h2->peer : "?";
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
	nghttp2_submit_rst_stream(s->h2->ng, NGHTTP2_FLAG_NONE, s->id,
	    NGHTTP2_CANCEL);
}

struct h2_stream *
h2_call(struct h2 *h, const char *authority, const char *path,
    const struct h2_handler *handler, void *user)
{
	nghttp2_nv headers[] = { nv(":method", "POST"), nv(":scheme", "http"),
		nv(":path", path), nv(":authority", authority),
		nv("te", "trailers"), nv("content-type", "application/grpc"),
		nv("user-agent", "walstream/" VERSION) };
	struct h2_stream *s = stream_new(h);
	nghttp2_data_provider data = { { .ptr = s }, read_data };

	if (s == NULL)
		return NULL;
	stream_attach(s, handler);
	s->user = user;
	s->id = nghttp2_submit_request(h->ng, NULL, headers, 7, &data, s);
	if (s->id >= 0)
		return s;
	stream_close(s);
	reap(h);
	return NULL;
}
