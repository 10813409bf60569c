#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/tls.h"
#include "net/tls_server.h"

#include "tls_pair.h"

/* The client is plain OpenSSL, at the other end of a socket pair. */

static struct identity ca, other_ca, server, client;
static struct tls_server_settings settings;
static struct err err;

/* How a client is to be; 0 and NULL: as it should be. */
struct visitor {
	const char *name;
	const unsigned char *alpn; /* NULL: h2; "": none */
	int version;
	const char *ciphers;          /* of TLS 1.2 */
	const struct identity *who;   /* its certificate */
	const struct identity *trust; /* NULL: whoever */
	enum tls_fault fault;
	const char *text;
};

struct pair {
	struct tls *tls;
	SSL *ssl;
	int fds[2];
	bool open; /* the client thinks so */
	enum tls_result result;
};

static SSL *
make_client(const struct visitor *v, int fd)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	const unsigned char *alpn =
	    v->alpn != NULL ? v->alpn : (const unsigned char *)"\002h2";
	SSL *ssl;

	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, v->version);
	SSL_CTX_set_max_proto_version(ctx, v->version);
	if (v->ciphers != NULL)
		assert_int_equal(SSL_CTX_set_cipher_list(ctx, v->ciphers), 1);
	if (*alpn != '\0')
		SSL_CTX_set_alpn_protos(ctx, alpn,
		    (unsigned)strlen((const char *)alpn));
	if (v->who != NULL) {
		SSL_CTX_use_certificate(ctx, v->who->cert);
		SSL_CTX_use_PrivateKey(ctx, v->who->key);
	}
	if (v->trust != NULL) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx),
		    v->trust->cert);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	}
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	SSL_set_fd(ssl, fd);
	SSL_set_connect_state(ssl);
	return ssl;
}

static void
pair_begin(struct pair *p, const struct visitor *v)
{
	SSL_CTX *ctx = tls_server_ctx(&settings, &err);

	assert_non_null(ctx);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     p->fds),
	    0);
	p->tls = tls_server(ctx, p->fds[0], &err);
	assert_non_null(p->tls);
	tls_server_free(ctx); /* it is not needed any more */
	p->ssl = v != NULL ? make_client(v, p->fds[1]) : NULL;
	p->open = false;
	p->result = TLS_WANT_READ;
}

static void
pair_end(struct pair *p)
{
	tls_free(p->tls);
	SSL_free(p->ssl);
	close(p->fds[0]);
	if (p->fds[1] != -1)
		close(p->fds[1]);
	ERR_clear_error();
}

static void
step_client(struct pair *p)
{
	ERR_clear_error();
	p->open = p->open || SSL_do_handshake(p->ssl) == 1;
	ERR_clear_error();
}

static void
shake(struct pair *p)
{
	for (int i = 0; i < 20; i++) {
		step_client(p);
		if (p->result == TLS_WANT_READ)
			p->result = tls_handshake(p->tls, &err);
	}
}

static void
usual(void)
{
	settings = (struct tls_server_settings){
		.cert = file_certs("server.crt",
		    (X509 *const[]){ server.cert, ca.cert, NULL }),
		.key = file_key("server.key", server.key, NULL),
	};
}

static int
begin(void **state)
{
	files_begin(state);
	ca = identity_make(&(struct cert_spec){ .cn = "ca", .ca = true }, NULL);
	other_ca =
	    identity_make(&(struct cert_spec){ .cn = "stranger", .ca = true },
		NULL);
	server = identity_make(&(struct cert_spec){ .cn = "x", .san = "dns:x" },
	    &ca);
	client =
	    identity_make(&(struct cert_spec){ .cn = "me", .serial = 77 }, &ca);
	usual();
	return 0;
}

static int
end(void **state)
{
	identity_free(&ca);
	identity_free(&other_ca);
	identity_free(&server);
	identity_free(&client);
	return files_end(state);
}

