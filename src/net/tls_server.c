#include "net/tls_server.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "net/tls_file.h"

/* What is left of TLS 1.2 by RFC 9113, appendix A, the fastest first. */
#define CIPHERS                                                      \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define PROTOCOL "\002h2"

/* The client's list has to have h2 in it. */
static int
choose(SSL *ssl, const unsigned char **out, unsigned char *len,
    const unsigned char *in, unsigned int in_len, void *arg)
{
	(void)ssl;
	(void)arg;
	for (unsigned at = 0; at < in_len; at += 1u + in[at])
		if (in_len - at >= sizeof(PROTOCOL) - 1 &&
		    memcmp(in + at, PROTOCOL, sizeof(PROTOCOL) - 1) == 0) {
			*out = in + at + 1;
			*len = in[at];
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
}

/* One without a list never gets to choose(). */
static int
greet(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *list;
	size_t len;

	(void)arg;
	if (SSL_client_hello_get0_ext(ssl,
		TLSEXT_TYPE_application_layer_protocol_negotiation, &list,
		&len) == 1)
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

/* Nobody is ever asked for a password. */
static int
no_password(char *to, int cap, int writing, void *asked)
{
	(void)to;
	(void)cap;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

/* Buffers are released while idle: thousands of clients say little. */
static int
set_options(SSL_CTX *ctx, struct err *err)
{
	static const unsigned char id[] = "walstream";

	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
		SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_select_cb(ctx, choose, NULL);
	SSL_CTX_set_client_hello_cb(ctx, greet, NULL);
	if (SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
	    SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1) == 1 &&
	    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1)
		return 0;
	return err_set(err, ERR_AUTH, "could not set up TLS: %s", tls_reason());
}

static int
bad(enum tls_file_kind kind, const char *file, const char *why, struct err *err)
{
	return err_set(err, ERR_AUTH, "could not use %s \"%.300s\": %s",
	    tls_file_what(kind), file, why);
}

/* PEM_read_* stop at the end with an error of their own. */
static bool
at_end(void)
{
	bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

	if (end)
		ERR_clear_error();
	return end;
}

static int
load_cert(SSL_CTX *ctx, const char *file, struct err *err)
{
	BIO *bio = tls_file_read(TLS_FILE_CERT, file, err);
	bool ok, asked = false;
	X509 *cert;

	if (bio == NULL)
		return -1;
	cert = PEM_read_bio_X509_AUX(bio, NULL, no_password, &asked);
	ok = cert != NULL && SSL_CTX_use_certificate(ctx, cert) == 1;
	X509_free(cert);
	while (ok &&
	    (cert = PEM_read_bio_X509(bio, NULL, no_password, &asked)) != NULL)
		if (!(ok = SSL_CTX_add0_chain_cert(ctx, cert) == 1))
			X509_free(cert);
	BIO_free(bio);
	if (!ok && at_end())
		return bad(TLS_FILE_CERT, file,
		    "there is no certificate in PEM form in it", err);
	ok = ok && at_end();
	return ok ? 0 : bad(TLS_FILE_CERT, file, tls_reason(), err);
}

static int
load_key(SSL_CTX *ctx, const char *file, struct err *err)
{
	BIO *bio = tls_file_read(TLS_FILE_KEY, file, err);
	bool asked = false, fits;
	EVP_PKEY *key;

	if (bio == NULL)
		return -1;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, &asked);
	BIO_free(bio);
	if (asked)
		return bad(TLS_FILE_KEY, file,
		    "it is encrypted; it has to be without a passphrase", err);
	ERR_clear_error();
	if (key == NULL)
		return bad(TLS_FILE_KEY, file,
		    "there is no private key in PEM form in it", err);
	fits = SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
	    SSL_CTX_check_private_key(ctx) == 1;
	EVP_PKEY_free(key);
	if (fits)
		return 0;
	ERR_clear_error();
	return bad(TLS_FILE_KEY, file,
	    "it is not the key of the certificate (--tls-cert)", err);
}

/* Also told to clients, so that they can pick among theirs. */
static int
load_ca(SSL_CTX *ctx, const char *file, struct err *err)
{
	BIO *bio = tls_file_read(TLS_FILE_CA, file, err);
	bool ok = true, asked = false;
	unsigned count = 0;
	X509 *cert;

	if (bio == NULL)
		return -1;
	while (ok &&
	    (cert = PEM_read_bio_X509(bio, NULL, no_password, &asked)) !=
		NULL) {
		ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) ==
			1 &&
		    SSL_CTX_add_client_CA(ctx, cert) == 1;
		X509_free(cert);
		count++;
	}
	ok = ok && at_end();
	BIO_free(bio);
	if (ok && count == 0)
		return bad(TLS_FILE_CA, file, "there is no certificate in it",
		    err);
	return ok ? 0 : bad(TLS_FILE_CA, file, tls_reason(), err);
}

