#ifndef SERVER_PGLOGIN_H
#define SERVER_PGLOGIN_H

#include "server/pgconn.h"

/*
 * From a connecting socket to the first ReadyForQuery: TLS, where it is to be,
 * the startup packet, authentication, and whether this is the kind of session
 * that was asked for (PostgreSQL, "Start-up").
 *
 *	CONNECTING -> SSL_REQUEST -> HANDSHAKE -> LOGIN -> READY
 */

/* Moves on as far as it goes at once. Returns 0, or -1 with err; the state then
 * says how far it came. */
int pglogin_step(struct pgconn *pc, short revents, struct err *err);

#endif
