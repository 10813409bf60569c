#include "server/pglogin.h"

#include <openssl/rand.h>
#include <string.h>

#include "base/b64.h"
#include "base/log.h"

#define LOGIN_READ 8192
#define FEW 4096 /* iterations (RFC 7677, section 4) */

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

/* sslcertmode=require, however the connection came about. */
static int
check_certmode(const struct pgconn *pc, struct err *err)
{
	if (pc->ci->value[CI_SSLCERTMODE] != SSLCERTMODE_REQUIRE)
		return 0;
	if (pc->conn.tls != NULL)
		return tls_check_cert(pc->conn.tls, err);
	return err_set(err, ERR_AUTH,
	    "server did not request an SSL certificate: the connection has no "
	    "TLS");
}

static int
authenticate(struct pgconn *pc, const struct wire_msg *msg, struct err *err)
{
	struct auth_policy policy = {
		.user = pc->ci->text[CI_USER],
		.password = pgdial_host(&pc->dial)->password,
		.allowed = pc->ci->auth_allowed,
		.channel_binding = pc->ci->value[CI_CHANNEL_BINDING],
		.tls = pc->conn.tls != NULL,
	};
	uint8_t binding[TLS_HASH_MAX];
	struct err why;
	int rc;

	if (pc->authenticated)
		return err_set(err, ERR_PROTO,
		    "the server sent an authentication request out of turn");
	if (policy.tls &&
	    tls_server_end_point(pc->conn.tls, binding, &policy.binding_len,
		&why) == 0)
		policy.binding = binding;
	else if (policy.tls)
		policy.binding_why = why.text;
	rc = auth_message(&pc->auth, &policy, msg, &pc->conn.out, err);
	if (rc == 1 && check_certmode(pc, err) == -1)
		rc = -1;
	pc->authenticated = rc == 1;
	return rc == -1 ? -1 : 0;
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

/* Answered all the same, as libpq does; once a COPY, not for every query. */
static void
warn_of_login(const struct pgconn *pc)
{
	const char *method = pc->auth.method, *what = NULL;

	if (!pc->replication)
		return;
	if (strcmp(method, "password") == 0 && !pgconn_private(pc))
		what = "the password crossed the network in the clear";
	else if (strcmp(method, "md5") == 0)
		what = "the server uses MD5 passwords, which are easy to "
		       "guess and will be removed: use scram-sha-256";
	else if (pc->auth.iterations > 0 && pc->auth.iterations < FEW)
		what = "the server's SCRAM has few iterations "
		       "(scram_iterations): passwords are easy to guess";
	if (what != NULL)
		log_warn("pg.weak", "%s", what);
}

static int
login(struct pgconn *pc, struct err *err)
{
	wire_type_name name;
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
			warn_of_login(pc);
			buf_wipe(&pc->conn.out);
			auth_wipe(&pc->auth);
			return check_session(pc, err);
		default:
			return err_set(err, ERR_PROTO,
			    "the server sent "
			    "message type %s during login",
			    wire_type(name, msg.type));
		}
	}
	return got;
}

static int
begin_login(struct pgconn *pc, struct err *err)
{
	uint8_t random[SCRAM_NONCE_LEN / 4 * 3];
	char nonce[SCRAM_NONCE_LEN + 1];

	if (RAND_bytes(random, sizeof(random)) != 1)
		return err_set(err, ERR_AUTH, "no random bytes for SCRAM");
	b64_encode(nonce, random, sizeof(random));
	auth_init(&pc->auth, nonce);
	send_startup(pc);
	return 0;
}

static void
set_tls(struct pgconn *pc)
{
	char *const *text = pc->ci->text;
	const int *value = pc->ci->value;

	pc->tls = (struct tls_settings){
		.host = pgdial_host(&pc->dial)->host,
		.home = pc->ci->sys->home,
		.root = text[CI_SSLROOTCERT],
		.cert = text[CI_SSLCERT],
		.key = text[CI_SSLKEY],
		.key_password = text[CI_SSLPASSWORD],
		.crl = text[CI_SSLCRL],
		.crl_dir = text[CI_SSLCRLDIR],
		.min_version = text[CI_SSL_MIN_PROTOCOL_VERSION],
		.max_version = text[CI_SSL_MAX_PROTOCOL_VERSION],
		.verify = value[CI_SSLMODE] == SSLMODE_VERIFY_FULL
		    ? TLS_VERIFY_FULL
		    : value[CI_SSLMODE] == SSLMODE_VERIFY_CA ? TLS_VERIFY_CA
							     : TLS_VERIFY_NONE,
		.use_cert = value[CI_SSLCERTMODE] != SSLCERTMODE_DISABLE,
		.sni = value[CI_SSLSNI] != 0,
		.alpn_required = pc->sslmode.direct,
	};
}

