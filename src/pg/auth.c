#include "pg/auth.h"

#include <openssl/crypto.h>
#include <string.h>

#define SCRAM_NAME "SCRAM-SHA-256"
#define PLUS_NAME "SCRAM-SHA-256-PLUS"
#define MAX_FIRST 256   /* bytes of a client-first-message */
#define MAX_FINAL 16384 /* of a client-final-message, with the server's nonce */

/* auth->method when it is bound; compared by identity. */
static const char bound[] = "scram-sha-256-plus";

void
auth_init(struct auth *a, const char nonce[SCRAM_NONCE_LEN + 1])
{
	memset(a, 0, sizeof(*a));
	a->method = "none";
	memcpy(a->nonce, nonce, SCRAM_NONCE_LEN);
}

void
auth_wipe(struct auth *a)
{
	scram_wipe(&a->scram);
	OPENSSL_cleanse(a->nonce, sizeof(a->nonce));
}

static int
need_password(const struct auth_policy *p, struct err *err)
{
	if (p->password != NULL && *p->password != '\0')
		return 0;
	return err_set(err, ERR_AUTH,
	    "the server asks for the password of user \"%.100s\", and none was "
	    "given (password=, PGPASSWORD or the password file)",
	    p->user);
}

static int
malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_PROTO,
	    "the server sent a malformed authentication request: %s", what);
}

static int
answer_cleartext(struct auth *a, const struct auth_policy *p, struct rd *r,
    struct buf *out, struct err *err)
{
	(void)a;
	if (!rd_done(r))
		return malformed(err, "cleartext with more than its name");
	if (need_password(p, err) == -1)
		return -1;
	wire_put_password(out, p->password);
	return 0;
}

static int
answer_md5(struct auth *a, const struct auth_policy *p, struct rd *r,
    struct buf *out, struct err *err)
{
	const uint8_t *salt = rd_bytes(r, 4);
	char hash[36];

	(void)a;
	if (!rd_done(r))
		return malformed(err, "MD5 without a salt of 4 bytes");
	if (need_password(p, err) == -1)
		return -1;
	if (scram_md5(hash, p->user, p->password, salt) == -1)
		return err_set(err, ERR_AUTH,
		    "the server asks for an MD5 password, which this OpenSSL "
		    "refuses; use scram-sha-256");
	wire_put_password(out, hash);
	OPENSSL_cleanse(hash, sizeof(hash));
	return 0;
}

/* The mechanisms that a server offers. */
struct offer {
	bool plain, plus;
};

static int
read_offer(struct offer *o, struct rd *r, struct err *err)
{
	const char *name;

	o->plain = o->plus = false;
	while (*(name = rd_cstr(r)) != '\0') {
		o->plain |= strcmp(name, SCRAM_NAME) == 0;
		o->plus |= strcmp(name, PLUS_NAME) == 0;
	}
	return rd_done(r)
	    ? 0
	    : malformed(err, "the list of SASL mechanisms does not end");
}

static const char *
why_unbound(const struct auth_policy *p)
{
	if (!p->tls)
		return "the connection has no TLS";
	if (p->channel_binding == CHANNEL_BINDING_DISABLE)
		return "channel_binding=disable rules it out";
	if (p->binding != NULL && p->binding_len > 0)
		return "the server does not offer it";
	return p->binding_why != NULL ? p->binding_why
				      : "there is nothing to bind to";
}

/*
 * Which mechanism, and what to say of channel binding. A server that offers
 * -PLUS without TLS is being impersonated, or the TLS is: libpq refuses, too.
 * A certificate without a digest is chosen by whoever shows it, so it must not
 * make us do without: "y" tells the real server that somebody took -PLUS away.
 */
static int
choose(const struct auth_policy *p, const struct offer *o,
    enum scram_flag *flag, struct err *err)
{
	bool wants = p->tls && p->channel_binding != CHANNEL_BINDING_DISABLE;
	bool able = wants && p->binding != NULL && p->binding_len > 0;

