#ifndef PG_SCRAM_H
#define PG_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * The client side of SCRAM-SHA-256 (RFC 5802, RFC 7677; PostgreSQL, "SASL
 * Authentication"), without channel binding. Three steps, each once and in
 * this order: scram_first, scram_final, scram_verify. Only when scram_verify
 * returned 0 has the server proved that it knows the password, and only then
 * may AuthenticationOk be believed.
 */

#define SCRAM_NONCE_LEN 24 /* base64 of 18 random bytes */
#define SCRAM_MAX_ITERATIONS 100000

enum scram_state { SCRAM_START, SCRAM_FIRST, SCRAM_FINAL, SCRAM_DONE };

struct scram {
	enum scram_state state;
	char first_bare[80]; /* client-first-message-bare */
	char nonce[SCRAM_NONCE_LEN + 1];
	uint8_t server_signature[32];
};

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
 * client-final-message to out. Refuses (-1, ERR_AUTH): anything but exactly
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

/* Overwrites everything secret; s may then be started again. */
void scram_wipe(struct scram *s);

/*
 * The answer to AuthenticationMD5Password: "md5" and 32 hex digits of
 * md5(md5(password || user) || salt), NUL-terminated, in to[36]. Returns 0, or
 * -1 when this OpenSSL refuses MD5.
 */
int scram_md5(char to[36], const char *user, const char *password,
    const uint8_t salt[4]);

#endif
