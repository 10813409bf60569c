#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/b64.h"
#include "base/buf.h"
#include "base/rd.h"
#include "fuzz.h"
#include "pg/auth.h"

/*
 * What a server says during authentication, to a client whose policy is drawn
 * from the input. Its first byte is the methods allowed (0x10: no password,
 * 0x20: an empty one), its second the channel: binding % 3, 0x04 TLS, 0x08 a
 * hash, 0x10 a hash of no bytes. Steps follow, each a letter, a length of one
 * byte and as many bytes:
 *
 *	O C M		Ok, cleartext, MD5
 *	S P p		SASL: SCRAM-SHA-256, both, only -PLUS
 *	1 2		SCRAM's messages, of a server that knows the password
 *	others		the bytes are the message
 *
 * The bytes of the first three kinds are pairs of a place and what is to be
 * changed there. What must hold: AuthenticationOk is believed only
 *
 *	when nothing was asked for, and none is allowed;
 *	after one request for a password of a kind that is allowed, and with one;
 *	after SCRAM, which is allowed, from its start to a server's signature
 *	that is what we compute here from what was sent;
 *
 * and, where binding is required, only after SCRAM-SHA-256-PLUS. Nothing is
 * believed or answered after a refusal or an Ok, the password goes out in the
 * clear where that is allowed and nowhere else, and no error text has it.
 */

#define NONCE "abcdefghijklmnopqrstuvwx"
#define SERVER_FIRST "r=" NONCE "SERVER,s=QSXCR+Q6sek8bf92,i=1"
/* SASLprep makes the second of the first. */
#define PASSWORD "I\xc2\xadX\xe2\x85\xa8"
#define PREPARED "IXIX"

struct scene {
	struct auth_policy policy;
	struct auth auth;
	struct buf out;
	/* What was said so far that was accepted. */
	int passwords, starts, continues, finals;
	unsigned asked; /* bits of the methods */
	bool plus, over;
	char client_first[256]; /* without the GS2 header */
	char server_first[4096], client_final[4096];
	uint8_t signature[32]; /* that the server should send */
};

static const uint8_t hash[32] = "a hash of a certificate";

static void
hmac(uint8_t to[32], const uint8_t key[32], const char *text)
{
	if (HMAC(EVP_sha256(), key, 32, (const uint8_t *)text, strlen(text), to,
		NULL) == NULL)
		abort();
}

/* RFC 5802, section 3, from the texts of both sides. */
static void
sign(struct scene *s)
{
	static char message[12000];
	uint8_t salt[1024], salted[32], key[32];
	const char *at = strstr(s->server_first, ",s="),
		   *i = strrchr(s->server_first, '=');
	const char *proof = strstr(s->client_final, ",p=");
	long n;

	assert(at != NULL && proof != NULL);
	n = b64_decode(salt, sizeof(salt), at + 3, strcspn(at + 3, ","));
	assert(n > 0);
	snprintf(message, sizeof(message), "%s,%s,%.*s", s->client_first,
	    s->server_first, (int)(proof - s->client_final), s->client_final);
	PKCS5_PBKDF2_HMAC(PREPARED, -1, salt, (int)n, atoi(i + 1), EVP_sha256(),
	    32, salted);
	hmac(key, salted, "Server Key");
	hmac(s->signature, key, message);
}

static void
put_list(struct buf *b, const char *one, const char *two)
{
	buf_put_u32(b, AUTH_SASL);
	buf_put_cstr(b, one);
	if (two != NULL)
		buf_put_cstr(b, two);
	buf_put_u8(b, 0);
}

static void
make(struct buf *b, const struct scene *s, char letter)
{
	char text[B64_ENCODED_LEN(32) + 1];

	switch (letter) {
	case 'O':
		buf_put_u32(b, AUTH_OK);
		break;
	case 'C':
		buf_put_u32(b, AUTH_CLEARTEXT);
		break;
	case 'M':
		buf_put_u32(b, AUTH_MD5);
		buf_put_str(b, "salt");
		break;
	case 'S':
		put_list(b, "SCRAM-SHA-256", NULL);
		break;
	case 'P':
		put_list(b, "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256");
		break;
	case 'p':
		put_list(b, "SCRAM-SHA-256-PLUS", NULL);
		break;
	case '1':
		buf_put_u32(b, AUTH_SASL_CONTINUE);
		buf_put_str(b, SERVER_FIRST);
		break;
	default:
		b64_encode(text, s->signature, 32);
		buf_put_u32(b, AUTH_SASL_FINAL);
		buf_putf(b, "v=%s", text);
	}
}

static void
change(uint8_t *p, size_t n, const uint8_t *pairs, size_t len)
{
	for (; len >= 2; pairs += 2, len -= 2)
		p[pairs[0] % n] ^= pairs[1];
}

static void
keep(char *to, size_t cap, const uint8_t *p, size_t n)
{
	assert(n < cap);
	memcpy(to, p, n);
	to[n] = '\0';
}

/* The SASLInitialResponse: type, length, mechanism, length, data. */
static void
note_start(struct scene *s, const uint8_t *p, size_t n)
{
	const char *mechanism = (const char *)p + 5;
	size_t head = 5 + strlen(mechanism) + 1 + 4;
	const char *gs2 = (const char *)p + head;
	const char *bare;

	keep(s->client_first, sizeof(s->client_first), p + head, n - head);
	s->plus = strcmp(mechanism, "SCRAM-SHA-256-PLUS") == 0;
	assert(s->plus || strcmp(mechanism, "SCRAM-SHA-256") == 0);
	assert(s->plus == (*gs2 == 'p'));
	assert(!s->plus ||
	    (s->policy.tls && s->policy.binding_len > 0 &&
		s->policy.channel_binding != CHANNEL_BINDING_DISABLE));
	assert(s->plus || s->policy.channel_binding != CHANNEL_BINDING_REQUIRE);
	/* "n" only where the policy says so, whatever the certificate is */
	assert(s->plus ||
	    (*gs2 == 'n') ==
		(!s->policy.tls ||
		    s->policy.channel_binding == CHANNEL_BINDING_DISABLE));
	bare = strstr(s->client_first, ",,");
	assert(bare != NULL);
	memmove(s->client_first, bare + 2, strlen(bare + 2) + 1);
	s->starts++;
	s->asked |= AUTH_ALLOW_SCRAM;
}

