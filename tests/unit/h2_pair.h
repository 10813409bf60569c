#ifndef TESTS_H2_PAIR_H
#define TESTS_H2_PAIR_H

#include <stdio.h>
#include <string.h>

#include "grpc/h2.h"

/*
 * A client and a server that talk in memory, and a handler that both use: it
 * sends what was queued and writes down what happens. cmocka.h comes before.
 */

/* One side of one call. */
struct side {
	struct h2_stream *stream; /* NULL before and after the call */
	struct buf out;           /* framed messages, for pull */
	size_t left;              /* of the message that pull is in */
	size_t piece;             /* the most that one pull gives; 0: any */
	bool echo;                /* messages go back */
	bool end_after;           /* half-closed means: all done, OK */
	struct buf got;           /* messages, a newline behind each */
	int opened, responded, messages, half_closed, closed;
	enum grpc_code code; /* client: as the call ended */
	int http_status;
	char message[512], consumer[256];
};

static struct h2 *client, *server;
static struct err err;
static struct side caller;    /* the client's side of the first call */
static struct side served[8]; /* the server's, in the order of the calls */
static int served_n;
static void (*at_open)(struct side *); /* the server's first step */
static size_t chunk;                   /* the most that one h2_input is given */

static inline void
side_init(struct side *x)
{
	memset(x, 0, sizeof(*x));
	buf_init(&x->out, (size_t)16 << 20);
	buf_init(&x->got, (size_t)16 << 20);
}

static inline void
side_free(struct side *x)
{
	buf_free(&x->out);
	buf_free(&x->got);
}

/* Queues a message. */
static inline void
side_send(struct side *x, const void *p, size_t n)
{
	uint8_t head[FRAME_HEAD];

	frame_head(head, n);
	buf_put(&x->out, head, sizeof(head));
	buf_put(&x->out, p, n);
	assert_false(x->out.failed);
	if (x->stream != NULL)
		h2_wake(x->stream);
}

static inline size_t
first_length(const struct side *x)
{
	const uint8_t *p = buf_head(&x->out);

	return FRAME_HEAD +
	    ((size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 |
		p[4]);
}

static inline size_t
side_pull(struct h2_stream *s, uint8_t *to, size_t cap)
{
	struct side *x = s->user;
	size_t n = 0, take;

	assert_int_equal(x->closed, 0);
	if (x->piece != 0 && x->piece < cap)
		cap = x->piece;
	while (n < cap &&
	    (x->left > 0 || (!s->ending && buf_unread(&x->out) > 0))) {
		if (x->left == 0)
			x->left = first_length(x);
		take = x->left < cap - n ? x->left : cap - n;
		memcpy(to + n, buf_head(&x->out), take);
		buf_consume(&x->out, take);
		x->left -= take;
		n += take;
	}
	s->mid_message = x->left > 0;
	return n;
}

static inline void
side_open(struct h2_stream *s, void *arg)
{
	struct side *x = &served[served_n++];
	const char *name = h2_consumer(s);

	assert_ptr_equal(arg, &served_n);
	assert_true(served_n <= 8);
	side_init(x);
	s->user = x;
	x->stream = s;
	x->opened++;
	snprintf(x->consumer, sizeof(x->consumer), "%s",
	    name == NULL ? "(NULL)" : name);
	if (at_open != NULL)
		at_open(x);
}

static inline void
side_responded(struct h2_stream *s)
{
	struct side *x = s->user;

	x->responded++;
}

static inline void
side_message(struct h2_stream *s, const uint8_t *p, size_t n)
{
	struct side *x = s->user;

	assert_int_equal(x->closed, 0);
	x->messages++;
	buf_put(&x->got, p, n);
	buf_put_u8(&x->got, '\n');
	if (x->echo)
		side_send(x, p, n);
}

static inline void
side_half_closed(struct h2_stream *s)
{
	struct side *x = s->user;

	x->half_closed++;
	if (x->end_after)
		h2_end(s, GRPC_OK, "%s", "");
}

static inline void
side_closed(struct h2_stream *s)
{
	struct side *x = s->user;

	x->closed++;
	x->code = s->code;
	x->http_status = s->http_status;
	snprintf(x->message, sizeof(x->message), "%s", s->message);
	x->stream = NULL;
}

#define MAX_MESSAGE 200000

static const struct h2_handler handler = {
	.max_message = MAX_MESSAGE,
	.open = side_open,
	.responded = side_responded,
	.message = side_message,
	.half_closed = side_half_closed,
	.pull = side_pull,
	.closed = side_closed,
};

/* half_closed and responded need not be there. */
static const struct h2_handler small_handler = {
	.max_message = 10,
	.open = side_open,
	.message = side_message,
	.pull = side_pull,
	.closed = side_closed,
};

/* For everybody, who has 10 s. */
static const struct h2_handler open_handler = {
	.max_message = 10,
	.open_to_all = true,
	.most_us = 10000000,
	.open = side_open,
	.message = side_message,
	.pull = side_pull,
	.closed = side_closed,
};

static const struct h2_method methods[] = {
	{ "/test.Service/Call", &handler },
	{ "/test.Service/Open", &open_handler },
	{ "/test.Service/Small", &small_handler },
	{ NULL, NULL },
};

static uint64_t refused[H2_REFUSALS];
#define MOST_STREAMS 100
static struct h2_limits limits;

static inline int
setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	served_n = 0;
	chunk = SIZE_MAX;
	at_open = NULL;
	side_init(&caller);
	memset(refused, 0, sizeof(refused));
	limits = (struct h2_limits){ .max_streams = MOST_STREAMS };
	for (int i = 0; i < H2_REFUSALS; i++)
		limits.refused[i] = &refused[i];
	server = h2_new_server(methods, &served_n, &limits);
	client = h2_new_client();
	return server == NULL || client == NULL ? -1 : 0;
}

