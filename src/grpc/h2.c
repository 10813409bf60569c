#include "grpc/h2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/h2_core.h"

/* Frames but DATA that wait to be sent by a server. */
#define MAX_OUTBOUND 2000
/* No DATA frame is begun in less room than that, its head included. */
#define DATA_MIN 1024

void
h2_check(struct h2 *h, int rc)
{
	if (rc < 0 && nghttp2_is_fatal(rc))
		h->failed = true;
}

nghttp2_nv
h2_nv(const char *name, const char *value)
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

struct h2_stream *
h2_stream_new(struct h2 *h)
{
	struct h2_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->h2 = h;
	s->deadline_at = INT64_MAX;
	h->count++;
	s->next = h->streams;
	if (s->next != NULL)
		s->next->prev = s;
	h->streams = s;
	return s;
}

unsigned *
h2_total(struct h2_limits *l, const struct h2_handler *handler)
{
	return handler->open_to_all ? &l->total_open : &l->total;
}

void
h2_stream_attach(struct h2_stream *s, const struct h2_handler *handler)
{
	s->handler = handler;
	if (s->h2->limits != NULL)
		++*h2_total(s->h2->limits, handler);
	frame_init(&s->in, handler->max_message);
}

void
h2_stream_close(struct h2_stream *s)
{
	struct h2 *h = s->h2;

	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		h->streams = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	h->count--;
	if (s->handler != NULL) {
		if (h->limits != NULL)
			--*h2_total(h->limits, s->handler);
		s->handler->closed(s);
	}
	s->next = h->dead;
	h->dead = s;
}

void
h2_reap(struct h2 *h)
{
	struct h2_stream *s;

	while ((s = h->dead) != NULL) {
		h->dead = s->next;
		frame_free(&s->in);
		free(s->request);
		free(s);
	}
}

/*
 * The payload of a DATA frame goes where the frame is to be, in h->out: a frame
 * that is the next is put there at once (put_data), so nghttp2 need not copy
 * it, or have room for one in each connection. Returns 0 when there is none.
 */
static ssize_t
pull(struct h2_stream *s, size_t cap)
{
	struct h2 *h = s->h2;
	size_t have = buf_unread(h->out), room;
	uint8_t *to;

	room = h->limit - have;
	if (room < DATA_MIN && have > 0)
		return NGHTTP2_ERR_PAUSE;
	if (room < DATA_MIN)
		room = DATA_MIN;
	if (room > H2_HEAD + cap)
		room = H2_HEAD + cap;
	if ((to = buf_room(h->out, room)) == NULL)
		return NGHTTP2_ERR_PAUSE;
	return (ssize_t)s->handler->pull(s, to + H2_HEAD, room - H2_HEAD);
}

/* nghttp2_send_data_callback: all but the head is there. */
static int
put_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head,
    size_t n, nghttp2_data_source *source, void *arg)
{
	struct h2 *h = arg;

	(void)ng;
	(void)frame;
	(void)source;
	memcpy(h->out->data + h->out->len, head, H2_HEAD);
	buf_added(h->out, H2_HEAD + n);
	h->put = true;
	return NGHTTP2_ERR_PAUSE; /* h2_output looks whether it is enough */
}

ssize_t
h2_read_data(nghttp2_session *ng, int32_t id, uint8_t *to, size_t cap,
    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct h2_stream *s = source->ptr;
	char code[4];
	char message[1024];
	nghttp2_nv trailers[2];
	ssize_t n;

	(void)to;
	(void)arg;
	if (s->finished && !s->mid_message) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		return 0;
	}
	if (!s->ending || s->mid_message) {
		n = pull(s, cap);
		if (n > 0)
			*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
		if (n != 0)
			return n;
		if (!s->ending || s->mid_message)
			return NGHTTP2_ERR_DEFERRED;
	}
	snprintf(code, sizeof(code), "%d", s->code);
	grpc_message_encode(message, sizeof(message), s->message);
	trailers[0] = h2_nv("grpc-status", code);
	trailers[1] = h2_nv("grpc-message", message);
	*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	if (nghttp2_submit_trailer(ng, id, trailers, 2) != 0)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

void
h2_wake(struct h2_stream *s)
{
	/* Fails when the stream is not waiting, which is as well. */
	h2_check(s->h2, nghttp2_session_resume_data(s->h2->ng, s->id));
}

/* Gives a stream's messages to its handler. */
static void
take_data(struct h2_stream *s, const uint8_t *p, size_t n)
{
	enum frame_result got = FRAME_MORE;
	enum grpc_code code;
	const char *why;

	while (!s->ending &&
	    (got = frame_next(&s->in, &p, &n, &code, &why)) == FRAME_MESSAGE)
		s->handler->message(s, buf_head(&s->in.body), s->in.len);
	if (got == FRAME_BAD && s->h2->methods != NULL)
		h2_end(s, code, "%s", why);
	else if (got == FRAME_BAD)
		h2_check(s->h2,
		    nghttp2_submit_rst_stream(s->h2->ng, NGHTTP2_FLAG_NONE,
			s->id, NGHTTP2_CANCEL));
}

/* A server gives back the window of a stream only while somebody listens, that
 * of the connection always: other streams need it. */
