#ifndef PG_SSLMODE_H
#define PG_SSLMODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "pg/conninfo.h"

/*
 * What sslmode has tried with one address, and what comes next (PostgreSQL,
 * "SSL Support"; "SSL Session Encryption"): allow begins without TLS, prefer
 * with it, and both try the other way on a connection of its own when the first
 * did not lead to a session.
 */
struct sslmode {
	int mode; /* SSLMODE_* */
	bool direct;
	bool tls;         /* this attempt is to be encrypted */
	bool second;      /* and the other way was tried before */
	struct err first; /* why that failed */
};

/* Begins with an address. */
void
sslmode_begin(struct sslmode *s, const struct conninfo *ci, bool unix_socket);

/* The server's answer to SSLRequest. Returns 1 when the handshake is next, 0
 * when the session goes on without TLS, or -1 with ERR_AUTH or ERR_PROTO. */
int sslmode_answer(struct sslmode *s, uint8_t answer, struct err *err);

/*
 * The attempt has failed with err: in the handshake, or because the server
 * refused the session. True when the other way is to be tried with a new
 * connection; otherwise err gets the reasons of both.
 */
bool sslmode_other(struct sslmode *s, bool in_handshake, struct err *err);

#endif