/* As PostgreSQL does, every authority of a chain has to have its list. */
static int
load_crl(SSL_CTX *ctx, const char *file, struct err *err)
{
	BIO *bio = tls_file_read(TLS_FILE_CRL, file, err);
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	bool ok = true, asked = false;
	unsigned count = 0;
	X509_CRL *crl;

	if (bio == NULL)
		return -1;
	while (ok &&
	    (crl = PEM_read_bio_X509_CRL(bio, NULL, no_password, &asked)) !=
		NULL) {
		ok = X509_STORE_add_crl(store, crl) == 1;
		X509_CRL_free(crl);
		count++;
	}
	ok = ok && at_end();
	BIO_free(bio);
	if (ok && count == 0)
		return bad(TLS_FILE_CRL, file, "there is no list in it", err);
	if (!ok)
		return bad(TLS_FILE_CRL, file, tls_reason(), err);
	X509_STORE_set_flags(store,
	    X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return 0;
}

static int
load(SSL_CTX *ctx, const struct tls_server_settings *s, struct err *err)
{
	int mode = SSL_VERIFY_PEER;

	if (set_options(ctx, err) == -1 || load_cert(ctx, s->cert, err) == -1 ||
	    load_key(ctx, s->key, err) == -1)
		return -1;
	if (s->client_ca == NULL)
		return 0;
	if (!s->client_optional)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(ctx, mode, NULL);
	if (load_ca(ctx, s->client_ca, err) == -1)
		return -1;
	return s->client_crl == NULL ? 0 : load_crl(ctx, s->client_crl, err);
}

struct ssl_ctx_st *
tls_server_ctx(const struct tls_server_settings *s, struct err *err)
{
	SSL_CTX *ctx;

	ERR_clear_error();
	if ((ctx = SSL_CTX_new(TLS_server_method())) == NULL) {
		err_set(err, ERR_NOMEM, "could not create SSL context: %s",
		    tls_reason());
		return NULL;
	}
	if (load(ctx, s, err) == -1) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	ERR_clear_error();
	return ctx;
}

void
tls_server_free(struct ssl_ctx_st *ctx)
{
	SSL_CTX_free(ctx);
}

bool
tls_server_describe(const struct ssl_ctx_st *ctx, char *text, size_t cap)
{
	const X509 *cert = SSL_CTX_get0_certificate(ctx);
	const ASN1_TIME *from = X509_get0_notBefore(cert);
	const ASN1_TIME *to = X509_get0_notAfter(cert);
	BIO *bio = BIO_new(BIO_s_mem());
	int n = 0;

	if (bio != NULL) {
		X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0,
		    XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
		BIO_puts(bio, ", valid until ");
		ASN1_TIME_print(bio, to);
		n = BIO_read(bio, text, (int)cap - 1);
		BIO_free(bio);
	}
	text[n > 0 ? n : 0] = '\0';
	ERR_clear_error();
	return X509_cmp_current_time(from) < 0 && X509_cmp_current_time(to) > 0;
}
