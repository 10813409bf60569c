#ifndef SERVER_WALSTATUS_H
#define SERVER_WALSTATUS_H

#include "pg/replication.h"
#include "server/walreceiver.h"

/*
 * Signs of life in a COPY, both ways: standby status updates and keepalives
 * (PostgreSQL, "Streaming Replication Protocol").
 */

/* A COPY begins. */
void walstatus_begin(struct walreceiver *wr, int64_t now);
/* Appends a status update; ask for an answer. */
void walstatus_send(struct walreceiver *wr, int64_t now, bool ask);
/* Takes a keepalive. Returns 0, or -1 with err: the server is shutting down and
 * has waited for long enough. */
int walstatus_keepalive(struct walreceiver *wr, const struct repl_msg *m,
    int64_t now, struct err *err);

/* Something came, or nobody is listening. */
void walstatus_heard(struct walreceiver *wr, int64_t now);
/* When the next update is due, or silence has to be looked at (monotonic us). */
int64_t walstatus_deadline(const struct walreceiver *wr);
/* Is it silent for too long? Asks for an answer, or returns -1 with err when
 * none has come. */
int walstatus_silence(struct walreceiver *wr, int64_t now, struct err *err);

#endif
