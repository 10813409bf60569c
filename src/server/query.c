#include "server/query.h"

#include <stdint.h>

#include "base/clock.h"
#include "server/pgconn.h"

#define READ_SIZE 8192

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

/* Reads messages until the server is ready again. */
static int
take_answer(struct pgconn *pc, query_row *row, void *arg, struct err *err)
{
	struct wire_msg msg;
	struct wire_row r;
	int got;

	for (;;) {
		while ((got = pgconn_next(pc, &msg, err)) == 1) {
			if (msg.type == PQ_READY)
				return 0;
			if (msg.type != PQ_DATA_ROW || row == NULL)
				continue;
			if (wire_row(&msg, &r, err) == -1 ||
			    row(arg, &r, err) == -1)
				return -1;
		}
		if (got == -1)
			return -1;
		conn_wait(pgconn_fd(pc), pgconn_want(pc), -1);
		if (pgconn_flush(pc, err) == -1 ||
		    pgconn_fill(pc, READ_SIZE, err) == -1)
			return -1;
	}
}

int
query_run(struct conninfo *ci, bool replication, const char *sql,
    query_row *row, void *arg, struct err *err)
{
	struct pgconn pc;
	int rc;

	pgconn_init(&pc);
	rc = pgconn_open(&pc, ci, replication, NULL, clock_mono_us(), err);
	if (rc == 0)
		rc = connect_wait(&pc, err);
	if (rc == 0) {
		pgconn_query(&pc, sql);
		rc = pgconn_flush(&pc, err);
	}
	if (rc == 0)
		rc = take_answer(&pc, row, arg, err);
	pgconn_close(&pc);
	return rc;
}
