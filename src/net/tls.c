#include "net/tls.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/tls_name.h"

_Static_assert(TLS_HASH_MAX >= EVP_MAX_MD_SIZE, "any digest fits");

/* Most that one step takes from the socket: a peer that talks without end does
 * not keep us. More than a record, or nothing would ever be complete. */
#define STEP_MAX ((size_t)64 * 1024)
/* Messages about TLS itself that an open connection may bring: so many, and one
 * more for so many bytes of either side. Key updates are needed far less often
 * (RFC 8446, 5.5), and cost us more than they cost the peer. */
#define CHATTER_FREE 32
#define CHATTER_BYTES ((uint64_t)64 * 1024)

struct tls {
	SSL *ssl;
	int fd;
	const char *peer; /* "the server", "the client" */
	int error;        /* errno of the last failed send or recv; 0: none */
	bool open;        /* the handshake is done */
	bool verified;    /* the chain is checked */
	bool cert_asked;  /* the peer wants our certificate */
	bool cert_sent;
	bool
	    mute; /* writing has failed; there may still be something to read */
	bool gone; /* neither side can say anything more */
	const struct tls_settings *settings; /* client: until open */
	enum tls_fault fault;                /* server */
	char head[TLS_HEAD + 1];             /* the first that came */
	size_t head_len;
	size_t step;         /* bytes this step may still take */
	uint64_t chatter;    /* messages about TLS itself, once open */
	uint64_t bytes;      /* of the peer and of ours */
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

static bool
chatters(const struct tls *t)
{
	return t->chatter > CHATTER_FREE + t->bytes / CHATTER_BYTES;
}

static void
keep_head(struct tls *t, const char *from, size_t n)
{
	while (t->head_len < TLS_HEAD && n-- > 0)
		t->head[t->head_len++] = *from++;
}

static int
bio_read(BIO *bio, char *to, int n)
{
	struct tls *t = BIO_get_data(bio);
	size_t most = (size_t)n < t->step ? (size_t)n : t->step;
	ssize_t got = -1;

	if (most == 0 || chatters(t)) /* later, or never again */
		errno = EAGAIN;
	else
		do
			got = recv(t->fd, to, most, 0);
		while (got == -1 && errno == EINTR);
	if (got == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	if (got > 0) {
		t->step -= (size_t)got;
		keep_head(t, to, (size_t)got);
	}
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

/* Key updates, attempts to renegotiate, and what we answer. */
static void
on_message(int writing, int version, int type, const void *p, size_t n,
    SSL *ssl, void *arg)
{
	struct tls *t = arg;

	(void)writing;
	(void)version;
	(void)p;
	(void)n;
	(void)ssl;
	if (t->open && (type == SSL3_RT_HANDSHAKE || type == SSL3_RT_ALERT))
		t->chatter++;
}

static bool
attach(struct tls *t, SSL_CTX *ctx)
{
	BIO_METHOD *method = bio_method();
	BIO *bio = method == NULL ? NULL : BIO_new(method);

	if (bio == NULL || (t->ssl = SSL_new(ctx)) == NULL) {
		BIO_free(bio);
		return false;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_msg_callback(t->ssl, on_message);
	SSL_set_msg_callback_arg(t->ssl, t);
	return true;
}

static bool
be_client(struct tls *t)
{
	const struct tls_settings *s = t->settings;

	SSL_set_connect_state(t->ssl);
	SSL_set_cert_cb(t->ssl, cert_wanted, t);
	return !s->sni || !tls_name_is_sni(s->host) ||
	    SSL_set_tlsext_host_name(t->ssl, s->host) == 1;
}

int
tls_init(struct err *err)
{
	if (OPENSSL_init_ssl(0, NULL) == 1 &&
	    OSSL_LIB_CTX_get0_global_default() != NULL && RAND_status() == 1)
		return 0;
	return err_set(err, ERR_NOMEM, "OpenSSL cannot be set up");
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
	t->peer = "the server";
	t->settings = s;
	if ((ctx = tls_ctx_client(s, &t->verified, err)) == NULL) {
		free(t);
		return NULL;
	}
	if (!attach(t, ctx) || !be_client(t)) {
		err_set(err, ERR_AUTH, "could not establish SSL connection");
		tls_free(t);
		t = NULL;
	}
	SSL_CTX_free(ctx); /* t has its own reference */
	ERR_clear_error();
	return t;
}

struct tls *
tls_server(struct ssl_ctx_st *ctx, int fd, struct err *err)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (t != NULL) {
		t->fd = fd;
		t->peer = "the client";
		t->fault = TLS_FAULT_OTHER;
		t->verified = true;
	}
	if (t == NULL || !attach(t, ctx)) {
		err_set(err, ERR_NOMEM, "out of memory");
		tls_free(t);
		t = NULL;
	} else
		SSL_set_accept_state(t->ssl);
	ERR_clear_error();
	return t;
}

void
tls_finish(struct tls *t)
{
	if (t->open && !t->gone)
		SSL_shutdown(t->ssl);
	ERR_clear_error();
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	tls_finish(t);
	SSL_free(t->ssl);
	ERR_clear_error();
	free(t);
}

bool
tls_is_open(const struct tls *t)
{
	return t->open;
}

bool
tls_is_failed(const struct tls *t)
{
	return t->end == TLS_FAILED;
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

static const char *
version(const char *set, const char *usual)
{
	return set != NULL && *set != '\0' ? set : usual;
}

static void
explain_server(const struct tls *t, int reason, const char *text,
    struct err *err)
{
	if (!t->open && tls_fault_is_version(reason))
		err_set(err, ERR_PROTO,
		    "SSL error: %s; this may indicate that the server does "
		    "not support any SSL protocol version between %s and %s",
		    text, version(t->settings->min_version, "TLSv1.2"),
		    version(t->settings->max_version, "TLSv1.3"));
	else
		err_set(err, ERR_PROTO, "SSL error: %s", text);
}

/* What OpenSSL's queue says of a failure of its own. */
static void
explain(struct tls *t, struct err *err)
{
	unsigned long code = ERR_get_error();
	const char *text = ERR_reason_error_string(code);
	long verdict = SSL_get_verify_result(t->ssl);
	int reason = ERR_GET_REASON(code);

	if (text == NULL)
		text = "no SSL error reported";
	if (t->verified && !t->open && verdict != X509_V_OK) {
		err_set(err, ERR_AUTH, "certificate verify failed: %s",
		    X509_verify_cert_error_string(verdict));
		t->fault = TLS_FAULT_BAD_CERT;
	} else if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
	    tls_fault_is_distrust(reason)) {
		err_set(err, ERR_AUTH, "%s refused our certificate: %s",
		    t->peer, text);
		t->fault = TLS_FAULT_DISTRUST;
	} else if (SSL_is_server(t->ssl))
		t->fault = tls_fault_find(reason, text, t->head, err);
	else
		explain_server(t, reason, text, err);
}

static enum tls_result
cut(struct tls *t, struct err *err)
{
	if (!t->open) {
		t->fault = TLS_FAULT_CLOSED;
		err_set(err, ERR_IO,
		    "%s closed the connection during the TLS handshake",
		    t->peer);
		return finish(t, TLS_FAILED, err);
	}
	t->gone = true;
	err_set(err, ERR_IO,
	    "%s closed the connection without ending TLS: it was cut off",
	    t->peer);
	return finish(t, TLS_EOF, err);
}

/* What became of an SSL_ call that returned rc <= 0. */
static enum tls_result
outcome(struct tls *t, int rc, struct err *err)
{
	enum tls_result end = TLS_FAILED;

	if (chatters(t)) {
		err_set(err, ERR_PROTO,
		    "TLS: %s sends nothing but key updates or attempts to "
		    "renegotiate",
		    t->peer);
		ERR_clear_error();
		return finish(t, TLS_FAILED, err);
	}
	switch (SSL_get_error(t->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		err_set(err, ERR_IO, "%s closed the connection", t->peer);
		end = finish(t, TLS_EOF, err);
		break;
	case SSL_ERROR_SYSCALL:
		if (t->error == 0)
			return cut(t, err);
		t->fault = TLS_FAULT_CLOSED;
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
	const char *due = tls_alpn(t->settings);
	const unsigned char *name;
	unsigned int len;

	SSL_get0_alpn_selected(t->ssl, &name, &len);
	if (t->settings->alpn != NULL && name == NULL)
		return err_set(err, ERR_PROTO,
		    "the server does not agree to ALPN %s", due);
	if (name == NULL && t->settings->alpn_required)
		return err_set(err, ERR_PROTO,
		    "direct SSL connection was established without ALPN "
		    "protocol negotiation extension");
	if (name != NULL && (len != strlen(due) || memcmp(name, due, len) != 0))
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

static void
begin_step(struct tls *t)
{
	ERR_clear_error();
	t->error = 0;
	t->step = STEP_MAX;
}

enum tls_result
tls_handshake(struct tls *t, struct err *err)
{
	int rc;

	if (t->end != TLS_OK)
		return again(t, err);
	if (t->open)
		return TLS_OK;
	begin_step(t);
	if ((rc = SSL_do_handshake(t->ssl)) != 1)
		return outcome(t, rc, err);
	t->open = true;
	if (t->settings != NULL && check_peer(t, err) == -1) {
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
	begin_step(t);
	if (SSL_read_ex(t->ssl, to, n, got) == 1) {
		t->bytes += *got;
		return TLS_OK;
	}
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
	begin_step(t);
	if (SSL_write_ex(t->ssl, from, n, put) == 1) {
		t->bytes += *put;
		return TLS_OK;
	}
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
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	char subject[256] = "";

	if (cert != NULL && SSL_is_server(t->ssl))
		X509_NAME_oneline(X509_get_subject_name(cert), subject,
		    sizeof(subject));
	snprintf(text, cap, "%s, %s%s%s", SSL_get_version(t->ssl),
	    SSL_get_cipher_name(t->ssl), *subject != '\0' ? ", " : "", subject);
}

enum tls_fault
tls_fault(const struct tls *t)
{
	return t->fault;
}

const char *
tls_head(const struct tls *t)
{
	return t->head;
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
