#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "grpc/h2_core.h"

/* The server's side: what comes in and goes out, and what is counted of it. */

/* What nghttp2 takes for the limit: above ours, so that a stream too many is
 * refused by us. For nghttp2 it is the end of the connection. */
#define STREAMS_BACKSTOP 4000
/* A list of headers so much larger than what is looked at is an attack. */
#define HEADERS_FLOOD (8 * (size_t)REQUEST_MAX_BYTES)
#define HEADERS_TIME SECONDS(10)
/* The last identifiers, which no client comes to by making streams in turn. */
#define LAST_IDS (INT32_MAX - 1000)

static int
on_begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *s;
	int32_t id = f->hd.stream_id;

	if (f->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	h->last_id = id;
	if (id > LAST_IDS)
		h->spent = true;
	/* The GOAWAY still waits to be sent, and does not name it. */
	if (h->leaving)
		return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, id,
		    NGHTTP2_REFUSED_STREAM);
	if (h->count >= h->limits->max_streams) {
		h2_count_refusal(h, H2_REFUSED_STREAMS);
		return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, id,
		    NGHTTP2_REFUSED_STREAM);
	}
	if ((s = h2_stream_new(h)) == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	s->id = id;
	nghttp2_session_set_stream_user_data(ng, id, s);
	if ((s->request = calloc(1, sizeof(*s->request))) == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

static int
on_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t n, uint8_t flags, void *arg)
{
	struct h2_stream *s;
	struct h2 *h = arg;

	(void)flags;
	/* Of refused streams and of trailers, too. */
	h->header_bytes += name_len + n + 32;
	if (h->header_bytes > HEADERS_FLOOD)
		return h2_give_up_flood(h, H2_FLOOD_HEADERS);
	s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
	if (s != NULL && s->request != NULL)
		request_header(s->request, name, name_len, value, n);
	return 0;
}

static int
on_ping(struct h2 *h, const nghttp2_frame *f)
{
	enum h2_flood flood;

	if ((f->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
		if (memcmp(f->ping.opaque_data, H2_NOTICE, 8) == 0)
			h->noticed = true;
		return 0;
	}
	flood = h2_guard_ping(&h->guard, h->count > 0, h->now);
	return flood == H2_FLOOD_NONE ? 0 : h2_give_up_flood(h, flood);
}

/* A call is given up while it goes on. How a peer lets go of one that we have
 * ended is its own affair: libraries answer trailers with a reset. */
static int
on_reset(struct h2 *h, const struct h2_stream *s)
{
	enum h2_flood flood;

	if (s == NULL || s->ending)
		return 0;
	flood = h2_guard_take(&h->guard, H2_FLOOD_RESETS, h->now);
	return flood == H2_FLOOD_NONE ? 0 : h2_give_up_flood(h, flood);
}

static void
on_request(struct h2_stream *s, const nghttp2_frame *f)
{
	struct request *q = s->request;

	if (f->hd.type == NGHTTP2_HEADERS && q != NULL) {
		h2_dispatch(s, q);
		free(q);
		s->request = NULL;
	}
	if ((f->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return;
	h2_peer_done(s);
	if (s->held != NULL)
		h2_answer_held(s);
}

static int
on_frame_recv(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2_stream *s;
	struct h2 *h = arg;

	switch (f->hd.type) {
	case NGHTTP2_SETTINGS:
		h->greeted = true;
		if ((f->hd.flags & NGHTTP2_FLAG_ACK) != 0)
			h->settled = true;
		return 0;
	case NGHTTP2_PING:
		return on_ping(h, f);
	case NGHTTP2_RST_STREAM:
		return on_reset(h,
		    nghttp2_session_get_stream_user_data(ng, f->hd.stream_id));
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA:
		s = nghttp2_session_get_stream_user_data(ng, f->hd.stream_id);
		if (s != NULL)
			on_request(s, f);
		return 0;
	default:
		return 0;
	}
}

static int
on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *arg)
{
	struct h2 *h = arg;

	(void)ng;
	if (hd->type == NGHTTP2_HEADERS)
		h->header_bytes = 0;
	return 0;
}

/* A response that is complete: the peer need not finish its request. */
static void
response_sent(struct h2 *h, const nghttp2_frame_hd *hd)
{
	struct h2_stream *s =
	    nghttp2_session_get_stream_user_data(h->ng, hd->stream_id);

	h2_guard_sent(&h->guard, hd->type == NGHTTP2_DATA, hd->length);
	if ((hd->flags & NGHTTP2_FLAG_END_STREAM) == 0 || s == NULL)
		return;
	s->answered = true;
	if (!s->half_closed)
		h2_check(h,
		    nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, s->id,
			NGHTTP2_NO_ERROR));
}

static void
remember_closed(struct h2 *h, uint32_t id)
{
	h->closed[h->closed_n++ % H2_CLOSED] = id;
}

/* Resets are counted that are not our own decision. */
static int
reset_sent(struct h2 *h, int32_t id, uint32_t error_code)
{
	enum h2_flood flood = H2_FLOOD_NONE;

	remember_closed(h, (uint32_t)id | H2_OURS);

	if (error_code == NGHTTP2_REFUSED_STREAM)
		flood = h2_guard_take(&h->guard, H2_FLOOD_REFUSALS, h->now);
	else if (error_code != NGHTTP2_NO_ERROR &&
	    error_code != NGHTTP2_CANCEL &&
	    error_code != NGHTTP2_ENHANCE_YOUR_CALM)
		flood = h2_guard_take(&h->guard, H2_FLOOD_ERRORS, h->now);
	if (flood != H2_FLOOD_NONE)
		h2_give_up_flood(h, flood);
	return 0;
}

/* With an error it is the last thing that is said: by us, or by nghttp2, which
 * knows what was wrong. Behind a notice goes a PING: its answer says that the
 * notice was heard, so it must not get in front, as nghttp2 would have it. */
static void
goaway_sent(struct h2 *h, const nghttp2_goaway *g)
{
	if (g->error_code == NGHTTP2_NO_ERROR) {
		if (g->last_stream_id == INT32_MAX)
			h2_check(h,
			    nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE,
				(const uint8_t *)H2_NOTICE));
		return;
	}
	h->told = true;
	if (h->fault != H2_FINE)
		return;
	h->fault = H2_BROKEN;
	snprintf(h->fault_text, sizeof(h->fault_text), "%s: %.*s",
	    nghttp2_http2_strerror(g->error_code), (int)g->opaque_data_len,
	    (const char *)g->opaque_data);
}

static int
on_frame_send(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2 *h = arg;

	(void)ng;
	switch (f->hd.type) {
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA:
		response_sent(h, &f->hd);
		return 0;
	case NGHTTP2_RST_STREAM:
		return reset_sent(h, f->hd.stream_id, f->rst_stream.error_code);
	case NGHTTP2_PING:
		if ((f->hd.flags & NGHTTP2_FLAG_ACK) == 0)
			h->ping_queued = false;
		return 0;
	case NGHTTP2_GOAWAY:
		goaway_sent(h, &f->goaway);
		return 0;
	default:
		return 0;
	}
}

/* How a stream ended: its number, with H2_OURS when we reset it; 0: it is not
 * among the last, or never was. */
static uint32_t
find_closed(const struct h2 *h, int32_t id)
{
	for (unsigned i = 0; i < H2_CLOSED; i++)
		if ((h->closed[i] & ~H2_OURS) == (uint32_t)id)
			return h->closed[i];
	return 0;
}

static int
on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error_code, void *arg)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);
	struct h2 *h = arg;

	(void)error_code;
	if (find_closed(h, id) == 0)
		remember_closed(h, (uint32_t)id);
	if (s == NULL)
		return 0;
	nghttp2_session_set_stream_user_data(ng, id, NULL);
	h2_stream_close(s);
	return 0;
}

