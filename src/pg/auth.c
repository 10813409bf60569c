#include "pg/auth.h"

#include <stdio.h>
#include <string.h>

#include "base/rd.h"

#define SCRAM_NAME "SCRAM-SHA-256"
#define PLUS_NAME "SCRAM-SHA-256-PLUS"

/* What auth->method is, and compared by identity. */
static const char none[] = "none", unbound[] = "scram-sha-256",
		  bound[] = "scram-sha-256-plus";

void
auth_init(struct auth *a, const char nonce[SCRAM_NONCE_LEN + 1])
{
	memset(a, 0, sizeof(*a));
	snprintf(a->nonce, sizeof(a->nonce), "%s", nonce);
	a->method = none;
}

void
auth_wipe(struct auth *a)
{
	scram_wipe(&a->scram);
}

static int
need_password(const struct auth_policy *p, struct err *err)
{
	if (p->password != NULL)
		return 0;
	return err_set(err, ERR_AUTH,
	    "the server asks for the password of user \"%.100s\", and none was "
	    "given (password=, PGPASSWORD or the password file)",
	    p->user);
}

/* May this method begin, and as the only one? */
static int
begin(struct auth *a, const struct auth_policy *p, unsigned bit,
    const char *method, struct err *err)
{
	if ((p->allowed & bit) == 0)
		return err_set(err, ERR_AUTH,
		    "the server asks for %s authentication, which require_auth "
		    "does not allow",
		    method);
	if (p->channel_binding == CHANNEL_BINDING_REQUIRE &&
	    bit != AUTH_ALLOW_SCRAM)
		return err_set(err, ERR_AUTH,
		    "channel binding is required, and the server asks for %s "
		    "authentication, which has none",
		    method);
	if (a->method != none)
		return err_set(err, ERR_AUTH,
		    "the server asks for %s authentication after %s", method,
		    a->method);
	a->method = method;
	return need_password(p, err);
}

static int
answer_cleartext(struct auth *a, const struct auth_policy *p, struct rd *r,
    struct buf *out, struct err *err)
{
	(void)r;
	if (begin(a, p, AUTH_ALLOW_PASSWORD, "password", err) == -1)
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

	if (salt == NULL)
		return err_set(err, ERR_PROTO, "MD5 request without a salt");
	if (begin(a, p, AUTH_ALLOW_MD5, "md5", err) == -1)
		return -1;
	if (scram_md5(hash, p->user, p->password, salt) == -1)
		return err_set(err, ERR_AUTH,
		    "the server asks for an MD5 password, which this OpenSSL "
		    "refuses; use scram-sha-256");
	wire_put_password(out, hash);
	return 0;
}

/*
 * Which mechanism, and what to say of channel binding. A server that offers
 * -PLUS without TLS is being impersonated, or the TLS is: libpq refuses, too.
 */
static int
choose(const struct auth_policy *p, bool scram, bool plus,
    enum scram_flag *flag, struct err *err)
{
	bool required = p->channel_binding == CHANNEL_BINDING_REQUIRE;
	bool able = p->tls && p->binding != NULL &&
	    p->channel_binding != CHANNEL_BINDING_DISABLE;

	if (plus && !p->tls)
		return err_set(err, ERR_AUTH,
		    "the server offers " PLUS_NAME
		    " on a connection without TLS: not trusted");
	if (plus && able) {
		*flag = SCRAM_BOUND;
		return 0;
	}
	if (required && p->tls && p->binding == NULL)
		return err_set(err, ERR_AUTH, "channel binding is required: %s",
		    p->binding_why);
	if (required)
		return err_set(err, ERR_AUTH,
		    "channel binding is required, and %s",
		    p->tls ? "the server does not offer it"
			   : "the connection has no TLS");
	if (!scram)
		return err_set(err, ERR_AUTH,
		    "the server offers no SASL mechanism that is supported (" SCRAM_NAME
		    ")");
	*flag = able ? SCRAM_NOT_OFFERED : SCRAM_UNBOUND;
	return 0;
}

static int
answer_sasl(struct auth *a, const struct auth_policy *p, struct rd *r,
    struct buf *out, struct err *err)
{
	enum scram_flag flag = SCRAM_UNBOUND;
	bool scram = false, plus = false;
	const char *name;
	struct buf first;

	while (!r->bad && *(name = rd_cstr(r)) != '\0') {
		scram |= strcmp(name, SCRAM_NAME) == 0;
		plus |= strcmp(name, PLUS_NAME) == 0;
	}
	if (r->bad)
		return err_set(err, ERR_PROTO,
		    "the server's list of SASL mechanisms is cut off");
	if (begin(a, p, AUTH_ALLOW_SCRAM, unbound, err) == -1 ||
	    choose(p, scram, plus, &flag, err) == -1)
		return -1;
	if (flag == SCRAM_BOUND)
		a->method = bound;
	scram_bind(&a->scram, flag, p->binding,
	    flag == SCRAM_BOUND ? p->binding_len : 0);
	buf_init(&first, 1024);
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

	buf_init(&final, 4096);
	rc =
	    scram_final(&a->scram, p->password, rd_bytes(r, n), n, &final, err);
	if (rc == 0)
		wire_put_sasl_response(out, buf_head(&final),
		    buf_unread(&final));
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

/* AuthenticationOk in the middle of SCRAM comes from somebody who does not
 * know the password. */
static int
answer_ok(struct auth *a, const struct auth_policy *p, struct rd *r,
    struct buf *out, struct err *err)
{
	bool scram = a->method == unbound || a->method == bound;

	(void)r;
	(void)out;
	if (scram && !scram_done(&a->scram))
		return err_set(err, ERR_AUTH,
		    "the server did not prove that it knows the password: not "
		    "trusted");
	if (p->channel_binding == CHANNEL_BINDING_REQUIRE && a->method != bound)
		return err_set(err, ERR_AUTH,
		    "channel binding is required, and the server let us in "
		    "without it");
	if (a->method == none && (p->allowed & AUTH_ALLOW_NONE) == 0)
		return err_set(err, ERR_AUTH,
		    "the server did not ask for authentication, and "
		    "require_auth demands it");
	return 1;
}

static const struct {
	uint32_t request;
	int (*answer)(struct auth *, const struct auth_policy *, struct rd *,
	    struct buf *, struct err *);
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

int
auth_message(struct auth *a, const struct auth_policy *policy,
    const struct wire_msg *msg, struct buf *out, struct err *err)
{
	struct rd r = rd_make(msg->body, msg->len);
	uint32_t request = rd_u32(&r);

	if (r.bad)
		return err_set(err, ERR_PROTO,
		    "the server sent an authentication request without a code");
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (methods[i].request != request)
			continue;
		if (methods[i].answer != NULL)
			return methods[i].answer(a, policy, &r, out, err);
		return err_set(err, ERR_AUTH,
		    "the server asks for %s authentication, which is not "
		    "supported; use scram-sha-256 in pg_hba.conf",
		    methods[i].refused);
	}
	return err_set(err, ERR_AUTH,
	    "the server asks for the unknown authentication method %u",
	    request);
}
