#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "guard.h"
#include "pg/scram.h"

/* RFC 7677, section 3. */
#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define FULL_NONCE NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define CLIENT_FIRST "n,,n=user,r=" NONCE
#define SERVER_FIRST "r=" FULL_NONCE ",s=" SALT ",i=4096"
#define CLIENT_FINAL \
	"c=biws,r=" FULL_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct scram s;
static struct buf out;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	buf_init(&out, 4096);
	memset(&s, 0, sizeof(s));
	memset(&err, 0, sizeof(err));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	scram_wipe(&s);
	buf_free(&out);
	return 0;
}

static void
first(void)
{
	buf_reset(&out);
	scram_first(&s, "user", NONCE, &out);
	buf_reset(&out);
}

/* Each step reads a copy of its message that ends at a guard page. */
static int
final_n(const char *msg, size_t len)
{
	uint8_t *copy = guard_copy(msg, len);
	int rc = scram_final(&s, "pencil", copy, len, &out, &err);

	guard_free(copy, len);
	return rc;
}

static int
verify_n(const char *msg, size_t len)
{
	uint8_t *copy = guard_copy(msg, len);
	int rc = scram_verify(&s, copy, len, &err);

	guard_free(copy, len);
	return rc;
}

static void
until_final(void)
{
	first();
	assert_int_equal(final_n(SERVER_FIRST, strlen(SERVER_FIRST)), 0);
}

/* The exchange must be over, with a reason and with nothing sent. */
static void
assert_refused(int rc)
{
	static const struct scram wiped;

	assert_int_equal(rc, -1);
	assert_int_equal(err.kind, ERR_AUTH);
	assert_string_not_equal(err.text, "");
	assert_false(scram_done(&s));
	assert_memory_equal(&s, &wiped, sizeof(s));
	memset(&err, 0, sizeof(err));
}

static void
test_rfc7677(void **state)
{
	(void)state;
	scram_first(&s, "user", NONCE, &out);
	assert_string_equal(buf_cstr(&out), CLIENT_FIRST);
	buf_reset(&out);
	assert_int_equal(final_n(SERVER_FIRST, strlen(SERVER_FIRST)), 0);
	assert_string_equal(buf_cstr(&out), CLIENT_FINAL);
	assert_false(scram_done(&s));
	assert_int_equal(verify_n(SERVER_FINAL, strlen(SERVER_FINAL)), 0);
	assert_true(scram_done(&s));
}

/*
 * The same with channel binding, and with other passwords, computed by Python's
 * hashlib.pbkdf2_hmac and hmac with the formulas of RFC 5802, section 3, which
 * for "n" and "pencil" gave what RFC 7677 prints.
 */
static const struct vector {
	enum scram_flag flag;
	const char *certificate; /* its SHA-256 or SHA-512 is bound */
	const EVP_MD *(*digest)(void);
	const char *password;
	const char *gs2, *channel, *proof, *signature;
} vectors[] = {
	{ SCRAM_UNBOUND, NULL, NULL, "pencil", "n,,", "biws",
	    "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	    "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
	{ SCRAM_NOT_OFFERED, NULL, NULL, "pencil", "y,,", "eSws",
	    "FoqiHTtQEDE8lz1CdaEe3tK4mS+iMDTl77SPyDS53DY=",
	    "dI4KpiQJwBr1+V+K6U1dA6l6I4I9DUNXWND4pcpRU3U=" },
	{ SCRAM_BOUND, "certificate", EVP_sha256, "pencil",
	    "p=tls-server-end-point,,",
	    "cD10bHMtc2VydmVyLWVuZC1wb2ludCwsA9Zt0Ig1wco/EozOrNHzGslBYwlrIPRF"
	    "roQoW8CDLXI=",
	    "PDYoWyjL2USDf7LnQ7piOwt3OVcEPRbXsEvXHNKDU04=",
	    "WQt6/B0lyhcS0jEpTrs9PZzMa+An2Woiy3ZQ75nvla0=" },
	{ SCRAM_BOUND, "certificate", EVP_sha512, "pencil",
	    "p=tls-server-end-point,,",
	    "cD10bHMtc2VydmVyLWVuZC1wb2ludCwsPZ572aTLC1kcNnRh5uj2JRgdZb1vRcFp"
	    "XePE5fGmstxb5Y6PIvnY59FgV63vBYdDzpsi3X0z89tjdMBb4O/Zgg==",
	    "gdAro1Ar7lotuK9rSCI5bpkKM5ASz7iyIsmzl+BrCe8=",
	    "xAeEMY98I5bXD2wCvWFU58HyzQ+sb9UdDhkYj1Yq2+8=" },
	/* P40: SASLprep makes IX of both (RFC 4013, section 3) */
	{ SCRAM_UNBOUND, NULL, NULL, "I\xc2\xadX", "n,,", "biws",
	    "Ccfz+MPysZ5YsRatnfoQRtOYQ0RquqCRk+EhNl23pFE=",
	    "oSLkEWhkxIA3AphzDz+SheC1WRVNS+NlSwxyipFvUvI=" },
	{ SCRAM_UNBOUND, NULL, NULL, "\xe2\x85\xa8", "n,,", "biws",
	    "Ccfz+MPysZ5YsRatnfoQRtOYQ0RquqCRk+EhNl23pFE=",
	    "oSLkEWhkxIA3AphzDz+SheC1WRVNS+NlSwxyipFvUvI=" },
};

static void
bind(const struct vector *v)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (v->digest != NULL)
		assert_int_equal(EVP_Digest(v->certificate,
				     strlen(v->certificate), hash, &len,
				     v->digest(), NULL),
		    1);
	scram_bind(&s, v->flag, hash, len);
}

