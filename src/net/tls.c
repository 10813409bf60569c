#include "net/tls.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/tls_name.h"

_Static_assert(TLS_HASH_MAX >= EVP_MAX_MD_SIZE, "any digest fits");

struct tls {
	SSL *ssl;
	int fd;
	int error;       /* errno of the last failed send or recv; 0: none */
	bool open;       /* the handshake is done */
	bool verified;   /* the chain is checked */
	bool cert_asked; /* the peer wants our certificate */
	bool cert_sent;
	bool
	    mute; /* writing has failed; there may still be something to read */
	bool gone; /* neither side can say anything more */
	const struct tls_settings *settings; /* until open */
	enum tls_result end; /* TLS_EOF or TLS_FAILED, once it is over */
	struct err why;
};

/*
 * OpenSSL's own socket BIO writes without MSG_NOSIGNAL, and what errno was is
 * lost on the way.
 */
static int
bio_result(BIO *bio, ssize_t n, int retry)
{
	struct tls *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	t->error = n < 0 ? errno : 0;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
	return (int)n;
}

static int
bio_read(BIO *bio, char *to, int n)
{
	struct tls *t = BIO_get_data(bio);
	ssize_t got;

	do
		got = recv(t->fd, to, (size_t)n, 0);
	while (got == -1 && errno == EINTR);
	if (got == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	return bio_result(bio, got, BIO_FLAGS_READ);
}

static int
bio_write(BIO *bio, const char *from, int n)
{
	struct tls *t = BIO_get_data(bio);
	ssize_t put;

	do
		put = send(t->fd, from, (size_t)n, MSG_NOSIGNAL);
	while (put == -1 && errno == EINTR);
	return bio_result(bio, put, BIO_FLAGS_WRITE);
}

static long
bio_ctrl(BIO *bio, int cmd, long n, void *p)
{
	(void)n;
	(void)p;
	if (cmd == BIO_CTRL_EOF)
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	return cmd == BIO_CTRL_FLUSH;
}

/* Made once; there is one thread. */
static BIO_METHOD *
bio_method(void)
{
	static BIO_METHOD *method;

	if (method == NULL &&
	    (method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
		 "socket")) != NULL) {
		BIO_meth_set_read(method, bio_read);
		BIO_meth_set_write(method, bio_write);
		BIO_meth_set_ctrl(method, bio_ctrl);
	}
	return method;
}

/* The server asks for a certificate; the context has the one we send. */
static int
cert_wanted(SSL *ssl, void *arg)
{
	struct tls *t = arg;

	t->cert_asked = true;
	t->cert_sent = SSL_get_certificate(ssl) != NULL;
	return 1;
}

