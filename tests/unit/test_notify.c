#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/notify.h"

static int manager; /* the service manager's socket */

/* In the abstract namespace: nothing is left behind. */
static int
setup(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa_family_t);
	char path[sizeof(un.sun_path) + 1];

	(void)state;
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (bind(manager, (struct sockaddr *)&un, len) == -1) /* autobind */
		return -1;
	len = sizeof(un);
	getsockname(manager, (struct sockaddr *)&un, &len);
	len -= (socklen_t)offsetof(struct sockaddr_un, sun_path);
	snprintf(path, sizeof(path), "@%.*s", (int)len - 1, un.sun_path + 1);
	return setenv("NOTIFY_SOCKET", path, 1);
}

static int
teardown(void **state)
{
	(void)state;
	return close(manager);
}

static void
assert_told(const char *expected)
{
	char got[512];
	ssize_t n = recv(manager, got, sizeof(got) - 1, 0);

	got[n > 0 ? n : 0] = '\0';
	assert_string_equal(got, expected == NULL ? "" : expected);
}

static void
test_lines(void **state)
{
	struct notify n;

	(void)state;
	notify_init(&n);
	notify_send(&n, "READY=1");
	assert_told("READY=1");
	notify_free(&n);
}

static void
test_status_only_when_it_changed(void **state)
{
	struct notify n;

	(void)state;
	notify_init(&n);
	notify_status(&n, "STATUS=%d", 1);
	assert_told("STATUS=1");
	notify_status(&n, "STATUS=%d", 1);
	assert_told(NULL);
	notify_status(&n, "STATUS=%d", 2);
	assert_told("STATUS=2");
	notify_free(&n);
}

static void
test_watchdog_at_half_the_time(void **state)
{
	struct notify n;
	char pid[32];

	(void)state;
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("WATCHDOG_USEC", "3000000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	notify_init(&n);
	notify_alive(&n, 10);
	assert_told("WATCHDOG=1");
	assert_int_equal(notify_deadline(&n), 1500010);
	notify_alive(&n, 1500009);
	assert_told(NULL);
	notify_alive(&n, 1500010);
	assert_told("WATCHDOG=1");
	notify_free(&n);
}

static void
test_watchdog_of_another_process(void **state)
{
	struct notify n;

	(void)state;
	setenv("WATCHDOG_USEC", "3000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify_init(&n);
	assert_int_equal(notify_deadline(&n), INT64_MAX);
	notify_alive(&n, 10);
	assert_told(NULL);
	notify_free(&n);
}

static void
test_nobody_wants_to_know(void **state)
{
	static const char *const nowhere[] = {
		"", "relative", "/nonexistent/s",
		"/a-name-that-is-longer-than-any-socket-may-have-------------"
		"------------------------------------------------------------"
	};
	struct notify n;

	(void)state;
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		setenv("NOTIFY_SOCKET", nowhere[i], 1);
		notify_init(&n);
		assert_int_equal(n.fd, -1);
		notify_send(&n, "READY=1");
		notify_status(&n, "STATUS=x");
		notify_alive(&n, 1);
		assert_int_equal(notify_deadline(&n), INT64_MAX);
		notify_free(&n);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lines),
		TEST(test_status_only_when_it_changed),
		TEST(test_watchdog_at_half_the_time),
		TEST(test_watchdog_of_another_process),
		TEST(test_nobody_wants_to_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
