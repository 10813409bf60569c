#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "fake_system.h"
#include "server/walend.h"

#define START SECONDS(1000)

/* A server whose backlog is looked at: who knocks there, and when. */
static int listener;
static struct conninfo ci;
static struct pgconn server;
static struct typecat types;
static struct walend walend;

static int
setup(void **state)
{
	struct addr list[ADDR_MAX], bound;
	char text[100];
	struct err err;

	fake_clear(state);
	if (addr_resolve(list, "127.0.0.1", "0", true, &err) < 1 ||
	    (listener = conn_listen(&list[0], &bound, &err)) == -1)
		return -1;
	snprintf(text, sizeof(text),
	    "host=127.0.0.1 port=%u sslmode=disable user=u", addr_port(&bound));
	if (conninfo_parse(&ci, text, &fake, &err) == -1 ||
	    typecat_init(&types) == -1)
		return -1;
	pgconn_init(&server);
	walend_init(&walend, &ci, &server, &types);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	walend_free(&walend);
	pgconn_close(&server);
	typecat_free(&types);
	conninfo_free(&ci);
	return close(listener);
}

/* Has somebody come since the last time? He is sent away. */
static bool
knocked(void)
{
	struct addr from;
	int fd = conn_accept(listener, &from);

	if (fd != -1)
		close(fd);
	return fd != -1;
}

/* The server has hung up on it. */
static void
fail_at(int64_t now)
{
	for (int i = 0; i < 100 && walend.pg.state != PGCONN_CLOSED; i++) {
		conn_wait(walend_fd(&walend), walend_want(&walend), 1000);
		walend_step(&walend, true, POLLIN | POLLOUT, now);
	}
	assert_int_equal(walend.pg.state, PGCONN_CLOSED);
}

static void
test_unwanted_at_first(void **state)
{
	(void)state;
	walend_step(&walend, false, 0, START);
	assert_false(knocked());
	assert_true(walend_deadline(&walend) == INT64_MAX);
	walend_step(&walend, true, 0, START);
	assert_true(knocked());
}

/* A server that does not let it in is left alone for a minute, however often
 * it is not wanted in between. */
static void
test_backs_off(void **state)
{
	(void)state;
	walend_step(&walend, true, 0, START);
	assert_true(knocked());
	fail_at(START);
	assert_true(walend_deadline(&walend) == START + SECONDS(60));
	for (int64_t now = START; now < START + SECONDS(60); now += MS(500)) {
		walend_step(&walend, false, 0, now);
		assert_true(walend_deadline(&walend) == INT64_MAX);
		walend_step(&walend, true, 0, now);
		assert_false(knocked());
	}
	walend_step(&walend, true, 0, START + SECONDS(60));
	assert_true(knocked());
}

/* Nor does being called off make it come again at once. */
static void
test_called_off(void **state)
{
	(void)state;
	walend_step(&walend, true, 0, START);
	assert_true(knocked());
	walend_step(&walend, false, 0, START);
	assert_int_equal(walend_fd(&walend), -1);
	walend_step(&walend, true, 0, START + SECONDS(9));
	assert_false(knocked());
	walend_step(&walend, true, 0, START + SECONDS(10));
	assert_true(knocked());
}

/* Who reads types may need the server's last connection. */
static void
test_yields(void **state)
{
	(void)state;
	walend_step(&walend, true, 0, START);
	assert_true(knocked());
	walend.lsn = 7;
	typecat_need(&types, 70000, 5);
	walend_step(&walend, true, 0, START);
	assert_int_equal(walend_fd(&walend), -1);
	assert_true(walend_deadline(&walend) == START + SECONDS(60));
	walend_step(&walend, true, 0, START + SECONDS(59));
	assert_false(knocked());
	assert_int_equal(walend.lsn, 7); /* it is known still */
	typecat_need_nothing(&types);
	walend_step(&walend, true, 0, START + SECONDS(59));
	assert_true(knocked());
}

/* But it may wait for them for hours, and that is when somebody looks. */
static void
test_yields_no_longer(void **state)
{
	(void)state;
	typecat_need(&types, 70000, 5);
	walend_step(&walend, true, 0, START);
	assert_false(knocked());
	walend_step(&walend, true, 0, START + SECONDS(60));
	assert_true(knocked());
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_yields_no_longer, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_unwanted_at_first, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_backs_off, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_called_off, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_yields, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
