#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "net/tls.h"

#include "tls_pair.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HOST "db.example"
#define DAY (24 * 3600L)

static struct identity ca, server, client;
static struct tls_settings settings;
static struct tls_peer peer;
static struct tls *tls;
static struct err err;

static const char *
file_of_ca(void)
{
	return file_cert("ca.crt", ca.cert);
}

static int
setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	memset(&settings, 0, sizeof(settings));
	memset(&peer, 0, sizeof(peer));
	settings.host = HOST;
	settings.use_cert = true;
	peer.who = &server;
	return 0;
}

/* Both sides, until the client knows, which fails the test if it takes too
 * long. */
static enum tls_result
handshake(void)
{
	enum tls_result result;

	for (int i = 0; i < 20; i++) {
		result = tls_handshake(tls, &err);
		peer_step(&peer);
		if (result == TLS_OK || result == TLS_FAILED)
			return result;
	}
	fail_msg("the handshake goes on and on");
	return TLS_FAILED;
}

static void
shake(void)
{
	peer_begin(&peer);
	if ((tls = tls_client(&settings, peer.fds[0], &err)) != NULL)
		handshake();
}

static void
hang_up(void)
{
	tls_free(tls);
	tls = NULL;
	peer_end(&peer);
}

static void
assert_shakes(void)
{
	memset(&err, 0, sizeof(err));
	shake();
	if (err.kind != ERR_NONE)
		fail_msg("%s", err.text);
	assert_true(tls_is_open(tls));
	assert_int_equal(tls_handshake(tls, &err), TLS_OK);
	hang_up();
}

static void
assert_fails(enum err_kind kind, const char *text)
{
	memset(&err, 0, sizeof(err));
	shake();
	assert_string_equal(err.text, text);
	assert_int_equal(err.kind, kind);
	if (tls != NULL) { /* again, and again */
		memset(&err, 0, sizeof(err));
		assert_int_equal(tls_handshake(tls, &err), TLS_FAILED);
		assert_string_equal(err.text, text);
	}
	hang_up();
}

/* What is wrong with a server's certificate, and who minds. */
struct judged {
	struct cert_spec spec;
	enum { BY_CA, BY_ITSELF, BY_ANOTHER } signer;
	const char *chain; /* why the chain is bad; NULL: it is good */
	const char *full;  /* why the name is bad */
};

#define VERIFY "certificate verify failed: "

static const struct judged certificates[] = {
	{ { .cn = HOST }, BY_CA, NULL, NULL },
	{ { .cn = HOST, .from_s = -2 * DAY, .to_s = -1 }, BY_CA,
	    VERIFY "certificate has expired", NULL },
	{ { .cn = HOST, .from_s = DAY, .to_s = 2 * DAY }, BY_CA,
	    VERIFY "certificate is not yet valid", NULL },
	{ { .cn = HOST }, BY_ITSELF, VERIFY "self-signed certificate", NULL },
	{ { .cn = HOST }, BY_ANOTHER, VERIFY "certificate signature failure",
	    NULL },
	{ { .cn = "other" }, BY_CA, NULL,
	    "server certificate for \"other\" does not match host name "
	    "\"" HOST "\"" },
	{ { .cn = "x", .san = "dns:*.example" }, BY_CA, NULL, NULL },
	{ { .cn = HOST, .key = KEY_RSA }, BY_CA, NULL, NULL },
	{ { .cn = HOST, .key = KEY_RSA_PSS }, BY_CA, NULL, NULL },
	{ { .cn = HOST, .key = KEY_ED25519 }, BY_CA, NULL, NULL },
	{ { .cn = HOST, .digest = "SHA384" }, BY_CA, NULL, NULL },
	{ { .cn = HOST, .digest = "SHA1" }, BY_CA,
	    VERIFY "CA signature digest algorithm too weak", NULL },
	/* OpenSSL's security level 2, Debian's default, wants 112 bits. */
	{ { .cn = HOST, .key = KEY_RSA_1024 }, BY_CA,
	    VERIFY "EE certificate key too weak", NULL },
};

