#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "pg/sslmode.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct sslmode
begun(int mode, bool unix_socket)
{
	struct conninfo ci;
	struct sslmode s;

	memset(&ci, 0, sizeof(ci));
	ci.value[CI_SSLMODE] = mode;
	memset(&s, 0xa5, sizeof(s));
	sslmode_begin(&s, &ci, unix_socket);
	return s;
}

/* What each mode begins with, and makes of each answer: 1 handshake, 0 no TLS,
 * -1 refused. */
static void
answers(void **state)
{
	static const struct {
		int mode;
		bool tls;
		int s, n;
	} rows[] = {
		{ SSLMODE_DISABLE, false, 1, -1 },
		{ SSLMODE_ALLOW, false, 1, -1 },
		{ SSLMODE_PREFER, true, 1, 0 },
		{ SSLMODE_REQUIRE, true, 1, -1 },
		{ SSLMODE_VERIFY_CA, true, 1, -1 },
		{ SSLMODE_VERIFY_FULL, true, 1, -1 },
	};
	struct sslmode s;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		s = begun(rows[i].mode, false);
		assert_int_equal(s.tls, rows[i].tls);
		assert_int_equal(sslmode_answer(&s, 'S', &err), rows[i].s);
		assert_int_equal(sslmode_answer(&s, 'N', &err), rows[i].n);
		assert_false(begun(rows[i].mode, true).tls);
	}
}

/* P33: an error is not read, and other bytes are nobody's answer. */
static void
wrong_answers(void **state)
{
	struct sslmode s;
	struct err err;

	(void)state;
	for (int c = 0; c < 256; c++) {
		if (c == 'S' || c == 'N')
			continue;
		s = begun(SSLMODE_PREFER, false);
		assert_int_equal(sslmode_answer(&s, (uint8_t)c, &err), -1);
		assert_int_equal(err.kind, c == 'E' ? ERR_IO : ERR_PROTO);
		assert_true(s.tls);
	}
}

struct failure {
	int mode;
	bool in_handshake;
	enum err_kind kind;
	const char *sqlstate;
	bool other;
};

static const struct failure failures[] = {
	{ SSLMODE_DISABLE, false, ERR_SERVER, "28000", false },
	{ SSLMODE_ALLOW, false, ERR_SERVER, "28000", true },
	{ SSLMODE_ALLOW, false, ERR_SERVER, "57P03", false },
	{ SSLMODE_ALLOW, false, ERR_SERVER, "53300", false },
	{ SSLMODE_ALLOW, false, ERR_AUTH, "", false },
	{ SSLMODE_ALLOW, false, ERR_IO, "", false },
	{ SSLMODE_PREFER, false, ERR_SERVER, "28000", true },
	{ SSLMODE_PREFER, false, ERR_SERVER, "28P01", true },
	{ SSLMODE_PREFER, false, ERR_SERVER, "57P03", false },
	{ SSLMODE_PREFER, false, ERR_AUTH, "", false },
	{ SSLMODE_PREFER, false, ERR_IO, "", false },
	{ SSLMODE_PREFER, true, ERR_AUTH, "", true },
	{ SSLMODE_PREFER, true, ERR_IO, "", true },
	{ SSLMODE_PREFER, true, ERR_PROTO, "", true },
	{ SSLMODE_REQUIRE, false, ERR_SERVER, "28000", false },
	{ SSLMODE_REQUIRE, true, ERR_AUTH, "", false },
	{ SSLMODE_VERIFY_FULL, true, ERR_AUTH, "", false },
};

static void
failing(struct err *err, const struct failure *f, const char *text)
{
	err_set(err, f->kind, "%s", text);
	strcpy(err->sqlstate, f->sqlstate);
}

/* Which failures lead to the other way, once; and both reasons are told. */
static void
other_way(void **state)
{
	struct sslmode s;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(failures); i++) {
		const struct failure *f = &failures[i];

		s = begun(f->mode, false);
		failing(&err, f, "one");
		assert_int_equal(sslmode_other(&s, f->in_handshake, &err),
		    f->other);
		assert_string_equal(err.text, "one");
		if (!f->other)
			continue;
		assert_int_equal(s.tls, f->mode == SSLMODE_ALLOW);
		failing(&err, f, "two");
		assert_false(sslmode_other(&s, f->in_handshake, &err));
		assert_string_equal(err.text,
		    f->mode == SSLMODE_ALLOW ? "one; with TLS: two"
					     : "one; without TLS: two");
	}
}

/* Said once. */
static void
same_reason(void **state)
{
	struct sslmode s = begun(SSLMODE_PREFER, false);
	struct err err;

	(void)state;
	failing(&err, &failures[7], "wrong password");
	assert_true(sslmode_other(&s, false, &err));
	assert_false(sslmode_other(&s, false, &err));
	assert_string_equal(err.text, "wrong password");
}

/* The server has no TLS: there is no other way to try. */
static void
no_tls(void **state)
{
	struct sslmode s = begun(SSLMODE_PREFER, false);
	struct err err;

	(void)state;
	assert_int_equal(sslmode_answer(&s, 'N', &err), 0);
	assert_false(s.tls);
	failing(&err, &failures[6], "no");
	assert_false(sslmode_other(&s, false, &err));
	assert_string_equal(err.text, "no");
}

/* allow, and the server has no TLS: the first way was the only one. */
static void
allow_without_tls(void **state)
{
	struct sslmode s = begun(SSLMODE_ALLOW, false);
	struct err err;

	(void)state;
	failing(&err, &failures[1], "starting up");
	assert_true(sslmode_other(&s, false, &err));
	assert_int_equal(sslmode_answer(&s, 'N', &err), -1);
	assert_int_equal(err.kind, ERR_SERVER);
	assert_string_equal(err.sqlstate, "28000");
	assert_false(sslmode_other(&s, false, &err));
	assert_string_equal(err.text, "starting up");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(wrong_answers),
		cmocka_unit_test(other_way),
		cmocka_unit_test(same_reason),
		cmocka_unit_test(no_tls),
		cmocka_unit_test(allow_without_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
