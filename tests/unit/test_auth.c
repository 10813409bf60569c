#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/b64.h"
#include "guard.h"
#include "pg/auth.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NONCE "abcdefghijklmnopqrstuvwx"
#define SERVER_FIRST "r=" NONCE "SERVER,s=QSXCR+Q6sek8bf92,i=4096"
#define PASSWORD "pencil"

static const uint8_t hash[32] = "a hash of a certificate";

/* What the server, or whoever it is, says; one character each. */
enum {
	OK = 'O',
	CLEARTEXT = 'C',
	MD5 = 'M',
	MD5_SHORT = 'm', /* with three bytes of salt */
	SASL = 'S',      /* SCRAM-SHA-256 */
	SASL_PLUS = 'P', /* and -PLUS */
	SASL_ONLY_PLUS = 'p',
	SASL_OTHER = 'X', /* one that nobody knows */
	SASL_CUT = 'x',   /* a list without an end */
	FIRST = '1',
	FINAL = '2',
	FINAL_WRONG = 'w',
	FINAL_ERROR = 'e',
	GSSAPI = 'G',
	UNKNOWN = 'U',
	EMPTY = '0', /* not even a code */
	/* with a byte behind it */
	OK_MORE = 'o',
	CLEARTEXT_MORE = 'c',
	MD5_LONG = 'l',
	SASL_MORE = 's',
	OLD = 'K', /* Kerberos V4 */
	GSS_GOES_ON = 'g',
};

static struct auth a;
static struct buf out;
static struct err err;

/* The part of a message that begins behind this. */
static const char *
after(const char *text, const char *head)
{
	const char *at = strstr(text, head);

	assert_non_null(at);
	return at + strlen(head);
}

static void
hmac(uint8_t to[32], const uint8_t key[32], const char *text)
{
	unsigned len = 32;

	assert_non_null(HMAC(EVP_sha256(), key, 32, (const uint8_t *)text,
	    strlen(text), to, &len));
}

/* The client's messages, as text. */
static char client_first[512], client_final[512];

/* As a server that knows the password makes it (RFC 5802, section 3). */
static void
server_final(char *to, size_t cap)
{
	char auth_message[2048], without_proof[512], text[64];
	uint8_t salt[32], salted[32], key[32], signature[32];
	long n = b64_decode(salt, sizeof(salt), "QSXCR+Q6sek8bf92", 16);
	char *proof;

	snprintf(without_proof, sizeof(without_proof), "%s", client_final);
	if ((proof = strstr(without_proof, ",p=")) != NULL)
		*proof = '\0';
	snprintf(auth_message, sizeof(auth_message), "%s," SERVER_FIRST ",%s",
	    strchr(client_first, 'n') == NULL ? "" : after(client_first, ",,"),
	    without_proof);
	PKCS5_PBKDF2_HMAC(PASSWORD, -1, salt, (int)n, 4096, EVP_sha256(), 32,
	    salted);
	hmac(key, salted, "Server Key");
	hmac(signature, key, auth_message);
	b64_encode(text, signature, 32);
	snprintf(to, cap, "v=%s", text);
}

