#include "server/clients.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* Of a turn, for handshakes: each takes about a millisecond. One is always
 * done, and its steps are not cut. */
#define HANDSHAKE_TIME MS(10)
/* What one connection gets to write in a turn, bytes, and all together. */
#define WRITE_MOST ((size_t)512 * 1024)
#define WRITE_TIME MS(10)
/* To free those that have gone: each takes some 10 us, and they may go all at
 * once. */
#define SWEEP_TIME MS(10)
/* What is made for one at once, bytes, waits in its memory when the socket is
 * full: of all together so much, but for what each needs. */
#define WRITE_MIN ((size_t)8 * 1024)
#define WRITE_ALL ((size_t)8 * 1024 * 1024)

void
clients_init(struct clients *cs, struct listeners *l,
    struct session_list *sessions, struct client_rules *rules)
{
	*cs = (struct clients){ .listeners = l,
		.sessions = sessions,
		.rules = rules };
	cs->last = &cs->first;
}

static void
let_go(struct clients *cs, struct client *c)
{
	listeners_left(cs->listeners, &c->from);
	cs->count--;
	client_del(c);
}

void
clients_free(struct clients *cs)
{
	struct client *c;

	while ((c = cs->first) != NULL) {
		cs->first = c->next;
		let_go(cs, c);
	}
	cs->last = &cs->first;
}

int64_t
clients_prepare(const struct clients *cs, struct pollfd *p, int64_t now)
{
	int64_t until = INT64_MAX;
	const struct client *c;

	for (c = cs->first; c != NULL; c = c->next, p++) {
		*p = (struct pollfd){ c->conn.fd, client_want(c), 0 };
		if (client_deadline(c, now) < until)
			until = client_deadline(c, now);
	}
	return until;
}

static void
add(struct clients *cs, const struct arrival *a, int64_t now)
{
	struct client *c = client_new(a, cs->sessions, cs->rules, now);

	cs->sessions->metrics->accepted++;
	if (c == NULL) {
		listeners_left(cs->listeners, &a->from);
		return;
	}
	*cs->last = c;
	cs->last = &c->next;
	cs->count++;
}

/* One at each listener in turn, lest a flood at one keep others out; it begins
 * behind who let the last one in, as there may be room for one only. */
void
clients_accept(struct clients *cs, const struct pollfd *p, int64_t now)
{
	size_t count = cs->listeners->count, nobody = 0, i = cs->next_listener;
	enum arrived what;
	struct arrival a;
	int n = 0;

	for (; n < CLIENTS_ACCEPT && nobody < count; i++) {
		what = NOBODY;
		if ((p[i % count].revents & POLLIN) != 0)
			what =
			    listeners_next(cs->listeners, i % count, now, &a);
		nobody = what == NOBODY ? nobody + 1 : 0;
		n += what != NOBODY;
		if (what != ARRIVED)
			continue;
		add(cs, &a, now);
		cs->next_listener = i % count + 1;
	}
}

static void
note_failure(struct clients *cs, const struct client *c, const struct err *err)
{
	struct metrics *m = cs->sessions->metrics;
	enum tls_fault fault = client_fault(c);

	metrics_refused(m, REFUSED_HANDSHAKE);
	m->handshakes_failed[fault]++;
	/* Who only looks whether the port is open. */
	if (fault == TLS_FAULT_CLOSED && client_is_silent(c)) {
		log_debug("tls.handshake_failed", "%s: %s", c->from.text,
		    err->text);
		return;
	}
	log_limited(LOG_INFO, "tls.handshake_failed", "%s: %s", c->from.text,
	    err->text);
}

/* A step of c's handshake. Is it done? */
static bool
open_tls(struct clients *cs, struct client *c, int64_t now)
{
	struct err err;

	switch (client_handshake(c, now, &err)) {
	case CONN_OK:
		cs->sessions->metrics->handshakes++;
		return true;
	case CONN_AGAIN:
		return false;
	default:
		note_failure(cs, c, &err);
		return false;
	}
}

/* Acks first: what they free may be what the next event needs. */
void
clients_read(struct clients *cs, const struct pollfd *p, int64_t now)
{
	int64_t until = 0; /* for handshakes */
	int64_t passed = now - cs->read_at;
	struct client *c;
	struct err err;

	cs->read_at = now;
	for (c = cs->first; c != NULL; c = c->next, p++) {
		if (client_is_late(c, passed, &err)) {
			note_failure(cs, c, &err);
			continue;
		}
		if (p->revents != 0)
			c->retry_at = 0;
		if (c->dead || !conn_readable(&c->conn, p->revents))
			continue;
		if (c->opening && until == 0)
			until = clock_mono_us() + HANDSHAKE_TIME;
		c->put_off = c->opening && clock_mono_us() > until;
		if (c->put_off || (c->opening && !open_tls(cs, c, now)))
			continue;
		client_read(c, now);
	}
}

/* A power of two, as the sizes of buffers are. */
static size_t
write_size(const struct clients *cs)
{
	size_t size = CLIENT_WRITE_MAX;

	while (size > WRITE_MIN && size * cs->count > WRITE_ALL)
		size /= 2;
	return size;
}

/* Makes the one behind `at` the first, and those up to there the last. */
static void
rotate(struct clients *cs, struct client *at)
{
	if (at->next == NULL)
		return;
	*cs->last = cs->first;
	cs->first = at->next;
	at->next = NULL;
	cs->last = &at->next;
}

bool
clients_write(struct clients *cs, int64_t now)
{
	int64_t until = clock_mono_us() + WRITE_TIME;
	size_t size = write_size(cs);
	struct client *c;
	uint64_t taken;

	for (c = cs->first; c != NULL; c = c->next) {
		taken = c->taken;
		client_write(c, WRITE_MOST, size, now);
		if (c->taken != taken && clock_mono_us() >= until)
			break;
	}
	if (c == NULL || c->next == NULL)
		return false;
	rotate(cs, c);
	return true;
}

bool
clients_sweep(struct clients *cs)
{
	struct client **at = &cs->first, *c;
	int64_t until = 0;
	bool any = false;

	while ((c = *at) != NULL) {
		if (!client_over(c) || (any && clock_mono_us() >= until)) {
			at = &c->next;
			continue;
		}
		if (!any)
			until = clock_mono_us() + SWEEP_TIME;
		*at = c->next;
		let_go(cs, c);
		any = true;
	}
	cs->last = at;
	return any;
}

void
clients_drain(struct clients *cs)
{
	struct client *c;

	for (c = cs->first; c != NULL; c = c->next)
		client_drain(c);
}
