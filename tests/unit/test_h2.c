#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/utf8.h"
#include "h2_pair.h"

#define CALL "/test.Service/Call"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What servers do first. */

static void
echo(struct side *x)
{
	x->echo = true;
	h2_respond(x->stream);
}

static void
respond(struct side *x)
{
	h2_respond(x->stream);
}

static void
refuse(struct side *x)
{
	h2_end(x->stream, GRPC_PERMISSION_DENIED, "not %s", "you");
	h2_end(x->stream, GRPC_INTERNAL, "the second does not count");
	h2_respond(x->stream);
}

/* Messages there and back, given and taken in pieces of these sizes. */
static void
echo_in_pieces(size_t piece, size_t wire)
{
	char big[2001];

	memset(big, 'x', 2000);
	big[2000] = '\0';
	at_open = echo;
	chunk = wire;
	caller.piece = piece;
	call(&caller, CALL);
	side_send(&caller, "one", 3);
	side_send(&caller, "", 0);
	pump();
	served[0].piece = piece;
	side_send(&caller, big, 2000);
	side_send(&caller, "two", 3);
	pump();
	assert_int_equal(caller.responded, 1);
	assert_int_equal(caller.messages, 4);
	assert_int_equal(buf_unread(&caller.got), 4 + 1 + 2001 + 4);
	assert_memory_equal(buf_head(&caller.got), "one\n\nxxx", 8);
	assert_int_equal(caller.closed, 0);
	h2_end(served[0].stream, GRPC_OK, "%s", "");
	pump();
	assert_ended(&caller, GRPC_OK, "");
	assert_int_equal(caller.http_status, 200);
	assert_int_equal(caller.responded, 1); /* trailers are no response */
	assert_int_equal(served[0].closed, 1);
	assert_true(h2_idle(server));
}

static void
test_echo(void **state)
{
	static const size_t sizes[] = { SIZE_MAX, 1, 2, 3, 7, 1000 };

	for (size_t i = 0; i < COUNT(sizes); i++)
		for (size_t k = 0; k < COUNT(sizes); k++) {
			echo_in_pieces(sizes[i], sizes[k]);
			assert_int_equal(teardown(state), 0);
			assert_int_equal(setup(state), 0);
		}
}

/* Nothing is sent before h2_respond, and headers come before any message. */
static void
test_respond(void **state)
{
	(void)state;
	call(&caller, CALL);
	side_send(&caller, "x", 1);
	pump();
	side_send(&served[0], "early", 5);
	pump();
	assert_int_equal(caller.responded, 0);
	assert_int_equal(served[0].messages, 1);
	h2_respond(served[0].stream);
	h2_respond(served[0].stream); /* again: nothing */
	pump();
	assert_int_equal(caller.responded, 1);
	assert_got(&caller, "early\n");
}

static void
test_many_calls(void **state)
{
	struct side callers[8];
	char text[2] = "a", want[] = "a\na\n";

	(void)state;
	at_open = echo;
	for (int i = 0; i < 8; i++) {
		side_init(&callers[i]);
		call(&callers[i], CALL);
	}
	pump();
	assert_int_equal(served_n, 8);
	for (int i = 0; i < 16; i++) {
		text[0] = (char)('a' + i % 8);
		side_send(&callers[i % 8], text, 1);
	}
	pump();
	for (int i = 0; i < 8; i++) {
		want[0] = want[2] = (char)('a' + i);
		assert_got(&callers[i], want);
		assert_got(&served[i], want);
	}
	h2_end(served[3].stream, GRPC_ABORTED, "%s", "x");
	pump();
	for (int i = 0; i < 8; i++)
		assert_int_equal(callers[i].closed, i == 3);
	h2_del(client);
	client = h2_new_client();
	for (int i = 0; i < 8; i++) {
		assert_int_equal(callers[i].closed, 1);
		side_free(&callers[i]);
	}
}

static void
test_unknown_method(void **state)
{
	static const char *const paths[] = { "/test.Service/Cal",
		"/test.Service/Calls", "/test.Service/Call/", "/test.Service",
		"//test.Service/Call", "/", "/test.Service/call",
		"/test.Service/Call?x=1", "/test.Service%2FCall" };

	for (size_t i = 0; i < COUNT(paths); i++) {
		call(&caller, paths[i]);
		pump();
		assert_ended(&caller, GRPC_UNIMPLEMENTED, NULL);
		assert_int_equal(caller.http_status, 200);
		assert_non_null(strstr(caller.message, paths[i]));
		assert_int_equal(served_n, 0);
		assert_true(h2_idle(server));
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
	}
}

