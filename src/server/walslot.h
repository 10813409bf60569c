#ifndef SERVER_WALSLOT_H
#define SERVER_WALSLOT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/wire.h"
#include "server/walreceiver.h"

/*
 * Is the slot still there, is it the kind that was asked for, and does it stand
 * where it was left, on this server and its timeline? The walquery of the
 * states that look at it.
 */
void walslot_ask(const struct walreceiver *wr, struct buf *sql);
int walslot_row(struct walreceiver *wr, const struct wire_row *row,
    struct err *err);
int walslot_done(struct walreceiver *wr, struct err *err);

/* The same while nobody is attached. */
int walslot_row_watch(struct walreceiver *wr, const struct wire_row *row,
    struct err *err);
int walslot_done_watch(struct walreceiver *wr, struct err *err);

/* Is the server on another timeline than positions are? */
bool walslot_elsewhere(const struct walreceiver *wr);

#endif
