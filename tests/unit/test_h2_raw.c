#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "h2_raw.h"
#include "rnd.h"

static void
respond(struct side *x)
{
	h2_respond(x->stream);
}

/* Requests */

static const struct {
	const char *method, *content_type, *path;
	int http_status; /* 0: the call is taken */
	enum grpc_code code;
} requests[] = {
	{ "POST", "application/grpc", CALL, 0, GRPC_OK },
	{ "POST", "application/grpc+proto", CALL, 0, GRPC_OK },
	{ "POST", "application/grpc;charset=utf-8", CALL, 0, GRPC_OK },
	{ "POST", "application/grpc+proto;x=y", CALL, 0, GRPC_OK },
	{ "POST", "Application/GRPC", CALL, 0, GRPC_OK },
	{ "POST", "application/grpcx", CALL, 415, GRPC_INVALID_ARGUMENT },
	{ "POST", "application/grpc-web", CALL, 415, GRPC_INVALID_ARGUMENT },
	{ "POST", "application/grpc+json", CALL, 415, GRPC_INVALID_ARGUMENT },
	{ "POST", "application/grpc+protox", CALL, 415, GRPC_INVALID_ARGUMENT },
	{ "POST", "application/grp", CALL, 415, GRPC_INVALID_ARGUMENT },
	{ "POST", "application/json", CALL, 415, GRPC_INVALID_ARGUMENT },
	{ "POST", "text/html", CALL, 415, GRPC_INVALID_ARGUMENT },
	{ "POST", "", CALL, 415, GRPC_INVALID_ARGUMENT },
	{ "POST", NULL, CALL, 415, GRPC_INVALID_ARGUMENT },
	{ "GET", "application/grpc", CALL, 405, GRPC_INTERNAL },
	{ "PUT", "application/grpc", CALL, 405, GRPC_INTERNAL },
	{ "POSTS", "application/grpc", CALL, 405, GRPC_INTERNAL },
	{ "POST", "application/grpc", "/nope", 200, GRPC_UNIMPLEMENTED },
	{ "GET", "text/html", "/", 405, GRPC_INTERNAL },
};

static void
test_requests(void **state)
{
	for (size_t i = 0; i < COUNT(requests); i++) {
		put_request(requests[i].method, requests[i].content_type,
		    requests[i].path, no_more, 0);
		assert_int_equal(exchange(), 0);
		h2_tick(server,
		    SECONDS(1)); /* what is no gRPC waits for that */
		assert_int_equal(exchange(), 0);
		assert_int_equal(served_n, requests[i].http_status == 0);
		assert_int_equal(caller.closed, requests[i].http_status != 0);
		assert_int_equal(caller.http_status, requests[i].http_status);
		assert_int_equal(caller.code, requests[i].code);
		assert_int_equal(h2_idle(server), served_n == 0);
		assert_int_equal(teardown_raw(state), 0);
		assert_int_equal(setup_raw(state), 0);
	}
}

/* What is no gRPC is answered when it has ended, or has had time to: so that
 * what is wrong with the rest of it is told, and not met by a stream that is
 * over. */
static void
test_held(void **state)
{
	put_request("POST", "text/html", CALL, no_more, 0);
	assert_int_equal(exchange(), 0);
	assert_int_equal(caller.http_status, 0);
	h2_tick(server, SECONDS(1));
	assert_int_equal(exchange(), 0);
	assert_int_equal(caller.http_status, 415);
	assert_int_equal(teardown_raw(state), 0);
	assert_int_equal(setup_raw(state), 0);
	put_request("POST", "text/html", CALL, no_more, END_STREAM);
	assert_int_equal(exchange(), 0);
	assert_non_null(caller.stream); /* the client has not half-closed */
	assert_int_equal(caller.stream->http_status, 415);
}

static void
test_long_path(void **state)
{
	char path[5001];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[5000] = '\0';
	put_request("POST", "application/grpc", path, no_more, 0);
	assert_int_equal(exchange(), 0);
	assert_ended(&caller, GRPC_UNIMPLEMENTED, NULL);
	assert_int_equal(served_n, 0);
}

