#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "h2_limits.h"

/* What a peer may do to a server, how much, and what the end of it is. */

static void
test_many_headers(void **state)
{
	struct header h[205] = { { ":method", "POST" }, { ":scheme", "http" },
		{ ":path", CALL }, { ":authority", "localhost" },
		{ "content-type", "application/grpc" } };
	static const struct {
		size_t n;
		int opened;
	} lists[] = { { 100, 1 }, { 101, 0 }, { 205, 0 } };

	for (size_t i = 5; i < COUNT(h); i++)
		h[i] = (struct header){ "x", "y" };
	for (size_t i = 0; i < COUNT(lists); i++) {
		hello();
		put_headers(h, lists[i].n, 0);
		assert_int_equal(say(), 0);
		assert_int_equal(served_n, lists[i].opened);
		assert_int_equal(refused[H2_REFUSED_HEADERS], !lists[i].opened);
		assert_int_equal(teardown_raw(state), 0);
		assert_int_equal(setup_limits(state), 0);
	}
}

/* One entry of the table, named over and over (the HPACK bomb). */
static void
test_header_bomb(void **state)
{
	struct buf block;
	char value[3000];

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	hello();
	buf_init(&block, 65536);
	buf_put(&block, BYTES("\x83\x86\x44\x01/\x41\x01y\x40"));
	put_hpack_string(&block, "x");
	put_hpack_string(&block, value);
	for (int i = 0; i < 8000; i++)
		buf_put_u8(&block, 0x80 | 62);
	put_frame(HEADERS, END_HEADERS, 1, buf_head(&block),
	    buf_unread(&block));
	buf_free(&block);
	assert_int_equal(say(), -1);
	assert_goaway(H2_FLOODED, CALM, "too_many_headers");
	assert_int_equal(served_n, 0);
}

static void
test_compression_error(void **state)
{
	(void)state;
	hello();
	put_frame(HEADERS, END_HEADERS, 1, BYTES("\x80"));
	(void)say();
	assert_goaway(H2_BROKEN, COMPRESSION_ERROR, NULL);
}

static void
test_continuations(void **state)
{
	(void)state;
	hello();
	put_frame(HEADERS, 0, 1, BYTES("\x83"));
	for (int i = 0; i < 8; i++)
		put_frame(CONTINUATION, 0, 1, "", 0);
	assert_int_equal(say(), 0);
	for (int i = 0; i < 3; i++)
		put_frame(CONTINUATION, 0, 1, "", 0);
	assert_int_equal(say(), -1);
	assert_goaway(H2_FLOODED, CALM, "too_many_continuations");
}

/* A block that does not end is due 10 s after its first byte, whatever comes of
 * it; one that is whole never. */
static void
test_endless_headers(void **state)
{
	(void)state;
	hello();
	put_call_of(1, 0, no_more);
	assert_int_equal(say(), 0);
	pass(SECONDS(60));
	assert_int_equal(h2_fault(server), H2_FINE);
	put_frame(HEADERS, 0, 3, BYTES("\x83"));
	assert_int_equal(say(), 0);
	assert_true(h2_tick(server, now) == now + SECONDS(10));
	pass(SECONDS(9));
	put_frame(CONTINUATION, 0, 3, BYTES("\x86"));
	assert_int_equal(say(), 0);
	assert_int_equal(h2_fault(server), H2_FINE);
	pass(SECONDS(1));
	(void)say();
	assert_goaway(H2_TOO_SLOW, CALM, "request_headers_timeout");
}

/* The payload may be what does not come. */
static void
test_headers_drip(void **state)
{
	(void)state;
	hello();
	buf_put(&raw, BYTES("\0\0\x20\1\4\0\0\0\1\x83"));
	assert_int_equal(say(), 0);
	pass(SECONDS(11));
	(void)say();
	assert_goaway(H2_TOO_SLOW, CALM, "request_headers_timeout");
}

/* Streams */