static int
on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p,
    size_t n, void *arg)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);
	struct h2 *h = arg;

	(void)flags;
	if (h->methods != NULL)
		nghttp2_session_consume_connection(ng, n);
	if (s == NULL || s->handler == NULL)
		return 0;
	if (h->methods != NULL && !s->ending && !s->handler->holds)
		nghttp2_session_consume_stream(ng, id, n);
	take_data(s, p, n);
	return 0;
}

void
h2_peer_done(struct h2_stream *s)
{
	s->half_closed = true;
	if (s->handler == NULL || s->ending)
		return;
	if (frame_partial(&s->in))
		h2_end(s, GRPC_INTERNAL, "the request ended inside a message");
	else if (s->handler->half_closed != NULL)
		s->handler->half_closed(s);
}

nghttp2_session_callbacks *
h2_callbacks(void)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_send_data_callback(cb, put_data);
	return cb;
}

struct h2 *
h2_new(void)
{
	return calloc(1, sizeof(struct h2));
}

void
h2_del(struct h2 *h)
{
	while (h->streams != NULL)
		h2_stream_close(h->streams);
	h2_reap(h);
	nghttp2_session_del(h->ng);
	free(h);
}

/* What an error of nghttp2's means for the peer. */
static void
give_up_input(struct h2 *h, int error)
{
	if (error == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
		h2_give_up(h, H2_NOT_HTTP2, NGHTTP2_PROTOCOL_ERROR,
		    "the peer does not speak HTTP/2 "
		    "(gRPC needs it, without an upgrade)");
	else if (error == NGHTTP2_ERR_FLOODED)
		h2_give_up_flood(h, H2_FLOOD_OUTPUT);
	else if (error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
		h2_give_up(h, H2_FLOODED, NGHTTP2_ENHANCE_YOUR_CALM,
		    "too_many_continuations");
	else
		h2_give_up(h, H2_BROKEN, NGHTTP2_INTERNAL_ERROR, "HTTP/2: %s",
		    nghttp2_strerror(error));
}

/* Gives nghttp2 a piece. */
static void
feed(struct h2 *h, const uint8_t *p, size_t n)
{
	ssize_t got = nghttp2_session_mem_recv(h->ng, p, n);

	if (got < 0)
		give_up_input(h, (int)got);
	else if (nghttp2_session_get_outbound_queue_size(h->ng) > MAX_OUTBOUND)
		h2_give_up_flood(h, H2_FLOOD_OUTPUT);
}

static int
server_input(struct h2 *h, const uint8_t *p, size_t n, struct err *err)
{
	enum h2_flood over;
	size_t take;

	h->heard = true;
	for (; n > 0 && h->fault == H2_FINE; p += take, n -= take) {
		take = h2_guard_next(&h->guard, p, n, h->now, &over);
		if (over != H2_FLOOD_NONE)
			h2_give_up_flood(h, over);
		else if (h->guard.at_head)
			h2_check_stream(h);
		if (h->fault == H2_FINE)
			feed(h, p, take);
	}
	h2_reap(h);
	if (h->fault == H2_FINE)
		return 0;
	return err_set(err, ERR_PROTO, "%s", h->fault_text);
}

int
h2_input(struct h2 *h, const uint8_t *p, size_t n, struct err *err)
{
	ssize_t got;

	if (h->methods != NULL)
		return server_input(h, p, n, err);
	got = nghttp2_session_mem_recv(h->ng, p, n);
	h2_reap(h);
	if (got < 0)
		return err_set(err, ERR_PROTO, "HTTP/2: %s",
		    nghttp2_strerror((int)got));
	return 0;
}

/* Has a server said all it will? */
static bool
is_mute(const struct h2 *h)
{
	return h->methods != NULL &&
	    (!h->heard || h->told || h->fault == H2_NOT_HTTP2);
}

int
h2_output(struct h2 *h, struct buf *out, size_t limit, struct err *err)
{
	const uint8_t *p;
	ssize_t n = 0;

	h->out = out;
	h->limit = limit;
	do {
		h->put = false;
		if (is_mute(h) || buf_unread(out) >= limit)
			break;
		if ((n = nghttp2_session_mem_send(h->ng, &p)) <= 0)
			continue;
		buf_put(out, p, (size_t)n);
		if (h->methods != NULL && !h->announced && !out->failed)
			h2_announce(h, out->data + out->len - n, (size_t)n);
	} while (n > 0 || (n == 0 && h->put));
	h2_reap(h);
	if (n < 0)
		return err_set(err, ERR_PROTO, "HTTP/2: %s",
		    nghttp2_strerror((int)n));
	if (out->failed || h->failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

bool
h2_want_write(const struct h2 *h)
{
	return !is_mute(h) && nghttp2_session_want_write(h->ng) != 0;
}

bool
h2_idle(const struct h2 *h)
{
	return h->streams == NULL;
}

bool
h2_over(const struct h2 *h)
{
	if (h->methods != NULL && (h->told || h->fault == H2_NOT_HTTP2))
		return true;
	return nghttp2_session_want_read(h->ng) == 0 &&
	    nghttp2_session_want_write(h->ng) == 0;
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