static void
test_headers_too_large(void **state)
{
	char value[9000];

	(void)state;
	memset(value, 'x', sizeof(value));
	value[7000] = '\0';
	put_request("POST", "application/grpc", CALL,
	    (struct header){ "x", value }, 0);
	assert_int_equal(exchange(), 0);
	assert_int_equal(served_n, 1);
	assert_int_equal(teardown_raw(state), 0);
	assert_int_equal(setup_raw(state), 0);
	value[7000] = 'x';
	value[8192] = '\0';
	put_request("POST", "application/grpc", CALL,
	    (struct header){ "x", value }, 0);
	assert_int_equal(exchange(), 0);
	assert_ended(&caller, GRPC_RESOURCE_EXHAUSTED, NULL);
	assert_int_equal(served_n, 0);
}

static void
test_consumer(void **state)
{
	static const size_t lens[] = { 1, 7, 255, 256, 4000 };
	char name[4001];

	for (size_t i = 0; i < COUNT(lens); i++) {
		memset(name, 'x', sizeof(name));
		name[lens[i]] = '\0';
		put_request("POST", "application/grpc", CALL,
		    (struct header){ "walstream-consumer", name }, 0);
		assert_int_equal(exchange(), 0);
		assert_string_equal(served[0].consumer,
		    lens[i] > 255 ? "(NULL)" : name);
		assert_string_equal(h2_consumer(served[0].stream), "");
		assert_int_equal(teardown_raw(state), 0);
		assert_int_equal(setup_raw(state), 0);
	}
	put_call(0);
	assert_int_equal(exchange(), 0);
	assert_string_equal(served[0].consumer, "");
}

/* Messages */

static void
test_one_byte_frames(void **state)
{
	static const char body[] = "\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\1d";

	(void)state;
	put_call(0);
	for (size_t i = 0; i < sizeof(body) - 1; i++) {
		put_frame(DATA, 0, 1, "", 0);
		put_frame(DATA, 0, 1, body + i, 1);
	}
	assert_int_equal(exchange(), 0);
	assert_got(&served[0], "abc\n\nd\n");
}

static void
test_many_messages_in_a_padded_frame(void **state)
{
	(void)state;
	put_call(0);
	put_frame(DATA, PADDED, 1,
	    BYTES("\4\0\0\0\0\3abc\0\0\0\0\0\0\0\0\0\1d\0\0\0\0"));
	assert_int_equal(exchange(), 0);
	assert_got(&served[0], "abc\n\nd\n");
	assert_int_equal(caller.closed, 0);
}

static const struct {
	const char *encoding, *bytes;
	size_t len;
	enum grpc_code code;
} bad_messages[] = {
	{ NULL, BYTES("\1\0\0\0\3abc"), GRPC_INTERNAL },
	{ "identity", BYTES("\1\0\0\0\3abc"), GRPC_INTERNAL },
	{ "gzip", BYTES("\1\0\0\0\3abc"), GRPC_UNIMPLEMENTED },
	{ NULL, BYTES("\2\0\0\0\3abc"), GRPC_INTERNAL },
	{ "gzip", BYTES("\xff\0\0\0\3abc"), GRPC_INTERNAL },
	/* at the fifth byte of the prefix, long before the message is there */
	{ NULL, BYTES("\0\0\3\x0d\x41"), GRPC_RESOURCE_EXHAUSTED },
	{ NULL, BYTES("\0\xff\xff\xff\xff"), GRPC_RESOURCE_EXHAUSTED },
};

static void
test_bad_messages(void **state)
{
	for (size_t i = 0; i < COUNT(bad_messages); i++) {
		put_request("POST", "application/grpc", CALL,
		    (struct header){ "grpc-encoding",
			bad_messages[i].encoding },
		    0);
		put_frame(DATA, 0, 1, BYTES("\0\0\0\0\2ok"));
		put_frame(DATA, 0, 1, bad_messages[i].bytes,
		    bad_messages[i].len);
		put_frame(DATA, 0, 1, BYTES("\0\0\0\0\5never"));
		assert_int_equal(exchange(), 0);
		assert_got(&served[0], "ok\n");
		assert_ended(&caller, bad_messages[i].code, NULL);
		assert_string_not_equal(caller.message, "");
		assert_int_equal(served[0].closed, 1);
		assert_int_equal(teardown_raw(state), 0);
		assert_int_equal(setup_raw(state), 0);
	}
}

/* With an encoding, messages that are not compressed are fine. */
static void
test_encoding_not_used(void **state)
{
	(void)state;
	put_request("POST", "application/grpc", CALL,
	    (struct header){ "grpc-encoding", "gzip" }, 0);
	put_frame(DATA, 0, 1, BYTES("\0\0\0\0\2ok"));
	assert_int_equal(exchange(), 0);
	assert_got(&served[0], "ok\n");
	assert_int_equal(caller.closed, 0);
}