	if (o->plus && !p->tls)
		return err_set(err, ERR_AUTH,
		    "the server offers " PLUS_NAME
		    " on a connection without TLS: not trusted");
	*flag = !wants ? SCRAM_UNBOUND
	    : o->plus  ? SCRAM_BOUND
		       : SCRAM_NOT_OFFERED;
	if (*flag == SCRAM_BOUND && able)
		return 0;
	if (p->channel_binding == CHANNEL_BINDING_REQUIRE)
		return err_set(err, ERR_AUTH,
		    "channel binding is required, and %s", why_unbound(p));
	if (*flag == SCRAM_BOUND)
		return err_set(err, ERR_AUTH,
		    "the server offers channel binding, and %s; "
		    "channel_binding=disable goes without",
		    why_unbound(p));
	if (o->plain)
		return 0;
	if (o->plus)
		return err_set(err, ERR_AUTH,
		    "the server insists on channel binding, and %s",
		    why_unbound(p));
	return err_set(err, ERR_AUTH,
	    "the server offers no SASL mechanism that is supported "
	    "(" SCRAM_NAME ", " PLUS_NAME ")");
}

static int
answer_sasl(struct auth *a, const struct auth_policy *p, struct rd *r,
    struct buf *out, struct err *err)
{
	enum scram_flag flag = SCRAM_UNBOUND;
	struct offer offer;
	struct buf first;

	if (read_offer(&offer, r, err) == -1 ||
	    choose(p, &offer, &flag, err) == -1 || need_password(p, err) == -1)
		return -1;
	if (flag == SCRAM_BOUND)
		a->method = bound;
	scram_bind(&a->scram, flag, p->binding,
	    flag == SCRAM_BOUND ? p->binding_len : 0);
	buf_init(&first, MAX_FIRST);
	scram_first(&a->scram, "", a->nonce, &first);
	wire_put_sasl_initial(out, flag == SCRAM_BOUND ? PLUS_NAME : SCRAM_NAME,
	    buf_head(&first), buf_unread(&first));
	buf_free(&first);
	return 0;
}

static int
answer_sasl_continue(struct auth *a, const struct auth_policy *p, struct rd *r,
    struct buf *out, struct err *err)
{
	size_t n = rd_left(r);
	struct buf final;
	int rc;

	/* The password file may have been read again since. */
	if (need_password(p, err) == -1)
		return -1;
	buf_init(&final, MAX_FINAL);
	rc =
	    scram_final(&a->scram, p->password, rd_bytes(r, n), n, &final, err);
	if (rc == 0 && final.failed)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc == 0) {
		a->iterations = a->scram.iterations;
		wire_put_sasl_response(out, buf_head(&final),
		    buf_unread(&final));
	}
	buf_free(&final);
	return rc;
}

static int
answer_sasl_final(struct auth *a, const struct auth_policy *p, struct rd *r,
    struct buf *out, struct err *err)
{
	size_t n = rd_left(r);

	(void)p;
	(void)out;
	return scram_verify(&a->scram, rd_bytes(r, n), n, err);
}

/* A method goes from state `from` to state `to`, and nowhere else. */
struct request {
	uint32_t code;
	enum auth_state from, to;
	unsigned allow;
	const char *method;
	int (*answer)(struct auth *, const struct auth_policy *, struct rd *,
	    struct buf *, struct err *);
};

static const struct request requests[] = {
	{ AUTH_CLEARTEXT, AUTH_BEGUN, AUTH_ANSWERED, AUTH_ALLOW_PASSWORD,
	    "password", answer_cleartext },
	{ AUTH_MD5, AUTH_BEGUN, AUTH_ANSWERED, AUTH_ALLOW_MD5, "md5",
	    answer_md5 },
	{ AUTH_SASL, AUTH_BEGUN, AUTH_STARTED, AUTH_ALLOW_SCRAM,
	    "scram-sha-256", answer_sasl },
	{ AUTH_SASL_CONTINUE, AUTH_STARTED, AUTH_PROVED, AUTH_ALLOW_SCRAM, NULL,
	    answer_sasl_continue },
	{ AUTH_SASL_FINAL, AUTH_PROVED, AUTH_VERIFIED, AUTH_ALLOW_SCRAM, NULL,
	    answer_sasl_final },
};

