#include "server/query.h"

#include <stdint.h>
#include <string.h>

#include "base/clock.h"

#define READ_SIZE 8192

static const char answer[] = { PQ_ROW_DESCRIPTION, PQ_DATA_ROW,
	PQ_COMMAND_COMPLETE, PQ_EMPTY_QUERY, PQ_READY, '\0' };

static int
connect_wait(struct pgconn *pc, struct err *err)
{
	int64_t now, left;
	int revents;

	while (pc->state != PGCONN_READY) {
		now = clock_mono_us();
		left = pgconn_deadline(pc) - now;
		revents = conn_wait(pgconn_fd(pc), pgconn_want(pc),
		    left > 0 ? (int)(left / 1000) + 1 : 0);
		if (pgconn_step(pc, (short)(revents > 0 ? revents : 0),
			clock_mono_us(), err) == -1)
			return -1;
	}
	return 0;
}

int
query_open(struct query *q, struct conninfo *ci, bool replication,
    const struct query *beside, struct err *err)
{
	const struct pgconn *other = beside == NULL ? NULL : &beside->pc;

	q->busy = false;
	pgconn_init(&q->pc);
	if (pgconn_open(&q->pc, ci, replication, other, clock_mono_us(), err) ==
		0 &&
	    connect_wait(&q->pc, err) == 0)
		return 0;
	pgconn_close(&q->pc);
	return -1;
}

void
query_close(struct query *q)
{
	pgconn_close(&q->pc);
}

/* The next message of the answer, waited for. */
static int
next_message(struct query *q, struct wire_msg *msg, struct err *err)
{
	struct pgconn *pc = &q->pc;
	wire_type_name name;
	int got;

	while ((got = pgconn_next(pc, msg, err)) == 0) {
		conn_wait(pgconn_fd(pc), pgconn_want(pc), -1);
		if (pgconn_flush(pc, err) == -1 ||
		    pgconn_fill(pc, READ_SIZE, err) == -1)
			return -1;
	}
	if (got == 1 && strchr(answer, msg->type) == NULL)
		return err_set(err, ERR_PROTO,
		    "message type %s in the answer to a query",
		    wire_type(name, msg->type));
	return got == 1 ? 0 : -1;
}

/* Reads until the server is ready for another query. */
static int
drop_answer(struct query *q, struct err *err)
{
	struct wire_msg msg;

	while (q->busy) {
		if (next_message(q, &msg, err) == -1)
			return -1;
		q->busy = msg.type != PQ_READY;
	}
	return 0;
}

int
query_send(struct query *q, const char *sql, struct err *err)
{
	if (drop_answer(q, err) == -1)
		return -1;
	pgconn_query(&q->pc, sql);
	q->busy = true;
	return pgconn_flush(&q->pc, err);
}

int
query_next(struct query *q, struct wire_row *row, struct err *err)
{
	struct wire_msg msg;

	while (q->busy) {
		if (next_message(q, &msg, err) == -1)
			return -1;
		if (msg.type == PQ_DATA_ROW)
			return wire_row(&msg, row, err) == 0 ? 1 : -1;
		q->busy = msg.type != PQ_READY;
	}
	return 0;
}

int
query_run(struct conninfo *ci, bool replication, const char *sql,
    query_row *row, void *arg, struct err *err)
{
	struct wire_row r;
	struct query q;
	int got;

	if (query_open(&q, ci, replication, NULL, err) == -1)
		return -1;
	if ((got = query_send(&q, sql, err)) == 0)
		while ((got = query_next(&q, &r, err)) == 1)
			if (row != NULL && (got = row(arg, &r, err)) == -1)
				break;
	query_close(&q);
	return got == -1 ? -1 : 0;
}
