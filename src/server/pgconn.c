#include "server/pgconn.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/b64.h"
#include "base/clock.h"
#include "base/log.h"

/* A login that takes longer is given up, where connect_timeout does not say:
 * a daemon has nobody who would press Ctrl-C. */
#define LOGIN_TIMEOUT SECONDS(60)
/* Queries and status updates are small; a password may not be. */
#define OUT_MAX ((size_t)1 << 20)
#define IN_MAX (WIRE_MAX_MESSAGE + ((size_t)1 << 20))
#define IN_KEEP ((size_t)1 << 20)
#define LOGIN_READ 8192

void
pgconn_init(struct pgconn *pc)
{
	memset(pc, 0, sizeof(*pc));
	conn_init(&pc->conn, IN_MAX, OUT_MAX);
}

void
pgconn_close(struct pgconn *pc)
{
	struct err ignored;

	if (pc->state == PGCONN_READY) {
		wire_put_terminate(&pc->conn.out);
		conn_flush(&pc->conn, &ignored);
	}
	conn_close(&pc->conn);
	scram_wipe(&pc->scram);
	pc->state = PGCONN_CLOSED;
	pc->cut = pc->want = 0;
	pc->notice.kind = ERR_NONE;
}

static int
find_addresses(struct pgconn *pc, struct err *err)
{
	const struct conninfo *ci = pc->ci;

	if (*ci->host == '\0' || *ci->host == '/') {
		pc->addr_count = 1;
		return addr_pg_socket(&pc->addr[0], ci->host, ci->port, err);
	}
	pc->addr_count = addr_resolve(pc->addr, ci->host, ci->port, false, err);
	return pc->addr_count > 0 ? 0 : -1;
}

/* Tries addresses from addr_at on until one can be connected to. */
static int
try_next(struct pgconn *pc, int64_t now, struct err *err)
{
	int timeout = conninfo_connect_timeout(pc->ci);

	for (; pc->addr_at < pc->addr_count; pc->addr_at++) {
		if (conn_connect(&pc->conn, &pc->addr[pc->addr_at], err) == -1)
			continue;
		pc->state = PGCONN_CONNECTING;
		pc->authenticated = false;
		pc->deadline_at =
		    now + (timeout > 0 ? SECONDS(timeout) : LOGIN_TIMEOUT);
		return 0;
	}
	return -1;
}

int
pgconn_open(struct pgconn *pc, const struct conninfo *ci, bool replication,
    int64_t now, struct err *err)
{
	pc->ci = ci;
	pc->replication = replication;
	pc->addr_at = 0;
	if (find_addresses(pc, err) == -1)
		return -1;
	return try_next(pc, now, err);
}

/*
 * The session settings that decide what values look like are pinned here, and
 * so are the time limits that would end a session which waits by design.
 * PostgreSQL applies these after `options`, roles' and databases' settings.
 */
static void
send_startup(struct pgconn *pc)
{
	const struct conninfo *ci = pc->ci;
	const struct wire_param params[] = {
		{ "user", ci->user },
		{ "database", ci->dbname },
		{ "replication", pc->replication ? "database" : "false" },
		{ "application_name", ci->application_name },
		{ "options", ci->options },
		{ "client_encoding", "UTF8" },
		{ "DateStyle", "ISO" },
		{ "TimeZone", "UTC" },
		{ "IntervalStyle", "postgres" },
		{ "extra_float_digits", "1" },
		{ "bytea_output", "hex" },
		{ "client_min_messages", "warning" },
		{ "statement_timeout", "0" },
		{ "lock_timeout", "0" },
		{ "idle_in_transaction_session_timeout", "0" },
		{ "idle_session_timeout", "0" },
	};

	wire_put_startup(&pc->conn.out, params,
	    sizeof(params) / sizeof(params[0]));
	pc->state = PGCONN_LOGIN;
}

static int
need_password(const struct pgconn *pc, struct err *err)
{
	if (pc->ci->password != NULL)
		return 0;
	return err_set(err, ERR_AUTH,
	    "the server asks for the password of "
	    "user \"%.100s\", and none was given (password= or PGPASSWORD)",
	    pc->ci->user);
}