static void
test_vectors(void **state)
{
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		const struct vector *v = &vectors[i];

		bind(v);
		scram_first(&s, "user", NONCE, &out);
		snprintf(text, sizeof(text), "%sn=user,r=" NONCE, v->gs2);
		assert_string_equal(buf_cstr(&out), text);
		buf_reset(&out);
		assert_int_equal(scram_final(&s, v->password,
				     (const uint8_t *)SERVER_FIRST,
				     strlen(SERVER_FIRST), &out, &err),
		    0);
		snprintf(text, sizeof(text), "c=%s,r=%s,p=%s", v->channel,
		    FULL_NONCE, v->proof);
		assert_string_equal(buf_cstr(&out), text);
		buf_reset(&out);
		snprintf(text, sizeof(text), "v=%s", v->signature);
		assert_int_equal(verify_n(text, strlen(text)), 0);
		assert_true(scram_done(&s));
		scram_wipe(&s);
	}
}

/* P39: each way to speak of the channel has a signature of its own, and takes
 * no other's; so nobody in between can have changed it. */
static void
test_signature_of_another_channel(void **state)
{
	char text[64];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		for (size_t j = 0; j < 4; j++) {
			bind(&vectors[i]);
			until_final();
			snprintf(text, sizeof(text), "v=%s",
			    vectors[j].signature);
			assert_int_equal(verify_n(text, strlen(text)),
			    i == j ? 0 : -1);
			scram_wipe(&s);
		}
	}
}

static void
test_no_user_and_longest_nonce(void **state)
{
	static const char msg[] = "r=xxxxxxxxxxxxxxxxxxxxxxxxy,s=AA==,i=1";
	char nonce[SCRAM_NONCE_LEN + 1];

	(void)state;
	memset(nonce, 'x', SCRAM_NONCE_LEN);
	nonce[SCRAM_NONCE_LEN] = '\0';
	scram_first(&s, "", nonce, &out);
	assert_string_equal(buf_cstr(&out), "n,,n=,r=xxxxxxxxxxxxxxxxxxxxxxxx");
	assert_int_equal(final_n(msg, strlen(msg)), 0);
}

static void
test_longest_user(void **state)
{
	char user[49], expected[96];

	(void)state;
	memset(user, 'u', 48);
	user[48] = '\0';
	scram_first(&s, user, "123456789012345678901234", &out);
	snprintf(expected, sizeof(expected), "n,,n=%s,r=%s", user,
	    "123456789012345678901234");
	assert_string_equal(buf_cstr(&out), expected);
}

static void
test_wrong_password(void **state)
{
	(void)state;
	first();
	assert_int_equal(scram_final(&s, "pencil2",
			     (const uint8_t *)SERVER_FIRST,
			     strlen(SERVER_FIRST), &out, &err),
	    0);
	assert_string_not_equal(buf_cstr(&out), CLIENT_FINAL);
	assert_refused(verify_n(SERVER_FINAL, strlen(SERVER_FINAL)));
}