/* Half close */

static void
end_after(struct side *x)
{
	x->end_after = true;
	h2_respond(x->stream);
}

/* Between messages it is the client's good right. */
static void
test_half_close(void **state)
{
	(void)state;
	at_open = respond;
	put_call(0);
	put_frame(DATA, 0, 1, BYTES("\0\0\0\0\2ok"));
	put_frame(DATA, END_STREAM, 1, "", 0);
	assert_int_equal(exchange(), 0);
	assert_int_equal(served[0].half_closed, 1);
	assert_true(served[0].stream->half_closed);
	assert_int_equal(served[0].closed, 0);
	/* It still receives. */
	side_send(&served[0], "one", 3);
	assert_int_equal(exchange(), 0);
	assert_got(&caller, "one\n");
	h2_end(served[0].stream, GRPC_ABORTED, "enough");
	assert_int_equal(exchange(), 0);
	assert_status(GRPC_ABORTED);
	assert_null(find_frame(RST_STREAM));
}

static void
test_half_close_with_headers(void **state)
{
	(void)state;
	at_open = end_after;
	put_call(END_STREAM);
	assert_int_equal(exchange(), 0);
	assert_int_equal(served[0].half_closed, 1);
	assert_status(GRPC_OK);
}

/* A handler need not care. */
static void
test_half_close_unhandled(void **state)
{
	(void)state;
	put_request("POST", "application/grpc", "/test.Service/Small", no_more,
	    END_STREAM);
	assert_int_equal(exchange(), 0);
	assert_int_equal(served_n, 1);
	assert_true(served[0].stream->half_closed);
	assert_int_equal(caller.closed, 0);
}

/* Inside a prefix or a message it is an error, at every byte. */
static void
test_half_close_everywhere(void **state)
{
	static const char body[] = "\0\0\0\0\3abc\0\0\0\0\1d";
	static const size_t boundaries[] = { 0, 8, 14 };

	for (size_t n = 0, next = 0; n < sizeof(body); n++) {
		bool whole = n == boundaries[next];

		next += whole;
		at_open = end_after;
		put_call(0);
		put_frame(DATA, END_STREAM, 1, body, n);
		assert_int_equal(exchange(), 0);
		assert_int_equal(served[0].half_closed, whole);
		assert_status(whole ? GRPC_OK : GRPC_INTERNAL);
		assert_int_equal(teardown_raw(state), 0);
		assert_int_equal(setup_raw(state), 0);
	}
}

/* The call is over before the client has half-closed: it need not finish, and
 * is told so. */
static void
test_end_while_request_is_open(void **state)
{
	const uint8_t *p;

	(void)state;
	at_open = respond;
	put_call(0);
	assert_int_equal(exchange(), 0);
	h2_end(served[0].stream, GRPC_ABORTED, "enough");
	assert_int_equal(exchange(), 0);
	assert_ended(&caller, GRPC_ABORTED, "enough");
	p = find_frame(RST_STREAM);
	assert_non_null(p);
	assert_memory_equal(p, "\0\0\0\0", 4); /* NO_ERROR */
	assert_int_equal(served[0].closed, 1);
}

static void
test_reset_by_client(void **state)
{
	(void)state;
	at_open = respond;
	put_call(0);
	put_frame(DATA, 0, 1, BYTES("\0\0\0\0\2ok\0\0"));
	put_frame(RST_STREAM, 0, 1, BYTES("\0\0\0\x08"));
	assert_int_equal(exchange(), 0);
	assert_int_equal(served[0].closed, 1);
	assert_int_equal(served[0].half_closed, 0);
	assert_got(&served[0], "ok\n");
	assert_true(h2_idle(server));
}

/* What is not HTTP/2 */

