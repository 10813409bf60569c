#include "pg/scram.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/b64.h"
#include "base/rd.h"
#include "pg/saslprep.h"

/*
 *	client-first:	GS2 n=USER,r=NONCE
 *	server-first:	r=NONCE...,s=SALT,i=ITERATIONS
 *	client-final:	c=CHANNEL,r=NONCE...,p=PROOF
 *	server-final:	v=SIGNATURE | e=ERROR
 *
 * GS2 is "n,,", "y,," or "p=tls-server-end-point,,": what of channel binding,
 * and no authorization identity. CHANNEL is base64 of the same and, after "p",
 * the certificate's hash.
 */

#define KEY_LEN 32
#define MAX_SALT 1024
#define MAX_ERROR_TEXT 100
#define MAX_GS2 24

static const char *const gs2[] = {
	[SCRAM_UNBOUND] = "n,,",
	[SCRAM_NOT_OFFERED] = "y,,",
	[SCRAM_BOUND] = "p=tls-server-end-point,,",
};

struct span {
	const char *p;
	size_t len;
};

struct server_first {
	struct span nonce;
	uint8_t salt[MAX_SALT];
	size_t salt_len;
	int iterations;
};

struct keys {
	uint8_t salted[KEY_LEN];
	uint8_t client[KEY_LEN];
	uint8_t stored[KEY_LEN];
	uint8_t server[KEY_LEN];
	uint8_t signature[KEY_LEN]; /* ClientSignature */
	uint8_t proof[KEY_LEN];
};

void
scram_bind(struct scram *s, enum scram_flag flag, const uint8_t *binding,
    size_t len)
{
	assert(len <= sizeof(s->binding) && (len > 0) == (flag == SCRAM_BOUND));
	s->flag = flag;
	s->binding_len = len;
	if (len > 0)
		memcpy(s->binding, binding, len);
}

void
scram_first(struct scram *s, const char *user, const char *nonce,
    struct buf *out)
{
	int n;

	assert(*nonce != '\0' && strlen(nonce) <= SCRAM_NONCE_LEN);
	assert(strpbrk(user, "=,") == NULL);
	snprintf(s->nonce, sizeof(s->nonce), "%s", nonce);
	n = snprintf(s->first_bare, sizeof(s->first_bare), "n=%s,r=%s", user,
	    nonce);
	assert(n < (int)sizeof(s->first_bare));
	(void)n;
	buf_put_str(out, gs2[s->flag]);
	buf_put_str(out, s->first_bare);
	s->iterations = 0;
	s->state = SCRAM_FIRST;
}

/* Reads "x=value" up to the next ',' or the end; name is "x=" with whatever
 * must stand before it. */
static bool
attribute(struct rd *r, const char *name, struct span *value)
{
	size_t n = strlen(name);
	const uint8_t *p = rd_bytes(r, n), *comma;

	if (p == NULL || memcmp(p, name, n) != 0)
		return false;
	comma = memchr(r->p, ',', rd_left(r));
	value->len = comma == NULL ? rd_left(r) : (size_t)(comma - r->p);
	value->p = (const char *)rd_bytes(r, value->len);
	return true;
}

static bool
printable(char c)
{
	return c > 0x20 && c < 0x7f;
}

static int
check_nonce(const struct scram *s, const struct span *nonce, struct err *err)
{
	size_t n = strlen(s->nonce);

	if (nonce->len <= n || memcmp(nonce->p, s->nonce, n) != 0)
		return err_set(err, ERR_AUTH,
		    "SCRAM: the server's nonce does not extend ours");
	for (size_t i = n; i < nonce->len; i++) {
		if (!printable(nonce->p[i]))
			return err_set(err, ERR_AUTH,
			    "SCRAM: the server's nonce is not printable");
	}
	return 0;
}

static int
parse_iterations(const struct span *text, int *v, struct err *err)
{
	*v = 0;
	for (size_t i = 0; i < text->len; i++) {
		char c = text->p[i];

		if (c < (i == 0 ? '1' : '0') || c > '9')
			break;
		*v = *v * 10 + (c - '0');
		if (*v > SCRAM_MAX_ITERATIONS)
			return err_set(err, ERR_AUTH,
			    "SCRAM: the server asks for more than %d "
			    "iterations",
			    SCRAM_MAX_ITERATIONS);
		if (i + 1 == text->len)
			return 0;
	}
	return err_set(err, ERR_AUTH,
	    "SCRAM: the server's iteration count is not a positive number");
}

