#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/conn.h"

#include "tls_pair.h"

#define RECORD TLS_RECORD_MAX
#define MB ((size_t)1 << 20)

static struct identity server;
static struct tls_settings settings;
static struct tls_peer peer;
static struct conn conn;
static struct err err;
static uint8_t bytes[4 << 20];

static void
shake(void)
{
	enum conn_result result = CONN_AGAIN;

	assert_int_equal(conn_start_tls(&conn, &settings, &err), 0);
	for (int i = 0; i < 20 && result == CONN_AGAIN; i++) {
		result = conn_handshake(&conn, &err);
		if (result == CONN_AGAIN)
			assert_int_equal(conn_want(&conn, true), POLLIN);
		peer_step(&peer);
	}
	assert_int_equal(result, CONN_OK);
	assert_int_equal(conn_want(&conn, false), 0);
	for (int i = 0; i < 20 && !peer.done; i++)
		peer_step(&peer);
	assert_true(peer.done);
}

static int
setup_clear(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	memset(&settings, 0, sizeof(settings));
	memset(&peer, 0, sizeof(peer));
	peer.who = &server;
	peer_begin(&peer);
	conn_init(&conn, 8 * MB, 8 * MB);
	conn_adopt(&conn, peer.fds[0]);
	return 0;
}

static int
setup(void **state)
{
	setup_clear(state);
	shake();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	conn_close(&conn);
	peer_cut(&peer);
	return 0;
}

/* The server writes n bytes, which is a record when it is at most RECORD. */
static void
say(const void *from, size_t n)
{
	assert_int_equal(SSL_write(peer.ssl, from, (int)n), n);
}