static const struct {
	const char *bytes;
	size_t len;
} garbage[] = {
	{ BYTES("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") },
	{ BYTES("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n") },
	{ BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") },
	{ BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0") },
	{ BYTES("PRI * HTTP/1.0\r\n\r\nSM\r\n\r\n") },
	{ BYTES("PRI * HTTP/2.0\r\n\r\nsm\r\n\r\n") },
};

static void
test_garbage_for_a_preface(void **state)
{
	for (size_t i = 0; i < 2 * COUNT(garbage); i++) {
		const char *bytes = garbage[i / 2].bytes;

		chunk = i % 2 == 0 ? SIZE_MAX : 1;
		assert_int_equal(give(server, (const uint8_t *)bytes,
				     garbage[i / 2].len),
		    -1);
		assert_int_equal(err.kind, ERR_PROTO);
		assert_string_not_equal(err.text, "");
		/* What is left to say can be asked for. */
		(void)h2_output(server, &reply, 65536, &err);
		assert_int_equal(served_n, 0);
		assert_int_equal(teardown_raw(state), 0);
		assert_int_equal(setup_raw(state), 0);
	}
}

/* A client that got to something else is told so too. */
static void
test_garbage_for_a_server(void **state)
{
	static const char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

	(void)state;
	call(&caller, CALL);
	assert_int_equal(h2_output(client, &raw, 65536, &err), 0);
	if (give(client, (const uint8_t *)http, strlen(http)) == -1) {
		assert_int_equal(err.kind, ERR_PROTO);
		return;
	}
	assert_int_equal(h2_output(client, &raw, 65536, &err), 0);
	assert_true(h2_over(client));
}

/* The connection is told off with a GOAWAY, and is over. */
static void
test_protocol_errors(void **state)
{
	static const struct {
		int type, flags;
		uint32_t id;
		const char *p;
		size_t n;
	} frames[] = {
		{ DATA, 0, 0, BYTES("x") },             /* of no stream */
		{ DATA, 0, 7, BYTES("x") },             /* of one to come */
		{ HEADERS, END_HEADERS, 2, BYTES("") }, /* an even one */
		{ HEADERS, END_HEADERS, 3, BYTES("\xff\xff\xff\xff") },
		{ SETTINGS, 0, 1, BYTES("") },
		{ SETTINGS, 0, 0, BYTES("x") },
		{ RST_STREAM, 0, 7, BYTES("\0\0\0\0") },
	};

	for (size_t i = 0; i < COUNT(frames); i++) {
		put_call(0);
		put_frame(frames[i].type, frames[i].flags, frames[i].id,
		    frames[i].p, frames[i].n);
		if (exchange() == 0) {
			assert_non_null(find_frame(GOAWAY));
			assert_true(h2_over(server));
		}
		assert_int_equal(teardown_raw(state), 0);
		assert_int_equal(setup_raw(state), 0);
	}
}

/* Sessions with a few bytes changed, in pieces of any size. Whatever comes,
 * every call is closed once and all memory is given back. */
static void
test_mutations(void **state)
{
	uint64_t seed = 20240305;
	int opened = 0;

	for (int i = 0; i < 4000; i++) {
		at_open = i % 2 == 0 ? respond : end_after;
		put_call(0);
		put_frame(DATA, 0, 1, BYTES("\0\0\0\0\3abc\0\0\0"));
		put_frame(DATA, END_STREAM, 1, BYTES("\0\1d"));
		for (uint32_t k = rnd_below(&seed, 4); k > 0; k--)
			raw.data[24 +
			    rnd_below(&seed, (uint32_t)raw.len - 24)] =
			    (uint8_t)rnd_next(&seed);
		chunk = 1 + rnd_below(&seed, 60);
		(void)give(server, raw.data, raw.len);
		if (served_n > 0 && served[0].stream != NULL)
			side_send(&served[0], "x", 1);
		(void)h2_output(server, &reply, 65536, &err);
		opened += served_n;
		assert_int_equal(teardown_raw(state), 0);
		assert_int_equal(setup_raw(state), 0);
	}
	assert_in_range(opened, 1000, 3999);
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_raw, teardown_raw)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_requests),
		TEST(test_held),
		TEST(test_long_path),
		TEST(test_headers_too_large),
		TEST(test_consumer),
		TEST(test_one_byte_frames),
		TEST(test_many_messages_in_a_padded_frame),
		TEST(test_bad_messages),
		TEST(test_encoding_not_used),
		TEST(test_half_close),
		TEST(test_half_close_with_headers),
		TEST(test_half_close_unhandled),
		TEST(test_half_close_everywhere),
		TEST(test_end_while_request_is_open),
		TEST(test_reset_by_client),
		TEST(test_garbage_for_a_preface),
		TEST(test_garbage_for_a_server),
		TEST(test_protocol_errors),
		TEST(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
