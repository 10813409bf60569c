#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/call.h"
#include "cli/outside.h"
#include "event/proto.h"
#include "pg/replication.h"
#include "server/query.h"

/*
 * How long after its commit does a row arrive?
 *
 *	reader pg CONNINFO SLOT COUNT	of pgoutput, from PostgreSQL itself
 *	reader grpc ADDRESS COUNT	of events, from a walstream
 *
 * Prints "ready", and after COUNT rows the microseconds of each, a line each,
 * by the clock that PostgreSQL took the time of the commit from. The first is
 * walstream's own client code with nothing behind it: a row counts when its
 * transaction is whole, which is when walstream knows what to send.
 */

#define READ_SIZE ((size_t)128 * 1024)
#define MAX_EVENT ((size_t)1 << 26)
#define MAX_COUNT 10000000

static int64_t *took;
static size_t count, wanted;
static struct err err;

static void
fail(const char *what)
{
	fprintf(stderr, "reader: %s: %s\n", what, err.text);
	exit(1);
}

static void
ready(void)
{
	puts("ready");
	fflush(stdout);
}

static void
arrived(int64_t commit_us)
{
	if (count < wanted)
		took[count++] = clock_wall_us() - commit_us;
}

/* From PostgreSQL. */

struct txn {
	int64_t commit_us;
	unsigned rows;
};

static void
take_pgoutput(struct txn *txn, const uint8_t *p, size_t len)
{
	struct rd r = rd_make(p, len);

	switch (rd_u8(&r)) {
	case 'B':
		rd_u64(&r);
		txn->commit_us = (int64_t)rd_u64(&r) + CLOCK_PG_EPOCH_US;
		txn->rows = 0;
		break;
	case 'I':
	case 'U':
	case 'D':
		txn->rows++;
		break;
	case 'C':
		for (; txn->rows > 0; txn->rows--)
			arrived(txn->commit_us);
		break;
	}
}

static void
take_copy(struct pgconn *pc, struct txn *txn, const struct wire_msg *msg)
{
	struct repl_msg m;

	if (msg->type == PQ_COPY_BOTH)
		ready();
	if (msg->type != PQ_COPY_DATA)
		return;
	if (repl_parse(msg->body, msg->len, &m, &err) == -1)
		fail("CopyData");
	if (m.type == REPL_XLOG_DATA)
		take_pgoutput(txn, m.data, m.len);
	else if (m.reply)
		repl_put_status(&pc->conn.out, m.wal_end, 0,
		    clock_wall_us() - CLOCK_PG_EPOCH_US, false);
}

static void
read_pg(const char *conninfo, const char *slot)
{
	static const char *const publication[] = { "pub" };
	struct txn txn = { 0, 0 };
	struct conninfo ci;
	struct wire_msg msg;
	struct query q;
	struct buf sql;
	int n;

	if (conninfo_parse(&ci, conninfo, &outside, &err) == -1 ||
	    query_open(&q, &ci, true, NULL, &err) == -1)
		fail(conninfo);
	buf_init(&sql, 8192);
	repl_start(&sql, slot, 0, publication, 1, false);
	pgconn_query(&q.pc, buf_cstr(&sql));
	while (count < wanted) {
		if (pgconn_flush(&q.pc, &err) == -1)
			fail("write");
		while ((n = pgconn_next(&q.pc, &msg, &err)) == 1)
			take_copy(&q.pc, &txn, &msg);
		if (n == -1)
			fail("read");
		if (count >= wanted)
			break;
		conn_wait(pgconn_fd(&q.pc), pgconn_want(&q.pc), -1);
		if (pgconn_fill(&q.pc, READ_SIZE, &err) == -1)
			fail("read");
	}
	query_close(&q);
	buf_free(&sql);
	conninfo_free(&ci);
}

/* From walstream. */

static struct buf hold;

static void
take_event(void *arg, const struct event *e)
{
	(void)arg;
	if (e->op <= EVENT_DELETE)
		arrived(e->txn.commit_us);
}

static void
on_responded(struct h2_stream *s)
{
	(void)s;
	ready();
}

static void
on_message(struct h2_stream *s, const uint8_t *p, size_t n)
{
	(void)s;
	if (proto_get_events(p, n, &hold, take_event, NULL, &err) == -1)
		fail("an event");
}

static size_t
on_pull(struct h2_stream *s, uint8_t *to, size_t cap)
{
	(void)s;
	(void)to;
	(void)cap;
	return 0;
}

static void
on_closed(struct h2_stream *s)
{
	struct call *c = s->user;

	c->stream = NULL;
}

static const struct h2_handler handler = {
	.max_message = MAX_EVENT,
	.responded = on_responded,
	.message = on_message,
	.pull = on_pull,
	.closed = on_closed,
};

static void
read_grpc(const char *address)
{
	struct call c;

	buf_init(&hold, MAX_EVENT + PROTO_HOLD_MORE);
	call_init(&c);
	if (call_begin(&c, address, "127.0.0.1", "50051", 10000,
		"/plugin.PluginService/Session", &handler, &c) == -1) {
		err = c.err;
		fail(address);
	}
	while (count < wanted && c.stream != NULL)
		if (call_send(&c) == -1 || call_wait(&c, -1) == -1)
			break;
	err = c.err;
	if (count < wanted)
		fail("the stream ended");
	call_free(&c);
	buf_free(&hold);
}

int
main(int argc, char **argv)
{
	bool grpc = argc == 4 && strcmp(argv[1], "grpc") == 0;

	signal(SIGPIPE, SIG_IGN);
	if (!grpc && (argc != 5 || strcmp(argv[1], "pg") != 0)) {
		fprintf(stderr,
		    "usage: reader pg CONNINFO SLOT COUNT, or "
		    "reader grpc ADDRESS COUNT\n");
		return 2;
	}
	wanted = strtoul(argv[argc - 1], NULL, 10);
	took = wanted > MAX_COUNT ? NULL : calloc(wanted, sizeof(*took));
	if (took == NULL)
		fail("too many");
	if (grpc)
		read_grpc(argv[2]);
	else
		read_pg(argv[2], argv[3]);
	for (size_t i = 0; i < count; i++)
		printf("%" PRId64 "\n", took[i]);
	free(took);
	return 0;
}