static bool
attach(struct tls *t, SSL_CTX *ctx)
{
	const struct tls_settings *s = t->settings;
	BIO_METHOD *method = bio_method();
	BIO *bio = method == NULL ? NULL : BIO_new(method);

	if (bio == NULL || (t->ssl = SSL_new(ctx)) == NULL) {
		BIO_free(bio);
		return false;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_connect_state(t->ssl);
	SSL_set_cert_cb(t->ssl, cert_wanted, t);
	return !s->sni || !tls_name_is_sni(s->host) ||
	    SSL_set_tlsext_host_name(t->ssl, s->host) == 1;
}

struct tls *
tls_client(const struct tls_settings *s, int fd, struct err *err)
{
	struct tls *t = calloc(1, sizeof(*t));
	SSL_CTX *ctx;

	if (t == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	t->fd = fd;
	t->settings = s;
	if ((ctx = tls_ctx_client(s, &t->verified, err)) == NULL) {
		free(t);
		return NULL;
	}
	if (!attach(t, ctx)) {
		err_set(err, ERR_AUTH, "could not establish SSL connection");
		tls_free(t);
		t = NULL;
	}
	SSL_CTX_free(ctx); /* t has its own reference */
	ERR_clear_error();
	return t;
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	if (t->open && !t->gone)
		SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	ERR_clear_error();
	free(t);
}

bool
tls_is_open(const struct tls *t)
{
	return t->open;
}

/* It is over, and err says why. */
static enum tls_result
finish(struct tls *t, enum tls_result end, const struct err *err)
{
	t->gone |= end == TLS_FAILED;
	t->end = end;
	t->why = *err;
	return end;
}

static enum tls_result
again(const struct tls *t, struct err *err)
{
	*err = t->why;
	return t->end;
}

/* Alerts (RFC 8446, 6.2) by which the peer refuses our certificate. */
static bool
is_distrust(int alert)
{
	return (alert >= SSL_AD_NO_CERTIFICATE &&
		   alert <= SSL_AD_CERTIFICATE_UNKNOWN) ||
	    alert == SSL_AD_UNKNOWN_CA || alert == SSL_AD_ACCESS_DENIED ||
	    alert == SSL_AD_CERTIFICATE_REQUIRED;
}

/* Reasons that are about protocol versions, as libpq found. */
static bool
is_version(int reason)
{
	static const int about[] = { SSL_R_NO_PROTOCOLS_AVAILABLE,
		SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_BAD_PROTOCOL_VERSION_NUMBER,
		SSL_R_UNKNOWN_PROTOCOL, SSL_R_UNKNOWN_SSL_VERSION,
		SSL_R_UNSUPPORTED_SSL_VERSION, SSL_R_WRONG_SSL_VERSION,
		SSL_R_WRONG_VERSION_NUMBER, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION,
		SSL_R_VERSION_TOO_HIGH, SSL_R_VERSION_TOO_LOW };

	for (size_t i = 0; i < sizeof(about) / sizeof(about[0]); i++)
		if (about[i] == reason)
			return true;
	return false;
}

static const char *
version(const char *set, const char *usual)
{
	return set != NULL && *set != '\0' ? set : usual;
}

/* What OpenSSL's queue says of a failure of its own. */
static void
explain(const struct tls *t, struct err *err)
{
	unsigned long code = ERR_get_error();
	const char *text = ERR_reason_error_string(code);
	long verdict = SSL_get_verify_result(t->ssl);
	int reason = ERR_GET_REASON(code);

	if (text == NULL)
		text = "no SSL error reported";
	if (t->verified && !t->open && verdict != X509_V_OK)
		err_set(err, ERR_AUTH, "certificate verify failed: %s",
		    X509_verify_cert_error_string(verdict));
	else if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
	    is_distrust(reason - SSL_AD_REASON_OFFSET))
		err_set(err, ERR_AUTH, "the server refused our certificate: %s",
		    text);
	else if (!t->open && is_version(reason))
		err_set(err, ERR_PROTO,
		    "SSL error: %s; this may indicate that the server does "
		    "not support any SSL protocol version between %s and %s",
		    text, version(t->settings->min_version, "TLSv1.2"),
		    version(t->settings->max_version, "TLSv1.3"));
	else
		err_set(err, ERR_PROTO, "SSL error: %s", text);
}

static enum tls_result
cut(struct tls *t, struct err *err)
{
	if (!t->open) {
		err_set(err, ERR_IO,
		    "the server closed the connection during the TLS "
		    "handshake");
		return finish(t, TLS_FAILED, err);
	}
	t->gone = true;
	err_set(err, ERR_IO,
	    "the server closed the connection without ending TLS: it was cut "
	    "off");
	return finish(t, TLS_EOF, err);
}

/* What became of an SSL_ call that returned rc <= 0. */
static enum tls_result
outcome(struct tls *t, int rc, struct err *err)
{
	enum tls_result end = TLS_FAILED;

	switch (SSL_get_error(t->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		err_set(err, ERR_IO, "the server closed the connection");
		end = finish(t, TLS_EOF, err);
		break;
	case SSL_ERROR_SYSCALL:
		if (t->error == 0)
			return cut(t, err);
		err_set(err, ERR_IO, "TLS: %s", strerror(t->error));
		end = finish(t, TLS_FAILED, err);
		break;
	default:
		if (ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SSL &&
		    ERR_GET_REASON(ERR_peek_error()) ==
			SSL_R_UNEXPECTED_EOF_WHILE_READING)
			end = cut(t, err);
		else {
			explain(t, err);
			end = finish(t, TLS_FAILED, err);
		}
	}
	ERR_clear_error();
	return end;
}

static int
check_alpn(const struct tls *t, struct err *err)
{
	const unsigned char *name;
	unsigned int len;

	SSL_get0_alpn_selected(t->ssl, &name, &len);
	if (name == NULL && t->settings->alpn_required)
		return err_set(err, ERR_PROTO,
		    "direct SSL connection was established without ALPN "
		    "protocol negotiation extension");
	if (name != NULL && (len != 10 || memcmp(name, "postgresql", 10) != 0))
		return err_set(err, ERR_PROTO,
		    "SSL connection was established with unexpected ALPN "
		    "protocol");
	return 0;
}

int
tls_check_cert(const struct tls *t, struct err *err)
{
	if (t->cert_sent)
		return 0;
	if (!t->cert_asked)
		return err_set(err, ERR_AUTH,
		    "server did not request an SSL certificate");
	return err_set(err, ERR_AUTH,
	    "server accepted connection without a valid SSL certificate");
}

/* The chain was checked on the way; this is the rest. */
static int
check_peer(const struct tls *t, struct err *err)
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);

	if (cert == NULL)
		return err_set(err, ERR_AUTH, "the server has no certificate");
	if (t->settings->verify == TLS_VERIFY_FULL &&
	    tls_name_check(cert, t->settings->host, err) == -1)
		return -1;
	return check_alpn(t, err);
}

