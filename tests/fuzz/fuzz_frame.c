#include "event/proto.h"
#include "event/proto_health.h"
#include "fuzz.h"
#include "grpc/frame.h"

/*
 * What comes in the DATA frames of a call, as the messages of each kind that
 * may come there. The input's first byte: 0x01 grpc-encoding was named, the
 * rest how many bytes are given at a time, 0: all. How they are cut must not
 * matter.
 */

#define LIMIT 4096

/* What came of one stream of bytes. */
struct outcome {
	struct buf messages; /* each behind its length */
	enum frame_result last;
	enum grpc_code code;
	bool partial;
};

static void
check_err(const struct err *err)
{
	assert(err->kind == ERR_PROTO || err->kind == ERR_USAGE);
	assert(memchr(err->text, '\0', sizeof(err->text)) != NULL);
	assert(*err->text != '\0');
}

/* What was read of a start, written and read again, is the same. */
static void
check_start(const struct start *s)
{
	struct client_message again;
	struct buf out;
	struct err err;

	assert(s->tables <= START_MAX_TABLES);
	assert(s->messages <= START_MAX_TABLES);
	buf_init(&out, (size_t)1 << 20);
	proto_put_start(&out, s);
	assert(!out.failed);
	assert(proto_get_client(buf_head(&out), buf_unread(&out), &again,
		   &err) == 0);
	assert(again.has_start && again.start.tables == s->tables);
	for (size_t i = 0; i < s->tables; i++)
		assert(strcmp(again.start.table[i], s->table[i]) == 0);
	assert(strcmp(again.start.consumer, s->consumer) == 0);
	assert(again.start.after_lsn == s->after_lsn);
	assert(again.start.operations == s->operations);
	assert(again.start.exact == s->exact && again.start.batch == s->batch);
	proto_start_free(&again.start);
	buf_free(&out);
}

static void
check_message(const uint8_t *p, size_t n)
{
	char service[HEALTH_MAX_SERVICE + 1];
	struct client_message m;
	struct err err = { 0 };
	uint8_t *copy = fuzz_copy(p, n);

	if (proto_get_client(copy, n, &m, &err) == -1) {
		check_err(&err);
	} else {
		if (m.has_start)
			check_start(&m.start);
		proto_start_free(&m.start);
	}
	if (proto_get_health_request(copy, n, service, &err) == -1)
		check_err(&err);
	else
		assert(memchr(service, '\0', sizeof(service)) != NULL);
	free(copy);
}

static void
run(struct outcome *o, const uint8_t *p, size_t n, size_t step, bool encoded)
{
	const char *why = NULL;
	const uint8_t *piece;
	struct frame f;
	size_t take;
	uint8_t *copy;

	frame_init(&f, LIMIT);
	f.encoded = encoded;
	buf_init(&o->messages, (size_t)1 << 24);
	o->last = FRAME_MORE;
	for (; n > 0 && o->last != FRAME_BAD; p += take, n -= take) {
		take = n < step ? n : step;
		piece = copy = fuzz_copy(p, take);
		for (size_t left = take;;) {
			o->last = frame_next(&f, &piece, &left, &o->code, &why);
			if (o->last != FRAME_MESSAGE)
				break;
			assert(buf_unread(&f.body) == f.len);
			assert(f.len <= LIMIT);
			buf_put_u32(&o->messages, (uint32_t)f.len);
			buf_put(&o->messages, buf_head(&f.body), f.len);
		}
		assert(piece <= copy + take);
		assert(o->last == FRAME_BAD || piece == copy + take);
		free(copy);
	}
	assert(o->last != FRAME_BAD || *why != '\0');
	o->partial = frame_partial(&f);
	frame_free(&f);
}

static void
check_messages(struct buf *b)
{
	const uint8_t *p = buf_head(b), *end = p + buf_unread(b);
	size_t len;

	for (; p < end; p += 4 + len) {
		len = (size_t)p[0] << 24 | (size_t)p[1] << 16 |
		    (size_t)p[2] << 8 | p[3];
		check_message(p + 4, len);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, cut;
	size_t step;
	bool encoded;

	if (size == 0)
		return 0;
	encoded = (data[0] & 1) != 0;
	step = data[0] >> 1;
	run(&whole, data + 1, size - 1, SIZE_MAX, encoded);
	run(&cut, data + 1, size - 1, step == 0 ? SIZE_MAX : step, encoded);
	assert(whole.last == cut.last && whole.partial == cut.partial);
	assert(whole.last != FRAME_BAD || whole.code == cut.code);
	assert(buf_unread(&whole.messages) == buf_unread(&cut.messages));
	assert(buf_unread(&whole.messages) == 0 ||
	    memcmp(buf_head(&whole.messages), buf_head(&cut.messages),
		buf_unread(&whole.messages)) == 0);
	check_messages(&whole.messages);
	buf_free(&whole.messages);
	buf_free(&cut.messages);
	return 0;
}