static const char *const bad_first[] = {
	/* not exactly r=, s=, i= */
	"m=ext,r=" FULL_NONCE ",s=" SALT ",i=4096",
	"r=" FULL_NONCE ",m=ext,s=" SALT ",i=4096",
	"r=" FULL_NONCE ",s=" SALT ",i=4096,m=ext",
	"r=" FULL_NONCE ",s=" SALT ",i=4096,x=1",
	"r=" FULL_NONCE ",s=" SALT ",i=4096,",
	"r=" FULL_NONCE ",s=" SALT ",i=4096 ",
	"r=" FULL_NONCE ",s=" SALT ",i=4096\n",
	" r=" FULL_NONCE ",s=" SALT ",i=4096",
	",r=" FULL_NONCE ",s=" SALT ",i=4096",
	"r=" FULL_NONCE ",,s=" SALT ",i=4096",
	"R=" FULL_NONCE ",s=" SALT ",i=4096",
	"s=" SALT ",r=" FULL_NONCE ",i=4096",
	"r=" FULL_NONCE ",i=4096,s=" SALT,
	"r=" FULL_NONCE ",i=4096",
	"r=" FULL_NONCE ",s=" SALT,
	"s=" SALT ",i=4096",
	"e=other-error",
	"n,,n=user,r=" NONCE,
	SERVER_FINAL,
	/* the nonce */
	"r=" NONCE ",s=" SALT ",i=4096",
	"r=,s=" SALT ",i=4096",
	"r=rOprNGfwEbeRWgbNEkq,s=" SALT ",i=4096",
	"r=rOprNGfwEbeRWgbNEkqP%hvYDpWUa2,s=" SALT ",i=4096",
	"r=ROprNGfwEbeRWgbNEkqO%hvYDpWUa2,s=" SALT ",i=4096",
	"r=x" FULL_NONCE ",s=" SALT ",i=4096",
	"r=" FULL_NONCE " ,s=" SALT ",i=4096",
	"r=" FULL_NONCE "\t,s=" SALT ",i=4096",
	"r=" FULL_NONCE "\x7f,s=" SALT ",i=4096",
	"r=" FULL_NONCE "\xc3\xa9,s=" SALT ",i=4096",
	/* the salt */
	"r=" FULL_NONCE ",s=,i=4096",
	"r=" FULL_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ,i=4096",
	"r=" FULL_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ=,i=4096",
	"r=" FULL_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gR==,i=4096",
	"r=" FULL_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ===,i=4096",
	"r=" FULL_NONCE ",s=W22ZaJ0SNY7s EsUEjb6gQ==,i=4096",
	"r=" FULL_NONCE ",s=W22ZaJ0SNY7s-EsUEjb6gQ==,i=4096",
	"r=" FULL_NONCE ",s=W2==aJ0SNY7soEsUEjb6gQ==,i=4096",
	"r=" FULL_NONCE ",s=====,i=4096",
	/* the iterations */
	"r=" FULL_NONCE ",s=" SALT ",i=",
	"r=" FULL_NONCE ",s=" SALT ",i=0",
	"r=" FULL_NONCE ",s=" SALT ",i=-1",
	"r=" FULL_NONCE ",s=" SALT ",i=+1",
	"r=" FULL_NONCE ",s=" SALT ",i= 1",
	"r=" FULL_NONCE ",s=" SALT ",i=01",
	"r=" FULL_NONCE ",s=" SALT ",i=0x10",
	"r=" FULL_NONCE ",s=" SALT ",i=1e3",
	"r=" FULL_NONCE ",s=" SALT ",i=4096.0",
	"r=" FULL_NONCE ",s=" SALT ",i=100001",
	"r=" FULL_NONCE ",s=" SALT ",i=1000000000",
	"r=" FULL_NONCE ",s=" SALT ",i=2147483648",
	"r=" FULL_NONCE ",s=" SALT ",i=4294967297",
	"r=" FULL_NONCE ",s=" SALT ",i=18446744073709551617",
	"r=" FULL_NONCE ",s=" SALT ",i=99999999999999999999999999999999999999",
};

static void
test_first_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad_first); i++) {
		int rc;

		first();
		rc = final_n(bad_first[i], strlen(bad_first[i]));
		if (rc != -1)
			fail_msg("accepted: %s", bad_first[i]);
		assert_refused(rc);
		assert_int_equal(buf_unread(&out), 0);
	}
}

