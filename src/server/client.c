#include "server/client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "event/proto_health.h"
#include "grpc/goaway.h"
#include "server/health.h"

#define READ_SIZE 16384
#define WRITE_SIZE ((size_t)64 * 1024)
/* Rounds of WRITE_SIZE one connection gets in a turn. */
#define WRITE_ROUNDS 8
/* How long a client may take to get ready. */
#define READY_TIME SECONDS(10)

static const struct h2_method methods[] = {
	{ "/plugin.PluginService/Session", &session_handler },
	{ "/plugin.PluginService/Subscribe", &subscribe_handler },
	{ HEALTH_CHECK, &health_check_handler },
	{ NULL, NULL },
};

/* A step towards a connection on which requests can be read. */
static int
begin(struct client *c, const struct arrival *a, struct session_list *sessions,
    int64_t now, struct err *err)
{
	conn_init(&c->conn, (size_t)READ_SIZE * 2, WRITE_SIZE * 4);
	conn_adopt(&c->conn, a->fd);
	c->from = a->from;
	c->ready_at = INT64_MAX;
	if ((c->h2 = h2_new_server(methods, sessions)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (a->tls == NULL)
		return 0;
	c->opening = true;
	c->ready_at = now + READY_TIME;
	return conn_accept_tls(&c->conn, a->tls, err);
}

struct client *
client_new(const struct arrival *a, struct session_list *sessions, int64_t now)
{
	struct client *c = calloc(1, sizeof(*c));
	struct err err;

	if (c != NULL && begin(c, a, sessions, now, &err) == 0) {
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
	short events = c->closing ? 0 : POLLIN;

	if (c->opening)
		return conn_want(&c->conn);
	events |= conn_want(&c->conn);
	return buf_unread(&c->conn.out) > 0 ? (short)(events | POLLOUT)
					    : events;
}

int64_t
client_deadline(const struct client *c, int64_t now)
{
	return c->more ? now : c->ready_at;
}

bool
client_is_late(struct client *c, int64_t now, struct err *err)
{
	if (now < c->ready_at)
		return false;
	err_set(err, ERR_IO, "the TLS handshake took longer than %d s",
	    (int)(READY_TIME / SECONDS(1)));
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
client_handshake(struct client *c, struct err *err)
{
	enum conn_result result = conn_handshake(&c->conn, err);
	char text[512];

	if (result == CONN_AGAIN)
		return result;
	if (result == CONN_OK) {
		tls_describe(c->conn.tls, text, sizeof(text));
		log_debug("client.tls", "%s: %s", c->from.text, text);
		c->opening = false;
		c->ready_at = INT64_MAX;
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

static void
lost(struct client *c, const struct err *err)
{
	log_info("client.lost", "%s: %s", c->from.text, err->text);
	c->dead = true;
}

void
client_read(struct client *c)
{
	struct err err;

	if (c->closing)
		return;
	switch (conn_read(&c->conn, READ_SIZE, &err)) {
	case CONN_AGAIN:
		return;
	case CONN_EOF:
		c->dead = true;
		return;
	case CONN_ERROR:
		lost(c, &err);
		return;
	case CONN_OK:
		break;
	}
	if (h2_input(c->h2, buf_head(&c->conn.in), buf_unread(&c->conn.in),
		&err) == -1) {
		log_info("client.refused", "%s: %s", c->from.text, err.text);
		c->closing = true; /* after the GOAWAY that says why */
	}
	buf_reset(&c->conn.in);
}

void
client_write(struct client *c)
{
	enum conn_result sent = CONN_OK;
	struct err err;

	if (c->opening) {
		c->dead |= c->draining;
		return;
	}
	if (c->draining && h2_idle(c->h2)) {
		h2_goaway(c->h2);
		c->draining = false;
	}
	for (int i = 0; i < WRITE_ROUNDS && !c->dead && sent == CONN_OK; i++) {
		if (h2_output(c->h2, &c->conn.out, WRITE_SIZE, &err) == -1) {
			lost(c, &err);
			return;
		}
		if (buf_unread(&c->conn.out) == 0)
			break;
		if ((sent = conn_flush(&c->conn, &err)) == CONN_ERROR)
			lost(c, &err);
	}
	c->more = sent == CONN_OK &&
	    (h2_want_write(c->h2) || (c->draining && h2_idle(c->h2)));
	if (buf_unread(&c->conn.out) == 0 && h2_over(c->h2))
		c->closing = true;
}

void
client_drain(struct client *c)
{
	c->draining = true;
}

bool
client_over(const struct client *c)
{
	return c->dead || (c->closing && buf_unread(&c->conn.out) == 0);
}
