#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/polls.h"

static int error; /* ppoll's, for more than one descriptor; 0: none */
static unsigned naps;

/* The kernel's, and so it is this one that polls.c calls. */
int
ppoll(struct pollfd *p, nfds_t n, const struct timespec *ts,
    const sigset_t *mask)
{
	(void)mask;
	naps += n == 0 && ts->tv_nsec > 0;
	if (n <= 1 || error == 0)
		return poll(p, n, 0);
	errno = error;
	return -1;
}

/* Who is ready, of two, is found out all the same; it does not spin. */
static void
check_error(int which)
{
	struct polls polls = { .at = NULL };
	int ends[2];

	error = which;
	naps = 0;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(polls_reserve(&polls, 2), 0);
	polls.count = 2;
	polls.at[0] = (struct pollfd){ ends[0], POLLIN, POLLIN };
	polls.at[1] = (struct pollfd){ ends[1], POLLOUT, 0 };
	polls_wait(&polls, SECONDS(1), NULL);
	assert_int_equal(polls.at[0].revents, 0);
	assert_int_equal(polls.at[1].revents, which == EINTR ? 0 : POLLOUT);
	assert_int_equal(naps, which == EINTR || which == 0 ? 0 : 1);
	polls_free(&polls);
	close(ends[0]);
	close(ends[1]);
}

static void
test_errors(void **state)
{
	static const int errors[] = { 0, EINTR, EINVAL, ENOMEM };

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		check_error(errors[i]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
