#include "fuzz.h"
#include "grpc/h2.h"

/*
 * A whole HTTP/2 connection: bytes of the peer in, our bytes out. The input's
 * first byte: 0x01 we are the client, with two calls open; the rest how many
 * bytes are given at a time, 0: all. A server's calls send back what comes, and
 * end when the peer does; one that begins with 'e' ends at once, one with 'r'
 * is reset.
 */

#define MAX_MESSAGE 4096
#define MAX_CALLS 4096

struct call {
	struct h2_stream *stream;
	struct buf out;
};

static int open_calls;

static void
call_init(struct call *c, struct h2_stream *s)
{
	buf_init(&c->out, (size_t)1 << 20);
	c->stream = s;
	open_calls++;
}

static void
on_open(struct h2_stream *s, void *arg)
{
	struct call *c = calloc(1, sizeof(*c));
	const char *name = h2_consumer(s);

	assert(c != NULL && arg == &open_calls);
	assert(name == NULL || strlen(name) <= REQUEST_MAX_VALUE);
	call_init(c, s);
	s->user = c;
}

static void
on_responded(struct h2_stream *s)
{
	assert(s->user != NULL);
}

static void
on_message(struct h2_stream *s, const uint8_t *p, size_t n)
{
	struct call *c = s->user;
	uint8_t head[FRAME_HEAD];

	assert(n <= MAX_MESSAGE);
	if (n == 0)
		return;
	if (*p == 'e') {
		h2_end(s, GRPC_ABORTED, "%.*s", (int)n, (const char *)p);
		return;
	}
	if (*p == 'r') {
		h2_reset(s);
		return;
	}
	frame_head(head, n);
	buf_put(&c->out, head, sizeof(head));
	buf_put(&c->out, p, n);
	h2_respond(s);
	h2_wake(s);
}

/* A client's calls have nothing to send back. */
static void
on_answer(struct h2_stream *s, const uint8_t *p, size_t n)
{
	assert(n <= MAX_MESSAGE);
	if (n > 0 && *p == 'e')
		h2_finish(s);
	if (n > 0 && *p == 'c')
		h2_cancel(s);
}

static void
on_half_closed(struct h2_stream *s)
{
	if (s->half_closed)
		h2_end(s, GRPC_OK, "%s", "");
}

static size_t
on_pull(struct h2_stream *s, uint8_t *to, size_t cap)
{
	struct call *c = s->user;
	size_t n = buf_unread(&c->out) < cap ? buf_unread(&c->out) : cap;

	if (n > 0)
		memcpy(to, buf_head(&c->out), n);
	buf_consume(&c->out, n);
	s->mid_message = buf_unread(&c->out) > 0;
	return n;
}

static void
on_closed(struct h2_stream *s)
{
	struct call *c = s->user;

	assert(memchr(s->message, '\0', sizeof(s->message)) != NULL);
	buf_free(&c->out);
	open_calls--;
	assert(c->stream == s);
	free(c);
}

static const struct h2_handler serve = { .max_message = MAX_MESSAGE,
	.open = on_open,
	.message = on_message,
	.half_closed = on_half_closed,
	.pull = on_pull,
	.closed = on_closed };
static const struct h2_handler ask = { .max_message = MAX_MESSAGE,
	.open = on_open,
	.responded = on_responded,
	.message = on_answer,
	.pull = on_pull,
	.closed = on_closed };

static const struct h2_method methods[] = {
	{ "/plugin.PluginService/Session", &serve },
	{ "/plugin.PluginService/Subscribe", &serve },
	{ "/grpc.health.v1.Health/Check", &serve },
	{ NULL, NULL },
};

static struct h2_limits limits = { .max_streams = 20 };

static void
begin_call(struct h2 *h)
{
	struct call *c = calloc(1, sizeof(*c));
	uint8_t head[FRAME_HEAD];
	struct h2_stream *s;

	assert(c != NULL);
	s = h2_call(h, "localhost", "/plugin.PluginService/Session", &ask, c);
	assert(s != NULL);
	call_init(c, s);
	frame_head(head, 3);
	buf_put(&c->out, head, sizeof(head));
	buf_put_str(&c->out, "abc");
	h2_wake(s);
}

/* What we say is thrown away; false when the connection is of no more use. */
static bool
drain(struct h2 *h, struct buf *out)
{
	struct err err;

	if (h2_output(h, out, 65536, &err) == -1) {
		assert(*err.text != '\0');
		return false;
	}
	assert(buf_unread(out) < 65536 + 65536);
	buf_reset(out);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step, take, n;
	int64_t now = 1000000;
	uint8_t first;
	struct buf out;
	struct err err;
	uint8_t *copy;
	struct h2 *h;
	bool ok = true;

	if (size == 0)
		return 0;
	open_calls = 0;
	first = data[0];
	step = data[0] >> 1;
	h = (data[0] & 1) != 0 ? h2_new_client()
			       : h2_new_server(methods, &open_calls, &limits);
	assert(h != NULL);
	buf_init(&out, (size_t)1 << 20);
	if ((data[0] & 1) != 0) {
		begin_call(h);
		begin_call(h);
	}
	ok = drain(h, &out);
	for (data++, n = size - 1; ok && n > 0; data += take, n -= take) {
		take = step == 0 || n < step ? n : step;
		copy = fuzz_copy(data, take);
		ok = h2_input(h, copy, take, &err) == 0;
		assert(ok || *err.text != '\0');
		free(copy);
		now += 10000;
		if ((first & 1) == 0)
			h2_tick(h, now);
		ok = drain(h, &out) && ok && !h2_over(h);
		assert(open_calls >= 0 && open_calls <= MAX_CALLS);
	}
	if ((first & 1) == 0)
		h2_goaway(h, "over");
	drain(h, &out);
	h2_del(h);
	assert(open_calls == 0);
	buf_free(&out);
	return 0;
}