static void
test_max_streams(void **state)
{
	const uint8_t *p;

	(void)state;
	limits.max_streams = 3;
	h2_del(server);
	server = h2_new_server(methods, &served_n, &limits);
	h2_tick(server, now);
	buf_put_str(&raw, PREFACE);
	put_frame(SETTINGS, 0, 0, "", 0);
	assert_int_equal(say(), 0);
	p = find_frame(SETTINGS);
	assert_memory_equal(p, "\0\3\0\0\0\3", 6);
	put_frame(SETTINGS, ACK, 0, "", 0);
	for (uint32_t id = 1; id <= 9; id += 2)
		put_call_of(id, 0, no_more);
	assert_int_equal(say(), 0);
	assert_int_equal(served_n, 3);
	assert_int_equal(limits.total, 3);
	assert_int_equal(count_frames(RST_STREAM), 2);
	assert_int_equal(number(find_frame(RST_STREAM)), REFUSED_STREAM);
	assert_int_equal(refused[H2_REFUSED_STREAMS], 2);
	/* What is on its way for them is passed over; the others live. */
	put_frame(DATA, 0, 7, BYTES("\0\0\0\0\1x"));
	put_frame(DATA, 0, 1, BYTES("\0\0\0\0\2ok"));
	put_frame(RST_STREAM, 0, 3, BYTES("\0\0\0\x08"));
	assert_int_equal(say(), 0);
	assert_got(&served[0], "ok\n");
	put_call_of(11, 0, no_more);
	assert_int_equal(say(), 0);
	assert_int_equal(served_n, 4);
}

static void
test_too_many_streams(void **state)
{
	(void)state;
	hello();
	at_open = NULL;
	limits.max_streams = 1;
	for (uint32_t i = 0; i < 1200; i++)
		put_call_of(1 + 2 * i, 0, no_more);
	(void)say();
	assert_goaway(H2_FLOODED, CALM, "too_many_streams");
}

static void
test_max_total(void **state)
{
	(void)state;
	limits.max_total = 2;
	hello();
	for (uint32_t id = 1; id <= 5; id += 2)
		put_call_of(id, END_STREAM, no_more);
	assert_int_equal(say(), 0);
	assert_int_equal(served_n, 2);
	assert_int_equal(refused[H2_REFUSED_STREAMS], 1);
	assert_int_equal(count_frames(HEADERS), 3);
	h2_end(served[0].stream, GRPC_OK, "%s", "");
	assert_int_equal(say(), 0);
	assert_int_equal(limits.total, 1);
	put_call_of(7, END_STREAM, no_more);
	assert_int_equal(say(), 0);
	assert_int_equal(served_n, 3);
}

/* Calls that are open to all have a number of their own, and a time. */
static void
test_open_to_all(void **state)
{
	(void)state;
	limits.max_total = 32; /* and 3 of the others */
	hello();
	for (uint32_t id = 1; id <= 9; id += 2)
		put_call_to("/test.Service/Open", id, 0, no_more);
	assert_int_equal(say(), 0);
	assert_int_equal(served_n, 3);
	assert_int_equal(limits.total_open, 3);
	assert_int_equal(refused[H2_REFUSED_STREAMS], 2);
	put_call_of(11, END_STREAM, no_more);
	assert_int_equal(say(), 0);
	assert_int_equal(served_n, 4);
	assert_int_equal(limits.total, 1);
	pass(SECONDS(11));
	assert_int_equal(say(), 0);
	assert_int_equal(limits.total_open, 0);
	assert_int_equal(served[0].closed, 1);
	assert_int_equal(limits.total, 1);
}

static const struct {
	int type, flags;
	uint32_t id;
	enum h2_fault fault;
	uint32_t code;
} late[] = {
	{ DATA, 0, 3, H2_BROKEN, STREAM_CLOSED }, /* reset by the peer */
	{ HEADERS, 4, 3, H2_BROKEN, STREAM_CLOSED },
	{ DATA, 0, 5, H2_BROKEN, STREAM_CLOSED }, /* ended by both */
	{ HEADERS, 4, 5, H2_BROKEN, STREAM_CLOSED },
	{ HEADERS, 4, 1, H2_BROKEN, PROTOCOL_ERROR }, /* never was */
	{ DATA, 0, 7, H2_FINE, 0 },                   /* ended by us */
};