/* A NUL ends nothing: what follows it is still part of the message. */
static void
test_first_with_nul(void **state)
{
	static const char at_end[] = SERVER_FIRST "\0";
	static const char in_nonce[] = "r=" FULL_NONCE "\0,s=" SALT ",i=4096";
	static const char in_salt[] =
	    "r=" FULL_NONCE ",s=W22ZaJ0SNY7soEsUEjb6\0Q==,i=4096";

	(void)state;
	first();
	assert_refused(final_n(at_end, sizeof(at_end) - 1));
	first();
	assert_refused(final_n(in_nonce, sizeof(in_nonce) - 1));
	first();
	assert_refused(final_n(in_salt, sizeof(in_salt) - 1));
	first();
	assert_refused(final_n("", 0));
}

/* P38: few are accepted, as libpq does; the caller sees how many. */
static void
test_iterations(void **state)
{
	static const int counts[] = { 1, 2, 4095, 4096, 100000 };
	char msg[256];

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		snprintf(msg, sizeof(msg), "r=%s,s=%s,i=%d", FULL_NONCE, SALT,
		    counts[i]);
		first();
		assert_int_equal(s.iterations, 0);
		assert_int_equal(final_n(msg, strlen(msg)), 0);
		assert_int_equal(s.iterations, counts[i]);
	}
}

/* P38: refused before anything is hashed: a thousand in no time. */
static void
test_too_many_iterations_cost_nothing(void **state)
{
	static const char msg[] = "r=" FULL_NONCE ",s=" SALT ",i=2000000000";
	clock_t start = clock();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		first();
		assert_refused(final_n(msg, strlen(msg)));
	}
	assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
}

/* n zero bytes are n / 3 groups "AAAA". */
static int
final_with_salt(size_t n)
{
	char msg[2048], salt[1500];

	memset(salt, 'A', n / 3 * 4);
	strcpy(salt + n / 3 * 4, n % 3 == 1 ? "AA==" : "");
	snprintf(msg, sizeof(msg), "r=%s,s=%s,i=1", FULL_NONCE, salt);
	first();
	return final_n(msg, strlen(msg));
}

static void
test_longest_salt(void **state)
{
	(void)state;
	assert_int_equal(final_with_salt(1), 0);
	assert_int_equal(final_with_salt(1024), 0);
	assert_refused(final_with_salt(1026));
}

/* Every prefix of the message is refused, but for those that only take digits
 * off the iteration count; these must not be read too far either. */
static void
test_first_prefixes(void **state)
{
	size_t len = strlen(SERVER_FIRST);

	(void)state;
	for (size_t n = 0; n < len; n++) {
		first();
		if (n <= len - strlen("4096"))
			assert_refused(final_n(SERVER_FIRST, n));
		else
			assert_int_equal(final_n(SERVER_FIRST, n), 0);
	}
}

static void
test_final_prefixes(void **state)
{
	(void)state;
	for (size_t n = 0; n < strlen(SERVER_FINAL); n++) {
		until_final();
		assert_refused(verify_n(SERVER_FINAL, n));
	}
}

static const char *const bad_final[] = {
	/* one bit off, at either end */
	"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8=",
	"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	/* 31 and 33 bytes */
	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95A==",
	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4A",
	"v=",
	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4",
	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=",
	"v=6rriTRBi23WpRR/wtup+mMhUZUn dB5nLTJRsjl95G4=",
	SERVER_FINAL ",x=1",
	SERVER_FINAL ",",
	SERVER_FINAL "\n",
	" " SERVER_FINAL,
	"V=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
	"m=ext," SERVER_FINAL,
	SERVER_FIRST,
	"",
};

static void
test_final_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad_final); i++) {
		int rc;

		until_final();
		rc = verify_n(bad_final[i], strlen(bad_final[i]));
		if (rc != -1)
			fail_msg("accepted: %s", bad_final[i]);
		assert_refused(rc);
	}
	until_final();
	assert_refused(verify_n(SERVER_FINAL "\0", strlen(SERVER_FINAL) + 1));
}

static void
assert_says(const char *msg, size_t len, const char *text)
{
	int rc;

	until_final();
	rc = verify_n(msg, len);
	assert_non_null(strstr(err.text, text));
	assert_string_equal(strstr(err.text, text), text);
	assert_refused(rc);
}

