#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "h2_limits.h"

/* How often a peer may do what costs something, and what the end of it is. */

/* Floods: a frame, and how often it may come at once. */
static const struct flood {
	int type, flags;
	uint32_t id;
	const char *payload;
	size_t len;
	int some; /* no harm */
	int many;
	const char *text;
} floods[] = {
	{ DATA, 0, 1, "", 0, 150, 250, "too_many_empty_frames" },
	{ DATA, PADDED, 1, "\3\0\0\0", 4, 150, 250, "too_many_empty_frames" },
	{ PRIORITY, 0, 1, "\0\0\0\3\x10", 5, 400, 600, "too_many_priorities" },
	{ PRIORITY, 0, 7, "\0\0\0\0\x10", 5, 400, 600, "too_many_priorities" },
	{ SETTINGS, 0, 0, "", 0, 80, 120, "too_many_settings" },
	{ WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4, 9000, 10100,
	    "too_many_window_updates" },
	{ WINDOW_UPDATE, 0, 1, "\0\0\0\1", 4, 9000, 10100,
	    "too_many_window_updates" },
	{ PING, ACK, 0, "12345678", 8, 80, 120, "too_many_pongs" },
	{ 0x42, 0, 0, "x", 1, 400, 600, "too_many_unknown_frames" },
	{ 0xff, 0, 1, "", 0, 400, 600, "too_many_unknown_frames" },
	{ 0x10, 0, 0, "\0\0\0\1u=3", 7, 400, 600, "too_many_unknown_frames" },
};

static void
put_flood(const struct flood *f, int n)
{
	for (int i = 0; i < n; i++)
		put_frame(f->type, f->flags, f->id, f->payload, f->len);
}

static void
test_floods(void **state)
{
	for (size_t i = 0; i < 2 * COUNT(floods); i++) {
		const struct flood *f = &floods[i / 2];

		chunk = i % 2 == 0 ? 16384 : 5;
		hello();
		put_call_of(1, 0, no_more);
		put_flood(f, f->some);
		assert_int_equal(say(), 0);
		assert_int_equal(h2_fault(server), H2_FINE);
		/* Time heals. */
		for (int k = 0; k < 3; k++) {
			pass(SECONDS(100));
			put_flood(f, f->some);
			assert_int_equal(say(), 0);
		}
		put_flood(f, f->many - f->some);
		assert_int_equal(say(), -1);
		assert_int_equal(err.kind, ERR_PROTO);
		assert_goaway(H2_FLOODED, CALM, f->text);
		assert_int_equal(teardown_raw(state), 0);
		assert_int_equal(setup_limits(state), 0);
	}
}

/* With data, updates of windows are what is to be expected. */
static void
test_window_updates_for_data(void **state)
{
	char big[1000] = { 0 };

	(void)state;
	hello();
	put_frame(SETTINGS, 0, 0, BYTES("\0\4\x3f\xff\xff\xff"));
	put_frame(WINDOW_UPDATE, 0, 0, BYTES("\x3f\xff\xff\xff"));
	put_call_of(1, 0, no_more);
	assert_int_equal(say(), 0);
	for (int i = 0; i < 20000; i++) {
		side_send(&served[0], big, sizeof(big));
		put_frame(WINDOW_UPDATE, 0, 0, BYTES("\0\0\0\1"));
		put_frame(WINDOW_UPDATE, 0, 1, BYTES("\0\0\0\1"));
		assert_int_equal(say(), 0);
		assert_int_equal(count_frames(DATA), 1);
	}
}

/* A reader that was away for a while sends them all at once, one for each small
 * message of large frames; what nothing was sent for is a flood still. */
static void
test_window_updates_late(void **state)
{
	static const char big[16000];
	int n = 0;

	(void)state;
	hello();
	put_frame(SETTINGS, 0, 0, BYTES("\0\4\x3f\xff\xff\xff"));
	put_frame(WINDOW_UPDATE, 0, 0, BYTES("\x3f\xff\xff\xff"));
	put_call_of(1, 0, no_more);
	assert_int_equal(say(), 0);
	for (int i = 0; i < 50; i++) {
		side_send(&served[0], big, sizeof(big));
		assert_int_equal(say(), 0);
	}
	for (; n < 200000 && h2_fault(server) == H2_FINE; n += 100) {
		for (int i = 0; i < 100; i++)
			put_frame(WINDOW_UPDATE, 0, 1, BYTES("\0\0\0\1"));
		say();
	}
	assert_in_range(n, 100000, 50 * 16100 / 8 + 11000);
	assert_int_equal(h2_fault(server), H2_FLOODED);
}

