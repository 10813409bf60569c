#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "grpc/goaway.h"
#include "net/addr.h"
#include "net/listen.h"
#include "server/peers.h"

static struct err err;

static void
test_unix_names(void **state)
{
	static const struct {
		const char *name, *text, *path;
		int result;
	} cases[] = {
		{ "127.0.0.1:1", NULL, NULL, 0 },
		{ "unix", NULL, NULL, 0 },
		{ "", NULL, NULL, 0 },
		{ "unix:/a/b", "unix:/a/b", "/a/b", 1 },
		{ "unix:b", "unix:b", "b", 1 },
		{ "unix:///a/b", "unix:/a/b", "/a/b", 1 },
		{ "unix:@a", "unix:@a", NULL, 1 },
		{ "unix-abstract:a", "unix:@a", NULL, 1 },
		{ "unix-abstract:@a", "unix:@@a", NULL, 1 },
		{ "unix:", NULL, NULL, -1 },
		{ "unix:@", NULL, NULL, -1 },
		{ "unix-abstract:", NULL, NULL, -1 },
	};
	struct addr a, again;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(addr_unix(&a, cases[i].name, &err),
		    cases[i].result);
		if (cases[i].result != 1)
			continue;
		assert_string_equal(a.text, cases[i].text);
		if (cases[i].path == NULL)
			assert_null(addr_path(&a));
		else
			assert_string_equal(addr_path(&a), cases[i].path);
		again = a; /* as getsockname says it */
		again.len -= cases[i].path != NULL;
		addr_describe(&again);
		assert_string_equal(again.text, cases[i].text);
	}
}

static void
test_unix_length(void **state)
{
	size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path);
	char name[200] = "unix:/";
	struct addr a;

	(void)state;
	memset(name + 6, 'x', room - 2);
	assert_int_equal(addr_unix(&a, name, &err), 1);
	assert_int_equal(strlen(addr_path(&a)), room - 1);
	name[6 + room - 2] = 'x';
	assert_int_equal(addr_unix(&a, name, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
}

static struct addr
ip(const char *host)
{
	struct addr a;

	assert_int_equal(addr_numeric(&a, host, "1"), 1);
	return a;
}

static void
test_peers(void **state)
{
	static const struct {
		const char *one, *other;
		bool same;
	} cases[] = {
		{ "10.0.0.1", "10.0.0.1", true },
		{ "10.0.0.1", "10.0.0.2", false },
		{ "10.0.0.1", "::ffff:10.0.0.1", true },
		{ "2001:db8::1", "2001:db8::ffff:1", true },
		{ "2001:db8::1", "2001:db8:0:1::1", false },
		{ "::1", "127.0.0.1", false },
	};
	struct peers p;
	struct addr one, other;

	(void)state;
	memset(&p, 0, sizeof(p));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		one = ip(cases[i].one);
		other = ip(cases[i].other);
		assert_int_equal(peers_add(&p, &one, 1), 0);
		assert_int_equal(peers_add(&p, &other, 1),
		    cases[i].same ? -1 : 0);
		assert_int_equal(peers_add(&p, &one, 0), 0);
		peers_remove(&p, &one);
		peers_remove(&p, &one);
		assert_int_equal(peers_add(&p, &one, 1), 0);
		peers_remove(&p, &one);
		if (!cases[i].same)
			peers_remove(&p, &other);
	}
	for (size_t i = 0; i < PEERS_BUCKETS; i++)
		assert_null(p.bucket[i]);
}

static void
test_peers_many(void **state)
{
	struct addr a = ip("10.0.0.0");
	struct peers p;
	char host[32];

	(void)state;
	memset(&p, 0, sizeof(p));
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 5000; i++) {
			snprintf(host, sizeof(host), "10.1.%d.%d", i / 250,
			    i % 250);
			a = ip(host);
			assert_int_equal(peers_add(&p, &a, 1),
			    round == 0 ? 0 : -1);
		}
	peers_free(&p);
}

static void
test_peers_unix(void **state)
{
	struct peers p;
	struct addr a;

	(void)state;
	memset(&p, 0, sizeof(p));
	assert_int_equal(addr_unix(&a, "unix:@x", &err), 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(peers_add(&p, &a, 1), 0);
	peers_remove(&p, &a);
}

static void
test_goaway(void **state)
{
	static const uint8_t want[] = { 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 11, 7,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xb, 'w', 'h', 'y' };
	uint8_t got[GOAWAY_MAX];
	char longer[1000];

	(void)state;
	assert_int_equal(goaway_put(got, GOAWAY_ENHANCE_YOUR_CALM, "why"),
	    sizeof(want));
	assert_memory_equal(got, want, sizeof(want));
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(goaway_put(got, 1, longer), GOAWAY_MAX);
	assert_int_equal(got[9 + 2], GOAWAY_MAX - 18);
}

#define RACERS 4

/* Listens once `start` is closed, says whether it does, and stays until `end`
 * is closed. */
static void
race(const struct addr *a, int start, int say, int end)
{
	struct listen l;
	char c;

	if (read(start, &c, 1) == 0)
		c = listen_open(&l, a, 0600, &err) == 0 ? 'y' : 'n';
	if (write(say, &c, 1) == 1)
		(void)!read(end, &c, 1);
	_exit(0);
}

/* Who finds a socket that somebody has left. Returns how many now listen. */
static int
race_for(const struct addr *a)
{
	int start[2], say[2], end[2], winners = 0;
	struct listen left;
	char c;

	assert_int_equal(listen_open(&left, a, 0600, &err), 0);
	close(left.fd);
	if (pipe(start) == -1 || pipe(say) == -1 || pipe(end) == -1)
		return -1;
	for (int i = 0; i < RACERS; i++) {
		if (fork() != 0)
			continue;
		close(start[1]);
		close(end[1]);
		race(a, start[0], say[1], end[0]);
	}
	close(start[1]);
	for (int i = 0; i < RACERS && read(say[0], &c, 1) == 1; i++)
		winners += c == 'y';
	close(end[1]);
	while (wait(NULL) != -1)
		;
	close(start[0]);
	close(end[0]);
	close(say[0]);
	close(say[1]);
	return winners;
}

static void
test_old_socket_race(void **state)
{
	char dir[] = "/tmp/walstream-XXXXXX", name[100];
	struct addr a;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(name, sizeof(name), "unix:%s/s", dir);
	assert_int_equal(addr_unix(&a, name, &err), 1);
	for (int i = 0; i < 50; i++)
		assert_int_equal(race_for(&a), 1);
	unlink(addr_path(&a));
	assert_int_equal(rmdir(dir), 0);
}

static void
test_directory_locked(void **state)
{
	char dir[] = "/tmp/walstream-XXXXXX", name[100];
	struct listen l;
	struct addr a;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(name, sizeof(name), "unix:%s/s", dir);
	assert_int_equal(addr_unix(&a, name, &err), 1);
	fd = open(dir, O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	/* For as long as it likes, for reasons of its own. */
	assert_int_equal(listen_open(&l, &a, 0600, &err), 0);
	listen_close(&l);
	close(fd);
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unix_names),
		cmocka_unit_test(test_unix_length),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_peers_many),
		cmocka_unit_test(test_peers_unix),
		cmocka_unit_test(test_goaway),
		cmocka_unit_test(test_old_socket_race),
		cmocka_unit_test(test_directory_locked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