/* Both ways, after a handshake that both are content with. */
static void
assert_works(struct pair *p)
{
	char got[100];
	size_t n;

	assert_int_equal(p->result, TLS_OK);
	assert_true(p->open && tls_is_open(p->tls));
	assert_int_equal(SSL_write(p->ssl, "hello", 5), 5);
	assert_int_equal(tls_read(p->tls, got, sizeof(got), &n, &err), TLS_OK);
	assert_int_equal(n, 5);
	assert_int_equal(tls_write(p->tls, "world!", 6, &n, &err), TLS_OK);
	assert_int_equal(SSL_read(p->ssl, got, sizeof(got)), 6);
	assert_memory_equal(got, "world!", 6);
}

static void
test_keys(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	const enum key_kind kinds[] = { KEY_EC, KEY_ED25519, KEY_RSA,
		KEY_RSA_PSS };
	struct pair p;

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		struct identity who =
		    identity_make(&(struct cert_spec){ .cn = "x",
				      .key = kinds[i / 2] },
			&ca);

		settings.cert = file_cert("kind.crt", who.cert);
		settings.key = file_key("kind.key", who.key, NULL);
		pair_begin(&p,
		    &(struct visitor){ .version = versions[i % 2],
			.trust = &ca });
		shake(&p);
		assert_works(&p);
		pair_end(&p);
		identity_free(&who);
	}
	usual();
}

static void
test_chain_is_sent(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, &(struct visitor){ .version = 0 });
	shake(&p);
	assert_works(&p);
	assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(p.ssl)), 2);
	pair_end(&p);
}

static void
test_no_session(void **state)
{
	struct pair p;

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION;
	     version++) {
		pair_begin(&p, &(struct visitor){ .version = version });
		shake(&p);
		assert_works(&p);
		assert_int_equal(SSL_SESSION_has_ticket(SSL_get_session(p.ssl)),
		    0);
		assert_int_equal(SSL_SESSION_is_resumable(
				     SSL_get_session(p.ssl)),
		    0);
		pair_end(&p);
	}
}

static void
assert_refused(const struct visitor *v)
{
	struct pair p;

	pair_begin(&p, v);
	shake(&p);
	if (p.result != TLS_FAILED || tls_fault(p.tls) != v->fault ||
	    strstr(err.text, v->text) == NULL)
		fail_msg("%s: %d, %s: %s", v->name, p.result,
		    tls_fault_name(tls_fault(p.tls)), err.text);
	assert_true(tls_is_failed(p.tls));
	pair_end(&p);
}