static struct identity
signed_as(const struct judged *row, const struct identity *another)
{
	const struct identity *by[] = { &ca, NULL, another };

	return identity_make(&row->spec, by[row->signer]);
}

static void
judge(const struct judged *row, int version)
{
	settings.root = NULL;
	settings.verify = TLS_VERIFY_NONE;
	peer.version = version;
	assert_shakes(); /* nobody looks */
	settings.root = file_of_ca();
	for (int v = TLS_VERIFY_NONE; v <= TLS_VERIFY_FULL; v++) {
		settings.verify = (enum tls_verify)v;
		if (row->chain != NULL)
			assert_fails(ERR_AUTH, row->chain);
		else if (v == TLS_VERIFY_FULL && row->full != NULL)
			assert_fails(ERR_AUTH, row->full);
		else
			assert_shakes();
	}
}

static void
test_certificates(void **state)
{
	struct cert_spec of_ca = { .cn = "ca", .ca = true };
	struct identity another = identity_make(&of_ca, NULL), who;

	(void)state;
	for (size_t i = 0; i < COUNT(certificates); i++) {
		who = signed_as(&certificates[i], &another);
		peer.who = &who;
		judge(&certificates[i], TLS1_2_VERSION);
		judge(&certificates[i], TLS1_3_VERSION);
		identity_free(&who);
	}
	identity_free(&another);
}

/* The root file has none of the chain, or only its end. */
static void
test_intermediate(void **state)
{
	struct cert_spec middle_spec = { .cn = "middle", .ca = true },
			 leaf_spec = { .cn = HOST };
	struct identity middle = identity_make(&middle_spec, &ca);
	struct identity leaf = identity_make(&leaf_spec, &middle);

	(void)state;
	peer.who = &leaf;
	peer.chain = middle.cert;
	settings.verify = TLS_VERIFY_FULL;
	settings.root = file_of_ca();
	assert_shakes();
	peer.chain = NULL; /* it should have sent it */
	assert_fails(ERR_AUTH, VERIFY "unable to get local issuer certificate");
	settings.root = file_certs("both.crt",
	    (X509 *const[]){ middle.cert, ca.cert, NULL });
	assert_shakes();
	settings.root = file_cert("middle.crt", middle.cert);
	assert_fails(ERR_AUTH, VERIFY "unable to get issuer certificate");
	identity_free(&leaf);
	identity_free(&middle);
}

/* A certificate that is none of a CA signs nothing. */
static void
test_not_a_ca(void **state)
{
	struct cert_spec spec = { .cn = HOST };
	struct identity leaf = identity_make(&spec, &client);

	(void)state;
	peer.who = &leaf;
	peer.chain = client.cert;
	settings.verify = TLS_VERIFY_CA;
	settings.root = file_of_ca();
	assert_fails(ERR_AUTH, VERIFY "invalid CA certificate");
	identity_free(&leaf);
}

static void
revoking(long serial)
{
	char name[40];

	settings.crl = file_crl("ca.crl", crl_make(&ca, serial));
	snprintf(name, sizeof(name), "crl/%08lx.r0",
	    X509_NAME_hash_ex(X509_get_subject_name(ca.cert), NULL, NULL,
		NULL));
	mkdir(in_files("crl"), 0700);
	file_crl(name, crl_make(&ca, serial));
}

static void
test_revoked(void **state)
{
	struct cert_spec spec = { .cn = HOST, .serial = 77 };
	struct identity who = identity_make(&spec, &ca);

	(void)state;
	peer.who = &who;
	settings.root = file_of_ca();
	revoking(77);
	assert_fails(ERR_AUTH, VERIFY "certificate revoked");
	settings.crl = NULL;
	assert_shakes();
	settings.crl_dir = in_files("crl");
	assert_fails(ERR_AUTH, VERIFY "certificate revoked");
	revoking(78);
	assert_shakes();
	settings.crl_dir = NULL;
	assert_shakes();
	/* Lists are there, but none of this CA: who knows? */
	settings.crl = NULL;
	settings.crl_dir = files;
	assert_fails(ERR_AUTH, VERIFY "unable to get certificate CRL");
	identity_free(&who);
}

