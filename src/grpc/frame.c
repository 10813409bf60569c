#include "grpc/frame.h"

#include <string.h>

/* Memory that a message needed is given back above this. */
#define KEEP ((size_t)64 * 1024)

void
frame_init(struct frame *f, size_t max)
{
	memset(f, 0, sizeof(*f));
	buf_init(&f->body, max);
}

void
frame_free(struct frame *f)
{
	buf_free(&f->body);
}

static enum frame_result
bad(enum grpc_code *code, const char **why, enum grpc_code c, const char *w)
{
	*code = c;
	*why = w;
	return FRAME_BAD;
}

static enum frame_result
check_head(struct frame *f, enum grpc_code *code, const char **why)
{
	if (f->head[0] == 1 && f->encoded)
		return bad(code, why, GRPC_UNIMPLEMENTED,
		    "compressed messages are not supported");
	if (f->head[0] == 1)
		return bad(code, why, GRPC_INTERNAL,
		    "compressed message without grpc-encoding");
	if (f->head[0] != 0)
		return bad(code, why, GRPC_INTERNAL,
		    "unknown flag in the message prefix");
	f->len = (size_t)f->head[1] << 24 | (size_t)f->head[2] << 16 |
	    (size_t)f->head[3] << 8 | f->head[4];
	if (f->len > f->body.max)
		return bad(code, why, GRPC_RESOURCE_EXHAUSTED,
		    "message is larger than the limit");
	return FRAME_MORE;
}

enum frame_result
frame_next(struct frame *f, const uint8_t **p, size_t *n, enum grpc_code *code,
    const char **why)
{
	size_t take;

	if (f->have == FRAME_HEAD && buf_unread(&f->body) == f->len) {
		f->have = 0; /* that message was handed out */
		buf_shrink(&f->body, KEEP);
	}
	while (f->have<FRAME_HEAD && * n> 0) {
		f->head[f->have++] = *(*p)++;
		--*n;
		if (f->have == FRAME_HEAD &&
		    check_head(f, code, why) == FRAME_BAD)
			return FRAME_BAD;
	}
	if (f->have < FRAME_HEAD)
		return FRAME_MORE;
	take = f->len - buf_unread(&f->body);
	take = take < *n ? take : *n;
	buf_put(&f->body, *p, take);
	*p += take;
	*n -= take;
	if (f->body.failed)
		return bad(code, why, GRPC_RESOURCE_EXHAUSTED, "out of memory");
	return buf_unread(&f->body) == f->len ? FRAME_MESSAGE : FRAME_MORE;
}

bool
frame_partial(const struct frame *f)
{
	if (f->have < FRAME_HEAD)
		return f->have > 0;
	return buf_unread(&f->body) < f->len;
}

void
frame_head(uint8_t to[FRAME_HEAD], size_t len)
{
	to[0] = 0;
	to[1] = (uint8_t)(len >> 24);
	to[2] = (uint8_t)(len >> 16);
	to[3] = (uint8_t)(len >> 8);
	to[4] = (uint8_t)len;
}

void
frame_put(struct buf *out, const struct buf *message)
{
	uint8_t head[FRAME_HEAD];

	frame_head(head, buf_unread(message));
	buf_put(out, head, sizeof(head));
	buf_put(out, buf_head(message), buf_unread(message));
	if (message->failed)
		out->failed = true;
}

size_t
frame_take(struct buf *out, uint8_t *to, size_t cap)
{
	size_t n = buf_unread(out) < cap ? buf_unread(out) : cap;

	memcpy(to, buf_head(out), n);
	buf_consume(out, n);
	return n;
}
