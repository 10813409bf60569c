#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/conn.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct err err;

static void
test_numeric(void **state)
{
	static const struct {
		const char *host, *port, *text; /* NULL: a name */
	} rows[] = {
		{ "127.0.0.1", "5432", "127.0.0.1:5432" },
		{ "127.1", "1", "127.0.0.1:1" },
		{ "::1", "65535", "[::1]:65535" },
		{ "2001:DB8::0:1", "5432", "[2001:db8::1]:5432" },
		{ "localhost", "5432", NULL },
		{ "db.example", "5432", NULL },
		{ "127.0.0.1.example", "5432", NULL },
		{ "127.0.0.256", "5432", NULL },
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(addr_numeric(&a, rows[i].host, rows[i].port),
		    rows[i].text != NULL);
		if (rows[i].text != NULL)
			assert_string_equal(a.text, rows[i].text);
	}
}

static void
test_local(void **state)
{
	static const struct {
		const char *host;
		bool local;
	} rows[] = {
		{ "127.0.0.1", true },
		{ "127.9.9.9", true },
		{ "126.255.255.255", false },
		{ "128.0.0.1", false },
		{ "0.0.0.0", false },
		{ "1.0.0.127", false },
		{ "::1", true },
		{ "::2", false },
		{ "fe80::1", false },
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(addr_numeric(&a, rows[i].host, "1"), 1);
		assert_int_equal(addr_is_local(&a), rows[i].local);
		assert_false(addr_is_unix(&a));
	}
	assert_int_equal(addr_pg_socket(&a, "/x", "1", &err), 0);
	assert_true(addr_is_local(&a));
	assert_true(addr_is_unix(&a));
}

/* The longest directory: its socket's name and a NUL fit into sun_path. */
static void
test_socket_path(void **state)
{
	char dir[200];
	struct addr a;
	size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) -
	    sizeof("/.s.PGSQL.5432");

	(void)state;
	assert_int_equal(addr_pg_socket(&a, "/a/b", "5433", &err), 0);
	assert_string_equal(a.text, "/a/b/.s.PGSQL.5433");
	for (const char *first = "/@"; *first != '\0'; first++) {
		memset(dir, 'x', sizeof(dir));
		dir[0] = *first;
		dir[most] = '\0';
		assert_int_equal(addr_pg_socket(&a, dir, "5432", &err), 0);
		assert_int_equal(strlen(a.text), most + 14);
		dir[most] = 'x';
		dir[most + 1] = '\0';
		assert_int_equal(addr_pg_socket(&a, dir, "5432", &err), -1);
		assert_int_equal(err.kind, ERR_USAGE);
	}
}

/* A listener at a, and the connection to it; returns the accepted end. */
static int
connected(struct conn *c, const struct addr *a, struct addr *bound)
{
	struct addr from;
	int listener = conn_listen(a, bound, &err), fd;

	if (listener == -1)
		fail_msg("%s", err.text);
	conn_init(c, 1000, 1000);
	assert_int_equal(conn_connect(c, bound, &err), 0);
	assert_int_equal(conn_wait(c->fd, POLLOUT, 10000), POLLOUT);
	assert_int_equal(conn_connected(c, &err), 0);
	fd = conn_accept(listener, &from);
	assert_int_not_equal(fd, -1);
	close(listener);
	return fd;
}

static int
number(int fd, int level, int option)
{
	int n = -1;
	socklen_t len = sizeof(n);

	assert_int_equal(getsockopt(fd, level, option, &n, &len), 0);
	return n;
}

/* An abstract socket has the name that its text says, and no file. */
static void
test_abstract(void **state)
{
	struct sockaddr_un un;
	socklen_t len = sizeof(un);
	char dir[60], text[80];
	struct addr a, bound;
	struct conn c;
	int fd;

	(void)state;
	snprintf(dir, sizeof(dir), "@walstream-test-%ld", (long)getpid());
	snprintf(text, sizeof(text), "%s/.s.PGSQL.5432", dir);
	assert_int_equal(addr_pg_socket(&a, dir, "5432", &err), 0);
	assert_string_equal(a.text, text);
	fd = connected(&c, &a, &bound);
	assert_int_equal(getpeername(c.fd, (struct sockaddr *)&un, &len), 0);
	assert_int_equal(len,
	    offsetof(struct sockaddr_un, sun_path) + strlen(text));
	assert_int_equal(un.sun_path[0], '\0');
	assert_memory_equal(un.sun_path + 1, text + 1, strlen(text) - 1);
	conn_close(&c);
	close(fd);
}

