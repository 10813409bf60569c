#include "base/clock.h"
#include "base/log.h"
#include "event/proto.h"
#include "event/proto_health.h"
#include "fuzz.h"
#include "server/feeder.h"
#include "server/health.h"
#include "server/session.h"

/*
 * Sessions as the server has them, on one connection of a hostile client, while
 * transactions come and turns of the loop go by. The input is steps, each a
 * letter, a length of one byte and as many bytes:
 *
 *	h CALL NAME FLAGS	request headers of the next stream
 *	s STREAM BITS ...	start, in DATA; a glob for each byte more
 *	a STREAM DIFFERENCE	acknowledges what was sent last, so much less or
 *				more
 *	d STREAM FLAGS ...	DATA
 *	f TYPE FLAGS STREAM ...	any frame
 *	w STREAM N		WINDOW_UPDATE by N * 256, of the connection, too
 *	r STREAM		RST_STREAM
 *	x ...			any bytes
 *	e ROWS SIZE		a transaction of so many rows is appended
 *	t TIME LIMIT		a turn, TIME * 50 ms after the last
 *	n			the client comes again, on a new connection
 *	l 0			streams end with what is in the ring
 *	l 1			streams in place end
 *	l 2			the server was set back
 *
 * What must hold: what is confirmed never falls, is no more than what there is,
 * and not beyond what the consumer "r", which is required, was told and said.
 */

static const char *const names[] = { "", "a", "r", "bb" };
static const char *const globs[] = { "*", "public.*", "public.t", "x.*", "[",
	"?ublic.[a-t]", "" };
static const char *const calls[] = { "/plugin.PluginService/Session",
	"/plugin.PluginService/Subscribe", HEALTH_CHECK, "/none" };

static const struct h2_method methods[] = {
	{ "/plugin.PluginService/Session", &session_handler },
	{ "/plugin.PluginService/Subscribe", &subscribe_handler },
	{ HEALTH_CHECK, &health_check_handler },
	{ NULL, NULL },
};

static struct h2_limits limits = { .max_streams = 10 };

struct scene {
	struct ring ring;
	struct quorum quorum;
	struct consumers consumers;
	struct publish publish;
	struct walreceiver wr;
	struct metrics metrics;
	struct access access;
	struct watches watches;
	struct session_list list;
	struct h2 *h2;
	struct buf out, in;
	struct note *relation;
	uint32_t table;
	int32_t next_id;
	lsn_t now, confirmed;
	bool over; /* the connection is of no more use */
};

static const struct walreceiver_config config = { .slot = "s" };

static void
connect_again(struct scene *x)
{
	static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				    "\0\0\0\4\0\0\0\0\0";
	struct err err;

	if (x->h2 != NULL)
		h2_del(x->h2);
	x->h2 = h2_new_server(methods, &x->list, &limits);
	assert(x->h2 != NULL);
	x->next_id = 1;
	x->over = h2_input(x->h2, (const uint8_t *)hello, sizeof(hello) - 1,
		      &err) == -1;
	assert(!x->over);
}

static void
scene_init(struct scene *x)
{
	memset(x, 0, sizeof(*x));
	ring_init(&x->ring, 4096);
	quorum_init(&x->quorum);
	consumers_init(&x->consumers, &x->quorum);
	x->list = (struct session_list){ .ring = &x->ring,
		.quorum = &x->quorum,
		.consumers = &x->consumers,
		.wr = &x->wr,
		.metrics = &x->metrics,
		.access = &x->access,
		.watches = &x->watches,
		.slow_timeout_us = SECONDS(3),
		.now = SECONDS(1),
		.next_at = INT64_MAX };
	buf_init(&x->list.scratch, 65536);
	if (publish_init(&x->publish, &x->ring, (size_t)1 << 20) == -1)
		abort();
	x->wr.config = &config;
	x->wr.publish = &x->publish;
	x->wr.quorum = &x->quorum;
	strcpy(x->wr.system_identifier, "1");
	x->now = x->confirmed = 100;
	publish_start(&x->publish, x->now, false);
	ring_segment(&x->ring, x->now);
	quorum_reset(&x->quorum, x->now);
	if (consumers_require(&x->consumers, "r") == -1)
		abort();
	x->table = names_put(&x->publish.names, "public", "t");
	x->relation = note_new("\0\0\0\0\2\x42\0", 7);
	if (x->table == UINT32_MAX || x->relation == NULL)
		abort();
	buf_init(&x->out, (size_t)1 << 20);
	buf_init(&x->in, (size_t)1 << 20);
	connect_again(x);
}

static void
scene_free(struct scene *x)
{
	h2_del(x->h2);
	assert(x->list.first == NULL && x->list.count == 0);
	assert(x->list.attached == 0);
	consumers_free(&x->consumers);
	buf_free(&x->list.scratch);
	publish_free(&x->publish);
	note_drop(x->relation);
	ring_free(&x->ring);
	buf_free(&x->out);
	buf_free(&x->in);
}