static bool
is_readable(void)
{
	struct pollfd p = { .fd = conn.fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void
assert_got(const void *want, size_t n)
{
	assert_int_equal(buf_unread(&conn.in), n);
	assert_memory_equal(buf_head(&conn.in), want, n);
	buf_consume(&conn.in, n);
}

static void
assert_ends(enum conn_result how, enum err_kind kind, const char *text)
{
	for (int i = 0; i < 2; i++) { /* and again */
		memset(&err, 0, sizeof(err));
		assert_int_equal(conn_read(&conn, 100, &err), how);
		assert_int_equal(err.kind, kind);
		assert_string_equal(err.text, text);
	}
}

/* P34: more than the socket takes, to a server that reads slowly. */
static void
test_large_write(void **state)
{
	static uint8_t got[sizeof(bytes)];
	size_t have = 0;
	enum conn_result result = CONN_AGAIN;
	int n, times = 0;

	(void)state;
	buf_put(&conn.out, bytes, sizeof(bytes));
	while (have < sizeof(bytes)) {
		if (result != CONN_OK) {
			result = conn_flush(&conn, &err);
			times += result == CONN_AGAIN;
			/* A record at a time is done with. */
			assert_true(buf_unread(&conn.out) < sizeof(bytes));
		}
		assert_int_equal(conn_want(&conn, false),
		    result == CONN_OK ? 0 : POLLOUT);
		n = SSL_read(peer.ssl, got + have, 10000);
		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_true(times > 10);
	assert_int_equal(result, CONN_OK);
	assert_memory_equal(got, bytes, sizeof(bytes));
}

/* What is to be sent may move and grow while the socket is full. */
static void
test_moving_output(void **state)
{
	static uint8_t got[sizeof(bytes)];
	size_t have = 0, put = 0, piece = 70000;
	int n;

	(void)state;
	while (have < 20 * piece) {
		if (put < 20 * piece) {
			buf_put(&conn.out, bytes + put, piece);
			put += piece;
		}
		assert_int_not_equal(conn_flush(&conn, &err), CONN_ERROR);
		if ((n = SSL_read(peer.ssl, got + have, 30000)) > 0)
			have += (size_t)n;
	}
	assert_memory_equal(got, bytes, have);
}

/* However little is asked for, nothing is left where poll does not see it. */
static void
test_small_reads(void **state)
{
	static const size_t asked[] = { 1, 5, 100, RECORD - 1, RECORD };

	(void)state;
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		say(bytes, RECORD);
		assert_int_equal(conn_read(&conn, asked[i], &err), CONN_OK);
		assert_int_equal(tls_pending(conn.tls), 0);
		assert_false(is_readable());
		assert_got(bytes, RECORD);
	}
	assert_int_equal(conn_read(&conn, 1, &err), CONN_AGAIN);
}

/* As many records as n bytes are, and the rest of the last. */
static void
test_many_records(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		say(bytes + i * 1000, 1000);
	assert_int_equal(conn_read(&conn, 2500, &err), CONN_OK);
	assert_int_equal(buf_unread(&conn.in), 3000);
	assert_int_equal(tls_pending(conn.tls), 0);
	assert_true(is_readable());
	assert_int_equal(conn_read(&conn, 3000, &err), CONN_OK);
	assert_int_equal(buf_unread(&conn.in), 6000);
	assert_int_equal(conn_read(&conn, 1 << 20, &err), CONN_OK);
	assert_false(is_readable());
	assert_got(bytes, 8000);
	assert_int_equal(conn_read(&conn, 1, &err), CONN_AGAIN);
	assert_int_equal(conn_want(&conn, true), POLLIN);
}

/* Would poll return at once? */
static bool
is_woken(bool reading)
{
	struct pollfd p = { .fd = conn.fd,
		.events = conn_want(&conn, reading) };

	return poll(&p, 1, 0) == 1;
}

/* Who does not read, with its output stuck, is not woken for input; nor was
 * the last read, which waits for more, a reason. */
static void
test_want_only_to_write(void **state)
{
	(void)state;
	assert_int_equal(conn_read(&conn, 100, &err), CONN_AGAIN);
	say(bytes, 100);
	assert_true(is_woken(true));
	assert_false(is_woken(false));
	buf_put(&conn.out, bytes, sizeof(bytes));
	assert_int_equal(conn_flush(&conn, &err), CONN_AGAIN);
	assert_false(is_woken(false));
}

/* TLS has to write before it can read on, and the socket takes nothing: what
 * there is to read wakes nobody. */
static void
test_read_wants_to_write(void **state)
{
	(void)state;
	while (write(conn.fd, bytes, 1000) > 0)
		;
	say(bytes, 100);
	assert_true(is_woken(true));
	conn.read_wants = POLLOUT;
	assert_false(is_woken(true));
	assert_true(conn_readable(&conn, POLLOUT));
}

/* Sends what the server would send, a part of it. */
static BIO *
server_bytes(size_t n)
{
	BIO *bio = BIO_new(BIO_s_mem());

	SSL_set0_wbio(peer.ssl, bio);
	say(bytes, n);
	return bio;
}

/* A record that comes byte by byte is nothing until it is whole. */
static void
test_inside_record(void **state)
{
	BIO *bio = server_bytes(300);
	int left = (int)BIO_ctrl_pending(bio);
	char byte;

	(void)state;
	assert_true(left > 300);
	for (; left > 0; left--) {
		assert_int_equal(conn_read(&conn, 300, &err), CONN_AGAIN);
		assert_int_equal(conn_want(&conn, true), POLLIN);
		assert_int_equal(BIO_read(bio, &byte, 1), 1);
		assert_int_equal(write(peer.fds[1], &byte, 1), 1);
	}
	assert_int_equal(conn_read(&conn, 300, &err), CONN_OK);
	assert_got(bytes, 300);
}

/* One bit of a record is another. */
static void
test_damaged(void **state)
{
	BIO *bio = server_bytes(300);
	char record[400];
	int n = BIO_read(bio, record, sizeof(record));

	(void)state;
	record[100] ^= 1;
	assert_int_equal(write(peer.fds[1], record, (size_t)n), n);
	assert_ends(CONN_ERROR, ERR_PROTO,
	    "SSL error: decryption failed or bad record mac");
	buf_put(&conn.out, bytes, 10);
	assert_int_equal(conn_flush(&conn, &err), CONN_ERROR);
}

/* What came before the end comes first. */
static void
test_goodbye(void **state)
{
	(void)state;
	say(bytes, 500);
	say(bytes + 500, 500);
	SSL_shutdown(peer.ssl);
	peer_cut(&peer);
	assert_int_equal(conn_read(&conn, 5000, &err), CONN_OK);
	assert_got(bytes, 1000);
	assert_ends(CONN_EOF, ERR_IO, "the server closed the connection");
}

#define CUT_OFF \
	"the server closed the connection without ending TLS: it was cut off"

static void
test_cut_off(void **state)
{
	(void)state;
	say(bytes, 500);
	peer_cut(&peer);
	assert_int_equal(conn_read(&conn, 5000, &err), CONN_OK);
	assert_got(bytes, 500);
	assert_ends(CONN_EOF, ERR_IO, CUT_OFF);
	buf_put(&conn.out, bytes, 10); /* there is nobody */
	assert_int_equal(conn_flush(&conn, &err), CONN_ERROR);
	assert_string_equal(err.text, CUT_OFF);
}

/* In the middle of a record, which is lost. */
static void
test_cut_in_record(void **state)
{
	BIO *bio = server_bytes(300);
	char record[400];
	int n = BIO_read(bio, record, sizeof(record));

	(void)state;
	assert_int_equal(write(peer.fds[1], record, (size_t)n - 1), n - 1);
	peer_cut(&peer);
	assert_ends(CONN_EOF, ERR_IO, CUT_OFF);
}

/* The server does not talk any more, but still listens. */
static void
test_half_closed(void **state)
{
	char text[20];

	(void)state;
	SSL_shutdown(peer.ssl);
	assert_ends(CONN_EOF, ERR_IO, "the server closed the connection");
	buf_put_str(&conn.out, "Xbye");
	assert_int_equal(conn_flush(&conn, &err), CONN_OK);
	assert_int_equal(SSL_read(peer.ssl, text, sizeof(text)), 4);
	assert_memory_equal(text, "Xbye", 4);
}

static void
test_reset(void **state)
{
	(void)state;
	buf_put(&conn.out, bytes, 10);
	assert_int_equal(conn_flush(&conn, &err), CONN_OK);
	peer_cut(&peer); /* with these unread */
	assert_ends(CONN_ERROR, ERR_IO, "TLS: Connection reset by peer");
}

/* Without SIGPIPE. */
static void
test_broken_pipe(void **state)
{
	(void)state;
	peer_cut(&peer);
	buf_put(&conn.out, bytes, 10);
	memset(&err, 0, sizeof(err));
	assert_int_equal(conn_flush(&conn, &err), CONN_ERROR);
	assert_int_equal(err.kind, ERR_IO);
	assert_string_equal(err.text, "TLS: Broken pipe");
}

/* We say goodbye. */
static void
test_close(void **state)
{
	char byte;
	int rc;

	(void)state;
	conn_close(&conn);
	rc = SSL_read(peer.ssl, &byte, 1);
	assert_int_equal(SSL_get_error(peer.ssl, rc), SSL_ERROR_ZERO_RETURN);
	assert_int_equal(conn.fd, -1);
	assert_null(conn.tls);
}

static void
test_no_room(void **state)
{
	(void)state;
	conn.in.max = 10000;
	say(bytes, RECORD);
	assert_int_equal(conn_read(&conn, 10001, &err), CONN_ERROR);
	assert_int_equal(err.kind, ERR_NOMEM);
}

/* The server wants new keys in the middle of it. */
static void
test_key_update(void **state)
{
	char got[100];

	(void)state;
	assert_int_equal(SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	say(bytes, 100);
	assert_int_equal(conn_read(&conn, 100, &err), CONN_OK);
	assert_got(bytes, 100);
	buf_put(&conn.out, bytes, 100);
	assert_int_equal(conn_flush(&conn, &err), CONN_OK);
	assert_int_equal(SSL_read(peer.ssl, got, sizeof(got)), 100);
	assert_memory_equal(got, bytes, 100);
}

/* The answer to SSLRequest is one byte, and leaves the next alone. */
static void
test_one_byte(void **state)
{
	uint8_t answer = 0;

	(void)state;
	assert_int_equal(conn_read_byte(&conn, &answer, &err), CONN_AGAIN);
	assert_int_equal(write(peer.fds[1], "S", 1), 1);
	assert_int_equal(conn_read_byte(&conn, &answer, &err), CONN_OK);
	assert_int_equal(answer, 'S');
	shake();
	assert_int_equal(buf_unread(&conn.in), 0);
}

/* P33: what comes behind it is not TLS, and is not taken for a message of the
 * encrypted session (CVE-2021-23222). */
static void
test_stuffed(void **state)
{
	static const char stuffed[] = "SR\0\0\0\010\0\0\0\0Z\0\0\0\005I";
	uint8_t answer = 0;

	(void)state;
	assert_int_equal(write(peer.fds[1], stuffed, sizeof(stuffed) - 1),
	    sizeof(stuffed) - 1);
	assert_int_equal(conn_read_byte(&conn, &answer, &err), CONN_OK);
	assert_int_equal(answer, 'S');
	assert_int_equal(conn_start_tls(&conn, &settings, &err), 0);
	assert_int_equal(conn_handshake(&conn, &err), CONN_ERROR);
	assert_int_equal(err.kind, ERR_PROTO);
	assert_int_equal(buf_unread(&conn.in), 0);
}

static int
begin(void **state)
{
	static const struct cert_spec spec = { .cn = "db" };

	(void)state;
	server = identity_make(&spec, NULL);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	identity_free(&server);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define CLEAR(f) cmocka_unit_test_setup_teardown(f, setup_clear, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_large_write),
		TEST(test_moving_output),
		TEST(test_small_reads),
		TEST(test_many_records),
		TEST(test_want_only_to_write),
		TEST(test_read_wants_to_write),
		TEST(test_inside_record),
		TEST(test_damaged),
		TEST(test_goodbye),
		TEST(test_cut_off),
		TEST(test_cut_in_record),
		TEST(test_half_closed),
		TEST(test_reset),
		TEST(test_broken_pipe),
		TEST(test_close),
		TEST(test_no_room),
		TEST(test_key_update),
		CLEAR(test_one_byte),
		CLEAR(test_stuffed),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