/*
 * nghttp2 is silent about what comes for streams that are over. It has to be
 * where we ended them and the peer could not know; the rest is against the
 * rules (RFC 9113, sections 5.1 and 5.1.1).
 */
void
h2_check_stream(struct h2 *h)
{
	uint8_t type = h2_guard_type(&h->guard);
	int32_t id = h2_guard_stream(&h->guard);
	uint32_t closed;

	if ((type != NGHTTP2_DATA && type != NGHTTP2_HEADERS) || id % 2 == 0 ||
	    id > h->last_id ||
	    nghttp2_session_get_stream_remote_close(h->ng, id) != -1)
		return;
	closed = find_closed(h, id);
	if (closed == (uint32_t)id)
		h2_give_up(h, H2_BROKEN, NGHTTP2_STREAM_CLOSED,
		    "a frame for a closed stream");
	else if (closed == 0 && type == NGHTTP2_HEADERS)
		h2_give_up(h, H2_BROKEN, NGHTTP2_PROTOCOL_ERROR,
		    "a stream out of turn");
}

/* What nghttp2 counts by itself, and what it leaves to us. */
static int
make_session(struct h2 *h, const nghttp2_session_callbacks *cb)
{
	nghttp2_option *option;
	int rc;

	if (nghttp2_option_new(&option) != 0)
		return -1;
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_max_settings(option, 32);
	nghttp2_option_set_max_outbound_ack(option, 1000);
	nghttp2_option_set_max_continuations(option, 8);
	/* Behind ours, see h2_guard.c, which says why it closes. */
	nghttp2_option_set_stream_reset_rate_limit(option, 20000, 10000);
	rc = nghttp2_session_server_new2(&h->ng, cb, h, option);
	nghttp2_option_del(option);
	return rc == 0 ? 0 : -1;
}