static void
test_late_frames(void **state)
{
	for (size_t i = 0; i < COUNT(late); i++) {
		hello();
		put_call_of(3, 0, no_more);
		put_frame(RST_STREAM, 0, 3, BYTES("\0\0\0\x08"));
		put_call_of(5, END_STREAM, no_more);
		put_call_of(7, 0, no_more);
		assert_int_equal(say(), 0);
		h2_end(served[1].stream, GRPC_OK, "%s", "");
		h2_end(served[2].stream, GRPC_OK, "%s", "");
		assert_int_equal(say(), 0);
		assert_int_equal(served[2].closed, 1);
		put_frame(late[i].type, late[i].flags, late[i].id, "", 0);
		(void)say();
		assert_int_equal(h2_fault(server), late[i].fault);
		if (late[i].fault != H2_FINE)
			assert_goaway(H2_BROKEN, late[i].code, NULL);
		assert_int_equal(teardown_raw(state), 0);
		assert_int_equal(setup_limits(state), 0);
	}
}

/* Headers that HTTP/2 does not have: the stream is reset, nothing is opened. */
static void
test_bad_headers(void **state)
{
	static const struct header bad[] = { { "te", "gzip" },
		{ "connection", "close" }, { "transfer-encoding", "chunked" },
		{ "Upper", "x" }, { ":authority", "again" },
		{ ":scheme", "http" }, { ":unknown", "x" }, { "x", "a\nb" },
		{ "a b", "x" }, { "content-length", "x" } };

	for (size_t i = 0; i < COUNT(bad); i++) {
		hello();
		put_call_of(1, 0, bad[i]);
		assert_int_equal(say(), 0);
		if (served_n != 0)
			fail_msg("taken: %s", bad[i].name);
		assert_int_equal(number(find_frame(RST_STREAM)),
		    PROTOCOL_ERROR);
		assert_true(h2_idle(server));
		/* The connection is none the worse. */
		put_call_of(3, 0, (struct header){ "te", "trailers" });
		assert_int_equal(say(), 0);
		assert_int_equal(served_n, 1);
		assert_int_equal(teardown_raw(state), 0);
		assert_int_equal(setup_limits(state), 0);
	}
}

/* The client's GOAWAY: what is open goes on, then it is over. */
static void
test_goaway_of_the_client(void **state)
{
	(void)state;
	hello();
	put_call_of(1, 0, no_more);
	put_frame(GOAWAY, 0, 0, BYTES("\0\0\0\0\0\0\0\0bye"));
	assert_int_equal(say(), 0);
	side_send(&served[0], "x", 1);
	assert_int_equal(say(), 0);
	assert_non_null(find_frame(DATA));
	assert_false(h2_over(server));
	h2_end(served[0].stream, GRPC_OK, "%s", "");
	assert_int_equal(say(), 0);
	assert_true(h2_over(server));
	assert_int_equal(h2_fault(server), H2_FINE);
}

/* Deadlines */

static void
test_deadline(void **state)
{
	(void)state;
	hello();
	put_call_of(1, 0, (struct header){ "grpc-timeout", "1S" });
	put_call_of(3, 0, (struct header){ "grpc-timeout", "2S" });
	put_call_of(5, 0, no_more);
	assert_int_equal(say(), 0);
	assert_true(h2_tick(server, now) == now + SECONDS(1));
	pass(MS(999));
	assert_int_equal(served[0].closed, 0);
	pass(MS(1));
	assert_int_equal(say(), 0);
	assert_int_equal(served[0].closed, 1);
	assert_int_equal(count_frames(RST_STREAM), 1);
	assert_int_equal(number(find_frame(RST_STREAM)), CANCEL);
	assert_int_equal(served[1].closed, 0);
	pass(SECONDS(1));
	assert_int_equal(say(), 0);
	assert_int_equal(served[1].closed, 1);
	pass(SECONDS(1000));
	assert_int_equal(served[2].closed, 0);
	assert_true(h2_tick(server, now) == INT64_MAX);
}

/* The status is all there is to send, so it is sent. */
static void
test_deadline_before_response(void **state)
{
	(void)state;
	at_open = NULL;
	hello();
	put_call_of(1, END_STREAM, (struct header){ "grpc-timeout", "10m" });
	assert_int_equal(say(), 0);
	pass(MS(10));
	assert_int_equal(say(), 0);
	assert_int_equal(count_frames(HEADERS), 1);
	assert_int_equal(served[0].closed, 1);
	assert_int_equal(served[0].code, GRPC_DEADLINE_EXCEEDED);
}

