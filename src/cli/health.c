#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "event/proto_health.h"

/*
 * walstream health: asks a server whether it can serve, for container engines,
 * load balancers and scripts.
 */

#define MAX_MESSAGE 512

struct question {
	struct call call;
	bool asked;
	bool answered;
	enum health status;
};

static size_t
question_pull(struct h2_stream *s, uint8_t *to, size_t cap)
{
	struct question *q = s->user;
	struct buf msg;
	size_t n;

	if (q->asked)
		return 0;
	buf_init(&msg, MAX_MESSAGE);
	proto_put_health_request(&msg, "");
	n = buf_unread(&msg);
	if (!msg.failed && n + FRAME_HEAD <= cap) {
		frame_head(to, n);
		memcpy(to + FRAME_HEAD, buf_head(&msg), n);
		q->asked = true;
		h2_finish(s);
	}
	buf_free(&msg);
	return q->asked ? n + FRAME_HEAD : 0;
}

static void
question_message(struct h2_stream *s, const uint8_t *p, size_t n)
{
	struct question *q = s->user;

	if (proto_get_health(p, n, &q->status, &q->call.err) == 0)
		q->answered = true;
}

static void
question_closed(struct h2_stream *s)
{
	struct question *q = s->user;

	q->call.stream = NULL;
	if (q->call.err.kind != ERR_NONE)
		return;
	if (s->code != GRPC_OK)
		err_set(&q->call.err, ERR_IO, "the server answered %s%s%s",
		    grpc_code_name(s->code), *s->message != '\0' ? ": " : "",
		    s->message);
	else if (!q->answered)
		err_set(&q->call.err, ERR_PROTO, "the server did not answer");
}

static const struct h2_handler handler = {
	.max_message = MAX_MESSAGE,
	.message = question_message,
	.pull = question_pull,
	.closed = question_closed,
};

/* Where `start` listens by its environment; not every address of a listener
 * can be connected to. */
static const char *
default_host(void)
{
	const char *host = getenv("HOST");

	if (host == NULL || *host == '\0' || strcmp(host, "0.0.0.0") == 0 ||
	    strcmp(host, "::") == 0)
		return "127.0.0.1";
	return host;
}

static const char *
default_port(void)
{
	const char *port = getenv("PORT");

	return port == NULL || *port == '\0' ? "50051" : port;
}

static int
ask(struct question *q, const char *address, int64_t timeout_us)
{
	int64_t until = clock_mono_us() + timeout_us, left;

	if (call_begin(&q->call, address, default_host(), default_port(),
		(int)(timeout_us / 1000), HEALTH_CHECK, &handler, q) == -1)
		return -1;
	while (q->call.stream != NULL) {
		if (call_send(&q->call) == -1)
			return -1;
		if ((left = until - clock_mono_us()) <= 0)
			return err_set(&q->call.err, ERR_IO,
			    "no answer within the --timeout");
		if (call_wait(&q->call, (int)(left / 1000) + 1) == -1)
			return -1;
	}
	return q->call.err.kind == ERR_NONE ? 0 : -1;
}

int
cmd_health(const struct options *o)
{
	const char *address = o->value[OPT_ADDRESS];
	struct question q = { .asked = false };
	int64_t timeout_us;
	int rc;

	call_init(&q.call);
	if (call_read_tls(&q.call, o) == -1 ||
	    options_seconds(o, OPT_TIMEOUT, &timeout_us, &q.call.err) == -1 ||
	    call_read_token(&q.call, o->value[OPT_TOKEN_FILE]) == -1)
		return cmd_fail(&q.call.err);
	rc = ask(&q, address != NULL ? address : "", timeout_us);
	if (rc == 0)
		puts(health_name(q.status));
	call_free(&q.call);
	if (rc == -1)
		return cmd_fail(&q.call.err);
	return q.status == HEALTH_SERVING ? EXIT_DONE : EXIT_FAILED;
}
