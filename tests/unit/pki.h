#ifndef TESTS_PKI_H
#define TESTS_PKI_H

#include <arpa/inet.h>
#include <ftw.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Keys, certificates and revocation lists, made as they are needed, and a
 * directory to put them in. What cannot be made fails the test. cmocka.h comes
 * before.
 */

enum key_kind {
	KEY_EC,
	KEY_ED25519,
	KEY_RSA, /* of 2048 bits, as the next */
	KEY_RSA_PSS,
	KEY_RSA_1024,
	KEY_KINDS
};

struct cert_spec {
	const char *cn; /* %XX is a byte, also below; NULL: no subject */
	/* Words: dns:NAME, ip:ADDRESS, email:X, uri:X; or "malformed" alone */
	const char *san;
	enum key_kind key;
	const char *digest; /* of the signature; NULL: SHA256 */
	long from_s, to_s;  /* from now; 0 and 0: an hour each way */
	bool ca;
	long serial;
};

struct identity {
	X509 *cert;
	EVP_PKEY *key;
};

static inline EVP_PKEY *
key_make(enum key_kind kind)
{
	switch (kind) {
	case KEY_EC:
		return EVP_EC_gen("P-256");
	case KEY_ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case KEY_RSA:
		return EVP_RSA_gen(2048);
	case KEY_RSA_1024:
		return EVP_RSA_gen(1024);
	default: {
		EVP_PKEY_CTX *ctx =
		    EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
		EVP_PKEY *key = NULL;

		assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048),
		    1);
		assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
		EVP_PKEY_CTX_free(ctx);
		return key;
	}
	}
}

/* RSA keys take their time, so one of a kind has to do. */
static inline EVP_PKEY *
key_get(enum key_kind kind)
{
	static EVP_PKEY *slow[KEY_KINDS];

	if (kind == KEY_EC || kind == KEY_ED25519)
		return key_make(kind);
	if (slow[kind] == NULL)
		slow[kind] = key_make(kind);
	EVP_PKEY_up_ref(slow[kind]);
	return slow[kind];
}

/* Decodes %XX of the first n characters; returns how many bytes it is. */
static inline int
unescape(char *to, const char *text, size_t n)
{
	int len = 0;

	for (size_t i = 0; i < n; i++)
		if (text[i] == '%') {
			to[len++] = (char)strtol((char[]){ text[i + 1],
						     text[i + 2], '\0' },
			    NULL, 16);
			i += 2;
		} else
			to[len++] = text[i];
	return len;
}

static inline GENERAL_NAME *
alternative(const char *word, size_t n)
{
	size_t head = (size_t)(strchr(word, ':') - word) + 1;
	GENERAL_NAME *name = GENERAL_NAME_new();
	char text[2000], address[16];
	int len = unescape(text, word + head, n - head);
	ASN1_STRING *value = ASN1_STRING_type_new(
	    *word == 'i' ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

	text[len] = '\0';
	if (*word == 'i' && inet_pton(AF_INET, text, address) == 1)
		ASN1_STRING_set(value, address, 4);
	else if (*word == 'i' && inet_pton(AF_INET6, text, address) == 1)
		ASN1_STRING_set(value, address, 16);
	else
		ASN1_STRING_set(value, text, len);
	GENERAL_NAME_set0_value(name,
	    *word == 'd'       ? GEN_DNS
		: *word == 'i' ? GEN_IPADD
		: *word == 'e' ? GEN_EMAIL
			       : GEN_URI,
	    value);
	return name;
}

static inline void
put_alternatives(X509 *cert, const char *words)
{
	GENERAL_NAMES *all = GENERAL_NAMES_new();
	size_t n;

	for (; *words != '\0'; words += n + (words[n] == ' ')) {
		n = strcspn(words, " ");
		sk_GENERAL_NAME_push(all, alternative(words, n));
	}
	assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_alt_name, all, 0,
			     0),
	    1);
	GENERAL_NAMES_free(all);
}

/* An extension of that kind, which is no such thing. */
static inline void
put_malformed(X509 *cert)
{
	ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;

	ASN1_OCTET_STRING_set(data, (const unsigned char *)"\x04\x01x", 3);
	ext = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, data);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(data);
}

static inline void
put_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static inline void
describe(X509 *cert, const struct cert_spec *spec)
{
	static long serials;
	char cn[2000];
	bool window = spec->from_s != 0 || spec->to_s != 0;

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert),
	    spec->serial != 0 ? spec->serial : 1000 + ++serials);
	X509_gmtime_adj(X509_getm_notBefore(cert),
	    window ? spec->from_s : -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), window ? spec->to_s : 3600);
	if (spec->cn != NULL)
		assert_int_equal(
		    X509_NAME_add_entry_by_NID(X509_get_subject_name(cert),
			NID_commonName, V_ASN1_UTF8STRING, (unsigned char *)cn,
			unescape(cn, spec->cn, strlen(spec->cn)), -1, 0),
		    1);
	if (spec->ca)
		put_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
	if (spec->san != NULL && strcmp(spec->san, "malformed") == 0)
		put_malformed(cert);
	else if (spec->san != NULL)
		put_alternatives(cert, spec->san);
}

