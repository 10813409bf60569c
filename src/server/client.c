#include "server/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "event/proto_health.h"
#include "server/health.h"

#define READ_SIZE 16384
#define WRITE_SIZE ((size_t)64 * 1024)
/* Rounds of WRITE_SIZE one connection gets in a turn. */
#define WRITE_ROUNDS 8

static const struct h2_method methods[] = {
	{ "/plugin.PluginService/Session", &session_handler },
	{ "/plugin.PluginService/Subscribe", &subscribe_handler },
	{ HEALTH_CHECK, &health_check_handler },
	{ NULL, NULL },
};

struct client *
client_new(int fd, const struct addr *from, struct session_list *sessions)
{
	struct client *c = calloc(1, sizeof(*c));
	struct conn conn;

	conn_init(&conn, (size_t)READ_SIZE * 2, WRITE_SIZE * 4);
	conn_adopt(&conn, fd);
	if (c != NULL && (c->h2 = h2_new_server(methods, sessions)) != NULL) {
		c->conn = conn;
		c->from = *from;
		h2_set_peer(c->h2, c->from.text);
		log_debug("client.connected", "%s connected", from->text);
		return c;
	}
	metrics_refused(sessions->metrics, REFUSED_MEMORY);
	log_error("client.refused", "out of memory for a connection");
	conn_close(&conn);
	free(c);
	return NULL;
}

void
client_del(struct client *c)
{
	log_debug("client.closed", "%s disconnected", c->from.text);
	h2_del(c->h2);
	conn_close(&c->conn);
	free(c);
}

short
client_want(const struct client *c)
{
	short events = c->closing ? 0 : POLLIN;

	return buf_unread(&c->conn.out) > 0 ? (short)(events | POLLOUT)
					    : events;
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