static const struct {
	const char *timeout;
	int http_status;
	enum grpc_code code;
} timeouts[] = {
	{ "0S", 200, GRPC_DEADLINE_EXCEEDED },
	{ "00000000n", 200, GRPC_DEADLINE_EXCEEDED },
	{ "123456789S", 400, GRPC_INTERNAL },
	{ "-1S", 400, GRPC_INTERNAL },
	{ "1s", 400, GRPC_INTERNAL },
	{ "1", 400, GRPC_INTERNAL },
	{ "S", 400, GRPC_INTERNAL },
	{ "", 400, GRPC_INTERNAL },
	{ "99999999H", 0, GRPC_OK },
	{ "1n", 0, GRPC_OK },
};

static void
test_timeouts(void **state)
{
	for (size_t i = 0; i < COUNT(timeouts); i++) {
		put_request("POST", "application/grpc", CALL,
		    (struct header){ "grpc-timeout", timeouts[i].timeout }, 0);
		assert_int_equal(exchange(), 0);
		assert_int_equal(served_n, timeouts[i].http_status == 0);
		assert_int_equal(caller.http_status,
		    timeouts[i].http_status != 0 ? timeouts[i].http_status : 0);
		assert_int_equal(caller.code, timeouts[i].code);
		assert_int_equal(teardown_raw(state), 0);
		assert_int_equal(setup_limits(state), 0);
	}
}

/* Ends */

/* A server says nothing before the client did: it may speak HTTP/1. */
static void
test_mute(void **state)
{
	(void)state;
	assert_false(h2_want_write(server));
	assert_int_equal(say(), 0);
	assert_int_equal(buf_unread(&reply), 0);
	assert_false(h2_greeted(server));
	buf_put(&raw, "P", 1);
	assert_int_equal(say(), 0);
	assert_non_null(find_frame(SETTINGS));
	buf_put_str(&raw, PREFACE + 1);
	put_frame(SETTINGS, 0, 0, "", 0);
	assert_int_equal(say(), 0);
	assert_true(h2_greeted(server));
	assert_false(h2_settled(server));
	put_frame(SETTINGS, ACK, 0, "", 0);
	assert_int_equal(say(), 0);
	assert_true(h2_settled(server));
}

