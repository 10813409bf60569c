#include "server/pgconn.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/b64.h"
#include "base/clock.h"
#include "base/log.h"

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
	pgdial_init(&pc->dial);
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
	pgdial_free(&pc->dial);
	scram_wipe(&pc->scram);
	pc->state = PGCONN_CLOSED;
	pc->cut = pc->want = 0;
	pc->notice.kind = ERR_NONE;
}

/* On to the next address that can be connected to. */
static int
dial(struct pgconn *pc, int64_t now, struct err *err)
{
	pc->authenticated = pc->standby = pc->read_only = false;
	switch (pgdial_step(&pc->dial, &pc->conn, now, err)) {
	case PGDIAL_RESOLVING:
		pc->state = PGCONN_RESOLVING;
		return 0;
	case PGDIAL_CONNECTING:
		pc->state = PGCONN_CONNECTING;
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
	    dial(pc, now, err) == 0)
		return 0;
	pgconn_close(pc);
	return -1;
}

/*
 * The session settings that decide what values look like are pinned here, and
 * so are the time limits that would end a session which waits by design.
 * PostgreSQL applies these after `options`, roles' and databases' settings.
 */
static void
send_startup(struct pgconn *pc)
{
	char *const *text = pc->ci->text;
	const struct wire_param params[] = {
		{ "user", text[CI_USER] },
		{ "database", text[CI_DBNAME] },
		{ "replication", pc->replication ? "database" : "false" },
		{ "application_name", text[CI_APPLICATION_NAME] },
		{ "options", text[CI_OPTIONS] },
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

static const char *
password(const struct pgconn *pc)
{
	return pgdial_host(&pc->dial)->password;
}

static int
need_password(const struct pgconn *pc, struct err *err)
{
	if (password(pc) != NULL)
		return 0;
	return err_set(err, ERR_AUTH,
	    "the server asks for the password of "
	    "user \"%.100s\", and none was given (password= or PGPASSWORD)",
	    pc->ci->text[CI_USER]);
}

static int
answer_cleartext(struct pgconn *pc, struct rd *r, struct err *err)
{
	(void)r;
	if (need_password(pc, err) == -1)
		return -1;
	wire_put_password(&pc->conn.out, password(pc));
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
	if (scram_md5(hash, pc->ci->text[CI_USER], password(pc), salt) == -1)
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
	rc = scram_final(&pc->scram, password(pc), rd_bytes(r, n), n, &final,
	    err);
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

/* target_session_attrs, by what the server reports of itself. */
static int
check_session(const struct pgconn *pc, struct err *err)
{
	bool read_only = pc->read_only || pc->standby;
	const char *wrong = NULL;

	switch (pc->ci->value[CI_TARGET_SESSION_ATTRS]) {
	case TARGET_READ_WRITE:
		wrong = read_only ? "session is read-only" : NULL;
		break;
	case TARGET_READ_ONLY:
		wrong = read_only ? NULL : "session is not read-only";
		break;
	case TARGET_PRIMARY:
		wrong = pc->standby ? "server is in hot standby mode" : NULL;
		break;
	case TARGET_PREFER_STANDBY:
		if (pc->dial.any_will_do)
			break;
		/* fallthrough */
	case TARGET_STANDBY:
		wrong =
		    pc->standby ? NULL : "server is not in hot standby mode";
		break;
	}
	if (wrong == NULL || pc->dial.one)
		return 0;
	return err_set(err, ERR_IO, "%s", wrong);
}

static int
step(struct pgconn *pc, short revents, int64_t now, struct err *err)
{
	if (now >= pc->dial.deadline_at)
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
	return pc->state == PGCONN_READY ? check_session(pc, err) : 0;
}

/* May another host do better? Where the network failed, or the server takes no
 * connections now; not where it said no. */
static bool
is_passing(const struct err *err)
{
	return err->kind == ERR_IO || strcmp(err->sqlstate, "57P03") == 0 ||
	    strcmp(err->sqlstate, "53300") == 0;
}

/* The address is of no use. */
static int
give_up(struct pgconn *pc, int64_t now, struct err *err)
{
	conn_close(&pc->conn);
	scram_wipe(&pc->scram);
	pc->cut = pc->want = 0;
	if (pc->state == PGCONN_READY)
		pgdial_refused_host(&pc->dial, err);
	else
		pgdial_refused(&pc->dial, err);
	if (is_passing(err) && dial(pc, now, err) == 0)
		return 0;
	*err = pc->dial.failed;
	pgconn_close(pc);
	return -1;
}

int
pgconn_step(struct pgconn *pc, short revents, int64_t now, struct err *err)
{
	int rc;

	if (pc->state == PGCONN_RESOLVING) {
		if ((rc = dial(pc, now, err)) == -1)
			pgconn_close(pc);
		return rc;
	}
	rc = step(pc, revents, now, err);
	return rc == 0 ? 0 : give_up(pc, now, err);
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
	short events = 0;

	if (pc->state == PGCONN_CONNECTING)
		return POLLOUT;
	if (pc->state == PGCONN_RESOLVING)
		return POLLIN;
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

/* Messages that may come at any time and ask for nothing. */
static bool
is_aside(struct pgconn *pc, const struct wire_msg *msg)
{
	if (msg->type == PQ_NOTICE) {
		wire_error(msg, &pc->notice);
		log_warn("pg.notice", "%s", pc->notice.text);
	}
	if (msg->type == PQ_PARAMETER_STATUS)
		parameter(pc, msg);
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