static int
answer_cleartext(struct pgconn *pc, struct rd *r, struct err *err)
{
	(void)r;
	if (need_password(pc, err) == -1)
		return -1;
	wire_put_password(&pc->conn.out, pc->ci->password);
	return 0;
}

static int
answer_md5(struct pgconn *pc, struct rd *r, struct err *err)
{
	const uint8_t *salt = rd_bytes(r, 4);
	char hash[36];

	if (salt == NULL)
		return err_set(err, ERR_PROTO, "MD5 request without a salt");
	if (need_password(pc, err) == -1)
		return -1;
	if (scram_md5(hash, pc->ci->user, pc->ci->password, salt) == -1)
		return err_set(err, ERR_AUTH,
		    "the server asks for an MD5 "
		    "password, which this OpenSSL refuses; use scram-sha-256");
	wire_put_password(&pc->conn.out, hash);
	return 0;
}

static int
answer_sasl(struct pgconn *pc, struct rd *r, struct err *err)
{
	uint8_t random[SCRAM_NONCE_LEN / 4 * 3];
	char nonce[SCRAM_NONCE_LEN + 1];
	const char *mechanism;
	bool offered = false;
	struct buf first;

	while (!r->bad && *(mechanism = rd_cstr(r)) != '\0')
		offered |= strcmp(mechanism, "SCRAM-SHA-256") == 0;
	if (!offered)
		return err_set(err, ERR_AUTH,
		    "the server offers no SASL "
		    "mechanism that is supported (SCRAM-SHA-256)");
	if (need_password(pc, err) == -1)
		return -1;
	if (pc->scram.state != SCRAM_START)
		return err_set(err, ERR_AUTH, "the server began SCRAM twice");
	if (RAND_bytes(random, sizeof(random)) != 1)
		return err_set(err, ERR_AUTH, "no random bytes for SCRAM");
	b64_encode(nonce, random, sizeof(random));
	buf_init(&first, 1024);
	scram_first(&pc->scram, "", nonce, &first);
	wire_put_sasl_initial(&pc->conn.out, "SCRAM-SHA-256", buf_head(&first),
	    buf_unread(&first));
	buf_free(&first);
	return 0;
}

static int
answer_sasl_continue(struct pgconn *pc, struct rd *r, struct err *err)
{
	size_t n = rd_left(r);
	struct buf final;
	int rc;

	buf_init(&final, 4096);
	rc = scram_final(&pc->scram, pc->ci->password, rd_bytes(r, n), n,
	    &final, err);
	if (rc == 0)
		wire_put_sasl_response(&pc->conn.out, buf_head(&final),
		    buf_unread(&final));
	buf_free(&final);
	return rc;
}

static int
answer_sasl_final(struct pgconn *pc, struct rd *r, struct err *err)
{
	size_t n = rd_left(r);

	return scram_verify(&pc->scram, rd_bytes(r, n), n, err);
}

/* AuthenticationOk in the middle of SCRAM comes from somebody who does not
 * know the password. */
static int
answer_ok(struct pgconn *pc, struct rd *r, struct err *err)
{
	(void)r;
	if (pc->scram.state != SCRAM_START && !scram_done(&pc->scram))
		return err_set(err, ERR_AUTH,
		    "the server did not prove that "
		    "it knows the password: not trusted");
	pc->authenticated = true;
	scram_wipe(&pc->scram);
	return 0;
}

static const struct {
	uint32_t request;
	int (*answer)(struct pgconn *, struct rd *, struct err *);
	const char *refused; /* the name of a method that is not supported */
} methods[] = {
	{ AUTH_OK, answer_ok, NULL },
	{ AUTH_CLEARTEXT, answer_cleartext, NULL },
	{ AUTH_MD5, answer_md5, NULL },
	{ AUTH_SASL, answer_sasl, NULL },
	{ AUTH_SASL_CONTINUE, answer_sasl_continue, NULL },
	{ AUTH_SASL_FINAL, answer_sasl_final, NULL },
	{ 2, NULL, "Kerberos V5" },
	{ 6, NULL, "SCM credentials" },
	{ 7, NULL, "GSSAPI" },
	{ 9, NULL, "SSPI" },
};

