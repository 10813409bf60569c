#ifndef SERVER_WALFAULT_H
#define SERVER_WALFAULT_H

#include "server/walreceiver.h"

/*
 * What an error means for the walreceiver: by its kind, its SQLSTATE
 * (PostgreSQL, "PostgreSQL Error Codes") and the state it came in.
 */

/* Says of an ErrorResponse what kind of error it is, where it is no passing
 * matter: ERR_LOST, ERR_CONFIG or ERR_DATA. */
void walfault_classify(const struct walreceiver *wr, struct err *err);

/* Does it go away by itself, so that the first connect waits, too? */
bool walfault_passes(const struct walreceiver *wr, const struct err *err);
/* Does it end streams, since waiting does not cure it? */
bool walfault_lasts(const struct err *err);
/* Is it no error at all: a history that is missing and not needed? */
bool walfault_is_none(const struct walreceiver *wr, const struct err *err);

/* For how long to wait before the next try, us; longer each time until a COPY
 * was worth it. */
int64_t
walfault_wait(struct walreceiver *wr, const struct err *err, int64_t now);
/* Logs that the connection failed, and notes what streams are to be told. */
void walfault_note(struct walreceiver *wr, const struct err *err, int64_t wait,
    int64_t now);

#endif