/* Trailers only: the call ends before its response began. */
static void
test_end_before_respond(void **state)
{
	(void)state;
	at_open = refuse;
	call(&caller, CALL);
	side_send(&caller, "x", 1);
	pump();
	assert_ended(&caller, GRPC_PERMISSION_DENIED, "not you");
	assert_int_equal(caller.http_status, 200);
	assert_int_equal(caller.messages, 0);
	assert_int_equal(served[0].closed, 1);
	assert_true(h2_idle(server));
}

static void
test_end_later_before_respond(void **state)
{
	(void)state;
	call(&caller, CALL);
	pump();
	assert_int_equal(caller.closed, 0);
	h2_end(served[0].stream, GRPC_DATA_LOSS, "slot gone");
	pump();
	assert_ended(&caller, GRPC_DATA_LOSS, "slot gone");
}

/* The message that is on its way is finished; what is queued behind it is not
 * begun. */
static void
test_end_in_mid_message(void **state)
{
	char big[1001];

	(void)state;
	memset(big, 'x', 1000);
	big[1000] = '\n';
	at_open = respond;
	call(&caller, CALL);
	pump();
	served[0].piece = 10;
	side_send(&served[0], big, 1000);
	side_send(&served[0], "never", 5);
	assert_true(move(server, client, 200));
	assert_in_range(served[0].left, 1, 999);
	h2_end(served[0].stream, GRPC_ABORTED, "replaced");
	assert_int_equal(caller.closed, 0);
	pump();
	assert_ended(&caller, GRPC_ABORTED, "replaced");
	assert_int_equal(caller.messages, 1);
	assert_int_equal(buf_unread(&caller.got), 1001);
	assert_memory_equal(buf_head(&caller.got), big, 1001);
	assert_int_equal(served[0].closed, 1);
}

static void
test_end_between_messages(void **state)
{
	(void)state;
	at_open = respond;
	call(&caller, CALL);
	pump();
	side_send(&served[0], "one", 3);
	pump();
	h2_end(served[0].stream, GRPC_UNAVAILABLE, "shutting down");
	h2_end(served[0].stream, GRPC_OK, "no");
	side_send(&served[0], "never", 5);
	pump();
	assert_ended(&caller, GRPC_UNAVAILABLE, "shutting down");
	assert_got(&caller, "one\n");
}

static void
test_status_messages(void **state)
{
	static const char *const texts[] = { "100% \xc3\xa9\xe2\x82\xac", "",
		"a\nb\r\n\tc", "%41", "\x7f\x01" };

	for (size_t i = 0; i < 2 * COUNT(texts); i++) {
		const char *text = texts[i / 2];

		at_open = i % 2 == 0 ? respond : NULL;
		call(&caller, CALL);
		pump();
		h2_end(served[0].stream, GRPC_NOT_FOUND, "%s", text);
		pump();
		assert_ended(&caller, GRPC_NOT_FOUND, text);
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
	}
}

/* HTTP/2 has no field that begins or ends with a blank, but texts may. */
static void
test_status_message_with_blanks(void **state)
{
	static const char *const texts[] = { " before", "behind ", " ",
		" both " };

	for (size_t i = 0; i < COUNT(texts); i++) {
		at_open = respond;
		call(&caller, CALL);
		pump();
		h2_end(served[0].stream, GRPC_NOT_FOUND, "%s", texts[i]);
		pump();
		assert_ended(&caller, GRPC_NOT_FOUND, texts[i]);
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
	}
}

static void
test_every_code(void **state)
{
	for (int code = 0; code <= 16; code++) {
		at_open = code % 2 == 0 ? respond : NULL;
		call(&caller, CALL);
		pump();
		h2_end(served[0].stream, (enum grpc_code)code, "text");
		pump();
		assert_ended(&caller, (enum grpc_code)code, "text");
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
	}
}

