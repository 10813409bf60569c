#ifndef SERVER_PGCONN_H
#define SERVER_PGCONN_H

#include <stdint.h>

#include "base/err.h"
#include "net/conn.h"
#include "pg/auth.h"
#include "pg/conninfo.h"
#include "pg/sslmode.h"
#include "pg/wire.h"
#include "server/pgdial.h"

/*
 * One connection to PostgreSQL, from connect() to the first ReadyForQuery and
 * then message by message. Never waits: pgconn_step is called when poll says
 * so, and says what became of it.
 */

enum pgconn_state {
	PGCONN_CLOSED,
	PGCONN_RESOLVING,   /* a host name is being looked up */
	PGCONN_CONNECTING,  /* connect() is under way */
	PGCONN_SSL_REQUEST, /* SSLRequest sent, one byte awaited */
	PGCONN_HANDSHAKE,   /* of TLS */
	PGCONN_LOGIN,       /* startup packet sent, authentication */
	PGCONN_READY,       /* for queries */
};

struct pgconn {
	enum pgconn_state state;
	struct conn conn;
	struct conninfo *ci;
	bool replication; /* a walsender, which takes replication commands */
	struct pgdial dial;
	struct sslmode sslmode;
	struct tls_settings tls; /* for the handshake */
	struct auth auth;
	bool authenticated; /* AuthenticationOk was received */
	size_t cut;         /* bytes of the message pgconn_next gave last */
	size_t want;        /* bytes of input the next one needs */
	unsigned notices;   /* of this connection */
	struct err notice;  /* the last NoticeResponse; ERR_NONE: none */
	bool standby, read_only; /* by ParameterStatus */
};

void pgconn_init(struct pgconn *pc);
/*
 * Begins; replication asks for a walsender instead of a plain backend. beside
 * (NULL: none), when it is ready, is a connection to the server that is meant,
 * and no other will do. ci must outlive the connection. Returns 0, or -1 with
 * err.
 */
int pgconn_open(struct pgconn *pc, struct conninfo *ci, bool replication,
    const struct pgconn *beside, int64_t now, struct err *err);
/* Says Terminate, as far as the socket takes it at once, and closes. */
void pgconn_close(struct pgconn *pc);

/* What to poll (-1: nothing), for which events, and until when (monotonic us):
 * INT64_MAX when it is ready, or closed. */
int pgconn_fd(const struct pgconn *pc);
short pgconn_want(const struct pgconn *pc);
int64_t pgconn_deadline(const struct pgconn *pc);
/* Moves on, until PGCONN_READY. Returns 0, or -1 with err (and is closed). */
int pgconn_step(struct pgconn *pc, short revents, int64_t now, struct err *err);

/* This server will not do, for this reason, which becomes ERR_IO: on to the
 * next host. As pgconn_step. */
int pgconn_refuse(struct pgconn *pc, int64_t now, struct err *err);
/* Over TLS, or within this machine. */
bool pgconn_private(const struct pgconn *pc);
/* "127.0.0.1:5432, TLSv1.3, TLS_AES_256_GCM_SHA384", for log lines. */
void pgconn_describe(const struct pgconn *pc, char *text, size_t cap);

/*
 * For PGCONN_READY. Reads once what has come, at most n bytes or, if that is
 * more, what the next message needs. Returns 0, or -1 with err; when the
 * server hung up, the messages that are already here come first.
 */
int pgconn_fill(struct pgconn *pc, size_t n, struct err *err);
/* The next message, borrowed until the next call on pc. Notices are logged and
 * the last one kept in pc->notice, ParameterStatus and notifications skipped.
 * Returns 1, 0 when there is none yet, or -1 with err: ERR_SERVER for an
 * ErrorResponse. */
int pgconn_next(struct pgconn *pc, struct wire_msg *msg, struct err *err);
/* The message that pgconn_next gave last comes once more. */
void pgconn_again(struct pgconn *pc);
/* Queues a query; pgconn_flush sends. */
void pgconn_query(struct pgconn *pc, const char *sql);
/* Returns 0, also when the socket takes no more now, or -1 with err. */
int pgconn_flush(struct pgconn *pc, struct err *err);

#endif
