#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "event/proto.h"

/*
 * walstream tail: a gRPC client like any other, which prints what it gets.
 */

#define SERVICE "/plugin.PluginService/"
#define READ_SIZE ((size_t)64 * 1024)
#define MAX_EVENT (((size_t)1 << 30) + 65536)
#define CONNECT_TIMEOUT_MS 10000
/* How long the server gets to take the last ack. */
#define FINISH_TIMEOUT_MS 2000

struct tail {
	struct call call;
	bool ack, quiet, pretty;
	bool subscribe;     /* something was asked that Session cannot do */
	bool started;       /* start was sent */
	struct start start; /* strings borrowed */
	unsigned long long limit; /* 0: none */
	unsigned long long count;
	int64_t first_at; /* of the first event; 0: none yet */
	lsn_t printed;    /* highest pg_lsn printed */
	lsn_t acked;
	struct buf text; /* to print */
	struct buf hold; /* the strings of one event */
};

static volatile sig_atomic_t interrupted;

static void
on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

static bool
finished(const struct tail *t)
{
	return t->limit > 0 && t->count >= t->limit;
}

static void
flush_text(struct tail *t)
{
	if (t->text.failed)
		err_set(&t->call.err, ERR_NOMEM, "out of memory");
	if (buf_unread(&t->text) > 0 &&
	    (fwrite(buf_head(&t->text), 1, buf_unread(&t->text), stdout) <
		    buf_unread(&t->text) ||
		fflush(stdout) != 0))
		err_set(&t->call.err, ERR_IO,
		    "cannot write to standard output");
	buf_shrink(&t->text, READ_SIZE);
}

static void
take_event(void *arg, const struct event *e)
{
	struct tail *t = arg;
	bool row = e->op <= EVENT_TRUNCATE;

	if (finished(t) || e->op == EVENT_STARTED)
		return;
	if (row && t->count++ == 0)
		t->first_at = clock_mono_us();
	if (!t->quiet)
		(t->pretty ? print_pretty : print_json)(&t->text, e,
		    t->subscribe);
	t->printed = lsn_max(t->printed, e->pg_lsn);
	if (buf_unread(&t->text) > READ_SIZE)
		flush_text(t);
}

static void
tail_message(struct h2_stream *s, const uint8_t *p, size_t n)
{
	struct tail *t = s->user;

	if (!finished(t) && t->call.err.kind == ERR_NONE)
		proto_get_events(p, n, &t->hold, take_event, t, &t->call.err);
}

/* What a client says: start, where that is called for, and acks. */
static size_t
tail_pull(struct h2_stream *s, uint8_t *to, size_t cap)
{
	struct tail *t = s->user;
	struct buf msg;
	size_t n;

	if ((!t->subscribe || t->started) &&
	    (!t->ack || t->acked >= t->printed))
		return 0;
	buf_init(&msg, cap);
	if (t->subscribe && !t->started)
		proto_put_start(&msg, &t->start);
	else
		proto_put_ack(&msg, t->printed);
	n = buf_unread(&msg);
	if (msg.failed || n + FRAME_HEAD > cap) {
		buf_free(&msg);
		return 0;
	}
	frame_head(to, n);
	memcpy(to + FRAME_HEAD, buf_head(&msg), n);
	buf_free(&msg);
	if (t->subscribe && !t->started)
		t->started = true;
	else
		t->acked = t->printed;
	return n + FRAME_HEAD;
}

static void
tail_closed(struct h2_stream *s)
{
	struct tail *t = s->user;

	t->call.stream = NULL;
	if (finished(t) || interrupted || t->call.err.kind != ERR_NONE)
		return;
	err_set(&t->call.err, ERR_IO, "the server ended the stream: %s%s%s",
	    grpc_code_name(s->code), *s->message != '\0' ? ": " : "",
	    s->message);
}

static const struct h2_handler handler = {
	.max_message = MAX_EVENT,
	.message = tail_message,
	.pull = tail_pull,
	.closed = tail_closed,
};

static int
take_input(struct tail *t)
{
	if (call_wait(&t->call, -1) == -1)
		return -1;
	flush_text(t);
	if (t->call.stream != NULL && t->ack && t->acked < t->printed)
		h2_wake(t->call.stream);
	return t->call.err.kind == ERR_NONE ? 0 : -1;
}

static void
serve(struct tail *t)
{
	while (call_send(&t->call) == 0 && t->call.stream != NULL &&
	    !finished(t) && !interrupted)
		if (take_input(t) == -1)
			return;
}

static void
print_summary(const struct tail *t)
{
	double s =
	    t->count == 0 ? 0 : (double)(clock_mono_us() - t->first_at) / 1e6;

	printf("%llu events in %.3f s, %.0f events/s\n", t->count, s,
	    s > 0 ? (double)t->count / s : 0);
}