enum tls_result
tls_handshake(struct tls *t, struct err *err)
{
	int rc;

	if (t->end != TLS_OK)
		return again(t, err);
	if (t->open)
		return TLS_OK;
	ERR_clear_error();
	t->error = 0;
	if ((rc = SSL_do_handshake(t->ssl)) != 1)
		return outcome(t, rc, err);
	t->open = true;
	if (check_peer(t, err) == -1) {
		SSL_shutdown(t->ssl);
		return finish(t, TLS_FAILED, err);
	}
	t->settings = NULL;
	return TLS_OK;
}

enum tls_result
tls_read(struct tls *t, void *to, size_t n, size_t *got, struct err *err)
{
	assert(t->open && n > 0);
	if (t->end != TLS_OK)
		return again(t, err);
	ERR_clear_error();
	t->error = 0;
	if (SSL_read_ex(t->ssl, to, n, got) == 1)
		return TLS_OK;
	return outcome(t, 0, err);
}

enum tls_result
tls_write(struct tls *t, const void *from, size_t n, size_t *put,
    struct err *err)
{
	enum tls_result result;

	assert(t->open && n > 0);
	/* After the peer's goodbye it may still be written to. */
	if (t->mute || t->end == TLS_FAILED || t->gone) {
		*err = t->why;
		return TLS_FAILED;
	}
	ERR_clear_error();
	t->error = 0;
	if (SSL_write_ex(t->ssl, from, n, put) == 1)
		return TLS_OK;
	result = outcome(t, 0, err);
	if (result == TLS_FAILED && t->error != 0) {
		t->mute = true; /* why the peer hung up may be in there */
		t->end = TLS_OK;
	}
	return result;
}

size_t
tls_pending(const struct tls *t)
{
	return (size_t)SSL_pending(t->ssl);
}

void
tls_describe(const struct tls *t, char *text, size_t cap)
{
	snprintf(text, cap, "%s, %s", SSL_get_version(t->ssl),
	    SSL_get_cipher_name(t->ssl));
}

int
tls_server_end_point(const struct tls *t, uint8_t out[TLS_HASH_MAX],
    size_t *len, struct err *err)
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	const EVP_MD *digest;
	unsigned int n;
	int nid;

	if (cert == NULL ||
	    X509_get_signature_info(cert, &nid, NULL, NULL, NULL) != 1)
		return err_set(err, ERR_AUTH,
		    "could not determine server certificate signature "
		    "algorithm");
	if (nid == NID_md5 || nid == NID_sha1)
		nid = NID_sha256;
	if (nid == NID_undef || (digest = EVP_get_digestbynid(nid)) == NULL)
		return err_set(err, ERR_AUTH,
		    "channel binding is not possible: the signature algorithm "
		    "%s of the server certificate has no digest",
		    OBJ_nid2sn(X509_get_signature_nid(cert)));
	if (X509_digest(cert, digest, out, &n) != 1)
		return err_set(err, ERR_AUTH,
		    "could not generate peer certificate hash");
	*len = n;
	return 0;
}