static void
test_refused(void **state)
{
	const struct visitor visitors[] = {
		{ .name = "no ALPN",
		    .alpn = (const unsigned char *)"",
		    .fault = TLS_FAULT_ALPN,
		    .text = "there is no ALPN" },
		{ .name = "HTTP/1.1",
		    .alpn = (const unsigned char *)"\010http/1.1",
		    .fault = TLS_FAULT_ALPN,
		    .text = "(ALPN h2)" },
		{ .name = "a name that begins like it",
		    .alpn = (const unsigned char *)"\003h2c\001h",
		    .fault = TLS_FAULT_ALPN,
		    .text = "(ALPN h2)" },
		{ .name = "TLS 1.1",
		    .version = TLS1_1_VERSION,
		    .fault = TLS_FAULT_VERSION,
		    .text = "unsupported protocol" },
		{ .name = "CBC",
		    .version = TLS1_2_VERSION,
		    .ciphers = "ECDHE-ECDSA-AES128-SHA",
		    .fault = TLS_FAULT_CIPHER,
		    .text = "no shared cipher" },
		{ .name = "no trust",
		    .trust = &other_ca,
		    .fault = TLS_FAULT_DISTRUST,
		    .text = "the client refused our certificate" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(visitors) / sizeof(visitors[0]); i++)
		assert_refused(&visitors[i]);
}

static void
test_client_certificates(void **state)
{
	struct identity late = identity_make(&(struct cert_spec){ .cn = "late",
						 .from_s = -7200,
						 .to_s = -3600 },
	    &ca);
	struct identity stranger =
	    identity_make(&(struct cert_spec){ .cn = "me" }, &other_ca);
	const struct visitor visitors[] = {
		{ .name = "none",
		    .fault = TLS_FAULT_NO_CERT,
		    .text = "--tls-client-ca asks for" },
		{ .name = "late",
		    .who = &late,
		    .fault = TLS_FAULT_BAD_CERT,
		    .text = "certificate has expired" },
		{ .name = "stranger",
		    .who = &stranger,
		    .fault = TLS_FAULT_BAD_CERT,
		    .text = "unable to get local issuer certificate" },
		{ .name = "revoked",
		    .who = &client,
		    .fault = TLS_FAULT_BAD_CERT,
		    .text = "certificate revoked" },
	};
	char text[512];
	struct pair p;

	(void)state;
	settings.client_ca = file_cert("ca.crt", ca.cert);
	for (size_t i = 0; i < 3; i++)
		assert_refused(&visitors[i]);
	pair_begin(&p, &(struct visitor){ .who = &client });
	shake(&p);
	assert_works(&p);
	tls_describe(p.tls, text, sizeof(text));
	assert_non_null(strstr(text, "TLSv1.3, "));
	assert_non_null(strstr(text, "CN=me"));
	pair_end(&p);
	settings.client_crl = file_crl("a.crl", crl_make(&ca, 77));
	assert_refused(&visitors[3]);
	settings.client_crl = file_crl("b.crl", crl_make(&ca, 78));
	settings.client_optional = true;
	assert_refused(&visitors[2]);
	for (int i = 0; i < 2; i++) {
		pair_begin(&p,
		    &(struct visitor){ .who = i == 0 ? NULL : &client });
		shake(&p);
		assert_works(&p);
		pair_end(&p);
	}
	usual();
	identity_free(&late);
	identity_free(&stranger);
}

static void
test_no_tls(void **state)
{
	static const struct {
		const char *said;
		enum tls_fault fault;
		const char *head;
	} cases[] = {
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", TLS_FAULT_PLAIN, "PRI " },
		{ "GET / HTTP/1.1\r\n\r\n", TLS_FAULT_PLAIN, "GET " },
		{ "SSH-2.0-OpenSSH\r\n", TLS_FAULT_GARBAGE, "SSH-" },
	};
	struct pair p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pair_begin(&p, NULL);
		assert_int_equal(tls_handshake(p.tls, &err), TLS_WANT_READ);
		assert_string_equal(tls_head(p.tls), "");
		assert_true(
		    write(p.fds[1], cases[i].said, strlen(cases[i].said)) > 0);
		assert_int_equal(tls_handshake(p.tls, &err), TLS_FAILED);
		assert_int_equal(tls_fault(p.tls), cases[i].fault);
		assert_string_equal(tls_head(p.tls), cases[i].head);
		assert_int_equal(tls_handshake(p.tls, &err), TLS_FAILED);
		pair_end(&p);
	}
}

static void
test_closed(void **state)
{
	struct pair p;

	(void)state;
	for (int steps = 0; steps < 3; steps++) {
		pair_begin(&p, &(struct visitor){ .version = 0 });
		for (int i = 0; i < steps; i++) {
			step_client(&p);
			if (i + 1 < steps)
				tls_handshake(p.tls, &err);
		}
		SSL_free(p.ssl);
		p.ssl = NULL;
		close(p.fds[1]);
		p.fds[1] = -1;
		while ((p.result = tls_handshake(p.tls, &err)) == TLS_WANT_READ)
			;
		if (p.result == TLS_FAILED)
			assert_int_equal(tls_fault(p.tls), TLS_FAULT_CLOSED);
		else
			assert_int_equal(steps, 2); /* it was done */
		pair_end(&p);
	}
}

