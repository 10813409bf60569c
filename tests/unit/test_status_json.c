#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "server/status_json.h"

/* A server made by hand: what it tells of itself. */

#define NOW SECONDS(1000)
#define WALL (SECONDS(1700000000))

static struct ring ring;
static struct quorum quorum;
static struct consumers consumers;
static struct publish publish;
static struct walreceiver wr;
static struct metrics metrics;
static struct session_list list;
static struct conninfo ci;
static struct h2 *h2;
static struct h2_limits limits = { .max_streams = 1 };
static struct h2_stream stream;
static struct buf out;
static struct session session[1200];
static const char *const publications[] = { "pub", "other" };
static struct walreceiver_config config;

static void
streaming(void)
{
	wr.state = WR_STREAMING;
	wr.was_ready = true;
	wr.pg.state = PGCONN_READY;
	wr.version = 160004;
	wr.timeline = 3;
	wr.received = 0x1800;
	publish.complete_lsn = 0x1700;
	quorum.confirmed = 0x1000;
	snprintf(wr.server, sizeof(wr.server), "127.0.0.1:5432");
	snprintf(wr.system_identifier, sizeof(wr.system_identifier),
	    "7311111111111111111");
}

static int
setup(void **state)
{
	static const struct h2_method none[] = { { NULL, NULL } };

	(void)state;
	memset(&wr, 0, sizeof(wr));
	memset(&metrics, 0, sizeof(metrics));
	metrics.started_at = NOW - SECONDS(60);
	memset(&publish, 0, sizeof(publish));
	memset(session, 0, sizeof(session));
	ring_init(&ring, 1 << 20);
	quorum_init(&quorum);
	consumers_init(&consumers, &quorum);
	config = (struct walreceiver_config){ .conninfo = &ci,
		.slot = "s1",
		.publication = publications,
		.publications = 2 };
	ci.text[CI_DBNAME] = (char *)(uintptr_t) "app";
	ci.text[CI_USER] = (char *)(uintptr_t) "me";
	ci.text[CI_PASSWORD] = (char *)(uintptr_t) "hunter2";
	wr.config = &config;
	wr.publish = &publish;
	wr.quorum = &quorum;
	list = (struct session_list){ .ring = &ring,
		.quorum = &quorum,
		.consumers = &consumers,
		.wr = &wr,
		.metrics = &metrics,
		.now = NOW };
	buf_init(&out, 8 << 20);
	if ((h2 = h2_new_server(none, NULL, &limits)) == NULL)
		return -1;
	h2_set_peer(h2, "192.0.2.7:4321");
	stream.h2 = h2;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	consumers_free(&consumers);
	ring_free(&ring);
	buf_free(&out);
	h2_del(h2);
	return 0;
}

/* One more stream, in place, that acknowledged so far and was sent so far. */
static struct session *
add(lsn_t acked, lsn_t sent, const char *name)
{
	struct session *s = &session[list.count];

	s->state = SESSION_LIVE;
	s->list = &list;
	s->stream = &stream;
	s->number = list.count + 1;
	s->since_at = s->taken_at = NOW - SECONDS(10);
	s->walk.cursor = ring.next;
	quorum_join(&quorum, &s->member, 0x1000);
	quorum_sent(&s->member, sent);
	s->member.acked = acked;
	s->member.served = publish.complete_lsn;
	if (name != NULL) {
		s->consumer = consumers_get(&consumers, name, NULL);
		s->consumer->stream = s;
	}
	s->next = list.first;
	list.first = s;
	list.count++;
	return s;
}

static const char *
told(void)
{
	buf_reset(&out);
	status_json(&out, &list, 7, WALL);
	assert_false(out.failed);
	return buf_cstr(&out);
}

static void
assert_told(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no %s in\n%s", part, text);
}

static size_t
count(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		n++;
	return n;
}