static void
test_not_http2(void **state)
{
	(void)state;
	buf_put_str(&raw, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(say(), -1);
	assert_int_equal(h2_fault(server), H2_NOT_HTTP2);
	assert_int_equal(buf_unread(&reply), 0);
	assert_true(h2_over(server));
}

static void
test_grace(void **state)
{
	const uint8_t *p;

	(void)state;
	hello();
	put_call_of(1, 0, no_more);
	assert_int_equal(say(), 0);
	h2_notice(server);
	assert_int_equal(say(), 0);
	assert_memory_equal(find_frame(GOAWAY), "\x7f\xff\xff\xff\0\0\0\0", 8);
	assert_non_null(p = find_frame(PING));
	assert_true(p > find_frame(GOAWAY));
	/* One that was on its way. */
	put_call_of(3, END_STREAM, no_more);
	assert_int_equal(h2_noticed(server), 0);
	put_frame(PING, ACK, 0, p, 8);
	assert_int_equal(say(), 0);
	assert_true(h2_noticed(server));
	assert_int_equal(served_n, 2);
	h2_goaway(server, "max_age");
	/* And one that is too late: its client knows that it was not served. */
	put_call_of(5, END_STREAM, no_more);
	assert_int_equal(say(), 0);
	assert_int_equal(served_n, 2);
	assert_int_equal(count_frames(HEADERS), 0);
	assert_memory_equal(find_frame(GOAWAY), "\0\0\0\3\0\0\0\0max_age", 15);
	put_call_of(7, END_STREAM, no_more);
	assert_int_equal(say(), 0);
	assert_int_equal(served_n, 2);
	assert_int_equal(buf_unread(&reply), 0);
	assert_false(h2_over(server));
	assert_int_equal(h2_fault(server), H2_FINE);
	h2_end_all(server, "max_age");
	assert_int_equal(say(), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(served[i].closed, 1);
		assert_int_equal(served[i].code, GRPC_UNAVAILABLE);
	}
	assert_true(h2_over(server));
}

static void
test_too_slow(void **state)
{
	(void)state;
	buf_put_str(&raw, PREFACE);
	put_frame(SETTINGS, 0, 0, "", 0);
	assert_int_equal(say(), 0);
	h2_too_slow(server, "settings");
	(void)say();
	assert_goaway(H2_TOO_SLOW, SETTINGS_TIMEOUT, "settings_timeout");
}

static void
test_spent(void **state)
{
	(void)state;
	hello();
	put_call_of(1, 0, no_more);
	assert_int_equal(say(), 0);
	assert_false(h2_spent(server));
	put_call_of(INT32_MAX, 0, no_more);
	assert_int_equal(say(), 0);
	assert_true(h2_spent(server));
	assert_int_equal(served_n, 2);
}

/* Windows are given back while somebody listens: of both after 32 KiB. */
static void
test_windows(void **state)
{
	char big[16384] = { 0 };
	int updates = 0;

	(void)state;
	hello();
	put_call_of(1, 0, no_more);
	assert_int_equal(say(), 0);
	for (int i = 0; i < 100; i++) {
		put_frame(DATA, 0, 1, BYTES("\0\0\0\x3f\xf0"));
		put_frame(DATA, 0, 1, big, 16368);
		assert_int_equal(say(), 0);
		updates += count_frames(WINDOW_UPDATE);
	}
	assert_int_equal(served[0].messages, 100);
	assert_in_range(updates, 60, 110);
	/* Not that of a call that is over for us, only the connection's. */
	updates = 0;
	at_open = NULL;
	put_call_of(3, 0, no_more);
	assert_int_equal(say(), 0);
	h2_end(served[1].stream, GRPC_OK, "%s", "");
	for (int i = 0; i < 3; i++)
		put_frame(DATA, 0, 3, big, 16384);
	assert_int_equal(say(), 0);
	assert_int_equal(count_frames(WINDOW_UPDATE), 1);
	assert_int_equal(h2_fault(server), H2_FINE);
}

/* Who speaks no gRPC gets a text, or if his window is shut, ten seconds. */
static void
test_text(void **state)
{
	static const struct header h[] = { { ":method", "GET" },
		{ ":scheme", "http" }, { ":path", "/" },
		{ ":authority", "localhost" }, { "user-agent", "curl/8" } };

	(void)state;
	hello();
	put_headers_of(1, h, COUNT(h), END_STREAM);
	assert_int_equal(say(), 0);
	assert_memory_equal(find_frame(DATA), "this port speaks gRPC", 21);
	assert_true(h2_idle(server));
	assert_string_equal(h2_agent(server), "curl/8");
	put_frame(SETTINGS, 0, 0, BYTES("\0\4\0\0\0\0"));
	put_headers_of(3, h, COUNT(h), END_STREAM);
	assert_int_equal(say(), 0);
	assert_null(find_frame(DATA));
	assert_false(h2_idle(server));
	pass(SECONDS(10));
	assert_int_equal(say(), 0);
	assert_int_equal(number(find_frame(RST_STREAM)), CANCEL);
	assert_true(h2_idle(server));
}

#undef TEST

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LIMIT(test_many_headers),
		LIMIT(test_header_bomb),
		LIMIT(test_compression_error),
		LIMIT(test_continuations),
		LIMIT(test_endless_headers),
		LIMIT(test_headers_drip),
		LIMIT(test_max_streams),
		LIMIT(test_too_many_streams),
		LIMIT(test_max_total),
		LIMIT(test_open_to_all),
		LIMIT(test_late_frames),
		LIMIT(test_bad_headers),
		LIMIT(test_goaway_of_the_client),
		LIMIT(test_deadline),
		LIMIT(test_deadline_before_response),
		LIMIT(test_timeouts),
		LIMIT(test_mute),
		LIMIT(test_not_http2),
		LIMIT(test_grace),
		LIMIT(test_too_slow),
		LIMIT(test_spent),
		LIMIT(test_windows),
		LIMIT(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
