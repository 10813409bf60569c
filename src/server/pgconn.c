#include "server/pgconn.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "server/pglogin.h"

/* Queries and status updates are small; a password may not be. */
#define OUT_MAX ((size_t)1 << 20)
#define IN_MAX (WIRE_MAX_MESSAGE + ((size_t)1 << 20))
#define IN_KEEP ((size_t)1 << 20)
#define NOTICES_LOGGED 100

void
pgconn_init(struct pgconn *pc)
{
	memset(pc, 0, sizeof(*pc));
	conn_init(&pc->conn, IN_MAX, OUT_MAX);
	pgdial_init(&pc->dial);
}

/* What was said until now; a password may be in it. */
static void
forget(struct pgconn *pc)
{
	struct err ignored;

	if (pc->state == PGCONN_READY) {
		wire_put_terminate(&pc->conn.out);
		conn_flush(&pc->conn, &ignored);
	}
	buf_wipe(&pc->conn.out);
	conn_close(&pc->conn);
	auth_wipe(&pc->auth);
	pc->cut = pc->want = 0;
	pc->notice.kind = ERR_NONE;
	pc->notices = 0;
	pc->authenticated = pc->standby = pc->read_only = false;
}

void
pgconn_close(struct pgconn *pc)
{
	forget(pc);
	pgdial_free(&pc->dial);
	pc->state = PGCONN_CLOSED;
}

/* On to the next address that can be connected to, or to the same in the other
 * way. */
static int
dial(struct pgconn *pc, bool again, int64_t now, struct err *err)
{
	size_t host_at = pc->dial.host_at;
	int addr_at = pc->dial.addr_at;

	switch (pgdial_step(&pc->dial, &pc->conn, now, err)) {
	case PGDIAL_RESOLVING:
		pc->state = PGCONN_RESOLVING;
		return 0;
	case PGDIAL_CONNECTING:
		pc->state = PGCONN_CONNECTING;
		if (!again || pc->dial.host_at != host_at ||
		    pc->dial.addr_at != addr_at)
			sslmode_begin(&pc->sslmode, pc->ci,
			    addr_is_unix(pgdial_address(&pc->dial)));
		return 0;
	default:
		return -1;
	}
}

int
pgconn_open(struct pgconn *pc, struct conninfo *ci, bool replication,
    const struct pgconn *beside, int64_t now, struct err *err)
{
	const struct pgdial *wanted = NULL;

	pc->ci = ci;
	pc->replication = replication;
	if (beside != NULL && beside->state == PGCONN_READY)
		wanted = &beside->dial;
	if (conninfo_passwords(ci, err) == 0 &&
	    pgdial_begin(&pc->dial, ci, wanted, err) == 0 &&
	    dial(pc, false, now, err) == 0)
		return 0;
	pgconn_close(pc);
	return -1;
}

/* May another host do better? Where the network failed, or the server takes no
 * connections now; not where it said no. */
static bool
is_passing(const struct err *err)
{
	return err->kind == ERR_IO || strcmp(err->sqlstate, "57P03") == 0 ||
	    strcmp(err->sqlstate, "53300") == 0;
}

/* Once more with this address, with TLS or without. */
static bool
other_way(struct pgconn *pc, struct err *err)
{
	bool in_handshake = pc->state == PGCONN_HANDSHAKE;

	if (pc->authenticated ||
	    !sslmode_other(&pc->sslmode, in_handshake, err))
		return false;
	if (in_handshake && !pc->dial.one)
		log_warn("pg.no_tls", "%s: %s; trying without TLS",
		    pgdial_address(&pc->dial)->text, err->text);
	return true;
}

/* This address will not do, or not in this way; turn: the other may be tried.
 * (Not when time ran out: whoever drops packets is not to be given the password
 * in the clear.) */
static int
give_up(struct pgconn *pc, bool turn, int64_t now, struct err *err)
{
	bool again = turn && other_way(pc, err);
	bool whole = pc->state == PGCONN_READY;

	forget(pc);
	if (!again && whole)
		pgdial_refused_host(&pc->dial, err);
	else if (!again)
		pgdial_refused(&pc->dial, err);
	if ((again || is_passing(err)) && dial(pc, again, now, err) == 0)
		return 0;
	if (again)
		pgdial_remember(&pc->dial, &pc->sslmode.first);
	*err = pc->dial.failed;
	pgconn_close(pc);
	return -1;
}

int
pgconn_refuse(struct pgconn *pc, int64_t now, struct err *err)
{
	err->kind = ERR_IO;
	return give_up(pc, false, now, err);
}

int
pgconn_step(struct pgconn *pc, short revents, int64_t now, struct err *err)
{
	int rc;

	if (pc->state == PGCONN_RESOLVING) {
		if ((rc = dial(pc, false, now, err)) == -1)
			pgconn_close(pc);
		return rc;
	}
	if (pc->state == PGCONN_CLOSED || pc->state == PGCONN_READY)
		return 0;
	if (now >= pc->dial.deadline_at) {
		err_set(err, ERR_IO, "timed out");
		return give_up(pc, false, now, err);
	}
	rc = pglogin_step(pc, revents, err);
	return rc == 0 ? 0 : give_up(pc, true, now, err);
}

