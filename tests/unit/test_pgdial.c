#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "server/pgdial.h"

static char *
no_env(const char *name)
{
	(void)name;
	return NULL;
}

static int
no_file(const char *path, bool secret, struct buf *text, struct err *err)
{
	(void)path;
	(void)secret;
	(void)text;
	(void)err;
	return 0;
}

static const struct conninfo_system outside = { .env = no_env,
	.user = "u",
	.read = no_file };

/* Somebody who listens on every address of this machine. */
static char port[8];

static int
open_listener(void **state)
{
	struct addr list[ADDR_MAX], bound;
	struct err err;

	(void)state;
	if (addr_resolve(list, "::", "0", true, &err) < 1 ||
	    conn_listen(&list[0], &bound, &err) == -1)
		return -1;
	snprintf(port, sizeof(port), "%s", strrchr(bound.text, ':') + 1);
	return 0;
}

struct dial {
	struct conninfo ci;
	struct pgdial d;
	struct conn c;
	struct err err;
};

static void
begin(struct dial *t, const char *text)
{
	char with_port[256];

	snprintf(with_port, sizeof(with_port), "port=%s %s", port, text);
	text = with_port;
	if (conninfo_parse(&t->ci, text, &outside, &t->err) == -1)
		fail_msg("%s: %s", text, t->err.text);
	pgdial_init(&t->d);
	conn_init(&t->c, 1024, 1024);
	assert_int_equal(pgdial_begin(&t->d, &t->ci, NULL, &t->err), 0);
}

static void
end(struct dial *t)
{
	conn_close(&t->c);
	pgdial_free(&t->d);
	conninfo_free(&t->ci);
}

/* Without the port, which has to be the right one. */
static const char *
address(const struct dial *t)
{
	static char text[128];
	char *colon;

	snprintf(text, sizeof(text), "%s", pgdial_address(&t->d)->text);
	colon = strrchr(text, ':');
	assert_non_null(colon);
	assert_string_equal(colon + 1, port);
	*colon = '\0';
	return text;
}

/* The next address, after the one before was refused for this reason. */
static const char *
next(struct dial *t, const char *why)
{
	struct err err;

	conn_close(&t->c);
	if (why != NULL) {
		err_set(&err, ERR_IO, "%s", why);
		pgdial_refused(&t->d, &err);
	}
	if (pgdial_step(&t->d, &t->c, 0, &t->err) == PGDIAL_FAILED)
		return NULL;
	assert_int_not_equal(t->c.fd, -1);
	return address(t);
}

/* err's text, without the ports. */
static void
assert_says(struct dial *t, const char *text)
{
	char *at;

	while ((at = strstr(t->err.text, port)) != NULL)
		memmove(at - 1, at + strlen(port),
		    strlen(at) + 1 - strlen(port));
	assert_string_equal(t->err.text, text);
}

static void
in_order(void **state)
{
	struct dial t;

	(void)state;
	begin(&t, "host=127.0.0.1,::1,127.0.0.3 connect_timeout=5");
	assert_string_equal(next(&t, NULL), "127.0.0.1");
	assert_int_equal(t.d.deadline_at, SECONDS(5));
	assert_string_equal(next(&t, "one"), "[::1]");
	assert_string_equal(next(&t, NULL), "[::1]"); /* once more */
	assert_string_equal(next(&t, "two"), "127.0.0.3");
	assert_null(next(&t, "three"));
	assert_int_equal(t.err.kind, ERR_IO);
	assert_says(&t, "127.0.0.1: one; [::1]: two; 127.0.0.3: three");
	end(&t);
}

static void
sockets(void **state)
{
	struct dial t;

	(void)state;
	begin(&t, "host=/nowhere,127.0.0.1");
	/* there is no such socket: that fails at once */
	assert_string_equal(next(&t, NULL), "127.0.0.1");
	assert_null(next(&t, "no"));
	assert_non_null(strstr(t.err.text, "/nowhere/.s.PGSQL."));
	end(&t);
}

/* hostaddr is where it goes, host what it is called. */
static void
hostaddr(void **state)
{
	struct dial t;

	(void)state;
	begin(&t, "host=db.example hostaddr=127.0.0.9");
	assert_string_equal(next(&t, NULL), "127.0.0.9");
	assert_string_equal(pgdial_host(&t.d)->host, "db.example");
	end(&t);
	begin(&t, "hostaddr=db.example");
	assert_null(next(&t, NULL));
	assert_non_null(strstr(t.err.text, "hostaddr"));
	end(&t);
}

static const char *
wait_next(struct dial *t)
{
	struct pollfd p;
	enum pgdial_step step;

	conn_close(&t->c);
	while ((step = pgdial_step(&t->d, &t->c, 0, &t->err)) ==
	    PGDIAL_RESOLVING) {
		p = (struct pollfd){ t->d.resolve.fd, POLLIN, 0 };
		assert_int_equal(poll(&p, 1, 60000), 1);
	}
	return step == PGDIAL_FAILED ? NULL : address(t);
}

