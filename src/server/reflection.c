#include "server/reflection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/proto_reflection.h"
#include "grpc/descriptors.h"
#include "server/session.h"

#define MAX_REQUEST 4096
/* Requests that wait for the client to take answers, bytes: no less than a
 * stream's window, which they take up until they are answered. */
#define MAX_WAITING ((size_t)64 * 1024)
/* The largest file, the request, and what is around them. */
#define MAX_ANSWER ((size_t)64 * 1024)
/* What all streams together may hold of both, bytes. */
#define MAX_HELD 8388608

struct reflection {
	struct session_list *list;
	struct pass pass;
	struct buf waiting; /* requests, each behind its length (two bytes) */
	struct buf out;     /* the answer that is being sent, framed */
	size_t held;        /* of the list's sum */
	/* How it ends, once what waits was answered. */
	bool over;
	enum grpc_code code;
	char why[128];
};

/* Gives back what is not needed, and counts the rest. */
static void
settle(struct reflection *r)
{
	size_t held;

	if (buf_unread(&r->waiting) == 0)
		buf_shrink(&r->waiting, 0);
	if (buf_unread(&r->out) == 0)
		buf_shrink(&r->out, 0);
	held = r->waiting.cap + r->out.cap;
	r->list->reflecting += held - r->held;
	r->held = held;
}

static bool
is_full(const struct reflection *r)
{
	return r->list->reflecting >= MAX_HELD;
}

static const char full[] = "too many requests wait for their answers, or for "
			   "clients to take them";

static void
reflection_open(struct h2_stream *s, void *arg)
{
	struct session_list *l = arg;
	struct reflection *r;
	struct pass pass;

	if (!access_admit(l->access, s, l->now, &pass))
		return;
	if ((s->user = r = calloc(1, sizeof(*r))) == NULL) {
		pass_drop(&pass);
		h2_end(s, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	r->list = l;
	r->pass = pass;
	buf_init(&r->waiting, MAX_WAITING);
	buf_init(&r->out, MAX_ANSWER + FRAME_HEAD);
	h2_respond(s);
}

static bool
is_idle(const struct reflection *r)
{
	return buf_unread(&r->waiting) == 0 && buf_unread(&r->out) == 0;
}

/* Nothing more is taken; what came before is still answered. */
static void
finish(struct h2_stream *s, enum grpc_code code, const char *why)
{
	struct reflection *r = s->user;

	if (r->over)
		return;
	r->over = true;
	r->code = code;
	snprintf(r->why, sizeof(r->why), "%s", why);
	if (is_idle(r))
		h2_end(s, code, "%s", why);
}

static void
reflection_message(struct h2_stream *s, const uint8_t *p, size_t n)
{
	struct reflection *r = s->user;
	struct reflection_request q;
	struct err err;

	if (r == NULL || r->over)
		return;
	/* It knows the same whatever its token may see. */
	if (access_renew(r->list->access, &r->pass) == PASS_GONE) {
		finish(s, GRPC_UNAUTHENTICATED,
		    "this token is not known here any more");
		return;
	}
	if (proto_get_reflection(&q, p, n, &err) == -1) {
		finish(s,
		    err.kind == ERR_LIMIT ? GRPC_INVALID_ARGUMENT
					  : GRPC_INTERNAL,
		    err.text);
		return;
	}
	if (q.kind == REFLECTION_NOTHING) {
		finish(s, GRPC_INVALID_ARGUMENT, "the request asks nothing");
		return;
	}
	if (is_full(r)) {
		finish(s, GRPC_RESOURCE_EXHAUSTED, full);
		return;
	}
	buf_put_u16(&r->waiting, (uint16_t)n);
	buf_put(&r->waiting, p, n);
	if (r->waiting.failed)
		h2_end(s, GRPC_RESOURCE_EXHAUSTED, "out of memory");
	else
		h2_wake(s);
	settle(r);
}

static void
reflection_half_closed(struct h2_stream *s)
{
	if (s->user != NULL)
		finish(s, GRPC_OK, "");
}

static void
answer_file(struct buf *to, const struct reflection_request *q,
    const struct descriptor_file *file)
{
	char why[64 + REFLECTION_MAX_NAME];

	if (file != NULL) {
		proto_put_reflected_file(to, q, file->bytes, file->n);
		return;
	}
	snprintf(why, sizeof(why), "unknown %s: %.*s",
	    q->kind == REFLECTION_FILE ? "file" : "symbol", (int)q->name.n,
	    q->name.p);
	proto_put_reflected_error(to, q, GRPC_NOT_FOUND, why);
}

/* No message of ours can be extended: proto3 has no extensions. */
static void
answer_extension(struct buf *to, const struct reflection_request *q)
{
	if (descriptors_symbol(q->name.p, q->name.n) == NULL)
		answer_file(to, q, NULL);
	else if (q->kind == REFLECTION_NUMBERS)
		proto_put_reflected_numbers(to, q);
	else
		proto_put_reflected_error(to, q, GRPC_NOT_FOUND,
		    "there are no extensions");
}

static void
answer(struct buf *to, const struct reflection_request *q)
{
	switch (q->kind) {
	case REFLECTION_FILE:
		answer_file(to, q, descriptors_file(q->name.p, q->name.n));
		break;
	case REFLECTION_SYMBOL:
		answer_file(to, q, descriptors_symbol(q->name.p, q->name.n));
		break;
	case REFLECTION_SERVICES:
		proto_put_reflected_services(to, q, descriptor_services,
		    descriptor_services_count);
		break;
	case REFLECTION_EXTENSION:
	case REFLECTION_NUMBERS:
		answer_extension(to, q);
		break;
	case REFLECTION_NOTHING:
		break; /* was refused when it came */
	}
}

/* Puts the answer to the first request that waits into r->out. */
static void
next_answer(struct h2_stream *s)
{
	struct reflection *r = s->user;
	const uint8_t *p = buf_head(&r->waiting);
	size_t n = (size_t)p[0] << 8 | p[1];
	struct reflection_request q;
	struct buf message;
	struct err err;

	buf_init(&message, MAX_ANSWER);
	if (proto_get_reflection(&q, p + 2, n, &err) == 0)
		answer(&message, &q);
	frame_put(&r->out, &message);
	buf_free(&message);
	buf_consume(&r->waiting, n + 2);
	h2_took(s, n);
}

static size_t
reflection_pull(struct h2_stream *s, uint8_t *to, size_t cap)
{
	struct reflection *r = s->user;
	size_t n;

	if (buf_unread(&r->out) == 0 && buf_unread(&r->waiting) > 0) {
		if (is_full(r)) {
			h2_end(s, GRPC_RESOURCE_EXHAUSTED, "%s", full);
			return 0;
		}
		next_answer(s);
	}
	if (r->out.failed) {
		h2_reset(s); /* out of memory */
		return 0;
	}
	n = frame_take(&r->out, to, cap);
	s->mid_message = buf_unread(&r->out) > 0;
	settle(r);
	if (n > 0 && r->over && is_idle(r))
		h2_end(s, r->code, "%s", r->why);
	return n;
}

static void
reflection_closed(struct h2_stream *s)
{
	struct reflection *r = s->user;

	if (r == NULL)
		return;
	pass_drop(&r->pass);
	buf_reset(&r->waiting);
	buf_reset(&r->out);
	settle(r);
	free(r);
}

const struct h2_handler reflection_handler = {
	.max_message = MAX_REQUEST,
	.holds = true,
	.open = reflection_open,
	.message = reflection_message,
	.half_closed = reflection_half_closed,
	.pull = reflection_pull,
	.closed = reflection_closed,
};