/* Every call must be over on both sides when both are gone. */
static inline int
teardown(void **state)
{
	(void)state;
	h2_del(client);
	h2_del(server);
	assert_int_equal(limits.total, 0);
	assert_int_equal(limits.total_open, 0);
	for (int i = 0; i < served_n; i++) {
		assert_int_equal(served[i].opened, 1);
		assert_int_equal(served[i].closed, 1);
		side_free(&served[i]);
	}
	side_free(&caller);
	return 0;
}

static inline void
call(struct side *x, const char *path)
{
	x->stream = h2_call(client, "localhost", path, &handler, x);
	assert_non_null(x->stream);
}

/* Gives bytes to one side, at most chunk at a time. */
static inline int
give(struct h2 *to, const uint8_t *p, size_t n)
{
	size_t take;

	for (; n > 0; p += take, n -= take) {
		take = n < chunk ? n : chunk;
		if (h2_input(to, p, take, &err) == -1)
			return -1;
	}
	return 0;
}

/* What one side has to say, at most about limit bytes, goes to the other.
 * False when it was nothing. */
static inline bool
move(struct h2 *from, struct h2 *to, size_t limit)
{
	struct buf wire;
	bool some;

	buf_init(&wire, (size_t)16 << 20);
	assert_int_equal(h2_output(from, &wire, limit, &err), 0);
	some = buf_unread(&wire) > 0;
	if (give(to, buf_head(&wire), buf_unread(&wire)) == -1)
		fail_msg("%s", err.text);
	buf_free(&wire);
	return some;
}

/* Until neither side has anything to say. */
static inline void
pump(void)
{
	while (move(client, server, 65536) | move(server, client, 65536))
		;
	assert_false(h2_want_write(client));
	assert_false(h2_want_write(server));
}

static inline void
assert_got(struct side *x, const char *want)
{
	assert_string_equal(buf_cstr(&x->got), want);
}

/* The client's call is over, and this is how. */
static inline void
assert_ended(const struct side *x, enum grpc_code code, const char *message)
{
	assert_int_equal(x->closed, 1);
	assert_int_equal(x->code, code);
	if (message != NULL)
		assert_string_equal(x->message, message);
	assert_true(h2_idle(client));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
