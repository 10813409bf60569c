#ifndef TESTS_TLS_PAIR_H
#define TESTS_TLS_PAIR_H

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "pki.h"

/*
 * A TLS server made of plain OpenSSL, on one end of a socket pair; what is
 * tested is on the other, fds[0]. Neither waits. cmocka.h comes before.
 */

struct tls_peer {
	const struct identity *who;
	X509 *chain;        /* sent as well; NULL: nothing */
	X509 *clients;      /* asks for certificates of this CA; NULL: no */
	bool must;          /* and insists */
	int version;        /* the only one; 0: any */
	const char *speaks; /* ALPN; NULL: takes no notice of it */

	char server_name[200]; /* what it was sent */
	bool named;
	bool done;
	SSL *ssl;
	int fds[2];
};

static inline int
peer_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
    const unsigned char *in, unsigned int in_len, void *arg)
{
	const struct tls_peer *p = arg;

	(void)ssl;
	assert_int_equal(in_len, 11);
	assert_memory_equal(in, "\012postgresql", 11);
	if (p->speaks == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	*out = (const unsigned char *)p->speaks;
	*len = (unsigned char)strlen(p->speaks);
	return SSL_TLSEXT_ERR_OK;
}

static inline int
peer_name(SSL *ssl, int *alert, void *arg)
{
	struct tls_peer *p = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	p->named = name != NULL;
	snprintf(p->server_name, sizeof(p->server_name), "%s",
	    name == NULL ? "" : name);
	return SSL_TLSEXT_ERR_OK;
}

static inline SSL_CTX *
peer_context(struct tls_peer *p)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, p->version);
	SSL_CTX_set_max_proto_version(ctx, p->version);
	assert_int_equal(SSL_CTX_use_certificate(ctx, p->who->cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, p->who->key), 1);
	if (p->chain != NULL)
		SSL_CTX_add1_chain_cert(ctx, p->chain);
	if (p->clients != NULL) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), p->clients);
		SSL_CTX_set_verify(ctx,
		    SSL_VERIFY_PEER |
			(p->must ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
		    NULL);
	}
	SSL_CTX_set_alpn_select_cb(ctx, peer_alpn, p);
	SSL_CTX_set_tlsext_servername_callback(ctx, peer_name);
	SSL_CTX_set_tlsext_servername_arg(ctx, p);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE);
	return ctx;
}

static inline void
peer_begin(struct tls_peer *p)
{
	SSL_CTX *ctx = peer_context(p);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     p->fds),
	    0);
	p->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	SSL_set_fd(p->ssl, p->fds[1]);
	SSL_set_accept_state(p->ssl);
	p->done = p->named = false;
}

/* One step of its handshake. A failure is the other side's to notice. */
static inline void
peer_step(struct tls_peer *p)
{
	ERR_clear_error();
	p->done = p->done || SSL_do_handshake(p->ssl) == 1;
	ERR_clear_error();
}

/* Its end goes, without a word; fds[0] stays. */
static inline void
peer_cut(struct tls_peer *p)
{
	if (p->ssl == NULL)
		return;
	SSL_free(p->ssl);
	p->ssl = NULL;
	close(p->fds[1]);
	ERR_clear_error();
}

static inline void
peer_end(struct tls_peer *p)
{
	peer_cut(p);
	close(p->fds[0]);
}

#endif
