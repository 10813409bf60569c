#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "net/tls_ctx.h"

#include "pki.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PASSWORD "a password"

static const struct cert_spec ca_spec = { .cn = "ca", .ca = true };
static const struct cert_spec client_spec = { .cn = "client" };
static struct identity ca, client;
static struct tls_settings settings;
static struct err err;
static bool verified;

static int
setup(void **state)
{
	(void)state;
	memset(&settings, 0, sizeof(settings));
	settings.use_cert = true;
	memset(&err, 0, sizeof(err));
	return 0;
}

static void
assert_made(bool checks)
{
	SSL_CTX *ctx = tls_ctx_client(&settings, &verified, &err);

	if (ctx == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(verified, checks);
	SSL_CTX_free(ctx);
}

static void
assert_refused(enum err_kind kind, const char *text)
{
	assert_null(tls_ctx_client(&settings, &verified, &err));
	assert_int_equal(err.kind, kind);
	assert_string_equal(err.text, text);
}

/* The text has the path of a file in it, or of two. */
static void
assert_names(const char *fmt, const char *path)
{
	char text[1000];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof(text), fmt, path);
#pragma GCC diagnostic pop
	assert_refused(ERR_AUTH, text);
}

#define ADVICE                                                            \
	"; either provide the file, use the system's trusted roots with " \
	"sslrootcert=system, or change sslmode to disable server "        \
	"certificate verification"

static void
test_no_root(void **state)
{
	(void)state;
	assert_made(false); /* and no home */
	settings.root = in_files("no.crt");
	assert_made(false);
	settings.verify = TLS_VERIFY_CA;
	assert_names("root certificate file \"%s\" does not exist" ADVICE,
	    settings.root);
	settings.root = NULL;
	assert_refused(ERR_AUTH,
	    "could not get home directory to locate root certificate "
	    "file" ADVICE);
	settings.home = "/nonexistent";
	assert_names("root certificate file \"%s\" does not exist" ADVICE,
	    "/nonexistent/.postgresql/root.crt");
}

static void
test_root(void **state)
{
	(void)state;
	settings.root = file_cert("ca.crt", ca.cert);
	for (int v = TLS_VERIFY_NONE; v <= TLS_VERIFY_FULL; v++) {
		settings.verify = (enum tls_verify)v;
		assert_made(true);
	}
	settings.root = file_text("text.crt", "no certificate\n");
	settings.verify = TLS_VERIFY_NONE;
	assert_names("could not read root certificate file \"%s\": no "
		     "certificate or crl found",
	    settings.root);
	settings.root = "system";
	assert_made(true);
}

static void
test_crl(void **state)
{
	(void)state;
	settings.root = file_cert("ca.crt", ca.cert);
	settings.crl = in_files("no.crl");
	assert_made(true); /* there is nothing to be revoked */
	settings.crl = file_crl("ca.crl", crl_make(&ca, 0));
	assert_made(true);
	settings.crl = file_text("text.crl", "no list\n");
	assert_names("could not read certificate revocation list file \"%s\": "
		     "no start line",
	    settings.crl);
	settings.crl = file_cert("cert.crl", ca.cert);
	assert_names("could not read certificate revocation list file \"%s\": "
		     "no start line",
	    settings.crl);
	settings.crl = in_files("ca.crl/x");
	assert_made(true);
	settings.crl = in_files("loop.crl"); /* who knows what is in there */
	assert_int_equal(symlink(settings.crl, settings.crl), 0);
	assert_names("could not read certificate revocation list file \"%s\": "
		     "Too many levels of symbolic links",
	    settings.crl);
	settings.crl = NULL;
	settings.crl_dir = files;
	assert_made(true);
}