static void
frame_to(struct buf *b, uint8_t type, uint8_t flags, int32_t id, const void *p,
    size_t n)
{
	buf_put_u8(b, (uint8_t)(n >> 16));
	buf_put_u16(b, (uint16_t)n);
	buf_put_u8(b, type);
	buf_put_u8(b, flags);
	buf_put_u32(b, (uint32_t)id);
	buf_put(b, p, n);
}

/* A literal header that is not indexed, RFC 7541, section 6.2.2. */
static void
header_to(struct buf *b, const char *name, const char *value)
{
	buf_put_u8(b, 0);
	buf_put_u8(b, (uint8_t)strlen(name));
	buf_put_str(b, name);
	buf_put_u8(b, (uint8_t)strlen(value));
	buf_put_str(b, value);
}

static void
give(struct scene *x)
{
	struct err err;
	uint8_t *copy = fuzz_copy(buf_head(&x->in), buf_unread(&x->in));

	if (!x->over && h2_input(x->h2, copy, buf_unread(&x->in), &err) == -1)
		x->over = true;
	free(copy);
	buf_reset(&x->in);
}

static void
request(struct scene *x, const uint8_t *p, size_t n)
{
	struct buf block;
	const char *name = names[n > 1 ? p[1] % 4 : 0];

	if (n < 1)
		return;
	buf_init(&block, 4096);
	header_to(&block, ":method", "POST");
	header_to(&block, ":scheme", "http");
	header_to(&block, ":path", calls[p[0] % 4]);
	header_to(&block, ":authority", "h");
	header_to(&block, "te", "trailers");
	header_to(&block, "content-type", "application/grpc");
	if (*name != '\0')
		header_to(&block, "walstream-consumer", name);
	frame_to(&x->in, 1, 4 | (n > 2 ? p[2] & 1 : 0), x->next_id,
	    buf_head(&block), buf_unread(&block));
	x->next_id += 2;
	buf_free(&block);
	give(x);
}

/* A message, in a DATA frame. */
static void
put_message(struct scene *x, int32_t id, struct buf *msg)
{
	uint8_t head[FRAME_HEAD];
	struct buf data;

	assert(!msg->failed);
	buf_init(&data, (size_t)1 << 16);
	frame_head(head, buf_unread(msg));
	buf_put(&data, head, sizeof(head));
	buf_put(&data, buf_head(msg), buf_unread(msg));
	frame_to(&x->in, 0, 0, id, buf_head(&data), buf_unread(&data));
	buf_free(&data);
	give(x);
}

static void
start(struct scene *x, const uint8_t *p, size_t n)
{
	struct start s = { 0 };
	char *glob[START_MAX_TABLES];
	struct buf msg;

	if (n < 3)
		return;
	s.batch = (p[1] & 1) != 0;
	s.exact = (p[1] & 2) != 0;
	s.relations = (p[1] & 4) != 0;
	s.observer = (p[1] & 8) != 0;
	s.after_lsn = (p[1] & 16) != 0 ? x->now - (p[2] >> 2) : 0;
	s.progress_interval_ms = (p[1] & 32) != 0 ? 100 : 0;
	s.max_batch_bytes = (p[1] & 64) != 0 ? 50 : 0;
	s.operations = (p[1] & 128) != 0 ? 1 << EVENT_INSERT : 0;
	strcpy(s.consumer, names[p[2] % 4]);
	for (size_t i = 3; i < n && s.tables < START_MAX_TABLES; i++)
		if ((glob[s.tables] = strdup(globs[p[i] % 7])) != NULL)
			s.table[s.tables] = glob[s.tables], s.tables++;
	buf_init(&msg, (size_t)1 << 16);
	proto_put_start(&msg, &s);
	put_message(x, p[0], &msg);
	buf_free(&msg);
	for (size_t i = 0; i < s.tables; i++)
		free(glob[i]);
}

static struct session *
session_of(struct scene *x, int32_t id)
{
	struct session *s = x->list.first;

	while (s != NULL && s->stream->id != id)
		s = s->next;
	return s;
}

static void
ack(struct scene *x, const uint8_t *p, size_t n)
{
	struct session *s;
	struct buf msg;

	if (n < 2)
		return;
	s = session_of(x, p[0]);
	buf_init(&msg, 4096);
	proto_put_ack(&msg,
	    (s != NULL ? s->member.sent : x->now) +
		(lsn_t)(int64_t)(int8_t)p[1]);
	put_message(x, p[0], &msg);
	buf_free(&msg);
}

static void
framed_event(struct buf *to, const struct event *e)
{
	uint8_t head[FRAME_HEAD];
	struct buf b;

	buf_init(&b, 65536);
	proto_put_event(&b, e);
	frame_head(head, buf_unread(&b));
	buf_put(to, head, sizeof(head));
	buf_put(to, buf_head(&b), buf_unread(&b));
	buf_free(&b);
}