/* The right signature, as strict base64 and nothing else? */
static bool
is_signed(const struct scene *s, const uint8_t *p, size_t n)
{
	char text[2 + B64_ENCODED_LEN(32) + 1] = "v=";

	b64_encode(text + 2, s->signature, 32);
	return n == strlen(text) && memcmp(p, text, n) == 0;
}

/* A message that was accepted: p and n are what follows its code. */
static void
note(struct scene *s, uint32_t code, const uint8_t *p, size_t n)
{
	const uint8_t *sent = buf_head(&s->out);
	size_t len = buf_unread(&s->out);

	switch (code) {
	case AUTH_CLEARTEXT:
	case AUTH_MD5:
		s->passwords++;
		s->asked |=
		    code == AUTH_MD5 ? AUTH_ALLOW_MD5 : AUTH_ALLOW_PASSWORD;
		assert(
		    (code == AUTH_CLEARTEXT) == (len == sizeof(PASSWORD) + 5));
		break;
	case AUTH_SASL:
		note_start(s, sent, len);
		break;
	case AUTH_SASL_CONTINUE:
		s->continues++;
		assert(s->continues == s->starts);
		keep(s->server_first, sizeof(s->server_first), p, n);
		keep(s->client_final, sizeof(s->client_final), sent + 5,
		    len - 5);
		sign(s);
		break;
	case AUTH_SASL_FINAL:
		s->finals++;
		assert(s->finals == s->continues);
		assert(is_signed(s, p, n));
		break;
	default:
		abort();
	}
}

static void
check_ok(const struct scene *s, uint32_t code, size_t n)
{
	const struct auth_policy *p = &s->policy;
	bool nothing = s->passwords == 0 && s->starts == 0;
	bool scram = s->passwords == 0 && s->starts == 1 && s->finals == 1;

	assert(code == AUTH_OK && n == 0);
	assert(nothing || s->passwords + s->starts == 1);
	assert(nothing ? (p->allowed & AUTH_ALLOW_NONE) != 0
		       : (s->asked & ~p->allowed) == 0);
	assert(s->starts == 0 || scram);
	assert(nothing || (p->password != NULL && *p->password != '\0'));
	assert(p->channel_binding != CHANNEL_BINDING_REQUIRE ||
	    (scram && s->plus && p->tls));
}

static void
say(struct scene *s, const uint8_t *body, size_t len)
{
	struct wire_msg msg = { PQ_AUTHENTICATION, body, len };
	struct rd r = rd_make(body, len);
	uint32_t code = rd_u32(&r);
	struct err err = { 0 };
	int rc;

	buf_reset(&s->out);
	rc = auth_message(&s->auth, &s->policy, &msg, &s->out, &err);
	assert(!s->over || rc == -1);
	assert(rc == 0 || buf_unread(&s->out) == 0);
	if (rc == -1)
		assert((err.kind == ERR_AUTH || err.kind == ERR_PROTO) &&
		    *err.text != '\0' && strstr(err.text, PASSWORD) == NULL);
	else if (rc == 1)
		check_ok(s, code, rd_left(&r));
	else
		note(s, code, r.p, rd_left(&r));
	s->over |= rc != 0;
}

static void
draw_policy(struct auth_policy *p, uint8_t methods, uint8_t channel)
{
	p->user = "u";
	p->password = methods & 0x10 ? NULL : methods & 0x20 ? "" : PASSWORD;
	p->allowed = methods & AUTH_ALLOW_ALL;
	p->channel_binding = (channel & 3) % 3;
	p->tls = (channel & 4) != 0;
	if (p->tls && (channel & 8) != 0) {
		p->binding = hash;
		p->binding_len = channel & 0x10 ? 0 : sizeof(hash);
	} else {
		p->binding_why = channel & 0x20 ? "no hash" : NULL;
	}
}

static void
step(struct scene *s, char letter, const uint8_t *data, size_t len)
{
	struct buf b;
	uint8_t *copy;

	if (strchr("OCMSPp12", letter) == NULL || letter == '\0') {
		copy = fuzz_copy(data, len);
		say(s, copy, len);
		free(copy);
		return;
	}
	buf_init(&b, 4096);
	make(&b, s, letter);
	copy = fuzz_copy(buf_head(&b), buf_unread(&b));
	change(copy, buf_unread(&b), data, len);
	say(s, copy, buf_unread(&b));
	free(copy);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = rd_make(data, size);
	struct scene s;
	uint8_t methods = rd_u8(&r), channel = rd_u8(&r);

	memset(&s, 0, sizeof(s));
	draw_policy(&s.policy, methods, channel);
	auth_init(&s.auth, NONCE);
	buf_init(&s.out, 65536);
	while (rd_left(&r) > 0) {
		char letter = (char)rd_u8(&r);
		size_t len = rd_u8(&r);

		if (len > rd_left(&r))
			len = rd_left(&r);
		if (r.bad)
			break;
		step(&s, letter, rd_bytes(&r, len), len);
	}
	auth_wipe(&s.auth);
	buf_free(&s.out);
	return 0;
}
