#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/clients.h"

#define START SECONDS(1000)
#define LISTENERS 2

/* All that clients_* is about, and who knocks. */
static const char *const addresses[LISTENERS] = { "127.0.0.1:0",
	"127.0.0.1:0" };
static struct listener_config config;
static struct listeners listeners;
static struct metrics metrics;
static struct session_list sessions;
static struct client_rules rules;
static struct clients clients;
static struct conn visitor[100];
static size_t visitors;

static int
setup(void **state)
{
	struct err err;

	(void)state;
	config = (struct listener_config){ .address = addresses,
		.addresses = LISTENERS,
		.most = 1000 };
	metrics = (struct metrics){ .started_at = START };
	sessions = (struct session_list){ .metrics = &metrics };
	rules = (struct client_rules){ .untold = 0 };
	listeners_init(&listeners, &config, &metrics);
	clients_init(&clients, &listeners, &sessions, &rules);
	visitors = 0;
	return listeners_open(&listeners, 0, &err);
}

static int
teardown(void **state)
{
	(void)state;
	while (visitors > 0)
		conn_close(&visitor[--visitors]);
	clients_free(&clients);
	listeners_free(&listeners);
	return 0;
}

/* Somebody comes in at that listener, and says nothing. */
static void
visit(size_t i)
{
	struct conn *c = &visitor[visitors++];
	struct err err;

	conn_init(c, 1024, 1024);
	assert_int_equal(conn_connect(c, &listeners.at[i].addr, &err), 0);
	assert_int_equal(conn_wait(c->fd, POLLOUT, 1000), POLLOUT);
}

static void
accept_all(int64_t now)
{
	struct pollfd p[LISTENERS];

	listeners_prepare(&listeners, p, true, now);
	poll(p, LISTENERS, 0);
	clients_accept(&clients, p, now);
}

/* A turn at that time: what poll says of the clients is dealt with. */
static void
read_at(int64_t now)
{
	struct pollfd p[100];

	clients_prepare(&clients, p, now);
	poll(p, clients.count, 0);
	clients_read(&clients, p, now);
	clients_sweep(&clients);
}

/* One that has begun a TLS handshake, when all is looked at for the first
 * time. */
static void
begin_handshake(void)
{
	listeners.tls = SSL_CTX_new(TLS_server_method());
	assert_non_null(listeners.tls);
	read_at(START);
	visit(0);
	accept_all(START);
	assert_int_equal(clients.count, 1);
}

static void
test_silent_handshake(void **state)
{
	int64_t now = START, until;

	(void)state;
	begin_handshake();
	while (clients.count > 0 && now < START + SECONDS(20)) {
		until = clients_prepare(&clients, &(struct pollfd){ 0 }, now);
		assert_true(until > now);
		now = until;
		read_at(now);
	}
	assert_true(now == START + SECONDS(10));
	assert_int_equal(metrics.refused[REFUSED_HANDSHAKE], 1);
}

/* Whom the sweep had no time for is not late once more. */
static void
test_late_handshake_counts_once(void **state)
{
	int64_t now = START;

	(void)state;
	begin_handshake();
	for (int i = 0; i < 20; i++)
		clients_read(&clients, &(struct pollfd){ 0 },
		    now += SECONDS(1));
	assert_int_equal(metrics.refused[REFUSED_HANDSHAKE], 1);
}

/* While we were stopped, or had something else to do, it could say what it
 * liked. */
static void
test_handshake_while_away(void **state)
{
	int64_t now = START;

	(void)state;
	begin_handshake();
	for (int i = 0; i < 5; i++)
		read_at(now += SECONDS(60));
	assert_int_equal(clients.count, 1);
	for (int i = 0; i < 5; i++)
		read_at(now += SECONDS(1));
	assert_int_equal(clients.count, 0);
}

/* It has spoken, and has to wait until others are done. */
static void
test_handshake_put_off(void **state)
{
	int64_t now = START;

	(void)state;
	begin_handshake();
	for (int i = 0; i < 100; i++) {
		clients.first->put_off = true;
		read_at(now += MS(900));
	}
	assert_int_equal(clients.count, 1);
	read_at(now += SECONDS(1));
	assert_true(clients.first->handshake_us == SECONDS(9));
}

/* Who came in at that listener? */
static size_t
came_to(size_t i)
{
	struct addr at, *want = &listeners.at[i].addr;
	size_t n = 0;

	for (struct client *c = clients.first; c != NULL; c = c->next) {
		at.len = sizeof(at.sa);
		assert_int_equal(getsockname(c->conn.fd,
				     (struct sockaddr *)&at.sa, &at.len),
		    0);
		n += addr_port(&at) == addr_port(want);
	}
	return n;
}

/* A flood at one listener, as great as a turn can take, and somebody at the
 * other. */
static void
test_flood_at_one_listener(void **state)
{
	(void)state;
	for (int i = 0; i < CLIENTS_ACCEPT; i++)
		visit(0);
	visit(1);
	accept_all(START);
	assert_int_equal(clients.count, CLIENTS_ACCEPT);
	assert_int_equal(came_to(1), 1);
	accept_all(START);
	assert_int_equal(came_to(0), CLIENTS_ACCEPT);
}

/* There is room for one more, again and again: each gets its turn. */
static void
test_room_for_one(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 4; n++) {
		listeners.most = n;
		visit(0);
		visit(1);
		accept_all(START);
		assert_int_equal(clients.count, n);
	}
	assert_int_equal(came_to(0), 2);
	assert_int_equal(came_to(1), 2);
}

/* There is no room, and each comes again at once, whenever it may, for so
 * long. How many were refused? */
static unsigned
refused_within(int64_t us)
{
	uint64_t *n = &metrics.refused[REFUSED_CONNECTIONS], before = *n;

	for (int64_t now = START; now < START + us; now += MS(1)) {
		while (visitors < 2)
			visit(visitors);
		accept_all(now);
		if (*n == before)
			continue;
		before = *n;
		while (visitors > 0)
			conn_close(&visitor[--visitors]);
	}
	return (unsigned)*n;
}

static void
test_refused_over_and_over(void **state)
{
	(void)state;
	listeners.most = 0;
	assert_in_range(refused_within(SECONDS(10)), 2000, 3000);
	listeners.most = 1;
	visit(0);
	accept_all(START + SECONDS(11));
	assert_int_equal(clients.count, 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_silent_handshake, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_late_handshake_counts_once,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_handshake_while_away,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_handshake_put_off, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_flood_at_one_listener,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_room_for_one, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_refused_over_and_over,
		    setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