/* A text that is too long is cut, and the call ends as it should. */
static void
test_long_status_message(void **state)
{
	char text[3000];

	(void)state;
	memset(text, '%', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	at_open = respond;
	call(&caller, CALL);
	pump();
	h2_end(served[0].stream, GRPC_NOT_FOUND, "%s", text);
	pump();
	assert_ended(&caller, GRPC_NOT_FOUND, NULL);
	assert_true(strlen(caller.message) > 100);
	assert_int_equal(strspn(caller.message, "%"), strlen(caller.message));
}

/* A text is cut between characters, wherever it has to be. */
static void
test_long_status_message_utf8(void **state)
{
	static const char *const chars[] = { "\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x90\x98" };
	char text[3000];

	for (size_t i = 0; i < 12; i++) {
		const char *c = chars[i / 4];

		memset(text, 'x', sizeof(text));
		for (size_t k = i % 4; k + 8 < sizeof(text); k += strlen(c))
			memcpy(text + k, c, strlen(c) + 1);
		at_open = i % 2 == 0 ? respond : NULL;
		call(&caller, CALL);
		pump();
		h2_end(served[0].stream, GRPC_NOT_FOUND, "%s", text);
		pump();
		assert_ended(&caller, GRPC_NOT_FOUND, NULL);
		assert_true(strlen(caller.message) > 100);
		assert_true(utf8_valid(caller.message, strlen(caller.message)));
		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
	}
}

/* The client's end of the request; what the server sends still arrives. */
static void
test_finish(void **state)
{
	(void)state;
	at_open = echo;
	call(&caller, CALL);
	side_send(&caller, "one", 3);
	pump();
	assert_int_equal(served[0].half_closed, 0);
	h2_finish(caller.stream);
	pump();
	assert_int_equal(served[0].half_closed, 1);
	side_send(&served[0], "two", 3);
	pump();
	assert_got(&caller, "one\ntwo\n");
	h2_end(served[0].stream, GRPC_OK, "%s", "");
	pump();
	assert_ended(&caller, GRPC_OK, "");
}

/* It may be said before the last message is out, in pieces. */
static void
test_finish_in_mid_message(void **state)
{
	(void)state;
	at_open = echo;
	call(&caller, CALL);
	caller.piece = 2;
	side_send(&caller, "a whole message", 15);
	while (caller.left == 0)
		assert_true(move(client, server, 1));
	h2_finish(caller.stream);
	pump();
	assert_got(&served[0], "a whole message\n");
	assert_int_equal(served[0].half_closed, 1);
	h2_end(served[0].stream, GRPC_OK, "%s", "");
	pump();
	assert_ended(&caller, GRPC_OK, "");
}

/* Breaking off */

static void
test_cancel(void **state)
{
	(void)state;
	at_open = echo;
	call(&caller, CALL);
	side_send(&caller, "one", 3);
	pump();
	side_send(&served[0], "never", 5);
	h2_cancel(caller.stream);
	pump();
	assert_ended(&caller, GRPC_CANCELLED, NULL);
	assert_int_equal(served[0].closed, 1);
	assert_got(&caller, "one\n");
	assert_true(h2_idle(server));
	assert_true(h2_idle(client));
	/* The connection goes on. */
	side_free(&caller);
	side_init(&caller);
	call(&caller, CALL);
	side_send(&caller, "two", 3);
	pump();
	assert_got(&caller, "two\n");
}

/* Also when nothing of the call was sent yet. */
static void
test_cancel_at_once(void **state)
{
	(void)state;
	call(&caller, CALL);
	h2_cancel(caller.stream);
	pump();
	assert_int_equal(caller.closed, 1);
	assert_true(h2_idle(client));
	assert_true(h2_idle(server));
}

static void
test_reset(void **state)
{
	(void)state;
	at_open = respond;
	call(&caller, CALL);
	pump();
	side_send(&served[0], "never", 5);
	h2_reset(served[0].stream);
	pump();
	assert_ended(&caller, GRPC_RESOURCE_EXHAUSTED, NULL);
	assert_int_equal(caller.messages, 0);
	assert_int_equal(served[0].closed, 1);
	assert_true(h2_idle(server));
}

/* h2_del in the middle of calls: each is closed, once, and has let go. */
static void
test_delete_with_open_calls(void **state)
{
	(void)state;
	at_open = echo;
	call(&caller, CALL);
	side_send(&caller, "one", 3);
	pump();
	side_send(&caller, "two", 3);
	assert_true(move(client, server, 65536));
	h2_del(server);
	assert_int_equal(served[0].closed, 1);
	h2_del(client);
	assert_int_equal(caller.closed, 1);
	served_n = 0;
	side_free(&served[0]);
	side_free(&caller);
	assert_int_equal(setup(state), 0);
}

/* A call that the GOAWAY crosses, and what was there before it. */
static void
test_goaway(void **state)
{
	struct side late;
	struct buf wire;

	(void)state;
	at_open = echo;
	side_init(&late);
	call(&caller, CALL);
	pump();
	assert_false(h2_over(server));
	h2_goaway(server, "why");
	buf_init(&wire, 4096);
	assert_int_equal(h2_output(server, &wire, 4096, &err), 0);
	call(&late, CALL);
	assert_true(move(client, server, 65536));
	assert_int_equal(give(client, buf_head(&wire), buf_unread(&wire)), 0);
	buf_free(&wire);
	pump();
	assert_int_equal(served_n, 1);
	assert_int_equal(late.closed, 1);
	assert_int_equal(late.code, GRPC_UNAVAILABLE);
	side_send(&caller, "one", 3);
	pump();
	assert_got(&caller, "one\n");
	h2_end(served[0].stream, GRPC_OK, "%s", "");
	pump();
	assert_ended(&caller, GRPC_OK, "");
	assert_true(h2_over(server));
	side_free(&late);
}

/* One that comes while the GOAWAY is still waiting to be sent. */
static void
test_goaway_just_before_a_call(void **state)
{
	(void)state;
	h2_goaway(server, "why");
	call(&caller, CALL);
	pump();
	assert_ended(&caller, GRPC_UNAVAILABLE, NULL);
	assert_true(h2_idle(server));
	assert_true(h2_over(server));
}

/* Limits */

static void
send_of_size(const char *path, size_t n)
{
	char *big = calloc(1, n);

	at_open = respond;
	call(&caller, path);
	pump();
	side_send(&caller, "ok", 2);
	side_send(&caller, big, n);
	side_send(&caller, "after", 5);
	free(big);
	pump();
}

static void
test_longest_message(void **state)
{
	(void)state;
	send_of_size(CALL, MAX_MESSAGE);
	assert_int_equal(served[0].messages, 3);
	assert_int_equal(buf_unread(&served[0].got), 3 + MAX_MESSAGE + 1 + 6);
	assert_int_equal(caller.closed, 0);
}

static void
test_message_too_large(void **state)
{
	(void)state;
	send_of_size(CALL, MAX_MESSAGE + 1);
	assert_ended(&caller, GRPC_RESOURCE_EXHAUSTED, NULL);
	assert_got(&served[0], "ok\n");
	assert_int_equal(served[0].closed, 1);
}

/* Each method has its own limit; what came before has been taken. */
static void
test_message_too_large_for_its_method(void **state)
{
	(void)state;
	send_of_size("/test.Service/Small", 11);
	assert_ended(&caller, GRPC_RESOURCE_EXHAUSTED, NULL);
	assert_got(&served[0], "ok\n");
}

/* A client has limits too: it gives the call up. */
static void
test_response_too_large(void **state)
{
	char *big = calloc(1, MAX_MESSAGE + 1);

	(void)state;
	at_open = respond;
	call(&caller, CALL);
	pump();
	side_send(&served[0], big, MAX_MESSAGE + 1);
	free(big);
	pump();
	assert_int_equal(caller.closed, 1);
	assert_true(caller.code != GRPC_OK);
	assert_int_equal(caller.messages, 0);
	assert_int_equal(served[0].closed, 1);
}

/* A client that reads nothing gets no more than its window, and the rest when
 * it reads again. */
static void
test_flow_control(void **state)
{
	enum { TOTAL = 60, EACH = 150000 };
	uint8_t *big = calloc(1, EACH);
	struct buf wire;

	(void)state;
	at_open = respond;
	call(&caller, CALL);
	pump();
	for (int i = 0; i < TOTAL; i++)
		side_send(&served[0], big, EACH);
	free(big);
	buf_init(&wire, (size_t)16 << 20);
	assert_int_equal(h2_output(server, &wire, SIZE_MAX, &err), 0);
	assert_true(buf_unread(&wire) < (size_t)5 << 20);
	assert_false(h2_want_write(server));
	assert_int_equal(give(client, buf_head(&wire), buf_unread(&wire)), 0);
	buf_free(&wire);
	pump();
	assert_int_equal(caller.messages, TOTAL);
}

/* No DATA passes the limit of h2_output. */
static void
test_output_limit(void **state)
{
	uint8_t *big = calloc(1, 100000);
	struct buf wire;
	int rounds = 0;

	(void)state;
	at_open = respond;
	call(&caller, CALL);
	pump();
	side_send(&served[0], big, 100000);
	free(big);
	buf_init(&wire, (size_t)1 << 20);
	for (; caller.messages == 0 && rounds < 100; rounds++) {
		assert_int_equal(h2_output(server, &wire, 20000, &err), 0);
		assert_in_range(buf_unread(&wire), 1, 20000);
		assert_int_equal(give(client, buf_head(&wire),
				     buf_unread(&wire)),
		    0);
		buf_reset(&wire);
	}
	buf_free(&wire);
	assert_in_range(rounds, 100000 / 20000, 7);
	assert_int_equal(caller.messages, 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_echo),
		TEST(test_respond),
		TEST(test_many_calls),
		TEST(test_unknown_method),
		TEST(test_end_before_respond),
		TEST(test_end_later_before_respond),
		TEST(test_end_in_mid_message),
		TEST(test_end_between_messages),
		TEST(test_status_messages),
		TEST(test_status_message_with_blanks),
		TEST(test_every_code),
		TEST(test_long_status_message),
		TEST(test_long_status_message_utf8),
		TEST(test_finish),
		TEST(test_finish_in_mid_message),
		TEST(test_cancel),
		TEST(test_cancel_at_once),
		TEST(test_reset),
		TEST(test_delete_with_open_calls),
		TEST(test_goaway),
		TEST(test_goaway_just_before_a_call),
		TEST(test_longest_message),
		TEST(test_message_too_large),
		TEST(test_message_too_large_for_its_method),
		TEST(test_response_too_large),
		TEST(test_flow_control),
		TEST(test_output_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
