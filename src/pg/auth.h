#ifndef PG_AUTH_H
#define PG_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "pg/scram.h"
#include "pg/wire.h"

/*
 * Authentication towards PostgreSQL, from the first Authentication message to
 * AuthenticationOk (PostgreSQL, "Start-up" and "SASL Authentication"), with the
 * meaning that libpq gives to require_auth and channel_binding.
 */

/* channel_binding */
enum {
	CHANNEL_BINDING_DISABLE,
	CHANNEL_BINDING_PREFER,
	CHANNEL_BINDING_REQUIRE
};

/* require_auth: a bit for each method that is allowed. */
enum {
	AUTH_ALLOW_NONE = 1, /* AuthenticationOk at once: trust, peer, cert */
	AUTH_ALLOW_PASSWORD = 2,
	AUTH_ALLOW_MD5 = 4,
	AUTH_ALLOW_SCRAM = 8, /* SCRAM-SHA-256 and -PLUS */
	AUTH_ALLOW_ALL = 15,
};

/* What we have and what we accept. All is borrowed, for a call. */
struct auth_policy {
	const char *user;
	const char *password; /* NULL or "": none */
	unsigned allowed;     /* AUTH_ALLOW_ bits */
	int channel_binding;  /* CHANNEL_BINDING_ */
	bool tls;             /* the connection is encrypted */
	/* With TLS, the tls-server-end-point data of RFC 5929, at most
	 * SCRAM_BINDING_MAX bytes. NULL: there is none, and binding_why says why
	 * (NULL: not known). */
	const uint8_t *binding;
	size_t binding_len;
	const char *binding_why;
};

enum auth_state {
	AUTH_BEGUN,    /* nothing was asked for yet */
	AUTH_ANSWERED, /* a password was sent: the server has the last word */
	AUTH_STARTED,  /* SCRAM: the client-first-message was sent */
	AUTH_PROVED,   /* SCRAM: we have shown that we know the password */
	AUTH_VERIFIED, /* SCRAM: and so has the server */
	AUTH_DONE,     /* AuthenticationOk was right */
	AUTH_REFUSED,  /* something was not: nothing is accepted any more */
};

struct auth {
	enum auth_state state;
	/* As require_auth names it: "password", "md5", "scram-sha-256";
	 * "scram-sha-256-plus" when it is bound to the channel; "none" before
	 * any. Static. */
	const char *method;
	int iterations; /* of SCRAM; 0 before its Continue */
	char nonce[SCRAM_NONCE_LEN + 1];
	struct scram scram;
};

/* For one connection; nonce is for it alone, of SCRAM_NONCE_LEN characters that
 * nobody can foresee, printable and without ','. */
void auth_init(struct auth *a, const char nonce[SCRAM_NONCE_LEN + 1]);
/* Overwrites what is secret; method and iterations stay. */
void auth_wipe(struct auth *a);

/*
 * Takes an Authentication message, and appends the answer, if there is one, to
 * out. Returns 1 when it is AuthenticationOk and p is met, 0 when the exchange
 * goes on, or -1, with nothing appended, for what p does not allow, what comes
 * out of turn or again, and what is malformed: err is ERR_AUTH, ERR_PROTO or
 * ERR_NOMEM, and never holds a password. p must be the same in every call.
 *
 * SCRAM-SHA-256-PLUS is taken when the server offers it and there is binding
 * data; offered without TLS it is refused, as somebody has stripped the TLS. It
 * is for the caller to warn of a cleartext password without TLS, of MD5 and of
 * fewer iterations than 4096: all are answered, as libpq does.
 */
int auth_message(struct auth *a, const struct auth_policy *p,
    const struct wire_msg *msg, struct buf *out, struct err *err);

#endif
