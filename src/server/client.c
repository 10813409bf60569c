#include "server/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "event/proto_health.h"
#include "event/proto_reflection.h"
#include "grpc/goaway.h"
#include "grpc/request.h"
#include "server/health.h"
#include "server/reflection.h"

#define READ_SIZE 16384
/* A full socket has some room long before poll says so, which is when a third of
 * its buffer is free: who takes little is not to look like one that takes
 * nothing. */
#define RETRY_TIME MS(200)
/* How long a TLS handshake may take, and how often that is looked at: if we do
 * not get to it, we were stopped, or had a long turn. */
#define HANDSHAKE_TIME SECONDS(10)
#define LOOK_INTERVAL SECONDS(1)
/* How long, and for how many bytes, a client may take to read what was said
 * last. */
#define CLOSE_TIME SECONDS(1)
#define CLOSE_MAX ((size_t)1024 * 1024)
/* Lines about clients that misbehave: so many at once, then one a second. */
#define COMPLAINTS 20

/* Reflection first, so that it can be left out. */
#define REFLECTION_ROWS 2
static const struct h2_method methods[] = {
	{ REFLECTION_V1, &reflection_handler },
	{ REFLECTION_V1ALPHA, &reflection_handler },
	{ "/plugin.PluginService/Session", &session_handler },
	{ "/plugin.PluginService/Subscribe", &subscribe_handler },
	{ HEALTH_CHECK, &health_check_handler },
	{ HEALTH_WATCH, &health_watch_handler },
	{ NULL, NULL },
};

static const struct h2_method *
methods_of(const struct session_list *l)
{
	return l->reflection ? methods : methods + REFLECTION_ROWS;
}

static const char http1_text[] = "HTTP/2 only: this port speaks gRPC\n";

/* Its life begins when requests can be read. */
static void
begin(struct client *c, int64_t now)
{
	c->opening = false;
	lifetime_init(&c->life, &c->rules->life, now,
	    (int)(clock_mono_us() % 201) - 100);
}

static int
open_connection(struct client *c, const struct arrival *a,
    struct session_list *sessions, int64_t now, struct err *err)
{
	conn_init(&c->conn, (size_t)READ_SIZE * 2, CLIENT_WRITE_MAX * 4);
	conn_adopt(&c->conn, a->fd);
	c->from = a->from;
	c->metrics = sessions->metrics;
	c->h2_at = c->closed_at = INT64_MAX;
	begin(c, now);
	c->h2 = h2_new_server(methods_of(sessions), sessions, &c->rules->h2);
	if (c->h2 == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	h2_set_peer(c->h2, c->from.text);
	if (a->tls == NULL)
		return 0;
	c->opening = true;
	c->handshake_us = HANDSHAKE_TIME;
	return conn_accept_tls(&c->conn, a->tls, err);
}

struct client *
client_new(const struct arrival *a, struct session_list *sessions,
    struct client_rules *rules, int64_t now)
{
	struct client *c = calloc(1, sizeof(*c));
	struct err err;