/* Where nothing is named, what is in the home directory is used. */
static void
test_home(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in_files(".postgresql"), 0700), 0);
	settings.home = files;
	settings.verify = TLS_VERIFY_FULL;
	assert_names("root certificate file \"%s\" does not exist" ADVICE,
	    in_files(".postgresql/root.crt"));
	file_cert(".postgresql/root.crt", ca.cert);
	assert_made(true);
	file_text(".postgresql/root.crl", "no list\n");
	assert_names("could not read certificate revocation list file \"%s\": "
		     "no start line",
	    in_files(".postgresql/root.crl"));
	settings.crl_dir = files; /* instead of it */
	assert_made(true);
	settings.crl_dir = "";
	file_crl(".postgresql/root.crl", crl_make(&ca, 0));
	assert_made(true);
	file_cert(".postgresql/postgresql.crt", client.cert);
	assert_names("certificate present, but not private key file \"%s\"",
	    in_files(".postgresql/postgresql.key"));
	file_key(".postgresql/postgresql.key", client.key, NULL);
	assert_made(true);
	settings.cert = settings.key = settings.root = settings.crl = "";
	assert_made(true);
}

/* Our own certificate. */
static void
test_cert(void **state)
{
	struct identity other = identity_make(&client_spec, &ca);

	(void)state;
	settings.cert = in_files("no.crt");
	assert_made(false); /* the server may do without */
	settings.cert = file_cert("client.crt", client.cert);
	assert_refused(ERR_AUTH,
	    "certificate present, but no private key file (sslkey)");
	settings.key = in_files("no.key");
	assert_names("certificate present, but not private key file \"%s\"",
	    settings.key);
	settings.key = file_key("client.key", client.key, NULL);
	assert_made(false);
	settings.key = file_key("other.key", other.key, NULL);
	assert_names("certificate does not match private key file \"%s\": key "
		     "values mismatch",
	    settings.key);
	settings.use_cert = false; /* then nobody looks */
	assert_made(false);
	settings.use_cert = true;
	settings.cert = file_text("text.crt", "no certificate\n");
	assert_names("could not read certificate file \"%s\": no start line",
	    settings.cert);
	identity_free(&other);
}

/* Of a key that others may read, nothing is read. Root's own may be read by
 * its group. */
static void
test_key_mode(void **state)
{
	static const struct {
		mode_t mode;
		bool root, other; /* good, when root's and when not */
	} rows[] = {
		{ 0600, true, true },
		{ 0400, true, true },
		{ 0700, true, true },
		{ 0640, true, false },
		{ 0440, true, false },
		{ 0620, false, false },
		{ 0610, false, false },
		{ 0604, false, false },
		{ 0602, false, false },
		{ 0601, false, false },
		{ 0644, false, false },
		{ 0666, false, false },
	};

	(void)state;
	settings.cert = file_cert("client.crt", client.cert);
	for (size_t i = 0; i < COUNT(rows); i++) {
		settings.key = file_key("client.key", client.key, NULL);
		assert_int_equal(chmod(settings.key, rows[i].mode), 0);
		if (geteuid() == 0 ? rows[i].root : rows[i].other)
			assert_made(false);
		else
			assert_names(
			    "private key file \"%s\" has group or world "
			    "access; file must have permissions u=rw (0600) "
			    "or less if owned by the current user, or "
			    "permissions u=rw,g=r (0640) or less if owned by "
			    "root",
			    settings.key);
		if (geteuid() == 0 && rows[i].root != rows[i].other) {
			assert_int_equal(chown(settings.key, 65534, 65534), 0);
			assert_null(tls_ctx_client(&settings, &verified, &err));
		}
		assert_int_equal(unlink(settings.key), 0);
	}
}

/* A FIFO is not waited for, a directory is not read. */
static void
test_key_kind(void **state)
{
	(void)state;
	settings.cert = file_cert("client.crt", client.cert);
	settings.key = in_files("fifo.key");
	assert_int_equal(mkfifo(settings.key, 0600), 0);
	assert_names("private key file \"%s\" is not a regular file",
	    settings.key);
	settings.key = files;
	assert_names("private key file \"%s\" is not a regular file", files);
	settings.key = in_files("client.crt/x");
	assert_names("could not open private key file \"%s\": Not a directory",
	    settings.key);
}

static void
write_der(const char *name, int which)
{
	FILE *file = file_open(name, 0600);
	PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(client.key);

	if (which == 0)
		assert_int_equal(i2d_PKCS8_PRIV_KEY_INFO_fp(file, p8), 1);
	else
		assert_int_equal(i2d_PrivateKey_fp(file, client.key), 1);
	PKCS8_PRIV_KEY_INFO_free(p8);
	fclose(file);
}