static int
parse_first(const struct scram *s, struct rd r, struct server_first *m,
    struct err *err)
{
	struct span salt, iterations;
	long n;

	if (!attribute(&r, "r=", &m->nonce) || !attribute(&r, ",s=", &salt) ||
	    !attribute(&r, ",i=", &iterations) || !rd_done(&r))
		return err_set(err, ERR_AUTH,
		    "SCRAM: the server's first message is not r=, s=, i=");
	if (check_nonce(s, &m->nonce, err) == -1)
		return -1;
	n = b64_decode(m->salt, sizeof(m->salt), salt.p, salt.len);
	if (n <= 0)
		return err_set(err, ERR_AUTH,
		    "SCRAM: the server's salt is not 1 to %d bytes of base64",
		    MAX_SALT);
	m->salt_len = (size_t)n;
	return parse_iterations(&iterations, &m->iterations, err);
}

static bool
hmac(uint8_t to[KEY_LEN], const uint8_t key[KEY_LEN], const void *p, size_t n)
{
	return HMAC(EVP_sha256(), key, KEY_LEN, p, n, to, NULL) != NULL;
}

static bool
sha256(uint8_t to[KEY_LEN], const uint8_t p[KEY_LEN])
{
	return EVP_Digest(p, KEY_LEN, to, NULL, EVP_sha256(), NULL) == 1;
}

/* RFC 5802, section 3, with its names; auth is the AuthMessage. */
static bool
derive(struct scram *s, struct keys *k, const char *password,
    const struct server_first *m, const struct buf *auth)
{
	const uint8_t *p = buf_head(auth);
	size_t n = buf_unread(auth);

	if (PKCS5_PBKDF2_HMAC(password, (int)strlen(password), m->salt,
		(int)m->salt_len, m->iterations, EVP_sha256(), KEY_LEN,
		k->salted) != 1 ||
	    !hmac(k->client, k->salted, "Client Key", 10) ||
	    !sha256(k->stored, k->client) ||
	    !hmac(k->signature, k->stored, p, n) ||
	    !hmac(k->server, k->salted, "Server Key", 10) ||
	    !hmac(s->server_signature, k->server, p, n))
		return false;
	for (size_t i = 0; i < KEY_LEN; i++)
		k->proof[i] = k->client[i] ^ k->signature[i];
	return true;
}

static void
put_final_bare(struct buf *b, const struct scram *s, const struct span *nonce)
{
	uint8_t channel[MAX_GS2 + SCRAM_BINDING_MAX];
	char text[B64_ENCODED_LEN(sizeof(channel)) + 1];
	size_t n = strlen(gs2[s->flag]);

	memcpy(channel, gs2[s->flag], n);
	memcpy(channel + n, s->binding, s->binding_len);
	b64_encode(text, channel, n + s->binding_len);
	buf_putf(b, "c=%s,r=", text);
	buf_put(b, nonce->p, nonce->len);
}

static void
put_auth_message(struct buf *auth, const struct scram *s, const uint8_t *msg,
    size_t len, const struct span *nonce)
{
	buf_put_str(auth, s->first_bare);
	buf_put_u8(auth, ',');
	buf_put(auth, msg, len);
	buf_put_u8(auth, ',');
	put_final_bare(auth, s, nonce);
}

/* prepared is the password after saslprep. */
static int
answer(struct scram *s, const char *prepared, const uint8_t *msg, size_t len,
    struct buf *out, struct err *err)
{
	struct server_first m;
	struct keys k;
	struct buf auth;
	char proof[B64_ENCODED_LEN(KEY_LEN) + 1];
	bool ok;

	if (parse_first(s, rd_make(msg, len), &m, err) == -1)
		return -1;
	s->iterations = m.iterations;
	buf_init(&auth, 512 + 2 * len);
	put_auth_message(&auth, s, msg, len, &m.nonce);
	ok = !auth.failed && derive(s, &k, prepared, &m, &auth);
	buf_free(&auth);
	if (ok) {
		b64_encode(proof, k.proof, KEY_LEN);
		put_final_bare(out, s, &m.nonce);
		buf_putf(out, ",p=%s", proof);
	}
	OPENSSL_cleanse(&k, sizeof(k));
	if (!ok)
		return err_set(err, ERR_AUTH,
		    "SCRAM: OpenSSL could not compute the proof");
	return 0;
}