static void
names(void **state)
{
	struct dial t;

	(void)state;
	begin(&t, "host=localhost");
	assert_int_equal(pgdial_step(&t.d, &t.c, 0, &t.err), PGDIAL_RESOLVING);
	assert_true(t.d.deadline_at > 0);
	if (wait_next(&t) == NULL) /* it is in every hosts file */
		fail_msg("%s", t.err.text);
	end(&t);
	/* one that is not there is no obstacle */
	begin(&t, "host=nowhere.invalid,127.0.0.1");
	assert_string_equal(wait_next(&t), "127.0.0.1");
	assert_null(next(&t, "no"));
	assert_non_null(strstr(t.err.text, "\"nowhere.invalid\""));
	end(&t);
}

/* A name server that does not answer in time; the thread is left behind. */
static void
slow_names(void **state)
{
	struct dial t;

	(void)state;
	begin(&t, "host=localhost,127.0.0.1 connect_timeout=3");
	assert_int_equal(pgdial_step(&t.d, &t.c, 0, &t.err), PGDIAL_RESOLVING);
	resolve_cancel(&t.d.resolve);
	assert_int_equal(pgdial_step(&t.d, &t.c, 0, &t.err), PGDIAL_RESOLVING);
	t.d.deadline_at = -1;
	if (pgdial_step(&t.d, &t.c, 0, &t.err) == PGDIAL_CONNECTING &&
	    t.d.host_at == 1)
		assert_non_null(strstr(t.d.failed.text, "no answer in time"));
	end(&t);
}

/* Every host is the first one now and then, and none is left out. */
static void
by_chance(void **state)
{
	bool first[3] = { false };
	struct dial t;

	(void)state;
	for (int i = 0; i < 200; i++) {
		unsigned seen = 0;

		begin(&t,
		    "host=127.0.0.1,127.0.0.2,127.0.0.3 "
		    "load_balance_hosts=random");
		for (const char *a = next(&t, NULL); a != NULL;
		     a = next(&t, "no")) {
			int n = a[strlen("127.0.0.")] - '1';

			if (seen == 0)
				first[n] = true;
			seen |= 1u << n;
		}
		assert_int_equal(seen, 7);
		end(&t);
	}
	assert_true(first[0] && first[1] && first[2]);
}

static void
refuse_host(struct dial *t, const char *why)
{
	struct err err;

	err_set(&err, ERR_IO, "%s", why);
	pgdial_refused_host(&t->d, &err);
}

/* Two rounds: standbys first, then whoever is there. */
static void
prefer_standby(void **state)
{
	struct dial t;

	(void)state;
	begin(&t,
	    "host=127.0.0.1,127.0.0.2 target_session_attrs=prefer-standby");
	assert_string_equal(next(&t, NULL), "127.0.0.1");
	assert_false(t.d.any_will_do);
	refuse_host(&t, "not in hot standby mode");
	assert_string_equal(next(&t, NULL), "127.0.0.2");
	refuse_host(&t, "not in hot standby mode");
	assert_string_equal(next(&t, NULL), "127.0.0.1");
	assert_true(t.d.any_will_do);
	assert_string_equal(next(&t, "away"), "127.0.0.2");
	assert_null(next(&t, "away"));
	end(&t);
}

/* Another connection to the same server: there, or nowhere. */
static void
beside(void **state)
{
	struct dial t;
	struct pgdial other;

	(void)state;
	begin(&t, "host=127.0.0.1,127.0.0.2");
	next(&t, NULL);
	next(&t, "away");
	other = t.d;
	pgdial_init(&t.d);
	assert_int_equal(pgdial_begin(&t.d, &t.ci, &other, &t.err), 0);
	assert_string_equal(next(&t, NULL), "127.0.0.2");
	assert_null(next(&t, "away"));
	pgdial_free(&other);
	end(&t);
}

/* What a server said counts for more than that another is not there. */
static void
which_error(void **state)
{
	struct err err = { .kind = ERR_SERVER, .sqlstate = "57P03" };
	struct dial t;

	(void)state;
	strcpy(err.text, "starting up");
	begin(&t, "host=127.0.0.1,127.0.0.2");
	next(&t, NULL);
	pgdial_refused(&t.d, &err);
	next(&t, NULL);
	assert_null(next(&t, "away"));
	assert_int_equal(t.err.kind, ERR_SERVER);
	assert_string_equal(t.err.sqlstate, "57P03");
	assert_says(&t, "127.0.0.1: starting up; 127.0.0.2: away");
	end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(sockets),
		cmocka_unit_test(hostaddr),
		cmocka_unit_test(names),
		cmocka_unit_test(slow_names),
		cmocka_unit_test(by_chance),
		cmocka_unit_test(prefer_standby),
		cmocka_unit_test(beside),
		cmocka_unit_test(which_error),
	};

	return cmocka_run_group_tests(tests, open_listener, NULL);
}
