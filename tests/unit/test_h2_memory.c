#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "h2_pair.h"

/*
 * A call while memory fails, each allocation of both sides and of nghttp2 in
 * turn: it ends, or a connection says that it is of no more use. It never waits
 * for what nobody will send.
 */

static long allocations, fail_at;

#ifndef __SANITIZE_ADDRESS__
static bool
fails(void)
{
	if (++allocations != fail_at)
		return false;
	errno = ENOMEM;
	return true;
}

/* In front of the C library's, for nghttp2, too. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *
malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}
#endif

/* What one side says goes to the other: 1, 0 when it was nothing, or -1. */
static int
carry(struct h2 *from, struct h2 *to)
{
	struct buf wire;
	int rc;

	buf_init(&wire, (size_t)16 << 20);
	rc = h2_output(from, &wire, 65536, &err);
	if (rc == 0 && buf_unread(&wire) > 0)
		rc = h2_input(to, buf_head(&wire), buf_unread(&wire), &err) == 0
		    ? 1
		    : -1;
	buf_free(&wire);
	return rc;
}

/* Until nobody has anything to say: 0, or -1 when somebody gave up. */
static int
converse(void)
{
	int a, b;

	do {
		if ((a = carry(client, server)) == -1 ||
		    (b = carry(server, client)) == -1)
			return -1;
	} while (a + b > 0);
	return h2_over(client) || h2_over(server) ? -1 : 0;
}

/* The handlers of h2_pair.h allocate, too, and must not fail. */
static void
prepare(struct side *x)
{
	long at = fail_at;

	fail_at = 0;
	buf_room(&x->out, 4096);
	buf_room(&x->got, 4096);
	fail_at = at;
}

static void
answer(struct side *x)
{
	prepare(x);
	x->echo = x->end_after = true;
	h2_respond(x->stream);
}

/* One call: a message there and back, the end; or, unknown, no such method.
 * Returns -1 when a connection is of no more use. */
static int
converse_all(bool unknown)
{
	at_open = answer;
	caller.stream = h2_call(client, "localhost",
	    unknown ? "/test.Service/None" : "/test.Service/Call", &handler,
	    &caller);
	if (caller.stream == NULL)
		return -1;
	side_send(&caller, "hello", 5);
	if (converse() == -1)
		return -1;
	if (caller.stream != NULL && caller.responded)
		side_send(&caller, "again", 5);
	if (converse() == -1)
		return -1;
	if (caller.stream != NULL)
		h2_finish(caller.stream);
	return converse();
}

static void
try(bool unknown, long n)
{
	void *state = NULL;

	fail_at = 0;
	assert_int_equal(setup(&state), 0);
	prepare(&caller);
	allocations = 0;
	fail_at = n;
	if (converse_all(unknown) == 0) {
		fail_at = 0;
		if (caller.closed != 1)
			fail_msg("allocation %ld: the call is still open", n);
		if (caller.code == GRPC_OK)
			assert_string_equal(buf_cstr(&caller.got),
			    unknown ? "" : "hello\nagain\n");
	}
	fail_at = 0;
	teardown(&state);
}

static void
every_allocation_fails(void **state)
{
	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip(); /* it has malloc to itself */
#endif
	for (int unknown = 0; unknown <= 1; unknown++) {
		long total;

		try(unknown != 0, 0);
		total = allocations;
		assert_true(total > 20);
		for (long n = 1; n <= total; n++)
			try(unknown != 0, n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