/* Nothing is known yet, word for word: what is not known is null. */
static void
test_beginning(void **state)
{
	(void)state;
	metrics.refused[REFUSED_FLOOD] = 3;
	assert_string_equal(told(),
	    "{\"walstream\":{\"version\":\"" VERSION
	    "\",\"state\":\"starting\",\"time\":1700000000.000,"
	    "\"uptime_seconds\":60.000},"
	    "\"server\":{\"state\":\"offline\",\"state_seconds\":1000.000,"
	    "\"connected\":false,\"address\":null,\"database\":\"app\","
	    "\"user\":\"me\",\"version\":null,\"role\":null,"
	    "\"system_identifier\":null,\"timeline\":0,\"lsn\":null,"
	    "\"problem\":null,\"retry_seconds\":0.000,\"failures\":0,"
	    "\"last_failure\":null,\"last_failure_seconds\":null},"
	    "\"slot\":{\"name\":\"s1\",\"temporary\":false,"
	    "\"publications\":[\"pub\",\"other\"],\"received_lsn\":null,"
	    "\"confirmed_lsn\":null,\"reported_lsn\":null,"
	    "\"behind_bytes\":null,\"behind_seconds\":null,\"held_by\":[],"
	    "\"holders\":0},"
	    "\"received\":{\"events\":0,\"transactions\":0,\"bytes\":0},"
	    "\"sent\":{\"events\":0,\"bytes\":0},"
	    "\"buffer\":{\"size_bytes\":1048576,\"unsent_bytes\":0,"
	    "\"kept_bytes\":0,\"full\":false,\"full_seconds\":null},"
	    "\"clients\":{\"connections\":7,\"accepted\":0,"
	    "\"tls_handshakes\":0,\"refused\":{\"connections\":0,"
	    "\"per_address\":0,\"descriptors\":0,\"handshake\":0,"
	    "\"not_http2\":0,\"timeout\":0,\"keepalive\":0,\"flood\":3,"
	    "\"protocol\":0,\"headers\":0,\"streams\":0,"
	    "\"unauthenticated\":0,\"permission\":0,\"unknown_method\":0,"
	    "\"malformed\":0,\"memory\":0}},"
	    "\"absent\":[],\"streams\":[],\"streams_open\":0,"
	    "\"streams_left_out\":0}\n");
}

static void
test_server(void **state)
{
	const char *text;

	(void)state;
	streaming();
	text = told();
	assert_told(text, "\"state\":\"serving\"");
	assert_told(text, "\"state\":\"streaming\"");
	assert_told(text, "\"version\":\"16.4\",\"role\":\"primary\"");
	assert_told(text, "\"system_identifier\":\"7311111111111111111\"");
	assert_told(text, "\"timeline\":3,\"lsn\":\"0/1800\"");
	assert_told(text, "\"retry_seconds\":null");
	assert_told(text, "\"behind_bytes\":2048,\"behind_seconds\":0.000");
	assert_null(strstr(text, "hunter2"));
}

static void
test_problem(void **state)
{
	const char *text;

	(void)state;
	streaming();
	wr.state = WR_OFFLINE;
	wr.pg.state = PGCONN_CLOSED;
	wr.retry_at = NOW + SECONDS(2);
	err_set(&wr.last, ERR_IO, "connection \"refused\"");
	text = told();
	assert_told(text, "\"state\":\"not serving\"");
	assert_told(text, "\"problem\":\"connection \\\"refused\\\"\"");
	assert_told(text, "\"retry_seconds\":2.000");
	wr.failures = 4;
	wr.failed_at = NOW - SECONDS(8);
	wr.failed = wr.last;
	wr.last.kind = ERR_NONE;
	text = told();
	assert_told(text, "\"problem\":null");
	assert_told(text, "\"failures\":4,\"last_failure\":\"connection ");
	assert_told(text, "\"last_failure_seconds\":8.000");
	assert_told(text, "\"behind_bytes\":2048,\"behind_seconds\":null");
	lag_note(&publish.lag, 0x1100, WALL - SECONDS(30));
	assert_told(told(), "\"behind_seconds\":30.000");
}