static int
add_operation(struct tail *t, const char *name)
{
	for (int op = EVENT_INSERT; op <= EVENT_TRUNCATE; op++) {
		if (strcmp(name, event_op_name((enum event_op)op)) == 0) {
			t->start.operations |= 1u << op;
			return 0;
		}
	}
	return err_set(&t->call.err, ERR_USAGE,
	    "--operation must be insert, update,"
	    " delete or truncate, not \"%.100s\"",
	    name);
}

/* Globs for a start, which never writes to them or frees them. */
static size_t
read_globs(const struct options *o, enum option_id id, char **to)
{
	const char *list[OPTIONS_LIST];
	size_t n = options_list(o, id, list);
	union {
		const char *c;
		char *v;
	} glob;

	for (size_t i = 0; i < n; i++) {
		glob.c = list[i];
		to[i] = glob.v;
	}
	return n;
}

/* The options that make a start. */
static int
read_start(struct tail *t, const struct options *o)
{
	const char *list[OPTIONS_LIST];
	const char *consumer = o->value[OPT_CONSUMER];
	const char *after = o->value[OPT_AFTER_LSN];
	struct start *st = &t->start;
	size_t n;

	n = options_list(o, OPT_OPERATION, list);
	for (size_t i = 0; i < n; i++)
		if (add_operation(t, list[i]) == -1)
			return -1;
	st->tables = read_globs(o, OPT_TABLE, st->table);
	st->messages = read_globs(o, OPT_MESSAGE, st->message);
	st->relations = o->value[OPT_RELATIONS] != NULL;
	if (consumer != NULL && strlen(consumer) > START_MAX_STRING)
		return err_set(&t->call.err, ERR_USAGE,
		    "--consumer is too long");
	if (consumer != NULL)
		strcpy(st->consumer, consumer);
	if (after != NULL && lsn_parse(after, &st->after_lsn) == -1)
		return err_set(&t->call.err, ERR_USAGE,
		    "--after-lsn must be a "
		    "position such as 16/B374D848, not \"%.100s\"",
		    after);
	st->observer = o->value[OPT_OBSERVER] != NULL;
	st->exact = o->value[OPT_EXACT] != NULL;
	st->batch = o->value[OPT_BATCH] != NULL;
	t->subscribe = st->tables > 0 || st->operations != 0 ||
	    consumer != NULL || after != NULL || st->observer || st->exact ||
	    st->batch || st->relations || st->messages > 0;
	return 0;
}

static int
read_options(struct tail *t, const struct options *o)
{
	const char *format = o->value[OPT_TAIL_FORMAT];

	t->ack = o->value[OPT_ACK] != NULL;
	t->quiet = o->value[OPT_QUIET] != NULL;
	t->pretty = strcmp(format, "pretty") == 0;
	if (!t->pretty && strcmp(format, "json") != 0)
		return err_set(&t->call.err, ERR_USAGE,
		    "--format must be json or "
		    "pretty, not \"%.100s\"",
		    format);
	if (call_read_tls(&t->call, o) == -1 || read_start(t, o) == -1)
		return -1;
	if (o->value[OPT_COUNT] == NULL)
		return 0;
	if (options_number(o, OPT_COUNT, UINT64_MAX, &t->limit, &t->call.err) ==
	    -1)
		return -1;
	return t->limit > 0 ? 0
			    : err_set(&t->call.err, ERR_USAGE,
				  "--count must be at "
				  "least 1");
}

static void
catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static int
run(struct tail *t, const char *address)
{
	catch_signals();
	if (call_begin(&t->call, address, "127.0.0.1", "50051",
		CONNECT_TIMEOUT_MS,
		t->subscribe ? SERVICE "Subscribe" : SERVICE "Session",
		&handler, t) == -1)
		return -1;
	serve(t);
	if (t->call.err.kind == ERR_NONE)
		call_give_up(&t->call, FINISH_TIMEOUT_MS);
	if (t->quiet)
		print_summary(t);
	return t->call.err.kind == ERR_NONE ? 0 : -1;
}

int
cmd_tail(const struct options *o)
{
	struct tail t;
	int rc;

	memset(&t, 0, sizeof(t));
	call_init(&t.call);
	buf_init(&t.text, MAX_EVENT * 2);
	buf_init(&t.hold, MAX_EVENT + PROTO_HOLD_MORE);
	rc = read_options(&t, o);
	if (rc == 0)
		rc = call_read_token(&t.call, o->value[OPT_TOKEN_FILE]);
	if (rc == 0)
		rc = run(&t, o->value[OPT_ADDRESS]);
	interrupted = 1; /* what closes now was meant to */
	call_free(&t.call);
	buf_free(&t.text);
	buf_free(&t.hold);
	return rc == 0 ? EXIT_DONE : cmd_fail(&t.call.err);
}
