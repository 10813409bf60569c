#ifndef PG_SCRAM_H
#define PG_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * The client side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677;
 * PostgreSQL, "SASL Authentication"). Three steps, each once and in this
 * order: scram_first, scram_final, scram_verify. Only when scram_verify
 * returned 0 has the server proved that it knows the password, and only then
 * may AuthenticationOk be believed.
 */

#define SCRAM_NONCE_LEN 24 /* base64 of 18 random bytes */
#define SCRAM_MAX_ITERATIONS 100000
#define SCRAM_BINDING_MAX 64 /* bytes; a SHA-512 */

/* What the client says of channel binding (RFC 5802, section 6). */
enum scram_flag {
	SCRAM_UNBOUND,     /* "n": it does none */
	SCRAM_NOT_OFFERED, /* "y": it would, but the server offers no -PLUS */
	SCRAM_BOUND, /* "p=tls-server-end-point": the mechanism is -PLUS */
};

enum scram_state { SCRAM_START, SCRAM_FIRST, SCRAM_FINAL, SCRAM_DONE };

struct scram {
	enum scram_state state;
	char first_bare[80]; /* client-first-message-bare */
	char nonce[SCRAM_NONCE_LEN + 1];
	enum scram_flag flag;
	uint8_t binding[SCRAM_BINDING_MAX];
	size_t binding_len;
	int iterations; /* what the server asked for; 0 before scram_final */
	uint8_t server_signature[32];
};

/*
 * Before scram_first, where it is not to be SCRAM_UNBOUND. binding is copied:
 * for SCRAM_BOUND the hash of the server's certificate (RFC 5929, section 4),
 * 1 to SCRAM_BINDING_MAX bytes, else none.
 */
void scram_bind(struct scram *s, enum scram_flag flag, const uint8_t *binding,
    size_t len);

/*
 * Starts an exchange: appends the client-first-message to out. user is empty
 * for PostgreSQL, which knows it from the startup packet (else at most 48
 * characters without '=' and ','); nonce is 1 to SCRAM_NONCE_LEN printable
 * characters without ','.
 */
void scram_first(struct scram *s, const char *user, const char *nonce,
    struct buf *out);

/*
 * Checks the server-first-message (len bytes) and appends the
 * client-final-message to out; the password goes through saslprep. Refuses (-1,
 * ERR_AUTH; ERR_NOMEM when there is no memory): anything but exactly
 * r=,s=,i= in this order, a nonce that does not begin with ours or adds
 * nothing to it, a salt that is not strict base64 or empty, an iteration count
 * of 0 or above SCRAM_MAX_ITERATIONS (before any hashing), a message out of
 * turn. A refusal, here and in scram_verify, ends the exchange and wipes s.
 */
int scram_final(struct scram *s, const char *password, const uint8_t *msg,
    size_t len, struct buf *out, struct err *err);

/*
 * Checks the server-final-message in constant time. Returns 0 when the
 * signature is right, -1 with ERR_AUTH when it is not or the server sent e=.
 */
int
scram_verify(struct scram *s, const uint8_t *msg, size_t len, struct err *err);

/* True once scram_verify has succeeded. */
bool scram_done(const struct scram *s);

/* Overwrites everything, secret or not; s may then be started again. */
void scram_wipe(struct scram *s);

/*
 * The answer to AuthenticationMD5Password: "md5" and 32 hex digits of
 * md5(md5(password || user) || salt), NUL-terminated, in to[36]. Returns 0, or
 * -1 when this OpenSSL refuses MD5.
 */
int scram_md5(char to[36], const char *user, const char *password,
    const uint8_t salt[4]);

#endif