/* Those that are furthest behind come first, and are named as holders. */
static void
test_streams(void **state)
{
	const char *text;

	(void)state;
	streaming();
	lag_note(&publish.lag, 0x1100, WALL - SECONDS(30));
	lag_note(&publish.lag, 0x1700, WALL - SECONDS(4));
	add(0x1700, 0x1700, "fast");
	add(0x1100, 0x1700, "<img src=x onerror=alert(1)>");
	add(0x1000, 0x1700, NULL)->subscribe = true;
	text = told();
	assert_told(text,
	    "{\"id\":3,\"consumer\":null,\"peer\":\"192.0.2.7:4321\","
	    "\"method\":\"Subscribe\",\"state\":\"unacknowledged\","
	    "\"observer\":false,\"events\":0,\"acks\":0,"
	    "\"open_seconds\":10.000,\"position_lsn\":\"0/1000\","
	    "\"acked_lsn\":\"0/1000\",\"sent_lsn\":\"0/1700\","
	    "\"behind_bytes\":2048,\"behind_seconds\":30.000,"
	    "\"holds\":true},"
	    "{\"id\":2,\"consumer\":\"<img src=x onerror=alert(1)>\"");
	assert_told(text,
	    "\"behind_bytes\":1792,\"behind_seconds\":4.000,"
	    "\"holds\":false},{\"id\":1,\"consumer\":\"fast\"");
	assert_told(text, "\"state\":\"current\"");
	assert_told(text, "\"held_by\":[\"192.0.2.7:4321\"],\"holders\":1");
	assert_told(text, "\"streams_open\":3,\"streams_left_out\":0");
}

static void
test_states(void **state)
{
	const struct ring_pos pos = { 1, 1, 0 };
	struct session *s;

	(void)state;
	streaming();
	s = add(0x1700, 0x1700, NULL);
	assert_int_equal(ring_append(&ring, pos, 1, (struct ring_tag){ 0 }, "x",
			     1),
	    0);
	assert_told(told(), "\"state\":\"stalled\"");
	s->taken_at = NOW - MS(1);
	assert_told(told(), "\"state\":\"sending\"");
	s->walk.cursor = ring.next;
	s->state = SESSION_LAST;
	assert_told(told(), "\"state\":\"ending\"");
	s->state = SESSION_GONE;
	assert_told(told(), "\"open_seconds\":10.000}");
	s->state = SESSION_WAITING;
	assert_told(told(), "\"state\":\"waiting\"");
	s->state = SESSION_STARTING;
	assert_told(told(), "\"state\":\"starting\",\"observer\":false");
	s->state = SESSION_LIVE;
	s->member.votes = false;
	s->member.acked = 0x1000;
	assert_told(told(), "\"state\":\"current\",\"observer\":true");
	assert_told(told(), "\"held_by\":[],\"holders\":0");
}

/* A required consumer holds WAL back while it is away. */
static void
test_absent(void **state)
{
	const char *text;

	(void)state;
	streaming();
	assert_int_equal(consumers_require(&consumers, "audit"), 0);
	add(0x1700, 0x1700, "here");
	text = told();
	assert_told(text,
	    "\"absent\":[{\"consumer\":\"audit\",\"position_lsn\":\"0/1000\","
	    "\"behind_bytes\":2048,\"behind_seconds\":0.000,"
	    "\"holds\":true}]");
	assert_told(text, "\"held_by\":[\"audit\"],\"holders\":1");
}

/* No more than so many are listed, and names no longer than there is room. */
static void
test_many(void **state)
{
	char name[100];
	const char *text;

	(void)state;
	streaming();
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		add(0x1000 + i, 0x1700, i % 2 ? name : NULL);
	}
	text = told();
	assert_int_equal(count(text, "\"method\""), STATUS_STREAMS);
	assert_told(text, "\"streams_open\":1000,\"streams_left_out\":500");
	assert_told(text, "\"streams\":[{\"id\":1,");
	assert_told(text, "{\"id\":500,");
	assert_null(strstr(text, "{\"id\":501,"));
}

static void
test_long_names(void **state)
{
	char name[3000];

	(void)state;
	streaming();
	for (unsigned i = 0; i < 500; i++) {
		memset(name, i < 250 ? 1 : 0xff, sizeof(name) - 1);
		snprintf(name, sizeof(name), "%u", i);
		name[strlen(name)] = 'x';
		name[sizeof(name) - 1] = '\0';
		add(0x1000 + i, 0x1700, name);
	}
	told();
	assert_in_range(buf_unread(&out), STATUS_BYTES, STATUS_BYTES + 30000);
	assert_null(strstr(buf_cstr(&out), "\"streams_left_out\":0"));
}

static void
test_no_room(void **state)
{
	(void)state;
	streaming();
	buf_free(&out);
	buf_init(&out, 300);
	status_json(&out, &list, 7, WALL);
	assert_true(out.failed);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_beginning),
		TEST(test_server),
		TEST(test_problem),
		TEST(test_streams),
		TEST(test_states),
		TEST(test_absent),
		TEST(test_many),
		TEST(test_long_names),
		TEST(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
