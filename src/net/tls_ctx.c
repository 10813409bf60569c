#include "net/tls_ctx.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/tls_file.h"

static bool
is_set(const char *s)
{
	return s != NULL && *s != '\0';
}

/* path, or the default of that name; "" when there is no home for it. */
static void
locate(char to[PATH_MAX], const char *path, const char *home, const char *name)
{
	if (is_set(path))
		snprintf(to, PATH_MAX, "%s", path);
	else if (is_set(home))
		snprintf(to, PATH_MAX, "%s/.postgresql/%s", home, name);
	else
		*to = '\0';
}

static bool
is_system(const struct tls_settings *s)
{
	return s->root != NULL && strcmp(s->root, "system") == 0;
}

static bool
exists(const char *path)
{
	struct stat st;

	return *path != '\0' && stat(path, &st) == 0;
}

static const struct {
	const char *name;
	int number;
} versions[] = {
	{ "TLSv1", TLS1_VERSION },
	{ "TLSv1.1", TLS1_1_VERSION },
	{ "TLSv1.2", TLS1_2_VERSION },
	{ "TLSv1.3", TLS1_3_VERSION },
};

/* -1 when there is no such version. */
static int
version_number(const char *name)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (strcasecmp(versions[i].name, name) == 0)
			return versions[i].number;
	return -1;
}

static int
set_versions(SSL_CTX *ctx, const struct tls_settings *s, struct err *err)
{
	const char *min = s->min_version != NULL ? s->min_version : "TLSv1.2";
	const char *max = s->max_version;
	int low = is_set(min) ? version_number(min) : 0;
	int high = is_set(max) ? version_number(max) : 0;

	if (low == -1 || high == -1)
		return err_set(err, ERR_USAGE,
		    "there is no SSL protocol version \"%.40s\"",
		    low == -1 ? min : max);
	if (low != 0 && SSL_CTX_set_min_proto_version(ctx, low) != 1)
		return err_set(err, ERR_AUTH,
		    "could not set minimum SSL protocol version: %s",
		    tls_reason());
	if (high != 0 && SSL_CTX_set_max_proto_version(ctx, high) != 1)
		return err_set(err, ERR_AUTH,
		    "could not set maximum SSL protocol version: %s",
		    tls_reason());
	return 0;
}

static int
load_crl_dir(X509_STORE *store, const char *dir, struct err *err)
{
	X509_LOOKUP *lookup =
	    X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir());

	if (lookup != NULL &&
	    X509_LOOKUP_add_dir(lookup, dir, X509_FILETYPE_PEM) == 1)
		return 0;
	return err_set(err, ERR_AUTH,
	    "could not use certificate revocation list directory \"%.300s\": "
	    "%s",
	    dir, tls_reason());
}

/* A list that does not exist revokes nothing, as libpq documents; one that
 * cannot be read is no list. Returns 1, 0 when there is none, or -1. */
static int
load_crl_file(X509_STORE *store, const char *file, struct err *err)
{
	X509_LOOKUP *lookup;
	const char *why;

	if (*file == '\0')
		return 0;
	if (access(file, R_OK) == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		why = strerror(errno);
	} else {
		lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
		if (lookup != NULL &&
		    X509_load_crl_file(lookup, file, X509_FILETYPE_PEM) > 0)
			return 1;
		why = tls_reason();
	}
	return err_set(err, ERR_AUTH,
	    "could not read certificate revocation list file \"%.300s\": %s",
	    file, why);
}