/* Makes h->ng and queues the SETTINGS. Returns 0, or -1. */
static int
start(struct h2 *h)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
		    h->limits->max_streams + STREAMS_BACKSTOP },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65535 },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, REQUEST_MAX_BYTES },
	};
	nghttp2_session_callbacks *cb = h2_callbacks();
	int rc;

	if (cb == NULL)
		return -1;
	nghttp2_session_callbacks_set_on_begin_frame_callback(cb,
	    on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb,
	    on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb,
	    on_stream_close);
	rc = make_session(h, cb);
	nghttp2_session_callbacks_del(cb);
	if (rc != 0)
		return -1;
	return nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, settings,
	    sizeof(settings) / sizeof(settings[0]));
}

void
h2_announce(struct h2 *h, uint8_t *frame, size_t n)
{
	/* The first entry of its payload; see STREAMS_BACKSTOP. */
	uint8_t *value = frame + 9 + 2;

	h->announced = true;
	if (n < 9 + 6 || frame[3] != NGHTTP2_SETTINGS)
		return;
	for (int i = 0; i < 4; i++)
		value[i] = (uint8_t)(h->limits->max_streams >> (24 - 8 * i));
}

struct h2 *
h2_new_server(const struct h2_method *methods, void *arg,
    struct h2_limits *limits)
{
	struct h2 *h = h2_new();

	if (h == NULL)
		return NULL;
	h->methods = methods;
	h->arg = arg;
	h->limits = limits;
	h->deadline_at = INT64_MAX;
	h->guard.calls = limits->max_streams;
	if (start(h) == 0)
		return h;
	h2_del(h);
	return NULL;
}

/* Its client knows that it is over, and may have gone: no trailers, unless they
 * are all there is to send. */
static void
expire(struct h2_stream *s)
{
	if (s->held != NULL) {
		h2_answer_held(s);
		return;
	}
	if (s->responded)
		h2_check(s->h2,
		    nghttp2_submit_rst_stream(s->h2->ng, NGHTTP2_FLAG_NONE,
			s->id, NGHTTP2_CANCEL));
	else
		h2_end(s, GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
	s->deadline_at = INT64_MAX;
}

static void
expire_all(struct h2 *h)
{
	struct h2_stream *s;

	h->deadline_at = INT64_MAX;
	for (s = h->streams; s != NULL; s = s->next) {
		if (s->deadline_at <= h->now)
			expire(s);
		if (s->deadline_at < h->deadline_at)
			h->deadline_at = s->deadline_at;
	}
}

int64_t
h2_tick(struct h2 *h, int64_t now)
{
	int64_t block_at = h->guard.block_at;

	h->now = now;
	if (h->fault != H2_FINE)
		return INT64_MAX;
	if (now >= h->deadline_at)
		expire_all(h);
	if (block_at == 0)
		return h->deadline_at;
	if (now >= block_at + HEADERS_TIME)
		h2_too_slow(h, "request_headers");
	return block_at + HEADERS_TIME < h->deadline_at
	    ? block_at + HEADERS_TIME
	    : h->deadline_at;
}

bool
h2_spent(const struct h2 *h)
{
	return h->spent;
}

const char *
h2_agent(const struct h2 *h)
{
	return h->agent;
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

void
h2_took(struct h2_stream *s, size_t n)
{
	nghttp2_session_consume_stream(s->h2->ng, s->id, n + FRAME_HEAD);
}

enum request_auth
h2_authorization(const struct h2_stream *s, uint8_t bearer[SECRET_DIGEST])
{
	if (s->request == NULL)
		return REQUEST_ANONYMOUS;
	memcpy(bearer, s->request->bearer, SECRET_DIGEST);
	return s->request->auth;
}
