#include "server/health.h"

#include <stdlib.h>
#include <string.h>

#include "event/proto_health.h"

#define MAX_REQUEST 1024
#define MAX_ANSWER 512

/* One unary call: a request, END_STREAM, an answer, OK. Another number of
 * requests is UNIMPLEMENTED (grpc/doc/statuscodes.md). */
struct check {
	const struct session_list *list;
	bool asked;
	char service[HEALTH_MAX_SERVICE + 1];
	struct buf out; /* the answer, framed */
};

static void
check_open(struct h2_stream *s, void *arg)
{
	struct check *c = calloc(1, sizeof(*c));

	s->user = c;
	if (c == NULL) {
		h2_end(s, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	c->list = arg;
	buf_init(&c->out, MAX_ANSWER);
}

static void
check_message(struct h2_stream *s, const uint8_t *p, size_t n)
{
	struct check *c = s->user;
	struct err err;

	if (c->asked)
		h2_end(s, GRPC_UNIMPLEMENTED, "more than one request message");
	else if (proto_get_health_request(p, n, c->service, &err) == -1)
		h2_end(s, GRPC_INTERNAL, "%s", err.text);
	c->asked = true;
}

enum health
health_of(const struct session_list *l)
{
	return !l->draining && walreceiver_able(l->wr) ? HEALTH_SERVING
						       : HEALTH_NOT_SERVING;
}

static void
check_answer(struct h2_stream *s)
{
	struct check *c = s->user;
	uint8_t head[FRAME_HEAD];
	struct buf msg;

	if (!c->asked) {
		h2_end(s, GRPC_UNIMPLEMENTED, "no request message");
		return;
	}
	if (*c->service != '\0' &&
	    strcmp(c->service, "plugin.PluginService") != 0) {
		h2_end(s, GRPC_NOT_FOUND, "unknown service %s", c->service);
		return;
	}
	buf_init(&msg, MAX_ANSWER);
	proto_put_health(&msg, health_of(c->list));
	frame_head(head, buf_unread(&msg));
	buf_put(&c->out, head, sizeof(head));
	buf_put(&c->out, buf_head(&msg), buf_unread(&msg));
	if (msg.failed || c->out.failed)
		h2_end(s, GRPC_RESOURCE_EXHAUSTED, "out of memory");
	else
		h2_respond(s);
	buf_free(&msg);
}

static size_t
check_pull(struct h2_stream *s, uint8_t *to, size_t cap)
{
	struct check *c = s->user;
	size_t n = buf_unread(&c->out);

	if (n > cap)
		n = cap;
	memcpy(to, buf_head(&c->out), n);
	buf_consume(&c->out, n);
	s->mid_message = buf_unread(&c->out) > 0;
	if (!s->mid_message)
		h2_end(s, GRPC_OK, "%s", "");
	return n;
}

static void
check_closed(struct h2_stream *s)
{
	struct check *c = s->user;

	if (c != NULL)
		buf_free(&c->out);
	free(c);
}

const struct h2_handler health_check_handler = {
	.max_message = MAX_REQUEST,
	.open = check_open,
	.message = check_message,
	.half_closed = check_answer,
	.pull = check_pull,
	.closed = check_closed,
};