static inline const EVP_MD *
digest_for(EVP_PKEY *key, const char *name)
{
	if (EVP_PKEY_get_id(key) == EVP_PKEY_ED25519)
		return NULL; /* it brings its own */
	return EVP_get_digestbyname(name != NULL ? name : "SHA256");
}

/* Signed by issuer; NULL: by itself. To be freed with identity_free. */
static inline struct identity
identity_make(const struct cert_spec *spec, const struct identity *issuer)
{
	struct identity who = { X509_new(), key_get(spec->key) };

	assert_non_null(who.key);
	if (issuer == NULL)
		issuer = &who;
	describe(who.cert, spec);
	X509_set_pubkey(who.cert, who.key);
	X509_set_issuer_name(who.cert, X509_get_subject_name(issuer->cert));
	assert_int_not_equal(X509_sign(who.cert, issuer->key,
				 digest_for(issuer->key, spec->digest)),
	    0);
	return who;
}

static inline void
identity_free(struct identity *who)
{
	X509_free(who->cert);
	EVP_PKEY_free(who->key);
	who->cert = NULL;
	who->key = NULL;
}

/* The list of what issuer revoked: one serial number, or none (0). */
static inline X509_CRL *
crl_make(const struct identity *issuer, long serial)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *at = X509_gmtime_adj(NULL, -60);

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->cert));
	X509_CRL_set1_lastUpdate(crl, at);
	if (serial != 0) {
		X509_REVOKED *revoked = X509_REVOKED_new();
		ASN1_INTEGER *n = ASN1_INTEGER_new();

		ASN1_INTEGER_set(n, serial);
		X509_REVOKED_set_serialNumber(revoked, n);
		X509_REVOKED_set_revocationDate(revoked, at);
		X509_CRL_add0_revoked(crl, revoked);
		ASN1_INTEGER_free(n);
	}
	X509_gmtime_adj(at, 3600);
	X509_CRL_set1_nextUpdate(crl, at);
	ASN1_TIME_free(at);
	assert_int_not_equal(X509_CRL_sign(crl, issuer->key,
				 digest_for(issuer->key, NULL)),
	    0);
	return crl;
}

static char files[] = "/tmp/walstream-pki-XXXXXX"; /* the directory */

/* The path of a file in there; it stays. */
static inline const char *
in_files(const char *name)
{
	static char paths[64][200];
	char path[200];
	size_t i = 0;

	snprintf(path, sizeof(path), "%s/%s", files, name);
	while (paths[i][0] != '\0' && strcmp(paths[i], path) != 0)
		assert_true(++i < 64);
	memcpy(paths[i], path, sizeof(path));
	return paths[i];
}

static inline int
files_begin(void **state)
{
	(void)state;
	return mkdtemp(files) == NULL ? -1 : 0;
}

static inline int
files_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static inline int
files_end(void **state)
{
	(void)state;
	return nftw(files, files_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static inline FILE *
file_open(const char *name, mode_t mode)
{
	const char *path = in_files(name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(chmod(path, mode), 0);
	return file;
}

static inline const char *
file_text(const char *name, const char *text)
{
	FILE *file = file_open(name, 0644);

	fputs(text, file);
	fclose(file);
	return in_files(name);
}

/* Certificates, one behind the other; ends with NULL. */
static inline const char *
file_certs(const char *name, X509 *const certs[])
{
	FILE *file = file_open(name, 0644);

	for (; *certs != NULL; certs++)
		PEM_write_X509(file, *certs);
	fclose(file);
	return in_files(name);
}

static inline const char *
file_cert(const char *name, X509 *cert)
{
	return file_certs(name, (X509 *const[]){ cert, NULL });
}

/* Under a password, unless that is NULL. */
static inline const char *
file_key(const char *name, EVP_PKEY *key, const char *password)
{
	FILE *file = file_open(name, 0600);

	assert_int_equal(PEM_write_PKCS8PrivateKey(file, key,
			     password == NULL ? NULL : EVP_aes_256_cbc(),
			     password,
			     password == NULL ? 0 : (int)strlen(password), NULL,
			     NULL),
	    1);
	fclose(file);
	return in_files(name);
}

static inline const char *
file_crl(const char *name, X509_CRL *crl)
{
	FILE *file = file_open(name, 0644);

	PEM_write_X509_CRL(file, crl);
	fclose(file);
	X509_CRL_free(crl);
	return in_files(name);
}

#endif
