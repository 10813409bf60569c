#ifndef NET_TLS_CTX_H
#define NET_TLS_CTX_H

#include <stdbool.h>

#include "base/err.h"

/*
 * How a TLS connection to a server is to be made: PostgreSQL, in libpq's terms
 * (PostgreSQL, "SSL Support" and "Database Connection Control Functions"). A
 * path that is NULL or "" means the file of that name in HOME/.postgresql, if
 * it exists: root.crt, root.crl, postgresql.crt, postgresql.key.
 */

/* What sslmode asks of the server's certificate. A root file that exists is
 * used whatever it says, as libpq does. */
enum tls_verify {
	TLS_VERIFY_NONE, /* prefer, require: by the root file, if any */
	TLS_VERIFY_CA,   /* verify-ca: there has to be one */
	TLS_VERIFY_FULL, /* verify-full: and the name has to be right */
};

struct tls_settings {
	const char *host; /* to check, and to send; the `host` that was asked
			     for, never its address (hostaddr) */
	const char *home; /* NULL: nowhere to look for files */
	const char *root; /* CA certificates; "system": those of OpenSSL */
	const char *cert, *key;   /* PEM; the key may be DER as well */
	const char *key_password; /* NULL: none. Nobody is ever asked */
	const char *crl, *crl_dir;
	const char *min_version, *max_version; /* "TLSv1.2"; NULL: 1.2 and
						  any; "": as OpenSSL says */
	enum tls_verify verify;
	bool use_cert;      /* send ours, if there is one and it is asked for */
	bool sni;           /* say which host is meant */
	bool alpn_required; /* sslnegotiation=direct */
	const char *alpn;   /* what is spoken over it; NULL: "postgresql" */
};

#define TLS_ALPN_MAX 32
const char *tls_alpn(const struct tls_settings *s);

struct ssl_ctx_st;

/*
 * The context of one connection attempt: every file is read anew. Returns NULL
 * with err: ERR_USAGE for a version that does not exist, otherwise ERR_AUTH
 * naming the file. *verified: the chain will be checked. The caller frees it
 * with SSL_CTX_free.
 */
struct ssl_ctx_st *
tls_ctx_client(const struct tls_settings *s, bool *verified, struct err *err);

#endif
