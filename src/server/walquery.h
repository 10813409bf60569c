#ifndef SERVER_WALQUERY_H
#define SERVER_WALQUERY_H

#include "base/buf.h"
#include "base/err.h"
#include "pg/wire.h"
#include "server/walreceiver.h"

/*
 * What the walreceiver asks the server in a state, and what it makes of the
 * answer: one row for each state. The machine itself is in walreceiver.c.
 */
struct walquery {
	/* Writes the query; NULL: the state asks nothing. */
	void (*ask)(const struct walreceiver *wr, struct buf *sql);
	/* Takes a row of the answer; NULL: rows do not matter. Returns 0, or
	 * -1 with err. */
	int (*row)(struct walreceiver *wr, const struct wire_row *row,
	    struct err *err);
	/* The answer is complete: the next state, or -1 with err. */
	int (*done)(struct walreceiver *wr, struct err *err);
};

extern const struct walquery walquery[WR_STATES];

#endif