static void
test_keepalive(void **state)
{
	struct conn_keepalive k = { .on = 1,
		.idle_s = 77,
		.interval_s = 5,
		.count = 3,
		.user_timeout_ms = 4321 };
	struct conn_keepalive none = { .on = 1 };
	struct addr a, bound;
	struct conn c;
	int fd, idle;

	(void)state;
	assert_int_equal(addr_numeric(&a, "127.0.0.1", "0"), 1);
	fd = connected(&c, &a, &bound);
	assert_int_equal(number(c.fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(number(c.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	idle = number(c.fd, IPPROTO_TCP, TCP_KEEPIDLE);
	assert_int_equal(conn_set_keepalive(&c, &none, &err), 0);
	assert_int_equal(number(c.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(number(c.fd, IPPROTO_TCP, TCP_KEEPIDLE), idle);
	assert_int_equal(number(c.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	assert_int_equal(conn_set_keepalive(&c, &k, &err), 0);
	assert_int_equal(number(c.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(number(c.fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	assert_int_equal(number(c.fd, IPPROTO_TCP, TCP_KEEPINTVL), 5);
	assert_int_equal(number(c.fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	assert_int_equal(number(c.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 4321);
	k.on = 0; /* TCP_USER_TIMEOUT has a life of its own */
	k.idle_s = 88;
	k.user_timeout_ms = 1234;
	assert_int_equal(conn_set_keepalive(&c, &k, &err), 0);
	assert_int_equal(number(c.fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	assert_int_equal(number(c.fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	assert_int_equal(number(c.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1234);
	conn_close(&c);
	close(fd);
}

static void
test_peer_user(void **state)
{
	struct passwd *pw = getpwuid(geteuid());
	char user[64] = "";
	struct conn c;
	int fds[2];

	(void)state;
	assert_non_null(pw);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	conn_init(&c, 1, 1);
	conn_adopt(&c, fds[0]);
	assert_int_equal(conn_peer_user(&c, user, sizeof(user), &err), 0);
	assert_string_equal(user, pw->pw_name);
	assert_int_equal(conn_peer_user(&c, user, 3, &err), 0);
	assert_int_equal(strlen(user),
	    strlen(pw->pw_name) < 2 ? strlen(pw->pw_name) : 2);
	conn_close(&c);
	close(fds[1]);
	c.fd = fds[1]; /* no socket any more */
	assert_int_equal(conn_peer_user(&c, user, sizeof(user), &err), -1);
	assert_int_equal(err.kind, ERR_IO);
}

/* What another process left, in the clear: data first, then the end. */
static void
test_clear(void **state)
{
	struct conn c;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     fds),
	    0);
	conn_init(&c, 1000, 1 << 20);
	conn_adopt(&c, fds[0]);
	assert_int_equal(conn_read(&c, 10, &err), CONN_AGAIN);
	assert_int_equal(conn_want(&c, true), POLLIN);
	assert_int_equal(conn_want(&c, false), 0);
	assert_int_equal(write(fds[1], "12345", 5), 5);
	assert_int_equal(conn_read(&c, 2, &err), CONN_OK);
	assert_int_equal(conn_read(&c, 10, &err), CONN_OK);
	assert_string_equal(buf_cstr(&c.in), "12345");
	memset(buf_room(&c.out, 1 << 20), 'x', 1 << 20);
	buf_added(&c.out, 1 << 20);
	assert_int_equal(conn_flush(&c, &err), CONN_AGAIN);
	assert_true(buf_unread(&c.out) < 1 << 20);
	shutdown(fds[1], SHUT_WR);
	assert_int_equal(conn_read(&c, 10, &err), CONN_EOF);
	close(fds[1]);
	assert_int_equal(conn_flush(&c, &err), CONN_ERROR); /* no SIGPIPE */
	assert_string_equal(err.text, "write: Broken pipe");
	conn_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numeric),
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_socket_path),
		cmocka_unit_test(test_abstract),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_peer_user),
		cmocka_unit_test(test_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