/* So they are with short calls: grpcio sends two of them for each. */
static void
test_window_updates_for_answers(void **state)
{
	(void)state;
	hello();
	for (uint32_t i = 0; i < 20000; i++) {
		served_n = 0;
		put_call_of(1 + 2 * i, 0, no_more);
		assert_int_equal(say(), 0);
		h2_respond(served[0].stream);
		h2_end(served[0].stream, GRPC_OK, "%s", "");
		put_frame(WINDOW_UPDATE, 0, 0, BYTES("\0\0\0\1"));
		put_frame(WINDOW_UPDATE, 0, 0, BYTES("\0\0\0\1"));
		assert_int_equal(say(), 0);
		side_free(&served[0]);
		pass(100); /* us */
	}
}

/* Rapid reset: a few, and as many as there may be at once. */
#define RESETS (200 + MOST_STREAMS)

static void
test_resets(void **state)
{
	(void)state;
	hello();
	for (uint32_t i = 0; i < 1000 && h2_fault(server) == H2_FINE; i++) {
		served_n = 0;
		put_call_of(1 + 2 * i, 0, no_more);
		put_frame(RST_STREAM, 0, 1 + 2 * i, BYTES("\0\0\0\x08"));
		if (say() == -1)
			assert_in_range(i, RESETS - 50, RESETS + 50);
		if (i < RESETS) {
			assert_int_equal(served[0].closed, 1);
			side_free(&served[0]);
		}
	}
	assert_goaway(H2_FLOODED, CALM, "too_many_resets");
}

/* Libraries answer trailers with a reset, before they have half-closed. */
static void
test_resets_of_what_is_over(void **state)
{
	(void)state;
	hello();
	for (uint32_t i = 0; i < 1000; i++) {
		served_n = 0;
		put_call_of(1 + 2 * i, 0, no_more);
		assert_int_equal(say(), 0);
		h2_end(served[0].stream, GRPC_UNAVAILABLE, "try again");
		assert_int_equal(say(), 0);
		put_frame(RST_STREAM, 0, 1 + 2 * i, BYTES("\0\0\0\0"));
		assert_int_equal(say(), 0);
		assert_int_equal(served[0].closed, 1);
		side_free(&served[0]);
	}
	assert_true(h2_idle(server));
}

/* MadeYouReset: the server is made to reset its streams. */
static void
test_errors(void **state)
{
	(void)state;
	hello();
	for (uint32_t i = 0; i < 1000 && h2_fault(server) == H2_FINE; i++) {
		put_call_of(1 + 2 * i, 0, no_more);
		put_frame(WINDOW_UPDATE, 0, 1 + 2 * i,
		    BYTES("\x7f\xff\xff\xff"));
		(void)say();
		if (h2_fault(server) == H2_FINE)
			assert_non_null(find_frame(RST_STREAM));
		else
			assert_in_range(i, 80, 120);
		if (i < 500 && served_n > 0)
			side_free(&served[--served_n]);
	}
	assert_goaway(H2_FLOODED, CALM, "too_many_errors");
}

/* PINGs */

static int
ping_times(int n, int64_t interval)
{
	for (int i = 1; i <= n; i++) {
		pass(interval);
		put_frame(PING, 0, 0, "12345678", 8);
		if (say() == -1)
			return i;
		assert_memory_equal(find_frame(PING), "12345678", 8);
	}
	return 0;
}

static void
test_pings_with_a_stream(void **state)
{
	(void)state;
	hello();
	put_call_of(1, 0, no_more);
	assert_int_equal(say(), 0);
	assert_int_equal(ping_times(100, SECONDS(10)), 0);
	assert_int_equal(ping_times(100, MS(4900)), 0);
	assert_int_equal(ping_times(100, SECONDS(1)), 3);
	assert_goaway(H2_FLOODED, CALM, "too_many_pings");
}

static void
test_pings_without_a_stream(void **state)
{
	(void)state;
	hello();
	assert_int_equal(ping_times(10, SECONDS(301)), 0);
	assert_int_equal(ping_times(10, SECONDS(10)), 3);
	assert_goaway(H2_FLOODED, CALM, "too_many_pings");
}

/* A library that measures the bandwidth pings as often as it gets data. */
static void
test_pings_for_data(void **state)
{
	(void)state;
	hello();
	put_call_of(1, 0, no_more);
	assert_int_equal(say(), 0);
	for (int i = 0; i < 1000; i++) {
		side_send(&served[0], "x", 1);
		(void)say();
		assert_int_equal(ping_times(1, MS(1)), 0);
	}
	assert_int_equal(ping_times(10, MS(1)), 3);
}

/* Headers */

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LIMIT(test_floods),
		LIMIT(test_window_updates_for_data),
		LIMIT(test_window_updates_late),
		LIMIT(test_window_updates_for_answers),
		LIMIT(test_resets),
		LIMIT(test_resets_of_what_is_over),
		LIMIT(test_errors),
		LIMIT(test_pings_with_a_stream),
		LIMIT(test_pings_without_a_stream),
		LIMIT(test_pings_for_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
