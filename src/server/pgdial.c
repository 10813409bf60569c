#include "server/pgdial.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* An address that takes longer is given up, where connect_timeout does not
 * say: a daemon has nobody who would press Ctrl-C. */
#define TIMEOUT SECONDS(60)

void
pgdial_init(struct pgdial *d)
{
	memset(d, 0, sizeof(*d));
	resolve_init(&d->resolve);
}

void
pgdial_free(struct pgdial *d)
{
	resolve_cancel(&d->resolve);
	free(d->order);
	d->order = NULL;
}

static bool
by_chance(const struct pgdial *d)
{
	return d->ci->value[CI_LOAD_BALANCE_HOSTS] != 0;
}

/* A number below n. Without random bytes the order stays as it is. */
static size_t
draw(size_t n)
{
	uint32_t r = 0;

	if (RAND_bytes((unsigned char *)&r, sizeof(r)) != 1)
		return n - 1;
	return r % n;
}

static void
shuffle_addresses(struct pgdial *d)
{
	struct addr swap;

	for (int i = d->addr_count - 1; i > 0; i--) {
		size_t k = draw((size_t)i + 1);

		swap = d->addr[i];
		d->addr[i] = d->addr[k];
		d->addr[k] = swap;
	}
}

int
pgdial_begin(struct pgdial *d, const struct conninfo *ci,
    const struct pgdial *beside, struct err *err)
{
	pgdial_free(d);
	d->ci = ci;
	d->host_at = 0;
	d->one = beside != NULL;
	d->any_will_do = d->one;
	d->addr_count = d->addr_at = 0;
	d->failed.kind = ERR_NONE;
	d->failures = 0;
	if ((d->order = calloc(ci->hosts, sizeof(*d->order))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (beside != NULL) {
		d->order[0] = beside->order[beside->host_at];
		d->addr[0] = *pgdial_address(beside);
		d->addr_count = 1;
		return 0;
	}
	for (size_t i = 0; i < ci->hosts; i++) {
		size_t k = by_chance(d) ? draw(i + 1) : i;

		d->order[i] = d->order[k];
		d->order[k] = i;
	}
	return 0;
}

const struct conninfo_host *
pgdial_host(const struct pgdial *d)
{
	return &d->ci->host[d->order[d->host_at]];
}

const struct addr *
pgdial_address(const struct pgdial *d)
{
	return &d->addr[d->addr_at];
}

/* What was wrong everywhere, in one line. Its kind is the last one's, but what
 * a server said counts for more than that another is not there. */
static void
remember(struct pgdial *d, const char *where, const struct err *why)
{
	struct err all = *why;
	char both[sizeof(all.text)];

	if (*where != '\0')
		err_prefix(&all, "%s", where);
	if (d->failures++ > 0) {
		snprintf(both, sizeof(both), "%.500s; %.500s", d->failed.text,
		    all.text);
		memcpy(all.text, both, sizeof(both));
	}
	if (d->failed.kind == ERR_SERVER && all.kind == ERR_IO) {
		all.kind = ERR_SERVER;
		memcpy(all.sqlstate, d->failed.sqlstate, sizeof(all.sqlstate));
	}
	d->failed = all;
}

void
pgdial_remember(struct pgdial *d, const struct err *why)
{
	remember(d, "", why);
}

void
pgdial_refused(struct pgdial *d, const struct err *why)
{
	bool tell = why->kind == ERR_IO || d->ci->hosts > 1;

	remember(d, tell ? pgdial_address(d)->text : "", why);
	d->addr_at++;
}

void
pgdial_refused_host(struct pgdial *d, const struct err *why)
{
	pgdial_refused(d, why);
	d->addr_at = d->addr_count;
}

static int64_t
deadline(const struct pgdial *d, int64_t now)
{
	int timeout = d->ci->value[CI_CONNECT_TIMEOUT];

	return now + (timeout > 0 ? SECONDS(timeout) : TIMEOUT);
}

/* Finds the addresses of the host to be tried next. Returns how many there
 * are, 0 when they are being looked up, or -1. */
static int
find_addresses(struct pgdial *d, int64_t now, struct err *err)
{
	const struct conninfo_host *h = pgdial_host(d);
	const char *host = *h->hostaddr != '\0' ? h->hostaddr : h->host;
	int n;

	if (*host == '\0' || *host == '/' || *host == '@')
		return addr_pg_socket(d->addr, host, h->port, err) == -1 ? -1
									 : 1;
	if ((n = addr_numeric(d->addr, host, h->port)) > 0)
		return n;
	if (*h->hostaddr != '\0')
		return err_set(err, ERR_USAGE,
		    "connection option \"hostaddr\": \"%.100s\" is no numeric "
		    "address",
		    host);
	d->deadline_at = deadline(d, now);
	return resolve_start(&d->resolve, host, h->port, err);
}

/* The answer to what find_addresses asked. Returns likewise. */
static int
take_addresses(struct pgdial *d, int64_t now, struct err *err)
{
	int n = resolve_take(&d->resolve, d->addr, err);

	if (n != 0 || now < d->deadline_at)
		return n;
	resolve_cancel(&d->resolve);
	return err_set(err, ERR_IO,
	    "cannot resolve host \"%.200s\": no answer in time",
	    pgdial_host(d)->host);
}

/* Are there addresses to try? As above. */
static int
addresses(struct pgdial *d, int64_t now, struct err *err)
{
	int n;

	if (d->addr_count > 0)
		return d->addr_count;
	n = d->resolve.fd != -1 ? take_addresses(d, now, err)
				: find_addresses(d, now, err);
	if (n > 0) {
		d->addr_count = n;
		d->addr_at = 0;
		if (by_chance(d))
			shuffle_addresses(d);
	}
	return n;
}

static int
set_options(const struct pgdial *d, struct conn *c, struct err *err)
{
	const int *v = d->ci->value;
	const struct conn_keepalive k = { v[CI_KEEPALIVES],
		v[CI_KEEPALIVES_IDLE], v[CI_KEEPALIVES_INTERVAL],
		v[CI_KEEPALIVES_COUNT], v[CI_TCP_USER_TIMEOUT] };

	if (addr_is_unix(pgdial_address(d)))
		return 0;
	return conn_set_keepalive(c, &k, err);
}

/* Connects to an address of this host; false when none is left. */
static bool
try_addresses(struct pgdial *d, struct conn *c, int64_t now)
{
	struct err err;

	for (; d->addr_at < d->addr_count; d->addr_at++) {
		if (conn_connect(c, pgdial_address(d), &err) == 0 &&
		    set_options(d, c, &err) == 0) {
			d->deadline_at = deadline(d, now);
			return true;
		}
		conn_close(c);
		remember(d, "", &err);
	}
	return false;
}

/* The next host, or the first once more. */
static bool
next_host(struct pgdial *d)
{
	d->addr_at = d->addr_count = 0;
	if (d->one)
		return false;
	if (++d->host_at < d->ci->hosts)
		return true;
	d->host_at = 0;
	if (d->any_will_do ||
	    d->ci->value[CI_TARGET_SESSION_ATTRS] != TARGET_PREFER_STANDBY)
		return false;
	d->any_will_do = true;
	return true;
}

enum pgdial_step
pgdial_step(struct pgdial *d, struct conn *c, int64_t now, struct err *err)
{
	struct err why;
	int n;

	do {
		if ((n = addresses(d, now, &why)) == 0)
			return PGDIAL_RESOLVING;
		if (n == -1)
			remember(d, "", &why);
		else if (try_addresses(d, c, now))
			return PGDIAL_CONNECTING;
	} while (next_host(d));
	*err = d->failed;
	return PGDIAL_FAILED;
}