static const struct {
	uint32_t code;
	const char *name;
} unsupported[] = {
	{ 1, "Kerberos V4" },
	{ 2, "Kerberos V5" },
	{ 4, "crypt" },
	{ 6, "SCM credentials" },
	{ 7, "GSSAPI" },
	{ 8, "GSSAPI" },
	{ 9, "SSPI" },
};

static int
refuse_unsupported(uint32_t code, struct err *err)
{
	for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]);
	     i++)
		if (unsupported[i].code == code)
			return err_set(err, ERR_AUTH,
			    "the server asks for %s authentication, which is "
			    "not supported; use scram-sha-256 in pg_hba.conf",
			    unsupported[i].name);
	return err_set(err, ERR_AUTH,
	    "the server asks for the unknown authentication method %u", code);
}

static int
out_of_turn(const struct auth *a, const struct request *q, struct err *err)
{
	if (q->method == NULL)
		return err_set(err, ERR_AUTH,
		    "the server sent a message of SCRAM out of turn");
	return err_set(err, ERR_AUTH,
	    "the server asks for %s authentication after %s", q->method,
	    a->method);
}

static const struct request *
find_request(uint32_t code)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].code == code)
			return &requests[i];
	return NULL;
}

/*
 * AuthenticationOk in the middle of SCRAM comes from somebody who does not
 * know the password; libpq believes it when require_auth is not set.
 */
static int
check_ok(const struct auth *a, const struct auth_policy *p, struct rd *r,
    struct err *err)
{
	if (!rd_done(r))
		return malformed(err, "Ok with more than its name");
	if (a->state == AUTH_STARTED || a->state == AUTH_PROVED)
		return err_set(err, ERR_AUTH,
		    "the server did not prove that it knows the password: not "
		    "trusted");
	if (p->channel_binding == CHANNEL_BINDING_REQUIRE &&
	    (a->state != AUTH_VERIFIED || a->method != bound))
		return err_set(err, ERR_AUTH,
		    "channel binding is required, and the server let us in "
		    "without it");
	if (a->state == AUTH_BEGUN && (p->allowed & AUTH_ALLOW_NONE) == 0)
		return err_set(err, ERR_AUTH,
		    "the server did not ask for authentication, and "
		    "require_auth demands it");
	return 1;
}

/* What begins an exchange has to be allowed; what goes on with it was. */
static int
check_request(const struct auth *a, const struct request *q,
    const struct auth_policy *p, struct err *err)
{
	if ((p->allowed & q->allow) == 0)
		return err_set(err, ERR_AUTH,
		    "the server asks for %s authentication, which require_auth "
		    "does not allow",
		    q->method != NULL ? q->method : "scram-sha-256");
	if (p->channel_binding == CHANNEL_BINDING_REQUIRE &&
	    q->allow != AUTH_ALLOW_SCRAM)
		return err_set(err, ERR_AUTH,
		    "channel binding is required, and the server asks for %s "
		    "authentication, which has none",
		    q->method);
	return q->from == a->state ? 0 : out_of_turn(a, q, err);
}

static int
take(struct auth *a, const struct auth_policy *p, struct rd *r, struct buf *out,
    struct err *err)
{
	uint32_t code = rd_u32(r);
	const struct request *q = find_request(code);

	if (r->bad)
		return malformed(err, "without a code");
	if (a->state == AUTH_DONE || a->state == AUTH_REFUSED)
		return err_set(err, ERR_PROTO,
		    "the server sent an authentication request out of turn");
	if (code == AUTH_OK)
		return check_ok(a, p, r, err);
	if (q == NULL)
		return refuse_unsupported(code, err);
	if (check_request(a, q, p, err) == -1)
		return -1;
	if (q->method != NULL)
		a->method = q->method;
	if (q->answer(a, p, r, out, err) == -1)
		return -1;
	a->state = q->to;
	return 0;
}

int
auth_message(struct auth *a, const struct auth_policy *p,
    const struct wire_msg *msg, struct buf *out, struct err *err)
{
	struct rd r = rd_make(msg->body, msg->len);
	size_t had = buf_unread(out);
	int rc = take(a, p, &r, out, err);

	if (rc == 0)
		return 0;
	a->state = rc == 1 ? AUTH_DONE : AUTH_REFUSED;
	buf_truncate(out, had);
	auth_wipe(a);
	return rc;
}