/* As publish does it: begin, rows, commit. */
static void
transaction(struct scene *x, const uint8_t *p, size_t n)
{
	struct event_txn txn = { x->now, x->now + 9, 5, 6 };
	struct ring_tag tag = { x->table, EVENT_INSERT, false, x->relation };
	uint32_t rows = n > 0 ? p[0] % 5 + 1 : 1;
	char text[256];
	struct buf b;
	int rc;

	if (!ring_room(&x->ring))
		return;
	memset(text, 'x', sizeof(text));
	rc = ring_append(&x->ring, (struct ring_pos){ x->now, RING_BEGIN, 0 },
	    x->now, (struct ring_tag){ 0 }, &txn, sizeof(txn));
	for (uint32_t i = 1; i <= rows && rc == 0; i++) {
		struct event e = { .op = EVENT_INSERT,
			.pg_lsn = i == rows ? txn.end_lsn : txn.commit_lsn,
			.txn = txn,
			.seq = i,
			.schema = "public",
			.table = "t",
			.json = { text, n > 1 ? p[1] : 1 } };

		buf_init(&b, 65536);
		framed_event(&b, &e);
		rc = ring_append(&x->ring, (struct ring_pos){ x->now, i, 0 },
		    e.pg_lsn, tag, buf_head(&b), buf_unread(&b));
		buf_free(&b);
	}
	rc |= ring_append(&x->ring, (struct ring_pos){ x->now, RING_COMMIT, 0 },
	    txn.end_lsn, (struct ring_tag){ 0 }, &txn, sizeof(txn));
	assert(rc == 0);
	x->publish.txn = txn;
	x->now += 10;
	x->publish.complete_lsn = x->wr.received = x->now;
}

/* The required consumer's word, as far as it can be read here. */
static void
check(struct scene *x)
{
	const struct consumer *c = consumers_get(&x->consumers, "r", NULL);
	const struct session *s = c->stream;
	lsn_t most = s != NULL && session_in_place(s)
	    ? quorum_position(&s->member)
	    : lsn_max(c->position, x->confirmed);

	assert(x->quorum.confirmed >= x->confirmed);
	assert(x->quorum.confirmed <= x->now);
	assert(x->quorum.confirmed <= lsn_max(most, x->confirmed));
	x->confirmed = x->quorum.confirmed;
}

/* server.c, turn. */
static void
turn(struct scene *x, const uint8_t *p, size_t n)
{
	size_t limit = n > 1 ? (size_t)p[1] << 6 : 65536;
	struct err err;

	x->list.now += n > 0 ? MS(50) * p[0] : 0;
	h2_tick(x->h2, x->list.now);
	quorum_confirm(&x->quorum);
	sessions_place(&x->list);
	sessions_update(&x->list);
	if (h2_output(x->h2, &x->out, limit, &err) == -1)
		x->over = true;
	buf_reset(&x->out);
	if (x->over || h2_over(x->h2))
		connect_again(x);
	sessions_update(&x->list);
	ring_trim(&x->ring, sessions_low(&x->list), quorum_settle(&x->quorum));
	check(x);
}

static void
any_frame(struct scene *x, char letter, const uint8_t *p, size_t n)
{
	uint8_t four[4] = { 0, 0, n > 1 ? p[1] : 1, 0 };

	if (letter == 'd' && n >= 2) {
		frame_to(&x->in, 0, p[1], p[0], p + 2, n - 2);
	} else if (letter == 'f' && n >= 3) {
		frame_to(&x->in, p[0], p[1], p[2], p + 3, n - 3);
	} else if (letter == 'w' && n >= 1) {
		frame_to(&x->in, 8, 0, p[0], four, 4);
		frame_to(&x->in, 8, 0, 0, four, 4);
	} else if (letter == 'r' && n >= 1) {
		four[2] = 0;
		four[3] = 8;
		frame_to(&x->in, 3, 0, p[0], four, 4);
	} else if (letter == 'x') {
		buf_put(&x->in, p, n);
	}
	give(x);
}

static void
end_streams(struct scene *x, const uint8_t *p, size_t n)
{
	if (n < 1)
		return;
	if (p[0] == 0)
		sessions_end_last(&x->list, GRPC_FAILED_PRECONDITION, "why");
	else if (p[0] == 1)
		sessions_end(&x->list, false, GRPC_DATA_LOSS, "why");
	else if (p[0] == 2)
		sessions_forget(&x->list);
}

static void
step(struct scene *x, char letter, const uint8_t *p, size_t n)
{
	switch (letter) {
	case 'h':
		request(x, p, n);
		break;
	case 's':
		start(x, p, n);
		break;
	case 'a':
		ack(x, p, n);
		break;
	case 'e':
		transaction(x, p, n);
		break;
	case 't':
		turn(x, p, n);
		break;
	case 'l':
		end_streams(x, p, n);
		break;
	case 'n':
		connect_again(x);
		break;
	default:
		any_frame(x, letter, p, n);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scene x;
	size_t len;

	log_set_level(LOG_ERROR);
	scene_init(&x);
	while (size >= 2) {
		len = data[1] < size - 2 ? data[1] : size - 2;
		step(&x, (char)data[0], data + 2, len);
		data += 2 + len;
		size -= 2 + len;
	}
	turn(&x, NULL, 0);
	scene_free(&x);
	return 0;
}