/* Key updates, and how the server takes them: the result of the last. */
static enum tls_result
update_keys(struct pair *p, int times)
{
	enum tls_result result = TLS_WANT_READ;
	char byte;
	size_t n;

	for (int i = 0; i < times && result == TLS_WANT_READ; i++) {
		assert_int_equal(SSL_key_update(p->ssl,
				     SSL_KEY_UPDATE_REQUESTED),
		    1);
		assert_int_equal(SSL_do_handshake(p->ssl), 1);
		result = tls_read(p->tls, &byte, 1, &n, &err);
		SSL_read(p->ssl, &byte, 1); /* its answer */
		ERR_clear_error();
	}
	return result;
}

static void
test_key_updates(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, &(struct visitor){ .version = TLS1_3_VERSION });
	shake(&p);
	assert_works(&p);
	assert_int_equal(update_keys(&p, 10), TLS_WANT_READ);
	assert_works(&p);
	assert_int_equal(update_keys(&p, 100), TLS_FAILED);
	assert_non_null(strstr(err.text, "nothing but key updates"));
	pair_end(&p);
}

/* All at once: a call ends although more is there. */
static void
test_key_update_flood(void **state)
{
	enum tls_result result;
	struct pair p;
	char byte;
	size_t n;

	(void)state;
	pair_begin(&p, &(struct visitor){ .version = TLS1_3_VERSION });
	shake(&p);
	assert_works(&p);
	for (int i = 0; i < 500; i++) {
		SSL_key_update(p.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
		SSL_do_handshake(p.ssl);
	}
	result = tls_read(p.tls, &byte, 1, &n, &err);
	assert_int_equal(result, TLS_FAILED);
	/* Most of them were never looked at. */
	assert_true(recv(p.fds[0], &byte, 1, MSG_DONTWAIT) == 1);
	pair_end(&p);
}

/* A long-lived connection may, as it moves data. */
static void
test_key_updates_with_data(void **state)
{
	static char much[1 << 14];
	struct pair p;
	size_t n;

	(void)state;
	pair_begin(&p, &(struct visitor){ .version = TLS1_3_VERSION });
	shake(&p);
	assert_works(&p);
	for (int i = 0; i < 200; i++) {
		for (int k = 0; k < 8; k++) {
			assert_int_equal(tls_write(p.tls, much, sizeof(much),
					     &n, &err),
			    TLS_OK);
			assert_int_equal(SSL_read(p.ssl, much, sizeof(much)),
			    n);
		}
		assert_int_equal(update_keys(&p, 1), TLS_WANT_READ);
	}
	pair_end(&p);
}

static void
test_describe(void **state)
{
	struct identity late = identity_make(&(struct cert_spec){ .cn = "late",
						 .from_s = -7200,
						 .to_s = -3600 },
	    &ca);
	SSL_CTX *ctx = tls_server_ctx(&settings, &err);
	char text[512];

	(void)state;
	assert_true(tls_server_describe(ctx, text, sizeof(text)));
	assert_memory_equal(text, "CN = x, valid until ", 20);
	tls_server_free(ctx);
	settings.cert = file_cert("late.crt", late.cert);
	settings.key = file_key("late.key", late.key, NULL);
	ctx = tls_server_ctx(&settings, &err);
	assert_false(tls_server_describe(ctx, text, sizeof(text)));
	tls_server_free(ctx);
	usual();
	identity_free(&late);
}

/* Every fault has a name of its own, for what is counted. */
static void
test_names(void **state)
{
	(void)state;
	for (int i = 0; i < TLS_FAULT_KINDS; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(tls_fault_name(
						    (enum tls_fault)i),
			    tls_fault_name((enum tls_fault)k));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_chain_is_sent),
		cmocka_unit_test(test_no_session),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_client_certificates),
		cmocka_unit_test(test_no_tls),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_key_updates),
		cmocka_unit_test(test_key_update_flood),
		cmocka_unit_test(test_key_updates_with_data),
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