static int
begin_handshake(struct pgconn *pc, struct err *err)
{
	set_tls(pc);
	pc->state = PGCONN_HANDSHAKE;
	return conn_start_tls(&pc->conn, &pc->tls, err);
}

/* requirepeer: who is at the other end of the Unix socket? */
static int
check_peer(struct pgconn *pc, struct err *err)
{
	const char *wanted = pc->ci->text[CI_REQUIREPEER];
	char user[256];

	if (*wanted == '\0' || !addr_is_unix(pgdial_address(&pc->dial)))
		return 0;
	if (conn_peer_user(&pc->conn, user, sizeof(user), err) == -1)
		return -1;
	if (strcmp(user, wanted) == 0)
		return 0;
	return err_set(err, ERR_AUTH,
	    "requirepeer is \"%.100s\", but the server runs as \"%.100s\"",
	    wanted, user);
}

static int
connected(struct pgconn *pc, struct err *err)
{
	if (conn_connected(&pc->conn, err) == -1 || check_peer(pc, err) == -1)
		return -1;
	if (!pc->sslmode.tls)
		return begin_login(pc, err);
	if (pc->sslmode.direct)
		return begin_handshake(pc, err);
	wire_put_ssl_request(&pc->conn.out);
	pc->state = PGCONN_SSL_REQUEST;
	return pgconn_flush(pc, err);
}

/* One byte, and what comes behind it has to be TLS (CVE-2021-23222): it is not
 * in pc->conn.in, which stays empty. */
static int
take_ssl_answer(struct pgconn *pc, struct err *err)
{
	uint8_t answer;

	switch (conn_read_byte(&pc->conn, &answer, err)) {
	case CONN_OK:
		break;
	case CONN_AGAIN:
		return pgconn_flush(pc, err);
	case CONN_EOF:
		return err_set(err, ERR_IO, "the server closed the connection");
	default:
		return -1;
	}
	switch (sslmode_answer(&pc->sslmode, answer, err)) {
	case 1:
		/* What comes later has to pass for TLS. */
		if (conn_read_byte(&pc->conn, &answer, err) == CONN_OK)
			return err_set(err, ERR_PROTO,
			    "the server's answer to SSLRequest is more than "
			    "one byte: somebody may be in between");
		return begin_handshake(pc, err);
	case 0:
		return begin_login(pc, err);
	default:
		return -1;
	}
}

static int
handshake(struct pgconn *pc, struct err *err)
{
	switch (conn_handshake(&pc->conn, err)) {
	case CONN_OK:
		return begin_login(pc, err);
	case CONN_AGAIN:
		return 0;
	default:
		return -1;
	}
}

/* LOGIN: a server that hung up has said why before. */
static int
go_on(struct pgconn *pc, short revents, struct err *err)
{
	struct err why;

	if (pgconn_flush(pc, err) == -1) {
		if ((pgconn_fill(pc, LOGIN_READ, &why) == -1 ||
			login(pc, &why) == -1) &&
		    why.kind != ERR_IO)
			*err = why;
		return -1;
	}
	if (conn_readable(&pc->conn, revents) &&
	    pgconn_fill(pc, LOGIN_READ, err) == -1)
		return -1;
	if (login(pc, err) == -1)
		return -1;
	return pgconn_flush(pc, err);
}

int
pglogin_step(struct pgconn *pc, short revents, struct err *err)
{
	if (pc->state == PGCONN_CONNECTING && revents != 0 &&
	    connected(pc, err) == -1)
		return -1;
	if (pc->state == PGCONN_SSL_REQUEST && take_ssl_answer(pc, err) == -1)
		return -1;
	if (pc->state == PGCONN_HANDSHAKE && handshake(pc, err) == -1)
		return -1;
	return pc->state == PGCONN_LOGIN ? go_on(pc, revents, err) : 0;
}