int
pgconn_fd(const struct pgconn *pc)
{
	return pc->state == PGCONN_RESOLVING ? pc->dial.resolve.fd
					     : pc->conn.fd;
}

int64_t
pgconn_deadline(const struct pgconn *pc)
{
	if (pc->state == PGCONN_CLOSED || pc->state == PGCONN_READY)
		return INT64_MAX;
	return pc->dial.deadline_at;
}

short
pgconn_want(const struct pgconn *pc)
{
	if (pc->state == PGCONN_CONNECTING)
		return POLLOUT;
	if (pc->state == PGCONN_RESOLVING)
		return POLLIN;
	return conn_want(&pc->conn, pc->state != PGCONN_CLOSED);
}

int
pgconn_fill(struct pgconn *pc, size_t n, struct err *err)
{
	size_t have = buf_unread(&pc->conn.in);
	struct wire_msg msg;
	size_t want;

	if (pc->want > have && pc->want - have > n)
		n = pc->want - have < IN_KEEP ? pc->want - have : IN_KEEP;
	switch (conn_read(&pc->conn, n, err)) {
	case CONN_OK:
	case CONN_AGAIN:
		return 0;
	case CONN_EOF:
		/* What it said last comes first. */
		if (wire_cut(buf_head(&pc->conn.in) + pc->cut, have - pc->cut,
			pc->authenticated, &msg, &want, err) > 0)
			return 0;
		return pc->conn.tls != NULL
		    ? -1 /* err says how */
		    : err_set(err, ERR_IO, "the server closed the connection");
	default:
		return -1;
	}
}

/* Two of the settings that the server reports say what kind it is. */
static void
parameter(struct pgconn *pc, const struct wire_msg *msg)
{
	struct rd r = rd_make(msg->body, msg->len);
	const char *name = rd_cstr(&r);
	bool on = strcmp(rd_cstr(&r), "on") == 0;

	if (strcmp(name, "in_hot_standby") == 0)
		pc->standby = on;
	else if (strcmp(name, "default_transaction_read_only") == 0)
		pc->read_only = on;
}

/* The last one is kept, the first ones are logged. */
static void
notice(struct pgconn *pc, const struct wire_msg *msg)
{
	wire_error(msg, &pc->notice);
	if (pc->notices < NOTICES_LOGGED)
		log_warn("pg.notice", "%s", pc->notice.text);
	else if (pc->notices == NOTICES_LOGGED)
		log_warn("pg.notice",
		    "what the server notes on this "
		    "connection is not shown any more");
	pc->notices += pc->notices <= NOTICES_LOGGED;
}

/* Messages that may come at any time and ask for nothing. */
static bool
is_aside(struct pgconn *pc, const struct wire_msg *msg)
{
	switch (msg->type) {
	case PQ_NOTICE:
		notice(pc, msg);
		return true;
	case PQ_PARAMETER_STATUS:
		parameter(pc, msg);
		return true;
	default:
		return msg->type == PQ_NOTIFICATION;
	}
}

int
pgconn_next(struct pgconn *pc, struct wire_msg *msg, struct err *err)
{
	struct buf *in = &pc->conn.in;
	long n;

	do {
		buf_consume(in, pc->cut);
		pc->cut = 0;
		if (buf_unread(in) == 0 && in->cap > IN_KEEP)
			buf_free(
			    in); /* one huge message is no reason to stay */
		n = wire_cut(buf_head(in), buf_unread(in), pc->authenticated,
		    msg, &pc->want, err);
		if (n <= 0)
			return (int)n;
		pc->cut = (size_t)n;
		pc->want = 0;
	} while (is_aside(pc, msg));
	return msg->type == PQ_ERROR ? wire_error(msg, err) : 1;
}

void
pgconn_again(struct pgconn *pc)
{
	pc->cut = 0;
}

void
pgconn_query(struct pgconn *pc, const char *sql)
{
	wire_put_query(&pc->conn.out, sql);
}

int
pgconn_flush(struct pgconn *pc, struct err *err)
{
	if (pc->conn.out.failed)
		return err_set(err, ERR_NOMEM, "output does not fit");
	return conn_flush(&pc->conn, err) == CONN_ERROR ? -1 : 0;
}

void
pgconn_describe(const struct pgconn *pc, char *text, size_t cap)
{
	char tls[100] = "";

	if (pc->conn.tls != NULL)
		tls_describe(pc->conn.tls, tls, sizeof(tls));
	snprintf(text, cap, "%s%s%s", pgdial_address(&pc->dial)->text,
	    *tls == '\0' ? "" : ", ", tls);
}

bool
pgconn_private(const struct pgconn *pc)
{
	return pc->conn.tls != NULL || addr_is_local(pgdial_address(&pc->dial));
}