static void
test_versions(void **state)
{
	static const struct {
		const char *min, *max;
		int server;
		const char *text; /* of what fails; NULL: works */
	} rows[] = {
		{ NULL, NULL, TLS1_2_VERSION, NULL },
		{ NULL, NULL, TLS1_3_VERSION, NULL },
		{ "TLSv1.3", NULL, TLS1_3_VERSION, NULL },
		{ NULL, "TLSv1.2", TLS1_2_VERSION, NULL },
		{ NULL, NULL, TLS1_VERSION, "between TLSv1.2 and TLSv1.3" },
		{ NULL, NULL, TLS1_1_VERSION, "between TLSv1.2 and TLSv1.3" },
		{ "", "", TLS1_2_VERSION, NULL },
		{ "TLSv1.3", "", TLS1_2_VERSION,
		    "between TLSv1.3 and TLSv1.3" },
		{ "TLSv1.3", NULL, TLS1_2_VERSION,
		    "between TLSv1.3 and TLSv1.3" },
		{ NULL, "TLSv1.2", TLS1_3_VERSION,
		    "between TLSv1.2 and TLSv1.2" },
		{ "TLSv1.3", "TLSv1.2", 0, "between TLSv1.3 and TLSv1.2" },
	};
	char text[60];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		settings.min_version = rows[i].min;
		settings.max_version = rows[i].max;
		peer.version = rows[i].server;
		memset(&err, 0, sizeof(err));
		shake();
		if (rows[i].text == NULL) {
			assert_int_equal(err.kind, ERR_NONE);
			tls_describe(tls, text, sizeof(text));
			assert_memory_equal(text,
			    rows[i].server == TLS1_2_VERSION ? "TLSv1.2, "
							     : "TLSv1.3, ",
			    9);
		} else {
			assert_int_equal(err.kind, ERR_PROTO);
			assert_non_null(strstr(err.text, rows[i].text));
			assert_non_null(strstr(err.text, "may indicate"));
		}
		hang_up();
	}
}

static void
test_alpn(void **state)
{
	(void)state;
	for (int required = 0; required < 2; required++) {
		settings.alpn_required = required;
		peer.speaks = "postgresql";
		assert_shakes();
		peer.speaks = "http/1.1";
		/* OpenSSL looks for it in what was offered. */
		assert_fails(ERR_PROTO, "SSL error: bad extension");
		peer.speaks = "postgresq";
		assert_fails(ERR_PROTO, "SSL error: bad extension");
		peer.speaks = NULL;
		if (!required)
			assert_shakes();
	}
	assert_fails(ERR_PROTO,
	    "direct SSL connection was established without ALPN protocol "
	    "negotiation extension");
}