	if (c != NULL)
		c->rules = rules;
	if (c != NULL && open_connection(c, a, sessions, now, &err) == 0) {
		log_debug("client.connected", "%s connected", a->from.text);
		return c;
	}
	metrics_refused(sessions->metrics, REFUSED_MEMORY);
	log_error("client.refused", "out of memory for a connection");
	if (c == NULL)
		close(a->fd);
	else
		client_del(c);
	return NULL;
}

void
client_del(struct client *c)
{
	log_debug("client.closed", "%s disconnected", c->from.text);
	if (c->h2 != NULL)
		h2_del(c->h2);
	conn_close(&c->conn);
	free(c);
}

short
client_want(const struct client *c)
{
	return conn_want(&c->conn, !c->closing || c->finished);
}

int64_t
client_deadline(const struct client *c, int64_t now)
{
	int64_t life = lifetime_deadline(&c->life);

	if (c->opening)
		return now + clock_earlier(c->handshake_us, LOOK_INTERVAL);
	if (c->more)
		return now;
	if (c->closing)
		return c->closed_at;
	if (c->retry_at > now)
		life = clock_earlier(life, c->retry_at);
	return clock_earlier(life, c->h2_at);
}

bool
client_is_late(struct client *c, int64_t us, struct err *err)
{
	if (!c->opening || c->dead)
		return false;
	if (!c->put_off)
		c->handshake_us -= clock_earlier(us, LOOK_INTERVAL);
	c->put_off = false;
	if (c->handshake_us > 0)
		return false;
	err_set(err, ERR_IO, "the TLS handshake took longer than %d s",
	    (int)(HANDSHAKE_TIME / SECONDS(1)));
	c->dead = true;
	return true;
}

/* Whoever took this port for one without TLS, in its own language. */
static void
say_tls(const struct client *c)
{
	static const char http1[] =
	    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
	    "Content-Type: text/plain\r\nContent-Length: 22\r\n\r\n"
	    "This port speaks TLS.\n";
	uint8_t words[GOAWAY_MAX];

	if (strcmp(tls_head(c->conn.tls), "PRI ") == 0)
		conn_say(c->conn.fd, words,
		    goaway_put(words, GOAWAY_INADEQUATE_SECURITY,
			"this port speaks TLS"));
	else
		conn_say(c->conn.fd, http1, sizeof(http1) - 1);
}

enum conn_result
client_handshake(struct client *c, int64_t now, struct err *err)
{
	enum conn_result result = conn_handshake(&c->conn, err);
	char text[512];

	if (result == CONN_AGAIN)
		return result;
	if (result == CONN_OK) {
		tls_describe(c->conn.tls, text, sizeof(text));
		log_debug("client.tls", "%s: %s", c->from.text, text);
		begin(c, now);
		return result;
	}
	if (tls_fault(c->conn.tls) == TLS_FAULT_PLAIN)
		say_tls(c);
	else
		conn_say(c->conn.fd, "", 0); /* the alert was said */
	c->dead = true;
	return result;
}

enum tls_fault
client_fault(const struct client *c)
{
	return tls_is_failed(c->conn.tls) ? tls_fault(c->conn.tls)
					  : TLS_FAULT_TIMEOUT;
}

bool
client_is_silent(const struct client *c)
{
	return *tls_head(c->conn.tls) == '\0';
}

/* May there be a line about a client? Not if there were many. */
static bool
may_log(const struct client *c, int64_t now)
{
	struct client_rules *r = c->rules;

	if (!bucket_take(&r->complaints, SECONDS(1), COMPLAINTS, now)) {
		r->untold++;
		return false;
	}
	if (r->untold > 0)
		log_info("client.untold",
		    "%u more lines about clients were left out", r->untold);
	r->untold = 0;
	return true;
}

static void
lost(struct client *c, int64_t now, const char *why)
{
	if (may_log(c, now))
		log_info("client.lost", "%s: %s", c->from.text, why);
	c->dead = true;
}

/* Closes it after what is still to be sent, if h2 has given it up. */
static void
check_fault(struct client *c, int64_t now)
{
	static const enum refusal why[] = {
		[H2_NOT_HTTP2] = REFUSED_NOT_HTTP2,
		[H2_BROKEN] = REFUSED_PROTOCOL,
		[H2_FLOODED] = REFUSED_FLOOD,
		[H2_TOO_SLOW] = REFUSED_TIMEOUT,
	};
	enum h2_fault fault = h2_fault(c->h2);
	const char *text = h2_fault_text(c->h2);

	if (c->closing || fault == H2_FINE)
		return;
	metrics_refused(c->metrics, why[fault]);
	if (fault == H2_FLOODED && may_log(c, now))
		log_warn("client.flood", "%s: %s", c->from.text, text);
	else if (fault != H2_FLOODED && may_log(c, now))
		log_info("client.refused", "%s: %s", c->from.text, text);
	c->closing = true;
	c->closed_at = now + CLOSE_TIME;
}

/* What comes behind the reason to close is read, lest the answer be lost: a
 * socket that is closed with input unread is reset. */
static void
discard(struct client *c, size_t n)
{
	c->discarded += n;
	buf_reset(&c->conn.in);
	if (c->discarded > CLOSE_MAX)
		c->dead = true;
}

static void
take_input(struct client *c, int64_t now)
{
	const uint8_t *p = buf_head(&c->conn.in);
	size_t n = buf_unread(&c->conn.in);
	struct err err;

	if (c->closing) {
		discard(c, n);
		return;
	}
	lifetime_heard(&c->life, now);
	c->ping_end = c->arrived = 0;
	h2_tick(c->h2, now);
	(void)h2_input(c->h2, p, n, &err); /* h2_fault says more */
	if (h2_fault(c->h2) == H2_NOT_HTTP2 && request_is_http1(p, n))
		buf_putf(&c->conn.out,
		    "HTTP/1.1 400 Bad Request\r\n"
		    "Content-Type: text/plain\r\n"
		    "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
		    strlen(http1_text), http1_text);
	check_fault(c, now);
	buf_free(&c->conn.in); /* most are silent for long */
	if (c->agent_known || *h2_agent(c->h2) == '\0')
		return;
	c->agent_known = true;
	log_debug("client.agent", "%s is %s", c->from.text, h2_agent(c->h2));
}

void
client_read(struct client *c, int64_t now)
{
	struct err err;

	if (c->closing && !c->finished)
		return;
	switch (conn_read(&c->conn, READ_SIZE, &err)) {
	case CONN_AGAIN:
		return;
	case CONN_EOF:
		c->dead = true;
		return;
	case CONN_ERROR:
		if (c->closing)
			c->dead = true;
		else
			lost(c, now, err.text);
		return;
	case CONN_OK:
		take_input(c, now);
		return;
	}
}

/* While a PING is out: does what was sent before it still get on? */
static void
watch_progress(struct client *c, int64_t now)
{
	uint64_t sent = c->taken + buf_unread(&c->conn.out), arrived, left;
	bool before = c->ping_end == 0 || c->arrived < c->ping_end;

	if (c->life.pinged_at == 0)
		return;
	if (c->ping_end == 0 && h2_ping_sent(c->h2))
		c->ping_end = sent;
	/* More than we count: TLS and the kernel put something around it. */
	left = conn_unacked(&c->conn);
	arrived = left < c->taken ? c->taken - left : 0;
	if (arrived <= c->arrived)
		return;
	if (before && c->arrived != 0)
		lifetime_progress(&c->life, now);
	c->arrived = arrived;
}

static void
act(struct client *c, enum life_action action, int64_t now)
{
	const struct lifetime_rules *r = &c->rules->life;
	char why[64];

	switch (action) {
	case LIFE_NOTHING:
		break;
	case LIFE_PING:
		h2_ping(c->h2);
		break;
	case LIFE_NOTICE:
		h2_notice(c->h2);
		break;
	case LIFE_GOAWAY:
		h2_goaway(c->h2, c->life.leave);
		break;
	case LIFE_END_ALL:
		h2_end_all(c->h2, c->life.leave);
		break;
	case LIFE_NO_PREFACE:
		h2_too_slow(c->h2, "preface");
		break;
	case LIFE_NO_SETTINGS:
		h2_too_slow(c->h2, "settings");
		break;
	case LIFE_DEAD:
		metrics_refused(c->metrics, REFUSED_KEEPALIVE);
		snprintf(why, sizeof(why), "no sign of life for %d s",
		    (int)((r->keepalive_us + r->keepalive_timeout_us) /
			SECONDS(1)));
		lost(c, now, why);
		break;
	case LIFE_CLOSE:
		c->dead = true;
		break;
	}
}

/* What is due by the clock. */
static void
keep_time(struct client *c, int64_t now)
{
	enum life_action action = LIFE_NOTHING;
	struct life_facts f;

	c->h2_at = h2_tick(c->h2, now);
	if (c->closing) {
		c->dead |= now >= c->closed_at;
		return;
	}
	watch_progress(c, now);
	do {
		f = (struct life_facts){ .greeted = h2_greeted(c->h2),
			.settled = h2_settled(c->h2),
			.noticed = h2_noticed(c->h2),
			.spent = h2_spent(c->h2),
			.streams = !h2_idle(c->h2) };
		action = lifetime_step(&c->life, &f, now);
		act(c, action, now);
	} while (
	    action != LIFE_NOTHING && !c->dead && h2_fault(c->h2) == H2_FINE);
	check_fault(c, now);
}

static enum conn_result
flush(struct client *c, int64_t now)
{
	size_t before = buf_unread(&c->conn.out);
	enum conn_result sent;
	struct err err;

	sent = conn_flush(&c->conn, &err);
	if (sent == CONN_ERROR && !c->closing)
		lost(c, now, err.text);
	else if (sent == CONN_ERROR)
		c->dead = true;
	else
		c->taken += before - buf_unread(&c->conn.out);
	return sent;
}

void
client_write(struct client *c, size_t most, size_t size, int64_t now)
{
	enum conn_result sent = CONN_OK;
	struct err err;

	if (c->opening || c->dead)
		return;
	keep_time(c, now);
	if (now < c->retry_at)
		return;
	for (size_t n = 0; n < most && !c->dead && sent == CONN_OK; n += size) {
		if (h2_output(c->h2, &c->conn.out, size, &err) == -1) {
			lost(c, now, err.text);
			return;
		}
		check_fault(c, now);
		if (buf_unread(&c->conn.out) == 0) {
			if (n == 0)
				buf_free(&c->conn.out); /* as above */
			break;
		}
		sent = flush(c, now);
	}
	c->retry_at = sent == CONN_AGAIN ? now + RETRY_TIME : 0;
	c->more = sent == CONN_OK && h2_want_write(c->h2);
	if (buf_unread(&c->conn.out) > 0 || c->dead)
		return;
	if (!c->closing && h2_over(c->h2)) {
		c->closing = true;
		c->closed_at = now + CLOSE_TIME;
	}
	if (c->closing && !c->finished) {
		c->finished = true;
		conn_finish(&c->conn);
	}
}

void
client_drain(struct client *c)
{
	c->dead |= c->opening;
	lifetime_leave(&c->life, "shutting_down");
}

bool
client_over(const struct client *c)
{
	return c->dead;
}