static int
load_crl(X509_STORE *store, const struct tls_settings *s, struct err *err)
{
	char file[PATH_MAX] = "";
	bool dir = is_set(s->crl_dir);
	int found;

	if (dir && load_crl_dir(store, s->crl_dir, err) == -1)
		return -1;
	if (is_set(s->crl) || (!dir && !is_system(s)))
		locate(file, s->crl, s->home, "root.crl");
	if ((found = load_crl_file(store, file, err)) == -1)
		return -1;
	if (dir || found == 1)
		X509_STORE_set_flags(store,
		    X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return 0;
}

static int
no_root(const char *file, struct err *err)
{
	static const char advice[] = "either provide the file, use the "
				     "system's trusted roots with "
				     "sslrootcert=system, or change sslmode to "
				     "disable server certificate verification";

	if (*file == '\0')
		return err_set(err, ERR_AUTH,
		    "could not get home directory to locate root certificate "
		    "file; %s",
		    advice);
	return err_set(err, ERR_AUTH,
	    "root certificate file \"%.300s\" does not exist; %s", file,
	    advice);
}

static int
load_root(SSL_CTX *ctx, const struct tls_settings *s, bool *verified,
    struct err *err)
{
	char file[PATH_MAX];

	*verified = false;
	locate(file, s->root, s->home, "root.crt");
	if (is_system(s)) {
		if (SSL_CTX_set_default_verify_paths(ctx) != 1)
			return err_set(err, ERR_AUTH,
			    "could not load system root certificate paths: %s",
			    tls_reason());
	} else if (exists(file)) {
		if (SSL_CTX_load_verify_locations(ctx, file, NULL) != 1)
			return err_set(err, ERR_AUTH,
			    "could not read root certificate file "
			    "\"%.300s\": %s",
			    file, tls_reason());
	} else
		return s->verify != TLS_VERIFY_NONE ? no_root(file, err) : 0;
	if (load_crl(SSL_CTX_get_cert_store(ctx), s, err) == -1)
		return -1;
	*verified = true;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return 0;
}

struct secret {
	const char *password; /* NULL: none */
	bool asked;           /* it was needed */
};

/* OpenSSL's own would ask on the terminal. arg: a secret, or NULL. */
static int
give_password(char *to, int cap, int writing, void *arg)
{
	struct secret *secret = arg;
	size_t len;

	(void)writing;
	if (secret == NULL)
		return -1;
	secret->asked = true;
	len = is_set(secret->password) ? strlen(secret->password) : 0;
	if (len == 0 || len > (size_t)cap)
		return -1;
	memcpy(to, secret->password, len);
	return (int)len;
}

/* Opens the file and checks it; NULL with err. */
static BIO *
open_key(const char *file, struct err *err)
{
	BIO *bio = NULL;
	/* A FIFO is not waited for. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd == -1 && errno == ENOENT)
		err_set(err, ERR_AUTH,
		    "certificate present, but not private key file "
		    "\"%.300s\"",
		    file);
	else if (fd == -1)
		err_set(err, ERR_AUTH,
		    "could not open private key file \"%.300s\": %s", file,
		    strerror(errno));
	else if (tls_file_check_key(fd, file, err) == 0 &&
	    (bio = BIO_new_fd(fd, BIO_CLOSE)) == NULL)
		err_set(err, ERR_NOMEM, "out of memory");
	if (bio == NULL && fd != -1)
		close(fd);
	return bio;
}

/* PEM, or else DER; NULL with err, which tells what was wrong with the PEM. */
static EVP_PKEY *
read_key(const struct tls_settings *s, const char *file, struct err *err)
{
	struct secret secret = { .password = s->key_password };
	BIO *bio = open_key(file, err);
	EVP_PKEY *key;

	if (bio == NULL)
		return NULL;
	ERR_clear_error();
	key = PEM_read_bio_PrivateKey(bio, NULL, give_password, &secret);
	if (key == NULL) {
		ERR_set_mark();
		if (BIO_seek(bio, 0) == 0)
			key = d2i_PrivateKey_bio(bio, NULL);
		ERR_pop_to_mark();
	}
	if (key == NULL && secret.asked && !is_set(secret.password))
		err_set(err, ERR_AUTH,
		    "private key file \"%.300s\" is encrypted, and no "
		    "sslpassword was given",
		    file);
	else if (key == NULL)
		err_set(err, ERR_AUTH,
		    "could not load private key file \"%.300s\": %s", file,
		    tls_reason());
	ERR_clear_error();
	BIO_free(bio);
	return key;
}

static int
load_key(SSL_CTX *ctx, const struct tls_settings *s, struct err *err)
{
	char file[PATH_MAX];
	EVP_PKEY *key;
	bool fits;

	locate(file, s->key, s->home, "postgresql.key");
	if (*file == '\0')
		return err_set(err, ERR_AUTH,
		    "certificate present, but no private key file (sslkey)");
	if ((key = read_key(s, file, err)) == NULL)
		return -1;
	fits = SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
	    SSL_CTX_check_private_key(ctx) == 1;
	EVP_PKEY_free(key);
	if (fits)
		return 0;
	return err_set(err, ERR_AUTH,
	    "certificate does not match private key file \"%.300s\": %s", file,
	    tls_reason());
}

/* Our own certificate, its chain and its key, if there is one. */
static int
load_cert(SSL_CTX *ctx, const struct tls_settings *s, struct err *err)
{
	char file[PATH_MAX];
	struct stat st;

	if (!s->use_cert)
		return 0;
	locate(file, s->cert, s->home, "postgresql.crt");
	if (*file == '\0')
		return 0;
	if (stat(file, &st) == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0; /* the server may do without */
		return err_set(err, ERR_AUTH,
		    "could not open certificate file \"%.300s\": %s", file,
		    strerror(errno));
	}
	if (SSL_CTX_use_certificate_chain_file(ctx, file) != 1)
		return err_set(err, ERR_AUTH,
		    "could not read certificate file \"%.300s\": %s", file,
		    tls_reason());
	return load_key(ctx, s, err);
}

/* Neither PostgreSQL nor walstream keeps sessions or renegotiates. Partial
 * writes, because the output moves and grows while the socket takes no more. */
static void
set_options(SSL_CTX *ctx, const struct tls_settings *s)
{
	unsigned char alpn[1 + TLS_ALPN_MAX];
	const char *name = tls_alpn(s);
	size_t len = strlen(name);

	assert(len <= TLS_ALPN_MAX);
	alpn[0] = (unsigned char)len;
	memcpy(alpn + 1, name, len);
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_default_passwd_cb(ctx, give_password);
	SSL_CTX_set_alpn_protos(ctx, alpn, (unsigned)len + 1);
}

const char *
tls_alpn(const struct tls_settings *s)
{
	return s->alpn != NULL ? s->alpn : "postgresql";
}

struct ssl_ctx_st *
tls_ctx_client(const struct tls_settings *s, bool *verified, struct err *err)
{
	SSL_CTX *ctx;

	ERR_clear_error();
	if ((ctx = SSL_CTX_new(TLS_client_method())) == NULL) {
		err_set(err, ERR_NOMEM, "could not create SSL context: %s",
		    tls_reason());
		return NULL;
	}
	set_options(ctx, s);
	if (set_versions(ctx, s, err) == -1 ||
	    load_root(ctx, s, verified, err) == -1 ||
	    load_cert(ctx, s, err) == -1) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	ERR_clear_error();
	return ctx;
}