static int
prepare_and_answer(struct scram *s, const char *password, const uint8_t *msg,
    size_t len, struct buf *out, struct err *err)
{
	char *prepared = saslprep(password);
	int rc;

	if (prepared == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	rc = answer(s, prepared, msg, len, out, err);
	OPENSSL_cleanse(prepared, strlen(prepared));
	free(prepared);
	return rc;
}

int
scram_final(struct scram *s, const char *password, const uint8_t *msg,
    size_t len, struct buf *out, struct err *err)
{
	int rc;

	if (s->state != SCRAM_FIRST)
		rc = err_set(err, ERR_AUTH,
		    "SCRAM: the server's first message is out of turn");
	else
		rc = prepare_and_answer(s, password, msg, len, out, err);
	if (rc == -1)
		scram_wipe(s);
	else
		s->state = SCRAM_FINAL;
	return rc;
}

/* The server's own words, as far as they can be printed. */
static int
server_error(const struct span *text, struct err *err)
{
	char safe[MAX_ERROR_TEXT + 1];
	size_t i;

	for (i = 0; i < text->len && i < MAX_ERROR_TEXT; i++) {
		char c = text->p[i];

		safe[i] = printable(c) || c == ' ' ? c : '?';
	}
	safe[i] = '\0';
	return err_set(err, ERR_AUTH, "SCRAM: the server refused: %s", safe);
}

static int
check_signature(const struct scram *s, struct rd r, struct err *err)
{
	uint8_t signature[KEY_LEN];
	struct span text;
	struct rd again = r;

	if (attribute(&again, "e=", &text))
		return server_error(&text, err);
	if (!attribute(&r, "v=", &text) || !rd_done(&r) ||
	    b64_decode(signature, KEY_LEN, text.p, text.len) != KEY_LEN)
		return err_set(err, ERR_AUTH,
		    "SCRAM: the server's final message is not a signature");
	if (CRYPTO_memcmp(signature, s->server_signature, KEY_LEN) != 0)
		return err_set(err, ERR_AUTH,
		    "SCRAM: the server's signature is wrong: it does not know "
		    "the password");
	return 0;
}

int
scram_verify(struct scram *s, const uint8_t *msg, size_t len, struct err *err)
{
	int rc;

	if (s->state != SCRAM_FINAL)
		rc = err_set(err, ERR_AUTH,
		    "SCRAM: the server's final message is out of turn");
	else
		rc = check_signature(s, rd_make(msg, len), err);
	scram_wipe(s);
	if (rc == 0)
		s->state = SCRAM_DONE;
	return rc;
}

bool
scram_done(const struct scram *s)
{
	return s->state == SCRAM_DONE;
}

void
scram_wipe(struct scram *s)
{
	OPENSSL_cleanse(s, sizeof(*s));
	s->state = SCRAM_START;
}

/* md5(a || b) as 32 hex digits. */
static int
md5_hex(char to[33], const void *a, size_t a_len, const void *b, size_t b_len)
{
	uint8_t sum[16];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, a, a_len) == 1 &&
	    EVP_DigestUpdate(ctx, b, b_len) == 1 &&
	    EVP_DigestFinal_ex(ctx, sum, NULL) == 1;

	EVP_MD_CTX_free(ctx);
	for (size_t i = 0; ok && i < sizeof(sum); i++)
		snprintf(to + 2 * i, 3, "%02x", sum[i]);
	OPENSSL_cleanse(sum, sizeof(sum));
	return ok ? 0 : -1;
}

int
scram_md5(char to[36], const char *user, const char *password,
    const uint8_t salt[4])
{
	char inner[33];
	int rc;

	rc = md5_hex(inner, password, strlen(password), user, strlen(user));
	if (rc == 0)
		rc = md5_hex(to + 3, inner, 32, salt, 4);
	memcpy(to, "md5", 3);
	OPENSSL_cleanse(inner, sizeof(inner));
	return rc;
}
