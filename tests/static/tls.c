/*
 * A TLS client and a server that talk to each other in memory, with the
 * libraries of the static build:
 *
 *	tls VERSION HOST PASSPHRASE	VERSION is 1.2 or 1.3
 *
 * The server has /cert.pem and /key.pem. The client knows /ca.pem, and takes
 * the server for HOST. Prints what was agreed upon; 1 if they do not agree.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

static void
need(int ok)
{
	if (ok > 0)
		return;
	ERR_print_errors_fp(stdout);
	exit(1);
}

static SSL *
side(const SSL_METHOD *method, int version, BIO *bio)
{
	SSL_CTX *ctx = SSL_CTX_new(method);
	SSL *ssl;

	need(ctx != NULL);
	need(SSL_CTX_set_min_proto_version(ctx, version));
	need(SSL_CTX_set_max_proto_version(ctx, version));
	need((ssl = SSL_new(ctx)) != NULL);
	SSL_set_bio(ssl, bio, bio);
	return ssl;
}

static SSL *
client(int version, BIO *bio, const char *host)
{
	SSL *ssl = side(TLS_client_method(), version, bio);

	need(SSL_CTX_load_verify_locations(SSL_get_SSL_CTX(ssl), "/ca.pem",
	    NULL));
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	need(SSL_set1_host(ssl, host));
	SSL_set_connect_state(ssl);
	return ssl;
}

static SSL *
server(int version, BIO *bio, char *passphrase)
{
	SSL *ssl = side(TLS_server_method(), version, bio);
	FILE *file = fopen("/key.pem", "r");
	EVP_PKEY *key;

	need(file != NULL);
	key = PEM_read_PrivateKey(file, NULL, NULL, passphrase);
	need(key != NULL);
	need(SSL_use_certificate_chain_file(ssl, "/cert.pem"));
	need(SSL_use_PrivateKey(ssl, key));
	SSL_set_accept_state(ssl);
	return ssl;
}

/* One step of a handshake; returns whether it is done. */
static int
step(SSL *ssl)
{
	int rc = SSL_do_handshake(ssl);

	if (rc != 1)
		need(SSL_get_error(ssl, rc) == SSL_ERROR_WANT_READ);
	return rc == 1;
}

int
main(int argc, char **argv)
{
	char byte = 0;
	BIO *one, *other;
	SSL *c, *s;
	int version;

	if (argc != 4)
		return 2;
	version = strcmp(argv[1], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
	need(BIO_new_bio_pair(&one, 0, &other, 0));
	c = client(version, one, argv[2]);
	s = server(version, other, argv[3]);
	while (step(c) + step(s) != 2)
		;
	need(SSL_write(c, "x", 1));
	need(SSL_read(s, &byte, 1));
	need(byte == 'x');
	printf("%s %s\n", SSL_get_version(c), SSL_get_cipher(c));
	return 0;
}