static void
test_server_error(void **state)
{
	static const char odd[] = "e=a\nb\0c\x1b[2J\xff d";
	char longest[2000] = "e=";

	(void)state;
	assert_says("e=invalid-proof", 15, " invalid-proof");
	assert_says(odd, sizeof(odd) - 1, " a?b?c?[2J? d");
	memset(longest + 2, 'z', sizeof(longest) - 2);
	until_final();
	(void)verify_n(longest, sizeof(longest));
	assert_int_equal(strlen(strchr(err.text, 'z')), 100);
}

static void
test_out_of_turn(void **state)
{
	(void)state;
	/* not begun */
	assert_refused(final_n(SERVER_FIRST, strlen(SERVER_FIRST)));
	assert_refused(verify_n(SERVER_FINAL, strlen(SERVER_FINAL)));
	/* the signature before the proof */
	first();
	assert_refused(verify_n(SERVER_FINAL, strlen(SERVER_FINAL)));
	/* twice */
	until_final();
	buf_reset(&out);
	assert_refused(final_n(SERVER_FIRST, strlen(SERVER_FIRST)));
	assert_int_equal(buf_unread(&out), 0);
	/* after a refusal */
	first();
	assert_refused(final_n("r=", 2));
	assert_refused(final_n(SERVER_FIRST, strlen(SERVER_FIRST)));
	until_final();
	assert_refused(verify_n("v=", 2));
	assert_refused(verify_n(SERVER_FINAL, strlen(SERVER_FINAL)));
	/* after success */
	until_final();
	assert_int_equal(verify_n(SERVER_FINAL, strlen(SERVER_FINAL)), 0);
	assert_refused(verify_n(SERVER_FINAL, strlen(SERVER_FINAL)));
	until_final();
	assert_int_equal(verify_n(SERVER_FINAL, strlen(SERVER_FINAL)), 0);
	assert_refused(final_n(SERVER_FIRST, strlen(SERVER_FIRST)));
}

static void
test_wipe(void **state)
{
	static const struct scram wiped;

	(void)state;
	until_final();
	scram_wipe(&s);
	assert_memory_equal(&s, &wiped, sizeof(s));
	until_final();
	assert_int_equal(verify_n(SERVER_FINAL, strlen(SERVER_FINAL)), 0);
	assert_true(scram_done(&s));
	scram_wipe(&s);
	assert_false(scram_done(&s));
}

static void
test_no_room(void **state)
{
	struct buf small;

	(void)state;
	buf_init(&small, 300);
	(void)buf_room(&small, 300);
	buf_added(&small, 290);
	scram_first(&s, "user", NONCE, &small);
	assert_true(small.failed);
	buf_free(&small);
}

/* md5(md5("pencil" "user") salt), from any other implementation. */
static void
test_md5(void **state)
{
	static const uint8_t salt[4] = { 0x01, 0x00, 0xff, 0x7f };
	char to[36];

	(void)state;
	memset(to, 'x', sizeof(to));
	assert_int_equal(scram_md5(to, "user", "pencil", salt), 0);
	assert_string_equal(to, "md55264db0982d56f30b7861f13207241e9");
	assert_int_equal(scram_md5(to, "", "", salt), 0);
	assert_string_equal(to, "md52ec2b73be1a8e2b272b755769fffe88e");
}

/* As under a FIPS policy: no provider has the algorithms. */
static void
test_openssl_refuses(void **state)
{
	static const uint8_t salt[4];
	char to[36];

	(void)state;
	first();
	assert_int_equal(EVP_set_default_properties(NULL, "fips=yes"), 1);
	assert_int_equal(scram_md5(to, "user", "pencil", salt), -1);
	assert_refused(final_n(SERVER_FIRST, strlen(SERVER_FIRST)));
	assert_int_equal(EVP_set_default_properties(NULL, ""), 1);
	assert_int_equal(buf_unread(&out), 0);
	assert_int_equal(scram_md5(to, "user", "pencil", salt), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_rfc7677),
		TEST(test_vectors),
		TEST(test_signature_of_another_channel),
		TEST(test_no_user_and_longest_nonce),
		TEST(test_longest_user),
		TEST(test_wrong_password),
		TEST(test_first_refused),
		TEST(test_first_with_nul),
		TEST(test_iterations),
		TEST(test_too_many_iterations_cost_nothing),
		TEST(test_longest_salt),
		TEST(test_first_prefixes),
		TEST(test_final_prefixes),
		TEST(test_final_refused),
		TEST(test_server_error),
		TEST(test_out_of_turn),
		TEST(test_wipe),
		TEST(test_no_room),
		TEST(test_md5),
		TEST(test_openssl_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
