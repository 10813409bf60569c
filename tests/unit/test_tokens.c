#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "feed/tokens.h"
#include "guard.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define A "aaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbb"

static unsigned compared;

/* In place of OpenSSL's: what is compared is counted, and to the end. */
int
CRYPTO_memcmp(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *p = a, *q = b;
	uint8_t x = 0;

	compared++;
	assert_int_equal(n, SECRET_DIGEST);
	for (size_t i = 0; i < n; i++)
		x |= p[i] ^ q[i];
	return x;
}

static struct tokens *
parse_n(const char *text, size_t n, struct err *err)
{
	uint8_t *p = guard_copy(text, n);
	struct tokens *ts = tokens_parse((const char *)p, n, err);

	guard_free(p, n);
	return ts;
}

static struct tokens *
parse(const char *text)
{
	struct err err = { .kind = ERR_NONE };
	struct tokens *ts = parse_n(text, strlen(text), &err);

	if (ts == NULL)
		fail_msg("%s", err.text);
	return ts;
}

static const struct token *
find(const struct tokens *ts, const char *token)
{
	uint8_t digest[SECRET_DIGEST];

	assert_int_equal(secret_digest(digest, token, strlen(token)), 0);
	return tokens_find(ts, digest);
}

static void
test_lines(void **state)
{
	struct tokens *ts = parse("# " A "\n\n  \t\r\n" A "\r\n"
				  "\t" B "  billing\tpublic.pay* *.x\n"
				  "cccccccccccccccc c-_9\r");

	(void)state;
	assert_int_equal(ts->n, 3);
	assert_int_equal(ts->token[0].line, 4);
	assert_string_equal(ts->token[0].name, "");
	assert_int_equal(ts->token[0].may.n, 0);
	assert_int_equal(ts->token[1].line, 5);
	assert_string_equal(ts->token[1].name, "billing");
	assert_int_equal(ts->token[1].may.n, 2);
	assert_string_equal(ts->token[1].may.glob[0], "public.pay*");
	assert_string_equal(ts->token[1].may.glob[1], "*.x");
	assert_string_equal(ts->token[2].name, "c-_9");
	assert_ptr_equal(find(ts, A), &ts->token[0]);
	assert_ptr_equal(find(ts, B), &ts->token[1]);
	assert_null(find(ts, "AAAAAAAAAAAAAAAA"));
	assert_null(find(ts, A "a"));
	assert_null(find(ts, ""));
	assert_null(find(ts, "billing"));
	tokens_unref(ts);
}

static void
test_what_they_may_see(void **state)
{
	struct tokens *ts = parse(A "\n" B " b public.pay* s.t\n"
				    "cccccccccccccccc c s.t public.pay*\n"
				    "dddddddddddddddd d public.pay* s.t\n");

	(void)state;
	assert_true(token_may_see(&ts->token[0], "x.y"));
	assert_true(token_may_see(&ts->token[1], "public.payments"));
	assert_true(token_may_see(&ts->token[1], "s.t"));
	assert_false(token_may_see(&ts->token[1], "s.tt"));
	assert_false(token_may_see(&ts->token[1], "Public.payments"));
	assert_true(token_same_rights(&ts->token[1], &ts->token[3]));
	assert_false(token_same_rights(&ts->token[1], &ts->token[2]));
	assert_false(token_same_rights(&ts->token[0], &ts->token[1]));
	assert_true(token_same_rights(&ts->token[0], &ts->token[0]));
	tokens_unref(ts);
}

/* Each with its line, and without a word of what is in it. */
static void
test_bad_lines(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "no token" },
		{ "# only this\n\n", "no token" },
		{ "SECRETsecret123", "line 1: a token has at least 16" },
		{ A "\nSECRET\n", "line 2: a token has at least 16" },
		{ "SECRETsecret12\x01xx", "line 1: a token is of printable" },
		{ "SECRETsecret12\xc3\xa9xx", "line 1: a token is of" },
		{ "\xef\xbb\xbf" A, "line 1: a token is of printable" },
		{ A "\rx", "line 1: a token is of printable" },
		{ A " public.SECRET", "line 1: behind the token comes a name" },
		{ A " *", "line 1: behind the token comes a name" },
		{ A " SECRET\xc3\xa9", "line 1: behind the token comes" },
		{ A " n SECRET", "line 1: a glob that matches no" },
		{ A " n s.SECRET\x7f", "line 1: there is a control" },
		{ A " n s.\xff", "line 1: a glob is not UTF-8" },
		{ A " n\n\n" B "\n" A "\n", "line 4: the token of line 1" },
		{ A "\n" A "\r\n", "line 2: the token of line 1" },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		err = (struct err){ .kind = ERR_NONE };
		assert_null(parse_n(rows[i].text, strlen(rows[i].text), &err));
		assert_int_equal(err.kind, ERR_USAGE);
		if (strstr(err.text, rows[i].why) == NULL)
			fail_msg("%s: %s", rows[i].why, err.text);
		if (strstr(err.text, "SECRET") != NULL ||
		    strstr(err.text, "aaaa") != NULL)
			fail_msg("it tells: %s", err.text);
	}
	assert_null(parse_n(A "\0b", sizeof(A) + 1, &err));
}