static void
test_der_key(void **state)
{
	(void)state;
	settings.cert = file_cert("client.crt", client.cert);
	for (int which = 0; which < 2; which++) {
		write_der("client.der", which);
		settings.key = in_files("client.der");
		assert_made(false);
	}
	settings.key = file_text("text.key", "no key\n");
	assert_int_equal(chmod(settings.key, 0600), 0);
	assert_null(tls_ctx_client(&settings, &verified, &err));
	assert_int_equal(err.kind, ERR_AUTH);
	assert_non_null(strstr(err.text, "could not load private key file \""));
}

/* Nobody is asked for a password, whether there is a terminal or not. */
static void
test_encrypted_key(void **state)
{
	(void)state;
	settings.cert = file_cert("client.crt", client.cert);
	settings.key = file_key("client.key", client.key, PASSWORD);
	settings.key_password = PASSWORD;
	assert_made(false);
	settings.key_password = NULL;
	assert_names("private key file \"%s\" is encrypted, and no sslpassword "
		     "was given",
	    settings.key);
	settings.key_password = "";
	assert_names("private key file \"%s\" is encrypted, and no sslpassword "
		     "was given",
	    settings.key);
	settings.key_password = "wrong";
	assert_names("could not load private key file \"%s\": bad decrypt",
	    settings.key);
	settings.key_password = PASSWORD; /* not needed: not minded */
	settings.key = file_key("client.key", client.key, NULL);
	assert_made(false);
}

/* The older form of encryption. */
static void
test_traditional_key(void **state)
{
	BIO *bio = BIO_new_file(in_files("client.key"), "w");

	(void)state;
	assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, client.key,
			     EVP_aes_128_cbc(), (const unsigned char *)PASSWORD,
			     (int)strlen(PASSWORD), NULL, NULL),
	    1);
	BIO_free(bio);
	settings.cert = file_cert("client.crt", client.cert);
	settings.key = in_files("client.key");
	assert_int_equal(chmod(settings.key, 0600), 0);
	settings.key_password = PASSWORD;
	assert_made(false);
	settings.key_password = NULL;
	assert_names("private key file \"%s\" is encrypted, and no sslpassword "
		     "was given",
	    settings.key);
}

static void
test_versions(void **state)
{
	static const struct {
		const char *min, *max;
		int low, high;
	} rows[] = {
		{ NULL, NULL, TLS1_2_VERSION, 0 },
		{ NULL, "", TLS1_2_VERSION, 0 },
		{ "TLSv1", "TLSv1.1", TLS1_VERSION, TLS1_1_VERSION },
		{ "tlsv1.2", "TLSV1.3", TLS1_2_VERSION, TLS1_3_VERSION },
		{ "TLSv1.3", NULL, TLS1_3_VERSION, 0 },
	};
	SSL_CTX *ctx;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		settings.min_version = rows[i].min;
		settings.max_version = rows[i].max;
		ctx = tls_ctx_client(&settings, &verified, &err);
		assert_non_null(ctx);
		assert_int_equal(SSL_CTX_get_min_proto_version(ctx),
		    rows[i].low);
		assert_int_equal(SSL_CTX_get_max_proto_version(ctx),
		    rows[i].high);
		SSL_CTX_free(ctx);
	}
	settings.min_version = "SSLv3";
	assert_refused(ERR_USAGE, "there is no SSL protocol version \"SSLv3\"");
	settings.min_version = NULL;
	settings.max_version = "TLSv1.4";
	assert_refused(ERR_USAGE,
	    "there is no SSL protocol version \"TLSv1.4\"");
}

static int
begin(void **state)
{
	ca = identity_make(&ca_spec, NULL);
	client = identity_make(&client_spec, &ca);
	return files_begin(state);
}

static int
end(void **state)
{
	identity_free(&client);
	identity_free(&ca);
	return files_end(state);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_root),
		TEST(test_root),
		TEST(test_crl),
		TEST(test_home),
		TEST(test_cert),
		TEST(test_key_mode),
		TEST(test_key_kind),
		TEST(test_der_key),
		TEST(test_encrypted_key),
		TEST(test_traditional_key),
		TEST(test_versions),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