static int
authenticate(struct pgconn *pc, const struct wire_msg *msg, struct err *err)
{
	struct rd r = rd_make(msg->body, msg->len);
	uint32_t request = rd_u32(&r);

	if (r.bad || pc->authenticated)
		return err_set(err, ERR_PROTO,
		    "the server sent an "
		    "authentication request out of turn");
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (methods[i].request != request)
			continue;
		if (methods[i].answer != NULL)
			return methods[i].answer(pc, &r, err);
		return err_set(err, ERR_AUTH,
		    "the server asks for %s "
		    "authentication, which is not supported; use scram-sha-256"
		    " in pg_hba.conf",
		    methods[i].refused);
	}
	return err_set(err, ERR_AUTH,
	    "the server asks for the unknown "
	    "authentication method %u",
	    request);
}

static int
login(struct pgconn *pc, struct err *err)
{
	struct wire_msg msg;
	int got;

	while ((got = pgconn_next(pc, &msg, err)) == 1) {
		switch (msg.type) {
		case PQ_AUTHENTICATION:
			if (authenticate(pc, &msg, err) == -1)
				return -1;
			break;
		case PQ_NEGOTIATE:
			return err_set(err, ERR_PROTO,
			    "the server does not speak protocol 3.0");
		case PQ_BACKEND_KEY_DATA:
			break;
		case PQ_READY:
			pc->state = PGCONN_READY;
			return 0;
		default:
			return err_set(err, ERR_PROTO,
			    "the server sent "
			    "message type '%c' during login",
			    msg.type);
		}
	}
	return got;
}

static int
step(struct pgconn *pc, short revents, int64_t now, struct err *err)
{
	if (now >= pc->deadline_at)
		return err_set(err, ERR_IO, "timed out");
	if (pc->state == PGCONN_CONNECTING && revents != 0) {
		if (conn_connected(&pc->conn, err) == -1)
			return -1;
		send_startup(pc);
	}
	if (pc->state == PGCONN_LOGIN) {
		if (pgconn_flush(pc, err) == -1)
			return -1;
		if ((revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
		    pgconn_fill(pc, LOGIN_READ, err) == -1)
			return -1;
		if (login(pc, err) == -1 || pgconn_flush(pc, err) == -1)
			return -1;
	}
	return 0;
}

int
pgconn_step(struct pgconn *pc, short revents, int64_t now, struct err *err)
{
	if (step(pc, revents, now, err) == 0)
		return 0;
	/* Another address may do better where the network failed, not where
	 * the server said no. */
	if (err->kind == ERR_IO) {
		err_prefix(err, "%s", pc->addr[pc->addr_at].text);
		conn_close(&pc->conn);
		scram_wipe(&pc->scram);
		pc->addr_at++;
		if (pc->addr_at < pc->addr_count && try_next(pc, now, err) == 0)
			return 0;
	}
	pgconn_close(pc);
	return -1;
}

short
pgconn_want(const struct pgconn *pc)
{
	short events = 0;

	if (pc->state == PGCONN_CONNECTING)
		return POLLOUT;
	if (pc->state != PGCONN_CLOSED)
		events |= POLLIN;
	if (buf_unread(&pc->conn.out) > 0)
		events |= POLLOUT;
	return events;
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
		return err_set(err, ERR_IO, "the server closed the connection");
	default:
		return -1;
	}
}

/* Messages that may come at any time and ask for nothing. */
static bool
is_aside(struct pgconn *pc, const struct wire_msg *msg)
{
	if (msg->type == PQ_NOTICE) {
		wire_error(msg, &pc->notice);
		log_warn("pg.notice", "%s", pc->notice.text);
	}
	return msg->type == PQ_NOTICE || msg->type == PQ_PARAMETER_STATUS ||
	    msg->type == PQ_NOTIFICATION;
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
