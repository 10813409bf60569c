#ifndef NET_TLS_SERVER_H
#define NET_TLS_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * How clients' TLS connections are taken: TLS 1.2 and later with what RFC 9113,
 * section 9.2 leaves of it (ephemeral keys, AEAD ciphers, no compression, no
 * renegotiation), and HTTP/2 agreed upon by ALPN (RFC 7301), without which
 * there is no handshake. No session is kept and no ticket sent, so there is no
 * early data, no key that outlives a connection, and a client certificate is
 * looked at every time.
 */
struct tls_server_settings {
	const char *cert, *key; /* PEM: ours, its chain behind it; its key */
	const char *client_ca;  /* PEM: who signs clients'; NULL: not asked */
	const char *client_crl; /* PEM: what they revoked; NULL: nothing */
	bool client_optional;   /* one may be missing, but not be wrong */
};

struct ssl_ctx_st;

/*
 * Reads every file. Returns a context for tls_server, or NULL with err (mostly
 * ERR_AUTH) naming the file. The caller frees it with tls_server_free;
 * connections that were made of it have references of their own.
 */
struct ssl_ctx_st *
tls_server_ctx(const struct tls_server_settings *s, struct err *err);
void tls_server_free(struct ssl_ctx_st *ctx);

/* Its certificate for the log: "CN=x, valid until Jan 31 12:00:00 2026 GMT".
 * Returns whether it is valid now. */
bool tls_server_describe(const struct ssl_ctx_st *ctx, char *text, size_t cap);

#endif