static void
test_server_name(void **state)
{
	static const struct {
		const char *host;
		bool sni, sent;
	} rows[] = {
		{ HOST, true, true },
		{ HOST, false, false },
		{ "127.0.0.1", true, false },
		{ "::1", true, false },
		{ "", true, false },
		{ NULL, true, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		settings.host = rows[i].host;
		settings.sni = rows[i].sni;
		assert_shakes();
		assert_int_equal(peer.named, rows[i].sent);
		assert_string_equal(peer.server_name, rows[i].sent ? HOST : "");
	}
	settings.verify = TLS_VERIFY_FULL;
	settings.root = file_of_ca();
	assert_fails(ERR_AUTH,
	    "host name must be specified for a verified SSL connection");
}

/* sslcertmode, against a server that does not ask, asks, or insists; and what
 * the server then knows of us. */
static void
test_own_certificate(void **state)
{
	static const struct {
		bool use, have, asks, sent;
		const char *text;
	} rows[] = {
		{ false, true, true, false, NULL },
		{ true, true, true, true, NULL },
		{ true, true, false, false,
		    "server did not request an SSL certificate" },
		{ true, false, true, false,
		    "server accepted connection without a valid SSL "
		    "certificate" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(rows); i++) {
		size_t at = i / 2;

		peer.version = i % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
		settings.use_cert = rows[at].use;
		settings.cert = rows[at].have
		    ? file_cert("client.crt", client.cert)
		    : in_files("none");
		settings.key = file_key("client.key", client.key, NULL);
		peer.clients = rows[at].asks ? ca.cert : NULL;
		memset(&err, 0, sizeof(err));
		shake();
		assert_int_equal(err.kind, ERR_NONE);
		assert_int_equal(tls_check_cert(tls, &err),
		    rows[at].sent ? 0 : -1);
		if (rows[at].text != NULL)
			assert_string_equal(err.text, rows[at].text);
		assert_int_equal(SSL_get0_peer_certificate(peer.ssl) != NULL,
		    rows[at].sent);
		hang_up();
	}
}

/* The server does not like our certificate. With TLS 1.3 that is known only
 * after the handshake. */
static void
refused_by(int version, bool gone, const char *text)
{
	uint8_t byte;
	size_t n;

	peer.version = version;
	memset(&err, 0, sizeof(err));
	shake();
	if (version == TLS1_3_VERSION) {
		assert_int_equal(err.kind, ERR_NONE);
		peer_step(&peer);
		if (gone) { /* so that we find out when we write */
			peer_cut(&peer);
			assert_int_equal(tls_write(tls, "x", 1, &n, &err),
			    TLS_FAILED);
			assert_int_equal(err.kind, ERR_IO);
		}
		assert_int_equal(tls_read(tls, &byte, 1, &n, &err), TLS_FAILED);
	}
	assert_string_equal(err.text, text);
	assert_int_equal(err.kind, ERR_AUTH);
	hang_up();
}

static void
test_refused(void **state)
{
	struct cert_spec old_spec = { .cn = "old", .from_s = -DAY, .to_s = -1 };
	struct identity old = identity_make(&old_spec, &ca);
	struct identity stranger =
	    identity_make(&(struct cert_spec){ .cn = "stranger" }, NULL);

	(void)state;
	peer.clients = ca.cert;
	peer.must = true;
	settings.cert = file_cert("old.crt", old.cert);
	settings.key = file_key("old.key", old.key, NULL);
	refused_by(TLS1_2_VERSION, false,
	    "the server refused our certificate: sslv3 alert certificate "
	    "expired");
	for (int gone = 0; gone < 2; gone++)
		refused_by(TLS1_3_VERSION, gone,
		    "the server refused our certificate: sslv3 alert "
		    "certificate expired");
	settings.cert = file_cert("stranger.crt", stranger.cert);
	settings.key = file_key("stranger.key", stranger.key, NULL);
	refused_by(TLS1_3_VERSION, true,
	    "the server refused our certificate: tlsv1 alert unknown ca");
	settings.cert = in_files("none");
	refused_by(TLS1_3_VERSION, true,
	    "the server refused our certificate: tlsv13 alert certificate "
	    "required");
	identity_free(&old);
	identity_free(&stranger);
}

/* tls-server-end-point, RFC 5929: of each kind of signature, the hash. */
static void
test_end_point(void **state)
{
	static const struct {
		enum key_kind key;
		const char *signature, *hash; /* NULL: there is none */
	} rows[] = {
		{ KEY_RSA, "SHA256", "SHA256" },
		{ KEY_RSA, "SHA384", "SHA384" },
		{ KEY_RSA, "SHA512", "SHA512" },
		{ KEY_RSA, "SHA224", "SHA224" },
		{ KEY_RSA, "SHA1", "SHA256" },
		{ KEY_RSA, "MD5", "SHA256" },
		{ KEY_RSA_PSS, "SHA256", "SHA256" },
		{ KEY_RSA_PSS, "SHA384", "SHA384" },
		{ KEY_EC, "SHA256", "SHA256" },
		{ KEY_EC, "SHA384", "SHA384" },
		{ KEY_EC, "SHA1", "SHA256" },
		{ KEY_ED25519, NULL, NULL },
	};
	unsigned char *der, want[TLS_HASH_MAX];
	uint8_t got[TLS_HASH_MAX];
	size_t want_len, len;
	int n;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct cert_spec spec = { .cn = HOST,
			.key = rows[i].key,
			.digest = rows[i].signature };
		struct identity who = identity_make(&spec, NULL);

		peer.who = &who;
		memset(&err, 0, sizeof(err));
		shake();
		assert_int_equal(err.kind, ERR_NONE);
		if (rows[i].hash == NULL) {
			assert_int_equal(tls_server_end_point(tls, got, &len,
					     &err),
			    -1);
			assert_int_equal(err.kind, ERR_AUTH);
			assert_string_equal(err.text,
			    "channel binding is not possible: the signature "
			    "algorithm ED25519 of the server certificate has "
			    "no digest");
		} else {
			der = NULL;
			n = i2d_X509(who.cert, &der);
			assert_int_equal(EVP_Q_digest(NULL, rows[i].hash, NULL,
					     der, (size_t)n, want, &want_len),
			    1);
			OPENSSL_free(der);
			assert_int_equal(tls_server_end_point(tls, got, &len,
					     &err),
			    0);
			assert_int_equal(len, want_len);
			assert_memory_equal(got, want, len);
		}
		hang_up();
		identity_free(&who);
	}
}

/* What is at the other end is no TLS, or goes away. */
static void
test_no_tls(void **state)
{
	static const char hello[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

	(void)state;
	peer_begin(&peer);
	tls = tls_client(&settings, peer.fds[0], &err);
	assert_int_equal(tls_handshake(tls, &err), TLS_WANT_READ);
	assert_int_equal(write(peer.fds[1], hello, sizeof(hello)),
	    sizeof(hello));
	assert_int_equal(tls_handshake(tls, &err), TLS_FAILED);
	assert_int_equal(err.kind, ERR_PROTO);
	assert_memory_equal(err.text, "SSL error: wrong version number", 31);
	hang_up();

	peer_begin(&peer);
	tls = tls_client(&settings, peer.fds[0], &err);
	assert_int_equal(tls_handshake(tls, &err), TLS_WANT_READ);
	shutdown(peer.fds[1], SHUT_WR);
	assert_int_equal(tls_handshake(tls, &err), TLS_FAILED);
	assert_int_equal(err.kind, ERR_IO);
	assert_string_equal(err.text,
	    "the server closed the connection during the TLS handshake");
	hang_up();
}

/* The socket is broken before the first word: no signal, and the reason. */
static void
test_broken_pipe(void **state)
{
	(void)state;
	peer_begin(&peer);
	tls = tls_client(&settings, peer.fds[0], &err);
	peer_cut(&peer);
	assert_int_equal(tls_handshake(tls, &err), TLS_FAILED);
	assert_int_equal(err.kind, ERR_IO);
	assert_string_equal(err.text, "TLS: Broken pipe");
	hang_up();
}

/* What is wrong with our files is told before anything is sent. */
static void
test_files(void **state)
{
	char byte;

	(void)state;
	settings.verify = TLS_VERIFY_CA;
	settings.root = in_files("none");
	peer_begin(&peer);
	assert_null(tls_client(&settings, peer.fds[0], &err));
	assert_int_equal(err.kind, ERR_AUTH);
	assert_non_null(strstr(err.text, "does not exist"));
	assert_int_equal(recv(peer.fds[1], &byte, 1, 0), -1);
	peer_end(&peer);
	tls_free(NULL);
}

static int
begin(void **state)
{
	static const struct cert_spec of_ca = { .cn = "ca", .ca = true },
				      of_server = { .cn = HOST },
				      of_client = { .cn = "client" };

	ca = identity_make(&of_ca, NULL);
	server = identity_make(&of_server, &ca);
	client = identity_make(&of_client, &ca);
	return files_begin(state);
}

static int
end(void **state)
{
	identity_free(&client);
	identity_free(&server);
	identity_free(&ca);
	return files_end(state);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_certificates),
		TEST(test_intermediate),
		TEST(test_not_a_ca),
		TEST(test_revoked),
		TEST(test_versions),
		TEST(test_alpn),
		TEST(test_server_name),
		TEST(test_own_certificate),
		TEST(test_refused),
		TEST(test_end_point),
		TEST(test_no_tls),
		TEST(test_broken_pipe),
		TEST(test_files),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