static void
put_text(struct buf *b, uint32_t code, const char *text)
{
	buf_put_u32(b, code);
	buf_put_str(b, text);
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
make(struct buf *b, char what)
{
	char text[512];

	switch (what) {
	case OK:
		buf_put_u32(b, AUTH_OK);
		break;
	case CLEARTEXT:
		buf_put_u32(b, AUTH_CLEARTEXT);
		break;
	case MD5:
		put_text(b, AUTH_MD5, "salt");
		break;
	case MD5_SHORT:
		put_text(b, AUTH_MD5, "sal");
		break;
	case SASL:
		put_list(b, "SCRAM-SHA-256", NULL);
		break;
	case SASL_PLUS:
		put_list(b, "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256");
		break;
	case SASL_ONLY_PLUS:
		put_list(b, "SCRAM-SHA-256-PLUS", NULL);
		break;
	case SASL_OTHER:
		put_list(b, "OAUTHBEARER", "SCRAM-SHA-25");
		break;
	case SASL_CUT:
		put_text(b, AUTH_SASL, "SCRAM-SHA-256");
		break;
	case FIRST:
		put_text(b, AUTH_SASL_CONTINUE, SERVER_FIRST);
		break;
	case FINAL:
	case FINAL_WRONG:
		server_final(text, sizeof(text));
		text[5] = (char)(text[5] + (what == FINAL_WRONG));
		put_text(b, AUTH_SASL_FINAL, text);
		break;
	case FINAL_ERROR:
		put_text(b, AUTH_SASL_FINAL, "e=other-error");
		break;
	case GSSAPI:
		buf_put_u32(b, 7);
		break;
	case UNKNOWN:
		buf_put_u32(b, 99);
		break;
	case EMPTY:
		buf_put_u8(b, 0);
		break;
	case OK_MORE:
		put_text(b, AUTH_OK, "+");
		break;
	case CLEARTEXT_MORE:
		put_text(b, AUTH_CLEARTEXT, "+");
		break;
	case MD5_LONG:
		put_text(b, AUTH_MD5, "salty");
		break;
	case SASL_MORE:
		put_list(b, "SCRAM-SHA-256", NULL);
		buf_put_u8(b, 0);
		break;
	case OLD:
		buf_put_u32(b, 1);
		break;
	case GSS_GOES_ON:
		buf_put_u32(b, 8);
		break;
	}
}

/* Keeps what the client answered. */
static void
note_answer(char what)
{
	const char *p = (const char *)buf_head(&out);
	size_t n = buf_unread(&out);

	if (what == SASL || what == SASL_PLUS || what == SASL_ONLY_PLUS)
		/* type, length, mechanism, length */
		snprintf(client_first, sizeof(client_first), "%.*s",
		    n == 0 ? 0 : (int)(n - 5 - strlen(p + 5) - 1 - 4),
		    n == 0 ? "" : p + 5 + strlen(p + 5) + 1 + 4);
	if (what == FIRST)
		snprintf(client_final, sizeof(client_final), "%.*s",
		    n == 0 ? 0 : (int)(n - 5), n == 0 ? "" : p + 5);
}

static int
say(const struct auth_policy *policy, char what)
{
	struct wire_msg msg = { .type = PQ_AUTHENTICATION };
	struct buf b;
	uint8_t *body;
	int rc;

	buf_init(&b, 4096);
	make(&b, what);
	msg.len = buf_unread(&b);
	msg.body = body = guard_copy(buf_head(&b), msg.len);
	buf_free(&b);
	buf_reset(&out);
	rc = auth_message(&a, policy, &msg, &out, &err);
	guard_free(body, msg.len);
	note_answer(what);
	return rc;
}

struct row {
	const char *name, *says; /* the server, message by message */
	unsigned allowed;        /* 0: all */
	int binding;
	enum { PLAIN, TLS, TLS_NO_HASH, TLS_NO_REASON, TLS_EMPTY_HASH } conn;
	int result;       /* of the last message; the others' is 0 */
	const char *text; /* in the error; or the method, when it is 1 */
};

#define NO_PASSWORD 16    /* in `allowed`: there is none */
#define EMPTY_PASSWORD 32 /* as libpq has it, the same */
#define PREFER CHANNEL_BINDING_PREFER
#define REQUIRE CHANNEL_BINDING_REQUIRE
#define DISABLE CHANNEL_BINDING_DISABLE
#define SCRAM AUTH_ALLOW_SCRAM

static const struct row rows[] = {
	{ "trust", "O", 0, PREFER, PLAIN, 1, "none" },
	{ "cleartext", "CO", 0, PREFER, PLAIN, 1, "password" },
	{ "md5", "MO", 0, PREFER, PLAIN, 1, "md5" },
	{ "scram", "S12O", 0, PREFER, PLAIN, 1, "scram-sha-256" },
	{ "plus", "P12O", 0, PREFER, TLS, 1, "scram-sha-256-plus" },
	{ "plus only", "p12O", 0, PREFER, TLS, 1, "scram-sha-256-plus" },
	{ "not offered", "S12O", 0, PREFER, TLS, 1, "scram-sha-256" },
	{ "P37 password after md5", "MC", 0, PREFER, PLAIN, -1,
	    "password authentication after md5" },
	{ "P37 twice", "CC", 0, PREFER, PLAIN, -1, "after password" },
	{ "P37 SASL twice", "SS", 0, PREFER, PLAIN, -1, "after scram" },
	{ "P37 password in SCRAM", "S1C", 0, PREFER, PLAIN, -1,
	    "after scram-sha-256" },
	{ "P37 Ok after SASL", "SO", 0, PREFER, PLAIN, -1, "did not prove" },
	{ "P37 md5 twice", "MM", 0, PREFER, PLAIN, -1, "after md5" },
	{ "P37 SASL after password", "CS", 0, PREFER, PLAIN, -1,
	    "scram-sha-256 authentication after password" },
	{ "P37 SASL in SCRAM", "S1S", 0, PREFER, PLAIN, -1, "after scram" },
	{ "P37 md5 after SCRAM", "S12M", 0, PREFER, PLAIN, -1, "after scram" },
	{ "P37 SASL after SCRAM", "S12S", 0, PREFER, PLAIN, -1, "after scram" },
	{ "P37 continue after password", "C1", 0, PREFER, PLAIN, -1,
	    "out of turn" },
	{ "P37 final after md5", "M2", 0, PREFER, PLAIN, -1, "out of turn" },
	{ "P37 continue after SCRAM", "S121", 0, PREFER, PLAIN, -1,
	    "out of turn" },
	{ "P37 Ok in SCRAM, none allowed", "S1O", SCRAM | AUTH_ALLOW_NONE,
	    PREFER, PLAIN, -1, "did not prove" },
	{ "P37 Ok in SCRAM", "S1O", 0, PREFER, PLAIN, -1, "did not prove" },
	{ "P37 continue first", "1", 0, PREFER, PLAIN, -1, "out of turn" },
	{ "P37 final first", "2", 0, PREFER, PLAIN, -1, "out of turn" },
	{ "P37 final too early", "S2", 0, PREFER, PLAIN, -1, "out of turn" },
	{ "P37 continue twice", "S11", 0, PREFER, PLAIN, -1, "out of turn" },
	{ "P37 final twice", "S122", 0, PREFER, PLAIN, -1, "out of turn" },
	{ "P38 wrong signature", "S1w", 0, PREFER, PLAIN, -1, "signature" },
	{ "P38 error", "S1e", 0, PREFER, PLAIN, -1, "other-error" },
	{ "P37 require_auth: none", "O", SCRAM, PREFER, PLAIN, -1,
	    "did not ask for authentication" },
	{ "P37 require_auth: password", "C", SCRAM, PREFER, PLAIN, -1,
	    "password authentication, which require_auth" },
	{ "P37 require_auth: md5", "M", SCRAM, PREFER, PLAIN, -1,
	    "md5 authentication, which require_auth" },
	{ "P37 require_auth: scram", "S", AUTH_ALLOW_MD5, PREFER, PLAIN, -1,
	    "scram-sha-256 authentication, which require_auth" },
	{ "P37 require_auth: plus", "P", AUTH_ALLOW_ALL & ~SCRAM, PREFER, TLS,
	    -1, "scram-sha-256 authentication, which require_auth" },
	{ "P37 require_auth: continue", "1", AUTH_ALLOW_NONE, PREFER, PLAIN, -1,
	    "require_auth" },
	{ "P37 require_auth=!none, md5", "MO",
	    AUTH_ALLOW_ALL & ~AUTH_ALLOW_NONE, PREFER, PLAIN, 1, "md5" },
	{ "P37 require_auth=!none, trust", "O",
	    AUTH_ALLOW_ALL & ~AUTH_ALLOW_NONE, PREFER, PLAIN, -1,
	    "require_auth demands it" },
	{ "P37 require_auth=password", "CO", AUTH_ALLOW_PASSWORD, PREFER, PLAIN,
	    1, "password" },
	{ "P37 require_auth=scram, plus", "P12O", SCRAM, PREFER, TLS, 1,
	    "scram-sha-256-plus" },
	{ "P37 require_auth=none", "C", AUTH_ALLOW_NONE, PREFER, PLAIN, -1,
	    "require_auth" },
	{ "require_auth=none, trust", "O", AUTH_ALLOW_NONE, PREFER, PLAIN, 1,
	    "none" },
	{ "require_auth=scram", "S12O", SCRAM, PREFER, PLAIN, 1,
	    "scram-sha-256" },
	{ "P39 plus without TLS", "P", 0, PREFER, PLAIN, -1, "without TLS" },
	{ "P39 plus without TLS, disabled", "P", 0, DISABLE, PLAIN, -1,
	    "without TLS" },
	{ "P39 required, no TLS", "S", 0, REQUIRE, PLAIN, -1, "no TLS" },
	{ "P39 required, not offered", "S", 0, REQUIRE, TLS, -1,
	    "does not offer it" },
	{ "P39 required, trust", "O", 0, REQUIRE, TLS, -1, "without it" },
	{ "P39 required, password", "C", 0, REQUIRE, TLS, -1,
	    "channel binding is required" },
	{ "P39 required, md5", "M", 0, REQUIRE, TLS, -1,
	    "channel binding is required" },
	{ "P39 required, no hash", "P", 0, REQUIRE, TLS_NO_HASH, -1,
	    "there is no hash" },
	{ "P39 required", "P12O", 0, REQUIRE, TLS, 1, "scram-sha-256-plus" },
	{ "P39 preferred, no hash", "P", 0, PREFER, TLS_NO_HASH, -1,
	    "channel_binding=disable goes without" },
	{ "P39 preferred, no hash, not offered", "S12O", 0, PREFER, TLS_NO_HASH,
	    1, "scram-sha-256" },
	{ "P39 disabled, no hash", "P12O", 0, DISABLE, TLS_NO_HASH, 1,
	    "scram-sha-256" },
	{ "P39 required, not a reason", "P", 0, REQUIRE, TLS_NO_REASON, -1,
	    "nothing to bind to" },
	{ "P39 required, empty hash", "P", 0, REQUIRE, TLS_EMPTY_HASH, -1,
	    "nothing to bind to" },
	{ "P39 preferred, empty hash", "P", 0, PREFER, TLS_EMPTY_HASH, -1,
	    "nothing to bind to" },
	{ "P39 required, plus without TLS", "P", 0, REQUIRE, PLAIN, -1,
	    "without TLS" },
	{ "P39 required, other mechanisms", "X", 0, REQUIRE, TLS, -1,
	    "does not offer it" },
	{ "P39 required, Ok in SCRAM", "P1O", 0, REQUIRE, TLS, -1,
	    "did not prove" },
	{ "P39 required, wrong signature", "P1w", 0, REQUIRE, TLS, -1,
	    "signature" },
	{ "P39 plus only, no hash", "p", 0, PREFER, TLS_NO_HASH, -1,
	    "there is no hash" },
	{ "disabled", "P12O", 0, DISABLE, TLS, 1, "scram-sha-256" },
	{ "disabled, plus only", "p", 0, DISABLE, TLS, -1,
	    "channel_binding=disable" },
	{ "other mechanisms", "X", 0, PREFER, PLAIN, -1, "no SASL mechanism" },
	{ "list without an end", "x", 0, PREFER, PLAIN, -1, "does not end" },
	{ "salt too short", "m", 0, PREFER, PLAIN, -1, "salt" },
	{ "salt too long", "l", 0, PREFER, PLAIN, -1, "salt" },
	{ "more than Ok", "o", 0, PREFER, PLAIN, -1, "malformed" },
	{ "more than Ok, at the end", "S12o", 0, PREFER, PLAIN, -1,
	    "malformed" },
	{ "more than cleartext", "c", 0, PREFER, PLAIN, -1, "malformed" },
	{ "more than a list", "s", 0, PREFER, PLAIN, -1, "malformed" },
	{ "GSSAPI", "G", 0, PREFER, PLAIN, -1, "GSSAPI" },
	{ "GSSAPI goes on", "g", 0, PREFER, PLAIN, -1, "GSSAPI" },
	{ "Kerberos", "K", 0, PREFER, PLAIN, -1, "Kerberos V4" },
	{ "GSSAPI in SCRAM", "S1G", 0, PREFER, PLAIN, -1, "GSSAPI" },
	{ "unknown", "U", 0, PREFER, PLAIN, -1, "99" },
	{ "no code", "0", 0, PREFER, PLAIN, -1, "without a code" },
	{ "no password: cleartext", "C", NO_PASSWORD, PREFER, PLAIN, -1,
	    "none was given" },
	{ "no password: md5", "M", NO_PASSWORD, PREFER, PLAIN, -1,
	    "none was given" },
	{ "no password: scram", "S", NO_PASSWORD, PREFER, PLAIN, -1,
	    "none was given" },
	{ "P40 empty password: cleartext", "C", EMPTY_PASSWORD, PREFER, PLAIN,
	    -1, "none was given" },
	{ "P40 empty password: scram", "S", EMPTY_PASSWORD, PREFER, PLAIN, -1,
	    "none was given" },
	{ "no password: trust", "O", NO_PASSWORD, PREFER, PLAIN, 1, "none" },
};

static struct auth_policy
policy_of(const struct row *row)
{
	struct auth_policy p = { .user = "u",
		.password = PASSWORD,
		.allowed = row->allowed,
		.channel_binding = row->binding,
		.tls = row->conn != PLAIN };

	if (row->allowed == 0 || row->allowed >= NO_PASSWORD)
		p.allowed = AUTH_ALLOW_ALL;
	if (row->allowed >= NO_PASSWORD)
		p.password = row->allowed == NO_PASSWORD ? NULL : "";
	if (row->conn == TLS || row->conn == TLS_EMPTY_HASH) {
		p.binding = hash;
		p.binding_len = row->conn == TLS ? sizeof(hash) : 0;
	} else if (row->conn == TLS_NO_HASH) {
		p.binding_why = "there is no hash";
	}
	return p;
}

/* After the end, either way, nothing is believed or answered. */
static void
assert_over(const struct auth_policy *policy, const char *name)
{
	static const char all[] = "OCMSPpX12wGU";

	for (size_t i = 0; i < strlen(all); i++)
		if (say(policy, all[i]) != -1 || buf_unread(&out) > 0)
			fail_msg("%s: then %c is accepted", name, all[i]);
}

static void
play(const struct row *row)
{
	struct auth_policy policy = policy_of(row);
	size_t last = strlen(row->says) - 1;
	int rc;

	memset(&a, 0xa5, sizeof(a));
	auth_init(&a, NONCE);
	buf_init(&out, 4096);
	for (size_t i = 0; i <= last; i++) {
		rc = say(&policy, row->says[i]);
		if (rc != (i < last ? 0 : row->result))
			fail_msg("%s: %d at message %zu: %s", row->name, rc, i,
			    rc == -1 ? err.text : "");
	}
	if (row->result == 1)
		assert_string_equal(a.method, row->text);
	else if (strstr(err.text, row->text) == NULL)
		fail_msg("%s: no \"%s\" in: %s", row->name, row->text,
		    err.text);
	assert_null(strstr(err.text, PASSWORD));
	assert_true(rc == 1 || buf_unread(&out) == 0);
	assert_over(&policy, row->name);
	auth_wipe(&a);
	buf_free(&out);
}

static void
exchanges(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		play(&rows[i]);
}

/* What the client says of channel binding (RFC 5802, section 6): "y" only
 * where it could and the server does not, so that a man in the middle who takes
 * -PLUS from the list is found out. */
static void
gs2(void **state)
{
	static const struct {
		char says;
		int binding;
		int conn;
		const char *first, *channel;
	} heads[] = {
		{ SASL, PREFER, PLAIN, "n,,n=,r=", "biws" },
		{ SASL, PREFER, TLS, "y,,n=,r=", "eSws" },
		{ SASL, DISABLE, TLS, "n,,n=,r=", "biws" },
		{ SASL_PLUS, DISABLE, TLS, "n,,n=,r=", "biws" },
		/* or a certificate without one would hide him */
		{ SASL, PREFER, TLS_NO_HASH, "y,,n=,r=", "eSws" },
		{ SASL_PLUS, DISABLE, TLS_NO_HASH, "n,,n=,r=", "biws" },
		{ SASL_PLUS, PREFER, TLS, "p=tls-server-end-point,,n=,r=",
		    "cD10bHMtc2VydmVyLWVuZC1wb2ludCws" },
	};
	char hash_text[64], want[256];

	(void)state;
	b64_encode(hash_text, hash, sizeof(hash));
	for (size_t i = 0; i < COUNT(heads); i++) {
		struct row row = { .binding = heads[i].binding,
			.conn = heads[i].conn };
		struct auth_policy policy = policy_of(&row);
		bool bound =
		    strchr(heads[i].first, '=') < strchr(heads[i].first, ',');

		auth_init(&a, NONCE);
		buf_init(&out, 4096);
		assert_int_equal(say(&policy, heads[i].says), 0);
		snprintf(want, sizeof(want), "%s" NONCE, heads[i].first);
		assert_string_equal(client_first, want);
		assert_int_equal(say(&policy, FIRST), 0);
		/* 24 bytes of header are 32 characters, the hash follows */
		snprintf(want, sizeof(want), "c=%s%s,r=", heads[i].channel,
		    bound ? hash_text : "");
		assert_int_equal(strncmp(client_final, want, strlen(want)), 0);
		auth_wipe(&a);
		buf_free(&out);
	}
}

/* What has been queued before stays; a refusal adds nothing. */
static void
refusal_appends_nothing(void **state)
{
	struct row row = { .allowed = SCRAM };
	struct auth_policy policy = policy_of(&row);
	uint8_t body[4] = { 0, 0, 0, AUTH_CLEARTEXT };
	struct wire_msg msg = { PQ_AUTHENTICATION, body, sizeof(body) };

	(void)state;
	auth_init(&a, NONCE);
	buf_init(&out, 64);
	buf_put_str(&out, "before");
	assert_int_equal(auth_message(&a, &policy, &msg, &out, &err), -1);
	assert_string_equal(buf_cstr(&out), "before");
	buf_free(&out);
}

/* The caller may want to warn of few iterations; nothing secret is left. */
static void
wiped_at_the_end(void **state)
{
	static const struct scram wiped;
	struct row row = { .conn = TLS };
	struct auth_policy policy = policy_of(&row);

	(void)state;
	auth_init(&a, NONCE);
	buf_init(&out, 4096);
	assert_int_equal(say(&policy, SASL_PLUS), 0);
	assert_int_equal(a.iterations, 0);
	assert_int_equal(say(&policy, FIRST), 0);
	assert_int_equal(a.iterations, 4096);
	assert_int_equal(say(&policy, FINAL), 0);
	assert_int_equal(say(&policy, OK), 1);
	assert_int_equal(a.iterations, 4096);
	assert_memory_equal(&a.scram, &wiped, sizeof(wiped));
	assert_string_equal(a.nonce, "");
	buf_free(&out);
}

/* P40: a password of a megabyte goes out whole, or fails where it is sent. */
static void
longest_password(void **state)
{
	size_t len = (size_t)1 << 20;
	struct row row = { .allowed = 0 };
	struct auth_policy policy = policy_of(&row);
	uint8_t body[4] = { 0, 0, 0, AUTH_CLEARTEXT };
	struct wire_msg msg = { PQ_AUTHENTICATION, body, sizeof(body) };
	char *password = malloc(len + 1);

	(void)state;
	assert_non_null(password);
	memset(password, 'x', len);
	password[len] = '\0';
	policy.password = password;
	auth_init(&a, NONCE);
	buf_init(&out, len + 16);
	assert_int_equal(auth_message(&a, &policy, &msg, &out, &err), 0);
	assert_int_equal(buf_unread(&out), len + 1 + 5);
	assert_false(out.failed);
	buf_free(&out);
	auth_init(&a, NONCE);
	buf_init(&out, 1000);
	assert_int_equal(auth_message(&a, &policy, &msg, &out, &err), 0);
	assert_true(out.failed);
	buf_free(&out);
	auth_init(&a, NONCE);
	buf_init(&out, 4096);
	assert_int_equal(say(&policy, SASL), 0);
	assert_int_equal(say(&policy, FIRST), 0);
	buf_free(&out);
	free(password);
}

/* The password file may be read again, and lack it, in the middle. */
static void
password_vanishes(void **state)
{
	struct row row = { .binding = PREFER };
	struct auth_policy policy = policy_of(&row);

	(void)state;
	auth_init(&a, NONCE);
	buf_init(&out, 4096);
	assert_int_equal(say(&policy, SASL), 0);
	policy.password = NULL;
	assert_int_equal(say(&policy, FIRST), -1);
	assert_non_null(strstr(err.text, "none was given"));
	auth_wipe(&a);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exchanges),
		cmocka_unit_test(gs2),
		cmocka_unit_test(password_vanishes),
		cmocka_unit_test(refusal_appends_nothing),
		cmocka_unit_test(wiped_at_the_end),
		cmocka_unit_test(longest_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