/* Of lengths: the longest that is taken, and one more. */
static void
test_lengths(void **state)
{
	static const struct {
		const char *before;
		char c;
		size_t most;
	} rows[] = { { "", 't', TOKEN_MAX }, { A " ", 'n', TOKEN_MAX_NAME },
		{ A " n .", 'g', TOKEN_MAX_GLOB - 1 } };
	char text[TOKEN_MAX + 64];
	struct tokens *ts;
	struct err err;
	size_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		n = strlen(rows[i].before);
		memcpy(text, rows[i].before, n);
		memset(text + n, rows[i].c, rows[i].most + 1);
		ts = parse_n(text, n + rows[i].most, &err);
		assert_non_null(ts);
		tokens_unref(ts);
		assert_null(parse_n(text, n + rows[i].most + 1, &err));
	}
}

static void
test_many(void **state)
{
	static char text[(TOKENS_MAX + 1) * 24];
	struct tokens *ts;
	struct err err;
	char token[24];
	size_t n = 0;

	(void)state;
	for (int i = 0; i < TOKENS_MAX; i++)
		n += (size_t)sprintf(text + n, "token-%010d\n", i);
	ts = parse_n(text, n, &err);
	assert_non_null(ts);
	assert_int_equal(ts->n, TOKENS_MAX);
	for (int i = 0; i < TOKENS_MAX; i += 37) {
		sprintf(token, "token-%010d", i);
		assert_int_equal(find(ts, token)->line, i + 1);
	}
	tokens_unref(ts);
	n += (size_t)sprintf(text + n, "one-token-too-many\n");
	assert_null(parse_n(text, n, &err));
	assert_non_null(strstr(err.text, "line 1001"));
}

/* The first, the last, and one that is not there: as many comparisons. */
static void
test_every_token_is_compared(void **state)
{
	static const char *const asked[] = { A, "cccccccccccccccc",
		"not among them..", "" };
	struct tokens *ts = parse(A "\n" B "\ncccccccccccccccc\n");

	(void)state;
	for (size_t i = 0; i < COUNT(asked); i++) {
		compared = 0;
		find(ts, asked[i]);
		assert_int_equal(compared, 3);
	}
	tokens_unref(ts);
}

static void
test_first(void **state)
{
	static const struct {
		const char *text, *token;
	} rows[] = { { A, A }, { A "\n", A }, { A "\r\n", A },
		{ "# x\n\n " A " name s.t\n" B, A }, { "", NULL },
		{ "# x", NULL }, { "short\n" A, NULL }, { "a b", NULL } };
	struct err err;
	const char *token;
	uint8_t *p;
	size_t n, len;
	int rc;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		n = strlen(rows[i].text);
		p = guard_copy(rows[i].text, n);
		rc = tokens_first((const char *)p, n, &token, &len, &err);
		assert_int_equal(rc, rows[i].token == NULL ? -1 : 0);
		if (rc == 0) {
			assert_int_equal(len, strlen(rows[i].token));
			assert_memory_equal(token, rows[i].token, len);
		}
		guard_free(p, n);
	}
}

/* They live as long as somebody uses them (and no longer: LeakSanitizer). */
static void
test_users(void **state)
{
	struct tokens *ts = parse(A " n s.t\n");

	(void)state;
	assert_ptr_equal(tokens_ref(ts), ts);
	tokens_unref(ts);
	assert_non_null(find(ts, A));
	tokens_unref(ts);
	tokens_unref(NULL);
}

/* A file that was read anew: those that were there before, wherever. */
static void
test_same(void **state)
{
	struct tokens *old = parse(A " a\n" B " b\n");
	struct tokens *new = parse(B " other\n" A "a\n");

	(void)state;
	assert_null(tokens_same(new, &old->token[0]));
	assert_ptr_equal(tokens_same(new, &old->token[1]), &new->token[0]);
	assert_ptr_equal(tokens_same(old, &new->token[0]), &old->token[1]);
	tokens_unref(old);
	tokens_unref(new);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_what_they_may_see),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_every_token_is_compared),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
