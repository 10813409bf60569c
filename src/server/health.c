#include "server/health.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define MAX_REQUEST 1024
/* How long a Check may take to be asked. */
#define CHECK_TIME SECONDS(20)
#define MAX_ANSWER 512

enum health
health_of(const struct session_list *l)
{
	return !l->draining && walreceiver_able(l->wr) ? HEALTH_SERVING
						       : HEALTH_NOT_SERVING;
}

static bool
is_known(const char *service)
{
	return *service == '\0' || strcmp(service, "plugin.PluginService") == 0;
}

static void
put_answer(struct buf *out, enum health status)
{
	struct buf message;

	buf_init(&message, MAX_ANSWER);
	proto_put_health(&message, status);
	frame_put(out, &message);
	buf_free(&message);
}

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

static void
check_answer(struct h2_stream *s)
{
	struct check *c = s->user;

	if (!c->asked) {
		h2_end(s, GRPC_UNIMPLEMENTED, "no request message");
		return;
	}
	if (!is_known(c->service)) {
		h2_end(s, GRPC_NOT_FOUND, "unknown service %s", c->service);
		return;
	}
	put_answer(&c->out, health_of(c->list));
	if (c->out.failed)
		h2_end(s, GRPC_RESOURCE_EXHAUSTED, "out of memory");
	else
		h2_respond(s);
}

static size_t
check_pull(struct h2_stream *s, uint8_t *to, size_t cap)
{
	struct check *c = s->user;
	size_t n = frame_take(&c->out, to, cap);

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
	.open_to_all = true,
	.most_us = CHECK_TIME,
	.max_message = MAX_REQUEST,
	.open = check_open,
	.message = check_message,
	.half_closed = check_answer,
	.pull = check_pull,
	.closed = check_closed,
};

/* A request, then a status whenever there is another, until the server stops
 * or the client does. */
struct watch {
	struct h2_stream *stream;
	const struct session_list *list;
	bool asked;
	bool known; /* the service is one of ours */
	bool told;
	enum health status; /* that was told last */
	struct buf out;     /* one answer, framed */
	struct watch *next, *prev;
};

static void
watch_open(struct h2_stream *s, void *arg)
{
	const struct session_list *l = arg;
	struct watch *w = calloc(1, sizeof(*w));

	s->user = w;
	if (w == NULL) {
		h2_end(s, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	w->stream = s;
	w->list = l;
	buf_init(&w->out, MAX_ANSWER);
	w->next = l->watches->first;
	if (w->next != NULL)
		w->next->prev = w;
	l->watches->first = w;
}

static enum health
watched(const struct watch *w)
{
	return w->known ? health_of(w->list) : HEALTH_SERVICE_UNKNOWN;
}

static bool
has_news(const struct watch *w)
{
	return w->asked && (!w->told || w->status != watched(w));
}

static void
watch_message(struct h2_stream *s, const uint8_t *p, size_t n)
{
	char service[HEALTH_MAX_SERVICE + 1];
	struct watch *w = s->user;
	struct err err;

	if (w == NULL)
		return;
	if (w->asked) {
		h2_end(s, GRPC_UNIMPLEMENTED, "more than one request message");
	} else if (proto_get_health_request(p, n, service, &err) == -1) {
		h2_end(s, GRPC_INTERNAL, "%s", err.text);
	} else {
		w->asked = true;
		w->known = is_known(service);
		h2_respond(s);
	}
}

static void
watch_half_closed(struct h2_stream *s)
{
	struct watch *w = s->user;

	if (w != NULL && !w->asked)
		h2_end(s, GRPC_UNIMPLEMENTED, "no request message");
}

/* Nothing is left to be told. */
static void
end_watch(const struct watch *w)
{
	h2_end(w->stream, GRPC_UNAVAILABLE, "walstream is shutting down");
}

static size_t
watch_pull(struct h2_stream *s, uint8_t *to, size_t cap)
{
	struct watch *w = s->user;
	size_t n;

	if (buf_unread(&w->out) == 0 && has_news(w)) {
		w->told = true;
		w->status = watched(w);
		put_answer(&w->out, w->status);
		if (w->out.failed)
			h2_reset(s); /* out of memory */
	}
	n = frame_take(&w->out, to, cap);
	s->mid_message = buf_unread(&w->out) > 0;
	if (n > 0 && w->list->watches->over && !s->mid_message && !has_news(w))
		end_watch(w);
	return n;
}

static void
watch_closed(struct h2_stream *s)
{
	struct watch *w = s->user;

	if (w == NULL)
		return;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		w->list->watches->first = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	buf_free(&w->out);
	free(w);
}

void
health_update(const struct session_list *l)
{
	enum health status = health_of(l);

	if (l->watches->status == status)
		return;
	l->watches->status = status;
	for (struct watch *w = l->watches->first; w != NULL; w = w->next)
		if (w->asked)
			h2_wake(w->stream);
}

void
health_end(const struct session_list *l)
{
	l->watches->over = true;
	for (struct watch *w = l->watches->first; w != NULL; w = w->next)
		if (has_news(w) || buf_unread(&w->out) > 0)
			h2_wake(w->stream); /* its pull ends it */
		else
			end_watch(w);
}

const struct h2_handler health_watch_handler = {
	.open_to_all = true,
	.max_message = MAX_REQUEST,
	.open = watch_open,
	.message = watch_message,
	.half_closed = watch_half_closed,
	.pull = watch_pull,
	.closed = watch_closed,
};
