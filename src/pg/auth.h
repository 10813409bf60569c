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
 * Authentication (PostgreSQL, "Authentication Methods", "require_auth",
 * "channel_binding"): the server asks, and whoever it is gets no more than what
 * the policy allows. Believed is only an AuthenticationOk that the policy
 * allows at this point.
 */

enum {
	CHANNEL_BINDING_DISABLE,
	CHANNEL_BINDING_PREFER,
	CHANNEL_BINDING_REQUIRE,
};

/* Methods of require_auth, as bits. */
enum {
	AUTH_ALLOW_NONE = 1, /* no exchange at all */
	AUTH_ALLOW_PASSWORD = 2,
	AUTH_ALLOW_MD5 = 4,
	AUTH_ALLOW_SCRAM = 8,
	AUTH_ALLOW_ALL = 15,
};

struct auth_policy {
	const char *user;
	const char *password; /* NULL: there is none */
	unsigned allowed;     /* AUTH_ALLOW_... */
	int channel_binding;  /* CHANNEL_BINDING_... */
	bool tls;
	/* tls-server-end-point (RFC 5929); NULL: the certificate has none, and
	 * why. */
	const uint8_t *binding;
	size_t binding_len;
	const char *binding_why;
};

struct auth {
	struct scram scram;
	char nonce[SCRAM_NONCE_LEN + 1];
	/* "none", "password", "md5", "scram-sha-256", "scram-sha-256-plus":
	 * what the server has asked for. */
	const char *method;
};

/* nonce: 24 random characters of base64. */
void auth_init(struct auth *a, const char nonce[SCRAM_NONCE_LEN + 1]);

/*
 * Takes a message of type PQ_AUTHENTICATION and appends the answer to out.
 * Returns 1 for the AuthenticationOk that ends it, 0 when it goes on, or -1
 * with ERR_AUTH or ERR_PROTO.
 */
int auth_message(struct auth *a, const struct auth_policy *policy,
    const struct wire_msg *msg, struct buf *out, struct err *err);

/* Overwrites everything secret. */
void auth_wipe(struct auth *a);

#endif
